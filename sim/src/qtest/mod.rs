//! QEMU's PCI bus without a guest: the drivers of the [host model](crate::host) on a machine of QEMU whose processor
//! stands still.
//!
//! ```text
//!  host::blk, host::virtio_pci, host::pci        the drivers, unchanged
//!        | trait Platform
//!  QtestPlatform      config space, ports, memory, interrupts, time
//!        | Client     `outl 0xcf8 0x80002000`  ->  `OK`            one line each way, about 20 us
//!        | socket
//!  QEMU -accel qtest  chipset, PCI bus, and any virtio-pci device, its own or one behind vfio-user-pci
//!        |
//!  guest memory       a file that QEMU, this process and a vfio-user server map
//! ```
//! No firmware runs: [`pci::Bus::scan`](crate::host::pci::Bus::scan) places the base address registers, and the
//! platform routes the PCI interrupt lines.
mod client;
mod error;
mod platform;
mod process;

pub use client::Client;
pub use error::QtestError;
pub use platform::QtestPlatform;
pub use process::{Chipset, QtestOptions};
