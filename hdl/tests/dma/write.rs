//! The write engine, with a client's RAM behind it, against a model of host memory.
use crate::beats::{beat, bytes, host_byte};
use rust_hdl::prelude::*;
use std::collections::{HashMap, VecDeque};
use virtio_hdl_rtl::dma::types::WriteRequest;
use virtio_hdl_rtl::dma::WriteEngine;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::types::{TransmitBeat, TransmitKind};

fn bench(name: &str) -> Bench<WriteEngine> {
    Bench::new(name, WriteEngine::default(), |u| &mut u.clock)
}

/// What a client's RAM holds at a byte address.
fn ram_byte(client: u64, address: u64) -> u8 {
    host_byte((address % 65536) + (client << 20) + 1)
}

fn ram_word(client: u64, word: u64) -> Bits<128> {
    let lanes: Vec<u8> = (0..16).map(|lane| ram_byte(client, word * 16 + lane)).collect();
    beat(&lanes)
}

#[derive(Clone, Copy)]
struct Request {
    address: u64,
    length: u64,
    source: u64,
    client: u64,
}

/// Puts packets together again and checks them against the requests, in their order.
struct Host {
    /// Each with the limits that it may have been cut with: one of them gives all its packets.
    requests: VecDeque<(Request, Vec<u64>)>,
    /// Bytes of the first request that have come.
    written: u64,
    /// Beats of the packet at hand.
    beats: Vec<TransmitBeat>,
    /// `done` pulses that are due, by client, and the cycle of the last beat.
    due: VecDeque<(u64, u64)>,
    packets: u64,
}

impl Host {
    fn take(&mut self, beat: TransmitBeat, cycle: u64) {
        self.beats.push(beat);
        if !beat.last {
            return;
        }
        self.packets += 1;
        let beats = std::mem::take(&mut self.beats);
        let (request, limits) = self.requests.front_mut().expect("a packet nobody asked for");
        let request = *request;
        let start = request.address + self.written;
        let left = request.length - self.written;
        let offset = start % 4;
        let piece = |maximum: &u64| left.min(maximum - start % maximum);
        limits.retain(|maximum| (offset + piece(maximum)).div_ceil(4) == beats[0].length.to_u64());
        let length = piece(limits.first().expect("a packet of a length that no limit gives"));
        let dwords = (offset + length).div_ceil(4);
        assert_eq!(beats.len() as u64, dwords.div_ceil(4));
        let mut memory = HashMap::new();
        for (j, beat) in beats.iter().enumerate() {
            assert_eq!(beat.kind, TransmitKind::MemoryWrite);
            assert_eq!(beat.address.to_u64(), start & !3);
            assert_eq!(beat.length.to_u64(), dwords);
            for (lane, byte) in bytes(beat.data).into_iter().enumerate() {
                let at = 16 * j as u64 + lane as u64;
                let enable = match at / 4 {
                    0 => beat.first_be.to_u64(),
                    n if n == dwords - 1 => beat.last_be.to_u64(),
                    n if n >= dwords => 0,
                    _ => 0xF,
                };
                if enable >> (at % 4) & 1 == 1 {
                    memory.insert((start & !3) + at, byte);
                }
            }
            if dwords == 1 {
                assert_eq!(beat.last_be, 0);
            }
        }
        assert_eq!(memory.len() as u64, length, "exactly the request's bytes are enabled");
        for i in 0..length {
            let expected = ram_byte(request.client, request.source + self.written + i);
            assert_eq!(memory.get(&(start + i)), Some(&expected), "byte {i}");
        }
        self.written += length;
        if self.written == request.length {
            self.written = 0;
            self.requests.pop_front();
            self.due.push_back((request.client, cycle));
        }
    }
}

/// Runs `requests` through the engine, which is reset first. `stop_at` is the cycle in which `stop` rises.
/// Returns the cycles from the first to the last beat.
fn run(
    b: &mut Bench<WriteEngine>,
    seed: u64,
    max_payload: u64,
    idle: u64,
    requests: &[Request],
    stop_at: Option<u64>,
) -> u64 {
    run_with_changes(b, seed, max_payload, 0, idle, requests, stop_at)
}

