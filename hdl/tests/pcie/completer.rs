//! The completer.
use crate::bar_decode::{bar_hit, Shape, State};
use crate::byte_mask;
use rust_hdl::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use virtio_hdl_rtl::pcie::register_bus::RegisterMaster;
use virtio_hdl_rtl::pcie::Completer;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::types::{Request, RequestKind, TransmitBeat, TransmitKind};

const READS: [RequestKind; 3] = [RequestKind::ConfigRead, RequestKind::IoRead, RequestKind::MemoryRead];
const WRITES: [RequestKind; 3] = [RequestKind::ConfigWrite, RequestKind::IoWrite, RequestKind::MemoryWrite];

/// One access on a register bus.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Access {
    /// 0 config, 1 BAR0, 2 BAR1.
    bus: usize,
    write: bool,
    address: u64,
    enable: u64,
    /// Of a write.
    data: u64,
    /// Of a config access.
    target: u64,
}

/// What a register block reads there.
fn contents(bus: usize, address: u64) -> u64 {
    (address + 0x1000 * bus as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The register blocks behind the three buses: each answers after a while.
#[derive(Default)]
struct Slaves {
    wait: [u64; 3],
    done: [bool; 3],
    read: [u64; 3],
    accesses: Vec<Access>,
}

impl Slaves {
    fn drive(&self, uut: &mut Completer) {
        for (n, bus) in [&mut uut.config_bus, &mut uut.bar0_bus, &mut uut.bar1_bus].into_iter().enumerate() {
            bus.done.next = self.done[n];
            bus.read_data.next = self.read[n].into();
        }
    }

    fn step(&mut self, uut: &Completer, pause: u64) {
        let buses: [&RegisterMaster; 3] = [&uut.config_bus, &uut.bar0_bus, &uut.bar1_bus];
        assert!(buses.iter().filter(|bus| bus.valid.val()).count() <= 1, "two buses at once");
        for (n, bus) in buses.into_iter().enumerate() {
            assert!(!self.done[n] || bus.valid.val(), "valid fell before done");
            if !bus.valid.val() || self.done[n] {
                self.done[n] = false;
                self.wait[n] = pause;
                self.read[n] = 0xdead_beef;
                continue;
            }
            if self.wait[n] > 0 {
                self.wait[n] -= 1;
                continue;
            }
            self.done[n] = true;
            let address = bus.address.val().to_u64();
            self.read[n] = contents(n, address);
            self.accesses.push(Access {
                bus: n,
                write: bus.write.val(),
                address,
                enable: bus.enable.val().to_u64(),
                data: if bus.write.val() { bus.write_data.val().to_u64() } else { 0 },
                target: if n == 0 { uut.target.val().to_u64() } else { 0 },
            });
        }
    }
}

/// Pulses: unsupported, unsupported posted, aborted, dropped, poisoned.
type Counts = [usize; 5];

/// What a request must lead to: accesses, the completion, and what is counted.
fn expect(request: &Request, state: &State, shape: &Shape) -> (Vec<Access>, Option<TransmitBeat>, Counts) {
    let write = WRITES.contains(&request.kind);
    let read = READS.contains(&request.kind);
    let posted = request.kind == RequestKind::MemoryWrite;
    let config = matches!(request.kind, RequestKind::ConfigRead | RequestKind::ConfigWrite);
    let (address, length) = (request.address.to_u64(), request.length.to_u64());
    let (first, last) = (request.first_be.to_u64(), request.last_be.to_u64());

    let bus = if config {
        (address >> 16 & 7 == 0).then_some(0)
    } else {
        let hit = if state.d3hot { 0 } else { bar_hit(request, state, shape) };
        [1, 2].into_iter().find(|bus| hit >> (bus - 1) & 1 == 1)
    };

    let mut counts = Counts::default();
    let mut accesses = vec![];
    // completion status and data
    let mut answer = (0, vec![]);
    match bus {
        _ if write && request.poisoned => {
            counts[4] += 1;
            counts[0] += usize::from(!posted);
            answer.0 = 1;
        }
        None => {
            counts[if posted { 1 } else { 0 }] += 1;
            answer.0 = 1;
        }
        Some(_) if length > if write { 2 } else { 4 } => {
            counts[if write { 3 } else { 2 }] += 1;
            answer.0 = 4;
        }
        Some(bus) if first == 0 && bus != 0 => answer.1 = vec![0],
        Some(bus) => {
            let size = [0x1000, shape.bar0_size, shape.bar1_size][bus].min(0x1000);
            for n in 0..length {
                let at = address % size + 4 * n;
                accesses.push(Access {
                    bus,
                    write,
                    address: at,
                    enable: match n {
                        0 => first,
                        n if n + 1 == length => last,
                        _ => 15,
                    },
                    data: if write { request.data.to_u64() >> (32 * n) & 0xffff_ffff } else { 0 },
                    target: if bus == 0 { address >> 16 & 0xffff } else { 0 },
                });
                answer.1.push(contents(bus, at));
            }
        }
    }
    if posted {
        return (accesses, None, counts);
    }
    let (status, data) = answer;
    let has_data = read && status == 0;
    // bytes between the first and the last enabled one, as one long mask
    let enabled: u32 = if length == 1 { byte_mask(first as u32) } else { 0 };
    let (bytes, start) = match request.kind {
        RequestKind::MemoryRead if length == 1 && first == 0 => (1, 0),
        RequestKind::MemoryRead if length == 1 => {
            (4 - u64::from(enabled.leading_zeros() + enabled.trailing_zeros()) / 8, u64::from(first.trailing_zeros()))
        }
        RequestKind::MemoryRead => {
            let (head, tail) = (u64::from(first.trailing_zeros()), u64::from((last << 60).leading_zeros()));
            (4 * length - head - tail, head)
        }
        _ => (4, 0),
    };
    let low = if request.kind == RequestKind::MemoryRead { address & 0x7c | start } else { 0 };
    let payload: u128 = data.iter().enumerate().map(|(n, &dword)| u128::from(dword) << (32 * n)).sum();
    let completion = TransmitBeat {
        data: if has_data { payload.to_bits() } else { 0.into() },
        last: true,
        kind: if has_data { TransmitKind::CompletionData } else { TransmitKind::Completion },
        length: if has_data { length.into() } else { 0.into() },
        tag: request.tag,
        requester_id: request.requester_id,
        status: status.into(),
        byte_count: (bytes & 0xfff).into(),
        lower_address: low.into(),
        attributes: request.attributes,
        traffic_class: request.traffic_class,
        ..Default::default()
    };
    (accesses, Some(completion), counts)
}

/// Lanes beyond the length may hold anything.
fn payload_only(mut completion: TransmitBeat) -> TransmitBeat {
    let lanes = completion.length.to_u64();
    completion.data =
        (completion.data.to_u128() & u128::MAX.checked_shr(128 - 32 * lanes as u32).unwrap_or(0)).to_bits();
    completion
}

/// A request that the unpacker may let through, most of them near the BARs.
fn any(rng: &mut Rng, state: &State, shape: &Shape) -> Request {
    let mut request: Request = virtio_hdl_rtl::testing::Port::random(rng);
    let memory = |request: &Request| matches!(request.kind, RequestKind::MemoryRead | RequestKind::MemoryWrite);
    let length = if memory(&request) { [1, 1, 2, 2, 3, 4, 5, 64, 1024][rng.below(9) as usize] } else { 1 };
    request.length = length.into();
    request.poisoned = rng.chance(1, 12);
    let mut address = match rng.below(8) {
        0..=2 => state.bar0 + 4 * rng.below(shape.bar0_size / 4),
        3..=5 => state.bar1 + 4 * rng.below(1024),
        6 => [state.bar0, state.bar1][rng.below(2) as usize].wrapping_add(shape.bar0_size),
        _ => rng.next() & 0xffff_fffc,
    };
    if matches!(request.kind, RequestKind::ConfigRead | RequestKind::ConfigWrite) {
        address = (rng.below(1 << 16) << 16) + 4 * rng.below(1024);
        if rng.chance(3, 4) {
            address &= !(7 << 16);
        }
    } else if rng.chance(1, 12) && memory(&request) {
        address |= 1 << (32 + rng.below(32));
    }
    // no crossing of 4 KiB
    address -= 4 * (address / 4 % 1024 + length).saturating_sub(1024);
    request.address = address.into();
    match length {
        1 => {
            request.first_be = [15, 0, rng.below(16), rng.below(16)][rng.below(4) as usize].into();
            request.last_be = 0.into();
        }
        // two double words from a multiple of 8 may have gaps
        2 if address % 8 == 0 && rng.chance(1, 3) => {
            request.first_be = (1 + rng.below(15)).into();
            request.last_be = (1 + rng.below(15)).into();
        }
        _ => {
            request.first_be = [15, 14, 12, 8][rng.below(4) as usize].into();
            request.last_be = [15, 7, 3, 1][rng.below(4) as usize].into();
        }
    }
    request
}

struct Harness {
    bench: Bench<Completer>,
    shape: Shape,
    state: State,
    hold: bool,
    waiting: VecDeque<Request>,
    slaves: Slaves,
    completions: Vec<TransmitBeat>,
    counts: Counts,
    /// Chances in 8 of a completion taken; cycles a register block takes at most.
    pace: (u64, u64),
}

impl Harness {
    fn new(name: &str, shape: Shape) -> Self {
        let uut = Completer::new(shape.bar0_size as u32, shape.bar1_size as u32);
        let mut bench = Bench::new(name, uut, |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        Self {
            bench,
            shape,
            state: State { io_enable: true, memory_enable: true, d3hot: false, bar0: 0xc040, bar1: 0xfebf_1000 },
            hold: false,
            waiting: VecDeque::new(),
            slaves: Slaves::default(),
            completions: vec![],
            counts: Counts::default(),
            pace: (8, 0),
        }
    }

    fn cycle(&mut self) {
        let Self { bench, shape, state, hold, waiting, slaves, completions, counts, pace } = self;
        let slaves = RefCell::new(slaves);
        let mut moved = false;
        let pause = bench.rng.below(pace.1 + 1);
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                uut.d3hot.next = state.d3hot;
                uut.hold.next = *hold;
                uut.request.valid.next = !waiting.is_empty();
                let request = waiting.front().copied().unwrap_or_default();
                uut.request.data.next = Request { bar_hit: bar_hit(&request, state, shape).into(), ..request };
                uut.completion.ready.next = rng.chance(pace.0, 8);
                slaves.borrow().drive(uut);
            },
            |uut| {
                slaves.borrow_mut().step(uut, pause);
                moved = uut.request.valid.val() && uut.request.ready.val();
                if uut.completion.valid.val() && uut.completion.ready.val() {
                    completions.push(payload_only(uut.completion.data.val()));
                }
                let pulses = [&uut.unsupported, &uut.unsupported_posted, &uut.aborted, &uut.dropped, &uut.poisoned];
                counts.iter_mut().zip(pulses).for_each(|(count, pulse)| *count += usize::from(pulse.val()));
            },
        );
        if moved {
            waiting.pop_front();
        }
    }

    fn drain(&mut self) {
        while !self.waiting.is_empty() || self.bench.uut.busy.val() {
            self.cycle();
        }
        self.cycle();
        self.cycle();
    }

    /// Sends the requests, and compares all that comes of them with what must.
    fn check(&mut self, requests: &[Request]) {
        let mut want = (vec![], vec![], self.counts);
        for request in requests {
            let (accesses, completion, counts) = expect(request, &self.state, &self.shape);
            want.0.extend(accesses);
            want.1.extend(completion);
            want.2.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        self.slaves.accesses.clear();
        self.completions.clear();
        self.waiting.extend(requests);
        self.drain();
        let context = || format!("{:?} {requests:x?}", self.state);
        assert_eq!(self.slaves.accesses, want.0, "accesses: {}", context());
        assert_eq!(self.completions, want.1, "completions: {}", context());
        assert_eq!(self.counts, want.2, "counts: {}", context());
    }
}

fn random(name: &str, shape: Shape) {
    let mut harness = Harness::new(name, shape);
    let mut rng = Rng(9);
    for _ in 0..600 {
        let bar1_unit = shape.bar1_size.max(4096);
        harness.state = State {
            io_enable: rng.chance(3, 4),
            memory_enable: rng.chance(3, 4),
            d3hot: rng.chance(1, 8),
            bar0: rng.below(0x1_0000_0000 / shape.bar0_size) * shape.bar0_size,
            bar1: rng.below(0x1_0000_0000 / bar1_unit) * shape.bar1_size,
        };
        harness.pace = [(8, 0), (2, 0), (8, 3)][rng.below(3) as usize];
        let requests: Vec<_> = (0..4).map(|_| any(&mut rng, &harness.state, &shape)).collect();
        harness.check(&requests);
    }
    // long requests reach memory space only
    let seen = harness.counts.iter().filter(|&&count| count > 10).count();
    assert!(seen >= if shape.bar1_size > 0 { 5 } else { 3 }, "{:?}", harness.counts);
    harness.bench.finish();
}

/// Any request to any place in any state: the right accesses, completion, status, byte count, lower address.
#[test]
fn every_request_is_executed_and_answered_as_specified() {
    random("pcie_completer_io", Shape { bar0_is_io: true, bar0_size: 64, bar1_size: 4096 });
}

#[test]
fn every_request_is_executed_and_answered_with_bar0_in_memory_space() {
    random("pcie_completer_memory", Shape { bar0_is_io: false, bar0_size: 128, bar1_size: 4096 });
}

#[test]
fn every_request_is_executed_and_answered_without_bar1() {
    random("pcie_completer_no_bar1", Shape { bar0_is_io: true, bar0_size: 32, bar1_size: 0 });
}

fn io(kind: RequestKind, offset: u64, first_be: u64) -> Request {
    Request {
        kind,
        length: 1.into(),
        first_be: first_be.into(),
        address: (0xc040 + offset).into(),
        data: 0x1234_5678.into(),
        ..Default::default()
    }
}

/// While packets of before a reset still leave nothing is answered, whoever is asked; all goes on afterwards, once.
#[test]
fn no_request_is_answered_while_packets_of_before_a_reset_leave() {
    let mut harness = Harness::new("pcie_completer_hold", Shape { bar0_is_io: true, bar0_size: 64, bar1_size: 4096 });
    let status = io(RequestKind::IoRead, 0x10, 4);
    let nowhere = Request { bar_hit: 0.into(), ..status };
    let config = Request { kind: RequestKind::ConfigRead, length: 1.into(), first_be: 15.into(), ..Default::default() };
    let vector = Request {
        kind: RequestKind::MemoryRead,
        length: 1.into(),
        first_be: 15.into(),
        address: 0x20.into(),
        bar_hit: 2.into(),
        ..Default::default()
    };
    for first in [config, vector, status, nowhere] {
        let (answered, accessed) = (harness.completions.len(), harness.slaves.accesses.len());
        harness.hold = true;
        harness.waiting.extend([first, status, config]);
        (0..40).for_each(|_| harness.cycle());
        assert_eq!((harness.completions.len(), harness.slaves.accesses.len()), (answered, accessed));
        harness.hold = false;
        harness.drain();
        assert_eq!(harness.completions.len(), answered + 3);
    }
    assert_eq!(harness.slaves.accesses.len(), 11, "each but the one to nowhere is carried out once");
    harness.bench.finish();
}

/// A read without byte enables has no side effect: the ISR is not cleared.
#[test]
fn a_read_of_no_bytes_touches_no_register() {
    let mut harness = Harness::new("pcie_completer_flush", Shape { bar0_is_io: true, bar0_size: 64, bar1_size: 4096 });
    harness.check(&[io(RequestKind::IoRead, 0x10, 0), io(RequestKind::IoWrite, 0x10, 0)]);
    assert_eq!((harness.slaves.accesses.len(), harness.completions.len()), (0, 2));
    assert_eq!(harness.completions[0].kind, TransmitKind::CompletionData);
    harness.bench.finish();
}

/// From the request to the completion with a register block that answers at once.
#[test]
fn a_register_read_is_answered_in_the_fifth_cycle() {
    let mut harness =
        Harness::new("pcie_completer_latency", Shape { bar0_is_io: true, bar0_size: 64, bar1_size: 4096 });
    harness.waiting.push_back(io(RequestKind::IoRead, 0, 15));
    let mut cycles = 0;
    while harness.completions.is_empty() {
        harness.cycle();
        cycles += 1;
    }
    // decoded, decided, two of the bus, answered
    assert_eq!(cycles, 5);
    harness.bench.finish();
}
