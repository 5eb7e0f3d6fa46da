//! The used-ring writer alone: elements that belong together are seen at once.
use crate::memory::Memory;
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::{UsedElement, WriteRequest};
use virtio_hdl_rtl::testing::{moved, narrow, Bench, Feed, Rng};
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::used::UsedWriter;

const BASE: u64 = 0x10000;

/// A write on its way: its bytes so far, and whether the RAM is answering.
struct Write {
    request: WriteRequest,
    bytes: Vec<u8>,
    asked: bool,
}

struct World {
    bench: Bench<UsedWriter>,
    memory: Memory,
    queue_size: u16,
    used: Feed<UsedElement>,
    writes: VecDeque<Write>,
    done: bool,
    /// How many of the elements the driver may see: ends of what belongs together.
    borders: Vec<u16>,
    /// All elements of this run, in order.
    elements: Vec<UsedElement>,
    /// Used indices that the driver has seen.
    indices: Vec<u16>,
}

impl World {
    fn new(name: &str, queue_size: u16, eager: u64) -> Self {
        let mut world = Self {
            bench: Bench::new(name, UsedWriter::new(1, queue_size), |uut| &mut uut.clock),
            memory: Memory(vec![0; 0x20000]),
            queue_size,
            used: Feed::new(eager),
            writes: VecDeque::new(),
            done: false,
            borders: vec![0],
            elements: vec![],
            indices: vec![0],
        };
        world.bench.uut.ring_base.next = BASE.into();
        world.bench.uut.reset.next = true;
        world.bench.cycle(|_, _| {}, |_| {});
        world.bench.uut.reset.next = false;
        world
    }

    /// Elements that belong together, `soon` as it comes.
    fn offer(&mut self, rng: &mut Rng, count: usize) {
        let soon = rng.chance(1, 2);
        self.offer_elements(rng, count, soon);
    }

    fn offer_elements(&mut self, rng: &mut Rng, count: usize, soon: bool) {
        for i in 1..=count {
            let element = UsedElement {
                head: (rng.next() & 0xffff).into(),
                length: (rng.next() >> 32).into(),
                more: i < count,
                soon,
            };
            self.used.values.push_back(element);
            self.elements.push(element);
        }
        self.borders.push(self.elements.len() as u16);
    }

    fn cycle(&mut self, patient: u64) {
        let (used, done) = (std::cell::RefCell::new(&mut self.used), std::mem::take(&mut self.done));
        let mut request = None;
        let mut ask = None;
        let mut answer = None;
        if let Some(write) = self.writes.front_mut() {
            let next = write.request.source.to_u64() + write.bytes.len() as u64;
            if write.asked {
                answer = Some(next);
            } else {
                ask = Some(next >> 4);
            }
            write.asked = !write.asked;
        }
        self.bench.cycle(
            |uut, rng| {
                used.borrow_mut().drive(&mut uut.used, rng);
                uut.request.ready.next = rng.chance(patient, 4);
                uut.done.next = done;
                if let Some(word) = ask {
                    uut.read_word.next = word.into();
                }
            },
            |uut| {
                used.borrow_mut().take(&uut.used);
                request = moved(&uut.request);
                answer = answer.map(|next| {
                    u64::from_le_bytes(
                        narrow(uut.read_data.val(), 16)[(next & 8) as usize..][..8].try_into().expect("8 bytes"),
                    )
                });
            },
        );
        self.writes.extend(request.map(|request| Write { request, bytes: vec![], asked: false }));
        if let Some(value) = answer {
            let write = self.writes.front_mut().expect("it has asked");
            write.bytes.extend(value.to_le_bytes());
            if write.bytes.len() as u64 >= write.request.length.to_u64() {
                let write = self.writes.pop_front().expect("just seen");
                self.done = true;
                let length = write.request.length.to_u64() as usize;
                self.memory.write(write.request.address.to_u64(), &write.bytes[..length]);
                self.look();
            }
        }
    }

    /// What the driver sees.
    fn look(&mut self) {
        let ring = BASE + layout::used_offset(self.queue_size);
        let (before, index) = (*self.indices.last().expect("never empty"), self.memory.u16(ring + 2));
        if index == before {
            return;
        }
        assert!(self.borders.contains(&index), "index {index} is between elements that belong together");
        for i in before..index {
            let at = ring + layout::RING_ENTRIES + 8 * u64::from(i % self.queue_size);
            let element = self.elements[usize::from(i)];
            let seen = (u64::from(self.memory.u32(at)), u64::from(self.memory.u32(at + 4)));
            assert_eq!(seen, (element.head.to_u64(), element.length.to_u64()), "element {i}");
        }
        self.indices.push(index);
    }

