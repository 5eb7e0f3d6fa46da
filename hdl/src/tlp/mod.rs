//! PCIe transaction-layer packets: what the blocks exchange, and how it lies on the wire.
pub mod types;
