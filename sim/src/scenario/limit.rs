//! What the link allows: bytes per request in each direction, and the cycles that the busier one takes.
use crate::link::LinkConfig;
use virtio_hdl_rtl::virtio::layout::net::MERGE_HEADER_BYTES;

/// Bytes that a packet takes besides its payload: header, and framing, sequence number and LCRC.
const MEMORY_64: u64 = 24;
const MEMORY_32: u64 = 20;
const COMPLETION: u64 = 20;

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
pub fn net_frame(link: &LinkConfig, transmit: bool, bytes: u64, batch: u64) -> Traffic {
    let mut traffic = Traffic::new(link);
    let per = batch as f64;
    traffic.kick(per);
    traffic.read(4, per);
    traffic.read((2 * batch).max(4), per);
    traffic.read(16 * batch, per);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the packet limit with batches of 32: one descriptor, 12 bytes of header before 64 bytes of frame.
    #[test]
    fn a_small_packet_takes_118_bytes_to_the_device() {
        let link = LinkConfig::default();
        let traffic = net_frame(&link, true, 64, 32);
        // 14.44 Gb/s allow 15.3 million packets a second
        let rate = 14.44e9 / 8.0 / traffic.to_device.max(traffic.to_host);
        assert!((15.2e6..15.4e6).contains(&rate), "{rate}");
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
