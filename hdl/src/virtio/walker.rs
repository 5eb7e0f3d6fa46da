//! Reads descriptors and follows chains: many windows in flight, chains delivered in order.
use super::types::*;
use crate::cells::{BankedRam, LutRam, Reg, SdpRam, Sink, Skid, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the decoder of first descriptors does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum DecodeState {
    /// Waits for a first window; its descriptor is being read from the RAM.
    Idle,
    /// Looks at the descriptor.
    Look,
    /// Offers the read of the indirect table.
    Offer,
}

/// What the walker does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum WalkState {
    /// Waits for the window of the oldest chain.
    Idle,
    /// The RAM reads a descriptor.
    Load,
    /// Takes it into registers.
    Take,
    /// Checks it and passes the buffer on.
    Decide,
    /// Marks the end of the chain.
    End,
    /// Works out the next window.
    Refetch,
    /// Offers its read.
    Offer,
    /// Waits for it.
    Wait,
    /// Stopped by a violation.
    Halt,
}

/// Descriptor reader of one queue.
///
/// Each head gets one of 16 contexts with a window of up to 16 descriptors in the RAM. First windows (4 descriptors, 64
/// bytes) are read as fast as heads come. The decoder looks at each first descriptor as it arrives and reads an indirect
/// table at once. The walker takes the contexts in order, checks every descriptor, passes the buffers on, and reads further
/// windows of long chains.
///
/// ```text
///  heads -> [first windows] -> RAM -> [decoder: indirect tables] -> RAM -> [walker] -> readable, writable, chain
/// ```
#[derive(LogicBlock)]
pub struct DescriptorWalker {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Address of the descriptor table.
    pub ring_base: Signal<In, Bits<64>>,
    /// RING_INDIRECT_DESC has been negotiated.
    pub indirect: Signal<In, Bit>,
    /// Head descriptors, each smaller than the queue size.
    pub heads: Sink<Bits<16>>,
    /// Reads of descriptors.
    pub request: Source<ReadRequest>,
    /// Retirements of all DMA clients.
    pub retire: Signal<In, ReadRetire>,
    pub retire_valid: Signal<In, Bit>,
    /// RAM writes of all DMA clients.
    pub write: Signal<In, RamWrite>,
    pub write_valid: Signal<In, Bit>,
    /// Buffers the device may read, with an end mark behind each chain.
    pub readable: Source<BufferDescriptor>,
    /// Buffers the device may write, with an end mark behind each chain.
    pub writable: Source<BufferDescriptor>,
    /// One entry a chain, once all of its descriptors are known.
    pub chain: Source<Chain>,
    /// One cycle: a rule was broken.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,

    window_ram: BankedRam<7>,
    first_ram: SdpRam<128, 4, 16>,
    head_ram: LutRam<16, 4>,
    table_ram: LutRam<80, 4>,
    request_skid: Skid<ReadRequest>,
    readable_fifo: StreamFifo<BufferDescriptor, 9>,
    writable_fifo: StreamFifo<BufferDescriptor, 9>,
    chain_fifo: StreamFifo<Chain, 5>,

    // contexts, a circle
    tail: Reg<Bits<4>>,
    decode: Reg<Bits<4>>,
    walk: Reg<Bits<4>>,
    in_use: Reg<Bits<5>>,
    undecoded: Reg<Bits<5>>,
    ready: Reg<Bits<16>>,
    failed: Reg<Bits<16>>,
    is_indirect: Reg<Bits<16>>,

    // first windows
    first_offer: Reg<Bit>,
    first_address: DFF<Bits<64>>,
    first_length: DFF<Bits<13>>,
    first_context: DFF<Bits<4>>,

    // decoder
    decoder: Reg<DecodeState>,
    decode_address: DFF<Bits<64>>,
    decode_count: DFF<Bits<16>>,

