//! Slots that are read beside their index: right, and as they were before the driver wrote them.
use crate::driver::{Descriptor, Driver, Features};
use virtio_hdl_rtl::virtio::layout::{self, DESCRIPTOR_INDIRECT};
use virtio_hdl_rtl::virtio::ring::client;
use virtio_hdl_rtl::virtio::types::Violation;

const FEATURES: Features = Features { event_idx: false, indirect: true, notify_on_empty: false };
const SIZE: u16 = 16;
/// Nothing that a chain names lies here.
const NOWHERE: u64 = 0x9_0000;

/// The slots that the engine reads beside the index are as they were when it asked for them; the index is as it is at the end.
fn engine(name: &str) -> Driver {
    let mut driver = Driver::new(name, SIZE, FEATURES);
    driver.dma.early = Some(Box::new(|request| request.client == client::AVAILABLE && request.slot == 3));
    driver
}

/// Kicks with nothing in the ring, and runs until index and slots have been asked for.
fn run_until_guessed(driver: &mut Driver) {
    driver.kick();
    while driver.dma.asked_reads.len() < 2 {
        driver.cycle();
    }
    assert_eq!(driver.dma.asked_reads[1].request.slot.to_u64(), 3);
}

/// Descriptors of the table that have been read as the first of a window.
fn windows(driver: &Driver) -> Vec<u64> {
    let table = driver.base..driver.base + 16 * u64::from(SIZE);
    let reads = driver.dma.read_log.iter().filter(|(address, _)| table.contains(address));
    reads.map(|(address, _)| (address - driver.base) / 16).collect()
}

fn one(n: u64) -> [Descriptor; 1] {
    [Descriptor::readable(0x40000 + 0x1000 * n, 64)]
}

#[test]
fn virtqueue_descriptors_are_read_beside_the_slots_where_those_were_guessed() {
    let mut driver = engine("guess_right");
    (0..3).for_each(|n| driver.offer_chain(5 * n + 1, &one(n.into())));
    driver.kick();
    driver.run_until_used(3);
    let reads: Vec<_> = driver.dma.read_log.iter().map(|(address, _)| *address).collect();
    let slots = driver.available_ring() + layout::RING_ENTRIES;
    assert_eq!(reads[..3], [slots - layout::RING_ENTRIES, slots, slots]);
    let window = driver.dma.asked_reads.iter().position(|asked| asked.request.client == client::WINDOW).unwrap();
    let asked = |nth: usize| driver.dma.asked_reads[nth].since;
    assert!(window > 2, "the first descriptor behind the slots");
    assert!(asked(window) < asked(2) + 20, "and not when those have come");
    assert_eq!(windows(&driver), [1, 6, 11], "each once");
    driver.finish();
}

/// Those in the slots from before are heads, too: their descriptors are read, and nothing comes of it.
#[test]
fn virtqueue_guess_that_was_wrong_leaves_nothing() {
    for (old, wrong) in [([0, 0], 0), ([2, 0], 1), ([2, 6], 2)] {
        let mut driver = engine(&format!("guess_wrong_{wrong}"));
        let slots = driver.available_ring() + layout::RING_ENTRIES;
        old.iter().zip([slots, slots + 2]).for_each(|(head, slot)| driver.memory.set_u16(slot, *head));
        // an indirect table that no chain names any more, and a chain too long for the queue
        driver.descriptor(0, NOWHERE, 64, DESCRIPTOR_INDIRECT, 0);
        driver.descriptor(6, NOWHERE, 64, 1, 6);
        run_until_guessed(&mut driver);
        driver.offer_chain(2, &one(1));
        driver.offer_chain(8, &one(2));
        driver.offer_chain(13, &one(3));
        driver.run_until_used(3);
        let windows = windows(&driver);
        assert!(windows.ends_with(&[2, 8, 13]) && windows.len() > 3, "{windows:?}");
        assert!(driver.dma.read_log.iter().all(|(address, _)| *address != NOWHERE), "{:x?}", driver.dma.read_log);
        assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::Nothing);
        driver.finish();
    }
}

/// What is no head is not followed, and breaks no rule: the driver may not have written it yet.
#[test]
fn virtqueue_slots_from_before_may_hold_anything() {
    let mut driver = engine("guess_garbage");
    let slots = driver.available_ring() + layout::RING_ENTRIES;
    driver.memory.set_u16(slots, 5);
    driver.memory.set_u16(slots + 2, 0xffff);
    run_until_guessed(&mut driver);
    driver.offer_chain(5, &one(1));
    driver.offer_chain(9, &one(2));
    driver.run_until_used(2);
    assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::Nothing);
    driver.finish();
}

/// One that is right breaks a rule as any other.
#[test]
fn virtqueue_head_out_of_range_is_a_violation_once_it_is_certain() {
    let mut driver = engine("guess_bad_head");
    driver.offer_chain(5, &one(1));
    driver.offer_head(SIZE);
    driver.kick();
    driver.run_until_used(1);
    for _ in 0..300 {
        driver.cycle();
    }
    let report = driver.bench.uut.control.violation.val();
    assert_eq!((report.rule, report.head.to_u64()), (Violation::HeadRange, SIZE.into()));
    driver.finish();
}

/// A read of a guess that fails is none of the driver's business.
#[test]
fn virtqueue_guess_that_cannot_be_read_is_none() {
    let mut driver = engine("guess_fails");
    driver.dma.failure = Some(Box::new(|request| request.client == client::AVAILABLE && request.slot == 3));
    for round in 0..4 {
        driver.offer_chain(round, &one(round.into()));
        driver.kick();
        driver.run_until_used(round + 1);
        driver.run_until_quiet();
    }
    assert!(driver.dma.failed.is_some());
    assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::Nothing);
    driver.finish();
}

/// At the end of the ring there are fewer.
#[test]
fn virtqueue_guess_ends_with_the_ring() {
    let mut driver = engine("guess_wraps");
    let slots = driver.available_ring() + layout::RING_ENTRIES;
    for round in 0..3 * SIZE {
        driver.offer_chain(round % SIZE, &one(round.into()));
        driver.kick();
        driver.run_until_used(round + 1);
        driver.run_until_quiet();
    }
    let end = slots + 2 * u64::from(SIZE);
    let in_ring = |(address, length): &(u64, u64)| *address >= slots && *address < end && address + length > end;
    assert!(!driver.dma.read_log.iter().any(in_ring));
    driver.finish();
}

/// The slots, read again, come before the guess: there is nothing yet to compare them with but what an earlier guess has left.
#[test]
fn virtqueue_guess_that_comes_behind_the_slots_is_none() {
    for round in 0..8 {
        let mut driver = engine(&format!("guess_late_{round}"));
        driver.offer_chain(2, &one(1));
        driver.kick();
        driver.run_until_used(1);
        driver.run_until_quiet();
        driver.dma.asked_reads.clear();
        driver.dma.hasty =
            Some(Box::new(|request| request.client == client::AVAILABLE && [1, 2].contains(&request.slot.to_u64())));
        (0..round).for_each(|_| driver.cycle());
        // head 0 in the slot when it is guessed, head 2 as in the guess before when it is certain
        run_until_guessed(&mut driver);
        driver.offer_chain(2, &one(2));
        driver.run_until_used(2);
        assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::Nothing);
        driver.finish();
    }
}
