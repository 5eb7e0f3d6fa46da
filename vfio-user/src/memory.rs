//! Memory that the VMM lets the device reach: what DMA_MAP told, and how far it is to be believed.
//!
//! A descriptor says nothing about whether the guest's memory is really the file behind it: with `share=off` QEMU sends
//! one all the same, and the file stays empty. So a file starts unverified: the device reads by message, and what comes
//! is compared with the mapping. See [`Sharing`]. What this cannot tell: a file that still holds an earlier guest's memory
//! and is mapped privately now. Its old contents may agree with the new ones where the device happens to look.
//!
//! Nor does a mapping say that there is memory: a file of a full tmpfs, of a pool of huge pages that is used up, or one that
//! was cut ends a process that touches it with SIGBUS. So the file system is asked for the pages before each access, which
//! costs a system call and fails in words.
use crate::message::DmaMap;
use crate::{Discarded, Errno};
use rustix::fs::FallocateFlags;
use rustix::mm::{MapFlags, ProtFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;
use vm_memory::mmap::{MmapRegionBuilder, MmapRegionError};
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

/// Most memory regions of a client; QEMU's own limit.
const MAX_MAPPINGS: usize = 65535;
/// Most of them that keep a descriptor open. Others go by message.
const MAX_FILES: usize = 256;
/// Replies that say something else than the mapping before and after before a file counts as not shared: a guest that
/// writes all the time may cause one or two.
const MAX_CONTRADICTIONS: u32 = 3;

/// Device and inode of a file.
type FileId = (u64, u64);

/// How far a file is known to be the guest's memory. All mappings of the file share it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Sharing {
    /// Not known. Accesses go by message, replies are compared with the mapping.
    Unverified { contradictions: u32 },
    /// A reply was what the mapping holds, and not just zeros: accesses go through the mapping.
    Verified,
    /// Replies were something else: accesses go by message.
    NotShared,
}

#[derive(Clone, Debug)]
struct Mapping {
    bytes: u64,
    readable: bool,
    writable: bool,
    /// The file, its mapping, and the offset there.
    file: Option<(FileId, Arc<MmapRegion>, u64)>,
}

impl Mapping {
    /// Whether a range of it, which lies inside, has become a hole.
    fn discard(&self, offset: u64, bytes: u64, shared: impl Fn(&FileId) -> bool) -> bool {
        let Some((_, region, from)) = self.file.as_ref().filter(|(id, ..)| shared(id)) else { return false };
        let Some(file) = region.file_offset() else { return false };
        let Some(start) = file.start().checked_add(*from).and_then(|start| start.checked_add(offset)) else {
            return false;
        };
        punch(file.file(), start, bytes).is_ok()
    }
}

/// Reading or writing, as the device does it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What a mapping held before a DMA_READ was sent.
#[derive(Debug)]
pub(crate) struct Sample {
    file: FileId,
    before: Vec<u8>,
}

/// All regions of a client.
#[derive(Debug)]
pub(crate) struct Memory {
    map: bool,
    /// By first address; they do not overlap.
    mappings: BTreeMap<u64, Mapping>,
    sharing: BTreeMap<FileId, Sharing>,
}

impl Memory {
    /// `map`: go through mappings where that works.
    pub fn new(map: bool) -> Self {
        Memory { map, mappings: BTreeMap::new(), sharing: BTreeMap::new() }
    }

    /// DMA_MAP. What was there before is replaced, a part of a region included: the newest counts.
    pub fn map(&mut self, request: &DmaMap, descriptor: Option<OwnedFd>) -> Result<(), Errno> {
        let DmaMap { address, size, .. } = *request;
        let last = size.checked_sub(1).and_then(|size| address.checked_add(size)).ok_or(Errno::INVAL)?;
        // One more, and one that is cut in two.
        let identical = self.mappings.get(&address).is_some_and(|mapping| mapping.bytes == size);
        if !identical && self.mappings.len() + 2 > MAX_MAPPINGS {
            return Err(Errno::NOSPC);
        }
        let files = self.mappings.values().filter(|mapping| mapping.file.is_some()).count();
        let file = match descriptor {
            Some(descriptor) if self.map && files < MAX_FILES => map_file(request, descriptor)?,
            _ => None,
        };
        let file = file.map(|(id, region)| (id, Arc::new(region), 0));
        self.cut(address, last);
        if let Some((id, ..)) = &file {
            self.sharing.entry(*id).or_insert(Sharing::Unverified { contradictions: 0 });
        }
        let (readable, writable) = (request.flags & DmaMap::READ != 0, request.flags & DmaMap::WRITE != 0);
        self.mappings.insert(address, Mapping { bytes: size, readable, writable, file });
        self.forget_files();
        Ok(())
    }

