//! The Ethernet port of the endpoint, and what it is connected to.
use super::net::{LinkSwitch, NetBackend};
use super::NetPorts;
use crate::control::{Command, Plug, Refusal};
use crate::model::{DevicePacket, DeviceSide, Endpoint, ModelError, SideError};
use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How fast frames come by wire, unless it is said otherwise: 10 Gb/s.
pub const WIRE_BYTES_PER_SECOND: f64 = 1.25e9;

/// What went over the wire.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl WireStatistics {
    /// What went over the wire, if this is what a [`NetPort`] has done.
    pub fn of(statistics: &Map<String, Value>) -> Option<Self> {
        serde_json::from_value(statistics.get("wire")?.clone()).ok()
    }
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
    bytes_per_second: f64,
    ports: Option<NetPorts>,
    link_up: Option<bool>,
    /// The plug of its wire, if there is a hand at it.
    switch: Option<LinkSwitch>,
    statistics: WireStatistics,
    /// When there was no room for a frame that there may be.
    full: Option<u64>,
}

impl NetPort {
    /// A port with this address. The backend's time is that of the endpoint's clock, of `clock_hz`.
    pub fn new(backend: Box<dyn NetBackend>, mac: [u8; 6], clock_hz: u64) -> Self {
        NetPort {
            backend,
            mac,
            clock_hz,
            bytes_per_second: WIRE_BYTES_PER_SECOND,
            ports: None,
            link_up: None,
            switch: None,
            statistics: WireStatistics::default(),
            full: None,
        }
    }

    /// The same with a wire on which so many bytes come a second, at most.
    pub fn with_wire_rate(self, bytes_per_second: f64) -> Self {
        NetPort { bytes_per_second, ..self }
    }

    /// The same with this plug in its wire for [`Command::Link`].
    pub fn with_switch(self, switch: LinkSwitch) -> Self {
        NetPort { switch: Some(switch), ..self }
    }

    /// Its ports, for what does not come by the wire.
    pub fn ports(&self) -> Result<NetPorts, ModelError> {
        super::connected(self.ports)
    }

    /// What went over the wire so far.
    pub fn statistics(&self) -> WireStatistics {
        let lost = self.backend.lost();
        WireStatistics { lost_frames: lost.transmitted, overrun_frames: lost.received, ..self.statistics }
    }

    fn time(&self, cycle: u64) -> Duration {
        Duration::from_nanos((u128::from(cycle) * 1_000_000_000 / u128::from(self.clock_hz)) as u64)
    }
}

impl DeviceSide for NetPort {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        self.ports = Some(NetPorts::connect(endpoint, self.bytes_per_second / self.clock_hz as f64)?);
        Ok(())
    }

    fn packet(&mut self, packet: DevicePacket, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        if let Some((frame, error)) = self.ports()?.sent(&packet) {
            if error {
                self.statistics.spoilt_frames += 1;
                return Ok(());
            }
            self.statistics.transmitted_frames += 1;
            self.statistics.transmitted_bytes += frame.len() as u64;
            self.backend.transmit(self.time(packet.last_cycle), &frame);
        }
        Ok(())
    }

    /// Hands over what has come by wire until now, and the state of the link.
    fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = self.ports()?;
        let now = endpoint.cycle();
        self.full = None;
        loop {
            if ports.bytes_queued(endpoint)? >= QUEUED {
                self.full = Some(now);
                break;
            }
            let Some(frame) = self.backend.receive(self.time(now)) else { break };
            self.statistics.received_frames += 1;
            self.statistics.received_bytes += frame.len() as u64;
            if !frame.is_empty() {
                ports.frame(endpoint, now, &frame, false)?;
            }
        }
        let link_up = self.backend.link_up();
        if self.link_up != Some(link_up) {
            self.link_up = Some(link_up);
            ports.show(endpoint, self.mac, link_up);
        }
        Ok(())
    }

    /// When the backend has something to do by itself, or there may be room again.
    fn deadline(&self) -> Option<u64> {
        let cycles = |time: Duration| (time.as_nanos() * u128::from(self.clock_hz)).div_ceil(1_000_000_000) as u64;
        match self.full {
            Some(at) => Some(at + FULL),
            None => self.backend.deadline().map(cycles),
        }
    }

    /// Readable when something comes from outside for which there is room.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.backend.as_fd().filter(|_| self.full.is_none())
    }

    fn control(&mut self, command: &Command, _endpoint: &mut Endpoint) -> Result<(), Refusal> {
        let Command::Link { state } = command else { return Err(Refusal::OtherDevice) };
        let missing = "there is no plug in its wire that could be moved";
        let switch = self.switch.as_ref().ok_or_else(|| Refusal::Because(missing.into()))?;
        // It is shown by the next poll, which follows.
        switch.set(*state == Plug::Up);
        Ok(())
    }

    fn state(&self) -> Map<String, Value> {
        let mac = self.mac.map(|byte| format!("{byte:02x}")).join(":");
        let link = if self.backend.link_up() { Plug::Up } else { Plug::Down };
        [("link".to_string(), json!(link)), ("mac".to_string(), json!(mac))].into_iter().collect()
    }

    fn finish(&mut self) -> Result<(), SideError> {
        Ok(self.backend.finish()?)
    }

    fn statistics(&self) -> Map<String, Value> {
        [("wire".to_string(), json!(NetPort::statistics(self)))].into_iter().collect()
    }
}
