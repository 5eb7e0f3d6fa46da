//! The network device between a model of the rings and a model of the wire.
use crate::packet;
use rust_hdl::prelude::Bits;
use std::cell::RefCell;
use std::collections::VecDeque;
use virtio_hdl_rtl::device::net::types::{FrameSizes, NetBeat};
use virtio_hdl_rtl::device::net::NetDevice;
use virtio_hdl_rtl::dma::types::{ByteBeat, ScatterCommand};
use virtio_hdl_rtl::testing::{moved, narrow, wide, Bench, Feed, Rng};
use virtio_hdl_rtl::virtio::layout::net as layout;
use virtio_hdl_rtl::virtio::types::{Chain, ViolationReport};

/// Negotiated features.
#[derive(Clone, Copy)]
pub struct Features {
    pub merge: bool,
    pub csum: bool,
    pub guest_csum: bool,
}

impl Features {
    /// Bytes of the virtio header.
    pub fn header(self) -> usize {
        (if self.merge { layout::MERGE_HEADER_BYTES } else { layout::HEADER_BYTES }) as usize
    }
}

/// What the device counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub transmit_dropped: usize,
    pub runt: usize,
    pub oversize: usize,
    pub error: usize,
    pub no_buffer: usize,
    pub tx_violations: usize,
    pub rx_violations: usize,
}

/// A received frame as the driver must see it.
pub struct Received {
    /// Header flags and frame.
    pub flags: u8,
    pub frame: Vec<u8>,
}

pub struct World {
    pub features: Features,
    /// In how many of 4 cycles the device's outputs are taken.
    pub patient: u64,
    pub tx_chains: Feed<Chain>,
    pub tx_bytes: Feed<ByteBeat>,
    pub rx_chains: Feed<Chain>,
    pub wire: Feed<NetBeat>,
    /// Transmit chains in order, and whether they are dropped.
    pub tx_used: VecDeque<(u16, bool)>,
    /// Frames that must reach the wire.
    pub sent: VecDeque<Vec<u8>>,
    pub sent_now: Vec<u8>,
    /// Receive chains that are waiting: head, bytes.
    pub buffers: VecDeque<(u16, usize)>,
    /// Frames that must reach the driver, as far as they fit.
    pub received: VecDeque<Received>,
    /// The rest of a frame's scatter commands, with `more`.
    commands: VecDeque<(u16, usize, bool)>,
    /// Streams that belong to commands seen, and the one that is coming.
    streams: VecDeque<Vec<u8>>,
    stream: Vec<u8>,
    pub expected: Counts,
    pub seen: Counts,
    pub frames_out: usize,
    pub frames_in: usize,
    pub idle: bool,
    /// The last violation reported.
    pub violation: Option<ViolationReport>,
    /// The wire is in the middle of a frame.
    pub wire_inside: bool,
    /// Bytes of the longest frame.
    pub max_frame: usize,
    /// Descriptors of the receive queue.
    pub queue_size: usize,
}

impl World {
    pub fn new(features: Features, eager: u64, patient: u64) -> Self {
        Self {
            features,
            patient,
            tx_chains: Feed::new(eager),
            tx_bytes: Feed::new(eager),
            rx_chains: Feed::new(eager),
            wire: Feed::new(eager),
            tx_used: VecDeque::new(),
            sent: VecDeque::new(),
            sent_now: vec![],
            buffers: VecDeque::new(),
            received: VecDeque::new(),
            commands: VecDeque::new(),
            streams: VecDeque::new(),
            stream: vec![],
            expected: Counts::default(),
            seen: Counts::default(),
            frames_out: 0,
            frames_in: 0,
            idle: false,
            violation: None,
            wire_inside: false,
            max_frame: layout::FRAME_BYTES_MAX as usize,
            queue_size: 256,
        }
    }

    // ---------------------------------------------------------------- transmit
    /// A chain with these readable bytes, of which those from `failed` on cannot be read.
    pub fn offer_transmit(&mut self, chain: Chain, bytes: &[u8], failed: usize) {
        self.tx_chains.values.push_back(chain);
        self.tx_bytes.values.extend(beats(bytes, failed));
    }

