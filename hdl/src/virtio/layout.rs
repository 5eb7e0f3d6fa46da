//! Numbers of the virtio legacy PCI interface: register offsets, status and feature bits, ring layout, requests.
//! The RTL, the host model, the register map and the tests take them from here.
//!
//! Source: virtio 1.x specification, sections 2.7 (split virtqueues), 4.1.4.10 (legacy PCI registers) and 5
//! (device types) with their legacy subsections.

/// PCI vendor id of every virtio device.
pub const VENDOR_ID: u16 = 0x1af4;
/// PCI revision id: the virtio ABI version. A legacy driver refuses any other.
pub const ABI_VERSION: u8 = 0;
/// First PCI device id of the legacy range.
pub const DEVICE_ID_FIRST: u16 = 0x1000;
/// Last PCI device id of the legacy range.
pub const DEVICE_ID_LAST: u16 = 0x103f;
/// PCI device id of a network card.
pub const DEVICE_ID_NET: u16 = 0x1000;
/// PCI device id of a block device.
pub const DEVICE_ID_BLK: u16 = 0x1001;
/// PCI device id of a balloon.
pub const DEVICE_ID_BALLOON: u16 = 0x1002;
/// PCI device id of a console.
pub const DEVICE_ID_CONSOLE: u16 = 0x1003;

/// Virtio device id (PCI subsystem id) of a network card.
pub const VIRTIO_ID_NET: u16 = 1;
/// Virtio device id (PCI subsystem id) of a block device.
pub const VIRTIO_ID_BLK: u16 = 2;
/// Virtio device id (PCI subsystem id) of a console.
pub const VIRTIO_ID_CONSOLE: u16 = 3;
/// Virtio device id (PCI subsystem id) of a balloon.
pub const VIRTIO_ID_BALLOON: u16 = 5;

/// Device features, 32 bits, read only.
pub const HOST_FEATURES: u32 = 0x00;
/// Features the driver accepted, 32 bits, read and write.
pub const GUEST_FEATURES: u32 = 0x04;
/// Page frame of the selected queue, 32 bits, read and write; 0 is an inactive queue.
pub const QUEUE_PFN: u32 = 0x08;
/// Entries of the selected queue, 16 bits, read only; 0 where there is no such queue.
pub const QUEUE_NUM: u32 = 0x0c;
/// Queue selector, 16 bits, read and write.
pub const QUEUE_SEL: u32 = 0x0e;
/// Queue to look at, 16 bits, write only.
pub const QUEUE_NOTIFY: u32 = 0x10;
/// Device status, 8 bits, read and write; writing 0 resets the device.
pub const STATUS: u32 = 0x12;
/// Interrupt status, 8 bits, read only; reading clears it.
pub const ISR: u32 = 0x13;
/// Vector of the configuration interrupt, 16 bits, there only while MSI-X is enabled.
pub const CONFIG_VECTOR: u32 = 0x14;
/// Vector of the selected queue, 16 bits, there only while MSI-X is enabled.
pub const QUEUE_VECTOR: u32 = 0x16;
/// Device configuration while MSI-X is disabled.
pub const DEVICE_CONFIG: u32 = 0x14;
/// Device configuration while MSI-X is enabled.
pub const DEVICE_CONFIG_MSIX: u32 = 0x18;

/// Offset of the device configuration for the state of the MSI-X enable bit.
pub const fn device_config_offset(msix_enabled: bool) -> u32 {
    if msix_enabled {
        DEVICE_CONFIG_MSIX
    } else {
        DEVICE_CONFIG
    }
}

/// Bytes of BAR0: the next power of two of the register file with `config_length` bytes of device configuration.
pub const fn bar0_bytes(has_msix: bool, config_length: u32) -> u32 {
    (device_config_offset(has_msix) + config_length).next_power_of_two()
}

