//! The driver's wish for interrupts, read ahead of the used index.
use crate::driver::{Descriptor, Driver, Features};
use crate::PLAIN;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::ring::client;

const EVENT_IDX: Features = Features { event_idx: true, ..PLAIN };
const QUEUE_SIZE: u16 = 8;

fn set_used_event(driver: &mut Driver, index: u16) {
    let at = driver.base + layout::used_event_offset(QUEUE_SIZE);
    driver.memory.set_u16(at, index);
}

/// Reads of the wish since the last call.
fn reads(driver: &mut Driver) -> usize {
    let asked = std::mem::take(&mut driver.dma.asked_reads);
    asked.iter().filter(|asked| asked.request.client == client::DECISION).count()
}

/// Offers a chain and waits until it is used.
fn use_one(driver: &mut Driver) {
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    driver.run_until_used(driver.offered.len() as u16);
}

fn rest(driver: &mut Driver, cycles: usize) {
    (0..cycles).for_each(|_| driver.cycle());
}

#[test]
fn virtqueue_event_idx_wish_that_was_read_ahead_raises_at_once() {
    let mut driver = Driver::new("ring_wish_ahead", QUEUE_SIZE, EVENT_IDX);
    // reads as short as can be: the interrupt comes sooner than one of them
    driver.dma.latency = 1;
    for used in 0..6 {
        set_used_event(&mut driver, used);
        rest(&mut driver, if used == 0 { 0 } else { 400 });
        if used > 0 {
            assert!(reads(&mut driver) > 0, "it is read ahead");
        }
        use_one(&mut driver);
        rest(&mut driver, if used == 0 { 200 } else { 5 });
        assert_eq!(driver.interrupts, usize::from(used) + 1);
        if used > 0 {
            assert_eq!(reads(&mut driver), 0, "nothing is to be read");
        }
    }
    driver.settle();
    driver.finish();
}

#[test]
fn virtqueue_event_idx_wish_that_was_read_ahead_is_not_believed_when_it_says_no() {
    let mut driver = Driver::new("ring_wish_no", QUEUE_SIZE, EVENT_IDX);
    use_one(&mut driver);
    rest(&mut driver, 17_000);
    // as Linux switches them off: an index that has passed
    let looks = reads(&mut driver);
    assert!((5..=12).contains(&looks), "{looks} reads");
    rest(&mut driver, 20_000);
    assert_eq!(reads(&mut driver), 0, "it has given up");
    let before = driver.interrupts;
    use_one(&mut driver);
    rest(&mut driver, 20);
    set_used_event(&mut driver, 2);
    rest(&mut driver, 20_000);
    assert_eq!(driver.interrupts, before, "not wanted");
    let used = driver.used_count();
    set_used_event(&mut driver, used);
    use_one(&mut driver);
    rest(&mut driver, 200);
    assert_eq!(driver.interrupts, before + 1, "wanted since the last look");
    driver.settle();
    driver.finish();
}

#[test]
fn virtqueue_event_idx_wish_is_not_read_before_the_first_kick() {
    let mut driver = Driver::new("ring_wish_kick", QUEUE_SIZE, EVENT_IDX);
    rest(&mut driver, 2_000);
    assert_eq!(driver.dma.asked_reads.len(), 0);
    driver.finish();
}
