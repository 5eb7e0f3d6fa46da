//! The processor.
use super::alu::Alu;
use super::bus::ProcessorBus;
use super::counters::Counters;
use super::decoder::Decoder;
use super::lanes::Lanes;
use super::machine_status::MachineStatus;
use super::register_file::RegisterFile;
use super::types::{Addend, Instruction, Operation};
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// What the processor does in a cycle.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum State {
    /// Behind a reset: clears the register file, a word a cycle.
    Clear,
    /// Waits for an instruction.
    Fetch,
    /// Reads its operands; interrupts are taken here.
    Decode,
    /// Computes, compares; shifts by a bit; sleeps; begins an access.
    Execute,
    /// Waits for the end of an access.
    Access,
    /// Of a CSR instruction: writes what was read to rd, and computes what is to be written.
    Csr,
    /// Writes it.
    CsrWrite,
    /// Writes rd, computes the next pc, and begins to fetch.
    Write,
    /// Of a counter: reads the word and what is to be added.
    CountRead,
    /// Adds it.
    CountAdd,
    /// Writes it.
    CountWrite,
    /// A trap: pc to the left operand, and to pc the address that mtval may be.
    Trap,
    /// pc on its way to mepc, the address to the left operand.
    TrapValue,
    /// Writes mepc; mtval is on its way.
    TrapPc,
    /// Writes mtval; the cause is on its way, mtvec is read.
    TrapCause,
    /// Writes mcause, and begins to fetch at mtvec.
    TrapJump,
}

/// RV32I with machine mode, several cycles an instruction: small rather than quick.
///
/// ```text
/// bus.valid    __/---------\____________________/------
/// bus.done     ________/---\___________________________
/// state        |  Fetch    | Decode|Execute| Write |      an addition: 5 cycles with a bus that answers at once
/// retired      ____________________________________/--\   with the pc of this instruction
/// ```
/// - Arithmetic, jumps, branches: Fetch, Decode, Execute, Write. A shift stays in Execute for as many cycles more as it shifts bits.
/// - Loads, stores: Fetch, Decode, Execute, Access, Write.
/// - CSRs: Fetch, Decode, Execute, Csr, CsrWrite, Write; and of counters 13 cycles in front of that, in which they are brought up to date.
/// - Traps: five cycles from where they are found to the fetch at mtvec. They are precise: nothing of the instruction has happened.
///   The cause of an illegal instruction has the instruction in mtval, one of an address has the address, a breakpoint its own; others 0.
/// - Interrupts are taken in Decode, in place of the instruction that was fetched.
///
/// Execution begins at 0, with all registers 0. mtvec is direct. There is no mcountinhibit, no mhpmcounter, and no user mode.
#[derive(Block)]
pub struct Processor {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Instructions and data.
    pub bus: ProcessorBus,
    /// Level of the timer's interrupt.
    pub timer_interrupt: Signal<In, Bit>,
    /// Level of the external interrupt.
    pub external_interrupt: Signal<In, Bit>,
    /// It waits for an interrupt, in `wfi`.
    pub asleep: Signal<Out, Bit>,
    /// One cycle: an instruction has retired.
    pub retired: Signal<Out, Bit>,
    /// With `retired` or `trap`: address of the instruction.
    pub pc: Signal<Out, Bits<32>>,
    /// One cycle: a trap is taken.
    pub trap: Signal<Out, Bit>,
    /// With `trap`: mcause, an interrupt in bit 4 and the code in 3:0.
    pub trap_cause: Signal<Out, Bits<5>>,

