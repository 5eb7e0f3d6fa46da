//! 7-series transmit stream of 64 bits: each beat of 128 bits leaves as two.
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::tlp::types::TlpBeat;
use rust_hdl::prelude::*;

/// Cuts beats in halves for `s_axis_tx` (PG054, "64-bit transaction interface"); an upper half without a double word
/// takes no cycle. Nothing is stored: the packer's registers hold the beat.
#[derive(Block)]
pub struct SevenSeriesTransmit64 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Packets to send.
    pub packet: Sink<TlpBeat>,
    /// `s_axis_tx`.
    pub tdata: Signal<Out, Bits<64>>,
    pub tkeep: Signal<Out, Bits<8>>,
    pub tlast: Signal<Out, Bit>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,

    /// The lower half has left.
    high: Reg<Bit>,

    beat: Signal<Local, Bits<128>>,
    keep: Signal<Local, Bits<4>>,
    odd: Signal<Local, Bit>,
    whole: Signal<Local, Bit>,
}

impl Logic for SevenSeriesTransmit64 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_7series_transmit_64: cuts beats in halves");
        self.beat.next = self.packet.data.val().data;
        self.keep.next = self.packet.data.val().keep;
        self.tdata.next = self.beat.val().get_bits::<64>(0);
        self.odd.next = !self.keep.val().get_bit(1);
        self.whole.next = self.high.q.val() | !self.keep.val().get_bit(2);
        if self.high.q.val() {
            self.tdata.next = self.beat.val().get_bits::<64>(64);
            self.odd.next = !self.keep.val().get_bit(3);
        }
        self.tkeep.next = bits::<8>(0xFF);
        if self.odd.val() {
            self.tkeep.next = bits::<8>(0x0F);
        }
        self.tlast.next = self.packet.data.val().last & self.whole.val();
        self.tvalid.next = self.packet.valid.val();
        self.packet.ready.next = self.tready.val() & self.whole.val();
        if self.packet.valid.val() & self.tready.val() {
            self.high.d.next = !self.whole.val();
        }
    }
}
