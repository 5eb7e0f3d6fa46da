//! A request in a mailbox, and the reply to it.
use crate::card::{Card, Part};
use crate::layout;

/// A mailbox register of a queue.
pub(crate) fn register(queue: u32, register: u32) -> u32 {
    layout::MAILBOX + queue * layout::MAILBOX_BYTES + register
}

/// The parts of the shared memory that one queue's requests and replies have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    pub request: Part,
    pub reply: Part,
}

impl Mailbox {
    /// No memory at all.
    pub const NONE: Self = Self { request: Part { at: 0, bytes: 0 }, reply: Part { at: 0, bytes: 0 } };
}

/// A request and the reply to it. All that is in it is the driver's: lengths may be anything, and bytes as well.
///
/// After a reset of the device another request may come into the same memory while this one is read. It has another number, and the
/// RTL ignores the reply to this one: what was read may be of both, and goes nowhere.
pub struct Call<'a, C: Card> {
    card: &'a mut C,
    queue: u32,
    mailbox: Mailbox,
    number: u32,
    unreadable: bool,
    readable: u32,
    writable: u32,
    written: u32,
}

impl<'a, C: Card> Call<'a, C> {
    /// The request that waits in the mailbox of a queue, if one does.
    pub(crate) fn waiting(card: &'a mut C, queue: u32, mailbox: Mailbox) -> Option<Self> {
        // first of all: what is read after it is this request's, or the reply is ignored
        let state = card.read(register(queue, layout::MAILBOX_STATE));
        if state & layout::FULL == 0 {
            return None;
        }
        let readable = card.read(register(queue, layout::READABLE));
        let writable = card.read(register(queue, layout::WRITABLE));
        Some(Self {
            card,
            queue,
            mailbox,
            number: (state >> layout::NUMBER_SHIFT) & 0xff,
            unreadable: state & layout::UNREADABLE != 0,
            readable,
            // ANSWER has 16 bits for it
            writable: writable.min(mailbox.reply.bytes).min(0xffff),
            written: 0,
        })
    }

    /// The queue that it came in.
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// A part of the request could not be read from the host's memory.
    pub fn unreadable(&self) -> bool {
        self.unreadable
    }

    /// Bytes of the request as the driver gave it: more than [`Self::held`] when there was no room for all of it.
    pub fn readable(&self) -> u32 {
        self.readable
    }

    /// Bytes of the request that are here.
    pub fn held(&self) -> u32 {
        self.readable.min(self.mailbox.request.bytes)
    }

    /// Bytes that the reply may still have.
    pub fn room(&self) -> u32 {
        self.writable - self.written
    }

    /// Bytes of the reply so far.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// Copies bytes of the request from an offset on, and says how many there were.
    pub fn read(&self, at: u32, into: &mut [u8]) -> usize {
        let there = self.held().saturating_sub(at) as usize;
        let bytes = there.min(into.len());
        into.get_mut(..bytes).map_or(0, |into| self.card.load(self.mailbox.request.at.saturating_add(at), into))
    }

    /// Appends to the reply, and says how many bytes there was room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room() as usize);
        let at = self.mailbox.reply.at + self.written;
        let stored = bytes.get(..taken).map_or(0, |bytes| self.card.store(at, bytes));
        self.written += stored as u32;
        stored
    }

    /// Cycles since the reset; wraps.
    pub fn time(&mut self) -> u32 {
        self.card.read(layout::TIME)
    }

    /// The reply leaves, and the driver gets its buffers back.
    pub(crate) fn answer(self) {
        let value = self.written | (self.number << layout::ANSWER_NUMBER_SHIFT);
        self.card.write(register(self.queue, layout::ANSWER), value);
    }
}
