//! DMA: read engine, write engine, and the byte-granular movers between guest buffers and device streams.
pub mod types;
