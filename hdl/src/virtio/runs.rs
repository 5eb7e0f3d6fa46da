//! Heads that follow one another in the descriptor table, whose descriptors are read at once.
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::dma::types::ReadRequest;
use rust_hdl::prelude::*;

/// Gathers heads into runs: one read for the first windows of up to 16 descriptors.
///
/// A driver that fills its queue goes up in the table; one whose list of free descriptors is a stack goes down when it gives again what
/// came back. A run goes up or down, and does not turn round. It ends with the last head that waits: nobody waits for heads. A new one
/// begins when there is room for 16 descriptors, so that in a queue that is full runs do not shrink to what has just become free.
///
/// ```text
///  heads            7  8  9      4        3
///  first windows of one descriptor:  run (7, 3 descriptors)  run (3, 2 descriptors, down)
///  ring of windows  | 7 | 8 | 9 | 3 | 4 |      the word of a window is its head + the place of its run
/// ```
#[derive(Block)]
pub struct HeadRuns {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Address of the descriptor table, a multiple of 4096.
    pub ring_base: Signal<In, Bits<64>>,
    /// Descriptors of a first window behind its head.
    pub further_expected: Signal<In, Bits<2>>,
    /// There is no room for a run to begin.
    pub crowded: Signal<In, Bit>,
    /// Head descriptors, each smaller than the queue size.
    pub heads: Sink<Bits<16>>,
    /// One cycle: a head was taken.
    pub taken: Signal<Out, Bit>,
    /// Its context.
    pub context: Signal<Out, Bits<6>>,
    /// 24:19 the first context of its run, 18:16 descriptors of its first window, 15:0 the head.
    pub entry: Signal<Out, Bits<25>>,
    /// The run may leave in this cycle.
    pub granted: Signal<In, Bit>,
    /// It leaves.
    pub leaves: Signal<Out, Bit>,
    /// Its read; the slot says how many contexts there are behind the first.
    pub request: Signal<Out, ReadRequest>,
    /// Its first context.
    pub first_context: Signal<Out, Bits<6>>,
    /// 14 it goes down, 13:10 contexts behind the first, 9:6 descriptors but one, 5:0 its place.
    pub run: Signal<Out, Bits<15>>,

    tail: Reg<Bits<6>>,
    tail_word: Reg<Bits<6>>,
    // the run that grows: its first context and word, contexts behind the first, descriptors from the lowest on, and whether it goes down
    open: Reg<Bit>,
    first: DFF<Bits<6>>,
    word: DFF<Bits<6>>,
    further: DFF<Bits<4>>,
    low: DFF<Bits<16>>,
    end: DFF<Bits<16>>,
    descriptors: DFF<Bits<5>>,
    down: DFF<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    queue_size: Constant<Bits<16>>,

    to_end: Signal<Local, Bits<16>>,
    limit: Signal<Local, Bits<16>>,
    window: Signal<Local, Bits<16>>,
    count: Signal<Local, Bits<5>>,
    head_end: Signal<Local, Bits<16>>,
    grows: Signal<Local, Bit>,
    extends_up: Signal<Local, Bit>,
    extends_down: Signal<Local, Bit>,
    extends: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    takes: Signal<Local, Bit>,
    run_of_head: Signal<Local, Bits<6>>,
    place: Signal<Local, Bits<6>>,
    counted: Signal<Local, Bits<5>>,
    direction: Signal<Local, Bits<15>>,
    read: Signal<Local, ReadRequest>,
}

impl HeadRuns {
    /// `client` is the window reader's DMA client number; the queue size is a power of two up to 256.
    pub fn new(client: u64, queue_size: u16) -> Self {
        Self::with(HeadRunsGiven {
            client: Constant::new(client.into()),
            queue_size: Constant::new(u64::from(queue_size).into()),
        })
    }
}

