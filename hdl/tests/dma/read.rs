//! The read engine against a model of the root complex.
use crate::beats::{beat, bytes, host_byte};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::ReadRequest;
use virtio_hdl_rtl::dma::SizedReadEngine;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::types::{CompletionBeat, TransmitBeat, TransmitKind};

const OUR_ID: u64 = 0x0300;
const CLIENTS: u64 = 3;

/// How a run is to go.
#[derive(Clone)]
struct Plan {
    requests: usize,
    max_read_request: u64,
    /// The host changes the limit at random: of a thousand cycles, in so many.
    changes: u64,
    extended: bool,
    /// Longest request.
    longest: u64,
    /// Chance in percent that a stream idles in a cycle.
    idle: u64,
    /// Chance in percent that a completion lies.
    faults: u64,
    /// Chance in percent that a read is never answered.
    silence: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            requests: 150,
            max_read_request: 2,
            changes: 0,
            extended: true,
            longest: 4096,
            idle: 30,
            faults: 0,
            silence: 0,
        }
    }
}

struct Request {
    address: u64,
    length: u64,
    destination: u64,
    client: usize,
    slot: u64,
    /// Bytes asked for with MRd so far.
    asked: u64,
    /// Limits that it may have been cut with: one of them gives all its reads.
    limits: Vec<u64>,
    must_fail: bool,
}

/// A read on its way.
struct Pending {
    request: usize,
    tag: u64,
    /// Host address of the next byte, and how many are to come.
    address: u64,
    remaining: u64,
    failed: bool,
}

#[derive(Default, Debug, PartialEq)]
struct Counts {
    unexpected: u64,
    errors: u64,
    timeouts: u64,
}

/// Host side: takes reads, answers them in any order and in any legal number of pieces, and lies if told to.
struct Root {
    plan: Plan,
    requests: Vec<Request>,
    first_unasked: usize,
    pending: Vec<Pending>,
    beats: VecDeque<CompletionBeat>,
    /// Reads never answered, until they have timed out.
    silent: VecDeque<Pending>,
    counts: Counts,
}

impl Root {
    /// Checks a read and returns the request it is for.
    fn take_read(&mut self, read: TransmitBeat, rng: &mut Rng) {
        assert_eq!(read.kind, TransmitKind::MemoryRead);
        assert!(read.last);
        let request = &mut self.requests[self.first_unasked];
        let start = request.address + request.asked;
        let offset = start % 4;
        let piece = |maximum: &u64| (request.length - request.asked).min(maximum - start % maximum);
        request.limits.retain(|maximum| (offset + piece(maximum)).div_ceil(4) == read.length.to_u64());
        let maximum = request.limits.first().expect("a read of a length that no limit gives");
        let length = (request.length - request.asked).min(maximum - start % maximum);
        let dwords = (offset + length).div_ceil(4);
        let end = (offset + length) % 4;
        let tail = if end == 0 { 0xF } else { (1 << end) - 1 };
        let head = (0xF << offset) & 0xF;
        assert_eq!(read.address.to_u64(), start & !3);
        assert_eq!(read.length.to_u64(), dwords);
        assert_eq!(read.first_be.to_u64(), if dwords == 1 { head & tail } else { head });
        assert_eq!(read.last_be.to_u64(), if dwords == 1 { 0 } else { tail });
        let tag = read.tag.to_u64();
        assert!(self.plan.extended || tag < 32);
        assert!(self.pending.iter().all(|p| p.tag != tag), "tag {tag} is outstanding");
        request.asked += length;
        let pending = Pending { request: self.first_unasked, tag, address: start, remaining: length, failed: false };
        if request.asked == request.length {
            self.first_unasked += 1;
        }
        if rng.below(100) < self.plan.silence {
            self.requests[pending.request].must_fail = true;
            self.silent.push_back(pending);
            self.counts.timeouts += 1;
        } else {
            self.pending.push(pending);
        }
    }

