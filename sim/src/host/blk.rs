//! The disk driver: many requests in flight, each a chain of header, data and status byte, in one queue or several.
use super::pci::Bus;
use super::ring::{Buffer, RingError, RingOptions, Shape, Virtqueue};
use super::virtio_pci::{DriverError, InterruptCount, Interrupted, QueueOptions, QueueUse, VectorPolicy, VirtioPci};
use super::Platform;
use crate::link::{FunctionId, Interrupt};
use std::collections::HashMap;
use std::ops::Range;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::blk::*;
use virtio_hdl_rtl::virtio::layout::{
    FEATURE_ANY_LAYOUT, FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, STATUS_DRIVER_OK,
    VIRTIO_ID_BLK,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

/// Bytes between the headers of two requests: header, status byte, and room so that none shares a cache line.
const SLOT_BYTES: u64 = 64;
/// What the status byte holds before the device has written it.
const STATUS_PENDING: u8 = 0xff;

/// How the driver runs the disk.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ways to interrupt, tried in this order.
    pub policies: Vec<VectorPolicy>,
    /// Feature bits that the driver supports.
    pub features: u32,
    /// Seed of a random order of descriptors; in order when there is none.
    pub scatter: Option<u64>,
    /// Most queues to use, of those that the disk has.
    pub queues: u16,
}

impl Default for Options {
    fn default() -> Self {
        let bits = [
            FEATURE_SEG_MAX,
            FEATURE_GEOMETRY,
            FEATURE_RO,
            FEATURE_BLK_SIZE,
            FEATURE_FLUSH,
            FEATURE_MQ,
            FEATURE_NOTIFY_ON_EMPTY,
            FEATURE_ANY_LAYOUT,
            FEATURE_RING_INDIRECT_DESC,
            FEATURE_RING_EVENT_IDX,
        ];
        Options {
            policies: VectorPolicy::ALL.to_vec(),
            features: bits.iter().fold(0, |features, bit| features | 1 << bit),
            scatter: None,
            queues: u16::MAX,
        }
    }
}

/// What the disk is asked to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read into the buffers.
    In,
    /// Write from the buffers.
    Out,
    /// Make all that was written permanent.
    Flush,
    /// Read the disk's name into the buffers.
    GetId,
    /// Anything else; the buffers are as they are.
    Other(u32),
}

impl Operation {
    /// Type field of the header.
    pub const fn code(self) -> u32 {
        match self {
            Operation::In => TYPE_IN,
            Operation::Out => TYPE_OUT,
            Operation::Flush => TYPE_FLUSH,
            Operation::GetId => TYPE_GET_ID,
            Operation::Other(code) => code,
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// First sector, of 512 bytes.
    pub sector: u64,
    /// Data in guest memory; readable ones before writable ones.
    pub data: Vec<Buffer>,
    /// Where the chain lies.
    pub shape: Shape,
}

/// How a request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// The disk failed, or was asked for what it does not have.
    IoError,
    /// Unknown operation.
    Unsupported,
    /// The device wrote no status, or one that there is not.
    Unknown(u8),
}

impl From<u8> for Status {
    fn from(byte: u8) -> Self {
        match byte {
            STATUS_OK => Status::Ok,
            STATUS_IOERR => Status::IoError,
            STATUS_UNSUPP => Status::Unsupported,
            other => Status::Unknown(other),
        }
    }
}

/// Names a request until it has ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A request that has ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As [`Blk::submit`] returned it.
    pub ticket: Ticket,
    /// How it ended.
    pub status: Status,
    /// Bytes that the device says it wrote, the status byte included.
    pub written: u32,
}

/// What can go wrong with a request that waits for its end.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum BlkError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The disk said no.
    #[error("the disk answered {0:?}")]
    Status(Status),
    /// Nothing came in time.
    #[error("{in_flight} requests have not ended after {cycles} cycles")]
    Timeout { in_flight: usize, cycles: u64 },
    /// The request does not lie in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
}

impl From<RingError> for BlkError {
    fn from(error: RingError) -> Self {
        BlkError::Driver(error.into())
    }
}

/// Entries of all queues.
fn entries(queues: &[Virtqueue]) -> u16 {
    queues.iter().fold(0, |sum, queue| sum.saturating_add(queue.size()))
}

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    slot: u16,
}

