//! What a program reaches.
use crate::layout;

/// A part of the shared memory: offset and length in bytes, both multiples of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub at: u32,
    /// Bytes.
    pub bytes: u32,
}

impl Part {
    /// Both are multiples of 16, and all of it is within the shared memory.
    pub(crate) fn is_within(&self, shared_bytes: u32) -> bool {
        self.at % 16 == 0
            && self.bytes % 16 == 0
            && self.at.checked_add(self.bytes).is_some_and(|end| end <= shared_bytes)
    }
}

/// The register belongs to a mailbox and says where the RTL writes or reads: [`Card::open`]'s.
pub(crate) fn is_of_open(register: u32) -> bool {
    register >= layout::MAILBOX
        && matches!(register % layout::MAILBOX_BYTES, layout::REQUEST | layout::REQUEST_ROOM | layout::REPLY)
}

/// A register that every card has, and whose reading changes nothing: of a peek at others comes a trap, or a byte that is gone.
pub(crate) fn may_be_peeked(register: u32, queues: u32) -> bool {
    use layout::*;
    if register < MAILBOX {
        return matches!(
            register,
            IDENTITY | SHAPE | PENDING | ENABLE | TIME | ALARM | ALARM_ON | BYTE_OUT | DRIVER | FEATURES
        );
    }
    let of = register % MAILBOX_BYTES;
    (register - MAILBOX) / MAILBOX_BYTES < queues && of % 4 == 0 && of < ANSWER
}

/// Registers, the memory shared with the RTL, and sleep. The processor's own is in `hardware`, the tests' is `fake::Fake`.
///
/// Nothing here makes the RTL write anywhere but into the shared memory, nor read from elsewhere.
pub trait Card {
    /// Reads a register of [`crate::layout`].
    fn read(&mut self, register: u32) -> u32;
    /// Writes a register of [`crate::layout`]. Those of a mailbox that hold an address or a room are [`Self::open`]'s alone: a write of
    /// them is ignored.
    fn write(&mut self, register: u32, value: u32);
    /// Bytes of shared memory.
    fn shared_bytes(&self) -> u32;
    /// Has requests of a queue written to one part of the shared memory, and its replies taken from another. False, and nothing is done,
    /// when one of them is not inside or no multiple of 16.
    fn open(&mut self, queue: u32, request: Part, reply: Part) -> bool;
    /// Copies out of the shared memory, and says how many bytes there were. The RTL may write there at any time, after a reset.
    fn load(&self, at: u32, into: &mut [u8]) -> usize;
    /// Copies into the shared memory, and says how many bytes there was room for.
    fn store(&mut self, at: u32, bytes: &[u8]) -> usize;
    /// The word at an address in RAM, or of a register whose reading changes nothing; none elsewhere.
    fn peek(&mut self, address: u32) -> Option<u32>;
    /// Sleeps until something is pending that is enabled, or the alarm's time has come.
    fn sleep(&mut self);
}
