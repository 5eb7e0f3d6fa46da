//! What tells the driver that the device config has changed.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Watches a value of the device config that is a port. The first value after a reset is no change.
#[derive(Block)]
pub struct ChangeDetector<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous.
    pub reset: Signal<In, Bit>,
    /// What is watched.
    pub value: Signal<In, T>,
    /// One cycle, the one behind: the value is not what it was in the cycle before.
    pub changed: Signal<Out, Bit>,
    before: Reg<T>,
    known: Reg<Bit>,
    told: Reg<Bit>,
}

impl<T: Synth> Logic for ChangeDetector<T> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module change_detector: pulses when a value changes");
        self.before.d.next = self.value.val();
        self.known.d.next = true;
        self.told.d.next = self.known.q.val() & (self.before.q.val() != self.value.val());
        self.changed.next = self.told.q.val();
    }
}