    /// Queues one completion.
    fn answer(&mut self, rng: &mut Rng) {
        if self.pending.is_empty() {
            return;
        }
        let pick = rng.below(self.pending.len().min(12) as u64) as usize;
        let p = &mut self.pending[pick];
        // legal cuts are at multiples of 64, and at most 256 bytes
        let to_boundary = 64 - p.address % 64;
        let piece = (to_boundary + 64 * rng.below(4)).min(p.remaining);
        let skip = p.address % 4;
        let length = (skip + piece).div_ceil(4);
        let mut header = CompletionBeat {
            tag: p.tag.into(),
            requester_id: OUR_ID.into(),
            byte_count: p.remaining.into(),
            lower_address: (p.address & 0x7F).into(),
            length: length.into(),
            ..Default::default()
        };
        let mut count = length.div_ceil(4);
        let base = p.address - skip;
        let data = |j: u64| -> Bits<128> {
            let lanes: Vec<u8> = (0..16).map(|i| host_byte(base + 16 * j + i)).collect();
            beat(&lanes)
        };
        let fault = if rng.below(100) < self.plan.faults { rng.below(12) } else { 99 };
        let mut ends = piece == p.remaining;
        let mut fails = true;
        match fault {
            0 | 1 => {
                header.status = (if fault == 0 { 1 } else { 4 }).into();
                header.length = 0.into();
                count = 1;
                ends = true;
            }
            11 if count > 1 => ends = true,
            2 | 11 => header.poisoned = true,
            3 => {
                header.byte_count = ((p.remaining + 1 + rng.below(4000)) % 4096 + 1).into();
                ends = true;
                if header.byte_count.to_u64() == p.remaining {
                    header.byte_count = (p.remaining % 4096 + 1).into();
                }
            }
            4 => {
                header.lower_address = ((p.address + 1 + rng.below(127)) & 0x7F).into();
                ends = true;
            }
            5 => {
                let more = rng.chance(1, 2) || length <= 4;
                header.length = (if more { length + 4 } else { length - 4 }).into();
                ends = true;
            }
            6 if count > 1 => {
                count = 1 + rng.below(count - 1);
                ends = true;
            }
            7 => {
                count += 1 + rng.below(20);
                ends = true;
            }
            8 => {
                // a tag that is not outstanding: the one that comes next
                header.tag = (p.tag ^ 0x80).into();
                self.counts.unexpected += 1;
                fails = false;
            }
            9 => {
                header.requester_id = (OUR_ID ^ (1 << rng.below(16))).into();
                self.counts.unexpected += 1;
                fails = false;
            }
            10 => {
                header.length = 0.into();
                ends = true;
                count = 1;
            }
            _ => fails = false,
        }
        for j in 0..count {
            let payload = if (8..=10).contains(&fault) { Bits::from(rng.next()) } else { data(j) };
            // cut inside the last beat: only that one says so
            let poisoned = header.poisoned || (fault == 11 && j == count - 1);
            self.beats.push_back(CompletionBeat {
                data: payload,
                first: j == 0,
                last: j == count - 1,
                poisoned,
                ..header
            });
        }
        if fault == 8 || fault == 9 {
            return;
        }
        if fails {
            self.counts.errors += !p.failed as u64;
            p.failed = true;
            self.requests[p.request].must_fail = true;
        }
        p.address += piece;
        p.remaining -= piece;
        if ends {
            let gone = self.pending.remove(pick);
            // what a root complex sends of a tag that has ended already
            // (right behind one that is too short it would count as one error with it)
            if fails && ![5, 6, 11].contains(&fault) && self.plan.extended && rng.chance(1, 2) {
                self.counts.unexpected += 1;
                self.beats.push_back(CompletionBeat {
                    first: true,
                    last: true,
                    tag: gone.tag.into(),
                    requester_id: OUR_ID.into(),
                    byte_count: 4.into(),
                    length: 1.into(),
                    ..Default::default()
                });
            }
        }
    }
}

impl Root {
    /// The oldest silent read has timed out: its answer comes now, perhaps.
    fn answer_late(&mut self, rng: &mut Rng) {
        let p = self.silent.pop_front().expect("a timeout of a read that was answered");
        if rng.chance(1, 2) {
            self.counts.unexpected += 1;
            let dwords = (p.address % 4 + p.remaining).div_ceil(4);
            let beats = dwords.div_ceil(4);
            for j in 0..beats {
                self.beats.push_back(CompletionBeat {
                    data: Bits::from(rng.next()),
                    first: j == 0,
                    last: j == beats - 1,
                    tag: p.tag.into(),
                    requester_id: OUR_ID.into(),
                    byte_count: p.remaining.into(),
                    lower_address: (p.address & 0x7F).into(),
                    length: dwords.into(),
                    ..Default::default()
                });
            }
        }
    }
}

/// The engine in each of its sizes.
fn benches(name: &str, timeout: u64) -> impl Iterator<Item = Bench<SizedReadEngine>> + '_ {
    let bench = move |tags| {
        Bench::new(&format!("{name}_{tags}"), SizedReadEngine::new(tags, timeout), |u: &mut SizedReadEngine| {
            &mut u.clock
        })
    };
    SizedReadEngine::TAGS.into_iter().map(bench)
}

