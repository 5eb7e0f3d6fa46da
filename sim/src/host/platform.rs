//! The machine as its software sees it.
use super::pci::MsixMessage;
use crate::link::{FunctionId, Interrupt};
use vm_memory::GuestMemoryMmap;

/// Address of the interrupt controller of the first processor of a PC.
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;
/// Message data of the first vector: the first interrupt number that is not an exception.
const MESSAGE_DATA: u32 = 0x20;

/// Bytes of an access of the processor.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Double,
}

impl Width {
    /// Bytes of the access.
    pub const fn bytes(self) -> u8 {
        match self {
            Width::Byte => 1,
            Width::Word => 2,
            Width::Double => 4,
        }
    }

    /// All ones in this width: what a read gives that nobody answers.
    pub const fn ones(self) -> u32 {
        u32::MAX >> (32 - 8 * self.bytes() as u32)
    }
}

/// A machine with the endpoint at the end of its PCIe link.
///
/// As on a PC, a read that fails (unsupported request, completer abort, no answer) gives all ones, and a write that
/// fails is lost. Accesses lie within a double word. Time is the device's clock cycle; it goes on while an access
/// waits for its completion, and stands still otherwise.
pub trait Platform {
    /// Reads configuration space. Functions on other buses or devices than the endpoint's do not answer.
    fn config_read(&mut self, function: FunctionId, offset: u16, width: Width) -> u32;

    /// Writes configuration space and waits for the completion.
    fn config_write(&mut self, function: FunctionId, offset: u16, width: Width, value: u32);

    /// Reads an I/O port.
    fn io_read(&mut self, port: u32, width: Width) -> u32;

    /// Writes an I/O port and waits for the completion.
    fn io_write(&mut self, port: u32, width: Width, value: u32);

    /// Reads device memory.
    fn mmio_read(&mut self, address: u64, width: Width) -> u32;

    /// Writes device memory; posted, returns at once.
    fn mmio_write(&mut self, address: u64, width: Width, value: u32);

    /// Guest memory, shared with the device. Accesses of the processor take no time.
    fn memory(&self) -> &GuestMemoryMmap;

    /// Takes `bytes` bytes of guest memory for DMA, starting at a multiple of `align` (a power of two). The content
    /// is whatever it was. `None` when there is none left.
    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64>;

    /// Gives memory back that [`allocate`](Self::allocate) gave.
    fn free(&mut self, address: u64, bytes: u64);

    /// What a vector of a function must write for [`wait_interrupt`](Self::wait_interrupt) to tell of it; as on a PC.
    fn message(&mut self, _function: FunctionId, vector: u16) -> MsixMessage {
        MsixMessage { address: MESSAGE_ADDRESS, data: MESSAGE_DATA + u32::from(vector) }
    }

    /// Runs until the device interrupts, at most until cycle `deadline`. Messages come in order, each once. The
    /// line is a level: while it is asserted and no message waits, this returns `Line { asserted: true }` at once.
    fn wait_interrupt(&mut self, deadline: u64) -> Option<Interrupt>;

    /// Now, in cycles.
    fn now(&self) -> u64;

    /// Lets time go by.
    fn run(&mut self, cycles: u64);
}
