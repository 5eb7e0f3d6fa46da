//! What the printer cannot print.
use thiserror::Error;

/// A block that has no Verilog, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct PrintError {
    /// Path of the block from the top, `top.read_engine.tags`.
    pub path: String,
    /// What is wrong, with the names of the Rust source.
    pub reason: String,
}

pub(super) type Result<T> = std::result::Result<T, PrintError>;
