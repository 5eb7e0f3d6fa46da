//! Takes completions, checks them against the tag table and says where each beat goes.
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::tlp::types::CompletionBeat;
use rust_hdl::prelude::*;

/// One beat of an accepted completion and where it goes.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct PlacedBeat {
    /// Payload.
    pub data: Bits<128>,
    /// RAM byte address of lane 0.
    pub address: Bits<16>,
    /// Lanes to write, contiguous.
    pub lanes: Bits<16>,
    /// Whose RAM.
    pub client: Bits<4>,
    /// First beat of its packet.
    pub first: bool,
    /// Last beat of its packet.
    pub last: bool,
}

/// Completion receiver: takes one beat per cycle, with one cycle between packets.
///
/// ```text
/// completion -> [ header arithmetic ] -> check against the tag table -> [ where this beat goes ] -> lanes -> beat
///                  registers                                                registers
/// ```
/// A completion is believed only if its tag is outstanding, it is addressed to this function, and its byte
/// count, its lower address and its length agree with what the tag still expects. Any other completion
/// of an outstanding tag ends the tag with an error; whatever a completion says, no lane outside the tag's
/// destination is written, because the window of lanes comes from the checked header, not from where the packet
/// happens to end.
#[derive(Block)]
pub struct CompletionReceiver {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Our requester ID.
    pub function_id: Signal<In, Bits<16>>,
    pub completion: Sink<CompletionBeat>,

    // the tag table
    pub coming_tag: Signal<Out, Bits<8>>,
    pub lookup_tag: Signal<Out, Bits<8>>,
    pub lookup: Signal<Out, Bit>,
    pub found: Signal<In, Bit>,
    pub address: Signal<In, Bits<16>>,
    pub remaining: Signal<In, Bits<13>>,
    pub lower_address: Signal<In, Bits<7>>,
    pub client: Signal<In, Bits<4>>,
    pub advance_address: Signal<Out, Bits<16>>,
    pub advance_remaining: Signal<Out, Bits<13>>,
    pub advance_last: Signal<Out, Bit>,
    pub advance_lower_address: Signal<Out, Bits<7>>,
    pub spoil: Signal<Out, Bit>,
    pub refuse: Signal<Out, Bit>,
    pub finish: Signal<Out, Bit>,
    pub finish_tag: Signal<Out, Bits<8>>,
    pub finish_error: Signal<Out, Bit>,
    pub expire: Signal<In, Bit>,
    pub expire_tag: Signal<In, Bits<8>>,

    /// Beat for the RAM.
    pub beat: Signal<Out, PlacedBeat>,
    pub beat_valid: Signal<Out, Bit>,
    /// Pulse: a completion nobody waits for.
    pub unexpected: Signal<Out, Bit>,
    /// Nothing is inside.
    pub empty: Signal<Out, Bit>,

    // the beat at hand and what its header comes to
    held: DFF<CompletionBeat>,
    held_valid: Reg<Bit>,
    ours: DFF<Bit>,
    ends_read: DFF<Bit>,
    plausible: DFF<Bit>,
    window: DFF<Bits<13>>,
    end_window: DFF<Bits<13>>,
    moved: DFF<Bits<13>>,
    // of the beat that comes in
    waits: Signal<Local, Bit>,
    skip_in: Signal<Local, Bits<2>>,
    ends_in: Signal<Local, Bits<4>>,
    more_in: Signal<Local, Bits<2>>,
    beyond_in: Signal<Local, Bits<12>>,
    close_in: Signal<Local, Bit>,
    length_in: Signal<Local, Bits<12>>,
    bytes_in: Signal<Local, Bits<13>>,

    header: Signal<Local, Bit>,
    unmatched: Reg<Bit>,
    matched: Signal<Local, Bit>,
    good: Signal<Local, Bit>,
    skip: Signal<Local, Bits<2>>,
    moved_dwords: Signal<Local, Bits<5>>,

