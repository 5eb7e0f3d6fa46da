//! What the parts of the ring engine exchange.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use crate::block::Bundle;
use rust_hdl::prelude::*;

/// Descriptors of the longest chain in an indirect table, and of the longest such table, whatever the size of the queue.
///
/// The specification (virtio 1.x, 2.7.5.3.1) forbids a driver chains longer than the queue, but Linux's drivers do not look: a frame of
/// virtio-net takes up to 19 descriptors, more with a larger MAX_SKB_FRAGS, as an entry of a queue of any size. QEMU's own
/// devices take 1,024.
pub const LONGEST_CHAIN: u16 = 256;

/// Which buffers of a queue's chains the device uses. For the others there is no data mover: a driver that gives some nevertheless
/// gets them back as they are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// What the driver has written.
    Readable,
    /// What the device writes.
    Writable,
    /// First what the driver has written, then what the device writes.
    Both,
}

impl Buffers {
    /// The device reads.
    pub fn has_readable(self) -> bool {
        self != Buffers::Writable
    }

    /// The device writes.
    pub fn has_writable(self) -> bool {
        self != Buffers::Readable
    }
}

/// The driver's notifications are to be switched on or off.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct NotifyUpdate {
    /// On: the engine goes to sleep and wants a kick; off: it polls anyway.
    pub enable: bool,
    /// Available index it has seen, for `avail_event`.
    pub index: Bits<16>,
}

/// A chain whose descriptors have all been read.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Chain {
    /// Head descriptor.
    pub head: Bits<16>,
    /// Bytes the device may read.
    pub readable_length: Bits<32>,
    /// Bytes the device may write.
    pub writable_length: Bits<32>,
    /// The chain breaks a rule of the ring: to be dropped.
    pub error: bool,
}

/// Which rule of the ring a driver broke; the codes are what the diagnostics register shows.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Violation {
    /// No violation.
    Nothing,
    /// Available index further ahead than the queue is long.
    AvailableIndex,
    /// Head index not in the descriptor table.
    HeadRange,
    /// `next` not in the table.
    NextRange,
    /// A loop: more descriptors than the queue is long, or than [`LONGEST_CHAIN`] with an indirect table.
    ChainTooLong,
    /// An indirect descriptor without the feature.
    IndirectNotNegotiated,
    /// An indirect descriptor inside an indirect table.
    IndirectNested,
    /// An indirect descriptor with the NEXT flag.
    IndirectWithNext,
    /// Indirect table length 0, not a multiple of 16, or of more than [`LONGEST_CHAIN`] descriptors.
    IndirectLength,
    /// A buffer of zero bytes.
    ZeroLength,
    /// A readable descriptor behind a writable one.
    WritableFirst,
    /// The buffers of one chain hold more than 2^32 - 1 bytes.
    TotalLength,
    /// A DMA read of the ring itself failed.
    RingRead,
    /// The chain is too short for a request of this device.
    RequestTooShort,
    /// A buffer or an indirect table goes on behind the last address, 2^64 - 1.
    AddressRange,
    /// The queue had stopped before its state was restored; of the rule its former endpoint has told.
    Before,
}

/// Report of a violation, with the head where one is known.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ViolationReport {
    /// Broken rule.
    pub rule: Violation,
    /// Head descriptor of the chain.
    pub head: Bits<16>,
}

/// A further window of the oldest chain.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct WindowRequest {
    /// Host address of its first descriptor.
    pub address: Bits<64>,
    /// Descriptors, 1 to 8.
    pub count: Bits<4>,
}

/// What a write of the used ring was for.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum UsedWriteKind {
    /// Used elements; `value` of them.
    Elements,
    /// The used index, now `value`.
    Index,
    /// Notifications switched on.
    Listen,
    /// Notifications switched off.
    Mute,
}

/// A write of the used ring on its way.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct UsedWrite {
    /// What for.
    pub kind: UsedWriteKind,
    /// See [`UsedWriteKind`].
    pub value: Bits<16>,
}

/// What the window reader shows the walker of its oldest context, and what the walker does with it.
#[derive(Bundle, Default)]
#[mirror(WindowViewSink)]
pub struct WindowViewSource {
    /// The window is there.
    pub ready: Signal<Out, Bit>,
    /// A read of the context failed.
    pub failed: Signal<Out, Bit>,
    /// Head descriptor.
    pub head: Signal<Out, Bits<16>>,
    /// Descriptors in the window from the head on, 1 to 4, if it is of the queue's own table.
    pub count: Signal<Out, Bits<3>>,
    /// It is an indirect one, and the window is of the indirect table.
    pub in_table: Signal<Out, Bit>,
    /// Host address of that table.
    pub table_base: Signal<Out, Bits<64>>,
    /// Descriptors of that table.
    pub table_count: Signal<Out, Bits<16>>,
    /// Read the descriptor at `position` of the window.
    pub load: Signal<In, Bit>,
    /// Its place in the window.
    pub position: Signal<In, Bits<3>>,
    /// That descriptor, one cycle later.
    pub descriptor: Signal<Out, Bits<128>>,
    /// One cycle: the walker is done with the context. That of a broken chain stays: nothing comes behind it.
    pub free: Signal<In, Bit>,
    /// With `free`: descriptors that the chain had in the queue's own table behind its head, 3 if there were more.
    pub further: Signal<In, Bits<2>>,
}

/// What a queue is to do, and what it says of itself: the data path's end.
#[derive(Bundle, Default)]
#[mirror(QueueControlSink)]
pub struct QueueControlSource {
    /// The queue is set up.
    pub enable: Signal<Out, Bit>,
    /// Address of the descriptor table, with which the ring begins.
    pub ring_base: Signal<Out, Bits<64>>,
    /// RING_EVENT_IDX has been negotiated.
    pub event_idx: Signal<Out, Bit>,
    /// RING_INDIRECT_DESC has been negotiated.
    pub indirect: Signal<Out, Bit>,
    /// NOTIFY_ON_EMPTY has been negotiated.
    pub notify_on_empty: Signal<Out, Bit>,
    /// One cycle: the driver kicked the queue.
    pub kick: Signal<Out, Bit>,
    /// Hand no more heads on; what has been handed on is followed to its end.
    pub pause: Signal<Out, Bit>,
    /// With a reset of the queue: its state stays.
    pub keep: Signal<Out, Bit>,
    /// One cycle, behind each reset of the queue: it begins at the used index.
    pub rewind: Signal<Out, Bit>,
    /// One cycle, while the queue is still: its state becomes `state_data`.
    pub state_write: Signal<Out, Bit>,
    /// As `state`.
    pub state_data: Signal<Out, Bits<32>>,
    /// One cycle: the device found a rule broken.
    pub device_violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub device_violation: Signal<Out, ViolationReport>,
    /// One cycle: the driver wants an interrupt.
    pub raise_interrupt: Signal<In, Bit>,
    /// First broken rule, `Nothing` if none.
    pub violation: Signal<In, ViolationReport>,
    /// Something is in flight.
    pub busy: Signal<In, Bit>,
    /// Its state: used index in bits 15:0, which is that of the next chain as well; the driver has kicked it in bit 16; it has stopped in
    /// bit 17.
    pub state: Signal<In, Bits<32>>,
}
