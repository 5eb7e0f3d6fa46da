//! `m_axis_rc`: completions of our reads.
use super::both;
use super::world::{beats, put, Pace, Shim, World};
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::tlp::format::{STATUS_COMPLETER_ABORT, STATUS_UNSUPPORTED_REQUEST};
use virtio_hdl_rtl::tlp::types::CompletionBeat;

both! {
    every_completion_comes_in_with_its_payload_at_lane_0;
    an_error_code_ends_the_tag;
    a_packet_that_is_discontinued_or_of_another_length_is_malformed_and_ends_poisoned;
    completions_of_64_bytes_come_in_without_avoidable_pauses;
    a_reset_forgets_the_completion_that_was_coming_in;
}

const OUR_ID: u64 = 0x5a00;

/// A completion as the block gives it.
#[derive(Clone, Debug)]
struct Packet {
    address: u64,
    error: u64,
    byte_count: u64,
    status: u64,
    poisoned: bool,
    requester: u64,
    tag: u64,
    payload: Vec<u32>,
}

impl Packet {
    fn any(length: usize, rng: &mut Rng) -> Self {
        Packet {
            address: rng.below(4096),
            error: 0,
            byte_count: rng.below(4097),
            status: 0,
            poisoned: rng.chance(1, 6),
            requester: OUR_ID,
            tag: rng.below(32),
            payload: (0..length).map(|_| rng.next() as u32).collect(),
        }
    }

    /// "Requester completion descriptor format", and the payload behind it.
    fn words(&self, rng: &mut Rng) -> Vec<u32> {
        let mut words: Vec<u32> = (0..3).map(|_| rng.next() as u32).collect();
        put(&mut words, 0, 12, self.address);
        put(&mut words, 12, 4, self.error);
        put(&mut words, 16, 13, self.byte_count);
        put(&mut words, 32, 11, self.payload.len() as u64);
        put(&mut words, 43, 3, self.status);
        put(&mut words, 46, 1, self.poisoned.into());
        put(&mut words, 48, 16, self.requester);
        put(&mut words, 64, 8, self.tag);
        words.extend(&self.payload);
        words
    }

    /// What the endpoint must get.
    fn wanted(&self) -> Vec<CompletionBeat> {
        let count = self.payload.len().div_ceil(4).max(1);
        let status = match (self.error, self.status) {
            (0 | 1, status) => status,
            (_, 0) => u64::from(STATUS_COMPLETER_ABORT),
            (_, status) => status,
        };
        let beat = |n: usize| CompletionBeat {
            data: self.payload.chunks(4).nth(n).map_or(0, crate::packet::lanes).to_bits(),
            first: n == 0,
            last: n + 1 == count,
            tag: self.tag.into(),
            requester_id: if self.error == 6 { !OUR_ID & 0xffff } else { OUR_ID }.into(),
            status: status.into(),
            byte_count: self.byte_count.into(),
            lower_address: (self.address & 127).into(),
            length: (self.payload.len() as u64).into(),
            poisoned: self.poisoned || self.error == 1,
        };
        (0..count).map(beat).collect()
    }
}

/// How a packet is spoiled.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Fault {
    Discontinue,
    Short,
    Long,
}

/// A packet whose fault leaves it in as many beats as it should have comes without it.
fn push<S: Shim>(world: &mut World<S>, packet: &Packet, fault: Option<Fault>, rng: &mut Rng) -> Option<Fault> {
    let mut words = packet.words(rng);
    let whole = words.len();
    let count = |length: usize| length.div_ceil(S::LANES);
    let length = match fault {
        Some(Fault::Short) => whole.saturating_sub(rng.below(9) as usize + 1).max(3),
        Some(Fault::Long) => whole + 1 + rng.below(40) as usize,
        _ => whole,
    };
    let fault = fault.filter(|fault| *fault == Fault::Discontinue || count(length) != count(whole));
    if fault.is_some() {
        words.resize_with(length, || rng.next() as u32);
    }
    let user = |n: usize, last: bool, noise: u128| {
        let discontinue = u128::from(last && fault == Some(Fault::Discontinue)) << 42;
        (noise & !(1 << 42 | 1 << 32)) | u128::from(n == 0) << 32 | discontinue
    };
    let cut = beats(&words, S::LANES, rng, user);
    world.from[1].beats.extend(cut);
    fault
}

