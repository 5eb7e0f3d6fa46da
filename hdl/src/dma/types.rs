//! What the DMA engines and their clients exchange.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use crate::block::Bundle;
use rust_hdl::prelude::*;

/// A read of host memory into a client's RAM.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReadRequest {
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes, 1 to 4096.
    pub length: Bits<13>,
    /// Byte address in the client's RAM of the first byte; wraps at the RAM's size.
    pub destination: Bits<16>,
    /// Which client's RAM, and who is told of the retirement.
    pub client: Bits<4>,
    /// The client's own number for the request, given back with the retirement.
    pub slot: Bits<6>,
}

/// One write into a client's RAM of 16-byte words: byte address A is lane A\[3:0\] of word A\[15:4\].
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct RamWrite {
    /// Which client's RAM.
    pub client: Bits<4>,
    /// Which word.
    pub word: Bits<12>,
    /// Byte lanes to write.
    pub enable: Bits<16>,
    /// Data, already in their lanes.
    pub data: Bits<128>,
}

/// A read request has ended: its data are in the RAM, or it failed. In the order of issue.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ReadRetire {
    /// Which client.
    pub client: Bits<4>,
    /// The client's number for the request.
    pub slot: Bits<6>,
    /// An error completion, a poisoned or malformed one, or a timeout: the data are not to be used.
    pub error: bool,
}

/// What the read engine tells all of its clients, by their numbers.
#[derive(Bundle, Default)]
#[mirror(ReadReturnSink)]
pub struct ReadReturnSource {
    /// A request has ended; never before the cycle after its last `write`.
    pub retire: Signal<Out, ReadRetire>,
    /// There is a retirement: `retire` counts in this cycle.
    pub retire_valid: Signal<Out, Bit>,
    /// A write of a client's RAM.
    pub write: Signal<Out, RamWrite>,
    /// There is a write: `write` counts in this cycle.
    pub write_valid: Signal<Out, Bit>,
}

/// A write of host memory from a client's RAM.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct WriteRequest {
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes, 1 to 4096.
    pub length: Bits<13>,
    /// Byte address in the client's RAM of the first byte; wraps at the RAM's size.
    pub source: Bits<16>,
    /// Which client's RAM, and what is reported when it is done.
    pub client: Bits<4>,
}

/// One buffer of a chain, or the mark behind the chain's last one.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BufferDescriptor {
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes, never 0 but in an end mark.
    pub length: Bits<32>,
    /// End of the chain: no buffer in this entry.
    pub end: bool,
    /// With `end`: the chain is broken and must be dropped.
    pub error: bool,
}

/// A beat of a byte stream of one chain, aligned to lane 0.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ByteBeat {
    /// Byte 0 in bits 7:0.
    pub data: Bits<128>,
    /// Valid bytes, contiguous from lane 0: 16 but in the last beat, 0 there only when the chain has no bytes.
    pub count: Bits<5>,
    /// Last beat of the chain.
    pub last: bool,
    /// A DMA read of the chain failed: set at the latest in the first beat with bytes of that read, and in all that follow;
    /// with `last` also when the chain is broken.
    pub error: bool,
}

/// What the device wants done with the writable buffers of one chain.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct ScatterCommand {
    /// Writable bytes to leave alone first.
    pub skip: Bits<32>,
    /// Bytes to write after that, taken from the data stream. What remains of the chain is left alone.
    pub length: Bits<32>,
    /// Head descriptor of the chain, for the used ring.
    pub head: Bits<16>,
    /// Bytes written, as the used ring says it.
    pub used_length: Bits<32>,
    /// The chain is broken: consume its descriptors, write nothing, report no used element.
    pub drop: bool,
    /// The next command belongs to it: its bytes follow in the same beat, and both used elements are seen at once. At most
    /// 16 commands belong together.
    pub more: bool,
    /// The device is about to finish another chain: the used element may wait for that one's.
    pub soon: bool,
}

/// A used ring element.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct UsedElement {
    /// Head descriptor of the chain.
    pub head: Bits<16>,
    /// Bytes written into its buffers.
    pub length: Bits<32>,
    /// Not to be seen before the next element.
    pub more: bool,
    /// Another one is expected, and this one may wait for it a little.
    pub soon: bool,
}
