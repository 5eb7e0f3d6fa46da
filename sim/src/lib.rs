//! Co-simulation kit of the virtio PCIe endpoint: the Verilated model, the link and root complex, the host model, what
//! sits behind the device, traces, and the vfio-user server with the bridge through which a stock QEMU reaches it.
pub mod backend;
pub mod bridge;
mod cache;
pub mod cli;
pub mod design;
pub mod guest;
pub mod host;
pub mod link;
pub mod machine;
pub mod model;
pub mod scenario;
pub mod trace;
pub mod vfio_user;
