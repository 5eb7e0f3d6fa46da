//! Valid/ready stream: one payload type, two mirrored bundles.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use rust_hdl::prelude::*;

/// The sending end of a stream. A beat moves in a cycle with `valid` and `ready`; `valid` never depends on
/// `ready`, and once high it stays high with the same `data` until the beat has moved.
#[derive(LogicInterface, Default)]
#[join = "Sink"]
pub struct Source<T: Synth> {
    /// Payload.
    pub data: Signal<Out, T>,
    /// Payload is there.
    pub valid: Signal<Out, Bit>,
    /// Payload is taken.
    pub ready: Signal<In, Bit>,
}

/// The receiving end of a stream; see [`Source`].
#[derive(LogicInterface, Default)]
#[join = "Source"]
pub struct Sink<T: Synth> {
    /// Payload.
    pub data: Signal<In, T>,
    /// Payload is there.
    pub valid: Signal<In, Bit>,
    /// Payload is taken.
    pub ready: Signal<Out, Bit>,
}
