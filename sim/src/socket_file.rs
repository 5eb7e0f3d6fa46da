//! A [`SocketFile`](vfio_user_server::SocketFile) that a signal leaves behind as little as its owner does.
use crate::leftovers::Leftover;
use rustix::net::SocketType;
use std::os::fd::OwnedFd;
use std::path::Path;
pub(crate) use vfio_user_server::BindError;

/// The name of a bound socket. The file goes with it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    _file: vfio_user_server::SocketFile,
    _leftover: Leftover,
}

impl SocketFile {
    /// A non-blocking socket of this type, bound with mode 0600. A file that a dead owner has left is replaced.
    pub fn bind(path: &Path, kind: SocketType) -> Result<(OwnedFd, Self), BindError> {
        let (socket, file) = vfio_user_server::SocketFile::bind(path, kind)?;
        Ok((socket, SocketFile { _file: file, _leftover: Leftover::path(path) }))
    }
}
