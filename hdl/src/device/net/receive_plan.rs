//! Finds the chains for each frame.
use super::types::*;
use crate::cells::{LutRam, Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::layout;
use rust_hdl::prelude::*;

/// What the planner does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PlanState {
    /// Waits for a frame.
    Idle,
    /// Counts the chains that the frame takes.
    Count,
    /// Offers their scatter commands.
    Command,
}

/// Gives each frame the chains it needs: one, or up to 16 with MRG_RXBUF. Three cycles for a frame in one chain, two more for each
/// further one.
///
/// A frame that does not fit is dropped; the chains wait for the next one.
#[derive(LogicBlock)]
pub struct ReceivePlan {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Begin nothing, offer nothing.
    pub stop: Signal<In, Bit>,
    /// The header has 12 bytes, a frame may take several chains.
    pub merge: Signal<In, Bit>,
    pub frame: Sink<ReceiveFrame>,
    pub buffer: Sink<ReceiveBuffer>,
    pub scatter: Source<ScatterCommand>,
    pub part: Source<ReceivePart>,
    /// A frame waits for a chain.
    pub starved: Signal<Out, Bit>,
    /// One cycle: a frame does not fit.
    pub no_fit: Signal<Out, Bit>,
    pub idle: Signal<Out, Bit>,

    state: Reg<PlanState>,
    // chains that wait, a ring of 16: written, used, looked at
    buffers: LutRam<28, 4>,
    tail: Reg<Bits<5>>,
    front: Reg<Bits<5>>,
    walk: DFF<Bits<5>>,
    room: DFF<Bits<13>>,
    need: DFF<Bits<13>>,
    no_fit_event: Reg<Bit>,

    short_header: Constant<Bits<13>>,
    long_header: Constant<Bits<13>>,

    held: Signal<Local, Bits<5>>,
    store: Signal<Local, Bit>,
    entry: Signal<Local, Bits<28>>,
    length: Signal<Local, Bits<13>>,
    room_next: Signal<Local, Bits<13>>,
    enough: Signal<Local, Bit>,
    walk_next: Signal<Local, Bits<5>>,
    number: Signal<Local, Bits<5>>,
    limit: Signal<Local, Bits<5>>,
    front_next: Signal<Local, Bits<5>>,
    last: Signal<Local, Bit>,
    bytes: Signal<Local, Bits<13>>,
    out_command: Signal<Local, ScatterCommand>,
    out_part: Signal<Local, ReceivePart>,
}

impl Default for ReceivePlan {
    fn default() -> Self {
        use layout::net;
        Self {
            clock: Default::default(),
            reset: Default::default(),
            stop: Default::default(),
            merge: Default::default(),
            frame: Default::default(),
            buffer: Default::default(),
            scatter: Default::default(),
            part: Default::default(),
            starved: Default::default(),
            no_fit: Default::default(),
            idle: Default::default(),
            state: Default::default(),
            buffers: Default::default(),
            tail: Default::default(),
            front: Default::default(),
            walk: Default::default(),
            room: Default::default(),
            need: Default::default(),
            no_fit_event: Default::default(),
            short_header: Constant::new(u64::from(net::HEADER_BYTES).into()),
            long_header: Constant::new(u64::from(net::MERGE_HEADER_BYTES).into()),
            held: Default::default(),
            store: Default::default(),
            entry: Default::default(),
            length: Default::default(),
            room_next: Default::default(),
            enough: Default::default(),
            walk_next: Default::default(),
            number: Default::default(),
            limit: Default::default(),
            front_next: Default::default(),
            last: Default::default(),
            bytes: Default::default(),
            out_command: Default::default(),
            out_part: Default::default(),
        }
    }
}

impl Logic for ReceivePlan {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_plan: finds the chains for each received frame");
        dff_setup!(self, clock, state, tail, front, walk, room, need, no_fit_event);
        clock!(self, clock, buffers);
        self.state.reset.next = self.reset.val();
        self.tail.reset.next = self.reset.val();
        self.front.reset.next = self.reset.val();
        self.no_fit_event.reset.next = self.reset.val();

