//! What is to be added to mcycle and minstret.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Counts cycles and instructions until they are added to mcycle and minstret, which are words of the register file: 128 bits less in
/// flip-flops, and no adders of their own.
///
/// The processor adds them with its own adder, in a round of four words: each time that half of `cycles` is full, and before an
/// instruction reads or writes a counter, so that it finds what has happened up to there. An access of the bus that lasts for more than
/// 500 cycles is not counted to its end.
///
/// ```text
/// word   0 mcycle    1 mcycleh   2 minstret     3 minstreth
/// plus   cycles      carry       instructions   carry
/// ```
#[derive(Block)]
pub struct Counters {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One cycle: an instruction has retired.
    pub retired: Signal<In, Bit>,
    /// One cycle: `amount` is taken.
    pub take: Signal<In, Bit>,
    /// Cycle in which the sum is there: its carry is taken.
    pub add: Signal<In, Bit>,
    /// Carry of the sum.
    pub carry: Signal<In, Bit>,
    /// One cycle: the sum is written, and the next word follows.
    pub advance: Signal<In, Bit>,
    /// What is to be added to this word.
    pub amount: Signal<Out, Bits<10>>,
    /// The word.
    pub word: Signal<Out, Bits<2>>,
    /// A round is due.
    pub due: Signal<Out, Bit>,
    /// The low bits of the cycles, which behind a reset count from 0.
    pub early: Signal<Out, Bits<6>>,

    /// Cycles that are not in mcycle yet.
    cycles: Reg<Bits<10>>,
    /// Instructions that are not in minstret yet: one in five cycles at most.
    instructions: Reg<Bits<7>>,
    /// The word at hand.
    place: Reg<Bits<2>>,
    /// Carry out of the word before.
    carried: Reg<Bit>,
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_counters: what is to be added to mcycle and minstret");
        if !self.cycles.q.val().all() {
            self.cycles.d.next = self.cycles.q.val() + 1;
        }
        if self.retired.val() {
            self.instructions.d.next = self.instructions.q.val() + 1;
        }
        self.amount.next = bit_cast::<10, 1>(self.carried.q.val().into());
        if self.place.q.val() == bits::<2>(0) {
            self.amount.next = self.cycles.q.val();
            if self.take.val() {
                self.cycles.d.next = 1.into();
            }
        }
        if self.place.q.val() == bits::<2>(2) {
            self.amount.next = bit_cast::<10, 7>(self.instructions.q.val());
            if self.take.val() {
                self.instructions.d.next = 0.into();
            }
        }
        if self.add.val() {
            self.carried.d.next = self.carry.val();
        }
        if self.advance.val() {
            self.place.d.next = self.place.q.val() + 1;
        }
        self.word.next = self.place.q.val();
        self.due.next = self.cycles.q.val().get_bit(9);
        self.early.next = self.cycles.q.val().get_bits::<6>(0);
    }
}
