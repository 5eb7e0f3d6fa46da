//! UltraScale+ requester requests, 256 bits: the endpoint's reads and writes.
use super::request::UltraScalePlusRequest;
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::tlp::types::TransmitBeat;
use rust_hdl::prelude::*;

/// Sends reads and writes on `s_axis_rq` (PG213, "Requester request interface", double word aligned). A beat is taken in
/// every cycle.
///
/// ```text
/// tdata: | D3 D2 D1 D0 descriptor | D11 ... D4 | ...
/// ```
#[derive(Block)]
pub struct UltraScalePlusSend256 {
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
    pub tdata: Signal<Out, Bits<256>>,
    pub tkeep: Signal<Out, Bits<8>>,
    pub tlast: Signal<Out, Bit>,
    pub tuser: Signal<Out, Bits<62>>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,

    encode: UltraScalePlusRequest,
    in_packet: Reg<Bit>,
    /// The lower half is there and waits for the upper.
    half: Reg<Bit>,
    low: DFF<Bits<128>>,
    high: DFF<Bits<128>>,
    low_keep: DFF<Bits<4>>,
    high_keep: DFF<Bits<4>>,
    last: DFF<Bit>,
    user: DFF<Bits<9>>,
    valid: Reg<Bit>,

    free: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    goes_on: Signal<Local, Bit>,
}

impl Logic for UltraScalePlusSend256 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_send_256: requests for the UltraScale+ block, 256 bits");
        self.encode.beat.next = self.packet.data.val();
        self.free.next = !self.valid.q.val() | self.tready.val();
        self.begins.next = self.free.val()
            & self.packet.valid.val()
            & !self.in_packet.q.val()
            & !(self.encode.is_write.val() & self.hold.val());
        self.goes_on.next = self.free.val() & self.packet.valid.val() & self.in_packet.q.val();
        self.write.next = self.begins.val() & self.encode.is_write.val();
        self.read.next = self.begins.val() & !self.encode.is_write.val();
        self.packet.ready.next =
            self.free.val() & (self.in_packet.q.val() | !(self.encode.is_write.val() & self.hold.val()));
        if self.free.val() {
            self.valid.d.next = false;
        }
        if self.begins.val() {
            self.valid.d.next = true;
            self.low.d.next = self.encode.descriptor.val();
            self.low_keep.d.next = bits::<4>(15);
            self.high.d.next = self.packet.data.val().data;
            self.high_keep.d.next = self.encode.keep.val();
            self.last.d.next = self.packet.data.val().last;
            self.user.d.next = self.encode.user.val();
            self.in_packet.d.next = !self.packet.data.val().last;
        }
        if self.goes_on.val() {
            self.valid.d.next = self.half.q.val() | self.packet.data.val().last;
            self.half.d.next = !self.half.q.val() & !self.packet.data.val().last;
            self.last.d.next = self.packet.data.val().last;
            self.in_packet.d.next = !self.packet.data.val().last;
            if self.half.q.val() {
                self.high.d.next = self.packet.data.val().data;
                self.high_keep.d.next = self.encode.keep.val();
            } else {
                self.low.d.next = self.packet.data.val().data;
                self.low_keep.d.next = self.encode.keep.val();
                self.high_keep.d.next = bits::<4>(0);
            }
        }
        self.tdata.next = (bit_cast::<256, 128>(self.high.q.val()) << 128) | bit_cast::<256, 128>(self.low.q.val());
        self.tkeep.next = (bit_cast::<8, 4>(self.high_keep.q.val()) << 4) | bit_cast::<8, 4>(self.low_keep.q.val());
        self.tlast.next = self.last.q.val();
        self.encode.held_user.next = self.user.q.val();
        self.tuser.next = self.encode.tuser.val();
        self.tvalid.next = self.valid.q.val();
    }
}
