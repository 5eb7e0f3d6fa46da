//! The UART on a card: a far end with a clock of its own, glitches, frames that are none, and an endpoint that takes nothing.
use std::collections::VecDeque;
use virtio_hdl_rtl::device::console::types::ConsoleByte;
use virtio_hdl_rtl::device::console::uart::Uart;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};

/// The other end of the line. Its time is in our cycles.
struct FarEnd {
    /// Cycles a bit.
    bit: f64,
    /// What it puts on the line, and when.
    edges: VecDeque<(f64, bool)>,
    level: bool,
    /// From then on the line rests.
    free: f64,
    /// The frame that it hears: beginning, samples taken, bits.
    frame: Option<(f64, u32, u16)>,
}

impl FarEnd {
    /// The line is at this level for so many bits.
    fn put(&mut self, level: bool, bits: f64) {
        self.edges.push_back((self.free, level));
        self.free += bits * self.bit;
    }

    fn rest(&mut self, from: f64) {
        self.free = self.free.max(from);
    }

    fn send(&mut self, byte: u8, stop: bool) {
        self.put(false, 1.0);
        (0..8).for_each(|bit| self.put(byte >> bit & 1 == 1, 1.0));
        self.put(stop, 1.0);
    }

    /// What is on the line.
    fn drive(&mut self, now: f64) -> bool {
        while self.edges.front().is_some_and(|(time, _)| *time <= now) {
            self.level = self.edges.pop_front().is_some_and(|(_, level)| level);
        }
        self.level
    }

    /// Samples in the middle of its own bits.
    fn hear(&mut self, now: f64, level: bool) -> Option<u8> {
        let Some((begin, samples, bits)) = self.frame else {
            self.frame = (!level).then_some((now, 0, 0));
            return None;
        };
        if now < begin + (f64::from(samples) + 0.5) * self.bit {
            return None;
        }
        let bits = bits | u16::from(level) << samples;
        self.frame = (samples < 9).then_some((begin, samples + 1, bits));
        (samples == 9).then(|| {
            assert_eq!((bits & 1, bits >> 9), (0, 1), "start and stop bit");
            (bits >> 1) as u8
        })
    }
}

struct World {
    bench: Bench<Uart>,
    far: FarEnd,
    sent: Feed<ConsoleByte>,
    /// On the way to the far end and to the endpoint.
    printed: VecDeque<u8>,
    typed: VecDeque<u8>,
    /// Of 8 cycles: in how many the endpoint takes a byte.
    taking: u64,
    heard: usize,
    arrived: usize,
}

impl World {
    /// The far end's bits are longer by this part of one.
    fn new(name: &str, cycles_per_bit: u64, error: f64) -> Self {
        let mut bench = Bench::new(name, Uart::new(cycles_per_bit), |uut| &mut uut.clock);
        bench.uut.uart_rxd.next = true;
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        let bit = cycles_per_bit as f64 * (1.0 + error);
        World {
            bench,
            far: FarEnd { bit, edges: VecDeque::new(), level: true, free: 0.0, frame: None },
            sent: Feed::new(4),
            printed: VecDeque::new(),
            typed: VecDeque::new(),
            taking: 4,
            heard: 0,
            arrived: 0,
        }
    }

    /// Cycles, with parts of them.
    fn some(&mut self, most: f64) -> f64 {
        self.bench.rng.below(1 << 20) as f64 / f64::from(1 << 20) * most
    }

    fn now(&self) -> f64 {
        self.bench.cycles as f64
    }

    fn byte(&mut self) -> u8 {
        [0x00, 0xff, 0x55, self.bench.rng.next() as u8][self.bench.rng.below(4) as usize]
    }

    fn print(&mut self) {
        let byte = self.byte();
        self.sent.values.push_back(ConsoleByte { data: u64::from(byte).into() });
        self.printed.push_back(byte);
    }

    /// After a rest of up to so many bits.
    fn type_one(&mut self, most_bits: f64) {
        let rest = self.some(most_bits * self.far.bit);
        self.far.rest(self.now());
        self.far.free += rest;
        let byte = self.byte();
        self.far.send(byte, true);
        self.typed.push_back(byte);
    }

