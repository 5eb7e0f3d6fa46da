//! The root complex: guest memory and the host's processor at the upper end of the link.
//!
//! Time is the device's clock cycle. The root complex is ahead of or behind the device by at most one way over the
//! link, so that who drives both need not go cycle by cycle:
//!
//! ```text
//! loop {
//!     while let Some(packet) = root.next_to_device() { device.receive(packet.not_before, &packet.dwords) }
//!     device runs to root.now() + root.min_latency_cycles()      // all that arrives until then is known
//!     root.device_sent(cycle, packet)                            // each packet it sent meanwhile
//!     if root.advance(device clock) { the host looks: completions, interrupts, and may submit at root.now() }
//! }
//! ```
use super::config::{LinkConfig, LinkConfigError, Picoseconds, LONGEST_NS};
use super::credits::{Buffer, CreditPools, TransmitCredits};
use super::errors::{Fault, Faults};
use super::host::{HostCompletion, HostRequest, HostRequestError, RequestId};
use super::read::{cut, double_words, service_time, Read};
use super::report::{Statistics, Violation};
use super::tlp::*;
use super::wire::Wire;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryMmap};

/// Memory writes to these addresses are interrupts.
pub const MESSAGE_WINDOW: Range<u64> = 0xfee0_0000..0xfef0_0000;

/// Where messages go that leave the bridge as eventfds. The window will not do: a guest that is no PC may have memory there.
pub const EVENTFD_MESSAGES: u64 = 0xffff_ffff_fee0_0000;

/// Most broken rules that are kept.
const MOST_VIOLATIONS: usize = 1000;

/// A packet for the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The first cycle in which its first beat may be at the device.
    pub not_before: u64,
    /// The packet as [`Tlp::encode`] gives it.
    pub dwords: Vec<u32>,
}

/// An interrupt from the device.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// MSI-X: a memory write to [`MESSAGE_WINDOW`].
    Message {
        /// Cycle in which it arrived.
        at: u64,
        /// Where it was written.
        address: u64,
        /// What was written.
        data: u32,
    },
    /// INTA was asserted or deasserted.
    Line {
        /// Cycle in which the message arrived.
        at: u64,
        /// The level from then on.
        asserted: bool,
    },
}

/// An access of the device to memory, as the root complex carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAccess<'a> {
    /// A read.
    Read {
        /// Cycle in which it arrived.
        at: u64,
        /// First byte.
        address: u64,
        /// How many.
        bytes: u64,
    },
    /// A write; `data` has the enabled bytes only.
    Write {
        /// Cycle in which it arrived.
        at: u64,
        /// First byte.
        address: u64,
        /// What was written.
        data: &'a [u8],
    },
}

pub(super) enum Event {
    Arrive(Tlp),
    Sample { read: u64, piece: usize },
    Depart { read: u64, piece: usize },
    Timeout(u8),
}

pub(super) struct Outstanding {
    pub id: RequestId,
    pub request: HostRequest,
    pub received: Vec<u8>,
}

