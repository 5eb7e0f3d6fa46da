//! The runs of heads alone: each head is in one, and a run's read covers the windows of its heads and no more.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::{Bench, Port};
use virtio_hdl_rtl::virtio::runs::HeadRuns;

/// What a driver does with its heads.
enum Driver {
    /// Fills its queue.
    Up,
    /// Gives again what came back.
    Down,
    /// This and that.
    Any,
}

/// A head in a run, with the descriptors of its window.
struct Taken {
    head: u64,
    count: u64,
}

const EASY: Pace = Pace { eager: 0, granted: 4, crowded: 0, changes: false };

struct World {
    bench: Bench<HeadRuns>,
    queue_size: u64,
    ring_base: u64,
    /// A head that waits to be measured.
    offered: Option<u64>,
    /// One that has been, and the descriptors that its window should have.
    measured: Option<Taken>,
    /// The run that grows, with its first context and word.
    open: Vec<Taken>,
    /// Descriptors of a first window behind its head, one cycle ago.
    further: u64,
    first_context: u64,
    first_word: u64,
    contexts: u64,
    words: u64,
    last: u64,
    /// Contexts of each run that has left.
    runs: Vec<usize>,
}

/// In how many of 4 cycles a head comes, a run may leave, and there is no room for one to begin; whether the length of first windows
/// changes and resets come.
#[derive(Clone, Copy)]
struct Pace {
    eager: u64,
    granted: u64,
    crowded: u64,
    changes: bool,
}

impl World {
    fn new(name: &str, queue_size: u16) -> Self {
        let mut bench = Bench::new(name, HeadRuns::new(3, queue_size), |uut| &mut uut.clock);
        let ring_base = bench.rng.next() & !0xfff;
        bench.uut.ring_base.next = ring_base.into();
        bench.uut.reset.next = true;
        bench.cycle(|_, _| (), |_| ());
        bench.uut.reset.next = false;
        Self {
            bench,
            queue_size: queue_size.into(),
            ring_base,
            offered: None,
            measured: None,
            open: Vec::new(),
            further: 0,
            first_context: 0,
            first_word: 0,
            contexts: 0,
            words: 0,
            last: 0,
            runs: Vec::new(),
        }
    }

    fn next_head(&mut self, driver: &Driver) -> u64 {
        let Bench { uut, rng, .. } = &mut self.bench;
        let window = 1 + uut.further_expected.val().to_u128() as u64;
        let step = if rng.chance(1, 10) { 1 + rng.below(4) } else { window };
        let head = match driver {
            _ if rng.chance(1, 20) => rng.below(self.queue_size),
            Driver::Up => self.last + step,
            Driver::Down => self.last + self.queue_size - step,
            Driver::Any if rng.chance(1, 2) => self.last + step,
            Driver::Any => self.last + self.queue_size - step,
        };
        self.last = head % self.queue_size;
        self.last
    }

    fn cycle(&mut self, driver: &Driver, pace: Pace) {
        if self.offered.is_none() && self.bench.rng.chance(pace.eager, 4) {
            self.offered = Some(self.next_head(driver));
        }
        let Bench { uut, rng, .. } = &mut self.bench;
        uut.heads.valid.next = self.offered.is_some();
        uut.heads.data.next = self.offered.map_or_else(|| Port::random(rng), Bits::from);
        uut.granted.next = rng.chance(pace.granted, 4);
        uut.crowded.next = rng.chance(pace.crowded, 4);
        if pace.changes && rng.chance(1, 60) {
            uut.further_expected.next = Port::random(rng);
        }
        uut.reset.next = pace.changes && rng.chance(1, 500);
        self.bench.low();
        if self.bench.uut.reset.val() {
            (self.measured, self.open) = (None, Vec::new());
            (self.contexts, self.words) = (0, 0);
        } else {
            self.check();
        }
        self.further = self.bench.uut.further_expected.val().to_u128() as u64;
        self.bench.edge();
    }

