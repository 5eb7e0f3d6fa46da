//! The device side of a virtio-blk endpoint: its ports, and what crosses them.
use crate::model::{DevicePacket, Direction, Endpoint, InputLevel, ModelError, Stream, StreamShape};

/// What a command asks of the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BlkOperation {
    /// Read sectors.
    Read,
    /// Write sectors.
    Write,
    /// Make earlier writes permanent.
    Flush,
    /// Read the serial number.
    GetId,
    /// A number that is no operation.
    Unknown(u32),
}

/// A command of the endpoint to the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BlkCommand {
    /// What to do.
    pub operation: BlkOperation,
    /// First 512-byte sector.
    pub sector: u64,
    /// Bytes.
    pub length: u32,
    /// Comes back with the answer.
    pub tag: u8,
}

/// Something that left for the disk, with the cycle in which its last beat moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlkEvent {
    /// A command.
    Command(u64, BlkCommand),
    /// The data of a write command, in whole beats, and whether they are to be discarded; of a long one the rest.
    WriteData(u64, Vec<u32>, bool),
    /// A part of the data of a long write command; more come.
    WritePart(u64, Vec<u32>),
    /// There is room for more data of read commands: see [`BlkPorts::set_read_low`].
    ReadWanted(u64),
}

/// Words after which the data of a write come in parts.
const WRITE_PART_WORDS: usize = 16 << 10;

/// The ports of an endpoint to its disk.
#[derive(Copy, Clone, Debug)]
pub struct BlkPorts {
    command: Stream,
    write: Stream,
    write_part: Stream,
    status: Stream,
    read: Stream,
    capacity: InputLevel,
    read_only: InputLevel,
}

impl BlkPorts {
    /// Takes charge of the ports; see [`DeviceSide::connect`](crate::model::DeviceSide::connect).
    pub fn connect(endpoint: &mut Endpoint) -> Result<Self, ModelError> {
        use Direction::{Input, Output};
        let command = StreamShape { side: &["operation", "sector", "length", "tag"], ..StreamShape::default() };
        let write = StreamShape { data: true, last: true, side: &["error"], ..StreamShape::default() };
        let status = StreamShape { side: &["", "tag"], ..StreamShape::default() };
        // `last` is not that of a packet: the data of a long read come as several
        let read = StreamShape { data: true, side: &["last", "tag"], ..StreamShape::default() };
        let command = endpoint.add_stream("blk_command", Output, command)?;
        let write = endpoint.add_stream("blk_write", Output, write)?;
        Ok(BlkPorts {
            command,
            write,
            write_part: endpoint.model().set_part(write, WRITE_PART_WORDS)?,
            status: endpoint.add_stream("blk_status", Input, status)?,
            read: endpoint.add_stream("blk_read", Input, read)?,
            capacity: endpoint.model().input_level("blk_capacity")?,
            read_only: endpoint.model().input_level("blk_read_only")?,
        })
    }

    /// What a packet says.
    pub fn event(&self, packet: DevicePacket) -> Option<BlkEvent> {
        let DevicePacket { stream, last_cycle: at, mut words, .. } = packet;
        if stream == self.command {
            command(&words).map(|command| BlkEvent::Command(at, command))
        } else if stream == self.write {
            words.pop().map(|error| BlkEvent::WriteData(at, words, error != 0))
        } else if stream == self.write_part {
            Some(BlkEvent::WritePart(at, words))
        } else {
            (stream == self.read).then_some(BlkEvent::ReadWanted(at))
        }
    }

    /// Answers the command with this tag, in the order of the commands.
    pub fn status(&self, endpoint: &mut Endpoint, not_before: u64, tag: u8, status: u8) -> Result<(), ModelError> {
        endpoint.model().send(self.status, not_before, &[status.into(), tag.into()])
    }

    /// Data of a command that was answered with status 0, padded with zeros to whole beats; `last`: its last ones.
    pub fn read_data(
        &self,
        endpoint: &mut Endpoint,
        not_before: u64,
        tag: u8,
        bytes: &[u8],
        last: bool,
    ) -> Result<(), ModelError> {
        let (before, end) = bytes.split_at(if last { bytes.len().saturating_sub(1) / 16 * 16 } else { bytes.len() });
        for (bytes, last) in [(before, false), (end, true)] {
            if !bytes.is_empty() {
                let mut packet = super::words(bytes);
                packet.resize(packet.len().next_multiple_of(4), 0);
                packet.extend([u32::from(last), u32::from(tag)]);
                endpoint.model().send(self.read, not_before, &packet)?;
            }
        }
        Ok(())
    }

    /// Bytes of read data that the endpoint has not taken, 8 for `last` and tag of each call included.
    pub fn read_queued(&self, endpoint: &mut Endpoint) -> Result<usize, ModelError> {
        Ok(4 * endpoint.model().queued(self.read)?)
    }

    /// Asks for [`BlkEvent::ReadWanted`] whenever read data have been taken and fewer bytes than these are left; 0: no
    /// longer.
    pub fn set_read_low(&self, endpoint: &mut Endpoint, bytes: usize) -> Result<(), ModelError> {
        endpoint.model().set_low_water(self.read, bytes / 4)
    }

    /// Shows the disk's size in 512-byte sectors, and whether it may only be read.
    pub fn show(&self, endpoint: &mut Endpoint, sectors: u64, read_only: bool) {
        endpoint.model().set(self.capacity, sectors);
        endpoint.model().set(self.read_only, read_only.into());
    }
}

fn command(words: &[u32]) -> Option<BlkCommand> {
    let [operation, sector_low, sector_high, length, tag] = *words else { return None };
    let operation = match operation {
        0 => BlkOperation::Read,
        1 => BlkOperation::Write,
        2 => BlkOperation::Flush,
        3 => BlkOperation::GetId,
        other => BlkOperation::Unknown(other),
    };
    Some(BlkCommand { operation, sector: u64::from(sector_low) | u64::from(sector_high) << 32, length, tag: tag as u8 })
}
