//! Descriptor of a completion that comes in on UltraScale+.
use super::descriptor;
use crate::block::Block;
use crate::comment;
use crate::tlp::format;
use crate::tlp::types::CompletionBeat;
use rust_hdl::prelude::*;

/// Reads the descriptor of `m_axis_rc` (PG213, "Requester completion descriptor format"); combinational.
///
/// ```text
/// 11:0 address, 15:12 error code, 28:16 bytes to come, 42:32 double words, 45:43 status, 46 poisoned, 71:64 tag
/// ```
/// The block has checked the completion against the request: it is for this function, so that its requester ID needs no
/// look. A completion with an error code gets a status that ends its tag, but for two: a poisoned one has `poisoned`, and
/// one whose tag belongs to no read gets the ID of another function, as the tag may be that of a read that has not left
/// yet.
#[derive(Block)]
pub struct UltraScalePlusCompletion {
    /// First three double words of the packet.
    pub descriptor: Signal<In, Bits<96>>,
    /// {bus, device, function}.
    pub function_id: Signal<In, Bits<16>>,
    /// The header's fields of a beat.
    pub header: Signal<Out, CompletionBeat>,

    error: Signal<Local, Bits<4>>,
    status: Signal<Local, Bits<3>>,

    #[given]
    error_none: Constant<Bits<4>>,
    #[given]
    error_poisoned: Constant<Bits<4>>,
    #[given]
    error_tag: Constant<Bits<4>>,
    #[given]
    completer_abort: Constant<Bits<3>>,
}

impl Default for UltraScalePlusCompletion {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(UltraScalePlusCompletionGiven {
            error_none: code(descriptor::ERROR_NONE),
            error_poisoned: code(descriptor::ERROR_POISONED),
            error_tag: code(descriptor::ERROR_TAG),
            completer_abort: Constant::new(u64::from(format::STATUS_COMPLETER_ABORT).into()),
        })
    }
}

impl Logic for UltraScalePlusCompletion {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_completion: descriptor of a completion of the UltraScale+ block; combinational");
        self.error.next = self.descriptor.val().get_bits::<4>(12);
        self.status.next = self.descriptor.val().get_bits::<3>(43);
        self.header.next.data = bits::<128>(0);
        self.header.next.first = true;
        self.header.next.last = false;
        self.header.next.tag = self.descriptor.val().get_bits::<8>(64);
        self.header.next.requester_id = self.function_id.val();
        if self.error.val() == self.error_tag.val() {
            self.header.next.requester_id = !self.function_id.val();
        }
        self.header.next.status = self.status.val();
        if (self.error.val() != self.error_none.val())
            & (self.error.val() != self.error_poisoned.val())
            & (self.status.val() == bits::<3>(0))
        {
            self.header.next.status = self.completer_abort.val();
        }
        self.header.next.byte_count = self.descriptor.val().get_bits::<13>(16);
        self.header.next.lower_address = self.descriptor.val().get_bits::<7>(0);
        self.header.next.length = self.descriptor.val().get_bits::<11>(32);
        self.header.next.poisoned = self.descriptor.val().get_bit(46) | (self.error.val() == self.error_poisoned.val());
    }
}
