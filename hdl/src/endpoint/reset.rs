//! What a device reset does to the data path, and in which order.
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Stages of a device reset.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ResetState {
    /// No reset under way.
    Run,
    /// New DMA is stopped; packets of the old configuration still leave, and register accesses wait for them.
    Quiesce,
    /// Register accesses go on; what the host and the device side still owe comes in and is forgotten.
    Drain,
    /// The data path is reset.
    Clear,
}

/// Reset sequencer.
///
/// ```text
///  request ->  Quiesce --quiet--> Drain --drained--> Clear -> Run
///  stop        ------------------------------------------
///  hold        ---------
/// ```
/// A request during a reset asks for nothing more: all is stopped, and nothing begins before `Clear`.
///
/// `hold` keeps register accesses waiting, so that the first access answered after the resetting write is answered
/// behind the last packet of the old configuration.
#[derive(LogicBlock, Default)]
pub struct ResetSequencer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// One cycle: reset the device.
    pub request: Signal<In, Bit>,
    /// No packet of the data path is waiting to leave.
    pub quiet: Signal<In, Bit>,
    /// Nothing is outstanding, at the host or at the device side.
    pub drained: Signal<In, Bit>,
    /// The engines must not begin anything.
    pub stop: Signal<Out, Bit>,
    /// Register accesses must wait.
    pub hold: Signal<Out, Bit>,
    /// Reset of the data path.
    pub clear: Signal<Out, Bit>,
    /// A reset is under way: one cycle longer than `stop`, until queues that are set up are enabled again.
    pub busy: Signal<Out, Bit>,

    state: Reg<ResetState>,
    state_next: Signal<Local, ResetState>,
    // these two drive much, so they are registers of their own
    stopping: Reg<Bit>,
    clearing: Reg<Bit>,
    stopped: Reg<Bit>,
    settle: Reg<Bits<3>>,
    quiet_then: Reg<Bit>,
    drained_then: Reg<Bit>,
}

impl Logic for ResetSequencer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module reset_sequencer: stops, drains and clears the data path");
        dff_setup!(self, clock, state, stopping, clearing, stopped, settle, quiet_then, drained_then);
        self.stopping.reset.next = self.reset.val();
        self.clearing.reset.next = self.reset.val();
        self.stopped.reset.next = self.reset.val();
        self.quiet_then.reset.next = self.reset.val();
        self.drained_then.reset.next = self.reset.val();
        self.quiet_then.d.next = self.quiet.val();
        self.drained_then.d.next = self.drained.val();
        self.state.reset.next = self.reset.val();
        self.settle.reset.next = self.reset.val();
        // `quiet` and `drained` must hold for eight cycles: packets pass between blocks through registers
        self.settle.d.next = 0.into();
        self.state_next.next = self.state.q.val();
        match self.state.q.val() {
            ResetState::Run => {
                if self.request.val() {
                    self.state_next.next = ResetState::Quiesce;
                }
            }
            ResetState::Quiesce => {
                if self.quiet_then.q.val() {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val() == 7 {
                        self.state_next.next = ResetState::Drain;
                    }
                }
            }
            ResetState::Drain => {
                if self.drained_then.q.val() {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val() == 7 {
                        self.state_next.next = ResetState::Clear;
                    }
                }
            }
            ResetState::Clear => self.state_next.next = ResetState::Run,
            _ => self.state_next.next = ResetState::Run,
        }
        self.state.d.next = self.state_next.val();
        self.stopping.d.next = self.state_next.val() != ResetState::Run;
        self.stopped.d.next = self.stopping.q.val();
        self.stop.next = self.stopping.q.val();
        self.hold.next = ((self.state.q.val() == ResetState::Run) & self.request.val())
            | (self.state.q.val() == ResetState::Quiesce);
        self.clearing.d.next = self.state_next.val() == ResetState::Clear;
        self.clear.next = self.clearing.q.val();
        self.busy.next = self.stopping.q.val() | self.stopped.q.val();
    }
}
