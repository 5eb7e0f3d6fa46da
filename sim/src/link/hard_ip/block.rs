//! The block: what comes in at one side and goes out at the other.
use super::completer;
use super::config_space::{ConfigSpace, Effect, Hit};
use super::handshake::Handshakes;
use super::levels;
use super::reads::{error, Outcome, Reads};
use super::requester;
use super::rule::{ProtocolError, Rule};
use super::seven_series::{self, Packer, Received};
use super::transmit::{Pipeline, Sent};
use super::{Beat, BeatLayout, Family};
use crate::link::config::PACKET_OVERHEAD;
use crate::link::tlp::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, VecDeque};
use virtio_hdl_rtl::pcie::function::FunctionConfig;
use virtio_hdl_rtl::pcie::layout::COMMAND_BUS_MASTER;
use virtio_hdl_rtl::pcie::registers as status;

/// Least cycles from a packet's last beat on RQ to its sequence number.
const LEAST_SEQUENCE_DELAY: u64 = 4;
/// Cycles after which the block gives a read of the endpoint up: 50 ms at 125 MHz.
const READ_TIMEOUT: u64 = 6_250_000;
/// Cycles after a change of config space in which the endpoint may still do as before: what it has begun comes out.
const CHANGE_GRACE: u64 = 256;
/// The same while streams stand still at random.
const HESITANT_GRACE: u64 = 4096;

/// How the block is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which block.
    pub family: Family,
    /// Double words of its streams.
    pub double_words: usize,
    /// The function as the vendor's tool was told it.
    pub function: FunctionConfig,
    /// Decides everything that is random.
    pub seed: u64,
    /// Bytes per cycle that the link carries to the endpoint; `None`: the full datapath.
    pub bytes_per_cycle: Option<f64>,
    /// Takes its time at random, rather than as little as it can.
    pub hesitant: bool,
}

/// Streams to the endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ToEndpoint {
    /// 7-series: `m_axis_rx`.
    Receive,
    /// UltraScale+: `m_axis_cq`.
    CompleterRequest,
    /// UltraScale+: `m_axis_rc`.
    RequesterCompletion,
}

/// Streams from the endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FromEndpoint {
    /// 7-series: `s_axis_tx`.
    Transmit,
    /// UltraScale+: `s_axis_cc`.
    CompleterCompletion,
    /// UltraScale+: `s_axis_rq`.
    RequesterRequest,
}

impl ToEndpoint {
    /// The streams of a family, their names, and bits of `tuser`.
    pub fn of(family: Family) -> &'static [(ToEndpoint, &'static str, usize)] {
        match family {
            Family::SevenSeries => &[(ToEndpoint::Receive, "m_axis_rx", seven_series::RECEIVE_USER_BITS)],
            Family::UltraScalePlus => &[
                (ToEndpoint::CompleterRequest, "m_axis_cq", completer::REQUEST_USER_BITS),
                (ToEndpoint::RequesterCompletion, "m_axis_rc", requester::COMPLETION_USER_BITS),
            ],
        }
    }
}

impl FromEndpoint {
    /// The streams of a family, their names, and bits of `tuser`.
    pub fn of(family: Family) -> &'static [(FromEndpoint, &'static str, usize)] {
        match family {
            Family::SevenSeries => &[(FromEndpoint::Transmit, "s_axis_tx", seven_series::TRANSMIT_USER_BITS)],
            Family::UltraScalePlus => &[
                (FromEndpoint::CompleterCompletion, "s_axis_cc", completer::COMPLETION_USER_BITS),
                (FromEndpoint::RequesterRequest, "s_axis_rq", requester::REQUEST_USER_BITS),
            ],
        }
    }

    /// Bytes that a packet takes less on the link than on the stream: a descriptor of four double words stands for the
    /// three that a header has below 4 GiB.
    pub fn saved(self) -> u32 {
        match self {
            FromEndpoint::RequesterRequest => 4,
            FromEndpoint::Transmit | FromEndpoint::CompleterCompletion => 0,
        }
    }

    /// Cycles for which a run may go on behind a packet: the block's answer comes later.
    pub fn lookahead(self) -> u64 {
        match self {
            FromEndpoint::RequesterRequest => LEAST_SEQUENCE_DELAY - 1,
            FromEndpoint::Transmit | FromEndpoint::CompleterCompletion => 0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            FromEndpoint::Transmit => "s_axis_tx",
            FromEndpoint::CompleterCompletion => "s_axis_cc",
            FromEndpoint::RequesterRequest => "s_axis_rq",
        }
    }
}

