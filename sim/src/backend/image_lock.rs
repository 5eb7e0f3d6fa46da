//! The locks by which QEMU and we stay out of each other's disk images.
//!
//! QEMU locks single bytes of an image, by locks that belong to the open file (block/file-posix.c of QEMU 2.10 and later):
//! byte 100 + n while it uses permission n, byte 200 + n while it lets nobody else use it. All are read locks, of which a
//! byte can have many. Who opens an image takes its own first and looks for those that exclude it then, so that of two
//! at least one sees the other.
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg};
use nix::libc::{flock, F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET};
use std::fs::File;

const USED: i64 = 100;
const UNSHARED: i64 = 200;
/// Numbers of permissions, as bits of QEMU's `BLK_PERM_*` (include/block/block-common.h).
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// Why there is no lock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Somebody writes.
    Written,
    /// Somebody reads and relies on nobody writing.
    Read,
    /// The file system has no locks, or none any more.
    Failed(Errno),
}

/// Locks an image as long as it is open.
pub(super) fn lock(file: &File, read_only: bool) -> Result<(), Refusal> {
    let used: &[i64] = if read_only { &[CONSISTENT_READ] } else { &[CONSISTENT_READ, WRITE] };
    let unshared = [WRITE, RESIZE];
    let ours = used.iter().map(|number| USED + number).chain(unshared.iter().map(|number| UNSHARED + number));
    for byte in ours {
        fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(F_RDLCK, byte))).map_err(Refusal::Failed)?;
    }
    if unshared.iter().map(|number| is_locked(file, USED + number)).collect::<Result<Vec<_>, _>>()?.contains(&true) {
        return Err(Refusal::Written);
    }
    for number in used {
        if is_locked(file, UNSHARED + number)? {
            return Err(Refusal::Read);
        }
    }
    Ok(())
}

/// Whether somebody else has locked this byte.
fn is_locked(file: &File, byte: i64) -> Result<bool, Refusal> {
    let mut found = byte_lock(F_WRLCK, byte);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).map_err(Refusal::Failed)?;
    Ok(i32::from(found.l_type) != F_UNLCK)
}

fn byte_lock(kind: i32, byte: i64) -> flock {
    // Whole constants of the C library, which its structure holds as shorts.
    flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: byte, l_len: 1, l_pid: 0 }
}
