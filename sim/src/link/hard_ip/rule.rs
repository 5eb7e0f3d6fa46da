//! What the user of the block must not do.
use crate::link::tlp::{FunctionId, TlpError};
use thiserror::Error;

/// A rule of the block's interface that the endpoint broke.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("hard IP, cycle {cycle}: {port}: {rule}")]
pub struct ProtocolError {
    /// The cycle in which the packet ended, or the port changed.
    pub cycle: u64,
    /// Stream or port.
    pub port: &'static str,
    /// What was broken.
    pub rule: Rule,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Rule {
    /// Gaps, or a partial beat before the last.
    #[error("tkeep is {keep:#x} in beat {beat} ({}): all lanes are needed before the last beat, and no gaps in it",
        if *last { "the last" } else { "not the last" })]
    Keep { beat: usize, keep: u32, last: bool },
    /// Fewer double words than the header.
    #[error("packet of {found} double words is shorter than its descriptor of {least}")]
    Short { least: usize, found: usize },
    /// Another number of double words than the descriptor says.
    #[error("packet of {found} double words, its descriptor says {expected}")]
    Length { expected: usize, found: usize },
    /// A field that has one allowed value only.
    #[error("{field} is {value:#x}, and must be {expected:#x}")]
    Field { field: &'static str, value: u64, expected: u64 },
    /// Not a memory request.
    #[error("request type {0:#06b}: an endpoint sends memory reads (0000) and writes (0001)")]
    RequestType(u32),
    /// Not what a TLP may be.
    #[error(transparent)]
    Packet(#[from] TlpError),
    /// More tags than there are.
    #[error("tag {tag}: only tags below {limit} are there")]
    Tag { tag: u8, limit: u16 },
    /// Somebody else's id.
    #[error("packet in the name of {found}, the function is {expected}")]
    Identity { found: FunctionId, expected: FunctionId },
    /// Larger than the driver allows.
    #[error("payload of {found} bytes, Max_Payload_Size is {most}")]
    Payload { found: usize, most: usize },
    /// Larger than the driver allows.
    #[error("read of {found} bytes, Max_Read_Request_Size is {most}")]
    ReadRequest { found: usize, most: usize },
    /// Bus mastering is off.
    #[error("memory request {0} cycles after bus mastering was switched off")]
    BusMaster(u64),
    /// Nobody asked.
    #[error("completion for tag {tag} of {requester}, which waits for none")]
    NobodyWaits { requester: FunctionId, tag: u8 },
    /// The five double words behind the descriptor of an error completion.
    #[error(
        "double words {found:08x?} behind the descriptor of an error completion are not the request's, {expected:08x?}"
    )]
    ErrorInfo { found: Vec<u32>, expected: Vec<u32> },
    /// A handshake port moved when it must not.
    #[error("{0}")]
    Handshake(&'static str),
}

/// Fails unless a field has the value it must have.
pub(super) fn expect(field: &'static str, value: u32, expected: u32) -> Result<(), Rule> {
    match value == expected {
        true => Ok(()),
        false => Err(Rule::Field { field, value: value.into(), expected: expected.into() }),
    }
}
