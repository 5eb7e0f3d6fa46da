//! Leaf cells: the only blocks whose Verilog is written by hand.
//!
//! In their text `// module: NAME` names the module, and `interface.field` is called `interface_field`.
pub mod bank;
pub mod block_ram;
pub mod fifo;
pub mod half_stage;
pub mod lane_ram;
pub mod lut_ram;
pub mod register;
pub mod skid;
pub mod stage;
pub mod stream;

pub use bank::Bank;
pub use block_ram::BlockRam;
pub use fifo::StreamFifo;
pub use half_stage::HalfStage;
pub use lane_ram::LaneRam;
pub use lut_ram::LutRam;
pub use register::Reg;
pub use skid::Skid;
pub use stage::Stage;
pub use stream::{Sink, Source};

/// `[W-1:0] `, or nothing for one bit.
fn range(width: usize) -> String {
    if width == 1 {
        String::new()
    } else {
        format!("[{}:0] ", width - 1)
    }
}
