//! The images, run by a simulator of the processor with a fake of what is around it: no compiler for that processor is needed, and no
//! RTL. `VIRTIO_HDL_FIRMWARE_IMAGES` names another folder of images than `hdl/firmware`.
use rrs_lib::instruction_executor::{InstructionException, InstructionExecutor};
use rrs_lib::{HartState, MemAccessSize, Memory};
use std::path::PathBuf;
use virtio_hdl_firmware::fake::Fake;
use virtio_hdl_firmware::{layout, KICK_CYCLES};

const RAM_BYTES: u32 = 16 << 10;
/// What memory.x leaves for it.
const STACK_BYTES: u32 = 2048;
/// Cycles of an instruction, about.
const CYCLES: u32 = 4;
/// Instructions in which any test here ends, or fails: five times as many as the longest takes.
const PATIENCE: u32 = 8_000_000;

fn image(name: &str) -> Vec<u8> {
    let images = std::env::var_os("VIRTIO_HDL_FIRMWARE_IMAGES").map(PathBuf::from);
    let images = images.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hdl/firmware"));
    let path = images.join(name).with_extension("bin");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// RAM and registers, as the processor sees them.
struct Bus(Fake);

impl Memory for Bus {
    fn read_mem(&mut self, address: u32, size: MemAccessSize) -> Option<u32> {
        if let Some(register) = address.checked_sub(layout::REGISTERS) {
            assert!(matches!(size, MemAccessSize::Word), "a register is read in part");
            return (register < 0x1000).then(|| self.0.read_register(register));
        }
        let bytes = self.0.ram.get(address as usize..)?;
        Some(match size {
            MemAccessSize::Byte => u32::from(*bytes.first()?),
            MemAccessSize::HalfWord => u32::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?)),
            MemAccessSize::Word => u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
        })
    }

    fn write_mem(&mut self, address: u32, size: MemAccessSize, data: u32) -> bool {
        if let Some(register) = address.checked_sub(layout::REGISTERS) {
            assert!(matches!(size, MemAccessSize::Word), "a register is written in part");
            if register < 0x1000 {
                self.0.write_register(register, data);
            }
            return register < 0x1000;
        }
        let bytes = match size {
            MemAccessSize::Byte => 1,
            MemAccessSize::HalfWord => 2,
            MemAccessSize::Word => 4,
        };
        match self.0.ram.get_mut(address as usize..address as usize + bytes) {
            Some(place) => place.copy_from_slice(&data.to_le_bytes()[..bytes]),
            None => return false,
        }
        true
    }
}

/// What a run ended with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It sleeps until something comes or the alarm rings.
    Sleeps,
    /// It sleeps, and nothing ends that.
    Halted,
}

struct Processor {
    hart: HartState,
    bus: Bus,
    mtvec: u32,
    mepc: u32,
    mcause: u32,
    mtval: u32,
    mie: u32,
    lowest_stack: u32,
    instructions: u32,
}

impl Processor {
    fn new(image: &[u8], mailboxes: usize) -> Self {
        let mut fake = Fake::new(RAM_BYTES, mailboxes);
        // RAM that is not of the image holds anything
        fake.ram.fill(0xa5);
        fake.ram[..image.len()].copy_from_slice(image);
        let mut hart = HartState::new();
        hart.registers = [0xdead_beef; 32];
        let bus = Bus(fake);
        Self { hart, bus, mtvec: 0, mepc: 0, mcause: 0, mtval: 0, mie: 0, lowest_stack: RAM_BYTES, instructions: 0 }
    }

    fn fake(&mut self) -> &mut Fake {
        &mut self.bus.0
    }

    fn trap(&mut self, cause: u32, value: u32) {
        self.mepc = self.hart.pc;
        self.mcause = cause;
        self.mtval = value;
        self.hart.pc = self.mtvec;
    }

