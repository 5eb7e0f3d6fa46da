//! A device that is a program, on the whole Verilated endpoint: requests of any size and shape; and programs that hang, trap, or write
//! over everything that they can reach. Whatever a program does, the endpoint is reset, and the host's memory is its own.
use std::io::Write;
use virtio_hdl::backend::console::Typist;
use virtio_hdl::backend::ConsolePort;
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::requests::{Options, Reply, Requests};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::LinkConfig;
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::requests::{self, Asked};
use virtio_hdl_rtl::config::{EndpointConfig, Setting};
use virtio_hdl_rtl::control::layout::{FULL, MAILBOX, MAILBOX_STATE, REGISTERS, REQUEST, REQUEST_ROOM};
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_tests::library;

const ENTROPY: u16 = 4;
/// Bytes of a reply that rng has room for.
const MOST: u32 = 2048;
/// Cycles after which a device that is reset must be ready: 1 ms.
const SOON: u64 = 125_000;
/// Counters of the diagnostics: the program gave no sign, and it trapped.
const HUNG: usize = diagnostics::FIELDS.len();
const TRAPPED: usize = HUNG + 1;

/// Instructions of RV32I (The RISC-V Instruction Set Manual, volume I, chapter 2), as far as these programs need them. x0 is 0.
mod rv32i {
    const fn register_type(function: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
        rs2 << 20 | rs1 << 15 | function << 12 | rd << 7 | 0x33
    }
    const fn immediate_type(opcode: u32, function: u32, rd: u32, rs1: u32, immediate: u32) -> u32 {
        immediate << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode
    }
    pub const fn lui(rd: u32, upper: u32) -> u32 {
        upper & 0xffff_f000 | rd << 7 | 0x37
    }
    pub const fn addi(rd: u32, rs1: u32, immediate: u32) -> u32 {
        immediate_type(0x13, 0, rd, rs1, immediate)
    }
    pub const fn slli(rd: u32, rs1: u32, bits: u32) -> u32 {
        immediate_type(0x13, 1, rd, rs1, bits)
    }
    pub const fn srli(rd: u32, rs1: u32, bits: u32) -> u32 {
        immediate_type(0x13, 5, rd, rs1, bits)
    }
    pub const fn andi(rd: u32, rs1: u32, immediate: u32) -> u32 {
        immediate_type(0x13, 7, rd, rs1, immediate)
    }
    pub const fn lw(rd: u32, rs1: u32, offset: u32) -> u32 {
        immediate_type(0x03, 2, rd, rs1, offset)
    }
    pub const fn lbu(rd: u32, rs1: u32, offset: u32) -> u32 {
        immediate_type(0x03, 4, rd, rs1, offset)
    }
    pub const fn xor(rd: u32, rs1: u32, rs2: u32) -> u32 {
        register_type(4, rd, rs1, rs2)
    }
    pub const fn or(rd: u32, rs1: u32, rs2: u32) -> u32 {
        register_type(6, rd, rs1, rs2)
    }
    pub const fn and(rd: u32, rs1: u32, rs2: u32) -> u32 {
        register_type(7, rd, rs1, rs2)
    }
    pub const fn sw(rs2: u32, rs1: u32, offset: u32) -> u32 {
        (offset >> 5) << 25 | rs2 << 20 | rs1 << 15 | 2 << 12 | (offset & 31) << 7 | 0x23
    }
    /// A branch by so many instructions.
    pub const fn beq(rs1: u32, rs2: u32, instructions: i32) -> u32 {
        let offset = (4 * instructions) as u32;
        let high = (offset >> 12 & 1) << 31 | (offset >> 5 & 0x3f) << 25;
        high | rs2 << 20 | rs1 << 15 | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63
    }
}
use rv32i::*;

