//! Follows the chains: checks every descriptor against the rules of the ring and passes the buffers on, in order.
use super::buffer_store::BufferStore;
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Source, Stage, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the walker does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum WalkState {
    /// Waits for the window of the oldest chain.
    Idle,
    /// The RAM reads a descriptor.
    Load,
    /// Takes it into registers.
    Take,
    /// Checks it.
    Compare,
    /// Passes the buffer on.
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

/// Chain walker of one queue.
///
/// Four cycles a descriptor: load, take, compare, decide. The buffers go into a store with room for the longest chain in each
/// direction, so that a chain can always be walked to its end although the device waits for the chain's lengths
/// before it takes the first byte.
///
/// A chain that breaks a rule gets end marks with `error`, and the walker halts until it is reset.
///
/// A chain that is in the queue's table to its end has no more descriptors than the queue, else it is a loop; with an indirect table
/// it may have [`LONGEST_CHAIN`].
#[derive(Block)]
pub struct ChainWalker {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Address of the descriptor table.
    pub ring_base: Signal<In, Bits<64>>,
    /// RING_INDIRECT_DESC has been negotiated.
    pub indirect: Signal<In, Bit>,
    /// The oldest context of the window reader; see [`super::window::WindowReader`].
    pub view: WindowViewSink,
    /// Further windows of the same chain.
    pub further: Source<WindowRequest>,
    /// Buffers the device may read, with an end mark behind each chain; `valid` comes and goes, see [`BufferStore`].
    pub readable: Source<BufferDescriptor>,
    /// Buffers the device may write, with an end mark behind each chain; `valid` comes and goes, see [`BufferStore`].
    pub writable: Source<BufferDescriptor>,
    /// One entry a chain, once all of its descriptors are known.
    pub chain: Source<Chain>,
    /// A descriptor is being worked on, or a buffer handed out; low while nothing but the outside can move the walk on.
    pub busy: Signal<Out, Bit>,
    /// A rule was broken: no further chain is walked.
    pub stopped: Signal<Out, Bit>,
    /// One cycle: a rule was broken.
    pub violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub violation: Signal<Out, ViolationReport>,

    store: BufferStore,
    chain_fifo: StreamFifo<Chain, 6>,
    // a large RAM takes long to give what it has
    chain_stage: Stage<Chain>,
    further_stage: Stage<WindowRequest>,

    state: Reg<WalkState>,
    // the table that is being walked: the queue's own or an indirect one
    nested: DFF<Bit>,
    began_in_table: DFF<Bit>,
    base: DFF<Bits<64>>,
    table_size: DFF<Bits<16>>,
    // the window: descriptors `window_base` to `window_base + window_count - 1` of the table
    window_base: DFF<Bits<16>>,
    window_count: DFF<Bits<16>>,
    place: DFF<Bits<3>>,
    wanted: DFF<Bits<16>>,
    contiguous: DFF<Bit>,
    // the chain so far
    count: DFF<Bits<9>>,
    readable_total: DFF<Bits<32>>,
    writable_total: DFF<Bits<32>>,
    writable_seen: DFF<Bit>,
    broken: DFF<Bit>,
    // there was room for the end of a chain in the cycle before: it takes two cycles at least from one end to the next
    can_mark: Reg<Bit>,
    // the descriptor
    address: DFF<Bits<64>>,
    length: DFF<Bits<32>>,
    flag_next: DFF<Bit>,
    flag_write: DFF<Bit>,
    flag_indirect: DFF<Bit>,
    next_index: DFF<Bits<16>>,

    #[given]
    queue_size: Constant<Bits<16>>,
    #[given]
    longest_chain: Constant<Bits<16>>,

    flags: Signal<Local, Bits<16>>,
    table_length_bad: Signal<Local, Bit>,
    length_count: Signal<Local, Bits<28>>,
    #[given]
    rule: Reg<Violation>,
    broken_rule: Signal<Local, Violation>,
    inside: DFF<Bit>,
    behind: DFF<Bit>,
    // the end of the buffer or of the table is 2^64 or beyond, is not 2^64
    carries: DFF<Bit>,
    some_behind: DFF<Bit>,
    top_sum: Signal<Local, Bits<33>>,
    past_end: Signal<Local, Bit>,
    // the violation as it is told, one cycle later
    told: Reg<Bit>,
    #[given]
    told_rule: Reg<Violation>,
    bad: Signal<Local, Bit>,
    total: Signal<Local, Bits<32>>,
    sum: Signal<Local, Bits<33>>,
    count_next: Signal<Local, Bits<9>>,
    too_long: Signal<Local, Bit>,
    offset: Signal<Local, Bits<16>>,
    window_end: Signal<Local, Bits<16>>,
    to_table_end: Signal<Local, Bits<16>>,
    window_limit: Signal<Local, Bits<16>>,
    further_window: Signal<Local, Bits<16>>,
    has_room: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    mark: Signal<Local, Bit>,
    chain_entry: Signal<Local, Chain>,
    window_request: Signal<Local, WindowRequest>,
    report: Signal<Local, ViolationReport>,
}

impl ChainWalker {
    /// The queue size is a power of two up to 256.
    pub fn new(queue_size: u16) -> Self {
        Self::with(ChainWalkerGiven {
            queue_size: Constant::new(u64::from(queue_size).into()),
            longest_chain: Constant::new(u64::from(LONGEST_CHAIN).into()),
            rule: Reg::new(Violation::Nothing),
            told_rule: Reg::new(Violation::Nothing),
        })
    }
}

impl Logic for ChainWalker {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module chain_walker: checks descriptors and follows chains, in order");
        self.flags.next = self.view.descriptor.val().get_bits::<16>(96);
        comment!("for the length of later first windows; a chain that an indirect table continues may count too long");
        self.view.further.next = 0.into();
        if !self.began_in_table.q.val() {
            self.view.further.next = self.count.q.val().get_bits::<2>(0) - 1;
            if self.count.q.val() > 3 {
                self.view.further.next = 3.into();
            }
        }

        comment!("---- the rules");
        self.total.next = self.readable_total.q.val();
        if self.flag_write.q.val() {
            self.total.next = self.writable_total.q.val();
        }
        self.sum.next = bit_cast::<33, 32>(self.total.val()) + bit_cast::<33, 32>(self.length.q.val());
        self.count_next.next = self.count.q.val() + 1;
        self.length_count.next = self.length.q.val().get_bits::<28>(4);
        self.table_length_bad.next = (self.length.q.val().get_bits::<4>(0) != 0)
            | (self.length_count.val() == 0)
            | (self.length_count.val() > bit_cast::<28, 16>(self.longest_chain.val()));
        self.too_long.next = (bit_cast::<16, 9>(self.count.q.val()) >= self.longest_chain.val())
            | (!self.nested.q.val() & (bit_cast::<16, 9>(self.count.q.val()) >= self.queue_size.val()));
        self.top_sum.next =
            bit_cast::<33, 32>(self.address.q.val().get_bits::<32>(0)) + bit_cast::<33, 32>(self.length.q.val());
        self.broken_rule.next = Violation::Nothing;
        if self.flag_indirect.q.val() {
            if !self.indirect.val() {
                self.broken_rule.next = Violation::IndirectNotNegotiated;
            } else if self.nested.q.val() {
                self.broken_rule.next = Violation::IndirectNested;
            } else if self.flag_next.q.val() {
                self.broken_rule.next = Violation::IndirectWithNext;
            } else if self.table_length_bad.val() {
                self.broken_rule.next = Violation::IndirectLength;
            }
        } else if self.length.q.val() == 0 {
            self.broken_rule.next = Violation::ZeroLength;
        } else if self.writable_seen.q.val() & !self.flag_write.q.val() {
            self.broken_rule.next = Violation::WritableFirst;
        } else if self.too_long.val() {
            self.broken_rule.next = Violation::ChainTooLong;
        } else if self.sum.val().get_bit(32) {
            self.broken_rule.next = Violation::TotalLength;
        } else if self.flag_next.q.val() & (self.next_index.q.val() >= self.table_size.q.val()) {
            self.broken_rule.next = Violation::NextRange;
        }
        self.past_end.next = self.carries.q.val() & self.some_behind.q.val();
        self.bad.next = (self.rule.q.val() != Violation::Nothing) | self.past_end.val();

        comment!("---- the walk");
        self.told.d.next = false;
        self.told_rule.d.next = self.rule.q.val();
        if self.past_end.val() {
            self.told_rule.d.next = Violation::AddressRange;
        }
        self.report.next.rule = self.told_rule.q.val();
        self.report.next.head = self.view.head.val();
        self.view.free.next = false;
        self.push.next = false;
        self.mark.next = false;
        self.can_mark.d.next = self.store.end_room.val() & self.chain_fifo.input.ready.val();
        self.has_room.next = self.store.readable_room.val();
        if self.flag_write.q.val() {
            self.has_room.next = self.store.writable_room.val();
        }
        self.offset.next = self.next_index.q.val() - self.window_base.q.val();
        self.window_end.next = self.window_base.q.val() + self.window_count.q.val();
        self.to_table_end.next = self.table_size.q.val() - self.wanted.q.val();
        self.window_limit.next = 4.into();
        if self.contiguous.q.val() {
            self.window_limit.next = 8.into();
        }
        self.further_window.next = self.window_limit.val();
        if self.to_table_end.val() < self.window_limit.val() {
            self.further_window.next = self.to_table_end.val();
        }
        self.further_stage.input.valid.next = false;
        match self.state.q.val() {
            WalkState::Idle => {
                self.nested.d.next = self.view.in_table.val();
                self.base.d.next = self.ring_base.val();
                self.table_size.d.next = self.queue_size.val();
                self.window_base.d.next = self.view.head.val();
                self.window_count.d.next = bit_cast::<16, 3>(self.view.count.val());
                self.began_in_table.d.next = self.view.in_table.val();
                if self.view.in_table.val() {
                    self.base.d.next = self.view.table_base.val();
                    self.table_size.d.next = self.view.table_count.val();
                    self.window_base.d.next = 0.into();
                    self.window_count.d.next = 8.into();
                }
                self.place.d.next = 0.into();
                self.count.d.next = 0.into();
                self.readable_total.d.next = 0.into();
                self.writable_total.d.next = 0.into();
                self.writable_seen.d.next = false;
                self.broken.d.next = false;
                if self.view.ready.val() {
                    self.state.d.next = WalkState::Load;
                    if self.view.failed.val() {
                        self.told.d.next = true;
                        self.told_rule.d.next = Violation::RingRead;
                        self.broken.d.next = true;
                        self.state.d.next = WalkState::End;
                    }
                }
            }
            WalkState::Load => self.state.d.next = WalkState::Take,
            WalkState::Take => {
                self.address.d.next = self.view.descriptor.val().get_bits::<64>(0);
                self.length.d.next = self.view.descriptor.val().get_bits::<32>(64);
                self.flag_next.d.next = self.flags.val().get_bit(0);
                self.flag_write.d.next = self.flags.val().get_bit(1);
                self.flag_indirect.d.next = self.flags.val().get_bit(2);
                self.next_index.d.next = self.view.descriptor.val().get_bits::<16>(112);
                self.state.d.next = WalkState::Compare;
            }
            WalkState::Compare => {
                self.rule.d.next = self.broken_rule.val();
                self.carries.d.next = self.address.q.val().get_bits::<32>(32).all() & self.top_sum.val().get_bit(32);
                self.some_behind.d.next = self.top_sum.val().get_bits::<32>(0).any();
                self.inside.d.next = (self.next_index.q.val() >= self.window_base.q.val())
                    & (self.offset.val() < self.window_count.q.val());
                self.behind.d.next = self.next_index.q.val() == self.window_end.val();
                self.state.d.next = WalkState::Decide;
            }
            WalkState::Decide => {
                if self.bad.val() {
                    self.told.d.next = true;
                    self.broken.d.next = true;
                    self.state.d.next = WalkState::End;
                } else if self.flag_indirect.q.val() {
                    comment!("behind other descriptors, where the decoder does not see it");
                    self.nested.d.next = true;
                    self.base.d.next = self.address.q.val();
                    self.table_size.d.next = bit_cast::<16, 28>(self.length_count.val());
                    self.wanted.d.next = 0.into();
                    self.contiguous.d.next = true;
                    self.state.d.next = WalkState::Refetch;
                } else if self.has_room.val() {
                    self.push.next = true;
                    self.count.d.next = self.count_next.val();
                    if self.flag_write.q.val() {
                        self.writable_seen.d.next = true;
                        self.writable_total.d.next = bit_cast::<32, 33>(self.sum.val());
                    } else {
                        self.readable_total.d.next = bit_cast::<32, 33>(self.sum.val());
                    }
                    self.wanted.d.next = self.next_index.q.val();
                    self.contiguous.d.next = self.behind.q.val();
                    if !self.flag_next.q.val() {
                        self.state.d.next = WalkState::End;
                    } else if self.inside.q.val() {
                        self.place.d.next = self.offset.val().get_bits::<3>(0);
                        self.state.d.next = WalkState::Load;
                    } else {
                        self.state.d.next = WalkState::Refetch;
                    }
                }
            }
            WalkState::Refetch => {
                self.window_base.d.next = self.wanted.q.val();
                self.window_count.d.next = self.further_window.val();
                self.place.d.next = 0.into();
                self.state.d.next = WalkState::Offer;
            }
            WalkState::Offer => {
                self.further_stage.input.valid.next = true;
                if self.further_stage.input.ready.val() {
                    self.state.d.next = WalkState::Wait;
                }
            }
            WalkState::Wait => {
                comment!("the old window is gone once the request has left its register");
                if self.view.ready.val() & !self.further_stage.output.valid.val() {
                    self.state.d.next = WalkState::Load;
                    if self.view.failed.val() {
                        self.told.d.next = true;
                        self.told_rule.d.next = Violation::RingRead;
                        self.broken.d.next = true;
                        self.state.d.next = WalkState::End;
                    }
                }
            }
            WalkState::End => {
                if self.can_mark.q.val() {
                    self.mark.next = true;
                    self.view.free.next = !self.broken.q.val();
                    self.state.d.next = WalkState::Idle;
                    if self.broken.q.val() {
                        self.state.d.next = WalkState::Halt;
                    }
                }
            }
            _ => {}
        }
        self.view.load.next = self.state.q.val() == WalkState::Load;
        self.view.position.next = self.place.q.val();
        self.busy.next = (self.state.q.val() == WalkState::Load)
            | (self.state.q.val() == WalkState::Take)
            | (self.state.q.val() == WalkState::Compare)
            | (self.state.q.val() == WalkState::Refetch)
            | self.store.busy.val();
        self.stopped.next = self.broken.q.val();
        self.violation_valid.next = self.told.q.val();
        self.violation.next = self.report.val();
        self.window_request.next.address = self.base.q.val() + (bit_cast::<64, 16>(self.wanted.q.val()) << 4);
        self.window_request.next.count = self.further_window.val().get_bits::<4>(0);
        self.further_stage.input.data.next = self.window_request.val();
        Source::<WindowRequest>::link(&mut self.further, &mut self.further_stage.output);

        self.store.address.next = self.address.q.val();
        self.store.length.next = self.length.q.val();
        self.store.push.next = self.push.val();
        self.store.mark.next = self.mark.val();
        self.store.broken.next = self.broken.q.val();
        self.chain_entry.next.head = self.view.head.val();
        self.chain_entry.next.readable_length = self.readable_total.q.val();
        self.chain_entry.next.writable_length = self.writable_total.q.val();
        self.chain_entry.next.error = self.broken.q.val();
        self.chain_fifo.input.data.next = self.chain_entry.val();
        self.chain_fifo.input.valid.next = self.mark.val();
        Source::<BufferDescriptor>::link(&mut self.readable, &mut self.store.readable);
        Source::<BufferDescriptor>::link(&mut self.writable, &mut self.store.writable);
        Source::<Chain>::join(&mut self.chain_fifo.output, &mut self.chain_stage.input);
        Source::<Chain>::link(&mut self.chain, &mut self.chain_stage.output);
    }
}
