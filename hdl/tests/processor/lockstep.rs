//! Random instructions, one after the other, and what must come of each.
//!
//! An instruction is made up when it is fetched, wherever that is: a jump into nowhere ends nothing. The bus answers when it likes, to loads
//! with anything, and now and then that it failed.
use super::model::*;
use super::program::{self, name};
use std::collections::{BTreeMap, VecDeque};
use virtio_hdl_rtl::control::Processor;
use virtio_hdl_rtl::testing::Bench;

/// Cycles from where a CSR is read, and a counter brought up to date, to the cycle behind the instruction.
const READ_TO_RETIRED: u64 = 5;
const COUNT_TO_RETIRED: u64 = 17;

struct World {
    bench: Bench<Processor>,
    machine: Machine,
    fetched: Option<Access>,
    accessed: Option<Access>,
    /// Cycles that the present access has waited.
    waited: u64,
    /// It began: address, enable, data.
    asked: Option<(u32, u32, u32)>,
    /// mip in the last cycles.
    pending: [u32; 8],
    levels: u32,
    /// The cycle in which an interrupt must have been taken.
    interrupt_due: Option<u64>,
    /// Instructions to come.
    planned: VecDeque<u32>,
    /// What has happened, and how often.
    seen: BTreeMap<String, u64>,
    /// Cycles that an interrupt has waited for one who sleeps.
    late: u64,
}

impl World {
    fn new(name: &str) -> Self {
        World {
            bench: Bench::new(name, Processor::default(), |uut| &mut uut.clock),
            machine: Machine::default(),
            fetched: None,
            accessed: None,
            waited: 0,
            asked: None,
            pending: [0; 8],
            levels: 0,
            interrupt_due: None,
            planned: VecDeque::new(),
            seen: BTreeMap::new(),
            late: 0,
        }
    }

