//! From a stream of bytes to the writable buffers of chains.
use super::scatter_cut::{ScatterCutter, ScatterPiece};
use super::types::{BufferDescriptor, ByteBeat, ScatterCommand, UsedElement, WriteRequest};
use crate::block::Block;
use crate::cells::{BlockRam, HalfStage, Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// Scatters a stream of bytes into the writable buffers of chains, and hands out each chain's used element.
///
/// ```text
/// command, buffers -> cutter -> piece -> request (as soon as its data are in the RAM), used
/// data -> RAM of 2^AW words -> write engine           word read -> space
/// ```
/// A command of `length` bytes takes `length / 16`, rounded up, beats of `data`, whatever comes of them; a command
/// without length takes none. Commands joined by `more` share one stream, which takes the beats of their sum. What does not fit into the chain's buffers is thrown away, and everything of
/// a command with `drop` or a chain whose end mark says `error`; such a chain gives no used element.
/// The data may come before their command.
///
/// A used element is offered when the chain's last request has been taken: if it is written by the same engine,
/// it arrives behind the data.
///
/// Reset it only when the write engine has nothing of this client.
#[derive(Block)]
pub struct Scatter<const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Buffers of the chains, with an end mark behind each chain.
    pub buffers: Sink<BufferDescriptor>,
    /// What to do with the buffers of a chain.
    pub command: Sink<ScatterCommand>,
    /// The bytes for them.
    pub data: Sink<ByteBeat>,
    /// Writes of host memory.
    pub request: Source<WriteRequest>,
    /// The write engine is past all words of the RAM before `read_word`: they are free.
    pub read_past: Signal<In, Bit>,
    /// The word that it reads; its data come one cycle later.
    pub read_word: Signal<In, Bits<12>>,
    /// What that word holds, one cycle later.
    pub read_data: Signal<Out, Bits<128>>,
    /// The oldest request of this client has been written.
    pub done: Signal<In, Bit>,
    /// Used elements of the chains, each when its last write has been taken.
    pub used: Source<UsedElement>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    words: Constant<Bits<8>>,
    cutter: ScatterCutter,
    pieces: HalfStage<ScatterPiece>,
    ram: BlockRam<128, AW>,
    // word numbers: filled up to here, free up to here
    filled: Reg<Bits<8>>,
    freed: Reg<Bits<8>>,
    occupied: Signal<Local, Bits<8>>,
    store: Signal<Local, Bit>,
    // the piece at hand
    piece: Signal<Local, ScatterPiece>,
    missing: Signal<Local, Bits<12>>,
    has_data: Reg<Bit>,
    offer: Signal<Local, Bit>,
    fire: Signal<Local, Bit>,
    hand_out: Signal<Local, Bit>,
    leaves: Signal<Local, Bit>,
    // requests being written
    under_way: Reg<Bits<6>>,
}

impl<const AW: usize> Scatter<AW> {
    /// For the client number `client`.
    pub fn new(client: u64) -> Self {
        assert!((5..=6).contains(&AW), "the RAM must hold 512 or 1024 bytes");
        Self::with(ScatterGiven { client: Constant::new(client.into()), words: Constant::new((1u64 << AW).into()) })
    }
}

impl<const AW: usize> Logic for Scatter<AW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_scatter: scatters a stream of bytes into the writable buffers of chains");
        Sink::<BufferDescriptor>::link(&mut self.buffers, &mut self.cutter.buffers);
        Sink::<ScatterCommand>::link(&mut self.command, &mut self.cutter.command);

        comment!("data into the RAM, word after word");
        self.occupied.next = self.filled.q.val() - self.freed.q.val();
        self.data.ready.next = self.occupied.val() < self.words.val();
        self.store.next = self.data.valid.val() & (self.occupied.val() < self.words.val());
        self.ram.waddr.next = bit_cast::<AW, 8>(self.filled.q.val());
        self.ram.wdata.next = self.data.data.val().data;
        self.ram.wen.next = self.store.val();
        if self.store.val() {
            self.filled.d.next = self.filled.q.val() + 1;
        }
        self.ram.raddr.next = bit_cast::<AW, 12>(self.read_word.val());
        self.read_data.next = self.ram.rdata.val();

        Source::<ScatterPiece>::join(&mut self.cutter.piece, &mut self.pieces.input);

        comment!("pieces out when their data are there, used elements behind them");
        self.piece.next = self.pieces.output.data.val();
        self.missing.next = (bit_cast::<12, 8>(self.filled.q.val()) << 4) - self.piece.val().end;
        self.offer.next = self.pieces.output.valid.val()
            & !self.piece.val().is_used
            & self.has_data.q.val()
            & !self.under_way.q.val().get_bit(5);
        self.hand_out.next = self.pieces.output.valid.val() & self.piece.val().is_used;
        self.request.valid.next = self.offer.val();
        self.request.data.next.address = self.piece.val().address;
        self.request.data.next.length = bit_cast::<13, 10>(self.piece.val().length);
        self.request.data.next.source = bit_cast::<16, 12>(self.piece.val().source);
        self.request.data.next.client = self.client.val();
        self.used.valid.next = self.hand_out.val();
        self.used.data.next = self.pieces.output.data.val().used;
        self.fire.next = self.offer.val() & self.request.ready.val();
        self.leaves.next = self.fire.val() | (self.hand_out.val() & self.used.ready.val());
        self.pieces.output.ready.next = self.leaves.val();
        comment!("known one cycle after the piece has come to the front");
        self.has_data.d.next = self.pieces.output.valid.val() & !self.leaves.val() & !self.missing.val().get_bit(11);

        comment!("space: all words before the one that is read; that one may be the first of the next packet too");
        if self.read_past.val() {
            self.freed.d.next = bit_cast::<8, 12>(self.read_word.val());
        }
        if self.fire.val() != self.done.val() {
            self.under_way.d.next = self.under_way.q.val() + 1;
            if self.done.val() {
                self.under_way.d.next = self.under_way.q.val() - 1;
            }
        }
        self.cutter.filled.next = self.filled.q.val();
        self.cutter.settled.next = !self.under_way.q.val().any() & !self.pieces.output.valid.val();
        if self.cutter.discard.val() {
            self.freed.d.next = self.cutter.discard_to.val();
        }
    }
}
