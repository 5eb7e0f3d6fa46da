//! Makes the checksums the driver has left to the device.
use super::byte_sum::ByteSum;
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Sums each frame from where its checksum begins to its end, the field's own content included: the driver has put the
/// sum of the pseudo header there. The frame is announced when its checksum is known.
///
/// As Linux's `skb_checksum_help` does, a checksum of 0 is written as 0xffff, its other form: in UDP 0 means that there is none.
#[derive(Block)]
pub struct TransmitChecksum {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A word goes into the memory.
    pub word_valid: Signal<In, Bit>,
    pub word: Signal<In, TransmitWord>,
    /// One cycle: a frame is complete.
    pub frame_valid: Signal<Out, Bit>,
    pub frame: Signal<Out, TransmitFrame>,

    #[given]
    byte_sum: ByteSum,
    pending: StreamFifo<TransmitPending, 4>,
    out_valid: Reg<Bit>,
    out_data: DFF<TransmitFrame>,

    entry: Signal<Local, TransmitPending>,
    first_byte: Signal<Local, Bits<14>>,
    complement: Signal<Local, Bits<16>>,
    field: Signal<Local, Bits<16>>,
}

impl TransmitChecksum {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(TransmitChecksumGiven { byte_sum: ByteSum::new(sizes) })
    }
}

impl Logic for TransmitChecksum {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit_checksum: makes the checksums of the frames to send");
        self.byte_sum.beat_valid.next = self.word_valid.val();
        self.byte_sum.beat.next = self.word.val().data;
        self.byte_sum.last.next = self.word.val().last;
        self.byte_sum.start.next = self.word.val().start;
        self.byte_sum.end_byte.next = self.word.val().length;
        self.byte_sum.extra.next = 0.into();

        self.first_byte.next = self.word.val().start;
        self.entry.next.drop = self.word.val().drop;
        self.entry.next.length = self.word.val().length;
        self.entry.next.sum = self.word.val().sum;
        self.entry.next.odd = self.first_byte.val().get_bit(0);
        self.entry.next.position = self.word.val().position;
        self.pending.input.data.next = self.entry.val();
        self.pending.input.valid.next = self.word_valid.val() & self.word.val().last;
        self.pending.output.ready.next = self.byte_sum.result_valid.val();

        self.complement.next = !self.byte_sum.sum.val();
        self.field.next = self.complement.val();
        if self.pending.output.data.val().odd {
            self.field.next = (self.complement.val() << 8) | (self.complement.val() >> 8);
        }
        if !self.complement.val().any() {
            self.field.next = 0xFFFF.into();
        }
        self.out_valid.d.next = self.byte_sum.result_valid.val() & !self.pending.output.data.val().drop;
        self.out_data.d.next.last_byte = self.pending.output.data.val().length - 1;
        self.out_data.d.next.patch = self.pending.output.data.val().sum;
        self.out_data.d.next.position = self.pending.output.data.val().position;
        self.out_data.d.next.value = self.field.val();
        self.frame_valid.next = self.out_valid.q.val();
        self.frame.next = self.out_data.q.val();
    }
}
