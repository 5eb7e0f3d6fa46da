//! The last register before the wire, which outlives a reset of the device.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, Stage};
use crate::comment;
use rust_hdl::prelude::*;

/// Offers frames to the wire. A beat that has been offered stays until it is taken, and a frame that has begun comes to an end: one that
/// a reset of the device cuts off gets a last beat with an error. So the reset needs not wait for a wire that takes nothing.
#[derive(Block)]
pub struct TransmitPort {
    pub clock: Signal<In, Clock>,
    /// Of the endpoint and the wire.
    pub reset: Signal<In, Bit>,
    /// Of the device: no more beats come of the frame at hand.
    pub clear: Signal<In, Bit>,
    pub beat: Sink<NetBeat>,
    pub frame_out: Source<NetBeat>,

    stage: Stage<NetBeat>,
    // in the middle of a frame
    inside: Reg<Bit>,
    // whose last beat is made here
    owed: Reg<Bit>,

    valid: Signal<Local, Bit>,
    fire: Signal<Local, Bit>,
    inside_next: Signal<Local, Bit>,
    beat_in: Signal<Local, NetBeat>,
}

impl Logic for TransmitPort {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit_port: frames on their way to the wire, ended in any case");
        self.valid.next = self.beat.valid.val() | self.owed.q.val();
        self.fire.next = self.valid.val() & self.stage.input.ready.val();
        self.beat.ready.next = self.stage.input.ready.val() & !self.owed.q.val();
        self.beat_in.next.data = self.beat.data.val().data;
        self.beat_in.next.keep = self.beat.data.val().keep;
        if self.owed.q.val() {
            self.beat_in.next.keep = 1.into();
        }
        self.beat_in.next.last = self.beat.data.val().last | self.owed.q.val();
        self.beat_in.next.error = self.beat.data.val().error | self.owed.q.val();
        self.stage.input.data.next = self.beat_in.val();
        self.stage.input.valid.next = self.valid.val();
        Source::<NetBeat>::link(&mut self.frame_out, &mut self.stage.output);

        self.inside_next.next = self.inside.q.val();
        if self.fire.val() {
            self.inside_next.next = !(self.beat.data.val().last | self.owed.q.val());
        }
        self.inside.d.next = self.inside_next.val();
        if self.clear.val() {
            self.owed.d.next = self.inside_next.val();
        } else if self.fire.val() {
            self.owed.d.next = false;
        }
    }
}
