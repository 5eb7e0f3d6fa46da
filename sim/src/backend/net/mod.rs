//! What the Ethernet port of virtio-net is connected to: a small TCP/IP host of our own, itself, a capture file, the
//! network of another endpoint or of a QEMU, or a TAP interface of the machine.
mod error;
mod link;
mod loopback;
pub mod peer;
mod recorder;
mod replay;
mod socket;
mod spec;
mod tap;

pub use error::NetError;
pub use link::{Link, LinkSwitch};
pub use loopback::Loopback;
pub use peer::Peer;
pub use recorder::Recorder;
pub use replay::{Pace, Replay};
pub use socket::Socket;
pub use spec::{NetSpec, NetSpecError};
pub use tap::Tap;

use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Frames that wait for somebody who does not take them, at most.
const QUEUE_FRAMES: usize = 1024;

/// Frames that went lost.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// From the device: the network had no room.
    pub transmitted: u64,
    /// For the device: the system dropped them.
    pub received: u64,
}

/// What an Ethernet port is connected to. Frames are whole, from the destination address on and without the frame check
/// sequence; `now` is the time of the simulation, which never goes back.
pub trait NetBackend: Send {
    /// Takes a frame that the device has put on the wire.
    fn transmit(&mut self, now: Duration, frame: &[u8]);

    /// A frame for the device. To be called until there is none.
    fn receive(&mut self, now: Duration) -> Option<Vec<u8>>;

    /// When it has a frame, or other work to do in `receive`, without anything happening before.
    fn deadline(&self) -> Option<Duration>;

    /// Readable when there are frames from outside.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Frames that went lost so far because somebody did not take them in time.
    fn lost(&self) -> Lost {
        Lost::default()
    }

    /// Ends what it writes down. An error is the first that there has been.
    fn finish(&mut self) -> Result<(), NetError> {
        Ok(())
    }

    /// Whether there is anything at the other end of the wire.
    fn link_up(&self) -> bool {
        true
    }
}
