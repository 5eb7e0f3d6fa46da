//! The whole control block with a program: chains come back with random bytes in them, bytes come out of its console.
use std::collections::VecDeque;
use virtio_hdl_rtl::control::block::{ControlBlock, ControlOptions};
use virtio_hdl_rtl::control::port_byte::PortByte;
use virtio_hdl_rtl::dma::types::ByteBeat;
use virtio_hdl_rtl::testing::{moved, narrow, wide, Bench, Feed};
use virtio_hdl_rtl::virtio::types::Chain;

/// The entropy source of `firmware/`.
const RNG: &[u8] = include_bytes!("../../firmware/rng.bin");

struct World {
    bench: Bench<ControlBlock>,
    chains: Vec<Feed<Chain>>,
    beats: Vec<Feed<ByteBeat>>,
    /// Of each queue: heads and writable bytes of chains that have been offered, and bytes of the reply that are to come.
    expected: Vec<VecDeque<(u64, u64)>>,
    left: Vec<u64>,
    replies: Vec<Vec<u8>>,
    typed: Feed<PortByte>,
    printed: Vec<u8>,
    asleep: u64,
    retired: u64,
    failed: u64,
}

impl World {
    fn new(name: &str, queues: usize, image: &[u8]) -> Self {
        let options = ControlOptions {
            image: image.to_vec(),
            memory_bytes: 16 << 10,
            queues,
            device_config: vec![],
            patience: 1 << 22,
        };
        let mut bench = Bench::new(name, ControlBlock::new(&options), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            chains: (0..queues).map(|_| Feed::new(3)).collect(),
            beats: (0..queues).map(|_| Feed::new(3)).collect(),
            expected: vec![VecDeque::new(); queues],
            left: vec![0; queues],
            replies: vec![],
            typed: Feed::new(1),
            printed: vec![],
            asleep: 0,
            retired: 0,
            failed: 0,
        }
    }

    fn offer(&mut self, queue: usize, readable: &[u8], writable: u64) {
        let head = self.bench.rng.below(1 << 16);
        let last = readable.len().saturating_sub(1) / 16;
        for beat in 0..=last {
            let bytes = &readable[16 * beat..readable.len().min(16 * beat + 16)];
            let count = (bytes.len() as u64).into();
            self.beats[queue].values.push_back(ByteBeat { data: wide(bytes), count, last: beat == last, error: false });
        }
        self.chains[queue].values.push_back(Chain {
            head: head.into(),
            readable_length: (readable.len() as u64).into(),
            writable_length: writable.into(),
            error: false,
        });
        self.expected[queue].push_back((head, writable));
    }

    fn cycle(&mut self) {
        let bench = &mut self.bench;
        for queue in 0..self.chains.len() {
            self.chains[queue].drive(&mut bench.uut.chain[queue], &mut bench.rng);
            self.beats[queue].drive(&mut bench.uut.readable[queue], &mut bench.rng);
            bench.uut.command[queue].ready.next = bench.rng.chance(1, 2);
            bench.uut.writable[queue].ready.next = bench.rng.chance(1, 2);
        }
        self.typed.drive(&mut bench.uut.byte_in, &mut bench.rng);
        bench.uut.byte_out.ready.next = bench.rng.chance(3, 4);
        bench.low();
        for queue in 0..self.chains.len() {
            self.chains[queue].take(&bench.uut.chain[queue]);
            self.beats[queue].take(&bench.uut.readable[queue]);
            if let Some(command) = moved(&bench.uut.command[queue]) {
                let (head, writable) = self.expected[queue].pop_front().expect("a chain that there is");
                assert_eq!((command.head.to_u64(), command.drop), (head, false));
                assert!(command.length.to_u64() <= writable, "more bytes than there is room for");
                self.left[queue] = command.length.to_u64();
                self.replies.push(vec![]);
            }
            if let Some(beat) = moved(&bench.uut.writable[queue]) {
                let count = self.left[queue].min(16);
                assert_eq!((beat.count.to_u64(), beat.last), (count, self.left[queue] <= 16));
                self.left[queue] -= count;
                self.replies.last_mut().expect("a reply").extend(narrow(beat.data, count as usize));
            }
        }
        self.typed.take(&bench.uut.byte_in);
        if let Some(byte) = moved(&bench.uut.byte_out) {
            self.printed.push(byte.data.to_u64() as u8);
        }
        assert!(!bench.uut.byte_lost.val() && !bench.uut.hung.val());
        self.failed += u64::from(bench.uut.failed.val());
        self.asleep += u64::from(bench.uut.asleep.val());
        self.retired += u64::from(bench.uut.retired.val());
        bench.edge();
    }

    fn until(&mut self, cycles: u64, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = self.bench.cycles + cycles;
        while !done(self) {
            self.cycle();
            assert!(self.bench.cycles < end, "{what}: not within {cycles} cycles; {}", self.text());
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed).into()
    }

    fn is_answered(&self) -> bool {
        self.expected.iter().all(VecDeque::is_empty) && self.left.iter().all(|left| *left == 0)
    }
}

#[test]
fn a_program_fills_chains_and_answers_on_its_console() {
    let mut world = World::new("control_block", 2, RNG);
    world.until(40_000, "the program sleeps", |world| world.bench.uut.asleep.val());
    let start = world.bench.cycles;
    for (queue, writable) in [(0, 64), (1, 5), (1, 0), (1, 100)] {
        let request = vec![7; world.bench.rng.below(50) as usize];
        world.offer(queue, &request, writable);
    }
    world.until(60_000, "four replies", World::is_answered);
    println!("asleep after {start} cycles, four replies {} cycles later", world.bench.cycles - start);
    let mut lengths: Vec<_> = world.replies.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [0, 5, 64, 100]);
    let zeros = world.replies.iter().flatten().filter(|byte| **byte == 0).count();
    assert!(zeros < 10, "{zeros} zeros among random bytes");

    world.typed.values.extend(b"version\r".iter().map(|byte| PortByte { data: u64::from(*byte).into() }));
    world.until(80_000, "its version", |world| world.text().contains("rng") && world.typed.values.is_empty());
    world.until(100_000, "it sleeps again", |world| world.bench.uut.asleep.val());
    assert!(world.bench.uut.idle.val() && world.failed == 0);
    assert!(world.asleep > 0 && world.retired > 1000, "{} instructions", world.retired);
    println!("{} instructions in {} cycles: {:?}", world.retired, world.bench.cycles, world.text());
    world.bench.finish();
}
