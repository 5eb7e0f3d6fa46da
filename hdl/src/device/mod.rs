//! What sits behind the rings.
pub mod blk;
pub mod net;
