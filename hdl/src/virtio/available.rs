//! Reads the available ring: index, then slots in batches, while the driver's notifications are off.
use super::guess::HeadGuess;
use super::types::*;
use crate::block::Block;
use crate::cells::{HalfStage, LutRam, Reg, Source, Stage};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the reader of the available index does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PollState {
    /// Waits for a kick.
    Asleep,
    /// Offers the read of the index.
    Request,
    /// Offers the read of slots that the index may be about.
    Guess,
    /// Waits for the index.
    Wait,
    /// The index is there: how far it is ahead is found out.
    Compare,
    /// Takes the index.
    Look,
    /// Waits until the slots of all known entries have been asked for.
    Follow,
    /// Switches notifications on before a last look at the index.
    Arm,
    /// Waits until that write has left.
    ArmWait,
}

/// Available-ring reader of one queue.
///
/// ```text
///  kick -> [poll index] -> known -> [fetch slots, two buffers of 16] -> heads
///             ^   |no news
///             |   v
///           [arm: avail_event or used.flags] -> look once more -> asleep
/// ```
/// A slot is read after the index that covers it has been returned: PCIe lets reads pass reads, so a slot read in parallel with its
/// index could be older than the index. While no other slot is under way up to four are read in parallel all the same, and their heads
/// handed on as a guess: their descriptors, which are as young as the index, are read while the slots are read once more, and nobody
/// looks at them before those have come and are the same (`hold`). If they are not, the guess is forgotten (`drop`), and the heads are
/// handed on again.
///
/// ```text
///  requests  index, slots                        slots          descriptors
///  returns                  index, slots?   heads        slots!             descriptors
/// ```
/// A broken rule, a failed read included, halts it until it is reset: nothing is asked for any more, and no slot that has not
/// been handed on becomes a head. What a buffer of slots held before is never taken for what could not be read.
#[derive(Block)]
pub struct AvailableReader {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The queue is set up and has not been stopped.
    pub enable: Signal<In, Bit>,
    /// Hand no more heads on, ask for nothing more.
    pub pause: Signal<In, Bit>,
    /// One cycle, behind each reset: go on at `used_index`.
    pub rewind: Signal<In, Bit>,
    /// Used index as the driver can see it.
    pub used_index: Signal<In, Bits<16>>,
    /// Address of the descriptor table, with which the ring begins.
    pub ring_base: Signal<In, Bits<64>>,
    /// One cycle: the driver kicked the queue.
    pub kick: Signal<In, Bit>,
    /// EVENT_IDX has been negotiated.
    pub event_idx: Signal<In, Bit>,
    /// Reads of the ring.
    pub request: Source<ReadRequest>,
    /// What has been read, for all DMA clients.
    pub returns: ReadReturnSink,
    /// Head descriptors in the order of the ring.
    pub heads: Source<Bits<16>>,
    /// All heads that were handed on have been followed.
    pub heads_idle: Signal<In, Bit>,
    /// The heads handed on are a guess: their descriptors may be read, and nothing done with them.
    pub hold: Signal<Out, Bit>,
    /// One cycle, the last of `hold`: it was wrong, the heads that have been handed on since `hold` began are void.
    pub drop: Signal<Out, Bit>,
    /// They have not been forgotten yet.
    pub heads_forgetting: Signal<In, Bit>,
    /// Notifications on or off.
    pub notify: Source<NotifyUpdate>,
    /// One cycle: the last `notify` with `enable` has left for host memory.
    pub notify_done: Signal<In, Bit>,
    /// Available entries seen so far, modulo 2^16.
    pub known: Signal<Out, Bits<16>>,
    /// Waits for a kick, and none is pending; or both buffers are full of heads that nobody takes.
    pub asleep: Signal<Out, Bit>,
    /// One cycle: a rule was broken.
    pub violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub violation: Signal<Out, ViolationReport>,

