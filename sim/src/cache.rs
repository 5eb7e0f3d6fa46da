//! The user's cache folder, shared by all that is made once and kept: models, QEMU, kernels.
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME/virtio-hdl`, or `~/.cache/virtio-hdl`; none without a home.
pub(crate) fn folder() -> Option<PathBuf> {
    let from = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("virtio-hdl"))
}

/// Waits until no other process holds this lock; dropping the file gives it back.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
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
