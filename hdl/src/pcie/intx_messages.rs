//! The INTx wire as messages.
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::format;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// Sends Assert_INTA when `level` rises and Deassert_INTA when it falls (PCI Express Base Specification, 2.2.8.1).
///
/// A level that changes back before the message has left is caught up with: the receiver always ends with the
/// present level. Not to be reset by a function-level reset: that lets the level fall, which must be told.
#[derive(LogicBlock)]
pub struct IntxMessages {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The interrupt is wanted.
    pub level: Signal<In, Bit>,
    /// Messages to the link.
    pub message: Source<TransmitBeat>,
    /// A message is on its way.
    pub busy: Signal<Out, Bit>,

    /// What the receiver has been told.
    asserted: Reg<Bit>,
    waiting: Reg<Bit>,

    assert_code: Constant<Bits<8>>,
    deassert_code: Constant<Bits<8>>,
}

impl Default for IntxMessages {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self {
            clock: Default::default(),
            reset: Default::default(),
            level: Default::default(),
            message: Default::default(),
            busy: Default::default(),
            asserted: Default::default(),
            waiting: Default::default(),
            assert_code: code(format::MESSAGE_ASSERT_INTA),
            deassert_code: code(format::MESSAGE_DEASSERT_INTA),
        }
    }
}

impl Logic for IntxMessages {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_intx_messages: the INTx wire as assert and deassert messages");
        dff_setup!(self, clock, asserted, waiting);
        self.asserted.reset.next = self.reset.val();
        self.waiting.reset.next = self.reset.val();
        if self.waiting.q.val() {
            if self.message.ready.val() {
                self.waiting.d.next = false;
                self.asserted.d.next = !self.asserted.q.val();
            }
        } else {
            self.waiting.d.next = self.level.val() ^ self.asserted.q.val();
        }
        self.message.valid.next = self.waiting.q.val();
        self.busy.next = self.waiting.q.val() | (self.level.val() ^ self.asserted.q.val());

        self.message.data.next.data = bits::<128>(0);
        self.message.data.next.last = true;
        self.message.data.next.kind = TransmitKind::Message;
        self.message.data.next.length = bits::<11>(0);
        self.message.data.next.address = bits::<64>(0);
        self.message.data.next.above_4g = false;
        self.message.data.next.first_be = bits::<4>(0);
        self.message.data.next.last_be = bits::<4>(0);
        self.message.data.next.tag = bits::<8>(0);
        self.message.data.next.requester_id = bits::<16>(0);
        self.message.data.next.status = bits::<3>(0);
        self.message.data.next.byte_count = bits::<12>(0);
        self.message.data.next.lower_address = bits::<7>(0);
        self.message.data.next.attributes = bits::<2>(0);
        self.message.data.next.traffic_class = bits::<3>(0);
        self.message.data.next.message_code = self.assert_code.val();
        if self.asserted.q.val() {
            self.message.data.next.message_code = self.deassert_code.val();
        }
    }
}