    /// Beats of the transmit chains that the device has not taken.
    pub fn tx_beats_untaken(&self) -> usize {
        self.tx_chains.values.iter().map(|chain| beat_count(chain.readable_length.to_u64() as usize)).sum()
    }

    /// A frame to send, and what must come of it.
    pub fn transmit(&mut self, rng: &mut Rng, frame: &[u8]) {
        let start = rng.below(frame.len() as u64 + 2) as u16;
        let offset = rng.below((frame.len() as u64 + 4).saturating_sub(u64::from(start)).max(1)) as u16;
        let wants = rng.chance(1, 2);
        let mut bytes: Vec<u8> = (0..self.features.header()).map(|_| rng.next() as u8).collect();
        bytes[0] = bytes[0] & !layout::FLAG_NEEDS_CSUM | u8::from(wants);
        bytes[6..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..10].copy_from_slice(&offset.to_le_bytes());
        bytes.extend(frame);
        let failed = if rng.chance(1, 20) { rng.below(bytes.len() as u64) as usize } else { usize::MAX };
        let head = rng.below(256) as u16;
        let in_limits = (layout::FRAME_BYTES_MIN as usize..=self.max_frame).contains(&frame.len());
        let frame = match wants && self.features.csum {
            true => packet::with_checksum(frame, start.into(), offset.into()),
            false => Some(frame.to_vec()),
        };
        match frame {
            Some(frame) if in_limits && failed == usize::MAX => self.sent.push_back(frame),
            _ => self.expected.transmit_dropped += 1,
        }
        self.tx_used.push_back((head, false));
        let chain = Chain {
            head: u64::from(head).into(),
            readable_length: (bytes.len() as u64).into(),
            writable_length: rng.below(3).into(),
            error: false,
        };
        self.offer_transmit(chain, &bytes, failed);
    }

    /// A frame to send as it is.
    pub fn transmit_plain(&mut self, head: u16, frame: &[u8]) {
        let bytes = [&vec![0; self.features.header()], frame].concat();
        self.sent.push_back(frame.to_vec());
        self.tx_used.push_back((head, false));
        let readable_length = (bytes.len() as u64).into();
        let chain = Chain { head: u64::from(head).into(), readable_length, ..Default::default() };
        self.offer_transmit(chain, &bytes, usize::MAX);
    }

    // ---------------------------------------------------------------- receive
    /// A chain for received frames. Readable bytes in it mean nothing.
    pub fn offer_receive(&mut self, head: u16, writable: usize) {
        self.rx_chains.values.push_back(Chain {
            head: u64::from(head).into(),
            readable_length: (u64::from(head) % 3 * 20).into(),
            writable_length: (writable as u64).into(),
            error: false,
        });
        self.buffers.push_back((head, writable));
    }

    /// A frame from the wire, and what must come of it unless the device is full.
    pub fn receive(&mut self, frame: &[u8], error: bool) {
        let count = frame.len().div_ceil(16);
        self.wire.values.extend(frame.chunks(16).enumerate().map(|(i, chunk)| NetBeat {
            data: padded(chunk),
            keep: ((1u64 << chunk.len()) - 1).into(),
            last: i + 1 == count,
            error: error && i + 1 == count,
        }));
        if error {
            self.expected.error += 1;
        } else if (frame.len() as u32) < layout::FRAME_BYTES_MIN {
            self.expected.runt += 1;
        } else if frame.len() > self.max_frame {
            self.expected.oversize += 1;
        } else {
            let valid = self.features.guest_csum && packet::is_valid(frame);
            let flags = if valid { layout::FLAG_DATA_VALID } else { 0 };
            self.received.push_back(Received { flags, frame: frame.to_vec() });
        }
    }

    /// The chains that the next frame takes: none if it does not fit, or if there are not yet enough.
    fn chains_for_next(&self) -> Option<usize> {
        let mut room = 0;
        let need = self.features.header() + self.received.front()?.frame.len();
        let enough = |length: &(u16, usize)| {
            room += length.1;
            room >= need
        };
        self.buffers.iter().take(self.limit()).position(enough).map(|last| last + 1)
    }