    fn check(&mut self) {
        let uut = &self.bench.uut;
        if uut.leaves.val() {
            assert!(uut.granted.val());
            self.check_run();
        }
        let uut = &self.bench.uut;
        if uut.taken.val() {
            let taken = self.measured.take().expect("a head is measured before it is taken");
            assert_eq!(uut.context.val().to_u128() as u64, self.contexts % 64);
            if self.open.is_empty() {
                assert!(!uut.crowded.val(), "no room for a run to begin");
                self.first_context = self.contexts % 64;
                self.first_word = self.words % 64;
            }
            assert_eq!(uut.entry.val().to_u128() as u64, (self.first_context << 11) | (taken.count << 8) | taken.head);
            self.contexts += 1;
            self.words += taken.count;
            self.open.push(taken);
        }
        if uut.heads.valid.val() && uut.heads.ready.val() {
            let head = self.offered.take().expect("it is offered");
            assert!(self.measured.is_none(), "one at a time");
            let count = (self.further + 1).min(self.queue_size - head);
            self.measured = Some(Taken { head, count });
        }
    }

    /// The heads of the run one behind the other, its read, and what is remembered of it.
    fn check_run(&mut self) {
        let run = std::mem::take(&mut self.open);
        let is_down = run.len() > 1 && run[1].head < run[0].head;
        for pair in run.windows(2) {
            let (low, high) = if is_down { (&pair[1], &pair[0]) } else { (&pair[0], &pair[1]) };
            assert_eq!(low.head + low.count, high.head);
        }
        let low = run.iter().map(|taken| taken.head).min().expect("a run has heads");
        let count: u64 = run.iter().map(|taken| taken.count).sum();
        assert!(count <= 16 && low + count <= self.queue_size);
        let (uut, further) = (&self.bench.uut, run.len() as u64 - 1);
        let request = uut.request.val();
        assert_eq!(request.address.to_u128() as u64, self.ring_base + 16 * low);
        assert_eq!(request.length.to_u128() as u64, 16 * count);
        assert_eq!(request.destination.to_u128() as u64, 0x1000 + 16 * self.first_word);
        assert_eq!((request.client.to_u128() as u64, request.slot.to_u128() as u64), (3, further));
        assert_eq!(uut.first_context.val().to_u128() as u64, self.first_context);
        let place = (self.first_word + 256 - low) % 64;
        assert_eq!(
            uut.run.val().to_u128() as u64,
            (u64::from(is_down) << 14) | (further << 10) | ((count - 1) << 6) | place
        );
        self.runs.push(run.len());
    }
}

#[test]
fn head_runs_cover_the_windows_of_their_heads_and_no_more() {
    for queue_size in [4, 32, 256] {
        let mut world = World::new(&format!("head_runs_{queue_size}"), queue_size);
        for driver in [Driver::Up, Driver::Down, Driver::Any] {
            for (eager, granted, crowded) in [(4, 4, 0), (4, 1, 1), (2, 2, 2), (1, 4, 1), (1, 1, 0)] {
                (0..600).for_each(|_| world.cycle(&driver, Pace { eager, granted, crowded, changes: true }));
            }
        }
        let longest = world.runs.iter().max().expect("runs have left");
        assert!(*longest >= usize::from(queue_size).min(16) / 2, "{queue_size}: {longest}");
        // nobody waits for heads
        world.offered = None;
        (0..3).for_each(|_| world.cycle(&Driver::Any, Pace { eager: 0, ..EASY }));
        assert!(world.open.is_empty() && world.measured.is_none());
        world.bench.finish();
    }
}

#[test]
fn head_runs_take_16_descriptors_when_heads_keep_coming() {
    for down in [false, true] {
        let mut world = World::new(&format!("head_runs_full_{down}"), 256);
        for step in 0..64 {
            world.offered = Some(if down { 200 - step } else { step });
            while world.offered.is_some() {
                world.cycle(&Driver::Any, EASY);
            }
        }
        (0..3).for_each(|_| world.cycle(&Driver::Any, EASY));
        assert_eq!(world.runs, [16; 4]);
        world.bench.finish();
    }
}