    /// 8 words of 16 bytes, a memory for each 2 of them.
    #[given]
    ram: Vec<LutRam<16, 3>>,
    half: Signal<Local, Bits<16>>,
    read_word: Signal<Local, Bits<3>>,
    line: Signal<Local, Bits<128>>,
    request_stage: HalfStage<ReadRequest>,
    head_stage: Stage<Bits<16>>,
    poll: Reg<PollState>,
    kicked: Reg<Bit>,
    armed: Reg<Bit>,
    mute: Reg<Bit>,
    known_index: Reg<Bits<16>>,
    fetch_index: Reg<Bits<16>>,
    offer: Reg<Bit>,
    // of the slot behind the fetched ones, one cycle ago: where it is from the begin of the ring on, how far behind the index and before
    // the end of the ring; and two cycles ago how many are read at once from it on
    slot_place: DFF<Bits<16>>,
    missing: DFF<Bits<9>>,
    to_wrap: DFF<Bits<9>>,
    offer_count: DFF<Bits<5>>,
    measured: Reg<Bit>,
    fill: Reg<Bit>,
    drain: Reg<Bit>,
    busy0: Reg<Bit>,
    busy1: Reg<Bit>,
    ready0: Reg<Bit>,
    ready1: Reg<Bit>,
    count0: Reg<Bits<5>>,
    count1: Reg<Bits<5>>,
    position: Reg<Bits<5>>,
    // no room was there for a head, one cycle ago
    held_up: Reg<Bit>,
    index: DFF<Bits<16>>,
    guess: HeadGuess,
    // of the index against what has been fetched, one cycle ago
    too_far: DFF<Bit>,
    news: DFF<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    queue_size: Constant<Bits<16>>,
    #[given]
    queue_mask: Constant<Bits<16>>,
    #[given]
    available_offset: Constant<Bits<16>>,
    #[given]
    slots_offset: Constant<Bits<16>>,
    #[given]
    guesses: Constant<Bit>,

    retired: Signal<Local, Bit>,
    retired_slot: Signal<Local, Bits<6>>,
    retired_error: Signal<Local, Bit>,
    ahead: Signal<Local, Bits<16>>,
    ring_position: Signal<Local, Bits<16>>,
    batch: Signal<Local, Bits<9>>,
    poll_request: Signal<Local, Bit>,
    // of what is read next, from the begin of the ring on
    place: Signal<Local, Bits<16>>,
    address: Signal<Local, Bits<64>>,
    index_request: Signal<Local, ReadRequest>,
    slot_request: Signal<Local, ReadRequest>,
    slot_bytes: Signal<Local, Bits<13>>,
    fill_busy: Signal<Local, Bit>,
    can_guess: Signal<Local, Bit>,
    guess_offered: Signal<Local, Bit>,
    guess_request: Signal<Local, ReadRequest>,
    guess_slots: Signal<Local, Bits<3>>,
    guess_bytes: Signal<Local, Bits<13>>,
    first_word: Signal<Local, Bits<3>>,
    news_here: Signal<Local, Bit>,
    buffer_ends: Signal<Local, Bit>,
    drain_ready: Signal<Local, Bit>,
    drain_count: Signal<Local, Bits<5>>,
    slot_shift: Signal<Local, Bits<8>>,
    head: Signal<Local, Bits<16>>,
    head_valid: Signal<Local, Bit>,
    head_bad: Signal<Local, Bit>,
    position_next: Signal<Local, Bits<5>>,
    report: Signal<Local, ViolationReport>,
    // as it is told, one cycle later
    told: Reg<Bit>,
    told_report: Reg<ViolationReport>,
    halted: Reg<Bit>,
    lives: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    update: Signal<Local, NotifyUpdate>,
    write_client: Signal<Local, Bits<4>>,
    write_mine: Signal<Local, Bit>,
}

impl AvailableReader {
    /// `client` is the reader's DMA client number. With `guesses` slots are read beside their index, which costs a read of 8 bytes a
    /// kick: where the device waits for chains, not where chains wait for the device.
    pub fn new(client: u64, queue_size: u16, guesses: bool) -> Self {
        let available_offset = super::layout::avail_offset(queue_size);
        Self::with(AvailableReaderGiven {
            ram: (0..8).map(|_| LutRam::default()).collect(),
            client: Constant::new(client.into()),
            queue_size: Constant::new(u64::from(queue_size).into()),
            queue_mask: Constant::new(u64::from(queue_size - 1).into()),
            available_offset: Constant::new(available_offset.into()),
            slots_offset: Constant::new((available_offset + 4).into()),
            guesses: Constant::new(guesses),
        })
    }
}

