//! The control block: a small processor beside the data path, whose program serves queues that no RTL does.
pub mod layout;
pub mod mailbox;
pub mod registers;
