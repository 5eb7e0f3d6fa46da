//! The block alone: random chains, random words, idle cycles and backpressure; in rust-hdl's evaluator, and in Verilator.
use own_device::block::{RngSide, RngWord};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::testing::{accepted, moved, starts_known, Bench, Feed, Port, Rng};
use virtio_hdl_rtl::verilog;
use virtio_hdl_rtl::virtio::types::Chain;

const MAX_BYTES: u16 = 100;
const FEATURES: u32 = 0x7000_0000;

/// A chain that is under way.
struct Expected {
    head: u64,
    broken: bool,
    length: u64,
}

/// The queue and the device side, and what must come of what they do.
struct World {
    bench: Bench<RngSide>,
    chains: Feed<Chain>,
    words: Feed<RngWord>,
    expected: VecDeque<Expected>,
    /// Bytes of the chain whose command has been given.
    left: u64,
    asked: VecDeque<u64>,
    /// Words that come though nobody has asked for them, in how many of 100 cycles.
    unasked: u64,
    written: u64,
    given_back: usize,
    broken: usize,
    empty: usize,
    cut: usize,
}

impl World {
    fn new(name: &str) -> Self {
        World {
            bench: Bench::new(name, RngSide::new(FEATURES, MAX_BYTES), |uut| &mut uut.clock),
            chains: Feed::new(3),
            words: Feed::new(3),
            expected: VecDeque::new(),
            left: 0,
            asked: VecDeque::new(),
            unasked: 0,
            written: 0,
            given_back: 0,
            broken: 0,
            empty: 0,
            cut: 0,
        }
    }

    fn offer(&mut self) {
        let rng = &mut self.bench.rng;
        // readable buffers are none of the block's business
        let (readable, writable) = (rng.below(60), writable_length(rng));
        let broken = rng.chance(1, 10);
        let head = rng.below(1 << 16);
        self.chains.values.push_back(Chain {
            head: head.into(),
            readable_length: readable.into(),
            writable_length: writable.into(),
            error: broken,
        });
        let length = writable.min(MAX_BYTES.into());
        self.cut += usize::from(length < writable);
        self.expected.push_back(Expected { head, broken, length });
    }

    /// One cycle; whether a chain has been given back in it.
    fn cycle(&mut self, stop: bool, reset: bool) {
        let bench = &mut self.bench;
        if bench.rng.chance(self.unasked, 100) {
            self.words.values.push_back(RngWord { data: Port::random(&mut bench.rng) });
        }
        bench.uut.device_stop.next = stop;
        bench.uut.device_reset.next = reset;
        self.chains.drive(&mut bench.uut.chain[0], &mut bench.rng);
        self.words.drive(&mut bench.uut.rng_word, &mut bench.rng);
        bench.uut.command[0].ready.next = bench.rng.chance(2, 3);
        bench.uut.data[0].ready.next = bench.rng.chance(2, 3);
        bench.uut.rng_request.ready.next = bench.rng.chance(1, 2);
        bench.low();
        assert_eq!(bench.uut.device_features.val().to_u64(), u64::from(FEATURES));
        if stop {
            let quiet = !bench.uut.command[0].valid.val() && !bench.uut.data[0].valid.val();
            assert!(quiet && bench.uut.device_idle.val(), "something goes out to the rings during a drain");
        }

        let taken = self.words.take(&bench.uut.rng_word);
        let beat = moved(&bench.uut.data[0]);
        assert_eq!(taken.is_some(), beat.is_some(), "a word is lost, or made up");
        if let (Some(word), Some(beat)) = (taken, beat) {
            assert_eq!(beat.data, word.data);
            assert_eq!((beat.count.to_u64(), beat.last), (self.left.min(16), self.left <= 16));
            assert!(self.left > 0 && !beat.error);
            self.written += self.left.min(16);
            self.left = self.left.saturating_sub(16);
        }
        if let Some(request) = moved(&bench.uut.rng_request) {
            let words = request.words.to_u64();
            self.asked.push_back(words);
            (0..words).for_each(|_| self.words.values.push_back(RngWord { data: Port::random(&mut bench.rng) }));
        }
        let mut event = false;
        if let Some(command) = moved(&bench.uut.command[0]) {
            let chain = self.expected.pop_front().expect("a chain that there is");
            assert_eq!(self.left, 0, "the bytes of the chain before");
            assert_eq!((command.head.to_u64(), command.drop), (chain.head, chain.broken));
            assert_eq!((command.skip.to_u64(), command.more), (0, false));
            if !chain.broken {
                assert_eq!((command.length.to_u64(), command.used_length.to_u64()), (chain.length, chain.length));
                self.left = chain.length;
            }
            event = !chain.broken && chain.length == 0;
            self.given_back += 1;
            self.broken += usize::from(chain.broken);
            self.empty += usize::from(event);
        }
        assert_eq!(bench.uut.device_events[0].val(), event);
        self.chains.take(&bench.uut.chain[0]);
        bench.edge();
        if reset {
            // the queues forget, too; what the device side has been asked for, and has offered, is its own
            self.chains = Feed::new(3);
            self.expected.clear();
            self.left = 0;
        }
    }
}

