//! The ring engine against a Rust driver: chains of every shape, interrupts, notifications, bad rings.
mod buffer_store;
mod driver;
mod failing;
mod guess;
mod hold;
mod layout;
mod memory;
mod pause;
mod runs;
mod used;
mod window;
mod wish;

use driver::{Descriptor, Driver, Features};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::types::Violation;

/// Runs random chains through a ring.
fn random_chains(name: &str, queue_size: u16, features: Features, chains: usize) -> Driver {
    let mut driver = Driver::new(name, queue_size, features);
    driver.run_random(chains);
    driver
}

const PLAIN: Features = Features { event_idx: false, indirect: false, notify_on_empty: false };

#[test]
fn virtqueue_chains_across_the_table_in_any_order() {
    random_chains("ring_plain", 16, PLAIN, 150).finish();
}

#[test]
fn virtqueue_indirect_tables_of_any_length() {
    random_chains("ring_indirect", 32, Features { indirect: true, ..PLAIN }, 150).finish();
}

#[test]
fn virtqueue_chains_as_long_as_the_queue_are_walked_before_a_buffer_is_taken() {
    for chains in [1, 2, 16] {
        let mut driver = Driver::new(&format!("ring_long_{chains}"), 256, Features { indirect: true, ..PLAIN });
        driver.chains_first = chains;
        if chains == 16 {
            // all descriptors of the table: 16 for each chain
            for chain in 0..16 {
                let buffer = |i: u64| Descriptor::writable(0x40000 + 64 * i, 1 + i as u32);
                let buffers: Vec<_> = (0..16).map(buffer).collect();
                driver.offer_chain(16 * chain + 15, &buffers);
            }
        } else {
            for chain in 0..chains as u16 {
                let buffer =
                    |i: u64| Descriptor { address: 0x40000 + 64 * i, length: 1 + i as u32, writable: chain == 1 };
                let buffers: Vec<_> = (0..256).map(buffer).collect();
                driver.offer_table(chain, &buffers, 0x50000 + 0x1000 * u64::from(chain));
            }
        }
        driver.kick();
        driver.run_until_used(chains as u16);
        driver.run_until_taken(chains);
        driver.settle();
        driver.finish();
    }
}

#[test]
fn virtqueue_indirect_tables_longer_than_the_queue() {
    // what Linux's network driver does with 17 fragments, the longest table, and one behind a descriptor of the queue's
    let mut driver = Driver::new("ring_indirect_longer", 2, Features { indirect: true, ..PLAIN });
    let buffers = |count: u64| -> Vec<_> {
        (0..count)
            .map(|i| Descriptor { address: 0x40000 + 64 * i, length: 1 + i as u32, writable: i >= count / 2 })
            .collect()
    };
    driver.offer_table(1, &buffers(19), 0x50000);
    driver.offer_table(0, &buffers(256), 0x60000);
    driver.kick();
    driver.run_until_used(2);
    let order: Vec<u16> = (0..255).collect();
    driver.offer_indirect(&[1, 0], &buffers(256), 0x70000, &order);
    driver.kick();
    driver.run_until_used(3);
    driver.run_until_taken(3);
    driver.settle();
    driver.finish();
}

#[test]
fn virtqueue_more_indirect_tables_are_known_than_there_are_windows() {
    // the 17th is known before the first has come: each has its own length and address all the same
    let mut rng = Rng(0x7ab1e5);
    let mut driver = Driver::new("ring_indirect_many", 64, Features { indirect: true, ..PLAIN });
    driver.dma.latency = 400;
    for round in 1..=3 {
        for head in 0..48 {
            let most = if rng.chance(1, 4) { 20 } else { 8 };
            let count = 1 + rng.below(most);
            let readable = rng.below(count + 1);
            let buffer = |i| Descriptor { address: 0x40000 + 64 * i, length: 1 + i as u32, writable: i >= readable };
            let buffers: Vec<_> = (0..count).map(buffer).collect();
            driver.offer_table(head, &buffers, 0x50000 + 0x1000 * u64::from(head));
        }
        driver.kick();
        driver.run_until_used(48 * round);
        driver.run_until_taken(driver.offered.len());
    }
    driver.settle();
    driver.expect_only_named_reads();
    driver.finish();
}

#[test]
fn virtqueue_event_idx_suppresses_and_never_loses() {
    random_chains("ring_event_idx", 16, Features { event_idx: true, indirect: true, ..PLAIN }, 150).finish();
}

#[test]
fn virtqueue_notify_on_empty_overrides_no_interrupt() {
    let mut driver = Driver::new("ring_notify_on_empty", 8, Features { notify_on_empty: true, ..PLAIN });
    driver.no_interrupt(true);
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    driver.run_until_used(1);
    driver.settle();
    assert_eq!(driver.interrupts, 1, "the queue ran empty");
    driver.finish();
}

