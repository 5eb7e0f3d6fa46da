//! Lays a chain's data over its writable buffers.
use super::types::{BufferDescriptor, ScatterCommand, UsedElement};
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// A piece of a chain's data to write, or the chain's used element behind its last piece.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ScatterPiece {
    /// No data: `used` is to be handed out.
    pub is_used: bool,
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes, at most 512.
    pub length: Bits<10>,
    /// Position in the data stream: byte address in the RAM, modulo 2^12.
    pub source: Bits<12>,
    /// Position behind the piece, up to the next word behind a command's last one unless more belong to it. Data must
    /// have come up to there, and the words below are free when the piece has been written.
    pub end: Bits<12>,
    /// Used element.
    pub used: UsedElement,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CutState {
    /// No command.
    Idle,
    /// Lay data over the buffers up to the end mark.
    Lay,
    /// Throw away what did not fit.
    Discard,
    /// Hand the used element on.
    Report,
}

/// Cuts the data of each command into pieces over its chain's buffers: at most 512 bytes and at
/// multiples of 512 of the host address, hence at every payload boundary that the write engine needs.
///
/// Two cycles a piece: the lengths are compared in the first, the piece is offered in the second. Positions in the data stream are counted in bytes
/// modulo 2^12, four times as far as the largest RAM reaches; commands begin at multiples of 16 but those behind a
/// command with `more`. `piece` comes from the registers through two adders: the consumer registers it.
#[derive(Block)]
pub struct ScatterCutter {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub buffers: Sink<BufferDescriptor>,
    pub command: Sink<ScatterCommand>,
    pub piece: Source<ScatterPiece>,
    /// Position up to which data have come, in words.
    pub filled: Signal<In, Bits<8>>,
    /// No piece is waiting or being written.
    pub settled: Signal<In, Bit>,
    /// Throw a word away: those below `discard_to` are free.
    pub discard: Signal<Out, Bit>,
    pub discard_to: Signal<Out, Bits<8>>,

    state: Reg<CutState>,
    skip: DFF<Bits<32>>,
    left: DFF<Bits<32>>,
    dropped: DFF<Bit>,
    used: DFF<UsedElement>,
    // position of the next byte of data
    position: Reg<Bits<12>>,
    // the buffer at hand
    buffer_valid: Reg<Bit>,
    address: DFF<Bits<64>>,
    remaining: DFF<Bits<32>>,
    mark: DFF<Bit>,
    mark_error: DFF<Bit>,
    drop_buffer: Signal<Local, Bit>,

    room: DFF<Bits<10>>,
    room_wide: Signal<Local, Bits<32>>,
    block_offset: Signal<Local, Bits<11>>,
    buffer_reach: Signal<Local, Bits<11>>,
    data_reach: Signal<Local, Bits<11>>,
    // all comparisons, in registers from the cycle before
    measured: Reg<Bit>,
    skips: DFF<Bit>,
    skips_buffer: DFF<Bit>,
    some_left: DFF<Bit>,
    buffer_fits: DFF<Bit>,
    data_fit: DFF<Bit>,
    data_in_buffer: DFF<Bit>,
    last_of_data: Signal<Local, Bit>,
    length: Signal<Local, Bits<10>>,
    behind: Signal<Local, Bits<12>>,
    behind_data: DFF<Bits<12>>,
    padding: Signal<Local, Bits<4>>,
    word_mask: Signal<Local, Bits<12>>,
    next_word: Signal<Local, Bits<12>>,
    in_word: Signal<Local, Bits<5>>,
    ends_in_word: DFF<Bit>,
    discard_end: Signal<Local, Bits<12>>,
    from: Signal<Local, Bits<64>>,
    forward: Signal<Local, Bits<32>>,
    forward_address: Signal<Local, Bits<64>>,
    gone: Signal<Local, Bits<32>>,
    less_remaining: Signal<Local, Bits<32>>,
    done: Signal<Local, Bits<32>>,
    less_left: Signal<Local, Bits<32>>,
}

