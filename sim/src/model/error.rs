//! What can go wrong between Verilog and a running model.
use std::path::{Path, PathBuf};

/// A model could not be built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A tool is not installed, or cannot be started.
    #[error("{tool} cannot be started ({error}); install it (`make setup`), and see `virtio-hdl doctor`")]
    ToolMissing {
        /// Its name.
        tool: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A tool refused its input.
    #[error("{tool} failed:\n{}", essence(said))]
    ToolFailed {
        /// Its name.
        tool: &'static str,
        /// What it printed.
        said: String,
    },
    /// The cache cannot be written.
    #[error("cannot use the model cache: {}: {error}; set XDG_CACHE_HOME to a folder you may write to", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is no place for a cache.
    #[error("no place for the model cache: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// The library does not fit: no such port, not a model.
    #[error("the model cannot be used: {0}")]
    Unfit(String),
    /// No state window.
    #[error("this endpoint has no state window: that belongs to those that are generated")]
    NoStateWindow,
    /// A file of Verilog that is not generated here cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Source {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The RTL has stopped: by `$stop`, `$fatal`, `$finish` or an assertion.
    #[error("{0}")]
    Stopped(String),
    /// The device side cannot go on.
    #[error(transparent)]
    Side(super::SideError),
    /// The endpoint broke a rule of the hard IP that it is attached to.
    #[error(transparent)]
    Protocol(#[from] crate::link::hard_ip::ProtocolError),
}

impl ModelError {
    pub(super) fn cache(path: &Path, error: std::io::Error) -> Self {
        ModelError::Cache { path: path.into(), error }
    }
}

impl From<cxx::Exception> for ModelError {
    fn from(exception: cxx::Exception) -> Self {
        ModelError::Unfit(exception.what().into())
    }
}

/// The part of a tool's output that says what is wrong: twenty lines from the first error on.
fn essence(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| line.to_lowercase().contains("error")).unwrap_or(0);
    lines[first..].iter().take(20).copied().collect::<Vec<_>>().join("\n")
}