/// Status: the guest has noticed the device.
pub const STATUS_ACKNOWLEDGE: u8 = 1;
/// Status: the guest has a driver for it.
pub const STATUS_DRIVER: u8 = 2;
/// Status: the driver is set up and may use the device.
pub const STATUS_DRIVER_OK: u8 = 4;
/// Status: the negotiation of features has ended, for a driver that knows of it.
pub const STATUS_FEATURES_OK: u8 = 8;
/// Status: the driver has given up.
pub const STATUS_FAILED: u8 = 0x80;

/// ISR: a used ring changed.
pub const ISR_QUEUE: u8 = 1;
/// ISR: the device configuration changed; such an interrupt has [`ISR_QUEUE`] set as well.
pub const ISR_CONFIG: u8 = 2;

/// Reads back from a vector register that refused its vector, and detaches one when written.
pub const NO_VECTOR: u16 = 0xffff;

/// Feature bit: interrupt when a queue ran empty, even while the driver suppresses interrupts.
pub const FEATURE_NOTIFY_ON_EMPTY: u32 = 24;
/// Feature bit: requests may be cut into descriptors anywhere.
pub const FEATURE_ANY_LAYOUT: u32 = 27;
/// Feature bit: indirect descriptor tables.
pub const FEATURE_RING_INDIRECT_DESC: u32 = 28;
/// Feature bit: `used_event` and `avail_event` in place of the flags.
pub const FEATURE_RING_EVENT_IDX: u32 = 29;
/// Feature bit: a driver that accepts it did not negotiate at all.
pub const FEATURE_BAD_FEATURE: u32 = 30;

/// log2 of the page that [`QUEUE_PFN`] counts in.
pub const QUEUE_PFN_SHIFT: u32 = 12;
/// Alignment of the used ring, bytes.
pub const RING_ALIGN: u64 = 4096;
/// Bytes of a descriptor: address u64, length u32, flags u16, next u16.
pub const DESCRIPTOR_BYTES: u64 = 16;
/// Descriptor flag: the chain goes on at `next`.
pub const DESCRIPTOR_NEXT: u16 = 1;
/// Descriptor flag: the device writes the buffer.
pub const DESCRIPTOR_WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors.
pub const DESCRIPTOR_INDIRECT: u16 = 4;
/// `avail.flags`: the driver wants no interrupts.
pub const AVAIL_NO_INTERRUPT: u16 = 1;
/// `used.flags`: the device wants no notifications.
pub const USED_NO_NOTIFY: u16 = 1;
/// Offset of the flags (u16) in the available and in the used ring.
pub const RING_FLAGS: u64 = 0;
/// Offset of the index (u16) in the available and in the used ring.
pub const RING_INDEX: u64 = 2;
/// Offset of the first entry in the available (u16 each) and in the used ring (8 bytes each).
pub const RING_ENTRIES: u64 = 4;
/// Bytes of a used ring entry: head u32, bytes written u32.
pub const USED_ENTRY_BYTES: u64 = 8;

/// Offset of the available ring from the start of the queue: behind the descriptor table.
pub const fn avail_offset(queue_size: u16) -> u64 {
    DESCRIPTOR_BYTES * queue_size as u64
}

/// Offset of `used_event` (u16), the last word of the available ring, from the start of the queue.
pub const fn used_event_offset(queue_size: u16) -> u64 {
    avail_offset(queue_size) + RING_ENTRIES + 2 * queue_size as u64
}

/// Offset of the used ring from the start of the queue: the next 4096 boundary.
pub const fn used_offset(queue_size: u16) -> u64 {
    (used_event_offset(queue_size) + 2).next_multiple_of(RING_ALIGN)
}

/// Offset of `avail_event` (u16), the last word of the used ring, from the start of the queue.
pub const fn avail_event_offset(queue_size: u16) -> u64 {
    used_offset(queue_size) + RING_ENTRIES + USED_ENTRY_BYTES * queue_size as u64
}

/// Bytes of a whole queue, a multiple of 4096.
pub const fn ring_bytes(queue_size: u16) -> u64 {
    (avail_event_offset(queue_size) + 2).next_multiple_of(RING_ALIGN)
}

