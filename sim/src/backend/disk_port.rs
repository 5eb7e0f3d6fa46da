//! The disk at the endpoint's device-side ports: carries commands out in their order.
use super::{Disk, SECTOR_BYTES};
use crate::model::{BlkCommand, BlkOperation, DeviceEvent, Endpoint, ModelError};
use std::collections::VecDeque;
use std::io;

/// Status bytes of virtio-blk.
const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

struct WriteData {
    at: u64,
    bytes: Vec<u8>,
    discard: bool,
}

/// The disk, with the commands and write data that wait for each other.
pub struct DiskPort {
    disk: Disk,
    latency: u64,
    commands: VecDeque<(u64, BlkCommand)>,
    data: VecDeque<WriteData>,
    done: u64,
}

impl DiskPort {
    /// A port for this disk, which takes `latency` cycles from a command (for a write: from its data) to the answer.
    pub fn new(disk: Disk, latency: u64) -> Self {
        DiskPort { disk, latency, commands: VecDeque::new(), data: VecDeque::new(), done: 0 }
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Commands carried out.
    pub fn commands(&self) -> u64 {
        self.done
    }

    /// The endpoint was reset: forgets what it had asked for.
    pub fn forget(&mut self) {
        self.commands.clear();
        self.data.clear();
    }

    /// Takes what left the endpoint, and answers every command that is complete.
    pub fn event(&mut self, event: DeviceEvent, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match event {
            DeviceEvent::Command(at, command) => self.commands.push_back((at, command)),
            DeviceEvent::WriteData(at, words, discard) => {
                let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                self.data.push_back(WriteData { at, bytes, discard });
            }
            // An endpoint with a disk has no wire.
            DeviceEvent::Frame(..) => {}
        }
        while let Some((at, command)) = self.commands.front().copied() {
            let data = match command.operation {
                BlkOperation::Write if command.length > 0 => match self.data.pop_front() {
                    Some(data) => Some(data),
                    None => return Ok(()),
                },
                _ => None,
            };
            self.commands.pop_front();
            self.done += 1;
            let at = data.as_ref().map_or(at, |data| data.at.max(at)) + self.latency;
            let (status, read) = self.execute(command, data);
            tracing::trace!(at, ?command, status, "disk");
            endpoint.blk_status(at, status)?;
            if !read.is_empty() {
                endpoint.blk_read_data(at, &read)?;
            }
        }
        Ok(())
    }

    fn execute(&mut self, command: BlkCommand, data: Option<WriteData>) -> (u8, Vec<u8>) {
        let length = command.length as usize;
        let mut read = vec![];
        let result = match command.operation {
            BlkOperation::Read if u64::from(command.length) > self.disk.sectors() * SECTOR_BYTES => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            BlkOperation::Read => {
                read = vec![0; length];
                self.disk.read(command.sector, &mut read)
            }
            BlkOperation::Write => match data {
                Some(data) if data.discard || data.bytes.len() < length => Err(io::ErrorKind::InvalidData.into()),
                Some(data) => self.disk.write(command.sector, &data.bytes[..length]),
                None => Ok(()),
            },
            BlkOperation::Flush => self.disk.flush(),
            BlkOperation::GetId => {
                read = self.disk.id()[..length.min(20)].to_vec();
                Ok(())
            }
            BlkOperation::Unknown(_) => return (UNSUPP, vec![]),
        };
        match result {
            Ok(()) => {
                read.resize(read.len().next_multiple_of(16), 0);
                (OK, read)
            }
            Err(error) => {
                tracing::debug!(%error, ?command, "the disk refuses");
                (IOERR, vec![])
            }
        }
    }
}
