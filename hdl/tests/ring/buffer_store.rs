//! The buffer store alone: both directions in order and complete, whatever the other one does.
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::Source;
use virtio_hdl_rtl::dma::types::BufferDescriptor;
use virtio_hdl_rtl::testing::{moved, Bench, Port, Rng};
use virtio_hdl_rtl::virtio::buffer_store::BufferStore;

/// Most buffers of one direction inside, and most ends.
const BUFFERS: usize = 256;
const ENDS: usize = 31;
const READABLE: usize = 0;
const WRITABLE: usize = 1;

/// What the walker does, in order.
#[derive(Clone, Copy)]
enum Step {
    Push(usize, BufferDescriptor),
    End { error: bool },
}

/// A consumer of one direction.
#[derive(Clone, Copy)]
struct Consumer {
    /// In how many of 4 cycles it becomes ready, or is.
    eager: u64,
    /// As the data movers do: once ready it stays so until something comes, and looks at it for a cycle.
    holds: bool,
    ready: bool,
}

impl Consumer {
    fn holding(eager: u64) -> Self {
        Self { eager, holds: true, ready: false }
    }
    fn wavering(eager: u64) -> Self {
        Self { eager, holds: false, ready: false }
    }
    fn drive(&mut self, rng: &mut Rng) -> bool {
        self.ready = (self.holds && self.ready) || rng.chance(self.eager, 4);
        self.ready
    }
}

struct World {
    bench: Bench<BufferStore>,
    rng: Rng,
    steps: VecDeque<Step>,
    /// In how many of 4 cycles the next step is made, if there is room.
    eager: u64,
    consumers: [Consumer; 2],
    /// What is inside, by direction.
    inside: [VecDeque<BufferDescriptor>; 2],
    /// Of the ends inside, how many.
    ends: [usize; 2],
    /// An end that is being written: whether it is one of a broken chain.
    second: Option<bool>,
    taken: [usize; 2],
    /// Cycles since a direction whose consumer is ready has given what it has.
    late: [usize; 2],
    in_reset: bool,
}

impl World {
    fn new(name: &str, eager: u64, consumers: [Consumer; 2]) -> Self {
        let mut world = Self {
            bench: Bench::new(name, BufferStore::default(), |uut| &mut uut.clock),
            rng: Rng(eager + 77),
            steps: VecDeque::new(),
            eager,
            consumers,
            inside: Default::default(),
            ends: [0; 2],
            second: None,
            taken: [0; 2],
            late: [0; 2],
            in_reset: false,
        };
        world.reset();
        world
    }

    /// Two cycles of reset, the inputs as they come.
    fn reset(&mut self) {
        self.in_reset = true;
        self.cycle();
        self.cycle();
        self.in_reset = false;
    }

    fn chain(&mut self, readable: usize, writable: usize, error: bool) {
        for (direction, count) in [(READABLE, readable), (WRITABLE, writable)] {
            for _ in 0..count {
                let buffer = BufferDescriptor { end: false, error: false, ..Port::random(&mut self.rng) };
                self.steps.push_back(Step::Push(direction, buffer));
            }
        }
        self.steps.push_back(Step::End { error });
    }

    fn cycle(&mut self) {
        let uut = &self.bench.uut;
        let room = [uut.readable_room.val(), uut.writable_room.val()];
        let (end_room, in_reset) = (uut.end_room.val(), self.in_reset);
        assert!(!(room[READABLE] && room[WRITABLE]), "a turn for both");
        let willing = self.rng.chance(self.eager, 4) && !in_reset;
        let step = self.steps.front().copied().filter(|step| match step {
            Step::Push(direction, _) => willing && room[*direction],
            Step::End { .. } => willing && end_room,
        });
        let second = self.second.take();
        let consumers = &mut self.consumers;
        let mut seen: [Option<BufferDescriptor>; 2] = [None; 2];
        let inside = &self.inside;
        self.bench.cycle(
            |uut, rng| {
                uut.reset.next = in_reset;
                uut.push.next = in_reset && rng.chance(1, 2);
                uut.mark.next = in_reset && rng.chance(1, 2);
                uut.address.next = Port::random(rng);
                uut.length.next = Port::random(rng);
                uut.broken.next = second.unwrap_or_else(|| rng.chance(1, 2));
                match step {
                    Some(Step::Push(_, buffer)) => {
                        uut.push.next = true;
                        uut.address.next = buffer.address;
                        uut.length.next = buffer.length;
                    }
                    Some(Step::End { error }) => {
                        uut.mark.next = true;
                        uut.broken.next = error;
                    }
                    None => {}
                }
                uut.readable.ready.next = consumers[READABLE].drive(rng);
                uut.writable.ready.next = consumers[WRITABLE].drive(rng);
            },
            |uut| {
                for (direction, source) in [&uut.readable, &uut.writable].into_iter().enumerate() {
                    // what is offered is right even if it is not taken
                    if source.valid.val() {
                        assert_same(source, inside[direction].front());
                    }
                    seen[direction] = moved(source);
                }
                assert_eq!(uut.busy.val(), seen.iter().any(Option::is_some));
            },
        );
        if in_reset {
            self.inside.iter_mut().for_each(VecDeque::clear);
            (self.ends, self.late) = ([0; 2], [0; 2]);
            self.consumers.iter_mut().for_each(|consumer| consumer.ready = false);
            return;
        }
        self.observe(seen, step);
    }