/// Something to do at the endpoint's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Beats that follow each other on a stream, from cycle `not_before` on.
    Beats { stream: ToEndpoint, not_before: u64, beats: Vec<Beat> },
    /// A port has another value from cycle `cycle` on.
    Level { port: &'static str, cycle: u64, value: u64 },
}

/// When config space last changed, for the rules that depend on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed {
    pub command: u64,
    pub limits: u64,
}

/// The block.
pub struct HardIp {
    pub(super) settings: Settings,
    pub(super) config: ConfigSpace,
    rng: ChaCha8Rng,
    actions: VecDeque<Action>,
    /// What the driven ports show, or will.
    shown: HashMap<&'static str, u64>,
    pub(super) pipeline: Pipeline,
    pub(super) handshakes: Handshakes,
    pub(super) changed: Changed,
    packer: Packer,
    reads: Reads,
    /// Requests of the host that wait for their completion.
    waiting: HashMap<(FunctionId, u8), completer::Request>,
    /// Nonposted requests that the endpoint does not want yet.
    unwanted: VecDeque<(u64, Vec<u32>, Hit)>,
    /// When the link can bring the next packet, in cycles.
    link_free: f64,
    /// The cycle in which the last config request took effect.
    last_config: u64,
    /// The release of the last request, and the cycle and number of the last sequence number.
    last_request: u64,
    last_sequence: (u64, u8),
}

impl HardIp {
    /// The block behind a reset.
    pub fn new(settings: Settings) -> Self {
        let mut block = HardIp {
            config: ConfigSpace::new(settings.family, &settings.function),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            actions: VecDeque::new(),
            shown: HashMap::new(),
            pipeline: Pipeline::default(),
            handshakes: Handshakes::default(),
            changed: Changed::default(),
            packer: Packer::new(settings.double_words),
            reads: Reads::default(),
            waiting: HashMap::new(),
            unwanted: VecDeque::new(),
            link_free: 0.0,
            last_config: 0,
            last_request: 0,
            last_sequence: (0, 0),
            settings,
        };
        for port in levels::quiet(block.settings.family) {
            block.level(port, 0, 0);
        }
        block.show(0);
        block
    }

    /// A conventional reset: all is forgotten.
    pub fn reset(&mut self) {
        let seed = self.rng.random();
        *self = HardIp::new(Settings { seed, ..self.settings.clone() });
    }

