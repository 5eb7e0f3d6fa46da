//! The driver's side of a split virtqueue: descriptor table, available ring, used ring.
//!
//! ```text
//! add:   buffers -> free descriptors -> available entry          (the device sees nothing yet)
//! kick:  available index <- entries added; tells whether the device wants a notification
//! take:  used entry -> head and bytes written -> descriptors are free again
//! ```
//! Chains lie where the test wants them: in the table in order or scattered, or in an indirect table, that may be
//! scattered too. The order of accesses to the ring is that of real processors, as the device may run beside this.
use super::Platform;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::sync::atomic::{fence, Ordering};
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

/// A piece of guest memory that a chain names.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u32,
    /// The device writes it; otherwise the device reads it.
    pub writable: bool,
}

impl Buffer {
    /// The device reads it.
    pub const fn readable(address: u64, bytes: u32) -> Self {
        Buffer { address, bytes, writable: false }
    }

    /// The device writes it.
    pub const fn writable(address: u64, bytes: u32) -> Self {
        Buffer { address, bytes, writable: true }
    }
}

/// A descriptor as it lies in memory.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// First byte of the buffer.
    pub address: u64,
    /// Bytes of the buffer.
    pub bytes: u32,
    /// NEXT, WRITE, INDIRECT.
    pub flags: u16,
    /// Next descriptor of the chain.
    pub next: u16,
}

impl Descriptor {
    fn of(buffer: &Buffer, next: Option<u16>) -> Self {
        let write = if buffer.writable { DESCRIPTOR_WRITE } else { 0 };
        let link = if next.is_some() { DESCRIPTOR_NEXT } else { 0 };
        Descriptor { address: buffer.address, bytes: buffer.bytes, flags: write | link, next: next.unwrap_or(0) }
    }

    /// The 16 bytes in memory.
    pub fn to_bytes(&self) -> [u8; DESCRIPTOR_BYTES as usize] {
        let mut bytes = [0; DESCRIPTOR_BYTES as usize];
        bytes[0..8].copy_from_slice(&self.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.flags.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

/// Where a chain lies.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// In the queue's table.
    #[default]
    Direct,
    /// In a table of its own.
    Indirect,
    /// In a table of its own, of which the queue's descriptor is the last of a chain that begins with this many
    /// direct descriptors.
    Mixed(usize),
}

/// How a queue is run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// EVENT_IDX was negotiated.
    pub event_index: bool,
    /// Seed of a random order of descriptors; in order when there is none.
    pub scatter: Option<u64>,
}

/// A chain that the device is done with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// First descriptor, as [`Virtqueue::add`] returned it.
    pub head: u16,
    /// Bytes that the device says it wrote.
    pub written: u32,
}

/// What is wrong with a queue.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RingError {
    /// No room for the chain.
    #[error("{wanted} descriptors are wanted, {free} are free")]
    Full { wanted: usize, free: usize },
    /// A chain must have a buffer.
    #[error("a chain needs at least one buffer")]
    Empty,
    /// No guest memory.
    #[error("no guest memory for {0} bytes")]
    NoMemory(u64),
    /// The device returned something that it had not been given.
    #[error("the device returned head {head} at used index {index}, which is not in flight")]
    NotInFlight { head: u32, index: u16 },
    /// The device claims more chains than it had.
    #[error("the device's used index is {found} while {expected} was the last it could be")]
    UsedIndex { found: u16, expected: u16 },
    /// The ring is not in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
}

#[derive(Clone, Debug)]
struct Chain {
    descriptors: Vec<u16>,
    indirect: Option<(u64, u64)>,
}

/// A virtqueue in guest memory.
#[derive(Debug)]
pub struct Virtqueue {
    address: u64,
    size: u16,
    options: RingOptions,
    rng: ChaCha8Rng,
    free: Vec<u16>,
    in_flight: HashMap<u16, Chain>,
    /// Available index with everything added, and as the device was told last.
    added: u16,
    published: u16,
    taken: u16,
}

