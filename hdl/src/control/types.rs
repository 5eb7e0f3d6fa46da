//! What the parts of the control processor say to each other.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// What an instruction is. At most one of the bits down to `wfi` is set, none if it is illegal or does nothing.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Instruction {
    /// Load upper immediate.
    pub lui: bool,
    /// Add upper immediate to pc.
    pub auipc: bool,
    /// Jump and link.
    pub jal: bool,
    /// Jump and link to an address in a register.
    pub jalr: bool,
    /// Any conditional branch.
    pub branch: bool,
    /// Any load.
    pub load: bool,
    /// Any store.
    pub store: bool,
    /// Arithmetic with an immediate.
    pub immediate: bool,
    /// Arithmetic of two registers.
    pub register: bool,
    /// Reads and writes a CSR.
    pub csr: bool,
    /// Environment call.
    pub ecall: bool,
    /// Breakpoint.
    pub ebreak: bool,
    /// Return from a trap.
    pub mret: bool,
    /// Wait for interrupt.
    pub wfi: bool,
    /// What it computes, or loads, is written to rd when it retires; that of a CSR instruction is not among it.
    pub writes: bool,
    /// It is none of RV32I and of machine mode. Which CSR there is, is not looked at.
    pub illegal: bool,
}

/// What the ALU's result is.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Operation {
    /// The right operand.
    Right,
    /// The left operand.
    Left,
    /// The sum.
    Sum,
    /// 1 if the left operand is less than the right one.
    Less,
    /// Exclusive or.
    Xor,
    /// Or.
    Or,
    /// And.
    And,
    /// The left operand without the bits of the right one.
    AndNot,
}

/// What the ALU adds to the left operand.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Addend {
    /// The right operand.
    Right,
    /// It is subtracted.
    Minus,
    /// 4: from one instruction to the next.
    Four,
    /// Nothing.
    Zero,
}
