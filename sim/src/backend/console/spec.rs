//! How a console's other end is named on the command line.
use super::{ConsoleBackend, ConsoleError, FileConsole, PtyConsole, SocketConsole, StdioConsole};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What a console is to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleSpec {
    /// `stdio`: this terminal.
    Stdio,
    /// `pty`: a new pseudoterminal.
    Pty,
    /// `unix:PATH`: a socket for one client at a time.
    Unix(PathBuf),
    /// `file:PATH`: a file for what is printed.
    File(PathBuf),
}

/// A console that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsoleSpecError {
    /// Not one of the kinds.
    #[error("`{0}` is no console; there are stdio, pty, unix:PATH and file:PATH")]
    Unknown(String),
    /// No file.
    #[error("`{0}` names no file; write {0}PATH")]
    NoPath(String),
}

impl ConsoleSpec {
    /// Connects it.
    pub fn open(&self) -> Result<Box<dyn ConsoleBackend>, ConsoleError> {
        Ok(match self {
            ConsoleSpec::Stdio => Box::new(StdioConsole::open()?),
            ConsoleSpec::Pty => Box::new(PtyConsole::open()?),
            ConsoleSpec::Unix(path) => Box::new(SocketConsole::bind(path)?),
            ConsoleSpec::File(path) => Box::new(FileConsole::create(path)?),
        })
    }
}

impl FromStr for ConsoleSpec {
    type Err = ConsoleSpecError;

    fn from_str(text: &str) -> Result<Self, ConsoleSpecError> {
        match text.split_once(':') {
            None if text == "stdio" => Ok(ConsoleSpec::Stdio),
            None if text == "pty" => Ok(ConsoleSpec::Pty),
            Some(("unix" | "file", "")) => Err(ConsoleSpecError::NoPath(text.into())),
            Some(("unix", path)) => Ok(ConsoleSpec::Unix(path.into())),
            Some(("file", path)) => Ok(ConsoleSpec::File(path.into())),
            _ => Err(ConsoleSpecError::Unknown(text.into())),
        }
    }
}

impl fmt::Display for ConsoleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsoleSpec::Stdio => write!(f, "stdio"),
            ConsoleSpec::Pty => write!(f, "pty"),
            ConsoleSpec::Unix(path) => write!(f, "unix:{}", path.display()),
            ConsoleSpec::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for text in ["stdio", "pty", "unix:/tmp/a", "file:b:c"] {
            assert_eq!(text.parse::<ConsoleSpec>().unwrap().to_string(), text);
        }
        for (text, message) in [
            ("telnet:1", "`telnet:1` is no console; there are stdio, pty, unix:PATH and file:PATH"),
            ("", "`` is no console; there are stdio, pty, unix:PATH and file:PATH"),
            ("unix:", "`unix:` names no file; write unix:PATH"),
        ] {
            assert_eq!(text.parse::<ConsoleSpec>().unwrap_err().to_string(), message);
        }
    }
}
