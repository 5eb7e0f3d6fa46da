//! What the parts of the network device exchange, and how large all of it is.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// What the longest frame makes of memories and counters.
///
/// Lengths have 14 bits and word numbers 10, which is enough for jumbo frames. Where frames are short, masks hold the upper bits at 0, and
/// synthesis leaves them out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FrameSizes {
    max_frame: u16,
}

impl FrameSizes {
    /// Longest frame that makes no difference to a memory of 8 KiB: it and its header count in 11 bits.
    const SHORT: u16 = 2032;

    /// Frames of at most `max_frame` bytes without their check sequence.
    pub fn new(max_frame: u16) -> Self {
        assert!((64..=9022).contains(&max_frame), "frames of {max_frame} bytes");
        FrameSizes { max_frame }
    }

    /// Bytes of the longest frame.
    pub fn max_frame(self) -> u64 {
        self.max_frame.into()
    }

    /// Whether the memories are large: 32 KiB in place of 8 KiB each way, three frames of 9,022 bytes.
    pub fn is_large(self) -> bool {
        self.max_frame > Self::SHORT
    }

    /// Words of 16 bytes in each memory.
    pub fn words(self) -> u64 {
        if self.is_large() {
            2048
        } else {
            512
        }
    }

    /// What is counted of words, modulo twice the memory.
    pub fn pointer_mask(self) -> u64 {
        2 * self.words() - 1
    }

    /// Longest length that is counted.
    pub fn length_mask(self) -> u64 {
        if self.is_large() {
            0x3FFF
        } else {
            0x7FF
        }
    }

    /// Largest number of a word in a frame that is counted.
    pub fn number_mask(self) -> u64 {
        self.length_mask() >> 4
    }

    /// Room of a chain that is counted.
    pub fn room_mask(self) -> u64 {
        if self.is_large() {
            0x3FFF
        } else {
            0xFFF
        }
    }
}

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
    pub length: Bits<14>,
    /// A checksum is to be put in.
    pub sum: bool,
    /// It begins at this byte.
    pub start: Bits<14>,
    /// It goes to this byte and the next one.
    pub position: Bits<14>,
}

/// A frame in the transmit memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitFrame {
    /// Its last byte.
    pub last_byte: Bits<14>,
    /// `value` is to be put in.
    pub patch: bool,
    /// At this byte and the next one.
    pub position: Bits<14>,
    /// Checksum; bits 7:0 come first.
    pub value: Bits<16>,
}

/// A frame whose checksum is being made.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitPending {
    /// As in [`TransmitWord`].
    pub drop: bool,
    /// Bytes.
    pub length: Bits<14>,
    /// As in [`TransmitWord`].
    pub sum: bool,
    /// The sum begins at an odd byte.
    pub odd: bool,
    /// As in [`TransmitWord`].
    pub position: Bits<14>,
}

/// A frame in the receive memory.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceiveFrame {
    /// Bytes.
    pub length: Bits<14>,
    /// It has a TCP or UDP checksum, and that is right.
    pub valid: bool,
}

/// A frame whose checksum is being checked.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceivePending {
    /// It stays in the memory.
    pub keep: bool,
    /// Bytes.
    pub length: Bits<14>,
    /// It has a checksum.
    pub candidate: bool,
}

/// A chain that waits for a frame.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceiveBuffer {
    /// Head descriptor.
    pub head: Bits<16>,
    /// Writable bytes; the most that a frame can need and some more if there are more.
    pub length: Bits<14>,
}

/// A frame to be handed over, or to be forgotten.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceivePart {
    /// Bytes of the frame.
    pub length: Bits<14>,
    /// Its last byte, counted from the begin of its header.
    pub last_byte: Bits<14>,
    /// As in [`ReceiveFrame`].
    pub valid: bool,
    /// Its header has 12 bytes.
    pub merge: bool,
    /// Chains it takes, for its header.
    pub buffers: Bits<5>,
    /// It has no buffer.
    pub drop: bool,
}
