//! How large and how fast the RTL is in open tools: the table in `docs/resources.md`, and whether it became worse.
//!
//! ```text
//! Design (an endpoint's Verilog) -> Flow (scripts, tools, cache) -> Outcome (count, timing) -> Document (tables) -> compare
//! ```
mod compare;
mod count;
mod document;
mod error;
mod flow;
mod harness;
mod run;
mod timing;
mod tools;
mod tree;

pub use compare::{compare, Regression, TOLERANCE};
pub use count::{Area, Module};
pub use document::{Document, Row, Table};
pub use error::SynthError;
pub use flow::{Design, Done, Effort, Flow, Outcome, CLOCK_MHZ};
pub use run::{run, Job};
pub use timing::{Hop, Placed};
pub use tools::{versions, Tools};
pub use tree::tree;
