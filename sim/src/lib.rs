//! Co-simulation kit of the virtio PCIe endpoint.
pub mod link;
