//! Windows of descriptors: reads the first ones of many chains at once, and indirect tables as soon as they are known.
use super::types::*;
use crate::block::Block;
use crate::cells::{HalfStage, LutRam, Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the decoder of first descriptors does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum DecodeState {
    /// Waits for a first window; its first descriptor is being read from the RAM.
    Idle,
    /// Takes the descriptor from the RAM.
    Take,
    /// Looks at it.
    Look,
    /// Decides whose window this context holds.
    Decide,
    /// Offers the read of the indirect table.
    Offer,
}

/// Window reader of one queue.
///
/// Each head gets one of 16 contexts with a window of up to 16 descriptors in the RAM, which is outside. First windows
/// are read as fast as heads come. The decoder looks at each first descriptor as it arrives and reads an indirect
/// table at once. The walker sees the oldest context only: it reads descriptors from its window, asks for further windows
/// of the same chain, and frees it.
///
/// A first window is as long as the longest of the last chains, up to 4 descriptors: a descriptor too many costs 16 bytes of the link,
/// one too few a read that all later chains wait for. It begins with 4, grows at once, and shrinks to what 64 chains in a row did
/// with. The chain of an indirect table has one descriptor in the queue's own.
///
/// ```text
///  heads -> [first windows] --+-> request      RAM <- DMA
///           [decoder] --------+                 |
///  walker's further windows --+                 +-> decoder, walker
/// ```
#[derive(Block)]
pub struct WindowReader {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Address of the descriptor table, a multiple of 4096.
    pub ring_base: Signal<In, Bits<64>>,
    /// RING_INDIRECT_DESC has been negotiated.
    pub indirect: Signal<In, Bit>,
    /// Head descriptors, each smaller than the queue size.
    pub heads: Sink<Bits<16>>,
    /// Reads of descriptors.
    pub request: Source<ReadRequest>,
    /// Retirements of all DMA clients.
    pub retire: Signal<In, ReadRetire>,
    /// There is a retirement: `retire` counts in this cycle.
    pub retire_valid: Signal<In, Bit>,
    /// A read of the RAM of 256 words of 16 bytes into which the descriptors come; its data are expected one cycle later.
    pub read_valid: Signal<Out, Bit>,
    /// Word of that RAM.
    pub read_word: Signal<Out, Bits<8>>,
    /// What the RAM gave: 16 bytes.
    pub read_data: Signal<In, Bits<128>>,
    /// The oldest context, for the walker.
    pub view: WindowViewSource,
    /// The next window of the oldest chain; `ready` of the view falls until it is there.
    pub further: Sink<WindowRequest>,
    /// The walker has stopped: read nothing any more.
    pub stop: Signal<In, Bit>,
    /// Some context is in use.
    pub busy: Signal<Out, Bit>,

    // descriptors of the first window, head
    head_ram: LutRam<19, 4>,
    table_ram: LutRam<80, 4>,
    request_stage: HalfStage<ReadRequest>,

    // the contexts, a circle: [walk, decode) decoded, [decode, tail) waiting for the decoder
    tail: Reg<Bits<4>>,
    decode: Reg<Bits<4>>,
    walk: Reg<Bits<4>>,
    in_use: Reg<Bits<5>>,
    undecoded: Reg<Bits<5>>,
    ready: Reg<Bits<16>>,
    failed: Reg<Bits<16>>,
    indirect_window: Reg<Bits<16>>,
    oldest_ready: Reg<Bit>,
    oldest_failed: DFF<Bit>,

    // descriptors behind the head: of the next first window, and the most among the chains so far that it is to shrink to
    #[given]
    further_expected: Reg<Bits<2>>,
    further_most: Reg<Bits<2>>,
    chains_since: Reg<Bits<6>>,

    first_offer: Reg<Bit>,
    first_head: DFF<Bits<8>>,
    first_length: DFF<Bits<13>>,
    first_context: DFF<Bits<4>>,
    decoder: Reg<DecodeState>,
    decode_address: DFF<Bits<64>>,
    decode_length: DFF<Bits<32>>,
    decode_flags: DFF<Bits<16>>,
    decode_count: DFF<Bits<16>>,
    decode_table: DFF<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    queue_size: Constant<Bits<16>>,
    #[given]
    longest_chain: Constant<Bits<16>>,

    retired: Signal<Local, Bit>,
    retired_slot: Signal<Local, Bits<6>>,
    retired_context: Signal<Local, Bits<4>>,
    retired_first: Signal<Local, Bit>,
    look: Signal<Local, Bit>,
    ready_next: Signal<Local, Bits<16>>,
    failed_next: Signal<Local, Bits<16>>,
    indirect_next: Signal<Local, Bits<16>>,
    taken: Signal<Local, Bit>,
    decoded: Signal<Local, Bit>,
    first_limit: Signal<Local, Bits<16>>,
    first_window: Signal<Local, Bits<16>>,
    head_to_end: Signal<Local, Bits<16>>,
    head_entry: Signal<Local, Bits<19>>,
    further_seen: Signal<Local, Bits<2>>,
    first: Signal<Local, Bits<128>>,
    first_flags: Signal<Local, Bits<16>>,
    first_table_length: Signal<Local, Bits<32>>,
    first_table_count: Signal<Local, Bits<28>>,
    first_table_ok: Signal<Local, Bit>,
    decode_window: Signal<Local, Bits<16>>,
    table_entry: Signal<Local, Bits<80>>,
    further_bytes: Signal<Local, Bits<13>>,
    first_request: Signal<Local, ReadRequest>,
    decode_request: Signal<Local, ReadRequest>,
    further_request: Signal<Local, ReadRequest>,
    decode_offers: Signal<Local, Bit>,
}

impl WindowReader {
    /// `client` is the reader's DMA client number; the queue size is a power of two up to 256.
    pub fn new(client: u64, queue_size: u16) -> Self {
        Self::with(WindowReaderGiven {
            further_expected: Reg::new(3.into()),
            client: Constant::new(client.into()),
            queue_size: Constant::new(u64::from(queue_size).into()),
            longest_chain: Constant::new(u64::from(LONGEST_CHAIN).into()),
        })
    }
}

impl Logic for WindowReader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module window_reader: reads windows of descriptors, many chains at once");
        comment!(
            "---- the RAM \
             context C's window is at words C*16 and up; the decoder waits for the walker"
        );
        self.look.next =
            (self.decoder.q.val() == DecodeState::Idle) & self.undecoded.q.val().any() & !self.view.load.val();
        self.read_valid.next = self.view.load.val() | self.look.val();
        self.read_word.next = bit_cast::<8, 4>(self.decode.q.val()) << 4;
        if self.view.load.val() {
            self.read_word.next =
                (bit_cast::<8, 4>(self.walk.q.val()) << 4) | bit_cast::<8, 4>(self.view.position.val());
        }
        self.view.descriptor.next = self.read_data.val();

        comment!("---- windows arrive");
        self.ready_next.next = self.ready.q.val();
        self.failed_next.next = self.failed.q.val();
        self.indirect_next.next = self.indirect_window.q.val();
        self.retired.next = self.retire_valid.val() & (self.retire.val().client == self.client.val());
        self.retired_slot.next = self.retire.val().slot;
        self.retired_context.next = self.retired_slot.val().get_bits::<4>(0);
        comment!("slots 0-15: first windows, which the decoder passes on; 16-31: any other");
        self.retired_first.next = self.retired.val() & !self.retired_slot.val().get_bit(4);
        if self.retired.val() {
            if !self.retired_first.val() {
                self.ready_next.next = self.ready_next.val().replace_bit(self.retired_context.val().index(), true);
            }
            if self.retire.val().error {
                self.failed_next.next = self.failed_next.val().replace_bit(self.retired_context.val().index(), true);
            }
        }

        comment!("---- first windows");
        self.head_to_end.next = self.queue_size.val() - self.heads.data.val();
        self.first_limit.next = bit_cast::<16, 2>(self.further_expected.q.val()) + 1;
        self.first_window.next = self.first_limit.val();
        if self.head_to_end.val() < self.first_limit.val() {
            self.first_window.next = self.head_to_end.val();
        }
        self.heads.ready.next = !self.first_offer.q.val() & !self.in_use.q.val().get_bit(4);
        self.taken.next = self.heads.valid.val() & !self.first_offer.q.val() & !self.in_use.q.val().get_bit(4);
        self.head_ram.waddr.next = self.tail.q.val();
        self.head_ram.wdata.next =
            (bit_cast::<19, 16>(self.first_window.val()) << 16) | bit_cast::<19, 16>(self.heads.data.val());
        self.head_ram.wen.next = self.taken.val();
        if self.taken.val() {
            self.first_offer.d.next = true;
            self.first_head.d.next = self.heads.data.val().get_bits::<8>(0);
            self.first_length.d.next = bit_cast::<13, 16>(self.first_window.val()) << 4;
            self.first_context.d.next = self.tail.q.val();
            self.tail.d.next = self.tail.q.val() + 1;
        }
        comment!("the table begins a page and is no larger");
        self.first_request.next.address = self.ring_base.val() | (bit_cast::<64, 8>(self.first_head.q.val()) << 4);
        self.first_request.next.length = self.first_length.q.val();
        self.first_request.next.destination = bit_cast::<16, 4>(self.first_context.q.val()) << 8;
        self.first_request.next.client = self.client.val();
        self.first_request.next.slot = bit_cast::<6, 4>(self.first_context.q.val());

        comment!("---- decoder of first descriptors");
        self.first.next = self.read_data.val();
        self.first_flags.next = self.decode_flags.q.val();
        self.first_table_length.next = self.decode_length.q.val();
        self.first_table_count.next = self.first_table_length.val().get_bits::<28>(4);
        comment!("what breaks a rule is left to the walker, which reports in order; so are tables so far up that they could pass the last address");
        self.first_table_ok.next = self.indirect.val()
            & (self.first_flags.val().get_bits::<3>(0).get_bit(2))
            & !self.first_flags.val().get_bit(0)
            & (self.first_table_length.val().get_bits::<4>(0) == 0)
            & self.first_table_count.val().any()
            & (self.first_table_count.val() <= bit_cast::<28, 16>(self.longest_chain.val()))
            & !self.decode_address.q.val().get_bits::<16>(48).all();
        self.table_ram.waddr.next = self.decode.q.val();
        self.table_ram.wdata.next =
            (bit_cast::<80, 16>(self.decode_count.q.val()) << 64) | bit_cast::<80, 64>(self.decode_address.q.val());
        self.table_ram.wen.next = false;
        self.decoded.next = false;
        self.decode_offers.next = false;
        match self.decoder.q.val() {
            DecodeState::Idle => {
                if self.look.val() {
                    self.decoder.d.next = DecodeState::Take;
                }
            }
            DecodeState::Take => {
                self.decode_address.d.next = self.first.val().get_bits::<64>(0);
                self.decode_length.d.next = self.first.val().get_bits::<32>(64);
                self.decode_flags.d.next = self.first.val().get_bits::<16>(96);
                self.decoder.d.next = DecodeState::Look;
            }
            DecodeState::Look => {
                self.decode_count.d.next = bit_cast::<16, 28>(self.first_table_count.val());
                self.decode_table.d.next =
                    self.first_table_ok.val() & !self.failed.q.val().get_bit(self.decode.q.val().index());
                self.decoder.d.next = DecodeState::Decide;
            }
            DecodeState::Decide => {
                if self.decode_table.q.val() {
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
                if self.request_stage.input.ready.val() & !self.further.valid.val() {
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

        comment!("---- further windows of the oldest chain");
        self.further_bytes.next = bit_cast::<13, 5>(self.further.data.val().count) << 4;
        self.further_request.next.address = self.further.data.val().address;
        self.further_request.next.length = self.further_bytes.val();
        self.further_request.next.destination = bit_cast::<16, 4>(self.walk.q.val()) << 8;
        self.further_request.next.client = self.client.val();
        self.further_request.next.slot = bit_cast::<6, 4>(self.walk.q.val()) | 0x10;
        self.further.ready.next = self.request_stage.input.ready.val();
        if self.further.valid.val() & self.request_stage.input.ready.val() {
            self.ready_next.next = self.ready_next.val().replace_bit(self.walk.q.val().index(), false);
        }

        comment!("the oldest chain goes first: all others wait behind it");
        self.request_stage.input.valid.next =
            (self.further.valid.val() | self.decode_offers.val() | self.first_offer.q.val()) & !self.stop.val();
        self.request_stage.input.data.next = self.first_request.val();
        if self.further.valid.val() {
            self.request_stage.input.data.next = self.further_request.val();
        } else if self.decode_offers.val() {
            self.request_stage.input.data.next = self.decode_request.val();
        } else if self.request_stage.input.ready.val() {
            self.first_offer.d.next = self.taken.val();
        }
        Source::<ReadRequest>::link(&mut self.request, &mut self.request_stage.output);

        comment!("---- the oldest context");
        self.head_ram.raddr.next = self.walk.q.val();
        self.head_entry.next = self.head_ram.rdata.val();
        self.view.head.next = self.head_entry.val().get_bits::<16>(0);
        self.view.count.next = self.head_entry.val().get_bits::<3>(16);
        self.table_ram.raddr.next = self.walk.q.val();
        self.table_entry.next = self.table_ram.rdata.val();
        self.view.table_base.next = self.table_entry.val().get_bits::<64>(0);
        self.view.table_count.next = self.table_entry.val().get_bits::<16>(64);
        self.view.in_table.next = self.indirect_window.q.val().get_bit(self.walk.q.val().index());
        comment!("told one cycle later, but a window that is freed or asked for again is gone at once");
        self.oldest_ready.d.next = self.ready.q.val().get_bit(self.walk.q.val().index())
            & !self.view.free.val()
            & !(self.further.valid.val() & self.request_stage.input.ready.val());
        self.oldest_failed.d.next = self.failed.q.val().get_bit(self.walk.q.val().index());
        self.view.ready.next = self.oldest_ready.q.val();
        self.view.failed.next = self.oldest_failed.q.val();
        if self.view.free.val() {
            self.walk.d.next = self.walk.q.val() + 1;
            self.ready_next.next = self.ready_next.val().replace_bit(self.walk.q.val().index(), false);
            self.failed_next.next = self.failed_next.val().replace_bit(self.walk.q.val().index(), false);
        }
        comment!("---- the length of first windows");
        self.further_seen.next = self.further_most.q.val();
        if self.view.further.val() > self.further_most.q.val() {
            self.further_seen.next = self.view.further.val();
        }
        if self.view.free.val() {
            self.chains_since.d.next = self.chains_since.q.val() + 1;
            self.further_most.d.next = self.further_seen.val();
            if self.chains_since.q.val().all() | (self.further_seen.val() > self.further_expected.q.val()) {
                self.further_expected.d.next = self.further_seen.val();
                self.further_most.d.next = 0.into();
                self.chains_since.d.next = 0.into();
            }
        }
        self.ready.d.next = self.ready_next.val();
        self.failed.d.next = self.failed_next.val();
        self.indirect_window.d.next = self.indirect_next.val();
        if self.taken.val() & !self.view.free.val() {
            self.in_use.d.next = self.in_use.q.val() + 1;
        } else if self.view.free.val() & !self.taken.val() {
            self.in_use.d.next = self.in_use.q.val() - 1;
        }
        if self.retired_first.val() & !self.decoded.val() {
            self.undecoded.d.next = self.undecoded.q.val() + 1;
        } else if self.decoded.val() & !self.retired_first.val() {
            self.undecoded.d.next = self.undecoded.q.val() - 1;
        }
        self.busy.next = self.in_use.q.val().any();
    }
}
