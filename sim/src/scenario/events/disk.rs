//! Requests for a disk, each of which can be recognised: a sector's content says which write it is of.
use super::guard::Guard;
use super::{Change, Settled, Traffic, PATIENCE};
use crate::backend::DiskPort;
use crate::host::blk::{Blk, Ended, Operation, Options, Request, Status, Ticket};
use crate::host::pci::Bus;
use crate::host::ring::Buffer;
use crate::host::virtio_pci::VirtioPci;
use crate::host::Platform;
use crate::machine::{Machine, SLOT};
use crate::scenario::ScenarioError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use virtio_hdl_rtl::virtio::layout::blk::SECTOR_BYTES;
use virtio_hdl_rtl::virtio::layout::{FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC};
use vm_memory::{Bytes, GuestAddress};

/// Sectors of a long request: 256 KiB.
const LONG_SECTORS: u64 = 512;
/// Buffers of a request at most.
const MOST_BUFFERS: u64 = 12;
/// Requests outstanding at most.
const DEPTH: usize = 24;

/// A request that the disk has.
struct Outstanding {
    operation: Operation,
    sectors: Range<u64>,
    /// Of a write.
    generation: u64,
    /// Its memory.
    address: u64,
    bytes: u64,
    buffers: Vec<Buffer>,
}

/// The driver of the disk and its model.
pub(super) struct DiskTraffic {
    blk: Option<Blk>,
    capacity: u64,
    grown: bool,
    seed: u64,
    next_generation: u64,
    /// Which writes a sector may be of; of none, 0.
    generations: HashMap<u64, Vec<u64>>,
    outstanding: BTreeMap<Ticket, Outstanding>,
    status_bytes: Vec<Range<u64>>,
    faults: bool,
    ended: u64,
    given_up: u64,
}

/// What a sector holds.
fn content(seed: u64, sector: u64, generation: u64) -> [u8; SECTOR_BYTES as usize] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ sector << 40 ^ generation);
    let mut bytes = [0; SECTOR_BYTES as usize];
    rng.fill(&mut bytes[..]);
    bytes
}

impl DiskTraffic {
    /// Fills the disk of the machine.
    pub fn new(machine: &mut Machine, seed: u64) -> Result<Self, ScenarioError> {
        let mut capacity = 0;
        if let Some(disk) = machine.side::<DiskPort>().map(DiskPort::disk) {
            capacity = disk.sectors();
            for sector in 0..capacity {
                disk.write(sector, &content(seed, sector, 0)).map_err(crate::machine::MachineError::from)?;
            }
        }
        Ok(DiskTraffic {
            blk: None,
            capacity,
            grown: false,
            seed,
            next_generation: 1,
            generations: HashMap::new(),
            outstanding: BTreeMap::new(),
            status_bytes: Vec::new(),
            faults: false,
            ended: 0,
            given_up: 0,
        })
    }

    fn differ(&self, what: String) -> ScenarioError {
        ScenarioError::Difference { seed: self.seed, request: self.ended, what }
    }

    fn choose(&mut self, rng: &mut ChaCha8Rng) -> (Operation, Range<u64>) {
        let operation = match rng.random_range(0..20) {
            0 => Operation::Flush,
            1 => Operation::GetId,
            2..11 => Operation::Out,
            _ => Operation::In,
        };
        let sectors = match rng.random_range(0..60) {
            0 => LONG_SECTORS,
            1..6 => rng.random_range(1..=64),
            _ => rng.random_range(1..=8),
        };
        let start = rng.random_range(0..=self.capacity - sectors);
        let sectors = match operation {
            Operation::In | Operation::Out => start..start + sectors,
            _ => 0..0,
        };
        // requests that are outstanding together have nothing to do with each other
        let apart = |other: &Outstanding| other.sectors.end <= sectors.start || sectors.end <= other.sectors.start;
        match self.outstanding.values().all(apart) {
            true => (operation, sectors),
            false => (Operation::Flush, 0..0),
        }
    }

