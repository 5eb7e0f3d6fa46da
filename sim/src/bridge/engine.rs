//! The endpoint at the end of a link without delay: requests go in, and what it sends is carried out by the client.
mod state;

use super::interrupts::Interrupts;
use super::{BridgeError, Report};
use crate::control::{Command, Refusal};
use crate::link::tlp::{ASSERT_INTA, DEASSERT_INTA, ERR_COR, ERR_FATAL, ERR_NONFATAL};
use crate::link::{
    answer, Completion, CompletionStatus, Header, HostRequest, Kind, MemoryRequest, Message, RootComplex, Routing, Tlp,
};
use crate::model::{DeviceSide, Discarded, Endpoint, HostMemory, SideError, Stop, Transmitted};
use crate::trace::Trace;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use vfio_user_server::Client;
use virtio_hdl_rtl::endpoint::diagnostics::violation_in_words;

/// Every device takes payloads of this size, whatever the guest has set.
const MAX_PAYLOAD: u16 = 128;
/// Cycles between two looks at the socket.
const SLICE: u64 = 128;
/// A register access that is not answered by then is answered by nobody.
const NO_ANSWER: u64 = 1_000_000;

/// Most reads of the endpoint that are not answered: one for each tag.
const MOST_READS: usize = 256;

/// What a slice of time ended with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to do.
    Running,
    /// Only the client can make it go on.
    Resting,
}

/// A register access on its way.
struct Access {
    tag: u8,
    request: HostRequest,
    received: Vec<u8>,
    /// The end: bytes read, or `None` when the endpoint refuses.
    done: Option<Option<Vec<u8>>>,
}

/// Memory of the client's, for a device side that gives some of it back.
struct GuestMemory<'a>(&'a mut Client);

impl HostMemory for GuestMemory<'_> {
    fn discard(&mut self, address: u64, bytes: u64) -> Discarded {
        let vfio_user_server::Discarded { given_back, kept, outside } = self.0.discard(address, bytes);
        Discarded { given_back, kept, outside }
    }
}

/// The Verilated endpoint, what is at its device side, and what is on its way between it and the client.
pub(super) struct Engine {
    endpoint: Endpoint,
    side: Box<dyn DeviceSide>,
    trace: Option<Trace>,
    clock_hz: u64,
    /// Reads of the endpoint that the client has not answered, by token.
    reads: HashMap<u64, (Header, MemoryRequest)>,
    next_read: u64,
    next_tag: u8,
    access: Option<Access>,
    /// No write may leave before the client has acknowledged some.
    held: bool,
    /// When the clock stopped.
    resting_since: Option<Instant>,
    /// What the endpoint said last of a queue that has stopped.
    violation: u32,
    /// The same in words, of the last one that there was.
    last_violation: Option<String>,
    /// Interrupts of the endpoint.
    pub interrupts: Interrupts,
    /// What happened.
    pub report: Report,
}

impl Engine {
    pub fn new(endpoint: Endpoint, side: Box<dyn DeviceSide>, trace: Option<Trace>, clock_hz: u64) -> Self {
        Engine {
            endpoint,
            side,
            trace,
            clock_hz,
            reads: HashMap::new(),
            next_read: 0,
            next_tag: 0,
            access: None,
            held: false,
            resting_since: None,
            violation: 0,
            last_violation: None,
            interrupts: Interrupts::default(),
            report: Report::default(),
        }
    }

    /// A conventional reset. What the endpoint was doing is forgotten.
    pub fn reset(&mut self, client: Option<&mut Client>) {
        self.endpoint.reset();
        self.side.forget();
        self.reads.clear();
        self.interrupts.forget();
        self.resting_since = None;
        if let Some(client) = client {
            client.forget_reads();
            client.forget_writes();
        }
    }

    /// Makes what the endpoint wrote on its device side permanent.
    pub fn flush(&mut self) -> Result<(), SideError> {
        self.side.flush()
    }

