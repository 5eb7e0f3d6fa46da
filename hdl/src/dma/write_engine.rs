//! DMA writes of host memory from the RAMs of the clients.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use super::rotate::ByteRotate;
use super::splitter::Splitter;
use super::types::WriteRequest;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// One beat of payload on its way from the RAM to the link.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct PayloadBeat {
    /// 16 bytes; byte 0 of memory in bits 7:0.
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
    /// Byte enables of the first double word.
    pub first_be: Bits<4>,
    /// Byte enables of the last double word, 0 when there is only one.
    pub last_be: Bits<4>,
    /// Whose request.
    pub client: Bits<4>,
    /// Last packet of the request.
    pub done: bool,
}

/// DMA write engine.
///
/// ```text
/// request -> splitter -> packet -> RAM word -> (RAM) -> rotate -> two words to one -> FIFO -> transmit
///                          +------------------- header FIFO ----------------------------+
/// ```
/// Requests are cut at multiples of the maximum payload size. Beat `j` of a packet is the 16 bytes at RAM byte address
/// `source - address[1:0] + 16 j`: one word of the RAM, or the end of one and the begin of the next, which takes one read
/// more per packet; on the link the header takes that cycle. As many beats are read ahead as the FIFO can take,
/// so the link may stall at any time. Packets follow each other without a pause as long as the splitter keeps up (it takes
/// one cycle more per request).
#[derive(Block)]
pub struct WriteEngine {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Device Control: maximum payload size, 128 << n bytes.
    pub max_payload: Signal<In, Bits<3>>,
    /// Finish the packet at hand; swallow the rest of its request and all others without telling.
    pub stop: Signal<In, Bit>,
    /// Nothing is queued or under way.
    pub idle: Signal<Out, Bit>,
    /// What to write.
    pub request: Sink<WriteRequest>,
    /// MWr.
    pub transmit: Source<TransmitBeat>,
    /// Whose RAM is read, and the word; the data are expected one cycle later.
    pub read_client: Signal<Out, Bits<4>>,
    /// Word of 16 bytes of that RAM.
    pub read_word: Signal<Out, Bits<12>>,
    /// What the RAM gave: 16 bytes.
    pub read_data: Signal<In, Bits<128>>,
    /// The words before `read_word` are not read again: a request is read in order. Low with a word that may lie behind
    /// the end of the packet, and be the next but one that the next packet needs.
    pub read_past: Signal<Out, Bit>,
    /// Pulse: `transmit` has taken the last beat of a request of `done_client`.
    pub done_valid: Signal<Out, Bit>,
    /// Whose request it was.
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
    // this read makes no beat yet: it is the first of a packet whose beats take the ends of two words
    lead: DFF<Bit>,
    // no more than one beat is left
    short: DFF<Bit>,
    first_address: Signal<Local, Bits<16>>,
    load: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    last_beat: Signal<Local, Bit>,
    skip: Signal<Local, Bits<2>>,
    // free places in the payload FIFO, those on their way to it taken off
    #[given]
    credits: Reg<Bits<4>>,

    // the RAM answers
    answered: Reg<Bit>,
    answered_beat: DFF<Bit>,
    answered_last: DFF<Bit>,
    answered_offset: DFF<Bits<4>>,
    offset: Signal<Local, Bits<4>>,
    // a stage behind it: the word, still in RAM lanes
    word: DFF<Bits<128>>,
    word_valid: Reg<Bit>,
    word_beat: DFF<Bit>,
    word_last: DFF<Bit>,
    word_back: DFF<Bits<4>>,
    // lanes of the beat that the word before has
    word_before: DFF<Bits<16>>,
    next_before: Signal<Local, Bits<16>>,
    before_bits: Signal<Local, Bits<128>>,
    // the word before, rotated
    rotated: DFF<Bits<128>>,
    merged: Signal<Local, Bits<128>>,

    header: Signal<Local, PacketHeader>,
    beat: Signal<Local, TransmitBeat>,
    fire: Signal<Local, Bit>,
    told: Reg<Bit>,
    told_client: DFF<Bits<4>>,
}

impl Default for WriteEngine {
    fn default() -> Self {
        Self::with(WriteEngineGiven { credits: Reg::new(8.into()) })
    }
}

