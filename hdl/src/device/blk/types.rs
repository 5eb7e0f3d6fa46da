//! What the block device and its device side exchange.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// What a command does; the codes are those on the device-side port.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum BlkOperation {
    /// Read sectors.
    Read,
    /// Write sectors.
    Write,
    /// Make all acknowledged writes durable.
    Flush,
    /// Give the serial number, at most 20 characters, padded with zeroes to `length`.
    GetId,
}

/// A command for the device side.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BlkCommand {
    /// What to do.
    pub operation: BlkOperation,
    /// First sector of 512 bytes.
    pub sector: Bits<64>,
    /// Bytes: a multiple of 512 for reads and writes, up to 20 for the serial number, 0 for a flush.
    pub length: Bits<32>,
    /// Comes back with the answer: number of the command, modulo 2^8.
    pub tag: Bits<8>,
}

/// How a command ended.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BlkStatus {
    /// OK 0, IOERR 1, UNSUPP 2; anything else counts as IOERR.
    pub status: Bits<8>,
    /// The command's.
    pub tag: Bits<8>,
}

/// A beat of data that were read.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BlkReadBeat {
    /// Byte 0 in bits 7:0.
    pub data: Bits<128>,
    /// Last beat of the command.
    pub last: bool,
    /// The command's.
    pub tag: Bits<8>,
}

/// A beat of write data. The data of a command end with `last`; if `error` comes with it, they are incomplete and must be
/// discarded, and the status must be an error.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BlkWriteBeat {
    /// Byte 0 in bits 7:0.
    pub data: Bits<128>,
    /// Last beat of the command.
    pub last: bool,
    /// With `last`: discard.
    pub error: bool,
}

/// A request that waits for its response.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BlkPending {
    /// Its queue.
    pub queue: Bits<2>,
    /// Head descriptor.
    pub head: Bits<16>,
    /// The chain is broken: no response.
    pub drop: bool,
    /// The device side gives the status; else it is `status`.
    pub commanded: bool,
    /// Status where no command was given: OK 0, IOERR 1, UNSUPP 2.
    pub status: Bits<2>,
    /// The device side gives data if its status is 0: as many as there are writable bytes in front of the status.
    pub reads: bool,
    /// The data are a serial number: at most 20 bytes, zeroes behind them.
    pub get_id: bool,
    /// As `BlkResponse::generation` was.
    pub generation: bool,
    /// All writable bytes of the chain; the last one takes the status.
    pub writable_length: Bits<32>,
}
