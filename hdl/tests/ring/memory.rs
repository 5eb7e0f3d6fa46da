//! Host memory and the DMA side of the ring engine, as the engines in `dma` show themselves to their clients.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::Source;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{Bench, Port, Rng};
use virtio_hdl_rtl::virtio::ring::{client, RingEngine};

/// Guest memory from address 0.
pub struct Memory(pub Vec<u8>);

impl Memory {
    pub fn read(&self, address: u64, length: u64) -> &[u8] {
        &self.0[address as usize..(address + length) as usize]
    }
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.0[address as usize..address as usize + bytes.len()].copy_from_slice(bytes);
    }
    pub fn u16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.read(address, 2).try_into().unwrap())
    }
    pub fn u32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.read(address, 4).try_into().unwrap())
    }
    pub fn set_u16(&mut self, address: u64, value: u16) {
        self.write(address, &value.to_le_bytes());
    }
}

/// A word of a RAM.
fn word(bytes: &[u8]) -> Bits<128> {
    num_bigint::BigUint::from_bytes_le(bytes).into()
}

fn line_bytes(value: Bits<128>) -> Vec<u8> {
    let mut all = num_bigint::BigUint::from(value).to_bytes_le();
    all.resize(16, 0);
    all
}

/// The writes of 16 bytes, or fewer, into a client's RAM: of one word or of two.
fn ram_writes(request: &ReadRequest, offset: u64, bytes: &[u8]) -> Vec<RamWrite> {
    let at = request.destination.to_u64() + offset;
    let (first, lane) = (at >> 4, (at & 15) as usize);
    let mut lanes = [[0u8; 16]; 2];
    let mut enable = [0u64; 2];
    for (i, byte) in bytes.iter().enumerate() {
        let (next, lane) = ((lane + i) / 16, (lane + i) % 16);
        lanes[next][lane] = *byte;
        enable[next] |= 1 << lane;
    }
    let write = |next: usize| RamWrite {
        client: request.client,
        word: ((first + next as u64) & 0xfff).into(),
        enable: enable[next].into(),
        data: word(&lanes[next]),
    };
    (0..2).filter(|next| enable[*next] != 0).map(write).collect()
}

/// What is taken from a source in this cycle; `since` follows when it began to be offered.
fn asked<T: Synth>(source: &Source<T>, since: &mut Option<u64>, cycle: u64) -> Option<Asked<T>> {
    if !source.valid.val() {
        *since = None;
        return None;
    }
    let begun = *since.get_or_insert(cycle);
    if !source.ready.val() {
        return None;
    }
    *since = None;
    Some(Asked { since: begun, request: source.data.val() })
}

enum Step {
    Beat(RamWrite),
    Retire(ReadRetire),
}

enum Write {
    Idle,
    Address(WriteRequest),
    Data(WriteRequest),
    Done,
}

/// A read on its way: when its data are due, and whether it is to fail. Reads may pass reads: some find what was there when they were
/// asked for, others what is there when they are answered.
struct Read {
    due: u64,
    request: ReadRequest,
    fails: bool,
    early: Option<Vec<u8>>,
    /// Its data have come already.
    hasty: bool,
}

/// What the engine asked for: the cycle in which it was offered, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Asked<T> {
    pub since: u64,
    pub request: T,
}

/// Which reads: of those that fail, or of others.
pub type Choice = Box<dyn FnMut(&ReadRequest) -> bool>;

