//! The buffers of the walked chains, until the data movers take them.
use crate::block::Block;
use crate::cells::{BlockRam, LutRam, Reg, Source};
use crate::comment;
use crate::dma::types::BufferDescriptor;
use rust_hdl::prelude::*;

/// Keeps the buffers of both directions in one block RAM of two halves, each as long as the longest chain, and the ends of 31 chains
/// beside it: a chain can always be walked to its end although nobody takes its buffers before its lengths are known.
///
/// The directions take turns, a cycle each, so that they share the RAM's ports, all counters and all comparisons, and neither can hold up the
/// other: the places of the one are looked at, and its next buffer is read, while those of the other move on.
///
/// ```text
///   cycle                1                  2                  3                  4
///   places looked at     readable           writable           readable           writable
///   places moved         writable           readable           writable           readable
///   readable             buffer is read     offered, taken     next one is read   offered, taken
/// ```
/// Each direction is handed out as it comes, also before its chain has ended: a buffer is offered two cycles after it was written, and
/// then one every second cycle, with an end mark behind each chain.
#[derive(Block)]
pub struct BufferStore {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Write this buffer for the direction that has room: it is its turn. The other one has no room in this cycle.
    pub push: Signal<In, Bit>,
    /// Address of the buffer in host memory.
    pub address: Signal<In, Bits<64>>,
    /// Bytes of the buffer.
    pub length: Signal<In, Bits<32>>,
    /// It is the turn of the buffers that the device may read, and there is room.
    pub readable_room: Signal<Out, Bit>,
    /// It is the turn of the buffers that the device may write, and there is room.
    pub writable_room: Signal<Out, Bit>,
    /// The chain ends, in both directions, while `end_room`. It is written in two cycles: `broken`, with an error, stays for the second.
    pub mark: Signal<In, Bit>,
    /// The chain that ends is broken: its end mark says `error`.
    pub broken: Signal<In, Bit>,
    /// There is room for the end of a chain.
    pub end_room: Signal<Out, Bit>,
    /// Buffers the device may read, with an end mark behind each chain. On purpose, `valid` is only high when it is this direction's
    /// turn: the RAM holds what it has read for one cycle. What is not taken then is offered again.
    pub readable: Source<BufferDescriptor>,
    /// Buffers the device may write, as `readable`.
    pub writable: Source<BufferDescriptor>,
    /// Something is taken.
    pub busy: Signal<Out, Bit>,

    // readable below, writable above; address in the low bits, length above it
    ram: BlockRam<96, 9>,
    // the direction whose places move
    writable_moves: Reg<Bit>,
    // places written and read, with one bit more to tell full from empty: those looked at, those that move
    written: Reg<Bits<9>>,
    read: Reg<Bits<9>>,
    moving_written: Reg<Bits<9>>,
    moving_read: Reg<Bits<9>>,
    // the chains' ends, a ring of 32 for each direction: the place behind the last buffer, and above it whether the chain is broken
    ends: LutRam<10, 6>,
    tail: Reg<Bits<5>>,
    front: Reg<Bits<5>>,
    moving_front: Reg<Bits<5>>,
    second_mark: Reg<Bit>,
    // of the direction that moves, but `no_end_room_before`
    full: Reg<Bit>,
    no_end_room: Reg<Bit>,
    no_end_room_before: Reg<Bit>,
    offered: Reg<Bit>,
    is_end: Reg<Bit>,
    is_error: Reg<Bit>,

    same_place: Signal<Local, Bit>,
    same_lap: Signal<Local, Bit>,
    oldest_end: Signal<Local, Bits<10>>,
    at_end: Signal<Local, Bit>,
    behind_tail: Signal<Local, Bits<5>>,
    taken: Signal<Local, Bit>,
    take_buffer: Signal<Local, Bit>,
    take_end: Signal<Local, Bit>,
    word: Signal<Local, Bits<96>>,
    buffer: Signal<Local, BufferDescriptor>,
}

