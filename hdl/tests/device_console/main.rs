//! The console's blocks alone: random chains and bytes, idle cycles, backpressure and resets, in rust-hdl's evaluator and in Verilator.
mod receive;
mod transmit;
mod uart;
