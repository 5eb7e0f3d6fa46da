//! Random frames both ways: every one arrives once, in order and whole.
use super::wire::FarEnd;
use super::ScenarioError;
use crate::host::net::{Incoming, Net, Outgoing};
use crate::host::ring::Shape;
use crate::host::Platform;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use virtio_hdl_rtl::virtio::layout::net::{FEATURE_CSUM, FEATURE_MRG_RXBUF, FRAME_BYTES_MIN};
use virtio_hdl_rtl::virtio::layout::FEATURE_RING_INDIRECT_DESC;

/// Cycles after which a frame has been lost.
const PATIENCE: u64 = 4_000_000;
/// Bytes of frames on their way to the driver: what the endpoint's store holds, so that none is dropped.
const ON_THE_WAY: usize = 6 << 10;
/// The same of one whose frames have more than 2 KiB.
const JUMBO_ON_THE_WAY: usize = 28 << 10;
/// A buffer is at least this part of the longest frame: with a margin to the 16 that the endpoint merges.
const SHORTEST_BUFFER: u32 = 12;
/// Shortest queue for which buffers are made as short as that.
const MERGING_QUEUE: u16 = 128;
/// Chains for frames that come in.
const PROVIDED: usize = 64;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Frames each way.
    pub frames: u64,
    /// Most frames to send outstanding.
    pub depth: usize,
    /// Chooses everything random.
    pub seed: u64,
    /// Cycles of the endpoint's clock per second.
    pub clock_hz: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Frames that the endpoint sent, and their bytes.
    pub sent_frames: u64,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// Checksums that it put in.
    pub checksums: u64,
    /// Frames that the driver received, and their bytes.
    pub received_frames: u64,
    /// Bytes of those.
    pub received_bytes: u64,
    /// Buffers that those took.
    pub buffers: u64,
    /// Frames that the endpoint had to drop: runts and oversize ones.
    pub dropped_frames: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Cycles.
    pub cycles: u64,
}

struct Run<'a> {
    platform: &'a mut dyn Platform,
    net: &'a mut Net,
    wire: &'a FarEnd,
    options: &'a Options,
    /// Bytes of the longest frame.
    longest: u32,
    rng: ChaCha8Rng,
    report: Report,
    /// Frames sent that have not been seen on the wire.
    sent: VecDeque<Vec<u8>>,
    /// Frames on their way to the driver.
    coming: VecDeque<Vec<u8>>,
    submitted: u64,
    put: u64,
    /// When the last frame was put on the wire, cycles.
    last_put: u64,
}

/// Sends and receives `options.frames` frames. The wire is the far end of the endpoint's.
pub fn run(
    platform: &mut dyn Platform,
    net: &mut Net,
    wire: &FarEnd,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let start = platform.now();
    let interrupts = net.interrupts().0;
    let longest = net.longest_frame(platform);
    let mut run = Run {
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        platform,
        net,
        wire,
        options,
        longest,
        report: Report::default(),
        sent: VecDeque::new(),
        coming: VecDeque::new(),
        submitted: 0,
        put: 0,
        last_put: start,
    };
    let mut idle_since = start;
    while run.report.sent_frames < options.frames || run.report.received_frames < options.frames {
        let before = run.report.sent_frames + run.report.received_frames;
        run.provide()?;
        run.send()?;
        run.put();
        run.net.kick(run.platform)?;
        let deadline = run.platform.now() + 20_000;
        if let Some(incoming) = run.net.wait(run.platform, deadline)? {
            run.received(incoming)?;
        }
        run.look_at_wire()?;
        let now = run.report.sent_frames + run.report.received_frames;
        if now != before {
            idle_since = run.platform.now();
            progress(now);
        } else if run.platform.now() - idle_since > PATIENCE {
            let (out, coming) = (run.sent.len(), run.coming.len());
            return Err(run.difference(format!("{out} frames do not leave, {coming} do not arrive")));
        }
    }
    let mut report = run.report;
    report.interrupts = net.interrupts().0 - interrupts;
    report.cycles = platform.now() - start;
    Ok(report)
}

