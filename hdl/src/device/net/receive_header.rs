//! Puts the virtio header before each received frame.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::layout;
use rust_hdl::prelude::*;

/// What goes along with a word read from the memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct HeaderMark {
    /// First beat of the frame: the header comes first.
    pub first: bool,
    /// Last beat of the frame.
    pub last: bool,
    /// Valid bytes.
    pub count: Bits<5>,
    /// The header says that the checksum is right.
    pub valid: bool,
    /// The header says that so many chains are used.
    pub buffers: Bits<5>,
    /// The header has 12 bytes.
    pub merge: bool,
}

/// Reads frames from the receive memory, moves them behind their header of 10 or 12 bytes, and streams both; one beat per cycle, frames
/// back to back.
#[derive(Block)]
pub struct ReceiveHeader {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub part: Sink<ReceivePart>,
    /// Address in the memory; the word comes one cycle later.
    pub address: Signal<Out, Bits<11>>,
    pub data: Signal<In, Bits<128>>,
    /// Words read so far.
    pub read: Signal<Out, Bits<12>>,
    pub writable: Source<ByteBeat>,
    pub idle: Signal<Out, Bit>,

    pointer: Reg<Bits<12>>,
    number: Reg<Bits<10>>,
    asked: Reg<Bit>,
    asked_mark: DFF<HeaderMark>,
    carry: DFF<Bits<96>>,
    chosen: Reg<Bit>,
    chosen_beat: DFF<ByteBeat>,
    beats: StreamFifo<ByteBeat, 3>,
    // places in the FIFO taken, those on their way to it included
    taken: Reg<Bits<4>>,

    #[given]
    data_valid: Constant<Bits<96>>,
    #[given]
    pointer_mask: Constant<Bits<12>>,
    #[given]
    number_mask: Constant<Bits<10>>,

    last_byte: Signal<Local, Bits<14>>,
    last: Signal<Local, Bit>,
    padded: Signal<Local, Bits<14>>,
    words: Signal<Local, Bits<10>>,
    words_wide: Signal<Local, Bits<12>>,
    issue: Signal<Local, Bit>,
    forget: Signal<Local, Bit>,
    fire: Signal<Local, Bit>,
    buffers: Signal<Local, Bits<5>>,
    carried: Signal<Local, Bits<96>>,
}

impl ReceiveHeader {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(ReceiveHeaderGiven {
            data_valid: Constant::new(u64::from(layout::net::FLAG_DATA_VALID).into()),
            pointer_mask: Constant::new(sizes.pointer_mask().into()),
            number_mask: Constant::new(sizes.number_mask().into()),
        })
    }
}

impl Logic for ReceiveHeader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_header: puts the virtio header before received frames");
        comment!("---- first stage: the address");
        self.last_byte.next = self.part.data.val().last_byte;
        self.last.next = self.last_byte.val().get_bits::<10>(4) == self.number.q.val();
        self.padded.next = self.part.data.val().length + 15;
        self.words.next = self.padded.val().get_bits::<10>(4) & self.number_mask.val();
        self.words_wide.next = bit_cast::<12, 10>(self.words.val());
        self.forget.next = self.part.valid.val() & self.part.data.val().drop;
        self.issue.next = self.part.valid.val() & !self.part.data.val().drop & (self.taken.q.val() < 8);
        self.part.ready.next = self.forget.val() | (self.issue.val() & self.last.val());
        self.address.next = self.pointer.q.val().get_bits::<11>(0);
        self.read.next = self.pointer.q.val();
        if self.forget.val() {
            self.pointer.d.next = (self.pointer.q.val() + self.words_wide.val()) & self.pointer_mask.val();
        }
        self.asked.d.next = self.issue.val();
        if self.issue.val() {
            if self.number.q.val() < self.words.val() {
                self.pointer.d.next = (self.pointer.q.val() + 1) & self.pointer_mask.val();
            }
            self.number.d.next = (self.number.q.val() + 1) & self.number_mask.val();
            if self.last.val() {
                self.number.d.next = 0.into();
            }
        }
        self.asked_mark.d.next.first = !self.number.q.val().any();
        self.asked_mark.d.next.last = self.last.val();
        self.asked_mark.d.next.count = 16.into();
        if self.last.val() {
            self.asked_mark.d.next.count = bit_cast::<5, 4>(self.last_byte.val().get_bits::<4>(0)) + 1;
        }
        self.asked_mark.d.next.valid = self.part.data.val().valid;
        self.asked_mark.d.next.buffers = self.part.data.val().buffers;
        self.asked_mark.d.next.merge = self.part.data.val().merge;

        comment!("---- second stage: the word behind what is left over");
        self.carried.next = self.carry.q.val();
        self.buffers.next = self.asked_mark.q.val().buffers;
        if self.asked_mark.q.val().first {
            comment!("flags in byte 0, num_buffers in bytes 10 and 11");
            self.carried.next = 0.into();
            if self.asked_mark.q.val().merge {
                self.carried.next = bit_cast::<96, 5>(self.buffers.val()) << 80;
            }
            if self.asked_mark.q.val().valid {
                self.carried.next = self.carried.val() | self.data_valid.val();
            }
        }
        self.chosen.d.next = self.asked.q.val();
        self.chosen_beat.d.next.data = bit_cast::<128, 96>(self.carried.val()) | (self.data.val() << 80);
        if self.asked_mark.q.val().merge {
            self.chosen_beat.d.next.data = bit_cast::<128, 96>(self.carried.val()) | (self.data.val() << 96);
        }
        self.chosen_beat.d.next.count = self.asked_mark.q.val().count;
        self.chosen_beat.d.next.last = self.asked_mark.q.val().last;
        self.chosen_beat.d.next.error = false;
        if self.asked.q.val() {
            self.carry.d.next = bit_cast::<96, 80>(self.data.val().get_bits::<80>(48));
            if self.asked_mark.q.val().merge {
                self.carry.d.next = self.data.val().get_bits::<96>(32);
            }
        }

        comment!("---- third stage: out");
        self.beats.input.valid.next = self.chosen.q.val();
        self.beats.input.data.next = self.chosen_beat.q.val();
        self.writable.valid.next = self.beats.output.valid.val();
        self.writable.data.next = self.beats.output.data.val();
        self.beats.output.ready.next = self.writable.ready.val();
        self.fire.next = self.beats.output.valid.val() & self.writable.ready.val();
        if self.issue.val() != self.fire.val() {
            self.taken.d.next = self.taken.q.val() + 1;
            if self.fire.val() {
                self.taken.d.next = self.taken.q.val() - 1;
            }
        }
        self.idle.next = !self.part.valid.val() & !self.taken.q.val().any();
    }
}