    /// What it does in this cycle.
    state: Reg<State>,
    /// Address of the instruction at hand.
    program_counter: Reg<Bits<32>>,
    /// The instruction at hand.
    word: DFF<Bits<32>>,
    /// Left operand; what is shifted.
    left: DFF<Bits<32>>,
    /// Right operand; the amount that is left of a shift. 0 until the register file is clear.
    right: Reg<Bits<32>>,
    /// What goes to the register file.
    result: Reg<Bits<32>>,
    /// Address of the present or the last access, its last bits included.
    address: Reg<Bits<32>>,
    /// Of a store, in its place in the word.
    write_data: DFF<Bits<32>>,
    /// Bytes to write.
    enable: DFF<Bits<4>>,
    /// The access is under way.
    valid: Reg<Bit>,
    /// An instruction has retired.
    retires: Reg<Bit>,
    /// A trap is taken.
    traps: Reg<Bit>,
    /// Its cause: an interrupt in bit 4, the code in 3:0. Of a load or store, that of a misaligned address beforehand.
    cause: DFF<Bits<5>>,
    /// In `wfi`.
    sleeps: Reg<Bit>,
    /// mcycle and minstret are those of this instruction.
    counted: Reg<Bit>,
    /// A branch is taken.
    taken: DFF<Bit>,

    /// What the instruction is.
    decoder: Decoder,
    /// Adder, comparisons, logic operations.
    alu: Alu,
    /// Bytes and half words.
    lanes: Lanes,
    /// x0 to x31, and most CSRs.
    registers: RegisterFile,
    /// Interrupts, and the other CSRs.
    status: MachineStatus,
    /// What is to be added to mcycle and minstret.
    counters: Counters,

    /// What the instruction is.
    is: Signal<Local, Instruction>,
    /// Its function3.
    function: Signal<Local, Bits<3>>,
    /// Address of its CSR.
    csr: Signal<Local, Bits<12>>,
    /// Where that is in the register file.
    csr_place: Signal<Local, Bits<6>>,
    /// It writes the CSR.
    csr_writes: Signal<Local, Bit>,
    /// There is no such instruction, or no such CSR, or that cannot be written.
    illegal: Signal<Local, Bit>,
    /// It shifts.
    is_shift: Signal<Local, Bit>,
    /// By so many bits more.
    amount: Signal<Local, Bits<5>>,
    /// The next instruction is elsewhere.
    jumps: Signal<Local, Bit>,
    /// Address of the next access.
    target: Signal<Local, Bits<32>>,
    /// One less.
    amount_left: Signal<Local, Bits<5>>,
    /// Where the counter at hand is in the register file.
    counter_place: Signal<Local, Bits<6>>,
    /// Word of the register file that is written.
    write_place: Signal<Local, Bits<6>>,
    /// It is written in this cycle.
    write: Signal<Local, Bit>,
    /// Word of the register file that is read first.
    first_place: Signal<Local, Bits<6>>,
    /// Register that is read second.
    second_place: Signal<Local, Bits<5>>,
    /// The ALU's operation.
    operation: Signal<Local, Operation>,
    /// The ALU's addend.
    addend: Signal<Local, Addend>,
    /// Operation of an arithmetic instruction.
    arithmetic: Signal<Local, Operation>,
    /// It is `slt` or one of its kind.
    compares: Signal<Local, Bit>,
    /// It writes minstret.
    sets_count: Signal<Local, Bit>,
    /// It retires.
    retire: Signal<Local, Bit>,
    /// A trap is found.
    trap_now: Signal<Local, Bit>,
    /// mtval is an address.
    trap_address: Signal<Local, Bit>,
    /// Register that it writes.
    rd: Signal<Local, Bits<5>>,
    /// First register that it reads.
    rs1: Signal<Local, Bits<5>>,
    /// Second register that it reads.
    rs2: Signal<Local, Bits<5>>,
}

