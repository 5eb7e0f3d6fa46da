//! What the host model does with a disk, a network port, a console, a balloon or a program: measurements and tests that the command line and the test suite share.
pub mod bytes;
pub mod depth;
pub mod events;
pub mod frames;
pub mod latency;
pub mod limit;
pub mod pages;
pub mod random;
pub mod rate;
pub mod requests;
pub mod transfer;
pub mod wire;

use crate::host::balloon::BalloonError;
use crate::host::blk::BlkError;
use crate::host::console::ConsoleError;
use crate::host::net::NetError;
use crate::host::requests::RequestError;
use crate::host::virtio_pci::DriverError;
use crate::machine::MachineError;
use vm_memory::GuestMemoryError;

/// A scenario came to an end that it should not have.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ScenarioError {
    /// A request failed.
    #[error(transparent)]
    Blk(#[from] BlkError),
    /// A frame failed.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A byte failed.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// A page failed.
    #[error(transparent)]
    Balloon(#[from] BalloonError),
    /// A request to a program failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The disk does not hold a request.
    #[error("the disk is smaller than a request of {0} bytes")]
    SmallDisk(u64),
    /// Guest memory ran out.
    #[error("no {0} bytes of guest memory are left")]
    Memory(u64),
    /// An access to guest memory failed.
    #[error("guest memory: {0}")]
    Access(#[from] GuestMemoryError),
    /// The disk did something else than the model of it.
    #[error("request {request} (seed {seed}): {what}")]
    Difference { seed: u64, request: u64, what: String },
}
