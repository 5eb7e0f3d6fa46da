//! Chains to pages: each page of a chain is offered once and in order, and no chain is given back before its end has been answered.
use super::Text;
use std::collections::VecDeque;
use virtio_hdl_rtl::device::balloon::pages::Pages;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};
use virtio_hdl_rtl::virtio::types::*;

/// A chain that has been taken.
struct Current {
    deflates: bool,
    head: u64,
    broken: bool,
    /// Not offered yet.
    pages: VecDeque<u128>,
    ended: bool,
    answered: bool,
    /// By a drain.
    cut: bool,
}

#[derive(Default)]
struct Counts {
    pages: usize,
    given_back: [usize; 2],
    broken: usize,
    failed: usize,
    odd: usize,
    cut: usize,
}

struct World {
    bench: Bench<Pages>,
    chains: [Feed<Chain>; 2],
    beats: [Feed<ByteBeat>; 2],
    /// Chains that are offered, in order, and what was made of them.
    expected: [VecDeque<(u64, Text)>; 2],
    current: Option<Current>,
    /// Of 8 cycles: in how many the other side takes a page; in how many it answers an end.
    taking: u64,
    answering: u64,
    answers: bool,
    counts: Counts,
    told_failed: usize,
    told_odd: usize,
    /// Which queue each chain was of that was given back.
    order: Vec<usize>,
}

impl World {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, Pages::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            chains: [Feed::new(3), Feed::new(3)],
            beats: [Feed::new(3), Feed::new(3)],
            expected: [VecDeque::new(), VecDeque::new()],
            current: None,
            taking: 6,
            answering: 4,
            answers: false,
            counts: Counts::default(),
            told_failed: 0,
            told_odd: 0,
            order: vec![],
        }
    }

    fn offer(&mut self, queue: usize) {
        let text = Text::random(&mut self.bench.rng, 80);
        let head = self.bench.rng.below(1 << 16);
        self.beats[queue].values.extend(&text.beats);
        self.chains[queue].values.push_back(Chain {
            head: head.into(),
            readable_length: (text.bytes.len() as u64).into(),
            // of no use to a balloon
            writable_length: self.bench.rng.below(100).into(),
            error: text.broken,
        });
        self.expected[queue].push_back((head, text));
    }

    fn cycle(&mut self, stop: bool) {
        let bench = &mut self.bench;
        bench.uut.stop.next = stop;
        for queue in [0, 1] {
            self.chains[queue].drive(&mut bench.uut.chain[queue], &mut bench.rng);
            self.beats[queue].drive(&mut bench.uut.readable[queue], &mut bench.rng);
            bench.uut.command[queue].ready.next = bench.rng.chance(2, 3);
        }
        bench.uut.page.ready.next = bench.rng.chance(self.taking, 8);
        let ended = self.current.as_ref().is_some_and(|current| current.ended && !current.answered);
        self.answers |= ended && bench.rng.chance(self.answering, 8);
        bench.uut.done_valid.next = self.answers;
        bench.low();
        assert_eq!(bench.uut.idle.val(), self.current.is_none(), "cycle {}", bench.cycles);
        if stop {
            assert!(
                bench.uut.command.iter().all(|command| !command.valid.val()),
                "a chain is given back during a drain"
            );
            // which is given back to nobody has nothing to end
            self.current = self.current.take().filter(|current| !current.broken && !current.answered);
            self.current.iter_mut().for_each(|current| current.cut = true);
        }
        if let Some(page) = moved(&bench.uut.page) {
            let current = self.current.as_mut().expect("a page of a chain that was taken");
            assert!(!current.ended && page.deflate == current.deflates);
            match page.last {
                true => {
                    assert!(current.cut || current.pages.is_empty(), "{} pages are not offered", current.pages.len());
                    current.ended = true;
                }
                false => {
                    let wanted = current.pages.pop_front().expect("a page that is in the chain");
                    assert_eq!(u128::from(page.data.to_u64()), wanted);
                    self.counts.pages += 1;
                }
            }
        }
        for queue in [0, 1] {
            if let Some(command) = moved(&bench.uut.command[queue]) {
                let current = self.current.take().expect("a chain that was taken");
                assert_eq!(usize::from(current.deflates), queue);
                assert!(current.answered || current.broken, "a chain is given back before the answer");
                assert_eq!((command.head.to_u64(), command.drop), (current.head, current.broken));
                assert_eq!((command.length.to_u64(), command.used_length.to_u64(), command.more), (0, 0, false));
                self.counts.given_back[queue] += 1;
                self.order.push(queue);
            }
        }
        if self.answers && bench.uut.done_ready.val() {
            self.answers = false;
            let current = self.current.as_mut().expect("a chain that was taken");
            current.answered = true;
            if current.cut {
                self.current = None;
                self.counts.cut += 1;
            }
        }
        self.told_failed += usize::from(bench.uut.read_failed.val());
        self.told_odd += usize::from(bench.uut.odd.val());
        for queue in [0, 1] {
            self.beats[queue].take(&bench.uut.readable[queue]);
            if self.chains[queue].take(&bench.uut.chain[queue]).is_some() {
                assert!(self.current.is_none() && !stop, "a chain is taken while there is one");
                let (head, text) = self.expected[queue].pop_front().unwrap();
                self.counts.broken += usize::from(text.broken);
                self.counts.failed += usize::from(text.fails);
                self.counts.odd += usize::from(text.is_odd(4));
                self.current = Some(Current {
                    deflates: queue == 1,
                    head,
                    broken: text.broken,
                    pages: text.items(4).into(),
                    ended: false,
                    answered: false,
                    cut: false,
                });
            }
        }
        bench.edge();
    }

    /// What the queues have is gone.
    fn clear(&mut self) {
        self.chains = [Feed::new(3), Feed::new(3)];
        self.beats = [Feed::new(3), Feed::new(3)];
        self.expected.iter_mut().for_each(VecDeque::clear);
    }
}

