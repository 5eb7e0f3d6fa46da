//! `s_axis_rq`: our reads and writes, and what a completion on `s_axis_cc` may not pass.
use super::both;
use super::world::{put, Pace, Shim, World};
use crate::reference::packet_to_send;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::tlp::types::{TransmitBeat, TransmitKind};

both! {
    every_read_and_write_leaves_with_its_descriptor;
    writes_leave_without_bubbles;
    a_completion_does_not_pass_an_earlier_write;
    a_completion_does_not_wait_for_a_later_write;
    two_writes_that_come_back_at_once_are_counted_both;
    no_write_begins_when_255_have_not_come_back;
}

/// "Requester request descriptor format", and the payload behind it; the side band of the first beat.
fn wanted(packet: &[TransmitBeat]) -> (Vec<u32>, u128) {
    let beat = &packet[0];
    let write = beat.kind == TransmitKind::MemoryWrite;
    let length = beat.length.to_u64();
    let mut words = vec![0; 4];
    put(&mut words, 0, 64, beat.address.to_u64() & !3);
    put(&mut words, 64, 11, length);
    put(&mut words, 75, 4, write.into());
    put(&mut words, 96, 8, beat.tag.to_u64());
    if write {
        let data = packet.iter().flat_map(|beat| (0..4).map(|lane| (beat.data.to_u128() >> (32 * lane)) as u32));
        words.extend(data.take(length as usize));
    }
    let number = u128::from(write) << 24;
    (words, u128::from(beat.first_be.to_u64()) | u128::from(beat.last_be.to_u64()) << 4 | number)
}

/// Sequence numbers of the packets that have ended on the stream come back, in order and at any time.
struct Numbers {
    seen: usize,
    waiting: std::collections::VecDeque<u64>,
    /// Writes that have come back.
    back: usize,
}

impl Numbers {
    fn new() -> Self {
        Self { seen: 0, waiting: Default::default(), back: 0 }
    }

    /// With a chance of `pace` in 8 each, up to two come back in the next cycle.
    fn cycle<S: Shim>(&mut self, world: &mut World<S>, rng: &mut Rng, pace: u64) {
        let mut first = self.seen == 0 || world.sent[self.seen - 1].last;
        for beat in &world.sent[self.seen..] {
            if first {
                self.waiting.push_back((beat.user >> 24 & 15 | beat.user >> 60 << 4) as u64);
            }
            first = beat.last;
        }
        self.seen = world.sent.len();
        for place in 0..2 {
            if rng.chance(pace, 8) {
                world.numbers[place] = self.waiting.pop_front();
                self.back += usize::from(world.numbers[place] == Some(1));
            }
        }
    }
}

fn read_or_write(rng: &mut Rng) -> Vec<TransmitBeat> {
    let length = [1, 2, 3, 4, 5, 8, 16, 1 + rng.below(64)][rng.below(8) as usize] as usize;
    let kind = [TransmitKind::MemoryRead, TransmitKind::MemoryWrite, TransmitKind::MemoryWrite][rng.below(3) as usize];
    packet_to_send(kind, length, rng)
}

fn completion(rng: &mut Rng) -> TransmitBeat {
    TransmitBeat { status: 0.into(), ..packet_to_send(TransmitKind::CompletionData, 1 + rng.below(2) as usize, rng)[0] }
}

/// Any gaps and backpressure.
fn every_read_and_write_leaves_with_its_descriptor<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_send");
    let mut rng = Rng(31);
    let mut numbers = Numbers::new();
    let mut want = vec![];
    let mut stalled = 0;
    for phase in 0..30 {
        for _ in 0..15 {
            let packet = read_or_write(&mut rng);
            want.push(wanted(&packet));
            world.transmit.values.extend(packet);
        }
        world.pace = Pace::any(&mut rng);
        world.transmit.eager = [4, 2, 1][phase % 3];
        for _ in 0..80 {
            numbers.cycle(&mut world, &mut rng, 8);
            stalled += usize::from(world.cycle().stalled);
        }
    }
    world.pace = Pace::FULL;
    let mut idle = 0;
    while idle < 3 {
        numbers.cycle(&mut world, &mut rng, 8);
        let busy = world.cycle().busy || !world.transmit.values.is_empty();
        idle = if busy { 0 } else { idle + 1 };
    }
    let got = World::<S>::packets(&world.sent);
    for (n, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "packet {n}");
    }
    assert_eq!(got.len(), want.len());
    assert!(stalled > 50);
    world.bench.finish();
}