    /// Tells the device side of a register that the host writes.
    pub fn host_wrote(&mut self, bar: u32, offset: u64, data: &[u8]) {
        self.side.host_wrote(bar, offset, data);
    }

    /// Gives the device side a command that is for it.
    pub fn control(&mut self, command: &Command) -> Result<(), Refusal> {
        // The clock goes on before anything moves.
        self.wake();
        self.side.control(command, &mut self.endpoint)
    }

    /// What the device side shows the endpoint.
    pub fn side_state(&self) -> Map<String, Value> {
        self.side.state()
    }

    /// What the endpoint says of a queue that has stopped; 0 while all go on.
    pub fn queue_violation(&self) -> u32 {
        self.endpoint.queue_violation()
    }

    /// The broken rule that was told last, in words.
    pub fn last_violation(&self) -> Option<&str> {
        self.last_violation.as_deref()
    }

    /// Whether the endpoint is one whose queues tell of broken rules, which makes its first BAR virtio's registers.
    pub fn has_queues(&self) -> bool {
        self.endpoint.has_queues()
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        Report {
            vectors: self.interrupts.vectors().to_vec(),
            messages_to_its: self.interrupts.to_its(),
            intx_asserted: self.interrupts.line_asserted(),
            device: self.side.statistics(),
            cycles_simulated: self.endpoint.clocked(),
            cycles_skipped: self.endpoint.cycle() - self.endpoint.clocked(),
            ..self.report.clone()
        }
    }

    /// Ends the traces.
    pub fn finish(&mut self) -> Result<(), BridgeError> {
        let traced = self.trace.as_mut().map_or(Ok(()), Trace::finish).map_err(BridgeError::Trace);
        let ended = self.side.finish().map_err(BridgeError::Recording);
        traced.and(ended)
    }

    /// Lets the endpoint work for a slice of time. Its credit for posted writes is what the client has acknowledged: without
    /// any its clock stands still, as nothing of what it sends next could leave.
    pub fn work(&mut self, client: &mut Client) -> Result<Progress, BridgeError> {
        self.held = client.is_full();
        if self.held {
            return Ok(Progress::Resting);
        }
        let before = self.report.packets_from_device;
        let stop = self.advance(client, SLICE)?;
        let sent = self.report.packets_from_device != before;
        let resting = match stop {
            Stop::Quiescent => true,
            // It may wait for its reads; what else it waits for answers at once.
            _ => !sent && client.reads_pending(),
        };
        if resting && stop == Stop::Quiescent && self.resting_since.is_none() {
            self.resting_since = Some(Instant::now());
        }
        Ok(if resting { Progress::Resting } else { Progress::Running })
    }

    /// Lets what the last access changed take effect.
    pub fn settle(&mut self, client: &mut Client) -> Result<(), BridgeError> {
        self.advance(client, SLICE)?;
        Ok(())
    }

    /// Makes a request of at most one double word and waits for its end: the bytes read, or `None` when the endpoint
    /// refuses or does not answer. A posted write is on its way then, nothing more.
    pub fn request(&mut self, client: &mut Client, request: HostRequest) -> Result<Option<Vec<u8>>, BridgeError> {
        let posted = request.is_posted();
        if !self.begin(request)? {
            return Ok(None);
        }
        let start = self.endpoint.cycle();
        while self.is_awaited(start) {
            if self.advance(client, SLICE)? == Stop::Quiescent {
                self.endpoint.skip_to(self.endpoint.cycle() + SLICE);
            }
        }
        // A completion does not overtake the writes before it.
        if !posted {
            client.push_writes();
        }
        Ok(self.access.take().and_then(|access| access.done).flatten())
    }