/// The same; of a thousand cycles, the host changes the limit in `changes`.
fn run_with_changes(
    b: &mut Bench<WriteEngine>,
    seed: u64,
    max_payload: u64,
    changes: u64,
    idle: u64,
    requests: &[Request],
    stop_at: Option<u64>,
) -> u64 {
    b.rng = Rng(seed);
    let maximum = |code: u64| (128u64 << code).min(4096);
    // of this cycle and the three before it
    let mut limits = [maximum(max_payload); 4];
    let mut host = Host { requests: VecDeque::new(), written: 0, beats: vec![], due: VecDeque::new(), packets: 0 };
    let started = b.cycles;
    let (mut offered, mut accepted, mut done) = (false, 0, 0);
    let mut held: Option<TransmitBeat> = None;
    let (mut first_beat, mut last_beat) = (None, 0);
    b.uut.max_payload.next = max_payload.into();
    b.uut.stop.next = false;
    b.uut.request.valid.next = false;
    b.uut.reset.next = true;
    b.low();
    b.edge();
    b.uut.reset.next = false;
    let mut stopped = false;
    loop {
        limits.rotate_right(1);
        limits[0] = limits[1];
        if b.rng.below(1000) < changes {
            let code = b.rng.below(6);
            limits[0] = maximum(code);
            b.uut.max_payload.next = code.into();
        }
        stopped |= stop_at.is_some_and(|at| b.cycles - started >= at);
        offered |= accepted < requests.len() && b.rng.below(100) >= idle;
        b.uut.stop.next = stopped;
        b.uut.request.valid.next = offered;
        if offered {
            let r = requests[accepted];
            b.uut.request.data.next = WriteRequest {
                address: r.address.into(),
                length: r.length.into(),
                source: r.source.into(),
                client: r.client.into(),
            };
        }
        b.uut.transmit.ready.next = b.rng.below(100) >= idle;
        b.low();
        let u = &b.uut;
        // the RAM's registered output: what was asked for in this cycle is there in the next
        let client = u.read_client.val().to_u64();
        let word = ram_word(client, u.read_word.val().to_u64());
        if u.read_past.val() {
            // whoever fills the RAM may use the words before this one again
            let past = u.read_word.val().to_u64();
            let ends_behind = |r: &Request| {
                let (first, last) = ((r.source + 65536 - 3) / 16, (r.source + 65536 + r.length - 1) / 16);
                r.client == client && (first..=last).any(|word| word % 4096 == past)
            };
            assert!(host.requests.iter().any(|(request, _)| ends_behind(request)), "word {past:#x} is of no request");
        }
        if u.done_valid.val() {
            let (client, cycle) = host.due.pop_front().expect("done too early");
            assert_eq!(u.done_client.val().to_u64(), client);
            assert!(b.cycles - cycle <= 1, "done comes in the cycle behind the last beat");
            done += 1;
        }
        if let Some(before) = held {
            assert!(u.transmit.valid.val() && u.transmit.data.val() == before, "transmit changed while it waited");
        }
        held = (u.transmit.valid.val() && !u.transmit.ready.val()).then(|| u.transmit.data.val());
        if u.transmit.valid.val() && u.transmit.ready.val() {
            host.take(u.transmit.data.val(), b.cycles);
            first_beat.get_or_insert(b.cycles);
            last_beat = b.cycles;
        }
        if u.request.valid.val() && u.request.ready.val() {
            host.requests.push_back((requests[accepted], limits.to_vec()));
            accepted += 1;
            offered = false;
        }
        let idle_now = u.idle.val();
        b.edge();
        b.uut.read_data.next = word;
        assert!(b.cycles - started < 200_000, "hangs with {done} of {} done", requests.len());
        if accepted == requests.len() && idle_now {
            break;
        }
    }
    assert!(host.beats.is_empty(), "no packet is cut short");
    assert!(host.due.is_empty());
    if stop_at.is_none() {
        assert_eq!(done, requests.len());
    }
    last_beat - first_beat.unwrap_or(0) + 1
}

