//! Verilated models: build, load, run.
//!
//! [`Library`] turns Verilog into a shared library and caches it. [`Model`] runs one instance of it: the cycle loop is
//! C++ and goes on until a packet leaves the model, a deadline, or quiescence, so that Rust sees batches of packets, not
//! cycles. What the model's ports mean is known here only as streams and levels; [`Endpoint`] gives the ports of an
//! endpoint's link their names, which carry raw TLPs or are those of a vendor's block, and a [`DeviceSide`] to all others.
use cxx::UniquePtr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

mod bridge;
mod build;
mod device_side;
mod endpoint;
mod error;
mod foreign;
mod hard_ip_link;
mod interface;
mod library;
mod raw_link;
mod state_ports;
mod store;

pub use bridge::ffi::Stop;
pub use device_side::{AsAny, DevicePacket, DeviceSide, Discarded, HostMemory, SideError};
pub use endpoint::{Endpoint, EndpointOptions, Stall, Transmitted};
pub use error::ModelError;
pub use foreign::ForeignSources;
pub use interface::{Interface, TlpPorts};
pub use library::{cache_folder, BuildStep, Library, Progress, Sources};
pub use state_ports::StateAccess;

use bridge::ffi;

/// Which way a stream goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the model.
    Input,
    /// Out of the model.
    Output,
}

/// Which ports a stream has besides `NAME_valid` and `NAME_ready`.
///
/// A packet crosses as 32-bit words: the payload of its beats (`NAME_data`), its length in bytes where `NAME_keep` has a
/// bit per byte, then the side ports, as they are in the last beat of a packet that leaves, and in every beat of one
/// that enters.
#[derive(Copy, Clone, Debug, Default)]
pub struct StreamShape<'a> {
    /// Has `NAME_data`.
    pub data: bool,
    /// Has `NAME_keep`, a bit per 32 bits of data or a bit per byte.
    pub keep: bool,
    /// Has `NAME_last`; without it every beat that leaves is a packet.
    pub last: bool,
    /// Other ports, by the end of their names; "" is a port that is called as the stream.
    pub side: &'a [&'a str],
    /// An AXI4-Stream whose ports are called `NAME_tdata`, `NAME_tkeep`, `NAME_tlast`, `NAME_tuser`: a packet is these
    /// four of each beat, one behind the other. One that enters is any number of beats.
    pub beats: bool,
}

/// A stream of a model, of which it is told apart from those of other models.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    model: u64,
    number: u32,
}

/// An input of at most 64 bits, set outside the clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InputLevel {
    model: u64,
    port: usize,
}

/// A port of at most 64 bits, read outside the clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Level {
    model: u64,
    port: usize,
}

/// A packet that left the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The stream it left by.
    pub stream: Stream,
    /// The cycle in which its first beat moved.
    pub first_cycle: u64,
    /// The cycle in which its last beat moved.
    pub last_cycle: u64,
    /// Payload and side ports; see [`StreamShape`].
    pub words: &'a [u32],
}

/// How fast the model ran alone.
#[derive(Copy, Clone, Debug)]
pub struct BareRun {
    /// Clock cycles.
    pub cycles: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// A port of the model, in the order in which samples hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortLayout {
    /// Its name.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Bytes in a sample, least significant first.
    pub bytes: usize,
    /// Into the model.
    pub input: bool,
}

/// One instance of a Verilated model.
pub struct Model {
    inner: UniquePtr<ffi::Model>,
    /// Told apart from all others of this process.
    id: u64,
    ports: Vec<PortLayout>,
    /// What inputs were set to last.
    levels: BTreeMap<usize, u64>,
}

fn layout(ports: Vec<ffi::PortName>) -> Vec<PortLayout> {
    let layout = |port: ffi::PortName| PortLayout {
        name: port.name,
        width: port.width as usize,
        bytes: port.bytes as usize,
        input: port.input,
    };
    ports.into_iter().map(layout).collect()
}

