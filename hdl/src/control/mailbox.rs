//! Between the chains of a queue and the memory of the control processor.
use crate::block::{Block, Bundle};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// An access of the memory that somebody else shares; [`MemorySlave`] is the memory's end.
///
/// ```text
/// clock   _/1\_/2\_/3\_/4\_
/// valid   __/---\__________   held until granted
/// grant   __/---\__________   any cycle in which valid is high
/// done    ______________/--   some cycles later, of a read: read_data counts
/// ```
#[derive(Bundle, Default)]
#[mirror(MemorySlave)]
pub struct MemoryMaster {
    /// An access is wanted.
    pub valid: Signal<Out, Bit>,
    /// A write, else a read; of all four bytes.
    pub write: Signal<Out, Bit>,
    /// Which word of four bytes; beyond the memory it wraps.
    pub word: Signal<Out, Bits<14>>,
    /// What is written.
    pub write_data: Signal<Out, Bits<32>>,
    /// It happens in this cycle.
    pub grant: Signal<In, Bit>,
    /// One cycle: what the last read has found is in `read_data`.
    pub done: Signal<In, Bit>,
    /// What was read.
    pub read_data: Signal<In, Bits<32>>,
}

/// What is done with the chain at hand.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum MailboxState {
    /// Waits for a chain.
    Idle,
    /// Waits for bytes of it.
    Load,
    /// Puts them into memory.
    Store,
    /// The program has the request.
    Full,
    /// Says what becomes of the chain.
    Command,
    /// Reads the reply from memory.
    Fetch,
    /// Waits for a word of it.
    Wait,
    /// Gives 16 bytes of it.
    Give,
}

/// Mailbox of one queue: the readable bytes of a chain are put into memory, the program is told, and what it replies is put into the
/// writable buffers. One chain at a time.
///
/// ```text
/// chain, bytes -> [16 bytes] -> 4 words -> memory at REQUEST, REQUEST_ROOM bytes at most
///                                              | program
/// command, data <- [16 bytes] <- 4 words <- memory at REPLY, as many bytes as ANSWER says
/// ```
/// A request longer than its room is cut, and READABLE says how long it was. An answer that comes after a reset of the device, to a
/// request that is no longer there, has another number than the one that may be there now, and goes nowhere. A chain that breaks a rule
/// of the ring never reaches the program.
#[derive(Block)]
pub struct Mailbox {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Of the device, in any cycle: the chain is forgotten. Where the program wants its requests stays.
    pub clear: Signal<In, Bit>,
    /// Drain: take and give back no chain.
    pub stop: Signal<In, Bit>,
    /// A request that the program has need not be waited for.
    pub give_up: Signal<In, Bit>,
    /// Chains of the queue.
    pub chain: Sink<Chain>,
    /// Bytes of their readable buffers.
    pub readable: Sink<ByteBeat>,
    /// What to do with their writable buffers.
    pub command: Source<ScatterCommand>,
    /// Bytes for their writable buffers.
    pub writable: Source<ByteBeat>,
    /// The processor's memory.
    pub memory: MemoryMaster,
    /// One cycle: this register is written.
    pub write: Signal<In, Bit>,
    /// Which of them, byte address.
    pub offset: Signal<In, Bits<5>>,
    /// What is written.
    pub write_data: Signal<In, Bits<32>>,
    /// What it holds, in the same cycle.
    pub read_data: Signal<Out, Bits<32>>,
    /// A request waits for the program.
    pub full: Signal<Out, Bit>,
    /// Nothing moves before a chain comes.
    pub idle: Signal<Out, Bit>,

    state: Reg<MailboxState>,
    number: Reg<Bits<8>>,
    head: DFF<Bits<16>>,
    broken: DFF<Bit>,
    unreadable: DFF<Bit>,
    readable_length: DFF<Bits<32>>,
    writable_length: DFF<Bits<32>>,
    // where the program wants them, in 16 bytes
    request: Reg<Bits<12>>,
    room: Reg<Bits<12>>,
    reply: Reg<Bits<12>>,
    // the beat at hand, its next word lowest, and how many words of it are to be stored, or have been fetched
    beat: DFF<Bits<128>>,
    words: DFF<Bits<3>>,
    ends: DFF<Bit>,
    // words that have been moved
    moved: DFF<Bits<14>>,
    base: Signal<Local, Bits<12>>,
    line: Signal<Local, Bits<12>>,
    // bytes of the reply that have not been given
    left: DFF<Bits<16>>,

