//! Chains to statistics: each number is offered once and in order, and the chain is kept until newer ones are wanted.
use super::Text;
use std::collections::VecDeque;
use virtio_hdl_rtl::device::balloon::statistics::Statistics;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};
use virtio_hdl_rtl::virtio::types::*;

/// A chain that has been taken.
struct Current {
    head: u64,
    broken: bool,
    /// Not offered yet.
    numbers: VecDeque<u128>,
    ended: bool,
    /// Newer numbers are wanted.
    asked: bool,
    /// By a drain.
    cut: bool,
}

struct World {
    bench: Bench<Statistics>,
    chains: Feed<Chain>,
    beats: Feed<ByteBeat>,
    expected: VecDeque<(u64, Text)>,
    current: Option<Current>,
    request: bool,
    /// Of 8 cycles: in how many the other side takes a number. Of 64: in how many it begins to want newer ones.
    taking: u64,
    asking: u64,
    numbers: usize,
    given_back: usize,
    broken: usize,
    failed: usize,
    odd: usize,
    told_failed: usize,
    told_odd: usize,
}

impl World {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, Statistics::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            chains: Feed::new(3),
            beats: Feed::new(3),
            expected: VecDeque::new(),
            current: None,
            request: false,
            taking: 6,
            asking: 8,
            numbers: 0,
            given_back: 0,
            broken: 0,
            failed: 0,
            odd: 0,
            told_failed: 0,
            told_odd: 0,
        }
    }

    fn offer(&mut self) {
        let text = Text::random(&mut self.bench.rng, 110);
        let head = self.bench.rng.below(1 << 16);
        self.beats.values.extend(&text.beats);
        self.chains.values.push_back(Chain {
            head: head.into(),
            readable_length: (text.bytes.len() as u64).into(),
            writable_length: self.bench.rng.below(100).into(),
            error: text.broken,
        });
        self.expected.push_back((head, text));
    }

    fn cycle(&mut self, stop: bool) {
        let bench = &mut self.bench;
        bench.uut.stop.next = stop;
        self.chains.drive(&mut bench.uut.chain, &mut bench.rng);
        self.beats.drive(&mut bench.uut.readable, &mut bench.rng);
        bench.uut.command.ready.next = bench.rng.chance(2, 3);
        bench.uut.stat.ready.next = bench.rng.chance(self.taking, 8);
        self.request |= bench.rng.chance(self.asking, 64);
        bench.uut.request_valid.next = self.request;
        bench.low();
        let kept = self.current.as_ref().is_some_and(|current| current.ended && !current.asked && !current.cut);
        assert_eq!(bench.uut.idle.val(), self.current.is_none() || kept && !self.request, "cycle {}", bench.cycles);
        if stop {
            assert!(!bench.uut.command.valid.val(), "a chain is given back during a drain");
            self.current = self.current.take().filter(|current| !current.broken && !current.ended);
            self.current.iter_mut().for_each(|current| current.cut = true);
        }
        if let Some(stat) = moved(&bench.uut.stat) {
            let current = self.current.as_mut().expect("a number of a chain that was taken");
            assert!(!current.ended);
            match stat.last {
                true => {
                    let left = current.numbers.len();
                    assert!(current.cut || left == 0, "{left} numbers are not offered");
                    current.ended = true;
                }
                false => {
                    let wanted = current.numbers.pop_front().expect("a number that is in the chain");
                    assert_eq!((stat.tag.to_u128(), stat.value.to_u128()), (wanted & 0xffff, wanted >> 16));
                    self.numbers += 1;
                }
            }
            if current.ended && current.cut {
                self.current = None;
            }
        } else if bench.uut.request_ready.val() && self.request {
            let current = self.current.as_mut().expect("a chain that is kept");
            assert!(current.ended && !current.asked && !stop);
            current.asked = true;
            self.request = false;
        }
        if let Some(command) = moved(&bench.uut.command) {
            let current = self.current.take().expect("a chain that was taken");
            assert!(current.asked || current.broken, "a chain is given back though nobody wants newer numbers");
            assert_eq!((command.head.to_u64(), command.drop), (current.head, current.broken));
            assert_eq!((command.length.to_u64(), command.used_length.to_u64(), command.more), (0, 0, false));
            self.given_back += 1;
        }
        self.told_failed += usize::from(bench.uut.read_failed.val());
        self.told_odd += usize::from(bench.uut.odd.val());
        self.beats.take(&bench.uut.readable);
        if self.chains.take(&bench.uut.chain).is_some() {
            assert!(self.current.is_none() && !stop, "a chain is taken while there is one");
            let (head, text) = self.expected.pop_front().unwrap();
            self.broken += usize::from(text.broken);
            self.failed += usize::from(text.fails);
            self.odd += usize::from(text.is_odd(10));
            let numbers = text.items(10).into();
            let broken = text.broken;
            self.current = Some(Current { head, broken, numbers, ended: false, asked: false, cut: false });
        }
        bench.edge();
    }
}

#[test]
fn every_number_is_offered_once_and_its_chain_is_kept_until_newer_ones_are_wanted() {
    let mut world = World::new("balloon_statistics");
    for round in 0..40_000 {
        if world.expected.len() < 3 && round < 35_000 && world.bench.rng.chance(1, 8) {
            world.offer();
        }
        if round % 500 == 0 {
            let last = round >= 35_000;
            world.taking = [0, 1, 4, 8][world.bench.rng.below(4) as usize].max(u64::from(last));
            world.asking = [0, 1, 16, 64][world.bench.rng.below(4) as usize].max(u64::from(last));
        }
        world.cycle(false);
    }
    assert!(world.current.is_none() && world.expected.is_empty());
    assert_eq!((world.told_failed, world.told_odd), (world.failed, world.odd), "chains that are told");
    let counts = [world.numbers, world.given_back, world.broken, world.failed, world.odd];
    assert!(counts.iter().zip([500, 200, 20, 20, 50]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}

#[test]
fn a_reset_at_any_time_ends_what_was_begun_and_keeps_nothing() {
    let mut world = World::new("balloon_statistics_reset");
    let (mut amid, mut kept, mut late) = (0, 0, 0);
    for _ in 0..400 {
        world.taking = 1 + world.bench.rng.below(7);
        world.asking = [0, 1, 16][world.bench.rng.below(3) as usize];
        let cycles = 20 + world.bench.rng.below(100);
        for _ in 0..cycles {
            if world.expected.len() < 3 && world.bench.rng.chance(1, 6) {
                world.offer();
            }
            world.cycle(false);
        }
        amid += usize::from(world.current.as_ref().is_some_and(|current| !current.ended));
        kept += usize::from(world.current.as_ref().is_some_and(|current| current.ended));
        let patience = 1 + world.bench.rng.below(20);
        (0..patience).for_each(|_| world.cycle(true));
        late += usize::from(world.current.is_some());
        world.chains = Feed::new(3);
        world.beats = Feed::new(3);
        world.expected.clear();
    }
    let counts = [amid, kept, late, world.given_back];
    assert!(counts.iter().zip([50, 50, 10, 200]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}
