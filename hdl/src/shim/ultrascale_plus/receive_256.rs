//! UltraScale+ requester completions, 256 bits: answers to our reads.
use super::completion::UltraScalePlusCompletion;
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::types::CompletionBeat;
use rust_hdl::prelude::*;

/// Cuts the payload of `m_axis_rc` into beats of 128 bits, the first double word in lane 0 (PG213, "Requester completion
/// interface", double word aligned, not straddled).
///
/// ```text
/// tdata: | D4 ... D0 descriptor | D12 D11 ... D7 D6 D5 |           `tuser` bit 42: discontinue, in the last beat
/// beats: | D3 D2 D1 D0 |          lanes 6 to 3: the beat is taken, and D4 kept
///        | D7 D6 D5 D4 |          what was kept and lanes 2 to 0 of the next beat, which stays
///        | D11 D10 D9 D8 |        lanes 6 to 3 of it: taken, D12 kept
///        | D12 |
/// ```
/// A beat leaves in every cycle. A packet that ends otherwise than its descriptor says, or with discontinue, is counted, and
/// ends with a poisoned beat.
#[derive(Block)]
pub struct UltraScalePlusReceive256 {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// {bus, device, function}.
    pub function_id: Signal<In, Bits<16>>,
    /// `m_axis_rc`.
    pub tdata: Signal<In, Bits<256>>,
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
    /// The rest of the packet is dropped.
    dropping: Reg<Bit>,
    /// Payload double words that have not left.
    left: DFF<Bits<11>>,
    lane7: DFF<Bits<32>>,
    /// `lane7` is the next double word.
    kept: Reg<Bit>,
    /// And the last.
    flush: Reg<Bit>,
    beat: DFF<CompletionBeat>,
    /// The packet was poisoned from its beginning.
    poisoned: DFF<Bit>,
    valid: Reg<Bit>,
    malformed_pulse: Reg<Bit>,

    free: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    left_now: Signal<Local, Bits<11>>,
    ends_here: Signal<Local, Bit>,
    bad: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    low_lanes: Signal<Local, Bits<96>>,
    middle_lanes: Signal<Local, Bits<128>>,
}

impl Logic for UltraScalePlusReceive256 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_receive_256: completions of the UltraScale+ block, 256 bits");
        self.free.next = !self.valid.q.val() | self.completion.ready.val();
        self.decode.descriptor.next = self.tdata.val().get_bits::<96>(0);
        self.decode.function_id.next = self.function_id.val();
        self.begins.next = !self.in_packet.q.val() & !self.kept.q.val();

        comment!("does the packet end where its descriptor says? eight lanes and what was kept, or five");
        self.left_now.next = self.left.q.val();
        if self.begins.val() {
            self.left_now.next = self.decode.header.val().length;
        }
        self.ends_here.next = self.left_now.val() <= bits::<11>(5);
        if self.kept.q.val() {
            self.ends_here.next = self.left_now.val() <= bits::<11>(9);
        }
        self.bad.next = (self.tlast.val() ^ self.ends_here.val()) | (self.tlast.val() & self.tuser.val().get_bit(42));
        self.last.next = (self.left_now.val() <= bits::<11>(4)) | self.bad.val();
        comment!("a beat stays while its upper lanes have not left");
        self.take.next =
            self.dropping.q.val() | (self.free.val() & !self.flush.q.val() & (!self.kept.q.val() | self.last.val()));
        self.tready.next = self.take.val();

        self.low_lanes.next = self.tdata.val().get_bits::<96>(0);
        self.middle_lanes.next = self.tdata.val().get_bits::<128>(96);
        self.malformed_pulse.d.next = false;
        if self.dropping.q.val() {
            self.dropping.d.next = !(self.tvalid.val() & self.tlast.val());
        }
        if self.free.val() {
            self.valid.d.next = (self.tvalid.val() & !self.dropping.q.val()) | self.flush.q.val();
            self.beat.d.next.data = self.middle_lanes.val();
            if self.kept.q.val() {
                self.beat.d.next.data =
                    (bit_cast::<128, 96>(self.low_lanes.val()) << 32) | bit_cast::<128, 32>(self.lane7.q.val());
            }
            self.beat.d.next.last = self.last.val() | self.flush.q.val();
            self.beat.d.next.poisoned = self.poisoned.q.val() | (self.bad.val() & !self.flush.q.val());
            self.beat.d.next.first = self.begins.val();
            if self.flush.q.val() {
                self.flush.d.next = false;
                self.kept.d.next = false;
            } else if self.tvalid.val() & !self.dropping.q.val() {
                if self.begins.val() {
                    self.poisoned.d.next = self.decode.header.val().poisoned;
                    self.beat.d.next.poisoned = self.decode.header.val().poisoned | self.bad.val();
                    self.beat.d.next.tag = self.decode.header.val().tag;
                    self.beat.d.next.requester_id = self.decode.header.val().requester_id;
                    self.beat.d.next.status = self.decode.header.val().status;
                    self.beat.d.next.byte_count = self.decode.header.val().byte_count;
                    self.beat.d.next.lower_address = self.decode.header.val().lower_address;
                    self.beat.d.next.length = self.decode.header.val().length;
                }
                self.left.d.next = self.left_now.val() - bits::<11>(4);
                self.malformed_pulse.d.next = self.bad.val();
                self.dropping.d.next = self.bad.val() & !self.tlast.val();
                if self.last.val() {
                    self.in_packet.d.next = false;
                    self.kept.d.next = false;
                } else if self.kept.q.val() {
                    self.in_packet.d.next = true;
                    self.kept.d.next = false;
                } else {
                    self.lane7.d.next = self.tdata.val().get_bits::<32>(224);
                    self.in_packet.d.next = !self.tlast.val();
                    self.kept.d.next = true;
                    self.flush.d.next = self.tlast.val();
                }
            }
        }
        self.completion.data.next = self.beat.q.val();
        self.completion.valid.next = self.valid.q.val();
        self.malformed.next = self.malformed_pulse.q.val();
        self.busy.next = self.in_packet.q.val() | self.kept.q.val() | self.dropping.q.val() | self.valid.q.val();
    }
}
