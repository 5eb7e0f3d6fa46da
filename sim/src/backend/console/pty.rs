//! A pseudoterminal, for a terminal program such as screen or minicom.
use super::{
    read_now, read_piece, size_of, write_now, ConsoleBackend, ConsoleError, Moved, TerminalSize, LOOK_AT_TERMINAL,
    PIECE_BYTES,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The master of a pseudoterminal. What is printed while nobody has it open goes nowhere.
#[derive(Debug)]
pub struct PtyConsole {
    master: OwnedFd,
    name: String,
    lost: u64,
}

impl PtyConsole {
    /// A new one, in raw mode.
    pub fn open() -> Result<Self, ConsoleError> {
        Self::make().map_err(ConsoleError::Pty)
    }

    fn make() -> rustix::io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        // Once opened and closed, the master says when nobody has it open. The settings stay.
        let slave = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&slave)?;
        settings.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK)?;
        Ok(PtyConsole { master, name: name.to_string_lossy().into_owned(), lost: 0 })
    }

    /// Whether somebody has it open.
    fn is_open(&self) -> bool {
        let mut polled = [PollFd::new(&self.master, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&now)).is_ok() && !polled[0].revents().contains(PollFlags::HUP)
    }
}

impl ConsoleBackend for PtyConsole {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        match self.is_open().then(|| write_now(&self.master, piece)) {
            Some(Moved::Bytes(taken)) => taken,
            Some(Moved::Later) => 0,
            Some(Moved::Gone) | None => {
                self.lost += bytes.len() as u64;
                bytes.len()
            }
        }
    }

    fn read(&mut self, most: usize) -> Vec<u8> {
        match self.is_open() {
            true => read_piece(most, |buffer| read_now(&self.master, buffer)).0,
            false => Vec::new(),
        }
    }

    fn size(&self) -> Option<TerminalSize> {
        size_of(&self.master)
    }

    fn place(&self) -> Option<&str> {
        Some(&self.name)
    }

    /// None while nobody has it open: it would say so all the time.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.is_open().then(|| self.master.as_fd())
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK_AT_TERMINAL)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
