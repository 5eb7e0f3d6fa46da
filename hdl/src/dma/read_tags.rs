//! The read engine's outstanding requests, one per tag.
use super::splitter::Chunk;
use super::types::ReadRetire;
use crate::block::Block;
use crate::cells::{LutRam, Reg, TwoWriteRam};
use crate::comment;
use rust_hdl::prelude::*;

/// Tag table: who asked, where the data go, what is still to come.
///
/// Tags are given out in a circle and taken back in the same order, so a retirement needs no search. The
/// circle has 2^TW slots; with extended tags the 8-bit tag counts on beyond them, and what is above
/// the slot number is a generation by which a late completion of an earlier request is recognised.
///
/// A read counts its age from the cycle in which it leaves: it may have waited for the link partner's credit or for the end of
/// a sleep for longer than the timeout.
///
/// A tag that was given up rests for one to two timeouts, whatever its generation: its completion may come yet, and would fit
/// the next read of the same length. The circle passes such a slot over: it is taken and given back without a read.
///
/// What the request set up and how far its completions have come are in separate RAMs, because both are
/// written in the same cycle; `fresh` says that no completion has come yet. That mark and the others of a slot, whether it is open, has
/// failed, rests, have two writers: where reads are made, and where they end. They are RAM as well, and cleared slot by slot behind a
/// reset, before the first tag is given out.
#[derive(Block)]
pub struct TagTable<const TW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Tags of 8 bits may be used. Taken over when nothing is outstanding.
    pub extended_tag: Signal<In, Bit>,

    /// A tag is free. Not in the cycle after `allocate`.
    pub available: Signal<Out, Bit>,
    /// None is.
    pub exhausted: Signal<Out, Bit>,
    /// A read waits for a tag.
    pub wanted: Signal<In, Bit>,
    /// The tag that `allocate` takes.
    pub next_tag: Signal<Out, Bits<8>>,
    /// A read is made, with `next_tag`; until it leaves there is no other.
    pub allocate: Signal<In, Bit>,
    /// What it reads.
    pub chunk: Signal<In, Chunk>,
    /// The read made last has not left yet.
    pub waiting: Signal<In, Bit>,
    /// Its tag.
    pub waiting_tag: Signal<In, Bits<8>>,
    /// It never will.
    pub withdraw: Signal<In, Bit>,
    /// Reads are not given up, however long they take.
    pub patient: Signal<In, Bit>,
    /// Reads that have left are not answered any more, and not late either: they end one after the other, and do not rest.
    pub abandon: Signal<In, Bit>,

    /// Tag of the completion that is at hand in the next cycle; not the tag of a header that is at hand now.
    pub coming_tag: Signal<In, Bits<8>>,
    /// Tag of the completion at hand.
    pub lookup_tag: Signal<In, Bits<8>>,
    /// It is that of a completion that is addressed to this function.
    pub lookup: Signal<In, Bit>,
    /// It is outstanding, and not all of it is accounted for; in the same cycle.
    pub found: Signal<Out, Bit>,
    /// RAM address of the next byte.
    pub address: Signal<Out, Bits<16>>,
    /// Bytes still to come.
    pub remaining: Signal<Out, Bits<13>>,
    /// Low bits of the host address of the next byte.
    pub lower_address: Signal<Out, Bits<7>>,
    /// Whose RAM.
    pub client: Signal<Out, Bits<4>>,
    /// What follows the completion at hand, if it was found: RAM address of the next byte.
    pub advance_address: Signal<In, Bits<16>>,
    /// Bytes still to come.
    pub advance_remaining: Signal<In, Bits<13>>,
    /// That is none.
    pub advance_last: Signal<In, Bit>,
    /// Low bits of the host address of the next byte.
    pub advance_lower_address: Signal<In, Bits<7>>,
    /// The completion at hand spoils the data of its tag.
    pub spoil: Signal<In, Bit>,
    /// The completion at hand ends its tag with an error.
    pub refuse: Signal<In, Bit>,
    /// The last beat of `finish_tag` is on its way to the RAM.
    pub finish: Signal<In, Bit>,
    /// The tag that ends.
    pub finish_tag: Signal<In, Bits<8>>,
    /// It ends with an error.
    pub finish_error: Signal<In, Bit>,

    /// The oldest tag is given up in this cycle.
    pub expire: Signal<Out, Bit>,
    /// That tag.
    pub expire_tag: Signal<Out, Bits<8>>,
    /// Pulse: a tag has ended with a bad completion.
    pub bad: Signal<Out, Bit>,
    /// A request has ended.
    pub retire: Signal<Out, ReadRetire>,
    /// There is a retirement: `retire` counts in this cycle.
    pub retire_valid: Signal<Out, Bit>,
    /// Nothing outstanding and nothing to retire.
    pub empty: Signal<Out, Bit>,

    // the circle
    wide: Reg<Bit>,
    newest: Reg<Bits<8>>,
    oldest: Reg<Bits<8>>,
    count: Reg<Bits<9>>,
    #[given]
    limit_wide: Constant<Bits<9>>,
    #[given]
    limit_narrow: Constant<Bits<9>>,
    newest_inc: Signal<Local, Bits<8>>,
    oldest_inc: Signal<Local, Bits<8>>,
    one_left: Signal<Local, Bit>,
    steady: Signal<Local, Bit>,
    space: Signal<Local, Bit>,
    free: Reg<Bit>,
    spent: Reg<Bit>,
    /// Since the reset: `newest` walks over the slots, and their marks are cleared.
    #[given]
    clearing: Reg<Bit>,
    // slots that rest, and the quarter of `ticks` in which each began to
    rests: TwoWriteRam<1, TW>,
    rest: LutRam<2, TW>,
    quarter: Signal<Local, Bits<2>>,
    rested: Signal<Local, Bits<2>>,
    resting: Signal<Local, Bit>,
    pass_over: Reg<Bit>,
    waiting_slot: Signal<Local, Bits<TW>>,
    newest_slot: Signal<Local, Bits<TW>>,
    oldest_slot: Signal<Local, Bits<TW>>,
    coming_slot: Signal<Local, Bits<TW>>,
    lookup_slot: Signal<Local, Bits<TW>>,
    finish_slot: Signal<Local, Bits<TW>>,

    // one bit per slot; whether it is open is asked in two places
    open_for_coming: TwoWriteRam<1, TW>,
    open_for_oldest: TwoWriteRam<1, TW>,
    failed: TwoWriteRam<1, TW>,
    fresh: TwoWriteRam<1, TW>,
    accounts: Signal<Local, Bit>,
    marks: Signal<Local, Bit>,
    marked_slot: Signal<Local, Bits<TW>>,
    opens: Signal<Local, Bits<1>>,
    closes: Signal<Local, Bit>,
    completed_slot: Signal<Local, Bits<TW>>,
    closed_slot: Signal<Local, Bits<TW>>,
    pop_failed: Signal<Local, Bit>,

    // set up by the request, read by completions
    issued_tag: LutRam<8, TW>,
    issued_client: LutRam<4, TW>,
    issued_address: LutRam<16, TW>,
    issued_length: LutRam<13, TW>,
    issued_lower: LutRam<7, TW>,
    // how far its completions have come
    next_address: LutRam<16, TW>,
    /// Bit 13: some remain, so that nobody has to look at all of them.
    next_remaining: LutRam<14, TW>,
    next_lower: LutRam<7, TW>,
    is_fresh: Signal<Local, Bit>,
    open_then: DFF<Bit>,
    known_then: DFF<Bit>,
    closing_then: DFF<Bit>,
    address_then: DFF<Bits<16>>,
    left_then: DFF<Bits<13>>,
    lower_then: DFF<Bits<7>>,
    client_then: DFF<Bits<4>>,
    left: Signal<Local, Bits<13>>,
    some_left: Signal<Local, Bit>,

    // set up by the request, read by the retirement
    retire_client: LutRam<4, TW>,
    retire_slot: LutRam<6, TW>,
    retire_last: LutRam<1, TW>,
    retire_first: LutRam<1, TW>,
    retire_stamp: LutRam<6, TW>,
    pop: Signal<Local, Bit>,
    pop_first: Signal<Local, Bit>,
    pop_last: Signal<Local, Bit>,
    pop_error: Signal<Local, Bit>,
    earlier_error: Reg<Bit>,
    ended: DFF<ReadRetire>,
    ended_valid: Reg<Bit>,
    told: DFF<ReadRetire>,
    told_valid: Reg<Bit>,

    // age of the oldest
    #[given]
    period: Constant<Bits<32>>,
    prescaler: Reg<Bits<32>>,
    ticks: Reg<Bits<6>>,
    age: Signal<Local, Bits<6>>,
    too_old: Reg<Bit>,
    closed: DFF<Bit>,
    bad_event: Reg<Bit>,
    accounted: Reg<Bit>,
    refused: Reg<Bit>,
    spoilt: Reg<Bit>,
    looked_slot: DFF<Bits<TW>>,
    looked_again: Signal<Local, Bit>,
    finished: Reg<Bit>,
    finished_slot: DFF<Bits<TW>>,
    finished_error: DFF<Bit>,
    expired: Reg<Bit>,
    expiring: Signal<Local, Bit>,
}

