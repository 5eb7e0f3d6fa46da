//! From bytes to the chains of the receive queue.
use super::types::ConsoleByte;
use crate::block::Block;
use crate::cells::{LutRam, Reg, Sink, Source, Stage};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum State {
    /// Waits for a chain.
    Idle,
    /// Takes bytes for it.
    Fill,
    /// Says what becomes of the chain.
    Command,
    /// Passes the bytes on.
    Send,
}

/// Receive side of the console: bytes that come one behind the other are given to one chain, up to 256 of them.
///
/// ```text
/// byte_in  _a_b_c_______________________________d_
/// state    F F F F F F F F F F F F C S I F ..  F F    F: Fill, C: Command, S: Send, I: Idle
///                 |<-- 8 cycles ->|
/// ```
/// Eight cycles without a byte end a chain: what is typed is seen at once, and what comes in a stream fills a chain. Nothing is taken
/// while there is no chain. A reset of the device forgets the bytes that were taken for the chain at hand.
#[derive(Block)]
pub struct Receive {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Drain: take no chain and no byte, and give none back.
    pub stop: Signal<In, Bit>,
    /// Chains of the receive queue.
    pub chain: Sink<Chain>,
    /// What to do with their writable buffers.
    pub command: Source<ScatterCommand>,
    /// Bytes for their writable buffers.
    pub writable: Source<ByteBeat>,
    /// What is typed.
    pub byte_in: Sink<ConsoleByte>,
    /// One cycle: a chain had no writable byte.
    pub empty: Signal<Out, Bit>,
    /// Nothing moves before a chain or a byte comes.
    pub idle: Signal<Out, Bit>,

    state: Reg<State>,
    head: DFF<Bits<16>>,
    broken: DFF<Bit>,
    // bytes that the chain may get, 0 to 256
    limit: DFF<Bits<9>>,
    // bytes in `words`; those of them that have not been passed on
    count: Reg<Bits<9>>,
    // cycles since the last byte
    quiet: Reg<Bits<3>>,
    // the word that is being filled
    word: DFF<Bits<128>>,
    words: LutRam<128, 4>,
    // the next word to pass on
    place: DFF<Bits<4>>,
    beat: Stage<ByteBeat>,
    was_empty: Reg<Bit>,

    takes: Signal<Local, Bit>,
    filled: Signal<Local, Bits<128>>,
    wide: Signal<Local, Bits<128>>,
    lane: Signal<Local, Bits<4>>,
    one_more: Signal<Local, Bits<9>>,
    last: Signal<Local, Bit>,
    out_command: Signal<Local, ScatterCommand>,
    out_beat: Signal<Local, ByteBeat>,
}

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module console_receive: from bytes to the chains of the receive queue");
        comment!("the byte goes into its lane; a word begins with zeros");
        self.lane.next = self.count.q.val().get_bits::<4>(0);
        self.wide.next = bit_cast::<128, 8>(self.byte_in.data.val().data);
        self.filled.next = self.wide.val();
        for i in 1..16usize {
            if self.lane.val() == i.to_bits::<4>() {
                self.filled.next = self.word.q.val() | (self.wide.val() << (i * 8).to_bits::<7>());
            }
        }
        self.one_more.next = self.count.q.val() + 1;
        self.takes.next = self.byte_in.valid.val() & (self.state.q.val() == State::Fill) & !self.stop.val();
        self.byte_in.ready.next = (self.state.q.val() == State::Fill) & !self.stop.val();
        self.words.waddr.next = self.count.q.val().get_bits::<4>(4);
        self.words.wdata.next = self.filled.val();
        self.words.wen.next = self.takes.val();
        if self.takes.val() {
            self.word.d.next = self.filled.val();
        }

        comment!("what is written of the chain");
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = bit_cast::<32, 9>(self.count.q.val());
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = bit_cast::<32, 9>(self.count.q.val());
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        self.command.data.next = self.out_command.val();
        self.words.raddr.next = self.place.q.val();
        self.last.next = self.count.q.val() <= bits::<9>(16);
        self.out_beat.next.data = self.words.rdata.val();
        self.out_beat.next.count = 16.into();
        if self.last.val() {
            self.out_beat.next.count = self.count.q.val().get_bits::<5>(0);
        }
        self.out_beat.next.last = self.last.val();
        self.out_beat.next.error = false;
        self.beat.input.data.next = self.out_beat.val();
        Source::<ByteBeat>::link(&mut self.writable, &mut self.beat.output);

        comment!("one chain after the other");
        self.chain.ready.next = false;
        self.command.valid.next = false;
        self.beat.input.valid.next = false;
        self.was_empty.d.next = false;
        match self.state.q.val() {
            State::Idle => {
                self.count.d.next = 0.into();
                self.quiet.d.next = 0.into();
                self.place.d.next = 0.into();
                self.head.d.next = self.chain.data.val().head;
                self.broken.d.next = self.chain.data.val().error;
                self.limit.d.next = self.chain.data.val().writable_length.get_bits::<9>(0);
                if self.chain.data.val().writable_length > bits::<32>(256) {
                    self.limit.d.next = 256.into();
                }
                self.chain.ready.next = !self.stop.val();
                if self.chain.valid.val() & !self.stop.val() {
                    self.state.d.next = State::Fill;
                    if self.chain.data.val().error | !self.chain.data.val().writable_length.any() {
                        self.state.d.next = State::Command;
                    }
                }
            }
            State::Fill => {
                if self.takes.val() {
                    self.count.d.next = self.one_more.val();
                    if self.one_more.val() == self.limit.q.val() {
                        self.state.d.next = State::Command;
                    }
                    self.quiet.d.next = 0.into();
                } else if self.count.q.val().any() {
                    self.quiet.d.next = self.quiet.q.val() + 1;
                    if self.quiet.q.val().all() {
                        self.state.d.next = State::Command;
                    }
                }
            }
            State::Command => {
                self.command.valid.next = !self.stop.val();
                if self.command.ready.val() & !self.stop.val() {
                    self.state.d.next = State::Send;
                    if !self.count.q.val().any() {
                        self.state.d.next = State::Idle;
                        self.was_empty.d.next = !self.broken.q.val();
                    }
                }
            }
            State::Send => {
                self.beat.input.valid.next = !self.stop.val();
                if self.beat.input.ready.val() & !self.stop.val() {
                    self.count.d.next = self.count.q.val() - 16;
                    self.place.d.next = self.place.q.val() + 1;
                    if self.last.val() {
                        self.state.d.next = State::Idle;
                    }
                }
            }
        }
        self.empty.next = self.was_empty.q.val();
        self.idle.next = !self.beat.output.valid.val()
            & ((self.state.q.val() == State::Idle)
                | ((self.state.q.val() == State::Fill) & !self.count.q.val().any() & !self.byte_in.valid.val()));
    }
}
