//! virtio-rng, the entropy source (virtio 1.x, section 5.4), as a device type of one's own: a row, and a block.
//!
//! `docs/add-a-device.md` of virtio-hdl walks through it.
pub mod block;
pub mod entropy;

use block::RngSide;
use virtio_hdl_rtl::block::AnyBlock;
use virtio_hdl_rtl::config::{
    Axis, Buffers, DeviceType, EndpointConfig, Feature, Flow, Options, Problems, Queue, Section, Stream, StreamField,
    Table,
};

/// What the section `[rng]` of a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RngOptions {
    /// Most bytes that a chain gets: a driver that asks for more is given less, as the specification allows.
    pub max_bytes: u16,
}

/// virtio-rng's row.
pub static RNG: DeviceType = DeviceType {
    name: "rng",
    title: "an entropy source",
    virtio_id: 4,
    pci_device: 0x1005,
    // unclassified, as QEMU's
    classes: &[0x00_ff00],
    queues: &[Queue { name: "requestq", what: "buffers for random bytes", buffers: Buffers::Writable, needs: None }],
    queue_sets: |_| 1,
    shortest_queue: 2,
    advised_queue: None,
    read_tags: 32,
    features: &[Feature::EVENT_IDX, Feature::INDIRECT, Feature::NOTIFY_ON_EMPTY],
    safe_features: &[],
    // no device config
    fields: &[],
    events: &["chains given back empty: there was nothing to write to"],
    streams: &[
        Stream {
            name: "rng_request",
            flow: Flow::Out,
            fields: &[StreamField { name: "words", bits: 16, axis: Axis::Data }],
        },
        Stream {
            name: "rng_word",
            flow: Flow::In,
            fields: &[StreamField { name: "data", bits: 128, axis: Axis::Data }],
        },
    ],
    levels: &[],
    section: Some(Section { default: |_| Options::new(RngOptions { max_bytes: 4096 }), read }),
    side: |config| AnyBlock::new(RngSide::new(config.host_features(), config.options::<RngOptions>().max_bytes)),
    card: None,
    examples: &[],
};

fn read(table: &mut Table, problems: &mut Problems, config: &mut EndpointConfig) {
    if let Some((bytes, _)) = table.number(problems, "max_bytes", 16..=4096, "16 to 4096", |_| true) {
        config.options_mut::<RngOptions>().max_bytes = bytes as u16;
    }
}
