//! Leaf cells: the only blocks whose Verilog is written by hand.
pub mod bank;
pub mod register;
pub mod stream;

pub use bank::Bank;
pub use register::Reg;
pub use stream::{Sink, Source};
