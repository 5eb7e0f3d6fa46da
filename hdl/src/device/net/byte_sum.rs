//! Ones' complement sum over a stretch of a frame.
use super::types::FrameSizes;
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Sums the 16-bit words of a frame from byte `start` to the one before `end`, in ones' complement. One beat per cycle,
/// frames back to back; no backpressure.
///
/// Words are little-endian, in the lanes of the beats: byte 0 is the low byte of the first one. The sum of the big-endian words is
/// this sum with its bytes swapped; if `start` is odd, it is this sum.
///
/// ```text
/// beat, start, end, extra -> masked, pairs -> quarters -> running sum -> total -> folded -> folded again -> sum
/// ```
/// The result comes 6 cycles after the last beat.
#[derive(Block)]
pub struct ByteSum {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub beat_valid: Signal<In, Bit>,
    pub beat: Signal<In, Bits<128>>,
    pub last: Signal<In, Bit>,
    /// First byte that counts; the same with every beat from the one it is in, none that is in an earlier one before.
    pub start: Signal<In, Bits<14>>,
    /// The byte behind the last one that counts; likewise.
    pub end_byte: Signal<In, Bits<14>>,
    /// Added to the sum; with the last beat.
    pub extra: Signal<In, Bits<17>>,
    /// One cycle: the sum of a frame.
    pub result_valid: Signal<Out, Bit>,
    pub sum: Signal<Out, Bits<16>>,

    // of the beat within its frame; whether the stretch has begun, and ended, before it
    number: Reg<Bits<10>>,
    begun: Reg<Bit>,
    over: Reg<Bit>,
    // sums of two words
    pairs_valid: Reg<Bit>,
    pairs_last: DFF<Bit>,
    pairs_extra: DFF<Bits<17>>,
    pair_0: DFF<Bits<17>>,
    pair_1: DFF<Bits<17>>,
    pair_2: DFF<Bits<17>>,
    pair_3: DFF<Bits<17>>,
    // sums of four words
    quads_valid: Reg<Bit>,
    quads_last: DFF<Bit>,
    quads_extra: DFF<Bits<17>>,
    quad_0: DFF<Bits<18>>,
    quad_1: DFF<Bits<18>>,
    // the frame so far, then the whole frame
    running: Reg<Bits<29>>,
    total_valid: Reg<Bit>,
    total_extra: DFF<Bits<17>>,
    total: DFF<Bits<29>>,
    folded_valid: Reg<Bit>,
    folded: DFF<Bits<18>>,
    again_valid: Reg<Bit>,
    again: DFF<Bits<17>>,
    result: DFF<Bits<16>>,
    done: Reg<Bit>,

    #[given]
    number_mask: Constant<Bits<10>>,
    // a sum of that many words
    #[given]
    sum_mask: Constant<Bits<29>>,

    begins_here: Signal<Local, Bit>,
    ends_here: Signal<Local, Bit>,
    from_start: Signal<Local, Bits<16>>,
    to_end: Signal<Local, Bits<16>>,
    lanes: Signal<Local, Bits<16>>,
    masks: [Signal<Local, Bits<16>>; 8],
    words: [Signal<Local, Bits<16>>; 8],
    running_next: Signal<Local, Bits<29>>,
    total_low: Signal<Local, Bits<16>>,
    total_high: Signal<Local, Bits<13>>,
    folded_low: Signal<Local, Bits<16>>,
    folded_high: Signal<Local, Bits<2>>,
    again_low: Signal<Local, Bits<16>>,
    again_high: Signal<Local, Bits<1>>,
}

impl ByteSum {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(ByteSumGiven {
            number_mask: Constant::new(sizes.number_mask().into()),
            sum_mask: Constant::new((sizes.number_mask() << 19 | 0x7_FFFF).into()),
        })
    }
}

impl Logic for ByteSum {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_byte_sum: ones' complement sum over a stretch of a frame");
        self.begins_here.next = self.number.q.val() == self.start.val().get_bits::<10>(4);
        self.ends_here.next = self.number.q.val() == self.end_byte.val().get_bits::<10>(4);
        if self.beat_valid.val() {
            self.number.d.next = (self.number.q.val() + 1) & self.number_mask.val();
            self.begun.d.next = self.begun.q.val() | self.begins_here.val();
            self.over.d.next = self.over.q.val() | self.ends_here.val();
            if self.last.val() {
                self.number.d.next = 0.into();
                self.begun.d.next = false;
                self.over.d.next = false;
            }
        }

