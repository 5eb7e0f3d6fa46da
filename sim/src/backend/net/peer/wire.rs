//! The host's end of the wire.
use super::super::QUEUE_FRAMES;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// Largest frame without its check sequence: 14 bytes of header and 1500 of payload.
const FRAME_BYTES: usize = 1514;
/// Smallest frame without its check sequence (IEEE 802.3, 3.2.8): shorter ones are filled up.
const FRAME_BYTES_MIN: usize = 60;

/// Frames to and from the stack.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// For the host.
    pub inbound: VecDeque<Vec<u8>>,
    /// From the host.
    pub outbound: VecDeque<Vec<u8>>,
}

/// A frame that has come.
pub(super) struct Arrived(Vec<u8>);

/// Room for a frame that goes.
pub(super) struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Room<'_>)> {
        let frame = self.inbound.pop_front()?;
        Some((Arrived(frame), Room(&mut self.outbound)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        (self.outbound.len() < QUEUE_FRAMES).then_some(Room(&mut self.outbound))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, fill: F) -> R {
        let mut frame = vec![0; bytes];
        let result = fill(&mut frame);
        frame.resize(bytes.max(FRAME_BYTES_MIN), 0);
        if self.0.len() < QUEUE_FRAMES {
            self.0.push_back(frame);
        }
        result
    }
}
