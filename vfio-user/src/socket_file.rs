//! A Unix socket's name in the file system: found in use, cleared of the dead, removed with its owner.
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Why a socket got no name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Something else has that name.
    NotASocket,
    /// Somebody is listening there.
    InUse,
    /// The system says no.
    Failed(Errno),
}

impl From<Errno> for BindError {
    fn from(error: Errno) -> Self {
        BindError::Failed(error)
    }
}

/// The name of a bound socket. The file goes with it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file, so that another owner's is left alone.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// A non-blocking socket of this type, bound with mode 0600. A file that a dead owner has left is replaced.
    pub fn bind(path: &Path, kind: SocketType) -> Result<(OwnedFd, Self), BindError> {
        let address = SocketAddrUnix::new(path)?;
        remove_dead(path, &address, kind)?;
        let socket = socket(kind)?;
        // Before it has a name nobody can connect: there is no moment with another mode.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &address)?;
        Ok((socket, SocketFile { path: path.into(), identity: identity(path) }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // It may be gone already, and then all is well.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Device and inode of what is at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    rustix::fs::lstat(path).ok().map(|status| (status.st_dev, status.st_ino))
}

/// Removes the socket of an owner that is gone, and nothing else.
fn remove_dead(path: &Path, address: &SocketAddrUnix, kind: SocketType) -> Result<(), BindError> {
    match rustix::fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(status) if FileType::from_raw_mode(status.st_mode) != FileType::Socket => return Err(BindError::NotASocket),
        Ok(_) => {}
    }
    match rustix::net::connect(&socket(kind)?, address) {
        Err(Errno::CONNREFUSED) => match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        },
        Err(Errno::NOENT) => Ok(()),
        // Connected, too many are waiting there, it is a socket of another type, or one that talks to somebody else.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE | Errno::PERM) => Err(BindError::InUse),
        Err(error) => Err(error.into()),
    }
}
