//! The socket in the file system: made, found in use, removed.
use crate::socket_file::{BindError, SocketFile};
use crate::{Errno, ServerError};
use rustix::net::SocketType;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Connections that may wait.
const BACKLOG: i32 = 4;

/// What came of looking for a client.
pub(crate) enum Accepted {
    /// One that has connected.
    Client(UnixStream),
    /// It has gone again.
    Nobody,
    /// Descriptors or memory are used up: it waits.
    NoRoom(io::Error),
}

/// A bound socket. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    file: SocketFile,
}

impl Listener {
    /// Binds with mode 0600. A file that a dead server has left is replaced.
    pub fn bind(path: &Path) -> Result<Self, ServerError> {
        let failed = |error: Errno| ServerError::Bind { path: path.into(), error: error.into() };
        let (socket, file) = SocketFile::bind(path, SocketType::STREAM).map_err(|error| match error {
            BindError::NotASocket => ServerError::NotASocket { path: path.into() },
            BindError::InUse => ServerError::InUse { path: path.into() },
            BindError::Failed(error) => failed(error),
        })?;
        rustix::net::listen(&socket, BACKLOG).map_err(failed)?;
        Ok(Listener { listener: socket.into(), file })
    }

    /// A client that has connected.
    pub fn accept(&self) -> Result<Accepted, ServerError> {
        let no_room = |error: &io::Error| {
            let error = Errno::from_io_error(error);
            matches!(error, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
        };
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Accepted::Client(stream)),
            Err(error) if no_room(&error) => Ok(Accepted::NoRoom(error)),
            // Nobody any more.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                ) =>
            {
                Ok(Accepted::Nobody)
            }
            Err(error) => Err(ServerError::Accept { path: self.file.path().into(), error }),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
