//! virtio-blk's row.
use super::options::{self, BlkOptions};
use super::ram_disk::RamDisk;
use super::side::BlkSide;
use crate::block::AnyBlock;
use crate::config::{
    Axis, Buffers, CardSide, ConfigField, DeviceType, EndpointConfig, Feature, FieldValue, Flow, Level, Options, Queue,
    Section, Stream, StreamField,
};
use crate::virtio::layout::{self, blk};

/// `seg_max` in the device config is valid.
pub const SEG_MAX: Feature = Feature::new(blk::FEATURE_SEG_MAX, "seg_max");
/// The geometry in the device config is valid.
pub const GEOMETRY: Feature = Feature::new(blk::FEATURE_GEOMETRY, "geometry");
/// The disk may be read-only.
pub const RO: Feature = Feature::new(blk::FEATURE_RO, "ro").only("while the port blk_read_only is high");
/// `blk_size` in the device config is valid.
pub const BLK_SIZE: Feature = Feature::new(blk::FEATURE_BLK_SIZE, "blk_size");
/// FLUSH requests.
pub const FLUSH: Feature = Feature::new(blk::FEATURE_FLUSH, "flush");
/// Several queues.
pub const MQ: Feature = Feature::new(blk::FEATURE_MQ, "mq").on_request();

/// virtio-blk (virtio 1.x, section 5.2).
pub static BLK: DeviceType = DeviceType {
    name: "blk",
    title: "a disk",
    virtio_id: layout::VIRTIO_ID_BLK,
    pci_device: layout::DEVICE_ID_BLK,
    // mass storage: SCSI, as QEMU's; or other
    classes: &[0x01_0000, 0x01_8000],
    queues: &[Queue { name: "requestq", what: "requests", buffers: Buffers::Both, needs: None }],
    queue_sets: |config| config.blk_options().queues.into(),
    // header, data, status
    shortest_queue: 4,
    advised_queue: None,
    read_tags: 32,
    features: &[
        Feature::EVENT_IDX,
        Feature::INDIRECT,
        Feature::NOTIFY_ON_EMPTY,
        SEG_MAX,
        GEOMETRY,
        RO,
        BLK_SIZE,
        FLUSH,
        MQ,
    ],
    safe_features: &[],
    fields: &[
        ConfigField {
            offset: blk::CONFIG_CAPACITY,
            bytes: 8,
            name: "capacity",
            needs: None,
            writable: false,
            value: FieldValue::Live("sectors of 512 bytes, from the port blk_capacity"),
        },
        fixed(blk::CONFIG_SIZE_MAX, 4, "size_max", |_| 0),
        fixed(blk::CONFIG_SEG_MAX, 4, "seg_max", |config| config.blk_options().seg_max.into()),
        fixed(blk::CONFIG_CYLINDERS, 2, "geometry.cylinders", |config| config.blk_options().geometry.cylinders.into()),
        fixed(blk::CONFIG_HEADS, 1, "geometry.heads", |config| config.blk_options().geometry.heads.into()),
        fixed(blk::CONFIG_SECTORS, 1, "geometry.sectors", |config| config.blk_options().geometry.sectors.into()),
        fixed(blk::CONFIG_BLK_SIZE, 4, "blk_size", |config| config.blk_options().block_size.into()),
        ConfigField {
            needs: Some(MQ),
            ..fixed(blk::CONFIG_NUM_QUEUES, 2, "num_queues", |config| config.blk_options().queues.into())
        },
    ],
    events: &["answers of the disk left out, too short, too long, too late or unasked"],
    streams: &[
        Stream {
            name: "blk_command",
            flow: Flow::Out,
            fields: &[data("sector", 64), data("length", 32), data("operation", 3), data("tag", 8)],
        },
        Stream { name: "blk_write", flow: Flow::Out, fields: &[data("data", 128), LAST, user("error", 1)] },
        Stream { name: "blk_status", flow: Flow::In, fields: &[data("", 8), data("tag", 8)] },
        Stream { name: "blk_read", flow: Flow::In, fields: &[data("data", 128), LAST, user("tag", 8)] },
    ],
    levels: &[
        Level { name: "blk_capacity", flow: Flow::In, bits: 64, on_card: None },
        Level { name: "blk_read_only", flow: Flow::In, bits: 1, on_card: None },
    ],
    section: Some(Section { default: |queue_size| Options::new(BlkOptions::of(queue_size)), read: options::read }),
    side: |config| AnyBlock::new(BlkSide::new(config)),
    card: Some(CardSide { module: "ram_disk", block: ram_disk, pins: &[] }),
    examples: &[
        ("blk", include_str!("../../../configs/blk.toml")),
        ("blk-memory-bar", include_str!("../../../configs/blk-memory-bar.toml")),
        ("blk-one-vector", include_str!("../../../configs/blk-one-vector.toml")),
        ("blk-multiqueue", include_str!("../../../configs/blk-multiqueue.toml")),
        ("blk-intx", include_str!("../../../configs/blk-intx.toml")),
        ("blk-plain", include_str!("../../../configs/blk-plain.toml")),
    ],
};

const LAST: StreamField = StreamField { name: "last", bits: 1, axis: Axis::Last };

const fn data(name: &'static str, bits: usize) -> StreamField {
    StreamField { name, bits, axis: Axis::Data }
}

const fn user(name: &'static str, bits: usize) -> StreamField {
    StreamField { name, bits, axis: Axis::User }
}

const fn fixed(offset: u32, bytes: u32, name: &'static str, value: fn(&EndpointConfig) -> u64) -> ConfigField {
    ConfigField { offset, bytes, name, needs: None, writable: false, value: FieldValue::Fixed(value) }
}

/// A RAM disk of 2^`words_log2` words.
fn ram_disk(config: &EndpointConfig, words_log2: u8) -> Result<AnyBlock, String> {
    let serial = &config.blk_options().serial;
    Ok(match words_log2 {
        14 => AnyBlock::new(RamDisk::<14>::new(serial)),
        15 => AnyBlock::new(RamDisk::<15>::new(serial)),
        _ => AnyBlock::new(RamDisk::<16>::new(serial)),
    })
}