impl Logic for Processor {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_processor: RV32I with machine mode, several cycles an instruction");
        comment!("---- the instruction");
        self.decoder.word.next = self.word.q.val();
        self.is.next = self.decoder.instruction.val();
        self.function.next = self.word.q.val().get_bits::<3>(12);
        self.rd.next = self.word.q.val().get_bits::<5>(7);
        self.rs1.next = self.word.q.val().get_bits::<5>(15);
        self.rs2.next = self.word.q.val().get_bits::<5>(20);
        self.is_shift.next =
            (self.is.val().immediate | self.is.val().register) & (self.function.val().get_bits::<2>(0) == bits::<2>(1));
        self.csr.next = self.word.q.val().get_bits::<12>(20);
        self.status.csr.next = self.csr.val();
        self.csr_place.next = bits::<6>(0x20)
            | (bit_cast::<6, 1>(self.csr.val().get_bits::<1>(11)) << 4)
            | (bit_cast::<6, 2>(self.csr.val().get_bits::<2>(6)) << 2)
            | bit_cast::<6, 2>(self.csr.val().get_bits::<2>(0));
        comment!("with x0, or 0, in place of rs1 bits are neither set nor cleared");
        self.csr_writes.next = !self.function.val().get_bit(1) | self.rs1.val().any();
        self.illegal.next = self.is.val().illegal
            | (self.is.val().csr
                & (self.status.unknown.val()
                    | (self.csr_writes.val() & (self.csr.val().get_bits::<2>(10) == bits::<2>(3)))));
        self.jumps.next = self.is.val().jal | self.is.val().jalr | (self.is.val().branch & self.taken.q.val());

        comment!("---- the register file");
        self.counter_place.next = bits::<6>(0x30)
            | (bit_cast::<6, 1>(self.counters.word.val().get_bits::<1>(0)) << 3)
            | (bit_cast::<6, 1>(self.counters.word.val().get_bits::<1>(1)) << 1);
        self.first_place.next = bit_cast::<6, 5>(self.rs1.val());
        comment!("lui adds to x0, and so does what reads a CSR that is not there");
        if self.is.val().lui {
            self.first_place.next = 0.into();
        }
        if self.is.val().csr {
            self.first_place.next = 0.into();
            if self.status.stored.val() {
                self.first_place.next = self.csr_place.val();
            }
        }
        comment!("mepc");
        if self.is.val().mret {
            self.first_place.next = 0x25.into();
        }
        if self.state.q.val() == State::TrapCause {
            comment!("mtvec");
            self.first_place.next = 0x21.into();
        }
        if self.state.q.val() == State::CountRead {
            self.first_place.next = self.counter_place.val();
        }
        self.registers.first_place.next = self.first_place.val();
        self.second_place.next = self.rs2.val();
        if self.is.val().csr {
            self.second_place.next = self.rs1.val();
        }
        self.registers.second_place.next = self.second_place.val();

        comment!("---- the operation");
        self.compares.next =
            (self.is.val().immediate | self.is.val().register) & (self.function.val().get_bits::<2>(1) == bits::<2>(1));
        self.arithmetic.next = Operation::Sum;
        match self.function.val().index() {
            0 => self.arithmetic.next = Operation::Sum,
            1 => self.arithmetic.next = Operation::Left,
            2 => self.arithmetic.next = Operation::Less,
            3 => self.arithmetic.next = Operation::Less,
            4 => self.arithmetic.next = Operation::Xor,
            5 => self.arithmetic.next = Operation::Left,
            6 => self.arithmetic.next = Operation::Or,
            _ => self.arithmetic.next = Operation::And,
        }
        self.operation.next = Operation::Right;
        self.addend.next = Addend::Right;
        self.trap_address.next = !self.cause.q.val().get_bits::<2>(3).any() & (self.cause.q.val() != bits::<5>(2));
        match self.state.q.val() {
            State::Execute => {
                self.operation.next = Operation::Sum;
                if self.is.val().immediate | self.is.val().register {
                    self.operation.next = self.arithmetic.val();
                }
                if self.is.val().csr {
                    self.operation.next = Operation::Left;
                }
                if self.is.val().branch | self.compares.val() | (self.is.val().register & self.word.q.val().get_bit(30))
                {
                    self.addend.next = Addend::Minus;
                }
                if self.is.val().jal | self.is.val().jalr {
                    self.addend.next = Addend::Four;
                }
            }
            State::Csr => {
                if self.function.val().get_bits::<2>(0) == bits::<2>(2) {
                    self.operation.next = Operation::Or;
                } else if self.function.val().get_bits::<2>(0) == bits::<2>(3) {
                    self.operation.next = Operation::AndNot;
                }
            }
            State::Write => {
                self.addend.next = Addend::Four;
                if self.jumps.val() {
                    self.addend.next = Addend::Right;
                }
                if self.is.val().mret {
                    self.addend.next = Addend::Zero;
                }
            }
            State::CountAdd => self.operation.next = Operation::Sum,
            State::TrapValue => self.operation.next = Operation::Left,
            State::TrapPc => {
                if self.trap_address.val() {
                    self.operation.next = Operation::Left;
                }
            }
            State::TrapJump => self.addend.next = Addend::Zero,
            _ => self.addend.next = Addend::Right,
        }
        self.alu.left.next = self.left.q.val();
        self.alu.right.next = self.right.q.val();
        self.alu.operation.next = self.operation.val();
        self.alu.addend.next = self.addend.val();
        comment!("of branches bit 1 of the function, of the others bit 0");
        self.alu.unsigned.next = self.function.val().get_bit(0);
        if self.is.val().branch {
            self.alu.unsigned.next = self.function.val().get_bit(1);
        }
        comment!("a target in a register has bit 0 cleared");
        self.target.next = self.alu.sum.val();
        if self.state.q.val() == State::Write {
            self.target.next = self.alu.sum.val() & 0xffff_fffe_u64;
        }

