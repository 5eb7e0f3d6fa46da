//! 7-series receive stream of 128 bits: packets that begin in the middle of a beat are moved to its beginning.
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::types::ReceivedBeat;
use rust_hdl::prelude::*;

/// Takes the straddled packets of `m_axis_rx` apart (PG054, "128-bit transaction interface").
///
/// ```text
/// lanes    3    2    1    0        of `packet`
///        | A3 | A2 | A1 | A0 |   A3   A2   A1   A0
///        | B1 | B0 | A5 | A4 |             A5   A4     B0 and B1 wait in `upper`
///        | B5 | B4 | B3 | B2 |   B3   B2   B1   B0
///        |         |      B6 |        B6   B5   B4
/// ```
/// A packet begins in lane 0 or 2. One that begins in lane 2 and ends in lane 2 or 3 has up to two double words left
/// when its last beat has been taken: they leave in the next cycle, in which no beat is taken.
///
/// `tkeep` and `tlast` say nothing at this width. Payload double words keep the byte order of the block.
#[derive(Block)]
pub struct SevenSeriesReceive128 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// `m_axis_rx`. `tuser`: 21 a packet ends, 20:17 at this byte lane; 14 one begins, 13:10 at this byte lane; 9:2 BARs
    /// hit by the one that begins; 0 wrong ECRC of the one that ends.
    pub tdata: Signal<In, Bits<128>>,
    pub tkeep: Signal<In, Bits<16>>,
    pub tlast: Signal<In, Bit>,
    pub tuser: Signal<In, Bits<22>>,
    pub tvalid: Signal<In, Bit>,
    pub tready: Signal<Out, Bit>,
    /// Packets that begin in lane 0; one whose ECRC is wrong ends with an empty beat.
    pub packet: Source<ReceivedBeat>,
    /// Something is inside.
    pub busy: Signal<Out, Bit>,

    /// The packet under way began in lane 2.
    shifted: Reg<Bit>,
    /// What is left of it when its last beat has been taken.
    rest: Reg<Bit>,
    rest_keep: DFF<Bits<4>>,
    upper: DFF<Bits<64>>,
    bar_hit: DFF<Bits<2>>,
    held: DFF<ReceivedBeat>,
    valid: Reg<Bit>,

    free: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    begins_high: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    ends_high: Signal<Local, Bit>,
    odd: Signal<Local, Bit>,
    low_half: Signal<Local, Bits<64>>,
    high_half: Signal<Local, Bits<64>>,
    keep: Signal<Local, Bits<4>>,
    last: Signal<Local, Bit>,
    bar_hit_now: Signal<Local, Bits<2>>,
}

impl Logic for SevenSeriesReceive128 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_7series_receive_128: moves packets that begin in the middle of a beat to its beginning");
        self.free.next = !self.valid.q.val() | self.packet.ready.val();
        self.tready.next = self.free.val() & !self.rest.q.val();
        self.begins.next = self.tuser.val().get_bit(14);
        self.begins_high.next = self.begins.val() & self.tuser.val().get_bit(13);
        self.ends.next = self.tuser.val().get_bit(21);
        self.ends_high.next = self.tuser.val().get_bit(20);
        self.odd.next = self.tuser.val().get_bit(19);

        comment!("the beat that leaves: two lanes later where the packet began in lane 2");
        self.low_half.next = self.tdata.val().get_bits::<64>(0);
        self.high_half.next = self.tdata.val().get_bits::<64>(64);
        self.bar_hit_now.next = self.bar_hit.q.val();
        if self.begins.val() & !self.shifted.q.val() {
            self.bar_hit_now.next = self.tuser.val().get_bits::<2>(2);
        }
        self.keep.next = bits::<4>(15);
        self.last.next = self.ends.val();
        if self.shifted.q.val() {
            self.high_half.next = self.low_half.val();
            self.low_half.next = self.upper.q.val();
            self.last.next = self.ends.val() & !self.ends_high.val();
            if self.last.val() & !self.odd.val() {
                self.keep.next = bits::<4>(7);
            }
        } else if self.ends.val() {
            if !self.ends_high.val() & !self.odd.val() {
                self.keep.next = bits::<4>(1);
            } else if !self.ends_high.val() {
                self.keep.next = bits::<4>(3);
            } else if !self.odd.val() {
                self.keep.next = bits::<4>(7);
            }
        }
        if self.last.val() & self.tuser.val().get_bit(0) {
            self.keep.next = bits::<4>(0);
        }

        if self.free.val() {
            self.valid.d.next = self.rest.q.val();
            self.held.d.next.data =
                (bit_cast::<128, 64>(self.high_half.val()) << 64) | bit_cast::<128, 64>(self.low_half.val());
            self.held.d.next.keep = self.keep.val();
            self.held.d.next.last = self.last.val();
            self.held.d.next.bar_hit = self.bar_hit_now.val();
            if self.rest.q.val() {
                self.held.d.next.keep = self.rest_keep.q.val();
                self.held.d.next.last = true;
                self.rest.d.next = false;
                self.shifted.d.next = false;
            } else if self.tvalid.val() {
                self.upper.d.next = self.tdata.val().get_bits::<64>(64);
                comment!("nothing leaves of a beat in whose upper half alone a packet begins");
                self.valid.d.next = self.shifted.q.val() | self.ends.val() | !self.begins_high.val();
                self.rest.d.next = self.shifted.q.val() & self.ends.val() & self.ends_high.val();
                self.rest_keep.d.next = bits::<4>(1);
                if self.tuser.val().get_bit(0) {
                    self.rest_keep.d.next = bits::<4>(0);
                } else if self.odd.val() {
                    self.rest_keep.d.next = bits::<4>(3);
                }
                if self.begins.val() {
                    self.bar_hit.d.next = self.tuser.val().get_bits::<2>(2);
                    self.shifted.d.next = self.begins_high.val();
                } else if self.last.val() {
                    self.shifted.d.next = false;
                }
            }
        }
        self.packet.data.next = self.held.q.val();
        self.packet.valid.next = self.valid.q.val();
        self.busy.next = self.valid.q.val() | self.shifted.q.val();
    }
}
