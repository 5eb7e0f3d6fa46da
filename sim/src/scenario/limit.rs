//! What the link allows: bytes per request in each direction, and the cycles that the busier one takes.
use crate::link::LinkConfig;
use serde::Serialize;
use virtio_hdl_rtl::virtio::layout::net::MERGE_HEADER_BYTES;

/// Bytes that a packet takes besides its payload: header, and framing, sequence number and LCRC.
const MEMORY_64: u64 = 24;
const MEMORY_32: u64 = 20;
const COMPLETION: u64 = 20;

/// How the heads of chains lie in the descriptor table.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heads {
    /// One behind the other, in the order of the ring: one read fetches the descriptors of many chains.
    Runs,
    /// Anywhere, as those of a driver whose free list is a stack come to lie after a while: a read for each descriptor.
    Scattered,
}

/// Counts the bytes of a request on the link.
#[derive(Clone, Debug)]
pub struct Traffic {
    max_payload: u64,
    max_read_request: u64,
    /// Bytes towards the device.
    pub to_device: f64,
    /// Bytes towards the host.
    pub to_host: f64,
}

impl Traffic {
    /// No bytes yet, on a link that cuts its packets as `link` says.
    pub fn new(link: &LinkConfig) -> Self {
        Traffic {
            max_payload: u64::from(link.max_payload),
            max_read_request: u64::from(link.max_read_request),
            to_device: 0.0,
            to_host: 0.0,
        }
    }

    /// The device reads `bytes` of host memory, once in `per` requests.
    pub fn read(&mut self, bytes: u64, per: f64) {
        let (requests, completions) = (bytes.div_ceil(self.max_read_request), bytes.div_ceil(self.max_payload));
        self.to_host += (requests * MEMORY_64) as f64 / per;
        self.to_device += (bytes.next_multiple_of(4) + completions * COMPLETION) as f64 / per;
    }

    /// The device writes `bytes` of host memory, once in `per` requests.
    pub fn write(&mut self, bytes: u64, per: f64) {
        self.to_host += (bytes.next_multiple_of(4) + bytes.div_ceil(self.max_payload) * MEMORY_64) as f64 / per;
    }

    /// The driver's kick, once in `per` requests.
    pub fn kick(&mut self, per: f64) {
        self.to_device += (4 + MEMORY_32) as f64 / per;
    }

    /// An interrupt message, once in `per` requests.
    pub fn interrupt(&mut self, per: f64) {
        self.to_host += (4 + MEMORY_32) as f64 / per;
    }

    /// That of both at once.
    pub fn with(self, other: &Traffic) -> Self {
        Traffic { to_device: self.to_device + other.to_device, to_host: self.to_host + other.to_host, ..self }
    }

    /// Cycles a request takes at least: those of the busier direction.
    pub fn cycles(&self, link: &LinkConfig) -> f64 {
        self.to_device.max(self.to_host) / link.bytes_per_cycle()
    }
}

/// The traffic of one virtio-blk request of `bytes` with one data buffer, in batches of `batch`: kick, available index and
/// slots, three descriptors, header, data, status, used element and index, event index, interrupt.
pub fn blk_request(link: &LinkConfig, write: bool, bytes: u64, batch: u64) -> Traffic {
    let mut traffic = Traffic::new(link);
    let per = batch as f64;
    traffic.kick(per);
    traffic.read(4, per);
    traffic.read((2 * batch).max(4), per);
    traffic.read(3 * 16 * batch, per);
    traffic.read(16, 1.0);
    if write {
        traffic.read(bytes, 1.0);
    } else {
        traffic.write(bytes, 1.0);
    }
    traffic.write(1, 1.0);
    traffic.write(8 * batch, per);
    traffic.write(4, per);
    traffic.read(4, per);
    traffic.interrupt(per);
    traffic
}

