//! An endpoint: its link, raw or behind hard IP, and its device side.
use super::device_side::{DevicePacket, DeviceSide};
use super::hard_ip_link::HardIpLink;
use super::raw_link::RawLink;
use super::state_ports::{StateAccess, StatePorts};
use super::{BareRun, Direction, Level, Library, Model, ModelError, Packet, PortLayout, Stop, Stream, StreamShape};
use crate::link::hard_ip::Sent;
use crate::link::FunctionId;
use std::collections::VecDeque;

/// Bytes of framing, sequence number and LCRC that the link adds to each TLP.
pub(super) const LINK_FRAMING: u32 = 8;
/// Most cycles of an access of the state window.
const STATE_CYCLES: u64 = 1000;
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

/// How the endpoint is attached to its link.
enum Attachment {
    Raw(RawLink),
    HardIp(Box<HardIpLink>),
}

/// An instance of an endpoint: a link of TLPs, through hard IP where the model is made for it, and the streams that a
/// [`DeviceSide`] has added.
pub struct Endpoint {
    model: Model,
    link: Attachment,
    transmit_held: bool,
    device_inputs: Vec<Stream>,
    device_outputs: Vec<Stream>,
    // a user's own model may have none
    queue_violation: Option<Level>,
    // nor this
    state: Option<StatePorts>,
    transmitted: VecDeque<Transmitted>,
    device_packets: VecDeque<DevicePacket>,
}

impl Endpoint {
    /// Loads the model, connects what stands at its device side, and resets it.
    pub fn load(library: &Library, options: &EndpointOptions, side: &mut dyn DeviceSide) -> Result<Self, ModelError> {
        Self::start(Model::load(library, options.seed)?, library, options, side)
    }

    /// The same, with all inputs recorded for [`Endpoint::replay`].
    pub fn load_recorded(
        library: &Library,
        options: &EndpointOptions,
        side: &mut dyn DeviceSide,
    ) -> Result<Self, ModelError> {
        let mut model = Model::load(library, options.seed)?;
        model.record();
        Self::start(model, library, options, side)
    }

    fn start(
        mut model: Model,
        library: &Library,
        options: &EndpointOptions,
        side: &mut dyn DeviceSide,
    ) -> Result<Self, ModelError> {
        let family = HardIpLink::family(&model).filter(|_| !library.is_foreign());
        let link = match (family, library.function()) {
            (None, _) => Attachment::Raw(RawLink::find(&mut model, library.interface(), options.link_bytes_per_cycle)?),
            (Some(family), Some(function)) => {
                let link = HardIpLink::find(&mut model, family, function.clone(), options)?;
                Attachment::HardIp(Box::new(link))
            }
            (Some(_), None) => {
                let missing = "it is made for hard IP, and nobody says what the block's config space shows";
                return Err(ModelError::Unfit(missing.into()));
            }
        };
        let queue_violation = model.level("queue_violation").ok();
        let state = StatePorts::find(&model).ok();
        let mut endpoint = Endpoint {
            model,
            link,
            transmit_held: false,
            device_inputs: Vec::new(),
            device_outputs: Vec::new(),
            queue_violation,
            state,
            transmitted: VecDeque::new(),
            device_packets: VecDeque::new(),
        };
        side.connect(&mut endpoint)?;
        endpoint.model.reset(RESET_CYCLES);
        endpoint.set_stall(options.stall)?;
        Ok(endpoint)
    }

    /// Takes charge of a stream of the device side: what leaves by it goes to the side. See [`Model::add_stream`].
    pub fn add_stream(&mut self, name: &str, direction: Direction, shape: StreamShape) -> Result<Stream, ModelError> {
        let stream = self.model.add_stream(name, direction, shape)?;
        match direction {
            Direction::Input => self.device_inputs.push(stream),
            Direction::Output => self.device_outputs.push(stream),
        }
        Ok(stream)
    }

