//! Decides, after each write of the used index, whether the driver wants an interrupt.
use super::layout;
use super::types::*;
use crate::block::Block;
use crate::cells::{HalfStage, Reg, Source};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the decision waits for.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum DecisionState {
    /// A new used index, or the time to look ahead.
    Idle,
    /// Looks at what is known of the driver's wish.
    Guess,
    /// The read of the driver's wish to be accepted.
    Offer,
    /// That read's data.
    Wait,
    /// Compares them with the indices.
    Compare,
    /// Decides.
    Look,
    /// Stopped by a read that failed.
    Halt,
}

/// Cycles from a decision to the first look ahead.
const FIRST_LOOK: u64 = 32;

/// Interrupt decision of one queue.
///
/// The driver's wish (`avail.flags`, or `used_event` with EVENT_IDX) is read after the used index has left, never before:
/// reads push posted writes ahead of them, so a driver that changes its wish either sees the new index or is seen.
///
/// With EVENT_IDX the wish is read ahead as well, while nothing is to be decided: 32 cycles after a decision or the first kick, 64,
/// and so on, until `used_event` is one that the next elements reach. If it says yes to a new index the interrupt is raised at
/// once. It may be older than the index, so that it can add an interrupt that the driver no longer wants, but it is never
/// believed when it says no.
///
/// When a read fails the queue stops, and nothing is read or raised any more until a reset.
/// `needs_event` of [`super::layout`] is the rule in Rust.
#[derive(Block)]
pub struct InterruptDecision {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// With `reset`: whether the driver has kicked the queue stays.
    pub keep: Signal<In, Bit>,
    /// One cycle, behind each reset: all up to `written_index` has been decided.
    pub rewind: Signal<In, Bit>,
    /// One cycle, while nothing is on its way: whether the driver has kicked the queue becomes `kicked`, and all up to the
    /// `written_index` of the next cycle has been decided.
    pub awake_write: Signal<In, Bit>,
    /// It has.
    pub kicked: Signal<In, Bit>,
    /// The driver has kicked the queue.
    pub was_kicked: Signal<Out, Bit>,
    /// The queue is set up and has not been stopped: the wish may be read ahead.
    pub enable: Signal<In, Bit>,
    /// One cycle: the driver kicked the queue.
    pub kick: Signal<In, Bit>,
    /// Address of the descriptor table, with which the ring begins.
    pub ring_base: Signal<In, Bits<64>>,
    /// EVENT_IDX has been negotiated.
    pub event_idx: Signal<In, Bit>,
    /// NOTIFY_ON_EMPTY has been negotiated.
    pub notify_on_empty: Signal<In, Bit>,
    /// Used index as the driver can see it.
    pub written_index: Signal<In, Bits<16>>,
    /// Available index as last read.
    pub known_index: Signal<In, Bits<16>>,
    /// The read of the driver's wish.
    pub request: Source<ReadRequest>,
    /// What has been read, for all DMA clients.
    pub returns: ReadReturnSink,
    /// One cycle: interrupt.
    pub raise_interrupt: Signal<Out, Bit>,
    /// A decision is due or under way.
    pub busy: Signal<Out, Bit>,
    /// One cycle: the read failed.
    pub violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub violation: Signal<Out, ViolationReport>,

    state: Reg<DecisionState>,
    decided: Reg<Bits<16>>,
    new_index: DFF<Bits<16>>,
    crossed: DFF<Bit>,
    request_stage: HalfStage<ReadRequest>,
    /// The driver's wish, byte by byte.
    #[given]
    wish_bytes: Vec<Reg<Bits<8>>>,
    raise: Reg<Bit>,
    // the driver has kicked the queue
    awake: Reg<Bit>,
    // the used index has been written by the state window, one cycle ago
    rewritten: Reg<Bit>,
    // a wish has been read
    known: Reg<Bit>,
    // the read is ahead: nothing is decided by its end
    ahead: Reg<Bit>,
    // cycles since the last decision, and when to look ahead; 0: no more
    waited: Reg<Bits<14>>,
    #[given]
    look_at: Reg<Bits<14>>,

