//! From chains to the wire.
use crate::packet;
use crate::world::{bench, Features, World};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::types::{Chain, Violation, ViolationReport};

fn features(merge: bool, csum: bool) -> Features {
    Features { merge, csum, guest_csum: false }
}

#[test]
fn net_transmit_sends_every_frame_once_in_order_with_its_checksum() {
    let settings =
        [(true, true, 4, 4), (false, true, 3, 3), (true, false, 2, 4), (false, false, 4, 1), (true, true, 4, 2)];
    for (i, (merge, csum, eager, patient)) in settings.into_iter().enumerate() {
        let mut bench = bench(&format!("net_transmit_{i}"), features(merge, csum));
        let mut world = World::new(features(merge, csum), eager, patient);
        let mut rng = Rng(0x7e47 + i as u64);
        for _ in 0..120 {
            let length = match rng.below(16) {
                0 => 1 + rng.below(13) as usize,
                1 => 1523 + rng.below(1200) as usize,
                _ => packet::random_length(&mut rng),
            };
            let frame = packet::random(&mut rng, length);
            world.transmit(&mut rng, &frame);
        }
        world.run_until_quiet(&mut bench, 200_000);
        assert!(world.frames_out > 60 && world.expected.transmit_dropped > 5);
        bench.finish();
    }
}

#[test]
fn net_transmit_every_length_arrives() {
    for merge in [false, true] {
        let mut bench = bench(&format!("net_transmit_lengths_{merge}"), features(merge, true));
        let mut world = World::new(features(merge, true), 4, 4);
        let mut rng = Rng(0x1e46);
        let lengths = (0..140).chain(1400..1540);
        for length in lengths {
            let frame: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
            world.transmit(&mut rng, &frame);
        }
        world.run_until_quiet(&mut bench, 100_000);
        bench.finish();
    }
}

/// Every place of the field in its word, every word of a frame, sums that begin at odd and even bytes.
#[test]
fn net_transmit_checksum_goes_anywhere() {
    let mut bench = bench("net_transmit_places", features(true, true));
    let mut world = World::new(features(true, true), 4, 4);
    let mut rng = Rng(0xc5);
    for i in 0..200u16 {
        let length = 64 + (i % 5) as usize;
        let mut frame: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        let start = i % 33;
        let offset = (i / 7).min(length as u16 - 2 - start);
        if i % 10 == 0 {
            // the sum is 0xffff, its complement 0
            frame[start as usize..].fill(0);
            frame[start as usize..start as usize + 2].fill(0xff);
        }
        let mut bytes = vec![0u8; 12];
        bytes[0] = 1;
        bytes[6..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..10].copy_from_slice(&offset.to_le_bytes());
        bytes.extend(&frame);
        let sent = packet::with_checksum(&frame, start.into(), offset.into()).expect("inside of the frame");
        world.sent.push_back(sent);
        world.tx_used.push_back((i, false));
        let readable_length = (bytes.len() as u64).into();
        let chain = Chain { head: u64::from(i).into(), readable_length, ..Default::default() };
        world.offer_transmit(chain, &bytes, usize::MAX);
    }
    world.run_until_quiet(&mut bench, 10_000);
    bench.finish();
}

#[test]
fn net_transmit_chain_shorter_than_a_header_is_a_violation_and_stops_all_that_follows() {
    for (merge, length) in [(false, 9), (true, 11), (true, 0)] {
        let mut bench = bench(&format!("net_transmit_short_{merge}_{length}"), features(merge, true));
        let mut world = World::new(features(merge, true), 4, 4);
        world.transmit_plain(4, &[7; 60]);
        for (head, length) in [(5u64, length), (6, 80)] {
            world.tx_used.push_back((head as u16, true));
            let chain = Chain { head: head.into(), readable_length: length.into(), ..Default::default() };
            world.offer_transmit(chain, &vec![0; length as usize], usize::MAX);
        }
        world.expected.tx_violations = 1;
        world.run_until_quiet(&mut bench, 200);
        let expected = ViolationReport { rule: Violation::RequestTooShort, head: 5.into() };
        assert_eq!(world.violation, Some(expected));
        bench.finish();
    }
}

#[test]
fn net_transmit_broken_chain_is_dropped() {
    let mut bench = bench("net_transmit_broken", features(true, true));
    let mut world = World::new(features(true, true), 4, 4);
    let chain = Chain { head: 9.into(), readable_length: 40.into(), writable_length: 0.into(), error: true };
    world.tx_used.push_back((9, true));
    world.offer_transmit(chain, &[0; 40], 39);
    world.run_until_quiet(&mut bench, 100);
    assert_eq!(world.frames_out, 0);
    bench.finish();
}