    /// Ports of the endpoint whose changes it wants to hear of, those of one cycle in this order.
    pub fn watched(&self) -> &'static [&'static str] {
        levels::watched(self.settings.family)
    }

    /// Ports of the endpoint that it drives.
    pub fn driven(&self) -> Vec<&'static str> {
        self.shown.keys().copied().collect()
    }

    /// How beats of a stream with so many bits of `tuser` lie in words.
    pub fn layout(&self, user_bits: usize) -> BeatLayout {
        BeatLayout { double_words: self.settings.double_words, user_bits }
    }

    /// Which block.
    pub fn family(&self) -> Family {
        self.settings.family
    }

    /// Whether it takes its time at random.
    pub fn set_hesitant(&mut self, hesitant: bool) {
        self.settings.hesitant = hesitant;
    }

    /// Config space.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// What to do at the ports, in order; cycles of different ports and streams are not ordered.
    pub fn take_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next packet for the link that has left before cycle `now`.
    pub fn take_sent(&mut self, now: u64) -> Option<Sent> {
        self.pipeline.pop(now)
    }

    /// The cycle in which the next packet leaves for the link, as far as is known.
    pub fn next_sent(&self) -> Option<u64> {
        self.pipeline.next()
    }

    /// The cycle by which [`advance`](Self::advance) has something to do.
    pub fn next_event(&self) -> Option<u64> {
        [self.packer.deadline(), self.reads.deadline(), self.handshake_event()].into_iter().flatten().min()
    }

    /// The link partner's credits from cycle `now` on: some for reads, any at all.
    pub fn set_credit(&mut self, now: u64, nonposted_ready: bool, held: bool) {
        if (self.pipeline.starving, self.pipeline.held) != (!nonposted_ready, held) {
            (self.pipeline.starving, self.pipeline.held) = (!nonposted_ready, held);
            self.pipeline.not_before(now);
            self.show(now);
        }
    }

    /// A number of cycles: the least, or up to `most` if the block takes its time.
    pub(super) fn hesitation(&mut self, least: u64, most: u64) -> u64 {
        match self.settings.hesitant {
            true => self.rng.random_range(least..=most),
            false => least,
        }
    }

    pub(super) fn level(&mut self, port: &'static str, cycle: u64, value: u64) {
        if self.shown.insert(port, value) != Some(value) {
            self.actions.push_back(Action::Level { port, cycle, value });
        }
    }

    pub(super) fn pulse(&mut self, port: &'static str, cycle: u64) {
        self.level(port, cycle, 1);
        self.level(port, cycle + 1, 0);
    }

    /// Drives the ports that depend on config space and credits.
    fn show(&mut self, cycle: u64) {
        for (port, value) in levels::levels(self.settings.family, &self.config, self.pipeline.starving) {
            self.level(port, cycle, value);
        }
    }

    /// A packet comes over the link; its first beat can be on the ports in cycle `not_before`.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ProtocolError> {
        let begin = self.link_free.max(not_before as f64);
        if let Some(rate) = self.settings.bytes_per_cycle {
            self.link_free = begin + (4 * dwords.len() as u64 + PACKET_OVERHEAD) as f64 / rate;
        }
        let begin = begin.ceil() as u64;
        // The block throws away what is no packet, and messages.
        let Ok(tlp) = Tlp::decode(dwords) else { return Ok(()) };
        match &tlp.kind {
            Kind::ConfigRead(_) | Kind::ConfigWrite(..) => self.config_request(begin, &tlp),
            Kind::MemoryRead { request, .. } => self.request(begin, &tlp, dwords, false, request.address),
            Kind::MemoryWrite { request, .. } => self.request(begin, &tlp, dwords, false, request.address),
            Kind::IoRead(request) | Kind::IoWrite(request, _) => {
                self.request(begin, &tlp, dwords, true, request.address.into())
            }
            Kind::Completion(completion) => {
                self.completion(begin, &tlp.header, completion, dwords);
                Ok(())
            }
            Kind::Message(_) => Ok(()),
        }
    }

    fn config_request(&mut self, begin: u64, tlp: &Tlp) -> Result<(), ProtocolError> {
        if !self.handshakes.granted {
            let rule = Rule::Handshake("low: the block can never send its own completions");
            return Err(ProtocolError { cycle: begin, port: "tx_cfg_gnt", rule });
        }
        let at = self.last_config.max(begin + self.hesitation(4, 24));
        self.last_config = at;
        let (request, data) = match &tlp.kind {
            Kind::ConfigRead(request) => (request, None),
            Kind::ConfigWrite(request, data) => (request, Some(*data)),
            _ => return Ok(()),
        };
        if request.forwarded || request.target.function() != 0 {
            self.unsupported(at, tlp);
            return Ok(());
        }
        let payload = match data {
            None => vec![self.config.read(request.register)],
            Some(data) => {
                let before = (self.config.command(), self.config.device_control());
                let effect = self.config.write(request.target, request.register, request.enables, data);
                if self.config.command() != before.0 {
                    self.changed.command = at;
                }
                if self.config.device_control() != before.1 {
                    self.changed.limits = at;
                }
                if effect == Effect::FunctionReset {
                    self.handshakes.resetting = true;
                    self.reads.clear();
                    self.level("cfg_flr_in_process", at, 1);
                }
                self.show(at);
                Vec::new()
            }
        };
        self.answer(at, tlp, request.target, CompletionStatus::Successful, payload);
        Ok(())
    }

    /// A memory or I/O request.
    fn request(&mut self, begin: u64, tlp: &Tlp, dwords: &[u32], io: bool, address: u64) -> Result<(), ProtocolError> {
        let nonposted = !matches!(tlp.kind, Kind::MemoryWrite { .. });
        let Some(hit) = self.config.hit(io, address) else {
            if nonposted {
                let at = begin + self.hesitation(4, 24);
                self.unsupported(at, tlp);
            }
            let worse =
                if nonposted { status::EXPRESS_CORRECTABLE_DETECTED } else { status::EXPRESS_NONFATAL_DETECTED };
            self.config.set_device_status(status::EXPRESS_UNSUPPORTED_DETECTED | worse);
            return Ok(());
        };
        match nonposted && (!self.handshakes.nonposted_wanted || !self.unwanted.is_empty()) {
            true => self.unwanted.push_back((begin, dwords.to_vec(), hit)),
            false => self.deliver(begin, tlp, dwords, hit),
        }
        Ok(())
    }

    /// The endpoint takes nonposted requests again.
    pub(super) fn release_requests(&mut self, from: u64) {
        while let Some((begin, dwords, hit)) = self.unwanted.pop_front() {
            if let Ok(tlp) = Tlp::decode(&dwords) {
                self.deliver(begin.max(from), &tlp, &dwords, hit);
            }
        }
    }

    fn deliver(&mut self, begin: u64, tlp: &Tlp, dwords: &[u32], hit: Hit) {
        match self.settings.family {
            Family::SevenSeries => self.pack(begin, Received { dwords: dwords.to_vec(), bar_hit: 1 << hit.bar }),
            Family::UltraScalePlus => {
                let Some(request) = completer::Request::new(tlp, hit.bar, hit.aperture) else { return };
                let rng = &mut self.rng;
                let beats = request.beats(self.settings.double_words, &mut || rng.random());
                if request.nonposted {
                    self.waiting.insert((request.requester, request.tag), request);
                }
                let stream = ToEndpoint::CompleterRequest;
                self.actions.push_back(Action::Beats { stream, not_before: begin, beats });
            }
        }
    }

    fn completion(&mut self, begin: u64, header: &Header, completion: &Completion, dwords: &[u32]) {
        match completion.status {
            CompletionStatus::UnsupportedRequest => self.config.set_status(status::STATUS_RECEIVED_MASTER_ABORT),
            CompletionStatus::CompleterAbort => self.config.set_status(status::STATUS_RECEIVED_TARGET_ABORT),
            _ => {}
        }
        match self.settings.family {
            Family::SevenSeries => self.pack(begin, Received { dwords: dwords.to_vec(), bar_hit: 0 }),
            Family::UltraScalePlus => {
                let outcome = self.reads.completion(header, completion);
                // The guide has a code for it, and says that such completions are thrown away.
                if outcome.error == error::TAG && !(self.settings.hesitant && self.rng.random()) {
                    return;
                }
                self.requester_completion(begin, header, completion, &outcome);
            }
        }
    }

    fn requester_completion(&mut self, begin: u64, header: &Header, completion: &Completion, outcome: &Outcome) {
        let (rng, double_words) = (&mut self.rng, self.settings.double_words);
        let beats = requester::completion(header, completion, outcome, double_words, &mut || rng.random());
        let stream = ToEndpoint::RequesterCompletion;
        self.actions.push_back(Action::Beats { stream, not_before: begin, beats });
    }

    /// 7-series: a packet for `m_axis_rx`.
    fn pack(&mut self, begin: u64, packet: Received) {
        let patience = self.hesitation(0, 16);
        let rng = &mut self.rng;
        for (not_before, beats) in self.packer.push(begin, &packet, patience, &mut || rng.random()) {
            self.actions.push_back(Action::Beats { stream: ToEndpoint::Receive, not_before, beats });
        }
    }

    /// Answers a request that nobody behind the block gets to see.
    fn unsupported(&mut self, at: u64, tlp: &Tlp) {
        self.answer(at, tlp, self.config.id(), CompletionStatus::UnsupportedRequest, Vec::new());
    }

    fn answer(&mut self, at: u64, tlp: &Tlp, completer: FunctionId, status: CompletionStatus, payload: Vec<u32>) {
        let (requester, tag, bytes, locked) = match &tlp.kind {
            Kind::MemoryRead { request, locked } => (request.requester, request.tag, request.bytes().1, *locked),
            Kind::IoRead(request) | Kind::IoWrite(request, _) => (request.requester, request.tag, 4, false),
            Kind::ConfigRead(request) | Kind::ConfigWrite(request, _) => (request.requester, request.tag, 4, false),
            _ => return,
        };
        let byte_count = bytes as u16;
        let completion =
            Completion { completer, requester, tag, status, byte_count, lower_address: 0, payload, locked };
        let header = Header { poisoned: false, digest: None, ..tlp.header };
        let dwords = Tlp { header, kind: Kind::Completion(completion) }.encode();
        self.pipeline.push(at, 1, false, dwords);
    }

    /// The endpoint sent a packet; its first and last beat moved in these cycles.
    pub fn sent(&mut self, stream: FromEndpoint, first: u64, last: u64, beats: &[Beat]) -> Result<(), ProtocolError> {
        self.take(stream, first, last, beats).map_err(|rule| ProtocolError { cycle: last, port: stream.name(), rule })
    }

    fn take(&mut self, stream: FromEndpoint, first: u64, last: u64, beats: &[Beat]) -> Result<(), Rule> {
        let (double_words, id) = (self.settings.double_words, self.config.id());
        match stream {
            FromEndpoint::Transmit => {
                let dwords = seven_series::transmitted(beats, double_words)?;
                let tlp = Tlp::decode(&dwords)?;
                self.check(first, &tlp)?;
                let nonposted = matches!(tlp.kind, Kind::MemoryRead { .. });
                self.pipeline.push(last, beats.len(), nonposted, dwords);
            }
            FromEndpoint::CompleterCompletion => {
                let waiting = &self.waiting;
                let find = |requester, tag| waiting.get(&(requester, tag));
                let tlp = completer::completion(beats, double_words, id, find)?;
                self.check(first, &tlp)?;
                if let Kind::Completion(completion) = &tlp.kind {
                    let bytes =
                        (4 * completion.payload.len()).saturating_sub(usize::from(completion.lower_address % 4));
                    if bytes >= usize::from(completion.byte_count) || completion.payload.is_empty() {
                        self.waiting.remove(&(completion.requester, completion.tag));
                    }
                }
                self.pipeline.push(last + 1, beats.len(), false, tlp.encode());
            }
            FromEndpoint::RequesterRequest => {
                let (tlp, number) = requester::request(beats, double_words, id)?;
                self.check(first, &tlp)?;
                let nonposted = matches!(tlp.kind, Kind::MemoryRead { .. });
                if let Kind::MemoryRead { request, .. } = &tlp.kind {
                    self.reads.begin(tlp.header, request, last + READ_TIMEOUT);
                }
                // In the order of the stream; what comes on the other may pass until the sequence number is back.
                let release = self.last_request.max(last + LEAST_SEQUENCE_DELAY - 1);
                let release = release.max(last + self.hesitation(0, 80));
                self.last_request = release;
                self.sequence(release + 1, number);
                self.pipeline.push(release, beats.len(), nonposted, tlp.encode());
            }
        }
        Ok(())
    }

    /// Returns a sequence number; two of them fit into a cycle.
    fn sequence(&mut self, at: u64, number: u8) {
        let (last, port) = self.last_sequence;
        let (at, port) = match at > last {
            true => (at, 0),
            false if port == 0 => (last, 1),
            false => (last + 1, 0),
        };
        self.last_sequence = (at, port);
        let (value, valid) = match port {
            0 => ("pcie_rq_seq_num0", "pcie_rq_seq_num_vld0"),
            _ => ("pcie_rq_seq_num1", "pcie_rq_seq_num_vld1"),
        };
        self.level(value, at, number.into());
        self.pulse(valid, at);
    }

    /// What holds for packets of either family.
    fn check(&self, first: u64, tlp: &Tlp) -> Result<(), Rule> {
        let grace = if self.settings.hesitant { HESITANT_GRACE } else { CHANGE_GRACE };
        let id = self.config.id();
        let settled = first > self.changed.limits + grace;
        let code = if settled { self.config.max_payload() } else { 5 };
        let (payload, most) = (4 * tlp.payload().len(), 128_usize << code);
        if payload > most {
            return Err(Rule::Payload { found: payload, most });
        }
        let by = match &tlp.kind {
            Kind::MemoryRead { request, .. } => {
                let code = if settled { self.config.max_read_request() } else { 5 };
                let (found, most) = (4 * usize::from(request.length), 128_usize << code);
                if found > most {
                    return Err(Rule::ReadRequest { found, most });
                }
                let extended = self.config.device_control() & virtio_hdl_rtl::pcie::layout::EXPRESS_EXTENDED_TAG != 0;
                if !extended && settled && u16::from(request.tag) >= requester::TAGS {
                    return Err(Rule::Tag { tag: request.tag, limit: requester::TAGS });
                }
                request.requester
            }
            Kind::MemoryWrite { request, .. } => request.requester,
            Kind::Completion(completion) => completion.completer,
            _ => return Err(Rule::RequestType(0b1100)),
        };
        if by != id {
            return Err(Rule::Identity { found: by, expected: id });
        }
        let master = self.config.command() & COMMAND_BUS_MASTER != 0;
        if !matches!(tlp.kind, Kind::Completion(_)) && !master && first > self.changed.command + grace {
            return Err(Rule::BusMaster(first - self.changed.command));
        }
        Ok(())
    }

    /// A watched port has another value from cycle `cycle` on.
    pub fn changed(&mut self, port: &'static str, cycle: u64, value: u64) -> Result<(), ProtocolError> {
        self.port_changed(port, cycle, value).map_err(|rule| ProtocolError { cycle, port, rule })
    }

    /// Does what is due by cycle `now`.
    pub fn advance(&mut self, now: u64) -> Result<(), ProtocolError> {
        self.handshake_advance(now).map_err(|rule| ProtocolError { cycle: now, port: "cfg_interrupt", rule })?;
        if self.packer.deadline().is_some_and(|due| due <= now) {
            if let Some((not_before, beats)) = self.packer.flush() {
                self.actions.push_back(Action::Beats { stream: ToEndpoint::Receive, not_before, beats });
            }
        }
        for completion in self.reads.expire(now) {
            let outcome = Outcome { error: error::TIMEOUT, completed: true, address: 0 };
            self.requester_completion(now, &Header::default(), &completion, &outcome);
        }
        Ok(())
    }
}
