//! The bus between the completer and the register blocks (config space, legacy registers, MSI-X table).
//!
//! ```text
//! clock         _/1\_/2\_/3\_/4\_
//! valid         __/-------\______   held until done
//! write, address, enable, write_data stable while valid
//! done          ______/---\______   one cycle, at the earliest the cycle after valid rises
//! read_data     ------<=D=>------   with done
//! ```
//! `done` is registered. A new access may begin in the cycle after `done`.
use crate::block::Bundle;
use rust_hdl::prelude::*;

/// The completer's end; [`RegisterSlave`] is the register block's.
#[derive(Bundle, Default)]
#[mirror(RegisterSlave)]
pub struct RegisterMaster {
    /// An access is there.
    pub valid: Signal<Out, Bit>,
    /// Write, else read.
    pub write: Signal<Out, Bit>,
    /// Byte address inside the region, bits 1:0 zero.
    pub address: Signal<Out, Bits<12>>,
    /// Byte enables; also given for reads.
    pub enable: Signal<Out, Bits<4>>,
    /// Data to write, byte 0 in bits 7:0.
    pub write_data: Signal<Out, Bits<32>>,
    /// The access has happened.
    pub done: Signal<In, Bit>,
    /// Data read, with `done`.
    pub read_data: Signal<In, Bits<32>>,
}
