//! The state window: four steps an access, its own registers, and the register buses while the endpoint stands still.
use virtio_hdl_rtl::endpoint::state_window::*;
use virtio_hdl_rtl::testing::{Bench, Port};

/// What an access was about.
#[derive(Clone, Copy, Debug)]
struct Access {
    write: bool,
    address: u32,
    enable: u64,
    data: u32,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// A register of the window's own.
    Own(u32),
    /// A register bus had it until it was done.
    Bus(u32),
    /// Nobody has it.
    Nobody,
    /// A register bus had it when the endpoint began to move.
    Moved,
}

struct Window {
    bench: Bench<StateWindow>,
    queues: usize,
    has_config: bool,
    has_bar1: bool,
    frozen: bool,
    freeze: bool,
    /// Of 16 cycles of a bus, how many end its access; of 64, how many end the standstill.
    quick: u64,
    thaws: u64,
    /// What has been forwarded to each region, and what was ended by a thaw.
    forwarded: [usize; 4],
    moved: usize,
    /// Writes of EVENTS and of queues that the window told.
    told: [usize; 5],
}

impl Window {
    fn new(name: &str, queues: usize, vectors: u8, has_config: bool) -> Self {
        let mut bench = Bench::new(name, StateWindow::new(2, queues, vectors, has_config), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        Self {
            bench,
            queues,
            has_config,
            has_bar1: vectors > 0,
            frozen: false,
            freeze: false,
            quick: 4,
            thaws: 0,
            forwarded: [0; 4],
            moved: 0,
            told: [0; 5],
        }
    }

    /// One cycle with inputs of any value but for those that this is about.
    fn cycle(&mut self, access: Option<Access>, check: impl FnOnce(&StateWindow)) {
        let (frozen, quick, freeze, queues) = (self.frozen, self.quick, self.freeze, self.queues);
        self.bench.cycle(
            |uut, rng| {
                uut.valid.next = access.is_some();
                // while no access is there they may be anything
                uut.write.next = access.map_or_else(|| Port::random(rng), |access| access.write);
                uut.address.next = access.map_or_else(|| Port::random(rng), |access| u64::from(access.address).into());
                uut.enable.next = access.map_or_else(|| Port::random(rng), |access| access.enable.into());
                uut.write_data.next = access.map_or_else(|| Port::random(rng), |access| u64::from(access.data).into());
                uut.frozen.next = frozen;
                uut.bus.done.next = rng.chance(quick, 16);
                uut.bus.read_data.next = Port::random(rng);
                uut.accepted.next = Port::random(rng);
                uut.config_written.next = rng.chance(1, 2);
                uut.change_waits.next = rng.chance(1, 2);
                uut.halted.next = rng.chance(1, 2);
                uut.waiting.next = rng.chance(1, 2);
                uut.function_id.next = Port::random(rng);
                uut.queue_state.iter_mut().for_each(|state| state.next = Port::random(rng));
            },
            |uut| {
                assert_eq!(uut.freeze.val(), freeze);
                assert_eq!(uut.busy.val(), uut.valid.val() || uut.done.val());
                assert!(uut.queue_write.val().to_u64() < 1 << queues, "a queue that there is not");
                check(uut);
            },
        );
    }

    /// Nothing is forwarded, and nothing told.
    fn is_quiet(uut: &StateWindow) {
        let buses = [uut.bus.valid.val(), uut.config_valid.val(), uut.bar0_valid.val(), uut.bar1_valid.val()];
        assert_eq!(buses, [false; 4]);
        assert!(!uut.events_write.val() && !uut.queue_write.val().any());
    }

    /// What the window's own register at this offset holds now.
    fn own(uut: &StateWindow, freeze: bool, shape: u32, offset: u32) -> u32 {
        let bit = |signal: bool, mask: u32| if signal { mask } else { 0 };
        match offset {
            IDENTITY => u32::from(SIGNATURE) << 16 | u32::from(VERSION),
            SHAPE => shape,
            CONTROL => bit(freeze, FREEZE) | bit(uut.frozen.val(), FROZEN) | bit(uut.waiting.val(), WAITING),
            EVENTS => {
                bit(uut.change_waits.val(), CHANGE_WAITS)
                    | bit(uut.config_written.val(), CONFIG_WRITTEN)
                    | bit(uut.halted.val(), HALTED)
            }
            ACCEPTED => uut.accepted.val().to_u64() as u32,
            FUNCTION => uut.function_id.val().to_u64() as u32,
            _ => {
                let queue = queue_at(offset, uut.queue_state.len());
                queue.map_or(0, |queue| uut.queue_state[queue].val().to_u64() as u32)
            }
        }
    }

    /// An access in its four steps.
    fn access(&mut self, access: Access) -> Answer {
        let (region, offset) = (access.address as usize >> 12 & 3, access.address & 0xfff);
        let reachable = [false, self.has_config, true, self.has_bar1][region];
        let (queue, shape) = (queue_at(offset, self.queues), self.shape());
        let mut cycles = 0;
        let answer = loop {
            if cycles > 0 && self.bench.rng.chance(self.thaws, 64) {
                self.frozen = false;
            }
            let (frozen, freeze) = (self.frozen, self.freeze);
            let forwards = frozen && reachable;
            let mut answer = None;
            self.cycle(Some(access), |uut| {
                assert!(!uut.done.val(), "{access:x?} is done before it is there");
                let buses = [uut.bus.valid.val(), uut.config_valid.val(), uut.bar0_valid.val(), uut.bar1_valid.val()];
                assert_eq!(buses, [0, 1, 2, 3].map(|of| forwards && (of == 0 || of == region)), "{access:x?}");
                if forwards {
                    let bus = &uut.bus;
                    assert_eq!((bus.write.val(), bus.address.val().to_u64()), (access.write, offset.into()));
                    assert_eq!(
                        (bus.enable.val().to_u64(), bus.write_data.val().to_u64() as u32),
                        (access.enable, access.data)
                    );
                }
                let writes = access.write && region == 0 && frozen;
                assert_eq!(uut.events_write.val(), writes && offset == EVENTS, "{access:x?}");
                let wanted = queue.filter(|_| writes).map_or(0, |queue| 1 << queue);
                assert_eq!(uut.queue_write.val().to_u64(), wanted, "{access:x?}");
                answer = match region {
                    0 => Some(Answer::Own(Self::own(uut, freeze, shape, offset))),
                    _ if forwards => uut.bus.done.val().then(|| Answer::Bus(uut.bus.read_data.val().to_u64() as u32)),
                    _ => Some(if cycles == 0 { Answer::Nobody } else { Answer::Moved }),
                };
            });
            if let Some(answer) = answer {
                break answer;
            }
            cycles += 1;
            assert!(cycles < 2000, "{access:x?} is never done");
        };
        let told = match queue {
            Some(queue) => Some(queue),
            None => (offset == EVENTS).then_some(4),
        };
        if let (Some(told), true, 0, true) = (told, self.frozen, region, access.write) {
            self.told[told] += 1;
        }
        if (region, offset, access.write) == (0, CONTROL, true) {
            self.freeze = access.data & FREEZE != 0;
        }
        match answer {
            Answer::Bus(_) => self.forwarded[region] += 1,
            Answer::Moved => self.moved += 1,
            _ => {}
        }
        let value = match answer {
            Answer::Own(value) | Answer::Bus(value) => value,
            Answer::Nobody | Answer::Moved => u32::MAX,
        };
        let done = |uut: &StateWindow| {
            Self::is_quiet(uut);
            assert!(uut.done.val(), "{access:x?}: it is not seen");
            assert_eq!(uut.read_data.val().to_u64() as u32, value, "{access:x?}: {answer:?}");
        };
        for _ in 0..1 + self.bench.rng.below(4) {
            if self.bench.rng.chance(1, 8) {
                self.frozen = !self.frozen;
            }
            self.cycle(Some(access), done);
        }
        self.cycle(None, done);
        self.idle(0);
        answer
    }

    /// No access for so many cycles, or some more.
    fn idle(&mut self, cycles: u64) {
        for _ in 0..cycles + self.bench.rng.below(3) {
            self.cycle(None, |uut| {
                Self::is_quiet(uut);
                assert!(!uut.done.val(), "nothing is done");
            });
        }
    }

    fn shape(&self) -> u32 {
        2 << 16 | if self.has_bar1 { 3 << 8 } else { 0 } | self.queues as u32
    }

    fn own_register(&mut self, offset: u32, write: Option<u32>) -> u32 {
        let access = Access { write: write.is_some(), address: offset, enable: 15, data: write.unwrap_or(0) };
        let Answer::Own(value) = self.access(access) else { panic!("{offset:#x} is not the window's own") };
        value
    }

    /// Any access, mostly of what there is.
    fn random_access(&mut self) -> Access {
        let rng = &mut self.bench.rng;
        let registers = [IDENTITY, SHAPE, CONTROL, EVENTS, ACCEPTED, FUNCTION];
        let queue = QUEUES + 4 * rng.below(5) as u32;
        let mut offset = registers.get(rng.below(9) as usize).copied().unwrap_or(queue);
        let region = if rng.chance(1, 2) { 0 } else { rng.below(4) as u32 };
        if region != 0 || rng.chance(1, 8) {
            offset = 4 * rng.below(0x400) as u32;
        }
        Access {
            write: rng.chance(1, 2),
            address: (rng.below(0x1_0000) as u32) << 16 | region << 12 | offset,
            enable: rng.below(16),
            data: rng.next() as u32,
        }
    }
}

fn queue_at(offset: u32, queues: usize) -> Option<usize> {
    let place = offset.checked_sub(QUEUES)? as usize;
    (place % 4 == 0 && place / 4 < queues).then_some(place / 4)
}

/// Accesses of every kind, while the endpoint moves, stands still, and begins to move.
fn random_accesses(name: &str, queues: usize, vectors: u8, has_config: bool) {
    let mut window = Window::new(name, queues, vectors, has_config);
    window.thaws = 2;
    let mut nobodys = 0;
    for n in 0..2500 {
        window.frozen = window.bench.rng.chance(2, 3);
        window.quick = [16, 4, 1][n / 100 % 3];
        let access = window.random_access();
        nobodys += usize::from(window.access(access) == Answer::Nobody);
    }
    let there = [false, has_config, true, vectors > 0];
    for (region, (forwarded, there)) in window.forwarded.into_iter().zip(there).enumerate() {
        assert!((forwarded > 50) == there, "region {region}: {forwarded} accesses");
    }
    assert!(window.moved > 3 && nobodys > 100, "{} ended by a thaw, {nobodys} of nobody", window.moved);
    let written = |queue: usize| queue < queues || queue == 4;
    assert!((0..5).all(|n| (window.told[n] > 5) == written(n)), "writes told: {:?}", window.told);
    window.bench.finish();
}

#[test]
fn state_window_reaches_all_regions_while_the_endpoint_stands_still() {
    random_accesses("state_window", 2, 3, true);
}

#[test]
fn state_window_reads_all_ones_where_config_space_is_a_hard_blocks() {
    random_accesses("state_window_block", 4, 3, false);
}

#[test]
fn state_window_reads_all_ones_where_there_are_no_vectors() {
    random_accesses("state_window_no_vectors", 1, 0, true);
}

#[test]
fn state_window_tells_what_it_is_whether_the_endpoint_moves_or_not() {
    let mut window = Window::new("state_window_own", 2, 3, true);
    for frozen in [false, true] {
        window.frozen = frozen;
        assert_eq!(window.own_register(IDENTITY, Some(u32::MAX)), 0x5653_0001);
        window.frozen = frozen;
        assert_eq!(window.own_register(SHAPE, Some(u32::MAX)), 2 << 16 | 3 << 8 | 2);
        for freeze in [FREEZE, 0, FREEZE, u32::MAX, !FREEZE] {
            window.own_register(CONTROL, Some(freeze));
            window.frozen = frozen;
            let control = window.own_register(CONTROL, None) & !WAITING;
            assert_eq!(control, freeze & FREEZE | if frozen { FROZEN } else { 0 });
        }
    }
    window.bench.finish();
}

/// Whoever is at the window may give up: nothing is done then, and nothing of it is left.
#[test]
fn state_window_forgets_an_access_that_is_taken_away() {
    let mut window = Window::new("state_window_given_up", 2, 3, true);
    for _ in 0..200 {
        window.frozen = true;
        window.quick = 0;
        let region = 1 + window.bench.rng.below(3) as u32;
        let given_up = Access { address: region << 12, ..window.random_access() };
        for _ in 0..1 + window.bench.rng.below(5) {
            window.cycle(Some(given_up), |uut| assert!(uut.bus.valid.val() && !uut.done.val()));
        }
        // a bus that is done then has come too late
        window.quick = 16;
        window.idle(1);
        window.quick = 4;
        let access = window.random_access();
        window.access(access);
    }
    window.bench.finish();
}