    // the beat after the check
    in_packet: Reg<Bit>,
    placed_valid: Reg<Bit>,
    placed_data: DFF<Bits<128>>,
    placed_first: DFF<Bit>,
    placed_last: DFF<Bit>,
    placed_address: DFF<Bits<16>>,
    placed_window: DFF<Bits<13>>,
    placed_skip: DFF<Bits<2>>,
    placed_client: DFF<Bits<4>>,
    placed_tag: DFF<Bits<8>>,
    // it was the oldest tag one cycle ago; the oldest one does not expire in the cycle after it has changed
    placed_oldest: DFF<Bit>,
    placed_ends_read: DFF<Bit>,
    placed_poisoned: DFF<Bit>,
    placed_cut: DFF<Bit>,
    // no more than this beat is left of the window
    complete: DFF<Bit>,
    alive: Signal<Local, Bit>,
    broken: Signal<Local, Bit>,
    lanes: Signal<Local, Bits<16>>,
    edge_lanes: Signal<Local, Bits<16>>,
    whole: Signal<Local, Bit>,
    in_window: Signal<Local, Bits<4>>,
    placed: Signal<Local, PlacedBeat>,
}

impl Logic for CompletionReceiver {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_read_receiver: checks completions against the tag table, places their beats");
        comment!(
            "first stage: the tag is looked up. A header does not come right behind the end of another packet, which may be \
             of the same tag: that one has been accounted for, and found to end as it should, one cycle later. On a link the \
             header's own double words leave that cycle free."
        );
        self.waits.next = self.held_valid.q.val() & self.held.q.val().last & self.completion.data.val().first;
        self.completion.ready.next = !self.waits.val();
        self.held.d.next = self.completion.data.val();
        self.held_valid.d.next = self.completion.valid.val() & !self.waits.val();
        self.ours.d.next = self.completion.data.val().requester_id == self.function_id.val();
        self.skip_in.next = bit_cast::<2, 7>(self.completion.data.val().lower_address);
        comment!(
            "double words the tag still expects: byte_count / 4, and up to two more for what sticks out at both ends"
        );
        self.ends_in.next = bit_cast::<4, 2>(self.completion.data.val().byte_count.get_bits::<2>(0))
            + bit_cast::<4, 2>(self.skip_in.val())
            + 3;
        self.more_in.next = self.ends_in.val().get_bits::<2>(2);
        self.length_in.next = bit_cast::<12, 11>(self.completion.data.val().length);
        self.bytes_in.next = bit_cast::<13, 11>(self.completion.data.val().length) << 2;
        self.beyond_in.next =
            self.length_in.val() - bit_cast::<12, 11>(self.completion.data.val().byte_count.get_bits::<11>(2));
        self.close_in.next = !self.beyond_in.val().get_bits::<10>(2).any();
        self.ends_read.d.next = self.close_in.val() & (self.beyond_in.val().get_bits::<2>(0) == self.more_in.val());
        self.plausible.d.next = (self.completion.data.val().status == 0)
            & self.length_in.val().any()
            & (self.beyond_in.val().get_bit(11)
                | (self.close_in.val() & (self.beyond_in.val().get_bits::<2>(0) <= self.more_in.val())));
        comment!("bytes from lane 0 of the first beat to the last valid one");
        self.window.d.next = self.bytes_in.val();
        self.end_window.d.next = self.completion.data.val().byte_count + bit_cast::<13, 2>(self.skip_in.val());
        self.moved.d.next = self.bytes_in.val() - bit_cast::<13, 2>(self.skip_in.val());

        comment!("second stage: look the tag up and account for the packet");
        self.coming_tag.next = self.completion.data.val().tag;
        self.lookup_tag.next = self.held.q.val().tag;
        self.header.next = self.held_valid.q.val() & self.held.q.val().first;
        self.lookup.next = self.header.val() & self.ours.q.val();
        self.matched.next = self.header.val() & self.ours.q.val() & self.found.val();
        self.good.next = self.matched.val()
            & self.plausible.q.val()
            & (self.held.q.val().byte_count == self.remaining.val())
            & (self.held.q.val().lower_address == self.lower_address.val());
        self.unmatched.d.next = self.header.val() & !self.matched.val();
        self.unexpected.next = self.unmatched.q.val();
        self.refuse.next = self.matched.val() & !self.good.val();
        self.spoil.next = self.good.val() & self.held.q.val().poisoned;
        self.advance_address.next = self.address.val() + bit_cast::<16, 13>(self.moved.q.val());
        self.advance_remaining.next = self.remaining.val() - self.moved.q.val();
        self.advance_last.next = self.ends_read.q.val();
        if self.ends_read.q.val() {
            self.advance_remaining.next = 0.into();
        }
        self.moved_dwords.next =
            self.lower_address.val().get_bits::<5>(2) + bit_cast::<5, 11>(self.held.q.val().length);
        self.advance_lower_address.next = bit_cast::<7, 5>(self.moved_dwords.val()) << 2;