    /// CSR instructions and wfi; none is illegal. Says whether it sleeps.
    fn system(&mut self, instruction: u32) -> Option<bool> {
        if instruction == 0x1050_0073 {
            return Some(true);
        }
        let csr = match instruction >> 20 {
            0x304 => &mut self.mie,
            0x305 => &mut self.mtvec,
            0x341 => &mut self.mepc,
            0x342 => &mut self.mcause,
            0x343 => &mut self.mtval,
            _ => return None,
        };
        let rs1 = (instruction >> 15 & 31) as usize;
        let operand = if rs1 == 0 { 0 } else { self.hart.registers[rs1] };
        let old = *csr;
        match instruction >> 12 & 7 {
            1 => *csr = operand,
            2 => *csr |= operand,
            3 => *csr &= !operand,
            _ => return None,
        }
        match (instruction >> 7 & 31) as usize {
            0 => {}
            rd => self.hart.registers[rd] = old,
        }
        Some(false)
    }

    /// Runs until it sleeps with nothing to do.
    fn run(&mut self) -> End {
        while self.instructions < PATIENCE {
            self.instructions += 1;
            self.bus.0.time = self.bus.0.time.wrapping_add(CYCLES);
            let pc = self.hart.pc;
            let instruction = self.bus.read_mem(pc, MemAccessSize::Word).filter(|_| pc < RAM_BYTES).unwrap_or(0);
            if instruction & 0x7f == 0x73 {
                match self.system(instruction) {
                    None => self.trap(2, instruction),
                    Some(false) => self.hart.pc += 4,
                    Some(true) => {
                        if self.mie == 0 {
                            return End::Halted;
                        }
                        assert_eq!(self.mie, 1 << 7 | 1 << 11, "timer and external interrupt");
                        if !self.bus.0.interrupts() {
                            return End::Sleeps;
                        }
                        self.hart.pc += 4;
                    }
                }
                continue;
            }
            // the simulator has the M extension, the processor has not
            let multiplies = instruction & 0xfe00_007f == 0x0200_0033;
            let mut executor = InstructionExecutor { mem: &mut self.bus, hart_state: &mut self.hart };
            let result = if multiplies {
                Err(InstructionException::IllegalInstruction(pc, instruction))
            } else {
                executor.step()
            };
            match result {
                Ok(()) => {}
                Err(InstructionException::FetchError(address)) => self.trap(1, address),
                Err(InstructionException::IllegalInstruction(_, instruction)) => self.trap(2, instruction),
                Err(InstructionException::AlignmentFault(address)) => self.trap(4, address),
                Err(InstructionException::LoadAccessFault(address)) => self.trap(5, address),
                Err(InstructionException::StoreAccessFault(address)) => self.trap(7, address),
            }
            if (RAM_BYTES / 2..RAM_BYTES).contains(&self.hart.registers[2]) {
                self.lowest_stack = self.lowest_stack.min(self.hart.registers[2]);
            }
        }
        panic!("it does not come to rest, pc {:#x}; it said: {}", self.hart.pc, self.bus.0.printed());
    }

    /// As [`Self::run`], of a program that has to go on afterwards.
    #[track_caller]
    fn rests(&mut self) {
        let end = self.run();
        assert_eq!(end, End::Sleeps, "it said: {}", self.bus.0.printed());
        println!("{} instructions", self.instructions);
        let used = RAM_BYTES - self.lowest_stack;
        assert!(used <= STACK_BYTES, "{used} bytes of stack");
    }

    fn typed(&mut self, text: &str) -> String {
        self.fake().output.clear();
        self.fake().input.extend(text.bytes());
        self.rests();
        self.fake().printed()
    }
}

fn rng(mailboxes: usize) -> Processor {
    let mut processor = Processor::new(&image("rng"), mailboxes);
    processor.rests();
    processor
}

#[test]
fn the_image_answers_a_request() {
    let mut processor = rng(1);
    assert!(processor.fake().printed().starts_with("virtio-hdl rng "), "{}", processor.bus.0.printed());
    let mut replies = Vec::new();
    for (readable, writable) in [(0, 64), (0, 64), (0, 0), (9000, 1), (0, u32::MAX), (0, 0x1_0000)] {
        processor.fake().request(0, &vec![1; readable], writable);
        let before = processor.fake().time;
        processor.rests();
        println!("{writable:#x} bytes: {} cycles", processor.bus.0.time - before);
        let (queue, reply) = processor.fake().answers.pop().expect("no answer");
        assert_eq!(queue, 0);
        replies.push(reply);
    }
    let lengths: Vec<_> = replies.iter().map(Vec::len).collect();
    assert_eq!(lengths[..4], [64, 64, 0, 1]);
    assert!(lengths[4] >= 1024 && lengths[4] == lengths[5], "{lengths:?}");
    assert_ne!(replies[0], replies[1]);
    assert_ne!(replies[0], [0; 64]);
    println!("{} bytes of stack", RAM_BYTES - processor.lowest_stack);
}