    /// Takes a range out of the regions that touch it.
    fn cut(&mut self, first: u64, last: u64) {
        let touched: Vec<_> = self.overlapping(first, last).map(|(start, _)| start).collect();
        for start in touched {
            let Some(mapping) = self.mappings.remove(&start) else { continue };
            let end = start + (mapping.bytes - 1);
            if start < first {
                self.mappings.insert(start, Mapping { bytes: first - start, ..mapping.clone() });
            }
            if end > last {
                let skipped = last - start + 1;
                let file = mapping.file.map(|(id, region, offset)| (id, region, offset + skipped));
                self.mappings.insert(last + 1, Mapping { bytes: end - last, file, ..mapping });
            }
        }
    }

    /// DMA_UNMAP of a range, which may hold several regions but not part of one. Returns the bytes that were mapped.
    pub fn unmap(&mut self, address: u64, size: u64) -> Result<u64, Errno> {
        let last = size.checked_sub(1).and_then(|size| address.checked_add(size)).ok_or(Errno::INVAL)?;
        let inside = |start: u64, bytes: u64| start >= address && start + (bytes - 1) <= last;
        let found: Vec<_> = self.overlapping(address, last).collect();
        if !found.iter().all(|(start, bytes)| inside(*start, *bytes)) {
            return Err(Errno::INVAL);
        }
        found.iter().for_each(|(start, _)| drop(self.mappings.remove(start)));
        self.forget_files();
        Ok(found.iter().map(|(_, bytes)| bytes).sum())
    }

    /// DMA_UNMAP of everything.
    pub fn unmap_all(&mut self) {
        self.mappings.clear();
        self.forget_files();
    }

    /// First address and size of the regions that touch a range.
    fn overlapping(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let regions = self.mappings.range(..=last).rev().map(|(start, mapping)| (*start, mapping.bytes));
        regions.take_while(move |(start, bytes)| start + (bytes - 1) >= first)
    }

    /// Whether any byte of a range is the guest's memory, mapped or not.
    pub fn touches(&self, address: u64, bytes: usize) -> bool {
        self.overlapping(address, address.saturating_add(bytes as u64 - 1)).next().is_some()
    }

    /// Drops what is known of files that nobody maps any more.
    fn forget_files(&mut self) {
        let mapped = |id: &FileId| {
            self.mappings.values().any(|mapping| mapping.file.as_ref().is_some_and(|(file, ..)| file == id))
        };
        self.sharing.retain(|id, _| mapped(id));
    }

    /// The file, its mapping and the offset there of a range that lies in one region.
    fn locate(&self, address: u64, bytes: usize) -> Option<(&Mapping, FileId, &MmapRegion, usize)> {
        let (start, mapping) = self.mappings.range(..=address).next_back()?;
        let offset = address - start;
        let (id, region, from) = mapping.file.as_ref()?;
        let inside = (bytes as u64).checked_add(offset).is_some_and(|end| end <= mapping.bytes);
        let place = usize::try_from(from.checked_add(offset)?).ok()?;
        inside.then_some((mapping, *id, region.as_ref(), place))
    }

    /// Whether an access goes through a mapping.
    pub fn reaches(&self, address: u64, bytes: usize, direction: Direction) -> bool {
        self.locate(address, bytes).is_some_and(|(mapping, id, ..)| {
            let allowed = match direction {
                Direction::Read => mapping.readable,
                Direction::Write => mapping.writable,
            };
            allowed && self.sharing.get(&id) == Some(&Sharing::Verified)
        })
    }

    /// Reads what [`Memory::reaches`].
    pub fn read(&self, address: u64, bytes: usize) -> Result<Vec<u8>, Errno> {
        let (_, _, region, offset) = self.locate(address, bytes).ok_or(Errno::FAULT)?;
        provide(region, offset, bytes)?;
        let mut data = vec![0; bytes];
        // The guest's processors must have seen what the device wrote before, and what it reads is not older.
        fence(Ordering::SeqCst);
        region.get_slice(offset, bytes).and_then(|slice| slice.read_slice(&mut data, 0)).map_err(|_| Errno::FAULT)?;
        fence(Ordering::SeqCst);
        Ok(data)
    }

