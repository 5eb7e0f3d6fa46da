//! The PCIe link and the root complex above it: packets as types, the modelled link, guest memory.
//!
//! [`tlp`] is what goes over the link, [`codec`] how it lies in double words, [`config`] how fast and how
//! faithful the link is, and [`root_complex`] what answers at its upper end.
mod arrive;
pub mod codec;
pub mod config;
pub mod credits;
pub mod errors;
pub mod hard_ip;
pub mod host;
mod read;
pub mod report;
pub mod root_complex;
pub mod tlp;
mod wire;

pub use config::{CompletionCut, Credits, ErrorRates, Latency, LinkConfig, LinkSpeed};
pub use credits::TransmitCredits;
pub use errors::Fault;
pub use host::{HostCompletion, HostRequest, HostRequestError, RequestId, SLOT};
pub use read::answer;
pub use report::{Statistics, Violation};
pub use root_complex::{DeviceAccess, Interrupt, RootComplex, Scheduled};
pub use tlp::{
    Attributes, ByteEnables, Completion, CompletionStatus, ConfigRequest, FunctionId, Header, IoRequest, Kind,
    MemoryRequest, Message, Routing, Tlp, TlpError,
};
