//! Cycles per frame, with everything around the device as fast as it can be.
use crate::world::{bench, Features, World};
use virtio_hdl_rtl::device::net::NetDevice;
use virtio_hdl_rtl::testing::{Bench, Rng};

const FEATURES: Features = Features { merge: true, csum: true, guest_csum: true };

/// Cycles per frame between the tenth and the last frame, hundredths.
fn measure(world: &mut World, bench: &mut Bench<NetDevice>, frames: usize, ways: [bool; 2]) -> [u64; 2] {
    let mut from = [0; 2];
    let mut to = [0; 2];
    while !world.quiet() {
        world.cycle(bench);
        for (way, done) in [world.frames_out, world.frames_in].into_iter().enumerate() {
            if done == 10 && from[way] == 0 {
                from[way] = bench.cycles;
            }
            if done == frames && to[way] == 0 {
                to[way] = bench.cycles;
            }
        }
        assert!(bench.cycles < 200_000, "hangs");
    }
    [0, 1].map(|way| if ways[way] { 100 * (to[way] - from[way]) / (frames as u64 - 10) } else { 0 })
}

fn run(name: &str, length: usize, frames: usize, ways: [bool; 2]) -> [u64; 2] {
    let mut bench = bench(name, FEATURES);
    let mut world = World::new(FEATURES, 4, 4);
    let mut rng = Rng(length as u64);
    for i in 0..frames {
        let frame: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        if ways[0] {
            world.transmit_plain(i as u16, &frame);
        }
        if ways[1] {
            world.receive(&frame, false);
            world.offer_receive(i as u16, 1540);
        }
    }
    let cycles = measure(&mut world, &mut bench, frames, ways);
    bench.finish();
    cycles
}

/// One of 66 bytes leaves a word behind its last beat on the way out.
#[test]
fn net_frame_of_64_bytes_takes_5_cycles_one_of_1514_takes_96() {
    for (name, ways) in [("transmit", [true, false]), ("receive", [false, true]), ("both", [true, true])] {
        for (length, frames, limit) in [(64, 200, 500), (66, 100, 500), (1514, 30, 9600)] {
            let cycles = run(&format!("net_speed_{name}_{length}"), length, frames, ways);
            println!("{name}, {length} bytes: {cycles:?} hundredths of a cycle per frame (transmit, receive)");
            assert!(cycles.iter().all(|cycles| *cycles <= limit), "{name}, {length} bytes: {cycles:?}");
        }
    }
}
