//! The packet types that the blocks exchange. Only the unpacker, the packer and the hard-IP shims know how
//! these lie on the wire.
//!
//! Byte order of every 128-bit payload beat: byte 0 of memory in bits 7:0.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// One beat of a raw TLP. Header double words are numbers as the PCIe specification draws them (Fmt in bits
/// 31:29 of the first); payload double words have memory byte 0 in bits 7:0. The packet is contiguous: a payload
/// starts in the lane behind the header's last double word.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TlpBeat {
    /// Four double words, the first in bits 31:0.
    pub data: Bits<128>,
    /// Which double words count; contiguous from bit 0, all of them but in the last beat.
    pub keep: Bits<4>,
    /// Last beat of the packet.
    pub last: bool,
}

/// One beat of a received raw TLP: as [`TlpBeat`], with what the link knows of the address.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReceivedBeat {
    /// Four double words, the first in bits 31:0.
    pub data: Bits<128>,
    /// Which double words count; contiguous from bit 0, all of them but in the last beat.
    pub keep: Bits<4>,
    /// Last beat of the packet.
    pub last: bool,
    /// Goes into [`Request::bar_hit`]; the same in every beat of the packet.
    pub bar_hit: Bits<2>,
}

/// What a received request asks for.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RequestKind {
    /// MRd.
    MemoryRead,
    /// MWr, posted.
    MemoryWrite,
    /// IORd.
    IoRead,
    /// IOWr.
    IoWrite,
    /// CfgRd0.
    ConfigRead,
    /// CfgWr0.
    ConfigWrite,
    /// A non-posted request the endpoint does not support (locked read, type 1 config, atomic): answered UR.
    Unsupported,
}

/// A received request, header and data in one.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Request {
    /// Which request.
    pub kind: RequestKind,
    /// Double words asked for or written, 1 to 1024.
    pub length: Bits<11>,
    /// First double word's byte enables.
    pub first_be: Bits<4>,
    /// Last double word's byte enables, 0 when `length` is 1.
    pub last_be: Bits<4>,
    /// Who gets the completion.
    pub requester_id: Bits<16>,
    /// Goes back in the completion.
    pub tag: Bits<8>,
    /// Attr\[1:0\]: no snoop, relaxed ordering; goes back in the completion.
    pub attributes: Bits<2>,
    /// TC, goes back in the completion.
    pub traffic_class: Bits<3>,
    /// Memory and I/O: byte address, bits 1:0 zero. Config: {0, bus, device, function, 0000, register\[9:2\], 00}
    /// as in the third header double word.
    pub address: Bits<64>,
    /// EP bit.
    pub poisoned: bool,
    /// First two double words of a write's payload; the rest of a longer one is dropped.
    pub data: Bits<64>,
    /// Memory and I/O: the BAR that the address lies in, BAR0 in bit 0, BAR1 in bit 1, while it is enabled.
    pub bar_hit: Bits<2>,
}

/// One beat of a received completion; the header fields are the same in every beat of the packet.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct CompletionBeat {
    /// Payload, aligned to lane 0: the first double word in bits 31:0 of the first beat.
    pub data: Bits<128>,
    /// First beat of the packet.
    pub first: bool,
    /// Last beat of the packet.
    pub last: bool,
    /// Tag of the request.
    pub tag: Bits<8>,
    /// Requester ID of the request.
    pub requester_id: Bits<16>,
    /// Completion status: 0 successful, 1 unsupported request, 2 configuration retry, 4 completer abort.
    pub status: Bits<3>,
    /// Bytes still to come for the request, this packet's included, 1 to 4096.
    pub byte_count: Bits<13>,
    /// Low 7 bits of the byte address of the first byte of this packet.
    pub lower_address: Bits<7>,
    /// Payload double words of this packet, 0 for a completion without data.
    pub length: Bits<11>,
    /// EP bit. Set in the last beat, whatever the first ones said, when the packet proved to be malformed.
    pub poisoned: bool,
}

/// What is sent.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum TransmitKind {
    /// MRd with 3 or 4 header double words by address.
    MemoryRead,
    /// MWr with 3 or 4 header double words by address.
    MemoryWrite,
    /// Cpl.
    Completion,
    /// CplD.
    CompletionData,
    /// Msg without data, routed as its code asks.
    Message,
}

/// One beat of a packet to send; the header fields are the same in every beat of the packet.
/// A packet without payload is one beat.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct TransmitBeat {
    /// Payload, aligned to lane 0.
    pub data: Bits<128>,
    /// Last beat of the packet.
    pub last: bool,
    /// Which packet.
    pub kind: TransmitKind,
    /// Double words: of the payload, or asked for by a read. 0 where there are none.
    pub length: Bits<11>,
    /// Memory requests: byte address, bits 1:0 zero.
    pub address: Bits<64>,
    /// Memory requests: the address does not fit into 32 bits, so the header has four double words.
    pub above_4g: bool,
    /// First double word's byte enables.
    pub first_be: Bits<4>,
    /// Last double word's byte enables.
    pub last_be: Bits<4>,
    /// Read: our tag. Completion: the request's tag.
    pub tag: Bits<8>,
    /// Completion: who asked.
    pub requester_id: Bits<16>,
    /// Completion: status.
    pub status: Bits<3>,
    /// Completion: bytes, this packet's included (12 bits, 4096 is 0).
    pub byte_count: Bits<12>,
    /// Completion: low 7 bits of the byte address.
    pub lower_address: Bits<7>,
    /// Completion: the request's Attr\[1:0\].
    pub attributes: Bits<2>,
    /// Completion: the request's TC.
    pub traffic_class: Bits<3>,
    /// Message code: INTx, ERR_* or PME_TO_Ack.
    pub message_code: Bits<8>,
}
