//! DMA writes of host memory from the RAMs of the clients.
use super::rotate::ByteRotate;
use super::splitter::Splitter;
use super::types::WriteRequest;
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// One beat of payload on its way from the RAM to the link.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct PayloadBeat {
    pub data: Bits<128>,
    /// Last beat of the packet.
    pub last: bool,
}

/// What all beats of a packet have in common.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct PacketHeader {
    /// Host address, bits 1:0 zero.
    pub address: Bits<64>,
    /// It does not fit into 32 bits.
    pub above_4g: bool,
    /// Payload double words.
    pub dwords: Bits<11>,
    pub first_be: Bits<4>,
    pub last_be: Bits<4>,
    /// Whose request.
    pub client: Bits<4>,
    /// Last packet of the request.
    pub done: bool,
}

/// DMA write engine.
///
/// ```text
/// request -> splitter -> packet -> RAM index -> (RAM) -> choose bank per lane -> rotate -> FIFO -> transmit
///                          +--------------------- header FIFO ------------------------------+
/// ```
/// Requests are cut at multiples of the maximum payload size. Beat `j` of a packet is the 16 bytes at RAM byte address
/// `source - address[1:0] + 16 j`: one read of both banks and a rotation, whatever the alignment. As many beats
/// are read ahead as the FIFO can take, so the link may stall at any time. Packets follow each
/// other without a pause as long as the splitter keeps up (it takes one cycle more per request).
#[derive(LogicBlock)]
pub struct WriteEngine {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Device Control: maximum payload size, 128 << n bytes.
    pub max_payload: Signal<In, Bits<3>>,
    /// Finish the packet at hand; swallow the rest of its request and all others without telling.
    pub stop: Signal<In, Bit>,
    /// Nothing is queued or under way.
    pub idle: Signal<Out, Bit>,
    pub request: Sink<WriteRequest>,
    /// MWr.
    pub transmit: Source<TransmitBeat>,
    /// Whose RAM is read, with the indices; the data are expected one cycle later.
    pub read_client: Signal<Out, Bits<4>>,
    pub read_even_index: Signal<Out, Bits<11>>,
    pub read_odd_index: Signal<Out, Bits<11>>,
    pub read_even_data: Signal<In, Bits<128>>,
    pub read_odd_data: Signal<In, Bits<128>>,
    /// Pulse: `transmit` has taken the last beat of a request of `done_client`.
    pub done_valid: Signal<Out, Bit>,
    pub done_client: Signal<Out, Bits<4>>,

    splitter: Splitter,
    headers: StreamFifo<PacketHeader, 3>,
    payload: StreamFifo<PayloadBeat, 3>,
    rotate: ByteRotate,

    // the packet being read
    busy: Reg<Bit>,
    ram_address: DFF<Bits<16>>,
    dwords_left: DFF<Bits<11>>,
    client: DFF<Bits<4>>,
    load: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    last_beat: Signal<Local, Bit>,
    skip: Signal<Local, Bits<2>>,
    // free places in the payload FIFO, those on their way to it taken off
    credits: Reg<Bits<4>>,

    // first stage: the RAM is given its indices
    asked: Reg<Bit>,
    asked_last: DFF<Bit>,
    asked_client: DFF<Bits<4>>,
    asked_offset: DFF<Bits<4>>,
    asked_odd_word: DFF<Bit>,
    asked_even_index: DFF<Bits<11>>,
    asked_odd_index: DFF<Bits<11>>,
    // second stage: the RAM answers
    answered: Reg<Bit>,
    answered_last: DFF<Bit>,
    answered_offset: DFF<Bits<4>>,
    answered_odd_lanes: DFF<Bits<16>>,
    odd_lanes: Signal<Local, Bits<16>>,
    odd_bits: Signal<Local, Bits<128>>,
    // third stage: one word, still in RAM lanes
    merged: DFF<Bits<128>>,
    merged_valid: Reg<Bit>,
    merged_last: DFF<Bit>,
    merged_back: DFF<Bits<4>>,

    header: Signal<Local, PacketHeader>,
    beat: Signal<Local, TransmitBeat>,
    fire: Signal<Local, Bit>,
    told: Reg<Bit>,
    told_client: DFF<Bits<4>>,
}

