//! Instructions: their names, how they are put together, and random ones.
use super::model::*;
use rust_hdl::prelude::Bits;
use virtio_hdl_rtl::testing::{Port, Rng};

/// Name, opcode, function3, and function7 where that matters.
pub const INSTRUCTIONS: [(&str, u32, u32, Option<u32>); 46] = [
    ("lui", LUI, 8, None),
    ("auipc", AUIPC, 8, None),
    ("jal", JAL, 8, None),
    ("jalr", JALR, 0, None),
    ("beq", BRANCH, 0, None),
    ("bne", BRANCH, 1, None),
    ("blt", BRANCH, 4, None),
    ("bge", BRANCH, 5, None),
    ("bltu", BRANCH, 6, None),
    ("bgeu", BRANCH, 7, None),
    ("lb", LOAD, 0, None),
    ("lh", LOAD, 1, None),
    ("lw", LOAD, 2, None),
    ("lbu", LOAD, 4, None),
    ("lhu", LOAD, 5, None),
    ("sb", STORE, 0, None),
    ("sh", STORE, 1, None),
    ("sw", STORE, 2, None),
    ("addi", IMMEDIATE, 0, None),
    ("slti", IMMEDIATE, 2, None),
    ("sltiu", IMMEDIATE, 3, None),
    ("xori", IMMEDIATE, 4, None),
    ("ori", IMMEDIATE, 6, None),
    ("andi", IMMEDIATE, 7, None),
    ("slli", IMMEDIATE, 1, Some(0)),
    ("srli", IMMEDIATE, 5, Some(0)),
    ("srai", IMMEDIATE, 5, Some(0x20)),
    ("add", REGISTER, 0, Some(0)),
    ("sub", REGISTER, 0, Some(0x20)),
    ("sll", REGISTER, 1, Some(0)),
    ("slt", REGISTER, 2, Some(0)),
    ("sltu", REGISTER, 3, Some(0)),
    ("xor", REGISTER, 4, Some(0)),
    ("srl", REGISTER, 5, Some(0)),
    ("sra", REGISTER, 5, Some(0x20)),
    ("or", REGISTER, 6, Some(0)),
    ("and", REGISTER, 7, Some(0)),
    ("fence", FENCE, 0, None),
    ("fence.i", FENCE, 1, None),
    ("csrrw", SYSTEM, 1, None),
    ("csrrs", SYSTEM, 2, None),
    ("csrrc", SYSTEM, 3, None),
    ("csrrwi", SYSTEM, 5, None),
    ("csrrsi", SYSTEM, 6, None),
    ("csrrci", SYSTEM, 7, None),
    // stands for the four words that are no class
    ("system", SYSTEM, 0, None),
];

/// Words that are instructions by themselves.
pub const WORDS: [(&str, u32); 4] = [("ecall", ECALL), ("ebreak", EBREAK), ("mret", MRET), ("wfi", WFI)];

/// What an instruction is called; of what is none, nothing.
pub fn name(word: u32) -> &'static str {
    let is = |(_, opcode, function3, function7): &&(&str, u32, u32, Option<u32>)| {
        word & 0x7f == *opcode
            && (*function3 == 8 || word >> 12 & 7 == *function3)
            && function7.is_none_or(|function7| word >> 25 == function7)
    };
    match WORDS.iter().find(|(_, of)| *of == word) {
        Some((name, _)) => name,
        None => INSTRUCTIONS.iter().find(is).map_or("", |(name, ..)| name),
    }
}

/// A store of a register to an address near 0.
pub fn show(register: u32, address: u32) -> u32 {
    address >> 5 << 25 | register << 20 | 2 << 12 | (address & 31) << 7 | STORE
}

/// `csrrs rd, csr, x0`
pub fn read_csr(rd: u32, csr: u32) -> u32 {
    csr << 20 | 2 << 12 | rd << 7 | SYSTEM
}

/// A register: the first ones more often, so that what is computed is used.
fn register(rng: &mut Rng) -> u32 {
    (if rng.chance(3, 4) { rng.below(6) } else { rng.below(32) }) as u32
}

/// Any word; zeros, ones and small numbers more often than by chance.
pub fn number(rng: &mut Rng) -> u32 {
    Bits::<32>::random(rng).to_u64() as u32
}

/// An instruction, mostly a legal one. `sleep`: `wfi` would end.
pub fn random(rng: &mut Rng, sleep: bool) -> u32 {
    let (_, opcode, function3, function7) = INSTRUCTIONS[rng.below(INSTRUCTIONS.len() as u64) as usize];
    let function3 = function3 & 7;
    let high = number(rng) << 20 | register(rng) << (20 * u32::from(rng.chance(1, 2)));
    let mut word = high & 0xfff0_0000 | register(rng) << 15 | function3 << 12 | register(rng) << 7 | opcode;
    match opcode {
        LUI | AUIPC | JAL => word = number(rng) & !0xfff | word & 0xfff,
        REGISTER => word = word & 0xfe0f_ffff | register(rng) << 20,
        BRANCH | STORE => {
            let other = if rng.chance(1, 4) { word >> 15 & 31 } else { register(rng) };
            word = word & 0xfe0f_ffff | other << 20;
        }
        SYSTEM if function3 == 0 => word = WORDS[rng.below(if sleep { 4 } else { 3 }) as usize].1,
        SYSTEM => {
            let known = CSRS[rng.below(CSRS.len() as u64) as usize];
            // one that there is, or one whose address is a bit away from it
            let csr = if rng.chance(7, 8) { known } else { known ^ 1 << rng.below(12) };
            word = word & 0xfffff | csr << 20;
        }
        _ => {}
    }
    if let Some(function7) = function7 {
        word = word & 0x01ff_ffff | function7 << 25;
    }
    match rng.below(40) {
        0 => word ^ 1 << rng.below(32),
        1 => number(rng) << 7 | word & 0x7f,
        2 => number(rng),
        _ => word,
    }
}
