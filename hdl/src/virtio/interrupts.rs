//! From "the driver wants to know" to ISR, INTx and MSI-X.
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Interrupt controller of the function.
///
/// Every interrupt sets the ISR. While MSI-X is enabled it also fires its vector, unless that is 0xffff; else INTx follows
/// the ISR, unless the command register disables it.
#[derive(Block)]
pub struct InterruptController {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One-cycle interrupt of each queue.
    pub queue_interrupt: Signal<In, Bits<4>>,
    /// One cycle: the device config changed.
    pub config_interrupt: Signal<In, Bit>,
    /// MSI-X Enable.
    pub msix_enable: Signal<In, Bit>,
    /// Interrupt Disable of the command register.
    pub intx_disable: Signal<In, Bit>,
    /// Vector of each queue, queue 0 in the lowest 16 bits.
    pub queue_vector: Signal<In, Bits<64>>,
    /// Vector of config changes.
    pub config_vector: Signal<In, Bits<16>>,
    /// ISR is not 0.
    pub isr_pending: Signal<In, Bit>,
    /// INTx stays as it is.
    pub hold_level: Signal<In, Bit>,
    /// Set ISR bit 0.
    pub isr_queue: Signal<Out, Bit>,
    /// Set ISR bits 0 and 1.
    pub isr_config: Signal<Out, Bit>,
    /// INTx is to be asserted.
    pub intx: Signal<Out, Bit>,
    /// MSI-X vectors to fire.
    pub fire: Source<Bits<8>>,
    /// An interrupt waits to be fired.
    pub busy: Signal<Out, Bit>,

    queue_pending: Reg<Bits<4>>,
    config_pending: Reg<Bit>,
    queue_isr: Reg<Bit>,
    config_isr: Reg<Bit>,
    intx_level: Reg<Bit>,
    vector: Reg<Bits<8>>,
    vector_valid: Reg<Bit>,

    pending_next: Signal<Local, Bits<4>>,
    config_next: Signal<Local, Bit>,
    chosen: Signal<Local, Bits<16>>,
    found: Signal<Local, Bit>,
    can_take: Signal<Local, Bit>,
}

impl Logic for InterruptController {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module interrupt_controller: ISR, INTx level and MSI-X vectors");
        self.queue_isr.d.next = self.queue_interrupt.val().any();
        self.config_isr.d.next = self.config_interrupt.val();
        self.isr_queue.next = self.queue_isr.q.val();
        self.isr_config.next = self.config_isr.q.val();
        self.intx_level.d.next = self.isr_pending.val() & !self.msix_enable.val() & !self.intx_disable.val();
        if self.hold_level.val() {
            self.intx_level.d.next = self.intx_level.q.val();
        }
        self.intx.next = self.intx_level.q.val();

        comment!("config changes first, then the queues in their order, one a cycle");
        self.pending_next.next = self.queue_pending.q.val();
        self.config_next.next = self.config_pending.q.val();
        self.can_take.next = !self.vector_valid.q.val() | self.fire.ready.val();
        if self.fire.ready.val() {
            self.vector_valid.d.next = false;
        }
        self.found.next = false;
        self.chosen.next = 0xffff.into();
        if self.can_take.val() {
            if self.config_pending.q.val() {
                self.found.next = true;
                self.chosen.next = self.config_vector.val();
                self.config_next.next = false;
            }
            for i in 0..4 {
                if self.queue_pending.q.val().get_bit(i) & !self.found.val() {
                    self.found.next = true;
                    self.chosen.next = self.queue_vector.val().get_bits::<16>(i * 16);
                    self.pending_next.next = self.pending_next.val().replace_bit(i, false);
                }
            }
        }
        if self.found.val() & (self.chosen.val() != 0xffff) {
            self.vector.d.next = self.chosen.val().get_bits::<8>(0);
            self.vector_valid.d.next = true;
        }
        self.pending_next.next = self.pending_next.val() | self.queue_interrupt.val();
        if self.config_interrupt.val() {
            self.config_next.next = true;
        }
        if !self.msix_enable.val() {
            self.pending_next.next = 0.into();
            self.config_next.next = false;
        }
        self.queue_pending.d.next = self.pending_next.val();
        self.config_pending.d.next = self.config_next.val();
        self.fire.data.next = self.vector.q.val();
        self.fire.valid.next = self.vector_valid.q.val();
        self.busy.next = self.vector_valid.q.val() | self.queue_pending.q.val().any() | self.config_pending.q.val();
    }
}
