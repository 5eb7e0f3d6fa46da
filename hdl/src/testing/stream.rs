//! The two ends of a stream, for tests of blocks.
use super::Rng;
use crate::cells::{Sink, Source};
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// Values for a sink, offered with idle cycles between them; once offered, a value stays until it is taken.
pub struct Feed<T> {
    /// Those to come.
    pub values: VecDeque<T>,
    /// In how many of 4 cycles a value that waits is offered.
    pub eager: u64,
    offered: bool,
}

impl<T: Synth> Feed<T> {
    /// Nothing to offer yet.
    pub fn new(eager: u64) -> Self {
        Self { values: VecDeque::new(), eager, offered: false }
    }
    /// Whether the first value is being offered.
    pub fn is_offered(&self) -> bool {
        self.offered
    }
    /// The first value has been offered already.
    pub fn set_offered(&mut self) {
        self.offered = true;
    }
    /// Sets the sink's inputs for a cycle.
    pub fn drive(&mut self, sink: &mut Sink<T>, rng: &mut Rng) {
        self.offered |= !self.values.is_empty() && rng.chance(self.eager, 4);
        sink.valid.next = self.offered;
        if self.offered {
            sink.data.next = self.values[0];
        }
    }
    /// Before the clock edge: what the sink takes is gone.
    pub fn take(&mut self, sink: &Sink<T>) -> Option<T> {
        if !self.offered || !sink.ready.val() {
            return None;
        }
        self.offered = false;
        self.values.pop_front()
    }
}

/// Before the clock edge: what moves over a source in this cycle.
pub fn moved<T: Synth>(source: &Source<T>) -> Option<T> {
    (source.valid.val() && source.ready.val()).then(|| source.data.val())
}

/// Up to 16 bytes as a beat.
pub fn wide(bytes: &[u8]) -> Bits<128> {
    BigUint::from_bytes_le(bytes).into()
}

/// The first `count` bytes of a beat.
pub fn narrow(beat: Bits<128>, count: usize) -> Vec<u8> {
    beat.to_u128().to_le_bytes()[..count].to_vec()
}
