//! Finds the chains for each frame.
use super::types::*;
use crate::block::Block;
use crate::cells::{LutRam, Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::layout;
use rust_hdl::prelude::*;

/// What the planner does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PlanState {
    /// Waits for a frame, and reads the first chain.
    Idle,
    /// Reads the next chain, or the one that has been missing.
    Look,
    /// Adds its room.
    Add,
    /// Compares.
    Compare,
    /// Goes on to the next chain, or has the frame's.
    Decide,
    /// Reads the first of several chains again.
    Fetch,
    /// Offers their scatter commands.
    Command,
}

/// Gives each frame the chains it needs: one, or up to 16 with MRG_RXBUF, but no more than its queue holds. Five cycles for a frame in one chain, six more for each
/// further one.
///
/// A frame that does not fit is dropped; the chains wait for the next one. So is one that would need more chains than the queue has
/// descriptors: when all are here the driver can give no other.
#[derive(Block)]
pub struct ReceivePlan {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Begin nothing, offer nothing.
    pub stop: Signal<In, Bit>,
    /// The header has 12 bytes, a frame may take several chains.
    pub merge: Signal<In, Bit>,
    pub frame: Sink<ReceiveFrame>,
    /// There is another frame behind that one.
    pub another: Signal<In, Bit>,
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
    buffers: LutRam<30, 4>,
    tail: Reg<Bits<5>>,
    front: Reg<Bits<5>>,
    walk: DFF<Bits<5>>,
    room: DFF<Bits<15>>,
    need: DFF<Bits<15>>,
    // the chain that is looked at
    entry: DFF<Bits<30>>,
    missing: DFF<Bit>,
    enough: DFF<Bit>,
    full: DFF<Bit>,
    waits: Reg<Bit>,
    // the ring of chains has a free place
    free: Reg<Bit>,
    // the length at hand is without its header
    bare: DFF<Bit>,
    // the frame at hand takes what MRG_RXBUF allows: the driver may negotiate anew before the next one
    merged: DFF<Bit>,
    // a frame waits behind the one at hand
    soon: DFF<Bit>,
    no_fit_event: Reg<Bit>,

    #[given]
    short_header: Constant<Bits<15>>,
    #[given]
    long_header: Constant<Bits<15>>,
    #[given]
    sum_mask: Constant<Bits<15>>,
    #[given]
    most_chains: Constant<Bits<5>>,

    held: Signal<Local, Bits<5>>,
    header_bytes: Signal<Local, Bits<15>>,
    store: Signal<Local, Bit>,
    length: Signal<Local, Bits<15>>,
    walk_next: Signal<Local, Bits<5>>,
    at: Signal<Local, Bits<5>>,
    number: Signal<Local, Bits<5>>,
    limit: Signal<Local, Bits<5>>,
    front_next: Signal<Local, Bits<5>>,
    last: Signal<Local, Bit>,
    bytes: Signal<Local, Bits<15>>,
    out_command: Signal<Local, ScatterCommand>,
    out_part: Signal<Local, ReceivePart>,
}

impl ReceivePlan {
    /// For frames of this size, and a queue of so many descriptors.
    pub fn new(sizes: FrameSizes, queue_size: u16) -> Self {
        Self::with(ReceivePlanGiven {
            short_header: Constant::new(u64::from(layout::net::HEADER_BYTES).into()),
            long_header: Constant::new(u64::from(layout::net::MERGE_HEADER_BYTES).into()),
            sum_mask: Constant::new((2 * sizes.room_mask() + 1).into()),
            most_chains: Constant::new(u64::from(queue_size.min(16)).into()),
        })
    }
}