#[test]
fn every_page_is_offered_once_and_its_chain_waits_for_the_answer() {
    let mut world = World::new("balloon_pages");
    for round in 0..30_000 {
        let queue = world.bench.rng.below(2) as usize;
        if world.expected[queue].len() < 3 && round < 27_000 && world.bench.rng.chance(1, 8) {
            world.offer(queue);
        }
        if round % 500 == 0 {
            world.taking = [0, 1, 4, 8][world.bench.rng.below(4) as usize].max(u64::from(round >= 27_000));
            world.answering = [0, 1, 4, 8][world.bench.rng.below(4) as usize].max(u64::from(round >= 27_000));
        }
        world.cycle(false);
    }
    assert!(world.current.is_none() && world.expected.iter().all(VecDeque::is_empty));
    let counts = &world.counts;
    assert_eq!((world.told_failed, world.told_odd), (counts.failed, counts.odd), "chains that are told");
    let counts = [counts.pages, counts.given_back[0], counts.given_back[1], counts.broken, counts.failed, counts.odd];
    assert!(counts.iter().zip([2000, 200, 200, 30, 20, 50]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}

#[test]
fn two_queues_that_are_always_full_take_turns() {
    let mut world = World::new("balloon_pages_turns");
    (world.taking, world.answering) = (8, 8);
    (0..2).for_each(|queue| (world.chains[queue].eager, world.beats[queue].eager) = (4, 4));
    while world.order.len() < 200 {
        for queue in [0, 1] {
            while world.expected[queue].len() < 2 {
                world.offer(queue);
            }
        }
        world.cycle(false);
        assert!(world.bench.cycles < 20_000, "{} chains", world.order.len());
    }
    assert!(world.order.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", world.order);
    world.bench.finish();
}

/// What was begun is ended and answered before the next chain, whether the drain waits for it or not.
#[test]
fn a_reset_at_any_time_cuts_the_chain_at_hand_and_the_next_one_waits_for_the_answer_to_it() {
    let mut world = World::new("balloon_pages_reset");
    let (mut amid, mut late, mut drained) = (0, 0, 0);
    for _ in 0..400 {
        world.taking = 1 + world.bench.rng.below(7);
        world.answering = [1, 1, 8][world.bench.rng.below(3) as usize];
        let cycles = 20 + world.bench.rng.below(100);
        for _ in 0..cycles {
            let queue = world.bench.rng.below(2) as usize;
            if world.expected[queue].len() < 3 && world.bench.rng.chance(1, 6) {
                world.offer(queue);
            }
            world.cycle(false);
        }
        amid += usize::from(world.current.is_some());
        let patience = world.bench.rng.below(60);
        let mut drain = 0;
        while drain < 1 || drain < patience && world.current.is_some() {
            world.cycle(true);
            drain += 1;
        }
        match world.current.is_some() {
            true => late += 1,
            false => drained += 1,
        }
        world.clear();
    }
    let counts = [amid, late, drained, world.counts.cut, world.counts.given_back[0], world.counts.given_back[1]];
    assert!(counts.iter().zip([150, 20, 100, 100, 200, 200]).all(|(count, least)| *count > least), "{counts:?}");
    world.bench.finish();
}
