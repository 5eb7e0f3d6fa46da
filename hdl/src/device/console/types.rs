//! What the console and what is behind it exchange.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// A byte of the console.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ConsoleByte {
    /// As the driver wrote it, or is to read it.
    pub data: Bits<8>,
}
