//! Takes frames from the wire into the receive memory.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::virtio::layout;
use rust_hdl::prelude::*;

/// Stores frames whole. Those that are damaged, too short or too long are written over. One whose beats are not full before the last
/// one, or have holes, counts as damaged.
///
/// While the memory is full the wire waits, unless the frames in it wait for buffers: when they have done so for 256 cycles, about
/// the time in which a driver that has been woken gives new ones, the frame at the wire is dropped.
///
/// Where a frame begins is not forgotten in a reset: what follows a reset in the middle of a frame is thrown away up to its end.
#[derive(Block)]
pub struct ReceiveStore {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The stream of frames on the wire begins.
    pub wire_reset: Signal<In, Bit>,
    /// Throw everything away.
    pub stop: Signal<In, Bit>,
    pub frame_in: Sink<NetBeat>,
    /// Words of the memory read so far.
    pub read: Signal<In, Bits<12>>,
    /// One cycle: a frame has left the list of frames.
    pub taken: Signal<In, Bit>,
    /// Frames wait for buffers.
    pub starved: Signal<In, Bit>,
    /// Write port of the memory.
    pub address: Signal<Out, Bits<11>>,
    pub data: Signal<Out, Bits<128>>,
    pub write: Signal<Out, Bit>,
    /// For the check: a beat, then what is known of its frame.
    pub beat_valid: Signal<Out, Bit>,
    pub last: Signal<Out, Bit>,
    pub keep: Signal<Out, Bit>,
    pub length: Signal<Out, Bits<14>>,
    /// One cycle each: a frame was dropped.
    pub runt: Signal<Out, Bit>,
    pub oversize: Signal<Out, Bit>,
    pub error: Signal<Out, Bit>,
    pub no_buffer: Signal<Out, Bit>,
    /// No beat waits.
    pub idle: Signal<Out, Bit>,
    /// Frames in the memory.
    pub any: Signal<Out, Bit>,
    /// More than one of them.
    pub another: Signal<Out, Bit>,

    // the place in the wire's stream of frames, which a reset of the device does not change
    held: DFF<NetBeat>,
    held_valid: Reg<Bit>,
    // bytes in it, and whether its lanes are not as they must be
    held_count: DFF<Bits<5>>,
    held_ragged: DFF<Bit>,
    inside: Reg<Bit>,
    skipping: Reg<Bit>,
    // the frame at hand
    beats: Reg<Bits<10>>,
    failed: Reg<Bit>,
    long: Reg<Bit>,
    dropped: Reg<Bit>,
    // words written; those of the frame at hand begin at `begin`
    pointer: Reg<Bits<12>>,
    begin: Reg<Bits<12>>,
    frames: Reg<Bits<8>>,
    patience: Reg<Bits<9>>,
    word_room: Reg<Bit>,
    second_word_room: Reg<Bit>,
    frame_room: Reg<Bit>,
    second_frame_room: Reg<Bit>,
    wrote: Reg<Bit>,
    kept: Reg<Bit>,
    kept_length: DFF<Bits<14>>,
    runt_event: Reg<Bit>,
    oversize_event: Reg<Bit>,
    error_event: Reg<Bit>,
    no_buffer_event: Reg<Bit>,

    #[given]
    frame_min: Constant<Bits<5>>,
    // of the longest frame: full beats, and bytes behind them
    #[given]
    max_beats: Constant<Bits<10>>,
    #[given]
    max_rest: Constant<Bits<5>>,
    #[given]
    number_mask: Constant<Bits<10>>,
    #[given]
    pointer_mask: Constant<Bits<12>>,
    #[given]
    full: Constant<Bits<12>>,
    #[given]
    nearly_full: Constant<Bits<12>>,

