//! PCIe transaction-layer packets: what the blocks exchange, and how it lies on the wire.
pub mod format;
pub mod header_decode;
pub mod header_encode;
pub mod receive_unpack;
pub mod transmit_arbiter;
pub mod transmit_pack;
pub mod types;

pub use header_decode::{HeaderDecode, PacketKind};
pub use header_encode::HeaderEncode;
pub use receive_unpack::ReceiveUnpack;
pub use transmit_arbiter::TransmitArbiter;
pub use transmit_pack::TransmitPack;
