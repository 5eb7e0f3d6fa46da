//! Co-simulation kit of the virtio PCIe endpoint.
pub mod host;
pub mod link;
