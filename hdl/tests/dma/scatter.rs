//! Scatter against a model of the write engine.
use crate::beats::{beat, bytes};
use std::collections::{HashMap, VecDeque};
use virtio_hdl_rtl::dma::types::{BufferDescriptor, ByteBeat, ScatterCommand, UsedElement, WriteRequest};
use virtio_hdl_rtl::dma::Scatter;
use virtio_hdl_rtl::testing::{Bench, Rng};

const CLIENT: u64 = 9;
const AW: usize = 6;

type Block<const W: usize> = Scatter<W>;

#[derive(Clone, Default)]
struct Chain {
    buffers: Vec<(u64, u64)>,
    broken: bool,
    skip: u64,
    length: u64,
    drop: bool,
    more: bool,
}

/// A write that has been taken.
struct Write {
    address: u64,
    length: u64,
    source: u64,
    done: u64,
}

impl Write {
    /// The RAM read under way is its last.
    fn ends_at(&self, reading: Option<(u64, u64, u64)>) -> bool {
        reading.is_some_and(|(address, _, count)| address + count == self.address + self.length)
    }
}

fn data_byte(chain: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(7) as u8) ^ (chain as u8).wrapping_mul(31) ^ (offset >> 8) as u8
}

/// Runs the chains; returns the cycles to the last used element or beat.
fn run<const W: usize>(b: &mut Bench<Block<W>>, seed: u64, idle: u64, chains: &[Chain]) -> u64 {
    b.rng = Rng(seed);
    let started = b.cycles;
    let mut descriptors: VecDeque<BufferDescriptor> = VecDeque::new();
    let mut commands: VecDeque<ScatterCommand> = VecDeque::new();
    let mut data: VecDeque<ByteBeat> = VecDeque::new();
    // what must be written, what may be, and after how many bytes each used element may come
    let mut required: HashMap<u64, u8> = HashMap::new();
    let mut allowed: HashMap<u64, u8> = HashMap::new();
    let mut used: VecDeque<(UsedElement, u64)> = VecDeque::new();
    let mut certain = 0;
    // bytes of the commands that belong together
    let mut stream: Vec<u8> = vec![];
    for (i, chain) in chains.iter().enumerate() {
        let mut offset = 0;
        for &(address, length) in &chain.buffers {
            descriptors.push_back(BufferDescriptor {
                address: address.into(),
                length: length.into(),
                end: false,
                error: false,
            });
            for k in 0..length {
                if offset >= chain.skip && offset < chain.skip + chain.length && !chain.drop {
                    let byte = data_byte(i, offset - chain.skip);
                    let map = if chain.broken { &mut allowed } else { &mut required };
                    assert!(map.insert(address + k, byte).is_none(), "the test's buffers overlap");
                    certain += !chain.broken as u64;
                }
                offset += 1;
            }
        }
        descriptors.push_back(BufferDescriptor { end: true, error: chain.broken, ..Default::default() });
        let element = UsedElement {
            head: (i as u64 * 3 % 65536).into(),
            length: (i as u64 + 100).into(),
            more: chain.more,
            soon: i % 5 < 2,
        };
        commands.push_back(ScatterCommand {
            skip: chain.skip.into(),
            length: chain.length.into(),
            head: element.head,
            used_length: element.length,
            drop: chain.drop,
            more: chain.more,
            soon: element.soon,
        });
        stream.extend((0..chain.length).map(|offset| data_byte(i, offset)));
        if !chain.more {
            let beats = stream.len().div_ceil(16);
            data.extend(stream.chunks(16).enumerate().map(|(j, chunk)| ByteBeat {
                data: beat(chunk),
                count: (chunk.len() as u64).into(),
                last: j + 1 == beats,
                error: false,
            }));
            stream.clear();
        }
        if !chain.drop && !chain.broken {
            used.push_back((element, certain));
        }
    }
    let mut writes: VecDeque<Write> = VecDeque::new();
    let mut written: HashMap<u64, u8> = HashMap::new();
    let mut certain_requested = 0;
    // the RAM read that is answered in this cycle: write, offset, bytes
    let mut reading: Option<(u64, u64, u64)> = None;
    let mut finished = 0u64;
    let (mut offer_buffer, mut offer_command, mut offer_data) = (false, false, false);
    let mut held: Option<WriteRequest> = None;
    let mut held_used: Option<UsedElement> = None;
    b.uut.buffers.valid.next = false;
    b.uut.command.valid.next = false;
    b.uut.data.valid.next = false;
    b.uut.done.next = false;
    b.uut.reset.next = true;
    b.low();
    b.edge();
    b.uut.reset.next = false;
    let mut quiet = 0;
    while quiet < 40 {
        offer_buffer |= !descriptors.is_empty() && b.rng.below(100) >= idle;
        offer_command |= !commands.is_empty() && b.rng.below(100) >= idle;
        offer_data |= !data.is_empty() && b.rng.below(100) >= idle;
        b.uut.buffers.valid.next = offer_buffer;
        b.uut.buffers.data.next = descriptors.front().copied().unwrap_or_default();
        b.uut.command.valid.next = offer_command;
        b.uut.command.data.next = commands.front().copied().unwrap_or_default();
        b.uut.data.valid.next = offer_data;
        b.uut.data.data.next = data.front().copied().unwrap_or_default();
        b.uut.request.ready.next = b.rng.below(100) >= idle;
        b.uut.used.ready.next = b.rng.below(100) >= idle;
        b.uut.done.next = finished > 0;
        finished = finished.saturating_sub(1);
        // ask the RAM for what is left of a word
        let mut asking = None;
        b.uut.read_past.next = false;
        if let Some(w) = writes.iter_mut().find(|w| w.done < w.length) {
            if b.rng.below(100) >= idle {
                let at = w.source + w.done;
                let count = (w.length - w.done).min(16 - at % 16);
                b.uut.read_past.next = true;
                b.uut.read_word.next = (at / 16 % 4096).into();
                asking = Some((w.address + w.done, at, count));
                w.done += count;
            }
        }
        b.low();
        let u = &b.uut;
        quiet += 1;
        if let Some((address, at, count)) = reading {
            let word = bytes(u.read_data.val());
            for i in 0..count {
                assert!(written.insert(address + i, word[((at + i) % 16) as usize]).is_none(), "written twice");
            }
            quiet = 0;
        }
        reading = asking;
        if u.buffers.valid.val() && u.buffers.ready.val() {
            descriptors.pop_front();
            offer_buffer = false;
            quiet = 0;
        }
        if u.command.valid.val() && u.command.ready.val() {
            commands.pop_front();
            offer_command = false;
            quiet = 0;
        }
        if u.data.valid.val() && u.data.ready.val() {
            data.pop_front();
            offer_data = false;
            quiet = 0;
        }
        if let Some(before) = held {
            assert!(u.request.valid.val() && u.request.data.val() == before, "request changed while it waited");
        }
        held = (u.request.valid.val() && !u.request.ready.val()).then(|| u.request.data.val());
        if let Some(before) = held_used {
            assert!(u.used.valid.val() && u.used.data.val() == before, "used changed while it waited");
        }
        held_used = (u.used.valid.val() && !u.used.ready.val()).then(|| u.used.data.val());
        if u.used.valid.val() {
            let (element, after) = used.front().expect("a used element nobody expects");
            assert_eq!(u.used.data.val(), *element);
            assert_eq!(certain_requested, *after, "all the chain's requests have been taken");
            quiet = 0;
            if u.used.ready.val() {
                used.pop_front();
            }
        }
        if u.request.valid.val() && u.request.ready.val() {
            let r = u.request.data.val();
            assert_eq!(r.client, CLIENT);
            let (address, length) = (r.address.to_u64(), r.length.to_u64());
            assert!((1..=512).contains(&length) && address / 512 == (address + length - 1) / 512);
            for i in 0..length {
                assert!(required.contains_key(&(address + i)) || allowed.contains_key(&(address + i)));
            }
            certain_requested += if required.contains_key(&address) { length } else { 0 };
            writes.push_back(Write { address, length, source: r.source.to_u64(), done: 0 });
            quiet = 0;
        }
        // in order, when its last bytes have been read
        if writes.front().is_some_and(|w| w.done == w.length && !w.ends_at(reading)) && b.rng.below(100) >= idle {
            writes.pop_front();
            finished += 1;
        }
        b.edge();
        assert!(b.cycles - started < 200_000, "hangs with {} used elements to come", used.len());
    }
    assert!(descriptors.is_empty() && commands.is_empty() && data.is_empty() && used.is_empty());
    for (address, byte) in &required {
        assert_eq!(written.get(address), Some(byte), "byte at {address:#x}");
    }
    for (address, byte) in &written {
        assert!(required.get(address).or(allowed.get(address)) == Some(byte), "byte at {address:#x}");
    }
    b.cycles - started - quiet
}

