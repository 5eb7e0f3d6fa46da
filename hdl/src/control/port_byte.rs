//! What goes over the byte port of a program.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// A byte to or from whoever manages the card.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct PortByte {
    /// The byte.
    pub data: Bits<8>,
}