/// Whether going from index `old` to `new` crosses `event`: the decision of EVENT_IDX, modulo 2^16.
pub const fn needs_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// The block device: configuration space, features, requests.
pub mod blk {
    /// Feature bit: `seg_max` is valid.
    pub const FEATURE_SEG_MAX: u32 = 2;
    /// Feature bit: `geometry` is valid.
    pub const FEATURE_GEOMETRY: u32 = 4;
    /// Feature bit: the disk is read only.
    pub const FEATURE_RO: u32 = 5;
    /// Feature bit: `blk_size` is valid.
    pub const FEATURE_BLK_SIZE: u32 = 6;
    /// Feature bit: there is a cache to flush.
    pub const FEATURE_FLUSH: u32 = 9;
    /// Feature bit: there are several queues, and `num_queues` says how many.
    pub const FEATURE_MQ: u32 = 12;

    /// Configuration: capacity in sectors, u64.
    pub const CONFIG_CAPACITY: u32 = 0;
    /// Configuration: largest segment in bytes, u32.
    pub const CONFIG_SIZE_MAX: u32 = 8;
    /// Configuration: most segments of a request, u32.
    pub const CONFIG_SEG_MAX: u32 = 12;
    /// Configuration: cylinders, u16.
    pub const CONFIG_CYLINDERS: u32 = 16;
    /// Configuration: heads, u8.
    pub const CONFIG_HEADS: u32 = 18;
    /// Configuration: sectors per track, u8.
    pub const CONFIG_SECTORS: u32 = 19;
    /// Configuration: block size in bytes, u32.
    pub const CONFIG_BLK_SIZE: u32 = 20;
    /// Bytes of the configuration up to and with `blk_size`.
    pub const CONFIG_BYTES: u32 = 24;
    /// Configuration: number of queues, u16.
    pub const CONFIG_NUM_QUEUES: u32 = 34;

    /// Bytes of a sector, whatever the block size.
    pub const SECTOR_BYTES: u64 = 512;
    /// Bytes of a request header: type u32, ioprio u32, sector u64.
    pub const HEADER_BYTES: u32 = 16;
    /// Request type: read.
    pub const TYPE_IN: u32 = 0;
    /// Request type: write.
    pub const TYPE_OUT: u32 = 1;
    /// Old drivers' wish for an order, besides a type.
    pub const TYPE_BARRIER: u32 = 1 << 31;
    /// Request type: flush.
    pub const TYPE_FLUSH: u32 = 4;
    /// Request type: read the disk's name.
    pub const TYPE_GET_ID: u32 = 8;
    /// Bytes of the disk's name.
    pub const ID_BYTES: u32 = 20;
    /// Request status: done.
    pub const STATUS_OK: u8 = 0;
    /// Request status: failed.
    pub const STATUS_IOERR: u8 = 1;
    /// Request status: unknown type.
    pub const STATUS_UNSUPP: u8 = 2;
}

/// The balloon: features, device config, statistics.
pub mod balloon {
    /// Device feature: a page is used again only when the host knows.
    pub const FEATURE_MUST_TELL_HOST: u32 = 0;
    /// Device feature: a queue of statistics.
    pub const FEATURE_STATS_VQ: u32 = 1;
    /// Device feature: the balloon gets smaller when the guest has no memory left.
    pub const FEATURE_DEFLATE_ON_OOM: u32 = 2;
    /// Device config: pages that are wanted in the balloon, u32.
    pub const CONFIG_NUM_PAGES: u32 = 0;
    /// Device config: pages that are in it, u32, written by the driver.
    pub const CONFIG_ACTUAL: u32 = 4;

