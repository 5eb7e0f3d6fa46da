//! Host memory and the DMA side of the ring engine, as the engines in `dma` show themselves to their clients.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::virtio::ring::RingEngine;

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

/// One beat for a client's RAM.
fn ram_write(request: &ReadRequest, offset: u64, bytes: &[u8]) -> RamWrite {
    let at = request.destination.to_u64() + offset;
    let (word, lane) = (at >> 4, (at & 15) as usize);
    let mut data = [0u8; 16];
    let mut enable = [0u64; 2];
    for (i, byte) in bytes.iter().enumerate() {
        data[(lane + i) % 16] = *byte;
        let second = (lane + i) / 16;
        enable[(word as usize + second) % 2] |= 1 << ((lane + i) % 16);
    }
    let index = |bank: u64| (word + u64::from(word % 2 != bank)) >> 1;
    let mut value = num_bigint::BigUint::from_bytes_le(&data);
    value &= (num_bigint::BigUint::from(1u32) << 128) - 1u32;
    RamWrite {
        client: request.client,
        even_index: (index(0) & 0x7ff).into(),
        even_enable: enable[0].into(),
        odd_index: (index(1) & 0x7ff).into(),
        odd_enable: enable[1].into(),
        data: value.into(),
    }
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

/// Serves the engine's reads and writes with random delays.
pub struct Dma {
    reads: VecDeque<(u64, ReadRequest)>,
    steps: VecDeque<Step>,
    write_requests: VecDeque<WriteRequest>,
    write: Write,
    /// Reads of this address fail.
    pub poisoned: Option<u64>,
    /// All addresses read: (address, length).
    pub read_log: Vec<(u64, u64)>,
    /// Longest time a read takes.
    pub latency: u64,
}

impl Dma {
    pub fn new(latency: u64) -> Self {
        Self {
            reads: VecDeque::new(),
            steps: VecDeque::new(),
            write_requests: VecDeque::new(),
            write: Write::Idle,
            poisoned: None,
            read_log: vec![],
            latency,
        }
    }

    /// Sets the engine's inputs for one cycle.
    pub fn drive(&mut self, uut: &mut RingEngine, rng: &mut Rng, cycle: u64, memory: &Memory) {
        if self.steps.is_empty() && self.reads.front().is_some_and(|(due, _)| *due <= cycle) {
            let (_, request) = self.reads.pop_front().unwrap();
            let (address, length) = (request.address.to_u64(), request.length.to_u64());
            self.read_log.push((address, length));
            let error = self.poisoned == Some(address) || address + length > memory.0.len() as u64;
            if !error {
                for (i, chunk) in memory.read(address, length).chunks(16).enumerate() {
                    self.steps.push_back(Step::Beat(ram_write(&request, 16 * i as u64, chunk)));
                }
            }
            self.steps.push_back(Step::Retire(ReadRetire { client: request.client, slot: request.slot, error }));
        }
        uut.write_valid.next = false;
        uut.retire_valid.next = false;
        match self.steps.pop_front() {
            Some(Step::Beat(beat)) => {
                uut.write_valid.next = true;
                uut.write.next = beat;
            }
            Some(Step::Retire(retire)) => {
                uut.retire_valid.next = true;
                uut.retire.next = retire;
            }
            None => {}
        }
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
                let word = request.source.to_u64() >> 4;
                uut.read_even_index.next = ((word + 1) >> 1).into();
                uut.read_odd_index.next = (word >> 1).into();
                self.write = Write::Address(request);
            }
        }
    }

    /// Takes the engine's outputs of one cycle.
    pub fn observe(&mut self, uut: &RingEngine, rng: &mut Rng, cycle: u64, memory: &mut Memory) {
        for source in [&uut.available_request, &uut.window_request, &uut.decision_request] {
            if source.valid.val() && source.ready.val() {
                let due = cycle + 8 + rng.below(self.latency);
                self.reads.push_back((due, source.data.val()));
            }
        }
        if uut.used_request.valid.val() && uut.used_request.ready.val() {
            self.write_requests.push_back(uut.used_request.data.val());
        }
        self.write = match std::mem::replace(&mut self.write, Write::Idle) {
            Write::Address(request) => Write::Data(request),
            Write::Data(mut request) => {
                // 16 bytes a visit: from the word that holds the source
                let (source, length) = (request.source.to_u64(), request.length.to_u64());
                let bytes = |value: Bits<128>| {
                    let mut all = num_bigint::BigUint::from(value).to_bytes_le();
                    all.resize(16, 0);
                    all
                };
                let word = source >> 4;
                let (even, odd) = (bytes(uut.read_even_data.val()), bytes(uut.read_odd_data.val()));
                let line = if word % 2 == 0 { even } else { odd };
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
pub fn bench(name: &str, queue_size: u16) -> Bench<RingEngine> {
    Bench::new(name, RingEngine::new(0, 0, queue_size), |uut| &mut uut.clock)
}
