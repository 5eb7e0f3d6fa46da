//! First windows: as long as the last chains were.
use crate::driver::{Descriptor, Driver, Features};
use crate::PLAIN;
use virtio_hdl_rtl::dma::types::ReadRequest;
use virtio_hdl_rtl::virtio::ring::client;

/// Bytes of the first windows that the driver's memory was asked for since the last call.
fn first_windows(driver: &mut Driver) -> Vec<u64> {
    let is_first = |read: &ReadRequest| read.client == client::WINDOW && !read.slot.get_bit(5);
    let asked = std::mem::take(&mut driver.dma.asked_reads);
    asked.iter().map(|asked| asked.request).filter(is_first).map(|read| read.length.to_u64()).collect()
}

/// Offers `chains` chains of `length` descriptors one behind the other, a few at a time, until they are used.
fn run(driver: &mut Driver, chains: u16, length: u16) -> Vec<u64> {
    for chain in 0..chains {
        let first = chain % 8 * 8;
        let indexes: Vec<u16> = (first..first + length).collect();
        let buffers: Vec<_> = indexes.iter().map(|i| Descriptor::writable(0x40000 + 64 * u64::from(*i), 16)).collect();
        driver.offer_direct(&indexes, &buffers);
        driver.kick();
        if chain % 8 == 7 || chain + 1 == chains {
            driver.run_until_used(driver.offered.len() as u16);
            driver.run_until_taken(driver.offered.len());
        }
    }
    first_windows(driver)
}

#[test]
fn virtqueue_first_window_grows_at_once_and_shrinks_after_64_chains() {
    let mut driver = Driver::new("ring_windows", 64, Features { indirect: true, ..PLAIN });
    assert_eq!(run(&mut driver, 8, 1), [64; 8], "nothing is known yet");
    for (length, bytes) in [(3, 48), (5, 64), (2, 32), (1, 16)] {
        run(&mut driver, 8, length);
        let windows = run(&mut driver, 136, length);
        assert!(windows.iter().all(|window| (bytes..=64).contains(window)), "{length} descriptors: {windows:?}");
        assert!(windows.iter().rev().take(8).all(|window| *window == bytes), "{length} descriptors: {windows:?}");
    }
    // one long chain among short ones: those after it pay for it, and only for a while
    run(&mut driver, 1, 4);
    let windows = run(&mut driver, 136, 1);
    assert_eq!((windows[0], windows[135]), (64, 16));
    driver.settle();
    driver.finish();
}

#[test]
fn virtqueue_first_window_ends_with_the_table() {
    let mut driver = Driver::new("ring_windows_end", 16, PLAIN);
    let buffer = Descriptor::writable(0x40000, 16);
    for (i, head) in [12, 13, 14, 15].into_iter().enumerate() {
        driver.offer_direct(&[head], &[buffer]);
        driver.kick();
        driver.run_until_used(1 + i as u16);
    }
    assert_eq!(first_windows(&mut driver), [64, 48, 32, 16]);
    driver.settle();
    driver.finish();
}

#[test]
fn virtqueue_first_window_of_indirect_chains_is_one_descriptor() {
    let mut driver = Driver::new("ring_windows_indirect", 16, Features { indirect: true, ..PLAIN });
    let buffers: Vec<_> = (0..3).map(|i| Descriptor::writable(0x40000 + 64 * i, 16)).collect();
    for chain in 0..136 {
        driver.offer_table(chain % 16, &buffers, 0x50000 + 0x100 * u64::from(chain % 16));
        driver.kick();
        driver.run_until_used(chain + 1);
    }
    assert!(first_windows(&mut driver)[80..].iter().all(|window| *window == 16));
    driver.settle();
    driver.finish();
}

/// Offers a chain of `length` descriptors at each of these heads before the only kick, and says what first windows were read.
fn at_once(driver: &mut Driver, heads: &[u16], length: u16) -> Vec<u64> {
    for head in heads {
        let indexes: Vec<u16> = (*head..head + length).collect();
        let buffers: Vec<_> = indexes.iter().map(|i| Descriptor::writable(0x40000 + 64 * u64::from(*i), 16)).collect();
        driver.offer_direct(&indexes, &buffers);
    }
    driver.kick();
    driver.run_until_used(driver.offered.len() as u16);
    driver.run_until_taken(driver.offered.len());
    first_windows(driver)
}

#[test]
fn virtqueue_heads_one_behind_the_other_are_read_at_once_up_and_down() {
    let mut driver = Driver::new("ring_windows_runs", 64, PLAIN);
    for length in [1, 2, 3] {
        // the length of first windows is known behind these, and the slots of a round are read at once: their place is a multiple of 16
        run(&mut driver, 144, length);
        let chains = 48 / length / 4 * 4;
        let bytes = 16 * u64::from(length);
        let most = 256 / bytes * bytes;
        let up: Vec<u16> = (0..chains).map(|chain| chain * length).collect();
        let down: Vec<u16> = up.iter().rev().copied().collect();
        for heads in [&up, &down, &up] {
            let windows = at_once(&mut driver, heads, length);
            assert_eq!(windows.iter().sum::<u64>(), u64::from(chains) * bytes, "every descriptor once: {windows:?}");
            assert!(windows.contains(&most), "{length} descriptors: {windows:?}");
            let least = (u64::from(chains) * bytes).div_ceil(most) as usize;
            // a run ends where no head waits, as between two reads of slots
            assert!(windows.len() <= 2 * least, "{length} descriptors: {windows:?}");
        }
        // there and back again: a run does not turn round
        let zigzag: Vec<u16> = (0..16).map(|chain| (if chain % 4 < 2 { chain } else { chain ^ 1 }) * length).collect();
        let windows = at_once(&mut driver, &zigzag, length);
        assert_eq!(windows.iter().sum::<u64>(), 16 * bytes, "{windows:?}");
    }
    driver.settle();
    driver.finish();
}
