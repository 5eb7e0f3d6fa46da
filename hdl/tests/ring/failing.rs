//! Reads of the ring itself that fail, of every kind and at any time: the queue stops, and nothing comes of what could not be read.
use crate::driver::{Driver, Features};
use virtio_hdl_rtl::dma::types::ReadRequest;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::ring::client;
use virtio_hdl_rtl::virtio::types::Violation;

/// What a read of the ring is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Index,
    Guess,
    Slots,
    FirstWindow,
    FurtherWindow,
    Table,
    Wish,
}

const KINDS: [Kind; 6] = [Kind::Index, Kind::Slots, Kind::FirstWindow, Kind::FurtherWindow, Kind::Table, Kind::Wish];

/// `ring` is the queue's descriptor table.
fn kind(request: &ReadRequest, ring: &std::ops::Range<u64>) -> Kind {
    match request.client.to_u64() {
        client::AVAILABLE if request.slot == 0 => Kind::Index,
        client::AVAILABLE if request.slot == 3 => Kind::Guess,
        client::AVAILABLE => Kind::Slots,
        client::WINDOW if !ring.contains(&request.address.to_u64()) => Kind::Table,
        client::WINDOW if request.slot.get_bit(5) => Kind::FurtherWindow,
        client::WINDOW => Kind::FirstWindow,
        _ => Kind::Wish,
    }
}

/// The `nth` read of this kind fails under load.
fn fails(driver: &mut Driver, queue_size: u16, failing: Kind, nth: u64) {
    let what = format!("read {nth} of kind {failing:?}");
    let table = driver.base..driver.base + 16 * u64::from(queue_size);
    let (mut left, in_table) = (nth, table.clone());
    driver.dma.failure = Some(Box::new(move |request| {
        if kind(request, &in_table) == failing {
            left = left.wrapping_sub(1);
        }
        left == u64::MAX && {
            left = u64::MAX - 1;
            true
        }
    }));
    driver.run_until_failure(&mut Rng(nth + 77), 20_000);
    driver.run_until_quiet();
    let (failed_at, request) = driver.dma.failed.unwrap_or_else(|| panic!("{what}: there was none"));
    assert_eq!(kind(&request, &table), failing);
    let stopped_at = driver.stopped_at.unwrap_or_else(|| panic!("{what}: the queue goes on"));
    let report = driver.bench.uut.control.violation.val();
    assert_eq!(report.rule, Violation::RingRead, "{what}");
    let of_chain = matches!(failing, Kind::FirstWindow | Kind::FurtherWindow | Kind::Table);
    // those before it are walked in their order
    let head = if of_chain { driver.offered[driver.chains].head } else { 0 };
    assert_eq!(report.head.to_u64(), u64::from(head), "{what}");
    if !of_chain {
        assert!(stopped_at <= failed_at + 4, "{what}: failed in cycle {failed_at}, stopped in {stopped_at}");
    }

    // what had been taken may come to its end, but nothing else is asked for
    for asked in &driver.dma.asked_reads {
        let found = kind(&asked.request, &table);
        let stops = match found {
            Kind::Index | Kind::Guess | Kind::Slots => true,
            Kind::Wish => failing == Kind::Wish,
            _ => of_chain,
        };
        assert!(
            !stops || asked.since <= stopped_at,
            "{what}: {found:?} is read in {}, stopped in {stopped_at}",
            asked.since
        );
    }
    assert!(driver.chains <= driver.dma.slots_read, "{what}: heads that could not be read are handed on");
    assert!(usize::from(driver.used_count()) <= driver.chains, "{what}: more chains used than handed on");
    let used = driver.used_ring();
    let switches = [used + layout::RING_FLAGS, driver.base + layout::avail_event_offset(queue_size)];
    for asked in &driver.dma.asked_writes {
        // one that the writer of the used ring had taken by then leaves it a few cycles later
        let switch = switches.contains(&asked.request.address.to_u64());
        let late = asked.since > stopped_at + 40;
        assert!(!(switch && late), "{what}: notifications are switched in {}", asked.since);
    }
    driver.expect_only_named_reads();

    driver.recovers_by_reset();
    driver.reset();
}

#[test]
fn ring_reads_of_every_kind_fail_and_nothing_comes_of_them() {
    for (event_idx, queue_size) in [(false, 16), (true, 32)] {
        let features = Features { event_idx, indirect: true, notify_on_empty: false };
        let mut driver = Driver::new(&format!("ring_failing_{queue_size}"), queue_size, features);
        for failing in KINDS {
            for nth in [0, 1, 2, 5, 9] {
                fails(&mut driver, queue_size, failing, nth);
            }
        }
        driver.finish();
    }
}