    // walker
    state: Reg<WalkState>,
    head: DFF<Bits<16>>,
    in_table: DFF<Bit>,
    table_base: DFF<Bits<64>>,
    table_count: DFF<Bits<16>>,
    position: DFF<Bits<4>>,
    window_base: DFF<Bits<16>>,
    window_count: DFF<Bits<16>>,
    count: DFF<Bits<16>>,
    readable_total: DFF<Bits<33>>,
    writable_total: DFF<Bits<33>>,
    buffer_address: DFF<Bits<64>>,
    buffer_length: DFF<Bits<32>>,
    flag_next: DFF<Bit>,
    flag_write: DFF<Bit>,
    flag_indirect: DFF<Bit>,
    next_index: DFF<Bits<16>>,
    window_address: DFF<Bits<64>>,
    broken: DFF<Bit>,

    client: Constant<Bits<4>>,
    queue_size: Constant<Bits<16>>,

    retired: Signal<Local, Bit>,
    retired_slot: Signal<Local, Bits<6>>,
    retired_context: Signal<Local, Bits<4>>,
    retired_first: Signal<Local, Bit>,
    write_client: Signal<Local, Bits<4>>,
    write_mine: Signal<Local, Bit>,
    write_even_index: Signal<Local, Bits<11>>,
    write_even_enable: Signal<Local, Bits<16>>,
    ready_next: Signal<Local, Bits<16>>,
    failed_next: Signal<Local, Bits<16>>,
    indirect_next: Signal<Local, Bits<16>>,
    taken: Signal<Local, Bit>,
    freed: Signal<Local, Bit>,
    decoded: Signal<Local, Bit>,
    first_window: Signal<Local, Bits<16>>,
    head_to_end: Signal<Local, Bits<16>>,
    first: Signal<Local, Bits<128>>,
    first_flags: Signal<Local, Bits<16>>,
    first_table_length: Signal<Local, Bits<32>>,
    first_table_ok: Signal<Local, Bit>,
    decode_window: Signal<Local, Bits<16>>,
    descriptor: Signal<Local, Bits<128>>,
    descriptor_flags: Signal<Local, Bits<16>>,
    table_entry: Signal<Local, Bits<80>>,
    walk_index: Signal<Local, Bits<7>>,
    walk_head: Signal<Local, Bits<16>>,
    walk_head_to_end: Signal<Local, Bits<16>>,
    walk_indirect: Signal<Local, Bit>,
    rule: Signal<Local, Violation>,
    bad: Signal<Local, Bit>,
    length_bits: Signal<Local, Bits<32>>,
    length_wide: Signal<Local, Bits<33>>,
    readable_sum: Signal<Local, Bits<33>>,
    writable_sum: Signal<Local, Bits<33>>,
    count_next: Signal<Local, Bits<16>>,
    offset: Signal<Local, Bits<16>>,
    contiguous: Signal<Local, Bit>,
    to_table_end: Signal<Local, Bits<16>>,
    refetch_limit: Signal<Local, Bits<16>>,
    refetch_count: Signal<Local, Bits<16>>,
    refetch_offset: Signal<Local, Bits<64>>,
    fifo_ready: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    mark: Signal<Local, Bit>,
    buffer: Signal<Local, BufferDescriptor>,
    chain_entry: Signal<Local, Chain>,
    first_request: Signal<Local, ReadRequest>,
    decode_request: Signal<Local, ReadRequest>,
    walk_request: Signal<Local, ReadRequest>,
    decode_offers: Signal<Local, Bit>,
    walk_offers: Signal<Local, Bit>,
    report: Signal<Local, ViolationReport>,
}