impl Logic for AvailableReader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module available_reader: reads index and slots of the available ring");
        self.lives.next = self.enable.val() & !self.halted.q.val();
        self.go.next = self.lives.val() & !self.pause.val();

        comment!("RAM: slot buffers at bytes 32 and 64, a guess at byte 16; the index comes at byte 0, and goes into a register as well");
        self.write_client.next = self.returns.write.val().client;
        self.write_mine.next = self.returns.write_valid.val() & (self.write_client.val() == self.client.val());
        self.first_word.next = 2.into();
        if self.drain.q.val() {
            self.first_word.next = 4.into();
        }
        self.read_word.next = self.first_word.val();
        if self.position.q.val().get_bit(3) {
            self.read_word.next = self.first_word.val() | 1;
        }
        if self.guess.hold.val() {
            self.read_word.next = 1.into();
        }
        if self.write_mine.val()
            & !self.returns.write.val().word.get_bits::<3>(0).any()
            & self.returns.write.val().enable.get_bit(2)
        {
            self.index.d.next = self.returns.write.val().data.get_bits::<16>(16);
        }
        self.line.next = 0.into();
        for i in 0..8 {
            self.ram[i].waddr.next = bit_cast::<3, 12>(self.returns.write.val().word);
            self.ram[i].wdata.next = self.returns.write.val().data.get_bits::<16>(i * 16);
            comment!("all that is read here is of 2 bytes and lies at even addresses");
            self.ram[i].wen.next = self.write_mine.val() & self.returns.write.val().enable.get_bit(i * 2);
            self.ram[i].raddr.next = self.read_word.val();
            self.half.next = self.ram[i].rdata.val();
            self.line.next = self.line.val() | (bit_cast::<128, 16>(self.half.val()) << (i * 16).to_bits::<7>());
        }

        self.retired.next = self.returns.retire_valid.val() & (self.returns.retire.val().client == self.client.val());
        self.retired_slot.next = self.returns.retire.val().slot;
        self.retired_error.next = self.returns.retire.val().error;

        self.found.next = false;
        self.report.next.rule = Violation::Nothing;
        self.report.next.head = 0.into();

        comment!("---- the index");
        if self.kick.val() & self.lives.val() {
            self.kicked.d.next = true;
        }
        self.poll_request.next = false;
        self.guess_offered.next = false;
        self.guess.asked.next = false;
        self.news_here.next = false;
        self.ring_position.next = self.fetch_index.q.val() & self.queue_mask.val();
        self.guess_slots.next = 4.into();
        if self.to_wrap.q.val() < 4 {
            self.guess_slots.next = self.to_wrap.q.val().get_bits::<3>(0);
        }
        comment!("no other slot is on its way, and all heads before have been followed");
        self.can_guess.next = self.guesses.val()
            & !self.armed.q.val()
            & self.heads_idle.val()
            & !self.head_stage.output.valid.val()
            & (self.fetch_index.q.val() == self.known_index.q.val())
            & !self.busy0.q.val()
            & !self.busy1.q.val()
            & !self.guess.pending.val();
        self.update.next.enable = false;
        self.update.next.index = self.known_index.q.val();
        self.notify.valid.next = self.mute.q.val() & self.go.val();
        if self.notify.ready.val() & self.go.val() {
            self.mute.d.next = false;
        }
        self.ahead.next = self.index.q.val() - self.fetch_index.q.val();
        self.too_far.d.next = self.ahead.val() > self.queue_size.val();
        self.news.d.next = self.ahead.val().any();
        match self.poll.q.val() {
            PollState::Asleep => {
                self.armed.d.next = false;
                if (self.kick.val() | self.kicked.q.val()) & self.go.val() {
                    comment!("with EVENT_IDX a stale avail_event keeps the driver quiet");
                    self.mute.d.next = !self.event_idx.val();
                    self.poll.d.next = PollState::Request;
                    self.poll_request.next = true;
                }
            }
            PollState::Request => self.poll_request.next = self.go.val(),
            PollState::Guess => {
                self.guess_offered.next = self.go.val();
                if self.go.val() & self.request_stage.input.ready.val() {
                    self.guess.asked.next = true;
                    self.poll.d.next = PollState::Wait;
                }
            }
            PollState::Wait => {}
            PollState::Compare => {
                self.poll.d.next = PollState::Look;
            }
            PollState::Look => {
                self.known_index.d.next = self.index.q.val();
                if self.too_far.q.val() {
                    self.known_index.d.next = self.known_index.q.val();
                    self.poll.d.next = PollState::Asleep;
                    self.found.next = true;
                    self.report.next.rule = Violation::AvailableIndex;
                } else if self.news.q.val() {
                    self.mute.d.next = self.armed.q.val() & !self.event_idx.val();
                    self.armed.d.next = false;
                    self.news_here.next = true;
                    self.poll.d.next = PollState::Follow;
                } else if self.armed.q.val() {
                    self.poll.d.next = PollState::Asleep;
                } else {
                    self.poll.d.next = PollState::Arm;
                }
            }
            PollState::Follow => {
                if self.fetch_index.q.val() == self.known_index.q.val() {
                    self.poll.d.next = PollState::Request;
                }
            }
            PollState::Arm => {
                comment!("an update that mutes must have gone first");
                if !self.mute.q.val() {
                    self.notify.valid.next = self.go.val();
                    self.update.next.enable = true;
                    if self.notify.ready.val() & self.go.val() {
                        self.poll.d.next = PollState::ArmWait;
                    }
                }
            }
            PollState::ArmWait => {
                if self.notify_done.val() {
                    self.armed.d.next = true;
                    self.poll.d.next = PollState::Request;
                }
            }
            _ => self.poll.d.next = PollState::Asleep,
        }
        self.guess.index_asked.next = self.poll_request.val() & self.request_stage.input.ready.val();
        if self.poll_request.val() & self.request_stage.input.ready.val() {
            comment!("this read sees whatever the kick announced, but for one that comes while it is being taken");
            self.kicked.d.next = self.kick.val() & (self.poll.q.val() == PollState::Request);
            self.poll.d.next = PollState::Wait;
            if self.can_guess.val() {
                self.poll.d.next = PollState::Guess;
            }
        }
        comment!("the index may come while the guess still waits to leave");
        if self.retired.val()
            & (self.retired_slot.val() == 0)
            & ((self.poll.q.val() == PollState::Wait) | (self.poll.q.val() == PollState::Guess))
        {
            self.poll.d.next = PollState::Compare;
            if self.retired_error.val() {
                self.poll.d.next = PollState::Asleep;
                self.found.next = true;
                self.report.next.rule = Violation::RingRead;
            }
        }
        self.notify.data.next = self.update.val();
        comment!("the index goes first");
        self.place.next = self.slot_place.q.val();
        if self.poll_request.val() {
            self.place.next = self.available_offset.val();
        }
        self.address.next = self.ring_base.val() + bit_cast::<64, 16>(self.place.val());
        self.index_request.next.address = self.address.val();
        self.index_request.next.length = 4.into();
        self.index_request.next.destination = 0.into();
        self.index_request.next.client = self.client.val();
        self.index_request.next.slot = 0.into();

        comment!(
            "---- the slots \
             batch: up to 16 slots, to the end of the ring at most"
        );
        self.slot_place.d.next = self.slots_offset.val() + (self.ring_position.val() << 1);
        self.missing.d.next = self.known_index.q.val().get_bits::<9>(0) - self.fetch_index.q.val().get_bits::<9>(0);
        self.to_wrap.d.next = bit_cast::<9, 16>(self.queue_size.val()) - bit_cast::<9, 16>(self.ring_position.val());
        self.batch.next = 16.into();
        if self.missing.q.val() < self.batch.val() {
            self.batch.next = self.missing.q.val();
        }
        if self.to_wrap.q.val() < self.batch.val() {
            self.batch.next = self.to_wrap.q.val();
        }
        self.fill_busy.next = self.busy0.q.val();
        if self.fill.q.val() {
            self.fill_busy.next = self.busy1.q.val();
        }
        self.measured.d.next = !self.offer.q.val();
        if self.measured.q.val()
            & !self.offer.q.val()
            & self.go.val()
            & self.missing.q.val().any()
            & !self.fill_busy.val()
        {
            self.offer.d.next = true;
        }
        self.offer_count.d.next = self.batch.val().get_bits::<5>(0);
        self.slot_bytes.next = bit_cast::<13, 5>(self.offer_count.q.val()) << 1;
        self.slot_request.next.address = self.address.val();
        self.slot_request.next.length = self.slot_bytes.val();
        self.slot_request.next.destination = 32.into();
        self.slot_request.next.slot = 1.into();
        if self.fill.q.val() {
            self.slot_request.next.destination = 64.into();
            self.slot_request.next.slot = 2.into();
        }
        self.slot_request.next.client = self.client.val();
        self.guess_bytes.next = bit_cast::<13, 3>(self.guess_slots.val()) << 1;
        self.guess_request.next.address = self.address.val();
        self.guess_request.next.length = self.guess_bytes.val();
        self.guess_request.next.destination = 16.into();
        self.guess_request.next.slot = 3.into();
        self.guess_request.next.client = self.client.val();
        self.request_stage.input.valid.next =
            self.poll_request.val() | self.guess_offered.val() | (self.offer.q.val() & self.go.val());
        self.request_stage.input.data.next = self.slot_request.val();
        if self.poll_request.val() {
            self.request_stage.input.data.next = self.index_request.val();
        } else if self.guess_offered.val() {
            self.request_stage.input.data.next = self.guess_request.val();
        }
        if self.offer.q.val() & self.go.val() & !self.poll_request.val() & self.request_stage.input.ready.val() {
            self.offer.d.next = false;
            self.fetch_index.d.next = self.fetch_index.q.val() + bit_cast::<16, 5>(self.offer_count.q.val());
            self.fill.d.next = !self.fill.q.val();
            if self.fill.q.val() {
                self.busy1.d.next = true;
                self.count1.d.next = self.offer_count.q.val();
            } else {
                self.busy0.d.next = true;
                self.count0.d.next = self.offer_count.q.val();
            }
        }
        self.guess.returned.next = self.retired.val() & (self.retired_slot.val() == 3);
        self.guess.failed.next = self.retired_error.val();
        if self.retired.val() & self.retired_slot.val().any() & (self.retired_slot.val() != 3) {
            if self.retired_error.val() {
                self.found.next = true;
                self.report.next.rule = Violation::RingRead;
            } else if self.retired_slot.val().get_bit(0) {
                self.ready0.d.next = true;
            } else {
                self.ready1.d.next = true;
            }
        }

        comment!("---- the heads");
        self.drain_ready.next = self.ready0.q.val();
        self.drain_count.next = self.count0.q.val();
        if self.drain.q.val() {
            self.drain_ready.next = self.ready1.q.val();
            self.drain_count.next = self.count1.q.val();
        }
        self.slot_shift.next = bit_cast::<8, 3>(self.position.q.val().get_bits::<3>(0)) << 4;
        self.head_valid.next = self.drain_ready.val() & self.go.val() & !self.heads_forgetting.val();
        comment!("guessed ones until the slots come that have been asked for again");
        if self.guess.hold.val() {
            self.slot_shift.next = bit_cast::<8, 3>(self.guess.slot.val()) << 4;
            self.head_valid.next = self.guess.valid.val() & !self.drain_ready.val() & self.go.val();
        }
        self.head.next = self.line.val().get_bits::<16>(self.slot_shift.val().index());
        self.head_stage.input.data.next = self.head.val();
        self.head_stage.input.valid.next = self.head_valid.val();
        comment!("checked behind the register; a bad one goes no further, and nothing behind it: the queue is stopped");
        self.head_bad.next = (self.head_stage.output.data.val() & !self.queue_mask.val()).any();
        self.heads.data.next = self.head_stage.output.data.val();
        self.heads.valid.next = self.head_stage.output.valid.val() & !self.head_bad.val() & self.go.val();
        self.head_stage.output.ready.next =
            (self.heads.ready.val() | (self.head_bad.val() & self.guess.in_register.val())) & self.go.val();
        self.position_next.next = self.position.q.val() + 1;
        if self.head_stage.output.valid.val() & self.head_bad.val() & !self.guess.in_register.val() {
            self.found.next = true;
            self.report.next.rule = Violation::HeadRange;
            self.report.next.head = self.head_stage.output.data.val();
        }
        self.buffer_ends.next = false;
        if self.head_valid.val() & self.head_stage.input.ready.val() & !self.guess.hold.val() {
            self.position.d.next = self.position_next.val();
            self.buffer_ends.next = self.position_next.val() == self.drain_count.val();
        }

        comment!("---- what was guessed");
        self.guess.news.next = self.news_here.val();
        self.guess.ahead.next = self.ahead.val();
        comment!("as many as when they were asked for: nothing has been fetched since");
        self.guess.asked_slots.next = self.guess_slots.val();
        self.guess.slots.next = self.line.val().get_bits::<64>(0);
        self.guess.taken.next = self.guess.hold.val() & self.head_valid.val() & self.head_stage.input.ready.val();
        self.guess.register_free.next = self.head_stage.input.ready.val();
        self.guess.bad.next = self.head_stage.output.valid.val() & self.head_bad.val();
        self.guess.passes.next = self.heads.valid.val() & self.heads.ready.val();
        self.guess.write_valid.next =
            self.write_mine.val() & (self.returns.write.val().word == bit_cast::<12, 3>(self.first_word.val()));
        self.guess.write_data.next = self.returns.write.val().data.get_bits::<64>(0);
        self.guess.write_enable.next = self.returns.write.val().enable.get_bits::<8>(0);
        self.guess.certain.next = self.drain_ready.val() & !self.head_stage.output.valid.val() & self.go.val();
        self.drop.next = self.guess.confirmed.val() & self.guess.wrong.val();
        if self.guess.confirmed.val() & !self.guess.wrong.val() {
            self.position.d.next = bit_cast::<5, 3>(self.guess.passed.val());
            self.buffer_ends.next = bit_cast::<5, 3>(self.guess.passed.val()) == self.drain_count.val();
        }
        self.hold.next = self.guess.hold.val();

        comment!("---- a buffer of slots ends");
        if self.buffer_ends.val() {
            self.position.d.next = 0.into();
            self.drain.d.next = !self.drain.q.val();
            if self.drain.q.val() {
                self.busy1.d.next = false;
                self.ready1.d.next = false;
            } else {
                self.busy0.d.next = false;
                self.ready0.d.next = false;
            }
        }

        if self.rewind.val() {
            self.known_index.d.next = self.used_index.val();
            self.fetch_index.d.next = self.used_index.val();
        }
        self.told.d.next = self.found.val();
        if self.found.val() {
            self.halted.d.next = true;
        }
        Source::<ReadRequest>::link(&mut self.request, &mut self.request_stage.output);
        self.known.next = self.known_index.q.val();
        comment!("when both buffers are full, the ring is read no further before a head is taken");
        self.held_up.d.next = self.heads.valid.val() & !self.heads.ready.val();
        self.asleep.next = ((self.poll.q.val() == PollState::Asleep) & !self.kicked.q.val())
            | ((self.poll.q.val() == PollState::Follow)
                & self.ready0.q.val()
                & self.ready1.q.val()
                & self.held_up.q.val());
        self.told_report.d.next = self.report.val();
        self.violation_valid.next = self.told.q.val();
        self.violation.next = self.told_report.q.val();
    }
}
