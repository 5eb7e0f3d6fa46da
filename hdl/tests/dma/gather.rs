//! Gather against a model of the read engine.
use crate::beats::{beat, bytes, host_byte};
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::{BufferDescriptor, ByteBeat, ReadRequest, ReadRetire};
use virtio_hdl_rtl::dma::Gather;
use virtio_hdl_rtl::testing::{Bench, Port, Rng};

const CLIENT: u64 = 5;
/// 2^AW words of 16 bytes.
const AW: usize = 7;
const RAM: u64 = 2048;

type Block<const W: usize> = Gather<W>;

struct Chain {
    buffers: Vec<(u64, u64)>,
    broken: bool,
}

/// A read that has been taken; its data are written piece by piece.
struct Read {
    address: u64,
    length: u64,
    destination: u64,
    slot: u64,
    done: u64,
    due: u64,
    fails: bool,
}

#[derive(Clone)]
struct Plan {
    max_read_request: u64,
    /// The host changes the limit at random: of a thousand cycles, in so many.
    changes: u64,
    idle: u64,
    /// Percent of reads that fail.
    errors: u64,
    /// Cycles from a read to its first byte.
    latency: u64,
}

struct Outcome {
    cycles: u64,
    most_in_flight: usize,
}

fn run<const W: usize>(b: &mut Bench<Block<W>>, seed: u64, plan: &Plan, chains: &[Chain]) -> Outcome {
    b.rng = Rng(seed);
    let ram_size = 16u64 << W;
    let mut ram = vec![0u8; ram_size as usize];
    // the word that was read in the cycle before
    let mut read = None;
    let started = b.cycles;
    let mut descriptors: VecDeque<BufferDescriptor> = VecDeque::new();
    for chain in chains {
        for &(address, length) in &chain.buffers {
            descriptors.push_back(BufferDescriptor {
                address: address.into(),
                length: length.into(),
                end: false,
                error: false,
            });
        }
        descriptors.push_back(BufferDescriptor { end: true, error: chain.broken, ..Default::default() });
    }
    // where reads must go, in order: host address of every byte and its RAM address
    let mut expected_reads: VecDeque<(u64, u64)> = VecDeque::new();
    let mut place = 0;
    for chain in chains {
        for &(address, length) in &chain.buffers {
            for i in 0..length {
                expected_reads.push_back((address + i, place));
                place += 1;
            }
        }
        place = place.div_ceil(16) * 16;
    }
    let bytes_of = |code: u64| (128u64 << code).min(512);
    let mut limit = bytes_of(plan.max_read_request);
    // each limit with the cycle that ended it, and when the last three reads left: the limit of a read is taken when the one
    // before it is cut, behind which up to two others wait
    let mut before: Vec<(u64, u64)> = vec![];
    let mut left = [b.cycles; 3];
    let mut reads: VecDeque<Read> = VecDeque::new();
    // per chain: bytes asked for and whether a read of it failed
    let mut asked_in_chain = (0usize, 0u64);
    let mut failed = vec![false; chains.len()];
    let (mut chain, mut position, mut streamed) = (0usize, 0u64, 0u64);
    let mut slots = 0u64;
    let mut most_in_flight = 0;
    let mut offered = false;
    let mut held: Option<ReadRequest> = None;
    let mut held_beat: Option<ByteBeat> = None;
    b.uut.max_read_request.next = plan.max_read_request.into();
    b.uut.buffers.valid.next = false;
    b.uut.reset.next = true;
    b.low();
    b.edge();
    b.uut.reset.next = false;
    while chain < chains.len() {
        let now = b.cycles;
        if b.rng.below(1000) < plan.changes {
            let code = b.rng.below(6);
            before.push((limit, now));
            limit = bytes_of(code);
            b.uut.max_read_request.next = code.into();
        }
        offered |= !descriptors.is_empty() && b.rng.below(100) >= plan.idle;
        b.uut.buffers.valid.next = offered;
        b.uut.buffers.data.next = descriptors.front().copied().unwrap_or_default();
        b.uut.request.ready.next = b.rng.below(100) >= plan.idle;
        b.uut.data.ready.next = b.rng.below(100) >= plan.idle;
        // retire in order; others' retirements and writes in between
        b.uut.retire_valid.next = false;
        if reads.front().is_some_and(|r| r.done == r.length && r.due < now) && b.rng.below(100) >= plan.idle {
            let r = reads.pop_front().unwrap();
            b.uut.retire_valid.next = true;
            b.uut.retire.next = ReadRetire { client: CLIENT.into(), slot: r.slot.into(), error: r.fails };
        } else if b.rng.chance(1, 8) {
            b.uut.retire_valid.next = true;
            b.uut.retire.next = ReadRetire { client: (CLIENT ^ 1).into(), slot: 0.into(), error: true };
        }
        let ready: Vec<usize> =
            (0..reads.len()).filter(|&i| reads[i].done < reads[i].length && reads[i].due <= now).take(8).collect();
        if !ready.is_empty() && b.rng.below(100) >= plan.idle {
            let pick = if plan.idle == 0 { ready[0] } else { ready[b.rng.below(ready.len() as u64) as usize] };
            let r = &mut reads[pick];
            let count = (r.length - r.done).min(16);
            for i in r.done..r.done + count {
                ram[((r.destination + i) % ram_size) as usize] = host_byte(r.address + i);
            }
            r.done += count;
            if r.done == r.length {
                r.due = now;
            }
        }
        // the RAM has other readers, and says nothing but what it was asked for
        b.uut.read_granted.next = b.rng.below(100) >= plan.idle;
        b.uut.read_data.next = match read.take() {
            Some(word) => beat(&ram[16 * word..][..16]),
            None => Port::random(&mut b.rng),
        };
        b.low();
        let u = &b.uut;
        read = (u.read_valid.val() && u.read_granted.val()).then(|| u.read_word.val().index());
        if u.buffers.valid.val() && u.buffers.ready.val() {
            descriptors.pop_front();
            offered = false;
        }
        if let Some(before) = held {
            assert!(u.request.valid.val() && u.request.data.val() == before, "request changed while it waited");
        }
        held = (u.request.valid.val() && !u.request.ready.val()).then(|| u.request.data.val());
        if let Some(before) = held_beat {
            assert!(u.data.valid.val() && u.data.data.val() == before, "data changed while they waited");
        }
        held_beat = (u.data.valid.val() && !u.data.ready.val()).then(|| u.data.data.val());
        let request = (u.request.valid.val() && u.request.ready.val()).then(|| u.request.data.val());
        let out = (u.data.valid.val() && u.data.ready.val()).then(|| u.data.data.val());
        if let Some(out) = out {
            let total: u64 = chains[chain].buffers.iter().map(|b| b.1).sum();
            let count = out.count.to_u64();
            assert_eq!(count, (total - streamed).min(16));
            assert_eq!(out.last, streamed + count == total, "chain {chain}, {streamed} of {total} bytes");
            let lanes = bytes(out.data);
            for (at, lane) in (streamed..).zip(lanes.iter().take(count as usize)) {
                let mut offset = at;
                let address = chains[chain].buffers.iter().find_map(|&(address, length)| {
                    if offset < length {
                        return Some(address + offset);
                    }
                    offset -= length;
                    None
                });
                let address = address.expect("within the chain");
                assert!(out.error || *lane == host_byte(address), "byte {at} of chain {chain}");
            }
            streamed += count;
            assert!(!out.error || failed[chain] || (out.last && chains[chain].broken));
            assert!(!out.last || out.error == (failed[chain] || chains[chain].broken));
            if out.last {
                position += total.div_ceil(16) * 16;
                streamed = 0;
                chain += 1;
            }
        }
        if let Some(request) = request {
            assert_eq!(request.client, CLIENT);
            assert_eq!(request.slot.to_u64(), slots % 64);
            slots += 1;
            let (address, length) = (request.address.to_u64(), request.length.to_u64());
            let within = |limit: u64| length <= limit && address / limit == (address + length - 1) / limit;
            let known = before.iter().filter(|(_, end)| *end >= left[2]).any(|(limit, _)| within(*limit));
            assert!(length > 0 && (within(limit) || known), "{length} bytes at {address:#x}");
            left = [now, left[0], left[1]];
            while asked_in_chain.1 == chains[asked_in_chain.0].buffers.iter().map(|b| b.1).sum::<u64>() {
                asked_in_chain = (asked_in_chain.0 + 1, 0);
            }
            for i in 0..length {
                let (from, to) = expected_reads.pop_front().expect("a read nobody needs");
                assert_eq!((address + i, (request.destination.to_u64() + i) % ram_size), (from, to % ram_size));
                // beats on their way out of the RAM, nine at most, leave their space free already
                assert!(to < position + streamed / 16 * 16 + ram_size + 9 * 16, "RAM byte {to:#x} is still needed");
            }
            asked_in_chain.1 += length;
            let fails = b.rng.below(100) < plan.errors;
            failed[asked_in_chain.0] |= fails;
            reads.push_back(Read {
                address,
                length,
                destination: request.destination.to_u64(),
                slot: request.slot.to_u64(),
                // a failed read may have brought nothing at all
                done: if fails && b.rng.chance(1, 2) { length } else { 0 },
                due: now + plan.latency,
                fails,
            });
            most_in_flight = most_in_flight.max(reads.len());
            assert!(reads.len() <= 65);
        }
        b.edge();
        assert!(b.cycles - started < 200_000, "hangs in chain {chain} of {}", chains.len());
    }
    assert!(expected_reads.is_empty());
    Outcome { cycles: b.cycles - started, most_in_flight }
}

