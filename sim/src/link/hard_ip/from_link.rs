//! Packets of the link: config requests are answered, others go to the endpoint.
use super::block::HardIp;
use super::completer;
use super::config_space::{Effect, Hit};
use super::reads::{error, Outcome};
use super::requester;
use super::rule::{ProtocolError, Rule};
use super::seven_series::Received;
use super::{Action, Family, ToEndpoint};
use crate::link::config::PACKET_OVERHEAD;
use crate::link::tlp::*;
use rand::Rng;
use virtio_hdl_rtl::pcie::registers as status;

/// Cycles in which a function-level reset has to be done: 100 ms at 125 MHz.
const RESET_LIMIT: u64 = 12_500_000;

impl HardIp {
    /// A packet comes over the link; its first beat can be on the ports in cycle `not_before`.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ProtocolError> {
        let begin = self.link_free.max(not_before as f64);
        if let Some(rate) = self.settings.bytes_per_cycle {
            self.link_free = begin + (4 * dwords.len() as u64 + PACKET_OVERHEAD) as f64 / rate;
        }
        let begin = begin.ceil() as u64;
        // The block throws away what is no packet, and other messages.
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
            // The board's top says yes to it: `cfg_turnoff_ok`, and on UltraScale+ nobody is asked.
            Kind::Message(Message { code: PME_TURN_OFF, .. }) => {
                let at = begin + self.hesitation(4, 24);
                let requester = self.config.id();
                let message = Message {
                    requester,
                    tag: 0,
                    routing: Routing::Gathered,
                    code: PME_TO_ACK,
                    fields: [0; 2],
                    payload: Vec::new(),
                };
                self.pipeline.push(at, 1, false, Tlp::from(Kind::Message(message)).encode());
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
                    self.handshakes.reset_limit = at + RESET_LIMIT;
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

    pub(super) fn requester_completion(
        &mut self,
        begin: u64,
        header: &Header,
        completion: &Completion,
        outcome: &Outcome,
    ) {
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
}
