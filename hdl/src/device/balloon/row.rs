//! virtio-balloon's row.
use super::side::BalloonSide;
use crate::block::AnyBlock;
use crate::config::{
    Axis, Buffers, ConfigField, DeviceType, Feature, FieldValue, Flow, Level, Queue, Stream, StreamField,
};
use crate::virtio::layout::{self, balloon};

/// The driver tells the host before it uses a page of the balloon again, and waits.
pub const MUST_TELL_HOST: Feature = Feature::new(balloon::FEATURE_MUST_TELL_HOST, "must_tell_host");
/// There is a queue for what the guest says of its memory.
pub const STATS_VQ: Feature = Feature::new(balloon::FEATURE_STATS_VQ, "stats_vq");
/// A guest that has no memory left takes some out of the balloon.
pub const DEFLATE_ON_OOM: Feature = Feature::new(balloon::FEATURE_DEFLATE_ON_OOM, "deflate_on_oom");

/// virtio-balloon (virtio 1.x, section 5.5).
pub static BALLOON: DeviceType = DeviceType {
    name: "balloon",
    title: "a memory balloon",
    virtio_id: layout::VIRTIO_ID_BALLOON,
    pci_device: layout::DEVICE_ID_BALLOON,
    // memory controller, RAM, as QEMU's legacy device; unclassified, as its others
    classes: &[0x05_0000, 0x00_ff00],
    queues: &[
        Queue { name: "inflateq", what: "pages for the balloon", buffers: Buffers::Readable, needs: None },
        Queue { name: "deflateq", what: "pages out of it", buffers: Buffers::Readable, needs: None },
        Queue {
            name: "statsq",
            what: "what the guest says of its memory",
            buffers: Buffers::Readable,
            needs: Some(STATS_VQ),
        },
    ],
    queue_sets: |_| 1,
    shortest_queue: 2,
    advised_queue: None,
    read_tags: 32,
    features: &[
        Feature::EVENT_IDX,
        Feature::INDIRECT,
        Feature::NOTIFY_ON_EMPTY,
        MUST_TELL_HOST,
        STATS_VQ,
        DEFLATE_ON_OOM,
    ],
    safe_features: &[],
    fields: &[
        ConfigField {
            offset: balloon::CONFIG_NUM_PAGES,
            bytes: 4,
            name: "num_pages",
            needs: None,
            writable: false,
            value: FieldValue::Live("pages of 4 KiB that are wanted in the balloon, from the port balloon_num_pages"),
        },
        ConfigField {
            offset: balloon::CONFIG_ACTUAL,
            bytes: 4,
            name: "actual",
            needs: None,
            writable: true,
            value: FieldValue::Live("those that the driver has put into it, for the port balloon_actual"),
        },
    ],
    events: &[
        "chains of pages of which a part was not given out: it could not be read",
        "chains of pages with bytes behind the last page",
        "chains of statistics of which a part was not given out: it could not be read, or is no number",
    ],
    streams: &[
        Stream {
            name: "balloon_page",
            flow: Flow::Out,
            fields: &[
                StreamField { name: "data", bits: 32, axis: Axis::Data },
                StreamField { name: "deflate", bits: 1, axis: Axis::User },
                StreamField { name: "last", bits: 1, axis: Axis::Last },
            ],
        },
        Stream { name: "balloon_done", flow: Flow::In, fields: &[] },
        Stream {
            name: "balloon_stat",
            flow: Flow::Out,
            fields: &[
                StreamField { name: "tag", bits: 16, axis: Axis::Data },
                StreamField { name: "value", bits: 64, axis: Axis::Data },
                StreamField { name: "last", bits: 1, axis: Axis::Last },
            ],
        },
        Stream { name: "balloon_stat_request", flow: Flow::In, fields: &[] },
    ],
    levels: &[
        Level { name: "balloon_num_pages", flow: Flow::In, bits: 32, on_card: Some(|_| 0) },
        Level { name: "balloon_actual", flow: Flow::Out, bits: 32, on_card: None },
    ],
    section: None,
    side: |config| AnyBlock::new(BalloonSide::new(config)),
    card: None,
    examples: &[
        ("balloon", include_str!("../../../configs/balloon.toml")),
        ("balloon-intx", include_str!("../../../configs/balloon-intx.toml")),
        ("balloon-plain", include_str!("../../../configs/balloon-plain.toml")),
    ],
};
