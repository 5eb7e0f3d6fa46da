//! What virtio-console is connected to: this terminal, a pseudoterminal, a socket, a file, or memory.
mod file;
mod memory;
mod pty;
mod socket;
mod spec;
mod stdio;

pub use file::FileConsole;
pub use memory::{MemoryConsole, Typist};
pub use pty::PtyConsole;
pub use socket::SocketConsole;
pub use spec::{ConsoleSpec, ConsoleSpecError};
pub use stdio::StdioConsole;

use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Most bytes that are read or written at once.
const PIECE_BYTES: usize = 4096;

/// How soon it is seen that a terminal has another size, or is open.
const LOOK_AT_TERMINAL: Duration = Duration::from_millis(100);

/// Why a console cannot be connected.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ConsoleError {
    /// The file cannot be written.
    #[error("--console file:{}: cannot write it: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// The socket's name is that of something else.
    #[error("--console unix:{}: there is something else by that name, which is left alone", path.display())]
    NotASocket { path: PathBuf },
    /// Somebody is listening there.
    #[error("--console unix:{}: another program listens there", path.display())]
    InUse { path: PathBuf },
    /// The socket cannot be made.
    #[error("--console unix:{}: cannot make the socket: {error}", path.display())]
    Socket { path: PathBuf, error: Errno },
    /// There is no pseudoterminal.
    #[error("--console pty: the system gives no pseudoterminal: {0}")]
    Pty(Errno),
    /// Standard input is closed, or cannot be set up.
    #[error("--console stdio: {0}")]
    Stdio(Errno),
}

/// Columns and rows of a terminal.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// What a console is connected to. Nothing here waits.
pub trait ConsoleBackend: Send {
    /// Takes what the guest has printed, as much as there is room for: how many bytes. Where nobody is connected all of them, which go
    /// nowhere.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// What has been typed, up to `most` bytes; nothing if there is nothing.
    fn read(&mut self, most: usize) -> Vec<u8>;

    /// The size of the terminal, where there is one that has a size.
    fn size(&self) -> Option<TerminalSize> {
        None
    }

    /// What to open to be at the other end, where that is not known from the command line.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Readable when something has been typed, or somebody connects.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// How often it has to be looked at, where not all that happens to it shows in [`as_fd`](Self::as_fd).
    fn look_every(&self) -> Option<Duration> {
        None
    }

    /// Bytes that were printed when nobody was connected, or could not be written.
    fn lost(&self) -> u64 {
        0
    }
}

/// Nothing: what is printed is forgotten.
impl ConsoleBackend for () {
    fn write(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn read(&mut self, _most: usize) -> Vec<u8> {
        vec![]
    }
}

/// The size of a terminal, unless it has none.
fn size_of(terminal: impl AsFd) -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0)?;
    Some(TerminalSize { cols: size.ws_col, rows: size.ws_row })
}

/// What came of an attempt to read or write.
#[derive(Debug, PartialEq, Eq)]
enum Moved {
    /// So many bytes.
    Bytes(usize),
    /// Not now.
    Later,
    /// The other end is gone.
    Gone,
}

/// Reads what is there, without waiting: the file need not be non-blocking, which standard input must not be made for all who share it.
fn read_now(file: impl AsFd, buffer: &mut [u8]) -> Moved {
    let file = file.as_fd();
    if !is_ready(file, rustix::event::PollFlags::IN) {
        return Moved::Later;
    }
    match rustix::io::retry_on_intr(|| rustix::io::read(file, &mut *buffer)) {
        Ok(0) => Moved::Gone,
        Ok(bytes) => Moved::Bytes(bytes),
        Err(Errno::AGAIN) => Moved::Later,
        Err(_) => Moved::Gone,
    }
}

/// Up to `most` bytes of what `read` has, and whether the other end is gone.
fn read_piece(most: usize, read: impl FnOnce(&mut [u8]) -> Moved) -> (Vec<u8>, bool) {
    let mut buffer = vec![0; most.min(PIECE_BYTES)];
    let moved = read(&mut buffer);
    buffer.truncate(if let Moved::Bytes(bytes) = moved { bytes } else { 0 });
    (buffer, moved == Moved::Gone)
}

/// Writes what there is room for, without waiting.
fn write_now(file: impl AsFd, bytes: &[u8]) -> Moved {
    let file = file.as_fd();
    if !is_ready(file, rustix::event::PollFlags::OUT) {
        return Moved::Later;
    }
    match rustix::io::retry_on_intr(|| rustix::io::write(file, bytes)) {
        Ok(bytes) => Moved::Bytes(bytes),
        Err(Errno::AGAIN) => Moved::Later,
        Err(_) => Moved::Gone,
    }
}

/// Whether there is something to read, or room to write; also where the other end is gone, of which the attempt tells then.
fn is_ready(file: BorrowedFd<'_>, what: rustix::event::PollFlags) -> bool {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(file, what)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(ready) if ready > 0)
}