        comment!("---- bytes of words");
        self.lanes.function.next = self.function.val();
        self.lanes.store_place.next = self.alu.sum.val().get_bits::<2>(0);
        self.lanes.store.next = self.registers.second.val();
        self.lanes.load_place.next = self.address.q.val().get_bits::<2>(0);
        self.lanes.load_word.next = self.bus.read_data.val();

        comment!("---- one state after the other");
        self.result.d.next = self.alu.result.val();
        self.amount.next = self.right.q.val().get_bits::<5>(0);
        self.amount_left.next = self.amount.val() - 1;
        self.write.next = false;
        self.write_place.next = bit_cast::<6, 5>(self.rd.val());
        self.retire.next = false;
        self.trap_now.next = false;
        self.counters.take.next = false;
        self.counters.add.next = false;
        self.counters.advance.next = false;
        self.status.write.next = false;
        self.status.leave.next = false;
        match self.state.q.val() {
            State::Clear => {
                self.write.next = true;
                self.write_place.next = self.counters.early.val();
                if self.counters.early.val().all() {
                    self.valid.d.next = true;
                    self.enable.d.next = 0.into();
                    self.state.d.next = State::Fetch;
                }
            }
            State::Fetch => {
                self.program_counter.d.next = self.address.q.val();
                self.counted.d.next = false;
                self.word.d.next = self.bus.read_data.val();
                if self.bus.done.val() {
                    self.valid.d.next = false;
                    self.state.d.next = State::Decode;
                    if self.bus.error.val() {
                        self.cause.d.next = 1.into();
                        self.trap_now.next = true;
                    }
                }
            }
            State::Decode => {
                self.left.d.next = self.registers.first.val();
                if self.is.val().jal | self.is.val().jalr | self.is.val().auipc {
                    self.left.d.next = self.program_counter.q.val();
                }
                if self.is.val().csr {
                    self.left.d.next = self.registers.first.val() | self.status.value.val();
                }
                self.right.d.next = self.decoder.immediate.val();
                if self.is.val().register | self.is.val().branch | (self.is.val().csr & !self.function.val().get_bit(2))
                {
                    self.right.d.next = self.registers.second.val();
                }
                self.state.d.next = State::Execute;
                if self.counters.due.val() | (self.is.val().csr & self.status.counts.val() & !self.counted.q.val()) {
                    self.state.d.next = State::CountRead;
                }
                if self.is.val().ecall {
                    self.cause.d.next = 11.into();
                    self.trap_now.next = true;
                }
                if self.is.val().ebreak {
                    self.cause.d.next = 3.into();
                    self.trap_now.next = true;
                }
                if self.illegal.val() {
                    self.cause.d.next = 2.into();
                    self.trap_now.next = true;
                }
                comment!("one that has fallen asleep retires first");
                if self.status.interrupt.val() & !self.sleeps.q.val() {
                    self.cause.d.next = 0x17.into();
                    if self.status.external.val() {
                        self.cause.d.next = 0x1b.into();
                    }
                    self.trap_now.next = true;
                }
            }
            State::Execute => {
                if self.is_shift.val() & self.amount.val().any() {
                    comment!("the amount is in the right operand");
                    self.right.d.next = bit_cast::<32, 5>(self.amount_left.val());
                    if self.function.val().get_bit(2) {
                        self.left.d.next = self.left.q.val() >> 1;
                        if self.word.q.val().get_bit(30) {
                            self.left.d.next = (self.left.q.val() >> 1) | (self.left.q.val() & 0x8000_0000_u64);
                        }
                    } else {
                        self.left.d.next = self.left.q.val() << 1;
                    }
                } else if self.is.val().csr {
                    self.state.d.next = State::Csr;
                } else if self.is.val().wfi & !self.status.wake.val() {
                    self.sleeps.d.next = true;
                    comment!("to count meanwhile");
                    if self.counters.due.val() {
                        self.state.d.next = State::Decode;
                    }
                    self.left.d.next = self.program_counter.q.val();
                } else {
                    comment!("operands of the next pc");
                    self.left.d.next = self.program_counter.q.val();
                    if self.is.val().jalr | self.is.val().mret {
                        self.left.d.next = self.registers.first.val();
                    }
                    self.right.d.next = self.decoder.immediate.val();
                    self.taken.d.next = self.function.val().get_bit(0) ^ self.alu.equal.val();
                    if self.function.val().get_bit(2) {
                        self.taken.d.next = self.function.val().get_bit(0) ^ self.alu.less.val();
                    }
                    self.sleeps.d.next = false;
                    self.status.leave.next = self.is.val().mret;
                    self.state.d.next = State::Write;
                    if self.is.val().load | self.is.val().store {
                        self.address.d.next = self.target.val();
                        self.write_data.d.next = self.lanes.store_word.val();
                        self.enable.d.next = 0.into();
                        self.cause.d.next = 4.into();
                        if self.is.val().store {
                            self.enable.d.next = self.lanes.enable.val();
                            self.cause.d.next = 6.into();
                        }
                        self.state.d.next = State::Access;
                        self.valid.d.next = !self.lanes.misaligned.val();
                        self.trap_now.next = self.lanes.misaligned.val();
                    }
                }
            }
            State::Access => {
                self.result.d.next = self.lanes.load.val();
                if self.bus.done.val() {
                    self.valid.d.next = false;
                    self.state.d.next = State::Write;
                    if self.bus.error.val() {
                        self.cause.d.next = self.cause.q.val() | 1;
                        self.trap_now.next = true;
                    }
                }
            }
            State::Csr => {
                self.write.next = self.rd.val().any();
                self.state.d.next = State::CsrWrite;
            }
            State::CsrWrite => {
                self.write.next = self.csr_writes.val() & self.status.stored.val();
                self.write_place.next = self.csr_place.val();
                self.status.write.next = self.csr_writes.val();
                self.left.d.next = self.program_counter.q.val();
                self.state.d.next = State::Write;
            }
            State::Write => {
                self.address.d.next = self.target.val();
                self.enable.d.next = 0.into();
                if self.jumps.val() & self.target.val().get_bit(1) {
                    self.cause.d.next = 0.into();
                    self.trap_now.next = true;
                } else {
                    self.write.next = self.is.val().writes & self.rd.val().any();
                    self.retire.next = true;
                    self.valid.d.next = true;
                    self.state.d.next = State::Fetch;
                }
            }
            State::CountRead => {
                self.left.d.next = self.registers.first.val();
                self.right.d.next = bit_cast::<32, 10>(self.counters.amount.val());
                self.counters.take.next = true;
                self.state.d.next = State::CountAdd;
            }
            State::CountAdd => {
                self.counters.add.next = true;
                self.state.d.next = State::CountWrite;
            }
            State::CountWrite => {
                self.write.next = true;
                self.write_place.next = self.counter_place.val();
                self.counters.advance.next = true;
                self.state.d.next = State::CountRead;
                if self.counters.word.val().all() {
                    self.counted.d.next = true;
                    self.state.d.next = State::Decode;
                }
            }
            State::Trap => {
                self.left.d.next = self.program_counter.q.val();
                self.program_counter.d.next = self.address.q.val();
                self.state.d.next = State::TrapValue;
            }
            State::TrapValue => {
                self.left.d.next = self.program_counter.q.val();
                self.right.d.next = 0.into();
                if self.cause.q.val() == bits::<5>(2) {
                    self.right.d.next = self.word.q.val();
                }
                self.state.d.next = State::TrapPc;
            }
            State::TrapPc => {
                self.write.next = true;
                self.write_place.next = 0x25.into();
                self.right.d.next = bit_cast::<32, 4>(self.cause.q.val().get_bits::<4>(0))
                    | (bit_cast::<32, 1>(self.cause.q.val().get_bits::<1>(4)) << 31);
                self.state.d.next = State::TrapCause;
            }
            State::TrapCause => {
                self.write.next = true;
                self.write_place.next = 0x27.into();
                self.left.d.next = self.registers.first.val();
                self.state.d.next = State::TrapJump;
            }
            State::TrapJump => {
                self.write.next = true;
                self.write_place.next = 0x26.into();
                self.address.d.next = self.target.val();
                self.enable.d.next = 0.into();
                self.valid.d.next = true;
                self.state.d.next = State::Fetch;
            }
        }
        if self.trap_now.val() {
            self.state.d.next = State::Trap;
        }

