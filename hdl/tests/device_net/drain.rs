//! Stop, reset, and what is left of frames that were under way.
use crate::packet;
use crate::world::{bench, Features, World};
use virtio_hdl_rtl::testing::Rng;

const FEATURES: Features = Features { merge: true, csum: true, guest_csum: true };

/// Traffic both ways is stopped at any time: the frame at the wire is sent to its end, all else is forgotten, and after the reset the
/// device is as new, but for the rest of the frame that was coming in.
#[test]
fn net_stop_ends_the_frame_at_the_wire_and_a_reset_forgets_the_rest() {
    let mut bench = bench("net_stop", FEATURES);
    let mut rng = Rng(0x570b);
    let mut in_the_middle = 0;
    for round in 0..30 {
        let mut world = World::new(FEATURES, 3, 3);
        for head in 0..20 {
            let length = packet::random_length(&mut rng);
            let frame = packet::random(&mut rng, length);
            world.transmit(&mut rng, &frame);
            let length = packet::random_length(&mut rng);
            let frame = packet::random(&mut rng, length);
            world.receive(&frame, false);
            world.offer_receive(head, 1540);
        }
        for _ in 0..50 + rng.below(600) {
            world.cycle(&mut bench);
        }
        bench.uut.stop.next = true;
        // the device stops one cycle later
        world.cycle(&mut bench);
        let (sent, chains) = (world.frames_out, world.tx_chains.values.len());
        for i in 0.. {
            world.cycle(&mut bench);
            if world.idle {
                break;
            }
            assert!(i < 800, "does not become idle");
        }
        assert!(world.sent_now.is_empty(), "a frame was cut off");
        assert!(world.frames_out <= sent + 9, "more than what was under way");
        assert_eq!(world.tx_chains.values.len(), chains, "a chain was taken");
        // the chains taken before go on into the memory, no further
        for _ in 0..200 {
            world.cycle(&mut bench);
        }
        assert_eq!(world.tx_chains.values.len(), chains, "a chain was taken");
        assert!(world.tx_bytes.values.len() >= world.tx_beats_untaken(), "bytes of a chain that was not taken");
        // the wire goes on: what comes is thrown away, in the reset as well
        let events = world.seen;
        for _ in 0..rng.below(40) {
            world.cycle(&mut bench);
        }
        assert_eq!(world.seen, events);
        assert!(world.idle);
        bench.uut.clear.next = true;
        world.cycle(&mut bench);
        world.cycle(&mut bench);
        bench.uut.clear.next = false;
        bench.uut.stop.next = false;
        let mut next = World::new(FEATURES, 3, 3);
        if world.wire_inside {
            in_the_middle += 1;
            let rest = world.wire.values.iter().position(|beat| beat.last).expect("the end of the frame");
            next.wire.values.extend(world.wire.values.drain(..=rest));
        }
        for head in 0..3 {
            next.receive(&[round + head as u8; 100], false);
            next.offer_receive(head, 1540);
            next.transmit_plain(head, &[round; 80]);
        }
        next.run_until_quiet(&mut bench, 5000);
        assert_eq!(next.frames_in, 3);
    }
    assert!(in_the_middle > 5, "{in_the_middle} of 30 stops were in the middle of a frame");
    bench.finish();
}

/// A reset alone, while the first beat of a frame waits for room and the wire pauses: all of that frame is thrown away.
#[test]
fn net_reset_alone_forgets_a_frame_that_waits_for_room() {
    let mut bench = bench("net_reset_alone", FEATURES);
    let mut world = World::new(FEATURES, 4, 4);
    // more frames than the device has places for, and no buffers
    for i in 0..128 {
        world.receive(&[i; 16], false);
    }
    world.receive(&[0xEE; 100], false);
    let rest = world.wire.values.split_off(129);
    for _ in 0..140 {
        world.cycle(&mut bench);
    }
    assert!(world.wire_inside && world.wire.values.is_empty(), "the first beat has not been taken in");
    assert_eq!(world.seen, Default::default(), "a frame was dropped, so the beat does not wait");
    bench.uut.clear.next = true;
    world.cycle(&mut bench);
    bench.uut.clear.next = false;
    let mut next = World::new(FEATURES, 4, 4);
    next.wire.values = rest;
    next.receive(&[1; 60], false);
    next.offer_receive(0, 1540);
    next.run_until_quiet(&mut bench, 1000);
    assert_eq!(next.frames_in, 1);
    bench.finish();
}
