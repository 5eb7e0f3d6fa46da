//! Takes the header off the bytes of a chain: what is left is a frame.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, Stage};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::layout;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Strips the header of 10 or 12 bytes, moves the frame behind it to lane 0, and reports each chain used.
///
/// One beat per cycle; the word that is left over behind the last beat of a frame leaves while the first beat of the next one,
/// which gives no word, comes in. A frame of fewer than 14 or more than the most bytes gives no words; one whose reads failed, or whose
/// checksum does not lie in it, has `drop` with its last word.
#[derive(Block)]
pub struct TransmitHeader {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Take no chain; those taken before go on.
    pub stop: Signal<In, Bit>,
    /// The header has 12 bytes.
    pub merge: Signal<In, Bit>,
    /// The driver may leave checksums to the device.
    pub csum: Signal<In, Bit>,
    pub chain: Sink<Chain>,
    pub readable: Sink<ByteBeat>,
    pub scatter: Source<ScatterCommand>,
    pub word: Source<TransmitWord>,
    /// One cycle: a frame will not be sent.
    pub dropped: Signal<Out, Bit>,
    /// One cycle: a chain was shorter than a header.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,
    pub idle: Signal<Out, Bit>,

    halted: Reg<Bit>,
    // the chain ahead is the first that is shorter than a header: one cycle
    ahead_short: Reg<Bit>,
    // the chain ahead
    ahead: Reg<Bit>,
    ahead_head: DFF<Bits<16>>,
    ahead_refused: DFF<Bit>,
    ahead_bad: DFF<Bit>,
    ahead_merge: DFF<Bit>,
    ahead_length: DFF<Bits<14>>,
    // the chain at hand, from its first beat on
    inside: Reg<Bit>,
    head: DFF<Bits<16>>,
    refused: DFF<Bit>,
    bad: DFF<Bit>,
    // its header has 12 bytes: the driver may negotiate anew before the next chain
    long: DFF<Bit>,
    length: DFF<Bits<14>>,
    wants_sum: DFF<Bit>,
    start: DFF<Bits<16>>,
    offset: DFF<Bits<16>>,
    failed: DFF<Bit>,
    // bytes that wait for the next beat
    carry: DFF<Bits<48>>,
    left_over: Reg<Bit>,
    left_over_drop: DFF<Bit>,
    // the word that leaves
    word_valid: Reg<Bit>,
    word_data: DFF<TransmitWord>,
    drop_event: Reg<Bit>,
    /// The checksum's place lies outside the frame; of the word in `word_data`.
    outside: DFF<Bit>,
    // the end of a frame that is not refused, and whether it is known to be dropped
    ended: Reg<Bit>,
    ended_bad: DFF<Bit>,
    command: Stage<ScatterCommand>,

    #[given]
    short_header: Constant<Bits<32>>,
    #[given]
    long_header: Constant<Bits<32>>,
    #[given]
    frame_min: Constant<Bits<32>>,
    #[given]
    frame_max: Constant<Bits<32>>,
    #[given]
    length_mask: Constant<Bits<14>>,

    readable_length: Signal<Local, Bits<32>>,
    bad_length: Signal<Local, Bit>,
    too_short: Signal<Local, Bit>,
    frame_length: Signal<Local, Bits<32>>,
    report: Signal<Local, ViolationReport>,
    may_emit: Signal<Local, Bit>,
    may_begin: Signal<Local, Bit>,
    merged: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    follow: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    failing: Signal<Local, Bit>,
    shown_word: Signal<Local, TransmitWord>,
    position: Signal<Local, Bits<18>>,
    position_end: Signal<Local, Bits<18>>,
    wide: Signal<Local, Bits<128>>,
    bytes: Signal<Local, Bits<6>>,
    out_word: Signal<Local, TransmitWord>,
    out_command: Signal<Local, ScatterCommand>,
}

