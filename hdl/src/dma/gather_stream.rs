//! Streams what the reads of a chain have brought.
use super::gather_request::GatherRecord;
use super::types::ByteBeat;
use crate::block::Block;
use crate::cells::{LutRam, Reg, Sink, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// What goes along with a word read from the RAM.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BeatMark {
    /// Valid bytes.
    pub count: Bits<5>,
    /// Last beat of the chain.
    pub last: bool,
    /// With `last`: the data are not to be used.
    pub error: bool,
}

/// A read of the RAM, and what goes along with it.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct WordRead {
    /// Which word.
    pub word: Bits<8>,
    /// For its beat.
    pub mark: BeatMark,
}

/// Streams the words of a chain one per cycle, as soon as they are complete.
///
/// `filled` counts the bytes of the chain that have come and not gone. A full word goes when more bytes follow it;
/// the last one waits for the end mark, which says that it is the last.
#[derive(Block)]
pub struct GatherStreamer<const AW: usize> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub record: Sink<GatherRecord>,
    /// The oldest read that has not been reported yet is over.
    pub arrived: Signal<In, Bit>,
    /// It has failed.
    pub arrived_error: Signal<In, Bit>,
    /// A read of the RAM, and whether it is done in this cycle; the data come one cycle later.
    pub read_valid: Signal<Out, Bit>,
    pub read_granted: Signal<In, Bit>,
    pub read_word: Signal<Out, Bits<AW>>,
    pub read_data: Signal<In, Bits<128>>,
    pub data: Source<ByteBeat>,
    /// A word has been read for the last time.
    pub free_word: Signal<Out, Bit>,

    // reads that are over, their records not taken yet; a ring of error bits
    errors: LutRam<1, 6>,
    come: Reg<Bits<6>>,
    gone: Reg<Bits<6>>,
    waiting: Reg<Bits<7>>,

    filled: Reg<Bits<13>>,
    failed: Reg<Bit>,
    ending: Reg<Bit>,
    more: Signal<Local, Bit>,
    take_read: Signal<Local, Bit>,
    at_end: Signal<Local, Bit>,
    emit: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    empty_chain: Signal<Local, Bit>,
    length: Signal<Local, Bits<13>>,
    kept: Signal<Local, Bits<13>>,
    word: Reg<Bits<AW>>,
    freed: Reg<Bit>,

    /// First stage: the RAM is asked, until it grants. Two reads, so that no path leads from the grant to the choice.
    reads: StreamFifo<WordRead, 1>,
    mark: Signal<Local, BeatMark>,
    // second stage: the RAM answers
    answered: Reg<Bit>,
    answered_mark: DFF<BeatMark>,
    room: Signal<Local, Bit>,
    beats: StreamFifo<ByteBeat, 3>,
    // places in the FIFO taken, those on their way to it included
    taken: Reg<Bits<4>>,
    fire: Signal<Local, Bit>,
}

impl<const AW: usize> Logic for GatherStreamer<AW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_gather_streamer: streams the bytes of a chain as they become complete");
        comment!("reads come back in the order in which they were issued");
        self.errors.waddr.next = self.come.q.val();
        self.errors.wdata.next = 0.into();
        if self.arrived_error.val() {
            self.errors.wdata.next = 1.into();
        }
        self.errors.wen.next = self.arrived.val();
        self.errors.raddr.next = self.gone.q.val();
        if self.arrived.val() {
            self.come.d.next = self.come.q.val() + 1;
        }
        self.take_read.next = self.record.valid.val() & !self.record.data.val().end & self.waiting.q.val().any();
        if self.take_read.val() {
            self.gone.d.next = self.gone.q.val() + 1;
        }
        if self.take_read.val() != self.arrived.val() {
            self.waiting.d.next = self.waiting.q.val() + 1;
            if self.take_read.val() {
                self.waiting.d.next = self.waiting.q.val() - 1;
            }
        }

        comment!("words: full ones with more behind them, then the last");
        self.more.next = self.filled.q.val().get_bits::<8>(5).any()
            | (self.filled.q.val().get_bit(4) & self.filled.q.val().get_bits::<4>(0).any());
        comment!("an end mark is taken away one cycle after it has been used");
        self.at_end.next =
            self.record.valid.val() & self.record.data.val().end & !self.ending.q.val() & !self.more.val();
        self.room.next = (self.taken.q.val() < 8) & self.reads.input.ready.val();
        self.emit.next = (self.more.val() | self.at_end.val()) & self.room.val();
        self.finish.next = self.emit.val() & self.at_end.val();
        self.ending.d.next = self.finish.val();
        self.empty_chain.next = !self.filled.q.val().any();
        self.record.ready.next = self.take_read.val() | self.ending.q.val();
        self.mark.next.count = 16.into();
        self.mark.next.last = false;
        comment!("no byte of a failed read goes unmarked: who acts on the first beat must know");
        self.mark.next.error = self.failed.q.val();
        if self.emit.val() & !self.empty_chain.val() {
            self.word.d.next = self.word.q.val() + 1;
        }
        if self.finish.val() {
            self.mark.next.count = bit_cast::<5, 13>(self.filled.q.val());
            self.mark.next.last = true;
            self.mark.next.error = self.failed.q.val() | self.record.data.val().error;
            self.failed.d.next = false;
        } else if self.take_read.val() & self.errors.rdata.val().any() {
            self.failed.d.next = true;
        }
        comment!("all sums beside what selects one");
        self.length.next = bit_cast::<13, 10>(self.record.data.val().length);
        self.kept.next = self.filled.q.val() - 16;
        if self.finish.val() {
            self.filled.d.next = 0.into();
        } else if self.take_read.val() {
            self.filled.d.next = self.filled.q.val() + self.length.val();
            if self.more.val() & self.room.val() {
                self.filled.d.next = self.kept.val() + self.length.val();
            }
        } else if self.emit.val() {
            self.filled.d.next = self.kept.val();
        }

        comment!("first stage; the space is not written again before the word has been read: that takes a round trip");
        self.reads.input.valid.next = self.emit.val();
        self.reads.input.data.next.word = bit_cast::<8, AW>(self.word.q.val());
        self.reads.input.data.next.mark = self.mark.val();
        self.read_valid.next = self.reads.output.valid.val();
        self.read_word.next = bit_cast::<AW, 8>(self.reads.output.data.val().word);
        self.reads.output.ready.next = self.read_granted.val();
        self.freed.d.next = self.emit.val() & !self.empty_chain.val();
        self.free_word.next = self.freed.q.val();
        comment!("second stage");
        self.answered.d.next = self.reads.output.valid.val() & self.read_granted.val();
        self.answered_mark.d.next = self.reads.output.data.val().mark;
        self.beats.input.valid.next = self.answered.q.val();
        self.beats.input.data.next.data = self.read_data.val();
        self.beats.input.data.next.count = self.answered_mark.q.val().count;
        self.beats.input.data.next.last = self.answered_mark.q.val().last;
        self.beats.input.data.next.error = self.answered_mark.q.val().error;

        self.data.valid.next = self.beats.output.valid.val();
        self.data.data.next = self.beats.output.data.val();
        self.beats.output.ready.next = self.data.ready.val();
        self.fire.next = self.beats.output.valid.val() & self.data.ready.val();
        if self.emit.val() != self.fire.val() {
            self.taken.d.next = self.taken.q.val() + 1;
            if self.fire.val() {
                self.taken.d.next = self.taken.q.val() - 1;
            }
        }
    }
}
