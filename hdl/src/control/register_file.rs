//! Registers and most CSRs.
use crate::block::Block;
use crate::cells::LutRam;
use crate::comment;
use rust_hdl::prelude::*;

/// Two read ports, one write port, in LUT RAM: x0 to x31, and behind them, for the first port alone, the CSRs that are nothing but a
/// word.
///
/// ```text
///  0..31  x0 to x31                   both copies; x0 is 0 as nobody writes it but the clearing behind a reset
/// 32..63  mtvec, mscratch, mepc,      the first copy; which word: {CSR address bits 11, 7, 6, 1:0}, which no two of them share
///         mcause, mtval, mcycle(h),
///         minstret(h)
/// ```
/// A word that is written is read from the next cycle on.
#[derive(Block)]
pub struct RegisterFile {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to write; from 32 on, a CSR.
    pub write_place: Signal<In, Bits<6>>,
    /// What is written.
    pub write_data: Signal<In, Bits<32>>,
    /// Write in this cycle.
    pub write: Signal<In, Bit>,
    /// First word to read; from 32 on, a CSR.
    pub first_place: Signal<In, Bits<6>>,
    /// That word, in the same cycle.
    pub first: Signal<Out, Bits<32>>,
    /// Second word to read.
    pub second_place: Signal<In, Bits<5>>,
    /// That word, in the same cycle.
    pub second: Signal<Out, Bits<32>>,

    /// Registers and CSRs.
    first_copy: LutRam<32, 6>,
    /// Registers.
    second_copy: LutRam<32, 5>,
}

impl Logic for RegisterFile {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_register_file: x0 to x31, and the CSRs that are nothing but a word");
        self.first_copy.waddr.next = self.write_place.val();
        self.first_copy.wdata.next = self.write_data.val();
        self.first_copy.wen.next = self.write.val();
        self.first_copy.raddr.next = self.first_place.val();
        self.first.next = self.first_copy.rdata.val();
        self.second_copy.waddr.next = self.write_place.val().get_bits::<5>(0);
        self.second_copy.wdata.next = self.write_data.val();
        self.second_copy.wen.next = self.write.val() & !self.write_place.val().get_bit(5);
        self.second_copy.raddr.next = self.second_place.val();
        self.second.next = self.second_copy.rdata.val();
    }
}
