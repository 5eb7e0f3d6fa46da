//! What the processor must do: the rules of the privileged specification for machine mode (20211203), written down anew. What an
//! unprivileged instruction computes is for a RISC-V simulator to say, `rrs-lib`.
use rrs_lib::instruction_executor::{InstructionException, InstructionExecutor};
use rrs_lib::{process_instruction, HartState, MemAccessSize, Memory};

pub const LOAD: u32 = 0x03;
pub const FENCE: u32 = 0x0f;
pub const IMMEDIATE: u32 = 0x13;
pub const AUIPC: u32 = 0x17;
pub const STORE: u32 = 0x23;
pub const REGISTER: u32 = 0x33;
pub const LUI: u32 = 0x37;
pub const BRANCH: u32 = 0x63;
pub const JALR: u32 = 0x67;
pub const JAL: u32 = 0x6f;
pub const SYSTEM: u32 = 0x73;

pub const ECALL: u32 = 0x0000_0073;
pub const EBREAK: u32 = 0x0010_0073;
pub const MRET: u32 = 0x3020_0073;
pub const WFI: u32 = 0x1050_0073;

pub const MSTATUS: u32 = 0x300;
pub const MISA: u32 = 0x301;
pub const MIE: u32 = 0x304;
pub const MTVEC: u32 = 0x305;
pub const MSTATUSH: u32 = 0x310;
pub const MSCRATCH: u32 = 0x340;
pub const MEPC: u32 = 0x341;
pub const MCAUSE: u32 = 0x342;
pub const MTVAL: u32 = 0x343;
pub const MIP: u32 = 0x344;
pub const MCYCLE: u32 = 0xb00;
pub const MINSTRET: u32 = 0xb02;
pub const MCYCLEH: u32 = 0xb80;
pub const MINSTRETH: u32 = 0xb82;
pub const MVENDORID: u32 = 0xf11;

/// All that there are.
pub const CSRS: [u32; 19] = [
    MSTATUS, MISA, MIE, MTVEC, MSTATUSH, MSCRATCH, MEPC, MCAUSE, MTVAL, MIP, MCYCLE, MINSTRET, MCYCLEH, MINSTRETH,
    MVENDORID, 0xf12, 0xf13, 0xf14, 0xf15,
];

/// Bits of mstatus, mie and mip.
pub const GLOBAL: u32 = 1 << 3;
pub const BEFORE: u32 = 1 << 7;
pub const TIMER: u32 = 1 << 7;
pub const EXTERNAL: u32 = 1 << 11;

/// mcause of an interrupt.
pub const INTERRUPT: u32 = 1 << 31;

/// What the bus answered to an access.
#[derive(Copy, Clone, Debug, Default)]
pub struct Access {
    pub address: u32,
    /// Bytes written; none: a read.
    pub enable: u32,
    pub write_data: u32,
    pub read_data: u32,
    pub error: bool,
}

/// How an instruction ends.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum End {
    Retired,
    Trap(u32),
}

/// When things happened, for what depends on it.
#[derive(Copy, Clone, Debug, Default)]
pub struct Moment {
    /// Cycle in which the end was seen.
    pub cycle: u64,
    /// mip when a CSR that is not a counter was read.
    pub pending: u32,
}

/// The one access that an instruction makes, as it was made; and whether the instruction wanted it like that.
struct Bus {
    made: Option<Access>,
    wanted: Option<Access>,
}

impl Bus {
    fn access(&mut self, address: u32, enable: u32, write_data: u32) -> Option<u32> {
        let made = self.made.unwrap_or_default();
        self.wanted = Some(Access { address: address & !3, enable, write_data, ..made });
        (!made.error).then_some(made.read_data)
    }
}

fn lanes(address: u32, size: MemAccessSize) -> u32 {
    match size {
        MemAccessSize::Byte => 1 << (address & 3),
        MemAccessSize::HalfWord => 3 << (address & 3),
        MemAccessSize::Word => 15,
    }
}

impl Memory for Bus {
    fn read_mem(&mut self, address: u32, size: MemAccessSize) -> Option<u32> {
        let word = self.access(address, 0, 0)? >> (8 * (address & 3));
        Some(match size {
            MemAccessSize::Byte => word & 0xff,
            MemAccessSize::HalfWord => word & 0xffff,
            MemAccessSize::Word => word,
        })
    }
    fn write_mem(&mut self, address: u32, size: MemAccessSize, data: u32) -> bool {
        self.access(address, lanes(address, size), data << (8 * (address & 3))).is_some()
    }
}

