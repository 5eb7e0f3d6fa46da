//! The virtio PCIe endpoint as RTL, written in rust-hdl, and the printer that turns it into Verilog.
//!
//! Layers, from the leaves up: [`cells`] (registers, RAMs, FIFOs), [`tlp`] (PCIe packets on the wire),
//! [`pcie`] (config space, completer, MSI-X), [`dma`] (read and write engines, gather, scatter),
//! [`virtio`] (register file, ring engine), [`device`] (what sits behind the rings), [`control`] (a processor), [`endpoint`] (all of
//! it), [`shim`] (hard PCIe blocks as links), and [`verilog`] (the printer). Nothing here but `testing` knows of simulation.
#![allow(
    clippy::collapsible_match,
    reason = "clippy would have guards of match arms, which `#[hdl_gen]` drops without a word"
)]

// `derive(Block)` names this crate as its users do.
extern crate self as virtio_hdl_rtl;

pub mod block;
pub mod board;
pub mod cells;
pub mod config;
pub mod control;
pub mod device;
pub mod dma;
pub mod endpoint;
pub mod pcie;
pub mod shim;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tlp;
pub mod virtio;

pub use virtio_hdl_verilog as verilog;
pub use virtio_hdl_verilog::doc_name;

// Its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A comment that reaches the Verilog, for use inside `update`. As its first statement,
/// `comment!("module NAME: text")` also names the module.
#[macro_export]
macro_rules! comment {
    ($($text:tt)*) => {};
}