        comment!("---- what is written to the register file");
        self.registers.write.next = self.write.val();
        self.registers.write_place.next = self.write_place.val();
        self.registers.write_data.next = self.result.q.val();
        if self.write_place.val().get_bit(5) & (self.write_place.val().get_bits::<2>(0) == bits::<2>(1)) {
            comment!("mtvec and mepc are addresses of words");
            self.registers.write_data.next = self.result.q.val() & 0xffff_fffc_u64;
        }
        comment!("a write of minstret is not counted: what was written is what the next instruction reads");
        self.sets_count.next = self.is.val().csr
            & self.status.counts.val()
            & self.csr_writes.val()
            & (self.csr_place.val().get_bits::<3>(1) == bits::<3>(1));
        self.counters.retired.next = self.retire.val() & !self.sets_count.val();
        self.counters.carry.next = self.alu.carry.val();

        comment!("---- what is told");
        self.traps.d.next = self.trap_now.val();
        self.retires.d.next = self.retire.val();
        self.status.enter.next = self.traps.q.val();
        self.status.write_3.next = self.result.q.val().get_bit(3);
        self.status.write_7.next = self.result.q.val().get_bit(7);
        self.status.write_11.next = self.result.q.val().get_bit(11);
        self.status.timer_interrupt.next = self.timer_interrupt.val();
        self.status.external_interrupt.next = self.external_interrupt.val();
        self.bus.valid.next = self.valid.q.val();
        self.bus.address.next = self.address.q.val() & 0xffff_fffc_u64;
        self.bus.enable.next = self.enable.q.val();
        self.bus.write_data.next = self.write_data.q.val();
        self.asleep.next = self.sleeps.q.val();
        self.retired.next = self.retires.q.val();
        self.pc.next = self.program_counter.q.val();
        self.trap.next = self.traps.q.val();
        self.trap_cause.next = self.cause.q.val();
    }
}