/// A disk.
#[derive(Debug)]
pub struct Blk {
    transport: VirtioPci,
    queues: Vec<Virtqueue>,
    /// Where the last request went.
    last_queue: usize,
    features: u32,
    /// Headers and status bytes of requests.
    slots: u64,
    free_slots: Vec<u16>,
    /// By queue and head.
    pending: HashMap<(usize, u16), Pending>,
    next_ticket: u64,
    /// Chains that were added since the last kick.
    unkicked: bool,
    /// Interrupts that meant this disk.
    interrupts: InterruptCount,
}

impl Blk {
    /// Binds to the disk at `id`.
    pub fn probe(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let (transport, (queues, features, slots)) =
            VirtioPci::bind(platform, bus, id, VIRTIO_ID_BLK, |platform, transport| {
                Self::set_up(platform, transport, options)
            })?;
        Ok(Blk {
            free_slots: (0..entries(&queues)).rev().collect(),
            transport,
            last_queue: queues.len() - 1,
            queues,
            features,
            slots,
            pending: HashMap::new(),
            next_ticket: 0,
            unkicked: false,
            interrupts: InterruptCount::default(),
        })
    }

    fn set_up(
        platform: &mut dyn Platform,
        transport: &mut VirtioPci,
        options: &Options,
    ) -> Result<(Vec<Virtqueue>, u32, u64), DriverError> {
        let features = transport.negotiate(platform, options.features);
        let event_index = features >> FEATURE_RING_EVENT_IDX & 1 == 1;
        let ring = RingOptions { event_index, scatter: options.scatter };
        let queue_options = QueueOptions { policies: options.policies.clone(), ring };
        let uses = match features >> FEATURE_MQ & 1 {
            0 => vec![QueueUse::interrupting("requests")],
            _ => {
                let mut count = [0; 2];
                transport.get_config(platform, CONFIG_NUM_QUEUES, &mut count);
                let count = u16::from_le_bytes(count).min(options.queues).max(1);
                (0..count).map(|n| QueueUse { name: format!("requests {n}").into(), callback: true }).collect()
            }
        };
        let queues = transport.find_queues(platform, &uses, &queue_options)?;
        let bytes = SLOT_BYTES * u64::from(entries(&queues));
        let slots = platform.allocate(bytes, SLOT_BYTES).ok_or(DriverError::NoMemory(bytes))?;
        if let Err(error) = transport.add_status(platform, STATUS_DRIVER_OK) {
            platform.free(slots, bytes);
            return Err(error);
        }
        Ok((queues, features, slots))
    }

    /// The transport underneath.
    pub fn transport(&self) -> &VirtioPci {
        &self.transport
    }

    /// The transport underneath, to suspend and resume.
    pub fn transport_mut(&mut self) -> &mut VirtioPci {
        &mut self.transport
    }

    /// The first queue, the only one of most disks.
    pub fn queue(&self) -> &Virtqueue {
        &self.queues[0]
    }

    /// The first queue, for tests that do with it what a driver does not.
    pub fn queue_mut(&mut self) -> &mut Virtqueue {
        &mut self.queues[0]
    }

    /// The queues in use.
    pub fn queues(&self) -> &[Virtqueue] {
        &self.queues
    }

    /// The queues in use, for tests that do with them what a driver does not.
    pub fn queues_mut(&mut self) -> &mut [Virtqueue] {
        &mut self.queues
    }

    /// Descriptors that the next request can have.
    pub fn free_descriptors(&self) -> usize {
        self.queues[self.next_queue()].free_descriptors()
    }

    /// Whether a queue holds requests that have ended.
    pub fn has_used(&self, memory: &GuestMemoryMmap) -> Result<bool, RingError> {
        self.queues.iter().map(|queue| queue.has_used(memory)).try_fold(false, |any, has| Ok(any | has?))
    }

    /// Where a request goes: to the emptiest queue; of several, to the next behind the last one.
    fn next_queue(&self) -> usize {
        let count = self.queues.len();
        let turns = (1..=count).rev().map(|n| (self.last_queue + n) % count);
        turns.max_by_key(|queue| self.queues[*queue].free_descriptors()).unwrap_or_default()
    }