    occupied: Signal<Local, Bits<12>>,
    room: Signal<Local, Bit>,
    quiet: Signal<Local, Bit>,
    discard: Signal<Local, Bit>,
    give_up: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    inside_next: Signal<Local, Bit>,
    enable: Signal<Local, Bits<16>>,
    enable_next: Signal<Local, Bits<16>>,
    last_in: Signal<Local, Bit>,
    after: Signal<Local, Bits<14>>,
    runt_now: Signal<Local, Bit>,
    too_long: Signal<Local, Bit>,
    failing: Signal<Local, Bit>,
    commit: Signal<Local, Bit>,
    advance: Signal<Local, Bit>,
    pointer_next: Signal<Local, Bits<12>>,
}

impl ReceiveStore {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(ReceiveStoreGiven {
            frame_min: Constant::new(u64::from(layout::net::FRAME_BYTES_MIN).into()),
            max_beats: Constant::new((sizes.max_frame() / 16).into()),
            max_rest: Constant::new((sizes.max_frame() % 16).into()),
            number_mask: Constant::new(sizes.number_mask().into()),
            pointer_mask: Constant::new(sizes.pointer_mask().into()),
            full: Constant::new(sizes.words().into()),
            nearly_full: Constant::new((sizes.words() - 1).into()),
        })
    }
}

