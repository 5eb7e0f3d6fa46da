//! A device type that is a program: what its queues carry, the program on the control processor answers.
//!
//! ```text
//!   chain, bytes  -> [mailbox] -> memory -> program ------------> firmware_tx    what it says, for whoever manages the card
//!   command, data <- [mailbox] <- memory <- program <------------ firmware_rx
//! ```
//! For devices of which nobody expects speed: a request takes the program some hundreds of instructions, of five cycles each. What
//! the device is to a driver, the configuration says: ids, class, features, queues; which program, too.
mod options;
mod row;
mod side;

pub use options::{FirmwareOptions, PROGRAMS};
pub use row::FIRMWARE;