    bytes: Signal<Local, Bits<5>>,
    rounded: Signal<Local, Bits<5>>,
    wide: Signal<Local, Bits<128>>,
    has_room: Signal<Local, Bit>,
    one_less: Signal<Local, Bits<3>>,
    last: Signal<Local, Bit>,
    answered: Signal<Local, Bit>,
    out_command: Signal<Local, ScatterCommand>,
    out_beat: Signal<Local, ByteBeat>,
}

impl Logic for Mailbox {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_mailbox: between the chains of a queue and the memory of the control processor");
        self.state.reset.next = self.reset.val() | self.clear.val();

        comment!("---- what goes out");
        self.last.next = self.left.q.val() <= bits::<16>(16);
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = bit_cast::<32, 16>(self.left.q.val());
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = bit_cast::<32, 16>(self.left.q.val());
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        self.command.data.next = self.out_command.val();
        self.out_beat.next.data = self.beat.q.val();
        self.out_beat.next.count = 16.into();
        if self.last.val() {
            self.out_beat.next.count = self.left.q.val().get_bits::<5>(0);
        }
        self.out_beat.next.last = self.last.val();
        self.out_beat.next.error = false;
        self.writable.data.next = self.out_beat.val();

        comment!("---- memory");
        self.wide.next = self.beat.q.val();
        self.memory.write.next = self.state.q.val() == MailboxState::Store;
        self.memory.write_data.next = self.wide.val().get_bits::<32>(0);
        self.base.next = self.request.q.val();
        if self.state.q.val() == MailboxState::Fetch {
            self.base.next = self.reply.q.val();
        }
        self.line.next = self.base.val() + self.moved.q.val().get_bits::<12>(2);
        self.memory.word.next =
            (bit_cast::<14, 12>(self.line.val()) << 2) | bit_cast::<14, 2>(self.moved.q.val().get_bits::<2>(0));