    #[given]
    first_look: Constant<Bits<14>>,
    #[given]
    client: Constant<Bits<4>>,
    #[given]
    available_offset: Constant<Bits<64>>,
    #[given]
    event_offset: Constant<Bits<64>>,

    mine: Signal<Local, Bit>,
    lanes: Signal<Local, Bits<16>>,
    fresh: Signal<Local, Bits<32>>,
    wish_byte: Signal<Local, Bits<8>>,
    wish: Signal<Local, Bits<32>>,
    offset: Signal<Local, Bits<64>>,
    retired: Signal<Local, Bit>,
    passed: Signal<Local, Bits<16>>,
    progress: Signal<Local, Bits<16>>,
    index_next: Signal<Local, Bits<16>>,
    seen_index: Signal<Local, Bits<16>>,
    behind: Signal<Local, Bits<16>>,
    is_behind: Reg<Bit>,
    decides: Signal<Local, Bit>,
    still: Signal<Local, Bit>,
    out: Signal<Local, ReadRequest>,
    report: Signal<Local, ViolationReport>,
}

impl InterruptDecision {
    /// `client` is the block's DMA client number.
    pub fn new(client: u64, queue_size: u16) -> Self {
        Self::with(InterruptDecisionGiven {
            wish_bytes: (0..4).map(|_| Reg::default()).collect(),
            look_at: Reg::new(FIRST_LOOK.into()),
            first_look: Constant::new(FIRST_LOOK.into()),
            client: Constant::new(client.into()),
            available_offset: Constant::new(layout::avail_offset(queue_size).into()),
            event_offset: Constant::new(layout::used_event_offset(queue_size).into()),
        })
    }
}

impl Logic for InterruptDecision {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module interrupt_decision: whether the driver wants an interrupt for new used elements");
        self.awake.reset.next = self.reset.val() & !self.keep.val();
        comment!("the wish lies at the start of this client's RAM, which is this one register");
        self.mine.next = self.returns.write_valid.val() & (self.returns.write.val().client == self.client.val());
        self.lanes.next = self.returns.write.val().enable;
        self.fresh.next = bit_cast::<32, 128>(self.returns.write.val().data);
        self.wish.next = 0.into();
        for i in 0..4 {
            if self.mine.val() & self.lanes.val().get_bit(i) {
                self.wish_bytes[i].d.next = self.fresh.val().get_bits::<8>(i * 8);
            }
            self.wish_byte.next = self.wish_bytes[i].q.val();
            self.wish.next = self.wish.val() | (bit_cast::<32, 8>(self.wish_byte.val()) << (i * 8).to_bits::<5>());
        }
        self.retired.next = self.returns.retire_valid.val() & (self.returns.retire.val().client == self.client.val());

        comment!("new - event - 1 < new - old, modulo 2^16: known one cycle after all of them");
        self.index_next.next = self.new_index.q.val();
        if self.state.q.val() == DecisionState::Idle {
            self.index_next.next = self.written_index.val();
        }
        self.new_index.d.next = self.index_next.val();
        self.passed.next = self.index_next.val() - self.wish.val().get_bits::<16>(0) - 1;
        self.progress.next = self.index_next.val() - self.decided.q.val();
        self.crossed.d.next = !self.wish.val().get_bit(0);
        self.seen_index.next = self.wish.val().get_bits::<16>(16);
        if self.event_idx.val() {
            self.crossed.d.next = self.passed.val() < self.progress.val();
            self.seen_index.next = self.known_index.val();
        }

        comment!("the wish is for an index that has been decided");
        self.behind.next = self.wish.val().get_bits::<16>(0) - self.decided.q.val();
        self.is_behind.d.next = self.behind.val().get_bit(15);