/// Takes requests, and does by the first byte of one: see [`Harm`]. One program, and so one model, for all.
const HARMFUL: [u32; 32] = [
    lui(1, REGISTERS),
    addi(2, 0, 0x400),
    sw(2, 1, MAILBOX + REQUEST),
    addi(2, 0, 0x100),
    sw(2, 1, MAILBOX + REQUEST_ROOM),
    // waits for a request
    lw(3, 1, MAILBOX + MAILBOX_STATE),
    andi(3, 3, FULL),
    beq(3, 0, -2),
    addi(4, 0, 0x400),
    lbu(5, 4, 0),
    addi(5, 5, -(Harm::Traps as i32) as u32),
    beq(5, 0, 4),
    addi(5, 5, -1_i32 as u32),
    beq(5, 0, 3),
    // never answers
    beq(0, 0, 0),
    // no instruction; mtvec is 0, where all begins anew
    0,
    // writes pseudo-random words to pseudo-random places: a register, then a word of RAM, and so at last over itself
    lui(2, 0x1234_5000),
    // the lowest 9 and 14 bits without the last two
    addi(3, 0, 0x1fc),
    lui(4, 0x4000),
    addi(4, 4, 0xffc),
    // xorshift
    slli(5, 2, 13),
    xor(2, 2, 5),
    srli(5, 2, 17),
    xor(2, 2, 5),
    slli(5, 2, 5),
    xor(2, 2, 5),
    and(6, 2, 3),
    or(6, 6, 1),
    sw(2, 6, 0),
    and(7, 2, 4),
    sw(2, 7, 0),
    beq(0, 0, -11),
];

/// What the program does when it is asked to.
#[derive(Clone, Copy)]
enum Harm {
    /// It never answers.
    Hangs = 1,
    /// It has exceptions, one after the other.
    Traps = 2,
    /// It writes over everything that it can reach, itself included.
    Wild = 3,
}

struct Setup {
    machine: Machine,
    bus: Bus,
    typist: Typist,
}

fn setup(config: &EndpointConfig, options: &MachineOptions) -> Setup {
    let typist = Typist::default();
    let port = ConsolePort::of_program(Box::new(typist.console()), config.link.clock_hz);
    let mut machine = Machine::new(&library(config), Box::new(port), options).unwrap();
    let bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    Setup { machine, bus, typist }
}

/// The example `rng` with the harmful program, whose watchdog has little patience.
fn harmful() -> EndpointConfig {
    let mut image = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = HARMFUL.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.write_all(&bytes).unwrap();
    let program = format!("firmware.program={}", image.path().display());
    let settings: Vec<Setting> =
        [program.as_str(), "firmware.watchdog_ms=1"].iter().map(|text| text.parse().unwrap()).collect();
    EndpointConfig::load_set("rng", &settings).unwrap_or_else(|error| panic!("{error}"))
}

impl Setup {
    fn probe(&mut self, options: &Options) -> Requests {
        Requests::probe(&mut self.machine, &mut self.bus, SLOT, ENTROPY, options).unwrap()
    }

    fn diagnostic(&mut self, field: usize) -> u32 {
        self.machine.config_read(SLOT, DIAGNOSTICS + 4 * field as u16, Width::Double)
    }

    /// Requests are given to a program that does not answer them: resets come through all the same, in time, and nothing is written.
    fn resets_come_through(&mut self, harm: Harm) {
        for function_level in [false, true, false] {
            let mut driver = self.probe(&Options::default());
            for writable in [64, 16, 1] {
                driver.give(&mut self.machine, 0, &[harm as u8, 2, 3], writable, &[], Shape::Direct).unwrap();
            }
            driver.kick(&mut self.machine).unwrap();
            let end = self.machine.now() + 20_000;
            let reply = driver.wait(&mut self.machine, end).unwrap();
            assert_eq!(reply, None, "nobody has answered");
            let begun = self.machine.now();
            if function_level {
                self.bus.function(SLOT).unwrap().reset(&mut self.machine).unwrap();
                self.bus = Bus::scan(&mut self.machine, &BusOptions::default()).unwrap();
            } else {
                driver.remove(&mut self.machine, &mut self.bus).unwrap();
            }
            assert!(self.machine.now() - begun < SOON, "a reset took {} cycles", self.machine.now() - begun);
            self.machine.check().unwrap();
        }
    }
}

