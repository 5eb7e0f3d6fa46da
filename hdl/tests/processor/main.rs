//! The control processor.
mod lockstep;
mod model;
mod program;
mod programs;
