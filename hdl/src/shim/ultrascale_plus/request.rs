//! Descriptor of a request that goes out on UltraScale+.
use super::descriptor;
use crate::block::Block;
use crate::comment;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// Makes the descriptor and the side band of `s_axis_rq` (PG213, "Requester request descriptor format"); combinational.
///
/// ```text
/// descriptor: 63:2 address, 74:64 double words, 78:75 request type, 103:96 tag; the block puts in the requester ID
/// tuser:      3:0 first byte enables, 7:4 last ones, 27:24 and 61:60 sequence number
/// ```
#[derive(Block)]
pub struct UltraScalePlusRequest {
    /// A beat of a read or of a write.
    pub beat: Signal<In, TransmitBeat>,
    pub is_write: Signal<Out, Bit>,
    pub descriptor: Signal<Out, Bits<128>>,
    /// Double words of the beat's payload that count, none for a read.
    pub keep: Signal<Out, Bits<4>>,
    /// What the side band is made of: {write, last byte enables, first byte enables}.
    pub user: Signal<Out, Bits<9>>,
    /// The same of the packet that leaves.
    pub held_user: Signal<In, Bits<9>>,
    /// Its side band; writes have sequence number 1, see `order`.
    pub tuser: Signal<Out, Bits<62>>,

    length: Signal<Local, Bits<11>>,
    address: Signal<Local, Bits<64>>,
    length_less_one: Signal<Local, Bits<11>>,
    last_lane: Signal<Local, Bits<2>>,
    request_type: Signal<Local, Bits<4>>,

    #[given]
    memory_read: Constant<Bits<4>>,
    #[given]
    memory_write: Constant<Bits<4>>,
}

impl Default for UltraScalePlusRequest {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(UltraScalePlusRequestGiven {
            memory_read: code(descriptor::MEMORY_READ),
            memory_write: code(descriptor::MEMORY_WRITE),
        })
    }
}

impl Logic for UltraScalePlusRequest {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_request: descriptor of a request for the UltraScale+ block; combinational");
        self.length.next = self.beat.val().length;
        self.address.next = self.beat.val().address;
        self.is_write.next = self.beat.val().kind == TransmitKind::MemoryWrite;
        self.request_type.next = self.memory_read.val();
        self.length_less_one.next = self.length.val() - bits::<11>(1);
        self.last_lane.next = self.length_less_one.val().get_bits::<2>(0);
        self.keep.next = bits::<4>(0);
        self.user.next = (bit_cast::<9, 4>(self.beat.val().last_be) << 4) | bit_cast::<9, 4>(self.beat.val().first_be);
        if self.beat.val().kind == TransmitKind::MemoryWrite {
            self.request_type.next = self.memory_write.val();
            self.user.next = self.user.val().replace_bit(8, true);
            self.keep.next = bits::<4>(15);
            if self.beat.val().last {
                match self.last_lane.val().index() {
                    0 => self.keep.next = bits::<4>(1),
                    1 => self.keep.next = bits::<4>(3),
                    2 => self.keep.next = bits::<4>(7),
                    _ => {}
                }
            }
        }
        self.descriptor.next = (bit_cast::<128, 62>(self.address.val().get_bits::<62>(2)) << 2)
            | (bit_cast::<128, 11>(self.length.val()) << 64)
            | (bit_cast::<128, 4>(self.request_type.val()) << 75)
            | (bit_cast::<128, 8>(self.beat.val().tag) << 96);
        self.tuser.next = bit_cast::<62, 8>(self.held_user.val().get_bits::<8>(0))
            | (bit_cast::<62, 1>(self.held_user.val().get_bits::<1>(8)) << 24);
    }
}
