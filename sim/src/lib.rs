//! Co-simulation kit of the virtio PCIe endpoint: the Verilated model, the link and root complex, the host model, what
//! sits behind the device, traces, the bridge through which a stock QEMU reaches it, and QEMU's PCI bus as another machine
//! for the same host model; and how large and fast the RTL is in open tools.
/// `eprintln!` for remarks that nobody may be there to read: standard error may be closed, or full.
macro_rules! note {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arguments)*);
    }};
}

pub mod backend;
pub mod bridge;
mod cache;
#[cfg(feature = "cli")]
pub mod cli;
pub mod control;
pub mod design;
pub mod guest;
pub mod host;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "it is the command line that a signal ends"))]
mod leftovers;
pub mod link;
pub mod machine;
pub mod model;
pub mod qtest;
pub mod scenario;
mod socket_file;
pub mod state;
pub mod synth;
pub mod trace;

/// The server that a [`bridge`] is the device of: a crate of its own.
pub use vfio_user_server as vfio_user;
