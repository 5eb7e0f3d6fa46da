//! UltraScale+ requester completions, 128 bits: answers to our reads.
use super::completion::UltraScalePlusCompletion;
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::types::CompletionBeat;
use rust_hdl::prelude::*;

/// Moves the payload of `m_axis_rc` from behind the three double words of the descriptor to lane 0 (PG213, "Requester
/// completion interface", double word aligned, not straddled).
///
/// ```text
/// tdata: | D0 descriptor | D4 D3 D2 D1 | D8 D7 D6 D5 |        `tuser` bit 42: discontinue, in the last beat
/// beats:                 | D3 D2 D1 D0 | D7 D6 D5 D4 | D8 |   the last one while the next descriptor comes in
/// ```
/// A packet that ends in another beat than its descriptor says, or with discontinue, is counted, and ends with a poisoned beat.
#[derive(Block)]
pub struct UltraScalePlusReceive128 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// {bus, device, function}.
    pub function_id: Signal<In, Bits<16>>,
    /// `m_axis_rc`.
    pub tdata: Signal<In, Bits<128>>,
    pub tlast: Signal<In, Bit>,
    pub tuser: Signal<In, Bits<75>>,
    pub tvalid: Signal<In, Bit>,
    pub tready: Signal<Out, Bit>,
    /// The same completions.
    pub completion: Source<CompletionBeat>,
    /// One cycle for each malformed packet.
    pub malformed: Signal<Out, Bit>,
    /// Something is inside.
    pub busy: Signal<Out, Bit>,

    decode: UltraScalePlusCompletion,
    in_packet: Reg<Bit>,
    header: DFF<CompletionBeat>,
    first: DFF<Bit>,
    /// Payload double words that have not left; 0: the rest of the packet is dropped.
    left: DFF<Bits<11>>,
    lane3: DFF<Bits<32>>,
    /// `lane3` is all that is left of a packet.
    flush: Reg<Bit>,
    flush_bad: DFF<Bit>,
    beat: DFF<CompletionBeat>,
    valid: Reg<Bit>,
    malformed_pulse: Reg<Bit>,

    free: Signal<Local, Bit>,
    dropping: Signal<Local, Bit>,
    ends_here: Signal<Local, Bit>,
    bad: Signal<Local, Bit>,
    low_lanes: Signal<Local, Bits<96>>,
}

impl Logic for UltraScalePlusReceive128 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_receive_128: completions of the UltraScale+ block, 128 bits");
        self.free.next = !self.valid.q.val() | self.completion.ready.val();
        self.tready.next = self.free.val();
        self.decode.descriptor.next = self.tdata.val().get_bits::<96>(0);
        self.decode.function_id.next = self.function_id.val();

        comment!("does the packet end where its descriptor says?");
        self.dropping.next = self.in_packet.q.val() & (self.left.q.val() == bits::<11>(0));
        self.ends_here.next = self.decode.header.val().length <= bits::<11>(1);
        if self.in_packet.q.val() {
            self.ends_here.next = self.left.q.val() <= bits::<11>(5);
        }
        self.bad.next = (self.tlast.val() ^ self.ends_here.val()) | (self.tlast.val() & self.tuser.val().get_bit(42));

        self.low_lanes.next = self.tdata.val().get_bits::<96>(0);
        self.malformed_pulse.d.next = false;
        if self.free.val() {
            self.valid.d.next = self.flush.q.val();
            self.beat.d.next = self.header.q.val();
            self.beat.d.next.data =
                (bit_cast::<128, 96>(self.low_lanes.val()) << 32) | bit_cast::<128, 32>(self.lane3.q.val());
            self.beat.d.next.first = self.first.q.val();
            self.beat.d.next.last = true;
            self.beat.d.next.poisoned = self.header.q.val().poisoned | self.flush_bad.q.val();
            self.flush.d.next = false;
            if self.tvalid.val() {
                self.in_packet.d.next = !self.tlast.val();
                self.lane3.d.next = self.tdata.val().get_bits::<32>(96);
                self.flush_bad.d.next = self.bad.val();
                self.malformed_pulse.d.next = self.bad.val() & !self.dropping.val();
                if !self.in_packet.q.val() {
                    self.header.d.next = self.decode.header.val();
                    self.first.d.next = true;
                    self.left.d.next = self.decode.header.val().length;
                    if self.tlast.val() | self.bad.val() {
                        self.flush.d.next = true;
                        self.left.d.next = bits::<11>(0);
                    }
                } else if !self.dropping.val() {
                    self.first.d.next = false;
                    self.valid.d.next = true;
                    self.beat.d.next.last = (self.left.q.val() <= bits::<11>(4)) | self.bad.val();
                    self.beat.d.next.poisoned = self.header.q.val().poisoned | self.bad.val();
                    self.left.d.next = self.left.q.val() - bits::<11>(4);
                    if self.bad.val() {
                        self.left.d.next = bits::<11>(0);
                    } else if self.left.q.val() == bits::<11>(5) {
                        self.flush.d.next = true;
                    }
                }
            }
        }
        self.completion.data.next = self.beat.q.val();
        self.completion.valid.next = self.valid.q.val();
        self.malformed.next = self.malformed_pulse.q.val();
        self.busy.next = self.in_packet.q.val() | self.flush.q.val() | self.valid.q.val();
    }
}