impl TransmitHeader {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(TransmitHeaderGiven {
            short_header: Constant::new(u64::from(layout::net::HEADER_BYTES).into()),
            long_header: Constant::new(u64::from(layout::net::MERGE_HEADER_BYTES).into()),
            frame_min: Constant::new(u64::from(layout::net::FRAME_BYTES_MIN).into()),
            frame_max: Constant::new(sizes.max_frame().into()),
            length_mask: Constant::new(sizes.length_mask().into()),
        })
    }
}

impl Logic for TransmitHeader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit_header: takes the virtio header off the frames to send");
        comment!(
            "---- the chain ahead \
             every comparison is with a constant, the kind of header selects"
        );
        self.readable_length.next = self.chain.data.val().readable_length;
        self.too_short.next = self.readable_length.val() < self.short_header.val();
        self.bad_length.next = (self.readable_length.val() < self.short_header.val() + self.frame_min.val())
            | (self.readable_length.val() > self.short_header.val() + self.frame_max.val());
        self.frame_length.next = self.readable_length.val() - self.short_header.val();
        if self.merge.val() {
            self.too_short.next = self.readable_length.val() < self.long_header.val();
            self.bad_length.next = (self.readable_length.val() < self.long_header.val() + self.frame_min.val())
                | (self.readable_length.val() > self.long_header.val() + self.frame_max.val());
            self.frame_length.next = self.readable_length.val() - self.long_header.val();
        }
        self.report.next.rule = Violation::RequestTooShort;
        self.report.next.head = self.ahead_head.q.val();
        self.violation.next = self.report.val();
        self.violation_valid.next = self.ahead_short.q.val();
        self.ahead_short.d.next = false;
        if self.ahead_short.q.val() {
            self.halted.d.next = true;
        }
        self.chain.ready.next = !self.ahead.q.val() & !self.stop.val();
        if self.chain.valid.val() & !self.ahead.q.val() & !self.stop.val() {
            self.ahead.d.next = true;
            self.ahead_head.d.next = self.chain.data.val().head;
            self.ahead_length.d.next = self.frame_length.val().get_bits::<14>(0) & self.length_mask.val();
            self.ahead_bad.d.next = self.bad_length.val();
            self.ahead_merge.d.next = self.merge.val();
            self.ahead_refused.d.next = self.chain.data.val().error | self.halted.q.val() | self.too_short.val();
            self.ahead_short.d.next = self.too_short.val() & !self.chain.data.val().error & !self.halted.q.val();
        }

        comment!("---- beats");
        self.may_emit.next = !self.word_valid.q.val() | self.word.ready.val();
        self.may_begin.next = self.may_emit.val() & self.ahead.q.val() & self.command.input.ready.val();
        self.readable.ready.next = self.may_begin.val();
        if self.inside.q.val() {
            self.readable.ready.next = self.may_emit.val();
        }
        self.begins.next = self.readable.valid.val() & !self.inside.q.val() & self.may_begin.val();
        self.follow.next = self.readable.valid.val() & self.inside.q.val() & self.may_emit.val();
        self.ends.next = (self.begins.val() | self.follow.val()) & self.readable.data.val().last;
        self.merged.next = self.ahead_merge.q.val();
        if self.inside.q.val() {
            self.merged.next = self.long.q.val();
        }
        self.failing.next = self.readable.data.val().error | (self.inside.q.val() & self.failed.q.val());
        self.wide.next = self.readable.data.val().data;
        if self.begins.val() {
            self.ahead.d.next = false;
            self.head.d.next = self.ahead_head.q.val();
            self.refused.d.next = self.ahead_refused.q.val();
            self.bad.d.next = self.ahead_bad.q.val();
            self.long.d.next = self.ahead_merge.q.val();
            self.length.d.next = self.ahead_length.q.val();
            self.wants_sum.d.next = self.wide.val().get_bit(0) & self.csum.val();
            self.start.d.next = self.wide.val().get_bits::<16>(48);
            self.offset.d.next = self.wide.val().get_bits::<16>(64);
        }
        if self.begins.val() | self.follow.val() {
            self.inside.d.next = !self.readable.data.val().last;
            self.failed.d.next = self.failing.val();
            self.carry.d.next = self.wide.val().get_bits::<48>(80);
            if self.merged.val() {
                self.carry.d.next = bit_cast::<48, 32>(self.wide.val().get_bits::<32>(96));
            }
        }

        comment!("where the checksum goes; the registers hold it from the second beat on");
        self.position.next = bit_cast::<18, 16>(self.start.q.val()) + bit_cast::<18, 16>(self.offset.q.val());
        self.position_end.next = self.position.val() + 2;
        comment!("told one cycle later, together with the word");
        if self.may_emit.val() {
            self.outside.d.next =
                self.wants_sum.q.val() & (self.position_end.val() > bit_cast::<18, 14>(self.length.q.val()));
        }

        comment!("---- words");
        if self.word.ready.val() {
            self.word_valid.d.next = false;
        }
        self.bytes.next = bit_cast::<6, 5>(self.readable.data.val().count) + 6;
        self.out_word.next.data = bit_cast::<128, 48>(self.carry.q.val()) | (self.wide.val() << 48);
        if self.long.q.val() {
            self.bytes.next = bit_cast::<6, 5>(self.readable.data.val().count) + 4;
            self.out_word.next.data = bit_cast::<128, 48>(self.carry.q.val()) | (self.wide.val() << 32);
        }
        self.out_word.next.last = self.readable.data.val().last & (self.bytes.val() <= 16);
        self.out_word.next.drop = self.failing.val();
        self.out_word.next.length = self.length.q.val();
        self.out_word.next.sum = self.wants_sum.q.val();
        self.out_word.next.start = self.start.q.val().get_bits::<14>(0) & self.length_mask.val();
        self.out_word.next.position = self.position.val().get_bits::<14>(0) & self.length_mask.val();
        if self.left_over.q.val() {
            self.out_word.next.data = bit_cast::<128, 48>(self.carry.q.val());
            self.out_word.next.last = true;
            self.out_word.next.drop = self.left_over_drop.q.val();
        }
        if self.may_emit.val() {
            self.word_data.d.next = self.out_word.val();
        }
        if self.may_emit.val() & self.left_over.q.val() {
            self.word_valid.d.next = true;
            self.left_over.d.next = false;
        }
        if self.follow.val() & !self.bad.q.val() & !self.refused.q.val() {
            self.word_valid.d.next = true;
            self.left_over.d.next = self.readable.data.val().last & (self.bytes.val() > 16);
            self.left_over_drop.d.next = self.failing.val();
        }
        self.word.valid.next = self.word_valid.q.val();
        self.shown_word.next = self.word_data.q.val();
        self.shown_word.next.drop = self.word_data.q.val().drop | self.outside.q.val();
        self.word.data.next = self.shown_word.val();

        comment!("---- the chain is used");
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = 0.into();
        self.out_command.next.used_length = 0.into();
        self.out_command.next.more = false;
        self.out_command.next.soon = self.chain.valid.val() | (self.ahead.q.val() & !self.begins.val());
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.drop = self.refused.q.val();
        self.ended.d.next = self.ends.val() & !self.refused.q.val();
        self.ended_bad.d.next = self.bad.q.val() | self.failing.val();
        if self.begins.val() {
            comment!("a frame that ends with its first beat is too short");
            self.out_command.next.head = self.ahead_head.q.val();
            self.out_command.next.drop = self.ahead_refused.q.val();
            self.ended.d.next = self.ends.val() & !self.ahead_refused.q.val();
            self.ended_bad.d.next = true;
        }
        self.drop_event.d.next = self.ended.q.val() & (self.ended_bad.q.val() | self.outside.q.val());
        self.command.input.data.next = self.out_command.val();
        self.command.input.valid.next = self.ends.val();
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.command.output);
        self.dropped.next = self.drop_event.q.val();
        self.idle.next = !self.ahead.q.val()
            & !self.inside.q.val()
            & !self.left_over.q.val()
            & !self.word_valid.q.val()
            & !self.command.output.valid.val();
    }
}
