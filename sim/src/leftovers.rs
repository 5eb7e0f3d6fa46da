//! What must not stay behind when a signal ends the process amid its work: folders and files that are not finished,
//! sockets, and programs that were started. Whoever makes such a thing keeps a [`Leftover`] of it as long as it is there.
use rustix::process::{kill_process, kill_process_group, Pid, Signal};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What to do about it.
#[derive(Debug)]
enum Kind {
    /// A file, or a folder with all that is in it, is removed, unless another one is there by now.
    Path(PathBuf, Option<(u64, u64)>),
    /// A program is killed.
    Program(Pid),
    /// A program is killed with all that it has started.
    Group(Pid),
}

static ALL: Mutex<Vec<(u64, Kind)>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<(u64, Kind)>> {
    ALL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Something that is there while this is.
#[derive(Debug)]
pub(crate) struct Leftover(u64);

impl Leftover {
    /// A file or folder.
    pub fn path(path: &Path) -> Self {
        // A signal may come when the process is in another folder; so far none goes there.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let identity = identity(&path);
        Leftover::new(Kind::Path(path, identity))
    }

    /// A program that this process waits for; drop this when it has.
    pub fn program(child: &Child) -> Option<Self> {
        pid(child).map(|pid| Leftover::new(Kind::Program(pid)))
    }

    fn new(kind: Kind) -> Self {
        let mut all = all();
        let number = all.last().map_or(0, |(number, _)| number + 1);
        all.push((number, kind));
        Leftover(number)
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        all().retain(|(number, _)| *number != self.0);
    }
}

/// Device and inode of what is at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Runs a tool to its end, as [`Command::output`] does. It and all that it starts end with this process.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    // A group of its own, so that what the tool starts in its turn is found.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut all = all();
    let child = command.spawn()?;
    let number = all.last().map_or(0, |(number, _)| number + 1);
    all.extend(pid(&child).map(|pid| (number, Kind::Group(pid))));
    drop(all);
    let _leftover = Leftover(number);
    child.wait_with_output()
}

/// Ends and removes all that is there. The process is to end next: nothing can be added any more.
pub(crate) fn clear() {
    let all = all();
    for (_, kind) in all.iter() {
        // What has just ended by itself needs nothing more.
        let _ = match kind {
            Kind::Program(pid) => kill_process(*pid, Signal::KILL),
            Kind::Group(pid) => kill_process_group(*pid, Signal::KILL),
            Kind::Path(..) => Ok(()),
        };
    }
    for (_, kind) in all.iter().rev() {
        match kind {
            Kind::Path(path, made) if identity(path) == *made => remove(path),
            _ => {}
        }
    }
    std::mem::forget(all);
}

/// A program that was just killed may still make a file in a folder that is being removed.
fn remove(path: &Path) {
    for _ in 0..10 {
        let removed = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
            Ok(_) => std::fs::remove_file(path),
            Err(_) => return,
        };
        match removed {
            Ok(()) => return,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