impl Run<'_> {
    fn difference(&self, what: String) -> ScenarioError {
        let request = self.report.sent_frames + self.report.received_frames;
        ScenarioError::Difference { seed: self.options.seed, request, what }
    }

    fn shape(&mut self) -> Shape {
        match self.net.has_feature(FEATURE_RING_INDIRECT_DESC) && self.rng.random_bool(0.3) {
            true => Shape::Indirect,
            false => Shape::Direct,
        }
    }

    /// Gives the device chains to receive into.
    fn provide(&mut self) -> Result<(), ScenarioError> {
        // a short queue could be full of buffers that are too small together
        let merge = self.net.has_feature(FEATURE_MRG_RXBUF) && self.net.queue_size() >= MERGING_QUEUE;
        let most = 8.min(self.net.queue_size().into());
        while self.net.receive_buffers() < PROVIDED && self.net.has_room(most).0 {
            let all = self.net.header_bytes() + self.longest;
            let bytes = match merge {
                true => self.rng.random_range(all / SHORTEST_BUFFER..=all),
                false => all + self.rng.random_range(0..64),
            };
            let (cut, shape) = (self.cut(bytes), self.shape());
            self.net.provide(self.platform, bytes, &cut, shape)?;
        }
        Ok(())
    }

    /// Lengths of the buffers of a chain of this many bytes, at most eight of them, and no more than the queue holds.
    fn cut(&mut self, bytes: u32) -> Vec<u32> {
        match self.rng.random_range(0..3) {
            0 => vec![],
            // as Linux does without ANY_LAYOUT: the header has a descriptor of its own
            1 => vec![self.net.header_bytes()],
            _ => (0..self.rng.random_range(0..7.min(self.net.queue_size())))
                .map(|_| self.rng.random_range(1..=bytes))
                .collect(),
        }
    }

    fn frame(&mut self, lengths: std::ops::RangeInclusive<u32>) -> Vec<u8> {
        let mut frame = vec![0; self.rng.random_range(lengths) as usize];
        self.rng.fill_bytes(&mut frame);
        frame
    }

    fn send(&mut self) -> Result<(), ScenarioError> {
        let most = 9.min(self.net.queue_size().into());
        while self.submitted < self.options.frames
            && self.net.transmitting() < self.options.depth
            && self.net.has_room(most).1
        {
            let frame = self.frame(FRAME_BYTES_MIN..=self.longest);
            let length = frame.len() as u32;
            let checksum =
                (self.net.has_feature(FEATURE_CSUM) && length > 20 && self.rng.random_bool(0.4)).then(|| {
                    let start = self.rng.random_range(0..length as u16 - 2);
                    (start, self.rng.random_range(0..=length as u16 - 2 - start))
                });
            let cut = self.cut(length + self.net.header_bytes());
            let outgoing = Outgoing { frame, checksum, cut, shape: self.shape() };
            self.net.send(self.platform, &outgoing)?;
            self.submitted += 1;
            let mut expected = outgoing.frame;
            if let Some((start, offset)) = checksum {
                self.report.checksums += 1;
                put_checksum(&mut expected, start.into(), offset.into());
            }
            self.sent.push_back(expected);
        }
        Ok(())
    }

    /// Puts frames for the driver on the wire.
    fn put(&mut self) {
        let mut on_the_way: usize = self.coming.iter().map(Vec::len).sum();
        let mut at = self.last_put.max(self.platform.now());
        let store = if self.longest > 2048 { JUMBO_ON_THE_WAY } else { ON_THE_WAY };
        while self.put < self.options.frames && on_the_way + self.longest as usize <= store {
            if self.rng.random_bool(0.3) {
                at += self.rng.random_range(0..500);
            }
            let time =
                Duration::from_nanos((u128::from(at) * 1_000_000_000 / u128::from(self.options.clock_hz)) as u64);
            if self.rng.random_bool(0.03) {
                let lengths = if self.rng.random_bool(0.5) {
                    1..=FRAME_BYTES_MIN - 1
                } else {
                    self.longest + 1..=self.longest + 1000
                };
                let frame = self.frame(lengths);
                self.wire.put(time, frame);
                self.report.dropped_frames += 1;
                continue;
            }
            let frame = self.frame(FRAME_BYTES_MIN..=self.longest);
            on_the_way += frame.len();
            self.wire.put(time, frame.clone());
            self.coming.push_back(frame);
            self.put += 1;
        }
        self.last_put = at;
    }

    fn received(&mut self, incoming: Incoming) -> Result<(), ScenarioError> {
        let expected = self.coming.pop_front();
        if expected.as_deref() != Some(&incoming.frame) {
            let (number, length) = (self.report.received_frames, incoming.frame.len());
            let wanted = expected.map(|frame| frame.len());
            return Err(self.difference(format!("received frame {number} of {length} bytes, not that of {wanted:?}")));
        }
        self.report.received_frames += 1;
        self.report.received_bytes += incoming.frame.len() as u64;
        self.report.buffers += u64::from(incoming.buffers);
        Ok(())
    }

    fn look_at_wire(&mut self) -> Result<(), ScenarioError> {
        while let Some(frame) = self.wire.take() {
            let expected = self.sent.pop_front();
            if expected.as_ref() != Some(&frame) {
                let (number, length) = (self.report.sent_frames, frame.len());
                let wanted = expected.map(|frame| frame.len());
                return Err(self.difference(format!("sent frame {number} of {length} bytes, not that of {wanted:?}")));
            }
            self.report.sent_frames += 1;
            self.report.sent_bytes += frame.len() as u64;
        }
        Ok(())
    }
}

/// The Internet checksum (RFC 1071) of what lies from `start` on, put `offset` bytes behind that. 0 is written as its other
/// form, ffff, as Linux does: to UDP a 0 would say that there is no checksum.
pub fn put_checksum(frame: &mut [u8], start: usize, offset: usize) {
    let sum: u64 = frame[start..]
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    let folded = (0..4).fold(sum, |sum, _| (sum & 0xffff) + (sum >> 16));
    let checksum = match !folded as u16 {
        0 => 0xffff,
        checksum => checksum,
    };
    frame[start + offset..][..2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071, section 3: the sum of these bytes is ddf2.
    #[test]
    fn checksum_of_the_rfc() {
        let mut bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x00, 0x00];
        put_checksum(&mut bytes, 0, 8);
        assert_eq!(bytes[8..], (!0xddf2_u16).to_be_bytes());
        let mut bytes = [0xff, 0xff, 0x00, 0x00];
        put_checksum(&mut bytes, 0, 2);
        assert_eq!(bytes[2..], [0xff, 0xff]);
    }
}