/// The bits of a word that these lanes are.
pub fn mask(enable: u32) -> u32 {
    (0..4).filter(|lane| enable >> lane & 1 == 1).map(|lane| 0xff << (8 * lane)).sum()
}

/// Registers and CSRs.
#[derive(Clone, Default)]
pub struct Machine {
    pub pc: u32,
    pub registers: [u32; 32],
    pub mstatus: u32,
    pub mie: u32,
    pub mtvec: u32,
    pub mscratch: u32,
    pub mepc: u32,
    pub mcause: u32,
    pub mtval: u32,
    /// mcycle less the cycle in which an instruction that reads it retires.
    pub cycles: u64,
    pub instructions: u64,
}

/// Whether there is such an instruction in RV32I with Zicsr, Zifencei and machine mode.
pub fn is_legal(word: u32) -> bool {
    let (function3, function7) = (word >> 12 & 7, word >> 25);
    match word & 0x7f {
        LUI | AUIPC | JAL => true,
        JALR => function3 == 0,
        BRANCH => ![2, 3].contains(&function3),
        LOAD => [0, 1, 2, 4, 5].contains(&function3),
        STORE => function3 <= 2,
        IMMEDIATE => match function3 {
            1 => function7 == 0,
            5 => function7 == 0 || function7 == 0x20,
            _ => true,
        },
        REGISTER => function7 == 0 || function7 == 0x20 && (function3 == 0 || function3 == 5),
        FENCE => function3 <= 1,
        SYSTEM => match function3 {
            0 => [ECALL, EBREAK, MRET, WFI].contains(&word),
            4 => false,
            _ => {
                let csr = word >> 20;
                let writes = function3 & 3 == 1 || word >> 15 & 31 != 0;
                CSRS.contains(&csr) && !(writes && csr >> 10 == 3)
            }
        },
        _ => false,
    }
}

impl Machine {
    /// An enabled interrupt that is pending: what ends `wfi`.
    pub fn wakes(&self, pending: u32) -> bool {
        self.mie & pending != 0
    }

    /// The interrupt that is to be taken.
    pub fn interrupt(&self, pending: u32) -> Option<u32> {
        match self.mie & pending {
            _ if self.mstatus & GLOBAL == 0 => None,
            0 => None,
            both if both & EXTERNAL != 0 => Some(INTERRUPT | 11),
            _ => Some(INTERRUPT | 7),
        }
    }

    /// A trap.
    pub fn trap(&mut self, cause: u32, value: u32) -> End {
        self.mepc = self.pc;
        self.mcause = cause;
        self.mtval = value;
        self.mstatus = if self.mstatus & GLOBAL != 0 { BEFORE } else { 0 };
        self.pc = self.mtvec;
        End::Trap(cause)
    }

    fn read(&self, csr: u32, at: &Moment) -> u32 {
        let cycles = self.cycles.wrapping_add(at.cycle);
        match csr {
            MSTATUS => self.mstatus | 3 << 11,
            MISA => 0x4000_0100,
            MIE => self.mie,
            MIP => at.pending,
            MTVEC => self.mtvec,
            MSCRATCH => self.mscratch,
            MEPC => self.mepc,
            MCAUSE => self.mcause,
            MTVAL => self.mtval,
            MCYCLE => cycles as u32,
            MCYCLEH => (cycles >> 32) as u32,
            MINSTRET => self.instructions as u32,
            MINSTRETH => (self.instructions >> 32) as u32,
            _ => 0,
        }
    }

    fn write(&mut self, csr: u32, value: u32, at: &Moment) {
        let (low, high) = (u64::from(value), u64::from(value) << 32);
        let cycles = self.cycles.wrapping_add(at.cycle);
        match csr {
            MSTATUS => self.mstatus = value & (GLOBAL | BEFORE),
            MIE => self.mie = value & (TIMER | EXTERNAL),
            MTVEC => self.mtvec = value & !3,
            MSCRATCH => self.mscratch = value,
            MEPC => self.mepc = value & !3,
            MCAUSE => self.mcause = value,
            MTVAL => self.mtval = value,
            MCYCLE => self.cycles = (cycles >> 32 << 32 | low).wrapping_sub(at.cycle),
            MCYCLEH => self.cycles = (cycles as u32 as u64 | high).wrapping_sub(at.cycle),
            // it counts itself before it is written
            MINSTRET => self.instructions = (self.instructions >> 32 << 32 | low).wrapping_sub(1),
            MINSTRETH => self.instructions = self.instructions as u32 as u64 | high,
            _ => {}
        }
    }