    /// Bytes of a page as the balloon counts them, whatever the guest's own pages.
    pub const PAGE_BYTES: u64 = 4096;
    /// Bytes of a page's number.
    pub const FRAME_BYTES: u32 = 4;
    /// Bytes of a statistic: tag u16, value u64.
    pub const STAT_BYTES: u32 = 10;
    /// Statistics, by their tags; bytes where it is memory.
    pub const STATS: [&str; 10] = [
        "swap_in",
        "swap_out",
        "major_faults",
        "minor_faults",
        "free_memory",
        "total_memory",
        "available_memory",
        "disk_caches",
        "hugetlb_allocations",
        "hugetlb_failures",
    ];
}

/// The console: features, device config.
pub mod console {
    /// Device feature: the size of the terminal is in the device config.
    pub const FEATURE_SIZE: u32 = 0;
    /// Device feature: several ports, and a control queue.
    pub const FEATURE_MULTIPORT: u32 = 1;
    /// Device feature: a byte can be printed by a write to the device config.
    pub const FEATURE_EMERG_WRITE: u32 = 2;
    /// Device config: columns, u16.
    pub const CONFIG_COLS: u32 = 0;
    /// Device config: rows, u16.
    pub const CONFIG_ROWS: u32 = 2;
    /// Device config: most ports, u32.
    pub const CONFIG_MAX_NR_PORTS: u32 = 4;
    /// Device config: the byte to print, u32.
    pub const CONFIG_EMERG_WR: u32 = 8;
}

/// The network device: frame header, limits of a frame.
pub mod net {
    /// Device feature: it computes checksums of frames that go out.
    pub const FEATURE_CSUM: u32 = 0;
    /// Device feature: it tells which frames that come in have a right checksum.
    pub const FEATURE_GUEST_CSUM: u32 = 1;
    /// Device feature: the largest payload of a frame is in the device config.
    pub const FEATURE_MTU: u32 = 3;
    /// Device feature: the hardware address is in the device config.
    pub const FEATURE_MAC: u32 = 5;
    /// Device feature: a frame may take several chains.
    pub const FEATURE_MRG_RXBUF: u32 = 15;
    /// Device feature: the state of the link is in the device config.
    pub const FEATURE_STATUS: u32 = 16;
    /// Device config: hardware address, 6 bytes.
    pub const CONFIG_MAC: u32 = 0;
    /// Device config: status, u16.
    pub const CONFIG_STATUS: u32 = 6;
    /// Status: the link is up.
    pub const STATUS_LINK_UP: u16 = 1;
    /// Device config: pairs of queues, u16.
    pub const CONFIG_MAX_QUEUE_PAIRS: u32 = 8;
    /// Device config: largest payload of a frame, u16.
    pub const CONFIG_MTU: u32 = 10;
    /// Bytes of the device config.
    pub const CONFIG_BYTES: u32 = 8;
    /// Bytes of the device config with MTU.
    pub const CONFIG_BYTES_MTU: u32 = 12;
    /// Bytes of the header in front of a frame: flags u8, gso_type u8, hdr_len u16, gso_size u16, csum_start u16, csum_offset u16.
    pub const HEADER_BYTES: u32 = 10;
    /// Bytes of the header with MRG_RXBUF: num_buffers u16 behind the fields of the short one.
    pub const MERGE_HEADER_BYTES: u32 = 12;
    /// Header flag, from the driver: the checksum from `csum_start` on is to be put at `csum_start + csum_offset`.
    pub const FLAG_NEEDS_CSUM: u8 = 1;
    /// Header flag, from the device: the checksum of the frame is right.
    pub const FLAG_DATA_VALID: u8 = 2;
    /// Bytes of the shortest frame: an Ethernet header.
    pub const FRAME_BYTES_MIN: u32 = 14;
    /// Bytes of a frame besides its payload: Ethernet header and two VLAN tags (IEEE 802.1ad), no frame check sequence.
    pub const FRAME_BYTES_OVER: u32 = 22;
    /// Bytes of the longest frame, unless configured: with a payload of 1500 bytes.
    pub const FRAME_BYTES_MAX: u32 = 1500 + FRAME_BYTES_OVER;
}
