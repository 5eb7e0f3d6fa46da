//! What the parts of the ring engine exchange.
use rust_hdl::prelude::*;

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
    /// A loop, or more descriptors than the queue is long.
    ChainTooLong,
    /// An indirect descriptor without the feature.
    IndirectNotNegotiated,
    /// An indirect descriptor inside an indirect table.
    IndirectNested,
    /// An indirect descriptor with the NEXT flag.
    IndirectWithNext,
    /// Indirect table length 0, not a multiple of 16, or longer than the queue.
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
    /// Descriptors, 1 to 16.
    pub count: Bits<5>,
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