impl DescriptorWalker {
    /// `client` is the walker's DMA client number; the queue size is a power of two up to 256.
    pub fn new(client: u64, queue_size: u16) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            ring_base: Default::default(),
            indirect: Default::default(),
            heads: Default::default(),
            request: Default::default(),
            retire: Default::default(),
            retire_valid: Default::default(),
            write: Default::default(),
            write_valid: Default::default(),
            readable: Default::default(),
            writable: Default::default(),
            chain: Default::default(),
            violation_valid: Default::default(),
            violation: Default::default(),
            window_ram: Default::default(),
            first_ram: Default::default(),
            head_ram: Default::default(),
            table_ram: Default::default(),
            request_skid: Default::default(),
            readable_fifo: Default::default(),
            writable_fifo: Default::default(),
            chain_fifo: Default::default(),
            tail: Default::default(),
            decode: Default::default(),
            walk: Default::default(),
            in_use: Default::default(),
            undecoded: Default::default(),
            ready: Default::default(),
            failed: Default::default(),
            is_indirect: Default::default(),
            first_offer: Default::default(),
            first_address: Default::default(),
            first_length: Default::default(),
            first_context: Default::default(),
            decoder: Default::default(),
            decode_address: Default::default(),
            decode_count: Default::default(),
            state: Default::default(),
            head: Default::default(),
            in_table: Default::default(),
            table_base: Default::default(),
            table_count: Default::default(),
            position: Default::default(),
            window_base: Default::default(),
            window_count: Default::default(),
            count: Default::default(),
            readable_total: Default::default(),
            writable_total: Default::default(),
            buffer_address: Default::default(),
            buffer_length: Default::default(),
            flag_next: Default::default(),
            flag_write: Default::default(),
            flag_indirect: Default::default(),
            next_index: Default::default(),
            window_address: Default::default(),
            broken: Default::default(),
            client: Constant::new(client.into()),
            queue_size: Constant::new(u64::from(queue_size).into()),
            retired: Default::default(),
            retired_slot: Default::default(),
            retired_context: Default::default(),
            retired_first: Default::default(),
            write_client: Default::default(),
            write_mine: Default::default(),
            write_even_index: Default::default(),
            write_even_enable: Default::default(),
            ready_next: Default::default(),
            failed_next: Default::default(),
            indirect_next: Default::default(),
            taken: Default::default(),
            freed: Default::default(),
            decoded: Default::default(),
            first_window: Default::default(),
            head_to_end: Default::default(),
            first: Default::default(),
            first_flags: Default::default(),
            first_table_length: Default::default(),
            first_table_ok: Default::default(),
            decode_window: Default::default(),
            descriptor: Default::default(),
            descriptor_flags: Default::default(),
            table_entry: Default::default(),
            walk_index: Default::default(),
            walk_head: Default::default(),
            walk_head_to_end: Default::default(),
            walk_indirect: Default::default(),
            rule: Default::default(),
            bad: Default::default(),
            length_bits: Default::default(),
            length_wide: Default::default(),
            readable_sum: Default::default(),
            writable_sum: Default::default(),
            count_next: Default::default(),
            offset: Default::default(),
            contiguous: Default::default(),
            to_table_end: Default::default(),
            refetch_limit: Default::default(),
            refetch_count: Default::default(),
            refetch_offset: Default::default(),
            fifo_ready: Default::default(),
            push: Default::default(),
            mark: Default::default(),
            buffer: Default::default(),
            chain_entry: Default::default(),
            first_request: Default::default(),
            decode_request: Default::default(),
            walk_request: Default::default(),
            decode_offers: Default::default(),
            walk_offers: Default::default(),
            report: Default::default(),
        }
    }
}