/// Resets the engine, runs a plan to its end, and returns the cycles it took.
fn run(b: &mut Bench<SizedReadEngine>, seed: u64, plan: &Plan) -> u64 {
    b.rng = Rng(seed);
    let started = b.cycles;
    let mut root = Root {
        plan: plan.clone(),
        requests: vec![],
        first_unasked: 0,
        pending: vec![],
        beats: VecDeque::new(),
        silent: VecDeque::new(),
        counts: Counts::default(),
    };
    // client RAMs, and who may write each byte: the request's number and the byte expected
    let mut ram = vec![vec![0u8; 65536]; CLIENTS as usize];
    let mut owner: Vec<Vec<Option<(usize, u8)>>> = vec![vec![None; 65536]; CLIENTS as usize];
    let mut written: Vec<Vec<bool>> = vec![vec![false; 65536]; CLIENTS as usize];
    let mut next_place = [7u64, 1000, 60000];
    let mut in_use = [0u64; CLIENTS as usize];
    let mut seen = Counts::default();
    let (mut accepted, mut retired) = (0, 0);
    let mut offered: Option<ReadRequest> = None;
    let mut held: Option<TransmitBeat> = None;
    let mut completion_out = false;
    let mut pause = 0;
    let maximum = |code: u64| (128u64 << code).min(4096);
    // of this cycle and the three before it
    let mut limits = [maximum(plan.max_read_request); 4];

    b.uut.function_id.next = OUR_ID.into();
    b.uut.max_read_request.next = plan.max_read_request.into();
    b.uut.extended_tag.next = plan.extended;
    b.uut.reset.next = true;
    b.low();
    b.edge();
    b.uut.reset.next = false;
    while retired < plan.requests {
        // drive
        limits.rotate_right(1);
        limits[0] = limits[1];
        if b.rng.below(1000) < plan.changes {
            let code = b.rng.below(6);
            limits[0] = maximum(code);
            b.uut.max_read_request.next = code.into();
        }
        if offered.is_none() && accepted < plan.requests && b.rng.below(100) >= plan.idle {
            let client = b.rng.below(CLIENTS) as usize;
            let length = match b.rng.below(3) {
                0 => 1 + b.rng.below(plan.longest.min(24)),
                _ => 1 + b.rng.below(plan.longest),
            };
            if in_use[client] + length < 50_000 {
                let address = match b.rng.below(3) {
                    0 => b.rng.next() >> 8,
                    1 => (b.rng.below(1 << 20) << 12) + 4096 - b.rng.below(length.min(4096)),
                    _ => b.rng.below(1 << 32) & !15,
                };
                offered = Some(ReadRequest {
                    address: address.into(),
                    length: length.into(),
                    destination: next_place[client].into(),
                    client: (client as u64).into(),
                    slot: b.rng.below(64).into(),
                });
                next_place[client] = (next_place[client] + length + b.rng.below(3)) % 65536;
            }
        }
        b.uut.request.valid.next = offered.is_some();
        b.uut.request.data.next = offered.unwrap_or_default();
        b.uut.transmit.ready.next = b.rng.below(100) >= plan.idle;
        if root.beats.len() < 40 {
            let mut rng = b.rng.clone();
            root.answer(&mut rng);
            b.rng = rng;
        }
        completion_out |= !root.beats.is_empty() && b.rng.below(100) >= plan.idle;
        b.uut.completion.valid.next = completion_out;
        b.uut.completion.data.next = root.beats.front().copied().unwrap_or_default();
        b.low();

        // look
        let u = &b.uut;
        if u.returns.retire_valid.val() {
            let retire = u.returns.retire.val();
            let request = &root.requests[retired];
            assert_eq!(retire.client.to_u64(), request.client as u64, "order of retirement");
            assert_eq!(retire.slot.to_u64(), request.slot);
            assert_eq!(retire.error, request.must_fail, "request {retired}, cycle {}", b.cycles);
            for i in 0..request.length {
                let at = ((request.destination + i) % 65536) as usize;
                if !retire.error {
                    assert!(written[request.client][at], "byte {i} of request {retired} never came");
                    assert_eq!(ram[request.client][at], host_byte(request.address + i));
                }
                owner[request.client][at] = None;
            }
            in_use[request.client] -= request.length;
            retired += 1;
        }
        if u.returns.write_valid.val() {
            let w = u.returns.write.val();
            let data = bytes(w.data);
            for (lane, byte) in data.iter().enumerate() {
                if w.enable.get_bit(lane) {
                    let at = w.word.index() * 16 + lane;
                    let client = w.client.to_u64() as usize;
                    let (request, expected) = owner[client][at].expect("write outside of every live request");
                    assert!(root.requests[request].must_fail || *byte == expected, "wrong byte at {at:#x}");
                    ram[client][at] = *byte;
                    written[client][at] = true;
                }
            }
        }
        seen.unexpected += u.unexpected_completion.val() as u64;
        seen.errors += u.error_completion.val() as u64;
        if u.timeout.val() {
            seen.timeouts += 1;
            let mut rng = b.rng.clone();
            root.answer_late(&mut rng);
            b.rng = rng;
        }
        if let Some(before) = held {
            assert!(u.transmit.valid.val() && u.transmit.data.val() == before, "transmit changed while it waited");
        }
        held = (u.transmit.valid.val() && !u.transmit.ready.val()).then(|| u.transmit.data.val());
        let read = (u.transmit.valid.val() && u.transmit.ready.val()).then(|| u.transmit.data.val());
        if u.request.valid.val() && u.request.ready.val() {
            let r = offered.take().unwrap();
            let request = Request {
                address: r.address.to_u64(),
                length: r.length.to_u64(),
                destination: r.destination.to_u64(),
                client: r.client.to_u64() as usize,
                slot: r.slot.to_u64(),
                asked: 0,
                limits: limits.to_vec(),
                must_fail: false,
            };
            for i in 0..request.length {
                let at = ((request.destination + i) % 65536) as usize;
                assert!(owner[request.client][at].is_none(), "the test overlaps its own requests");
                owner[request.client][at] = Some((accepted, host_byte(request.address + i)));
                written[request.client][at] = false;
            }
            in_use[request.client] += request.length;
            root.requests.push(request);
            accepted += 1;
        }
        // without a pause but between packets
        pause = if u.completion.ready.val() { 0 } else { pause + 1 };
        assert!(pause <= 1, "completions are always taken");
        if completion_out && u.completion.ready.val() {
            root.beats.pop_front();
            completion_out = false;
        }
        if let Some(read) = read {
            let mut rng = b.rng.clone();
            root.take_read(read, &mut rng);
            b.rng = rng;
        }
        b.edge();
        assert!(b.cycles - started < 400_000, "hangs with {retired} of {} retired", plan.requests);
    }
    // nothing is left behind
    b.uut.request.valid.next = false;
    b.uut.transmit.ready.next = true;
    for _ in 0..100 {
        b.uut.completion.valid.next = !root.beats.is_empty();
        b.uut.completion.data.next = root.beats.front().copied().unwrap_or_default();
        b.low();
        if b.uut.completion.ready.val() {
            root.beats.pop_front();
        }
        seen.unexpected += b.uut.unexpected_completion.val() as u64;
        seen.errors += b.uut.error_completion.val() as u64;
        b.edge();
    }
    assert!(b.uut.idle.val());
    assert_eq!(seen, root.counts);
    b.cycles - started
}

