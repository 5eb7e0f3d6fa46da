//! Heads read beside the index of the available ring: a guess, until their slots have been read once more.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// What is known of the guess of one available ring: which of its heads may be handed on, and whether it was right.
///
/// ```text
///  asked -> pending -> [slots are here] -+-> hold: heads are handed on -> confirmed, and wrong or not
///  index asked for -> [index is here] ---+      [compared with the slots as they come once more]
/// ```
/// While `hold` is high what has been handed on may be what the driver had in its slots before. A head that is out of range breaks no
/// rule then, and ends the guess, as does a slot that comes once more before there is anything to compare it with.
#[derive(Block)]
pub struct HeadGuess {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One cycle: an index is asked for, and no slots beside it yet.
    pub index_asked: Signal<In, Bit>,
    /// One cycle: slots are asked for beside it.
    pub asked: Signal<In, Bit>,
    /// One cycle: they are here.
    pub returned: Signal<In, Bit>,
    /// With `returned`: they could not be read.
    pub failed: Signal<In, Bit>,
    /// Slots are on their way.
    pub pending: Signal<Out, Bit>,
    /// One cycle: the index is here, and says that there are heads.
    pub news: Signal<In, Bit>,
    /// With `news`: how many.
    pub ahead: Signal<In, Bits<16>>,
    /// With `news`: how many slots were asked for.
    pub asked_slots: Signal<In, Bits<3>>,

    /// The heads handed on are a guess.
    pub hold: Signal<Out, Bit>,
    /// While `hold`: the slots that were read beside the index.
    pub slots: Signal<In, Bits<64>>,
    /// While `hold`: another head may be handed on.
    pub valid: Signal<Out, Bit>,
    /// Its slot.
    pub slot: Signal<Out, Bits<3>>,
    /// One cycle: it goes into the register in front of `heads`.
    pub taken: Signal<In, Bit>,
    /// That register is free for another head, of the guess or not.
    pub register_free: Signal<In, Bit>,
    /// The head in it is of the guess.
    pub in_register: Signal<Out, Bit>,
    /// That head is none.
    pub bad: Signal<In, Bit>,
    /// One cycle: the head in the register is handed on.
    pub passes: Signal<In, Bit>,

    /// The slots are read once more, and the first ones of them come.
    pub write_valid: Signal<In, Bit>,
    /// What they hold.
    pub write_data: Signal<In, Bits<64>>,
    /// Which bytes of it count.
    pub write_enable: Signal<In, Bits<8>>,
    /// All have come, and the register is empty.
    pub certain: Signal<In, Bit>,
    /// One cycle, the last of `hold`: it is known whether the guess was right.
    pub confirmed: Signal<Out, Bit>,
    /// With `confirmed`: something was handed on, and the guess was wrong.
    pub wrong: Signal<Out, Bit>,
    /// With `confirmed`: so many heads have been handed on.
    pub passed: Signal<Out, Bits<3>>,

    on_their_way: Reg<Bit>,
    here: Reg<Bit>,
    // slots have been asked for beside the index that is on its way
    beside: Reg<Bit>,
    confirming: Reg<Bit>,
    // how many heads there are, have been taken, and been handed on; no more of them are, and a slot has changed
    limit: DFF<Bits<3>>,
    next_slot: Reg<Bits<3>>,
    handed_on: Reg<Bits<3>>,
    over: Reg<Bit>,
    differs: Reg<Bit>,
    register_is_guess: Reg<Bit>,
    line: DFF<Bits<64>>,

    compares: Signal<Local, Bit>,
    before: Signal<Local, Bits<16>>,
    changed: Signal<Local, Bits<16>>,
}

impl Logic for HeadGuess {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module head_guess: heads that are handed on before it is certain that they are some");
        if self.index_asked.val() {
            self.beside.d.next = false;
        }
        if self.asked.val() {
            self.beside.d.next = true;
            self.on_their_way.d.next = true;
            self.here.d.next = false;
        }
        if self.returned.val() {
            self.on_their_way.d.next = false;
            self.here.d.next = !self.failed.val();
        }
        self.pending.next = self.on_their_way.q.val();

        comment!("---- heads");
        self.valid.next = self.here.q.val() & (self.next_slot.q.val() < self.limit.q.val()) & !self.over.q.val();
        self.slot.next = self.next_slot.q.val();
        if self.taken.val() {
            self.next_slot.d.next = self.next_slot.q.val() + 1;
        }
        if self.register_free.val() {
            self.register_is_guess.d.next = self.confirming.q.val();
        }
        self.in_register.next = self.register_is_guess.q.val();
        if self.passes.val() & self.register_is_guess.q.val() {
            self.handed_on.d.next = self.handed_on.q.val() + 1;
        }
        if self.bad.val() & self.register_is_guess.q.val() {
            comment!("what a slot has held before may be anything");
            self.over.d.next = true;
        }

        comment!("---- against what the slots hold");
        self.line.d.next = self.slots.val();
        self.compares.next = self.confirming.q.val() & self.write_valid.val();
        if self.compares.val() & !self.here.q.val() {
            comment!("data of a later read may come before those of an earlier one: with what is to be compared?");
            self.over.d.next = true;
        }
        for i in 0..4 {
            self.before.next = self.line.q.val().get_bits::<16>(i * 16);
            self.changed.next = self.before.val() ^ self.write_data.val().get_bits::<16>(i * 16);
            if self.compares.val()
                & self.write_enable.val().get_bit(i * 2)
                & (i.to_bits::<3>() < self.limit.q.val())
                & self.changed.val().any()
            {
                self.differs.d.next = true;
            }
        }
        self.confirmed.next = self.confirming.q.val() & self.certain.val();
        self.wrong.next = self.differs.q.val() & self.handed_on.q.val().any();
        self.passed.next = self.handed_on.q.val();
        if self.confirmed.val() {
            self.confirming.d.next = false;
        }
        self.hold.next = self.confirming.q.val();

        if self.news.val() & self.beside.q.val() {
            self.confirming.d.next = true;
            self.limit.d.next = self.asked_slots.val();
            if self.ahead.val() < bit_cast::<16, 3>(self.asked_slots.val()) {
                self.limit.d.next = self.ahead.val().get_bits::<3>(0);
            }
            self.next_slot.d.next = 0.into();
            self.handed_on.d.next = 0.into();
            self.over.d.next = false;
            self.differs.d.next = false;
        }
    }
}