    /// Whether a feature bit was accepted by both sides.
    pub fn has_feature(&self, bit: u32) -> bool {
        self.features >> bit & 1 == 1
    }

    /// Interrupts that meant this disk, and how many of them a change of the configuration.
    pub fn interrupts(&self) -> (u64, u64) {
        (self.interrupts.all, self.interrupts.config_changes)
    }

    /// Sectors of 512 bytes.
    pub fn capacity(&self, platform: &mut dyn Platform) -> u64 {
        let mut bytes = [0; 8];
        self.transport.get_config(platform, CONFIG_CAPACITY, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Requests that the disk has.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Where the header and the status byte of a request in `slot` lie.
    fn slot(&self, slot: u16) -> (u64, u64) {
        let header = self.slots + SLOT_BYTES * u64::from(slot);
        (header, header + u64::from(HEADER_BYTES))
    }

    /// Where the status bytes of all requests lie.
    pub fn status_bytes(&self) -> Vec<Range<u64>> {
        let places = (0..entries(&self.queues)).map(|slot| self.slot(slot).1);
        places.map(|status| status..status + 1).collect()
    }

    /// Puts a request into the ring. The disk learns of it with [`kick`](Self::kick).
    pub fn submit(&mut self, platform: &mut dyn Platform, request: &Request) -> Result<Ticket, BlkError> {
        self.submit_to(platform, self.next_queue(), request)
    }

    /// The same, into the ring of this queue, one of [`queues`](Self::queues).
    pub fn submit_to(
        &mut self,
        platform: &mut dyn Platform,
        queue: usize,
        request: &Request,
    ) -> Result<Ticket, BlkError> {
        let Some(&slot) = self.free_slots.last() else {
            let free = self.queues[queue].free_descriptors();
            return Err(RingError::Full { wanted: request.data.len() + 2, free }.into());
        };
        let (header, status) = self.slot(slot);
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..4].copy_from_slice(&request.operation.code().to_le_bytes());
        bytes[8..16].copy_from_slice(&request.sector.to_le_bytes());
        platform.memory().write_slice(&bytes, GuestAddress(header))?;
        platform.memory().write_obj(STATUS_PENDING, GuestAddress(status))?;
        let mut buffers = vec![Buffer::readable(header, HEADER_BYTES)];
        buffers.extend_from_slice(&request.data);
        buffers.push(Buffer::writable(status, 1));
        let head = self.queues[queue].add(platform, &buffers, request.shape)?;
        self.last_queue = queue;
        self.free_slots.pop();
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert((queue, head), Pending { ticket, slot });
        self.unkicked = true;
        Ok(ticket)
    }

    /// Tells the disk of the requests submitted, and notifies it of each queue of which it wants to be. True when it was notified.
    pub fn kick(&mut self, platform: &mut dyn Platform) -> Result<bool, BlkError> {
        self.unkicked = false;
        let mut notified = false;
        for (number, queue) in (0..).zip(&mut self.queues) {
            if queue.kick(platform.memory())? {
                self.transport.notify(platform, number);
                notified = true;
            }
        }
        Ok(notified)
    }

    /// Requests that have ended and were not told yet. The next one will interrupt.
    pub fn poll(&mut self, platform: &mut dyn Platform) -> Result<Vec<Ended>, BlkError> {
        let mut ended = Vec::new();
        for queue in 0..self.queues.len() {
            self.poll_queue(platform, queue, &mut ended)?;
        }
        Ok(ended)
    }

    fn poll_queue(
        &mut self,
        platform: &mut dyn Platform,
        queue: usize,
        ended: &mut Vec<Ended>,
    ) -> Result<(), BlkError> {
        loop {
            while let Some(used) = self.queues[queue].take(platform)? {
                let Some(pending) = self.pending.remove(&(queue, used.head)) else { continue };
                let status: u8 = platform.memory().read_obj(GuestAddress(self.slot(pending.slot).1))?;
                self.free_slots.push(pending.slot);
                ended.push(Ended { ticket: pending.ticket, status: status.into(), written: used.written });
            }
            if !self.queues[queue].enable_interrupts(platform.memory())? {
                return Ok(());
            }
        }
    }

    /// Handles an interrupt of the platform.
    pub fn interrupt(&self, platform: &mut dyn Platform, interrupt: Interrupt) -> Result<Interrupted, RingError> {
        self.transport.interrupt(platform, interrupt, &self.queues.iter().collect::<Vec<_>>())
    }

    /// Waits until at least one request has ended, by interrupt, at most until cycle `deadline`. Requests submitted
    /// are kicked first.
    pub fn wait(&mut self, platform: &mut dyn Platform, deadline: u64) -> Result<Vec<Ended>, BlkError> {
        let start = platform.now();
        if self.unkicked {
            self.kick(platform)?;
        }
        loop {
            let ended = self.poll(platform)?;
            if !ended.is_empty() || self.pending.is_empty() {
                return Ok(ended);
            }
            let rings: Vec<_> = self.queues.iter().collect();
            if self.transport.next_interrupt(platform, deadline, &rings, &mut self.interrupts)?.is_none() {
                let cycles = platform.now() - start;
                return Err(BlkError::Timeout { in_flight: self.pending.len(), cycles });
            }
        }
    }

    /// Does one request and waits for its end, at most `patience` cycles. Other requests that end meanwhile are
    /// forgotten, so that this is for a disk with nothing else to do.
    pub fn execute(
        &mut self,
        platform: &mut dyn Platform,
        request: &Request,
        patience: u64,
    ) -> Result<Status, BlkError> {
        let ticket = self.submit(platform, request)?;
        let deadline = platform.now() + patience;
        loop {
            let ended = self.wait(platform, deadline)?;
            if let Some(ended) = ended.iter().find(|ended| ended.ticket == ticket) {
                return Ok(ended.status);
            }
        }
    }

    /// Reads sectors.
    pub fn read(&mut self, platform: &mut dyn Platform, sector: u64, data: &mut [u8]) -> Result<(), BlkError> {
        self.transfer(platform, Operation::In, sector, data)
    }

    /// Writes sectors.
    pub fn write(&mut self, platform: &mut dyn Platform, sector: u64, data: &[u8]) -> Result<(), BlkError> {
        self.transfer(platform, Operation::Out, sector, &mut data.to_vec())
    }

    /// Makes all that was written permanent.
    pub fn flush(&mut self, platform: &mut dyn Platform) -> Result<(), BlkError> {
        self.transfer(platform, Operation::Flush, 0, &mut [])
    }

    /// The disk's name, without the zeros behind it.
    pub fn id(&mut self, platform: &mut dyn Platform) -> Result<String, BlkError> {
        let mut bytes = [0; ID_BYTES as usize];
        self.transfer(platform, Operation::GetId, 0, &mut bytes)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Does one request over a buffer of its own.
    fn transfer(
        &mut self,
        platform: &mut dyn Platform,
        operation: Operation,
        sector: u64,
        data: &mut [u8],
    ) -> Result<(), BlkError> {
        /// Far longer than any request takes.
        const PATIENCE: u64 = 100_000_000;
        let bytes = data.len() as u64;
        let address = platform.allocate(bytes, SECTOR_BYTES).ok_or(DriverError::NoMemory(bytes))?;
        let buffer = Buffer { address, bytes: bytes as u32, writable: operation != Operation::Out };
        let buffers = if data.is_empty() { Vec::new() } else { vec![buffer] };
        let request = Request { operation, sector, data: buffers, shape: Shape::Direct };
        platform.memory().write_slice(data, GuestAddress(address))?;
        // After a timeout the disk may still use the buffer: it is not given back then.
        let status = self.execute(platform, &request, PATIENCE)?;
        platform.memory().read_slice(data, GuestAddress(address))?;
        platform.free(address, bytes);
        match status {
            Status::Ok => Ok(()),
            other => Err(BlkError::Status(other)),
        }
    }

    /// Resets the disk and gives everything back, even when something fails; then the first error is told. Requests that the
    /// disk has are forgotten.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        let resumed = self.transport.resume(platform);
        // The memory is the device's until it is reset.
        let reset = self.transport.reset(platform);
        let bytes = SLOT_BYTES * u64::from(entries(&self.queues));
        self.queues.iter_mut().for_each(|queue| queue.discard(platform));
        platform.free(self.slots, bytes);
        let removed = self.transport.remove(platform, bus);
        resumed.and(reset).and(removed)
    }
}
