//! The ports of the raw-TLP endpoint: the link, and the device side.
use super::device_ports::{DeviceEvent, DevicePorts};
use super::{BareRun, Direction, Level, Library, Model, ModelError, Packet, PortLayout, Stop, Stream, StreamShape};
use std::collections::VecDeque;

/// Bytes of framing, sequence number and LCRC that the link adds to each TLP.
const LINK_FRAMING: u32 = 8;
/// Bytes of preamble, frame check sequence and gap that Ethernet adds to each frame.
const WIRE_FRAMING: u32 = 24;
/// Cycles for which `reset` is held.
const RESET_CYCLES: u32 = 8;

/// A TLP that the endpoint sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmitted {
    /// The cycle in which its first beat moved.
    pub first_cycle: u64,
    /// The cycle in which its last beat moved.
    pub last_cycle: u64,
    /// The packet.
    pub dwords: Vec<u32>,
}

/// How an endpoint is simulated.
#[derive(Clone, Debug, Default)]
pub struct EndpointOptions {
    /// Decides everything that is random.
    pub seed: u64,
    /// Bytes per cycle that the link carries in each direction, framing included; `None`: the full datapath.
    pub link_bytes_per_cycle: Option<f64>,
    /// Bytes per cycle that come by a network device's wire, framing included; `None`: the full datapath.
    pub wire_bytes_per_cycle: Option<f64>,
    /// Random standstill of the streams.
    pub stall: Stall,
}

/// In how many of 256 cycles each stream stands still at random.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Stall {
    /// Idle cycles between beats to the endpoint.
    pub receive: u8,
    /// Backpressure on what the endpoint sends.
    pub transmit: u8,
    /// Both, on the device side.
    pub device: u8,
}

/// An instance of the raw-TLP endpoint, and its device side: a disk's or an Ethernet port's.
pub struct Endpoint {
    model: Model,
    receive: Stream,
    transmit: Stream,
    nonposted_ready: Level,
    transmit_stall: u8,
    transmit_held: bool,
    device: DevicePorts,
    transmitted: VecDeque<Transmitted>,
    device_events: VecDeque<DeviceEvent>,
}

impl Endpoint {
    /// Loads the model and resets it.
    pub fn load(library: &Library, options: &EndpointOptions) -> Result<Self, ModelError> {
        Self::start(Model::load(library, options.seed)?, options)
    }

    /// The same, with all inputs recorded for [`Endpoint::replay`].
    pub fn load_recorded(library: &Library, options: &EndpointOptions) -> Result<Self, ModelError> {
        let mut model = Model::load(library, options.seed)?;
        model.record();
        Self::start(model, options)
    }

    fn start(mut model: Model, options: &EndpointOptions) -> Result<Self, ModelError> {
        use Direction::{Input, Output};
        let tlp = StreamShape { data: true, keep: true, last: true, side: &[] };
        let receive = model.add_stream("rx", Input, tlp)?;
        let transmit = model.add_stream("tx", Output, tlp)?;
        let device = DevicePorts::find(&mut model)?;
        if let Some(rate) = options.link_bytes_per_cycle {
            model.set_pace(receive, rate, LINK_FRAMING)?;
            model.set_pace(transmit, rate, LINK_FRAMING)?;
        }
        if let (Some(rate), Ok(ports)) = (options.wire_bytes_per_cycle, device.net()) {
            model.set_pace(ports.receive, rate, WIRE_FRAMING)?;
        }
        let nonposted_ready = model.level("tx_nonposted_ready")?;
        model.set(nonposted_ready, 1);
        model.reset(RESET_CYCLES);
        let mut endpoint = Endpoint {
            model,
            receive,
            transmit,
            nonposted_ready,
            transmit_stall: 0,
            transmit_held: false,
            device,
            transmitted: VecDeque::new(),
            device_events: VecDeque::new(),
        };
        endpoint.set_stall(options.stall)?;
        Ok(endpoint)
    }

    /// Changes the random standstill of the streams.
    pub fn set_stall(&mut self, stall: Stall) -> Result<(), ModelError> {
        self.transmit_stall = stall.transmit;
        self.transmit_held = false;
        self.model.set_stall(self.receive, stall.receive)?;
        self.model.set_stall(self.transmit, stall.transmit)?;
        for stream in self.device.streams() {
            self.model.set_stall(stream, stall.device)?;
        }
        Ok(())
    }

    /// Whether the link takes nothing from the endpoint for want of credits.
    pub fn set_transmit_held(&mut self, held: bool) -> Result<(), ModelError> {
        if held == self.transmit_held {
            return Ok(());
        }
        self.transmit_held = held;
        match held {
            true => self.model.hold(self.transmit),
            false => self.model.set_stall(self.transmit, self.transmit_stall),
        }
    }

