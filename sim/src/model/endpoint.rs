//! An endpoint: its link, raw or behind hard IP, and its device side.
use super::device_ports::{DeviceEvent, DevicePorts};
use super::hard_ip_link::HardIpLink;
use super::raw_link::RawLink;
use super::{BareRun, Level, Library, Model, ModelError, Packet, PortLayout, Stop};
use crate::link::hard_ip::Sent;
use std::collections::VecDeque;

/// Bytes of framing, sequence number and LCRC that the link adds to each TLP.
pub(super) const LINK_FRAMING: u32 = 8;
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

/// How the endpoint is attached to its link.
enum Attachment {
    Raw(RawLink),
    HardIp(Box<HardIpLink>),
}

/// An instance of an endpoint: a link of TLPs, through hard IP where the model is made for it, and a device side, a disk's
/// or an Ethernet port's.
pub struct Endpoint {
    model: Model,
    link: Attachment,
    transmit_stall: u8,
    transmit_held: bool,
    device: DevicePorts,
    // a user's own model may have none
    queue_violation: Option<Level>,
    transmitted: VecDeque<Transmitted>,
    device_events: VecDeque<DeviceEvent>,
}

impl Endpoint {
    /// Loads the model and resets it.
    pub fn load(library: &Library, options: &EndpointOptions) -> Result<Self, ModelError> {
        Self::start(Model::load(library, options.seed)?, library, options)
    }

    /// The same, with all inputs recorded for [`Endpoint::replay`].
    pub fn load_recorded(library: &Library, options: &EndpointOptions) -> Result<Self, ModelError> {
        let mut model = Model::load(library, options.seed)?;
        model.record();
        Self::start(model, library, options)
    }

    fn start(mut model: Model, library: &Library, options: &EndpointOptions) -> Result<Self, ModelError> {
        let link = match (HardIpLink::family(&model), library.function()) {
            (None, _) => Attachment::Raw(RawLink::find(&mut model, options.link_bytes_per_cycle)?),
            (Some(family), Some(function)) => {
                let link = HardIpLink::find(&mut model, family, function.clone(), options)?;
                Attachment::HardIp(Box::new(link))
            }
            (Some(_), None) => {
                let missing = "it is made for hard IP, and nobody says what the block's config space shows";
                return Err(ModelError::Unfit(missing.into()));
            }
        };
        let device = DevicePorts::find(&mut model)?;
        if let (Some(rate), Ok(ports)) = (options.wire_bytes_per_cycle, device.net()) {
            model.set_pace(ports.receive, rate, WIRE_FRAMING)?;
        }
        model.reset(RESET_CYCLES);
        let queue_violation = model.level("queue_violation").ok();
        let mut endpoint = Endpoint {
            model,
            link,
            transmit_stall: 0,
            transmit_held: false,
            device,
            queue_violation,
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
        let (model, stall) = (&mut self.model, self.transmit_stall);
        let mut set = |stream| match held {
            true => model.hold(stream),
            false => model.set_stall(stream, stall),
        };
        match &mut self.link {
            Attachment::Raw(link) => set(link.transmit),
            Attachment::HardIp(link) => {
                link.outputs().try_for_each(set)?;
                link.set_held(&self.model, held);
                Ok(())
            }
        }
    }

    /// Whether the device side takes nothing from the endpoint.
    pub fn set_device_held(&mut self, held: bool) -> Result<(), ModelError> {
        for stream in self.device.output_streams() {
            match held {
                true => self.model.hold(stream)?,
                false => self.model.set_stall(stream, 0)?,
            }
        }
        Ok(())
    }

    /// A conventional reset: the endpoint begins anew, and all that is on its way to or from it is lost.
    pub fn reset(&mut self) {
        self.model.reset(RESET_CYCLES);
        self.transmitted.clear();
        self.device_events.clear();
        if let Attachment::HardIp(link) = &mut self.link {
            link.reset(&mut self.model);
        }
    }

    /// Queues a TLP for the endpoint; its first beat comes in cycle `not_before` at the earliest.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ModelError> {
        match &mut self.link {
            Attachment::Raw(link) => self.model.send(link.receive, not_before, dwords),
            Attachment::HardIp(link) => link.receive(not_before, dwords),
        }
    }

