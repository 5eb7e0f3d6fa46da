//! PCIe transaction-layer packets: what the blocks exchange, and how it lies on the wire.
pub mod format;
pub mod header;
pub mod receive_unpack;
pub mod transmit_arbiter;
pub mod transmit_pack;
pub mod types;

pub use header::{HeaderDecode, PacketKind};
pub use receive_unpack::ReceiveUnpack;
pub use transmit_arbiter::TransmitArbiter;
pub use transmit_pack::TransmitPack;