        // ------------------------------------------------------------ chains into the ring
        self.held.next = self.tail.q.val() - self.front.q.val();
        self.buffer.ready.next = !self.held.val().get_bit(4);
        self.store.next = self.buffer.valid.val() & !self.held.val().get_bit(4);
        self.buffers.waddr.next = self.tail.q.val().get_bits::<4>(0);
        self.buffers.wdata.next =
            (bit_cast::<28, 12>(self.buffer.data.val().length) << 16) | bit_cast::<28, 16>(self.buffer.data.val().head);
        self.buffers.wen.next = self.store.val();
        if self.store.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }

        // ------------------------------------------------------------ the chain that is looked at
        self.buffers.raddr.next = self.walk.q.val().get_bits::<4>(0);
        if self.state.q.val() == PlanState::Command {
            self.buffers.raddr.next = self.front.q.val().get_bits::<4>(0);
        }
        self.entry.next = self.buffers.rdata.val();
        self.length.next = bit_cast::<13, 12>(self.entry.val().get_bits::<12>(16));
        self.room_next.next = self.room.q.val() + self.length.val();
        self.enough.next = self.room_next.val() >= self.need.q.val();
        self.walk_next.next = self.walk.q.val() + 1;
        self.number.next = self.walk_next.val() - self.front.q.val();
        self.limit.next = 1.into();
        if self.merge.val() {
            self.limit.next = 16.into();
        }
        self.front_next.next = self.front.q.val() + 1;
        self.last.next = self.front_next.val() == self.walk.q.val();
        self.bytes.next = self.length.val();
        if self.need.q.val() < self.length.val() {
            self.bytes.next = self.need.q.val();
        }

        self.frame.ready.next = false;
        self.part.valid.next = false;
        self.scatter.valid.next = false;
        self.starved.next = false;
        self.no_fit_event.d.next = false;
        match self.state.q.val() {
            PlanState::Idle => {
                self.walk.d.next = self.front.q.val();
                self.room.d.next = 0.into();
                self.need.d.next = bit_cast::<13, 11>(self.frame.data.val().length) + self.short_header.val();
                if self.merge.val() {
                    self.need.d.next = bit_cast::<13, 11>(self.frame.data.val().length) + self.long_header.val();
                }
                if self.frame.valid.val() & !self.stop.val() {
                    self.state.d.next = PlanState::Count;
                }
            }
            PlanState::Count => {
                if self.walk.q.val() == self.tail.q.val() {
                    self.starved.next = true;
                } else if self.enough.val() | (self.number.val() == self.limit.val()) {
                    self.part.valid.next = true;
                    if self.part.ready.val() {
                        self.frame.ready.next = true;
                        self.walk.d.next = self.walk_next.val();
                        self.state.d.next = PlanState::Command;
                        if !self.enough.val() {
                            self.no_fit_event.d.next = true;
                            self.state.d.next = PlanState::Idle;
                        }
                    }
                } else {
                    self.room.d.next = self.room_next.val();
                    self.walk.d.next = self.walk_next.val();
                }
            }
            PlanState::Command => {
                self.scatter.valid.next = !self.stop.val();
                if self.scatter.ready.val() & !self.stop.val() {
                    self.need.d.next = self.need.q.val() - self.bytes.val();
                    self.front.d.next = self.front_next.val();
                    if self.last.val() {
                        self.state.d.next = PlanState::Idle;
                    }
                }
            }
            _ => self.state.d.next = PlanState::Idle,
        }
        self.out_part.next.length = self.frame.data.val().length;
        self.out_part.next.valid = self.frame.data.val().valid;
        self.out_part.next.buffers = self.number.val();
        self.out_part.next.drop = !self.enough.val();
        self.part.data.next = self.out_part.val();
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = bit_cast::<32, 13>(self.bytes.val());
        self.out_command.next.head = self.entry.val().get_bits::<16>(0);
        self.out_command.next.used_length = bit_cast::<32, 13>(self.bytes.val());
        self.out_command.next.drop = false;
        self.out_command.next.more = !self.last.val();
        self.scatter.data.next = self.out_command.val();
        self.no_fit.next = self.no_fit_event.q.val();
        self.idle.next = self.state.q.val() == PlanState::Idle;
    }
}