impl Virtqueue {
    /// A queue of `size` entries in zeroed memory of [`ring_bytes`] bytes at `address`.
    pub fn new(memory: &GuestMemoryMmap, address: u64, size: u16, options: RingOptions) -> Result<Self, RingError> {
        memory.write_slice(&vec![0; ring_bytes(size) as usize], GuestAddress(address))?;
        let mut queue = Virtqueue {
            address,
            size,
            options,
            rng: ChaCha8Rng::seed_from_u64(options.scatter.unwrap_or(0)),
            // Taken from the end: in order, the first is descriptor 0.
            free: (0..size).rev().collect(),
            in_flight: HashMap::new(),
            added: 0,
            published: 0,
            taken: 0,
        };
        if options.scatter.is_some() {
            queue.free.shuffle(&mut queue.rng);
        }
        Ok(queue)
    }

    /// Where it lies.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Entries.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Chains that the device has.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Descriptors that are free.
    pub fn free_descriptors(&self) -> usize {
        self.free.len()
    }

    /// Puts a chain of these buffers into the ring and returns its head. The device learns of it with
    /// [`kick`](Self::kick).
    pub fn add(&mut self, platform: &mut dyn Platform, buffers: &[Buffer], shape: Shape) -> Result<u16, RingError> {
        if buffers.is_empty() {
            return Err(RingError::Empty);
        }
        let direct = match shape {
            Shape::Direct => buffers.len(),
            Shape::Indirect => 0,
            Shape::Mixed(count) => count.min(buffers.len() - 1),
        };
        let (front, back) = buffers.split_at(direct);
        let wanted = front.len() + usize::from(!back.is_empty());
        if wanted > self.free.len() {
            return Err(RingError::Full { wanted, free: self.free.len() });
        }
        let indirect = if back.is_empty() { None } else { Some(self.write_indirect(platform, back)?) };
        let descriptors: Vec<u16> = self.free.split_off(self.free.len() - wanted).into_iter().rev().collect();
        for (index, buffer) in front.iter().enumerate() {
            let next = descriptors.get(index + 1).copied();
            self.write_descriptor(platform.memory(), descriptors[index], Descriptor::of(buffer, next))?;
        }
        if let Some((address, bytes)) = indirect {
            let table = Descriptor { address, bytes: bytes as u32, flags: DESCRIPTOR_INDIRECT, next: 0 };
            self.write_descriptor(platform.memory(), descriptors[wanted - 1], table)?;
        }
        let head = descriptors[0];
        self.offer(platform.memory(), head)?;
        self.in_flight.insert(head, Chain { descriptors, indirect });
        Ok(head)
    }

    fn write_indirect(&mut self, platform: &mut dyn Platform, buffers: &[Buffer]) -> Result<(u64, u64), RingError> {
        let bytes = DESCRIPTOR_BYTES * buffers.len() as u64;
        let address = platform.allocate(bytes, DESCRIPTOR_BYTES).ok_or(RingError::NoMemory(bytes))?;
        // The chain begins with entry 0; the others may lie anywhere.
        let mut places: Vec<u16> = (0..buffers.len() as u16).collect();
        if self.options.scatter.is_some() {
            places[1..].shuffle(&mut self.rng);
        }
        for (index, buffer) in buffers.iter().enumerate() {
            let descriptor = Descriptor::of(buffer, places.get(index + 1).copied());
            let place = address + DESCRIPTOR_BYTES * u64::from(places[index]);
            platform.memory().write_slice(&descriptor.to_bytes(), GuestAddress(place))?;
        }
        Ok((address, bytes))
    }

    /// Writes an entry of the descriptor table, whatever it says.
    pub fn write_descriptor(
        &self,
        memory: &GuestMemoryMmap,
        index: u16,
        descriptor: Descriptor,
    ) -> Result<(), RingError> {
        let place = self.address + DESCRIPTOR_BYTES * u64::from(index);
        Ok(memory.write_slice(&descriptor.to_bytes(), GuestAddress(place))?)
    }

    /// Puts a head into the available ring, whatever it is.
    pub fn offer(&mut self, memory: &GuestMemoryMmap, head: u16) -> Result<(), RingError> {
        let entry = avail_offset(self.size) + RING_ENTRIES + 2 * u64::from(self.added % self.size);
        self.write(memory, entry, head)?;
        self.added = self.added.wrapping_add(1);
        Ok(())
    }

    /// Tells the device's ring of all chains added. True when the device wants to be notified.
    pub fn kick(&mut self, memory: &GuestMemoryMmap) -> Result<bool, RingError> {
        let old = self.published;
        self.publish(memory, self.added)?;
        if old == self.added {
            return Ok(false);
        }
        // Or the device could miss the index and the driver the device's wish: nobody would come.
        fence(Ordering::SeqCst);
        if self.options.event_index {
            let event = self.read(memory, avail_event_offset(self.size))?;
            Ok(needs_event(event, self.added, old))
        } else {
            Ok(self.read(memory, used_offset(self.size) + RING_FLAGS)? & USED_NO_NOTIFY == 0)
        }
    }

