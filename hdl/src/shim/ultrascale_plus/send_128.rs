//! UltraScale+ requester requests, 128 bits: the endpoint's reads and writes.
use super::request::UltraScalePlusRequest;
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::tlp::types::TransmitBeat;
use rust_hdl::prelude::*;

/// Sends reads and writes on `s_axis_rq` (PG213, "Requester request interface", double word aligned).
///
/// ```text
/// tdata: | descriptor | D3 D2 D1 D0 | D7 ...
/// ```
#[derive(Block)]
pub struct UltraScalePlusSend128 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Reads and writes, no other packets.
    pub packet: Sink<TransmitBeat>,
    /// No write may begin.
    pub hold: Signal<In, Bit>,
    /// One cycle: a write has begun.
    pub write: Signal<Out, Bit>,
    /// One cycle: a read was taken.
    pub read: Signal<Out, Bit>,
    /// `s_axis_rq`.
    pub tdata: Signal<Out, Bits<128>>,
    pub tkeep: Signal<Out, Bits<4>>,
    pub tlast: Signal<Out, Bit>,
    pub tuser: Signal<Out, Bits<62>>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,

    encode: UltraScalePlusRequest,
    /// The descriptor has left, the payload has not.
    in_payload: Reg<Bit>,
    data: DFF<Bits<128>>,
    keep: DFF<Bits<4>>,
    last: DFF<Bit>,
    user: DFF<Bits<9>>,
    valid: Reg<Bit>,

    free: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
}

impl Logic for UltraScalePlusSend128 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_send_128: requests for the UltraScale+ block, 128 bits");
        self.encode.beat.next = self.packet.data.val();
        self.free.next = !self.valid.q.val() | self.tready.val();
        self.begins.next = self.free.val()
            & self.packet.valid.val()
            & !self.in_payload.q.val()
            & !(self.encode.is_write.val() & self.hold.val());
        self.write.next = self.begins.val() & self.encode.is_write.val();
        self.read.next = self.begins.val() & !self.encode.is_write.val();
        self.packet.ready.next = self.free.val() & (self.in_payload.q.val() | !self.encode.is_write.val());
        if self.free.val() {
            self.valid.d.next = self.begins.val() | (self.in_payload.q.val() & self.packet.valid.val());
            if self.in_payload.q.val() {
                self.data.d.next = self.packet.data.val().data;
                self.keep.d.next = self.encode.keep.val();
                self.last.d.next = self.packet.data.val().last;
                if self.packet.valid.val() {
                    self.in_payload.d.next = !self.packet.data.val().last;
                }
            } else {
                self.data.d.next = self.encode.descriptor.val();
                self.keep.d.next = bits::<4>(15);
                self.last.d.next = !self.encode.is_write.val();
                self.user.d.next = self.encode.user.val();
                self.in_payload.d.next = self.write.val();
            }
        }
        self.tdata.next = self.data.q.val();
        self.tkeep.next = self.keep.q.val();
        self.tlast.next = self.last.q.val();
        self.encode.held_user.next = self.user.q.val();
        self.tuser.next = self.encode.tuser.val();
        self.tvalid.next = self.valid.q.val();
    }
}
