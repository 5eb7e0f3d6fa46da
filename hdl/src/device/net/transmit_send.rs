//! Sends the frames of the transmit memory to the Ethernet side.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// What goes along with a word read from the memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct SendMark {
    /// Valid bytes.
    pub keep: Bits<16>,
    /// Last word of the frame.
    pub last: bool,
    /// The checksum's first byte is in this word.
    pub low: bool,
    /// Its second byte is.
    pub high: bool,
    /// Lane of the first byte; the second one is in the next lane, or in lane 0 of the next word.
    pub lane: Bits<4>,
    /// The checksum.
    pub value: Bits<16>,
}

/// Reads frames word by word, puts their checksums in, and sends them; one beat per cycle, frames back to back.
#[derive(Block)]
pub struct TransmitSend {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Begin no frame.
    pub stop: Signal<In, Bit>,
    pub frame: Sink<TransmitFrame>,
    /// Address in the memory; the word comes one cycle later.
    pub address: Signal<Out, Bits<11>>,
    pub data: Signal<In, Bits<128>>,
    /// Words read so far.
    pub read: Signal<Out, Bits<12>>,
    /// One cycle: the last word of a frame has been read.
    pub done: Signal<Out, Bit>,
    pub beat: Source<NetBeat>,
    /// Between frames.
    pub quiet: Signal<Out, Bit>,

    pointer: Reg<Bits<12>>,
    number: Reg<Bits<10>>,
    asked: Reg<Bit>,
    asked_mark: DFF<SendMark>,
    chosen: Reg<Bit>,
    chosen_beat: DFF<NetBeat>,
    beats: StreamFifo<NetBeat, 3>,
    // places in the FIFO taken, those on their way to it included
    taken: Reg<Bits<4>>,

    #[given]
    pointer_mask: Constant<Bits<12>>,
    #[given]
    number_mask: Constant<Bits<10>>,
    #[given]
    length_mask: Constant<Bits<14>>,

    last_byte: Signal<Local, Bits<14>>,
    last_number: Signal<Local, Bits<10>>,
    last: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    fire: Signal<Local, Bit>,
    low_position: Signal<Local, Bits<14>>,
    high_position: Signal<Local, Bits<14>>,
    value: Signal<Local, Bits<16>>,
    low_shift: Signal<Local, Bits<7>>,
    high_shift: Signal<Local, Bits<7>>,
    low_mask: Signal<Local, Bits<128>>,
    high_mask: Signal<Local, Bits<128>>,
    low_byte: Signal<Local, Bits<32>>,
    low_half: Signal<Local, Bits<32>>,
    low_word: Signal<Local, Bits<32>>,
    low_wide: Signal<Local, Bits<128>>,
    high_byte: Signal<Local, Bits<32>>,
    high_half: Signal<Local, Bits<32>>,
    high_word: Signal<Local, Bits<32>>,
    high_wide: Signal<Local, Bits<128>>,
}

impl TransmitSend {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(TransmitSendGiven {
            pointer_mask: Constant::new(sizes.pointer_mask().into()),
            number_mask: Constant::new(sizes.number_mask().into()),
            length_mask: Constant::new(sizes.length_mask().into()),
        })
    }
}

