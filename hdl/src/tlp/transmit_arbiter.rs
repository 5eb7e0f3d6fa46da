//! Lets the senders of packets take turns.
use super::types::{TransmitBeat, TransmitKind};
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Merges the four senders into one stream, packet by packet, round robin.
///
/// Packets leave in the order in which their last beats are taken: there is no buffer in front of the choice.
/// A completion offered after the last beat of a posted write was taken cannot pass it, and neither can an
/// interrupt.
///
/// The turn is a register: it moves on while the last beat of a packet is taken, or when its owner has nothing to
/// begin, so no sender's `ready` depends on what another one offers. It costs no cycle between packets that wait, and
/// one when a packet comes while another sender has the turn.
#[derive(LogicBlock, Default)]
pub struct TransmitArbiter {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Completions: always allowed.
    pub completion: Sink<TransmitBeat>,
    /// Writes of the write engine: begin only while `bus_master`.
    pub posted: Sink<TransmitBeat>,
    /// Interrupts: memory writes begin only while `bus_master`, messages always.
    pub interrupt: Sink<TransmitBeat>,
    /// Read requests: begin only while `bus_master` and `nonposted_allowed`.
    pub nonposted: Sink<TransmitBeat>,
    /// The function may send memory requests.
    pub bus_master: Signal<In, Bit>,
    /// The link has credits for non-posted requests.
    pub nonposted_allowed: Signal<In, Bit>,
    /// All of them.
    pub transmit: Source<TransmitBeat>,

    /// Two beats, so that the senders' `ready` comes from registers.
    chosen_fifo: StreamFifo<TransmitBeat, 1>,
    /// A packet has begun and not ended: its sender keeps the way out.
    in_packet: Reg<Bit>,
    /// The sender of the present packet, or the one that may begin the next.
    owner: Reg<Bits<2>>,

    interrupt_allowed: Signal<Local, Bit>,
    allowed: Signal<Local, Bits<4>>,
    valid: Signal<Local, Bits<4>>,
    want: Signal<Local, Bits<4>>,
    next_owner: Signal<Local, Bits<2>>,
    found: Signal<Local, Bit>,
    /// The owner may go on, or begin.
    goes: Signal<Local, Bit>,
    offered: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    chosen: Signal<Local, TransmitBeat>,
}

impl Logic for TransmitArbiter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_transmit_arbiter: the senders of packets take turns, packet by packet");
        dff_setup!(self, clock, in_packet, owner);
        clock!(self, clock, chosen_fifo);
        self.in_packet.reset.next = self.reset.val();
        self.owner.reset.next = self.reset.val();
        self.chosen_fifo.reset.next = self.reset.val();

        comment!("who may begin");
        self.interrupt_allowed.next = self.bus_master.val() | (self.interrupt.data.val().kind == TransmitKind::Message);
        self.allowed.next = bits::<4>(1)
            .replace_bit(1, self.bus_master.val())
            .replace_bit(2, self.interrupt_allowed.val())
            .replace_bit(3, self.bus_master.val() & self.nonposted_allowed.val());
        self.valid.next = bits::<4>(0)
            .replace_bit(0, self.completion.valid.val())
            .replace_bit(1, self.posted.valid.val())
            .replace_bit(2, self.interrupt.valid.val())
            .replace_bit(3, self.nonposted.valid.val());
        self.want.next = self.valid.val() & self.allowed.val();

        comment!("whose turn is next: the first of the others behind the owner, or the owner's again");
        self.next_owner.next = self.owner.q.val();
        self.found.next = false;
        for i in 1..4 {
            if self.want.val().get_bit(i) & !self.found.val() & (self.owner.q.val() < i.to_bits::<2>()) {
                self.next_owner.next = i.to_bits();
                self.found.next = true;
            }
        }
        for i in 0..3 {
            if self.want.val().get_bit(i) & !self.found.val() & (self.owner.q.val() > i.to_bits::<2>()) {
                self.next_owner.next = i.to_bits();
                self.found.next = true;
            }
        }

        comment!("the owner's beat");
        self.completion.ready.next = false;
        self.posted.ready.next = false;
        self.interrupt.ready.next = false;
        self.nonposted.ready.next = false;
        self.goes.next = self.in_packet.q.val() | self.allowed.val().get_bit(self.owner.q.val().index());
        self.take.next = self.goes.val() & self.chosen_fifo.input.ready.val();
        match self.owner.q.val().index() {
            0 => {
                self.chosen.next = self.completion.data.val();
                self.completion.ready.next = self.take.val();
            }
            1 => {
                self.chosen.next = self.posted.data.val();
                self.posted.ready.next = self.take.val();
            }
            2 => {
                self.chosen.next = self.interrupt.data.val();
                self.interrupt.ready.next = self.take.val();
            }
            _ => {
                self.chosen.next = self.nonposted.data.val();
                self.nonposted.ready.next = self.take.val();
            }
        }
        self.offered.next = self.goes.val() & self.valid.val().get_bit(self.owner.q.val().index());
        self.chosen_fifo.input.data.next = self.chosen.val();
        self.chosen_fifo.input.valid.next = self.offered.val();
        if self.offered.val() {
            if self.chosen_fifo.input.ready.val() {
                self.in_packet.d.next = !self.chosen.val().last;
                if self.chosen.val().last {
                    self.owner.d.next = self.next_owner.val();
                }
            }
        } else if !self.in_packet.q.val() {
            self.owner.d.next = self.next_owner.val();
        }
        Source::<TransmitBeat>::link(&mut self.transmit, &mut self.chosen_fifo.output);
    }
}
