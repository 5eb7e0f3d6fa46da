//! The gate between a DMA engine and the transmit arbiter.
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::tlp::types::TransmitBeat;
use rust_hdl::prelude::*;

/// Lets packets through, or swallows whole packets while `discard` is high.
///
/// What waits to leave when a reset begins must not leave later, nor keep the reset waiting until it may. A packet
/// that has begun to leave goes on to its end, and one that has begun to be swallowed is swallowed to its end.
#[derive(Block)]
pub struct TransmitGate {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// From the engine.
    pub upstream: Sink<TransmitBeat>,
    /// To the arbiter.
    pub downstream: Source<TransmitBeat>,
    /// Swallow packets that have not begun.
    pub discard: Signal<In, Bit>,

    passing: Reg<Bit>,
    swallowing: Reg<Bit>,
    swallow: Signal<Local, Bit>,
}

impl Logic for TransmitGate {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module transmit_gate: lets packets through or swallows them whole");
        self.swallow.next = self.swallowing.q.val() | (self.discard.val() & !self.passing.q.val());
        self.downstream.data.next = self.upstream.data.val();
        self.downstream.valid.next = self.upstream.valid.val() & !self.swallow.val();
        self.upstream.ready.next = self.downstream.ready.val() | self.swallow.val();
        if self.upstream.valid.val() {
            if self.swallow.val() {
                self.swallowing.d.next = !self.upstream.data.val().last;
            } else if self.downstream.ready.val() {
                self.passing.d.next = !self.upstream.data.val().last;
            }
        }
    }
}
