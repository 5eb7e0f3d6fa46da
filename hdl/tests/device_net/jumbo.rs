//! Long frames, short queues, and features that change under way.
use crate::packet;
use crate::world::{bench, bench_of, Features, World};
use virtio_hdl_rtl::testing::{moved, narrow, Rng};
use virtio_hdl_rtl::virtio::types::Chain;

const FEATURES: Features = Features { merge: true, csum: true, guest_csum: true };
const JUMBO: u16 = 9022;

/// Frames of every length up to 9,022 bytes go both ways, those of more are dropped and counted.
#[test]
fn net_jumbo_frames_go_both_ways() {
    for (merge, eager) in [(true, 4), (false, 3)] {
        let features = Features { merge, ..FEATURES };
        let mut bench = bench_of(&format!("net_jumbo_{merge}"), features, JUMBO, 256);
        let mut world = World::new(features, eager, eager);
        world.max_frame = JUMBO.into();
        let mut rng = Rng(0x9022);
        for head in 0..60 {
            for way in 0..2 {
                let length = match rng.below(6) {
                    0 => 9022 - rng.below(3) as usize,
                    1 => 9023 + rng.below(40) as usize,
                    2 => 2040 + rng.below(20) as usize,
                    _ => 14 + rng.below(9009) as usize,
                };
                let frame = packet::random(&mut rng, length);
                match way {
                    0 => world.transmit(&mut rng, &frame),
                    _ => world.receive(&frame, rng.chance(1, 12)),
                }
            }
            // one chain, or some of the sizes that drivers give
            let room = if merge { [1536, 4096, 9100][rng.below(3) as usize] } else { 9100 };
            (0..if merge { 6 } else { 1 }).for_each(|_| world.offer_receive(head, room));
        }
        world.run_until_quiet(&mut bench, 200_000);
        assert!(world.frames_in > 25 && world.frames_out > 20 && world.seen.oversize > 2, "{:?}", world.seen);
        bench.finish();
    }
}

/// Three frames of 9,022 bytes wait for buffers.
#[test]
fn net_jumbo_memory_holds_three_frames() {
    let mut bench = bench_of("net_jumbo_full", FEATURES, JUMBO, 256);
    let mut world = World::new(FEATURES, 4, 4);
    world.max_frame = JUMBO.into();
    (0..5).for_each(|i| world.receive(&vec![i; 9022], false));
    for _ in 0..4000 {
        world.cycle(&mut bench);
    }
    assert_eq!(world.seen.no_buffer, 2);
    world.expected.no_buffer = 2;
    world.received.truncate(3);
    (0..3).for_each(|head| world.offer_receive(head, 9100));
    world.run_until_quiet(&mut bench, 4000);
    assert_eq!(world.frames_in, 3);
    bench.finish();
}

/// MRG_RXBUF is taken back between a chain and its bytes: the chain's header has 12 bytes all the same, and later ones are not shifted.
#[test]
fn net_transmit_chain_keeps_the_header_it_was_made_with() {
    let mut bench = bench("net_transmit_negotiated_anew", FEATURES);
    let mut merge = true;
    for round in 0..12u8 {
        let before = Features { merge, ..FEATURES };
        let mut world = World::new(before, 4, 4);
        world.transmit_plain(round.into(), &vec![round; 64 + usize::from(round)]);
        let bytes = std::mem::take(&mut world.tx_bytes.values);
        for _ in 0..10 {
            world.cycle(&mut bench);
        }
        assert!(world.tx_chains.values.is_empty(), "the chain has been taken");
        merge = !merge;
        bench.uut.merge.next = merge;
        world.features.merge = merge;
        world.tx_bytes.values = bytes;
        for n in 1..4 {
            world.transmit_plain(u16::from(round) + 100 * n, &vec![round ^ 0x40; 70 + usize::from(n)]);
        }
        world.run_until_quiet(&mut bench, 1000);
        assert_eq!(world.frames_out, 4);
    }
    bench.finish();
}

/// MRG_RXBUF changes in any cycle: each received frame has a header of either form, and so long as its chain's command says.
#[test]
fn net_receive_frame_keeps_the_header_it_was_begun_with() {
    let mut bench = bench("net_receive_negotiated_anew", FEATURES);
    let mut world = World::new(FEATURES, 3, 3);
    let mut rng = Rng(0x3e6);
    let frames: Vec<Vec<u8>> = (0..60).map(|i| vec![i; 60 + 7 * usize::from(i)]).collect();
    for (head, frame) in frames.iter().enumerate() {
        world.receive(frame, false);
        world.offer_receive(head as u16, 1540);
    }
    let (mut lengths, mut streams, mut stream) = (vec![], vec![], vec![]);
    let mut forms = [0; 2];
    for _ in 0..6000 {
        bench.uut.merge.next = rng.chance(1, 2);
        let world = std::cell::RefCell::new(&mut world);
        bench.cycle(
            |uut, rng| {
                let mut world = world.borrow_mut();
                world.rx_chains.drive(&mut uut.rx_chain, rng);
                world.wire.drive(&mut uut.frame_in, rng);
                uut.rx_scatter.ready.next = rng.chance(3, 4);
                uut.rx_writable.ready.next = rng.chance(3, 4);
            },
            |uut| {
                let mut world = world.borrow_mut();
                world.rx_chains.take(&uut.rx_chain);
                world.wire.take(&uut.frame_in);
                lengths.extend(moved(&uut.rx_scatter).map(|command| command.length.to_u64() as usize));
                if let Some(beat) = moved(&uut.rx_writable) {
                    stream.extend(narrow(beat.data, beat.count.to_u64() as usize));
                    if beat.last {
                        streams.push(std::mem::take(&mut stream));
                    }
                }
            },
        );
    }
    assert_eq!(streams.len(), frames.len());
    for ((frame, stream), length) in frames.iter().zip(&streams).zip(lengths) {
        assert_eq!(stream.len(), length);
        let header = length - frame.len();
        assert!(header == 10 || header == 12, "a header of {header} bytes");
        forms[usize::from(header == 12)] += 1;
        assert_eq!(stream[header..], frame[..]);
        assert!(header == 10 || stream[10..12] == [1, 0], "{:?}", &stream[..12]);
    }
    assert!(forms[0] > 10 && forms[1] > 10, "{forms:?}");
    bench.finish();
}

/// A chain of the longest frame and the driver's header in one buffer fits the queue's counters.
#[test]
fn net_jumbo_chain_of_any_room_is_used() {
    let mut bench = bench_of("net_jumbo_room", FEATURES, JUMBO, 256);
    let mut world = World::new(FEATURES, 4, 4);
    world.max_frame = JUMBO.into();
    for (head, room) in [9034, 16383, 16384, 65536, 1 << 31].into_iter().enumerate() {
        world.rx_chains.values.push_back(Chain {
            head: (head as u64).into(),
            writable_length: room.into(),
            ..Default::default()
        });
        world.buffers.push_back((head as u16, room as usize));
        world.receive(&vec![head as u8; 9022], false);
    }
    world.run_until_quiet(&mut bench, 10_000);
    assert_eq!(world.frames_in, 5);
    bench.finish();
}