    /// Answers the blk command with this tag, in the order of the commands.
    pub fn blk_status(&mut self, not_before: u64, tag: u8, status: u8) -> Result<(), ModelError> {
        let stream = self.device.blk()?.status;
        self.model.send(stream, not_before, &[status.into(), tag.into()])
    }

    /// Data of a blk command that was answered with status 0, padded with zeros to whole beats; `last`: its last ones.
    pub fn blk_read_data(&mut self, not_before: u64, tag: u8, bytes: &[u8], last: bool) -> Result<(), ModelError> {
        let stream = self.device.blk()?.read;
        let (before, end) = bytes.split_at(if last { bytes.len().saturating_sub(1) / 16 * 16 } else { bytes.len() });
        for (bytes, last) in [(before, false), (end, true)] {
            if !bytes.is_empty() {
                let mut packet = words(bytes);
                packet.resize(packet.len().next_multiple_of(4), 0);
                packet.extend([u32::from(last), u32::from(tag)]);
                self.model.send(stream, not_before, &packet)?;
            }
        }
        Ok(())
    }

    /// Bytes of read data that the endpoint has not taken, 8 for `last` and tag of each call included.
    pub fn blk_read_queued(&mut self) -> Result<usize, ModelError> {
        let stream = self.device.blk()?.read;
        Ok(4 * self.model.queued(stream)?)
    }

    /// Asks for [`DeviceEvent::ReadWanted`] whenever read data have been taken and fewer bytes than these are left; 0: no
    /// longer.
    pub fn set_blk_read_low(&mut self, bytes: usize) -> Result<(), ModelError> {
        let stream = self.device.blk()?.read;
        self.model.set_low_water(stream, bytes / 4)
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

    /// Bytes of the frames that were handed over and that the endpoint has not taken whole.
    pub fn net_bytes_queued(&mut self) -> Result<usize, ModelError> {
        let stream = self.device.net()?.receive;
        Ok(4 * self.model.queued(stream)?)
    }

    /// The hardware address, and whether the link to the network is up.
    pub fn set_net(&mut self, mac: [u8; 6], link_up: bool) -> Result<(), ModelError> {
        let ports = self.device.net()?;
        self.model.set(ports.mac, mac.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        self.model.set(ports.link_up, link_up.into());
        Ok(())
    }

    /// The hardware address that the endpoint shows its MAC: the driver's, where it has written one.
    pub fn net_mac(&self) -> Result<[u8; 6], ModelError> {
        let [a, b, c, d, e, f, ..] = self.model.get(self.device.net()?.mac_current).to_le_bytes();
        Ok([a, b, c, d, e, f])
    }

    /// Whether the link has credit for read requests.
    pub fn set_nonposted_ready(&mut self, ready: bool) {
        match &mut self.link {
            Attachment::Raw(link) => self.model.set(link.nonposted_ready, ready.into()),
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
        for stream in self.device.output_streams() {
            self.model.set_lookahead(stream, device)?;
        }
        Ok(())
    }

    /// Runs; see [`Model::run`]. Afterwards take what left with [`Endpoint::take_transmitted`] and
    /// [`Endpoint::take_device_event`]. Fails when the endpoint breaks a rule of the hard IP that it is attached to.
    pub fn run(&mut self, deadline: u64) -> Result<Stop, ModelError> {
        let device = &self.device;
        let (transmitted, device_events) = (&mut self.transmitted, &mut self.device_events);
        let link = match &mut self.link {
            Attachment::Raw(link) => link,
            Attachment::HardIp(link) => {
                let mut sent = |Sent { first_cycle, last_cycle, dwords }| {
                    transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords });
                };
                let mut event = |packet: &Packet| device_events.extend(device.event(packet));
                return link.run(&mut self.model, deadline, &mut sent, &mut event);
            }
        };
        let stop = self.model.run(deadline);
        self.model.drain(|packet @ Packet { stream, first_cycle, last_cycle, words }| match stream == link.transmit {
            true => transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords: words.to_vec() }),
            false => device_events.extend(device.event(&packet)),
        });
        Ok(stop)
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

    /// What the endpoint says of the first queue that stopped since its reset: rule in bits 7:0, queue in bits 15:8, head
    /// descriptor in bits 31:16; 0 while all go on.
    pub fn queue_violation(&self) -> u32 {
        self.queue_violation.map_or(0, |level| self.model.get(level) as u32)
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
