//! The whole machine: the Verilated endpoint, the link and root complex, and what stands at the device side.
//!
//! Time goes on in strides. The endpoint runs until something it sent could be answered, or until something that the
//! root complex does could have reached it, whichever is first; then the root complex catches up:
//!
//! ```text
//! root complex  --+---------- now ----------+------------>     does something at its next event: E
//!                  \ one way over the link   \
//! endpoint      ----+-------- may run to E + one way, or to two ways behind the first packet it sends
//! ```
use crate::host::{Allocator, Platform, Width};
pub use crate::link::SLOT;
use crate::link::{
    Credits, FunctionId, HostCompletion, HostRequest, Interrupt, LinkConfig, RequestId, RootComplex, Statistics,
};
use crate::model::{DeviceSide, Discarded, Endpoint, EndpointOptions, HostMemory, Library, ModelError, Stall};
use crate::trace::{Trace, TraceOptions};
use std::io;
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryMmap, GuestMemoryRegion};

mod errors;
mod state;

pub use errors::MachineError;

/// Cycles of a step while credits can run out.
const STEP: u64 = 4;
/// Packets that the endpoint can begin or end in one step: at most one per cycle.
const PACKETS_IN_STEP: u32 = STEP as u32;
/// Reads that the endpoint can have in flight, and some more: with so many credits there is always one.
const MOST_READS: u32 = 40;
/// Where guest memory for DMA begins; below lies what a PC keeps for itself.
const MEMORY_START: u64 = 0x10_0000;

/// The root port forwards configuration requests to the one device behind it only.
fn is_behind_port(target: FunctionId) -> bool {
    (target.bus(), target.device()) == (SLOT.bus(), SLOT.device())
}

/// Guest memory, for a device side that gives some of it back: zeros.
struct Memory<'a>(&'a GuestMemoryMmap);

impl HostMemory for Memory<'_> {
    fn discard(&mut self, address: u64, bytes: u64) -> Discarded {
        let inside = (self.0.iter().map(|region| {
            let (start, end) = (region.start_addr().0, region.start_addr().0 + region.len());
            start.max(address)..end.min(address.saturating_add(bytes))
        }))
        .filter(|range| !range.is_empty());
        let zero = |range: std::ops::Range<u64>| {
            let bytes = (range.end - range.start) as usize;
            self.0.write_slice(&vec![0; bytes], GuestAddress(range.start)).map_or(0, |()| bytes as u64)
        };
        let given_back = inside.map(zero).sum();
        Discarded { given_back, kept: 0, outside: bytes - given_back }
    }
}

/// How the machine is built.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// The link and the root complex; its seed counts for everything random.
    pub link: LinkConfig,
    /// Random standstill of the endpoint's streams.
    pub stall: Stall,
    /// Where guest memory begins: 0, or 4 GiB and above, where the endpoint's packets have the longer header.
    pub memory_start: u64,
    /// Bytes of guest memory.
    pub memory_bytes: u64,
    /// Keeps all inputs of the model, for [`Endpoint::replay`].
    pub record: bool,
    /// What is written down.
    pub trace: TraceOptions,
}

impl Default for MachineOptions {
    fn default() -> Self {
        MachineOptions {
            link: LinkConfig::default(),
            stall: Stall::default(),
            memory_start: 0,
            memory_bytes: 256 << 20,
            record: false,
            trace: TraceOptions::default(),
        }
    }
}

/// A packet that went over the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// To the device: the first cycle in which it can have begun. To the host: the cycle in which it began.
    pub at: u64,
    /// From the device to the host.
    pub to_host: bool,
    /// The packet.
    pub dwords: Vec<u32>,
}

/// A machine with an endpoint.
pub struct Machine {
    endpoint: Endpoint,
    root: RootComplex,
    side: Box<dyn DeviceSide>,
    allocator: Allocator,
    trace: Option<Trace>,
    /// Packets since they were last taken, if somebody wants them.
    packets: Option<Vec<Passed>>,
    one_way: u64,
    /// How the endpoint is simulated.
    model: EndpointOptions,
    /// The first error of the model; everything after it counts for nothing.
    failure: Option<MachineError>,
}

