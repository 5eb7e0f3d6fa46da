//! Random requests, compared with a software model of the disk.
use super::ScenarioError;
use crate::host::blk::{Blk, Ended, Operation, Request, Status, Ticket};
use crate::host::ring::{Buffer, Shape};
use crate::host::Platform;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use virtio_hdl_rtl::virtio::layout::blk::*;
use virtio_hdl_rtl::virtio::layout::FEATURE_RING_INDIRECT_DESC;
use vm_memory::{Bytes, GuestAddress};

/// Cycles after which a request has been lost.
const PATIENCE: u64 = 20_000_000;
/// Guest memory of one request: its buffers and the gaps between them, which must stay as they are.
const REGION_BYTES: u64 = 64 << 10;
/// Longest request in sectors.
const MOST_SECTORS: u64 = 64;
/// Most descriptors of a chain, those of header and status included, and no more than the queue has.
const MOST_DESCRIPTORS: usize = 64;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests.
    pub requests: u64,
    /// Most requests outstanding.
    pub depth: usize,
    /// Chooses everything random.
    pub seed: u64,
    /// What GET_ID must answer.
    pub serial: String,
    /// The disk refuses writes.
    pub read_only: bool,
    /// The device does what QEMU's own disk does not: it takes chains that begin in the queue's table and go on in an
    /// indirect one, does not say of a read that failed that it wrote the data, answers SCSI commands with UNSUPP however
    /// they are cut into descriptors, and carries requests out in their order.
    /// Without it, or with several queues, requests that are outstanding together are for different sectors.
    pub strict: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Requests that ended as they should.
    pub requests: u64,
    /// Bytes read and written.
    pub read_bytes: u64,
    /// Bytes that the driver wrote.
    pub written_bytes: u64,
    /// Requests that were answered with an error, as they should.
    pub refused: u64,
    /// Descriptors of all chains, header and status included.
    pub descriptors: u64,
    /// Chains with an indirect table.
    pub indirect: u64,
    /// Cycles.
    pub cycles: u64,
}

/// What a request must have done when it has ended.
struct Expected {
    number: u64,
    sectors: Range<u64>,
    status: Status,
    written: u32,
    region: u64,
    content: Vec<u8>,
}

struct Run<'a> {
    platform: &'a mut dyn Platform,
    blk: &'a mut Blk,
    options: &'a Options,
    rng: ChaCha8Rng,
    /// What the disk must hold.
    disk: &'a mut [u8],
    regions: Vec<u64>,
    outstanding: BTreeMap<Ticket, Expected>,
    report: Report,
    /// Most descriptors of a chain.
    most_descriptors: usize,
}

/// Does random requests. `disk` is the model of the disk: what it holds before, and what it must hold after.
pub fn run(
    platform: &mut dyn Platform,
    blk: &mut Blk,
    disk: &mut [u8],
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let size = REGION_BYTES * options.depth as u64;
    let memory = platform.allocate(size, 4096).ok_or(ScenarioError::Memory(size))?;
    let start = platform.now();
    let most_descriptors = MOST_DESCRIPTORS.min(blk.queue().size().into());
    let mut run = Run {
        most_descriptors,
        platform,
        blk,
        options,
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        disk,
        regions: (0..options.depth as u64).map(|n| memory + n * REGION_BYTES).collect(),
        outstanding: BTreeMap::new(),
        report: Report::default(),
    };
    let result = run.all(progress);
    let mut report = run.report;
    report.cycles = platform.now() - start;
    platform.free(memory, size);
    result.map(|()| report)
}

