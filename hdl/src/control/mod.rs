//! The control block: a small RISC-V processor beside the data path, whose program serves queues that no RTL does.
//!
//! ```text
//! chain interface <-> [mailbox] <-> [memory] <--+
//! device config, interrupts, bytes, time <-> [registers] <--+-- bus <- [processor]
//!
//! processor:      +-> decoder ----------------+
//! bus -> instruction register                 | what to do
//!                 +-> register file -> a, b --+--> ALU -> result -> register file
//!                     (and the CSRs)                +---> address -> bus
//! ```
//! [`ControlBlock`] is all of it. [`Processor`] goes through the instructions, one after the other; the blocks beside it are what it is
//! made of. What its program sees is in [`layout`].
pub mod alu;
pub mod block;
pub mod bus;
pub mod config_words;
pub mod counters;
pub mod decoder;
pub mod lanes;
pub mod layout;
pub mod machine_status;
pub mod mailbox;
pub mod memory;
pub mod port_byte;
pub mod processor;
pub mod register_file;
pub mod registers;
pub mod types;

pub use block::{ControlBlock, ControlOptions};
pub use bus::{ProcessorBus, ProcessorSlave};
pub use processor::Processor;