impl Logic for TransmitSend {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit_send: sends frames, with their checksums put in");
        comment!("---- first stage: the address");
        self.last_byte.next = self.frame.data.val().last_byte & self.length_mask.val();
        self.last_number.next = self.last_byte.val().get_bits::<10>(4);
        self.last.next = self.number.q.val() == self.last_number.val();
        self.issue.next =
            self.frame.valid.val() & (self.taken.q.val() < 8) & (self.number.q.val().any() | !self.stop.val());
        self.address.next = self.pointer.q.val().get_bits::<11>(0);
        self.frame.ready.next = self.issue.val() & self.last.val();
        self.done.next = self.issue.val() & self.last.val();
        self.asked.d.next = self.issue.val();
        if self.issue.val() {
            self.pointer.d.next = (self.pointer.q.val() + 1) & self.pointer_mask.val();
            self.number.d.next = (self.number.q.val() + 1) & self.number_mask.val();
            if self.last.val() {
                self.number.d.next = 0.into();
            }
        }
        self.asked_mark.d.next.last = self.last.val();
        self.asked_mark.d.next.keep = 0xFFFF.into();
        if self.last.val() {
            self.asked_mark.d.next.keep = !(bits::<16>(0xFFFE) << self.last_byte.val().get_bits::<4>(0));
        }
        self.low_position.next = self.frame.data.val().position;
        self.high_position.next = (self.low_position.val() + 1) & self.length_mask.val();
        self.asked_mark.d.next.low =
            self.frame.data.val().patch & (self.low_position.val().get_bits::<10>(4) == self.number.q.val());
        self.asked_mark.d.next.high =
            self.frame.data.val().patch & (self.high_position.val().get_bits::<10>(4) == self.number.q.val());
        self.asked_mark.d.next.lane = self.low_position.val().get_bits::<4>(0);
        self.asked_mark.d.next.value = self.frame.data.val().value;
        self.read.next = self.pointer.q.val();

        comment!("---- second stage: the word");
        self.value.next = self.asked_mark.q.val().value;
        self.low_shift.next = bit_cast::<7, 4>(self.asked_mark.q.val().lane) << 3;
        self.high_shift.next = self.low_shift.val() + 8;
        self.low_mask.next = 0.into();
        if self.asked_mark.q.val().low {
            self.low_mask.next = bits::<128>(0xFF) << self.low_shift.val();
        }
        self.high_mask.next = 0.into();
        if self.asked_mark.q.val().high {
            self.high_mask.next = bits::<128>(0xFF) << self.high_shift.val();
        }
        comment!("both bytes in all lanes");
        self.low_byte.next = bit_cast::<32, 8>(self.value.val().get_bits::<8>(0));
        self.low_half.next = self.low_byte.val() | (self.low_byte.val() << 8);
        self.low_word.next = self.low_half.val() | (self.low_half.val() << 16);
        self.low_wide.next =
            bit_cast::<128, 32>(self.low_word.val()) | (bit_cast::<128, 32>(self.low_word.val()) << 32);
        self.high_byte.next = bit_cast::<32, 8>(self.value.val().get_bits::<8>(8));
        self.high_half.next = self.high_byte.val() | (self.high_byte.val() << 8);
        self.high_word.next = self.high_half.val() | (self.high_half.val() << 16);
        self.high_wide.next =
            bit_cast::<128, 32>(self.high_word.val()) | (bit_cast::<128, 32>(self.high_word.val()) << 32);
        self.chosen.d.next = self.asked.q.val();
        self.chosen_beat.d.next.data = (self.data.val() & !self.low_mask.val() & !self.high_mask.val())
            | ((self.low_wide.val() | (self.low_wide.val() << 64)) & self.low_mask.val())
            | ((self.high_wide.val() | (self.high_wide.val() << 64)) & self.high_mask.val());
        self.chosen_beat.d.next.keep = self.asked_mark.q.val().keep;
        self.chosen_beat.d.next.last = self.asked_mark.q.val().last;
        self.chosen_beat.d.next.error = false;

        comment!("---- third stage: out");
        self.beats.input.valid.next = self.chosen.q.val();
        self.beats.input.data.next = self.chosen_beat.q.val();
        self.beat.valid.next = self.beats.output.valid.val();
        self.beat.data.next = self.beats.output.data.val();
        self.beats.output.ready.next = self.beat.ready.val();
        self.fire.next = self.beats.output.valid.val() & self.beat.ready.val();
        if self.issue.val() != self.fire.val() {
            self.taken.d.next = self.taken.q.val() + 1;
            if self.fire.val() {
                self.taken.d.next = self.taken.q.val() - 1;
            }
        }
        self.quiet.next = !self.taken.q.val().any() & !self.number.q.val().any();
    }
}
