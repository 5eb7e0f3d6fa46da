//! The device side of an endpoint: the ports to a disk, or to an Ethernet port.
use super::{Direction, InputLevel, Level, Model, ModelError, Packet, Stream, StreamShape};

/// What a blk command asks of the disk.
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

/// Something that left on the device side, with the cycle in which its last beat moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A blk command.
    Command(u64, BlkCommand),
    /// The data of a blk write command, in whole beats, and whether they are to be discarded; of a long one the rest.
    WriteData(u64, Vec<u32>, bool),
    /// A part of the data of a long blk write command; more come.
    WritePart(u64, Vec<u32>),
    /// There is room for more data of blk read commands: see [`super::Endpoint::set_blk_read_low`].
    ReadWanted(u64),
    /// A frame for the wire, without its check sequence, and whether it is to be spoilt there.
    Frame(u64, Vec<u8>, bool),
}

/// Words after which the data of a write come in parts.
const WRITE_PART_WORDS: usize = 16 << 10;

/// virtio-blk's ports.
pub(super) struct BlkPorts {
    command: Stream,
    write: Stream,
    write_part: Stream,
    pub status: Stream,
    pub read: Stream,
    pub capacity: InputLevel,
    pub read_only: InputLevel,
}

/// virtio-net's ports: AXI4-Stream to the wire and from it.
pub(super) struct NetPorts {
    transmit: Stream,
    pub receive: Stream,
    pub mac: InputLevel,
    pub mac_current: Level,
    pub link_up: InputLevel,
}

pub(super) enum DevicePorts {
    Blk(BlkPorts),
    Net(NetPorts),
}

impl DevicePorts {
    /// Takes charge of the ports that the model has.
    pub fn find(model: &mut Model) -> Result<Self, ModelError> {
        match model.input_level("net_mac") {
            Ok(mac) => DevicePorts::net_of(model, mac),
            Err(_) => DevicePorts::blk_of(model),
        }
    }

    fn blk_of(model: &mut Model) -> Result<Self, ModelError> {
        use Direction::{Input, Output};
        let command = StreamShape { side: &["operation", "sector", "length", "tag"], ..StreamShape::default() };
        let write = StreamShape { data: true, last: true, side: &["error"], ..StreamShape::default() };
        let status = StreamShape { side: &["", "tag"], ..StreamShape::default() };
        // `last` is not that of a packet: the data of a long read come as several
        let read = StreamShape { data: true, side: &["last", "tag"], ..StreamShape::default() };
        let command = model.add_stream("blk_command", Output, command)?;
        let write = model.add_stream("blk_write", Output, write)?;
        Ok(DevicePorts::Blk(BlkPorts {
            command,
            write,
            write_part: model.set_part(write, WRITE_PART_WORDS)?,
            status: model.add_stream("blk_status", Input, status)?,
            read: model.add_stream("blk_read", Input, read)?,
            capacity: model.input_level("blk_capacity")?,
            read_only: model.input_level("blk_read_only")?,
        }))
    }

    fn net_of(model: &mut Model, mac: InputLevel) -> Result<Self, ModelError> {
        let frame = StreamShape { data: true, keep: true, last: true, side: &["error"], ..StreamShape::default() };
        Ok(DevicePorts::Net(NetPorts {
            transmit: model.add_stream("net_tx", Direction::Output, frame)?,
            receive: model.add_stream("net_rx", Direction::Input, frame)?,
            mac,
            mac_current: model.level("net_mac_current")?,
            link_up: model.input_level("net_link_up")?,
        }))
    }

    pub fn blk(&self) -> Result<&BlkPorts, ModelError> {
        match self {
            DevicePorts::Blk(ports) => Ok(ports),
            DevicePorts::Net(_) => Err(ModelError::Unfit("the model is a net device, not a disk".into())),
        }
    }

    pub fn net(&self) -> Result<&NetPorts, ModelError> {
        match self {
            DevicePorts::Net(ports) => Ok(ports),
            DevicePorts::Blk(_) => Err(ModelError::Unfit("the model is a disk, not a net device".into())),
        }
    }

    /// Streams that leave the endpoint.
    pub fn output_streams(&self) -> Vec<Stream> {
        match self {
            DevicePorts::Blk(ports) => vec![ports.command, ports.write],
            DevicePorts::Net(ports) => vec![ports.transmit],
        }
    }

    /// All streams.
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams = self.output_streams();
        match self {
            DevicePorts::Blk(ports) => streams.extend([ports.status, ports.read]),
            DevicePorts::Net(ports) => streams.push(ports.receive),
        }
        streams
    }

    /// What a packet of one of the streams that leave says.
    pub fn event(&self, packet: &Packet) -> Option<DeviceEvent> {
        let at = packet.last_cycle;
        match (self, packet.words) {
            (DevicePorts::Blk(ports), words) if packet.stream == ports.command => {
                command(words).map(|command| DeviceEvent::Command(at, command))
            }
            (DevicePorts::Blk(ports), _) if packet.stream == ports.read => Some(DeviceEvent::ReadWanted(at)),
            (DevicePorts::Blk(ports), words) if packet.stream == ports.write_part => {
                Some(DeviceEvent::WritePart(at, words.to_vec()))
            }
            (DevicePorts::Blk(_), [data @ .., error]) => Some(DeviceEvent::WriteData(at, data.to_vec(), *error != 0)),
            (DevicePorts::Net(_), [data @ .., length, error]) => {
                let mut frame: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
                frame.truncate(*length as usize);
                Some(DeviceEvent::Frame(at, frame, *error != 0))
            }
            _ => None,
        }
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
