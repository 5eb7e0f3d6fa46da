//! Which CSRs there are, and those that are more than a word.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Interrupt enables and what is pending, and which CSR an address means.
///
/// ```text
/// mstatus  300  MIE 3, MPIE 7, MPP 12:11 always 3     here: bits that are or-ed to the word of the register file
/// misa     301  RV32I                                 here
/// mie, mip 304, 344  timer 7, external 11             here
/// mtvec 305, mscratch 340, mepc 341, mcause 342, mtval 343,
/// mcycle b00, minstret b02, mcycleh b80, minstreth b82          in the register file
/// mstatush 310, mvendorid f11, marchid f12, mimpid f13, mhartid f14, mconfigptr f15    zero
/// ```
/// Writes of what cannot be changed are ignored, those of CSRs of the last row from f00 on are illegal. All other CSRs are.
#[derive(Block)]
pub struct MachineStatus {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: no interrupt is enabled.
    pub reset: Signal<In, Bit>,
    /// Address of a CSR.
    pub csr: Signal<In, Bits<12>>,
    /// There is no such CSR.
    pub unknown: Signal<Out, Bit>,
    /// It is a word of the register file.
    pub stored: Signal<Out, Bit>,
    /// It is a counter.
    pub counts: Signal<Out, Bit>,
    /// Its bits that are not in the register file.
    pub value: Signal<Out, Bits<32>>,
    /// Write the CSR in this cycle.
    pub write: Signal<In, Bit>,
    /// Bits of the value written: 3, that of MIE.
    pub write_3: Signal<In, Bit>,
    /// 7: MPIE, or that of the timer.
    pub write_7: Signal<In, Bit>,
    /// 11: that of the external interrupt.
    pub write_11: Signal<In, Bit>,
    /// One cycle: a trap begins.
    pub enter: Signal<In, Bit>,
    /// One cycle: it ends.
    pub leave: Signal<In, Bit>,
    /// Level of the timer's interrupt.
    pub timer_interrupt: Signal<In, Bit>,
    /// Level of the external interrupt.
    pub external_interrupt: Signal<In, Bit>,
    /// An enabled interrupt is pending, MIE or not: what `wfi` waits for.
    pub wake: Signal<Out, Bit>,
    /// An interrupt is to be taken.
    pub interrupt: Signal<Out, Bit>,
    /// It is the external one, which goes first.
    pub external: Signal<Out, Bit>,

    /// mstatus.MIE.
    enabled: Reg<Bit>,
    /// mstatus.MPIE.
    enabled_before: Reg<Bit>,
    /// mie.MTIE.
    timer_enabled: Reg<Bit>,
    /// mie.MEIE.
    external_enabled: Reg<Bit>,
    /// Bits 11:8 of the address.
    group: Signal<Local, Bits<4>>,
    /// Bits 7:0.
    place: Signal<Local, Bits<8>>,
    /// Bits 2:0.
    low: Signal<Local, Bits<3>>,
    /// It is mstatus.
    is_mstatus: Signal<Local, Bit>,
    /// It is mie.
    is_mie: Signal<Local, Bit>,
    /// It is mip.
    is_mip: Signal<Local, Bit>,
    /// It is misa.
    is_misa: Signal<Local, Bit>,
    /// It is one of a trap, which the register file holds.
    trap_word: Signal<Local, Bit>,
    /// It is one that is 0.
    zero: Signal<Local, Bit>,
    /// Its bit 3.
    bit_3: Signal<Local, Bit>,
    /// Its bit 7.
    bit_7: Signal<Local, Bit>,
    /// Its bit 11.
    bit_11: Signal<Local, Bit>,
}

impl Logic for MachineStatus {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_machine_status: interrupt enables, and which CSRs there are");
        comment!("---- which CSR");
        self.group.next = self.csr.val().get_bits::<4>(8);
        self.place.next = self.csr.val().get_bits::<8>(0);
        self.low.next = self.csr.val().get_bits::<3>(0);
        self.is_mstatus.next = (self.group.val() == bits::<4>(3)) & (self.place.val() == bits::<8>(0x00));
        self.is_misa.next = (self.group.val() == bits::<4>(3)) & (self.place.val() == bits::<8>(0x01));
        self.is_mie.next = (self.group.val() == bits::<4>(3)) & (self.place.val() == bits::<8>(0x04));
        self.is_mip.next = (self.group.val() == bits::<4>(3)) & (self.place.val() == bits::<8>(0x44));
        comment!("mtvec, mscratch, mepc, mcause, mtval");
        self.trap_word.next = (self.group.val() == bits::<4>(3))
            & ((self.place.val() == bits::<8>(0x05)) | (self.place.val().get_bits::<6>(2) == bits::<6>(0x10)));
        self.counts.next = (self.group.val() == bits::<4>(0xb)) & ((self.place.val() & 0x7d) == bits::<8>(0));
        comment!("mstatush; mvendorid to mconfigptr");
        self.zero.next = ((self.group.val() == bits::<4>(3)) & (self.place.val() == bits::<8>(0x10)))
            | ((self.group.val() == bits::<4>(0xf))
                & (self.place.val().get_bits::<5>(3) == bits::<5>(2))
                & (self.low.val() != bits::<3>(0))
                & (self.low.val().get_bits::<2>(1) != bits::<2>(3)));
        self.stored.next = self.trap_word.val() | self.counts.val();
        self.unknown.next = !(self.stored.val()
            | self.zero.val()
            | self.is_mstatus.val()
            | self.is_misa.val()
            | self.is_mie.val()
            | self.is_mip.val());

        comment!("---- what is read");
        self.bit_3.next = self.is_mstatus.val() & self.enabled.q.val();
        self.bit_7.next = (self.is_mstatus.val() & self.enabled_before.q.val())
            | (self.is_mie.val() & self.timer_enabled.q.val())
            | (self.is_mip.val() & self.timer_interrupt.val());
        self.bit_11.next = self.is_mstatus.val()
            | (self.is_mie.val() & self.external_enabled.q.val())
            | (self.is_mip.val() & self.external_interrupt.val());
        self.value.next = (bit_cast::<32, 1>(self.bit_3.val().into()) << 3)
            | (bit_cast::<32, 1>(self.bit_7.val().into()) << 7)
            | (bit_cast::<32, 1>(self.bit_11.val().into()) << 11)
            | (bit_cast::<32, 1>(self.is_mstatus.val().into()) << 12)
            | (bit_cast::<32, 1>(self.is_misa.val().into()) << 8)
            | (bit_cast::<32, 1>(self.is_misa.val().into()) << 30);

        comment!("---- what is written");
        if self.write.val() & self.is_mstatus.val() {
            self.enabled.d.next = self.write_3.val();
            self.enabled_before.d.next = self.write_7.val();
        }
        if self.write.val() & self.is_mie.val() {
            self.timer_enabled.d.next = self.write_7.val();
            self.external_enabled.d.next = self.write_11.val();
        }
        if self.enter.val() {
            self.enabled.d.next = false;
            self.enabled_before.d.next = self.enabled.q.val();
        }
        if self.leave.val() {
            self.enabled.d.next = self.enabled_before.q.val();
            self.enabled_before.d.next = true;
        }

        comment!("---- interrupts");
        self.external.next = self.external_enabled.q.val() & self.external_interrupt.val();
        self.wake.next = self.external.val() | (self.timer_enabled.q.val() & self.timer_interrupt.val());
        self.interrupt.next = self.wake.val() & self.enabled.q.val();
    }
}
