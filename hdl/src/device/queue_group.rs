//! Several queues as one, for a device that works on one request after the other.
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source, Stage};
use crate::comment;
use crate::dma::arbiter::RoundRobin;
use crate::dma::types::*;
use crate::virtio::types::Chain;
use crate::virtio::MAX_QUEUES;
use rust_hdl::prelude::*;

/// The chain interfaces of several queues, joined into one whose chains and answers carry the number of their queue.
///
/// ```text
///  chains, bytes  of queue 0..N ---> turn ---> chain, chain_queue, readable      a chain with all of its bytes, then the next
///  commands, data of queue 0..N <--- answer_queue <--- scatter, writable
/// ```
/// It is the turn of a queue from its chain to that chain's last byte, and only of one whose chain and first byte are there: no queue
/// waits for bytes of another's that the host has still to send. Queues that have something take turns, chain by chain.
///
/// ```text
///  clock      0     1     2     3     4
///  queue 0    a     a'    b     b     -       a and its last byte a', b: both in one beat
///  queue 1    c     c     c     -     -
///  readable         a     a'    c     b
/// ```
#[derive(Block)]
pub struct QueueGroup {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Chains of each queue.
    #[given]
    pub chains: Vec<Sink<Chain>>,
    /// The bytes of their readable buffers.
    #[given]
    pub bytes: Vec<Sink<ByteBeat>>,
    /// Of each queue: what to do with the writable buffers.
    #[given]
    pub commands: Vec<Source<ScatterCommand>>,
    /// The bytes for them.
    #[given]
    pub data: Vec<Source<ByteBeat>>,
    /// The chains of all queues.
    pub chain: Source<Chain>,
    /// The queue of the chain that is offered.
    pub chain_queue: Signal<Out, Bits<2>>,
    /// The bytes of the chains, in their order.
    pub readable: Source<ByteBeat>,
    /// What to do with the writable buffers of a chain of `answer_queue`.
    pub scatter: Sink<ScatterCommand>,
    /// The bytes for them.
    pub writable: Sink<ByteBeat>,
    /// The queue of both.
    pub answer_queue: Signal<In, Bits<2>>,

    choice: RoundRobin,
    chain_stage: Stage<Chain>,
    queue_stage: Stage<Bits<2>>,
    byte_stage: Stage<ByteBeat>,
    turn: Reg<Bits<2>>,
    // its chain has been taken, and not all of the bytes
    begun: Reg<Bit>,

    here: Signal<Local, Bit>,
    others: Signal<Local, Bits<4>>,
    chain_here: Signal<Local, Bit>,
    byte_here: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
}

impl QueueGroup {
    /// Of 2 to [`MAX_QUEUES`] queues.
    pub fn new(queues: usize) -> Self {
        assert!((2..=MAX_QUEUES).contains(&queues), "a group has 2 to {MAX_QUEUES} queues, not {queues}");
        Self::with(QueueGroupGiven {
            chains: list(queues),
            bytes: list(queues),
            commands: list(queues),
            data: list(queues),
        })
    }
}

impl Logic for QueueGroup {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module queue_group: several queues as one, whose chains and answers carry a queue's number");
        comment!("---- the queue whose turn it is, and the others that have a chain and its first byte");
        self.chain_stage.input.data.next = self.chains[0].data.val();
        self.byte_stage.input.data.next = self.bytes[0].data.val();
        self.chain_here.next = false;
        self.byte_here.next = false;
        self.others.next = 0.into();
        for i in 0..self.chains.len() {
            self.here.next = self.turn.q.val() == i.to_bits::<2>();
            if self.here.val() {
                self.chain_stage.input.data.next = self.chains[i].data.val();
                self.byte_stage.input.data.next = self.bytes[i].data.val();
                self.chain_here.next = self.chains[i].valid.val();
                self.byte_here.next = self.bytes[i].valid.val();
            } else {
                self.others.next =
                    self.others.val().replace_bit(i, self.chains[i].valid.val() & self.bytes[i].valid.val());
            }
        }

        comment!("---- a chain with its first byte, then the rest");
        self.begins.next = !self.begun.q.val()
            & self.chain_here.val()
            & self.byte_here.val()
            & self.chain_stage.input.ready.val()
            & self.byte_stage.input.ready.val();
        self.moves.next =
            self.begins.val() | (self.begun.q.val() & self.byte_here.val() & self.byte_stage.input.ready.val());
        self.chain_stage.input.valid.next = self.begins.val();
        self.queue_stage.input.valid.next = self.begins.val();
        self.queue_stage.input.data.next = self.turn.q.val();
        self.byte_stage.input.valid.next = self.moves.val();
        for i in 0..self.chains.len() {
            self.here.next = self.turn.q.val() == i.to_bits::<2>();
            self.chains[i].ready.next = self.begins.val() & self.here.val();
            self.bytes[i].ready.next = self.moves.val() & self.here.val();
        }
        if self.moves.val() {
            self.begun.d.next = !self.byte_stage.input.data.val().last;
        }

        comment!("---- the next turn: behind the last byte, or where there is nothing");
        self.choice.asking.next = self.others.val();
        self.choice.last.next = self.turn.q.val();
        if self.choice.found.val()
            & ((self.moves.val() & self.byte_stage.input.data.val().last)
                | (!self.begun.q.val() & !(self.chain_here.val() & self.byte_here.val())))
        {
            self.turn.d.next = self.choice.chosen.val();
        }

        comment!("---- out");
        Source::<Chain>::link(&mut self.chain, &mut self.chain_stage.output);
        Source::<ByteBeat>::link(&mut self.readable, &mut self.byte_stage.output);
        self.chain_queue.next = self.queue_stage.output.data.val();
        self.queue_stage.output.ready.next = self.chain.ready.val();

        comment!("---- answers");
        self.scatter.ready.next = false;
        self.writable.ready.next = false;
        for i in 0..self.commands.len() {
            self.here.next = self.answer_queue.val() == i.to_bits::<2>();
            self.commands[i].data.next = self.scatter.data.val();
            self.commands[i].valid.next = self.scatter.valid.val() & self.here.val();
            self.data[i].data.next = self.writable.data.val();
            self.data[i].valid.next = self.writable.valid.val() & self.here.val();
            if self.here.val() {
                self.scatter.ready.next = self.commands[i].ready.val();
                self.writable.ready.next = self.data[i].ready.val();
            }
        }
    }
}