#[test]
fn virtqueue_no_interrupt_suppresses() {
    let mut driver = Driver::new("ring_no_interrupt", 8, PLAIN);
    driver.no_interrupt(true);
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    driver.run_until_used(1);
    driver.settle();
    assert_eq!(driver.interrupts, 0);
    driver.no_interrupt(false);
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    driver.run_until_used(2);
    driver.settle();
    assert_eq!(driver.interrupts, 1);
    driver.finish();
}

#[test]
fn virtqueue_no_notify_is_set_while_polling_and_cleared_before_sleep() {
    let mut driver = Driver::new("ring_no_notify", 8, PLAIN);
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    let mut muted = false;
    for _ in 0..2000 {
        driver.cycle();
        muted |= driver.used_flags() == 1;
        if driver.asleep() {
            break;
        }
    }
    assert!(muted, "NO_NOTIFY while it polls");
    assert_eq!(driver.used_flags(), 0, "notifications on when it sleeps");
    driver.finish();
}

#[test]
fn virtqueue_kick_of_a_queue_that_is_not_set_up_is_ignored() {
    let mut driver = Driver::new("ring_not_set_up", 8, PLAIN);
    driver.bench.uut.control.enable.next = false;
    driver.offer_chain(0, &[Descriptor::writable(0x40000, 16)]);
    driver.kick();
    for _ in 0..200 {
        driver.cycle();
    }
    assert!(driver.dma.read_log.is_empty(), "no DMA");
    driver.finish();
}

/// Offers a good chain, then what `spoil` makes, and expects `rule` for `head`, the good chain used and nothing else.
fn bad_ring(name: &str, features: Features, rule: Violation, head: u16, spoil: impl FnOnce(&mut Driver)) {
    let mut driver = Driver::new(name, 8, features);
    driver.offer_chain(7, &[Descriptor::readable(0x30000, 16), Descriptor::writable(0x40000, 16)]);
    spoil(&mut driver);
    driver.kick();
    driver.run_until_used(1);
    for _ in 0..2500 {
        driver.cycle();
    }
    let report = driver.bench.uut.control.violation.val();
    assert_eq!((report.rule, report.head.to_u64()), (rule, u64::from(head)), "{name}");
    assert_eq!(driver.used_count(), 1, "{name}: only the good chain is used");
    driver.expect_only_named_reads();
    driver.recovers_by_reset();
    driver.finish();
}

#[test]
fn bad_ring_head_out_of_range() {
    bad_ring("bad_head", PLAIN, Violation::HeadRange, 8, |driver| driver.offer_head(8));
}

