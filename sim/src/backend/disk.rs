//! The disk behind virtio-blk: a raw image file, memory, or a [`Storage`] of the user's.
use super::image_lock::{self, Refusal};
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 512;

/// A file is no longer.
const MOST_SECTORS: u64 = i64::MAX as u64 / SECTOR_BYTES;

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
    /// Another process has it.
    #[error(
        "the disk image {} is in use by another process (a QEMU, or another virtio-hdl), which {}: end it, or give a copy",
        path.display(),
        if *written { "writes to it" } else { "relies on nobody writing to it" }
    )]
    InUse {
        /// The image.
        path: PathBuf,
        /// The other one writes.
        written: bool,
    },
    /// A folder, a pipe.
    #[error("the disk image {} is neither a file nor a block device", path.display())]
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

/// Bytes of a piece of a disk in memory.
const PIECE: u64 = 4096;

/// What keeps a disk's sectors: for storage of one's own, or for faults put before another one's. What [`Disk`] asks for
/// lies within the disk.
pub trait Storage: Send {
    /// Reads from `sector` on, whole sectors or less.
    fn read(&self, sector: u64, data: &mut [u8]) -> io::Result<()>;

    /// Writes from `sector` on, whole sectors or less.
    fn write(&mut self, sector: u64, data: &[u8]) -> io::Result<()>;

    /// Makes all writes permanent.
    fn flush(&mut self) -> io::Result<()>;

    /// Makes room for so many sectors, unless there is; what is there stays.
    fn grow(&mut self, _sectors: u64) -> io::Result<()> {
        Err(io::Error::other("it cannot grow"))
    }

    /// Nothing of it outlives the process: there is nothing to flush.
    fn is_volatile(&self) -> bool {
        false
    }
}

struct Image(File);

impl Storage for Image {
    fn read(&self, sector: u64, data: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(data, sector * SECTOR_BYTES)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, sector * SECTOR_BYTES)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn grow(&mut self, sectors: u64) -> io::Result<()> {
        let (is, wanted) = (self.0.seek(SeekFrom::End(0))?, sectors * SECTOR_BYTES);
        match wanted > is {
            true if !self.0.metadata()?.is_file() => Err(io::Error::other(format!("the block device has {is} bytes"))),
            true => self.0.set_len(wanted),
            false => Ok(()),
        }
    }
}

/// The pieces that are not all zero, by their numbers: a disk may be larger than the memory.
#[derive(Default)]
struct Memory(HashMap<u64, Box<[u8]>>);