        self.offset.next = self.available_offset.val();
        if self.event_idx.val() {
            self.offset.next = self.event_offset.val();
        }
        self.raise.d.next = false;
        self.decides.next = false;
        self.rewritten.d.next = self.awake_write.val();
        self.still.next = self.rewind.val() | self.rewritten.q.val();
        self.waited.d.next = self.waited.q.val() + 1;
        self.violation_valid.next = false;
        self.report.next.rule = Violation::RingRead;
        self.report.next.head = 0.into();
        match self.state.q.val() {
            DecisionState::Idle => {
                self.ahead.d.next = false;
                if (self.written_index.val() != self.decided.q.val()) & !self.still.val() {
                    self.state.d.next = DecisionState::Offer;
                    if self.event_idx.val() & self.known.q.val() {
                        self.state.d.next = DecisionState::Guess;
                    }
                } else if self.enable.val()
                    & self.event_idx.val()
                    & self.awake.q.val()
                    & (self.is_behind.q.val() | !self.known.q.val())
                    & (self.waited.q.val() >= self.look_at.q.val())
                    & self.look_at.q.val().any()
                {
                    self.ahead.d.next = true;
                    self.look_at.d.next = self.look_at.q.val() << 1;
                    self.state.d.next = DecisionState::Offer;
                }
            }
            DecisionState::Guess => {
                self.state.d.next = DecisionState::Offer;
                if self.crossed.q.val() {
                    self.decides.next = true;
                    self.raise.d.next = true;
                    self.state.d.next = DecisionState::Idle;
                }
            }
            DecisionState::Offer => {
                if self.request_stage.input.ready.val() {
                    self.state.d.next = DecisionState::Wait;
                }
            }
            DecisionState::Wait => {
                if self.retired.val() {
                    self.known.d.next = true;
                    self.state.d.next = DecisionState::Compare;
                    if self.ahead.q.val() {
                        self.state.d.next = DecisionState::Idle;
                    }
                    if self.returns.retire.val().error {
                        self.violation_valid.next = true;
                        self.state.d.next = DecisionState::Halt;
                    }
                }
            }
            DecisionState::Compare => self.state.d.next = DecisionState::Look,
            DecisionState::Look => {
                self.decides.next = true;
                self.raise.d.next = self.crossed.q.val()
                    | (self.notify_on_empty.val() & (self.seen_index.val() == self.new_index.q.val()));
                self.state.d.next = DecisionState::Idle;
            }
            _ => {}
        }
        if self.kick.val() & self.enable.val() & !self.awake.q.val() {
            self.awake.d.next = true;
            self.waited.d.next = 0.into();
        }
        if self.decides.val() {
            self.decided.d.next = self.new_index.q.val();
            self.waited.d.next = 0.into();
            self.look_at.d.next = self.first_look.val();
        }
        if self.still.val() {
            self.decided.d.next = self.written_index.val();
        }
        if self.awake_write.val() {
            self.awake.d.next = self.kicked.val();
        }
        self.was_kicked.next = self.awake.q.val();
        self.out.next.address = self.ring_base.val() + self.offset.val();
        self.out.next.length = 4.into();
        if self.event_idx.val() {
            self.out.next.length = 2.into();
        }
        self.out.next.destination = 0.into();
        self.out.next.client = self.client.val();
        self.out.next.slot = 0.into();
        self.request_stage.input.data.next = self.out.val();
        self.request_stage.input.valid.next = self.state.q.val() == DecisionState::Offer;
        Source::<ReadRequest>::link(&mut self.request, &mut self.request_stage.output);
        self.raise_interrupt.next = self.raise.q.val();
        self.violation.next = self.report.val();
        self.busy.next = (self.state.q.val() != DecisionState::Halt)
            & ((self.state.q.val() != DecisionState::Idle)
                | (self.written_index.val() != self.decided.q.val())
                | self.raise.q.val());
    }
}