    /// The model, for a device side: to send by its streams, to set and read its levels. Whoever runs, resets or drains it
    /// here takes from the link what is the link's.
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Changes the random standstill of the streams.
    pub fn set_stall(&mut self, stall: Stall) -> Result<(), ModelError> {
        match &mut self.link {
            Attachment::Raw(link) => {
                self.model.set_stall(link.receive, stall.receive)?;
                self.model.set_stall(link.transmit, stall.transmit)?;
            }
            Attachment::HardIp(link) => {
                link.set_hesitant(stall.receive != 0 || stall.transmit != 0);
                link.inputs().try_for_each(|stream| self.model.set_stall(stream, stall.receive))?;
                link.outputs().try_for_each(|stream| self.model.set_stall(stream, stall.transmit))?;
            }
        }
        for stream in self.device_inputs.iter().chain(&self.device_outputs) {
            self.model.set_stall(*stream, stall.device)?;
        }
        Ok(())
    }

    /// Whether the link takes nothing from the endpoint for want of credits.
    pub fn set_transmit_held(&mut self, held: bool) -> Result<(), ModelError> {
        if held == self.transmit_held {
            return Ok(());
        }
        self.transmit_held = held;
        match &mut self.link {
            Attachment::Raw(link) => self.model.set_held(link.transmit, held),
            Attachment::HardIp(link) => {
                link.outputs().try_for_each(|stream| self.model.set_held(stream, held))?;
                link.set_held(&self.model, held);
                Ok(())
            }
        }
    }

    /// Whether the device side takes nothing from the endpoint.
    pub fn set_device_held(&mut self, held: bool) -> Result<(), ModelError> {
        self.device_outputs.iter().try_for_each(|stream| self.model.set_held(*stream, held))
    }

    /// A conventional reset: the endpoint begins anew, and all that is on its way to or from it is lost.
    pub fn reset(&mut self) {
        self.model.reset(RESET_CYCLES);
        self.transmitted.clear();
        self.device_packets.clear();
        if let Attachment::HardIp(link) = &mut self.link {
            link.reset(&mut self.model);
        }
    }

