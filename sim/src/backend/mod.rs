//! What sits behind the device.
pub mod disk;
mod disk_port;
pub mod net;

pub use disk::{Disk, DiskError, SECTOR_BYTES};
pub use disk_port::DiskPort;