fn random_requests(seed: u64, count: usize, longest: u64) -> Vec<Request> {
    let mut rng = Rng(seed);
    (0..count)
        .map(|_| {
            let length = 1 + if rng.chance(1, 2) { rng.below(20) } else { rng.below(longest) };
            let address = match rng.below(3) {
                0 => rng.next() >> 4,
                1 => (rng.below(1 << 20) << 12) + 4096 - rng.below(length),
                _ => rng.below(1 << 32),
            };
            Request { address, length, source: rng.below(65536), client: rng.below(16) }
        })
        .collect()
}

#[test]
fn write_engine_writes_random_requests_of_any_alignment_and_nothing_beside_them() {
    let mut b = bench("dma_write_random");
    for (seed, max_payload, idle) in [(1, 0, 30), (2, 1, 0), (3, 5, 60)] {
        run(&mut b, seed, max_payload, idle, &random_requests(seed, 150, 4096), None);
    }
    b.finish();
}

#[test]
fn write_engine_writes_each_byte_once_when_the_limit_changes_at_any_time() {
    let mut b = bench("dma_write_limits");
    for (seed, changes, idle) in [(11, 10, 30), (12, 100, 0), (13, 300, 60)] {
        run_with_changes(&mut b, seed, 1, changes, idle, &random_requests(seed, 120, 4096), None);
    }
    b.finish();
}

#[test]
fn write_engine_byte_enables_are_right_for_every_short_write() {
    let mut b = bench("dma_write_short");
    let mut requests = vec![];
    for offset in 0..4 {
        for length in 1..=9 {
            for source in [0, 3, 14, 31] {
                requests.push(Request { address: 0x1_0000_0FF0 + offset, length, source, client: 2 });
            }
        }
    }
    run(&mut b, 4, 1, 20, &requests, None);
    b.finish();
}

#[test]
fn write_engine_stops_behind_the_packet_at_hand_and_goes_idle() {
    let mut b = bench("dma_write_stop");
    for stop_at in [5, 9, 30, 61, 100, 203] {
        run(&mut b, stop_at, 1, 30, &random_requests(stop_at, 40, 2000), Some(stop_at));
        // and works after the next reset
        run(&mut b, stop_at, 1, 30, &random_requests(stop_at + 1, 5, 2000), None);
    }
    b.finish();
}

#[test]
fn write_engine_sends_packets_of_256_bytes_back_to_back() {
    let mut b = bench("dma_write_speed");
    // an odd RAM alignment costs one read a packet, in the cycle that its header takes on the link
    let long: Vec<_> = (0..16)
        .map(|i| Request { address: 0x10_0000 + 4096 * i, length: 4096, source: 4096 * (i % 16) + 5, client: 1 })
        .collect();
    let cycles = run(&mut b, 5, 1, 0, &long, None);
    let packets = 16 * 16;
    assert!(cycles <= packets * (16 + 1) + 16, "{packets} packets of 16 beats took {cycles} cycles");
    // 512-byte requests as the scatter block makes them
    let short: Vec<_> =
        (0..64).map(|i| Request { address: 0x10_0000 + 512 * i, length: 512, source: 512 * i, client: 1 }).collect();
    let cycles = run(&mut b, 6, 1, 0, &short, None);
    assert!(cycles <= 64 * 32 + 8, "64 requests of 32 beats took {cycles} cycles");
    // single beats: one request in two cycles
    let tiny: Vec<_> =
        (0..64).map(|i| Request { address: 0x10_0000 + 8 * i, length: 8, source: 8 * i, client: 1 }).collect();
    let cycles = run(&mut b, 7, 1, 0, &tiny, None);
    assert!(cycles <= 64 * 2 + 4, "64 single-beat packets took {cycles} cycles");
    b.finish();
}