    /// Queues a TLP for the endpoint; its first beat comes in cycle `not_before` at the earliest.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ModelError> {
        match &mut self.link {
            Attachment::Raw(link) => link.send(&mut self.model, not_before, dwords),
            Attachment::HardIp(link) => link.receive(not_before, dwords),
        }
    }

    /// Whether the link has credit for read requests.
    pub fn set_nonposted_ready(&mut self, ready: bool) {
        match &mut self.link {
            Attachment::Raw(link) => {
                if let Some(level) = link.nonposted_ready {
                    self.model.set(level, ready.into());
                }
            }
            Attachment::HardIp(link) => link.set_nonposted_ready(&self.model, ready),
        }
    }

    /// The endpoint may run on for `link` cycles behind a TLP that it sent, and for `device` cycles behind what it sent
    /// on the device side: no answer comes earlier. 0 unless set.
    pub fn set_lookahead(&mut self, link: u64, device: u64) -> Result<(), ModelError> {
        match &mut self.link {
            Attachment::Raw(raw) => self.model.set_lookahead(raw.transmit, link)?,
            Attachment::HardIp(ip) => ip.set_lookahead(link, device),
        }
        for stream in &self.device_outputs {
            self.model.set_lookahead(*stream, device)?;
        }
        Ok(())
    }

    /// Runs; see [`Model::run`]. Afterwards take what left with [`Endpoint::take_transmitted`] and
    /// [`Endpoint::take_device_packet`]. Fails when the endpoint breaks a rule of the hard IP that it is attached to, or when its
    /// RTL has stopped.
    pub fn run(&mut self, deadline: u64) -> Result<Stop, ModelError> {
        let (transmitted, device_packets) = (&mut self.transmitted, &mut self.device_packets);
        let mut device = |packet: &Packet| {
            let Packet { stream, first_cycle, last_cycle, words } = *packet;
            device_packets.push_back(DevicePacket { stream, first_cycle, last_cycle, words: words.to_vec() });
        };
        let link = match &mut self.link {
            Attachment::Raw(link) => link,
            Attachment::HardIp(link) => {
                let mut sent = |Sent { first_cycle, last_cycle, dwords }| {
                    transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords });
                };
                return link.run(&mut self.model, deadline, &mut sent, &mut device);
            }
        };
        let stop = self.model.run(deadline)?;
        self.model.drain(|packet @ Packet { stream, first_cycle, last_cycle, words }| match stream == link.transmit {
            true => {
                let dwords = link.dwords(words).to_vec();
                transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords });
            }
            false => device(&packet),
        });
        Ok(stop)
    }

    /// Runs as [`run`](Self::run) does; where the endpoint comes to rest the rest of the time passes with the clock stopped.
    pub fn pass(&mut self, deadline: u64) -> Result<(), ModelError> {
        if self.run(deadline)? == Stop::Quiescent {
            self.skip_to(deadline);
        }
        Ok(())
    }

    /// The next TLP that the endpoint sent.
    pub fn take_transmitted(&mut self) -> Option<Transmitted> {
        self.transmitted.pop_front()
    }

    /// The next packet for the device side.
    pub fn take_device_packet(&mut self) -> Option<DevicePacket> {
        self.device_packets.pop_front()
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

    /// What the endpoint says of the first queue that stopped since its reset: rule in bits 7:0, queue in bits 15:8, head
    /// descriptor in bits 31:16; 0 while all go on.
    pub fn queue_violation(&self) -> u32 {
        self.queue_violation.map_or(0, |level| self.model.get(level) as u32)
    }

    /// Whether it says so: then it is an endpoint of virtio.
    pub fn has_queues(&self) -> bool {
        self.queue_violation.is_some()
    }

    /// An access of the state window.
    pub fn state_access(&mut self, access: StateAccess) -> Result<u32, ModelError> {
        let ports = self.state.take().ok_or(ModelError::NoStateWindow)?;
        let result = self.held_access(&ports, access);
        self.state = Some(ports);
        result
    }

    fn held_access(&mut self, ports: &StatePorts, access: StateAccess) -> Result<u32, ModelError> {
        let end = self.cycle() + STATE_CYCLES;
        ports.drive(&mut self.model, Some(access));
        self.run_until(ports, 1, end)?;
        let value = self.model.get(ports.read_data) as u32;
        ports.drive(&mut self.model, None);
        self.run_until(ports, 0, end)?;
        Ok(value)
    }

    fn run_until(&mut self, ports: &StatePorts, done: u64, end: u64) -> Result<(), ModelError> {
        while self.model.get(ports.done) != done {
            if self.cycle() >= end {
                let told = format!("its state window does not answer within {STATE_CYCLES} cycles");
                return Err(ModelError::Unfit(told));
            }
            self.pass(self.cycle() + 2)?;
        }
        Ok(())
    }

    /// Whether requests of the host are queued for it.
    pub fn has_requests(&mut self) -> Result<bool, ModelError> {
        match &self.link {
            Attachment::Raw(link) => Ok(self.model.queued(link.receive)? > 0),
            Attachment::HardIp(link) => {
                link.inputs().try_fold(false, |any, input| Ok(any | (self.model.queued(input)? > 0)))
            }
        }
    }

    /// The function's number and config space, where that is a hard block's.
    pub fn hard_ip_config(&self) -> Option<(FunctionId, Vec<u32>)> {
        match &self.link {
            Attachment::Raw(_) => None,
            Attachment::HardIp(link) => Some(link.config()),
        }
    }

    /// Lets a hard block have these registers.
    pub fn set_hard_ip_config(&mut self, id: FunctionId, words: &[u32]) {
        if let Attachment::HardIp(link) = &mut self.link {
            link.set_config(&self.model, id, words);
        }
    }

    /// Takes back what is queued for it on the device side, stream by stream.
    pub fn take_back(&mut self) -> Result<Vec<Vec<Vec<u32>>>, ModelError> {
        self.device_inputs.iter().map(|stream| self.model.take_back(*stream)).collect()
    }

    /// Shows it what is shown to another one.
    pub fn show_as(&mut self, other: &Endpoint) {
        self.model.set_as(&other.model);
    }

    /// Queues again what was taken back, from this endpoint or from another one with the same device side.
    pub fn give_again(&mut self, packets: Vec<Vec<Vec<u32>>>) -> Result<(), ModelError> {
        let now = self.cycle();
        for (stream, packets) in self.device_inputs.iter().zip(packets) {
            packets.iter().try_for_each(|packet| self.model.send(*stream, now, packet))?;
        }
        Ok(())
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
