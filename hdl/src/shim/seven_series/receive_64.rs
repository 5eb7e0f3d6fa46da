//! 7-series receive stream of 64 bits: two beats make one of 128.
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::types::ReceivedBeat;
use rust_hdl::prelude::*;

/// Joins the beats of `m_axis_rx` in pairs (PG054, "64-bit transaction interface").
///
/// ```text
/// tdata -> [ low ] -> [ high ] -> packet        a packet's first beat goes to `low`, the next to `high`
/// ```
/// Payload double words keep the byte order of the block.
#[derive(Block)]
pub struct SevenSeriesReceive64 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// `m_axis_rx`. `tuser`: 9:2 BARs hit; 0 wrong ECRC.
    pub tdata: Signal<In, Bits<64>>,
    pub tkeep: Signal<In, Bits<8>>,
    pub tlast: Signal<In, Bit>,
    pub tuser: Signal<In, Bits<22>>,
    pub tvalid: Signal<In, Bit>,
    pub tready: Signal<Out, Bit>,
    /// The same packets; one whose ECRC is wrong ends with an empty beat.
    pub packet: Source<ReceivedBeat>,
    /// Something is inside.
    pub busy: Signal<Out, Bit>,

    /// `low` waits for `high`.
    half: Reg<Bit>,
    low: DFF<Bits<64>>,
    high: DFF<Bits<64>>,
    keep: DFF<Bits<4>>,
    last: DFF<Bit>,
    bar_hit: DFF<Bits<2>>,
    valid: Reg<Bit>,

    free: Signal<Local, Bit>,
    low_keep: Signal<Local, Bits<4>>,
    high_keep: Signal<Local, Bits<4>>,
}

impl Logic for SevenSeriesReceive64 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_7series_receive_64: joins beats of 64 bits in pairs");
        self.free.next = !self.valid.q.val() | self.packet.ready.val();
        self.tready.next = self.free.val();
        self.low_keep.next = bits::<4>(1);
        self.high_keep.next = bits::<4>(7);
        if self.tkeep.val().get_bit(4) {
            self.low_keep.next = bits::<4>(3);
            self.high_keep.next = bits::<4>(15);
        }
        if self.tlast.val() & self.tuser.val().get_bit(0) {
            self.low_keep.next = bits::<4>(0);
            self.high_keep.next = bits::<4>(0);
        }
        if self.free.val() {
            self.valid.d.next = self.tvalid.val() & (self.half.q.val() | self.tlast.val());
            if self.tvalid.val() {
                self.half.d.next = !self.half.q.val() & !self.tlast.val();
                self.last.d.next = self.tlast.val();
                self.bar_hit.d.next = self.tuser.val().get_bits::<2>(2);
                if self.half.q.val() {
                    self.high.d.next = self.tdata.val();
                    self.keep.d.next = self.high_keep.val();
                } else {
                    self.low.d.next = self.tdata.val();
                    self.keep.d.next = self.low_keep.val();
                }
            }
        }
        self.packet.data.next.data =
            (bit_cast::<128, 64>(self.high.q.val()) << 64) | bit_cast::<128, 64>(self.low.q.val());
        self.packet.data.next.keep = self.keep.q.val();
        self.packet.data.next.last = self.last.q.val();
        self.packet.data.next.bar_hit = self.bar_hit.q.val();
        self.packet.valid.next = self.valid.q.val();
        self.busy.next = self.valid.q.val() | self.half.q.val();
    }
}