    /// Most chains of a frame.
    fn limit(&self) -> usize {
        if self.features.merge {
            self.queue_size.min(16)
        } else {
            1
        }
    }

    /// Frames at the front that do not fit are dropped; the chains stay.
    fn drop_what_does_not_fit(&mut self) {
        while !self.received.is_empty() && self.buffers.len() >= self.limit() && self.chains_for_next().is_none() {
            self.received.pop_front();
            self.expected.no_buffer += 1;
        }
    }

    /// The next frame: its scatter commands and its stream.
    fn plan(&mut self) {
        let chains = self.chains_for_next().expect("a frame, and room for it");
        let Received { flags, frame } = self.received.pop_front().expect("a frame");
        let mut left = self.features.header() + frame.len();
        let mut header = vec![0; self.features.header()];
        header[0] = flags;
        if self.features.merge {
            header[10..12].copy_from_slice(&(chains as u16).to_le_bytes());
        }
        self.streams.push_back([header, frame].concat());
        for i in 1..=chains {
            let (head, length) = self.buffers.pop_front().expect("counted");
            self.commands.push_back((head, length.min(left), i < chains));
            left -= length.min(left);
        }
    }

    // ---------------------------------------------------------------- time
    pub fn cycle(&mut self, bench: &mut Bench<NetDevice>) {
        self.drop_what_does_not_fit();
        let world = RefCell::new(self);
        bench.cycle(
            |uut, rng| {
                let mut world = world.borrow_mut();
                world.tx_chains.drive(&mut uut.tx_chain, rng);
                world.tx_bytes.drive(&mut uut.tx_readable, rng);
                world.rx_chains.drive(&mut uut.rx_chain, rng);
                world.wire.drive(&mut uut.frame_in, rng);
                let patient = world.patient;
                uut.tx_scatter.ready.next = rng.chance(patient, 4);
                uut.rx_scatter.ready.next = rng.chance(patient, 4);
                uut.rx_writable.ready.next = rng.chance(patient, 4);
                uut.frame_out.ready.next = rng.chance(patient, 4);
            },
            |uut| world.borrow_mut().observe(uut),
        );
    }

    fn observe(&mut self, uut: &NetDevice) {
        self.tx_chains.take(&uut.tx_chain);
        self.tx_bytes.take(&uut.tx_readable);
        self.rx_chains.take(&uut.rx_chain);
        if let Some(beat) = self.wire.take(&uut.frame_in) {
            self.wire_inside = !beat.last;
        }
        self.idle = uut.idle.val();
        self.seen.transmit_dropped += usize::from(uut.transmit_dropped.val());
        self.seen.runt += usize::from(uut.receive_runt.val());
        self.seen.oversize += usize::from(uut.receive_oversize.val());
        self.seen.error += usize::from(uut.receive_error.val());
        self.seen.no_buffer += usize::from(uut.receive_no_buffer.val());
        self.seen.tx_violations += usize::from(uut.tx_violation_valid.val());
        self.seen.rx_violations += usize::from(uut.rx_violation_valid.val());
        if uut.tx_violation_valid.val() {
            self.violation = Some(uut.tx_violation.val());
        } else if uut.rx_violation_valid.val() {
            self.violation = Some(uut.rx_violation.val());
        }
        if let Some(command) = moved(&uut.tx_scatter) {
            let (head, drop) = self.tx_used.pop_front().expect("a used chain that nobody offered");
            let soon = command.soon;
            let expected = ScatterCommand { head: u64::from(head).into(), drop, soon, ..Default::default() };
            assert_eq!(command, expected);
            assert!(!soon || !self.tx_used.is_empty(), "no chain is left to wait for");
        }
        if let Some(beat) = moved(&uut.frame_out) {
            self.observe_sent(beat);
        }
        if let Some(command) = moved(&uut.rx_scatter) {
            if self.commands.is_empty() {
                self.plan();
            }
            let (head, length, more) = self.commands.pop_front().expect("just planned");
            let length = length as u64;
            let expected = ScatterCommand {
                skip: 0.into(),
                length: length.into(),
                head: u64::from(head).into(),
                used_length: length.into(),
                drop: false,
                more,
                soon: command.soon,
            };
            assert_eq!(command, expected);
        }
        if let Some(beat) = moved(&uut.rx_writable) {
            assert!(!beat.error);
            self.stream.extend(narrow(beat.data, beat.count.to_u64() as usize));
            if beat.last {
                if self.streams.is_empty() {
                    // the bytes may come before their command
                    assert!(self.commands.is_empty());
                    self.plan();
                }
                assert_eq!(Some(std::mem::take(&mut self.stream)), self.streams.pop_front());
                self.frames_in += 1;
            } else {
                assert_eq!(beat.count, 16);
            }
        }
    }

