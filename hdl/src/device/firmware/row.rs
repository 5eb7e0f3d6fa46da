//! The row of devices that are programs.
use super::options::{self, FirmwareOptions};
use super::side::FirmwareSide;
use crate::block::AnyBlock;
use crate::config::{Axis, Buffers, DeviceType, Feature, Flow, Level, Options, Queue, Section, Stream, StreamField};

const BYTE: &[StreamField] = &[StreamField { name: "data", bits: 8, axis: Axis::Data }];

/// What a queue of such a device carries is up to its program, and so is what features mean: they have the names of their bits. Its
/// virtio id is the `subsystem` of the section `ids`.
pub static FIRMWARE: DeviceType = DeviceType {
    name: "firmware",
    title: "a device that is a program",
    virtio_id: DeviceType::ANY_VIRTIO_ID,
    // the last one that legacy drivers look at (virtio 1.x, 4.1.2.3)
    pci_device: 0x103f,
    classes: &[0x00_ff00],
    queues: &[Queue { name: "queue", what: "requests for the program", buffers: Buffers::Both, needs: None }],
    queue_sets: |config| config.firmware_options().queues.into(),
    shortest_queue: 2,
    advised_queue: None,
    read_tags: 32,
    features: &[
        Feature::EVENT_IDX,
        Feature::INDIRECT,
        Feature::NOTIFY_ON_EMPTY,
        Feature::new(0, "bit0").on_request(),
        Feature::new(1, "bit1").on_request(),
        Feature::new(2, "bit2").on_request(),
        Feature::new(3, "bit3").on_request(),
        Feature::new(4, "bit4").on_request(),
        Feature::new(5, "bit5").on_request(),
        Feature::new(6, "bit6").on_request(),
        Feature::new(7, "bit7").on_request(),
    ],
    safe_features: &[],
    fields: &[],
    events: &[
        "times that the program gave no sign for too long",
        "exceptions in the program: it is broken",
        "bytes that the program put out and for which there was no room",
    ],
    streams: &[
        Stream { name: "firmware_tx", flow: Flow::Out, fields: BYTE },
        Stream { name: "firmware_rx", flow: Flow::In, fields: BYTE },
    ],
    levels: &[
        Level { name: "firmware_hung", flow: Flow::Out, bits: 1, on_card: None },
        Level { name: "firmware_retired", flow: Flow::Out, bits: 1, on_card: None },
        Level { name: "firmware_pc", flow: Flow::Out, bits: 32, on_card: None },
    ],
    section: Some(Section { default: |_| Options::new(FirmwareOptions::default()), read: options::read }),
    side: |config| AnyBlock::new(FirmwareSide::new(config)),
    card: None,
    examples: &[("rng", include_str!("../../../configs/rng.toml"))],
};
