//! The plug of the wire: pulled and put back while everything runs.
use super::{Lost, NetBackend, NetError};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
struct Plug {
    up: AtomicBool,
    /// Readable when the plug was moved.
    moved: OwnedFd,
}

/// Takes the link down and up, from any thread.
#[derive(Clone, Debug)]
pub struct LinkSwitch(Arc<Plug>);

impl LinkSwitch {
    /// Puts the plug in (`true`) or pulls it.
    pub fn set(&self, up: bool) {
        self.0.up.store(up, Ordering::SeqCst);
        // Full means that it is readable already.
        let _ = rustix::io::write(&self.0.moved, &1_u64.to_ne_bytes());
    }

    /// Whether the plug is in.
    pub fn is_up(&self) -> bool {
        self.0.up.load(Ordering::SeqCst)
    }
}

/// A backend behind a plug. While it is pulled, the frames of both directions are lost.
pub struct Link {
    backend: Box<dyn NetBackend>,
    switch: LinkSwitch,
    /// Readable when the plug was moved, and when the backend is.
    either: OwnedFd,
}

impl Link {
    /// A link that is up.
    pub fn new(backend: Box<dyn NetBackend>) -> Result<Self, NetError> {
        let plug = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(NetError::Plug)?;
        let either = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(NetError::Plug)?;
        for descriptor in [Some(plug.as_fd()), backend.as_fd()].into_iter().flatten() {
            epoll::add(&either, descriptor, EventData::new_u64(0), EventFlags::IN).map_err(NetError::Plug)?;
        }
        let switch = LinkSwitch(Arc::new(Plug { up: AtomicBool::new(true), moved: plug }));
        Ok(Link { backend, switch, either })
    }

    /// The hand at the plug.
    pub fn switch(&self) -> LinkSwitch {
        self.switch.clone()
    }
}

impl NetBackend for Link {
    fn transmit(&mut self, now: Duration, frame: &[u8]) {
        if self.switch.is_up() {
            self.backend.transmit(now, frame);
        }
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        // Who asks has seen that it is readable, and asks for the state of the link too.
        let _ = rustix::io::read(&self.switch.0.moved, &mut [0; 8]);
        if self.switch.is_up() {
            return self.backend.receive(now);
        }
        while self.backend.receive(now).is_some() {}
        None
    }

    fn deadline(&self) -> Option<Duration> {
        self.backend.deadline()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.either.as_fd())
    }

    fn lost(&self) -> Lost {
        self.backend.lost()
    }

    fn finish(&mut self) -> Result<(), NetError> {
        self.backend.finish()
    }

    fn link_up(&self) -> bool {
        self.switch.is_up() && self.backend.link_up()
    }
}
