//! What sits behind the device.
pub mod disk;

pub use disk::{Disk, DiskError, SECTOR_BYTES};
