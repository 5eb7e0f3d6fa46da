//! The host model: what the operating system of a guest does with the endpoint.
//!
//! [`Platform`] is the machine, [`pci`] finds and sets up functions, [`virtio_pci`] is the transport driver,
//! [`ring`] the driver's side of a virtqueue, [`blk`] the disk driver, [`net`] the network driver, [`console`] the console driver,
//! [`balloon`] that of the balloon, [`requests`] one for any device whose queues carry requests. All of it reaches the device through [`Platform`] alone.
pub mod allocator;
pub mod balloon;
pub mod blk;
mod chain;
pub mod console;
pub mod net;
pub mod pci;
pub mod platform;
pub mod requests;
pub mod ring;
pub mod virtio_pci;

pub use allocator::Allocator;
pub use platform::{Platform, Width};