/// Why ports that were looked up in this model cannot be refused.
const LOOKED_UP: &str = "width and direction of the port were looked at before";

impl Model {
    /// Loads an instance. The seed decides what registers without reset start with (0: all zero) and when streams
    /// stand still at random.
    pub fn load(library: &Library, seed: u64) -> Result<Self, ModelError> {
        static MODELS: AtomicU64 = AtomicU64::new(0);
        let interface = library.interface();
        let clocking = ffi::Clocking {
            clock: interface.clock.clone(),
            reset: interface.reset.clone(),
            reset_low: interface.reset_low,
            busy: interface.busy.clone().unwrap_or_default(),
        };
        let inner = ffi::load(&library.path().to_string_lossy(), seed, &clocking)?;
        let ports = layout(inner.ports());
        Ok(Model { inner, id: MODELS.fetch_add(1, Ordering::Relaxed), ports, levels: BTreeMap::new() })
    }

    /// All ports of the top module.
    pub fn ports(&self) -> &[PortLayout] {
        &self.ports
    }

    /// Takes charge of a stream's ports.
    pub fn add_stream(&mut self, name: &str, direction: Direction, shape: StreamShape) -> Result<Stream, ModelError> {
        let axi = if shape.beats { "t" } else { "" };
        let port = |end: &str| format!("{name}_{axi}{end}");
        let there = |is: bool, end: &str| if is || shape.beats { port(end) } else { String::new() };
        let side = shape.side.iter().map(|side| match side.is_empty() {
            true => name.to_string(),
            false => port(side),
        });
        let names = ffi::StreamNames {
            name: name.into(),
            input: direction == Direction::Input,
            valid: port("valid"),
            ready: port("ready"),
            data: there(shape.data, "data"),
            keep: there(shape.keep, "keep"),
            last: there(shape.last, "last"),
            beats: shape.beats,
            side: if shape.beats { vec![port("user")] } else { side.collect() },
        };
        self.add_named_stream(names)
    }

    /// Takes charge of a stream whose ports have any names.
    fn add_named_stream(&mut self, names: ffi::StreamNames) -> Result<Stream, ModelError> {
        Ok(Stream { model: self.id, number: self.inner.pin_mut().add_stream(&names)? })
    }

