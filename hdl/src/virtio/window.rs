//! Windows of descriptors: reads the first ones of many chains at once, and indirect tables as soon as they are known.
use super::runs::HeadRuns;
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
/// Each head gets one of 64 contexts, and a first window of up to 4 descriptors in the RAM, which is outside. Heads that follow one
/// another in the table are a run, whose windows are read at once (see [`HeadRuns`]); it begins when there is room for one of 16
/// descriptors. The decoder looks at each first descriptor as it arrives and reads an indirect table at once. The walker sees the
/// oldest context only: it reads descriptors from its window, asks for further windows of the same chain, and frees it.
///
/// A first window is as long as the longest of the last chains, up to 4 descriptors: a descriptor too many costs 16 bytes of the link,
/// one too few a read that all later chains wait for. It begins with 4, grows at once, and shrinks to what 64 chains in a row did
/// with. The chain of an indirect table has one descriptor in the queue's own.
///
/// Reads of a client end in the order in which they were asked for, and contexts are decoded and walked in theirs: how many windows and
/// tables have arrived says which.
///
/// ```text
///  heads -> [runs of first windows] --+-> request      RAM <- DMA
///           [decoder] ----------------+                 |   words 0-63: first windows, a ring
///  walker's further windows ----------+                 |   96-103: a further window, of the oldest chain
///                                                       |   128-255: windows of 16 indirect tables, a ring
///                                                       +-> decoder, walker
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
    /// No head is here that has no context yet, or whose first window has not been asked for.
    pub heads_idle: Signal<Out, Bit>,
    /// The heads that come are a guess: their first windows are read, and not looked at. It begins while `heads_idle`.
    pub hold: Signal<In, Bit>,
    /// One cycle: it was wrong. All heads since `hold` began are forgotten when those before them are done with and their own reads have
    /// ended.
    pub drop: Signal<In, Bit>,
    /// They have not been yet: no other head may come.
    pub forgetting: Signal<Out, Bit>,
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

    // of each context, for the walker: descriptors of the first window, and head
    head_ram: LutRam<11, 6>,
    // for the decoder: the first context of its run, descriptors of the first window, and 6 bits of the head
    decode_ram: LutRam<15, 6>,
    // by the decoder, for the walker: that its chain goes on in an indirect table, how many words become free with it, and its first word
    decoded_ram: LutRam<12, 6>,
    // of each run: down, contexts behind the first, descriptors but one, and what makes of a head the word of its window
    run_ram: LutRam<15, 6>,
    // of each window of an indirect table: descriptors of the table, and its address
    table_ram: LutRam<80, 4>,
    #[given]
    runs: HeadRuns,
    request_stage: HalfStage<ReadRequest>,

    // the contexts, a circle: [walk, decode) decoded, [decode, tail) waiting for the decoder
    decode: Reg<Bits<6>>,
    walk: Reg<Bits<6>>,
    // of the first of those two what is known, one cycle later, and its run and where its first window begins, two cycles later
    decode_entry: DFF<Bits<15>>,
    decode_run: DFF<Bits<9>>,
    decode_word: DFF<Bits<6>>,
    decode_moved: Reg<Bit>,
    decode_settles: Reg<Bit>,
    // of the other one what the decoder left
    walk_entry: DFF<Bits<12>>,
    // it has been looked at
    walking: Reg<Bit>,
    // counted up where they are taken and where they are freed: what is between is in use
    contexts_taken: Reg<Bits<7>>,
    contexts_freed: Reg<Bits<7>>,
    words_taken: Reg<Bits<7>>,
    words_freed: Reg<Bits<7>>,
    crowded: Reg<Bit>,
    // the first windows of a run have arrived, and how many there are behind its first one
    arrived: Reg<Bit>,
    arrived_further: DFF<Bits<4>>,
    // all that have arrived, and those of them that have been decoded
    undecoded: Reg<Bits<7>>,
    decoded: Reg<Bits<7>>,
    // windows of tables: asked for, and arrived
    table_tail: Reg<Bits<4>>,
    table_walk: Reg<Bits<4>>,
    tables_in_use: Reg<Bits<5>>,
    tables_here: Reg<Bits<5>>,
    // a read failed: what arrives behind it does not count
    first_failed: Reg<Bit>,
    table_failed: Reg<Bit>,
    further_failed: Reg<Bit>,
    further_pending: Reg<Bit>,
    // the walker is in a further window
    further_walked: Reg<Bit>,
    oldest_ready: Reg<Bit>,
    oldest_failed: DFF<Bit>,

    // descriptors behind the head: of the next first window, and the most among the chains so far that it is to shrink to
    #[given]
    further_expected: Reg<Bits<2>>,
    further_most: Reg<Bits<2>>,
    chains_since: Reg<Bits<6>>,

    // first context of the latest guess; it was wrong, and is still here
    guess_first: DFF<Bits<6>>,
    holding: Reg<Bit>,
    guess_void: Reg<Bit>,

    decoder: Reg<DecodeState>,
    decode_address: DFF<Bits<64>>,
    decode_length: DFF<Bits<32>>,
    decode_flags: DFF<Bits<16>>,
    decode_count: DFF<Bits<16>>,
    decode_table: DFF<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    longest_chain: Constant<Bits<16>>,

    at_guess: Signal<Local, Bit>,
    forgets: Signal<Local, Bit>,
    retired: Signal<Local, Bit>,
    retired_slot: Signal<Local, Bits<6>>,
    arriving: Signal<Local, Bits<7>>,
    table_arrived: Signal<Local, Bit>,
    look: Signal<Local, Bit>,
    new_entry: Signal<Local, Bits<17>>,
    decode_behind: Signal<Local, Bits<6>>,
    decode_frees: Signal<Local, Bits<12>>,
    decode_kind: Signal<Local, Bits<12>>,
    walk_next: Signal<Local, Bits<6>>,
    released: Signal<Local, Bits<7>>,
    freed: Signal<Local, Bit>,
    freed_table: Signal<Local, Bit>,
    in_use: Signal<Local, Bits<7>>,
    words_in_use: Signal<Local, Bits<7>>,
    decode_ends: Signal<Local, Bit>,
    decode_ends_in_table: Signal<Local, Bit>,
    further_leaves: Signal<Local, Bit>,
    head_entry: Signal<Local, Bits<11>>,
    in_table: Signal<Local, Bit>,
    here: Signal<Local, Bit>,
    broken: Signal<Local, Bit>,
    further_seen: Signal<Local, Bits<2>>,
    first: Signal<Local, Bits<128>>,
    first_flags: Signal<Local, Bits<16>>,
    first_table_length: Signal<Local, Bits<32>>,
    first_table_count: Signal<Local, Bits<28>>,
    first_table_ok: Signal<Local, Bit>,
    decode_window: Signal<Local, Bits<16>>,
    table_entry: Signal<Local, Bits<80>>,
    further_bytes: Signal<Local, Bits<13>>,
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
            runs: HeadRuns::new(client, queue_size),
            longest_chain: Constant::new(u64::from(LONGEST_CHAIN).into()),
        })
    }
}

