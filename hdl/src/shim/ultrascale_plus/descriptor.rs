//! Codes in the descriptors of the UltraScale+ block (PG213).

/// Request type: memory read.
pub const MEMORY_READ: u32 = 0b0000;
/// Request type: memory write.
pub const MEMORY_WRITE: u32 = 0b0001;
/// Request type: the first of three kinds of messages.
pub const MESSAGE: u32 = 0b1100;
/// Request type: none.
pub const RESERVED: u32 = 0b1111;

/// Error code of a completion: none.
pub const ERROR_NONE: u32 = 0b0000;
/// Error code of a completion: poisoned.
pub const ERROR_POISONED: u32 = 0b0001;
/// Error code of a completion: its tag belongs to no read.
pub const ERROR_TAG: u32 = 0b0110;
