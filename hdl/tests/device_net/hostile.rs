//! A wire that takes nothing for a while and sends anything; resets in any cycle.
use crate::packet;
use crate::world::{bench, padded, Features, World};
use std::collections::HashSet;
use virtio_hdl_rtl::device::net::types::NetBeat;
use virtio_hdl_rtl::testing::{moved, narrow, Rng};

const FEATURES: Features = Features { merge: true, csum: false, guest_csum: false };

/// Beats as no wire sends them: holes, none at all, ends in the middle, no end.
fn garbage(rng: &mut Rng) -> NetBeat {
    let keep = match rng.below(4) {
        0 => rng.below(1 << 16),
        1 => 0,
        _ => 0xffff,
    };
    let data = padded(&[rng.next() as u8; 16]);
    NetBeat { data, keep: keep.into(), last: rng.chance(1, 30), error: rng.chance(1, 30) }
}

/// What is offered to the wire stays and every frame has an end, marked if it was cut off; what goes into chains is whole frames of the
/// wire; and after each reset, which waits for nobody, frames of after it go both ways.
#[test]
fn net_hostile_wire_harms_nothing() {
    let mut bench = bench("net_hostile", FEATURES);
    let mut rng = Rng(0x0ff);
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    let mut sent: HashSet<Vec<u8>> = HashSet::new();
    let (mut out, mut shown): (Vec<u8>, Option<NetBeat>) = (vec![], None);
    let (mut cut, mut whole, mut received) = (0, 0, 0);
    for round in 0..40u8 {
        let mut world = World::new(FEATURES, 3, 3);
        for head in 0..12 {
            let length = packet::random_length(&mut rng);
            let frame = packet::random(&mut rng, length);
            world.transmit_plain(head, &frame);
            sent.insert(frame);
            for _ in 0..rng.below(60) {
                world.wire.values.push_back(garbage(&mut rng));
            }
            // the end of the garbage
            world.wire.values.push_back(NetBeat { last: true, ..garbage(&mut rng) });
            let frame: Vec<u8> = (0..60 + rng.below(200)).map(|_| rng.next() as u8).collect();
            world.receive(&frame, false);
            known.insert([&[0; 10][..], &[1, 0], &frame].concat());
            world.offer_receive(head, 1540);
        }
        let dead = rng.chance(1, 2);
        let (stop_at, clear_at) = (100 + rng.below(900), rng.below(40));
        let clear_at = stop_at + clear_at;
        let mut stream = vec![];
        for cycle in 0..clear_at + 1500 {
            bench.uut.stop.next = (stop_at..=clear_at).contains(&cycle);
            bench.uut.clear.next = cycle == clear_at;
            if cycle == clear_at + 1 {
                // a new driver; the wire goes on, with what ends its frame first
                let mut next = World::new(FEATURES, 3, 3);
                next.wire.values.push_back(NetBeat { last: true, ..garbage(&mut rng) });
                next.receive(&[round | 0x80; 100], false);
                known.insert([&[0; 10][..], &[1, 0], &[round | 0x80; 100]].concat());
                // the end of the old frame may be one of its own
                (1..4).for_each(|head| next.offer_receive(head, 1540));
                next.transmit_plain(7, &[round; 80]);
                sent.insert(vec![round; 80]);
                if world.wire.values.front().is_some() && world.wire.is_offered() {
                    // an offered beat stays
                    let offered = world.wire.values.pop_front().unwrap();
                    next.wire.values.push_front(offered);
                    next.wire.set_offered();
                }
                world = next;
                stream.clear();
            }
            let awake = !dead || cycle > clear_at + 200;
            let cell = std::cell::RefCell::new(&mut world);
            bench.cycle(
                |uut, rng| {
                    let mut world = cell.borrow_mut();
                    world.tx_chains.drive(&mut uut.tx_chain, rng);
                    world.tx_bytes.drive(&mut uut.tx_readable, rng);
                    world.rx_chains.drive(&mut uut.rx_chain, rng);
                    world.wire.drive(&mut uut.frame_in, rng);
                    uut.tx_scatter.ready.next = rng.chance(3, 4);
                    uut.rx_scatter.ready.next = rng.chance(3, 4);
                    uut.rx_writable.ready.next = rng.chance(3, 4);
                    uut.frame_out.ready.next = awake && rng.chance(3, 4);
                },
                |uut| {
                    let mut world = cell.borrow_mut();
                    world.tx_chains.take(&uut.tx_chain);
                    world.tx_bytes.take(&uut.tx_readable);
                    world.rx_chains.take(&uut.rx_chain);
                    world.wire.take(&uut.frame_in);
                    let offer = uut.frame_out.valid.val().then(|| uut.frame_out.data.val());
                    assert!(shown.is_none() || shown == offer, "an offered beat changes");
                    shown = offer.filter(|_| !uut.frame_out.ready.val());
                    if let Some(beat) = moved(&uut.frame_out) {
                        out.extend(narrow(beat.data, beat.keep.to_u64().count_ones() as usize));
                        if beat.last {
                            let frame = std::mem::take(&mut out);
                            assert!(beat.error || sent.contains(&frame), "a frame that nobody sent");
                            cut += usize::from(beat.error);
                            whole += usize::from(!beat.error);
                            world.frames_out += usize::from(!beat.error && frame == vec![round; 80]);
                        }
                    }
                    if let Some(beat) = moved(&uut.rx_writable) {
                        stream.extend(narrow(beat.data, beat.count.to_u64() as usize));
                        if beat.last {
                            let frame = std::mem::take(&mut stream);
                            // garbage that happens to be a frame is one
                            let good = known.contains(&frame);
                            received += usize::from(good);
                            world.frames_in += usize::from(frame[12..] == [round | 0x80; 100]);
                        }
                    }
                },
            );
        }
        assert_eq!((world.frames_out, world.frames_in), (1, 1), "after reset {round}");
    }
    assert!(cut > 5 && whole > 60 && received > 100, "{cut} frames cut off, {whole} whole, {received} received");
    bench.finish();
}