        comment!("the lanes that count");
        self.from_start.next = 0.into();
        if self.begun.q.val() {
            self.from_start.next = 0xFFFF.into();
        } else if self.begins_here.val() {
            self.from_start.next = bits::<16>(0xFFFF) << self.start.val().get_bits::<4>(0);
        }
        self.to_end.next = 0xFFFF.into();
        if self.over.q.val() {
            self.to_end.next = 0.into();
        } else if self.ends_here.val() {
            self.to_end.next = !(bits::<16>(0xFFFF) << self.end_byte.val().get_bits::<4>(0));
        }
        self.lanes.next = self.from_start.val() & self.to_end.val();
        for i in 0..8 {
            self.masks[i].next = 0.into();
            if self.lanes.val().get_bit(2 * i) {
                self.masks[i].next = 0x00FF.into();
            }
            if self.lanes.val().get_bit(2 * i + 1) {
                self.masks[i].next = self.masks[i].val() | 0xFF00;
            }
            self.words[i].next = self.beat.val().get_bits::<16>(i * 16) & self.masks[i].val();
        }
        self.pair_0.d.next = bit_cast::<17, 16>(self.words[0].val()) + bit_cast::<17, 16>(self.words[1].val());
        self.pair_1.d.next = bit_cast::<17, 16>(self.words[2].val()) + bit_cast::<17, 16>(self.words[3].val());
        self.pair_2.d.next = bit_cast::<17, 16>(self.words[4].val()) + bit_cast::<17, 16>(self.words[5].val());
        self.pair_3.d.next = bit_cast::<17, 16>(self.words[6].val()) + bit_cast::<17, 16>(self.words[7].val());
        self.pairs_valid.d.next = self.beat_valid.val();
        self.pairs_last.d.next = self.last.val();
        self.pairs_extra.d.next = self.extra.val();

        self.quad_0.d.next = bit_cast::<18, 17>(self.pair_0.q.val()) + bit_cast::<18, 17>(self.pair_1.q.val());
        self.quad_1.d.next = bit_cast::<18, 17>(self.pair_2.q.val()) + bit_cast::<18, 17>(self.pair_3.q.val());
        self.quads_valid.d.next = self.pairs_valid.q.val();
        self.quads_last.d.next = self.pairs_last.q.val();
        self.quads_extra.d.next = self.pairs_extra.q.val();

        self.running_next.next =
            (self.running.q.val() + bit_cast::<29, 18>(self.quad_0.q.val()) + bit_cast::<29, 18>(self.quad_1.q.val()))
                & self.sum_mask.val();
        if self.quads_valid.q.val() {
            self.running.d.next = self.running_next.val();
            if self.quads_last.q.val() {
                self.running.d.next = 0.into();
            }
        }
        self.total.d.next = self.running_next.val();
        self.total_extra.d.next = self.quads_extra.q.val();
        self.total_valid.d.next = self.quads_valid.q.val() & self.quads_last.q.val();

        comment!("carries come round: at most 65535 + 8191 + 131071, then 65535 + 3, then 65535");
        self.total_low.next = self.total.q.val().get_bits::<16>(0);
        self.total_high.next = self.total.q.val().get_bits::<13>(16);
        self.folded.d.next = bit_cast::<18, 16>(self.total_low.val())
            + bit_cast::<18, 13>(self.total_high.val())
            + bit_cast::<18, 17>(self.total_extra.q.val());
        self.folded_valid.d.next = self.total_valid.q.val();
        self.folded_low.next = self.folded.q.val().get_bits::<16>(0);
        self.folded_high.next = self.folded.q.val().get_bits::<2>(16);
        self.again.d.next = bit_cast::<17, 16>(self.folded_low.val()) + bit_cast::<17, 2>(self.folded_high.val());
        self.again_valid.d.next = self.folded_valid.q.val();
        self.again_low.next = self.again.q.val().get_bits::<16>(0);
        self.again_high.next = self.again.q.val().get_bits::<1>(16);
        self.result.d.next = self.again_low.val() + bit_cast::<16, 1>(self.again_high.val());
        self.done.d.next = self.again_valid.q.val();
        self.result_valid.next = self.done.q.val();
        self.sum.next = self.result.q.val();
    }
}
