//! Chains to bytes: each byte of a chain that is given back is printed once and in order, and emergency bytes come between them.
use std::collections::VecDeque;
use virtio_hdl_rtl::device::console::transmit::Transmit;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, wide, Bench, Feed};
use virtio_hdl_rtl::virtio::types::*;

/// An emergency byte has this bit set, one of a chain has not.
const EMERGENCY: u8 = 0x80;
/// Cycles until an emergency byte is offered at the latest, while the other side takes a byte in every cycle: those in front of it in the
/// FIFO, and the registers on the way.
const SOON: u64 = 20;

/// A chain that is under way.
struct Expected {
    head: u64,
    broken: bool,
    /// Of bytes that are printed.
    printed: usize,
    fails: bool,
}

struct World {
    bench: Bench<Transmit>,
    chains: Feed<Chain>,
    beats: Feed<ByteBeat>,
    expected: VecDeque<Expected>,
    /// Bytes to print, and whether a reset has come between.
    bytes: VecDeque<(u8, bool)>,
    next_byte: u8,
    emergencies: VecDeque<(u8, u64)>,
    next_emergency: u8,
    /// Of 8 cycles: in how many the other side takes a byte.
    taking: u64,
    /// In how many of 1000 cycles one comes.
    emergency_rate: u64,
    printed: usize,
    urgent: usize,
    lost: usize,
    failed: usize,
    given_back: usize,
    broken: usize,
}

impl World {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, Transmit::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            chains: Feed::new(3),
            beats: Feed::new(3),
            expected: VecDeque::new(),
            bytes: VecDeque::new(),
            next_byte: 0,
            emergencies: VecDeque::new(),
            next_emergency: 0,
            taking: 6,
            emergency_rate: 0,
            printed: 0,
            urgent: 0,
            lost: 0,
            failed: 0,
            given_back: 0,
            broken: 0,
        }
    }

    /// A chain of up to 40 bytes: with two more of them and the FIFO, fewer than the bytes that can be told apart.
    fn offer(&mut self) {
        let rng = &mut self.bench.rng;
        let length = [0, 1, 15, 16, 17, 32, rng.below(41)][rng.below(7) as usize] as usize;
        let (head, broken) = (rng.below(1 << 16), rng.chance(1, 10));
        let beats = length.div_ceil(16).max(1);
        // from this beat on nothing could be read
        let fails = (rng.chance(1, 8) && length > 0).then(|| rng.below(beats as u64) as usize);
        let mut printed = 0;
        for beat in 0..beats {
            let count = (length - 16 * beat).min(16);
            let error = broken && beat + 1 == beats || fails.is_some_and(|fails| beat >= fails);
            let bytes: Vec<u8> = (0..count as u8).map(|n| self.next_byte.wrapping_add(n) & !EMERGENCY).collect();
            if !error && !broken {
                self.next_byte = self.next_byte.wrapping_add(count as u8) & !EMERGENCY;
                self.bytes.extend(bytes.iter().map(|byte| (*byte, false)));
                printed += count;
            }
            let last = beat + 1 == beats;
            self.beats.values.push_back(ByteBeat { data: wide(&bytes), count: (count as u64).into(), last, error });
        }
        self.chains.values.push_back(Chain {
            head: head.into(),
            readable_length: (length as u64).into(),
            // of no use to a console
            writable_length: rng.below(100).into(),
            error: broken,
        });
        self.expected.push_back(Expected { head, broken, printed, fails: fails.is_some() && !broken });
    }

    fn cycle(&mut self, stop: bool, clear: bool) {
        let bench = &mut self.bench;
        bench.uut.stop.next = stop;
        bench.uut.clear.next = clear;
        self.chains.drive(&mut bench.uut.chain, &mut bench.rng);
        self.beats.drive(&mut bench.uut.readable, &mut bench.rng);
        bench.uut.command.ready.next = bench.rng.chance(2, 3);
        bench.uut.byte_out.ready.next = bench.rng.chance(self.taking, 8);
        let emergency = bench.rng.chance(self.emergency_rate, 1000);
        bench.uut.emergency_valid.next = emergency;
        bench.uut.emergency.next = u64::from(self.next_emergency | EMERGENCY).into();
        if emergency {
            self.emergencies.push_back((self.next_emergency | EMERGENCY, bench.cycles));
            self.next_emergency = (self.next_emergency + 1) & !EMERGENCY;
        }
        bench.low();
        assert!(!(stop && bench.uut.command.valid.val()), "a chain is given back during a drain");
        if let Some(byte) = moved(&bench.uut.byte_out) {
            self.print(byte.data.to_u64() as u8);
        }
        let bench = &mut self.bench;
        if let Some(command) = moved(&bench.uut.command) {
            let chain = self.expected.pop_front().expect("a chain that there is");
            assert_eq!((command.head.to_u64(), command.drop), (chain.head, chain.broken));
            assert_eq!((command.length.to_u64(), command.used_length.to_u64(), command.more), (0, 0, false));
            // 16 in the FIFO; those of later chains have not been taken
            let left = self.bytes.iter().filter(|(_, before)| !before).count();
            let later: usize = self.expected.iter().map(|chain| chain.printed).sum();
            assert!(left <= later + 16, "{left} bytes left, {later} of later chains: it is given back too early");
            self.given_back += 1;
            self.broken += usize::from(chain.broken);
            self.failed += usize::from(chain.fails);
        }
        self.lost += usize::from(bench.uut.emergency_lost.val());
        self.chains.take(&bench.uut.chain);
        self.beats.take(&bench.uut.readable);
        bench.edge();
        if clear {
            self.chains = Feed::new(3);
            self.beats = Feed::new(3);
            self.expected.clear();
            self.bytes.iter_mut().for_each(|(_, before)| *before = true);
        }
    }

    fn print(&mut self, byte: u8) {
        if byte & EMERGENCY != 0 {
            // those before it are lost, and told as such
            while self.emergencies.pop_front().expect("a byte of an emergency").0 != byte {}
            self.urgent += 1;
            return;
        }
        loop {
            let (expected, before_reset) = self.bytes.pop_front().expect("a byte of a chain");
            if byte == expected {
                break;
            }
            assert!(before_reset, "{byte} in place of {expected}");
        }
        self.printed += 1;
    }
}

