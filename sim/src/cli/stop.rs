//! What ends a command that serves: SIGINT, SIGTERM, the end of a process.
use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Becomes readable when the command is to end.
pub(super) struct Stop {
    read: UnixStream,
    write: UnixStream,
}

impl Stop {
    pub fn on_signals() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        pipe::register(SIGINT, write.try_clone()?)?;
        pipe::register(SIGTERM, write.try_clone()?)?;
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

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