    /// A conventional reset: the endpoint begins anew, and all that is on its way to or from it is lost.
    pub fn reset(&mut self) {
        self.model.reset(RESET_CYCLES);
        self.transmitted.clear();
        self.device_events.clear();
    }

    /// Queues a TLP for the endpoint; its first beat comes in cycle `not_before` at the earliest.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ModelError> {
        self.model.send(self.receive, not_before, dwords)
    }

    /// Answers the oldest blk command that has no answer yet.
    pub fn blk_status(&mut self, not_before: u64, status: u8) -> Result<(), ModelError> {
        let stream = self.device.blk()?.status;
        self.model.send(stream, not_before, &[status.into()])
    }

    /// Data of a blk command that was answered with status 0, padded with zeros to whole beats.
    pub fn blk_read_data(&mut self, not_before: u64, bytes: &[u8]) -> Result<(), ModelError> {
        let stream = self.device.blk()?.read;
        self.model.send(stream, not_before, &words(bytes))
    }

    /// The disk's size in 512-byte sectors, and whether it may only be read.
    pub fn set_blk_disk(&mut self, sectors: u64, read_only: bool) -> Result<(), ModelError> {
        let ports = self.device.blk()?;
        self.model.set(ports.capacity, sectors);
        self.model.set(ports.read_only, read_only.into());
        Ok(())
    }

    /// A frame from the wire, of at least one byte, without its check sequence; `error`: it was damaged on the way.
    pub fn net_frame(&mut self, not_before: u64, frame: &[u8], error: bool) -> Result<(), ModelError> {
        let stream = self.device.net()?.receive;
        let mut packet = words(frame);
        packet.extend([frame.len() as u32, error.into()]);
        self.model.send(stream, not_before, &packet)
    }

    /// The hardware address, and whether the link to the network is up.
    pub fn set_net(&mut self, mac: [u8; 6], link_up: bool) -> Result<(), ModelError> {
        let ports = self.device.net()?;
        self.model.set(ports.mac, mac.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        self.model.set(ports.link_up, link_up.into());
        Ok(())
    }

    /// Whether the link has credit for read requests.
    pub fn set_nonposted_ready(&mut self, ready: bool) {
        self.model.set(self.nonposted_ready, ready.into());
    }

    /// The endpoint may run on for `link` cycles behind a TLP that it sent, and for `device` cycles behind what it sent
    /// on the device side: no answer comes earlier. 0 unless set.
    pub fn set_lookahead(&mut self, link: u64, device: u64) -> Result<(), ModelError> {
        self.model.set_lookahead(self.transmit, link)?;
        for stream in self.device.output_streams() {
            self.model.set_lookahead(stream, device)?;
        }
        Ok(())
    }

    /// Runs; see [`Model::run`]. Afterwards take what left with [`Endpoint::take_transmitted`] and
    /// [`Endpoint::take_device_event`].
    pub fn run(&mut self, deadline: u64) -> Stop {
        let stop = self.model.run(deadline);
        let (transmit, device) = (self.transmit, &self.device);
        let (transmitted, device_events) = (&mut self.transmitted, &mut self.device_events);
        self.model.drain(|packet @ Packet { stream, first_cycle, last_cycle, words }| match stream == transmit {
            true => transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords: words.to_vec() }),
            false => device_events.extend(device.event(&packet)),
        });
        stop
    }

    /// The next TLP that the endpoint sent.
    pub fn take_transmitted(&mut self) -> Option<Transmitted> {
        self.transmitted.pop_front()
    }

    /// The next thing that happened on the device side.
    pub fn take_device_event(&mut self) -> Option<DeviceEvent> {
        self.device_events.pop_front()
    }

    /// The current cycle.
    pub fn cycle(&self) -> u64 {
        self.model.cycle()
    }

    /// Cycles in which the clock ran.
    pub fn clocked(&self) -> u64 {
        self.model.clocked()
    }

    /// Lets time pass with the clock stopped; only after [`Stop::Quiescent`].
    pub fn skip_to(&mut self, cycle: u64) {
        self.model.skip_to(cycle);
    }

    /// All ports, for traces.
    pub fn ports(&self) -> &[PortLayout] {
        self.model.ports()
    }

    /// Samples all ports in the cycles `from..to`.
    pub fn sample(&mut self, from: u64, to: u64) {
        self.model.sample(from, to);
    }

    /// Hands over the samples taken since the last time; see [`Model::drain_samples`].
    pub fn drain_samples(&mut self, each: impl FnMut(u64, &[u8])) {
        self.model.drain_samples(each);
    }

    /// Runs the bare model on the recorded inputs.
    pub fn replay(&self) -> Result<BareRun, ModelError> {
        self.model.replay()
    }

    /// Whether the bare model's outputs are those of the recorded run.
    pub fn replay_matches(&self) -> Result<bool, ModelError> {
        self.model.replay_matches()
    }
}

/// Bytes as words, the last one padded with zeros.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect()
}
