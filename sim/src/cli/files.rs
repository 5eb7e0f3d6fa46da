//! The files of a command: nothing is written over what is read, nor twice.
use anyhow::bail;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a path leads to.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode of a file, whatever it is called.
    File(u64, u64),
    /// The number of a block device.
    Device(u64),
    /// A file that is not there yet.
    Name(PathBuf),
}

/// Terminals, pipes and the like take whatever comes: they have none.
fn identity(path: &Path) -> Option<Identity> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Some(Identity::File(metadata.dev(), metadata.ino())),
        Ok(metadata) if metadata.file_type().is_block_device() => Some(Identity::Device(metadata.rdev())),
        Ok(_) => None,
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(Identity::Name(fs::canonicalize(folder).ok()?.join(path.file_name()?)))
        }
    }
}

struct Named<'a> {
    option: &'static str,
    path: &'a Path,
    written: bool,
    identity: Identity,
}

/// All files that the user has named.
#[derive(Default)]
pub(super) struct Files<'a>(Vec<Named<'a>>);

impl<'a> Files<'a> {
    /// A file that is read, or read and written as a disk is.
    pub fn reads(self, option: &'static str, path: Option<&'a Path>) -> Self {
        self.add(option, path, false)
    }

    /// A file that is replaced.
    pub fn writes(self, option: &'static str, path: Option<&'a Path>) -> Self {
        self.add(option, path, true)
    }

    fn add(mut self, option: &'static str, path: Option<&'a Path>, written: bool) -> Self {
        let named = path.and_then(|path| Some(Named { option, path, written, identity: identity(path)? }));
        self.0.extend(named);
        self
    }

    /// Refuses what would destroy a file of the user's, before anything is opened for writing.
    pub fn check(&self) -> anyhow::Result<()> {
        for (index, one) in self.0.iter().enumerate() {
            for other in &self.0[..index] {
                if one.identity == other.identity && (one.written || other.written) {
                    let (new, old) = if one.written { (one, other) } else { (other, one) };
                    bail!(
                        "{} {} is the same file as {} {}; give another",
                        new.option,
                        new.path.display(),
                        old.option,
                        old.path.display()
                    );
                }
            }
        }
        Ok(())
    }
}
