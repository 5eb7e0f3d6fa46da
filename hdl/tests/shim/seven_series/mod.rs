//! The 7-series shims (PG054), 64 and 128 bits.
mod world;

use crate::packet::{any, beats, completion, dwords, request, with_payload};
use crate::reference::{any_packet_to_send, bar_hit, compare, packet_to_send, wire};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{TlpBeat, TransmitKind};
use world::{turned, Beat, Shim, World};

/// Runs each test for both widths.
macro_rules! both {
    ($($name:ident;)*) => {
        mod bits_64 {
            $(#[test] fn $name() { super::$name::<virtio_hdl_rtl::shim::SevenSeries64>(); })*
        }
        mod bits_128 {
            $(#[test] fn $name() { super::$name::<virtio_hdl_rtl::shim::SevenSeries128>(); })*
        }
    };
}
both! {
    every_received_packet_comes_out_as_what_it_is;
    a_packet_with_a_wrong_ecrc_is_malformed;
    full_completions_come_in_without_a_pause;
    completions_pass_requests_that_wait;
    every_packet_to_send_leaves_with_its_payload_turned_round;
    writes_leave_without_bubbles;
    intx_is_a_handshake_that_always_ends_at_the_present_level;
    the_configuration_ports_say_what_the_function_may_do;
    a_reset_forgets_the_packet_that_was_coming_in;
}

/// Packets as they come over a link, now and then with a mistake in the header, next to each other and straddled, with any
/// gaps and any backpressure.
fn every_received_packet_comes_out_as_what_it_is<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_receive", 1);
    let mut rng = Rng(0x7_5e41e5);
    let mut packets = vec![];
    for phase in 0..60 {
        let mut count = 0;
        while count < 20 {
            let packet = any(&mut rng);
            // the block delivers whole double words in a row
            let Some(words) = dwords(&packet).filter(|words| words.len() > 2) else { continue };
            world.packer.push(&words, bar_hit(&packet).to_u64(), false, [8, 4, 0][phase % 3]);
            packets.push(packet);
            count += 1;
        }
        world.pace = [[8, 8, 8, 8], [3, 8, 8, 8], [8, 2, 8, 8], [8, 8, 2, 8], [5, 5, 5, 8], [8, 1, 1, 8]][phase % 6];
        for _ in 0..120 {
            world.cycle();
        }
    }
    world.drain();
    let counts = compare(&packets, &world.requests, &world.completions);
    assert_eq!((world.malformed, world.messages), (counts.malformed, counts.messages));
    assert!(
        counts.malformed > 100 && counts.messages > 40 && counts.errors.iter().all(|count| *count > 0),
        "{counts:?}"
    );
    assert!(world.requests.len() > 200 && counts.cut > 0);
    assert_eq!(world.packer.straddled > 100, S::LANES == 4, "{}", world.packer.straddled);
    world.bench.finish();
}

/// `tuser[0]` at the end of a packet: it is counted and dropped, and a completion ends its tag with an error.
fn a_packet_with_a_wrong_ecrc_is_malformed<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_ecrc", 2);
    let mut rng = Rng(22);
    let mut packets: Vec<Vec<TlpBeat>> = vec![];
    for n in 0..400 {
        let words = match rng.below(2) {
            0 => completion(rng.below(12) as usize, &mut rng),
            _ => {
                let header = request(&mut rng);
                with_payload(header, &mut rng)
            }
        };
        let mut packet = beats(&words);
        let bad = n % 3 == 0;
        world.packer.push(&words, bar_hit(&packet).to_u64(), bad, 6);
        if bad {
            packet.last_mut().unwrap().keep = 0.into();
        }
        packets.push(packet);
    }
    world.pace = [7, 6, 6, 8];
    for _ in 0..2000 {
        world.cycle();
    }
    world.drain();
    let counts = compare(&packets, &world.requests, &world.completions);
    assert!(world.malformed >= 134 && counts.cut > 40, "{counts:?}");
    assert_eq!(world.malformed, counts.malformed);
    world.bench.finish();
}

