//! What sits behind the device: a disk, or what the Ethernet port or the console is connected to, or who gets the memory
//! of a balloon. Each is a
//! [`DeviceSide`](crate::model::DeviceSide).
mod balloon_port;
mod blk_ports;
pub mod console;
mod console_port;
pub mod disk;
mod disk_port;
mod image_lock;
pub mod net;
mod net_port;
mod net_ports;

use crate::model::ModelError;

pub use balloon_port::{BalloonHandle, BalloonPort, BalloonState};
pub use blk_ports::{BlkCommand, BlkEvent, BlkOperation, BlkPorts};
pub use console_port::ConsolePort;
pub use disk::{Disk, DiskError, Storage, SECTOR_BYTES};
pub use disk_port::DiskPort;
pub use net_port::{NetPort, WireStatistics, WIRE_BYTES_PER_SECOND};
pub use net_ports::NetPorts;

/// Bytes as words, the last one padded with zeros.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect()
}

/// The ports of a side that has been connected.
fn connected<P: Copy>(ports: Option<P>) -> Result<P, ModelError> {
    ports.ok_or_else(|| ModelError::Unfit("its device side has not been connected".into()))
}
