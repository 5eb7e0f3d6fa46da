//! The control block: its parts alone, and all of it with its program.

mod mailbox;
mod registers;
mod whole;