    fn observe_sent(&mut self, beat: NetBeat) {
        let keep = beat.keep.to_u64();
        let count = keep.count_ones();
        assert_eq!(keep, (1 << count) - 1, "lanes are contiguous");
        assert!(count == 16 || (beat.last && count > 0));
        assert!(!beat.error);
        self.sent_now.extend(narrow(beat.data, count as usize));
        if beat.last {
            let expected = self.sent.pop_front().expect("a frame that nobody sent");
            assert_eq!(std::mem::take(&mut self.sent_now), expected);
            self.frames_out += 1;
        }
    }

    /// All that was offered has gone its way, the chains that wait for frames excepted.
    pub fn quiet(&self) -> bool {
        self.idle
            && self.sent_now.is_empty()
            && self.tx_chains.values.is_empty()
            && self.tx_bytes.values.is_empty()
            && self.tx_used.is_empty()
            && self.sent.is_empty()
            && self.wire.values.is_empty()
            && self.received.is_empty()
            && self.commands.is_empty()
            && self.streams.is_empty()
    }

    pub fn run_until_quiet(&mut self, bench: &mut Bench<NetDevice>, limit: u64) {
        let end = bench.cycles + limit;
        while !self.quiet() {
            assert!(bench.cycles < end, "hangs: {} to send, {} to receive", self.sent.len(), self.received.len());
            self.cycle(bench);
        }
        // events come a cycle later, and nothing else may come
        for _ in 0..20 {
            self.cycle(bench);
        }
        assert_eq!(self.seen, self.expected);
        assert!(self.quiet());
    }
}

/// A beat with anything in the lanes that do not count.
pub fn padded(bytes: &[u8]) -> Bits<128> {
    let mut lanes = [packet::PADDING; 16];
    lanes[..bytes.len()].copy_from_slice(bytes);
    wide(&lanes)
}

/// Beats of a chain with so many bytes.
fn beat_count(bytes: usize) -> usize {
    bytes.div_ceil(16).max(1)
}

/// The beats of a chain's bytes, those from byte `failed` on marked.
fn beats(bytes: &[u8], failed: usize) -> Vec<ByteBeat> {
    let count = beat_count(bytes.len());
    let beat = |i: usize| {
        let chunk = &bytes[16 * i..bytes.len().min(16 * i + 16)];
        ByteBeat {
            data: padded(chunk),
            count: (chunk.len() as u64).into(),
            last: i + 1 == count,
            error: 16 * i + chunk.len() > failed,
        }
    };
    (0..count).map(beat).collect()
}

/// The device with these features, just reset.
pub fn bench(name: &str, features: Features) -> Bench<NetDevice> {
    bench_of(name, features, layout::FRAME_BYTES_MAX as u16, 256)
}

/// The same for frames of at most `max_frame` bytes, and queues of `queue_size` descriptors.
pub fn bench_of(name: &str, features: Features, max_frame: u16, queue_size: u16) -> Bench<NetDevice> {
    let device = NetDevice::new(FrameSizes::new(max_frame), queue_size);
    let mut bench = Bench::new(name, device, |uut| &mut uut.clock);
    bench.uut.merge.next = features.merge;
    bench.uut.csum.next = features.csum;
    bench.uut.guest_csum.next = features.guest_csum;
    reset(&mut bench);
    bench
}

pub fn reset(bench: &mut Bench<NetDevice>) {
    bench.uut.reset.next = true;
    bench.cycle(|_, _| {}, |_| {});
    bench.cycle(|_, _| {}, |_| {});
    bench.uut.reset.next = false;
}
