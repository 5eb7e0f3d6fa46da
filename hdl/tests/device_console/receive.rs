//! Bytes to chains: what is taken comes into the chains once and in order.
use std::collections::VecDeque;
use virtio_hdl_rtl::device::console::receive::Receive;
use virtio_hdl_rtl::device::console::types::ConsoleByte;
use virtio_hdl_rtl::testing::{moved, narrow, Bench, Feed, Rng};
use virtio_hdl_rtl::virtio::types::*;

/// Most bytes that a chain gets.
const BURST: u64 = 256;
/// Cycles without a byte that end a chain.
const QUIET: u64 = 8;

struct World {
    bench: Bench<Receive>,
    chains: Feed<Chain>,
    bytes: Feed<ConsoleByte>,
    next_byte: u8,
    expected: VecDeque<(u64, bool, u64)>,
    /// Taken from the other side and not written into a chain.
    taken: VecDeque<u8>,
    /// Bytes still to come of each chain whose command has been given.
    left: VecDeque<u64>,
    /// Bytes of the chains that were given back.
    bursts: Vec<u64>,
    empty: usize,
    broken: usize,
    /// In how many of 4 cycles the scatterer takes something.
    patient: u64,
}

impl World {
    fn new(name: &str, eager: u64) -> Self {
        let mut bench = Bench::new(name, Receive::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            chains: Feed::new(3),
            bytes: Feed::new(eager),
            next_byte: 0,
            expected: VecDeque::new(),
            taken: VecDeque::new(),
            left: VecDeque::new(),
            bursts: vec![],
            empty: 0,
            broken: 0,
            patient: 3,
        }
    }

    fn offer(&mut self, writable: u64, broken: bool) {
        let head = self.bench.rng.below(1 << 16);
        let writable_length = writable.into();
        self.chains.values.push_back(Chain {
            head: head.into(),
            readable_length: 0.into(),
            writable_length,
            error: broken,
        });
        self.expected.push_back((head, broken, writable));
    }

    fn type_in(&mut self, count: u64) {
        for _ in 0..count {
            self.bytes.values.push_back(ConsoleByte { data: u64::from(self.next_byte).into() });
            self.next_byte = self.next_byte.wrapping_add(1);
        }
    }

    fn cycle(&mut self, stop: bool, reset: bool) {
        let bench = &mut self.bench;
        bench.uut.stop.next = stop;
        bench.uut.reset.next = reset;
        self.chains.drive(&mut bench.uut.chain, &mut bench.rng);
        self.bytes.drive(&mut bench.uut.byte_in, &mut bench.rng);
        bench.uut.command.ready.next = bench.rng.chance(self.patient, 4);
        bench.uut.writable.ready.next = bench.rng.chance(self.patient, 4);
        bench.low();
        if stop {
            let quiet = !bench.uut.command.valid.val() && !bench.uut.byte_in.ready.val();
            assert!(quiet, "something begins during a drain");
        }
        if let Some(byte) = self.bytes.take(&bench.uut.byte_in) {
            self.taken.push_back(byte.data.to_u64() as u8);
        }
        if let Some(beat) = moved(&bench.uut.writable) {
            let count = beat.count.to_u64();
            let left = self.left.front_mut().expect("a chain that gets bytes");
            assert_eq!((count, beat.last, beat.error), ((*left).min(16), *left <= 16, false));
            *left -= count;
            if beat.last {
                self.left.pop_front();
            }
            let written: Vec<u8> = self.taken.drain(..count as usize).collect();
            assert_eq!(narrow(beat.data, count as usize), written);
        }
        let mut empty = false;
        if let Some(command) = moved(&bench.uut.command) {
            let (head, broken, writable) = self.expected.pop_front().expect("a chain that there is");
            // the last beat of the chain before may still be on its way
            let left: u64 = self.left.iter().sum();
            assert!(left <= 16, "{left} bytes of the chain before");
            assert_eq!((command.head.to_u64(), command.drop, command.skip.to_u64()), (head, broken, 0));
            let length = command.length.to_u64();
            assert_eq!(length, command.used_length.to_u64());
            assert_eq!(length, self.taken.len() as u64 - left, "the chain gets what was taken for it");
            assert!(length <= writable.min(BURST) && (length > 0 || broken || writable == 0), "{length} of {writable}");
            assert!(!broken || length == 0);
            self.left.extend((length > 0).then_some(length));
            empty = !broken && length == 0;
            self.broken += usize::from(broken);
            if length > 0 {
                self.bursts.push(length);
            }
        }
        self.chains.take(&bench.uut.chain);
        bench.edge();
        // told one cycle later
        self.empty += usize::from(empty);
        if reset {
            self.chains = Feed::new(3);
            self.expected.clear();
            self.taken.clear();
            self.left.clear();
        }
    }
}