    /// Cuts a region into at most [`MOST_BUFFERS`] buffers with gaps between them; returns them and the bytes they take.
    fn cut(address: u64, bytes: u64, writable: bool, rng: &mut ChaCha8Rng) -> Vec<Buffer> {
        let mut buffers = Vec::new();
        let mut place = address + rng.random_range(0..64);
        let mut left = bytes;
        while left > 0 {
            let last = buffers.len() as u64 + 1 == MOST_BUFFERS || rng.random_bool(0.4);
            let part = if last { left } else { rng.random_range(1..=left) };
            buffers.push(Buffer { address: place, bytes: part as u32, writable });
            place += part + rng.random_range(1..64);
            left -= part;
        }
        buffers
    }

    fn submit_one(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let (operation, sectors) = self.choose(rng);
        let bytes = match operation {
            Operation::GetId => 20,
            _ => (sectors.end - sectors.start) * SECTOR_BYTES,
        };
        let region = bytes + 64 * (MOST_BUFFERS + 1);
        let address = guard.allocate(region, 64).ok_or(ScenarioError::Memory(region))?;
        let writable = matches!(operation, Operation::In | Operation::GetId);
        let buffers = Self::cut(address, bytes, writable, rng);
        let generation = self.next_generation;
        self.next_generation += 1;
        let data: Vec<u8> = sectors.clone().flat_map(|sector| content(self.seed, sector, generation)).collect();
        let mut at = 0;
        for buffer in &buffers {
            let bytes = buffer.bytes as usize;
            match writable {
                true => guard.allow(buffer.address..buffer.address + u64::from(buffer.bytes)),
                false => guard.memory().write_slice(&data[at..at + bytes], GuestAddress(buffer.address))?,
            }
            at += bytes;
        }
        let Some(blk) = &mut self.blk else { return Ok(()) };
        let shape = super::shape(blk.has_feature(FEATURE_RING_INDIRECT_DESC), 0.5, rng);
        let request = Request { operation, sector: sectors.start, data: buffers.clone(), shape };
        let ticket = blk.submit(guard, &request)?;
        let outstanding = Outstanding { operation, sectors, generation, address, bytes: region, buffers };
        self.outstanding.insert(ticket, outstanding);
        Ok(())
    }

    /// A request has ended: as it should, with the right data.
    fn end(&mut self, guard: &mut Guard<'_>, ended: &Ended) -> Result<(), ScenarioError> {
        let Some(request) = self.outstanding.remove(&ended.ticket) else {
            return Err(self.differ(format!("request {} ended, but was not outstanding", ended.ticket.0)));
        };
        let operation = request.operation;
        match ended.status {
            Status::Ok if operation == Operation::In => self.check_read(guard, &request)?,
            Status::Ok if operation == Operation::Out => {
                for sector in request.sectors.clone() {
                    self.generations.insert(sector, vec![request.generation]);
                }
            }
            Status::Ok => {}
            // a failed read of header or data: nothing was executed
            Status::IoError if self.faults => {}
            other => return Err(self.differ(format!("{operation:?} ended with {other:?}"))),
        }
        self.ended += 1;
        give_back(guard, &request);
        Ok(())
    }

    fn check_read(&mut self, guard: &mut Guard<'_>, request: &Outstanding) -> Result<(), ScenarioError> {
        let mut data = Vec::new();
        for buffer in &request.buffers {
            let start = data.len();
            data.resize(start + buffer.bytes as usize, 0);
            guard.memory().read_slice(&mut data[start..], GuestAddress(buffer.address))?;
        }
        for (sector, found) in request.sectors.clone().zip(data.chunks(SECTOR_BYTES as usize)) {
            let possible = self.generations.get(&sector).cloned().unwrap_or_else(|| vec![0]);
            let of = possible.iter().find(|generation| content(self.seed, sector, **generation) == found);
            let Some(generation) = of.copied() else {
                return Err(self.differ(format!("a read of sector {sector} brought what it does not hold")));
            };
            self.generations.insert(sector, vec![generation]);
        }
        Ok(())
    }

