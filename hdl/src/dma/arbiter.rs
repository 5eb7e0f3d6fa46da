//! Many clients, one engine.
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Round-robin arbiter over any number of request streams (at most 16), a request every other cycle.
///
/// Whose turn it is stands in a register; its request then passes through a multiplexer, for the engine to take. So neither a
/// client's `valid` nor the engine's `ready` is on the path of the data, and a request is held once, by its client.
///
/// ```text
///  clock     0    1    2    3
///  valid 0   1    1    0    0
///  valid 1   1    1    1    1
///  granted   -    0    -    1
///  request   -    r0   -    r1
/// ```
/// Requests leave in the order in which they are taken: a client that has seen its request taken knows that whatever is offered
/// later, by anyone, comes later. One that withdraws its request loses its turn.
#[derive(Block)]
pub struct RequestArbiter<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The streams, `data` and `valid` from registers; a client's number is its place here.
    #[given]
    pub clients: Vec<Sink<T>>,
    /// The requests, one after the other.
    pub request: Source<T>,
    granted: Reg<Bit>,
    /// Whose turn it is, or was last.
    turn: Reg<Bits<4>>,
    chosen: Signal<Local, Bits<4>>,
    offered: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    behind: Signal<Local, Bit>,
    valid: Signal<Local, Bits<16>>,
}

/// Arbiter in front of the read engine.
pub type ReadArbiter = RequestArbiter<super::types::ReadRequest>;
/// Arbiter in front of the write engine.
pub type WriteArbiter = RequestArbiter<super::types::WriteRequest>;

impl<T: Synth> RequestArbiter<T> {
    /// An arbiter with `clients` inputs.
    pub fn new(clients: usize) -> Self {
        assert!((1..=16).contains(&clients), "an arbiter has 1 to 16 clients, not {clients}");
        Self::with(RequestArbiterGiven { clients: (0..clients).map(|_| Default::default()).collect() })
    }
}

impl<T: Synth> Logic for RequestArbiter<T> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module request_arbiter: round robin over request streams, the turn in a register");
        self.valid.next = 0.into();
        for i in 0..self.clients.len() {
            self.valid.next = self.valid.val().replace_bit(i, self.clients[i].valid.val());
        }
        comment!("the first behind the last one, else the first of all");
        self.chosen.next = 0.into();
        self.found.next = false;
        for i in 0..self.clients.len() {
            if self.valid.val().get_bit(i) & !self.found.val() {
                self.chosen.next = i.to_bits();
                self.found.next = true;
            }
        }
        self.behind.next = false;
        for i in 0..self.clients.len() {
            if self.valid.val().get_bit(i) & !self.behind.val() & (self.turn.q.val() < i.to_bits::<4>()) {
                self.chosen.next = i.to_bits();
                self.behind.next = true;
            }
        }

        self.request.data.next = self.clients[0].data.val();
        self.offered.next = self.granted.q.val() & self.clients[0].valid.val();
        for i in 0..self.clients.len() {
            if self.turn.q.val() == i.to_bits::<4>() {
                self.request.data.next = self.clients[i].data.val();
                self.offered.next = self.granted.q.val() & self.clients[i].valid.val();
            }
            self.clients[i].ready.next =
                self.granted.q.val() & self.request.ready.val() & (self.turn.q.val() == i.to_bits::<4>());
        }
        self.request.valid.next = self.offered.val();

        comment!("no turn follows on another at once: the engines take a request in two cycles at best");
        if self.granted.q.val() {
            self.granted.d.next = self.offered.val() & !self.request.ready.val();
        } else {
            self.granted.d.next = self.found.val();
            if self.found.val() {
                self.turn.d.next = self.chosen.val();
            }
        }
    }
}