        self.skip.next = bit_cast::<2, 7>(self.held.q.val().lower_address);
        self.placed_oldest.d.next = self.expire_tag.val() == self.placed_tag.q.val();
        if self.header.val() {
            self.placed_oldest.d.next = self.expire_tag.val() == self.held.q.val().tag;
        }
        self.alive.next = !(self.expire.val() & self.placed_oldest.q.val());
        comment!(
            "a packet must end where its length says; one that was cut inside its last beat has only that poisoned"
        );
        self.broken.next = self.placed_valid.q.val()
            & ((self.complete.q.val() != self.placed_last.q.val())
                | (self.placed_cut.q.val() & !self.placed_poisoned.q.val()));
        self.placed_valid.d.next = false;
        if self.held_valid.q.val() {
            self.placed_data.d.next = self.held.q.val().data;
            self.placed_first.d.next = self.held.q.val().first;
            self.placed_last.d.next = self.held.q.val().last;
            self.placed_cut.d.next = self.held.q.val().poisoned;
            if self.held.q.val().first {
                self.placed_valid.d.next = self.good.val();
                self.placed_address.d.next = self.address.val() - bit_cast::<16, 2>(self.skip.val());
                self.placed_window.d.next = self.window.q.val();
                self.complete.d.next = self.window.q.val() <= 16;
                if self.ends_read.q.val() {
                    self.placed_window.d.next = self.end_window.q.val();
                    self.complete.d.next = self.end_window.q.val() <= 16;
                }
                self.placed_skip.d.next = self.skip.val();
                self.placed_client.d.next = self.client.val();
                self.placed_tag.d.next = self.held.q.val().tag;
                self.placed_ends_read.d.next = self.ends_read.q.val();
                self.placed_poisoned.d.next = self.held.q.val().poisoned;
            } else {
                self.placed_valid.d.next = self.in_packet.q.val() & self.alive.val() & !self.broken.val();
                self.placed_address.d.next = self.placed_address.q.val() + 16;
                self.placed_window.d.next = self.placed_window.q.val() - 16;
                self.complete.d.next = self.placed_window.q.val() <= 32;
                self.placed_skip.d.next = 0.into();
            }
        }
        if self.header.val() {
            self.in_packet.d.next = self.good.val();
        } else if !self.alive.val() | self.broken.val() {
            self.in_packet.d.next = false;
        }

        comment!("third stage: the beat's lanes");
        comment!("a tag that is given up in this very cycle has ended anyway");
        self.finish.next =
            self.broken.val() | (self.placed_valid.q.val() & self.placed_last.q.val() & self.placed_ends_read.q.val());
        self.finish_tag.next = self.placed_tag.q.val();
        self.finish_error.next = self.broken.val();

        self.whole.next = self.placed_window.q.val().get_bits::<9>(4).any();
        self.in_window.next = bit_cast::<4, 13>(self.placed_window.q.val());
        self.lanes.next = 0.into();
        for i in 0..16 {
            if self.whole.val() | (self.in_window.val() > i.to_bits::<4>()) {
                self.lanes.next = self.lanes.val().replace_bit(i, true);
            }
        }
        self.edge_lanes.next = (bits::<16>(0xFFFF) << self.placed_skip.q.val()) & self.lanes.val();
        if self.placed_poisoned.q.val() {
            self.edge_lanes.next = 0.into();
        }
        self.placed.next.data = self.placed_data.q.val();
        self.placed.next.address = self.placed_address.q.val();
        self.placed.next.lanes = self.edge_lanes.val();
        self.placed.next.client = self.placed_client.q.val();
        self.placed.next.first = self.placed_first.q.val();
        self.placed.next.last = self.placed_last.q.val();
        self.beat.next = self.placed.val();
        self.beat_valid.next = self.placed_valid.q.val() & self.alive.val();
        self.empty.next = !self.held_valid.q.val() & !self.placed_valid.q.val() & !self.unmatched.q.val();
    }
}
