//! Messages: the header and the bodies, all in host byte order.
use crate::Errno;
use std::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();
/// Most data bytes of a register access or a DMA message that the server takes: `max_data_xfer_size`.
pub(crate) const MAX_DATA_BYTES: u32 = 1 << 20;
/// Most bytes of a message: its data, header and fixed part, with room for fields that a later version adds.
pub(crate) const MAX_MESSAGE_BYTES: u32 = MAX_DATA_BYTES + 4096;
/// Most descriptors of a message: `max_msg_fds`.
pub(crate) const MAX_DESCRIPTORS: usize = 8;

/// What a message is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Version,
    DmaMap,
    DmaUnmap,
    GetInfo,
    GetRegionInfo,
    GetRegionIoFds,
    GetIrqInfo,
    SetIrqs,
    RegionRead,
    RegionWrite,
    /// From server to client.
    DmaRead,
    /// From server to client.
    DmaWrite,
    Reset,
    DirtyPages,
    RegionWriteMulti,
    Unknown(u16),
}

impl Command {
    /// All that have a name, in the order of their numbers from 1 on.
    const NAMED: [(Command, &'static str); 15] = [
        (Command::Version, "VERSION"),
        (Command::DmaMap, "DMA_MAP"),
        (Command::DmaUnmap, "DMA_UNMAP"),
        (Command::GetInfo, "GET_INFO"),
        (Command::GetRegionInfo, "GET_REGION_INFO"),
        (Command::GetRegionIoFds, "GET_REGION_IO_FDS"),
        (Command::GetIrqInfo, "GET_IRQ_INFO"),
        (Command::SetIrqs, "SET_IRQS"),
        (Command::RegionRead, "REGION_READ"),
        (Command::RegionWrite, "REGION_WRITE"),
        (Command::DmaRead, "DMA_READ"),
        (Command::DmaWrite, "DMA_WRITE"),
        (Command::Reset, "DEVICE_RESET"),
        (Command::DirtyPages, "DIRTY_PAGES"),
        (Command::RegionWriteMulti, "REGION_WRITE_MULTI"),
    ];

    pub fn from_number(number: u16) -> Self {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|index| Self::NAMED.get(index)).map_or(Command::Unknown(number), |(command, _)| *command)
    }

    pub fn number(self) -> u16 {
        match self {
            Command::Unknown(number) => number,
            named => Self::NAMED.iter().position(|(command, _)| *command == named).map_or(0, |index| index as u16 + 1),
        }
    }

    /// The specification's name.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(command, _)| *command == self).map_or("unknown", |(_, name)| name)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Unknown(number) => write!(f, "command {number}"),
            named => f.write_str(named.name()),
        }
    }
}

/// Bits 3:0 of the flags: command or reply.
const TYPE: u32 = 0xf;
const REPLY: u32 = 1;
const NO_REPLY: u32 = 1 << 4;
const ERROR: u32 = 1 << 5;

/// The first bytes of every message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    /// Chosen by who asks; the reply repeats it.
    pub id: u16,
    pub command: u16,
    /// Bytes of the message with this header.
    pub size: u32,
    pub flags: u32,
    /// Why a command failed, when the flags say so.
    pub error: u32,
}

impl Header {
    pub fn command(&self) -> Command {
        Command::from_number(self.command)
    }

    pub fn is_command(&self) -> bool {
        self.flags & TYPE == 0
    }

    pub fn is_reply(&self) -> bool {
        self.flags & TYPE == REPLY
    }

    /// Whether the sender waits for an answer.
    pub fn wants_reply(&self) -> bool {
        self.flags & NO_REPLY == 0
    }

    /// What a reply says went wrong.
    pub fn failure(&self) -> Option<Errno> {
        // Errno takes what Linux may return from a system call, 1 to 4095.
        let known = |number: &u32| (1..4096).contains(number);
        (self.flags & ERROR != 0)
            .then(|| Some(self.error).filter(known).map_or(Errno::IO, |number| Errno::from_raw_os_error(number as i32)))
    }
}

