//! The control processor: a small RISC-V processor that a program in the endpoint runs on.
//!
//! ```text
//!                 +-> decoder ----------------+
//! bus -> instruction register                 | what to do
//!                 +-> register file -> a, b --+--> ALU -> result -> register file
//!                     (and the CSRs)                +---> address -> bus
//! ```
//! [`Processor`] goes through the instructions, one after the other; the blocks beside it are what it is made of. What its program sees is
//! in [`layout`].
pub mod alu;
pub mod bus;
pub mod counters;
pub mod decoder;
pub mod lanes;
pub mod layout;
pub mod machine_status;
pub mod processor;
pub mod register_file;
pub mod types;

pub use bus::{ProcessorBus, ProcessorSlave};
pub use processor::Processor;
