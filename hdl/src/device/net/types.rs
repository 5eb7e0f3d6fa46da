//! What the parts of the network device exchange.
use rust_hdl::prelude::*;

/// A beat of a frame at the Ethernet side, without frame check sequence.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct NetBeat {
    /// Byte 0 in bits 7:0.
    pub data: Bits<128>,
    /// Valid bytes, contiguous from lane 0: all but in the last beat, where there is at least one.
    pub keep: Bits<16>,
    /// Last beat of the frame.
    pub last: bool,
    /// The frame is damaged; in any beat of it.
    pub error: bool,
}

/// A word of a frame on its way into the transmit memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitWord {
    /// Byte 0 in bits 7:0.
    pub data: Bits<128>,
    /// Last word of the frame.
    pub last: bool,
    /// With `last`: the frame is not to be sent.
    pub drop: bool,
    /// Bytes of the frame.
    pub length: Bits<11>,
    /// A checksum is to be put in.
    pub sum: bool,
    /// It begins at this byte.
    pub start: Bits<11>,
    /// It goes to this byte and the next one.
    pub position: Bits<11>,
}

/// A frame in the transmit memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitFrame {
    /// Bytes.
    pub length: Bits<11>,
    /// `value` is to be put in.
    pub patch: bool,
    /// At this byte and the next one.
    pub position: Bits<11>,
    /// Checksum; bits 7:0 come first.
    pub value: Bits<16>,
}

/// A frame whose checksum is being made.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitPending {
    /// As in [`TransmitWord`].
    pub drop: bool,
    /// Bytes.
    pub length: Bits<11>,
    /// As in [`TransmitWord`].
    pub sum: bool,
    /// The sum begins at an odd byte.
    pub odd: bool,
    /// As in [`TransmitWord`].
    pub position: Bits<11>,
}

/// A frame in the receive memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceiveFrame {
    /// Bytes.
    pub length: Bits<11>,
    /// It has a TCP or UDP checksum, and that is right.
    pub valid: bool,
}

/// A frame whose checksum is being checked.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceivePending {
    /// It stays in the memory.
    pub keep: bool,
    /// Bytes.
    pub length: Bits<11>,
    /// It has a checksum.
    pub candidate: bool,
}

/// A chain that waits for a frame.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceiveBuffer {
    /// Head descriptor.
    pub head: Bits<16>,
    /// Writable bytes, 4095 if there are more.
    pub length: Bits<12>,
}

/// A frame to be handed over, or to be forgotten.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceivePart {
    /// Bytes of the frame.
    pub length: Bits<11>,
    /// Its last byte, counted from the begin of its header.
    pub last_byte: Bits<11>,
    /// As in [`ReceiveFrame`].
    pub valid: bool,
    /// Chains it takes, for its header.
    pub buffers: Bits<5>,
    /// It has no buffer.
    pub drop: bool,
}