impl Logic for HeadRuns {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module head_runs: heads that follow one another, whose descriptors are read at once");
        comment!("---- the head at hand: its window ends with the table");
        self.to_end.next = self.queue_size.val() - self.heads.data.val();
        self.limit.next = bit_cast::<16, 2>(self.further_expected.val()) + 1;
        self.window.next = self.limit.val();
        if self.to_end.val() < self.limit.val() {
            self.window.next = self.to_end.val();
        }
        self.count.next = self.window.val().get_bits::<5>(0);
        self.head_end.next = self.heads.data.val() + self.window.val();
        self.grows.next = self.open.q.val() & (self.descriptors.q.val() + self.count.val() < 17);
        self.extends_up.next = self.grows.val() & !self.down.q.val() & (self.heads.data.val() == self.end.q.val());
        self.extends_down.next = self.grows.val()
            & (self.down.q.val() | !self.further.q.val().any())
            & (self.head_end.val() == self.low.q.val());
        self.extends.next = self.extends_up.val() | self.extends_down.val();
        self.begins.next = !self.crowded.val() & (!self.open.q.val() | self.granted.val());
        self.heads.ready.next = self.extends.val() | self.begins.val();
        self.takes.next = self.heads.valid.val() & (self.extends.val() | self.begins.val());
        self.leaves.next = self.open.q.val() & self.granted.val() & !(self.heads.valid.val() & self.extends.val());

        comment!("---- into the run, or into a new one");
        self.run_of_head.next = self.tail.q.val();
        if self.extends.val() {
            self.run_of_head.next = self.first.q.val();
        }
        if self.leaves.val() {
            self.open.d.next = false;
        }
        if self.takes.val() {
            self.tail.d.next = self.tail.q.val() + 1;
            self.tail_word.d.next = self.tail_word.q.val() + self.window.val().get_bits::<6>(0);
            if self.extends.val() {
                self.descriptors.d.next = self.descriptors.q.val() + self.count.val();
                self.further.d.next = self.further.q.val() + 1;
                self.down.d.next = self.extends_down.val();
            } else {
                self.open.d.next = true;
                self.first.d.next = self.tail.q.val();
                self.word.d.next = self.tail_word.q.val();
                self.descriptors.d.next = self.count.val();
                self.further.d.next = 0.into();
                self.down.d.next = false;
            }
            if !self.extends_up.val() {
                self.low.d.next = self.heads.data.val();
            }
            if !self.extends_down.val() {
                self.end.d.next = self.head_end.val();
            }
        }
        self.taken.next = self.takes.val();
        self.context.next = self.tail.q.val();
        self.entry.next = (bit_cast::<25, 6>(self.run_of_head.val()) << 19)
            | (bit_cast::<25, 16>(self.window.val()) << 16)
            | bit_cast::<25, 16>(self.heads.data.val());

        comment!("---- the run");
        self.place.next = self.word.q.val() - self.low.q.val().get_bits::<6>(0);
        self.counted.next = self.descriptors.q.val() - 1;
        self.direction.next = 0.into();
        if self.down.q.val() {
            self.direction.next = 0x4000.into();
        }
        self.first_context.next = self.first.q.val();
        self.run.next = self.direction.val()
            | (bit_cast::<15, 4>(self.further.q.val()) << 10)
            | (bit_cast::<15, 4>(self.counted.val().get_bits::<4>(0)) << 6)
            | bit_cast::<15, 6>(self.place.val());
        comment!("the table begins a page and is no larger; words from 256 on stand for the ring of 64, whose end a run may pass");
        self.read.next.address = self.ring_base.val() | (bit_cast::<64, 16>(self.low.q.val()) << 4);
        self.read.next.length = bit_cast::<13, 5>(self.descriptors.q.val()) << 4;
        self.read.next.destination = (bit_cast::<16, 6>(self.word.q.val()) << 4) | 0x1000;
        self.read.next.client = self.client.val();
        self.read.next.slot = bit_cast::<6, 4>(self.further.q.val());
        self.request.next = self.read.val();
    }
}
