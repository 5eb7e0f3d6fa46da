//! The far end of an endpoint's wire, in the hands of a scenario.
use crate::backend::net::NetBackend;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Frames {
    from_device: VecDeque<Vec<u8>>,
    to_device: VecDeque<(Duration, Vec<u8>)>,
    link_down: bool,
}

/// The far end: frames that the endpoint sent are taken, frames for it are put.
#[derive(Clone, Debug, Default)]
pub struct FarEnd(Arc<Mutex<Frames>>);

impl FarEnd {
    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The near end, for the endpoint's port.
    pub fn backend(&self) -> Box<dyn NetBackend> {
        Box::new(NearEnd(self.clone()))
    }

    /// The next frame that the endpoint sent.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.lock().from_device.pop_front()
    }

    /// A frame for the endpoint, there from this time on. Times never go back.
    pub fn put(&self, at: Duration, frame: Vec<u8>) {
        self.lock().to_device.push_back((at, frame));
    }

    /// Plugs the wire in, or pulls it.
    pub fn set_link(&self, up: bool) {
        self.lock().link_down = !up;
    }
}

struct NearEnd(FarEnd);

impl NetBackend for NearEnd {
    fn transmit(&mut self, _now: Duration, frame: &[u8]) {
        self.0.lock().from_device.push_back(frame.to_vec());
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        let mut frames = self.0.lock();
        match frames.to_device.front() {
            Some((at, _)) if *at <= now => frames.to_device.pop_front().map(|(_, frame)| frame),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.0.lock().to_device.front().map(|(at, _)| *at)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn link_up(&self) -> bool {
        !self.0.lock().link_down
    }
}
