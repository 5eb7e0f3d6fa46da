//! The socket in the file system: made, found in use, removed.
use super::{Errno, ServerError};
use crate::socket_file::{BindError, SocketFile};
use rustix::net::SocketType;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Connections that may wait.
const BACKLOG: i32 = 4;

/// A bound socket. Its file goes with it.
#[derive(Debug)]
pub(super) struct Listener {
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
    pub fn accept(&self) -> Result<Option<std::os::unix::net::UnixStream>, ServerError> {
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            // Nobody any more.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                ) =>
            {
                Ok(None)
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