/// Writable bytes of a chain.
fn writable_length(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => 0,
        1 => 16 * rng.below(7),
        2 => MAX_BYTES as u64 + rng.below(3) - 1,
        3 => u32::MAX as u64 - rng.below(20),
        _ => 1 + rng.below(90),
    }
}

fn out_of_reset(world: &mut World) {
    world.bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    world.bench.uut.reset.next = false;
}

#[test]
fn every_chain_is_filled_and_given_back() {
    let mut world = World::new("virtio_rng");
    out_of_reset(&mut world);
    let mut wanted = VecDeque::new();
    for _ in 0..20_000 {
        if world.expected.len() < 3 && world.bench.rng.chance(1, 8) {
            world.offer();
            let chain = &world.expected[world.expected.len() - 1];
            if !chain.broken && chain.length > 0 {
                wanted.push_back(chain.length.div_ceil(16));
            }
        }
        world.cycle(false, false);
    }
    while !(world.expected.is_empty() && world.left == 0) {
        world.cycle(false, false);
        assert!(world.bench.cycles < 25_000, "chains are not given back");
    }
    world.cycle(false, false);
    assert!(world.bench.uut.device_idle.val());
    assert_eq!(world.asked, wanted, "words asked for");
    assert!(world.words.values.is_empty(), "words asked for in vain");
    let counts = [world.given_back, world.broken, world.empty, world.cut];
    assert!(counts.iter().zip([300, 10, 10, 30]).all(|(count, least)| *count > least), "{counts:?}");
    assert!(world.written > 5_000, "{} bytes", world.written);
    world.bench.finish();
}

/// And words that nobody has asked for: those of chains that a reset took away, or of a device side that does not look at requests.
#[test]
fn a_reset_at_any_time_takes_chains_away_and_no_more() {
    let mut world = World::new("virtio_rng_reset");
    world.unasked = 10;
    out_of_reset(&mut world);
    let (mut resets, mut amid) = (0, 0);
    for round in 0..400 {
        let cycles = 20 + world.bench.rng.below(120);
        for _ in 0..cycles {
            if world.expected.len() < 3 && world.bench.rng.chance(1, 8) {
                world.offer();
            }
            world.cycle(false, false);
        }
        amid += usize::from(world.left > 0);
        let drain = 1 + world.bench.rng.below(10);
        (0..drain).for_each(|_| world.cycle(true, false));
        world.cycle(true, true);
        resets = round + 1;
    }
    let counts = [world.given_back, resets, amid];
    assert!(counts.iter().zip([500, 399, 20]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}

#[test]
fn the_tools_accept_it() {
    let mut uut = RngSide::new(FEATURES, MAX_BYTES);
    uut.connect_all();
    check_all(&uut).unwrap();
    let design = verilog::print(&uut, "virtio_rng").unwrap();
    accepted(&design);
    starts_known(&design, &verilog::ports(&uut).unwrap());
}
