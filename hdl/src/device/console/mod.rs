//! virtio-console (virtio 1.x, section 5.3): chains become bytes, bytes go into chains.
//!
//! ```text
//!   chain, bytes  -> [transmit] -> console_tx      what the driver prints
//! emergency_write ------^
//!   chain         -> [receive] <- console_rx       what is typed
//!   command, data <-----+
//! ```
//! One byte a cycle in either direction, as a UART or a FIFO has them; [`uart`] is behind it on a card. There is one port: multiport consoles (`VIRTIO_CONSOLE_F_MULTIPORT`)
//! need a control queue.
mod options;
pub mod receive;
mod row;
mod side;
pub mod transmit;
pub mod types;
pub mod uart;

pub use options::ConsoleOptions;
pub use row::{CONSOLE, EMERG_WRITE, SIZE};
