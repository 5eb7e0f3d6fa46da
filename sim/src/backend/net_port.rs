//! The Ethernet port of the endpoint, and what it is connected to.
use super::net::{NetBackend, NetError};
use crate::model::{DeviceEvent, Endpoint, ModelError};
use serde::Serialize;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How fast frames come by wire: 10 Gb/s.
pub const WIRE_BYTES_PER_SECOND: f64 = 1.25e9;

/// What went over the wire.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WireStatistics {
    /// Frames from the endpoint.
    pub transmitted_frames: u64,
    /// Their bytes.
    pub transmitted_bytes: u64,
    /// Frames for the endpoint.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that the endpoint spoilt on purpose.
    pub spoilt_frames: u64,
    /// Frames from the endpoint that the network had no room for.
    pub lost_frames: u64,
    /// Frames for the endpoint that the system dropped because they came faster than the endpoint is simulated.
    pub overrun_frames: u64,
}

/// Bytes that wait before the endpoint; what comes beyond them waits where it comes from. At 10 bytes a cycle they keep
/// the wire full until the next look.
const QUEUED: usize = 8192;
/// When to look again while there is no room, in cycles.
const FULL: u64 = 128;

/// An Ethernet port on a wire.
pub struct NetPort {
    backend: Box<dyn NetBackend>,
    mac: [u8; 6],
    clock_hz: u64,
    link_up: Option<bool>,
    statistics: WireStatistics,
    /// When there was no room for a frame that there may be.
    full: Option<u64>,
}

impl NetPort {
    /// A port with this address. The backend's time is that of the endpoint's clock, of `clock_hz`.
    pub fn new(backend: Box<dyn NetBackend>, mac: [u8; 6], clock_hz: u64) -> Self {
        NetPort { backend, mac, clock_hz, link_up: None, statistics: WireStatistics::default(), full: None }
    }

    /// What went over the wire so far.
    pub fn statistics(&self) -> WireStatistics {
        let lost = self.backend.lost();
        WireStatistics { lost_frames: lost.transmitted, overrun_frames: lost.received, ..self.statistics }
    }

    /// Ends what is written down.
    pub fn finish(&mut self) -> Result<(), NetError> {
        self.backend.finish()
    }

    /// Takes what left the endpoint.
    pub fn event(&mut self, event: DeviceEvent) {
        if let DeviceEvent::Frame(at, frame, error) = event {
            if error {
                self.statistics.spoilt_frames += 1;
                return;
            }
            self.statistics.transmitted_frames += 1;
            self.statistics.transmitted_bytes += frame.len() as u64;
            self.backend.transmit(self.time(at), &frame);
        }
    }

    /// Hands over what has come by wire until now, and the state of the link.
    pub fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let now = endpoint.cycle();
        self.full = None;
        loop {
            if endpoint.net_bytes_queued()? >= QUEUED {
                self.full = Some(now);
                break;
            }
            let Some(frame) = self.backend.receive(self.time(now)) else { break };
            self.statistics.received_frames += 1;
            self.statistics.received_bytes += frame.len() as u64;
            if !frame.is_empty() {
                endpoint.net_frame(now, &frame, false)?;
            }
        }
        let link_up = self.backend.link_up();
        if self.link_up != Some(link_up) {
            self.link_up = Some(link_up);
            endpoint.set_net(self.mac, link_up)?;
        }
        Ok(())
    }

    /// The cycle in which the backend has something to do by itself, or there may be room again.
    pub fn deadline(&self) -> Option<u64> {
        let cycles = |time: Duration| (time.as_nanos() * u128::from(self.clock_hz)).div_ceil(1_000_000_000) as u64;
        match self.full {
            Some(at) => Some(at + FULL),
            None => self.backend.deadline().map(cycles),
        }
    }

    /// Readable when something comes from outside for which there is room.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.backend.as_fd().filter(|_| self.full.is_none())
    }

    fn time(&self, cycle: u64) -> Duration {
        Duration::from_nanos((u128::from(cycle) * 1_000_000_000 / u128::from(self.clock_hz)) as u64)
    }
}