impl Logic for DescriptorWalker {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module descriptor_walker: reads descriptors and follows chains");
        dff_setup!(
            self,
            clock,
            tail,
            decode,
            walk,
            in_use,
            undecoded,
            ready,
            failed,
            is_indirect,
            first_offer,
            first_address,
            first_length,
            first_context,
            decoder,
            decode_address,
            decode_count,
            state,
            head,
            in_table,
            table_base,
            table_count,
            position,
            window_base,
            window_count,
            count,
            readable_total,
            writable_total,
            buffer_address,
            buffer_length,
            flag_next,
            flag_write,
            flag_indirect,
            next_index,
            window_address,
            broken
        );
        clock!(
            self,
            clock,
            window_ram,
            first_ram,
            head_ram,
            table_ram,
            request_skid,
            readable_fifo,
            writable_fifo,
            chain_fifo
        );
        self.request_skid.reset.next = self.reset.val();
        self.readable_fifo.reset.next = self.reset.val();
        self.writable_fifo.reset.next = self.reset.val();
        self.chain_fifo.reset.next = self.reset.val();
        self.tail.reset.next = self.reset.val();
        self.decode.reset.next = self.reset.val();
        self.walk.reset.next = self.reset.val();
        self.in_use.reset.next = self.reset.val();
        self.undecoded.reset.next = self.reset.val();
        self.ready.reset.next = self.reset.val();
        self.failed.reset.next = self.reset.val();
        self.is_indirect.reset.next = self.reset.val();
        self.first_offer.reset.next = self.reset.val();
        self.decoder.reset.next = self.reset.val();
        self.state.reset.next = self.reset.val();

        // ------------------------------------------------------------ descriptors arrive
        // context C's window is at bytes C*256 and up; the first descriptor also goes to a RAM of the decoder's own
        self.write_client.next = self.write.val().client;
        self.write_mine.next = self.write_valid.val() & (self.write_client.val() == self.client.val());
        self.write_even_index.next = self.write.val().even_index;
        self.write_even_enable.next = self.write.val().even_enable;
        self.window_ram.write_even_index.next = bit_cast::<7, 11>(self.write_even_index.val());
        self.window_ram.write_odd_index.next = bit_cast::<7, 11>(self.write.val().odd_index);
        self.window_ram.write_data.next = self.write.val().data;
        self.window_ram.write_even_enable.next = 0.into();
        self.window_ram.write_odd_enable.next = 0.into();
        self.first_ram.waddr.next = self.write_even_index.val().get_bits::<4>(3);
        self.first_ram.wdata.next = self.write.val().data;
        self.first_ram.wen.next = 0.into();
        if self.write_mine.val() {
            self.window_ram.write_even_enable.next = self.write_even_enable.val();
            self.window_ram.write_odd_enable.next = self.write.val().odd_enable;
            if self.write_even_index.val().get_bits::<3>(0) == 0 {
                self.first_ram.wen.next = self.write_even_enable.val();
            }
        }

        self.ready_next.next = self.ready.q.val();
        self.failed_next.next = self.failed.q.val();
        self.indirect_next.next = self.is_indirect.q.val();
        self.retired.next = self.retire_valid.val() & (self.retire.val().client == self.client.val());
        self.retired_slot.next = self.retire.val().slot;
        self.retired_context.next = self.retired_slot.val().get_bits::<4>(0);
        self.retired_first.next = self.retired.val() & (self.retired_slot.val().get_bits::<2>(4) == 0);
        if self.retired.val() {
            if !self.retired_first.val() {
                self.ready_next.next = self.ready_next.val().replace_bit(self.retired_context.val().index(), true);
            }
            if self.retire.val().error {
                self.failed_next.next = self.failed_next.val().replace_bit(self.retired_context.val().index(), true);
            }
        }

