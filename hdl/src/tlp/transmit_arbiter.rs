//! Lets the senders of packets take turns.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use super::types::{TransmitBeat, TransmitKind};
use crate::block::Block;
use crate::cells::{Mux4, Reg, Sink, Skid, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// What decides how a beat is packed.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitControl {
    /// What the packet is.
    pub kind: TransmitKind,
    /// Its address does not fit into 32 bits: the header has four double words.
    pub above_4g: bool,
    /// Last beat of the packet.
    pub last: bool,
}

/// Merges the four senders into one stream, packet by packet, round robin.
///
/// Packets leave in the order in which their last beats are taken: there is no buffer in front of the choice.
/// A completion offered after the last beat of a posted write was taken cannot pass it, and neither can an
/// interrupt.
///
/// The turn is a register: it moves on while the last beat of a packet is taken, or when its owner has nothing to
/// begin, so no sender's `ready` depends on what another one offers. It costs no cycle between packets that wait, and
/// one when a packet comes while another sender has the turn.
#[derive(Block)]
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
    /// In step with it, from registers: the packer's `ready` does not wait for a RAM.
    chosen_control: Skid<TransmitControl>,
    /// A packet has begun and not ended: its sender keeps the way out.
    in_packet: Reg<Bit>,
    /// The sender of the present packet, or the one that may begin the next.
    owner: Reg<Bits<2>>,
    /// The same, a bit for each sender.
    #[given]
    turn: Reg<Bits<4>>,

    interrupt_allowed: Signal<Local, Bit>,
    allowed: Signal<Local, Bits<4>>,
    valid: Signal<Local, Bits<4>>,
    want: Signal<Local, Bits<4>>,
    next_owner: Signal<Local, Bits<2>>,
    next_turn: Signal<Local, Bits<4>>,
    found: Signal<Local, Bit>,
    /// The owner may go on, or begin.
    may_go: Signal<Local, Bits<4>>,
    offered: Signal<Local, Bit>,
    space: Signal<Local, Bit>,
    beat: Mux4<TransmitBeat>,
    chosen: Signal<Local, TransmitBeat>,
    rest: Signal<Local, TransmitBeat>,
    control: Signal<Local, TransmitControl>,
}

impl Default for TransmitArbiter {
    fn default() -> Self {
        Self::with(TransmitArbiterGiven { turn: Reg::new(1.into()) })
    }
}

impl Logic for TransmitArbiter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_transmit_arbiter: the senders of packets take turns, packet by packet");
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
        self.next_turn.next = self.turn.q.val();
        self.found.next = false;
        for i in 1..4 {
            if self.want.val().get_bit(i) & !self.found.val() & (self.owner.q.val() < i.to_bits::<2>()) {
                self.next_owner.next = i.to_bits();
                self.next_turn.next = bits::<4>(1) << i.to_bits::<2>();
                self.found.next = true;
            }
        }
        for i in 0..3 {
            if self.want.val().get_bit(i) & !self.found.val() & (self.owner.q.val() > i.to_bits::<2>()) {
                self.next_owner.next = i.to_bits();
                self.next_turn.next = bits::<4>(1) << i.to_bits::<2>();
                self.found.next = true;
            }
        }

        comment!("the owner's beat: it goes on, or begins");
        self.may_go.next = self.turn.q.val();
        if !self.in_packet.q.val() {
            self.may_go.next = self.turn.q.val() & self.allowed.val();
        }
        self.space.next = self.chosen_control.input.ready.val();
        self.completion.ready.next = self.space.val() & self.may_go.val().get_bit(0);
        self.posted.ready.next = self.space.val() & self.may_go.val().get_bit(1);
        self.interrupt.ready.next = self.space.val() & self.may_go.val().get_bit(2);
        self.nonposted.ready.next = self.space.val() & self.may_go.val().get_bit(3);
        self.beat.inputs[0].next = self.completion.data.val();
        self.beat.inputs[1].next = self.posted.data.val();
        self.beat.inputs[2].next = self.interrupt.data.val();
        self.beat.inputs[3].next = self.nonposted.data.val();
        self.beat.select.next = self.owner.q.val();
        self.chosen.next = self.beat.chosen.val();
        self.offered.next = (self.may_go.val() & self.valid.val()).any();
        self.chosen_fifo.input.data.next = self.chosen.val();
        self.chosen_fifo.input.valid.next = self.offered.val();
        self.chosen_control.input.data.next.kind = self.chosen.val().kind;
        self.chosen_control.input.data.next.above_4g = self.chosen.val().above_4g;
        self.chosen_control.input.data.next.last = self.chosen.val().last;
        self.chosen_control.input.valid.next = self.offered.val();
        if self.offered.val() {
            if self.chosen_control.input.ready.val() {
                self.in_packet.d.next = !self.chosen.val().last;
                if self.chosen.val().last {
                    self.owner.d.next = self.next_owner.val();
                    self.turn.d.next = self.next_turn.val();
                }
            }
        } else if !self.in_packet.q.val() {
            self.owner.d.next = self.next_owner.val();
            self.turn.d.next = self.next_turn.val();
        }
        self.rest.next = self.chosen_fifo.output.data.val();
        self.control.next = self.chosen_control.output.data.val();
        self.transmit.data.next.data = self.rest.val().data;
        self.transmit.data.next.last = self.control.val().last;
        self.transmit.data.next.kind = self.control.val().kind;
        self.transmit.data.next.length = self.rest.val().length;
        self.transmit.data.next.address = self.rest.val().address;
        self.transmit.data.next.above_4g = self.control.val().above_4g;
        self.transmit.data.next.first_be = self.rest.val().first_be;
        self.transmit.data.next.last_be = self.rest.val().last_be;
        self.transmit.data.next.tag = self.rest.val().tag;
        self.transmit.data.next.requester_id = self.rest.val().requester_id;
        self.transmit.data.next.status = self.rest.val().status;
        self.transmit.data.next.byte_count = self.rest.val().byte_count;
        self.transmit.data.next.lower_address = self.rest.val().lower_address;
        self.transmit.data.next.attributes = self.rest.val().attributes;
        self.transmit.data.next.traffic_class = self.rest.val().traffic_class;
        self.transmit.data.next.message_code = self.rest.val().message_code;
        self.transmit.valid.next = self.chosen_control.output.valid.val();
        self.chosen_control.output.ready.next = self.transmit.ready.val();
        self.chosen_fifo.output.ready.next = self.transmit.ready.val();
    }
}
