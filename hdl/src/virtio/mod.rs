//! The virtio side: legacy register file and ring engine.
pub mod layout;
