//! Standard output, which may be closed, or full.
use super::stop;
use signal_hook::consts::SIGPIPE;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

/// What standard output failed with first.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// `println!` for output that may fail: nobody reads on, and the command ends; anything else, and it goes on and ends
/// with an error.
macro_rules! outln {
    ($($arguments:tt)*) => { $crate::cli::output::line(format_args!($($arguments)*)) };
}
pub(super) use outln;

/// Writes a line to standard output.
pub(super) fn line(text: fmt::Arguments<'_>) {
    let mut output = io::stdout().lock();
    let Err(error) = writeln!(output, "{text}") else { return };
    drop(output);
    let first = FAILURE.get().is_none();
    let closed = error.kind() == io::ErrorKind::BrokenPipe;
    let _ = FAILURE.set(error);
    if first && closed {
        stop::request(SIGPIPE);
    }
}

/// What standard output failed with.
pub(super) fn failure() -> Option<&'static io::Error> {
    FAILURE.get()
}
