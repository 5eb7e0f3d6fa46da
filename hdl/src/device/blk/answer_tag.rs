//! Whose answer a tag of the device side is.
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// Compares the tag of the oldest answer of a stream with those of the commands, and knows the result with the beat.
///
/// Commands are numbered one after the other, modulo 256, and at most 127 have no answer. It is known late whether the beat that is held
/// stays or the one behind it takes its place, so both tags are compared; what `expected` and `next_tag` have become counts a cycle later.
#[derive(Block)]
pub struct AnswerTag {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Tag of the oldest command without a response.
    pub expected: Signal<In, Bits<8>>,
    /// Tag of the next command to be given.
    pub next_tag: Signal<In, Bits<8>>,
    /// Tag of the beat that is held.
    pub held: Signal<In, Bits<8>>,
    /// Tag of the beat behind it.
    pub behind: Signal<In, Bits<8>>,
    /// The beat behind it takes its place.
    pub moves: Signal<In, Bit>,
    /// The beat that is held carries the expected tag.
    pub matches: Signal<Out, Bit>,
    /// It carries an older one.
    pub old: Signal<Out, Bit>,
    /// It carries one that has not been given yet.
    pub early: Signal<Out, Bit>,

    is_expected: DFF<Bit>,
    is_old: DFF<Bit>,
    is_early: DFF<Bit>,
    held_age: Signal<Local, Bits<8>>,
    held_ahead: Signal<Local, Bits<8>>,
    age: Signal<Local, Bits<8>>,
    ahead: Signal<Local, Bits<8>>,
}

impl Logic for AnswerTag {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_answer_tag: whose answer a tag is");
        self.held_age.next = self.held.val() - self.expected.val();
        self.held_ahead.next = self.held.val() - self.next_tag.val();
        self.age.next = self.behind.val() - self.expected.val();
        self.ahead.next = self.behind.val() - self.next_tag.val();
        self.is_expected.d.next = !self.held_age.val().any();
        self.is_old.d.next = self.held_age.val().get_bit(7);
        self.is_early.d.next = !self.held_ahead.val().get_bit(7);
        if self.moves.val() {
            self.is_expected.d.next = !self.age.val().any();
            self.is_old.d.next = self.age.val().get_bit(7);
            self.is_early.d.next = !self.ahead.val().get_bit(7);
        }
        self.matches.next = self.is_expected.q.val();
        self.old.next = self.is_old.q.val();
        self.early.next = self.is_early.q.val();
    }
}
