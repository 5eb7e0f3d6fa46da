//! What sits behind the device: a disk, or what the Ethernet port is connected to.
mod device_port;
pub mod disk;
mod disk_port;
mod image_lock;
pub mod net;
mod net_port;

pub use device_port::{DevicePort, DeviceSide};
pub use disk::{Disk, DiskError, SECTOR_BYTES};
pub use disk_port::DiskPort;
pub use net_port::{NetPort, WireStatistics, WIRE_BYTES_PER_SECOND};