/// A message that has arrived, with the descriptors that came along; those that nobody takes are closed with it.
#[derive(Debug)]
pub(crate) struct Message {
    pub header: Header,
    pub body: Vec<u8>,
    pub descriptors: Vec<std::os::fd::OwnedFd>,
}

/// A message of the server: a command that wants a reply, or the successful reply to one.
pub(crate) fn encode(id: u16, command: u16, is_reply: bool, parts: &[&[u8]]) -> Vec<u8> {
    let size = HEADER_BYTES + parts.iter().map(|part| part.len()).sum::<usize>();
    let flags = if is_reply { REPLY } else { 0 };
    let header = Header { id, command, size: size as u32, flags, error: 0 };
    let mut message = Vec::with_capacity(size);
    message.extend_from_slice(header.as_bytes());
    parts.iter().for_each(|part| message.extend_from_slice(part));
    message
}

/// The reply that says that `request` failed.
pub(crate) fn encode_failure(request: &Header, error: Errno) -> Vec<u8> {
    let error = error.raw_os_error() as u32;
    Header { size: HEADER_BYTES as u32, flags: REPLY | ERROR, error, ..*request }.as_bytes().to_vec()
}

/// A body that is exactly a `T`.
pub(crate) fn exactly<T: FromBytes>(body: &[u8]) -> Result<T, Errno> {
    T::read_from_bytes(body).map_err(|_| Errno::INVAL)
}

/// A body that starts with a `T`, and what follows.
pub(crate) fn starting_with<T: FromBytes>(body: &[u8]) -> Result<(T, &[u8]), Errno> {
    T::read_from_prefix(body).map_err(|_| Errno::INVAL)
}

/// VERSION, before the capabilities as JSON.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Version {
    pub major: u16,
    pub minor: u16,
}

/// GET_INFO, both ways.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DeviceInfo {
    pub argsz: u32,
    pub flags: u32,
    pub regions: u32,
    pub irqs: u32,
}

impl DeviceInfo {
    /// The device can be reset.
    pub const RESET: u32 = 1;
    /// It is a PCI device.
    pub const PCI: u32 = 1 << 1;
    /// Bytes of the structure with all fields of linux/vfio.h: an offset of capabilities, and padding.
    pub const LONGEST: u32 = 24;
}

/// GET_REGION_INFO, both ways.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct RegionInfo {
    pub argsz: u32,
    pub flags: u32,
    pub index: u32,
    pub capability_offset: u32,
    pub size: u64,
    pub offset: u64,
}

impl RegionInfo {
    /// It can be read.
    pub const READ: u32 = 1;
    /// It can be written.
    pub const WRITE: u32 = 1 << 1;
}

/// GET_IRQ_INFO, both ways.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct IrqInfo {
    pub argsz: u32,
    pub flags: u32,
    pub index: u32,
    pub count: u32,
}

/// SET_IRQS, before one byte per vector with DATA_BOOL.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct IrqSet {
    pub argsz: u32,
    pub flags: u32,
    pub index: u32,
    pub start: u32,
    pub count: u32,
}

/// DMA_MAP.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DmaMap {
    pub argsz: u32,
    pub flags: u32,
    /// Where the memory starts in the file of the descriptor.
    pub offset: u64,
    pub address: u64,
    pub size: u64,
}

impl DmaMap {
    /// The device may read.
    pub const READ: u32 = 1;
    /// The device may write.
    pub const WRITE: u32 = 1 << 1;
}

/// DMA_UNMAP, both ways.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DmaUnmap {
    pub argsz: u32,
    pub flags: u32,
    pub address: u64,
    pub size: u64,
}

impl DmaUnmap {
    /// Everything goes; address and size do not matter.
    pub const ALL: u32 = 1 << 1;
}

/// REGION_READ and REGION_WRITE, both ways, before the data.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct RegionAccess {
    pub offset: u64,
    pub region: u32,
    pub count: u32,
}

/// DMA_READ and DMA_WRITE, both ways, before the data.
#[derive(Copy, Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DmaAccess {
    pub address: u64,
    pub count: u64,
}
