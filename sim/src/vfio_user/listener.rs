//! The socket in the file system: made, found in use, removed.
use super::{Errno, ServerError};
use rustix::fs::{FileType, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections that may wait.
const BACKLOG: i32 = 4;

/// A bound socket. Its file goes with it.
#[derive(Debug)]
pub(super) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that another server's is left alone.
    file: Option<(u64, u64)>,
}

impl Listener {
    /// Binds with mode 0600. A file that a dead server has left is replaced.
    pub fn bind(path: &Path) -> Result<Self, ServerError> {
        let failed = |error: Errno| ServerError::Bind { path: path.into(), error: error.into() };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        remove_dead(path, &address)?;
        let socket = socket().map_err(failed)?;
        // Before it has a name nobody can connect: there is no moment with another mode.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        rustix::net::bind(&socket, &address).map_err(failed)?;
        let listener = Listener { listener: socket.into(), path: path.into(), file: identity(path) };
        rustix::net::listen(&listener.listener, BACKLOG).map_err(failed)?;
        Ok(listener)
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
            Err(error) => Err(ServerError::Accept { path: self.path.clone(), error }),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            // It may be gone already, and then all is well.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn socket() -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Device and inode of what is at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    rustix::fs::lstat(path).ok().map(|status| (status.st_dev, status.st_ino))
}

/// Removes the socket of a server that is gone, and nothing else.
fn remove_dead(path: &Path, address: &SocketAddrUnix) -> Result<(), ServerError> {
    let failed = |error: Errno| ServerError::Bind { path: path.into(), error: error.into() };
    match rustix::fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(status) if FileType::from_raw_mode(status.st_mode) != FileType::Socket => {
            return Err(ServerError::NotASocket { path: path.into() })
        }
        Ok(_) => {}
    }
    match rustix::net::connect(&socket().map_err(failed)?, address) {
        Err(Errno::CONNREFUSED) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ServerError::Bind { path: path.into(), error })
            }
            _ => Ok(()),
        },
        Err(Errno::NOENT) => Ok(()),
        // Connected, or too many are waiting there, or it is a socket of another type.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(ServerError::InUse { path: path.into() }),
        Err(error) => Err(failed(error)),
    }
}