    /// The same before there is a client. All that the endpoint may send then is the answer.
    pub fn ask(&mut self, request: HostRequest) -> Result<Option<Vec<u8>>, BridgeError> {
        if !self.begin(request)? {
            return Ok(None);
        }
        let start = self.endpoint.cycle();
        while self.is_awaited(start) {
            self.endpoint.pass(self.endpoint.cycle() + SLICE)?;
            while let Some(packet) = self.take_transmitted() {
                match Tlp::decode(&packet.dwords) {
                    Ok(Tlp { header, kind: Kind::Completion(completion), .. }) => {
                        self.completion(completion, header.poisoned);
                    }
                    Ok(tlp) => self.violation(&format!("a packet before its configuration: {:?}", tlp.kind)),
                    Err(error) => self.violation(&error.to_string()),
                }
            }
            if let Some(trace) = &mut self.trace {
                trace.samples(&mut self.endpoint);
            }
        }
        Ok(self.access.take().and_then(|access| access.done).flatten())
    }

    /// Sends a request; false where no packet can carry it.
    fn begin(&mut self, request: HostRequest) -> Result<bool, BridgeError> {
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1);
        let Ok(tlp) = request.tlp(RootComplex::ID, tag, MAX_PAYLOAD) else { return Ok(false) };
        self.access = (!request.is_posted()).then(|| Access { tag, request, received: Vec::new(), done: None });
        self.send(&tlp)?;
        Ok(true)
    }

    /// Whether the access in progress, which began in cycle `start`, has no answer yet that may still come.
    fn is_awaited(&mut self, start: u64) -> bool {
        let Some(access) = self.access.as_ref().filter(|access| access.done.is_none()) else { return false };
        if self.endpoint.cycle() - start <= NO_ANSWER {
            return true;
        }
        tracing::warn!(request = ?access.request, "the endpoint does not answer");
        self.report.unanswered_accesses += 1;
        false
    }

    /// The next packet that the endpoint sent.
    fn take_transmitted(&mut self) -> Option<Transmitted> {
        let packet = self.endpoint.take_transmitted()?;
        if let Some(trace) = &mut self.trace {
            trace.to_host(&packet, &mut self.endpoint);
        }
        self.report.packets_from_device += 1;
        Some(packet)
    }

    /// Runs for at most `cycles` cycles, until the access in progress has its answer, or until nothing is left to do.
    pub fn advance(&mut self, client: &mut Client, cycles: u64) -> Result<Stop, BridgeError> {
        self.wake();
        let end = self.endpoint.cycle().saturating_add(cycles);
        self.side.poll(&mut self.endpoint)?;
        loop {
            while let Some((token, data)) = client.take_read() {
                let Some((header, request)) = self.reads.remove(&token) else { continue };
                self.complete(header, &request, data.ok().as_deref())?;
            }
            let stop = self.endpoint.run(end)?;
            while let Some(packet) = self.take_transmitted() {
                self.receive(client, &packet.dwords);
            }
            let mut device_packets = false;
            while let Some(packet) = self.endpoint.take_device_packet() {
                device_packets = true;
                self.side.packet(packet, &mut self.endpoint)?;
            }
            if device_packets {
                self.side.give_back(&mut GuestMemory(client), &mut self.endpoint)?;
                self.side.poll(&mut self.endpoint)?;
            }
            if let Some(trace) = &mut self.trace {
                trace.samples(&mut self.endpoint);
            }
            let answered = self.access.as_ref().is_some_and(|access| access.done.is_some());
            if stop != Stop::Event || answered || self.endpoint.cycle() >= end {
                self.look_for_violations();
                return Ok(stop);
            }
        }
    }

    /// Readable when something comes to the device side from outside.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.side.as_fd().filter(|_| !self.held)
    }

    /// When there is something to do without anybody asking for it.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.side.deadline().filter(|_| !self.held)?.saturating_sub(self.endpoint.cycle());
        let wait = u128::from(due) * 1_000_000_000 / u128::from(self.clock_hz);
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        self.resting_since.unwrap_or_else(Instant::now).checked_add(wait)
    }

    /// While nothing happened, time went on: the clock did not.
    fn wake(&mut self) {
        if let Some(since) = self.resting_since.take() {
            let cycles = since.elapsed().as_nanos().saturating_mul(u128::from(self.clock_hz)) / 1_000_000_000;
            self.endpoint.skip_to(self.endpoint.cycle().saturating_add(u64::try_from(cycles).unwrap_or(u64::MAX)));
        }
    }

    fn send(&mut self, tlp: &Tlp) -> Result<(), BridgeError> {
        // The clock goes on before the packet gets its time.
        self.wake();
        let (now, dwords) = (self.endpoint.cycle(), tlp.encode());
        self.endpoint.receive(now, &dwords)?;
        self.report.packets_to_device += 1;
        if let Some(trace) = &mut self.trace {
            trace.to_device(now, &dwords, &mut self.endpoint);
        }
        Ok(())
    }

    fn complete(&mut self, header: Header, request: &MemoryRequest, data: Option<&[u8]>) -> Result<(), BridgeError> {
        for tlp in answer(header, request, RootComplex::ID, data, MAX_PAYLOAD) {
            self.send(&tlp)?;
        }
        Ok(())
    }

    /// Carries out what the endpoint sent.
    fn receive(&mut self, client: &mut Client, dwords: &[u32]) {
        let tlp = match Tlp::decode(dwords) {
            Ok(tlp) => tlp,
            Err(error) => return self.violation(&error.to_string()),
        };
        match tlp.kind {
            Kind::MemoryRead { request, locked: false } => {
                // There are no more tags than this: whoever asks on gets no answer.
                if self.reads.len() > MOST_READS {
                    return self.violation("more reads than there are tags");
                }
                let (address, bytes) = request.bytes();
                self.next_read += 1;
                self.reads.insert(self.next_read, (tlp.header, request));
                client.dma_read(self.next_read, address, bytes as usize);
            }
            Kind::MemoryWrite { request, payload } if !tlp.header.poisoned => {
                for (address, data) in request.runs(&payload) {
                    self.interrupts.written(address, &data, client);
                }
            }
            Kind::Message(Message { code: code @ (ASSERT_INTA | DEASSERT_INTA), routing: Routing::Local, .. }) => {
                self.interrupts.line(code == ASSERT_INTA, client);
            }
            Kind::Message(Message { code: code @ (ERR_COR | ERR_NONFATAL | ERR_FATAL), .. }) => {
                let class = match code {
                    ERR_COR => "correctable",
                    ERR_NONFATAL => "non-fatal",
                    _ => "fatal",
                };
                tracing::warn!("the endpoint reports a {class} error of PCI Express");
                self.report.error_messages += 1;
            }
            Kind::Completion(completion) => self.completion(completion, tlp.header.poisoned),
            kind => self.violation(&format!("a packet that no endpoint sends: {kind:?}")),
        }
    }

    /// Says once of each queue violation what it is: the driver sees nothing but a queue that answers no more.
    fn look_for_violations(&mut self) {
        let violation = self.endpoint.queue_violation();
        if violation == std::mem::replace(&mut self.violation, violation) {
            return;
        }
        if let Some(words) = violation_in_words(violation) {
            tracing::warn!("the driver broke a rule of the ring: {words}");
            self.report.queue_violations += 1;
            self.last_violation = Some(words);
        }
    }

    fn violation(&mut self, what: &str) {
        tracing::warn!(what, "the endpoint broke a rule of PCI Express");
        self.report.violations += 1;
    }

    /// A completion of the access in progress.
    fn completion(&mut self, completion: Completion, poisoned: bool) {
        let Some(access) = self.access.as_mut().filter(|access| access.tag == completion.tag && access.done.is_none())
        else {
            return self.violation(&format!("a completion that nobody waits for: {completion:?}"));
        };
        let (offset, bytes) = access.request.read_span();
        if completion.status != CompletionStatus::Successful || poisoned {
            access.done = Some(None);
            return;
        }
        access.received.extend(completion.payload.iter().flat_map(|word| word.to_le_bytes()));
        if access.received.len() >= offset + bytes {
            access.done = Some(Some(access.received[offset..offset + bytes].to_vec()));
        }
    }
}
