//! Many clients, one engine.
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Round-robin arbiter over any number of request streams (at most 16), a request every other cycle.
///
/// The request taken is registered before it goes on, so requests leave in the order in which they were taken:
/// a client that has seen its request taken knows that whatever is offered later, by anyone, comes later.
#[derive(Block)]
pub struct RequestArbiter<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The streams; a client's number is its place here.
    #[given]
    pub clients: Vec<Sink<T>>,
    /// The requests that were taken, one after the other.
    pub request: Source<T>,
    full: Reg<Bit>,
    held: DFF<T>,
    /// Whose request was taken last, and whose comes next.
    last: Reg<Bits<4>>,
    chosen: Signal<Local, Bits<4>>,
    take: Signal<Local, Bit>,
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
        comment!("module request_arbiter: round robin over request streams, registered output");
        self.request.valid.next = self.full.q.val();
        self.request.data.next = self.held.q.val();
        comment!("no path from `ready` through here: the engines take a request in two cycles at best");
        self.take.next = !self.full.q.val();
        if self.request.ready.val() {
            self.full.d.next = false;
        }

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
            if self.valid.val().get_bit(i) & !self.behind.val() & (self.last.q.val() < i.to_bits::<4>()) {
                self.chosen.next = i.to_bits();
                self.behind.next = true;
            }
        }

        if self.take.val() {
            self.full.d.next = self.found.val();
            self.held.d.next = self.clients[0].data.val();
            for i in 1..self.clients.len() {
                if self.chosen.val() == i.to_bits::<4>() {
                    self.held.d.next = self.clients[i].data.val();
                }
            }
            if self.found.val() {
                self.last.d.next = self.chosen.val();
            }
        }
        for i in 0..self.clients.len() {
            self.clients[i].ready.next =
                self.take.val() & self.valid.val().get_bit(i) & (self.chosen.val() == i.to_bits::<4>());
        }
    }
}
