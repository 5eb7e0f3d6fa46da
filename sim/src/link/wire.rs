//! One direction of the link: packets follow each other at its rate.
use super::config::{time_on, LinkSpeed, Picoseconds, PACKET_OVERHEAD};

/// One direction of the link.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    speed: LinkSpeed,
    free: Picoseconds,
    /// Bytes carried, overhead included.
    pub bytes: u64,
    /// Packets carried.
    pub packets: u64,
}

impl Wire {
    pub fn new(speed: LinkSpeed) -> Self {
        Wire { speed, free: 0, bytes: 0, packets: 0 }
    }

    /// Puts a packet that is ready at `ready` on the wire and returns when it starts. Packets start in the order of
    /// the calls.
    pub fn send(&mut self, ready: Picoseconds, double_words: usize) -> Picoseconds {
        let start = ready.max(self.free);
        let bytes = 4 * double_words as u64 + PACKET_OVERHEAD;
        self.free = start + time_on(self.speed, bytes);
        self.bytes += bytes;
        self.packets += 1;
        start
    }
}