impl Logic for ReceivePlan {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_plan: finds the chains for each received frame");
        comment!("---- chains into the ring");
        self.held.next = self.tail.q.val() - self.front.q.val();
        self.buffer.ready.next = self.free.q.val();
        self.store.next = self.buffer.valid.val() & self.free.q.val();
        self.free.d.next = !self.held.val().get_bit(4) & !(self.store.val() & (self.held.val() == 15));
        self.buffers.waddr.next = self.tail.q.val().get_bits::<4>(0);
        self.buffers.wdata.next =
            (bit_cast::<30, 14>(self.buffer.data.val().length) << 16) | bit_cast::<30, 16>(self.buffer.data.val().head);
        self.buffers.wen.next = self.store.val();
        if self.store.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }

        comment!("---- the chain that is looked at");
        self.at.next = self.walk.q.val();
        if (self.state.q.val() == PlanState::Idle) | (self.state.q.val() == PlanState::Fetch) {
            self.at.next = self.front.q.val();
        }
        self.buffers.raddr.next = self.at.val().get_bits::<4>(0);
        self.header_bytes.next = self.short_header.val();
        if self.merged.q.val() {
            self.header_bytes.next = self.long_header.val();
        }
        self.length.next = bit_cast::<15, 14>(self.entry.q.val().get_bits::<14>(16));
        self.enough.d.next = self.room.q.val() >= self.need.q.val();
        self.walk_next.next = self.walk.q.val() + 1;
        self.number.next = self.walk_next.val() - self.front.q.val();
        self.limit.next = 1.into();
        if self.merged.q.val() {
            self.limit.next = self.most_chains.val();
        }
        self.full.d.next = self.number.val() == self.limit.val();
        self.missing.d.next = self.at.val() == self.tail.q.val();
        self.front_next.next = self.front.q.val() + 1;
        self.last.next = self.front_next.val() == self.walk.q.val();
        self.bytes.next = self.length.val();
        if self.need.q.val() < self.length.val() {
            self.bytes.next = self.need.q.val();
        }

        self.frame.ready.next = false;
        self.part.valid.next = false;
        self.scatter.valid.next = false;
        self.starved.next = self.waits.q.val();
        self.no_fit_event.d.next = false;
        match self.state.q.val() {
            PlanState::Idle => {
                self.walk.d.next = self.front.q.val();
                self.entry.d.next = self.buffers.rdata.val();
                self.room.d.next = 0.into();
                comment!("the FIFO's memory answers late in the cycle: the header is added in the next one");
                self.need.d.next = bit_cast::<15, 14>(self.frame.data.val().length);
                self.merged.d.next = self.merge.val();
                self.bare.d.next = true;
                if self.frame.valid.val() & !self.stop.val() {
                    self.state.d.next = PlanState::Add;
                }
            }
            PlanState::Look => {
                self.entry.d.next = self.buffers.rdata.val();
                self.state.d.next = PlanState::Add;
            }
            PlanState::Add => {
                self.waits.d.next = self.missing.q.val();
                self.bare.d.next = false;
                if self.bare.q.val() {
                    self.need.d.next = (self.need.q.val() + self.header_bytes.val()) & self.sum_mask.val();
                }
                self.room.d.next = (self.room.q.val() + self.length.val()) & self.sum_mask.val();
                self.state.d.next = PlanState::Compare;
                if self.missing.q.val() {
                    self.room.d.next = self.room.q.val();
                    self.state.d.next = PlanState::Look;
                }
            }
            PlanState::Compare => self.state.d.next = PlanState::Decide,
            PlanState::Decide => {
                if self.enough.q.val() | self.full.q.val() {
                    self.part.valid.next = true;
                    if self.part.ready.val() {
                        self.frame.ready.next = true;
                        self.soon.d.next = self.another.val();
                        self.walk.d.next = self.walk_next.val();
                        self.state.d.next = PlanState::Fetch;
                        if self.walk.q.val() == self.front.q.val() {
                            comment!("its only chain is at hand");
                            self.state.d.next = PlanState::Command;
                        }
                        if !self.enough.q.val() {
                            self.no_fit_event.d.next = true;
                            self.state.d.next = PlanState::Idle;
                        }
                    }
                } else {
                    self.walk.d.next = self.walk_next.val();
                    self.state.d.next = PlanState::Look;
                }
            }
            PlanState::Fetch => {
                self.entry.d.next = self.buffers.rdata.val();
                self.state.d.next = PlanState::Command;
            }
            PlanState::Command => {
                self.scatter.valid.next = !self.stop.val();
                if self.scatter.ready.val() & !self.stop.val() {
                    self.need.d.next = (self.need.q.val() - self.bytes.val()) & self.sum_mask.val();
                    self.front.d.next = self.front_next.val();
                    self.state.d.next = PlanState::Fetch;
                    if self.last.val() {
                        self.state.d.next = PlanState::Idle;
                    }
                }
            }
            _ => self.state.d.next = PlanState::Idle,
        }
        self.out_part.next.length = self.frame.data.val().length;
        self.out_part.next.last_byte = (self.need.q.val() - 1).get_bits::<14>(0);
        self.out_part.next.valid = self.frame.data.val().valid;
        self.out_part.next.merge = self.merged.q.val();
        self.out_part.next.buffers = self.number.val();
        self.out_part.next.drop = !self.enough.q.val();
        self.part.data.next = self.out_part.val();
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = bit_cast::<32, 15>(self.bytes.val());
        self.out_command.next.head = self.entry.q.val().get_bits::<16>(0);
        self.out_command.next.used_length = bit_cast::<32, 15>(self.bytes.val());
        self.out_command.next.drop = false;
        self.out_command.next.more = !self.last.val();
        self.out_command.next.soon = self.soon.q.val();
        self.scatter.data.next = self.out_command.val();
        self.no_fit.next = self.no_fit_event.q.val();
        self.idle.next = self.state.q.val() == PlanState::Idle;
    }
}
