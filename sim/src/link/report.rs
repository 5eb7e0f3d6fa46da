//! What the root complex has to tell about the device: broken rules and counts.
use super::tlp::{FunctionId, Tlp, TlpError};
use thiserror::Error;

/// A rule of PCI Express that the device broke.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Violation {
    /// Not a packet.
    #[error("malformed packet: {0}")]
    Malformed(#[from] TlpError),
    /// A packet that an endpoint does not send.
    #[error("an endpoint does not send this packet: {0:?}")]
    Unexpected(Box<Tlp>),
    /// More than the largest payload.
    #[error("payload of {0} bytes exceeds MPS")]
    Payload(usize),
    /// More than the largest read request.
    #[error("read of {0} bytes exceeds MRRS")]
    ReadRequest(usize),
    /// A tag of an outstanding read.
    #[error("tag {0} is in use")]
    TagInUse(u8),
    /// A completion for which there is no request.
    #[error("completion for tag {tag} of {requester}, which asked nothing")]
    UnexpectedCompletion { requester: FunctionId, tag: u8 },
    /// A completion with another number of bytes than asked for.
    #[error("completion for tag {tag} with {found} bytes where {expected} were asked for")]
    CompletionLength { tag: u8, expected: usize, found: usize },
    /// Sent without a credit.
    #[error("sent without flow-control credit")]
    Credit,
    /// A message interrupt of another length than one double word.
    #[error("interrupt message of {0} double words")]
    InterruptLength(u16),
}

/// What went over the link.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Statistics {
    /// Packets to the device.
    pub to_device_packets: u64,
    /// Bytes to the device, with 8 bytes of overhead per packet.
    pub to_device_bytes: u64,
    /// Packets to the host.
    pub to_host_packets: u64,
    /// Bytes to the host, with 8 bytes of overhead per packet.
    pub to_host_bytes: u64,
    /// Reads of the device.
    pub reads: u64,
    /// Bytes that the device read.
    pub read_bytes: u64,
    /// Memory writes of the device, interrupts not counted.
    pub writes: u64,
    /// Bytes that the device wrote.
    pub written_bytes: u64,
    /// Interrupt messages.
    pub interrupts: u64,
    /// Most reads outstanding at once.
    pub most_reads: usize,
    /// Sum over reads of the cycles from leaving the device to the start of the last completion there.
    pub read_cycles: u64,
    /// Reads outside memory, answered "unsupported request".
    pub outside_reads: u64,
    /// Writes outside memory or poisoned, dropped.
    pub dropped_writes: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Rules that the device broke.
    pub violations: u64,
}