/// Serves the engine's reads and writes with random delays.
pub struct Dma {
    reads: VecDeque<Read>,
    steps: VecDeque<Step>,
    write_requests: VecDeque<WriteRequest>,
    write: Write,
    /// Reads of this address fail.
    pub poisoned: Option<u64>,
    /// Chooses other reads that fail, in the order in which they are asked for.
    pub failure: Option<Choice>,
    /// Chooses reads that find what is there when they are asked for, and others what is there when they are answered; half of them
    /// without it.
    pub early: Option<Choice>,
    /// Chooses reads whose data come at once, before those of earlier reads. None of them fails.
    pub hasty: Option<Choice>,
    /// The first read that failed, and the cycle in which it came to its end.
    pub failed: Option<(u64, ReadRequest)>,
    /// All addresses read: (address, length).
    pub read_log: Vec<(u64, u64)>,
    /// All reads and writes asked for.
    pub asked_reads: Vec<Asked<ReadRequest>>,
    pub asked_writes: Vec<Asked<WriteRequest>>,
    /// Since when each source offers what it offers: the three of reads, then that of writes.
    offered: [Option<u64>; 4],
    /// Slots of the available ring that the engine has been given.
    pub slots_read: usize,
    /// Longest time a read takes.
    pub latency: u64,
    /// The descriptors that have been read.
    window_ram: Vec<[u8; 16]>,
    /// The word of it that was read in the cycle before.
    window_word: Option<usize>,
}

impl Dma {
    pub fn new(latency: u64) -> Self {
        Self {
            reads: VecDeque::new(),
            steps: VecDeque::new(),
            write_requests: VecDeque::new(),
            write: Write::Idle,
            poisoned: None,
            failure: None,
            early: None,
            hasty: None,
            failed: None,
            read_log: vec![],
            asked_reads: vec![],
            asked_writes: vec![],
            offered: [None; 4],
            slots_read: 0,
            latency,
            window_ram: vec![[0; 16]; 256],
            window_word: None,
        }
    }

    /// Nothing that was asked for is on its way.
    pub fn idle(&self) -> bool {
        let read = self.reads.is_empty() && self.steps.is_empty();
        read && self.write_requests.is_empty() && matches!(self.write, Write::Idle)
    }

    /// Sets the engine's inputs for one cycle.
    pub fn drive(&mut self, uut: &mut RingEngine, rng: &mut Rng, cycle: u64, memory: &Memory) {
        if self.steps.is_empty() && self.reads.front().is_some_and(|read| read.due <= cycle) {
            let Read { request, fails, early, hasty, .. } = self.reads.pop_front().unwrap();
            let (address, length) = (request.address.to_u64(), request.length.to_u64());
            self.read_log.push((address, length));
            let end = address.saturating_add(length);
            let error = fails || self.poisoned == Some(address) || end > memory.0.len() as u64;
            // of one that fails part of the data may come before that is known, or something else
            let late = || if end > memory.0.len() as u64 { vec![] } else { memory.read(address, length).to_vec() };
            let mut bytes = early.unwrap_or_else(late);
            if error {
                bytes.truncate(rng.below(length + 1) as usize);
                if rng.chance(1, 2) {
                    bytes.iter_mut().for_each(|byte| *byte = rng.next() as u8);
                }
                self.failed.get_or_insert((cycle + bytes.len().div_ceil(16) as u64, request));
            } else if request.client == client::AVAILABLE && [1, 2].contains(&request.slot.to_u64()) {
                self.slots_read += length as usize / 2;
            }
            if hasty {
                bytes.clear();
            }
            for (i, chunk) in bytes.chunks(16).enumerate() {
                self.steps.extend(ram_writes(&request, 16 * i as u64, chunk).into_iter().map(Step::Beat));
            }
            self.steps.push_back(Step::Retire(ReadRetire { client: request.client, slot: request.slot, error }));
        }
        uut.returns.write_valid.next = false;
        uut.returns.retire_valid.next = false;
        match self.steps.pop_front() {
            Some(Step::Beat(beat)) => {
                uut.returns.write_valid.next = true;
                uut.returns.write.next = beat;
                if beat.client == client::WINDOW {
                    // from 256 on a ring of 64
                    let size = if beat.word.get_bit(8) { 64 } else { 256 };
                    let line = &mut self.window_ram[beat.word.index() % size];
                    let data = line_bytes(beat.data);
                    (0..16).filter(|lane| beat.enable.get_bit(*lane)).for_each(|lane| line[lane] = data[lane]);
                }
            }
            Some(Step::Retire(retire)) => {
                uut.returns.retire_valid.next = true;
                uut.returns.retire.next = retire;
            }
            None => {}
        }
        // nothing is promised of a word that was not asked for
        uut.window_read_data.next = match self.window_word.take() {
            Some(index) => word(&self.window_ram[index]),
            None => Port::random(rng),
        };
        uut.available_request.ready.next = rng.chance(3, 4);
        uut.window_request.ready.next = rng.chance(3, 4);
        uut.decision_request.ready.next = rng.chance(3, 4);
        uut.used_request.ready.next = rng.chance(3, 4);
        uut.used_done.next = false;
        if matches!(self.write, Write::Done) {
            uut.used_done.next = true;
            self.write = Write::Idle;
        } else if matches!(self.write, Write::Idle) && rng.chance(1, 3) {
            if let Some(request) = self.write_requests.pop_front() {
                uut.used_read_word.next = (request.source.to_u64() >> 4).into();
                self.write = Write::Address(request);
            }
        }
    }

