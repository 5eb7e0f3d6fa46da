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
    /// Those behind the last winner.
    behind: Reg<Bits<16>>,
    take: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    valid: Signal<Local, Bits<16>>,
    candidates: Signal<Local, Bits<16>>,
    grant: Signal<Local, Bits<16>>,
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

        comment!("those behind the last winner first, then from the beginning; of these the lowest");
        self.valid.next = 0.into();
        for i in 0..self.clients.len() {
            self.valid.next = self.valid.val().replace_bit(i, self.clients[i].valid.val());
        }
        self.candidates.next = self.valid.val();
        if (self.valid.val() & self.behind.q.val()).any() {
            self.candidates.next = self.valid.val() & self.behind.q.val();
        }
        self.found.next = self.valid.val().any();
        self.grant.next = 0.into();
        for i in 0..self.clients.len() {
            self.grant.next = self.grant.val().replace_bit(
                i,
                self.candidates.val().get_bit(i)
                    & !(self.candidates.val() & !(bits::<16>(0xFFFF) << i.to_bits::<4>())).any(),
            );
        }

        if self.take.val() {
            self.full.d.next = self.found.val();
            self.held.d.next = self.clients[0].data.val();
            for i in 1..self.clients.len() {
                if self.grant.val().get_bit(i) {
                    self.held.d.next = self.clients[i].data.val();
                }
            }
            for i in 0..self.clients.len() {
                if self.grant.val().get_bit(i) {
                    self.behind.d.next = bits::<16>(0xFFFE) << i.to_bits::<4>();
                }
            }
        }
        for i in 0..self.clients.len() {
            self.clients[i].ready.next = self.take.val() & self.grant.val().get_bit(i);
        }
    }
}
