//! What an instruction is.
use super::types::Instruction;
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// Tells what an instruction is, whether it is legal, and takes its immediate apart. Combinational.
///
/// ```text
///    31        25 24   20 19   15 14    12 11     7 6      0
/// R  | function7 |  rs2  |  rs1  | funct3 |   rd   | opcode |
/// I  |     11:0          |       |        |        |        |   loads, arithmetic, jalr
/// S  |   11:5    |       |       |        |  4:0   |        |   stores
/// B  | 12, 10:5  |       |       |        | 4:1,11 |        |   branches
/// U  |            31:12                   |        |        |   lui, auipc
/// J  |   20, 10:1, 11, 19:12              |        |        |   jal
/// ```
/// The base instruction set is RV32I 2.1 with Zicsr and Zifencei, its privileged part that of machine mode alone. Reserved
/// fields of `fence` are ignored, as the specification asks.
#[derive(Block)]
pub struct Decoder {
    /// The instruction.
    pub word: Signal<In, Bits<32>>,
    /// What it is.
    pub instruction: Signal<Out, Instruction>,
    /// Its immediate, sign extended; of a CSR instruction that of 5 bits.
    pub immediate: Signal<Out, Bits<32>>,

    /// Field of this name.
    opcode: Signal<Local, Bits<7>>,
    /// function3.
    function: Signal<Local, Bits<3>>,
    /// function7 is 0.
    plain: Signal<Local, Bit>,
    /// function7 is that of `sub` and `sra`.
    alternate: Signal<Local, Bit>,
    /// What it is.
    is: Signal<Local, Instruction>,
    /// `fence` and `fence.i`.
    fence: Signal<Local, Bit>,
    /// CSR instructions, calls, `mret`, `wfi`.
    system: Signal<Local, Bit>,
    /// A call, `mret` or `wfi`: neither rd nor rs1.
    bare: Signal<Local, Bit>,
    /// What tells those apart.
    operands: Signal<Local, Bits<12>>,
    /// Sign of the immediate.
    sign: Signal<Local, Bit>,
    /// There is such an instruction, CSR instructions aside.
    legal: Signal<Local, Bit>,
}

impl Logic for Decoder {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_decoder: what an instruction is, and its immediate");
        self.opcode.next = self.word.val().get_bits::<7>(0);
        self.function.next = self.word.val().get_bits::<3>(12);
        self.plain.next = self.word.val().get_bits::<7>(25) == bits::<7>(0);
        self.alternate.next = self.word.val().get_bits::<7>(25) == bits::<7>(0x20);

        comment!("---- classes");
        self.is.next.lui = self.opcode.val() == bits::<7>(0x37);
        self.is.next.auipc = self.opcode.val() == bits::<7>(0x17);
        self.is.next.jal = self.opcode.val() == bits::<7>(0x6f);
        self.is.next.jalr = self.opcode.val() == bits::<7>(0x67);
        self.is.next.branch = self.opcode.val() == bits::<7>(0x63);
        self.is.next.load = self.opcode.val() == bits::<7>(0x03);
        self.is.next.store = self.opcode.val() == bits::<7>(0x23);
        self.is.next.immediate = self.opcode.val() == bits::<7>(0x13);
        self.is.next.register = self.opcode.val() == bits::<7>(0x33);
        self.fence.next = self.opcode.val() == bits::<7>(0x0f);
        self.system.next = self.opcode.val() == bits::<7>(0x73);
        self.is.next.csr = self.system.val() & self.function.val().get_bits::<2>(0).any();
        comment!("of the others only these very words, without rd and rs1");
        self.operands.next = self.word.val().get_bits::<12>(20);
        self.bare.next = self.system.val() & !self.word.val().get_bits::<13>(7).any();
        self.is.next.ecall = self.bare.val() & (self.operands.val() == bits::<12>(0x000));
        self.is.next.ebreak = self.bare.val() & (self.operands.val() == bits::<12>(0x001));
        self.is.next.mret = self.bare.val() & (self.operands.val() == bits::<12>(0x302));
        self.is.next.wfi = self.bare.val() & (self.operands.val() == bits::<12>(0x105));

        comment!("---- which of them there are");
        self.legal.next = self.is.val().lui
            | self.is.val().auipc
            | self.is.val().jal
            | self.is.val().csr
            | self.is.val().ecall
            | self.is.val().ebreak
            | self.is.val().mret
            | self.is.val().wfi;
        if self.is.val().jalr {
            self.legal.next = !self.function.val().any();
        }
        if self.is.val().branch {
            self.legal.next = self.function.val().get_bits::<2>(1) != bits::<2>(1);
        }
        if self.is.val().load {
            comment!("no words of 64 bits, and no unsigned ones of 32");
            self.legal.next =
                (self.function.val().get_bits::<2>(0) != bits::<2>(3)) & (self.function.val() != bits::<3>(6));
        }
        if self.is.val().store {
            self.legal.next = !self.function.val().get_bit(2) & (self.function.val().get_bits::<2>(0) != bits::<2>(3));
        }
        if self.is.val().immediate {
            comment!("shifts have a function behind the amount");
            self.legal.next = (self.function.val().get_bits::<2>(0) != bits::<2>(1))
                | self.plain.val()
                | (self.alternate.val() & self.function.val().get_bit(2));
        }
        if self.is.val().register {
            comment!("subtraction and the arithmetic shift");
            self.legal.next = self.plain.val()
                | (self.alternate.val()
                    & ((self.function.val() == bits::<3>(0)) | (self.function.val() == bits::<3>(5))));
        }
        if self.fence.val() {
            self.legal.next = !self.function.val().get_bits::<2>(1).any();
        }
        self.is.next.illegal = !self.legal.val();
        if self.system.val() & (self.function.val() == bits::<3>(4)) {
            self.is.next.illegal = true;
        }
        self.is.next.writes = self.is.val().lui
            | self.is.val().auipc
            | self.is.val().jal
            | self.is.val().jalr
            | self.is.val().load
            | self.is.val().immediate
            | self.is.val().register;
        self.instruction.next = self.is.val();

        comment!("---- the immediate");
        self.sign.next = self.word.val().get_bit(31);
        self.immediate.next = bit_cast::<32, 12>(self.word.val().get_bits::<12>(20));
        if self.sign.val() {
            self.immediate.next = bit_cast::<32, 12>(self.word.val().get_bits::<12>(20)) | 0xffff_f000_u64;
        }
        if self.is.val().store {
            self.immediate.next =
                (self.immediate.val() & 0xffff_ffe0_u64) | bit_cast::<32, 5>(self.word.val().get_bits::<5>(7));
        }
        if self.is.val().branch {
            self.immediate.next = (self.immediate.val() & 0xffff_f7e0_u64)
                | (bit_cast::<32, 4>(self.word.val().get_bits::<4>(8)) << 1)
                | (bit_cast::<32, 1>(self.word.val().get_bits::<1>(7)) << 11);
        }
        if self.is.val().jal {
            self.immediate.next = (self.immediate.val() & 0xfff0_07fe_u64)
                | (bit_cast::<32, 8>(self.word.val().get_bits::<8>(12)) << 12)
                | (bit_cast::<32, 1>(self.word.val().get_bits::<1>(20)) << 11);
        }
        if self.is.val().lui | self.is.val().auipc {
            self.immediate.next = self.word.val() & 0xffff_f000_u64;
        }
        if self.system.val() {
            self.immediate.next = bit_cast::<32, 5>(self.word.val().get_bits::<5>(15));
        }
    }
}