impl Logic for ReceiveStore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_store: takes frames from the wire into the memory");
        self.held_valid.reset.next = self.wire_reset.val();
        self.inside.reset.next = self.wire_reset.val();
        self.skipping.reset.next = self.wire_reset.val();

        comment!("---- the beat at hand");
        self.occupied.next = (self.pointer.q.val() - self.read.val()) & self.pointer_mask.val();
        comment!("seen one cycle ago: room for one more, and for one more after what has been taken in since");
        self.word_room.d.next = !(self.occupied.val() & self.full.val()).any();
        self.second_word_room.d.next = self.occupied.val() < self.nearly_full.val();
        self.frame_room.d.next = !self.frames.q.val().get_bit(7);
        self.second_frame_room.d.next = self.frames.q.val() < bits::<8>(127);
        self.room.next = ((self.word_room.q.val() & !self.wrote.q.val()) | self.second_word_room.q.val())
            & ((self.frame_room.q.val() & !self.kept.q.val()) | self.second_frame_room.q.val());
        self.quiet.next = self.stop.val() | self.skipping.q.val();
        self.discard.next = self.quiet.val() | self.dropped.q.val() | self.long.q.val();
        self.give_up.next = !self.room.val() & self.patience.q.val().get_bit(8);
        self.go.next = self.held_valid.q.val() & (self.room.val() | self.discard.val() | self.give_up.val());
        self.ends.next = self.go.val() & self.held.q.val().last;
        self.frame_in.ready.next = !self.held_valid.q.val() | self.go.val();
        self.last_in.next = self.frame_in.data.val().last;
        self.enable.next = self.frame_in.data.val().keep;
        self.enable_next.next = self.enable.val() + 1;
        if !self.held_valid.q.val() | self.go.val() {
            self.held.d.next = self.frame_in.data.val();
            self.held_valid.d.next = self.frame_in.valid.val();
            self.held_count.d.next = 0.into();
            for i in 0..16 {
                if self.enable.val().get_bit(i) {
                    self.held_count.d.next = (i + 1).to_bits::<5>();
                }
            }
            comment!("lanes with a hole, none at all, or too few before the last beat");
            self.held_ragged.d.next = (self.enable.val() & self.enable_next.val()).any()
                | !self.enable.val().any()
                | (!self.last_in.val() & !self.enable.val().all());
        }
        self.inside_next.next = self.inside.q.val();
        if self.go.val() {
            self.inside_next.next = !self.held.q.val().last;
        }
        self.inside.d.next = self.inside_next.val();
        if self.stop.val() | self.reset.val() {
            comment!("all that is here or taken in now is thrown away, the beat that comes in this cycle as well");
            self.skipping.d.next =
                self.inside_next.val() | (self.held_valid.q.val() & !self.go.val()) | self.frame_in.valid.val();
        } else if self.ends.val() {
            self.skipping.d.next = false;
        }

        self.patience.d.next = 0.into();
        if self.starved.val() {
            self.patience.d.next = self.patience.q.val();
            if !self.patience.q.val().get_bit(8) {
                self.patience.d.next = self.patience.q.val() + 1;
            }
        }

        comment!("---- its bytes");
        self.after.next = (bit_cast::<14, 10>(self.beats.q.val()) << 4) + bit_cast::<14, 5>(self.held_count.q.val());
        self.runt_now.next = !self.beats.q.val().any() & (self.held_count.q.val() < self.frame_min.val());
        self.too_long.next = self.long.q.val()
            | (self.beats.q.val() > self.max_beats.val())
            | ((self.beats.q.val() == self.max_beats.val()) & (self.held_count.q.val() > self.max_rest.val()));
        self.failing.next = self.failed.q.val() | self.held.q.val().error | self.held_ragged.q.val();
        self.pointer_next.next = (self.pointer.q.val() + 1) & self.pointer_mask.val();
        self.address.next = self.pointer.q.val().get_bits::<11>(0);
        self.data.next = self.held.q.val().data;
        comment!("where there is room the beat may be written whatever comes of it: only the pointer keeps it");
        self.write.next = self.held_valid.q.val() & self.room.val();
        self.advance.next = false;
        self.commit.next = false;
        self.runt_event.d.next = false;
        self.oversize_event.d.next = false;
        self.error_event.d.next = false;
        self.no_buffer_event.d.next = false;
        if self.go.val() & !self.quiet.val() & !self.dropped.q.val() {
            self.failed.d.next = self.failing.val();
            self.beats.d.next = (self.beats.q.val() + 1) & self.number_mask.val();
            if self.too_long.val() {
                self.long.d.next = true;
                self.beats.d.next = self.beats.q.val();
                self.pointer.d.next = self.begin.q.val();
            } else if !self.room.val() {
                self.dropped.d.next = true;
                self.no_buffer_event.d.next = true;
                self.pointer.d.next = self.begin.q.val();
            } else {
                self.advance.next = true;
                self.pointer.d.next = self.pointer_next.val();
            }
            if self.held.q.val().last & (self.too_long.val() | self.room.val()) {
                self.pointer.d.next = self.begin.q.val();
                if self.failing.val() {
                    self.error_event.d.next = true;
                } else if self.too_long.val() {
                    self.oversize_event.d.next = true;
                } else if self.runt_now.val() {
                    self.runt_event.d.next = true;
                } else {
                    self.commit.next = true;
                    self.pointer.d.next = self.pointer_next.val();
                    self.begin.d.next = self.pointer_next.val();
                }
            }
        }
        self.wrote.d.next = self.advance.val();
        if self.ends.val() | self.stop.val() {
            self.beats.d.next = 0.into();
            self.failed.d.next = false;
            self.long.d.next = false;
            self.dropped.d.next = false;
        }
        if self.stop.val() {
            self.pointer.d.next = self.begin.q.val();
        }
        if self.commit.val() != self.taken.val() {
            self.frames.d.next = self.frames.q.val() + 1;
            if self.taken.val() {
                self.frames.d.next = self.frames.q.val() - 1;
            }
        }

        comment!("---- for the check");
        self.beat_valid.next = self.go.val();
        self.last.next = self.held.q.val().last;
        self.kept.d.next = self.commit.val();
        self.kept_length.d.next = self.after.val();
        self.keep.next = self.kept.q.val();
        self.length.next = self.kept_length.q.val();
        self.runt.next = self.runt_event.q.val();
        self.oversize.next = self.oversize_event.q.val();
        self.error.next = self.error_event.q.val();
        self.no_buffer.next = self.no_buffer_event.q.val();
        self.idle.next = !self.held_valid.q.val();
        self.any.next = self.frames.q.val().any();
        self.another.next = self.frames.q.val() > 1;
    }
}
