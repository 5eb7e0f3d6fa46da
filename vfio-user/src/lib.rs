//! The server side of vfio-user: a PCI device in this process, seen by a VMM through a Unix socket.
//!
//! ```text
//!   VMM <=socket=> connection -> dispatch -> your Device: registers, reset
//!                      ^            |
//!                      |            +-----> irq, memory: descriptors that the VMM hands over
//!                      +-- dma <- Client <- your Device: DMA, interrupts
//! ```
//! [`Server`] waits for a client, answers its messages and calls a [`Device`]; the device reaches the VMM's memory and
//! interrupts through the [`Client`] that every call brings along. Nothing blocks but the one `poll`: DMA is asynchronous,
//! so a register access is answered while the reply to a DMA message is awaited. QEMU needs that: its CPU holds the lock
//! that serves DMA while it waits for the register.
//!
//! `examples/timer.rs` is a whole device in a hundred lines; [`testing`] is a VMM for the tests of yours. Source: the
//! vfio-user specification in QEMU (docs/interop/vfio-user.rst) and linux/vfio.h, of which the protocol borrows numbers and
//! structures.
//!
//! Whoever may open the socket (mode 0600) is trusted in one thing: not to shrink a file whose descriptor it handed over
//! for DMA in the moment between the look at its size and the access. Everything else from the socket is checked.
mod client;
mod connection;
mod dispatch;
mod dma;
pub mod irq;
mod listener;
mod memory;
mod message;
mod server;
mod socket_file;
mod statistics;
pub mod testing;

use std::os::fd::BorrowedFd;
use std::time::Instant;

pub use client::Client;
pub use rustix::io::Errno;
pub use server::{Server, ServerError};
pub use socket_file::{BindError, SocketFile};
pub use statistics::ClientStatistics;

/// Numbers of the regions of a PCI device. Source: linux/vfio.h, `VFIO_PCI_*_REGION_INDEX`.
pub mod region {
    /// First base address register; BAR n is region n.
    pub const BAR0: u32 = 0;
    /// Second base address register.
    pub const BAR1: u32 = 1;
    /// Third base address register.
    pub const BAR2: u32 = 2;
    /// Fourth base address register.
    pub const BAR3: u32 = 3;
    /// Fifth base address register.
    pub const BAR4: u32 = 4;
    /// Sixth base address register.
    pub const BAR5: u32 = 5;
    /// Expansion ROM.
    pub const ROM: u32 = 6;
    /// Configuration space.
    pub const CONFIG: u32 = 7;
    /// Legacy VGA ranges.
    pub const VGA: u32 = 8;
    /// How many there are.
    pub const COUNT: u32 = 9;
}

/// What is behind the socket.
pub trait Device {
    /// Size of a region in bytes, 0 when it is not there. Every access that arrives lies inside.
    fn region_bytes(&self, region: u32) -> u64;
    /// Vectors of an interrupt index, 0 when it is not there.
    fn irq_vectors(&self, index: u32) -> u32;
    /// Reads registers; an error reaches the VMM, which lets the guest read all ones.
    fn region_read(&mut self, client: &mut Client, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno>;
    /// Writes registers.
    fn region_write(&mut self, client: &mut Client, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno>;
    /// The whole device starts again. DMA that was asked for is still done: see [`Client::forget_reads`].
    fn reset(&mut self, client: &mut Client);
    /// INTx reaches the VMM again after it was masked or had no eventfd; a device that asserts it calls
    /// [`Client::interrupt`] once more.
    fn intx_unmasked(&mut self, client: &mut Client);
    /// A client has agreed on the version: the first call of all.
    fn attached(&mut self, client: &mut Client);
    /// The client is gone, and with it its memory, interrupts and unfinished DMA: the last call of all.
    fn detached(&mut self, statistics: ClientStatistics);
    /// Besides the client, what is readable when the device has [work](Self::work).
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// What is readable when somebody besides the VMM wants something of the device, whether there is a VMM or not: see
    /// [`control`](Self::control).
    fn controlled(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Does what somebody besides the VMM wants, with the client if one is attached. As [`work`](Self::work) it must not wait, and
    /// may fail.
    fn control(&mut self, _client: Option<&mut Client>) -> Work {
        Work::Idle
    }
    /// The device stands still: what its VMM asks waits at the socket, and it has no [work](Self::work), until this is false again. It
    /// is asked for behind [`control`](Self::control) and `work`.
    fn stands_still(&self) -> bool {
        false
    }
    /// When the device has [work](Self::work) without anybody asking for it.
    fn deadline(&self) -> Option<Instant> {
        None
    }
    /// The device's own time, after messages were handled, and again at once while it is busy.
    fn work(&mut self, client: &mut Client) -> Work;
}

/// What a device does next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// More of its own: call again, look at the socket in between.
    Busy,
    /// Nothing until something arrives on the socket.
    Idle,
    /// It cannot go on: the server ends.
    Failed,
}

/// What became of a range of the VMM's memory that was to be given back to the host, in bytes: together they are the range.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Given back.
    pub given_back: u64,
    /// Kept: the device reaches it by message, it is not known to be the guest's, or its file takes no holes.
    pub kept: u64,
    /// No memory that the device may write.
    pub outside: u64,
}

/// How to serve.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Reach guest memory through mappings of the descriptors that the VMM hands over. Without, all DMA goes by message.
    pub map: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions { map: true }
    }
}