    /// Limits a stream to a link's rate: bytes per cycle, of which every packet takes `framing` besides its own.
    pub fn set_pace(&mut self, stream: Stream, bytes_per_cycle: f64, framing: u32) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        let fixed = (bytes_per_cycle * 65536.0).round() as u64;
        Ok(self.inner.pin_mut().set_pace(number, fixed, framing)?)
    }

    /// Says where the upper half of the address is in the packets of an output stream: where it is zero, the header on the link is a
    /// double word shorter than on the stream.
    pub fn set_upper_address(&mut self, stream: Stream, word: u32) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().set_upper_address(number, word)?)
    }

    /// Lets a stream stand still at random, in `share` of 256 cycles.
    pub fn set_stall(&mut self, stream: Stream, share: u8) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().set_stall(number, share.into())?)
    }

    /// Lets nothing move on a stream while it is held, whatever its stall, which it has again afterwards.
    pub fn set_held(&mut self, stream: Stream, held: bool) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().set_held(number, held)?)
    }

    /// Lets a run go on for some cycles behind a packet that left by this stream, because nothing can answer it
    /// earlier. 0 unless set.
    pub fn set_lookahead(&mut self, stream: Stream, cycles: u64) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().set_lookahead(number, cycles)?)
    }

    /// Lets packets that leave by this stream and are longer than so many words come in parts: each a packet of the stream
    /// that is returned, and at last one of this stream with the rest and the side ports.
    pub fn set_part(&mut self, stream: Stream, words: usize) -> Result<Stream, ModelError> {
        let number = self.number(stream)?;
        Ok(Stream { model: self.id, number: self.inner.pin_mut().set_part(number, words as u64)? })
    }

    /// Makes a packet of no words of each one queued for the model that has moved while fewer than `words` words are left
    /// queued: whoever has more to send hears of it in time. A run stops behind it. 0: no longer.
    pub fn set_low_water(&mut self, stream: Stream, words: usize) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().set_low_water(number, words as u64)?)
    }

    /// Words of the packets queued for the model that have not moved as a whole.
    pub fn queued(&mut self, stream: Stream) -> Result<usize, ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().queued(number)? as usize)
    }

    /// Takes back the packets queued for the model that have not moved as a whole.
    pub fn take_back(&mut self, stream: Stream) -> Result<Vec<Vec<u32>>, ModelError> {
        let number = self.number(stream)?;
        let taken = self.inner.pin_mut().take_back(number)?;
        let (mut packets, mut rest) = (Vec::new(), &taken[..]);
        while let [count, behind @ ..] = rest {
            let (packet, behind) = behind.split_at(*count as usize);
            packets.push(packet.to_vec());
            rest = behind;
        }
        Ok(packets)
    }

    /// Lets two streams out of the model take turns on one link.
    pub fn share_link(&mut self, stream: Stream, with: Stream) -> Result<(), ModelError> {
        let (stream, with) = (self.number(stream)?, self.number(with)?);
        Ok(self.inner.pin_mut().share_link(stream, with)?)
    }

    /// Queues a packet for the model; its first beat is offered in cycle `not_before` at the earliest, behind what was
    /// queued before.
    pub fn send(&mut self, stream: Stream, not_before: u64, words: &[u32]) -> Result<(), ModelError> {
        let number = self.number(stream)?;
        Ok(self.inner.pin_mut().send(number, not_before, words)?)
    }

    /// The number of a stream of this model.
    fn number(&self, stream: Stream) -> Result<u32, ModelError> {
        match stream.model == self.id {
            true => Ok(stream.number),
            false => Err(ModelError::Unfit("the stream is one of another model".into())),
        }
    }

    /// The number of a port of this model.
    fn port(&self, model: u64, port: usize) -> usize {
        assert_eq!(model, self.id, "the port is one of another model");
        port
    }

    fn find(&self, name: &str, suits: impl Fn(&PortLayout) -> bool, what: &str) -> Result<usize, ModelError> {
        let found = self.ports.iter().position(|port| port.name == name && suits(port));
        found.ok_or_else(|| ModelError::Unfit(format!("the model has no {what} {name} of at most 64 bits")))
    }

    /// Finds a port of at most 64 bits.
    pub fn level(&self, name: &str) -> Result<Level, ModelError> {
        Ok(Level { model: self.id, port: self.find(name, |port| port.width <= 64, "port")? })
    }

    /// Finds an input of at most 64 bits.
    pub fn input_level(&self, name: &str) -> Result<InputLevel, ModelError> {
        Ok(InputLevel { model: self.id, port: self.find(name, |port| port.width <= 64 && port.input, "input")? })
    }

    /// Sets an input, from the next cycle on.
    ///
    /// # Panics
    /// When the input is one of another model.
    pub fn set(&mut self, level: InputLevel, value: u64) {
        let port = self.port(level.model, level.port);
        self.levels.insert(port, value);
        self.inner.pin_mut().set_level(port, value).expect(LOOKED_UP);
    }

    /// Sets the inputs as they were last set in another model, where it has them.
    pub fn set_as(&mut self, other: &Model) {
        for (port, value) in &other.levels {
            if let Ok(level) = self.input_level(&other.ports[*port].name) {
                self.set(level, *value);
            }
        }
    }

    /// Sets an input in cycle `cycle`, at once if that is past. Of two settings in one cycle the later call counts.
    ///
    /// # Panics
    /// When the input is one of another model.
    pub fn set_at(&mut self, level: InputLevel, cycle: u64, value: u64) {
        let port = self.port(level.model, level.port);
        self.inner.pin_mut().set_level_at(port, cycle, value).expect(LOOKED_UP);
    }

    /// Makes each change of a port of at most 32 bits a packet of one word, beginning with the first value after a
    /// reset. A run stops behind it.
    ///
    /// # Panics
    /// When the port is one of another model.
    pub fn watch(&mut self, level: Level) -> Result<Stream, ModelError> {
        let port = self.port(level.model, level.port);
        Ok(Stream { model: self.id, number: self.inner.pin_mut().watch(port)? })
    }

    /// Reads a port as it is between two cycles.
    ///
    /// # Panics
    /// When the port is one of another model.
    pub fn get(&self, level: Level) -> u64 {
        self.inner.level(self.port(level.model, level.port)).expect(LOOKED_UP)
    }

    /// Holds `reset` for some cycles. What is queued for the model, on its ports or not yet drained is forgotten.
    pub fn reset(&mut self, cycles: u32) {
        self.inner.pin_mut().reset(cycles);
    }

    /// Runs until `deadline`, until a packet has left and its stream's lookahead has passed, or until the model rests
    /// and nothing is queued for it but what it does not take; what it offers on a stream that is held keeps it from no rest.
    /// While it rests with something queued for later, time jumps there. Fails when the RTL has stopped: by `$stop`, `$fatal`,
    /// `$finish` or an assertion, which what is generated here has none of.
    pub fn run(&mut self, deadline: u64) -> Result<Stop, ModelError> {
        self.inner.pin_mut().run(deadline).map_err(|stopped| ModelError::Stopped(stopped.what().into()))
    }

    /// The current cycle.
    pub fn cycle(&self) -> u64 {
        self.inner.cycle()
    }

    /// Cycles in which the clock ran.
    pub fn clocked(&self) -> u64 {
        self.inner.clocked()
    }

    /// Lets time pass with the clock stopped; only after [`Stop::Quiescent`].
    pub fn skip_to(&mut self, cycle: u64) {
        self.inner.pin_mut().skip_to(cycle);
    }

    /// Hands over the packets that left since the last time, in the order in which their last beats moved.
    pub fn drain(&mut self, mut each: impl FnMut(Packet)) {
        let mut words = self.inner.events();
        while let [stream, count, first_low, first_high, last_low, last_high, rest @ ..] = words {
            let (packet, behind) = rest.split_at(*count as usize);
            each(Packet {
                stream: Stream { model: self.id, number: *stream },
                first_cycle: u64::from(*first_low) | u64::from(*first_high) << 32,
                last_cycle: u64::from(*last_low) | u64::from(*last_high) << 32,
                words: packet,
            });
            words = behind;
        }
        self.inner.pin_mut().clear_events();
    }

    /// Samples all ports in the cycles `from..to`, for [`Model::drain_samples`].
    pub fn sample(&mut self, from: u64, to: u64) {
        self.inner.pin_mut().sample(from, to);
    }

    /// Hands over the samples taken since the last time: the cycle, and the ports' values one behind the other as
    /// [`Model::ports`] lays them out.
    pub fn drain_samples(&mut self, mut each: impl FnMut(u64, &[u8])) {
        let size = 8 + self.ports.iter().map(|port| port.bytes).sum::<usize>();
        for sample in self.inner.samples().chunks_exact(size) {
            let (cycle, values) = sample.split_at(8);
            each(u64::from_le_bytes(cycle.try_into().unwrap_or_default()), values);
        }
        self.inner.pin_mut().clear_samples();
    }

    /// Keeps every cycle's inputs from here on. Begin before the first cycle to replay from reset.
    pub fn record(&mut self) {
        self.inner.pin_mut().record();
    }

    /// Runs a fresh instance on the recorded inputs, and nothing else.
    pub fn replay(&self) -> Result<BareRun, ModelError> {
        let run = self.inner.replay()?;
        Ok(BareRun { cycles: run.cycles, seconds: run.seconds })
    }

    /// The same, slower: whether every output has the recorded value in every cycle.
    pub fn replay_matches(&self) -> Result<bool, ModelError> {
        Ok(self.inner.replay_matches()?)
    }
}