#[test]
fn the_image_survives_resets_between_request_and_answer() {
    let mut processor = rng(2);
    let mut access = 0u32;
    processor.fake().event = Some(Box::new(move |fake| {
        access += 1;
        // a turn has other numbers of accesses: at one place in the program after another, and seldom enough for it to come to rest
        if access % 37 == 0 {
            fake.reset();
            fake.request(access & 1, &[3; 100], access % 200);
        }
    }));
    for _ in 0..1000 {
        processor.fake().request(0, &[], 64);
        processor.rests();
    }
    let fake = processor.fake();
    let (late, answered) = (fake.ignored, fake.answers.len());
    assert!(late > 50 && answered > 500, "{late} too late, {answered} in time");
    fake.event = None;
    fake.answers.clear();
    fake.request(1, &[], 32);
    processor.rests();
    assert_eq!(processor.fake().answers.len(), 1);
}

#[test]
fn the_image_kicks_the_watchdog_in_its_sleep() {
    let mut processor = rng(1);
    let before = processor.fake().kicks;
    processor.fake().longest_gap = 0;
    for _ in 0..10 {
        processor.fake().skip_to_alarm();
        processor.rests();
    }
    let (kicks, gap) = (processor.fake().kicks - before, processor.fake().longest_gap);
    assert!(kicks == 10 && gap < KICK_CYCLES + 10_000, "{kicks} kicks, {gap} cycles between two of them");
}

#[test]
fn the_image_has_a_console() {
    let mut processor = rng(1);
    assert!(processor.typed("help\r").contains("peek ADDRESS"));
    let version = processor.typed("version\r");
    assert!(version.contains("bytes of RAM 16384\r\nmailboxes 1\r\n"), "{version}");
    let first = u32::from_le_bytes(processor.fake().ram[..4].try_into().unwrap());
    assert!(processor.typed("peek 0\r").contains(&format!("{first:#010x}")));
    assert!(processor.typed("peek 80000024\r").contains("no word of RAM"));
    assert!(processor.typed("peek 4000\r").contains("no word of RAM"));
    assert!(processor.typed(&"x".repeat(10_000)).ends_with('x'));
    assert!(processor.typed("\r").contains("too long"));
    assert!(processor.typed("stats\r").contains("requests 0\r\n"));
}

#[test]
fn the_image_reports_a_trap_and_stops() {
    // the code of an instruction access fault, an illegal instruction, and a stack that is outside of RAM with one
    for (pc, stack, report) in [
        (0x4000_0000, RAM_BYTES, "trap: instruction access fault, pc 0x40000000, mtval 0x40000000"),
        (RAM_BYTES - 4096, RAM_BYTES, "trap: illegal instruction, pc 0x00003000, mtval 0x00000000"),
        (RAM_BYTES - 4096, 0x7000_0000, "trap: illegal instruction, pc 0x00003000, mtval 0x00000000"),
    ] {
        let mut processor = rng(1);
        processor.fake().ram[RAM_BYTES as usize - 4096..].fill(0);
        processor.hart.pc = pc;
        processor.hart.registers[2] = stack;
        let kicks = processor.fake().kicks;
        assert_eq!(processor.run(), End::Halted);
        let printed = processor.fake().printed();
        assert!(printed.contains(report), "{printed}");
        assert_eq!(processor.fake().kicks, kicks);
    }
}

#[test]
fn the_image_reports_a_trap_to_a_port_that_takes_nothing() {
    let mut processor = rng(1);
    processor.fake().out_room = Some(0);
    processor.hart.pc = 0x4000_0000;
    assert_eq!(processor.run(), End::Halted);
}

#[test]
fn the_image_refuses_registers_of_another_version() {
    let mut processor = Processor::new(&image("rng"), 1);
    processor.fake().identity += 1;
    assert_eq!(processor.run(), End::Halted);
    assert!(processor.fake().printed().contains("another version"));
    assert_eq!(processor.fake().kicks, 0);
}