fn random_chains(seed: u64, count: usize, longest: u64) -> Vec<Chain> {
    let mut rng = Rng(seed);
    (0..count)
        .map(|_| {
            let buffers = (0..rng.below(6))
                .map(|_| {
                    let length = 1 + if rng.chance(2, 3) { rng.below(40) } else { rng.below(longest) };
                    let address = match rng.below(2) {
                        0 => rng.next() >> 8,
                        _ => (rng.below(1 << 20) << 9) + 512 - rng.below(length.min(512)),
                    };
                    (address, length)
                })
                .collect();
            Chain { buffers, broken: rng.chance(1, 10) }
        })
        .collect()
}

#[test]
fn gather_packs_the_bytes_of_random_chains_and_fails_exactly_the_bad_ones() {
    let mut b = Bench::new("dma_gather_random", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    for (seed, max_read_request, idle) in [(1, 0, 30), (2, 1, 0), (3, 5, 60), (4, 2, 10)] {
        let plan = Plan { max_read_request, changes: 0, idle, errors: 5, latency: 20 };
        run(&mut b, seed, &plan, &random_chains(seed, 120, 3 * RAM));
    }
    b.finish();
}

#[test]
fn gather_reads_each_byte_once_when_the_limit_changes_at_any_time() {
    let mut b = Bench::new("dma_gather_limits", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    for (seed, changes, idle) in [(31, 20, 30), (32, 100, 0), (33, 300, 10)] {
        let plan = Plan { max_read_request: 2, changes, idle, errors: 5, latency: 20 };
        run(&mut b, seed, &plan, &random_chains(seed, 100, 3 * RAM));
    }
    b.finish();
}

#[test]
fn gather_keeps_8_reads_in_flight_and_streams_a_beat_per_cycle() {
    let mut b = Bench::new("dma_gather_speed", Block::<8>::new(CLIENT), |u| &mut u.clock);
    // 64 KiB, a round trip of 100 cycles, in buffers of 4 KiB
    let latency = 100;
    let plan = Plan { max_read_request: 2, changes: 0, idle: 0, errors: 0, latency };
    let long = vec![Chain { buffers: (0..16).map(|i| (0x10_0000 + 4096 * i, 4096)).collect(), broken: false }];
    let outcome = run(&mut b, 1, &plan, &long);
    assert!(outcome.cycles <= 4096 + latency + 50, "4096 beats took {} cycles", outcome.cycles);
    // slow memory: all the RAM is in flight
    let outcome = run(&mut b, 2, &Plan { latency: 2000, ..plan.clone() }, &long);
    assert_eq!(outcome.most_in_flight, 8);
    // buffers of 8 bytes
    let small = vec![Chain { buffers: (0..512).map(|i| (0x10_0000 + 24 * i, 8)).collect(), broken: false }];
    let outcome = run(&mut b, 3, &Plan { latency: 20, ..plan.clone() }, &small);
    assert!(outcome.cycles <= 512 * 3 + 60, "512 buffers of 8 bytes took {} cycles", outcome.cycles);
    // chains of one small buffer
    let chains: Vec<_> = (0..200).map(|i| Chain { buffers: vec![(0x10_0000 + 64 * i, 16)], broken: false }).collect();
    let outcome = run(&mut b, 4, &Plan { latency: 20, ..plan }, &chains);
    assert!(outcome.cycles <= 200 * 5 + 60, "200 chains of 16 bytes took {} cycles", outcome.cycles);
    b.finish();
}