    /// Writes what [`Memory::reaches`].
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Errno> {
        let (_, _, region, offset) = self.locate(address, data.len()).ok_or(Errno::FAULT)?;
        provide(region, offset, data.len())?;
        fence(Ordering::SeqCst);
        region.get_slice(offset, data.len()).and_then(|slice| slice.write_slice(data, 0)).map_err(|_| Errno::FAULT)?;
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Punches a hole into the file behind a range. What is not known to be the guest's memory stays as it is.
    pub fn discard(&self, address: u64, bytes: u64) -> Discarded {
        let mut discarded = Discarded::default();
        let Some(last) = bytes.checked_sub(1).map(|more| address.saturating_add(more)) else { return discarded };
        let mut left = bytes;
        for (start, mapping) in self.mappings.range(..=last).rev() {
            let end = start + (mapping.bytes - 1);
            if end < address {
                break;
            }
            if !mapping.writable {
                continue;
            }
            let first = address.max(*start);
            let part = last.min(end) - first + 1;
            left = left.saturating_sub(part);
            match mapping.discard(first - start, part, |id| self.sharing.get(id) == Some(&Sharing::Verified)) {
                true => discarded.given_back += part,
                false => discarded.kept += part,
            }
        }
        Discarded { outside: left, ..discarded }
    }

    /// What an unverified file holds now, to be compared with the reply of the DMA_READ that goes out.
    pub fn sample(&self, address: u64, bytes: usize) -> Option<Sample> {
        let (_, file, ..) = self.locate(address, bytes)?;
        let unverified = matches!(self.sharing.get(&file), Some(Sharing::Unverified { .. }));
        unverified.then(|| self.read(address, bytes).ok()).flatten().map(|before| Sample { file, before })
    }

    /// Judges a file by a reply. The guest may have written in between, so the mapping counts before and after.
    pub fn compare(&mut self, sample: &Sample, address: u64, reply: &[u8]) {
        let located = self.locate(address, reply.len()).is_some_and(|(_, file, ..)| file == sample.file);
        let after = located.then(|| self.read(address, reply.len()).ok()).flatten();
        let (Some(after), Some(sharing)) = (after, self.sharing.get_mut(&sample.file)) else { return };
        let Sharing::Unverified { contradictions } = sharing else { return };
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        if reply == sample.before || reply == after {
            if !is_zero(reply) {
                *sharing = Sharing::Verified;
            }
            return;
        }
        *contradictions += 1;
        if *contradictions >= MAX_CONTRADICTIONS || is_zero(&sample.before) && is_zero(&after) {
            *sharing = Sharing::NotShared;
            tracing::warn!(
                "guest memory is not shared: add share=on to the memory backend \
                 (`-object memory-backend-memfd,id=m,size=...,share=on -machine memory-backend=m`); \
                 going on with DMA messages, slower"
            );
        }
    }
}

/// Sees to it that an access through a mapping finds memory. An error is one of the file: no room, or it was cut.
fn provide(region: &MmapRegion, offset: usize, bytes: usize) -> Result<(), Errno> {
    let file = region.file_offset().ok_or(Errno::FAULT)?;
    let start = file.start().checked_add(offset as u64).ok_or(Errno::FAULT)?;
    allocate(file.file(), start, bytes as u64)
}

/// Allocates a range of a file, which must be there already.
fn allocate(file: &File, start: u64, bytes: u64) -> Result<(), Errno> {
    if bytes == 0 {
        return Ok(());
    }
    let end = start.checked_add(bytes).ok_or(Errno::FAULT)?;
    let size = file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?.len();
    if end > size {
        return Err(Errno::FAULT);
    }
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, start, bytes) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Gives the memory of a range of a file back. The file keeps its size.
fn punch(file: &File, start: u64, bytes: u64) -> Result<(), Errno> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, start, bytes) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Maps a region's file. `None`: that does not work with this file, and message DMA does.
fn map_file(request: &DmaMap, descriptor: OwnedFd) -> Result<Option<(FileId, MmapRegion)>, Errno> {
    let file = File::from(descriptor);
    let metadata = file.metadata().map_err(|_| Errno::BADF)?;
    let bytes = usize::try_from(request.size).map_err(|_| Errno::INVAL)?;
    let mut protection = ProtFlags::READ;
    protection.set(ProtFlags::WRITE, request.flags & DmaMap::WRITE != 0);
    let region = MmapRegionBuilder::new(bytes)
        .with_file_offset(FileOffset::new(file, request.offset))
        .with_mmap_prot(protection.bits() as i32)
        .with_mmap_flags((MapFlags::SHARED | MapFlags::NORESERVE).bits() as i32)
        .build();
    let warn = |error: &dyn std::fmt::Display| {
        let address = request.address;
        tracing::warn!(
            "cannot map the guest memory at {address:#x}: {error}; going on with DMA messages there, slower"
        );
    };
    match region {
        // What a file system does not tell when it is asked would be told by SIGBUS.
        Ok(region) => match provide(&region, 0, 1) {
            Err(error @ (Errno::OPNOTSUPP | Errno::BADF | Errno::PERM | Errno::NODEV | Errno::INVAL)) => {
                warn(&error);
                Ok(None)
            }
            _ => Ok(Some(((metadata.dev(), metadata.ino()), region))),
        },
        Err(MmapRegionError::MappingPastEof | MmapRegionError::InvalidOffsetLength) => Err(Errno::INVAL),
        Err(error) => {
            warn(&error);
            Ok(None)
        }
    }
}