/// At 128 bits each packet of 67 double words that begins in lane 2 takes one cycle more than it has beats.
fn full_completions_come_in_without_a_pause<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_rate", 3);
    let mut rng = Rng(3);
    for _ in 0..40 {
        world.packer.push(&completion(64, &mut rng), 0, false, 0);
    }
    let beats = world.packer.beats.len() as u64;
    let start = world.bench.cycles;
    while !world.packer.beats.is_empty() {
        world.cycle();
    }
    assert_eq!((world.bench.cycles - start, world.refused), (beats, 0));
    world.drain();
    assert_eq!(world.completions.len(), 40 * 16);
    world.bench.finish();
}

/// While a request waits, the block is asked to keep non-posted ones, and completions come in.
fn completions_pass_requests_that_wait<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_waiting", 4);
    let mut rng = Rng(4);
    world.cycle();
    assert!(world.cycle().np_ok, "nothing waits");
    for tag in 0..8 {
        let mut header = vec![0, 0x0100_000f, 0xfee0_0000];
        FMT.set(&mut header, FMT_3DW_DATA);
        LENGTH.set(&mut header, 1);
        TAG.set(&mut header, tag);
        world.packer.push(&with_payload(header, &mut rng), 1, false, 8);
    }
    world.packer.push(&completion(64, &mut rng), 0, false, 8);
    world.pace = [8, 0, 8, 8];
    for _ in 0..80 {
        world.cycle();
    }
    assert_eq!((world.requests.len(), world.completions.len()), (0, 16));
    let seen = world.cycle();
    assert!(seen.request_waits && !seen.np_ok && seen.busy);
    world.drain();
    assert!(world.cycle().np_ok);
    assert_eq!(world.requests.len(), 8);
    world.bench.finish();
}

/// The packets that left, header and payload as [`wire`] draws them.
fn sent_packets(sent: &[Beat], lanes: usize) -> Vec<Vec<u32>> {
    let packet = |beats: &[Beat]| {
        let mut words = vec![];
        for beat in beats {
            let count = (1..=lanes).find(|count| beat.keep == (1 << (4 * count)) - 1).expect("lanes in a row");
            assert!(beat.last || count == lanes, "only the last beat may be short");
            words.extend((0..count).map(|lane| (beat.data >> (32 * lane)) as u32));
        }
        turned(&words)
    };
    sent.split_inclusive(|beat| beat.last).map(packet).collect()
}

/// All kinds of packets the endpoint sends, any gaps and backpressure.
fn every_packet_to_send_leaves_with_its_payload_turned_round<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_transmit", 5);
    let mut rng = Rng(5);
    let mut want = vec![];
    let mut stalled = 0;
    for phase in 0..30 {
        for _ in 0..20 {
            let packet = any_packet_to_send(&mut rng);
            want.push(wire(&packet, 0x5a28));
            world.transmit.values.extend(packet);
        }
        (world.transmit.eager, world.pace[3]) = [(4, 8), (1, 8), (4, 3), (2, 4)][phase % 4];
        for _ in 0..120 {
            stalled += usize::from(world.cycle().stalled);
        }
    }
    world.drain();
    let got = sent_packets(&world.sent, S::LANES);
    for (n, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "packet {n}: {got:08x?} but want {want:08x?}");
    }
    assert_eq!(got.len(), want.len());
    assert!(stalled > 100);
    world.bench.finish();
}

fn writes_leave_without_bubbles<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_send_rate", 6);
    let mut rng = Rng(6);
    for _ in 0..20 {
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 64, &mut rng));
    }
    while world.sent.is_empty() {
        world.cycle();
    }
    let start = world.bench.cycles;
    world.drain();
    let count = world.sent.len() as u64;
    let packets = sent_packets(&world.sent, S::LANES);
    let beats: usize = packets.iter().map(|packet| packet.len().div_ceil(S::LANES)).sum();
    assert_eq!((packets.len(), count), (20, beats as u64));
    // three idle cycles and those in which the last beats pass through the registers
    assert!(world.bench.cycles - start <= count + 8, "{} cycles for {count} beats", world.bench.cycles - start);
    world.bench.finish();
}

