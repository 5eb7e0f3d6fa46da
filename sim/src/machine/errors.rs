//! What goes wrong with the machine, rather than in it.
use crate::link::config::LinkConfigError;
use crate::model::ModelError;

/// The machine cannot be built, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The model cannot be built or loaded.
    #[error(transparent)]
    Model(ModelError),
    /// The link cannot be.
    #[error("link: {0}")]
    Link(#[from] LinkConfigError),
    /// No guest memory of this size.
    #[error("{0} bytes of guest memory: {1}")]
    Memory(u64, String),
    /// A trace file cannot be written.
    #[error("cannot write the trace: {0}")]
    Trace(std::io::Error),
}
