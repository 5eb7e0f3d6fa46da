//! What a device reset does to the data path, and in which order.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Stages of a reset.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ResetState {
    /// No reset under way.
    Run,
    /// DMA is stopped; a packet that has begun still leaves, and answers wait for it.
    Quiesce,
    /// Accesses go on; what the host and the device side still owe comes in and is forgotten.
    Drain,
    /// Nothing moves until it is let go on.
    Frozen,
    /// The data path is reset.
    Clear,
}

/// Reset sequencer: of a device reset, of a function-level reset, of the end of bus mastering; and of a freeze.
///
/// ```text
///  request ->  Quiesce --quiet--> Drain --drained--> Clear -> Run
///  stop        ------------------------------------------
///  hold        ---------
/// ```
/// A request during a reset asks for nothing more: all is stopped, and nothing begins before `Clear`.
///
/// `hold` keeps answers waiting, so that the first one after the resetting write leaves behind the last packet of the old
/// configuration.
///
/// A drain ends whatever the other sides do. The host's completions come, or their reads are given up after the completion
/// timeout. The device side has `patience`: then the device is reset without its answers, and drops those that come later.
///
/// A freeze is a reset after which all goes on where it was (`keep`). What has been begun is finished first: `pause` lets nothing new
/// begin, until all has been still for 64 cycles. Where a queue that is paused last keeps the device at work, it is paused too when
/// `patience` ends (`pause_all`). A reset on the way is a reset, and the freeze begins anew behind it.
///
/// ```text
///  freeze       ___/---------------------------------------\_______
///  pause        ____/------------------\___________________________
///  settled      ____________/-- 64 ----\
///  state        Run                     Quiesce Drain Frozen Clear Run
///  frozen       ______________________________________/----\_______
///  rewind       _____________________________________________/\____
/// ```
#[derive(Block)]
pub struct ResetSequencer {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One cycle: reset the device.
    pub request: Signal<In, Bit>,
    /// No packet of the data path is waiting to leave.
    pub quiet: Signal<In, Bit>,
    /// Nothing is outstanding at the host.
    pub drained: Signal<In, Bit>,
    /// Nor at the device side.
    pub device_idle: Signal<In, Bit>,
    /// The endpoint is to stand still.
    pub freeze: Signal<In, Bit>,
    /// All that had begun when `pause` rose has ended.
    pub settled: Signal<In, Bit>,
    /// No access is under way.
    pub at_rest: Signal<In, Bit>,
    /// Begin no chain that gives the device work, and take nothing from outside.
    pub pause: Signal<Out, Bit>,
    /// Begin no chain.
    pub pause_all: Signal<Out, Bit>,
    /// The endpoint stands still.
    pub frozen: Signal<Out, Bit>,
    /// The reset under way is that of a freeze: what a driver can see stays as it is.
    pub keep: Signal<Out, Bit>,
    /// One cycle behind `clear`: go on at what has been kept.
    pub rewind: Signal<Out, Bit>,
    /// The engines must not begin anything.
    pub stop: Signal<Out, Bit>,
    /// Accesses must wait.
    pub hold: Signal<Out, Bit>,
    /// Reset of the data path and the device, from a register: `reset` reaches them through it, one cycle later.
    pub clear: Signal<Out, Bit>,
    /// A reset is under way: one cycle longer than `stop`, until queues that are set up are enabled again.
    pub busy: Signal<Out, Bit>,

    state: Reg<ResetState>,
    state_next: Signal<Local, ResetState>,
    // these two drive much, so they are registers of their own
    stopping: Reg<Bit>,
    #[given]
    clearing: Reg<Bit>,
    stopped: Reg<Bit>,
    settle: Reg<Bits<6>>,
    keeping: Reg<Bit>,
    pausing: Reg<Bit>,
    pausing_all: Reg<Bit>,
    is_frozen: Reg<Bit>,
    quiet_then: Reg<Bit>,
    drained_then: Reg<Bit>,
    #[given]
    patience: Constant<Bits<20>>,
    waited: Reg<Bits<20>>,
    over: Reg<Bit>,
}