/// Writable bytes of a chain.
fn writable(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => 0,
        1 => BURST - 1 + rng.below(3),
        2 => 16 * rng.below(20),
        3 => u64::from(u32::MAX) - rng.below(20),
        _ => 1 + rng.below(40),
    }
}

#[test]
fn every_byte_comes_into_a_chain_once_and_in_order() {
    for (eager, patient) in [(4, 4), (2, 3), (1, 2)] {
        let mut world = World::new(&format!("console_receive_{eager}_{patient}"), eager);
        world.patient = patient;
        let (mut empty, mut cycles) = (0, 0);
        while cycles < 20_000 || !world.bytes.values.is_empty() || !world.taken.is_empty() {
            if world.expected.len() < 3 && world.bench.rng.chance(1, 10) {
                let (writable, broken) = (writable(&mut world.bench.rng), world.bench.rng.chance(1, 10));
                world.offer(writable, broken);
            }
            if cycles < 20_000 && world.bytes.values.len() < 400 && world.bench.rng.chance(1, 30) {
                let count = 1 + world.bench.rng.below(60);
                world.type_in(count);
            }
            world.cycle(false, false);
            empty += usize::from(world.bench.uut.empty.val());
            cycles += 1;
            assert!(cycles < 60_000, "bytes do not arrive");
        }
        assert!(empty.abs_diff(world.empty) <= 1 && empty > 5, "{empty} of {} empty chains are told", world.empty);
        assert!(world.bursts.len() > 50 && world.broken > 3, "{} chains", world.bursts.len());
        world.bench.finish();
    }
}

#[test]
fn what_comes_in_a_stream_fills_chains_and_a_single_byte_does_not_wait() {
    let mut world = World::new("console_receive_bursts", 4);
    world.patient = 4;
    for _ in 0..20 {
        world.offer(4096, false);
    }
    world.type_in(1000);
    (0..1200).for_each(|_| world.cycle(false, false));
    assert_eq!(world.bursts, [256, 256, 256, 232]);
    for _ in 0..5 {
        let before = world.bursts.len();
        world.type_in(1);
        let begin = world.bench.cycles;
        while world.bursts.len() == before {
            world.cycle(false, false);
            let waits = world.bench.cycles - begin;
            assert!(waits <= QUIET + 4, "a byte waits for {waits} cycles");
        }
    }
    // a hiccup ends no chain
    let before = world.bursts.len();
    for _ in 0..10 {
        world.type_in(3);
        (0..3 + QUIET - 2).for_each(|_| world.cycle(false, false));
    }
    (0..20).for_each(|_| world.cycle(false, false));
    assert_eq!(world.bursts[before..], [30]);
    world.bench.finish();
}

#[test]
fn without_a_chain_no_byte_is_taken() {
    let mut world = World::new("console_receive_waits", 4);
    world.type_in(10);
    (0..100).for_each(|_| world.cycle(false, false));
    assert_eq!((world.bytes.values.len(), world.bench.uut.idle.val()), (10, true));
    world.bench.finish();
}

/// What was taken for the chain at hand is lost with it, and no more.
#[test]
fn a_reset_at_any_time_takes_the_chain_at_hand_away() {
    let mut world = World::new("console_receive_reset", 3);
    let (mut amid, mut most) = (0, 0);
    for _ in 0..300 {
        let cycles = 20 + world.bench.rng.below(100);
        for _ in 0..cycles {
            if world.expected.len() < 3 && world.bench.rng.chance(1, 8) {
                let writable = writable(&mut world.bench.rng);
                world.offer(writable, false);
            }
            if world.bytes.values.len() < 100 && world.bench.rng.chance(1, 10) {
                let count = 1 + world.bench.rng.below(20);
                world.type_in(count);
            }
            world.cycle(false, false);
        }
        amid += usize::from(!world.taken.is_empty());
        most = most.max(world.taken.len() as u64);
        let drain = 1 + world.bench.rng.below(10);
        (0..drain).for_each(|_| world.cycle(true, false));
        world.cycle(true, true);
    }
    assert!(amid > 50 && most <= BURST && world.bursts.len() > 200, "{amid} {most} {}", world.bursts.len());
    world.bench.finish();
}
