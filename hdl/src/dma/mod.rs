//! DMA: read engine, write engine, and the byte-granular movers between guest buffers and device streams.
pub mod arbiter;
pub mod gather;
mod gather_request;
mod gather_stream;
pub mod give_back;
mod place;
pub mod read_engine;
mod read_receive;
pub mod read_tags;
mod rotate;
pub mod scatter;
mod scatter_cut;
pub mod sized_read_engine;
pub mod splitter;
pub mod types;
pub mod write_engine;

pub use arbiter::{ReadArbiter, TurnArbiter, WriteArbiter};
pub use gather::Gather;
pub use give_back::GiveBack;
pub use read_engine::ReadEngine;
pub use scatter::Scatter;
pub use sized_read_engine::SizedReadEngine;
pub use write_engine::WriteEngine;
