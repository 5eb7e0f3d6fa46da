//! The layout of a TLP header, in one place: field positions, Fmt and Type codes, completion status and message
//! codes (PCI Express Base Specification, section 2.2). The blocks of this folder, their tests and the host
//! model take them from here.
//!
//! Header double words are numbers as the specification draws them: byte 0 in bits 31:24.

/// A field of a header double word.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Header double word that holds it, from 0.
    pub dword: usize,
    /// Lowest bit.
    pub low: u32,
    /// Bits.
    pub width: u32,
}

impl Field {
    /// A field of `width` bits from bit `low` of double word `dword`.
    pub const fn new(dword: usize, low: u32, width: u32) -> Self {
        Self { dword, low, width }
    }

    /// The largest value the field holds.
    pub const fn max(self) -> u32 {
        ((1u64 << self.width) - 1) as u32
    }

    /// The field's value in a header; 0 where the header is too short.
    pub fn get(self, header: &[u32]) -> u32 {
        header.get(self.dword).map_or(0, |dword| (dword >> self.low) & self.max())
    }

    /// Puts the low bits of `value` into a header that has the double word; no change in a shorter one.
    pub fn set(self, header: &mut [u32], value: u32) {
        if let Some(dword) = header.get_mut(self.dword) {
            *dword = (*dword & !(self.max() << self.low)) | ((value & self.max()) << self.low);
        }
    }
}

/// Fmt: header size and whether there is data.
pub const FMT: Field = Field::new(0, 29, 3);
/// Type.
pub const TYPE: Field = Field::new(0, 24, 5);
/// Traffic class.
pub const TRAFFIC_CLASS: Field = Field::new(0, 20, 3);
/// TLP digest: one more double word behind the payload.
pub const TD: Field = Field::new(0, 15, 1);
/// Poisoned.
pub const EP: Field = Field::new(0, 14, 1);
/// Attr\[1:0\]: relaxed ordering, no snoop.
pub const ATTRIBUTES: Field = Field::new(0, 12, 2);
/// Payload double words, or double words asked for; 0 says 1024.
pub const LENGTH: Field = Field::new(0, 0, 10);

/// Requests: requester ID.
pub const REQUESTER_ID: Field = Field::new(1, 16, 16);
/// Requests: tag.
pub const TAG: Field = Field::new(1, 8, 8);
/// Memory, I/O and config requests: last double word's byte enables.
pub const LAST_BE: Field = Field::new(1, 4, 4);
/// Memory, I/O and config requests: first double word's byte enables.
pub const FIRST_BE: Field = Field::new(1, 0, 4);
/// Messages: code.
pub const MESSAGE_CODE: Field = Field::new(1, 0, 8);
/// Config requests: bus, device and function of the target.
pub const CONFIG_TARGET: Field = Field::new(2, 16, 16);
/// Config requests: function number of the target.
pub const CONFIG_FUNCTION: Field = Field::new(2, 16, 3);
/// Config requests: byte address of the register, bits 1:0 zero.
pub const CONFIG_REGISTER: Field = Field::new(2, 0, 12);

/// Completions: completer ID.
pub const COMPLETER_ID: Field = Field::new(1, 16, 16);
/// Completions: status.
pub const STATUS: Field = Field::new(1, 13, 3);
/// Completions: bytes still to come for the request, this packet's included; 0 says 4096.
pub const BYTE_COUNT: Field = Field::new(1, 0, 12);
/// Completions: requester ID of the request.
pub const COMPLETION_REQUESTER_ID: Field = Field::new(2, 16, 16);
/// Completions: tag of the request.
pub const COMPLETION_TAG: Field = Field::new(2, 8, 8);
/// Completions: low bits of the byte address of the first byte.
pub const LOWER_ADDRESS: Field = Field::new(2, 0, 7);

/// Fmt: three header double words, no data.
pub const FMT_3DW: u32 = 0;
/// Fmt: four header double words, no data.
pub const FMT_4DW: u32 = 1;
/// Fmt: three header double words and data.
pub const FMT_3DW_DATA: u32 = 2;
/// Fmt: four header double words and data.
pub const FMT_4DW_DATA: u32 = 3;
/// Fmt: not a header but a prefix of one double word.
pub const FMT_PREFIX: u32 = 4;

/// Type: memory read or write.
pub const TYPE_MEMORY: u32 = 0b00000;
/// Type: locked memory read.
pub const TYPE_MEMORY_LOCKED: u32 = 0b00001;
/// Type: I/O read or write.
pub const TYPE_IO: u32 = 0b00010;
/// Type: config read or write of this device.
pub const TYPE_CONFIG_0: u32 = 0b00100;
/// Type: config read or write of a device behind a bridge.
pub const TYPE_CONFIG_1: u32 = 0b00101;
/// Type: completion.
pub const TYPE_COMPLETION: u32 = 0b01010;
/// Type: completion of a locked read.
pub const TYPE_COMPLETION_LOCKED: u32 = 0b01011;
/// Type: fetch-and-add atomic.
pub const TYPE_FETCH_ADD: u32 = 0b01100;
/// Type: swap atomic.
pub const TYPE_SWAP: u32 = 0b01101;
/// Type: compare-and-swap atomic.
pub const TYPE_COMPARE_SWAP: u32 = 0b01110;
/// Type: message; the low three bits say how it is routed.
pub const TYPE_MESSAGE: u32 = 0b10000;
/// Message routing: to the root complex, as errors go.
pub const ROUTE_ROOT_COMPLEX: u32 = 0;
/// Message routing: ends at the receiver, as INTx does.
pub const ROUTE_LOCAL: u32 = 4;
/// Message routing: gathered by switches on the way to the root complex, as PME_TO_Ack is.
pub const ROUTE_GATHERED: u32 = 5;

/// Completion status: successful completion.
pub const STATUS_SUCCESSFUL: u32 = 0;
/// Completion status: unsupported request (UR).
pub const STATUS_UNSUPPORTED_REQUEST: u32 = 1;
/// Completion status: configuration request retry (CRS).
pub const STATUS_CONFIG_RETRY: u32 = 2;
/// Completion status: completer abort (CA).
pub const STATUS_COMPLETER_ABORT: u32 = 4;

/// Message: PME_Turn_Off.
pub const MESSAGE_PME_TURN_OFF: u32 = 0x19;
/// Message: PME_TO_Ack.
pub const MESSAGE_PME_TO_ACK: u32 = 0x1b;
/// Message: ERR_COR.
pub const MESSAGE_ERR_COR: u32 = 0x30;
/// Message: ERR_NONFATAL.
pub const MESSAGE_ERR_NONFATAL: u32 = 0x31;
/// Message: ERR_FATAL.
pub const MESSAGE_ERR_FATAL: u32 = 0x33;
/// Message: Assert_INTA.
pub const MESSAGE_ASSERT_INTA: u32 = 0x20;
/// Message: Deassert_INTA.
pub const MESSAGE_DEASSERT_INTA: u32 = 0x24;

/// Header double words of a packet with this Fmt; prefixes have none of their own.
pub const fn header_dwords(fmt: u32) -> usize {
    3 + (fmt & 1) as usize
}

/// Whether a packet with this Fmt carries data.
pub const fn has_data(fmt: u32) -> bool {
    fmt & 2 != 0
}

/// The Length field's meaning in double words, 1 to 1024.
pub const fn length_dwords(field: u32) -> usize {
    if field == 0 {
        1024
    } else {
        field as usize
    }
}
