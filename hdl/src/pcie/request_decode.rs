//! Finds out what a request is for.
use crate::block::Block;
use crate::comment;
use crate::tlp::types::{Request, RequestKind};
use rust_hdl::prelude::*;

/// Whose registers a request is for.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Target {
    /// Config space.
    ConfigSpace,
    /// BAR0.
    Bar0,
    /// BAR1.
    Bar1,
    /// None: an unsupported request.
    Nowhere,
}

/// Combinational decoder of a request: its target, and what its completion says of
/// bytes (PCI Express Base Specification, 2.2.9 and 2.3.1.1).
#[derive(Block)]
pub struct RequestDecode {
    /// The request.
    pub request: Signal<In, Request>,
    /// The function sleeps: only config space answers.
    pub d3hot: Signal<In, Bit>,
    /// Whose registers.
    pub target: Signal<Out, Target>,
    /// Byte address there, bits 1:0 zero.
    pub offset: Signal<Out, Bits<12>>,
    /// Write, else read or unsupported.
    pub is_write: Signal<Out, Bit>,
    /// To be answered.
    pub nonposted: Signal<Out, Bit>,
    /// A memory request.
    pub memory: Signal<Out, Bit>,
    /// Bytes before the first enabled one, and those with the bytes behind the last.
    pub first_byte: Signal<Out, Bits<2>>,
    /// Bytes before the first enabled one and behind the last, together.
    pub skipped: Signal<Out, Bits<3>>,

    address: Signal<Local, Bits<64>>,
    low: Signal<Local, Bits<32>>,
    length: Signal<Local, Bits<11>>,
    first_be: Signal<Local, Bits<4>>,
    last_be: Signal<Local, Bits<4>>,
    final_be: Signal<Local, Bits<4>>,
    is_config: Signal<Local, Bit>,
    is_memory: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    head: Signal<Local, Bits<2>>,
    tail: Signal<Local, Bits<2>>,

    #[given]
    bar0_offset: Constant<Bits<12>>,
    #[given]
    bar1_offset: Constant<Bits<12>>,
    #[given]
    bar1_present: Constant<Bit>,
}

impl RequestDecode {
    /// For a function with these BARs; sizes are powers of two in bytes, 0 for a BAR that is not there.
    pub fn new(bar0_size: u32, bar1_size: u32) -> Self {
        let offset = |size: u32| Constant::new(u64::from(size.saturating_sub(1) & 0xfff).into());
        Self::with(RequestDecodeGiven {
            bar0_offset: offset(bar0_size),
            bar1_offset: offset(bar1_size),
            bar1_present: Constant::new(bar1_size != 0),
        })
    }
}

impl Logic for RequestDecode {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_request_decode: what a request is for; combinational");
        self.address.next = self.request.val().address;
        self.low.next = self.address.val().get_bits::<32>(0);
        self.length.next = self.request.val().length;
        self.first_be.next = self.request.val().first_be;

        comment!("what it asks for");
        self.is_config.next = false;
        self.is_memory.next = false;
        self.writes.next = false;
        match self.request.val().kind {
            RequestKind::MemoryRead => self.is_memory.next = true,
            RequestKind::MemoryWrite => {
                self.is_memory.next = true;
                self.writes.next = true;
            }
            RequestKind::IoWrite => self.writes.next = true,
            RequestKind::ConfigRead => self.is_config.next = true,
            RequestKind::ConfigWrite => {
                self.is_config.next = true;
                self.writes.next = true;
            }
            _ => {}
        }
        self.is_write.next = self.writes.val();
        self.nonposted.next = !(self.is_memory.val() & self.writes.val());

        comment!("whose registers");
        self.target.next = Target::Nowhere;
        self.offset.next = self.low.val().get_bits::<12>(0);
        if self.is_config.val() {
            comment!("the function number: there is only function 0");
            if self.low.val().get_bits::<3>(16) == bits::<3>(0) {
                self.target.next = Target::ConfigSpace;
            }
        } else if self.request.val().bar_hit.get_bit(0) & !self.d3hot.val() {
            self.target.next = Target::Bar0;
            self.offset.next = self.low.val().get_bits::<12>(0) & self.bar0_offset.val();
        } else if self.request.val().bar_hit.get_bit(1) & self.bar1_present.val() & !self.d3hot.val() {
            self.target.next = Target::Bar1;
            self.offset.next = self.low.val().get_bits::<12>(0) & self.bar1_offset.val();
        }

        comment!("bytes before the first enabled one and behind the last");
        self.last_be.next = self.request.val().last_be;
        self.final_be.next = self.request.val().last_be;
        if self.length.val() == bits::<11>(1) {
            self.final_be.next = self.first_be.val();
        }
        self.head.next = bits::<2>(0);
        if self.first_be.val().get_bits::<3>(0) == bits::<3>(0) {
            self.head.next = bits::<2>(3);
        } else if self.first_be.val().get_bits::<2>(0) == bits::<2>(0) {
            self.head.next = bits::<2>(2);
        } else if !self.first_be.val().get_bit(0) {
            self.head.next = bits::<2>(1);
        }
        self.tail.next = bits::<2>(0);
        if self.final_be.val().get_bits::<3>(1) == bits::<3>(0) {
            self.tail.next = bits::<2>(3);
        } else if self.final_be.val().get_bits::<2>(2) == bits::<2>(0) {
            self.tail.next = bits::<2>(2);
        } else if !self.final_be.val().get_bit(3) {
            self.tail.next = bits::<2>(1);
        }

        self.skipped.next = bit_cast::<3, 2>(self.head.val()) + bit_cast::<3, 2>(self.tail.val());
        self.memory.next = self.is_memory.val();
        self.first_byte.next = self.head.val();
    }
}