/// The request and its sense stay until it is granted; senses alternate; the last one is the level.
fn intx_is_a_handshake_that_always_ends_at_the_present_level<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_intx", 7);
    let mut rng = Rng(7);
    let (mut level, mut told, mut messages) = (false, false, 0);
    let mut asked: Option<bool> = None;
    for round in 0..3000 {
        let calm = round % 300 > 250;
        if !calm && rng.chance(1, 4) {
            level = !level;
        }
        let ready = rng.chance(1, 3);
        let seen = world.cycle_with(|uut, _| {
            uut.of().level.next = level;
            uut.of().pending[0].next = level;
            uut.of().interrupt_ready.next = ready;
        });
        let (ask, sense, _) = seen.interrupt;
        assert!(asked.is_none() || asked == Some(sense) && ask, "an unanswered request is withdrawn");
        asked = ask.then_some(sense);
        if ask && ready {
            assert_ne!(sense, told, "the same message twice");
            (told, messages, asked) = (sense, messages + 1, None);
        }
        if round % 300 == 299 {
            assert_eq!((told, seen.interrupt.0, seen.interrupt.2), (level, false, level));
        }
    }
    assert!(messages > 200, "{messages}");
    world.bench.finish();
}

fn the_configuration_ports_say_what_the_function_may_do<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_function", 8);
    let mut rng = Rng(8);
    for _ in 0..2000 {
        let [command, control, id] = [0; 3].map(|_| rng.next() & 0xffff);
        let (power, buffers) = (rng.below(4), rng.below(20));
        let bits = [0; 8].map(|_| rng.chance(1, 2));
        let drive = |uut: &mut S, _: &mut Rng| {
            let common = uut.of();
            common.command.next = command.into();
            common.device_control.next = control.into();
            common.device_control_2.next = (!control & 0xffff).into();
            common.bus.next = (id >> 8).into();
            common.device.next = (id >> 3 & 31).into();
            common.function.next = (id & 7).into();
            common.power.next = power.into();
            common.buffers.next = buffers.into();
            let inputs = common.msix.into_iter().chain(common.pending).chain(common.reports);
            inputs.zip(bits).for_each(|(input, bit)| input.next = bit);
        };
        // some outputs come from registers
        world.cycle_with(drive);
        let seen = world.cycle_with(drive);
        assert_eq!(seen.function_id, id);
        let bit = |value: u64, n: u32| value >> n & 1 == 1;
        let flags =
            [bit(command, 2), power == 3, bit(command, 10), bits[0], bits[1], bit(control, 8), false, bit(!control, 4)];
        assert_eq!(seen.flags, flags);
        assert_eq!(seen.sizes, [(control >> 5 & 7).min(1), (control >> 12 & 7).min(5)]);
        assert_eq!((seen.interrupt.2, seen.trn_pending), (bits[2], bits[3]));
        assert_eq!(seen.errors, [bits[4] || bits[5], bits[6], bits[7]]);
        assert_eq!(seen.nonposted_ready, buffers >= 8);
    }
    world.bench.finish();
}

/// A reset in the middle of a packet, straddled or not, leaves nothing of it behind.
fn a_reset_forgets_the_packet_that_was_coming_in<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_reset", 9);
    let mut rng = Rng(9);
    for cut in 1..30 {
        for _ in 0..2 {
            world.packer.push(&completion(15, &mut rng), 0, false, 8);
        }
        world.packer.beats.truncate(cut);
        world.packer.half = false;
        // the shim is stopped by completions that nobody takes, or has taken all there is
        world.pace = [8, 8, 8 * (cut as u64 % 2), 8];
        for _ in 0..40 {
            world.cycle();
        }
        world.packer.beats.clear();
        world.offered = false;
        world.cycle_with(|uut, _| uut.of().reset.next = true);
        world.bench.uut.of().reset.next = false;
        (world.malformed, world.messages) = (0, 0);
        world.completions.clear();
        world.packer.push(&completion(5, &mut rng), 0, false, 0);
        world.drain();
        let got: Vec<_> = world.completions.drain(..).map(|beat| (beat.first, beat.last, beat.poisoned)).collect();
        assert_eq!((got.len(), world.malformed), (2, 0), "cut after {cut} beats");
        assert!(got[0].0 && got[1].1);
    }
    world.bench.finish();
}
