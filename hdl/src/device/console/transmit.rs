//! From the chains of the transmit queue to bytes.
use super::types::ConsoleByte;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Transmit side of the console: the bytes of each chain, one a cycle, and bytes of emergency writes between them.
///
/// ```text
/// chain, bytes -> word, 16 bytes -> [FIFO] -> byte_out
/// emergency byte, one -----------------^
/// ```
/// A chain is given back when its last byte is in the FIFO. While the other side takes none, the chain waits, and with it the driver;
/// nothing is lost. What could not be read is not printed.
#[derive(Block)]
pub struct Transmit {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Of the endpoint: bytes in the FIFO are forgotten.
    pub reset: Signal<In, Bit>,
    /// Of the device, in any cycle: chains are forgotten, what is in the FIFO is printed.
    pub clear: Signal<In, Bit>,
    /// Drain: take and give back no chain.
    pub stop: Signal<In, Bit>,
    /// A chain that has been begun is to be printed to its end: until then this is not idle.
    pub pause: Signal<In, Bit>,
    /// Chains of the transmit queue.
    pub chain: Sink<Chain>,
    /// Bytes of their readable buffers.
    pub readable: Sink<ByteBeat>,
    /// They are used, with no bytes.
    pub command: Source<ScatterCommand>,
    /// One cycle: this byte comes before all others, whatever the state of the device.
    pub emergency_valid: Signal<In, Bit>,
    /// The byte.
    pub emergency: Signal<In, Bits<8>>,
    /// What is printed.
    pub byte_out: Source<ConsoleByte>,
    /// One cycle: a part of a chain is not printed.
    pub read_failed: Signal<Out, Bit>,
    /// One cycle: the emergency byte before this one has not been printed, and will not be.
    pub emergency_lost: Signal<Out, Bit>,
    /// Nothing moves before a chain comes or the other side takes a byte.
    pub idle: Signal<Out, Bit>,

    // a chain is at hand
    taken: Reg<Bit>,
    head: DFF<Bits<16>>,
    broken: DFF<Bit>,
    // what is left of the word at hand, the next byte lowest
    word: DFF<Bits<128>>,
    left: Reg<Bits<5>>,
    // it is the chain's last
    ends: Reg<Bit>,
    failed: Reg<Bit>,
    emergency_waits: Reg<Bit>,
    emergency_byte: DFF<Bits<8>>,
    lost: Reg<Bit>,
    /// Of the endpoint's reset alone: what the other side has been offered stays offered.
    bytes: StreamFifo<ConsoleByte, 4>,

    forget: Signal<Local, Bit>,
    has_byte: Signal<Local, Bit>,
    byte_moves: Signal<Local, Bit>,
    takes_beat: Signal<Local, Bit>,
    unreadable: Signal<Local, Bit>,
    blocked: Signal<Local, Bit>,
    wide: Signal<Local, Bits<128>>,
    out_command: Signal<Local, ScatterCommand>,
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module console_transmit: from the chains of the transmit queue to bytes");
        self.forget.next = self.reset.val() | self.clear.val();
        self.taken.reset.next = self.forget.val();
        self.left.reset.next = self.forget.val();
        self.ends.reset.next = self.forget.val();
        self.failed.reset.next = self.forget.val();

        comment!("---- chains and their words");
        self.chain.ready.next = !self.taken.q.val() & !self.stop.val();
        if self.chain.valid.val() & !self.taken.q.val() & !self.stop.val() {
            self.taken.d.next = true;
            self.head.d.next = self.chain.data.val().head;
            self.broken.d.next = self.chain.data.val().error;
        }
        self.takes_beat.next = self.taken.q.val() & !self.ends.q.val() & !self.left.q.val().any() & !self.stop.val();
        self.readable.ready.next = self.takes_beat.val();
        self.unreadable.next = self.readable.data.val().error | self.broken.q.val();
        self.failed.d.next = false;
        if self.readable.valid.val() & self.takes_beat.val() {
            self.word.d.next = self.readable.data.val().data;
            self.ends.d.next = self.readable.data.val().last;
            if !self.unreadable.val() {
                self.left.d.next = self.readable.data.val().count;
            }
            self.failed.d.next = self.readable.data.val().last & self.readable.data.val().error & !self.broken.q.val();
        }
        self.read_failed.next = self.failed.q.val();

        comment!("---- bytes; one of an emergency goes first");
        self.has_byte.next = self.left.q.val().any() & !self.stop.val();
        self.byte_moves.next = self.has_byte.val() & !self.emergency_waits.q.val() & self.bytes.input.ready.val();
        self.wide.next = self.word.q.val();
        self.bytes.input.data.next.data = self.wide.val().get_bits::<8>(0);
        self.bytes.input.valid.next = self.has_byte.val() | self.emergency_waits.q.val();
        if self.emergency_waits.q.val() {
            self.bytes.input.data.next.data = self.emergency_byte.q.val();
            self.emergency_waits.d.next = !self.bytes.input.ready.val();
        }
        if self.byte_moves.val() {
            self.word.d.next = self.word.q.val() >> 8;
            self.left.d.next = self.left.q.val() - 1;
        }
        self.lost.d.next = false;
        if self.emergency_valid.val() {
            self.emergency_waits.d.next = true;
            self.emergency_byte.d.next = self.emergency.val();
            self.lost.d.next = self.emergency_waits.q.val() & !self.bytes.input.ready.val();
        }
        self.emergency_lost.next = self.lost.q.val();
        Source::<ConsoleByte>::link(&mut self.byte_out, &mut self.bytes.output);

        comment!("---- the chain is used");
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = 0.into();
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = 0.into();
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        self.command.data.next = self.out_command.val();
        self.command.valid.next = self.ends.q.val() & !self.left.q.val().any() & !self.stop.val();
        if self.ends.q.val() & !self.left.q.val().any() & !self.stop.val() & self.command.ready.val() {
            self.taken.d.next = false;
            self.ends.d.next = false;
        }
        self.blocked.next = !self.bytes.input.ready.val()
            & !self.pause.val()
            & (self.left.q.val().any() | self.emergency_waits.q.val());
        self.idle.next = self.blocked.val() | (!self.taken.q.val() & !self.emergency_waits.q.val());
    }
}
