//! What the balloon and what is behind it exchange.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// A page that goes into the balloon or comes out of it, or the end of a chain of them.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BalloonPage {
    /// Number of the page of 4 KiB in the guest's memory; means nothing with `last`.
    pub data: Bits<32>,
    /// It comes out of the balloon: the guest is going to use it.
    pub deflate: Bit,
    /// No page: the end of the chain, which waits for an answer.
    pub last: Bit,
}

/// A number that the guest says of its memory, or the end of a chain of them.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct BalloonStatistic {
    /// Which number it is (virtio 1.x, 5.5.6.4); means nothing with `last`.
    pub tag: Bits<16>,
    /// The number; means nothing with `last`.
    pub value: Bits<64>,
    /// No number: the end of the chain.
    pub last: Bit,
}
