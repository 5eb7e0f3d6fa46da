//! The virtio side: legacy register file and ring engine.
pub mod available;
pub mod buffer_store;
pub mod interrupt_decision;
pub mod interrupts;
pub mod layout;
pub mod queue;
pub mod registers;
pub mod ring;
pub mod runs;
pub mod types;
pub mod used;
pub mod walker;
pub mod window;
mod writable_config;

/// Reads in flight that an endpoint can have.
pub const READ_TAGS: [u16; 2] = crate::dma::SizedReadEngine::TAGS;

/// Most queues an endpoint can have.
pub const MAX_QUEUES: usize = 4;
