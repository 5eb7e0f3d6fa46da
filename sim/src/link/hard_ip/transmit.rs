//! The block's transmit pipeline: what it has taken, or makes itself, on its way to the link.
use std::collections::{BTreeMap, VecDeque};

/// A packet that left for the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The cycle in which it began to leave.
    pub first_cycle: u64,
    /// The cycle in which it had left.
    pub last_cycle: u64,
    /// The packet.
    pub dwords: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Waiting {
    /// Beats of the packet, 1 at least.
    beats: u64,
    nonposted: bool,
    dwords: Vec<u32>,
}

/// The pipeline.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    /// By the cycle in which they may leave, and their number.
    queue: BTreeMap<(u64, u64), Waiting>,
    /// Reads that wait for the link partner's credit; later writes and completions pass them.
    starved: VecDeque<Waiting>,
    number: u64,
    /// The first cycle in which the next packet can begin to leave.
    free: u64,
    /// The link partner has no credit for reads.
    pub starving: bool,
    /// The link partner has no credit at all.
    pub held: bool,
}

impl Pipeline {
    /// A packet may have left in cycle `release`, behind what may leave earlier. It leaves beat by beat.
    pub fn push(&mut self, release: u64, beats: usize, nonposted: bool, dwords: Vec<u32>) {
        self.number += 1;
        self.queue.insert((release, self.number), Waiting { beats: beats.max(1) as u64, nonposted, dwords });
    }

    /// The cycle in which a packet has left that may do so from `release` on.
    fn end(&self, release: u64, packet: &Waiting) -> u64 {
        release.max(self.free + packet.beats - 1)
    }

    /// The cycle in which the next packet leaves, as far as is known.
    pub fn next(&self) -> Option<u64> {
        if self.held {
            return None;
        }
        let starved = self.starved.front().filter(|_| !self.starving).map(|packet| self.end(0, packet));
        let queued = self.queue.iter().next().map(|((release, _), packet)| self.end(*release, packet));
        [starved, queued].into_iter().flatten().min()
    }

    /// The next packet that has left before cycle `now`.
    pub fn pop(&mut self, now: u64) -> Option<Sent> {
        while self.next().is_some_and(|at| at < now) {
            if !self.starving {
                if let Some(packet) = self.starved.pop_front() {
                    return Some(self.leave(0, packet));
                }
            }
            let ((release, _), packet) = self.queue.pop_first()?;
            if packet.nonposted && self.starving {
                self.starved.push_back(packet);
                continue;
            }
            return Some(self.leave(release, packet));
        }
        None
    }

    fn leave(&mut self, release: u64, packet: Waiting) -> Sent {
        let last_cycle = self.end(release, &packet);
        self.free = last_cycle + 1;
        Sent { first_cycle: (last_cycle + 1).saturating_sub(packet.beats), last_cycle, dwords: packet.dwords }
    }

    /// Nothing begins to leave before cycle `now`: credits that have come since do not reach back.
    pub fn not_before(&mut self, now: u64) {
        self.free = self.free.max(now);
    }
}