    /// One instruction as it was fetched, with the access that was made for it. Panics if that is not the one that it makes.
    pub fn step(&mut self, fetched: &Access, made: Option<Access>, at: &Moment) -> End {
        let mut bus = Bus { made, wanted: None };
        let end = self.execute(fetched, &mut bus, at);
        match (&bus.wanted, &made) {
            (None, None) => {}
            (Some(wanted), Some(made)) => {
                assert_eq!((made.address, made.enable), (wanted.address, wanted.enable), "{made:x?}, not {wanted:x?}");
                let bits = mask(wanted.enable);
                assert_eq!(made.write_data & bits, wanted.write_data & bits, "{made:x?}, not {wanted:x?}");
            }
            (wanted, made) => panic!("access {made:x?}, not {wanted:x?}"),
        }
        end
    }

    fn execute(&mut self, fetched: &Access, bus: &mut Bus, at: &Moment) -> End {
        assert_eq!((fetched.address, fetched.enable), (self.pc, 0), "fetched");
        if fetched.error {
            return self.trap(1, self.pc);
        }
        let word = fetched.read_data;
        if !is_legal(word) {
            return self.trap(2, word);
        }
        let (rd, rs1) = ((word >> 7 & 31) as usize, (word >> 15 & 31) as usize);
        let following = self.pc.wrapping_add(4);
        let mut next = following;
        match word & 0x7f {
            SYSTEM => match word {
                ECALL => return self.trap(11, 0),
                EBREAK => return self.trap(3, self.pc),
                MRET => {
                    next = self.mepc;
                    self.mstatus = BEFORE | if self.mstatus & BEFORE != 0 { GLOBAL } else { 0 };
                }
                WFI => {}
                _ => {
                    let (csr, function) = (word >> 20, word >> 12 & 7);
                    let operand = if function & 4 != 0 { rs1 as u32 } else { self.registers[rs1] };
                    let old = self.read(csr, at);
                    match function & 3 {
                        1 => self.write(csr, operand, at),
                        2 if rs1 != 0 => self.write(csr, old | operand, at),
                        3 if rs1 != 0 => self.write(csr, old & !operand, at),
                        _ => {}
                    }
                    self.put(rd, old);
                }
            },
            FENCE => {}
            JAL | JALR => {
                // not by the simulator, whose pc may not wrap around
                let bits = |from: u32, count: u32| word >> from & ((1 << count) - 1);
                let (target, sign) = ((word as i32 >> 20) as u32, (word as i32 >> 31) as u32);
                let jal = sign << 20 | bits(12, 8) << 12 | bits(20, 1) << 11 | bits(21, 10) << 1;
                let target = match word & 0x7f {
                    JAL => self.pc.wrapping_add(jal),
                    _ => self.registers[rs1].wrapping_add(target) & !1,
                };
                if target & 2 != 0 {
                    return self.trap(0, target);
                }
                self.put(rd, following);
                next = target;
            }
            opcode => {
                let mut hart = HartState { registers: self.registers, pc: self.pc, ..HartState::new() };
                let mut executor = InstructionExecutor { mem: bus, hart_state: &mut hart };
                let done = process_instruction(&mut executor, word).expect("it is legal");
                let (load, store) = (u32::from(opcode == LOAD), u32::from(opcode == STORE));
                match done {
                    Ok(false) => {}
                    Ok(true) if hart.pc & 2 != 0 => return self.trap(0, hart.pc),
                    Ok(true) => next = hart.pc,
                    Err(InstructionException::AlignmentFault(address)) => {
                        return self.trap(4 * load + 6 * store, address)
                    }
                    Err(InstructionException::LoadAccessFault(address)) => return self.trap(5, address),
                    Err(InstructionException::StoreAccessFault(address)) => return self.trap(7, address),
                    Err(other) => panic!("{other:?}"),
                }
                self.registers = hart.registers;
            }
        }
        self.pc = next;
        self.instructions = self.instructions.wrapping_add(1);
        End::Retired
    }

    fn put(&mut self, rd: usize, value: u32) {
        if rd != 0 {
            self.registers[rd] = value;
        }
    }
}