    fn cycle(&mut self) {
        let now = self.now();
        let bench = &mut self.bench;
        bench.uut.uart_rxd.next = self.far.drive(now);
        bench.uut.console_rx.ready.next = bench.rng.chance(self.taking, 8);
        self.sent.drive(&mut bench.uut.console_tx, &mut bench.rng);
        bench.low();
        if let Some(byte) = self.far.hear(now, bench.uut.uart_txd.val()) {
            assert_eq!(Some(byte), self.printed.pop_front(), "cycle {now}");
            self.heard += 1;
        }
        if let Some(byte) = moved(&bench.uut.console_rx) {
            assert_eq!(Some(byte.data.to_u64() as u8), self.typed.pop_front(), "cycle {now}");
            self.arrived += 1;
        }
        self.sent.take(&bench.uut.console_tx);
        bench.edge();
    }

    /// Until nothing is under way.
    fn settle(&mut self) {
        let limit = self.now().max(self.far.free) + 15.0 * self.far.bit * (2 + self.printed.len()) as f64;
        while self.now() < self.far.free + 2.0 * self.far.bit || !self.printed.is_empty() || !self.typed.is_empty() {
            assert!(
                self.now() < limit,
                "{} printed and {} typed bytes are missing",
                self.printed.len(),
                self.typed.len()
            );
            self.cycle();
        }
    }
}

/// The far end is off by as much as it may be, and by as much as our divisor may be.
#[test]
fn uart_carries_bytes_both_ways_at_any_pace_to_a_far_end_that_is_off() {
    let mut all = [0, 0];
    for (cycles, error) in [(16, -0.04), (16, 0.04), (17, -0.02), (17, 0.02), (27, 0.0), (27, 0.04)] {
        let mut world = World::new(&format!("uart_{cycles}_{}", (error * 100.0) as i32), cycles, error);
        let rests = [0.0, 0.0, 1.0, 30.0];
        for round in 0..12_000 {
            if world.now() >= world.far.free - 1.0 {
                let rest = rests[world.bench.rng.below(4) as usize];
                world.type_one(rest);
            }
            let pause = [1, 1, 100, 1000][round / 500 % 4];
            if world.printed.len() < 3 && world.bench.rng.chance(1, pause) {
                world.print();
            }
            world.taking = [8, 1, 4][round / 300 % 3];
            world.cycle();
        }
        world.taking = 8;
        world.settle();
        all = [all[0] + world.heard, all[1] + world.arrived];
        world.bench.finish();
    }
    assert!(all.iter().all(|count| *count > 150), "{all:?} bytes");
}

/// Two frames to the pin are a bit and one cycle apart, and no more.
#[test]
fn uart_sends_without_a_pause() {
    let mut world = World::new("uart_rate", 16, 0.0);
    (0..20).for_each(|_| world.print());
    let begin = world.now();
    world.settle();
    // the far end has it in the middle of the last stop bit
    let cycles = world.now() - begin;
    assert!(cycles <= 20.0 * 161.0, "{cycles} cycles for 20 bytes");
    world.bench.finish();
}

#[test]
fn uart_takes_no_glitch_for_a_start_bit() {
    let mut world = World::new("uart_glitch", 17, 0.0);
    world.taking = 8;
    let mut glitches = 0;
    for round in 0..400 {
        world.far.rest(world.now());
        for _ in 0..world.bench.rng.below(4) {
            // high for two cycles at least, so that both are seen; low for up to half a bit
            let (high, low) = (2.0 + world.some(20.0), 1.0 + world.some(7.0));
            let bit = world.far.bit;
            world.far.put(true, high / bit);
            world.far.put(false, low / bit);
            glitches += 1;
        }
        world.far.put(true, 2.0 / world.far.bit);
        if round % 3 == 0 {
            world.type_one(0.0);
        }
        world.settle();
    }
    assert!(world.arrived > 100 && glitches > 300, "{} bytes, {glitches} glitches", world.arrived);
    world.bench.finish();
}