/// Chains of up to six buffers at places of their own.
fn random_chains(seed: u64, count: usize, hostile: bool, joined: bool) -> Vec<Chain> {
    let mut rng = Rng(seed);
    let mut place = rng.next() >> 20;
    (0..count)
        .map(|i| {
            let buffers: Vec<_> = (0..rng.below(7))
                .map(|_| {
                    let length = 1 + if rng.chance(2, 3) { rng.below(30) } else { rng.below(3000) };
                    place += rng.below(600);
                    let buffer = (place, length);
                    place += length;
                    buffer
                })
                .collect();
            let total: u64 = buffers.iter().map(|b| b.1).sum();
            let skip = if rng.chance(1, 2) { 0 } else { rng.below(total + 1) };
            let mut length = if rng.chance(1, 2) { total - skip } else { rng.below(total - skip + 1) };
            if hostile && rng.chance(1, 5) {
                length += 1 + rng.below(100);
            }
            let drop = hostile && rng.chance(1, 8);
            let broken = hostile && rng.chance(1, 8);
            let more = joined && i + 1 < count && rng.chance(2, 3);
            Chain { buffers, broken, skip, length, drop, more }
        })
        .collect()
}

#[test]
fn scatter_lays_the_data_of_random_commands_over_their_buffers() {
    let mut b = Bench::new("dma_scatter_random", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    for (seed, idle) in [(1, 30), (2, 0), (3, 60)] {
        run(&mut b, seed, idle, &random_chains(seed, 100, false, false));
    }
    b.finish();
}

#[test]
fn scatter_survives_short_chains_broken_chains_and_drops() {
    let mut b = Bench::new("dma_scatter_hostile", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    for (seed, idle) in [(11, 30), (12, 0), (13, 60)] {
        run(&mut b, seed, idle, &random_chains(seed, 100, true, false));
    }
    b.finish();
}

#[test]
fn scatter_lays_one_stream_over_the_chains_that_belong_together() {
    let mut b = Bench::new("dma_scatter_more", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    for (seed, idle, hostile) in [(21, 30, false), (22, 0, false), (23, 60, true), (24, 10, true)] {
        run(&mut b, seed, idle, &random_chains(seed, 100, hostile, true));
    }
    b.finish();
}

#[test]
fn scatter_takes_a_beat_per_cycle_and_skips_a_buffer_in_three() {
    let mut b = Bench::new("dma_scatter_speed", Block::<AW>::new(CLIENT), |u| &mut u.clock);
    let long = Chain { buffers: (0..8).map(|i| (0x10_0000 + 4096 * i, 4096)).collect(), ..Default::default() };
    let cycles = run(&mut b, 1, 0, &[Chain { length: 32768, ..long }]);
    assert!(cycles <= 2048 + 100, "2048 beats took {cycles} cycles");
    let skipped = Chain { buffers: (0..256).map(|i| (0x10_0000 + 64 * i, 16)).collect(), ..Default::default() };
    let cycles = run(&mut b, 2, 0, &[Chain { skip: 255 * 16, length: 1, ..skipped.clone() }]);
    assert!(cycles <= 256 * 3 + 20, "skipping 255 buffers took {cycles} cycles");
    let cycles = run(&mut b, 3, 0, &[Chain { length: 8 * 256, ..skipped }]);
    assert!(cycles <= 256 * 3 + 40, "filling 256 small buffers took {cycles} cycles");
    b.finish();
}
