//! Programs for the small processor on the card, and the library that they are made of: requests of the driver's in mailboxes, time,
//! the watchdog, and a console for whoever manages the card.
//!
//! A program is a [`Device`] and a line, `program!`; `src/bin/rng.rs` is one. What the processor reaches is behind [`Card`], so that
//! tests run the same code on the host against [`fake::Fake`]. All that is unsafe is in `src/hardware.rs`, which is for the processor
//! alone.
#![cfg_attr(target_os = "none", no_std)]

#[path = "../../hdl/src/control/layout.rs"]
pub mod layout;

mod card;
mod console;
#[cfg(not(target_os = "none"))]
pub mod fake;
#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "registers, RAM, start and traps: here and nowhere else")]
pub mod hardware;
mod mailbox;
mod program;
mod text;

pub use card::{Card, Part};
pub use mailbox::Call;
pub use program::{Device, Driver, Program, Statistics, KICK_CYCLES};
pub use text::Text;

/// Makes the program of a device: `program!(Rng::new())`. On the host it is a `main` that does nothing, so that the file compiles there
/// and its tests run.
#[cfg(not(target_os = "none"))]
#[macro_export]
macro_rules! program {
    ($device:expr) => {
        fn main() {
            fn device() -> impl $crate::Device {
                $device
            }
            let _ = device;
        }
    };
}