    /// Takes the engine's outputs of one cycle.
    pub fn observe(&mut self, uut: &RingEngine, rng: &mut Rng, cycle: u64, memory: &mut Memory) {
        self.window_word = uut.window_read_valid.val().then(|| uut.window_read_word.val().index());
        for (i, source) in [&uut.available_request, &uut.window_request, &uut.decision_request].into_iter().enumerate()
        {
            if let Some(asked) = asked(source, &mut self.offered[i], cycle) {
                let due = cycle + 8 + rng.below(self.latency);
                let fails = self.failure.as_mut().is_some_and(|failure| failure(&asked.request));
                let (address, length) = (asked.request.address.to_u64(), asked.request.length.to_u64());
                let in_memory = address.saturating_add(length) <= memory.0.len() as u64;
                let early = self.early.as_mut().map_or_else(|| rng.chance(1, 2), |early| early(&asked.request));
                let early = (in_memory && early).then(|| memory.read(address, length).to_vec());
                let hasty = self.hasty.as_mut().is_some_and(|hasty| hasty(&asked.request));
                if hasty {
                    for (i, chunk) in memory.read(address, length).chunks(16).enumerate() {
                        let beats = ram_writes(&asked.request, 16 * i as u64, chunk);
                        self.steps.extend(beats.into_iter().map(Step::Beat));
                    }
                }
                self.reads.push_back(Read { due, request: asked.request, fails, early, hasty });
                self.asked_reads.push(asked);
            }
        }
        if let Some(asked) = asked(&uut.used_request, &mut self.offered[3], cycle) {
            self.write_requests.push_back(asked.request);
            self.asked_writes.push(asked);
        }
        self.write = match std::mem::replace(&mut self.write, Write::Idle) {
            Write::Address(request) => Write::Data(request),
            Write::Data(mut request) => {
                // 16 bytes a visit: from the word that holds the source
                let (source, length) = (request.source.to_u64(), request.length.to_u64());
                let line = line_bytes(uut.used_read_data.val());
                let lane = (source & 15) as usize;
                let count = length.min(16 - lane as u64);
                memory.write(request.address.to_u64(), &line[lane..lane + count as usize]);
                if count == length {
                    Write::Done
                } else {
                    request.address = (request.address.to_u64() + count).into();
                    request.source = (source + count).into();
                    request.length = (length - count).into();
                    self.write_requests.push_front(request);
                    Write::Idle
                }
            }
            other => other,
        };
    }
}

/// A bench around a ring engine.
pub fn bench(name: &str, queue_size: u16, guesses: bool) -> Bench<RingEngine> {
    Bench::new(name, RingEngine::new(queue_size, guesses), |uut| &mut uut.clock)
}