impl Storage for Memory {
    fn read(&self, sector: u64, data: &mut [u8]) -> io::Result<()> {
        for (piece, within, part) in pieces(sector * SECTOR_BYTES, data.len()) {
            match self.0.get(&piece) {
                Some(piece) => data[part].copy_from_slice(&piece[within]),
                None => data[part].fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> io::Result<()> {
        for (piece, within, part) in pieces(sector * SECTOR_BYTES, data.len()) {
            if self.0.contains_key(&piece) || data[part.clone()].iter().any(|byte| *byte != 0) {
                let piece = self.0.entry(piece).or_insert_with(|| vec![0; PIECE as usize].into());
                piece[within].copy_from_slice(&data[part]);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn grow(&mut self, _sectors: u64) -> io::Result<()> {
        Ok(())
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

/// Cuts `bytes` bytes from `offset` on at pieces: the number of each, and where the part is in it and in the bytes.
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let end = offset + bytes as u64;
    let mut from = offset;
    std::iter::from_fn(move || {
        let (start, piece) = (from, from / PIECE);
        from = ((piece + 1) * PIECE).min(end);
        let within = |base: u64| (start - base) as usize..(from - base) as usize;
        (start < end).then(|| (piece, within(piece * PIECE), within(offset)))
    })
}

/// A file, or a block device.
fn holds_sectors(kind: FileType) -> bool {
    kind.is_file() || kind.is_block_device()
}

/// A disk.
pub struct Disk {
    storage: Box<dyn Storage>,
    sectors: u64,
    read_only: bool,
    /// Its storage takes no writes.
    for_reading: bool,
    serial: String,
    /// A flush has failed: what was written before it may be lost.
    flush_failed: bool,
    flushes: u64,
}

impl Disk {
    /// Opens an image, or a block device, and keeps others from writing to it as QEMU does: see the module `image_lock`.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, DiskError> {
        // A pipe must not keep it waiting.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let opened = OpenOptions::new().read(true).write(!read_only).custom_flags(flags).open(path);
        let failed = |error| DiskError::Open { path: path.into(), error };
        let mut file = opened.map_err(|error| match path.is_dir() {
            true => DiskError::NotAFile { path: path.into() },
            false => failed(error),
        })?;
        if !holds_sectors(file.metadata().map_err(failed)?.file_type()) {
            return Err(DiskError::NotAFile { path: path.into() });
        }
        match image_lock::lock(&file, read_only) {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => {
                tracing::warn!(image = %path.display(), %error, "the image cannot be locked")
            }
            Err(refusal) => return Err(DiskError::InUse { path: path.into(), written: refusal == Refusal::Written }),
        }
        // A block device has no length of its own.
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if bytes == 0 || bytes % SECTOR_BYTES != 0 {
            return Err(DiskError::Size { path: path.into(), bytes });
        }
        Ok(Disk::on(Box::new(Image(file)), bytes / SECTOR_BYTES, read_only))
    }

    /// A disk in memory, all zero.
    pub fn in_memory(sectors: u64) -> Self {
        Disk::on(Box::<Memory>::default(), sectors, false)
    }

    /// A disk whose sectors are kept there.
    pub fn on(storage: Box<dyn Storage>, sectors: u64, read_only: bool) -> Self {
        Disk {
            storage,
            sectors,
            read_only,
            for_reading: read_only,
            serial: String::new(),
            flush_failed: false,
            flushes: 0,
        }
    }

    /// The same disk with a name for GET_ID, of which 20 bytes count.
    pub fn with_serial(self, serial: &str) -> Self {
        Disk { serial: serial.into(), ..self }
    }

    /// Size in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Changes its size. Storage that is too small grows; of a disk that becomes smaller it keeps what is behind the end.
    pub fn resize(&mut self, sectors: u64) -> io::Result<()> {
        if !(1..=MOST_SECTORS).contains(&sectors) {
            return Err(io::Error::other(format!("a disk has 1 to {MOST_SECTORS} sectors")));
        }
        if sectors > self.sectors {
            self.storage.grow(sectors)?;
        }
        self.sectors = sectors;
        Ok(())
    }

    /// Lets it refuse writes, or take them again; an error where its image was opened for reading only.
    pub fn set_read_only(&mut self, read_only: bool) -> io::Result<()> {
        if self.for_reading && !read_only {
            return Err(io::Error::other("its image was opened for reading only: serve it without --read-only"));
        }
        self.read_only = read_only;
        Ok(())
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
        self.check(sector, data.len())?;
        self.storage.read(sector, data)
    }

    /// Goes on with a read that was allowed when it began: the disk may have become smaller since.
    pub(super) fn read_on(&self, sector: u64, data: &mut [u8]) -> io::Result<()> {
        self.storage.read(sector, data)
    }

    /// Writes from `sector` on.
    pub fn write(&mut self, sector: u64, data: &[u8]) -> io::Result<()> {
        self.check(sector, data.len())?;
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.storage.write(sector, data)
    }

    /// Makes all writes permanent. When that has failed once it does so for ever: Linux tells of a failed write once, and
    /// holds what could not be written for written from then on (as QEMU's file-posix has it).
    pub fn flush(&mut self) -> io::Result<()> {
        if self.for_reading || self.storage.is_volatile() {
            return Ok(());
        }
        if self.flush_failed {
            return Err(io::Error::other("an earlier flush has failed: what was written before it may be lost"));
        }
        self.flushes += 1;
        let flushed = self.storage.flush();
        self.flush_failed = flushed.is_err();
        flushed
    }

    /// How often an image was made permanent.
    pub fn flushes(&self) -> u64 {
        self.flushes
    }

    /// Whether the disk has all of `bytes` bytes from `sector` on.
    fn check(&self, sector: u64, bytes: usize) -> io::Result<()> {
        let offset = sector.checked_mul(SECTOR_BYTES);
        match offset.and_then(|offset| offset.checked_add(bytes as u64)) {
            Some(end) if end <= self.sectors * SECTOR_BYTES => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{holds_sectors, Disk, Image, SECTOR_BYTES};
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::unix::fs::FileTypeExt as _;

    /// By its node alone, as few users may open one.
    #[test]
    fn a_block_device_is_a_disk() {
        let mut kinds = fs::read_dir("/dev").unwrap().flatten().filter_map(|entry| entry.file_type().ok());
        let device = kinds.find(|kind| kind.is_block_device()).expect("no block device in /dev");
        assert!(holds_sectors(device));
        assert!(!holds_sectors(fs::metadata("/dev/null").unwrap().file_type()));
        assert!(!holds_sectors(fs::metadata("/dev").unwrap().file_type()));
    }

    #[test]
    fn a_disk_that_was_made_read_only_still_flushes_what_was_written() {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(2 * SECTOR_BYTES).unwrap();
        let mut disk = Disk::open(image.path(), false).unwrap();
        disk.write(0, &[1; 512]).unwrap();
        disk.set_read_only(true).unwrap();
        assert_eq!(disk.write(0, &[2; 512]).unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        disk.flush().unwrap();
        assert_eq!(disk.flushes(), 1);
        disk.set_read_only(false).unwrap();
        disk.write(0, &[2; 512]).unwrap();
        drop(disk);
        let mut disk = Disk::open(image.path(), true).unwrap();
        assert!(disk.set_read_only(true).is_ok() && disk.set_read_only(false).is_err());
        assert!(disk.resize(3).is_err() && disk.resize(1).is_ok() && disk.resize(2).is_ok());
        assert_eq!(image.as_file().metadata().unwrap().len(), 2 * SECTOR_BYTES);
    }

    #[test]
    fn a_flush_that_failed_is_not_followed_by_one_that_succeeds() {
        let (_reader, pipe) = rustix::pipe::pipe().unwrap();
        // What cannot be synchronised, and then can be.
        let mut disk = Disk::on(Box::new(Image(File::from(pipe))), 1, false);
        assert!(disk.flush().is_err());
        disk.storage = Box::new(Image(tempfile::tempfile().unwrap()));
        let said = disk.flush().unwrap_err().to_string();
        assert!(said.contains("an earlier flush has failed"), "{said}");
    }
}
