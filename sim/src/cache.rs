//! The user's cache folder, shared by all that is made once and kept: models, QEMU, kernels.
use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME/virtio-hdl`, or `~/.cache/virtio-hdl`; none without a home.
pub(crate) fn folder() -> Option<PathBuf> {
    let from = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("virtio-hdl"))
}

/// Waits until no other process holds this lock, which `waiting` hears of first; dropping the file gives it back.
pub(crate) fn lock_or(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    if let Some(file) = try_lock(path)? {
        return Ok(file);
    }
    waiting();
    loop {
        let file = File::create(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        if is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Waits until no other process holds this lock; dropping the file gives it back.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    lock_or(path, || ())
}

/// The lock, unless another process holds it.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::create(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, path) => return Ok(Some(file)),
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether this file is still called so: who prunes the cache removes locks that he holds.
fn is_at(file: &File, path: &Path) -> bool {
    let place = |metadata: io::Result<Metadata>| metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok();
    place(file.metadata()).is_some_and(|found| Some(found) == place(fs::metadata(path)))
}

/// A name for all these texts.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
