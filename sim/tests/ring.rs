//! The driver's side of a virtqueue: random chains in every shape are what a device finds, and come back.
mod software;

use proptest::prelude::*;
use software::consumer::walk;
use software::{Build, Machine};
use std::collections::VecDeque;
use virtio_hdl::host::ring::*;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{Bytes, GuestAddress};

const SIZE: u16 = 32;

struct Rig {
    machine: Machine,
    queue: Virtqueue,
    used: u16,
}

impl Rig {
    fn new(options: RingOptions) -> Self {
        let mut machine = Machine::new(Build::default());
        let address = machine.allocator.allocate(ring_bytes(SIZE), RING_ALIGN).unwrap();
        let queue = Virtqueue::new(&machine.memory, address, SIZE, options).unwrap();
        Rig { machine, queue, used: 0 }
    }

    fn read(&self, offset: u64) -> u16 {
        self.machine.memory.read_obj(GuestAddress(self.queue.address() + offset)).unwrap()
    }

    fn write(&self, offset: u64, value: u16) {
        self.machine.memory.write_obj(value, GuestAddress(self.queue.address() + offset)).unwrap();
    }

    fn available(&self) -> u16 {
        self.read(avail_offset(SIZE) + RING_INDEX)
    }

    fn head(&self, index: u16) -> u16 {
        self.read(avail_offset(SIZE) + RING_ENTRIES + 2 * u64::from(index % SIZE))
    }

    fn give_back(&mut self, head: u32, written: u32) {
        let entry = self.queue.address() + used_offset(SIZE) + RING_ENTRIES + 8 * u64::from(self.used % SIZE);
        self.machine.memory.write_obj(head, GuestAddress(entry)).unwrap();
        self.machine.memory.write_obj(written, GuestAddress(entry + 4)).unwrap();
        self.used = self.used.wrapping_add(1);
        self.write(used_offset(SIZE) + RING_INDEX, self.used);
    }

    fn add(&mut self, buffers: &[Buffer], shape: Shape) -> Result<u16, RingError> {
        self.queue.add(&mut self.machine, buffers, shape)
    }
}

fn buffers() -> impl Strategy<Value = Vec<Buffer>> {
    (proptest::collection::vec((any::<u64>(), 1..=u32::MAX), 1..12), 0..12_usize).prop_map(|(parts, readable)| {
        let buffer = |(n, (address, bytes)): (usize, (u64, u32))| Buffer { address, bytes, writable: n >= readable };
        parts.into_iter().enumerate().map(buffer).collect()
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Direct), Just(Shape::Indirect), (0..4_usize).prop_map(Shape::Mixed)]
}

proptest! {
    #[test]
    fn device_finds_the_buffers_and_driver_gets_them_back(
        chains in proptest::collection::vec((buffers(), shape(), any::<proptest::sample::Index>()), 1..200),
        scatter in proptest::option::of(any::<u64>()),
    ) {
        let mut rig = Rig::new(RingOptions { event_index: false, scatter });
        let memory_before = rig.machine.allocator.used();
        let mut with_device: Vec<(u16, u32)> = Vec::new();
        let mut expected = VecDeque::new();
        let mut seen = 0_u16;
        for (n, (buffers, shape, pick)) in chains.iter().enumerate() {
            while rig.add(buffers, *shape).is_err() {
                // The device gives one back, whichever.
                let (head, written) = with_device.remove(pick.index(with_device.len()));
                rig.give_back(head.into(), written);
                let used = rig.queue.take(&mut rig.machine).unwrap();
                prop_assert_eq!(used, Some(Used { head, written }));
            }
            rig.queue.kick(&rig.machine.memory).unwrap();
            expected.push_back(buffers.clone());
            while seen != rig.available() {
                let head = rig.head(seen);
                let found = walk(&rig.machine.memory, rig.queue.address(), SIZE, head);
                let found: Vec<Buffer> = found
                    .iter()
                    .map(|piece| Buffer { address: piece.address, bytes: piece.bytes, writable: piece.writable })
                    .collect();
                prop_assert_eq!(found, expected.pop_front().unwrap());
                with_device.push((head, n as u32));
                seen = seen.wrapping_add(1);
            }
        }
        for (head, written) in with_device {
            rig.give_back(head.into(), written);
        }
        while rig.queue.take(&mut rig.machine).unwrap().is_some() {}
        prop_assert_eq!((rig.queue.in_flight(), rig.queue.free_descriptors()), (0, usize::from(SIZE)));
        prop_assert_eq!(rig.machine.allocator.used(), memory_before);
    }
}

const BUFFER: [Buffer; 2] = [Buffer::readable(0x1000, 16), Buffer::writable(0x2000, 1)];

