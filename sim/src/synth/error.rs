//! What can go wrong between Verilog and figures.
use std::path::{Path, PathBuf};

/// A design could not be synthesised, or its figures could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// `scripts/setup.sh synth` has not run.
    #[error("the synthesis tools are not in {}; run scripts/setup.sh synth, or make synth", folder.display())]
    Missing {
        /// Where they should be.
        folder: PathBuf,
    },
    /// A tool is there, but does not start.
    #[error("{tool} cannot be started ({error}); remove {} and run scripts/setup.sh synth again", folder.display())]
    Start {
        /// Its name.
        tool: &'static str,
        /// Folder of all tools.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A tool refused its input.
    #[error("{design}: {tool} failed; all it said is in {}:\n{said}", log.display())]
    Failed {
        /// The design.
        design: String,
        /// Name of the tool.
        tool: &'static str,
        /// The last lines of what it printed.
        said: String,
        /// Folder with inputs and logs.
        log: PathBuf,
    },
    /// A tool's report is not as expected.
    #[error("{}: {what}", path.display())]
    Report {
        /// The report.
        path: PathBuf,
        /// What is missing or unknown in it.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is no place for tools and results.
    #[error("no place for the synthesis tools and results: set HOME or XDG_CACHE_HOME")]
    NoCache,
}

impl SynthError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| SynthError::File { path: path.into(), error }
    }

    pub(super) fn report(path: &Path, what: impl Into<String>) -> Self {
        SynthError::Report { path: path.into(), what: what.into() }
    }
}
