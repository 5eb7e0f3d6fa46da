//! Many clients, one engine.
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Round-robin arbiter over any number of request streams (at most 16), one request per cycle.
///
/// The request taken is registered before it goes on, so requests leave in the order in which they were taken:
/// a client that has seen its request taken knows that whatever is offered later, by anyone, comes later.
#[derive(LogicBlock)]
pub struct RequestArbiter<T: Synth> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub clients: Vec<Sink<T>>,
    pub request: Source<T>,
    full: Reg<Bit>,
    held: DFF<T>,
    winner: Reg<Bits<4>>,
    take: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    pick: Signal<Local, Bits<4>>,
}

/// Arbiter in front of the read engine.
pub type ReadArbiter = RequestArbiter<super::types::ReadRequest>;
/// Arbiter in front of the write engine.
pub type WriteArbiter = RequestArbiter<super::types::WriteRequest>;

impl<T: Synth> RequestArbiter<T> {
    /// An arbiter with `clients` inputs.
    pub fn new(clients: usize) -> Self {
        assert!((1..=16).contains(&clients), "an arbiter has 1 to 16 clients, not {clients}");
        Self {
            clock: Default::default(),
            reset: Default::default(),
            clients: (0..clients).map(|_| Default::default()).collect(),
            request: Default::default(),
            full: Default::default(),
            held: Default::default(),
            winner: Default::default(),
            take: Default::default(),
            found: Default::default(),
            pick: Default::default(),
        }
    }
}

impl<T: Synth> Logic for RequestArbiter<T> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module request_arbiter: round robin over request streams, registered output");
        dff_setup!(self, clock, full, held, winner);
        self.full.reset.next = self.reset.val();
        self.winner.reset.next = self.reset.val();

        self.request.valid.next = self.full.q.val();
        self.request.data.next = self.held.q.val();
        self.take.next = !self.full.q.val() | self.request.ready.val();

        // those behind the last winner first, then from the beginning
        self.found.next = false;
        self.pick.next = 0.into();
        for i in 1..self.clients.len() {
            if self.clients[i].valid.val() & !self.found.val() & (self.winner.q.val() < i.to_bits::<4>()) {
                self.pick.next = i.to_bits::<4>();
                self.found.next = true;
            }
        }
        for i in 0..self.clients.len() {
            if self.clients[i].valid.val() & !self.found.val() {
                self.pick.next = i.to_bits::<4>();
                self.found.next = true;
            }
        }

        if self.take.val() {
            self.full.d.next = self.found.val();
            if self.found.val() {
                self.winner.d.next = self.pick.val();
            }
        }
        for i in 0..self.clients.len() {
            self.clients[i].ready.next = self.take.val() & self.found.val() & (self.pick.val() == i.to_bits::<4>());
            if self.take.val() & (self.pick.val() == i.to_bits::<4>()) {
                self.held.d.next = self.clients[i].data.val();
            }
        }
    }
}
