//! The terminal that the program runs in.
use super::{
    read_now, read_piece, size_of, write_now, ConsoleBackend, ConsoleError, Moved, TerminalSize, LOOK_AT_TERMINAL,
};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{isatty, tcgetattr, tcsetattr, LocalModes, OptionalActions, Termios};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A terminal has room for so much without waiting whenever it says that it has room (n_tty's WAKEUP_CHARS).
const PIECE_BYTES: usize = 256;

/// Standard input and output. A terminal goes into raw mode until the end, but for Ctrl-C and Ctrl-Z.
pub struct StdioConsole {
    before: Option<Termios>,
    input_ended: bool,
    lost: u64,
}

impl StdioConsole {
    /// Takes the terminal.
    pub fn open() -> Result<Self, ConsoleError> {
        let before = match isatty(stdin()) {
            true => Some(tcgetattr(stdin()).map_err(ConsoleError::Stdio)?),
            false => None,
        };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            raw.local_modes |= LocalModes::ISIG;
            tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(ConsoleError::Stdio)?;
        }
        Ok(StdioConsole { before, input_ended: false, lost: 0 })
    }
}

impl Drop for StdioConsole {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nobody left to tell if it fails.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

impl ConsoleBackend for StdioConsole {
    fn write(&mut self, bytes: &[u8]) -> usize {
        match write_now(stdout(), &bytes[..bytes.len().min(PIECE_BYTES)]) {
            Moved::Bytes(taken) => taken,
            Moved::Later => 0,
            Moved::Gone => {
                self.lost += bytes.len() as u64;
                bytes.len()
            }
        }
    }

    fn read(&mut self, most: usize) -> Vec<u8> {
        if self.input_ended {
            return Vec::new();
        }
        let (typed, is_gone) = read_piece(most, |buffer| read_now(stdin(), buffer));
        self.input_ended = is_gone;
        typed
    }

    fn size(&self) -> Option<TerminalSize> {
        size_of(stdout())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.input_ended).then(stdin)
    }

    fn look_every(&self) -> Option<Duration> {
        self.before.as_ref().map(|_| LOOK_AT_TERMINAL)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
