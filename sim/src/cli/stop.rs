//! Signals: how they end a command, wherever it is.
//!
//! A command that serves has a [`Stop`] and ends of its own accord: its loop sees the signal, what was written is flushed,
//! a report is printed. Everywhere else, where a model is built, say, or a file waits for its reader, and where that loop
//! does not come round within [`GRACE`], the signal ends the process as it would any other, behind the removal of all
//! [leftovers]. So does a second signal.
use crate::leftovers;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long a loop may take to see a signal.
const GRACE: Duration = Duration::from_secs(1);

static STATE: Mutex<State> = Mutex::new(State { stop: None, stops: 0, signal: None });

struct State {
    /// The other end of the [`Stop`] that there is.
    stop: Option<UnixStream>,
    /// How many there have been.
    stops: u64,
    /// What ends the process.
    signal: Option<i32>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Takes charge of the signals that end a process.
pub(super) fn install() -> io::Result<()> {
    // What is written beyond a limit of the user's fails with an error that names the file.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    let mut handled = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        handled.push(SIGHUP);
    }
    let mut signals = Signals::new(handled)?;
    std::thread::spawn(move || signals.forever().for_each(request));
    Ok(())
}

/// `nohup` starts a program that is to outlive its terminal.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}

/// Ends the command: of its own accord if it can, or the process at once.
pub(super) fn request(signal: i32) {
    let mut state = state();
    let again = state.signal.replace(signal).is_some();
    let noticed = state.stop.as_mut().is_some_and(|stop| stop.write_all(&[0]).is_ok());
    let stops = state.stops;
    drop(state);
    if again || !noticed {
        end(signal);
    }
    std::thread::spawn(move || {
        std::thread::sleep(GRACE);
        let state = self::state();
        if state.stop.is_some() && state.stops == stops {
            drop(state);
            end(signal);
        }
    });
}

/// The name of the signal that is ending this process.
pub(super) fn signal() -> Option<&'static str> {
    state().signal.map(|signal| signal_name(signal).unwrap_or("a signal"))
}

/// Ends the process by a signal, with nothing left behind.
pub(super) fn end(signal: i32) -> ! {
    leftovers::clear();
    if signal != SIGPIPE {
        note!("ended by {}", signal_name(signal).unwrap_or("a signal"));
    }
    let _ = emulate_default_handler(signal);
    std::process::exit(128 + signal)
}

/// Becomes readable when the command is to end.
pub(super) struct Stop {
    read: UnixStream,
    write: UnixStream,
}

impl Stop {
    /// From now on, until it is dropped, signals make it readable.
    pub fn on_signals() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let mut state = state();
        if state.signal.is_some() {
            // It came a moment ago.
            (&write).write_all(&[0])?;
        }
        state.stop = Some(write.try_clone()?);
        state.stops += 1;
        drop(state);
        Ok(Stop { read, write })
    }

    /// Also when this process ends.
    pub fn on_end_of(&self, process: u32) -> io::Result<()> {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let mut write = self.write.try_clone()?;
        std::thread::spawn(move || {
            while poll(&mut [PollFd::new(&process, PollFlags::IN)], None).is_err() {}
            // If nobody reads it, nobody waits for it.
            let _ = write.write_all(&[0]);
        });
        Ok(())
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        state().stop = None;
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