/// Only the payload's lanes count.
fn same(got: &CompletionBeat, want: &CompletionBeat, index: usize) -> bool {
    let left = (want.length.to_u64() as usize).saturating_sub(4 * index).min(4);
    let mask = if left == 4 { u128::MAX } else { (1 << (32 * left)) - 1 };
    got.data.to_u128() & mask == want.data.to_u128() & mask && CompletionBeat { data: want.data, ..*got } == *want
}

/// Any length, any gaps and backpressure.
fn every_completion_comes_in_with_its_payload_at_lane_0<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_completions");
    let mut rng = Rng(11);
    let mut want = vec![];
    for _ in 0..40 {
        for _ in 0..12 {
            let length = [0, 1, 2, 3, 4, 5, 8, 9, 16, rng.below(70)][rng.below(10) as usize] as usize;
            let packet = Packet::any(length, &mut rng);
            push(&mut world, &packet, None, &mut rng);
            want.extend(packet.wanted().into_iter().enumerate());
        }
        world.pace = Pace::any(&mut rng);
        for _ in 0..60 {
            world.cycle();
        }
    }
    world.drain();
    for (n, (got, (index, want))) in world.completions.iter().zip(&want).enumerate() {
        assert!(same(got, want, *index), "beat {n}: {got:x?} but want {want:x?}");
    }
    assert_eq!((world.completions.len(), world.malformed), (want.len(), 0));
    world.bench.finish();
}

/// Poisoned, status, byte count, mismatch, address, unknown tag, function-level reset, timeout: an error of the tag, but for
/// the unknown tag, which is nobody's.
fn an_error_code_ends_the_tag<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_errors");
    let mut rng = Rng(12);
    let mut want = vec![];
    for n in 0..300 {
        let error = [1, 2, 3, 4, 5, 6, 8, 9][n % 8];
        let length = if matches!(error, 2 | 3 | 8 | 9) { 0 } else { 1 + rng.below(20) as usize };
        let mut packet = Packet { error, poisoned: error == 1, ..Packet::any(length, &mut rng) };
        if error == 2 {
            packet.status = u64::from([STATUS_UNSUPPORTED_REQUEST, 2, STATUS_COMPLETER_ABORT][rng.below(3) as usize]);
        } else if error == 9 {
            (packet.byte_count, packet.address, packet.requester) = (0, 0, 0);
        }
        push(&mut world, &packet, None, &mut rng);
        want.extend(packet.wanted().into_iter().enumerate());
        for (index, beat) in packet.wanted().iter().enumerate() {
            let ends = beat.poisoned || beat.status != 0;
            assert!(ends && (index > 0 || (beat.requester_id == OUR_ID) == (error != 6)));
        }
    }
    world.pace = Pace { completions: 6, completion_taken: 6, ..Pace::FULL };
    world.drain();
    for (n, (got, (index, want))) in world.completions.iter().zip(&want).enumerate() {
        assert!(same(got, want, *index), "beat {n}: {got:x?} but want {want:x?}");
    }
    assert_eq!((world.completions.len(), world.malformed), (want.len(), 0));
    world.bench.finish();
}