type Watcher = Box<dyn FnMut(&DeviceAccess<'_>) + Send>;

/// The root complex.
pub struct RootComplex {
    config: LinkConfig,
    pub(super) memory: GuestMemoryMmap,
    rng: ChaCha8Rng,
    pub(super) now: u64,
    to_device: Wire,
    to_host: Wire,
    credits: CreditPools,
    faults: Faults,
    /// What happens when; the second part of the key keeps the order of equal times.
    pub(super) events: BTreeMap<(Picoseconds, u64), Event>,
    sequence: u64,
    reads: HashMap<u64, Read>,
    sent: HashMap<u64, u64>,
    last_departure: Picoseconds,
    scheduled: VecDeque<Scheduled>,
    pub(super) outstanding: BTreeMap<u8, Outstanding>,
    pub(super) next_tag: u8,
    next_request: u64,
    pub(super) completions: HashMap<RequestId, HostCompletion>,
    pub(super) interrupts: VecDeque<Interrupt>,
    pub(super) intx: bool,
    pub(super) messages: VecDeque<(u64, u8)>,
    watcher: Option<Watcher>,
    violations: Vec<(u64, Violation)>,
    pub(super) statistics: Statistics,
}

impl RootComplex {
    /// Requester and completer ID of the root complex.
    pub const ID: FunctionId = FunctionId::new(0, 0, 0);

    /// A root complex with this memory.
    pub fn new(config: LinkConfig, memory: GuestMemoryMmap) -> Result<Self, LinkConfigError> {
        config.check()?;
        Ok(RootComplex {
            memory,
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            now: 0,
            to_device: Wire::new(config.speed),
            to_host: Wire::new(config.speed),
            credits: CreditPools::new(&config.credits),
            faults: Faults::new(config.errors),
            events: BTreeMap::new(),
            sequence: 0,
            reads: HashMap::new(),
            sent: HashMap::new(),
            last_departure: 0,
            scheduled: VecDeque::new(),
            outstanding: BTreeMap::new(),
            next_tag: 0,
            next_request: 0,
            completions: HashMap::new(),
            interrupts: VecDeque::new(),
            intx: false,
            messages: VecDeque::new(),
            watcher: None,
            violations: Vec::new(),
            statistics: Statistics::default(),
            config,
        })
    }

    /// The link.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Guest memory.
    pub fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// The host's time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The device may run this many cycles beyond [`now`](Self::now): nothing that the root complex does from now
    /// on arrives there earlier.
    pub fn min_latency_cycles(&self) -> u64 {
        (u128::from(self.config.one_way_ns) * u128::from(self.config.clock_hz) / 1_000_000_000) as u64
    }

    /// When the root complex does something next, if nobody asks it to.
    pub fn next_event(&self) -> Option<u64> {
        self.events.first_key_value().map(|((time, _), _)| self.config.cycle_of(*time))
    }

    /// Nothing is on its way: no packet, no read of the device, no request of the host.
    pub fn is_idle(&self) -> bool {
        self.events.is_empty() && self.scheduled.is_empty() && self.outstanding.is_empty()
    }

    /// The device sent a packet, the last beat of it in cycle `at`. Cycles never decrease. A packet that breaks
    /// a rule is recorded in [`violations`](Self::violations) and served as far as it can be.
    pub fn device_sent(&mut self, at: u64, dwords: &[u32]) {
        let start = self.to_host.send(self.config.time_of(at), dwords.len());
        let arrival = start + self.config.one_way_ns * 1000;
        self.statistics.to_host_packets += 1;
        self.statistics.to_host_bytes = self.to_host.bytes;
        let tlp = match Tlp::decode(dwords) {
            Ok(tlp) => tlp,
            Err(error) => return self.violation(at, error.into()),
        };
        let payload = tlp.payload().len();
        if 4 * payload > usize::from(self.config.max_payload) {
            self.violation(at, Violation::Payload(4 * payload));
        }
        let buffer = match &tlp.kind {
            Kind::MemoryWrite { .. } | Kind::Message(_) => Buffer::Posted,
            Kind::MemoryRead { locked: false, .. } => Buffer::Nonposted,
            Kind::Completion(_) => Buffer::Completion,
            _ => return self.violation(at, Violation::Unexpected(Box::new(tlp))),
        };
        if !self.credits.take(self.config.time_of(at), buffer, payload) {
            self.violation(at, Violation::Credit);
        }
        if let Kind::MemoryRead { request, .. } = tlp.kind {
            self.begin_read(at, arrival, tlp.header, request);
        } else {
            self.credits.give(arrival + self.config.one_way_ns * 1000, buffer, payload);
            self.schedule(arrival, Event::Arrive(tlp));
        }
    }

    /// What the device may send from cycle `at` on before further credits are back. Packets reported for cycles
    /// up to `at` are accounted for.
    pub fn transmit_credits(&mut self, at: u64) -> TransmitCredits {
        self.credits.available(self.config.time_of(at))
    }

    /// Level for the endpoint's `tx_nonposted_ready` from cycle `at` on: there is room for more than `slack` reads.
    /// A device that has begun `slack` reads when the level falls may still send them.
    pub fn nonposted_ready(&mut self, at: u64, slack: u32) -> bool {
        self.transmit_credits(at).nonposted_headers > slack
    }

    /// The next packet for the device, in order of arrival.
    pub fn next_to_device(&mut self) -> Option<Scheduled> {
        self.scheduled.pop_front()
    }

    /// The host's processor makes a request at cycle `at`, not before [`now`](Self::now).
    pub fn submit(&mut self, at: u64, request: HostRequest) -> Result<RequestId, HostRequestError> {
        let tag = if request.is_posted() { 0 } else { self.free_tag()? };
        let dwords = request.tlp(Self::ID, tag, self.config.max_payload)?.encode();
        let id = RequestId(self.next_request);
        self.next_request += 1;
        if request.is_posted() {
            let status = Some(CompletionStatus::Successful);
            self.completions.insert(id, HostCompletion { at, status, data: Vec::new(), poisoned: false });
        } else {
            self.next_tag = tag.wrapping_add(1);
            self.outstanding.insert(tag, Outstanding { id, request, received: Vec::new() });
            let limit = self.config.time_of(at.max(self.now)) + self.config.completion_timeout_ns * 1000;
            self.schedule(limit, Event::Timeout(tag));
        }
        self.send(at, dwords);
        Ok(id)
    }

    /// Sends double words to the device that need not be a packet. Nothing waits for an answer.
    pub fn send(&mut self, at: u64, dwords: Vec<u32>) {
        self.depart(self.config.time_of(at.max(self.now)), dwords);
    }

    /// What became of a request, once.
    pub fn completed(&mut self, id: RequestId) -> Option<HostCompletion> {
        self.completions.remove(&id)
    }

    /// The next interrupt, in order of arrival.
    pub fn take_interrupt(&mut self) -> Option<Interrupt> {
        self.interrupts.pop_front()
    }

    /// Whether INTA is asserted.
    pub fn intx(&self) -> bool {
        self.intx
    }

    /// The next message that reports an error or answers PME_Turn_Off: when it came, and its code. The last thousand are kept.
    pub fn take_message(&mut self) -> Option<(u64, u8)> {
        self.messages.pop_front()
    }

    /// The next read of the device that touches `addresses` fails in this way.
    pub fn inject(&mut self, addresses: Range<u64>, fault: Fault) {
        self.faults.order(addresses, fault);
    }

    /// Faults that were ordered and have not struck never will.
    pub fn forget_faults(&mut self) {
        self.faults.forget();
    }

    /// Ordered faults that have not struck.
    pub fn pending_faults(&self) -> usize {
        self.faults.pending()
    }

    /// Every access of the device to memory is shown to `watcher` when it takes effect, interrupts excepted, those
    /// outside memory included.
    pub fn watch(&mut self, watcher: impl FnMut(&DeviceAccess<'_>) + Send + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Rules that the device broke, with the cycle: the first thousand; [`Statistics::violations`] counts them all.
    pub fn violations(&self) -> &[(u64, Violation)] {
        &self.violations
    }

    /// What went over the link.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Goes on to cycle `to`, or to the first cycle in which the host has something to see: a completion or an
    /// interrupt; true then. All that the device sent before `to` must have been reported.
    pub fn advance(&mut self, to: u64) -> bool {
        let (interrupts, completions) = (self.interrupts.len(), self.completions.len());
        while let Some(entry) = self.events.first_entry() {
            let time = entry.key().0;
            let cycle = self.config.cycle_of(time);
            if cycle > to {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(cycle);
            self.perform(time, event);
            if self.interrupts.len() != interrupts || self.completions.len() != completions {
                return true;
            }
        }
        self.now = self.now.max(to);
        false
    }

    fn schedule(&mut self, time: Picoseconds, event: Event) {
        self.sequence += 1;
        self.events.insert((time, self.sequence), event);
    }

    fn perform(&mut self, time: Picoseconds, event: Event) {
        match event {
            Event::Arrive(tlp) => self.arrive(tlp),
            Event::Sample { read, piece } => self.sample(read, piece),
            Event::Depart { read, piece } => self.answer(time, read, piece),
            Event::Timeout(tag) => self.finish(tag, None, false),
        }
    }

    pub(super) fn violation(&mut self, at: u64, violation: Violation) {
        self.statistics.violations += 1;
        // A device that does it in every cycle fills no memory.
        if self.violations.len() < MOST_VIOLATIONS {
            tracing::warn!(cycle = at, %violation, "the device broke a rule");
            self.violations.push((at, violation));
        }
    }

    fn depart(&mut self, time: Picoseconds, dwords: Vec<u32>) {
        let start = self.to_device.send(time, dwords.len());
        let not_before = self.config.cycle_of(start + self.config.one_way_ns * 1000);
        self.statistics.to_device_packets += 1;
        self.statistics.to_device_bytes = self.to_device.bytes;
        self.scheduled.push_back(Scheduled { not_before, dwords });
    }

    pub(super) fn watched(&mut self, access: DeviceAccess<'_>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(&access);
        }
    }

    pub(super) fn has_memory(&self, address: u64, bytes: u64) -> bool {
        self.memory.check_range(GuestAddress(address), bytes as usize)
    }
}

/// Reads of the device.
impl RootComplex {
    fn begin_read(&mut self, at: u64, arrival: Picoseconds, header: Header, request: MemoryRequest) {
        let asked = 4 * usize::from(request.length);
        if asked > usize::from(self.config.max_read_request) {
            self.violation(at, Violation::ReadRequest(asked));
        }
        // A late answer is one for which the device no longer waits: its tag is free.
        let same_tag = |read: &Read| {
            read.request.tag == request.tag
                && read.request.requester == request.requester
                && !matches!(read.fault, Some((Fault::Late(_), _)))
        };
        if self.reads.values().any(same_tag) {
            self.violation(at, Violation::TagInUse(request.tag));
        }
        let (address, bytes) = request.bytes();
        self.statistics.reads += 1;
        self.statistics.read_bytes += bytes;
        let mut pieces = cut(&self.config, &mut self.rng, address, bytes);
        let fault = self.faults.choose(address..=address.saturating_add(bytes.saturating_sub(1)), &mut self.rng);
        self.statistics.faults += u64::from(fault.is_some());
        let mut fault = fault.map(|fault| match fault {
            // Unsupported is said of a whole request.
            Fault::Unsupported | Fault::Late(_) => (fault, 0),
            _ => (fault, self.rng.random_range(0..pieces.len())),
        });
        if !self.has_memory(address, bytes) {
            self.statistics.outside_reads += 1;
            fault = Some((Fault::Unsupported, 0));
            pieces.truncate(1);
        }
        let mut service = service_time(&self.config.read_latency, &mut self.rng);
        if let Some((Fault::Late(ns), _)) = fault {
            service += ns.min(LONGEST_NS) * 1000;
        }
        let mut departure = arrival + service;
        if !self.config.reorder {
            departure = departure.max(self.last_departure);
            self.last_departure = departure;
        }
        self.credits.give(departure + self.config.one_way_ns * 1000, Buffer::Nonposted, 0);
        self.sequence += 1;
        let read = self.sequence;
        for piece in 0..pieces.len() {
            // Nothing orders the looks at memory of one read among each other.
            let look = arrival + self.rng.random_range(service / 2..=service);
            self.schedule(look, Event::Sample { read, piece });
        }
        for piece in 0..pieces.len() {
            self.schedule(departure, Event::Depart { read, piece });
        }
        self.reads.insert(read, Read { header, request, pieces, fault });
        self.sent.insert(read, at);
        self.statistics.most_reads = self.statistics.most_reads.max(self.reads.len());
    }

    fn sample(&mut self, read: u64, index: usize) {
        let Some(piece) = self.reads.get_mut(&read).map(|read| &mut read.pieces[index]) else { return };
        let (address, bytes) = (piece.address, piece.bytes);
        let mut data = vec![0; bytes as usize];
        // Memory that is not there has been found missing before: the completion says so, the data are not used.
        if self.memory.read_slice(&mut data, GuestAddress(address)).is_ok() {
            piece.sampled = double_words(address, &data);
        }
        let at = self.now;
        self.watched(DeviceAccess::Read { at, address, bytes });
    }

    fn answer(&mut self, time: Picoseconds, key: u64, index: usize) {
        let Some(read) = self.reads.get_mut(&key) else { return };
        let last = index + 1 == read.pieces.len();
        let completion = read.completion(index, Self::ID);
        if last {
            self.reads.remove(&key);
        }
        if let Some(tlp) = completion {
            self.depart(time, tlp.encode());
        }
        if last {
            let arrival = self.scheduled.back().map_or(self.now, |packet| packet.not_before);
            let sent = self.sent.remove(&key).unwrap_or(arrival);
            self.statistics.read_cycles += arrival.saturating_sub(sent);
        }
    }
}
