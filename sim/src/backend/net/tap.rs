//! A TAP interface of this machine: the network of the machine itself, where one is allowed to.
use super::{Lost, NetBackend, NetError};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{opcode, Updater};
use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Where TAP interfaces are attached to.
const DEVICE: &str = "/dev/net/tun";
/// Bytes of an interface's name, with the zero at its end (linux/if.h).
pub(super) const NAME_BYTES: usize = 16;
/// Room for the largest frame.
const FRAME_BYTES: usize = 1 << 16;

/// Ethernet frames, without a header before them (linux/if_tun.h).
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
/// Attaches a descriptor to an interface (linux/if_tun.h). The number says `int`; what is passed is a `struct ifreq`.
const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<c_int>(b'T', 202);

/// `struct ifreq` of linux/if.h on 64-bit machines, with the flags of its union.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    flags: u16,
    rest: [u8; 22],
}

/// An attached TAP interface.
#[derive(Debug)]
pub struct Tap {
    file: OwnedFd,
    name: String,
    buffer: Vec<u8>,
    /// Somebody has deleted the interface: nothing comes any more, and nothing goes.
    gone: bool,
}

impl Tap {
    /// Attaches to an interface, which is made when there is none and one may. Made so, it is gone with this.
    pub fn open(name: &str) -> Result<Self, NetError> {
        let attached = attach(name).map_err(|error| NetError::Tap { name: name.into(), error: error.into() })?;
        Ok(Tap { file: attached, name: name.into(), buffer: vec![0; FRAME_BYTES], gone: false })
    }
}

fn attach(name: &str) -> Result<OwnedFd, Errno> {
    let mut request = InterfaceRequest { name: [0; NAME_BYTES], flags: IFF_TAP | IFF_NO_PI, rest: [0; 22] };
    if name.len() >= NAME_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let file = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, of which `InterfaceRequest` has layout and size.
    unsafe { rustix::ioctl::ioctl(&file, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) }?;
    Ok(file)
}

impl NetBackend for Tap {
    fn transmit(&mut self, _now: Duration, frame: &[u8]) {
        if let Err(error) = rustix::io::write(&self.file, frame) {
            // EIO: the interface is down. EINVAL: a runt.
            tracing::debug!(%error, bytes = frame.len(), "tap: a frame is lost");
        }
    }

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        if self.gone {
            return None;
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.file, &mut self.buffer)) {
            Ok(bytes) => Some(self.buffer[..bytes].to_vec()),
            Err(Errno::AGAIN) => None,
            Err(error) => {
                tracing::warn!(%error, interface = self.name, "the TAP interface is gone: the link is down");
                self.gone = true;
                None
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd()).filter(|_| !self.gone)
    }

    fn lost(&self) -> Lost {
        // What the system sends is what we receive.
        let count = format!("/sys/class/net/{}/statistics/tx_dropped", self.name);
        let count = std::fs::read_to_string(count).ok().and_then(|count| count.trim().parse().ok());
        Lost { transmitted: 0, received: count.unwrap_or(0) }
    }

    fn link_up(&self) -> bool {
        !self.gone
    }
}
