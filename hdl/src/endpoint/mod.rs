//! Complete endpoints.
pub mod diagnostics;
pub mod gate;
pub mod reset;
