//! From the wire to chains.
use crate::packet;
use crate::world::{bench, bench_of, Features, World};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout::net::FRAME_BYTES_MAX;
use virtio_hdl_rtl::virtio::types::{Chain, Violation, ViolationReport};

fn features(merge: bool, guest_csum: bool) -> Features {
    Features { merge, csum: false, guest_csum }
}

/// A frame from the wire: good, too short, too long or damaged.
fn random_frame(world: &mut World, rng: &mut Rng, i: usize) {
    let length = match rng.below(16) {
        0 => 1 + rng.below(13) as usize,
        1 => 1523 + rng.below([40, 40, 9000][i % 3]) as usize,
        _ => packet::random_length(rng),
    };
    let frame = packet::random(rng, length);
    world.receive(&frame, rng.chance(1, 12));
}

#[test]
fn net_receive_delivers_every_good_frame_once_in_order() {
    let settings =
        [(true, true, 4, 4), (false, true, 3, 3), (true, false, 2, 4), (false, false, 4, 2), (true, true, 4, 2)];
    for (i, (merge, guest_csum, eager, patient)) in settings.into_iter().enumerate() {
        let mut bench = bench(&format!("net_receive_{i}"), features(merge, guest_csum));
        let mut world = World::new(features(merge, guest_csum), eager, patient);
        let mut rng = Rng(0x4ece + i as u64);
        for i in 0..120 {
            random_frame(&mut world, &mut rng, i);
        }
        let header = features(merge, guest_csum).header();
        for head in 0..600 {
            let room = match rng.below(6) {
                0 => header,
                1 => header + rng.below(40) as usize,
                2 => header + rng.below(300) as usize,
                3 => 4096 << rng.below(8),
                _ => 1540,
            };
            if merge || room > 200 {
                world.offer_receive(head, room);
            }
        }
        world.run_until_quiet(&mut bench, 300_000);
        assert!(world.frames_in > 60, "{} frames", world.frames_in);
        bench.finish();
    }
}

/// Most frames are TCP or UDP of some sort: each verdict of the model comes often.
#[test]
fn net_receive_says_which_checksums_are_right() {
    let mut bench = bench("net_receive_checksums", features(false, true));
    let mut world = World::new(features(false, true), 4, 4);
    let mut rng = Rng(0xc4ec);
    for i in 0..400 {
        let length = 14 + rng.below(if i % 4 == 0 { 300 } else { 80 }) as usize;
        let frame = packet::random(&mut rng, length);
        world.receive(&frame, false);
        world.offer_receive(i, 1540);
    }
    let valid = world.received.iter().filter(|frame| frame.flags != 0).count();
    assert!(valid > 40 && valid < 360, "{valid} of 400 are valid");
    world.run_until_quiet(&mut bench, 20_000);
    bench.finish();
}

/// Lanes that a frame cannot have: it is dropped, those around it are intact.
#[test]
fn net_receive_beats_with_holes_are_damaged() {
    let mut bench = bench("net_receive_ragged", features(true, false));
    let mut world = World::new(features(true, false), 4, 4);
    for (beat, keep) in [(0, 0x7fff), (1, 0xfffe), (1, 0), (3, 0), (3, 0x0ff7), (2, 1), (0, 0x8001)] {
        world.receive(&[1; 50], false);
        world.receive(&[2; 64], true);
        let first = world.wire.values.len() - 4;
        world.wire.values[first + 3].error = false;
        world.wire.values[first + beat].keep = (keep as u64).into();
    }
    world.receive(&[3; 60], false);
    (0..8).for_each(|head| world.offer_receive(head, 1540));
    world.run_until_quiet(&mut bench, 500);
    assert_eq!((world.seen.error, world.frames_in), (7, 8));
    bench.finish();
}

#[test]
fn net_receive_merges_up_to_16_chains() {
    let mut bench = bench("net_receive_merge", features(true, false));
    let mut world = World::new(features(true, false), 4, 4);
    // 16 chains of 12 bytes hold a frame of 180 bytes, not one of 181; they wait for the next one
    for (head, length) in (0..80).map(|head| (head, 12)) {
        world.offer_receive(head, length);
    }
    for length in [180, 181, 180, 60, 61, 181, 100] {
        world.receive(&vec![length as u8; length], false);
    }
    world.run_until_quiet(&mut bench, 2000);
    assert_eq!(world.seen.no_buffer, 2);
    bench.finish();
}

