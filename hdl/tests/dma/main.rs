//! The DMA blocks: each is run in rust-hdl's evaluator against a model that reacts to it, and the recorded
//! run is replayed in Verilator.
mod arbiter;
mod beats;
mod garbage;
mod gather;
mod give_back;
mod read;
mod read_corners;
mod scatter;
mod splitter;
mod write;
