//! The outgoing streams to the device side, which outlive a request.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, Stage};
use crate::comment;
use rust_hdl::prelude::*;

/// Offers commands and write data to the device side, and numbers the commands.
///
/// What has been offered stays until it is taken, also when the device is reset meanwhile: a device reset takes requests away, not
/// beats that the device side has seen. Hence nothing here is cleared by one. A write whose data are cut off gets its last beat here,
/// marked with an error, so that the data of the next write are not taken for its own.
#[derive(Block)]
pub struct BlkPort {
    pub clock: Signal<In, Clock>,
    /// Of the endpoint, not of the device.
    pub reset: Signal<In, Bit>,
    /// No more data come for the write that has been begun, if there is one.
    pub cut: Signal<In, Bit>,
    /// One cycle: the device side has not moved for too long.
    pub timeout: Signal<In, Bit>,
    /// Forget that it has not.
    pub clear: Signal<In, Bit>,
    /// Commands; their tags are put in here.
    pub command: Sink<BlkCommand>,
    /// Data of the write commands among them.
    pub write: Sink<BlkWriteBeat>,
    /// The same for the device side.
    pub command_out: Source<BlkCommand>,
    pub write_out: Source<BlkWriteBeat>,
    /// Tag of the next command.
    pub next_tag: Signal<Out, Bits<8>>,
    /// The device side has taken nothing since a timeout: who waits for it may give up.
    pub refused: Signal<Out, Bit>,

    command_stage: Stage<BlkCommand>,
    write_stage: Stage<BlkWriteBeat>,
    number: Reg<Bits<8>>,
    refuses: Reg<Bit>,
    // a write has been commanded, its last beat has not come
    writing: Reg<Bit>,
    // it will not come: it is made here
    owed: Reg<Bit>,

    command_in: Signal<Local, BlkCommand>,
    write_in: Signal<Local, BlkWriteBeat>,
    begins: Signal<Local, Bit>,
    command_open: Signal<Local, Bit>,
    write_open: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
}

impl Logic for BlkPort {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_port: commands and write data on their way to the device side");
        comment!("---- commands, none before the data of the last one have been taken");
        self.command_open.next = !self.owed.q.val() & !self.write_stage.output.valid.val();
        self.command_in.next = self.command.data.val();
        self.command_in.next.tag = self.number.q.val();
        self.command_stage.input.data.next = self.command_in.val();
        self.command_stage.input.valid.next = self.command.valid.val() & self.command_open.val();
        self.command.ready.next = self.command_stage.input.ready.val() & self.command_open.val();
        self.begins.next = self.command.valid.val() & self.command_stage.input.ready.val() & self.command_open.val();
        Source::<BlkCommand>::link(&mut self.command_out, &mut self.command_stage.output);
        if self.begins.val() {
            self.number.d.next = self.number.q.val() + 1;
        }
        self.next_tag.next = self.number.q.val();

        comment!("---- write data, none before their command has been taken");
        self.write_open.next = self.write_stage.input.ready.val() & !self.command_stage.output.valid.val();
        self.write_in.next.data = self.write.data.val().data;
        self.write_in.next.last = self.write.data.val().last | self.owed.q.val();
        self.write_in.next.error = self.write.data.val().error | self.owed.q.val();
        self.write_stage.input.data.next = self.write_in.val();
        self.write_stage.input.valid.next =
            (self.write.valid.val() | self.owed.q.val()) & !self.command_stage.output.valid.val();
        self.write.ready.next = self.write_open.val() & !self.owed.q.val();
        Source::<BlkWriteBeat>::link(&mut self.write_out, &mut self.write_stage.output);
        self.ends.next = (self.write.valid.val() | self.owed.q.val())
            & self.write_open.val()
            & (self.write.data.val().last | self.owed.q.val());
        if self.ends.val() {
            self.writing.d.next = false;
            self.owed.d.next = false;
        } else if self.cut.val() & self.writing.q.val() {
            self.owed.d.next = true;
        }
        if self.begins.val() & (self.command.data.val().operation == BlkOperation::Write) {
            self.writing.d.next = true;
            comment!("the command goes in the very cycle in which its request is forgotten");
            self.owed.d.next = self.cut.val();
        }

        comment!("---- a device side that takes nothing");
        if self.timeout.val() {
            self.refuses.d.next = true;
        } else if self.clear.val()
            | (self.command_out.ready.val() & self.command_stage.output.valid.val())
            | (self.write_out.ready.val() & self.write_stage.output.valid.val())
        {
            self.refuses.d.next = false;
        }
        self.refused.next = self.refuses.q.val();
    }
}
