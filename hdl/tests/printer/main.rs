//! The printer: what its text looks like, what it refuses, and that the text means what the Rust does.
mod errors;
mod idioms;
mod layout;
