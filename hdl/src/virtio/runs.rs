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
/// A head takes two cycles, so that no path leads from the heads to what takes them: it is measured against the one before it, then
/// it is taken into the run of that one, or a new run begins with it.
///
/// ```text
///  clock       0      1       2      3       4
///  heads       7      -       8      -       -
///  measured           7              8, follows 7
///  run         -      begins         grows   leaves
/// ```
#[derive(Block)]
pub struct HeadRuns {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Address of the descriptor table, a multiple of 4096.
    pub ring_base: Signal<In, Bits<64>>,
    /// Descriptors of a first window behind its head; counts from the next cycle on.
    pub further_expected: Signal<In, Bits<2>>,
    /// There is no room for a run to begin. It may say so a cycle late: the next head is being measured then.
    pub crowded: Signal<In, Bit>,
    /// Head descriptors, each smaller than the queue size.
    pub heads: Sink<Bits<16>>,
    /// A head, or a run that has not left, is here.
    pub busy: Signal<Out, Bit>,
    /// One cycle: a head was taken.
    pub taken: Signal<Out, Bit>,
    /// Its context.
    pub context: Signal<Out, Bits<6>>,
    /// 16:11 the first context of its run, 10:8 descriptors of its first window, 7:0 the head.
    pub entry: Signal<Out, Bits<17>>,
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

    // a head waited in the cycle before
    waited: Reg<Bit>,
    // descriptors of the longest window behind its head, and the head that a run would go down to, one cycle later
    further_limit: DFF<Bits<2>>,
    below: DFF<Bits<9>>,
    // the head at hand: its window, where that ends, one cycle later, and whether the run may go up or down to it
    measured: Reg<Bit>,
    head: DFF<Bits<8>>,
    window: DFF<Bits<3>>,
    head_end: DFF<Bits<9>>,
    goes_up: DFF<Bit>,
    goes_down: DFF<Bit>,
    tail: Reg<Bits<6>>,
    tail_word: Reg<Bits<6>>,
    // the run that grows: its first context and word, contexts behind the first, descriptors from the lowest on, and whether it goes down
    open: Reg<Bit>,
    first: DFF<Bits<6>>,
    word: DFF<Bits<6>>,
    further: DFF<Bits<4>>,
    low: DFF<Bits<8>>,
    descriptors: DFF<Bits<5>>,
    down: DFF<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    queue_mask: Constant<Bits<8>>,

    head_next: Signal<Local, Bits<8>>,
    to_last: Signal<Local, Bits<8>>,
    window_next: Signal<Local, Bits<3>>,
    count: Signal<Local, Bits<5>>,
    grows: Signal<Local, Bit>,
    extends: Signal<Local, Bit>,
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
            queue_mask: Constant::new(u64::from(queue_size - 1).into()),
        })
    }
}

impl Logic for HeadRuns {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module head_runs: heads that follow one another, whose descriptors are read at once");
        comment!("---- a head is measured: its window ends with the table");
        self.head_next.next = self.heads.data.val().get_bits::<8>(0);
        self.further_limit.d.next = self.further_expected.val();
        self.below.d.next = bit_cast::<9, 8>(self.head.q.val()) - bit_cast::<9, 2>(self.further_expected.val()) - 1;
        self.head_end.d.next = bit_cast::<9, 8>(self.head.q.val()) + bit_cast::<9, 3>(self.window.q.val());
        self.to_last.next = !self.head_next.val() & self.queue_mask.val();
        self.window_next.next = bit_cast::<3, 2>(self.further_limit.q.val()) + 1;
        if !self.to_last.val().get_bits::<6>(2).any()
            & (self.to_last.val().get_bits::<2>(0) < self.further_limit.q.val())
        {
            self.window_next.next = bit_cast::<3, 2>(self.to_last.val().get_bits::<2>(0)) + 1;
        }
        self.grows.next = self.descriptors.q.val() + bit_cast::<5, 2>(self.further_limit.q.val()) < 16;
        self.heads.ready.next = !self.measured.q.val();
        if !self.measured.q.val() & self.heads.valid.val() {
            self.measured.d.next = true;
            self.head.d.next = self.head_next.val();
            self.window.d.next = self.window_next.val();
            comment!("the head before it is the last one of the run");
            self.goes_up.d.next = self.grows.val()
                & !self.down.q.val()
                & (bit_cast::<9, 8>(self.head_next.val()) == self.head_end.q.val());
            comment!("a window that the end of the table makes shorter ends behind every head");
            self.goes_down.d.next = self.grows.val()
                & (self.down.q.val() | !self.further.q.val().any())
                & (bit_cast::<9, 8>(self.head_next.val()) == self.below.q.val());
        }

        comment!("---- and taken");
        self.count.next = bit_cast::<5, 3>(self.window.q.val());
        self.extends.next = self.measured.q.val() & self.open.q.val() & (self.goes_up.q.val() | self.goes_down.q.val());
        self.takes.next = self.extends.val()
            | (self.measured.q.val() & !self.crowded.val() & (!self.open.q.val() | self.granted.val()));
        comment!("a head that waits may be one more of the run; one that has just come is too late");
        self.waited.d.next = self.heads.valid.val();
        self.leaves.next = self.open.q.val()
            & self.granted.val()
            & !self.extends.val()
            & (self.measured.q.val() | !self.waited.q.val());

        comment!("---- into the run, or into a new one");
        self.run_of_head.next = self.tail.q.val();
        if self.extends.val() {
            self.run_of_head.next = self.first.q.val();
        }
        if self.leaves.val() {
            self.open.d.next = false;
        }
        if self.takes.val() {
            self.measured.d.next = false;
            self.tail.d.next = self.tail.q.val() + 1;
            self.tail_word.d.next = self.tail_word.q.val() + bit_cast::<6, 3>(self.window.q.val());
            if self.extends.val() {
                self.descriptors.d.next = self.descriptors.q.val() + self.count.val();
                self.further.d.next = self.further.q.val() + 1;
                self.down.d.next = self.goes_down.q.val();
            } else {
                self.open.d.next = true;
                self.first.d.next = self.tail.q.val();
                self.word.d.next = self.tail_word.q.val();
                self.descriptors.d.next = self.count.val();
                self.further.d.next = 0.into();
                self.down.d.next = false;
            }
            if !(self.extends.val() & self.goes_up.q.val()) {
                self.low.d.next = self.head.q.val();
            }
        }
        self.busy.next = self.measured.q.val() | self.open.q.val();
        self.taken.next = self.takes.val();
        self.context.next = self.tail.q.val();
        self.entry.next = (bit_cast::<17, 6>(self.run_of_head.val()) << 11)
            | (bit_cast::<17, 3>(self.window.q.val()) << 8)
            | bit_cast::<17, 8>(self.head.q.val());

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
        self.read.next.address = self.ring_base.val() | (bit_cast::<64, 8>(self.low.q.val()) << 4);
        self.read.next.length = bit_cast::<13, 5>(self.descriptors.q.val()) << 4;
        self.read.next.destination = (bit_cast::<16, 6>(self.word.q.val()) << 4) | 0x1000;
        self.read.next.client = self.client.val();
        self.read.next.slot = bit_cast::<6, 4>(self.further.q.val());
        self.request.next = self.read.val();
    }
}