    fn observe(&mut self, seen: [Option<BufferDescriptor>; 2], step: Option<Step>) {
        for (direction, seen) in seen.iter().enumerate() {
            let due = self.consumers[direction].ready && !self.inside[direction].is_empty();
            self.late[direction] = if due && seen.is_none() { self.late[direction] + 1 } else { 0 };
            if let Some(buffer) = seen {
                self.inside[direction].pop_front();
                self.ends[direction] -= usize::from(buffer.end);
                self.taken[direction] += 1;
                self.consumers[direction].ready = false;
            }
            let stays = self.consumers[direction].holds;
            assert!(!stays || self.late[direction] <= 4, "a consumer waits for what is there");
        }
        match step {
            Some(Step::Push(direction, buffer)) => self.inside[direction].push_back(buffer),
            Some(Step::End { error }) => {
                self.second = Some(error);
                let mark = BufferDescriptor { end: true, error, ..Default::default() };
                for direction in [READABLE, WRITABLE] {
                    self.inside[direction].push_back(mark);
                    self.ends[direction] += 1;
                }
            }
            None => return,
        }
        self.steps.pop_front();
        for direction in [READABLE, WRITABLE] {
            assert!(self.ends[direction] <= ENDS);
            assert!(self.inside[direction].len() - self.ends[direction] <= BUFFERS);
        }
    }

    /// Until all steps are made and all is taken.
    fn run(&mut self) {
        self.run_until("everything is taken", |world| {
            world.steps.is_empty() && world.inside.iter().all(VecDeque::is_empty)
        });
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..40_000 {
            if done(self) {
                return;
            }
            self.cycle();
        }
        panic!("it does not come to pass that {what}");
    }

    /// Nothing goes in any more.
    fn stuck(&mut self) {
        let before = self.steps.len();
        for _ in 0..100 {
            self.cycle();
        }
        assert_eq!(self.steps.len(), before);
    }
}

/// Address and length of an end mark say nothing.
fn assert_same(source: &Source<BufferDescriptor>, expected: Option<&BufferDescriptor>) {
    let (seen, expected) = (source.data.val(), expected.expect("offered, but not there"));
    assert_eq!((seen.end, seen.error), (expected.end, expected.error));
    if !seen.end {
        assert_eq!((seen.address, seen.length), (expected.address, expected.length));
    }
}

#[test]
fn buffer_store_hands_out_both_directions_in_order_with_an_end_behind_each_chain() {
    let consumers = |readable, writable| [Consumer::holding(readable), Consumer::holding(writable)];
    let settings = [
        ("store_fast", 4, consumers(4, 4)),
        ("store_idle", 1, consumers(4, 4)),
        ("store_slow", 4, consumers(1, 1)),
        ("store_readable_slow", 3, consumers(1, 4)),
        ("store_writable_slow", 3, consumers(4, 1)),
        ("store_wavering", 4, [Consumer::wavering(2), Consumer::wavering(3)]),
        ("store_wavering_slow", 4, [Consumer::wavering(1), Consumer::holding(2)]),
    ];
    for (name, eager, consumers) in settings {
        let mut world = World::new(name, eager, consumers);
        let mut rng = Rng(eager);
        for i in 0..120 {
            let most = if i % 20 == 0 { 130 } else { 6 };
            let (readable, writable) = (rng.below(most) as usize, rng.below(most) as usize);
            world.chain(readable, writable, rng.chance(1, 4));
        }
        world.run();
        assert!(world.taken.iter().all(|taken| *taken > 400));
        world.bench.finish();
    }
}