        comment!("---- one chain after the other");
        self.bytes.next = self.readable.data.val().count;
        self.rounded.next = self.bytes.val() + 3;
        self.has_room.next = self.moved.q.val().get_bits::<12>(2) < self.room.q.val();
        self.one_less.next = self.words.q.val() - 1;
        self.answered.next = self.write.val()
            & (self.offset.val() == 0x18)
            & (self.write_data.val().get_bits::<8>(24) == self.number.q.val());
        self.chain.ready.next = false;
        self.readable.ready.next = false;
        self.command.valid.next = false;
        self.writable.valid.next = false;
        self.memory.valid.next = false;
        match self.state.q.val() {
            MailboxState::Idle => {
                self.head.d.next = self.chain.data.val().head;
                self.broken.d.next = self.chain.data.val().error;
                self.readable_length.d.next = self.chain.data.val().readable_length;
                self.writable_length.d.next = self.chain.data.val().writable_length;
                self.unreadable.d.next = false;
                self.moved.d.next = 0.into();
                self.left.d.next = 0.into();
                self.chain.ready.next = self.room.q.val().any() & !self.stop.val();
                if self.chain.valid.val() & self.room.q.val().any() & !self.stop.val() {
                    self.state.d.next = MailboxState::Load;
                }
            }
            MailboxState::Load => {
                self.readable.ready.next = !self.stop.val();
                self.beat.d.next = self.readable.data.val().data;
                self.words.d.next = self.rounded.val().get_bits::<3>(2);
                self.ends.d.next = self.readable.data.val().last;
                if self.readable.valid.val() & !self.stop.val() {
                    self.unreadable.d.next = self.unreadable.q.val() | self.readable.data.val().error;
                    if self.bytes.val().any() & self.has_room.val() & !self.broken.q.val() {
                        self.state.d.next = MailboxState::Store;
                    } else if self.readable.data.val().last {
                        self.state.d.next = MailboxState::Full;
                        self.number.d.next = self.number.q.val() + 1;
                        if self.broken.q.val() {
                            self.state.d.next = MailboxState::Command;
                        }
                    }
                }
            }
            MailboxState::Store => {
                self.memory.valid.next = !self.stop.val();
                if self.memory.grant.val() & !self.stop.val() {
                    self.beat.d.next = self.beat.q.val() >> 32;
                    self.words.d.next = self.one_less.val();
                    self.moved.d.next = self.moved.q.val() + 1;
                    if !self.one_less.val().any() {
                        self.state.d.next = MailboxState::Load;
                        if self.ends.q.val() {
                            self.state.d.next = MailboxState::Full;
                            self.number.d.next = self.number.q.val() + 1;
                        }
                    }
                }
            }
            MailboxState::Full => {
                self.moved.d.next = 0.into();
                self.words.d.next = 4.into();
                self.left.d.next = self.write_data.val().get_bits::<16>(0);
                if bit_cast::<32, 16>(self.write_data.val().get_bits::<16>(0)) > self.writable_length.q.val() {
                    self.left.d.next = self.writable_length.q.val().get_bits::<16>(0);
                }
                if self.answered.val() & !self.stop.val() {
                    self.state.d.next = MailboxState::Command;
                }
            }
            MailboxState::Command => {
                self.command.valid.next = !self.stop.val();
                if self.command.ready.val() & !self.stop.val() {
                    self.state.d.next = MailboxState::Fetch;
                    if !self.left.q.val().any() {
                        self.state.d.next = MailboxState::Idle;
                    }
                }
            }
            MailboxState::Fetch => {
                self.memory.valid.next = !self.stop.val();
                if self.memory.grant.val() & !self.stop.val() {
                    self.moved.d.next = self.moved.q.val() + 1;
                    self.state.d.next = MailboxState::Wait;
                }
            }
            MailboxState::Wait => {
                if self.memory.done.val() {
                    self.beat.d.next =
                        (self.beat.q.val() >> 32) | (bit_cast::<128, 32>(self.memory.read_data.val()) << 96);
                    self.words.d.next = self.one_less.val();
                    self.state.d.next = MailboxState::Fetch;
                    if !self.one_less.val().any() {
                        self.state.d.next = MailboxState::Give;
                    }
                }
            }
            MailboxState::Give => {
                self.writable.valid.next = !self.stop.val();
                self.words.d.next = 4.into();
                if self.writable.ready.val() & !self.stop.val() {
                    self.left.d.next = self.left.q.val() - 16;
                    self.state.d.next = MailboxState::Fetch;
                    if self.last.val() {
                        self.state.d.next = MailboxState::Idle;
                    }
                }
            }
        }
        self.full.next = self.state.q.val() == MailboxState::Full;
        self.idle.next = (self.state.q.val() == MailboxState::Idle)
            | self.stop.val()
            | ((self.state.q.val() == MailboxState::Full) & self.give_up.val());

        comment!("---- registers of the program");
        self.read_data.next = 0.into();
        match self.offset.val().index() {
            0x00 => {
                comment!("MAILBOX_STATE");
                self.read_data.next = bit_cast::<32, 8>(self.number.q.val()) << 8;
                if self.state.q.val() == MailboxState::Full {
                    self.read_data.next = (bit_cast::<32, 8>(self.number.q.val()) << 8)
                        | bits::<32>(1)
                        | (bit_cast::<32, 1>(self.unreadable.q.val().into()) << 1);
                }
            }
            0x04 => {
                comment!("READABLE");
                self.read_data.next = self.readable_length.q.val();
            }
            0x08 => {
                comment!("WRITABLE");
                self.read_data.next = self.writable_length.q.val();
            }
            0x0c => {
                comment!("REQUEST");
                self.read_data.next = bit_cast::<32, 12>(self.request.q.val()) << 4;
                if self.write.val() {
                    self.request.d.next = self.write_data.val().get_bits::<12>(4);
                }
            }
            0x10 => {
                comment!("REQUEST_ROOM");
                self.read_data.next = bit_cast::<32, 12>(self.room.q.val()) << 4;
                if self.write.val() {
                    self.room.d.next = self.write_data.val().get_bits::<12>(4);
                }
            }
            0x14 => {
                comment!("REPLY");
                self.read_data.next = bit_cast::<32, 12>(self.reply.q.val()) << 4;
                if self.write.val() {
                    self.reply.d.next = self.write_data.val().get_bits::<12>(4);
                }
            }
            _ => {}
        }
    }
}
