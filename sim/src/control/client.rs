//! The other end of the socket: whoever gives commands.
use super::{Answer, Command};
use rustix::net::sockopt::{set_socket_timeout, Timeout};
use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No answer is longer.
const MOST_ANSWER: u64 = 4 << 20;

/// A command has not been carried out, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no endpoint takes commands at {}: {error}; `serve` and `qemu` make the socket, with --control", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No answer in time.
    #[error("{} does not answer within {seconds} s: is its model still being built, or its output read by nobody?", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long.
        seconds: u64,
    },
    /// The connection ended.
    #[error("the connection to {} is lost: {error}", path.display())]
    Lost {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It says no.
    #[error("{0}")]
    Refused(String),
}

/// A connection to an endpoint's control socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
    patience: Duration,
}

impl Client {
    /// Connects; it and each answer may take so long.
    pub fn connect(path: &Path, patience: Duration) -> Result<Self, ClientError> {
        let connected = || -> rustix::io::Result<UnixStream> {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            // Connecting is sending, as far as the time is concerned.
            set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
            set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
            connect(&socket, &SocketAddrUnix::new(path)?)?;
            Ok(socket.into())
        };
        let client = |stream| Client { stream: BufReader::new(stream), path: path.into(), patience };
        let connected = connected().map_err(io::Error::from);
        connected.map(client).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => ClientError::Silent { path: path.into(), seconds: patience.as_secs() },
            _ => ClientError::Connect { path: path.into(), error },
        })
    }

    /// Gives a command, and waits for what comes of it.
    pub fn ask(&mut self, command: &Command) -> Result<Value, ClientError> {
        match self.exchange(command) {
            Ok(Answer::Ok(value)) => Ok(value),
            Ok(Answer::Error(error)) => Err(ClientError::Refused(error)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(ClientError::Silent { path: self.path.clone(), seconds: self.patience.as_secs() })
            }
            Err(error) => Err(ClientError::Lost { path: self.path.clone(), error }),
        }
    }

    fn exchange(&mut self, command: &Command) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        let mut answer = vec![];
        self.stream.by_ref().take(MOST_ANSWER).read_until(b'\n', &mut answer)?;
        match answer.last() {
            Some(b'\n') => Ok(serde_json::from_slice(&answer)?),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