/// What no number of chains can hold does not wait for one more than the queue can have.
#[test]
fn net_receive_drops_a_frame_that_needs_more_chains_than_the_queue_has() {
    for queue_size in [2, 4] {
        let name = format!("net_receive_small_queue_{queue_size}");
        let mut bench = bench_of(&name, features(true, false), FRAME_BYTES_MAX as u16, queue_size);
        let mut world = World::new(features(true, false), 4, 4);
        world.queue_size = usize::from(queue_size);
        let most = 256 * usize::from(queue_size) - 12;
        for head in 0..queue_size {
            world.offer_receive(head, 256);
        }
        // far too long, one byte too long, then one that takes all chains
        for length in [1500, most + 1, most] {
            world.receive(&vec![length as u8; length], false);
        }
        world.run_until_quiet(&mut bench, 2000);
        assert_eq!((world.seen.no_buffer, world.frames_in), (2, 1));
        bench.finish();
    }
}

#[test]
fn net_receive_without_merge_a_frame_that_does_not_fit_leaves_its_chain_to_the_next() {
    let mut bench = bench("net_receive_no_fit", features(false, false));
    let mut world = World::new(features(false, false), 4, 4);
    world.offer_receive(1, 110);
    world.offer_receive(2, 1528);
    for length in [101, 100, 1518] {
        world.receive(&vec![length as u8; length], false);
    }
    world.run_until_quiet(&mut bench, 2000);
    assert_eq!((world.seen.no_buffer, world.frames_in), (1, 2));
    bench.finish();
}

/// Without buffers the memory takes what fits, then frames are dropped and counted; with buffers the frames that were first come first.
#[test]
fn net_receive_without_buffers_keeps_8_kib_and_drops_the_rest() {
    for (length, kept) in [(64, 128), (1514, 5), (14, 128), (500, 16)] {
        let mut bench = bench(&format!("net_receive_full_{length}"), features(true, false));
        let mut world = World::new(features(true, false), 4, 4);
        for i in 0..kept + 10 {
            let frame: Vec<u8> = (0..length).map(|k| (k as u8) ^ (i as u8)).collect();
            world.receive(&frame, false);
        }
        for _ in 0..2500 {
            world.cycle(&mut bench);
        }
        assert!(world.wire.values.is_empty(), "the wire does not wait for ever");
        assert_eq!(world.seen.no_buffer, 10);
        assert!(world.idle, "nothing moves before a chain comes");
        world.expected.no_buffer = 10;
        world.received.truncate(kept);
        (0..kept as u16).for_each(|head| world.offer_receive(head, 1540));
        world.run_until_quiet(&mut bench, 2000);
        assert_eq!(world.frames_in, kept);
        bench.finish();
    }
}

/// While there are buffers, a driver or a link that is slow makes the wire wait; nothing is lost.
#[test]
fn net_receive_waits_for_a_slow_host() {
    let mut bench = bench("net_receive_slow", features(true, false));
    let mut world = World::new(features(true, false), 4, 1);
    world.rx_chains.eager = 1;
    for i in 0..30 {
        world.receive(&vec![i as u8; 1514], false);
        world.offer_receive(i, 1540);
    }
    world.run_until_quiet(&mut bench, 30_000);
    assert_eq!(world.seen.no_buffer, 0);
    bench.finish();
}

#[test]
fn net_receive_chain_without_room_for_a_header_is_a_violation() {
    for (merge, room) in [(false, 0), (false, 9), (true, 11)] {
        let mut bench = bench(&format!("net_receive_short_{merge}_{room}"), features(merge, false));
        let mut world = World::new(features(merge, false), 4, 4);
        world.offer_receive(1, 1540);
        world.offer_receive(2, room);
        world.offer_receive(3, 1540);
        world.offer_receive(4, 5);
        world.receive(&[1; 60], false);
        world.expected.rx_violations = 1;
        world.run_until_quiet(&mut bench, 200);
        // the queue has stopped: no further frame is delivered
        world.buffers.clear();
        world.receive(&[2; 60], false);
        for _ in 0..200 {
            world.cycle(&mut bench);
        }
        assert_eq!((world.frames_in, world.received.len()), (1, 1));
        assert_eq!(world.seen.rx_violations, 1);
        let expected = ViolationReport { rule: Violation::RequestTooShort, head: 2.into() };
        assert_eq!(world.violation, Some(expected));
        bench.finish();
    }
}

#[test]
fn net_receive_uses_no_chain_behind_a_broken_one() {
    let mut bench = bench("net_receive_broken", features(true, false));
    let mut world = World::new(features(true, false), 4, 4);
    world.offer_receive(1, 1540);
    world.rx_chains.values.push_back(Chain { head: 2.into(), error: true, ..Default::default() });
    world.receive(&[1; 60], false);
    world.run_until_quiet(&mut bench, 200);
    world.offer_receive(3, 1540);
    world.receive(&[2; 60], false);
    for _ in 0..200 {
        world.cycle(&mut bench);
    }
    assert_eq!((world.frames_in, world.seen), (1, world.expected));
    bench.finish();
}
