//! Several queues as one: random chains, bytes that come late, answers to any queue.
use std::cell::RefCell;
use virtio_hdl_rtl::device::queue_group::QueueGroup;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};
use virtio_hdl_rtl::virtio::types::*;

/// What is fed, and what has come of it.
struct World {
    chains: Vec<Feed<Chain>>,
    bytes: Vec<Feed<ByteBeat>>,
    scatter: Feed<ScatterCommand>,
    writable: Feed<ByteBeat>,
    answer_queue: u64,
    /// Chains that came out: queue, head, beats.
    order: Vec<(u64, u64, u64)>,
    /// Bytes that came out, and whether a chain ended with them.
    beats: Vec<(u64, bool)>,
    /// Queue and head of the commands and of the data that came out for it.
    commands: Vec<(usize, u64)>,
    data: Vec<(usize, u64)>,
}

impl World {
    fn new(queues: usize, eager: u64) -> Self {
        World {
            chains: (0..queues).map(|_| Feed::new(4)).collect(),
            bytes: (0..queues).map(|_| Feed::new(eager)).collect(),
            scatter: Feed::new(eager),
            writable: Feed::new(eager),
            answer_queue: 0,
            order: vec![],
            beats: vec![],
            commands: vec![],
            data: vec![],
        }
    }

    /// A chain whose head counts those of its queue, and its bytes, which tell where they belong.
    fn offer(&mut self, queue: usize, head: u64, beats: u64) {
        let readable_length = (16 * beats).into();
        self.chains[queue].values.push_back(Chain { head: head.into(), readable_length, ..Chain::default() });
        self.bytes[queue].values.extend(
            self::beats(queue as u64, head, beats).into_iter().map(|(data, last)| ByteBeat {
                data: data.into(),
                count: 16.into(),
                last,
                error: false,
            }),
        );
    }

    fn cycle(&mut self, bench: &mut Bench<QueueGroup>, patient: u64) {
        let world = RefCell::new(self);
        bench.cycle(
            |uut, rng| {
                let mut world = world.borrow_mut();
                for queue in 0..uut.chains.len() {
                    world.chains[queue].drive(&mut uut.chains[queue], rng);
                    world.bytes[queue].drive(&mut uut.bytes[queue], rng);
                    uut.commands[queue].ready.next = rng.chance(patient, 4);
                    uut.data[queue].ready.next = rng.chance(patient, 4);
                }
                uut.answer_queue.next = world.answer_queue.into();
                world.scatter.drive(&mut uut.scatter, rng);
                world.writable.drive(&mut uut.writable, rng);
                uut.chain.ready.next = rng.chance(patient, 4);
                uut.readable.ready.next = rng.chance(patient, 4);
            },
            |uut| world.borrow_mut().observe(uut),
        );
    }

    fn observe(&mut self, uut: &QueueGroup) {
        for queue in 0..uut.chains.len() {
            self.chains[queue].take(&uut.chains[queue]);
            self.bytes[queue].take(&uut.bytes[queue]);
            self.commands.extend(moved(&uut.commands[queue]).map(|command| (queue, command.head.to_u64())));
            self.data.extend(moved(&uut.data[queue]).map(|beat| (queue, beat.data.get_bits::<64>(0).to_u64())));
        }
        self.scatter.take(&uut.scatter);
        self.writable.take(&uut.writable);
        if let Some(chain) = moved(&uut.chain) {
            let beats = chain.readable_length.to_u64() / 16;
            self.order.push((uut.chain_queue.val().to_u64(), chain.head.to_u64(), beats));
        }
        self.beats.extend(moved(&uut.readable).map(|beat| (beat.data.get_bits::<64>(0).to_u64(), beat.last)));
    }
}

/// Data of a chain's beats, and whether it is the last one.
fn beats(queue: u64, head: u64, beats: u64) -> Vec<(u64, bool)> {
    (0..beats).map(|n| (queue << 40 | head << 8 | n, n + 1 == beats)).collect()
}

fn bench(name: &str, queues: usize) -> Bench<QueueGroup> {
    let mut bench = Bench::new(name, QueueGroup::new(queues), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    bench
}

#[test]
fn queues_of_a_group_keep_their_order_and_every_chain_its_bytes() {
    for (queues, eager, patient) in [(2, 4, 4), (3, 2, 3), (4, 1, 4), (4, 4, 1)] {
        let mut bench = bench(&format!("queue_group_{queues}_{eager}_{patient}"), queues);
        let mut world = World::new(queues, eager);
        let mut offered = vec![0; queues];
        for _ in 0..3000 {
            let queue = bench.rng.below(queues as u64) as usize;
            if bench.rng.chance(1, 6) && offered.iter().sum::<u64>() < 300 {
                world.offer(queue, offered[queue], 1 + bench.rng.below(5) * bench.rng.below(2));
                offered[queue] += 1;
            }
            world.cycle(&mut bench, patient);
        }
        for queue in 0..queues as u64 {
            let heads = world.order.iter().filter(|(of, ..)| *of == queue).map(|(_, head, _)| *head);
            assert!(heads.eq(0..offered[queue as usize]), "of queue {queue}");
        }
        let expected = world.order.iter().flat_map(|(queue, head, count)| beats(*queue, *head, *count));
        assert!(expected.eq(world.beats.iter().copied()), "the bytes of each chain, in the order of the chains");
        bench.finish();
    }
}

#[test]
fn queues_of_a_group_take_turns_and_one_that_is_alone_has_no_gaps() {
    let mut bench = bench("queue_group_turns", 3);
    let mut world = World::new(3, 4);
    (0..20).for_each(|head| (0..3).for_each(|queue| world.offer(queue, head, 1)));
    (20..60).for_each(|head| world.offer(1, head, 1));
    for _ in 0..105 {
        world.cycle(&mut bench, 4);
    }
    let turns: Vec<_> = world.order.iter().map(|(queue, ..)| *queue).collect();
    assert!(turns[..60].chunks(3).all(|turn| turn == &turns[..3]), "{turns:?}");
    assert_eq!(turns.len(), 100, "a chain a cycle");
    bench.finish();
}

/// Its chain is there, its bytes are not: the host takes its time with a read.
#[test]
fn a_queue_of_a_group_that_waits_for_bytes_holds_up_no_other() {
    let mut bench = bench("queue_group_waits", 2);
    let mut world = World::new(2, 4);
    world.offer(0, 0, 2);
    world.bytes[0].values.clear();
    (0..10).for_each(|head| world.offer(1, head, 2));
    for _ in 0..40 {
        world.cycle(&mut bench, 4);
    }
    assert_eq!(world.order.len(), 10, "{:?}", world.order);
    bench.finish();
}

#[test]
fn answers_go_to_the_queue_of_their_chain() {
    let mut bench = bench("queue_group_answers", 4);
    let mut world = World::new(4, 2);
    let mut expected = vec![];
    for head in 0..60u64 {
        let queue = bench.rng.below(4);
        world.answer_queue = queue;
        world.scatter.values.push_back(ScatterCommand { head: head.into(), ..ScatterCommand::default() });
        world.writable.values.push_back(ByteBeat { data: head.into(), ..ByteBeat::default() });
        expected.push((queue as usize, head));
        while !world.scatter.values.is_empty() || !world.writable.values.is_empty() {
            world.cycle(&mut bench, 2);
        }
    }
    assert_eq!((world.commands, world.data), (expected.clone(), expected));
    bench.finish();
}