    fn seen(&self) -> usize {
        usize::from(*self.indices.last().expect("never empty"))
    }

    fn run_until_seen(&mut self, patient: u64) {
        for _ in 0..5000 {
            if self.seen() == self.elements.len() && !self.bench.uut.busy.val() {
                return;
            }
            self.cycle(patient);
        }
        panic!("{} of {} elements seen", self.seen(), self.elements.len());
    }
}

#[test]
fn used_elements_that_belong_together_are_seen_at_once() {
    for (queue_size, eager, patient) in [(256, 4, 4), (256, 2, 2), (32, 4, 3), (16, 3, 4), (8, 4, 4)] {
        let mut world = World::new(&format!("used_more_{queue_size}_{eager}"), queue_size, eager);
        let mut rng = Rng(u64::from(queue_size) + eager);
        for _ in 0..60 {
            let most = u64::from(queue_size.min(16));
            // never more than the queue holds
            let mut room = usize::from(queue_size);
            while room > 0 && rng.chance(7, 8) {
                let count = match rng.below(4) {
                    0 => most as usize,
                    1 => 1,
                    _ => 1 + rng.below(most) as usize,
                };
                let count = count.min(room);
                world.offer(&mut rng, count);
                room -= count;
            }
            world.run_until_seen(patient);
        }
        assert!(world.elements.len() > 200);
        world.bench.finish();
    }
}

#[test]
fn used_elements_of_one_frame_in_16_chains_take_one_index_write() {
    let mut world = World::new("used_more_16", 64, 4);
    let mut rng = Rng(16);
    // the second frame lies across a wrap of the slots, the fourth one across the end of the ring
    for frame in 1..=5 {
        world.offer(&mut rng, if frame == 1 { 9 } else { 16 });
        world.run_until_seen(4);
        assert_eq!(world.indices.len(), 1 + frame);
    }
    world.bench.finish();
}

#[test]
fn used_elements_wait_for_the_last_that_belongs_to_them() {
    let mut world = World::new("used_more_waits", 64, 4);
    let mut rng = Rng(1);
    world.offer(&mut rng, 1);
    world.offer(&mut rng, 4);
    let last = world.used.values.pop_back().expect("offered");
    for _ in 0..100 {
        world.cycle(4);
    }
    assert_eq!(world.seen(), 1);
    assert!(world.bench.uut.busy.val());
    world.used.values.push_back(last);
    world.run_until_seen(4);
    world.bench.finish();
}

/// Cycles until the driver sees another index.
fn cycles_until_index(world: &mut World) -> usize {
    let before = world.indices.len();
    (1..1000)
        .find(|_| {
            world.cycle(4);
            world.indices.len() > before
        })
        .expect("no index is seen")
}

#[test]
fn used_element_that_expects_no_other_leaves_at_once_with_those_that_waited() {
    let mut world = World::new("used_at_once", 64, 4);
    let mut rng = Rng(2);
    for waiting in [0, 1, 7, 14] {
        for _ in 0..waiting {
            world.offer_elements(&mut rng, 1, true);
        }
        world.offer_elements(&mut rng, 1, false);
        let cycles = cycles_until_index(&mut world);
        assert!(cycles < 3 * waiting + 25, "{cycles} cycles for {waiting} and one");
        assert_eq!(world.seen(), world.elements.len(), "one index for all");
        world.run_until_seen(4);
    }
    world.bench.finish();
}

#[test]
fn used_elements_that_expect_others_leave_by_sixteen() {
    let mut world = World::new("used_sixteen", 64, 4);
    let mut rng = Rng(4);
    for _ in 0..16 {
        world.offer_elements(&mut rng, 1, true);
    }
    let cycles = cycles_until_index(&mut world);
    assert!(cycles < 60, "{cycles} cycles");
    assert_eq!(world.seen(), 16);
    world.run_until_seen(4);
    world.bench.finish();
}

#[test]
fn used_element_waits_for_250_cycles_at_most() {
    // alone, or with others behind it
    for every in [1000, 18] {
        let mut world = World::new("used_age", 64, 4);
        let mut rng = Rng(5);
        let mut cycles = 0;
        while world.indices.len() == 1 {
            if cycles % every == 0 {
                world.offer_elements(&mut rng, 1, true);
            }
            world.cycle(4);
            cycles += 1;
            assert!(cycles < 300, "the first element waits");
        }
        assert!(cycles > 250, "{cycles} cycles");
        world.run_until_seen(4);
        world.bench.finish();
    }
}
