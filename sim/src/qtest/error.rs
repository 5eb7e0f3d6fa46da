//! What goes wrong between this process and QEMU.
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// QEMU does not start, or does not do what it is told.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum QtestError {
    /// A file or socket of the run cannot be made.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// No guest memory of this size.
    #[error("{bytes} bytes of guest memory in {}: {error}", path.display())]
    Memory { path: PathBuf, bytes: u64, error: String },
    /// The program cannot be started.
    #[error("cannot start {}: {error}", program.display())]
    Start { program: PathBuf, error: io::Error },
    /// The program ended before it spoke qtest.
    #[error("QEMU ended with {status} before it could be used: {output}")]
    Ended { status: ExitStatus, output: String },
    /// The program did not connect.
    #[error("QEMU does not connect to its qtest socket after {0:?}")]
    NoConnection(Duration),
    /// The socket broke.
    #[error("qtest socket, at `{command}`: {error}")]
    Socket { command: String, error: io::Error },
    /// The other side has gone.
    #[error("QEMU closed the qtest socket at `{0}`")]
    Closed(String),
    /// No answer.
    #[error("no answer to `{command}` after {timeout:?}")]
    Timeout { command: String, timeout: Duration },
    /// QEMU says no.
    #[error("QEMU refuses `{command}`: {answer}")]
    Refused { command: String, answer: String },
    /// Not the protocol.
    #[error("QEMU answers `{command}` with `{answer}`, which is not qtest")]
    Answer { command: String, answer: String },
}
