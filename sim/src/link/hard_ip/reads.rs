//! The split completion table of UltraScale+: which reads of the endpoint wait for which bytes.
use crate::link::tlp::*;
use std::collections::HashMap;

/// Error codes of the descriptor of a completion (PG213).
pub mod error {
    /// All is well.
    pub const NONE: u8 = 0b0000;
    /// The data are known to be wrong.
    pub const POISONED: u8 = 0b0001;
    /// Unsupported request, completer abort or retry: the end of the read.
    pub const STATUS: u8 = 0b0010;
    /// No data, or more bytes left than were asked for: the end of the read.
    pub const BYTE_COUNT: u8 = 0b0011;
    /// Traffic class or attributes are not the read's.
    pub const MISMATCH: u8 = 0b0100;
    /// Not the bytes that come next.
    pub const ADDRESS: u8 = 0b0101;
    /// No read has this tag.
    pub const TAG: u8 = 0b0110;
    /// The read was given up.
    pub const TIMEOUT: u8 = 0b1001;
}

#[derive(Clone, Debug)]
struct Read {
    header: Header,
    requester: FunctionId,
    /// Address of the next byte.
    next: u64,
    /// Bytes still to come.
    left: u64,
    /// The cycle in which it is given up.
    limit: u64,
}

/// What the table says of a completion.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// See [`error`].
    pub error: u8,
    /// The read is at its end.
    pub completed: bool,
    /// Address of the completion's first byte, of which 12 bits are told.
    pub address: u64,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    reads: HashMap<u8, Read>,
}

impl Reads {
    /// The endpoint sent a read; it is given up in cycle `limit`.
    pub fn begin(&mut self, header: Header, request: &MemoryRequest, limit: u64) {
        let (next, left) = request.bytes();
        self.reads.insert(request.tag, Read { header, requester: request.requester, next, left, limit });
    }

    /// A completion came.
    pub fn completion(&mut self, header: &Header, completion: &Completion) -> Outcome {
        let lower = u64::from(completion.lower_address);
        let Some(read) = self.reads.get_mut(&completion.tag).filter(|read| read.requester == completion.requester)
        else {
            return Outcome { error: error::TAG, completed: false, address: lower };
        };
        let bytes =
            u64::from(completion.byte_count).min((4 * completion.payload.len() as u64).saturating_sub(lower % 4));
        let address = read.next;
        let same = (read.header.traffic_class, read.header.attributes) == (header.traffic_class, header.attributes);
        let (error, completed) = if completion.status != CompletionStatus::Successful {
            (error::STATUS, true)
        } else if completion.payload.is_empty() || u64::from(completion.byte_count) > read.left {
            (error::BYTE_COUNT, true)
        } else if !same {
            (error::MISMATCH, false)
        } else if lower != address & 0x7f {
            (error::ADDRESS, false)
        } else {
            // Behind the last byte there may be no address.
            (read.next, read.left) = (read.next.wrapping_add(bytes), u64::from(completion.byte_count) - bytes);
            (if header.poisoned { error::POISONED } else { error::NONE }, read.left == 0)
        };
        let address = if error == error::NONE { address } else { lower };
        if completed {
            self.reads.remove(&completion.tag);
        }
        Outcome { error, completed, address }
    }

    /// The cycle in which a read is given up next.
    pub fn deadline(&self) -> Option<u64> {
        self.reads.values().map(|read| read.limit).min()
    }

    /// The reads to give up by cycle `now`: what stands in for the completion that did not come.
    pub fn expire(&mut self, now: u64) -> Vec<Completion> {
        let mut tags: Vec<u8> = self.reads.iter().filter(|(_, read)| read.limit <= now).map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        let give_up = |tag: u8| {
            self.reads.remove(&tag).map(|read| Completion {
                completer: FunctionId(0),
                requester: read.requester,
                tag,
                status: CompletionStatus::Successful,
                byte_count: 0,
                lower_address: 0,
                payload: Vec::new(),
                locked: false,
            })
        };
        tags.into_iter().filter_map(give_up).collect()
    }

    /// Forgets all reads.
    pub fn clear(&mut self) {
        self.reads.clear();
    }
}