#[test]
fn requests_of_any_size_and_shape_are_answered() {
    let config = EndpointConfig::load("rng").unwrap();
    let link = LinkConfig { seed: 5, ..LinkConfig::default() };
    let stall = Stall { receive: 40, transmit: 40, device: 40 };
    let mut s = setup(&config, &MachineOptions { link, stall, ..MachineOptions::default() });
    let mut driver = s.probe(&Options { scatter: Some(3), ..Options::default() });
    let mut all: Vec<u8> = vec![];
    let run = requests::Options { requests: 40, depth: 4, queues: 1, seed: 1 };
    let check = &mut |asked: &Asked, reply: &Reply| {
        all.extend(&reply.bytes);
        let want = asked.room.min(MOST);
        match reply.bytes.len() as u32 {
            length if length == want => Ok(()),
            length => Err(format!("{length} bytes, not {want}")),
        }
    };
    let report = requests::run(&mut s.machine, &mut driver, &run, check, &mut |_| {}).unwrap();
    assert_eq!((report.requests, report.reply_bytes), (40, all.len() as u64));
    let ones: u32 = all.iter().map(|byte| byte.count_ones()).sum();
    let share = f64::from(ones) / (8.0 * all.len() as f64);
    assert!((0.48..0.52).contains(&share), "{share} of {} bits are ones", 8 * all.len());
    assert_eq!((s.diagnostic(HUNG), s.diagnostic(TRAPPED), s.diagnostic(0)), (0, 0, 0));
    assert!(String::from_utf8_lossy(&s.typist.printed()).starts_with("virtio-hdl rng "));
    s.machine.finish().unwrap();
}

#[test]
fn a_program_that_never_answers_keeps_no_reset_waiting_and_is_seen() {
    let mut s = setup(&harmful(), &MachineOptions::default());
    s.resets_come_through(Harm::Hangs);
    s.machine.run(2 * SOON);
    assert_eq!((s.diagnostic(HUNG), s.diagnostic(TRAPPED)), (1, 0), "the watchdog speaks once");
    s.machine.finish().unwrap();
}

#[test]
fn a_program_that_traps_is_counted_and_keeps_no_reset_waiting() {
    let mut s = setup(&harmful(), &MachineOptions::default());
    s.resets_come_through(Harm::Traps);
    s.machine.run(2 * SOON);
    assert!(s.diagnostic(TRAPPED) > 100 && s.diagnostic(HUNG) == 1);
    s.machine.finish().unwrap();
}

/// Half a second of the endpoint's time would be more of the same. What it writes to the byte port comes out, or is counted as lost.
#[test]
fn a_program_that_writes_over_everything_harms_nobody() {
    let mut s = setup(&harmful(), &MachineOptions::default());
    for round in 0..4 {
        let mut driver = s.probe(&Options::default());
        for _ in 0..3 {
            driver.give(&mut s.machine, 0, &[Harm::Wild as u8; 40], 100, &[30], Shape::Direct).unwrap();
        }
        driver.kick(&mut s.machine).unwrap();
        // it may well answer: no more than there is room for, which the driver sees to
        let end = s.machine.now() + 30_000;
        while driver.wait(&mut s.machine, end).unwrap().is_some() {}
        let begun = s.machine.now();
        driver.remove(&mut s.machine, &mut s.bus).unwrap();
        assert!(s.machine.now() - begun < SOON, "round {round}: a reset took {} cycles", s.machine.now() - begun);
        s.machine.check().unwrap();
        assert_eq!(s.diagnostic(0), 0, "a violation of which the driver is innocent");
    }
    assert!(s.diagnostic(TRAPPED) > 0, "it has not even written over itself");
    s.machine.finish().unwrap();
}

/// What a standstill takes out of a mailbox comes again: each request is answered once.
#[test]
fn a_program_stands_still_is_restored_and_goes_on() {
    let mut s = setup(&EndpointConfig::load("rng").unwrap(), &MachineOptions::default());
    let mut driver = s.probe(&Options::default());
    for round in 0..12 {
        for room in [64, 16, 1] {
            driver.give(&mut s.machine, 0, &[1, 2, 3], room, &[], Shape::Direct).unwrap();
        }
        driver.kick(&mut s.machine).unwrap();
        s.machine.run(round * 1700);
        s.machine.freeze().unwrap();
        if round % 3 != 0 {
            let state = s.machine.save().unwrap();
            s.machine.restore(&state).unwrap();
        }
        s.machine.thaw().unwrap();
        let mut rooms: Vec<_> = (0..3)
            .map(|_| {
                let end = s.machine.now() + 1_000_000;
                let reply = driver.wait(&mut s.machine, end).unwrap();
                reply.unwrap_or_else(|| panic!("round {round}: a request is lost")).bytes.len()
            })
            .collect();
        rooms.sort_unstable();
        assert_eq!((rooms.as_slice(), driver.outstanding()), (&[1, 16, 64][..], 0));
        s.machine.check().unwrap();
    }
    s.machine.finish().unwrap();
}