    /// Writes the available index, whatever it is.
    pub fn publish(&mut self, memory: &GuestMemoryMmap, index: u16) -> Result<(), RingError> {
        // The entries and their descriptors come before the index that shows them.
        fence(Ordering::Release);
        self.write(memory, avail_offset(self.size) + RING_INDEX, index)?;
        self.published = index;
        Ok(())
    }

    /// Whether there is a chain that the device is done with.
    pub fn has_used(&self, memory: &GuestMemoryMmap) -> Result<bool, RingError> {
        Ok(self.used_index(memory)? != self.taken)
    }

    /// The next chain that the device is done with.
    pub fn take(&mut self, platform: &mut dyn Platform) -> Result<Option<Used>, RingError> {
        let found = self.used_index(platform.memory())?;
        if found == self.taken {
            return Ok(None);
        }
        if found.wrapping_sub(self.taken) > self.published.wrapping_sub(self.taken) {
            return Err(RingError::UsedIndex { found, expected: self.published });
        }
        let entry = used_offset(self.size) + RING_ENTRIES + USED_ENTRY_BYTES * u64::from(self.taken % self.size);
        let head: u32 = platform.memory().read_obj(GuestAddress(self.address + entry))?;
        let written = platform.memory().read_obj(GuestAddress(self.address + entry + 4))?;
        let chain = u16::try_from(head).ok().and_then(|head| self.in_flight.remove(&head));
        let Some(chain) = chain else {
            return Err(RingError::NotInFlight { head, index: self.taken });
        };
        self.free.extend(chain.descriptors.iter().rev());
        if self.options.scatter.is_some() {
            self.free.shuffle(&mut self.rng);
        }
        if let Some((address, bytes)) = chain.indirect {
            platform.free(address, bytes);
        }
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(Used { head: head as u16, written }))
    }

    /// Asks for an interrupt with the next used chain. True when there is one already: nobody may come.
    pub fn enable_interrupts(&mut self, memory: &GuestMemoryMmap) -> Result<bool, RingError> {
        self.enable_interrupts_after(memory, 0)
    }

    /// Asks for an interrupt after `more` further used chains; without EVENT_IDX after the next.
    pub fn enable_interrupts_after(&mut self, memory: &GuestMemoryMmap, more: u16) -> Result<bool, RingError> {
        self.write(memory, avail_offset(self.size) + RING_FLAGS, 0)?;
        self.write(memory, used_event_offset(self.size), self.taken.wrapping_add(more))?;
        // As in `kick`, the other way round.
        fence(Ordering::SeqCst);
        Ok(self.used_index(memory)?.wrapping_sub(self.taken) > more)
    }

    /// Asks for no interrupts. With EVENT_IDX that is only a hint: the last event stands.
    pub fn disable_interrupts(&mut self, memory: &GuestMemoryMmap) -> Result<(), RingError> {
        self.write(memory, avail_offset(self.size) + RING_FLAGS, AVAIL_NO_INTERRUPT)
    }

    /// Forgets the chains that the device has, after a reset, and gives their indirect tables back.
    pub fn discard(&mut self, platform: &mut dyn Platform) {
        for (_, chain) in self.in_flight.drain() {
            self.free.extend(chain.descriptors);
            if let Some((address, bytes)) = chain.indirect {
                platform.free(address, bytes);
            }
        }
    }

    fn used_index(&self, memory: &GuestMemoryMmap) -> Result<u16, RingError> {
        let index = self.read(memory, used_offset(self.size) + RING_INDEX)?;
        // The index comes before the entries and the data that it shows.
        fence(Ordering::Acquire);
        Ok(index)
    }

    fn read(&self, memory: &GuestMemoryMmap, offset: u64) -> Result<u16, RingError> {
        Ok(u16::from_le(memory.read_obj(GuestAddress(self.address + offset))?))
    }

    fn write(&self, memory: &GuestMemoryMmap, offset: u64, value: u16) -> Result<(), RingError> {
        Ok(memory.write_obj(value.to_le(), GuestAddress(self.address + offset))?)
    }
}