impl ResetSequencer {
    /// Waits `patience` cycles for the device side.
    pub fn new(patience: u64) -> Self {
        assert!((1..1 << 20).contains(&patience), "1 to 2^20 - 1 cycles of patience, not {patience}");
        Self::with(ResetSequencerGiven { clearing: Reg::new(true), patience: Constant::new(patience.into()) })
    }
}

impl Logic for ResetSequencer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module reset_sequencer: stops, drains and clears the data path");
        self.quiet_then.d.next = self.quiet.val();
        self.drained_then.d.next = self.drained.val() & (self.device_idle.val() | self.over.q.val());
        self.waited.d.next = 0.into();
        self.over.d.next = false;
        if self.state.q.val() == ResetState::Drain {
            self.waited.d.next = self.waited.q.val() + 1;
            self.over.d.next = self.over.q.val() | (self.waited.q.val() == self.patience.val());
        }
        self.pausing.d.next = self.freeze.val() & (self.state.q.val() == ResetState::Run);
        self.pausing_all.d.next = false;
        if self.pausing.q.val() & (self.state.q.val() == ResetState::Run) {
            self.waited.d.next = self.waited.q.val() + 1;
            self.pausing_all.d.next = self.pausing_all.q.val() | (self.waited.q.val() == self.patience.val());
        }
        comment!("`quiet` and `drained` must hold for eight cycles: packets pass between blocks through registers");
        self.settle.d.next = 0.into();
        self.state_next.next = self.state.q.val();
        match self.state.q.val() {
            ResetState::Run => {
                self.keeping.d.next = false;
                if self.request.val() {
                    self.state_next.next = ResetState::Quiesce;
                } else if self.pausing.q.val() & self.settled.val() {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val() == 63 {
                        self.keeping.d.next = true;
                        self.settle.d.next = 0.into();
                        self.state_next.next = ResetState::Quiesce;
                    }
                }
            }
            ResetState::Quiesce => {
                if self.quiet_then.q.val() {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val() == 7 {
                        self.settle.d.next = 0.into();
                        self.state_next.next = ResetState::Drain;
                    }
                }
            }
            ResetState::Drain => {
                if self.drained_then.q.val() & (self.at_rest.val() | !self.keeping.q.val()) {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val() == 7 {
                        self.settle.d.next = 0.into();
                        self.state_next.next = ResetState::Clear;
                        if self.keeping.q.val() {
                            self.state_next.next = ResetState::Frozen;
                        }
                    }
                }
            }
            ResetState::Frozen => {
                if !self.freeze.val() | !self.keeping.q.val() {
                    self.state_next.next = ResetState::Clear;
                }
            }
            ResetState::Clear => {
                self.state_next.next = ResetState::Run;
                comment!("a reset that comes while all is being cleared but for what a freeze keeps");
                if self.request.val() & self.keeping.q.val() {
                    self.state_next.next = ResetState::Clear;
                }
            }
            _ => self.state_next.next = ResetState::Run,
        }
        if self.request.val() {
            self.keeping.d.next = false;
        }
        self.state.d.next = self.state_next.val();
        self.is_frozen.d.next = self.state_next.val() == ResetState::Frozen;
        self.frozen.next = self.is_frozen.q.val();
        self.keep.next = self.keeping.q.val();
        comment!("what comes from outside waits until the device has been cleared");
        self.pause.next = self.pausing.q.val() | self.keeping.q.val();
        self.pause_all.next = self.pausing_all.q.val();
        self.rewind.next = self.stopped.q.val() & !self.stopping.q.val();
        self.stopping.d.next = self.state_next.val() != ResetState::Run;
        self.stopped.d.next = self.stopping.q.val();
        self.stop.next = self.stopping.q.val();
        self.hold.next = ((self.state.q.val() == ResetState::Run) & self.request.val())
            | (self.state.q.val() == ResetState::Quiesce)
            | (self.keeping.q.val() & (self.state.q.val() != ResetState::Run));
        self.clearing.d.next = self.state_next.val() == ResetState::Clear;
        self.clear.next = self.clearing.q.val();
        self.busy.next = self.stopping.q.val() | self.stopped.q.val();
    }
}