/// At 256 bits a beat is taken in every cycle; at 128 bits the descriptor has a beat of its own.
fn writes_leave_without_bubbles<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_send_rate");
    let mut rng = Rng(32);
    for _ in 0..20 {
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 64, &mut rng));
    }
    let start = world.bench.cycles;
    while !world.transmit.values.is_empty() {
        world.cycle();
    }
    let cycles = if S::LANES == 8 { 20 * 16 } else { 20 * 17 };
    assert_eq!(world.bench.cycles - start, cycles);
    world.drain();
    assert_eq!(world.sent.len(), 20 * (68usize).div_ceil(S::LANES));
    world.bench.finish();
}

/// Writes, reads and completions at random; the numbers come back late. A completion is offered only when all writes the
/// endpoint sent before it have come back.
fn a_completion_does_not_pass_an_earlier_write<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_order");
    let mut rng = Rng(33);
    let mut numbers = Numbers::new();
    // of each completion: writes before it
    let mut before = vec![];
    let mut writes = 0;
    for round in 0..300 {
        for _ in 0..rng.below(6) {
            let packet = read_or_write(&mut rng);
            writes += usize::from(packet[0].kind == TransmitKind::MemoryWrite);
            world.transmit.values.extend(packet);
        }
        world.transmit.values.push_back(completion(&mut rng));
        before.push(writes);
        let pace = [1, 4, 8][round % 3];
        let done = |world: &World<S>| world.completed.iter().filter(|beat| beat.last).count();
        let mut waited = 0;
        while done(&world) <= round {
            assert!(waited < 5000, "completion {round} does not leave");
            let back = numbers.back;
            numbers.cycle(&mut world, &mut rng, pace);
            let seen = world.cycle();
            assert!(!seen.completion_offered || back >= before[round], "completion {round} passes a write");
            waited += 1;
        }
    }
    world.bench.finish();
}

/// Writes go on behind a completion that waits, and never come back: it leaves all the same.
fn a_completion_does_not_wait_for_a_later_write<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_later_writes");
    let mut rng = Rng(34);
    world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 8, &mut rng));
    world.transmit.values.push_back(completion(&mut rng));
    for _ in 0..20 {
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 8, &mut rng));
    }
    for _ in 0..150 {
        world.cycle();
    }
    assert_eq!((World::<S>::packets(&world.sent).len(), world.completed.len()), (21, 0), "the first is not back");
    world.numbers[0] = Some(0);
    world.cycle();
    world.cycle();
    assert_eq!(world.completed.len(), 0, "a read has come back, not the write");
    world.numbers[0] = Some(1);
    for _ in 0..6 {
        world.cycle();
    }
    assert!(!world.completed.is_empty());
    world.bench.finish();
}

fn two_writes_that_come_back_at_once_are_counted_both<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_two_numbers");
    let mut rng = Rng(35);
    for writes in [2, 4, 3] {
        for _ in 0..writes {
            world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 1, &mut rng));
        }
        world.transmit.values.push_back(completion(&mut rng));
        for _ in 0..30 {
            world.cycle();
        }
        assert!(world.completed.is_empty());
        for pair in 0..writes / 2 {
            world.numbers = [Some(1), Some(1)];
            world.cycle();
            let all = writes % 2 == 0 && pair + 1 == writes / 2;
            for _ in 0..6 {
                world.cycle();
            }
            assert_eq!(!world.completed.is_empty(), all, "{writes} writes");
        }
        if writes % 2 == 1 {
            world.numbers = [None, Some(1)];
            for _ in 0..6 {
                world.cycle();
            }
            assert!(!world.completed.is_empty());
        }
        world.completed.clear();
    }
    world.bench.finish();
}

fn no_write_begins_when_255_have_not_come_back<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_many_writes");
    let mut rng = Rng(36);
    for _ in 0..260 {
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 1, &mut rng));
    }
    for _ in 0..700 {
        world.cycle();
    }
    assert_eq!(World::<S>::packets(&world.sent).len(), 255);
    for _ in 0..5 {
        world.numbers[0] = Some(1);
        world.cycle();
    }
    world.drain();
    assert_eq!(World::<S>::packets(&world.sent).len(), 260);
    world.bench.finish();
}
