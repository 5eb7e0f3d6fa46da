//! A plug that leads back: what the device sends is what it receives.
use super::{NetBackend, QUEUE_FRAMES};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Every frame comes back, in order.
#[derive(Debug, Default)]
pub struct Loopback {
    swap: bool,
    frames: VecDeque<Vec<u8>>,
    now: Duration,
}

impl Loopback {
    /// Frames come back as they are.
    pub fn new() -> Self {
        Loopback::default()
    }

    /// Frames come back with source and destination address exchanged, so that a filter for the own address lets them
    /// pass.
    pub fn swapping() -> Self {
        Loopback { swap: true, ..Loopback::default() }
    }
}

impl NetBackend for Loopback {
    fn transmit(&mut self, now: Duration, frame: &[u8]) {
        self.now = now;
        if self.frames.len() == QUEUE_FRAMES {
            tracing::debug!(bytes = frame.len(), "loopback: nobody takes the frames, one is dropped");
            return;
        }
        let mut frame = frame.to_vec();
        if let (true, Some(addresses)) = (self.swap, frame.first_chunk_mut::<12>()) {
            addresses.rotate_left(6);
        }
        self.frames.push_back(frame);
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.now = now;
        self.frames.pop_front()
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.frames.is_empty()).then_some(self.now)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