        // ------------------------------------------------------------ first windows
        self.head_to_end.next = self.queue_size.val() - self.heads.data.val();
        self.first_window.next = 4.into();
        if self.head_to_end.val() < 4 {
            self.first_window.next = self.head_to_end.val();
        }
        self.heads.ready.next = !self.first_offer.q.val() & !self.in_use.q.val().get_bit(4);
        self.taken.next = self.heads.valid.val() & !self.first_offer.q.val() & !self.in_use.q.val().get_bit(4);
        self.head_ram.waddr.next = self.tail.q.val();
        self.head_ram.wdata.next = self.heads.data.val();
        self.head_ram.wen.next = self.taken.val();
        if self.taken.val() {
            self.first_offer.d.next = true;
            self.first_address.d.next = self.ring_base.val() + (bit_cast::<64, 16>(self.heads.data.val()) << 4);
            self.first_length.d.next = bit_cast::<13, 16>(self.first_window.val()) << 4;
            self.first_context.d.next = self.tail.q.val();
            self.tail.d.next = self.tail.q.val() + 1;
        }
        self.first_request.next.address = self.first_address.q.val();
        self.first_request.next.length = self.first_length.q.val();
        self.first_request.next.destination = bit_cast::<16, 4>(self.first_context.q.val()) << 8;
        self.first_request.next.client = self.client.val();
        self.first_request.next.slot = bit_cast::<6, 4>(self.first_context.q.val());

        // ------------------------------------------------------------ decoder of first descriptors
        self.first_ram.raddr.next = self.decode.q.val();
        self.first.next = self.first_ram.rdata.val();
        self.first_flags.next = self.first.val().get_bits::<16>(96);
        self.first_table_length.next = self.first.val().get_bits::<32>(64);
        // what breaks a rule is left to the walker, which reports in order
        self.first_table_ok.next = self.indirect.val()
            & (self.first_flags.val().get_bits::<3>(0) == 4)
            & (self.first_table_length.val().get_bits::<4>(0) == 0)
            & self.first_table_length.val().any()
            & (self.first_table_length.val().get_bits::<28>(4) <= bit_cast::<28, 16>(self.queue_size.val()));
        self.table_ram.waddr.next = self.decode.q.val();
        self.table_ram.wdata.next = (bit_cast::<80, 16>(self.first_table_length.val().get_bits::<16>(4)) << 64)
            | bit_cast::<80, 64>(self.first.val().get_bits::<64>(0));
        self.table_ram.wen.next = false;
        self.decoded.next = false;
        self.decode_offers.next = false;
        match self.decoder.q.val() {
            DecodeState::Idle => {
                if self.undecoded.q.val().any() {
                    self.decoder.d.next = DecodeState::Look;
                }
            }
            DecodeState::Look => {
                self.decode_address.d.next = self.first.val().get_bits::<64>(0);
                self.decode_count.d.next = self.first_table_length.val().get_bits::<16>(4);
                if self.first_table_ok.val() & !self.failed.q.val().get_bit(self.decode.q.val().index()) {
                    self.table_ram.wen.next = true;
                    self.indirect_next.next = self.indirect_next.val().replace_bit(self.decode.q.val().index(), true);
                    self.decoder.d.next = DecodeState::Offer;
                } else {
                    self.indirect_next.next = self.indirect_next.val().replace_bit(self.decode.q.val().index(), false);
                    self.ready_next.next = self.ready_next.val().replace_bit(self.decode.q.val().index(), true);
                    self.decoded.next = true;
                    self.decoder.d.next = DecodeState::Idle;
                }
            }
            DecodeState::Offer => {
                self.decode_offers.next = true;
                if self.request_skid.input.ready.val() & !self.walk_offers.val() {
                    self.decoded.next = true;
                    self.decoder.d.next = DecodeState::Idle;
                }
            }
            _ => self.decoder.d.next = DecodeState::Idle,
        }
        if self.decoded.val() {
            self.decode.d.next = self.decode.q.val() + 1;
        }
        self.decode_window.next = 16.into();
        if self.decode_count.q.val() < 16 {
            self.decode_window.next = self.decode_count.q.val();
        }
        self.decode_request.next.address = self.decode_address.q.val();
        self.decode_request.next.length = bit_cast::<13, 16>(self.decode_window.val()) << 4;
        self.decode_request.next.destination = bit_cast::<16, 4>(self.decode.q.val()) << 8;
        self.decode_request.next.client = self.client.val();
        self.decode_request.next.slot = bit_cast::<6, 4>(self.decode.q.val()) | 0x10;
    }
}