impl Logic for ScatterCutter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_scatter_cutter: lays the data of a chain over its writable buffers");
        comment!("the piece at hand: as much as the 512-byte block, the buffer and the data allow");
        self.room.d.next = bit_cast::<10, 9>(!self.address.q.val().get_bits::<9>(0)) + 1;
        self.room_wide.next = bit_cast::<32, 10>(self.room.q.val());
        comment!("one sum each: seen from the begin of the block, the end is not behind it");
        self.block_offset.next = bit_cast::<11, 9>(self.address.q.val().get_bits::<9>(0));
        self.buffer_reach.next = self.block_offset.val() + bit_cast::<11, 10>(self.remaining.q.val().get_bits::<10>(0));
        self.data_reach.next = self.block_offset.val() + bit_cast::<11, 10>(self.left.q.val().get_bits::<10>(0));
        self.buffer_fits.d.next =
            !self.remaining.q.val().get_bits::<22>(10).any() & (self.buffer_reach.val() <= bits::<11>(0x200));
        self.data_fit.d.next =
            !self.left.q.val().get_bits::<22>(10).any() & (self.data_reach.val() <= bits::<11>(0x200));
        self.data_in_buffer.d.next = self.left.q.val() <= self.remaining.q.val();
        self.last_of_data.next = self.data_fit.q.val() & self.data_in_buffer.q.val();
        self.skips.d.next = self.skip.q.val().any();
        self.skips_buffer.d.next = self.skip.q.val() >= self.remaining.q.val();
        self.some_left.d.next = self.left.q.val().any();
        self.measured.d.next = false;
        comment!("all three lengths and ends are made beside the comparisons that select one");
        self.padding.next = 15.into();
        self.word_mask.next = !bits::<12>(15);
        if self.used.q.val().more {
            self.padding.next = 0.into();
            self.word_mask.next = !bits::<12>(0);
        }
        self.behind_data.d.next = self.position.q.val()
            + bit_cast::<12, 10>(bit_cast::<10, 32>(self.left.q.val()))
            + bit_cast::<12, 4>(self.padding.val());
        self.length.next = self.room.q.val();
        if self.buffer_fits.q.val() {
            self.length.next = bit_cast::<10, 32>(self.remaining.q.val());
        }
        self.behind.next = self.position.q.val() + bit_cast::<12, 10>(self.length.val());
        if self.last_of_data.val() {
            self.length.next = bit_cast::<10, 32>(self.left.q.val());
            self.behind.next = self.behind_data.q.val() & self.word_mask.val();
        }
        self.next_word.next = (self.position.q.val() | 15) + 1;
        self.in_word.next = bits::<5>(16) - bit_cast::<5, 4>(self.position.q.val().get_bits::<4>(0));
        self.ends_in_word.d.next =
            !self.left.q.val().get_bits::<27>(5).any() & (self.left.q.val().get_bits::<5>(0) <= self.in_word.val());
        self.discard_end.next = self.next_word.val();
        if self.used.q.val().more & self.ends_in_word.q.val() {
            comment!("the rest of the word belongs to the next command");
            self.discard_end.next = self.position.q.val() + bit_cast::<12, 4>(bit_cast::<4, 32>(self.left.q.val()));
        }

        comment!("one sum each, whatever is skipped, cut off or thrown away");
        self.from.next = self.address.q.val() | 0x1FF;
        self.forward.next = 1.into();
        self.gone.next = self.room_wide.val();
        if self.skips.q.val() {
            self.from.next = self.address.q.val();
            self.forward.next = self.skip.q.val();
            self.gone.next = self.skip.q.val();
        }
        self.forward_address.next = self.from.val() + bit_cast::<64, 32>(self.forward.val());
        self.less_remaining.next = self.remaining.q.val() - self.gone.val();
        self.done.next = self.room_wide.val();
        if self.state.q.val() == CutState::Discard {
            self.done.next = bit_cast::<32, 5>(self.in_word.val());
        } else if self.buffer_fits.q.val() {
            self.done.next = self.remaining.q.val();
        }
        self.less_left.next = self.left.q.val() - self.done.val();

        self.piece.valid.next = false;
        self.piece.data.next.is_used = false;
        self.piece.data.next.address = self.address.q.val();
        self.piece.data.next.length = self.length.val();
        self.piece.data.next.source = self.position.q.val();
        self.piece.data.next.end = self.behind.val();
        self.piece.data.next.used = self.used.q.val();

        self.drop_buffer.next = false;
        self.discard.next = false;
        self.command.ready.next = false;
        match self.state.q.val() {
            CutState::Idle => {
                self.command.ready.next = true;
                if self.command.valid.val() {
                    self.skip.d.next = self.command.data.val().skip;
                    self.left.d.next = self.command.data.val().length;
                    self.dropped.d.next = self.command.data.val().drop;
                    self.used.d.next.head = self.command.data.val().head;
                    self.used.d.next.length = self.command.data.val().used_length;
                    self.used.d.next.more = self.command.data.val().more;
                    self.used.d.next.soon = self.command.data.val().soon;
                    self.state.d.next = CutState::Lay;
                }
            }
            CutState::Lay => {
                if self.buffer_valid.q.val() {
                    if !self.measured.q.val() {
                        self.measured.d.next = true;
                    } else if self.mark.q.val() {
                        self.drop_buffer.next = true;
                        self.dropped.d.next = self.dropped.q.val() | self.mark_error.q.val();
                        self.state.d.next = CutState::Report;
                        if self.some_left.q.val() {
                            self.state.d.next = CutState::Discard;
                        } else {
                            comment!("a command without data may end those that belong together");
                            self.position.d.next = self.behind_data.q.val() & self.word_mask.val();
                        }
                    } else if self.dropped.q.val() | !self.some_left.q.val() {
                        self.drop_buffer.next = true;
                    } else if self.skips.q.val() {
                        if self.skips_buffer.q.val() {
                            self.skip.d.next = self.skip.q.val() - self.remaining.q.val();
                            self.drop_buffer.next = true;
                        } else {
                            self.skip.d.next = 0.into();
                            self.address.d.next = self.forward_address.val();
                            self.remaining.d.next = self.less_remaining.val();
                        }
                    } else {
                        self.piece.valid.next = true;
                        self.measured.d.next = !self.piece.ready.val();
                        if self.piece.ready.val() {
                            self.position.d.next = self.behind.val();
                            comment!("what follows a cut begins at the boundary");
                            self.address.d.next = self.forward_address.val();
                            self.remaining.d.next = self.less_remaining.val();
                            self.left.d.next = self.less_left.val();
                            if self.buffer_fits.q.val() {
                                self.drop_buffer.next = true;
                            }
                            if self.last_of_data.val() {
                                comment!("the rest of the buffer is left alone");
                                self.left.d.next = 0.into();
                                self.drop_buffer.next = true;
                            }
                        }
                    }
                }
            }
            CutState::Discard => {
                comment!("word by word as the data come, when everything before them has been written");
                if !self.measured.q.val() {
                    self.measured.d.next = true;
                } else if self.settled.val() & (self.filled.val() != self.position.q.val().get_bits::<8>(4)) {
                    self.discard.next = true;
                    self.position.d.next = self.discard_end.val();
                    self.left.d.next = self.less_left.val();
                    if self.ends_in_word.q.val() {
                        self.state.d.next = CutState::Report;
                    }
                }
            }
            CutState::Report => {
                if self.dropped.q.val() {
                    self.state.d.next = CutState::Idle;
                } else {
                    self.piece.valid.next = true;
                    self.piece.data.next.is_used = true;
                    if self.piece.ready.val() {
                        self.state.d.next = CutState::Idle;
                    }
                }
            }
            _ => self.state.d.next = CutState::Idle,
        }
        self.discard_to.next = self.discard_end.val().get_bits::<8>(4);

        if self.drop_buffer.val() {
            self.buffer_valid.d.next = false;
        }
        comment!("the next buffer comes in when this one has gone: no path from the cut to whoever has the buffers");
        self.buffers.ready.next = !self.buffer_valid.q.val();
        if !self.buffer_valid.q.val() {
            self.buffer_valid.d.next = self.buffers.valid.val();
            self.address.d.next = self.buffers.data.val().address;
            self.remaining.d.next = self.buffers.data.val().length;
            self.mark.d.next = self.buffers.data.val().end;
            self.mark_error.d.next = self.buffers.data.val().error;
        }
    }
}