impl<const TW: usize> TagTable<TW> {
    /// A table whose reads are given up `timeout` cycles after they left (up to 1/8 later).
    pub fn new(timeout: u64) -> Self {
        assert!((1..=8).contains(&TW), "tags of 1 to 8 bits, not {TW}");
        let tags: u64 = 1 << TW;
        Self::with(TagTableGiven {
            clearing: Reg::new(true),
            limit_wide: Constant::new(tags.into()),
            limit_narrow: Constant::new(tags.min(32).into()),
            period: Constant::new(((timeout / 16).clamp(1, u32::MAX as u64) - 1).into()),
        })
    }
}

impl<const TW: usize> Logic for TagTable<TW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_read_tags: outstanding reads, one per tag, retired in the order of issue");
        self.waiting_slot.next = bit_cast::<TW, 8>(self.waiting_tag.val());
        self.newest_slot.next = bit_cast::<TW, 8>(self.newest.q.val());
        self.oldest_slot.next = bit_cast::<TW, 8>(self.oldest.q.val());
        self.coming_slot.next = bit_cast::<TW, 8>(self.coming_tag.val());
        self.lookup_slot.next = bit_cast::<TW, 8>(self.lookup_tag.val());
        self.finish_slot.next = bit_cast::<TW, 8>(self.finish_tag.val());

        comment!("set up");
        self.issued_tag.waddr.next = self.newest_slot.val();
        self.issued_tag.wdata.next = self.newest.q.val();
        self.issued_tag.wen.next = self.allocate.val();
        self.issued_client.waddr.next = self.newest_slot.val();
        self.issued_client.wdata.next = self.chunk.val().client;
        self.issued_client.wen.next = self.allocate.val();
        self.issued_address.waddr.next = self.newest_slot.val();
        self.issued_address.wdata.next = self.chunk.val().ram_address;
        self.issued_address.wen.next = self.allocate.val();
        self.issued_length.waddr.next = self.newest_slot.val();
        self.issued_length.wdata.next = self.chunk.val().length;
        self.issued_length.wen.next = self.allocate.val();
        self.issued_lower.waddr.next = self.newest_slot.val();
        self.issued_lower.wdata.next = bit_cast::<7, 64>(self.chunk.val().address);
        self.issued_lower.wen.next = self.allocate.val();
        self.retire_client.waddr.next = self.newest_slot.val();
        self.retire_client.wdata.next = self.chunk.val().client;
        self.retire_client.wen.next = self.allocate.val();
        self.retire_slot.waddr.next = self.newest_slot.val();
        self.retire_slot.wdata.next = self.chunk.val().slot;
        self.retire_slot.wen.next = self.allocate.val();
        self.retire_first.waddr.next = self.newest_slot.val();
        self.retire_first.wdata.next = 0.into();
        if self.chunk.val().first & !self.pass_over.q.val() {
            self.retire_first.wdata.next = 1.into();
        }
        self.retire_first.wen.next = self.allocate.val() | self.pass_over.q.val();
        self.retire_last.waddr.next = self.newest_slot.val();
        self.retire_last.wdata.next = 0.into();
        if self.chunk.val().last & !self.pass_over.q.val() {
            self.retire_last.wdata.next = 1.into();
        }
        self.retire_last.wen.next = self.allocate.val() | self.pass_over.q.val();
        self.retire_stamp.waddr.next = self.waiting_slot.val();
        self.retire_stamp.wdata.next = self.ticks.q.val();
        comment!("last in the cycle in which it leaves");
        self.retire_stamp.wen.next = self.waiting.val();

        comment!("age of the oldest; `too_old` is about the tag that was the oldest one cycle ago");
        self.prescaler.d.next = self.prescaler.q.val() + 1;
        if self.prescaler.q.val() == self.period.val() {
            self.prescaler.d.next = 0.into();
            self.ticks.d.next = self.ticks.q.val() + 1;
        }
        self.retire_stamp.raddr.next = self.oldest_slot.val();
        self.age.next = self.ticks.q.val() - self.retire_stamp.rdata.val();
        self.open_for_oldest.raddr.next = self.oldest_slot.val();
        self.pop.next = self.count.q.val().any() & !self.open_for_oldest.rdata.val().any();
        comment!("the read that waits is the newest: it is the oldest as well when it is alone");
        self.one_left.next = !self.count.q.val().get_bits::<8>(1).any();
        comment!("once it is it stays so: completions for it are not accepted any more");
        self.too_old.d.next = self.count.q.val().any()
            & !self.pop.val()
            & (((self.age.val() > 16) & !self.patient.val()) | self.abandon.val() | self.too_old.q.val())
            & !(self.waiting.val() & self.one_left.val());
        comment!(
            "it was open one cycle ago; `closed` says whether it has been closed since. While another slot is being closed it waits"
        );
        self.expiring.next =
            self.too_old.q.val() & !self.closed.q.val() & !self.finished.q.val() & !self.refused.q.val();
        self.closed.d.next = self.expiring.val()
            | (self.finish.val() & (self.finish_slot.val() == self.oldest_slot.val()))
            | (self.finished.q.val() & (self.finished_slot.q.val() == self.oldest_slot.val()))
            | (self.refuse.val() & (self.lookup_slot.val() == self.oldest_slot.val()))
            | (self.refused.q.val() & (self.looked_slot.q.val() == self.oldest_slot.val()));
        self.expired.d.next = self.expiring.val();
        self.expire.next = self.expiring.val();
        self.expire_tag.next = self.oldest.q.val();

        comment!("look up and account");
        self.issued_tag.raddr.next = self.coming_slot.val();
        self.issued_client.raddr.next = self.coming_slot.val();
        self.issued_address.raddr.next = self.coming_slot.val();
        self.issued_length.raddr.next = self.coming_slot.val();
        self.issued_lower.raddr.next = self.coming_slot.val();
        self.next_address.raddr.next = self.coming_slot.val();
        self.next_remaining.raddr.next = self.coming_slot.val();
        self.next_lower.raddr.next = self.coming_slot.val();
        comment!("before it is known whether the completion is as it should be: if not, its tag is closed, and nobody asks any more");
        self.accounts.next =
            self.lookup.val() & self.open_then.q.val() & self.known_then.q.val() & !self.closing_then.q.val();
        self.next_address.waddr.next = self.lookup_slot.val();
        self.next_address.wdata.next = self.advance_address.val();
        self.next_address.wen.next = self.accounts.val();
        self.next_remaining.waddr.next = self.lookup_slot.val();
        self.next_remaining.wdata.next = bit_cast::<14, 13>(self.advance_remaining.val());
        if !self.advance_last.val() {
            self.next_remaining.wdata.next = bit_cast::<14, 13>(self.advance_remaining.val()) | 0x2000;
        }
        self.next_remaining.wen.next = self.accounts.val();
        self.next_lower.waddr.next = self.lookup_slot.val();
        self.next_lower.wdata.next = self.advance_lower_address.val();
        self.next_lower.wen.next = self.accounts.val();
        self.looked_again.next = self.looked_slot.q.val() == self.coming_slot.val();
        self.fresh.raddr.next = self.coming_slot.val();
        self.is_fresh.next = self.fresh.rdata.val().any() & !(self.accounted.q.val() & self.looked_again.val());
        self.address_then.d.next = self.next_address.rdata.val();
        self.left.next = bit_cast::<13, 14>(self.next_remaining.rdata.val());
        self.some_left.next = self.next_remaining.rdata.val().get_bit(13);
        self.lower_then.d.next = self.next_lower.rdata.val();
        if self.is_fresh.val() {
            self.address_then.d.next = self.issued_address.rdata.val();
            self.left.next = self.issued_length.rdata.val();
            self.some_left.next = true;
            self.lower_then.d.next = self.issued_lower.rdata.val();
        }
        self.left_then.d.next = self.left.val();
        self.client_then.d.next = self.issued_client.rdata.val();
        comment!("three registers, each with a path of its own");
        self.open_for_coming.raddr.next = self.coming_slot.val();
        self.open_then.d.next = self.open_for_coming.rdata.val().any() & !self.clearing.q.val();
        comment!("nobody answers a read that has not left");
        self.known_then.d.next = self.some_left.val()
            & (self.issued_tag.rdata.val() == self.coming_tag.val())
            & !(self.waiting.val() & (self.waiting_slot.val() == self.coming_slot.val()));
        self.closing_then.d.next = (self.finish.val() & (self.finish_slot.val() == self.coming_slot.val()))
            | (self.finished.q.val() & (self.finished_slot.q.val() == self.coming_slot.val()))
            | (self.refused.q.val() & self.looked_again.val())
            | (self.too_old.q.val() & (self.oldest_slot.val() == self.coming_slot.val()));
        self.address.next = self.address_then.q.val();
        self.remaining.next = self.left_then.q.val();
        self.lower_address.next = self.lower_then.q.val();
        self.client.next = self.client_then.q.val();

        comment!("that the oldest is still open, as `expiring` asks, goes without saying here");
        self.found.next = self.open_then.q.val()
            & self.known_then.q.val()
            & !self.closing_then.q.val()
            & !(self.too_old.q.val() & (self.lookup_slot.val() == self.oldest_slot.val()));

        comment!("one bit per slot; a completion counts one cycle later, and so does the end of a read");
        self.accounted.d.next = self.accounts.val();
        self.refused.d.next = self.refuse.val();
        self.spoilt.d.next = self.spoil.val();
        self.looked_slot.d.next = self.lookup_slot.val();
        self.finished.d.next = self.finish.val();
        self.finished_slot.d.next = self.finish_slot.val();
        self.finished_error.d.next = self.finish_error.val();
        comment!(
            "the first port is for what is made, or never leaves; a read that waits to leave is the only one of them"
        );
        self.marked_slot.next = self.newest_slot.val();
        if self.waiting.val() {
            self.marked_slot.next = self.waiting_slot.val();
        }
        self.marks.next = self.allocate.val() | self.pass_over.q.val() | self.withdraw.val() | self.clearing.q.val();
        self.opens.next = 0.into();
        if self.allocate.val() {
            self.opens.next = 1.into();
        }
        comment!(
            "the second one for what ends: a read is not finished in the cycle in which a header is looked up, which would be one amid \
             another packet"
        );
        self.completed_slot.next = self.looked_slot.q.val();
        if self.finished.q.val() {
            self.completed_slot.next = self.finished_slot.q.val();
        }
        self.closed_slot.next = self.oldest_slot.val();
        if self.finished.q.val() | self.refused.q.val() {
            self.closed_slot.next = self.completed_slot.val();
        }
        self.closes.next = self.finished.q.val() | self.refused.q.val() | self.expiring.val();
        self.open_for_coming.first_waddr.next = self.marked_slot.val();
        self.open_for_coming.first_wdata.next = self.opens.val();
        self.open_for_coming.first_wen.next = self.marks.val();
        self.open_for_coming.second_waddr.next = self.closed_slot.val();
        self.open_for_coming.second_wdata.next = 0.into();
        self.open_for_coming.second_wen.next = self.closes.val();
        self.open_for_oldest.first_waddr.next = self.marked_slot.val();
        self.open_for_oldest.first_wdata.next = self.opens.val();
        self.open_for_oldest.first_wen.next = self.marks.val();
        self.open_for_oldest.second_waddr.next = self.closed_slot.val();
        self.open_for_oldest.second_wdata.next = 0.into();
        self.open_for_oldest.second_wen.next = self.closes.val();
        self.failed.first_waddr.next = self.marked_slot.val();
        self.failed.first_wdata.next = 0.into();
        if self.withdraw.val() {
            self.failed.first_wdata.next = 1.into();
        }
        self.failed.first_wen.next = self.marks.val();
        self.failed.second_waddr.next = self.completed_slot.val();
        self.failed.second_wdata.next = 1.into();
        self.failed.second_wen.next = self.refused.q.val() | self.spoilt.q.val();
        if self.finished.q.val() {
            self.failed.second_wen.next = self.finished_error.q.val();
        }
        self.fresh.first_waddr.next = self.newest_slot.val();
        self.fresh.first_wdata.next = 1.into();
        self.fresh.first_wen.next = self.allocate.val();
        self.fresh.second_waddr.next = self.looked_slot.q.val();
        self.fresh.second_wdata.next = 0.into();
        self.fresh.second_wen.next = self.accounted.q.val();

        comment!("the circle");
        self.newest_inc.next = self.newest.q.val() + 1;
        self.oldest_inc.next = self.oldest.q.val() + 1;
        if !self.wide.q.val() {
            self.newest_inc.next = (self.newest.q.val() + 1) & 0x1F;
            self.oldest_inc.next = (self.oldest.q.val() + 1) & 0x1F;
        }
        self.next_tag.next = self.newest.q.val();
        self.space.next = self.count.q.val() < self.limit_narrow.val();
        if self.wide.q.val() {
            self.space.next = self.count.q.val() < self.limit_wide.val();
        }
        comment!("does the next slot rest? The answer is a register, one cycle behind the slot");
        self.quarter.next = self.ticks.q.val().get_bits::<2>(4);
        self.rest.raddr.next = self.newest_slot.val();
        self.rested.next = self.quarter.val() - self.rest.rdata.val();
        self.rests.raddr.next = self.newest_slot.val();
        self.resting.next = self.rests.rdata.val().any() & !self.rested.val().get_bit(1);
        self.rest.waddr.next = self.oldest_slot.val();
        self.rest.wdata.next = self.quarter.val();
        self.rest.wen.next = self.expiring.val();
        self.rests.first_waddr.next = self.newest_slot.val();
        self.rests.first_wdata.next = 0.into();
        self.rests.first_wen.next = self.allocate.val() | self.clearing.q.val();
        self.rests.second_waddr.next = self.oldest_slot.val();
        self.rests.second_wdata.next = 1.into();
        self.rests.second_wen.next = self.expiring.val() & !self.abandon.val();
        comment!("other tags than those allowed now drain first");
        self.steady.next = !self.clearing.q.val()
            & !self.allocate.val()
            & !self.pass_over.q.val()
            & (self.wide.q.val() == self.extended_tag.val())
            & self.space.val();
        self.free.d.next = self.steady.val() & !self.resting.val();
        comment!("not behind a read that waits to leave: that is the newest until it has");
        self.pass_over.d.next = self.steady.val() & self.resting.val() & self.wanted.val() & !self.waiting.val();
        self.spent.d.next = !self.space.val() | self.resting.val();
        self.available.next = self.free.q.val();
        self.exhausted.next = self.spent.q.val();
        if self.allocate.val() | self.pass_over.q.val() {
            self.newest.d.next = self.newest_inc.val();
            if !self.pop.val() {
                self.count.d.next = self.count.q.val() + 1;
            }
        } else if self.pop.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        if self.pop.val() {
            self.oldest.d.next = self.oldest_inc.val();
        }
        if self.clearing.q.val() {
            self.newest.d.next = self.newest.q.val() + 1;
            if self.newest_slot.val().all() {
                self.newest.d.next = 0.into();
                self.clearing.d.next = false;
            }
        }
        if !self.count.q.val().any()
            & !self.allocate.val()
            & !self.pass_over.q.val()
            & (self.wide.q.val() != self.extended_tag.val())
        {
            self.wide.d.next = self.extended_tag.val();
            self.newest.d.next = 0.into();
            self.oldest.d.next = 0.into();
        }

        comment!("retirement: two registers later than the pop, so that the last beat is in the RAM");
        self.retire_client.raddr.next = self.oldest_slot.val();
        self.retire_slot.raddr.next = self.oldest_slot.val();
        self.retire_first.raddr.next = self.oldest_slot.val();
        self.retire_last.raddr.next = self.oldest_slot.val();
        self.pop_first.next = self.retire_first.rdata.val().any();
        self.pop_last.next = self.retire_last.rdata.val().any();
        self.failed.raddr.next = self.oldest_slot.val();
        self.pop_failed.next = self.failed.rdata.val().any();
        comment!("a tag that was given up is popped in the next cycle");
        self.pop_error.next =
            self.pop_failed.val() | self.expired.q.val() | (self.earlier_error.q.val() & !self.pop_first.val());
        self.bad_event.d.next = self.pop.val() & self.pop_failed.val() & !self.expired.q.val();
        if self.pop.val() {
            self.earlier_error.d.next = self.pop_error.val();
        }
        self.ended_valid.d.next = self.pop.val() & self.pop_last.val();
        self.ended.d.next.client = self.retire_client.rdata.val();
        self.ended.d.next.slot = self.retire_slot.rdata.val();
        self.ended.d.next.error = self.pop_error.val();
        self.told_valid.d.next = self.ended_valid.q.val();
        self.told.d.next = self.ended.q.val();
        self.retire.next = self.told.q.val();
        self.retire_valid.next = self.told_valid.q.val();
        self.bad.next = self.bad_event.q.val();
        self.empty.next = !self.count.q.val().any() & !self.ended_valid.q.val() & !self.told_valid.q.val();
    }
}
