//! Leaf cells: the only blocks whose Verilog is written by hand.
//!
//! In their text `// module: NAME` names the module, `// parameter NAME = DEFAULT: what it is` gives it a parameter, and
//! `// ports A B [RANGE]` says how wide ports are in terms of parameters; further comments are the heading. `interface.field` is
//! called `interface_field`.
pub mod bank;
pub mod block_ram;
pub mod fifo;
pub mod half_stage;
pub mod lane_ram;
pub mod lut_ram;
pub mod mux4;
pub mod program_ram;
pub mod register;
pub mod skid;
pub mod stage;
pub mod stream;
pub mod synchroniser;
pub mod two_write_ram;

pub use bank::Bank;
pub use block_ram::BlockRam;
pub use fifo::StreamFifo;
pub use half_stage::HalfStage;
pub use lane_ram::LaneRam;
pub use lut_ram::LutRam;
pub use mux4::Mux4;
pub use program_ram::ProgramRam;
pub use register::Reg;
pub use skid::Skid;
pub use stage::Stage;
pub use stream::{Sink, Source};
pub use synchroniser::Synchroniser;
pub use two_write_ram::TwoWriteRam;

use rust_hdl::prelude::Verilog;

/// The text of a cell, with the values that its parameters have here.
fn parametrised(text: &str, parameters: &[(&str, usize)]) -> Verilog {
    let text = parameters.iter().fold(text.to_string(), |text, (name, value)| {
        text.replace(&format!("// parameter {name} ="), &format!("// parameter {name} is {value} ="))
    });
    Verilog::Custom(text)
}
