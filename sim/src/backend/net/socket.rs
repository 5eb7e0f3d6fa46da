//! The network of another process: a datagram is a frame, as with QEMU's `-netdev dgram`.
use super::{Lost, NetBackend, NetError, QUEUE_FRAMES};
use crate::socket_file::{BindError, SocketFile};
use rustix::net::SocketType;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Room for the largest datagram.
const DATAGRAM_BYTES: usize = 1 << 16;
/// What the system is asked to hold for us, in each direction.
const BUFFER_BYTES: usize = 1 << 20;
/// When to try again while the other end does not take frames.
const RETRY: Duration = Duration::from_micros(50);

/// The two ends of a wire.
#[derive(Debug)]
enum Transport {
    Unix { socket: UnixDatagram, remote: PathBuf, _file: SocketFile },
    Udp(UdpSocket),
}

/// A wire to another endpoint or to a QEMU.
#[derive(Debug)]
pub struct Socket {
    transport: Transport,
    /// Frames that the other end has no room for yet.
    waiting: VecDeque<Vec<u8>>,
    lost: u64,
    buffer: Vec<u8>,
    now: Duration,
}

impl Socket {
    /// Unix datagrams from `local`, which is made and removed again, to `remote`, which need not be there yet.
    pub fn unix(local: &Path, remote: &Path) -> Result<Self, NetError> {
        let (socket, file) = SocketFile::bind(local, SocketType::DGRAM).map_err(|error| match error {
            BindError::NotASocket => NetError::NotASocket { path: local.into() },
            BindError::InUse => NetError::InUse { path: local.into() },
            BindError::Failed(error) => NetError::Unix { path: local.into(), error: error.into() },
        })?;
        Ok(Socket::new(Transport::Unix { socket: socket.into(), remote: remote.into(), _file: file }))
    }

    /// UDP from `local` to `remote`. Datagrams from elsewhere are not taken.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Result<Self, NetError> {
        let bound = UdpSocket::bind(local).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        let socket = bound.map_err(|error| NetError::Udp { local, error })?;
        socket.connect(remote).map_err(|error| NetError::Route { local, remote, error })?;
        Ok(Socket::new(Transport::Udp(socket)))
    }

    fn new(transport: Transport) -> Self {
        // The system gives what it allows; less is slower, not wrong.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&transport, BUFFER_BYTES);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&transport, BUFFER_BYTES);
        Socket { transport, waiting: VecDeque::new(), lost: 0, buffer: vec![0; DATAGRAM_BYTES], now: Duration::ZERO }
    }

    /// Sends what waits, as far as the other end takes it.
    fn send(&mut self) {
        while let Some(frame) = self.waiting.front() {
            match self.transport.send(frame) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                // Nobody is there yet, or not any more: a wire without another end.
                Err(error) => tracing::debug!(%error, bytes = frame.len(), "socket: a frame is lost"),
                Ok(_) => {}
            }
            self.waiting.pop_front();
        }
    }
}

impl NetBackend for Socket {
    fn transmit(&mut self, now: Duration, frame: &[u8]) {
        self.now = now;
        match self.waiting.len() {
            QUEUE_FRAMES => {
                self.lost += 1;
                tracing::debug!(bytes = frame.len(), "socket: the other end takes nothing, a frame is lost")
            }
            _ => self.waiting.push_back(frame.to_vec()),
        }
        self.send();
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.now = now;
        self.send();
        loop {
            match self.transport.receive(&mut self.buffer) {
                Ok(0) => {}
                Ok(bytes) => return Some(self.buffer[..bytes].to_vec()),
                // What a datagram that we had sent has come to; the next call tells of the next.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    tracing::warn!(%error, "socket: cannot receive");
                    return None;
                }
            }
        }
    }

    fn lost(&self) -> Lost {
        Lost { transmitted: self.lost, received: self.transport.dropped().unwrap_or(0) }
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.now + RETRY)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.transport.as_fd())
    }
}

impl Transport {
    fn send(&self, frame: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Unix { socket, remote, .. } => socket.send_to(frame, remote),
            Transport::Udp(socket) => socket.send(frame),
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Unix { socket, .. } => socket.recv(buffer),
            Transport::Udp(socket) => socket.recv(buffer),
        }
    }
}

impl Transport {
    /// Datagrams that the system had no room for. A Unix socket's peer waits instead.
    fn dropped(&self) -> Option<u64> {
        let Transport::Udp(socket) = self else { return None };
        let inode = rustix::fs::fstat(socket).ok()?.st_ino.to_string();
        let table = if socket.local_addr().ok()?.is_ipv4() { "udp" } else { "udp6" };
        let text = std::fs::read_to_string(Path::new("/proc/self/net").join(table)).ok()?;
        // proc_net(5): the inode is the tenth column, `drops` the last.
        let row = text.lines().find(|line| line.split_whitespace().nth(9) == Some(&inode))?;
        row.split_whitespace().last()?.parse().ok()
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Transport::Unix { socket, .. } => socket.as_fd(),
            Transport::Udp(socket) => socket.as_fd(),
        }
    }
}