#[test]
fn every_byte_of_a_chain_is_printed_once_and_in_order() {
    let mut world = World::new("console_transmit");
    let mut failures = 0;
    for round in 0..30_000 {
        if world.expected.len() < 3 && round < 25_000 && world.bench.rng.chance(1, 10) {
            world.offer();
        }
        if round % 500 == 0 {
            world.taking = [0, 1, 4, 8][world.bench.rng.below(4) as usize].max(u64::from(round >= 25_000));
            world.emergency_rate = [0, 0, 5, 200][world.bench.rng.below(4) as usize];
        }
        world.cycle(false, false);
        failures += usize::from(world.bench.uut.read_failed.val());
    }
    world.emergency_rate = 0;
    world.taking = 8;
    for _ in 0..200 {
        world.cycle(false, false);
    }
    assert!(world.expected.is_empty() && world.bytes.is_empty() && world.bench.uut.idle.val());
    assert_eq!(failures, world.failed, "chains that could not be read are told");
    assert!(world.emergencies.is_empty() && world.next_emergency > 0);
    let counts = [world.printed, world.urgent, world.lost, world.failed, world.given_back, world.broken];
    assert!(counts.iter().zip([5000, 200, 20, 30, 500, 40]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}

/// Each is printed or lost, and told if lost.
#[test]
fn a_byte_of_an_emergency_is_printed_soon_or_told_to_be_lost() {
    let mut world = World::new("console_transmit_emergency");
    world.taking = 8;
    let mut given = 0;
    for _ in 0..5_000 {
        if world.expected.len() < 3 {
            world.offer();
        }
        world.emergency_rate = 30;
        let before = world.emergencies.len();
        world.cycle(false, false);
        given += usize::from(world.emergencies.len() > before);
        let waits = world.emergencies.front().map_or(0, |(_, cycle)| world.bench.cycles - cycle);
        assert!(waits <= SOON, "a byte of an emergency waits for {waits} cycles");
    }
    assert!(given > 100);
    assert_eq!(world.lost, 0, "nobody else is in its way");
    // the other side stands still: one waits, and each that comes takes its place
    world.taking = 0;
    world.emergency_rate = 1000;
    (0..60).for_each(|_| world.cycle(false, false));
    world.emergency_rate = 0;
    world.taking = 8;
    let (urgent, waiting) = (world.urgent, world.emergencies.len());
    (0..100).for_each(|_| world.cycle(false, false));
    assert_eq!(world.urgent - urgent + world.lost, waiting, "{} were lost", world.lost);
    assert!(world.lost > 30);
    world.bench.finish();
}

#[test]
fn a_reset_at_any_time_takes_chains_away_and_no_byte_that_was_offered() {
    let mut world = World::new("console_transmit_reset");
    world.emergency_rate = 5;
    let mut amid = 0;
    for _ in 0..300 {
        world.taking = 1 + world.bench.rng.below(7);
        let cycles = 20 + world.bench.rng.below(100);
        for _ in 0..cycles {
            if world.expected.len() < 3 && world.bench.rng.chance(1, 8) {
                world.offer();
            }
            world.cycle(false, false);
        }
        amid += usize::from(!world.expected.is_empty());
        let drain = 1 + world.bench.rng.below(10);
        (0..drain).for_each(|_| world.cycle(true, false));
        world.cycle(true, true);
    }
    let counts = [amid, world.given_back, world.printed];
    assert!(counts.iter().zip([100, 500, 5000]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}

/// What the driver prints waits for ever; the clock may stand still meanwhile.
#[test]
fn a_console_that_nobody_reads_is_at_rest() {
    let mut world = World::new("console_transmit_rest");
    world.taking = 0;
    while world.expected.len() < 20 {
        world.offer();
    }
    (0..300).for_each(|_| world.cycle(false, false));
    for _ in 0..20 {
        world.cycle(false, false);
        assert!(world.bench.uut.idle.val());
    }
    world.bench.finish();
}
