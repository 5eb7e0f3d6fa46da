//! Chains that are given back without a byte in them.
use super::types::{BufferDescriptor, ScatterCommand, UsedElement};
use crate::block::Block;
use crate::cells::{Sink, Source, Stage};
use crate::comment;
use rust_hdl::prelude::*;

/// What stands for the scatterer where the device writes nothing: it leaves the writable buffers of the chains alone, if a driver has
/// given any, and hands out each chain's used element.
///
/// ```text
/// command, buffers up to the end mark -> used
/// ```
/// Lengths and `skip` of a command mean nothing here. One with `drop`, and a chain whose end mark says `error`, gives no used element.
#[derive(Block)]
pub struct GiveBack {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Writable buffers of the chains, with an end mark behind each chain.
    pub buffers: Sink<BufferDescriptor>,
    /// What to do with a chain.
    pub command: Sink<ScatterCommand>,
    /// Used elements, in the order of the chains.
    pub used: Source<UsedElement>,

    stage: Stage<UsedElement>,
    at_end: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
}

impl Logic for GiveBack {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_give_back: chains that are given back without a byte in them");
        self.at_end.next = self.buffers.valid.val() & self.buffers.data.val().end;
        self.ends.next = self.at_end.val() & self.command.valid.val() & self.stage.input.ready.val();
        self.buffers.ready.next = self.ends.val() | !self.buffers.data.val().end;
        self.command.ready.next = self.at_end.val() & self.stage.input.ready.val();
        self.stage.input.valid.next = self.at_end.val()
            & self.command.valid.val()
            & !self.command.data.val().drop
            & !self.buffers.data.val().error;
        self.stage.input.data.next.head = self.command.data.val().head;
        self.stage.input.data.next.length = 0.into();
        self.stage.input.data.next.more = self.command.data.val().more;
        self.stage.input.data.next.soon = self.command.data.val().soon;
        Source::<UsedElement>::link(&mut self.used, &mut self.stage.output);
    }
}
