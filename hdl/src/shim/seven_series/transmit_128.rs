//! 7-series transmit stream of 128 bits: names only.
use crate::block::Block;
use crate::cells::Sink;
use crate::comment;
use crate::tlp::types::TlpBeat;
use rust_hdl::prelude::*;

/// Beats as they are to `s_axis_tx` (PG054, "128-bit transaction interface"): packets begin in lane 0.
#[derive(Block)]
pub struct SevenSeriesTransmit128 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Packets to send.
    pub packet: Sink<TlpBeat>,
    /// `s_axis_tx`.
    pub tdata: Signal<Out, Bits<128>>,
    pub tkeep: Signal<Out, Bits<16>>,
    pub tlast: Signal<Out, Bit>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,

    keep: Signal<Local, Bits<4>>,
}

impl Logic for SevenSeriesTransmit128 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_7series_transmit_128: a keep bit for each byte");
        self.tdata.next = self.packet.data.val().data;
        self.keep.next = self.packet.data.val().keep;
        self.tkeep.next = bits::<16>(0);
        for lane in 0..4 {
            if self.keep.val().get_bit(lane) {
                self.tkeep.next = self.tkeep.val() | (bits::<16>(15) << (lane * 4).to_bits::<4>());
            }
        }
        self.tlast.next = self.packet.data.val().last;
        self.tvalid.next = self.packet.valid.val();
        self.packet.ready.next = self.tready.val();
    }
}
