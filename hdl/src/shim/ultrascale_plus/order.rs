//! UltraScale+: how far the writes sent are ahead of a completion.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Counts the writes that the block has taken but not yet put where no completion passes them (PG213, "Maintaining
/// transaction order"): requests and completions go to it on two streams, and a driver that reads a register must find
/// in memory what the device wrote before it answered.
///
/// ```text
/// a write leaves -> [ outstanding ] -> its sequence number comes back
/// a completion is taken: earlier = outstanding; with each number that comes back, one less; 0: it may go
/// ```
/// Writes have sequence number 1, reads 0: writes keep their order, so that counting is enough. Reads are not counted: a
/// completion must be able to pass them (PCI Express Base Specification, 2.4.1), or two devices could wait for each other. After a reset a
/// read of the old configuration may thus leave behind the answer to a read of STATUS.
#[derive(Block)]
pub struct UltraScalePlusOrder {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One cycle for each write taken from the endpoint.
    pub write: Signal<In, Bit>,
    /// One cycle: a completion was taken from the endpoint.
    pub hold: Signal<In, Bit>,
    pub pcie_rq_seq_num0: Signal<In, Bits<6>>,
    pub pcie_rq_seq_num_vld0: Signal<In, Bit>,
    pub pcie_rq_seq_num1: Signal<In, Bits<6>>,
    pub pcie_rq_seq_num_vld1: Signal<In, Bit>,
    /// All writes taken before the completion have come back.
    pub ordered: Signal<Out, Bit>,
    /// No further write may be taken: the counter is at its end.
    pub full: Signal<Out, Bit>,

    back0: Reg<Bit>,
    back1: Reg<Bit>,
    outstanding: Reg<Bits<8>>,
    earlier: Reg<Bits<8>>,

    back: Signal<Local, Bits<8>>,
    left: Signal<Local, Bits<8>>,
}

impl Logic for UltraScalePlusOrder {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_order: keeps completions behind the writes sent before them");
        self.back0.d.next = self.pcie_rq_seq_num_vld0.val() & (self.pcie_rq_seq_num0.val() == bits::<6>(1));
        self.back1.d.next = self.pcie_rq_seq_num_vld1.val() & (self.pcie_rq_seq_num1.val() == bits::<6>(1));

        self.back.next = bits::<8>(0);
        if self.back0.q.val() & self.back1.q.val() {
            self.back.next = bits::<8>(2);
        } else if self.back0.q.val() | self.back1.q.val() {
            self.back.next = bits::<8>(1);
        }
        self.left.next = bits::<8>(0);
        if self.outstanding.q.val() > self.back.val() {
            self.left.next = self.outstanding.q.val() - self.back.val();
        }
        self.outstanding.d.next = self.left.val();
        if self.write.val() {
            self.outstanding.d.next = self.left.val() + bits::<8>(1);
        }
        self.earlier.d.next = bits::<8>(0);
        if self.hold.val() {
            self.earlier.d.next = self.left.val();
        } else if self.earlier.q.val() > self.back.val() {
            self.earlier.d.next = self.earlier.q.val() - self.back.val();
        }
        self.ordered.next = self.earlier.q.val() == bits::<8>(0);
        self.full.next = self.outstanding.q.val() == bits::<8>(255);
    }
}
