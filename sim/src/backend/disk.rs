//! The disk behind virtio-blk: a raw image file, or memory.
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 512;

/// An image that cannot be a disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Not there, or not allowed.
    #[error("cannot open the disk image {}: {error}{}", path.display(), hint(error))]
    Open {
        /// The image.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder, a pipe.
    #[error("the disk image {} is not a file", path.display())]
    NotAFile {
        /// The image.
        path: PathBuf,
    },
    /// Not whole sectors.
    #[error(
        "the disk image {} has {bytes} bytes, which is not a multiple of 512; `truncate -s {} {}` makes it one",
        path.display(),
        bytes.next_multiple_of(SECTOR_BYTES).max(SECTOR_BYTES),
        path.display()
    )]
    Size {
        /// The image.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make one with `truncate -s 64M FILE`, or with `mkfs.ext4 -d FOLDER FILE 64M`",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable, or give --read-only"
        }
        _ => "",
    }
}

enum Storage {
    File(File),
    Memory(Vec<u8>),
}

/// A disk.
pub struct Disk {
    storage: Storage,
    sectors: u64,
    read_only: bool,
    serial: String,
}

impl Disk {
    /// Opens an image.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, DiskError> {
        let opened = OpenOptions::new().read(true).write(!read_only).open(path);
        let (file, metadata) =
            opened.and_then(|file| file.metadata().map(|metadata| (file, metadata))).map_err(|error| {
                match path.is_dir() {
                    true => DiskError::NotAFile { path: path.into() },
                    false => DiskError::Open { path: path.into(), error },
                }
            })?;
        if !metadata.is_file() {
            return Err(DiskError::NotAFile { path: path.into() });
        }
        let bytes = metadata.len();
        if bytes == 0 || bytes % SECTOR_BYTES != 0 {
            return Err(DiskError::Size { path: path.into(), bytes });
        }
        Ok(Disk::new(Storage::File(file), bytes / SECTOR_BYTES, read_only))
    }

    /// A disk in memory, all zero.
    pub fn in_memory(sectors: u64) -> Self {
        Disk::new(Storage::Memory(vec![0; (sectors * SECTOR_BYTES) as usize]), sectors, false)
    }

    fn new(storage: Storage, sectors: u64, read_only: bool) -> Self {
        Disk { storage, sectors, read_only, serial: String::new() }
    }

    /// The same disk with a name for GET_ID, of which 20 bytes count.
    pub fn with_serial(self, serial: &str) -> Self {
        Disk { serial: serial.into(), ..self }
    }

    /// Size in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Whether it refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The name, padded with zeros.
    pub fn id(&self) -> [u8; 20] {
        let mut id = [0; 20];
        id.iter_mut().zip(self.serial.bytes()).for_each(|(to, from)| *to = from);
        id
    }

    /// Reads from `sector` on.
    pub fn read(&self, sector: u64, data: &mut [u8]) -> io::Result<()> {
        let offset = self.offset(sector, data.len())?;
        match &self.storage {
            Storage::File(file) => file.read_exact_at(data, offset),
            Storage::Memory(bytes) => {
                data.copy_from_slice(&bytes[offset as usize..][..data.len()]);
                Ok(())
            }
        }
    }

    /// Writes from `sector` on.
    pub fn write(&mut self, sector: u64, data: &[u8]) -> io::Result<()> {
        let offset = self.offset(sector, data.len())?;
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        match &mut self.storage {
            Storage::File(file) => file.write_all_at(data, offset),
            Storage::Memory(bytes) => {
                bytes[offset as usize..][..data.len()].copy_from_slice(data);
                Ok(())
            }
        }
    }

    /// Makes all writes permanent.
    pub fn flush(&mut self) -> io::Result<()> {
        match &self.storage {
            Storage::File(file) if !self.read_only => file.sync_data(),
            _ => Ok(()),
        }
    }

    /// Where `bytes` bytes from `sector` on begin, if the disk has them all.
    fn offset(&self, sector: u64, bytes: usize) -> io::Result<u64> {
        let offset = sector.checked_mul(SECTOR_BYTES);
        let end = offset.and_then(|offset| offset.checked_add(bytes as u64));
        match (offset, end) {
            (Some(offset), Some(end)) if end <= self.sectors * SECTOR_BYTES => Ok(offset),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
