//! Writes the used ring: elements in batches, one index write a batch, and the driver's notification switch.
use super::layout;
use super::types::*;
use crate::block::Block;
use crate::cells::{HalfStage, LaneRam, Reg, Sink, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the writer does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum UsedState {
    /// Waits for elements or a notification update.
    Idle,
    /// Offers the write of a batch of elements.
    Elements,
    /// Puts the new index into the RAM.
    IndexStore,
    /// Offers its write.
    Index,
    /// Puts used.flags or avail_event into the RAM.
    NotifyStore,
    /// Offers its write.
    Notify,
}

/// Used-ring writer of one queue.
///
/// Elements wait in a RAM of 32 slots until a batch goes out; those with `more` until the one they wait for is there too. The
/// index is written when all that was complete has been. All writes go through the one in-order write engine, so that
/// elements are visible before the index that covers them.
///
/// An element with `soon` waits for the next ones, since each batch costs two writes: until 16 wait, or the oldest has waited for 250
/// cycles, 2 us at 125 MHz and twice what a frame of 1514 bytes takes on its link. One without takes all along at once.
///
/// ```text
///   RAM bytes   0..255  32 element slots {head u32, length u32}
///             256..383  16 slots of 8 bytes for the index, used.flags and avail_event
/// ```
#[derive(Block)]
pub struct UsedWriter {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// With `reset`: the used index stays.
    pub keep: Signal<In, Bit>,
    /// One cycle, behind each reset: go on at the used index.
    pub rewind: Signal<In, Bit>,
    /// One cycle, while nothing is on its way: the used index becomes `index`.
    pub index_write: Signal<In, Bit>,
    /// A used index.
    pub index: Signal<In, Bits<16>>,
    /// Address of the descriptor table, with which the ring begins.
    pub ring_base: Signal<In, Bits<64>>,
    /// EVENT_IDX has been negotiated.
    pub event_idx: Signal<In, Bit>,
    /// Finished chains; their data have been accepted by the write engine.
    pub used: Sink<UsedElement>,
    /// Notifications on or off.
    pub notify: Sink<NotifyUpdate>,
    /// One cycle: notifications are on, the write has left.
    pub notify_done: Signal<Out, Bit>,
    /// Writes of the used ring.
    pub request: Source<WriteRequest>,
    /// The write engine's read port of this client's RAM.
    pub read_word: Signal<In, Bits<12>>,
    /// What that word holds, one cycle later.
    pub read_data: Signal<Out, Bits<128>>,
    /// One cycle: the oldest write request of this client has left.
    pub done: Signal<In, Bit>,
    /// Used index as the driver can see it.
    pub written_index: Signal<Out, Bits<16>>,
    /// Something is on its way.
    pub busy: Signal<Out, Bit>,

    ram: LaneRam<128, 5, 2>,
    request_stage: HalfStage<WriteRequest>,
    under_way: StreamFifo<UsedWrite, 3>,
    state: Reg<UsedState>,
    pushed: Reg<Bits<16>>,
    complete: Reg<Bits<16>>,
    published: Reg<Bits<16>>,
    freed: Reg<Bits<16>>,
    written: Reg<Bits<16>>,
    word_slot: Reg<Bits<4>>,
    batch: DFF<Bits<16>>,
    batch_whole: DFF<Bit>,
    batch_address: DFF<Bits<64>>,
    batch_source: DFF<Bits<16>>,
    listen: Reg<Bit>,
    listening: Reg<Bit>,
    // the last complete element expects another one
    hold: Reg<Bit>,
    // it has been waited for long enough
    expired: Reg<Bit>,
    // cycles since the first of those that wait came
    age: Reg<Bits<8>>,
    // a batch was due one cycle ago
    was_due: Reg<Bit>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    wrap: Constant<Bits<6>>,
    #[given]
    wrap_mask: Constant<Bits<6>>,
    #[given]
    queue_mask: Constant<Bits<16>>,
    #[given]
    full_batch: Constant<Bits<6>>,
    #[given]
    longest_wait: Constant<Bits<8>>,
    #[given]
    flags_offset: Constant<Bits<16>>,
    #[given]
    index_offset: Constant<Bits<16>>,
    #[given]
    elements_offset: Constant<Bits<16>>,
    #[given]
    event_offset: Constant<Bits<16>>,

    waiting: Signal<Local, Bits<6>>,
    full: Signal<Local, Bit>,
    some_wait: Signal<Local, Bit>,
    due: Signal<Local, Bit>,
    to_wrap: Signal<Local, Bits<6>>,
    ring_position: Signal<Local, Bits<16>>,
    batch_limit: Signal<Local, Bits<6>>,
    // from the begin of the ring to what is written next
    offset: Signal<Local, Bits<16>>,
    aim: Signal<Local, Bit>,
    slot: Signal<Local, Bits<5>>,
    store: Signal<Local, Bit>,
    store_word: Signal<Local, Bit>,
    word: Signal<Local, Bits<64>>,
    element: Signal<Local, Bits<64>>,
    store_data: Signal<Local, Bits<64>>,
    store_place: Signal<Local, Bits<6>>,
    word_source: Signal<Local, Bits<16>>,
    offer: Signal<Local, Bit>,
    accepted: Signal<Local, Bit>,
    out: Signal<Local, WriteRequest>,
    entry: Signal<Local, UsedWrite>,
    finished: Signal<Local, UsedWriteKind>,
    finished_value: Signal<Local, Bits<16>>,
}

impl UsedWriter {
    /// `client` is the writer's DMA client number.
    pub fn new(client: u64, queue_size: u16) -> Self {
        let used = layout::used_offset(queue_size);
        Self::with(UsedWriterGiven {
            client: Constant::new(client.into()),
            wrap: Constant::new(u64::from(queue_size.min(32)).into()),
            wrap_mask: Constant::new(u64::from(queue_size.min(32) - 1).into()),
            queue_mask: Constant::new(u64::from(queue_size - 1).into()),
            full_batch: Constant::new(16.into()),
            longest_wait: Constant::new(250.into()),
            flags_offset: Constant::new((used + layout::RING_FLAGS).into()),
            index_offset: Constant::new((used + layout::RING_INDEX).into()),
            elements_offset: Constant::new((used + layout::RING_ENTRIES).into()),
            event_offset: Constant::new(layout::avail_event_offset(queue_size).into()),
        })
    }
}

impl Logic for UsedWriter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module used_writer: writes elements, index and notification switch of the used ring");
        self.written.reset.next = self.reset.val() & !self.keep.val();
        comment!(
            "---- batches \
             no more than 32 wait, and a batch ends with the RAM's 32 places or the ring, whichever is shorter"
        );
        self.waiting.next = self.complete.q.val().get_bits::<6>(0) - self.published.q.val().get_bits::<6>(0);
        self.ring_position.next = self.published.q.val() & self.queue_mask.val();
        self.to_wrap.next = self.wrap.val() - (self.published.q.val().get_bits::<6>(0) & self.wrap_mask.val());
        self.batch_limit.next = self.waiting.val();
        self.some_wait.next = self.complete.q.val().get_bits::<6>(0) != self.published.q.val().get_bits::<6>(0);
        self.due.next = self.some_wait.val() & (!self.hold.q.val() | self.expired.q.val());
        self.was_due.d.next = self.due.val();
        if self.to_wrap.val() < self.waiting.val() {
            self.batch_limit.next = self.to_wrap.val();
        }

        comment!("---- the writer");
        self.notify.ready.next = false;
        self.offer.next = false;
        self.store_word.next = false;
        self.word.next = bit_cast::<64, 16>(self.published.q.val());
        self.out.next.address = self.batch_address.q.val();
        self.out.next.length = bit_cast::<13, 16>(self.batch.q.val()) << 3;
        self.out.next.source = self.batch_source.q.val();
        self.out.next.client = self.client.val();
        self.entry.next.kind = UsedWriteKind::Elements;
        self.entry.next.value = self.batch.q.val();
        self.word_source.next = (bit_cast::<16, 4>(self.word_slot.q.val()) << 3) | 0x100;
        self.accepted.next = false;
        comment!("an element's place does not carry into the ring's offset, which is that of a page");
        self.offset.next = self.elements_offset.val() | (self.ring_position.val() << 3);
        self.aim.next = false;
        match self.state.q.val() {
            UsedState::Idle => {
                self.batch.d.next = bit_cast::<16, 6>(self.batch_limit.val());
                self.batch_whole.d.next = self.waiting.val() <= self.to_wrap.val();
                self.batch_source.d.next = bit_cast::<16, 5>(self.published.q.val().get_bits::<5>(0)) << 3;
                self.aim.next = true;
                comment!("`notify` is answered from a register");
                self.notify.ready.next = !self.was_due.q.val();
                if self.was_due.q.val() | !self.notify.valid.val() {
                    if self.due.val() {
                        self.state.d.next = UsedState::Elements;
                    }
                } else {
                    self.listen.d.next = self.notify.data.val().enable;
                    self.batch.d.next = self.notify.data.val().index;
                    comment!("with EVENT_IDX a stale avail_event mutes the driver by itself");
                    if self.notify.data.val().enable | !self.event_idx.val() {
                        self.state.d.next = UsedState::NotifyStore;
                    }
                }
            }
            UsedState::Elements => {
                self.offer.next = true;
                if self.request_stage.input.ready.val() & self.under_way.input.ready.val() {
                    self.accepted.next = true;
                    self.published.d.next = self.published.q.val() + self.batch.q.val();
                    self.state.d.next = UsedState::IndexStore;
                    if !self.batch_whole.q.val() {
                        comment!("the rest lies beyond a wrap");
                        self.state.d.next = UsedState::Idle;
                    }
                }
            }
            UsedState::IndexStore => {
                self.store_word.next = true;
                self.offset.next = self.index_offset.val();
                self.aim.next = true;
                self.state.d.next = UsedState::Index;
            }
            UsedState::Index => {
                self.offer.next = true;
                self.out.next.length = 2.into();
                self.out.next.source = self.word_source.val();
                self.entry.next.kind = UsedWriteKind::Index;
                self.entry.next.value = self.published.q.val();
                if self.request_stage.input.ready.val() & self.under_way.input.ready.val() {
                    self.accepted.next = true;
                    self.word_slot.d.next = self.word_slot.q.val() + 1;
                    self.state.d.next = UsedState::Idle;
                }
            }
            UsedState::NotifyStore => {
                self.store_word.next = true;
                self.offset.next = self.flags_offset.val();
                self.aim.next = true;
                self.word.next = 1.into();
                if self.listen.q.val() {
                    self.word.next = 0.into();
                }
                if self.event_idx.val() {
                    self.word.next = bit_cast::<64, 16>(self.batch.q.val());
                    self.offset.next = self.event_offset.val();
                }
                self.state.d.next = UsedState::Notify;
            }
            UsedState::Notify => {
                self.offer.next = true;
                self.out.next.length = 2.into();
                self.out.next.source = self.word_source.val();
                self.entry.next.kind = UsedWriteKind::Mute;
                if self.listen.q.val() {
                    self.entry.next.kind = UsedWriteKind::Listen;
                }
                if self.request_stage.input.ready.val() & self.under_way.input.ready.val() {
                    self.accepted.next = true;
                    self.word_slot.d.next = self.word_slot.q.val() + 1;
                    self.state.d.next = UsedState::Idle;
                }
            }
            _ => self.state.d.next = UsedState::Idle,
        }
        if self.aim.val() {
            self.batch_address.d.next = self.ring_base.val() + bit_cast::<64, 16>(self.offset.val());
        }
        self.request_stage.input.data.next = self.out.val();
        self.request_stage.input.valid.next = self.offer.val() & self.under_way.input.ready.val();
        self.under_way.input.data.next = self.entry.val();
        self.under_way.input.valid.next = self.accepted.val();
        Source::<WriteRequest>::link(&mut self.request, &mut self.request_stage.output);

        comment!(
            "---- elements into the RAM \
             full: 32 apart, told without a difference"
        );
        self.full.next = (self.pushed.q.val().get_bits::<5>(0) == self.freed.q.val().get_bits::<5>(0))
            & (self.pushed.q.val().get_bit(5) != self.freed.q.val().get_bit(5));
        self.used.ready.next = !self.full.val() & !self.store_word.val();
        self.store.next = self.used.valid.val() & !self.full.val() & !self.store_word.val();
        if self.store.val() {
            self.pushed.d.next = self.pushed.q.val() + 1;
            if !self.used.data.val().more {
                self.complete.d.next = self.pushed.q.val() + 1;
                self.hold.d.next = self.used.data.val().soon;
            }
        }
        self.slot.next = self.pushed.q.val().get_bits::<5>(0);
        self.element.next =
            (bit_cast::<64, 32>(self.used.data.val().length) << 32) | bit_cast::<64, 16>(self.used.data.val().head);
        comment!("place P of 8 bytes: half P[0] of word P[5:1]");
        self.store_data.next = self.element.val();
        self.store_place.next = bit_cast::<6, 5>(self.slot.val());
        if self.store_word.val() {
            self.store_data.next = self.word.val();
            self.store_place.next = bit_cast::<6, 4>(self.word_slot.q.val()) | 0x20;
        }
        self.ram.waddr.next = self.store_place.val().get_bits::<5>(1);
        self.ram.wdata.next =
            (bit_cast::<128, 64>(self.store_data.val()) << 64) | bit_cast::<128, 64>(self.store_data.val());
        self.ram.wen.next = 0.into();
        if self.store.val() | self.store_word.val() {
            self.ram.wen.next = 1.into();
            if self.store_place.val().get_bit(0) {
                self.ram.wen.next = 2.into();
            }
        }
        self.ram.raddr.next = bit_cast::<5, 12>(self.read_word.val());
        self.read_data.next = self.ram.rdata.val();

        comment!("---- how long elements wait for others; once it is long enough, until all have left");
        self.age.d.next = self.age.q.val() + 1;
        if !self.some_wait.val() | (self.state.q.val() == UsedState::IndexStore) {
            self.age.d.next = 0.into();
        }
        self.expired.d.next = self.some_wait.val()
            & (self.state.q.val() != UsedState::IndexStore)
            & (self.expired.q.val()
                | (self.waiting.val() >= self.full_batch.val())
                | (self.age.q.val() == self.longest_wait.val()));

        comment!("---- what has left");
        self.finished.next = self.under_way.output.data.val().kind;
        self.finished_value.next = self.under_way.output.data.val().value;
        self.under_way.output.ready.next = self.done.val();
        self.listening.d.next = false;
        if self.done.val() & self.under_way.output.valid.val() {
            match self.finished.val() {
                UsedWriteKind::Elements => self.freed.d.next = self.freed.q.val() + self.finished_value.val(),
                UsedWriteKind::Index => self.written.d.next = self.finished_value.val(),
                UsedWriteKind::Listen => self.listening.d.next = true,
                _ => {}
            }
        }
        comment!("---- a new begin");
        if self.rewind.val() {
            self.pushed.d.next = self.written.q.val();
            self.complete.d.next = self.written.q.val();
            self.published.d.next = self.written.q.val();
            self.freed.d.next = self.written.q.val();
        }
        if self.index_write.val() {
            self.written.d.next = self.index.val();
        }
        self.notify_done.next = self.listening.q.val();
        self.written_index.next = self.written.q.val();
        self.busy.next = (self.pushed.q.val() != self.written.q.val())
            | (self.state.q.val() != UsedState::Idle)
            | self.under_way.output.valid.val();
    }
}