#[test]
fn device_sees_nothing_before_the_kick() {
    let mut rig = Rig::new(RingOptions::default());
    rig.add(&BUFFER, Shape::Direct).unwrap();
    assert_eq!(rig.available(), 0);
    assert!(rig.queue.kick(&rig.machine.memory).unwrap());
    assert_eq!(rig.available(), 1);
    assert!(!rig.queue.kick(&rig.machine.memory).unwrap(), "nothing new");
}

#[test]
fn scattered_chains_do_not_follow_the_table() {
    let order = |scatter| -> Vec<u16> {
        let mut rig = Rig::new(RingOptions { event_index: false, scatter });
        (0..16).map(|_| rig.add(&BUFFER, Shape::Direct).unwrap()).collect()
    };
    assert_eq!(order(None), (0..16).map(|n| 2 * n).collect::<Vec<_>>());
    assert_ne!(order(Some(1)), order(None));
    assert_eq!(order(Some(1)), order(Some(1)));
    assert_ne!(order(Some(1)), order(Some(2)));
}

#[test]
fn no_notify_is_obeyed() {
    let mut rig = Rig::new(RingOptions::default());
    rig.write(used_offset(SIZE) + RING_FLAGS, USED_NO_NOTIFY);
    rig.add(&BUFFER, Shape::Direct).unwrap();
    assert!(!rig.queue.kick(&rig.machine.memory).unwrap());
    assert_eq!(rig.available(), 1, "the index goes up nevertheless");
}

#[test]
fn event_index_decides_notifications_over_the_wrap() {
    let mut rig = Rig::new(RingOptions { event_index: true, scatter: None });
    // The flags do not count with EVENT_IDX.
    rig.write(used_offset(SIZE) + RING_FLAGS, USED_NO_NOTIFY);
    for n in 0..70_000_u32 {
        let event = (n as u16).wrapping_add((n % 3) as u16);
        rig.write(avail_event_offset(SIZE), event);
        let head = rig.add(&BUFFER, Shape::Direct).unwrap();
        assert_eq!(rig.queue.kick(&rig.machine.memory).unwrap(), n % 3 == 0, "{n}");
        rig.give_back(head.into(), 0);
        rig.queue.take(&mut rig.machine).unwrap().unwrap();
    }
}

#[test]
fn interrupts_are_asked_for_and_a_race_is_noticed() {
    let mut rig = Rig::new(RingOptions { event_index: true, scatter: None });
    let head = rig.add(&BUFFER, Shape::Direct).unwrap();
    rig.queue.disable_interrupts(&rig.machine.memory).unwrap();
    assert_eq!(rig.read(avail_offset(SIZE)), AVAIL_NO_INTERRUPT);
    rig.queue.kick(&rig.machine.memory).unwrap();
    assert!(!rig.queue.enable_interrupts(&rig.machine.memory).unwrap());
    assert_eq!((rig.read(avail_offset(SIZE)), rig.read(used_event_offset(SIZE))), (0, 0));
    rig.give_back(head.into(), 1);
    assert!(rig.queue.enable_interrupts(&rig.machine.memory).unwrap(), "one is there already");
    assert!(!rig.queue.enable_interrupts_after(&rig.machine.memory, 1).unwrap());
    assert_eq!(rig.read(used_event_offset(SIZE)), 1);
}

#[test]
fn a_device_that_returns_what_it_never_had_is_told_off() {
    let mut rig = Rig::new(RingOptions::default());
    rig.add(&BUFFER, Shape::Direct).unwrap();
    rig.queue.kick(&rig.machine.memory).unwrap();
    rig.give_back(7, 0);
    let error = rig.queue.take(&mut rig.machine).unwrap_err();
    assert_eq!(error.to_string(), "the device returned head 7 at used index 0, which is not in flight");

    let mut rig = Rig::new(RingOptions::default());
    rig.write(used_offset(SIZE) + RING_INDEX, 1);
    assert!(matches!(rig.queue.take(&mut rig.machine), Err(RingError::UsedIndex { found: 1, expected: 0 })));
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut rig = Rig::new(RingOptions::default());
    assert!(matches!(rig.add(&[], Shape::Direct), Err(RingError::Empty)));
    let many = [BUFFER[0]; SIZE as usize + 1];
    assert!(matches!(rig.add(&many, Shape::Direct), Err(RingError::Full { wanted: 33, free: 32 })));
    assert_eq!(rig.queue.free_descriptors(), 32);
    rig.add(&many, Shape::Indirect).unwrap();
    assert_eq!(rig.queue.free_descriptors(), 31);
    let before = rig.machine.allocator.used();
    assert!(rig.add(&many, Shape::Mixed(32)).is_err());
    assert_eq!(rig.machine.allocator.used(), before);
}
