//! The plug of the wire: pulled and put back while everything runs.
use super::NetBackend;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Takes the link down and up, from any thread.
#[derive(Clone, Debug)]
pub struct LinkSwitch(Arc<AtomicBool>);

impl LinkSwitch {
    /// Puts the plug in (`true`) or pulls it.
    pub fn set(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }

    /// Whether the plug is in.
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A backend behind a plug. While it is pulled, the frames of both directions are lost.
pub struct Link {
    backend: Box<dyn NetBackend>,
    switch: LinkSwitch,
}

impl Link {
    /// A link that is up.
    pub fn new(backend: Box<dyn NetBackend>) -> Self {
        Link { backend, switch: LinkSwitch(Arc::new(AtomicBool::new(true))) }
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
        self.backend.as_fd()
    }

    fn link_up(&self) -> bool {
        self.switch.is_up() && self.backend.link_up()
    }
}
