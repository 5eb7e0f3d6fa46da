//! The messages of a function: the INTx wire, errors, and the answer to PME_Turn_Off.
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::format;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// Sends Assert_INTA when `level` rises and Deassert_INTA when it falls (PCI Express Base Specification, 2.2.8.1), ERR_* (2.2.8.3)
/// and PME_TO_Ack (5.3.3.2.1).
///
/// A level that changes back before the message has left is caught up with: the receiver always ends with the
/// present level. Events of one kind that come while their message waits become one message. Not to be reset by a
/// function-level reset: that lets the level fall, which must be told.
#[derive(Block)]
pub struct FunctionMessages {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The interrupt is wanted.
    pub level: Signal<In, Bit>,
    /// One cycle each: an error of this kind is to be reported.
    pub error_correctable: Signal<In, Bit>,
    /// One cycle: ERR_NONFATAL is to be sent.
    pub error_nonfatal: Signal<In, Bit>,
    /// One cycle: ERR_FATAL is to be sent.
    pub error_fatal: Signal<In, Bit>,
    /// One cycle: PME_Turn_Off came in.
    pub turn_off: Signal<In, Bit>,
    /// Messages to the link.
    pub message: Source<TransmitBeat>,
    /// A message is on its way.
    pub busy: Signal<Out, Bit>,

    /// What the receiver has been told, or is about to be.
    asserted: Reg<Bit>,
    correctable: Reg<Bit>,
    nonfatal: Reg<Bit>,
    fatal: Reg<Bit>,
    acknowledge: Reg<Bit>,
    waiting: Reg<Bit>,
    code: DFF<Bits<8>>,

    #[given]
    assert_code: Constant<Bits<8>>,
    #[given]
    deassert_code: Constant<Bits<8>>,
    #[given]
    correctable_code: Constant<Bits<8>>,
    #[given]
    nonfatal_code: Constant<Bits<8>>,
    #[given]
    fatal_code: Constant<Bits<8>>,
    #[given]
    acknowledge_code: Constant<Bits<8>>,
}

impl Default for FunctionMessages {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(FunctionMessagesGiven {
            assert_code: code(format::MESSAGE_ASSERT_INTA),
            deassert_code: code(format::MESSAGE_DEASSERT_INTA),
            correctable_code: code(format::MESSAGE_ERR_COR),
            nonfatal_code: code(format::MESSAGE_ERR_NONFATAL),
            fatal_code: code(format::MESSAGE_ERR_FATAL),
            acknowledge_code: code(format::MESSAGE_PME_TO_ACK),
        })
    }
}

impl Logic for FunctionMessages {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_messages: the INTx wire, errors and the answer to PME_Turn_Off as messages");
        if self.waiting.q.val() {
            self.waiting.d.next = !self.message.ready.val();
        } else if self.level.val() ^ self.asserted.q.val() {
            self.waiting.d.next = true;
            self.asserted.d.next = self.level.val();
            self.code.d.next = self.deassert_code.val();
            if self.level.val() {
                self.code.d.next = self.assert_code.val();
            }
        } else if self.fatal.q.val() {
            self.waiting.d.next = true;
            self.fatal.d.next = false;
            self.code.d.next = self.fatal_code.val();
        } else if self.nonfatal.q.val() {
            self.waiting.d.next = true;
            self.nonfatal.d.next = false;
            self.code.d.next = self.nonfatal_code.val();
        } else if self.correctable.q.val() {
            self.waiting.d.next = true;
            self.correctable.d.next = false;
            self.code.d.next = self.correctable_code.val();
        } else if self.acknowledge.q.val() {
            comment!("last: nothing follows it");
            self.waiting.d.next = true;
            self.acknowledge.d.next = false;
            self.code.d.next = self.acknowledge_code.val();
        }
        comment!("an event in the cycle in which its message is chosen asks for another one");
        if self.error_correctable.val() {
            self.correctable.d.next = true;
        }
        if self.error_nonfatal.val() {
            self.nonfatal.d.next = true;
        }
        if self.error_fatal.val() {
            self.fatal.d.next = true;
        }
        if self.turn_off.val() {
            self.acknowledge.d.next = true;
        }
        self.message.valid.next = self.waiting.q.val();
        self.busy.next = self.waiting.q.val()
            | (self.level.val() ^ self.asserted.q.val())
            | self.correctable.q.val()
            | self.nonfatal.q.val()
            | self.fatal.q.val()
            | self.acknowledge.q.val();

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
        self.message.data.next.message_code = self.code.q.val();
    }
}
