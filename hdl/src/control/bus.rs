//! The bus of the control processor.
//!
//! ```text
//! clock         _/1\_/2\_/3\_/4\_
//! valid         __/-------\______   held until done
//! address, enable, write_data       stable while valid
//! done, error   ______/---\______   one cycle, at the earliest the cycle after valid rises
//! read_data     ------<=D=>------   with done
//! ```
//! A new access may begin in the cycle after `done`.
use crate::block::Bundle;
use rust_hdl::prelude::*;

/// The processor's end; [`ProcessorSlave`] is the other.
#[derive(Bundle, Default)]
#[mirror(ProcessorSlave)]
pub struct ProcessorBus {
    /// An access is there.
    pub valid: Signal<Out, Bit>,
    /// Byte address of the word, bits 1:0 zero.
    pub address: Signal<Out, Bits<32>>,
    /// Bytes to write; none: a read.
    pub enable: Signal<Out, Bits<4>>,
    /// Data to write, byte 0 in bits 7:0.
    pub write_data: Signal<Out, Bits<32>>,
    /// The access has happened, or failed.
    pub done: Signal<In, Bit>,
    /// With `done`: it failed, and the program gets an access fault.
    pub error: Signal<In, Bit>,
    /// Data read, with `done`.
    pub read_data: Signal<In, Bits<32>>,
}
