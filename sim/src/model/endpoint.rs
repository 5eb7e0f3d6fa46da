//! The ports of the raw-TLP endpoint: the link, and the device side of virtio-blk.
use super::{BareRun, Direction, Level, Library, Model, ModelError, Packet, PortLayout, Stop, Stream, StreamShape};
use std::collections::VecDeque;

/// Bytes of framing, sequence number and LCRC that the link adds to each TLP.
const LINK_FRAMING: u32 = 8;
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

/// What a blk command asks of the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BlkOperation {
    /// Read sectors.
    Read,
    /// Write sectors.
    Write,
    /// Make earlier writes permanent.
    Flush,
    /// Read the serial number.
    GetId,
    /// A number that is no operation.
    Unknown(u32),
}

/// A command of the endpoint to the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BlkCommand {
    /// What to do.
    pub operation: BlkOperation,
    /// First 512-byte sector.
    pub sector: u64,
    /// Bytes.
    pub length: u32,
}

/// Something that left on the device side, with the cycle in which its last beat moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A blk command.
    Command(u64, BlkCommand),
    /// The data of a blk write command, in whole beats, and whether they are to be discarded.
    WriteData(u64, Vec<u32>, bool),
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

struct BlkStreams {
    command: Stream,
    write: Stream,
    status: Stream,
    read: Stream,
    capacity: Level,
    read_only: Level,
}

/// An instance of the raw-TLP endpoint with virtio-blk behind it.
pub struct Endpoint {
    model: Model,
    receive: Stream,
    transmit: Stream,
    nonposted_ready: Level,
    transmit_stall: u8,
    transmit_held: bool,
    blk: BlkStreams,
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
        let command = StreamShape { side: &["operation", "sector", "length"], ..StreamShape::default() };
        let write = StreamShape { data: true, last: true, side: &["error"], ..StreamShape::default() };
        let status = StreamShape { side: &[""], ..StreamShape::default() };
        let read = StreamShape { data: true, ..StreamShape::default() };
        let blk = BlkStreams {
            command: model.add_stream("blk_command", Output, command)?,
            write: model.add_stream("blk_write", Output, write)?,
            status: model.add_stream("blk_status", Input, status)?,
            read: model.add_stream("blk_read", Input, read)?,
            capacity: model.level("blk_capacity")?,
            read_only: model.level("blk_read_only")?,
        };
        if let Some(rate) = options.link_bytes_per_cycle {
            model.set_pace(receive, rate, LINK_FRAMING)?;
            model.set_pace(transmit, rate, LINK_FRAMING)?;
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
            blk,
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
        for stream in [self.blk.command, self.blk.write, self.blk.status, self.blk.read] {
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
        self.model.send(self.blk.status, not_before, &[status.into()])
    }

    /// Data of a blk command that was answered with status 0, padded with zeros to whole beats.
    pub fn blk_read_data(&mut self, not_before: u64, bytes: &[u8]) -> Result<(), ModelError> {
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        self.model.send(self.blk.read, not_before, &words)
    }

    /// The disk's size in 512-byte sectors, and whether it may only be read.
    pub fn set_blk_disk(&mut self, sectors: u64, read_only: bool) {
        self.model.set(self.blk.capacity, sectors);
        self.model.set(self.blk.read_only, read_only.into());
    }

    /// Whether the link has credit for read requests.
    pub fn set_nonposted_ready(&mut self, ready: bool) {
        self.model.set(self.nonposted_ready, ready.into());
    }

    /// The endpoint may run on for `link` cycles behind a TLP that it sent, and for `device` cycles behind what it sent
    /// on the device side: no answer comes earlier. 0 unless set.
    pub fn set_lookahead(&mut self, link: u64, device: u64) -> Result<(), ModelError> {
        self.model.set_lookahead(self.transmit, link)?;
        self.model.set_lookahead(self.blk.command, device)?;
        self.model.set_lookahead(self.blk.write, device)
    }

    /// Runs; see [`Model::run`]. Afterwards take what left with [`Endpoint::take_transmitted`] and
    /// [`Endpoint::take_device_event`].
    pub fn run(&mut self, deadline: u64) -> Stop {
        let stop = self.model.run(deadline);
        let (transmit, blk) = (self.transmit, &self.blk);
        let (transmitted, device_events) = (&mut self.transmitted, &mut self.device_events);
        self.model.drain(|Packet { stream, first_cycle, last_cycle, words }| {
            if stream == transmit {
                transmitted.push_back(Transmitted { first_cycle, last_cycle, dwords: words.to_vec() });
            } else if stream == blk.command {
                device_events.extend(command(words).map(|command| DeviceEvent::Command(last_cycle, command)));
            } else if let [data @ .., error] = words {
                device_events.push_back(DeviceEvent::WriteData(last_cycle, data.to_vec(), *error != 0));
            }
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

fn command(words: &[u32]) -> Option<BlkCommand> {
    let [operation, sector_low, sector_high, length] = *words else { return None };
    let operation = match operation {
        0 => BlkOperation::Read,
        1 => BlkOperation::Write,
        2 => BlkOperation::Flush,
        3 => BlkOperation::GetId,
        other => BlkOperation::Unknown(other),
    };
    Some(BlkCommand { operation, sector: u64::from(sector_low) | u64::from(sector_high) << 32, length })
}
