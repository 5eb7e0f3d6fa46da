//! Finds out which BAR a request hits, by address.
use crate::block::Block;
use crate::comment;
use crate::tlp::types::{Request, RequestKind};
use rust_hdl::prelude::*;

/// Combinational address decoder, for links whose hard block does not say which BAR was hit.
#[derive(Block)]
pub struct BarDecode {
    /// The request.
    pub request: Signal<In, Request>,
    /// I/O space is enabled.
    pub io_enable: Signal<In, Bit>,
    /// Memory space is enabled.
    pub memory_enable: Signal<In, Bit>,
    /// Address of BAR0, bits below its size zero.
    pub bar0_base: Signal<In, Bits<32>>,
    /// Address of BAR1, bits below its size zero.
    pub bar1_base: Signal<In, Bits<32>>,
    /// As [`Request::bar_hit`] wants it.
    pub hit: Signal<Out, Bits<2>>,

    address: Signal<Local, Bits<64>>,
    low: Signal<Local, Bits<32>>,
    below_4g: Signal<Local, Bit>,
    is_io: Signal<Local, Bit>,
    is_memory: Signal<Local, Bit>,
    bar0_space: Signal<Local, Bit>,
    bar1_space: Signal<Local, Bit>,

    #[given]
    bar0_is_io: Constant<Bit>,
    #[given]
    bar0_present: Constant<Bit>,
    #[given]
    bar1_present: Constant<Bit>,
    #[given]
    bar0_mask: Constant<Bits<32>>,
    #[given]
    bar1_mask: Constant<Bits<32>>,
}

impl BarDecode {
    /// For a function with these BARs; sizes are powers of two in bytes, 0 for a BAR that is not there.
    pub fn new(bar0_is_io: bool, bar0_size: u32, bar1_size: u32) -> Self {
        let mask = |size: u32| Constant::new(u64::from(!size.wrapping_sub(1)).into());
        Self::with(BarDecodeGiven {
            bar0_is_io: Constant::new(bar0_is_io),
            bar0_present: Constant::new(bar0_size != 0),
            bar1_present: Constant::new(bar1_size != 0),
            bar0_mask: mask(bar0_size),
            bar1_mask: mask(bar1_size),
        })
    }
}

impl Logic for BarDecode {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_bar_decode: which BAR a request hits; combinational");
        self.address.next = self.request.val().address;
        self.low.next = self.address.val().get_bits::<32>(0);
        self.below_4g.next = self.address.val().get_bits::<32>(32) == bits::<32>(0);
        self.is_io.next = false;
        self.is_memory.next = false;
        match self.request.val().kind {
            RequestKind::MemoryRead => self.is_memory.next = true,
            RequestKind::MemoryWrite => self.is_memory.next = true,
            RequestKind::IoRead => self.is_io.next = true,
            RequestKind::IoWrite => self.is_io.next = true,
            _ => {}
        }
        if self.bar0_is_io.val() {
            self.bar0_space.next = self.bar0_present.val() & self.is_io.val() & self.io_enable.val();
        } else {
            self.bar0_space.next = self.bar0_present.val() & self.is_memory.val() & self.memory_enable.val();
        }
        self.bar1_space.next = self.bar1_present.val() & self.is_memory.val() & self.memory_enable.val();
        self.hit.next = bits::<2>(0);
        if self.below_4g.val() {
            self.hit.next = bits::<2>(0)
                .replace_bit(
                    0,
                    self.bar0_space.val() & ((self.low.val() & self.bar0_mask.val()) == self.bar0_base.val()),
                )
                .replace_bit(
                    1,
                    self.bar1_space.val() & ((self.low.val() & self.bar1_mask.val()) == self.bar1_base.val()),
                );
        }
    }
}