impl Logic for WindowReader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module window_reader: reads windows of descriptors, many chains at once");
        self.freed.next = self.view.free.val();

        comment!("---- the RAM; the decoder waits for the walker");
        comment!(
            "while the oldest context is walked the one behind it is looked up, which is the oldest when that is freed"
        );
        self.walk_next.next = self.walk.q.val() + 1;
        self.walking.d.next = (self.walking.q.val() | self.view.load.val()) & !self.freed.val();
        self.decoded_ram.raddr.next = self.walk.q.val();
        if self.walking.q.val() {
            self.decoded_ram.raddr.next = self.walk_next.val();
        }
        if self.freed.val() | !self.walking.q.val() {
            self.walk_entry.d.next = self.decoded_ram.rdata.val();
        }
        if self.freed.val() {
            self.walk.d.next = self.walk_next.val();
        }
        self.in_table.next = self.walk_entry.q.val().get_bit(11);
        self.holding.d.next = self.hold.val();
        if self.hold.val() & !self.holding.q.val() {
            self.guess_first.d.next = self.runs.context.val();
        }
        comment!("no head comes in the first cycle of `hold`");
        self.at_guess.next =
            (self.holding.q.val() | self.guess_void.q.val()) & (self.decode.q.val() == self.guess_first.q.val());
        self.look.next = (self.decoder.q.val() == DecodeState::Idle)
            & self.undecoded.q.val().any()
            & !self.decode_moved.q.val()
            & !self.decode_settles.q.val()
            & !self.at_guess.val()
            & !self.view.load.val();
        self.read_valid.next = self.view.load.val() | self.look.val();
        self.read_word.next = bit_cast::<8, 6>(self.decode_word.q.val());
        if self.view.load.val() {
            self.read_word.next =
                bit_cast::<8, 6>(self.walk_entry.q.val().get_bits::<6>(0) + bit_cast::<6, 3>(self.view.position.val()));
            if self.in_table.val() {
                self.read_word.next = (bit_cast::<8, 4>(self.table_walk.q.val()) << 3)
                    | bit_cast::<8, 3>(self.view.position.val())
                    | 0x80;
            } else if self.further_walked.q.val() {
                self.read_word.next = bit_cast::<8, 3>(self.view.position.val()) | 0x60;
            }
        }
        self.view.descriptor.next = self.read_data.val();

        comment!(
            "---- windows arrive: slots 0-15 are runs of 1 to 16 first windows, 32-47 tables, 48 a further window"
        );
        self.retired.next = self.retire_valid.val() & (self.retire.val().client == self.client.val());
        self.retired_slot.next = self.retire.val().slot;
        self.arrived.d.next = false;
        self.arrived_further.d.next = self.retired_slot.val().get_bits::<4>(0);
        self.table_arrived.next = false;
        if self.retired.val() {
            if !self.retired_slot.val().get_bit(5) {
                if self.retire.val().error {
                    self.first_failed.d.next = true;
                } else {
                    self.arrived.d.next = !self.first_failed.q.val();
                }
            } else if !self.retired_slot.val().get_bit(4) {
                if self.retire.val().error {
                    self.table_failed.d.next = true;
                } else {
                    self.table_arrived.next = !self.table_failed.q.val();
                }
            } else {
                self.further_pending.d.next = false;
                self.further_failed.d.next = self.retire.val().error;
            }
        }

        comment!("---- runs of first windows: contexts when heads are taken, their read when the run leaves");
        self.runs.ring_base.next = self.ring_base.val();
        self.runs.further_expected.next = self.further_expected.q.val();
        self.runs.crowded.next = self.crowded.q.val();
        Sink::<Bits<16>>::link(&mut self.heads, &mut self.runs.heads);
        self.new_entry.next = self.runs.entry.val();
        self.head_ram.waddr.next = self.runs.context.val();
        self.head_ram.wdata.next = self.new_entry.val().get_bits::<11>(0);
        self.head_ram.wen.next = self.runs.taken.val();
        self.decode_ram.waddr.next = self.runs.context.val();
        self.decode_ram.wdata.next = (bit_cast::<15, 9>(self.new_entry.val().get_bits::<9>(8)) << 6)
            | bit_cast::<15, 6>(self.new_entry.val().get_bits::<6>(0));
        self.decode_ram.wen.next = self.runs.taken.val();
        self.run_ram.waddr.next = self.runs.first_context.val();
        self.run_ram.wdata.next = self.runs.run.val();
        self.run_ram.wen.next = self.runs.leaves.val();
        self.decode_offers.next = (self.decoder.q.val() == DecodeState::Offer) & !self.tables_in_use.q.val().get_bit(4);
        self.runs.granted.next =
            self.request_stage.input.ready.val() & !self.further.valid.val() & !self.decode_offers.val();

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
        comment!(
            "words become free from the begin of the ring on: those of a run that goes down with its last context"
        );
        self.decode_ram.raddr.next = self.decode.q.val();
        self.decode_entry.d.next = self.decode_ram.rdata.val();
        self.run_ram.raddr.next = self.decode_entry.q.val().get_bits::<6>(9);
        self.decode_behind.next = self.decode.q.val() - self.decode_entry.q.val().get_bits::<6>(9);
        self.decode_frees.next = bit_cast::<12, 3>(self.decode_entry.q.val().get_bits::<3>(6)) << 6;
        if self.decode_run.q.val().get_bit(8) {
            self.decode_frees.next = 0.into();
            if self.decode_run.q.val().get_bits::<4>(4) == self.decode_behind.val().get_bits::<4>(0) {
                self.decode_frees.next = (bit_cast::<12, 4>(self.decode_run.q.val().get_bits::<4>(0)) + 1) << 6;
            }
        }
        self.table_ram.waddr.next = self.table_tail.q.val();
        self.table_ram.wdata.next =
            (bit_cast::<80, 16>(self.decode_count.q.val()) << 64) | bit_cast::<80, 64>(self.decode_address.q.val());
        self.table_ram.wen.next = false;
        self.decoded_ram.waddr.next = self.decode.q.val();
        self.decode_kind.next = 0.into();
        if self.decode_table.q.val() {
            self.decode_kind.next = 0x800.into();
        }
        self.decoded_ram.wdata.next =
            self.decode_kind.val() | self.decode_frees.val() | bit_cast::<12, 6>(self.decode_word.q.val());
        self.decoded_ram.wen.next = self.decoder.q.val() == DecodeState::Decide;
        self.decode_ends.next = false;
        self.decode_ends_in_table.next = false;
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
                self.decode_table.d.next = self.first_table_ok.val();
                self.decoder.d.next = DecodeState::Decide;
            }
            DecodeState::Decide => {
                if self.decode_table.q.val() {
                    self.decoder.d.next = DecodeState::Offer;
                } else {
                    self.decode_ends.next = true;
                    self.decoder.d.next = DecodeState::Idle;
                }
            }
            DecodeState::Offer => {
                if self.decode_offers.val() & self.request_stage.input.ready.val() & !self.further.valid.val() {
                    comment!("not before: while all windows are in use, the place is that of the oldest table");
                    self.table_ram.wen.next = true;
                    self.decode_ends.next = true;
                    self.decode_ends_in_table.next = true;
                    self.decoder.d.next = DecodeState::Idle;
                }
            }
            _ => self.decoder.d.next = DecodeState::Idle,
        }
        self.decode_word.d.next =
            self.run_ram.rdata.val().get_bits::<6>(0) + self.decode_entry.q.val().get_bits::<6>(0);
        self.decode_run.d.next = self.run_ram.rdata.val().get_bits::<9>(6);
        self.decode_moved.d.next = self.decode_ends.val();
        self.decode_settles.d.next = self.decode_moved.q.val();
        if self.decode_ends.val() {
            self.decode.d.next = self.decode.q.val() + 1;
        }
        if self.decode_ends_in_table.val() {
            self.table_tail.d.next = self.table_tail.q.val() + 1;
        }
        self.decode_window.next = 8.into();
        if self.decode_count.q.val() < 8 {
            self.decode_window.next = self.decode_count.q.val();
        }
        self.decode_request.next.address = self.decode_address.q.val();
        self.decode_request.next.length = bit_cast::<13, 16>(self.decode_window.val()) << 4;
        self.decode_request.next.destination = (bit_cast::<16, 4>(self.table_tail.q.val()) << 7) | 0x800;
        self.decode_request.next.client = self.client.val();
        self.decode_request.next.slot = bit_cast::<6, 4>(self.table_tail.q.val()) | 0x20;

        comment!("---- further windows of the oldest chain");
        self.further_bytes.next = bit_cast::<13, 4>(self.further.data.val().count) << 4;
        self.further_request.next.address = self.further.data.val().address;
        self.further_request.next.length = self.further_bytes.val();
        self.further_request.next.destination = 0x600.into();
        if self.in_table.val() {
            self.further_request.next.destination = (bit_cast::<16, 4>(self.table_walk.q.val()) << 7) | 0x800;
        }
        self.further_request.next.client = self.client.val();
        self.further_request.next.slot = 0x30.into();
        self.further.ready.next = self.request_stage.input.ready.val();
        self.further_leaves.next = self.further.valid.val() & self.request_stage.input.ready.val();
        if self.further_leaves.val() {
            self.further_pending.d.next = true;
            self.further_walked.d.next = true;
        }

        comment!("the oldest chain goes first: all others wait behind it");
        self.request_stage.input.valid.next =
            (self.further.valid.val() | self.decode_offers.val() | self.runs.leaves.val()) & !self.stop.val();
        self.request_stage.input.data.next = self.runs.request.val();
        if self.further.valid.val() {
            self.request_stage.input.data.next = self.further_request.val();
        } else if self.decode_offers.val() {
            self.request_stage.input.data.next = self.decode_request.val();
        }
        Source::<ReadRequest>::link(&mut self.request, &mut self.request_stage.output);

        comment!("---- the oldest context");
        self.head_ram.raddr.next = self.walk.q.val();
        self.head_entry.next = self.head_ram.rdata.val();
        self.view.head.next = bit_cast::<16, 8>(self.head_entry.val().get_bits::<8>(0));
        self.view.count.next = self.head_entry.val().get_bits::<3>(8);
        self.released.next = bit_cast::<7, 5>(self.walk_entry.q.val().get_bits::<5>(6));
        self.table_ram.raddr.next = self.table_walk.q.val();
        self.table_entry.next = self.table_ram.rdata.val();
        self.view.table_base.next = self.table_entry.val().get_bits::<64>(0);
        self.view.table_count.next = self.table_entry.val().get_bits::<16>(64);
        self.view.in_table.next = self.in_table.val();
        self.here.next = self.decoded.q.val().any() & (!self.in_table.val() | self.tables_here.q.val().any());
        self.broken.next = self.further_failed.q.val()
            | (!self.decoded.q.val().any()
                & !self.decode_moved.q.val()
                & !self.undecoded.q.val().any()
                & self.first_failed.q.val())
            | (self.decoded.q.val().any()
                & self.in_table.val()
                & !self.tables_here.q.val().any()
                & self.table_failed.q.val());
        comment!("told one cycle later, but a window that is freed or asked for again is gone at once");
        self.oldest_ready.d.next = (self.here.val() | self.broken.val())
            & !self.further_pending.q.val()
            & !self.freed.val()
            & !self.further_leaves.val();
        self.oldest_failed.d.next = self.broken.val();
        self.view.ready.next = self.oldest_ready.q.val();
        self.view.failed.next = self.oldest_failed.q.val();
        self.freed_table.next = self.freed.val() & self.in_table.val();
        if self.freed.val() {
            self.further_walked.d.next = false;
            self.further_failed.d.next = false;
        }
        if self.freed_table.val() {
            self.table_walk.d.next = self.table_walk.q.val() + 1;
        }
        comment!("---- the length of first windows");
        self.further_seen.next = self.further_most.q.val();
        if self.view.further.val() > self.further_most.q.val() {
            self.further_seen.next = self.view.further.val();
        }
        if self.freed.val() {
            self.chains_since.d.next = self.chains_since.q.val() + 1;
            self.further_most.d.next = self.further_seen.val();
            if self.chains_since.q.val().all() | (self.further_seen.val() > self.further_expected.q.val()) {
                self.further_expected.d.next = self.further_seen.val();
                self.further_most.d.next = 0.into();
                self.chains_since.d.next = 0.into();
            }
        }
        comment!("---- how much there is of all");
        if self.runs.taken.val() {
            self.contexts_taken.d.next = self.contexts_taken.q.val() + 1;
            self.words_taken.d.next =
                self.words_taken.q.val() + bit_cast::<7, 3>(self.new_entry.val().get_bits::<3>(8));
        }
        if self.freed.val() {
            self.contexts_freed.d.next = self.contexts_freed.q.val() + 1;
            self.words_freed.d.next = self.words_freed.q.val() + self.released.val();
        }
        self.in_use.next = self.contexts_taken.q.val() - self.contexts_freed.q.val();
        self.words_in_use.next = self.words_taken.q.val() - self.words_freed.q.val();
        comment!("---- a guess that was wrong goes when all that is here is what has arrived of it");
        self.heads_idle.next = !self.runs.busy.val();
        if self.drop.val() {
            self.guess_void.d.next = true;
        }
        self.forgetting.next = self.guess_void.q.val();
        self.forgets.next = self.guess_void.q.val()
            & self.at_guess.val()
            & !self.runs.busy.val()
            & !self.arrived.q.val()
            & (self.undecoded.q.val() == self.in_use.val());
        if self.forgets.val() {
            self.guess_void.d.next = false;
            self.contexts_freed.d.next = self.contexts_taken.q.val();
            self.words_freed.d.next = self.words_taken.q.val();
            self.decode.d.next = self.runs.context.val();
            self.walk.d.next = self.runs.context.val();
        }
        comment!("one cycle later: the next head is being measured meanwhile");
        self.crowded.d.next = (self.in_use.val() > 48) | (self.words_in_use.val() > 48);
        self.arriving.next = 0.into();
        if self.arrived.q.val() {
            self.arriving.next = bit_cast::<7, 4>(self.arrived_further.q.val()) + 1;
        }
        self.undecoded.d.next = self.undecoded.q.val() + self.arriving.val();
        if self.decode_ends.val() {
            self.undecoded.d.next = self.undecoded.q.val() + self.arriving.val() - 1;
        } else if self.forgets.val() {
            self.undecoded.d.next = 0.into();
        }
        comment!("one cycle after its end, when the register before the walker has what the decoder left");
        if self.decode_moved.q.val() & !self.freed.val() {
            self.decoded.d.next = self.decoded.q.val() + 1;
        } else if self.freed.val() & !self.decode_moved.q.val() {
            self.decoded.d.next = self.decoded.q.val() - 1;
        }
        if self.decode_ends_in_table.val() & !self.freed_table.val() {
            self.tables_in_use.d.next = self.tables_in_use.q.val() + 1;
        } else if self.freed_table.val() & !self.decode_ends_in_table.val() {
            self.tables_in_use.d.next = self.tables_in_use.q.val() - 1;
        }
        if self.table_arrived.val() & !self.freed_table.val() {
            self.tables_here.d.next = self.tables_here.q.val() + 1;
        } else if self.freed_table.val() & !self.table_arrived.val() {
            self.tables_here.d.next = self.tables_here.q.val() - 1;
        }
    }
}