#[test]
fn buffer_store_holds_the_longest_chains_before_anything_is_taken() {
    let shapes: [(&str, &[(usize, usize)]); 5] = [
        ("store_readable_256", &[(256, 0)]),
        ("store_writable_256", &[(0, 256)]),
        ("store_both_256", &[(256, 0), (0, 256)]),
        ("store_one_chain_both_256", &[(256, 256)]),
        ("store_16_times_16", &[(16, 16); 16]),
    ];
    for (name, chains) in shapes {
        let mut world = World::new(name, 4, [Consumer::holding(0), Consumer::holding(0)]);
        // three times, for all places of the laps
        for lap in 0..3 {
            // a chain before them: they do not begin at the first place
            world.chain(3 * lap, 5 * lap, false);
            world.consumers = [Consumer::holding(4), Consumer::holding(4)];
            world.run();
            world.consumers = [Consumer::holding(0), Consumer::holding(0)];
            for (readable, writable) in chains {
                world.chain(*readable, *writable, lap == 1);
            }
            world.run_until("the chains have ended", |world| world.steps.is_empty());
            // a buffer more goes in where there is place, and only there
            world.chain(1, 0, false);
            world.chain(0, 1, false);
            if world.inside[READABLE].len() - world.ends[READABLE] == BUFFERS {
                world.stuck();
                world.consumers[READABLE] = Consumer::holding(1);
            }
            if world.inside[WRITABLE].len() - world.ends[WRITABLE] == BUFFERS {
                world.run_until("only the writable one is left", |world| world.steps.len() <= 2);
                world.stuck();
                world.consumers[WRITABLE] = Consumer::holding(1);
            }
            world.run_until("the chains have ended", |world| world.steps.is_empty());
            world.consumers = [Consumer::holding(3), Consumer::holding(3)];
            world.run();
        }
        world.bench.finish();
    }
}

#[test]
fn buffer_store_stalled_direction_does_not_hold_up_the_other() {
    for (name, stalled) in [("store_stalled_readable", READABLE), ("store_stalled_writable", WRITABLE)] {
        let mut consumers = [Consumer::holding(4); 2];
        consumers[stalled] = Consumer::holding(0);
        let mut world = World::new(name, 4, consumers);
        let of = |world: &mut World, direction: usize, count: usize| match direction {
            READABLE => world.chain(count, 0, false),
            _ => world.chain(0, count, false),
        };
        // the stalled one is full
        of(&mut world, stalled, BUFFERS);
        for _ in 1..ENDS {
            of(&mut world, 1 - stalled, 60);
        }
        world.run_until("all have ended", |world| world.steps.is_empty());
        world.run_until("the other is empty", |world| world.inside[1 - stalled].is_empty());
        assert_eq!(world.taken[1 - stalled], 60 * (ENDS - 1) + ENDS);
        assert_eq!(world.taken[stalled], 0);
        // the buffers of one chain more flow, it cannot end
        of(&mut world, 1 - stalled, 60);
        world.run_until("only the end waits", |world| world.steps.len() == 1);
        world.stuck();
        assert_eq!((world.taken[1 - stalled], world.taken[stalled]), (60 * ENDS + ENDS, 0));
        world.consumers[stalled] = Consumer::holding(2);
        world.run();
        world.bench.finish();
    }
}

#[test]
fn buffer_store_hands_out_before_the_chain_has_ended_and_soon() {
    let mut world = World::new("store_soon", 4, [Consumer::holding(4); 2]);
    world.chain(20, 20, false);
    let end = world.steps.pop_back().expect("a chain has an end");
    // a buffer every second cycle goes in, and comes out two cycles later
    let mut pushed = [vec![], vec![]];
    let mut taken = [vec![], vec![]];
    for cycle in 0..100 {
        let (steps, before) = (world.steps.len(), world.taken);
        let direction = if steps > 20 { READABLE } else { WRITABLE };
        world.cycle();
        if world.steps.len() < steps {
            pushed[direction].push(cycle + 2);
        }
        for direction in [READABLE, WRITABLE] {
            if world.taken[direction] > before[direction] {
                taken[direction].push(cycle);
            }
        }
    }
    assert_eq!(taken, pushed);
    for cycles in &pushed {
        assert_eq!(cycles.len(), 20);
        assert!(cycles.windows(2).all(|pair| pair[1] == pair[0] + 2));
    }
    assert_eq!(world.taken, [20; 2]);
    world.steps.push_back(end);
    world.run();
    world.bench.finish();
}

#[test]
fn buffer_store_forgets_everything_at_a_reset() {
    let mut world = World::new("store_reset", 4, [Consumer::holding(2), Consumer::wavering(1)]);
    let mut rng = Rng(5);
    for _ in 0..60 {
        for _ in 0..40 {
            let (readable, writable) = (rng.below(20) as usize, rng.below(20) as usize);
            world.chain(readable, writable, rng.chance(1, 4));
        }
        for _ in 0..rng.below(400) {
            world.cycle();
        }
        world.steps.clear();
        world.second = None;
        world.reset();
    }
    world.chain(4, 4, true);
    world.run();
    world.bench.finish();
}
