//! Many clients, one engine.
use super::types::{ReadRequest, WriteRequest};
use crate::block::{list, Block};
use crate::cells::{Mux4, Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Most clients of an arbiter.
const CLIENTS: usize = 4;

/// Round-robin choice: the first that asks behind the last one, else the first of all. Combinational.
#[derive(Block)]
pub struct RoundRobin {
    /// Who asks, one bit each.
    pub asking: Signal<In, Bits<4>>,
    /// Who was last.
    pub last: Signal<In, Bits<2>>,
    /// Who is next; 0 if nobody asks.
    pub chosen: Signal<Out, Bits<2>>,
    /// Somebody asks.
    pub found: Signal<Out, Bit>,
    first: Signal<Local, Bits<2>>,
    any: Signal<Local, Bit>,
    behind: Signal<Local, Bit>,
}

impl Logic for RoundRobin {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module round_robin: the first that asks behind the last one, else the first of all");
        self.first.next = 0.into();
        self.any.next = false;
        for i in 0..4 {
            if self.asking.val().get_bit(i) & !self.any.val() {
                self.first.next = i.to_bits();
                self.any.next = true;
            }
        }
        self.behind.next = false;
        for i in 0..4 {
            if self.asking.val().get_bit(i) & !self.behind.val() & (self.last.val() < i.to_bits::<2>()) {
                self.first.next = i.to_bits();
                self.behind.next = true;
            }
        }
        self.chosen.next = self.first.val();
        self.found.next = self.any.val();
    }
}

/// Arbiter over the reads of a queue: round robin over up to four request streams, up to a request per cycle.
///
/// Whose turn it is stands in a register; its request passes through a multiplexer, for the engine to take. So no client's `valid`
/// is on the path of the data, and a request is held once, by its client. The turn goes on to the next client that asks when a
/// request has been taken, or when there is none, and stays where it is while nobody else asks. When nobody asks at all it goes home to
/// client 0, so that a queue's first read, of an index, need not wait for it.
///
/// ```text
///  clock     0    1    2    3
///  valid 0   1    1    0    0
///  valid 1   1    1    1    0
///  turn      1    0    1    1
///  request   r1   r0   r1   -
/// ```
/// Requests leave in the order in which they are taken: a client that has seen its request taken knows that whatever is offered
/// later, by anyone, comes later. One that withdraws its request loses its turn.
#[derive(Block)]
pub struct TurnArbiter {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The streams, `data` and `valid` from registers; a client's number is its place here.
    #[given]
    pub clients: Vec<Sink<ReadRequest>>,
    /// The requests, one after the other.
    pub request: Source<ReadRequest>,
    choice: RoundRobin,
    /// Whose turn it is, or was last.
    turn: Reg<Bits<2>>,
    mux: Mux4<ReadRequest>,
    offered: Signal<Local, Bit>,
    others: Signal<Local, Bits<4>>,
}

impl TurnArbiter {
    /// An arbiter with `clients` inputs.
    pub fn new(clients: usize) -> Self {
        assert!((1..=CLIENTS).contains(&clients), "an arbiter has 1 to {CLIENTS} clients, not {clients}");
        Self::with(TurnArbiterGiven { clients: list(clients) })
    }
}

impl Logic for TurnArbiter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module turn_arbiter: round robin over read requests, the turn in a register");
        for i in 0..4 {
            self.mux.inputs[i].next = self.clients[0].data.val();
        }
        for i in 1..self.clients.len() {
            self.mux.inputs[i].next = self.clients[i].data.val();
        }
        self.mux.select.next = self.turn.q.val();
        self.request.data.next = self.mux.chosen.val();
        self.offered.next = false;
        self.others.next = 0.into();
        for i in 0..self.clients.len() {
            if self.turn.q.val() == i.to_bits::<2>() {
                self.offered.next = self.clients[i].valid.val();
            } else {
                self.others.next = self.others.val().replace_bit(i, self.clients[i].valid.val());
            }
            self.clients[i].ready.next = self.request.ready.val() & (self.turn.q.val() == i.to_bits::<2>());
        }
        self.request.valid.next = self.offered.val();

        self.choice.asking.next = self.others.val();
        self.choice.last.next = self.turn.q.val();
        if self.choice.found.val() & (!self.offered.val() | self.request.ready.val()) {
            self.turn.d.next = self.choice.chosen.val();
        } else if !self.offered.val() {
            self.turn.d.next = 0.into();
        }
    }
}

/// Arbiter in front of an engine: round robin over up to four request streams, a request every other cycle.
///
/// The choice is made at once, and the request taken is registered before it goes on: its client makes the next one ready
/// meanwhile. Requests leave in the order in which they were taken.
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
    choice: RoundRobin,
    full: Reg<Bit>,
    held: DFF<T>,
    /// Whose request was taken last.
    last: Reg<Bits<2>>,
    mux: Mux4<T>,
    take: Signal<Local, Bit>,
    valid: Signal<Local, Bits<4>>,
}

/// Arbiter in front of the read engine.
pub type ReadArbiter = RequestArbiter<ReadRequest>;
/// Arbiter in front of the write engine.
pub type WriteArbiter = RequestArbiter<WriteRequest>;

impl<T: Synth> RequestArbiter<T> {
    /// An arbiter with `clients` inputs.
    pub fn new(clients: usize) -> Self {
        assert!((1..=CLIENTS).contains(&clients), "an arbiter has 1 to {CLIENTS} clients, not {clients}");
        Self::with(RequestArbiterGiven { clients: list(clients) })
    }
}

impl<T: Synth> Logic for RequestArbiter<T> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module request_arbiter: round robin over request streams, registered output");
        self.request.valid.next = self.full.q.val();
        self.request.data.next = self.held.q.val();
        comment!("no path from `ready` through here: the engine takes a request in two cycles at best");
        self.take.next = !self.full.q.val();
        if self.request.ready.val() {
            self.full.d.next = false;
        }

        self.valid.next = 0.into();
        for i in 0..self.clients.len() {
            self.valid.next = self.valid.val().replace_bit(i, self.clients[i].valid.val());
        }
        self.choice.asking.next = self.valid.val();
        self.choice.last.next = self.last.q.val();
        for i in 0..4 {
            self.mux.inputs[i].next = self.clients[0].data.val();
        }
        for i in 1..self.clients.len() {
            self.mux.inputs[i].next = self.clients[i].data.val();
        }
        self.mux.select.next = self.choice.chosen.val();
        if self.take.val() {
            self.full.d.next = self.choice.found.val();
            if self.choice.found.val() {
                self.last.d.next = self.choice.chosen.val();
            }
            self.held.d.next = self.mux.chosen.val();
        }
        for i in 0..self.clients.len() {
            self.clients[i].ready.next =
                self.take.val() & self.valid.val().get_bit(i) & (self.choice.chosen.val() == i.to_bits::<2>());
        }
    }
}
