//! What the host asks of the device, and what comes back.
use super::tlp::*;
use thiserror::Error;

/// Where the endpoint is on the bus of its own link. Where a guest sees it is QEMU's affair.
pub const SLOT: FunctionId = FunctionId::new(1, 0, 0);

/// An access of the host's processor to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRequest {
    /// Memory read of 1 to 4096 bytes.
    MemoryRead {
        /// First byte.
        address: u64,
        /// How many.
        bytes: u16,
    },
    /// Memory write, posted.
    MemoryWrite {
        /// First byte.
        address: u64,
        /// What is written.
        data: Vec<u8>,
    },
    /// I/O read of bytes of one double word.
    IoRead {
        /// First port.
        port: u32,
        /// How many bytes, 1 to 4.
        bytes: u8,
    },
    /// I/O write of bytes of one double word.
    IoWrite {
        /// First port.
        port: u32,
        /// What is written, 1 to 4 bytes.
        data: Vec<u8>,
    },
    /// Configuration read of bytes of one double word.
    ConfigRead {
        /// Whose configuration space.
        target: FunctionId,
        /// First byte.
        offset: u16,
        /// How many, 1 to 4.
        bytes: u8,
    },
    /// Configuration write of bytes of one double word.
    ConfigWrite {
        /// Whose configuration space.
        target: FunctionId,
        /// First byte.
        offset: u16,
        /// What is written, 1 to 4 bytes.
        data: Vec<u8>,
    },
}

/// What became of a [`HostRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCompletion {
    /// When the host knew.
    pub at: u64,
    /// The device's answer; `None` when none came in time.
    pub status: Option<CompletionStatus>,
    /// The bytes read; empty for writes and when it failed.
    pub data: Vec<u8>,
    /// The data are marked as wrong.
    pub poisoned: bool,
}

/// Names a [`HostRequest`] until its completion was fetched.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// A request that no packet can carry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum HostRequestError {
    /// Empty, or across the boundary that such a request may not cross.
    #[error("access of {bytes} bytes at {address:#x} must lie within one block of {block} bytes")]
    Range { address: u64, bytes: usize, block: u64 },
    /// More than the largest payload.
    #[error("write of {bytes} bytes is larger than a packet of {max_payload}")]
    Payload { bytes: usize, max_payload: u16 },
    /// Every tag is in use.
    #[error("256 requests are outstanding")]
    NoTag,
}

impl HostRequest {
    /// Posted requests get no completion.
    pub fn is_posted(&self) -> bool {
        matches!(self, HostRequest::MemoryWrite { .. })
    }

    /// Offset of the first byte in its double word, and bytes to read.
    pub fn read_span(&self) -> (usize, usize) {
        match self {
            HostRequest::MemoryRead { address, bytes } => ((address % 4) as usize, usize::from(*bytes)),
            HostRequest::IoRead { port, bytes } => ((port % 4) as usize, usize::from(*bytes)),
            HostRequest::ConfigRead { offset, bytes, .. } => ((offset % 4) as usize, usize::from(*bytes)),
            _ => (0, 0),
        }
    }

    fn range(&self) -> (u64, usize) {
        match self {
            HostRequest::MemoryRead { address, bytes } => (*address, usize::from(*bytes)),
            HostRequest::MemoryWrite { address, data } => (*address, data.len()),
            HostRequest::IoRead { port, bytes } => (u64::from(*port), usize::from(*bytes)),
            HostRequest::IoWrite { port, data } => (u64::from(*port), data.len()),
            HostRequest::ConfigRead { offset, bytes, .. } => (u64::from(*offset), usize::from(*bytes)),
            HostRequest::ConfigWrite { offset, data, .. } => (u64::from(*offset), data.len()),
        }
    }

    /// The packet of this request.
    pub fn tlp(&self, requester: FunctionId, tag: u8, max_payload: u16) -> Result<Tlp, HostRequestError> {
        let (address, bytes) = self.range();
        let memory = matches!(self, HostRequest::MemoryRead { .. } | HostRequest::MemoryWrite { .. });
        let block = if memory { PAGE } else { 4 };
        if bytes == 0 || address % block + bytes as u64 > block {
            return Err(HostRequestError::Range { address, bytes, block });
        }
        let (enables, length) = ByteEnables::of(address, bytes as u64);
        let request = || MemoryRequest { requester, tag, address: address & !3, length, enables };
        let io = |port: &u32| IoRequest { requester, tag, address: port & !3, enables: enables.first };
        let config = |target: &FunctionId, offset: &u16| ConfigRequest {
            requester,
            tag,
            target: *target,
            register: offset & !3,
            enables: enables.first,
            forwarded: false,
        };
        let kind = match self {
            HostRequest::MemoryRead { .. } => Kind::MemoryRead { request: request(), locked: false },
            HostRequest::MemoryWrite { data, .. } => {
                let payload = padded(address, data);
                if 4 * payload.len() > usize::from(max_payload) {
                    return Err(HostRequestError::Payload { bytes, max_payload });
                }
                Kind::MemoryWrite { request: request(), payload }
            }
            HostRequest::IoRead { port, .. } => Kind::IoRead(io(port)),
            HostRequest::IoWrite { port, data } => Kind::IoWrite(io(port), padded(address, data)[0]),
            HostRequest::ConfigRead { target, offset, .. } => Kind::ConfigRead(config(target, offset)),
            HostRequest::ConfigWrite { target, offset, data } => {
                Kind::ConfigWrite(config(target, offset), padded(address, data)[0])
            }
        };
        Ok(kind.into())
    }
}

/// Double words with `data` at its place; the other bytes are 0.
fn padded(address: u64, data: &[u8]) -> Vec<u32> {
    let offset = (address % 4) as usize;
    let mut bytes = vec![0; (offset + data.len()).next_multiple_of(4)];
    bytes[offset..offset + data.len()].copy_from_slice(data);
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}