impl Machine {
    /// Powers a machine on whose endpoint has this at its device side.
    pub fn new(
        library: &Library,
        mut side: Box<dyn DeviceSide>,
        options: &MachineOptions,
    ) -> Result<Self, MachineError> {
        let size = usize::try_from(options.memory_bytes).unwrap_or(usize::MAX);
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(options.memory_start), size)])
            .map_err(|error| MachineError::Memory(options.memory_bytes, error.to_string()))?;
        let model = EndpointOptions {
            seed: options.link.seed,
            link_bytes_per_cycle: Some(options.link.bytes_per_cycle()),
            stall: options.stall,
        };
        let mut endpoint = match options.record {
            true => Endpoint::load_recorded(library, &model, &mut *side)?,
            false => Endpoint::load(library, &model, &mut *side)?,
        };
        side.poll(&mut endpoint)?;
        let trace = Trace::new(&options.trace, endpoint.ports(), options.link.clock_hz)?;
        let root = RootComplex::new(options.link.clone(), memory)?;
        let one_way = root.min_latency_cycles();
        endpoint.set_lookahead(2 * one_way - 1, side.latency().saturating_sub(1))?;
        let mut machine = Machine {
            endpoint,
            root,
            side,
            allocator: Allocator::new(std::iter::once(
                options.memory_start.max(MEMORY_START)..options.memory_start + options.memory_bytes,
            )),
            trace,
            packets: None,
            one_way,
            model,
            failure: None,
        };
        let start = machine.endpoint.cycle();
        machine.root.advance(start);
        Ok(machine)
    }

    /// The root complex, to inject faults, to watch accesses, to send packets of one's own.
    pub fn root(&mut self) -> &mut RootComplex {
        &mut self.root
    }

    /// What stands at the device side, if it is of this type.
    pub fn side<S: DeviceSide>(&mut self) -> Option<&mut S> {
        self.side_and_endpoint().map(|(side, _)| side)
    }

    /// The same with the endpoint, for what the side does there at somebody else's wish.
    pub fn side_and_endpoint<S: DeviceSide>(&mut self) -> Option<(&mut S, &mut Endpoint)> {
        Some(((*self.side).as_any().downcast_mut()?, &mut self.endpoint))
    }

    /// What went over the link.
    pub fn statistics(&self) -> Statistics {
        self.root.statistics()
    }

    /// Bytes of guest memory that the host has taken and not given back.
    pub fn memory_in_use(&self) -> u64 {
        self.allocator.used()
    }

    /// Cycles in which the endpoint's clock ran.
    pub fn clocked(&self) -> u64 {
        self.endpoint.clocked()
    }

    /// The Verilated endpoint.
    pub fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// What went wrong with the machine itself, rather than in it.
    pub fn check(&mut self) -> Result<(), MachineError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The packets since the last call. The first call begins to keep them.
    pub fn take_packets(&mut self) -> Vec<Passed> {
        self.packets.replace(Vec::new()).unwrap_or_default()
    }

    /// Ends the traces. Do it once all is done.
    pub fn finish(&mut self) -> Result<(), MachineError> {
        self.check()?;
        match &mut self.trace {
            Some(trace) => Ok(trace.finish()?),
            None => Ok(()),
        }
    }

    /// Lets time go by until the host has something to see, or until cycle `deadline`. True in the first case.
    pub fn advance(&mut self, deadline: u64) -> bool {
        while self.root.now() < deadline {
            match self.stride(deadline) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the machine stops");
                    self.failure.get_or_insert(error);
                    self.root.advance(deadline);
                    return false;
                }
            }
        }
        false
    }

    fn stride(&mut self, deadline: u64) -> Result<bool, MachineError> {
        while let Some(packet) = self.root.next_to_device() {
            self.endpoint.receive(packet.not_before, &packet.dwords)?;
            if let Some(packets) = &mut self.packets {
                packets.push(Passed { at: packet.not_before, to_host: false, dwords: packet.dwords.clone() });
            }
            if let Some(trace) = &mut self.trace {
                trace.to_device(packet.not_before, &packet.dwords, &mut self.endpoint);
            }
        }
        let next = self.root.next_event().unwrap_or(u64::MAX).saturating_add(self.one_way);
        let mut end = next.max(self.root.now() + 1).min(deadline);
        if self.credits_can_run_out() {
            self.apply_credits()?;
            end = end.min(self.endpoint.cycle() + STEP);
        }
        let due = self.side.deadline();
        end = end.min(due.map_or(u64::MAX, |due| due.max(self.endpoint.cycle() + 1)));
        self.endpoint.pass(end)?;
        while let Some(packet) = self.endpoint.take_transmitted() {
            if let Some(trace) = &mut self.trace {
                trace.to_host(&packet, &mut self.endpoint);
            }
            self.root.device_sent(packet.last_cycle, &packet.dwords);
            if let Some(packets) = &mut self.packets {
                packets.push(Passed { at: packet.first_cycle, to_host: true, dwords: packet.dwords });
            }
        }
        let mut packets = false;
        while let Some(packet) = self.endpoint.take_device_packet() {
            self.side.packet(packet, &mut self.endpoint)?;
            packets = true;
        }
        if packets {
            self.side.give_back(&mut Memory(self.root.memory()), &mut self.endpoint)?;
        }
        if packets || due.is_some_and(|due| due <= self.endpoint.cycle()) {
            self.side.poll(&mut self.endpoint)?;
        }
        if let Some(trace) = &mut self.trace {
            trace.samples(&mut self.endpoint);
        }
        let to = self.endpoint.cycle().min(deadline).max(self.root.now());
        Ok(self.root.advance(to))
    }

    fn credits_can_run_out(&self) -> bool {
        let (credits, ample) = (&self.root.config().credits, Credits::default());
        credits.nonposted_headers <= MOST_READS
            || credits.posted_headers < ample.posted_headers
            || credits.posted_data < ample.posted_data
    }

    /// Tells the endpoint what it may send in the next step: reads only while there is room for all that it could
    /// begin, and nothing at all while a write that ends in this step could find no room. As writes need no answer, their
    /// credits always come back.
    fn apply_credits(&mut self) -> Result<(), ModelError> {
        let now = self.endpoint.cycle();
        self.endpoint.set_nonposted_ready(self.root.nonposted_ready(now, PACKETS_IN_STEP));
        let credits = self.root.transmit_credits(now);
        let payload = u32::from(self.root.config().max_payload) / 16;
        let room = credits.posted_headers > PACKETS_IN_STEP && credits.posted_data >= payload + PACKETS_IN_STEP;
        self.endpoint.set_transmit_held(!room)
    }

    /// Makes a request and waits for its completion.
    fn request(&mut self, request: HostRequest) -> Option<HostCompletion> {
        let id: RequestId = match self.root.submit(self.root.now(), request) {
            Ok(id) => id,
            Err(error) => {
                tracing::warn!(%error, "an access that no packet can carry");
                return None;
            }
        };
        loop {
            if let Some(completion) = self.root.completed(id) {
                return Some(completion);
            }
            // The root complex gives every request up after a while.
            self.advance(u64::MAX);
            if self.failure.is_some() {
                return None;
            }
        }
    }

    fn read(&mut self, request: HostRequest, width: Width) -> u32 {
        match self.request(request) {
            Some(HostCompletion { data, poisoned: false, .. }) if !data.is_empty() => {
                data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
            }
            _ => width.ones(),
        }
    }
}

