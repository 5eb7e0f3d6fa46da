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
    /// Cycles that the packet took on the stream, 1 at least.
    cycles: u64,
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
    /// The first cycle in which the next packet can leave.
    free: u64,
    /// The link partner has no credit for reads.
    pub starving: bool,
    /// The link partner has no credit at all.
    pub held: bool,
}

impl Pipeline {
    /// A packet may leave from cycle `release` on, behind what may leave earlier. It took `cycles` cycles to come.
    pub fn push(&mut self, release: u64, cycles: u64, nonposted: bool, dwords: Vec<u32>) {
        self.number += 1;
        self.queue.insert((release, self.number), Waiting { cycles: cycles.max(1), nonposted, dwords });
    }

    /// The cycle in which the next packet leaves, as far as is known.
    pub fn next(&self) -> Option<u64> {
        if self.held {
            return None;
        }
        let starved = (!self.starving && !self.starved.is_empty()).then_some(self.free);
        let queued = self.queue.keys().next().map(|(release, _)| self.free.max(*release));
        [starved, queued].into_iter().flatten().min()
    }

    /// The next packet that has left before cycle `now`.
    pub fn pop(&mut self, now: u64) -> Option<Sent> {
        while self.next().is_some_and(|at| at < now) {
            if !self.starving {
                if let Some(packet) = self.starved.pop_front() {
                    return Some(self.leave(self.free, packet));
                }
            }
            let ((release, _), packet) = self.queue.pop_first()?;
            if packet.nonposted && self.starving {
                self.starved.push_back(packet);
                continue;
            }
            return Some(self.leave(release.max(self.free), packet));
        }
        None
    }

    fn leave(&mut self, at: u64, packet: Waiting) -> Sent {
        // The next one has to come through the same pipeline.
        self.free = at + 1;
        Sent { first_cycle: (at + 1).saturating_sub(packet.cycles), last_cycle: at, dwords: packet.dwords }
    }

    /// Nothing leaves before cycle `now`: credits that have come since do not reach back.
    pub fn not_before(&mut self, now: u64) {
        self.free = self.free.max(now);
    }
}