/// The traffic of one frame of `bytes` with its header in one buffer, in batches of `batch`: kick, available index and
/// slots, one descriptor, header and frame, used element and index, event index, interrupt.
pub fn net_frame(link: &LinkConfig, transmit: bool, bytes: u64, batch: u64, heads: Heads) -> Traffic {
    let mut traffic = Traffic::new(link);
    let per = batch as f64;
    traffic.kick(per);
    traffic.read(4, per);
    traffic.read((2 * batch).max(4), per);
    match heads {
        Heads::Runs => traffic.read(16 * batch, per),
        Heads::Scattered => traffic.read(16, 1.0),
    }
    let with_header = bytes + u64::from(MERGE_HEADER_BYTES);
    if transmit {
        traffic.read(with_header, 1.0);
    } else {
        traffic.write(with_header, 1.0);
    }
    traffic.write(8 * batch, per);
    traffic.write(4, per);
    traffic.read(4, per);
    traffic.interrupt(per);
    traffic
}

/// Cycles that a request alone takes at least, as far as the link and the streams say it; what the host takes is not in it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LatencyFloor {
    /// From the notify to the first read: a register.
    pub first_read: u64,
    /// From the first beat of a frame to the write of it: all its beats, as its length is in front of it, and a register.
    pub first_write: u64,
    /// From the write of the used index to the interrupt behind it: the index on the link.
    pub used_to_interrupt: u64,
    /// From the first beat of a frame to the interrupt: frame, used element and index on the link.
    pub interrupt: u64,
}

impl LatencyFloor {
    /// Of a frame of so many bytes, which comes in beats of `beat` bytes.
    pub fn of_a_frame(link: &LinkConfig, bytes: u64, beat: u64) -> Self {
        let cycles = |traffic: Traffic| traffic.cycles(link).ceil() as u64;
        let (mut index, mut all) = (Traffic::new(link), Traffic::new(link));
        index.write(4, 1.0);
        all.write(bytes + u64::from(MERGE_HEADER_BYTES), 1.0);
        all.write(8, 1.0);
        all.write(4, 1.0);
        let first_write = bytes.div_ceil(beat) + 1;
        LatencyFloor {
            first_read: 1,
            first_write,
            used_to_interrupt: cycles(index),
            interrupt: first_write + cycles(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the packet limit with batches of 32: one descriptor, 12 bytes of header before 64 bytes of frame.
    #[test]
    fn a_small_packet_takes_118_bytes_to_the_device() {
        let link = LinkConfig::default();
        let traffic = net_frame(&link, true, 64, 32, Heads::Runs);
        // 14.44 Gb/s allow 15.3 million packets a second
        let rate = 14.44e9 / 8.0 / traffic.to_device.max(traffic.to_host);
        assert!((15.2e6..15.4e6).contains(&rate), "{rate}");
    }

    /// 96 bytes of frame and header, 36 of its descriptor, 5 of the rest.
    #[test]
    fn a_small_packet_with_a_descriptor_of_its_own_takes_137_bytes_to_the_device() {
        let traffic = net_frame(&LinkConfig::default(), true, 64, 32, Heads::Scattered);
        assert!((136.0..138.0).contains(&traffic.to_device), "{}", traffic.to_device);
    }

    #[test]
    fn a_latency_has_a_floor_from_the_frame_and_the_packets_in_front_of_its_end() {
        let link = LinkConfig::default();
        let floor = LatencyFloor::of_a_frame(&link, 64, 16);
        // 64 bytes in beats of 16, a register; 100 bytes of frame, 32 of used element, 28 of index at 14.44 bytes a cycle
        assert_eq!((floor.first_write, floor.used_to_interrupt, floor.interrupt), (5, 2, 5 + 12));
    }

    #[test]
    fn a_read_of_4_kib_is_limited_by_the_writes_to_the_host() {
        let link = LinkConfig::default();
        let traffic = blk_request(&link, false, 4096, 32);
        assert!(traffic.to_host > traffic.to_device);
        assert!(traffic.to_host > 4096.0 + 16.0 * 24.0);
        let traffic = blk_request(&link, true, 4096, 32);
        assert!(traffic.to_device > traffic.to_host);
    }
}
