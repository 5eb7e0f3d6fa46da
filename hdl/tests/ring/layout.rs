//! Where the parts of a ring lie, how large BAR0 is, and when an event is due.
use virtio_hdl_rtl::virtio::layout::{
    avail_event_offset, avail_offset, bar0_bytes, blk, needs_event, ring_bytes, used_event_offset, used_offset,
};

#[test]
fn ring_layout_of_256_entries() {
    assert_eq!(avail_offset(256), 4096);
    assert_eq!(used_event_offset(256), 4096 + 4 + 512);
    assert_eq!(used_offset(256), 8192);
    assert_eq!(avail_event_offset(256), 8192 + 4 + 2048);
    assert_eq!(ring_bytes(256), 12288);
}

#[test]
fn used_ring_of_a_small_queue_starts_at_the_next_page() {
    assert_eq!(used_offset(8), 4096);
    assert_eq!(ring_bytes(8), 8192);
}

#[test]
fn bar0_is_the_next_power_of_two() {
    assert_eq!(bar0_bytes(false, 8), 32);
    assert_eq!(bar0_bytes(true, blk::CONFIG_BYTES), 64);
}

#[test]
fn event_is_crossed_modulo_65536() {
    assert!(needs_event(0xffff, 0, 0xffff));
    assert!(!needs_event(1, 1, 0));
    assert!(needs_event(0, 1, 0));
    assert!(!needs_event(5, 5, 3));
    assert!(needs_event(4, 5, 3));
}