impl Default for WriteEngine {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_payload: Default::default(),
            stop: Default::default(),
            idle: Default::default(),
            request: Default::default(),
            transmit: Default::default(),
            read_client: Default::default(),
            read_even_index: Default::default(),
            read_odd_index: Default::default(),
            read_even_data: Default::default(),
            read_odd_data: Default::default(),
            done_valid: Default::default(),
            done_client: Default::default(),
            splitter: Default::default(),
            headers: Default::default(),
            payload: Default::default(),
            rotate: Default::default(),
            busy: Default::default(),
            ram_address: Default::default(),
            dwords_left: Default::default(),
            client: Default::default(),
            load: Default::default(),
            issue: Default::default(),
            last_beat: Default::default(),
            skip: Default::default(),
            credits: Reg::new(8.into()),
            asked: Default::default(),
            asked_last: Default::default(),
            asked_client: Default::default(),
            asked_offset: Default::default(),
            asked_odd_word: Default::default(),
            asked_even_index: Default::default(),
            asked_odd_index: Default::default(),
            answered: Default::default(),
            answered_last: Default::default(),
            answered_offset: Default::default(),
            answered_odd_lanes: Default::default(),
            odd_lanes: Default::default(),
            odd_bits: Default::default(),
            merged: Default::default(),
            merged_valid: Default::default(),
            merged_last: Default::default(),
            merged_back: Default::default(),
            header: Default::default(),
            beat: Default::default(),
            fire: Default::default(),
            told: Default::default(),
            told_client: Default::default(),
        }
    }
}