#[test]
fn read_engine_delivers_random_requests_whatever_the_order_and_cut_of_completions() {
    for mut b in benches("dma_read_random", 60_000) {
        for (seed, max_read_request, idle) in [(1, 0, 0), (2, 2, 30), (3, 5, 60)] {
            run(&mut b, seed, &Plan { max_read_request, idle, ..Plan::default() });
        }
        run(&mut b, 4, &Plan { extended: false, ..Plan::default() });
        b.finish();
    }
}

#[test]
fn read_engine_reads_each_byte_once_when_the_limit_changes_at_any_time() {
    for mut b in benches("dma_read_limits", 60_000) {
        for (seed, changes, idle) in [(5, 10, 30), (6, 100, 0)] {
            run(&mut b, seed, &Plan { changes, idle, requests: 120, ..Plan::default() });
        }
        b.finish();
    }
}

#[test]
fn read_engine_survives_lying_completions_and_fails_exactly_their_requests() {
    for mut b in benches("dma_read_faults", 60_000) {
        for seed in [11, 12] {
            run(&mut b, seed, &Plan { faults: 20, longest: 1500, requests: 300, ..Plan::default() });
        }
        b.finish();
    }
}

#[test]
fn read_engine_gives_up_reads_that_are_never_answered_and_drops_their_late_completions() {
    for mut b in benches("dma_read_silence", 3000) {
        for seed in [21, 22] {
            run(&mut b, seed, &Plan { silence: 8, longest: 300, requests: 150, idle: 5, ..Plan::default() });
        }
        let plan = Plan { silence: 8, longest: 300, requests: 100, idle: 5, extended: false, ..Plan::default() };
        run(&mut b, 23, &plan);
        b.finish();
    }
}