impl Logic for BufferStore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module buffer_store: keeps the buffers of the walked chains until the data movers take them");
        comment!("---- turns");
        self.writable_moves.d.next = !self.writable_moves.q.val();
        self.moving_written.d.next = self.written.q.val();
        self.moving_read.d.next = self.read.q.val();
        self.moving_front.d.next = self.front.q.val();

        comment!("---- the direction that is looked at");
        self.same_place.next = self.written.q.val().get_bits::<8>(0) == self.read.q.val().get_bits::<8>(0);
        self.same_lap.next = self.written.q.val().get_bit(8) == self.read.q.val().get_bit(8);
        self.full.d.next = self.same_place.val() & !self.same_lap.val();
        self.behind_tail.next = self.tail.q.val() + 1;
        self.ends.raddr.next = bit_cast::<6, 5>(self.front.q.val());
        self.ram.raddr.next = bit_cast::<9, 8>(self.read.q.val().get_bits::<8>(0));
        if !self.writable_moves.q.val() {
            self.ends.raddr.next = bit_cast::<6, 5>(self.front.q.val()) | 0x20;
            self.ram.raddr.next = bit_cast::<9, 8>(self.read.q.val().get_bits::<8>(0)) | 0x100;
        }
        self.oldest_end.next = self.ends.rdata.val();
        self.at_end.next =
            (self.front.q.val() != self.tail.q.val()) & (self.oldest_end.val().get_bits::<9>(0) == self.read.q.val());
        self.offered.d.next = self.at_end.val() | !self.same_place.val() | !self.same_lap.val();
        self.is_end.d.next = self.at_end.val();
        self.is_error.d.next = self.at_end.val() & self.oldest_end.val().get_bit(9);

        comment!("---- the direction that moves: in");
        self.ram.waddr.next = bit_cast::<9, 8>(self.moving_written.q.val().get_bits::<8>(0));
        self.ends.waddr.next = bit_cast::<6, 5>(self.tail.q.val());
        if self.writable_moves.q.val() {
            self.ram.waddr.next = bit_cast::<9, 8>(self.moving_written.q.val().get_bits::<8>(0)) | 0x100;
            self.ends.waddr.next = bit_cast::<6, 5>(self.tail.q.val()) | 0x20;
        }
        self.ram.wdata.next = (bit_cast::<96, 32>(self.length.val()) << 64) | bit_cast::<96, 64>(self.address.val());
        self.ram.wen.next = self.push.val();
        self.written.d.next = self.moving_written.q.val() + bit_cast::<9, 1>(self.push.val().into());
        self.readable_room.next = !self.full.q.val() & !self.writable_moves.q.val();
        self.writable_room.next = !self.full.q.val() & self.writable_moves.q.val();

        self.ends.wdata.next =
            (bit_cast::<10, 1>(self.broken.val().into()) << 9) | bit_cast::<10, 9>(self.moving_written.q.val());
        self.ends.wen.next = self.mark.val() | self.second_mark.q.val();
        self.second_mark.d.next = self.mark.val();
        if self.second_mark.q.val() {
            self.tail.d.next = self.behind_tail.val();
        }
        comment!("no room, too, until both directions have been compared with the new tail");
        self.no_end_room.d.next =
            (self.front.q.val() == self.behind_tail.val()) | self.mark.val() | self.second_mark.q.val();
        self.no_end_room_before.d.next = self.no_end_room.q.val();
        self.end_room.next = !self.no_end_room.q.val() & !self.no_end_room_before.q.val();

        comment!("---- the direction that moves: out");
        self.word.next = self.ram.rdata.val();
        self.buffer.next.address = self.word.val().get_bits::<64>(0);
        self.buffer.next.length = self.word.val().get_bits::<32>(64);
        self.buffer.next.end = self.is_end.q.val();
        self.buffer.next.error = self.is_error.q.val();
        self.readable.data.next = self.buffer.val();
        self.writable.data.next = self.buffer.val();
        self.readable.valid.next = self.offered.q.val() & !self.writable_moves.q.val();
        self.writable.valid.next = self.offered.q.val() & self.writable_moves.q.val();
        self.taken.next = self.offered.q.val() & self.readable.ready.val();
        if self.writable_moves.q.val() {
            self.taken.next = self.offered.q.val() & self.writable.ready.val();
        }
        self.take_buffer.next = self.taken.val() & !self.is_end.q.val();
        self.take_end.next = self.taken.val() & self.is_end.q.val();
        self.read.d.next = self.moving_read.q.val() + bit_cast::<9, 1>(self.take_buffer.val().into());
        self.front.d.next = self.moving_front.q.val() + bit_cast::<5, 1>(self.take_end.val().into());
        self.busy.next = self.taken.val();
    }
}