impl Logic for WriteEngine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_write_engine: writes host memory from client RAMs, back to back");
        dff_setup!(self, clock, busy, ram_address, dwords_left, client, credits);
        dff_setup!(self, clock, asked, asked_last, asked_client, asked_offset, asked_odd_word);
        dff_setup!(self, clock, asked_even_index, asked_odd_index);
        dff_setup!(self, clock, answered, answered_last, answered_offset, answered_odd_lanes);
        dff_setup!(self, clock, merged, merged_valid, merged_last, merged_back, told, told_client);
        self.busy.reset.next = self.reset.val();
        self.credits.reset.next = self.reset.val();
        self.asked.reset.next = self.reset.val();
        self.answered.reset.next = self.reset.val();
        self.merged_valid.reset.next = self.reset.val();
        self.told.reset.next = self.reset.val();
        clock!(self, clock, splitter, headers, payload);
        self.splitter.reset.next = self.reset.val();
        self.headers.reset.next = self.reset.val();
        self.payload.reset.next = self.reset.val();

        // requests to packets
        self.splitter.size.next = self.max_payload.val();
        self.splitter.stop.next = self.stop.val();
        self.splitter.transfer.valid.next = self.request.valid.val();
        self.request.ready.next = self.splitter.transfer.ready.val();
        self.splitter.transfer.data.next.address = self.request.data.val().address;
        self.splitter.transfer.data.next.length = self.request.data.val().length;
        self.splitter.transfer.data.next.ram_address = self.request.data.val().source;
        self.splitter.transfer.data.next.client = self.request.data.val().client;
        self.splitter.transfer.data.next.slot = 0.into();

        // packets to RAM reads, one beat per cycle while there is a place for it
        self.issue.next = self.busy.q.val() & self.credits.q.val().any();
        self.last_beat.next = self.dwords_left.q.val() <= 4;
        self.load.next = self.splitter.chunk.valid.val()
            & self.headers.input.ready.val()
            & (!self.busy.q.val() | (self.issue.val() & self.last_beat.val()));
        self.splitter.chunk.ready.next = self.load.val();
        if self.issue.val() {
            self.ram_address.d.next = self.ram_address.q.val() + 16;
            self.dwords_left.d.next = self.dwords_left.q.val() - 4;
            if self.last_beat.val() {
                self.busy.d.next = false;
            }
        }
        self.skip.next = bit_cast::<2, 64>(self.splitter.chunk.data.val().address);
        if self.load.val() {
            self.busy.d.next = true;
            self.ram_address.d.next = self.splitter.chunk.data.val().ram_address - bit_cast::<16, 2>(self.skip.val());
            self.dwords_left.d.next = self.splitter.chunk.data.val().dwords;
            self.client.d.next = self.splitter.chunk.data.val().client;
        }
        self.headers.input.valid.next = self.load.val();
        self.headers.input.data.next.address = self.splitter.chunk.data.val().address & !bits::<64>(3);
        self.headers.input.data.next.above_4g = self.splitter.chunk.data.val().address.get_bits::<32>(32).any();
        self.headers.input.data.next.dwords = self.splitter.chunk.data.val().dwords;
        self.headers.input.data.next.first_be = self.splitter.chunk.data.val().first_be;
        self.headers.input.data.next.last_be = self.splitter.chunk.data.val().last_be;
        self.headers.input.data.next.client = self.splitter.chunk.data.val().client;
        self.headers.input.data.next.done = self.splitter.chunk.data.val().last;

        // first stage
        self.asked.d.next = self.issue.val();
        self.asked_last.d.next = self.last_beat.val();
        self.asked_client.d.next = self.client.q.val();
        self.asked_offset.d.next = self.ram_address.q.val().get_bits::<4>(0);
        self.asked_odd_word.d.next = self.ram_address.q.val().get_bit(4);
        self.asked_odd_index.d.next = self.ram_address.q.val().get_bits::<11>(5);
        self.asked_even_index.d.next = self.ram_address.q.val().get_bits::<11>(5);
        if self.ram_address.q.val().get_bit(4) {
            self.asked_even_index.d.next = self.ram_address.q.val().get_bits::<11>(5) + 1;
        }
        self.read_client.next = self.asked_client.q.val();
        self.read_even_index.next = self.asked_even_index.q.val();
        self.read_odd_index.next = self.asked_odd_index.q.val();

        // second stage: lanes below the offset belong to the next word
        self.answered.d.next = self.asked.q.val();
        self.answered_last.d.next = self.asked_last.q.val();
        self.answered_offset.d.next = self.asked_offset.q.val();
        self.odd_lanes.next = 0.into();
        for i in 0..16 {
            if (self.asked_offset.q.val() > i.to_bits::<4>()) != self.asked_odd_word.q.val() {
                self.odd_lanes.next = self.odd_lanes.val().replace_bit(i, true);
            }
        }
        self.answered_odd_lanes.d.next = self.odd_lanes.val();

        // third stage: one level of logic behind the RAM
        self.odd_bits.next = 0.into();
        for i in 0..16 {
            if self.answered_odd_lanes.q.val().get_bit(i) {
                self.odd_bits.next = self.odd_bits.val() | (bits::<128>(0xFF) << (i * 8).to_bits::<7>());
            }
        }
        self.merged.d.next =
            (self.read_even_data.val() & !self.odd_bits.val()) | (self.read_odd_data.val() & self.odd_bits.val());
        self.merged_valid.d.next = self.answered.q.val();
        self.merged_last.d.next = self.answered_last.q.val();
        self.merged_back.d.next = bits::<4>(0) - self.answered_offset.q.val();

        // rotated into the FIFO
        self.rotate.data.next = self.merged.q.val();
        self.rotate.amount.next = self.merged_back.q.val();
        self.payload.input.valid.next = self.merged_valid.q.val();
        self.payload.input.data.next.data = self.rotate.result.val();
        self.payload.input.data.next.last = self.merged_last.q.val();

        // out
        self.header.next = self.headers.output.data.val();
        self.beat.next.data = self.payload.output.data.val().data;
        self.beat.next.last = self.payload.output.data.val().last;
        self.beat.next.kind = TransmitKind::MemoryWrite;
        self.beat.next.length = self.header.val().dwords;
        self.beat.next.address = self.header.val().address;
        self.beat.next.above_4g = self.header.val().above_4g;
        self.beat.next.first_be = self.header.val().first_be;
        self.beat.next.last_be = self.header.val().last_be;
        self.beat.next.tag = 0.into();
        self.beat.next.requester_id = 0.into();
        self.beat.next.status = 0.into();
        self.beat.next.byte_count = 0.into();
        self.beat.next.lower_address = 0.into();
        self.beat.next.attributes = 0.into();
        self.beat.next.traffic_class = 0.into();
        self.beat.next.message_code = 0.into();
        self.transmit.data.next = self.beat.val();
        self.transmit.valid.next = self.payload.output.valid.val();
        self.payload.output.ready.next = self.transmit.ready.val();
        self.fire.next = self.payload.output.valid.val() & self.transmit.ready.val();
        self.headers.output.ready.next = self.fire.val() & self.payload.output.data.val().last;
        self.told.d.next = self.fire.val() & self.payload.output.data.val().last & self.header.val().done;
        self.told_client.d.next = self.header.val().client;
        self.done_valid.next = self.told.q.val();
        self.done_client.next = self.told_client.q.val();

        if self.issue.val() {
            if !self.fire.val() {
                self.credits.d.next = self.credits.q.val() - 1;
            }
        } else if self.fire.val() {
            self.credits.d.next = self.credits.q.val() + 1;
        }
        self.idle.next = (self.credits.q.val() == 8)
            & !self.busy.q.val()
            & self.splitter.transfer.ready.val()
            & !self.request.valid.val()
            & !self.told.q.val();
    }
}
