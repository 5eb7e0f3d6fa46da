//! Flow-control credits of the root complex's receiver, as the device's transmitter sees them.
use super::config::{Credits, Picoseconds};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Kind of buffer that a packet takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    Posted,
    Nonposted,
    Completion,
}

/// What the device may still send before a credit must come back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TransmitCredits {
    /// Memory writes and messages.
    pub posted_headers: u32,
    /// Their payload, units of 16 bytes.
    pub posted_data: u32,
    /// Reads.
    pub nonposted_headers: u32,
    /// Completions.
    pub completion_headers: u32,
    /// Their payload, units of 16 bytes.
    pub completion_data: u32,
}

#[derive(Clone, Debug)]
struct Pool {
    headers: i64,
    data: i64,
    /// When credits are back at the device: time, headers, data.
    returns: BinaryHeap<Reverse<(Picoseconds, i64, i64)>>,
}

impl Pool {
    fn new(headers: u32, data: u32) -> Self {
        Pool { headers: headers.into(), data: data.into(), returns: BinaryHeap::new() }
    }

    fn settle(&mut self, at: Picoseconds) {
        while let Some(&Reverse((time, headers, data))) = self.returns.peek() {
            if time > at {
                break;
            }
            self.returns.pop();
            self.headers += headers;
            self.data += data;
        }
    }
}

/// The three pools.
#[derive(Clone, Debug)]
pub(super) struct CreditPools {
    pools: [Pool; 3],
}

impl CreditPools {
    pub fn new(credits: &Credits) -> Self {
        CreditPools {
            pools: [
                Pool::new(credits.posted_headers, credits.posted_data),
                Pool::new(credits.nonposted_headers, 0),
                Pool::new(credits.completion_headers, credits.completion_data),
            ],
        }
    }

    /// A packet takes its credits at `at`. False when there were none: the transmitter broke the rules.
    pub fn take(&mut self, at: Picoseconds, buffer: Buffer, double_words: usize) -> bool {
        let pool = &mut self.pools[buffer as usize];
        pool.settle(at);
        pool.headers -= 1;
        pool.data -= double_words.div_ceil(4) as i64;
        pool.headers >= 0 && pool.data >= 0
    }

    /// The credits of a packet are back at the device at `at`.
    pub fn give(&mut self, at: Picoseconds, buffer: Buffer, double_words: usize) {
        self.pools[buffer as usize].returns.push(Reverse((at, 1, double_words.div_ceil(4) as i64)));
    }

    pub fn available(&mut self, at: Picoseconds) -> TransmitCredits {
        for pool in &mut self.pools {
            pool.settle(at);
        }
        let count = |n: i64| n.max(0) as u32;
        let [posted, nonposted, completion] = &self.pools;
        TransmitCredits {
            posted_headers: count(posted.headers),
            posted_data: count(posted.data),
            nonposted_headers: count(nonposted.headers),
            completion_headers: count(completion.headers),
            completion_data: count(completion.data),
        }
    }
}
