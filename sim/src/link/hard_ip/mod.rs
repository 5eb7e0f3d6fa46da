//! The user's side of a vendor's PCIe block: raw TLPs of the link on one side, beats of the block's AXI4-Streams on the
//! other.
//!
//! Two families are known: 7-series (PG054), with one stream each way that carries TLPs, and UltraScale+ (PG213), with
//! four streams that carry descriptors. The block has config space and answers config requests itself, decodes BARs,
//! watches over credits, and has handshakes for INTx and for function-level reset. The model does what the guides
//! promise and no more: bits without meaning are random, and what has no order comes in any.
//!
//! [`HardIp`] knows cycles but runs nothing: who runs the Verilated endpoint hands over what the endpoint sent and which
//! of the watched ports changed, and carries out [`Action`]s.
mod beat;
mod block;
pub mod completer;
mod config_space;
mod from_endpoint;
mod from_link;
mod from_ports;
mod handshake;
mod levels;
pub mod reads;
pub mod requester;
mod rule;
pub mod seven_series;
mod streams;
mod transmit;

pub use beat::{Beat, BeatLayout, MOST_DOUBLE_WORDS};
pub use block::{HardIp, Settings};
pub use config_space::{msix_capability, ConfigSpace, Effect, Hit};
pub use rule::{ProtocolError, Rule};
pub use streams::{Action, FromEndpoint, ToEndpoint};
pub use transmit::Sent;

/// A family of blocks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// PCIE_2_1 behind the 7-series wrapper, PG054.
    SevenSeries,
    /// PCIE40E4 and PCIE4CE4, PG213.
    UltraScalePlus,
}
