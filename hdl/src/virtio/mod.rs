//! The virtio side: legacy register file and ring engine.
pub mod available;
pub mod buffer_store;
pub mod guess;
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

/// Longest device config, in bytes and in bits: up to blk's `num_queues`. With the registers in front of it, 64 bytes of BAR0.
pub const DEVICE_CONFIG_BYTES: u32 = 40;
/// Its bits.
pub const DEVICE_CONFIG_BITS: usize = 8 * DEVICE_CONFIG_BYTES as usize;
