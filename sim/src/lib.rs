//! Co-simulation kit of the virtio PCIe endpoint: the Verilated model, the link and root complex, the host model, what
//! sits behind the device, and traces.
pub mod backend;
pub mod cli;
pub mod design;
pub mod host;
pub mod link;
pub mod machine;
pub mod model;
pub mod scenario;
pub mod trace;
