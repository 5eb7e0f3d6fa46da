//! Takes the chains of the receive queue.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::virtio::layout;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Takes chains. Readable buffers in them are nobody's: see [`Buffers`](crate::virtio::types::Buffers).
///
/// Every chain must have room for a header, as the specification (virtio 1.x, 5.1.6.3.1) asks of the driver. After one that has not, or
/// one that is broken, no chain is used any more.
#[derive(Block)]
pub struct ReceiveChains {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Take no chain.
    pub stop: Signal<In, Bit>,
    /// The header has 12 bytes.
    pub merge: Signal<In, Bit>,
    pub chain: Sink<Chain>,
    pub buffer: Source<ReceiveBuffer>,
    /// One cycle: a chain has no room for a header.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,

    halted: Reg<Bit>,
    // the chain at hand has no room for a header: one cycle
    short: Reg<Bit>,
    out_valid: Reg<Bit>,
    out_data: DFF<ReceiveBuffer>,

    #[given]
    short_header: Constant<Bits<32>>,
    #[given]
    long_header: Constant<Bits<32>>,
    #[given]
    most: Constant<Bits<32>>,
    #[given]
    beyond: Constant<Bits<32>>,

    too_short: Signal<Local, Bit>,
    writable: Signal<Local, Bits<32>>,
    room: Signal<Local, Bits<32>>,
    may_take: Signal<Local, Bit>,
    report: Signal<Local, ViolationReport>,
}

impl ReceiveChains {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(ReceiveChainsGiven {
            short_header: Constant::new(u64::from(layout::net::HEADER_BYTES).into()),
            long_header: Constant::new(u64::from(layout::net::MERGE_HEADER_BYTES).into()),
            most: Constant::new(sizes.room_mask().into()),
            beyond: Constant::new((u64::from(u32::MAX) & !sizes.room_mask()).into()),
        })
    }
}

impl Logic for ReceiveChains {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_chains: takes the chains of the receive queue");
        comment!("every comparison is with a constant, the kind of header selects");
        self.writable.next = self.chain.data.val().writable_length;
        self.too_short.next = self.writable.val() < self.short_header.val();
        if self.merge.val() {
            self.too_short.next = self.writable.val() < self.long_header.val();
        }
        self.room.next = self.writable.val() & self.most.val();
        if (self.writable.val() & self.beyond.val()).any() {
            self.room.next = self.most.val();
        }
        self.report.next.rule = Violation::RequestTooShort;
        self.report.next.head = self.out_data.q.val().head;
        self.violation.next = self.report.val();
        self.violation_valid.next = self.short.q.val();
        self.short.d.next = false;

        if self.buffer.ready.val() {
            self.out_valid.d.next = false;
        }
        self.may_take.next = (!self.out_valid.q.val() | self.buffer.ready.val()) & !self.stop.val();
        self.chain.ready.next = self.may_take.val();
        if self.may_take.val() & self.chain.valid.val() {
            if self.halted.q.val() | self.chain.data.val().error {
                self.halted.d.next = true;
            } else if self.too_short.val() {
                self.halted.d.next = true;
                self.short.d.next = true;
            } else {
                self.out_valid.d.next = true;
            }
            self.out_data.d.next.head = self.chain.data.val().head;
            self.out_data.d.next.length = self.room.val().get_bits::<14>(0);
        }
        self.buffer.valid.next = self.out_valid.q.val();
        self.buffer.data.next = self.out_data.q.val();
    }
}
