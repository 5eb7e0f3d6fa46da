//! The virtio side: legacy register file and ring engine.
pub mod available;
pub mod buffer_store;
pub mod interrupt_decision;
pub mod interrupts;
pub mod layout;

pub mod queue;
pub mod registers;
pub mod ring;
pub mod types;
pub mod used;
pub mod walker;
pub mod window;
mod writable_config;

/// Most queues an endpoint can have.
pub const MAX_QUEUES: usize = 4;