impl Run<'_> {
    fn all(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), ScenarioError> {
        let mut submitted = 0;
        while self.report.requests < self.options.requests {
            let burst = self.rng.random_range(1..=self.options.depth);
            for _ in 0..burst {
                let room = self.blk.free_descriptors() >= self.most_descriptors;
                if submitted == self.options.requests || self.regions.is_empty() || !room {
                    break;
                }
                self.submit(submitted)?;
                submitted += 1;
            }
            let deadline = self.platform.now() + PATIENCE;
            for ended in self.blk.wait(self.platform, deadline)? {
                self.check(&ended)?;
            }
            progress(self.report.requests);
        }
        Ok(())
    }

    fn submit(&mut self, number: u64) -> Result<(), ScenarioError> {
        let region = self.regions.pop().ok_or(ScenarioError::Memory(REGION_BYTES))?;
        let capacity = self.disk.len() as u64 / SECTOR_BYTES;
        let sectors = match self.rng.random_range(0..8) {
            0 => self.rng.random_range(1..=MOST_SECTORS),
            _ => self.rng.random_range(1..=8),
        };
        let sector = match self.rng.random_range(0..40) {
            0 => capacity,
            1 => capacity + 1 - sectors.min(capacity),
            2 => self.rng.random_range(capacity..=u64::MAX),
            // a disk smaller than the request refuses it
            _ => self.rng.random_range(0..=capacity.saturating_sub(sectors)),
        };
        let mut bytes = sectors * SECTOR_BYTES;
        let mut operation = match self.rng.random_range(0..100) {
            0..45 => Operation::In,
            45..90 => Operation::Out,
            90..94 => Operation::Flush,
            94..97 => Operation::GetId,
            97 if self.options.strict => Operation::Other(*[2, 3].choose_with(&mut self.rng)),
            97 => Operation::Other(*[6, 7, 10, u32::MAX].choose_with(&mut self.rng)),
            // what old drivers say besides
            _ => Operation::Other(
                *[
                    TYPE_IN | TYPE_BARRIER,
                    TYPE_OUT | TYPE_BARRIER,
                    TYPE_FLUSH | TYPE_OUT,
                    TYPE_FLUSH | TYPE_BARRIER,
                    TYPE_GET_ID | TYPE_OUT,
                    TYPE_GET_ID | TYPE_BARRIER,
                ]
                .choose_with(&mut self.rng),
            ),
        };
        let touched = sector..sector.saturating_add(sectors);
        let apart = |other: &Expected| other.sectors.end <= touched.start || touched.end <= other.sectors.start;
        // requests of one queue are carried out in their order, those of two in any
        let ordered = self.options.strict && self.blk.queues().len() == 1;
        if !ordered && !self.outstanding.values().all(apart) {
            operation = Operation::Flush;
        }
        let meaning = meaning(operation);
        match meaning {
            Operation::Flush => bytes = 0,
            Operation::GetId => bytes = u64::from(ID_BYTES) - self.rng.random_range(0..4).min(3) * 5,
            Operation::In | Operation::Out if self.rng.random_range(0..50) == 0 => {
                bytes -= self.rng.random_range(1..SECTOR_BYTES);
            }
            _ => {}
        }
        let writable = matches!(meaning, Operation::In | Operation::GetId);
        let data = self.place(region, bytes, writable);
        let mut content = vec![0; REGION_BYTES as usize];
        self.rng.fill(&mut content[..]);
        self.platform.memory().write_slice(&content, GuestAddress(region))?;
        let status = self.model(meaning, sector, bytes, &data, region, &mut content);
        let ok_data = status == Status::Ok && writable;
        let written = if ok_data { bytes as u32 + 1 } else { 1 };
        let shape = self.shape(data.len() + 1);
        self.report.descriptors += data.len() as u64 + 2;
        self.report.indirect += u64::from(shape != Shape::Direct);
        let request = Request { operation, sector, data, shape };
        let ticket = self.blk.submit(self.platform, &request)?;
        self.outstanding.insert(ticket, Expected { number, sectors: touched, status, written, region, content });
        Ok(())
    }

    /// Cuts `bytes` into buffers of any size and alignment, with gaps between them.
    fn place(&mut self, region: u64, bytes: u64, writable: bool) -> Vec<Buffer> {
        let mut buffers = Vec::new();
        if bytes == 0 {
            return buffers;
        }
        let most = (self.most_descriptors as u64 - 2).min(bytes);
        let count = match self.rng.random_range(0..4) {
            0 => 1,
            1 => self.rng.random_range(1..=most),
            _ => self.rng.random_range(1..=most.min(4)),
        };
        let mut cuts: Vec<u64> = (1..bytes).collect();
        cuts.partial_shuffle(&mut self.rng, count as usize - 1);
        cuts.truncate(count as usize - 1);
        cuts.extend([0, bytes]);
        cuts.sort_unstable();
        let mut address = region + self.rng.random_range(0..256);
        for cut in cuts.windows(2) {
            buffers.push(Buffer { address, bytes: (cut[1] - cut[0]) as u32, writable });
            address += cut[1] - cut[0] + self.rng.random_range(0..40);
        }
        buffers
    }

    fn shape(&mut self, direct_at_most: usize) -> Shape {
        if !self.blk.has_feature(FEATURE_RING_INDIRECT_DESC) {
            return Shape::Direct;
        }
        match self.rng.random_range(0..4) {
            0 | 1 => Shape::Direct,
            3 if self.options.strict => Shape::Mixed(self.rng.random_range(1..=direct_at_most)),
            _ => Shape::Indirect,
        }
    }

    /// What the disk does: its status, `disk` and the buffers' content afterwards.
    fn model(
        &mut self,
        operation: Operation,
        sector: u64,
        bytes: u64,
        data: &[Buffer],
        region: u64,
        content: &mut [u8],
    ) -> Status {
        let capacity = self.disk.len() as u64 / SECTOR_BYTES;
        let in_range = bytes % SECTOR_BYTES == 0
            && sector <= capacity
            && sector.checked_add(bytes / SECTOR_BYTES).is_some_and(|end| end <= capacity);
        let at = |buffer: &Buffer| {
            let start = (buffer.address - region) as usize;
            start..start + buffer.bytes as usize
        };
        match operation {
            Operation::In | Operation::Out if !in_range => Status::IoError,
            Operation::Out if self.options.read_only => Status::IoError,
            Operation::In | Operation::Out => {
                let mut place = (sector * SECTOR_BYTES) as usize;
                for buffer in data {
                    let end = place + buffer.bytes as usize;
                    if operation == Operation::In {
                        content[at(buffer)].copy_from_slice(&self.disk[place..end]);
                        self.report.read_bytes += u64::from(buffer.bytes);
                    } else {
                        self.disk[place..end].copy_from_slice(&content[at(buffer)]);
                        self.report.written_bytes += u64::from(buffer.bytes);
                    }
                    place = end;
                }
                Status::Ok
            }
            Operation::Flush => Status::Ok,
            Operation::GetId => {
                let mut id = self.options.serial.bytes().chain(std::iter::repeat(0));
                for buffer in data {
                    content[at(buffer)].iter_mut().for_each(|byte| *byte = id.next().unwrap_or(0));
                }
                Status::Ok
            }
            Operation::Other(_) => Status::Unsupported,
        }
    }

    fn check(&mut self, ended: &Ended) -> Result<(), ScenarioError> {
        let seed = self.options.seed;
        let differ = |request, what| Err(ScenarioError::Difference { seed, request, what });
        let Some(expected) = self.outstanding.remove(&ended.ticket) else {
            return differ(ended.ticket.0, "ended, but was not outstanding".into());
        };
        let number = expected.number;
        if ended.status != expected.status {
            return differ(number, format!("ended with {:?}, expected {:?}", ended.status, expected.status));
        }
        let exact = self.options.strict || expected.status == Status::Ok;
        if exact && ended.written != expected.written {
            return differ(number, format!("{} bytes written, expected {}", ended.written, expected.written));
        }
        let mut content = vec![0; REGION_BYTES as usize];
        self.platform.memory().read_slice(&mut content, GuestAddress(expected.region))?;
        // As a whole first: byte by byte this is an eighth of a run.
        if content != expected.content {
            let place = content.iter().zip(&expected.content).position(|(a, b)| a != b).unwrap_or_default();
            let what = format!(
                "guest memory at {:#x} is {:#04x}, expected {:#04x}",
                expected.region + place as u64,
                content[place],
                expected.content[place]
            );
            return differ(number, what);
        }
        self.regions.push(expected.region);
        self.report.refused += u64::from(expected.status != Status::Ok);
        self.report.requests += 1;
        Ok(())
    }
}

/// What a type of a request means: OUT tells writes from reads and is ignored elsewhere, BARRIER is ignored everywhere.
fn meaning(operation: Operation) -> Operation {
    let Operation::Other(code) = operation else { return operation };
    match code & !(TYPE_OUT | TYPE_BARRIER) {
        TYPE_IN if code & TYPE_OUT != 0 => Operation::Out,
        TYPE_IN => Operation::In,
        TYPE_FLUSH => Operation::Flush,
        TYPE_GET_ID => Operation::GetId,
        _ => operation,
    }
}

/// Choice from a list that is known not to be empty.
trait ChooseWith<T> {
    fn choose_with(&self, rng: &mut ChaCha8Rng) -> &T;
}

impl<T, const N: usize> ChooseWith<T> for [T; N] {
    fn choose_with(&self, rng: &mut ChaCha8Rng) -> &T {
        &self[rng.random_range(0..N)]
    }
}