    fn saw(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    /// All registers, or all CSRs, are stored one by one.
    fn plan(&mut self) -> u32 {
        if let Some(word) = self.planned.pop_front() {
            return word;
        }
        let sleep = self.machine.mie != 0;
        let rng = &mut self.bench.rng;
        match rng.below(120) {
            // interrupts on: mie from a register of ones, MIE from an immediate
            2 | 3 => self.planned.extend([0xfff0_0393, 0x3043_9073, 0x3004_6073]),
            0 => self.planned.extend((1..32).map(|register| program::show(register, 4 * register))),
            1 => {
                let both = |csr: u32| [program::read_csr(7, csr), program::show(7, 0x100)];
                self.planned.extend(CSRS.into_iter().flat_map(both));
            }
            _ => {}
        }
        program::random(rng, sleep)
    }

    /// The bus's answer in this cycle.
    fn answer(&mut self, every: u64) -> bool {
        let valid = self.bench.uut.bus.valid.val();
        let bus = &self.bench.uut.bus;
        let asks =
            (bus.address.val().to_u64() as u32, bus.enable.val().to_u64() as u32, bus.write_data.val().to_u64() as u32);
        let done = valid && self.waited >= 1 && self.bench.rng.chance(1, every);
        let mut access = Access { address: asks.0, enable: asks.1, write_data: asks.2, ..Access::default() };
        let is_fetch = self.fetched.is_none();
        access.read_data = program::number(&mut self.bench.rng);
        access.error = self.bench.rng.chance(1, if is_fetch { 80 } else { 12 });
        if valid {
            assert_eq!(access.address & 3, 0, "an address of no word");
            let before = *self.asked.get_or_insert(asks);
            assert_eq!(before, asks, "the access changed while it waited");
        }
        if done {
            if is_fetch {
                access.read_data = self.plan();
                self.fetched = Some(access);
            } else {
                assert!(self.accessed.is_none(), "a second access of one instruction");
                self.accessed = Some(access);
            }
        }
        self.waited = if valid && !done { self.waited + 1 } else { 0 };
        if done {
            self.asked = None;
        }
        let bus = &mut self.bench.uut.bus;
        bus.done.next = done;
        bus.error.next = access.error;
        bus.read_data.next = u64::from(access.read_data).into();
        done && is_fetch && !access.error
    }

    /// What the processor says of an instruction in this cycle.
    fn check(&mut self) {
        let cycle = self.bench.cycles;
        let uut = &self.bench.uut;
        let (retired, trap) = (uut.retired.val(), uut.trap.val());
        assert!(!(retired && trap));
        let must_interrupt = self.interrupt_due.take_if(|due| *due == cycle).is_some();
        if !retired && !trap {
            assert!(!must_interrupt, "cycle {cycle}: an interrupt is not taken");
            return;
        }
        let pc = uut.pc.val().to_u64() as u32;
        let cause = uut.trap_cause.val().to_u64() as u32;
        let cause = cause >> 4 << 31 | cause & 15;
        let fetched = self.fetched.take().unwrap_or_else(|| panic!("cycle {cycle}: an end of nothing"));
        let word = fetched.read_data;
        let what = format!("cycle {cycle}, {} {word:08x} at {pc:08x}", name(word));
        assert_eq!(pc, self.machine.pc, "{what}: pc");
        if trap && cause & INTERRUPT != 0 {
            let expected = self.machine.interrupt(self.pending[(cycle - 1) as usize % 8]);
            assert_eq!(expected, Some(cause), "{what}: an interrupt");
            self.machine.trap(cause, 0);
            self.saw(format!("interrupt {}", cause & 15));
            return;
        }
        assert!(!must_interrupt, "{what}: in place of an interrupt");
        let pending = self.pending[(cycle - READ_TO_RETIRED) as usize % 8];
        let accessed = self.accessed.take();
        let end = self.machine.step(&fetched, accessed, &Moment { cycle, pending });
        let found = if trap { End::Trap(cause) } else { End::Retired };
        assert_eq!(found, end, "{what}");
        match end {
            End::Retired => self.saw(name(word)),
            End::Trap(cause) => self.saw(format!("trap {cause}")),
        }
        if word & 0x7f == SYSTEM && end == End::Retired && word >> 12 & 3 != 0 {
            self.saw(format!("csr {:x}", word >> 20));
        }
    }

    fn cycle(&mut self, every: u64, levels: u64, reset: bool) {
        let cycle = self.bench.cycles;
        let decodes = self.answer(every);
        for level in [TIMER, EXTERNAL] {
            if self.bench.rng.chance(1, levels) {
                self.levels ^= level;
            }
        }
        self.pending[cycle as usize % 8] = self.levels;
        let uut = &mut self.bench.uut;
        uut.timer_interrupt.next = self.levels & TIMER != 0;
        uut.external_interrupt.next = self.levels & EXTERNAL != 0;
        uut.reset.next = reset;
        self.bench.low();
        let decoding = self.interrupt_due == Some(u64::MAX);
        if decoding {
            // a fetch ended in the cycle before: in this one it is decided
            self.interrupt_due = self.machine.interrupt(self.levels).map(|_| cycle + 1);
        }
        self.check();
        if decodes {
            self.interrupt_due = Some(u64::MAX);
        }
        let asleep = self.bench.uut.asleep.val();
        if asleep {
            self.saw("asleep");
            assert_eq!(self.fetched.map(|fetched| fetched.read_data), Some(WFI), "cycle {cycle}: sleeps");
        }
        self.late = if asleep && self.machine.wakes(self.levels) { self.late + 1 } else { 0 };
        // it looks up from counting cycles
        assert!(self.late < 17, "cycle {cycle}: does not wake");
        if reset {
            self.machine = Machine::default();
            self.machine.cycles = 0u64.wrapping_sub(cycle + 1 + COUNT_TO_RETIRED);
            (self.fetched, self.accessed, self.interrupt_due, self.waited, self.asked) = (None, None, None, 0, None);
            self.saw("reset");
        }
        self.bench.edge();
    }
}

#[test]
fn random_instructions_do_what_the_specification_says() {
    let mut world = World::new("processor");
    for _ in 0..3 {
        world.cycle(1, 50, true);
    }
    for cycle in 0..160_000u64 {
        let every = 1 + cycle / 1000 % 4 * 2 / 3;
        // long sleeps: the cycles must be counted meanwhile
        let levels = if cycle / 10_000 % 4 == 3 { 1500 } else { 60 };
        let reset = world.bench.rng.chance(1, 10_000);
        world.cycle(every, levels, reset);
    }
    for (name, _, _, _) in program::INSTRUCTIONS.iter().filter(|(name, ..)| *name != "system") {
        assert!(world.seen.get(*name).is_some_and(|count| *count > 40), "{name}: {:?}", world.seen);
    }
    let rare = ["mret", "wfi", "interrupt 7", "interrupt 11", "asleep", "reset"].map(String::from);
    let traps = [0, 1, 2, 3, 4, 5, 6, 7, 11].map(|cause| format!("trap {cause}"));
    let csrs = CSRS.map(|csr| format!("csr {csr:x}"));
    for what in rare.iter().chain(&traps).chain(&csrs) {
        assert!(world.seen.get(what).is_some_and(|count| *count > 10), "{what}: {:?}", world.seen);
    }
    world.bench.finish();
}
