//! The shims of hard PCIe blocks: each against a Rust model of the block's interface, and rust-hdl's evaluator against
//! Verilator.
#[path = "../tlp/packet.rs"]
mod packet;
#[path = "../tlp/reference.rs"]
mod reference;
mod seven_series;
mod ultrascale_plus;
