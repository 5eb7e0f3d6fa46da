//! The control block: a small processor beside the data path, whose program serves queues that no RTL does.
pub mod alu;
pub mod block;
pub mod bus;
pub mod config_words;
pub mod counters;
pub mod decoder;
pub mod lanes;
pub mod layout;
pub mod machine_status;
pub mod mailbox;
pub mod memory;
pub mod port_byte;
pub mod processor;
pub mod register_file;
pub mod registers;
pub mod types;
