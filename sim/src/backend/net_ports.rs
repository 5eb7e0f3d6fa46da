//! The device side of a virtio-net endpoint: AXI4-Stream to the wire and from it, and the levels beside it.
use crate::model::{DevicePacket, Direction, Endpoint, InputLevel, Level, ModelError, Stream, StreamShape};

/// Bytes of preamble, frame check sequence and gap that Ethernet adds to each frame.
const WIRE_FRAMING: u32 = 24;

/// The ports of an endpoint to the wire.
#[derive(Copy, Clone, Debug)]
pub struct NetPorts {
    transmit: Stream,
    receive: Stream,
    mac: InputLevel,
    mac_current: Level,
    link_up: InputLevel,
}

impl NetPorts {
    /// Takes charge of the ports; see [`DeviceSide::connect`](crate::model::DeviceSide::connect). `bytes_per_cycle` come by the
    /// wire, framing included.
    pub fn connect(endpoint: &mut Endpoint, bytes_per_cycle: f64) -> Result<Self, ModelError> {
        let frame = StreamShape { data: true, keep: true, last: true, side: &["error"], ..StreamShape::default() };
        let ports = NetPorts {
            transmit: endpoint.add_stream("net_tx", Direction::Output, frame)?,
            receive: endpoint.add_stream("net_rx", Direction::Input, frame)?,
            mac: endpoint.model().input_level("net_mac")?,
            mac_current: endpoint.model().level("net_mac_current")?,
            link_up: endpoint.model().input_level("net_link_up")?,
        };
        endpoint.model().set_pace(ports.receive, bytes_per_cycle, WIRE_FRAMING)?;
        Ok(ports)
    }

    /// The frame that a packet is, without its check sequence, and whether it is to be spoilt on the wire.
    pub fn sent(&self, packet: &DevicePacket) -> Option<(Vec<u8>, bool)> {
        let [data @ .., length, error] = &packet.words[..] else { return None };
        if packet.stream != self.transmit {
            return None;
        }
        let mut frame: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
        frame.truncate(*length as usize);
        Some((frame, *error != 0))
    }

    /// A frame from the wire, of at least one byte, without its check sequence; `error`: it was damaged on the way.
    pub fn frame(&self, endpoint: &mut Endpoint, not_before: u64, frame: &[u8], error: bool) -> Result<(), ModelError> {
        let mut packet = super::words(frame);
        packet.extend([frame.len() as u32, error.into()]);
        endpoint.model().send(self.receive, not_before, &packet)
    }

    /// Bytes of the frames that were handed over and that the endpoint has not taken whole.
    pub fn bytes_queued(&self, endpoint: &mut Endpoint) -> Result<usize, ModelError> {
        Ok(4 * endpoint.model().queued(self.receive)?)
    }

    /// Shows the hardware address, and whether the link to the network is up.
    pub fn show(&self, endpoint: &mut Endpoint, mac: [u8; 6], link_up: bool) {
        let mac = mac.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        endpoint.model().set(self.mac, mac);
        endpoint.model().set(self.link_up, link_up.into());
    }

    /// The hardware address that the endpoint shows its MAC: the driver's, where it has written one.
    pub fn mac(&self, endpoint: &mut Endpoint) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = endpoint.model().get(self.mac_current).to_le_bytes();
        [a, b, c, d, e, f]
    }
}
