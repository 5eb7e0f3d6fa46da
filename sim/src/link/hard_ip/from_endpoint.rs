//! Packets of the endpoint: they are checked, and go to the link.
use super::block::HardIp;
use super::completer;
use super::requester;
use super::rule::{ProtocolError, Rule};
use super::seven_series;
use super::streams::LEAST_SEQUENCE_DELAY;
use super::{Beat, FromEndpoint};
use crate::link::tlp::*;
use virtio_hdl_rtl::pcie::layout::{COMMAND_BUS_MASTER, EXPRESS_EXTENDED_TAG};

/// Cycles after which the block gives a read of the endpoint up: 50 ms at 125 MHz.
const READ_TIMEOUT: u64 = 6_250_000;
/// Cycles for which a request stays in a pipeline that takes its time: usually, and, a write, longer than a way to the host
/// and back.
const USUAL_DELAY: u64 = 80;
const LONG_DELAY: u64 = 800;
/// Cycles after a change of config space in which the endpoint may still do as before: what it has begun comes out.
const CHANGE_GRACE: u64 = 256;
/// The same while streams stand still at random.
const HESITANT_GRACE: u64 = 4096;

impl HardIp {
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
                let long = !nonposted && self.hesitation(0, 15) == 1;
                let most = if long { LONG_DELAY } else { USUAL_DELAY };
                let release = release.max(last + self.hesitation(0, most));
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
                let extended = self.config.device_control() & EXPRESS_EXTENDED_TAG != 0;
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
}