impl Logic for WriteEngine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_write_engine: writes host memory from client RAMs, back to back");
        comment!("requests to packets");
        self.splitter.size.next = self.max_payload.val();
        self.splitter.stop.next = self.stop.val();
        self.splitter.transfer.valid.next = self.request.valid.val();
        self.request.ready.next = self.splitter.transfer.ready.val();
        self.splitter.transfer.data.next.address = self.request.data.val().address;
        self.splitter.transfer.data.next.length = self.request.data.val().length;
        self.splitter.transfer.data.next.ram_address = self.request.data.val().source;
        self.splitter.transfer.data.next.client = self.request.data.val().client;
        self.splitter.transfer.data.next.slot = 0.into();

        comment!("packets to RAM reads, one per cycle while there is a place for a beat");
        self.issue.next = self.busy.q.val() & self.credits.q.val().any();
        self.offset.next = bit_cast::<4, 16>(self.ram_address.q.val());
        self.last_beat.next = self.short.q.val() & !self.lead.q.val();
        self.load.next = self.splitter.chunk.valid.val()
            & self.headers.input.ready.val()
            & (!self.busy.q.val() | (self.issue.val() & self.last_beat.val()));
        self.splitter.chunk.ready.next = self.load.val();
        if self.issue.val() {
            self.ram_address.d.next = self.ram_address.q.val() + 16;
            self.lead.d.next = false;
            if !self.lead.q.val() {
                self.dwords_left.d.next = self.dwords_left.q.val() - 4;
                self.short.d.next = self.dwords_left.q.val() <= 8;
            }
            if self.last_beat.val() {
                self.busy.d.next = false;
            }
        }
        self.skip.next = bit_cast::<2, 64>(self.splitter.chunk.data.val().address);
        self.first_address.next = self.splitter.chunk.data.val().ram_address - bit_cast::<16, 2>(self.skip.val());
        if self.load.val() {
            self.busy.d.next = true;
            self.ram_address.d.next = self.first_address.val();
            self.lead.d.next = self.first_address.val().get_bits::<4>(0).any();
            self.short.d.next = self.splitter.chunk.data.val().dwords <= 4;
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

        self.read_past.next = self.issue.val() & !(self.last_beat.val() & self.offset.val().any());
        self.read_client.next = self.client.q.val();
        self.read_word.next = self.ram_address.q.val().get_bits::<12>(4);

        comment!("the RAM answers; no logic behind it but the choice of the client");
        self.answered.d.next = self.issue.val();
        self.answered_beat.d.next = !self.lead.q.val();
        self.answered_last.d.next = self.last_beat.val();
        self.answered_offset.d.next = self.offset.val();
        self.word.d.next = self.read_data.val();
        self.word_valid.d.next = self.answered.q.val();
        self.word_beat.d.next = self.answered_beat.q.val();
        self.word_last.d.next = self.answered_last.q.val();
        self.word_back.d.next = bits::<4>(0) - self.answered_offset.q.val();
        comment!("with an offset, the lanes below 16 - offset belong to the word before");
        self.next_before.next = 0.into();
        if self.answered_offset.q.val().any() {
            self.next_before.next = 1.into();
        }
        for i in 1..15 {
            if (self.answered_offset.q.val() <= (15 - i).to_bits::<4>()) & self.answered_offset.q.val().any() {
                self.next_before.next = self.next_before.val().replace_bit(i, true);
            }
        }
        self.word_before.d.next = self.next_before.val();

        comment!("rotated, and with the end of the word before into the FIFO");
        self.rotate.data.next = self.word.q.val();
        self.rotate.amount.next = self.word_back.q.val();
        if self.word_valid.q.val() {
            self.rotated.d.next = self.rotate.result.val();
        }
        self.before_bits.next = 0.into();
        for i in 0..16 {
            if self.word_before.q.val().get_bit(i) {
                self.before_bits.next = self.before_bits.val() | (bits::<128>(0xFF) << (i * 8).to_bits::<7>());
            }
        }
        self.merged.next =
            (self.rotate.result.val() & !self.before_bits.val()) | (self.rotated.q.val() & self.before_bits.val());
        self.payload.input.valid.next = self.word_valid.q.val() & self.word_beat.q.val();
        self.payload.input.data.next.data = self.merged.val();
        self.payload.input.data.next.last = self.word_last.q.val();

        comment!("out");
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

        if self.issue.val() & !self.lead.q.val() {
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