/// The tag ends with an error instead of waiting, and the next completion comes in whole.
fn a_packet_that_is_discontinued_or_of_another_length_is_malformed_and_ends_poisoned<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_discontinue");
    let mut rng = Rng(13);
    let mut packets = vec![];
    for n in 0..600 {
        let length = [1, 4, 5, 6, 13, 16, rng.below(40)][rng.below(7) as usize] as usize;
        let packet = Packet { poisoned: false, ..Packet::any(length, &mut rng) };
        let fault = [None, Some(Fault::Discontinue), Some(Fault::Short), Some(Fault::Long)][n % 4];
        let fault = push(&mut world, &packet, fault, &mut rng);
        packets.push((packet, fault));
    }
    while !world.from[1].beats.is_empty() {
        world.pace = if world.bench.cycles % 64 == 0 { Pace::any(&mut rng) } else { world.pace };
        world.cycle();
    }
    world.drain();
    let mut got = world.completions.iter();
    let mut faults = 0;
    for (n, (packet, fault)) in packets.iter().enumerate() {
        let want = packet.wanted();
        if fault.is_none() {
            for (index, want) in want.iter().enumerate() {
                let got = got.next().expect("a beat");
                assert!(same(got, want, index), "packet {n} beat {index}: {got:x?} but want {want:x?}");
            }
            continue;
        }
        faults += 1;
        for (index, want) in want.iter().enumerate() {
            let got = got.next().unwrap_or_else(|| panic!("packet {n} {fault:?} does not end"));
            assert_eq!((got.first, got.tag), (index == 0, want.tag), "packet {n} {fault:?}");
            if got.last {
                assert!(got.poisoned, "packet {n} {fault:?} of {} double words", packet.payload.len());
                break;
            }
            assert!(same(got, want, index), "packet {n} {fault:?} beat {index}");
            assert!(!want.last, "packet {n} {fault:?} does not end");
        }
    }
    assert_eq!((got.next(), world.malformed), (None, faults));
    assert!(faults > 250, "{faults}");
    world.bench.finish();
}

/// 16 double words behind each descriptor: at 128 bits five beats come in and none waits; at 256 bits a beat leaves in
/// every cycle.
fn completions_of_64_bytes_come_in_without_avoidable_pauses<S: Shim>() {
    for length in [16, 1, 5, 64] {
        let mut world = World::<S>::new(&format!("pcie_usp_rate_{length}"));
        let mut rng = Rng(14);
        let mut want = vec![];
        for _ in 0..50 {
            let packet = Packet::any(length, &mut rng);
            push(&mut world, &packet, None, &mut rng);
            want.extend(packet.wanted().into_iter().enumerate());
        }
        let coming = world.from[1].beats.len() as u64;
        let leaving = 50 * (length as u64).div_ceil(4);
        let start = world.bench.cycles;
        while world.completions.len() < leaving as usize {
            world.cycle();
        }
        // one cycle into the registers, at 128 bits one more for what is left behind the last beat
        let most = if S::LANES == 4 { coming.max(leaving) + 2 } else { leaving + 1 };
        assert!(world.bench.cycles - start <= most, "{length}: {} cycles, {most} allowed", world.bench.cycles - start);
        if S::LANES == 4 {
            assert_eq!(world.from[1].refused, 0);
        }
        world.drain();
        assert_eq!(world.completions.len(), want.len());
        assert!(world.completions.iter().zip(&want).all(|(got, (index, want))| same(got, want, *index)));
        world.bench.finish();
    }
}

fn a_reset_forgets_the_completion_that_was_coming_in<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_reset");
    let mut rng = Rng(15);
    for cut in 1..8 {
        let packet = Packet::any(60, &mut rng);
        push(&mut world, &packet, None, &mut rng);
        world.from[1].beats.truncate(cut);
        world.pace = Pace { completion_taken: cut as u64 % 3, ..Pace::FULL };
        for _ in 0..30 {
            world.cycle();
        }
        world.from = Default::default();
        world.cycle_with(|inputs| inputs.reset.next = true);
        world.completions.clear();
        let packet = Packet::any(9, &mut rng);
        push(&mut world, &packet, None, &mut rng);
        world.cycle_with(|inputs| inputs.reset.next = false);
        world.drain();
        let want = packet.wanted();
        assert_eq!((world.completions.len(), world.malformed), (want.len(), 0), "cut after {cut} beats");
        assert!(world.completions.iter().zip(&want).enumerate().all(|(n, (got, want))| same(got, want, n)));
    }
    world.bench.finish();
}
