//! The TLP layer: every block against a Rust model of it, and rust-hdl's evaluator against Verilator.
mod format;
mod packet;
mod receive;
mod reference;
mod transmit;