#[test]
fn bad_ring_loop() {
    bad_ring("bad_loop", PLAIN, Violation::ChainTooLong, 0, |driver| {
        driver.descriptor(0, 0x30000, 4, 1, 1);
        driver.descriptor(1, 0x30000, 4, 1, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_loop_in_an_indirect_table() {
    let features = Features { indirect: true, ..PLAIN };
    bad_ring("bad_long", features, Violation::ChainTooLong, 0, |driver| {
        for i in 0..8 {
            driver.table_descriptor(0x50000, i, 0x30000, 4, 1, (i + 1) % 8);
        }
        driver.descriptor(0, 0x50000, 8 * 16, 4, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_next_out_of_range() {
    bad_ring("bad_next", PLAIN, Violation::NextRange, 0, |driver| {
        driver.descriptor(0, 0x30000, 4, 1, 8);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_next_outside_an_indirect_table() {
    bad_ring("bad_next_indirect", Features { indirect: true, ..PLAIN }, Violation::NextRange, 0, |driver| {
        driver.table_descriptor(0x50000, 0, 0x30000, 4, 1, 1);
        driver.descriptor(0, 0x50000, 16, 4, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_indirect_inside_indirect() {
    bad_ring("bad_nested", Features { indirect: true, ..PLAIN }, Violation::IndirectNested, 0, |driver| {
        driver.table_descriptor(0x50000, 0, 0x51000, 16, 4, 0);
        driver.descriptor(0, 0x50000, 16, 4, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_indirect_without_the_feature() {
    bad_ring("bad_not_negotiated", PLAIN, Violation::IndirectNotNegotiated, 0, |driver| {
        driver.descriptor(0, 0x50000, 16, 4, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_indirect_with_next() {
    bad_ring("bad_indirect_next", Features { indirect: true, ..PLAIN }, Violation::IndirectWithNext, 0, |driver| {
        driver.descriptor(0, 0x50000, 16, 5, 1);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_indirect_length_not_a_multiple_of_16() {
    for (i, length) in [0, 8, 24, 257 * 16, 0xffff_fff0].into_iter().enumerate() {
        let name = format!("bad_indirect_length_{i}");
        bad_ring(&name, Features { indirect: true, ..PLAIN }, Violation::IndirectLength, 0, |driver| {
            driver.descriptor(0, 0x50000, length, 4, 0);
            driver.offer_head(0);
        });
    }
}

#[test]
fn bad_ring_zero_length_descriptor() {
    bad_ring("bad_zero", PLAIN, Violation::ZeroLength, 0, |driver| {
        driver.descriptor(0, 0x30000, 0, 0, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_writable_before_readable() {
    bad_ring("bad_order", PLAIN, Violation::WritableFirst, 0, |driver| {
        driver.descriptor(0, 0x40000, 4, 3, 1);
        driver.descriptor(1, 0x30000, 4, 0, 0);
        driver.offer_head(0);
    });
}

#[test]
fn bad_ring_total_length_over_32_bits() {
    bad_ring("bad_total", PLAIN, Violation::TotalLength, 0, |driver| {
        driver.descriptor(0, 0x40000, 0xffff_ffff, 3, 1);
        driver.descriptor(1, 0x40000, 1, 2, 0);
        driver.offer_head(0);
    });
}

/// Of a buffer or table of `length` bytes that ends this far behind the last address.
fn far_up(length: u32, behind: u64) -> u64 {
    0u64.wrapping_sub(u64::from(length)).wrapping_add(behind)
}

#[test]
fn bad_ring_buffer_behind_the_last_address() {
    for (i, (length, behind, flags)) in
        [(16, 1, 0), (16, 15, 2), (0xffff_ffff, 1, 2), (0x8000_0000, 0x7fff_ffff, 0)].into_iter().enumerate()
    {
        let name = format!("bad_address_{i}");
        bad_ring(&name, Features { indirect: true, ..PLAIN }, Violation::AddressRange, 0, |driver| {
            driver.descriptor(0, far_up(length, behind), length, flags, 0);
            driver.offer_head(0);
        });
        let name = format!("bad_address_in_table_{i}");
        bad_ring(&name, Features { indirect: true, ..PLAIN }, Violation::AddressRange, 0, |driver| {
            driver.table_descriptor(0x50000, 0, 0x30000, 4, flags | 1, 1);
            driver.table_descriptor(0x50000, 1, far_up(length, behind), length, flags, 0);
            driver.descriptor(0, 0x50000, 32, 4, 0);
            driver.offer_head(0);
        });
    }
}

#[test]
fn bad_ring_indirect_table_behind_the_last_address() {
    for (i, (count, behind)) in [(1, 1), (2, 16), (256, 256 * 16 - 1), (256, 1)].into_iter().enumerate() {
        for first in [true, false] {
            let name = format!("bad_table_address_{i}_{first}");
            bad_ring(&name, Features { indirect: true, ..PLAIN }, Violation::AddressRange, 0, |driver| {
                let table = far_up(16 * count, behind);
                if first {
                    driver.descriptor(0, table, 16 * count, 4, 0);
                } else {
                    driver.descriptor(0, 0x30000, 4, 1, 1);
                    driver.descriptor(1, table, 16 * count, 4, 0);
                }
                driver.offer_head(0);
            });
        }
    }
}

#[test]
fn virtqueue_buffers_and_tables_up_to_the_last_address() {
    let mut driver = Driver::new("ring_last_address", 8, Features { indirect: true, ..PLAIN });
    let buffers = [Descriptor::readable(far_up(64, 0), 64), Descriptor::writable(far_up(0xffff_ffff, 0), 0xffff_ffff)];
    driver.offer_chain(7, &buffers);
    driver.offer_table(3, &buffers, 0x50000);
    // there is no memory, but the table is read
    driver.descriptor(0, far_up(32, 0), 32, 4, 0);
    driver.offer_head(0);
    driver.kick();
    driver.run_until_used(2);
    for _ in 0..1500 {
        driver.cycle();
    }
    let report = driver.bench.uut.control.violation.val();
    assert_eq!((report.rule, report.head.to_u64()), (Violation::RingRead, 0));
    assert!(driver.dma.read_log.contains(&(far_up(32, 0), 32)));
    driver.finish();
}

#[test]
fn bad_ring_available_index_jumps_by_more_than_the_queue_size() {
    let mut driver = Driver::new("bad_index", 8, PLAIN);
    driver.set_available_index(9);
    driver.kick();
    for _ in 0..500 {
        driver.cycle();
    }
    assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::AvailableIndex);
    let ring = driver.available_ring();
    assert_eq!(driver.dma.read_log, [(ring, 4), (ring + 4, 8)], "the index was read, and slots beside it");
    driver.finish();
}

#[test]
fn bad_ring_descriptor_read_fails() {
    let mut driver = Driver::new("bad_read", 8, PLAIN);
    driver.offer_chain(2, &[Descriptor::writable(0x40000, 16)]);
    driver.dma.poisoned = Some(driver.base + 2 * 16);
    driver.kick();
    for _ in 0..1000 {
        driver.cycle();
    }
    let report = driver.bench.uut.control.violation.val();
    assert_eq!((report.rule, report.head.to_u64()), (Violation::RingRead, 2));
    assert_eq!(driver.used_count(), 0);
    driver.finish();
}