    /// The device has been reset: writes that it had may have been carried out.
    fn give_up(&mut self, guard: &mut Guard<'_>, free: bool) {
        for request in std::mem::take(&mut self.outstanding).into_values() {
            self.given_up += 1;
            if request.operation == Operation::Out {
                for sector in request.sectors.clone() {
                    self.generations.entry(sector).or_insert_with(|| vec![0]).push(request.generation);
                }
            }
            if free {
                give_back(guard, &request);
            }
        }
        self.faults = false;
    }
}

fn give_back(guard: &mut Guard<'_>, request: &Outstanding) {
    for buffer in &request.buffers {
        guard.forbid(&(buffer.address..buffer.address + u64::from(buffer.bytes)));
    }
    guard.free(request.address, request.bytes);
}

impl Traffic for DiskTraffic {
    fn probe(&mut self, guard: &mut Guard<'_>, bus: &mut Bus, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let mut options = Options { scatter: rng.random_bool(0.5).then(|| rng.random()), ..Options::default() };
        super::vary(
            &mut options.policies,
            &mut options.features,
            &[FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC],
            rng,
        );
        let blk = Blk::probe(guard, bus, SLOT, &options)?;
        self.status_bytes = blk.status_bytes();
        for status in &self.status_bytes {
            guard.allow(status.clone());
        }
        self.blk = Some(blk);
        Ok(())
    }

    fn transport(&self) -> Option<&VirtioPci> {
        self.blk.as_ref().map(Blk::transport)
    }

    fn submit(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        for _ in 0..rng.random_range(1..=8) {
            let room = self.blk.as_ref().is_some_and(|blk| blk.free_descriptors() > MOST_BUFFERS as usize + 2);
            if !room || self.outstanding.len() >= DEPTH {
                break;
            }
            self.submit_one(guard, rng)?;
        }
        if let Some(blk) = &mut self.blk {
            blk.kick(guard)?;
        }
        Ok(())
    }

    fn collect(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        let Some(blk) = &mut self.blk else { return Ok(()) };
        for ended in blk.poll(guard)? {
            self.end(guard, &ended)?;
        }
        Ok(())
    }

    fn interrupt(&mut self, guard: &mut Guard<'_>, deadline: u64) -> Result<bool, ScenarioError> {
        let Some(blk) = &self.blk else { return Ok(false) };
        super::interrupt(guard, deadline, |guard, interrupt| blk.interrupt(guard, interrupt))
    }

    fn settle(&mut self, guard: &mut Guard<'_>) -> Result<Settled, ScenarioError> {
        let deadline = guard.now() + PATIENCE;
        loop {
            self.collect(guard)?;
            if self.outstanding.is_empty() {
                return Ok(Settled::Done);
            }
            if self.interrupt(guard, deadline)? {
                continue;
            }
            let Some(blk) = &self.blk else { return Ok(Settled::Done) };
            let what = format!("{} requests do not end", self.outstanding.len());
            // a queue that a failed read has stopped raises no more interrupts
            return match blk.has_used(guard.memory()) {
                Ok(true) if !self.faults => Err(self.differ("an interrupt that is due does not come".into())),
                _ => Ok(Settled::Stalled(what)),
            };
        }
    }

    fn remove(&mut self, guard: &mut Guard<'_>, bus: &mut Bus) -> Result<(), ScenarioError> {
        if let Some(blk) = self.blk.take() {
            blk.remove(guard, bus)?;
        }
        for status in std::mem::take(&mut self.status_bytes) {
            guard.forbid(&status);
        }
        self.give_up(guard, true);
        Ok(())
    }

    fn forget(&mut self, guard: &mut Guard<'_>) {
        self.blk = None;
        self.give_up(guard, false);
    }

    fn next_change(&mut self) -> Change {
        self.grown = !self.grown;
        let sectors = self.capacity << u32::from(self.grown);
        Box::new(move |machine| {
            if let Some((port, endpoint)) = machine.side_and_endpoint::<DiskPort>() {
                port.ports()?.show(endpoint, sectors, false);
            }
            Ok(())
        })
    }

    fn expect_faults(&mut self) {
        self.faults = true;
    }

    fn ended(&self) -> (u64, u64) {
        (self.ended, self.given_up)
    }
}
