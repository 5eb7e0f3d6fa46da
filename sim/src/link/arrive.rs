//! What arrives at the root complex in order: writes, messages, completions of the host's requests.
use super::host::{HostCompletion, HostRequest, HostRequestError};
use super::report::Violation;
use super::root_complex::{DeviceAccess, Event, Interrupt, RootComplex, MESSAGE_WINDOW};
use super::tlp::*;
use vm_memory::{Bytes, GuestAddress};

/// Messages that are kept: who does not fetch them finds the last ones.
const MOST_MESSAGES: usize = 1024;

impl RootComplex {
    pub(super) fn arrive(&mut self, tlp: Tlp) {
        match tlp.kind {
            Kind::MemoryWrite { request, payload } if MESSAGE_WINDOW.contains(&request.address) => {
                if request.length != 1 {
                    self.violation(self.now, Violation::InterruptLength(request.length));
                }
                self.statistics.interrupts += 1;
                let interrupt = Interrupt::Message { at: self.now, address: request.address, data: payload[0] };
                self.interrupts.push_back(interrupt);
            }
            Kind::MemoryWrite { request, payload } if !tlp.header.poisoned => self.write(&request, &payload),
            Kind::MemoryWrite { .. } => self.statistics.dropped_writes += 1,
            Kind::Message(Message { code: code @ (ASSERT_INTA | DEASSERT_INTA), routing: Routing::Local, .. }) => {
                let asserted = code == ASSERT_INTA;
                if asserted != self.intx {
                    self.intx = asserted;
                    self.interrupts.push_back(Interrupt::Line { at: self.now, asserted });
                }
            }
            Kind::Message(Message { code: code @ PME_TO_ACK, routing: Routing::Gathered, .. })
            | Kind::Message(Message {
                code: code @ (ERR_COR | ERR_NONFATAL | ERR_FATAL),
                routing: Routing::RootComplex,
                ..
            }) => {
                if self.messages.len() == MOST_MESSAGES {
                    self.messages.pop_front();
                }
                self.messages.push_back((self.now, code));
            }
            Kind::Completion(completion) => self.host_completion(completion, tlp.header.poisoned),
            _ => self.violation(self.now, Violation::Unexpected(Box::new(tlp))),
        }
    }

    fn write(&mut self, request: &MemoryRequest, payload: &[u32]) {
        self.statistics.writes += 1;
        for (address, data) in request.runs(payload) {
            let at = self.now;
            self.watched(DeviceAccess::Write { at, address, data: &data });
            if self.has_memory(address, data.len() as u64)
                && self.memory.write_slice(&data, GuestAddress(address)).is_ok()
            {
                self.statistics.written_bytes += data.len() as u64;
            } else {
                self.statistics.dropped_writes += 1;
            }
        }
    }

    pub(super) fn free_tag(&self) -> Result<u8, HostRequestError> {
        (0..=u8::MAX)
            .map(|n| self.next_tag.wrapping_add(n))
            .find(|tag| !self.outstanding.contains_key(tag))
            .ok_or(HostRequestError::NoTag)
    }

    fn host_completion(&mut self, completion: Completion, poisoned: bool) {
        let Completion { requester, tag, status, byte_count, payload, .. } = completion;
        let Some(outstanding) = self.outstanding.get_mut(&tag).filter(|_| requester == Self::ID) else {
            return self.violation(self.now, Violation::UnexpectedCompletion { requester, tag });
        };
        let expected = outstanding.request.read_span().1;
        if status != CompletionStatus::Successful || expected == 0 {
            if status == CompletionStatus::Successful && !payload.is_empty() {
                let found = 4 * payload.len();
                self.violation(self.now, Violation::CompletionLength { tag, expected, found });
            }
            return self.finish(tag, Some(status), poisoned);
        }
        outstanding.received.extend(payload.iter().flat_map(|word| word.to_le_bytes()));
        // Completions of I/O and configuration reads always count the whole double word.
        let needed = match outstanding.request {
            HostRequest::MemoryRead { .. } => expected,
            _ => 4,
        };
        let (offset, found) = (outstanding.request.read_span().0, outstanding.received.len());
        if usize::from(byte_count) > needed {
            self.violation(self.now, Violation::CompletionLength { tag, expected: needed, found: byte_count.into() });
        }
        if found >= offset + expected {
            self.finish(tag, Some(status), poisoned);
        } else if payload.is_empty() || usize::from(byte_count) <= 4 * payload.len() {
            self.violation(self.now, Violation::CompletionLength { tag, expected, found });
            self.finish(tag, None, poisoned);
        }
    }

    /// Ends a request of the host; nothing when it has ended before.
    pub(super) fn finish(&mut self, tag: u8, status: Option<CompletionStatus>, poisoned: bool) {
        let Some(outstanding) = self.outstanding.remove(&tag) else { return };
        self.events.retain(|_, event| !matches!(event, Event::Timeout(t) if *t == tag));
        let (offset, bytes) = outstanding.request.read_span();
        let data = match status {
            Some(CompletionStatus::Successful) => outstanding.received[offset..offset + bytes].to_vec(),
            _ => Vec::new(),
        };
        self.completions.insert(outstanding.id, HostCompletion { at: self.now, status, data, poisoned });
    }
}
