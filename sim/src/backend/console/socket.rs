//! A Unix socket that one client at a time connects to, as QEMU's `-chardev socket,server=on,wait=off`.
use super::{read_now, read_piece, write_now, ConsoleBackend, ConsoleError, Moved, PIECE_BYTES};
use crate::socket_file::{BindError, SocketFile};
use rustix::net::{SocketFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A socket that waits for a client. Further clients wait until the first has gone; what is printed without any goes nowhere.
#[derive(Debug)]
pub struct SocketConsole {
    listener: OwnedFd,
    client: Option<OwnedFd>,
    lost: u64,
    _file: SocketFile,
}

impl SocketConsole {
    /// Makes the socket, with mode 0600.
    pub fn bind(path: &Path) -> Result<Self, ConsoleError> {
        let (listener, file) = SocketFile::bind(path, SocketType::STREAM).map_err(|error| match error {
            BindError::NotASocket => ConsoleError::NotASocket { path: path.into() },
            BindError::InUse => ConsoleError::InUse { path: path.into() },
            BindError::Failed(error) => ConsoleError::Socket { path: path.into(), error },
        })?;
        rustix::net::listen(&listener, 1).map_err(|error| ConsoleError::Socket { path: path.into(), error })?;
        Ok(SocketConsole { listener, client: None, lost: 0, _file: file })
    }

    /// The client, if there is one by now.
    fn client(&mut self) -> Option<&OwnedFd> {
        if self.client.is_none() {
            let accepted = rustix::net::accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
            self.client = accepted.ok();
        }
        self.client.as_ref()
    }
}

impl ConsoleBackend for SocketConsole {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        match self.client().map(|client| write_now(client, piece)) {
            Some(Moved::Bytes(taken)) => taken,
            Some(Moved::Later) => 0,
            Some(Moved::Gone) | None => {
                self.client = None;
                self.lost += bytes.len() as u64;
                bytes.len()
            }
        }
    }

    fn read(&mut self, most: usize) -> Vec<u8> {
        let Some(client) = self.client() else { return Vec::new() };
        let (typed, is_gone) = read_piece(most, |buffer| read_now(client, buffer));
        if is_gone {
            self.client = None;
        }
        typed
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.client.as_ref().unwrap_or(&self.listener).as_fd())
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
