//! Cards: what sits behind the device on one, and what a vendor's tool needs to build one.
pub mod mac_swap;
pub mod ram_disk;