#[test]
fn uart_drops_a_frame_with_a_low_stop_bit_and_a_break() {
    let mut world = World::new("uart_stop", 16, 0.0);
    world.taking = 8;
    let mut bad = 0;
    for _ in 0..150 {
        match world.bench.rng.below(4) {
            0 => {
                let (byte, more) = (world.byte(), world.some(3.0));
                world.far.rest(world.now());
                world.far.send(byte, false);
                world.far.put(false, more);
            }
            1 => {
                let bits = 10.0 + world.some(40.0);
                world.far.rest(world.now());
                world.far.put(false, bits);
            }
            _ => {
                world.type_one(2.0);
                continue;
            }
        }
        bad += 1;
        // long enough to be seen
        world.far.put(true, 2.0 / 16.0);
        if world.bench.rng.chance(1, 2) {
            world.settle();
        }
    }
    world.settle();
    assert!(world.arrived > 50 && bad > 50, "{} bytes, {bad} frames that are none", world.arrived);
    world.bench.finish();
}

#[test]
fn uart_keeps_sixteen_bytes_while_the_endpoint_takes_none() {
    let mut world = World::new("uart_full", 16, 0.0);
    for more in [0, 1, 5] {
        world.taking = 0;
        (0..16 + more).for_each(|_| world.type_one(0.0));
        while world.now() < world.far.free + 2.0 * world.far.bit {
            world.cycle();
        }
        world.typed.truncate(16);
        world.taking = 3;
        world.settle();
        world.type_one(0.0);
        world.settle();
    }
    assert_eq!(world.arrived, 3 * 17);
    world.bench.finish();
}

#[test]
fn uart_forgets_at_a_reset_what_is_under_way() {
    let mut world = World::new("uart_reset", 16, 0.0);
    let mut amid = 0;
    for _ in 0..60 {
        world.taking = 0;
        (0..3).for_each(|_| world.print());
        (0..2).for_each(|_| world.type_one(1.0));
        let frames = 60 + world.bench.rng.below(400);
        for _ in 0..frames {
            world.cycle();
        }
        // the far end goes on in its frame; what the start bit of another would be is not for us to tell
        while !world.far.edges.is_empty() || world.now() < world.far.free {
            world.cycle();
        }
        amid += usize::from(world.far.frame.is_some());
        world.bench.uut.reset.next = true;
        world.sent = Feed::new(4);
        world.bench.uut.console_tx.valid.next = false;
        world.bench.cycle(|_, _| {}, |_| {});
        world.bench.uut.reset.next = false;
        world.far.frame = None;
        world.printed.clear();
        world.typed.clear();
        world.taking = 8;
        let quiet = 20 + world.bench.rng.below(300);
        for _ in 0..quiet {
            world.cycle();
            assert!(world.bench.uut.uart_txd.val(), "the line rests");
        }
        world.print();
        world.type_one(1.0);
        world.settle();
    }
    assert!(amid > 20, "{amid} resets amid a frame");
    assert_eq!(world.arrived, 60);
    world.bench.finish();
}

#[test]
fn uart_has_a_divisor_within_two_percent_or_says_what_there_is() {
    for (clock, baud, cycles) in [
        (125_000_000, 115_200, 1085),
        (250_000_000, 115_200, 2170),
        (125_000_000, 300, 416_667),
        (500_000_000, 300, 1_666_667),
        (125_000_000, 7_812_500, 16),
        // 24.5 cycles are 2 % of 25 away
        (24_500_000, 1_000_000, 25),
        (250_000_000, 12_000_000, 21),
    ] {
        assert_eq!(Uart::cycles_per_bit(clock, baud), Ok(cycles), "{clock} {baud}");
        drop(Uart::new(cycles));
    }
    for (clock, baud, message) in [
        (
            125_000_000,
            12_000_000,
            "console.baud = 12000000 is too fast for a clock of 125000000 Hz; allowed: 16 cycles a bit at least, up to 7812500",
        ),
        (
            125_000_000,
            7_142_000,
            "console.baud = 7142000 cannot be had from a clock of 125000000 Hz within 2 %; the nearest are 6944444 and 7352941",
        ),
    ] {
        assert_eq!(Uart::cycles_per_bit(clock, baud).unwrap_err(), message);
    }
}