fn bytes(width: Width, value: u32) -> Vec<u8> {
    value.to_le_bytes()[..usize::from(width.bytes())].to_vec()
}

impl Platform for Machine {
    fn config_read(&mut self, target: FunctionId, offset: u16, width: Width) -> u32 {
        if !is_behind_port(target) {
            return width.ones();
        }
        self.read(HostRequest::ConfigRead { target, offset, bytes: width.bytes() }, width)
    }

    fn config_write(&mut self, target: FunctionId, offset: u16, width: Width, value: u32) {
        if is_behind_port(target) {
            self.request(HostRequest::ConfigWrite { target, offset, data: bytes(width, value) });
        }
    }

    fn io_read(&mut self, port: u32, width: Width) -> u32 {
        self.read(HostRequest::IoRead { port, bytes: width.bytes() }, width)
    }

    fn io_write(&mut self, port: u32, width: Width, value: u32) {
        self.request(HostRequest::IoWrite { port, data: bytes(width, value) });
    }

    fn mmio_read(&mut self, address: u64, width: Width) -> u32 {
        self.read(HostRequest::MemoryRead { address, bytes: width.bytes().into() }, width)
    }

    fn mmio_write(&mut self, address: u64, width: Width, value: u32) {
        self.request(HostRequest::MemoryWrite { address, data: bytes(width, value) });
    }

    fn memory(&self) -> &GuestMemoryMmap {
        self.root.memory()
    }

    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        self.allocator.allocate(bytes, align)
    }

    fn free(&mut self, address: u64, bytes: u64) {
        self.allocator.free(address, bytes);
    }

    fn wait_interrupt(&mut self, deadline: u64) -> Option<Interrupt> {
        loop {
            while let Some(interrupt) = self.root.take_interrupt() {
                if matches!(interrupt, Interrupt::Message { .. }) {
                    return Some(interrupt);
                }
            }
            if self.root.intx() {
                return Some(Interrupt::Line { at: self.root.now(), asserted: true });
            }
            if self.failure.is_some() || (!self.advance(deadline) && self.root.now() >= deadline) {
                return None;
            }
        }
    }

    fn now(&self) -> u64 {
        self.root.now()
    }

    fn run(&mut self, cycles: u64) {
        let deadline = self.root.now() + cycles;
        while self.root.now() < deadline && self.failure.is_none() {
            self.advance(deadline);
        }
    }
}

impl From<io::Error> for MachineError {
    fn from(error: io::Error) -> Self {
        MachineError::Trace(error)
    }
}

impl From<ModelError> for MachineError {
    fn from(error: ModelError) -> Self {
        MachineError::Model(error)
    }
}
