//! virtio-net's row.
use super::mac_swap::MacSwap;
use super::options::{self, NetOptions};
use super::side::NetSide;
use crate::block::AnyBlock;
use crate::config::{
    Axis, Buffers, CardSide, ConfigField, DeviceType, Feature, FieldValue, Flow, Level, Options, Queue, Section,
    Stream, StreamField,
};
use crate::virtio::layout::{self, net};

/// The driver may leave checksums of frames to the device.
pub const CSUM: Feature = Feature::new(net::FEATURE_CSUM, "csum");
/// The device says which received checksums are right.
pub const GUEST_CSUM: Feature = Feature::new(net::FEATURE_GUEST_CSUM, "guest_csum");
/// `mtu` in the device config is valid.
pub const MTU: Feature = Feature::new(net::FEATURE_MTU, "mtu");
/// The address in the device config is valid.
pub const MAC: Feature = Feature::new(net::FEATURE_MAC, "mac");
/// A received frame may take several chains.
pub const MRG_RXBUF: Feature = Feature::new(net::FEATURE_MRG_RXBUF, "mrg_rxbuf");
/// The state of the link in the device config is valid.
pub const STATUS: Feature = Feature::new(net::FEATURE_STATUS, "status");

/// A frame, without its check sequence.
const FRAME: &[StreamField] = &[
    StreamField { name: "data", bits: 128, axis: Axis::Data },
    StreamField { name: "keep", bits: 16, axis: Axis::Keep },
    StreamField { name: "last", bits: 1, axis: Axis::Last },
    StreamField { name: "error", bits: 1, axis: Axis::User },
];

/// virtio-net (virtio 1.x, section 5.1).
pub static NET: DeviceType = DeviceType {
    name: "net",
    title: "a network card",
    virtio_id: layout::VIRTIO_ID_NET,
    pci_device: layout::DEVICE_ID_NET,
    // network, Ethernet
    classes: &[0x02_0000],
    queues: &[
        Queue { name: "receiveq1", what: "received frames", buffers: Buffers::Writable, needs: None },
        Queue { name: "transmitq1", what: "frames to send", buffers: Buffers::Readable, needs: None },
    ],
    queue_sets: |_| 1,
    // header and frame
    shortest_queue: 2,
    // it stops its transmit queue while fewer than MAX_SKB_FRAGS + 2 descriptors are free
    advised_queue: Some((
        32,
        "Linux's driver sends nothing more once fewer than 19 descriptors are free, which is always",
    )),
    // frames of 64 bytes take two reads each, and at gen3 x4 32 tags are what they wait for
    read_tags: 64,
    features: &[
        Feature::EVENT_IDX,
        Feature::INDIRECT,
        Feature::NOTIFY_ON_EMPTY,
        Feature::ANY_LAYOUT,
        MAC,
        STATUS,
        MTU,
        MRG_RXBUF,
        CSUM,
        GUEST_CSUM,
    ],
    safe_features: &[MAC, CSUM],
    fields: &[
        ConfigField {
            offset: net::CONFIG_MAC,
            bytes: 6,
            name: "mac",
            needs: None,
            writable: true,
            value: FieldValue::Live(
                "from the port net_mac; what the driver writes is on net_mac_current until a reset",
            ),
        },
        ConfigField {
            offset: net::CONFIG_STATUS,
            bytes: 2,
            name: "status",
            needs: None,
            writable: false,
            value: FieldValue::Live("bit 0: the link is up, from the port net_link_up"),
        },
        // one pair of queues, which nobody reads without the feature MQ
        ConfigField {
            offset: net::CONFIG_MAX_QUEUE_PAIRS,
            bytes: 2,
            name: "max_virtqueue_pairs",
            needs: Some(MTU),
            writable: false,
            value: FieldValue::Fixed(|_| 1),
        },
        ConfigField {
            offset: net::CONFIG_MTU,
            bytes: 2,
            name: "mtu",
            needs: Some(MTU),
            writable: false,
            value: FieldValue::Fixed(|config| config.net_options().mtu().into()),
        },
    ],
    events: &[
        "frames to send dropped: length, failed read, or checksum out of range",
        "frames received dropped: shorter than 14 bytes",
        "frames received dropped: longer than max_frame",
        "frames received dropped: damaged on the wire",
        "frames received dropped: no buffer, or too small a one",
    ],
    streams: &[
        Stream { name: "net_tx", flow: Flow::Out, fields: FRAME },
        Stream { name: "net_rx", flow: Flow::In, fields: FRAME },
    ],
    levels: &[
        Level {
            name: "net_mac",
            flow: Flow::In,
            bits: 48,
            on_card: Some(|config| lowest_first(config.net_options().mac)),
        },
        // the cards' far end has no filter of addresses
        Level { name: "net_mac_current", flow: Flow::Out, bits: 48, on_card: None },
        Level { name: "net_link_up", flow: Flow::In, bits: 1, on_card: Some(|_| 1) },
    ],
    section: Some(Section { default: |_| Options::new(NetOptions::default()), read: options::read }),
    side: |config| AnyBlock::new(NetSide::new(config)),
    card: Some(CardSide { module: "mac_swap", block: |_, _| Ok(AnyBlock::new(MacSwap::default())), pins: &[] }),
    examples: &[
        ("net", include_str!("../../../configs/net.toml")),
        ("net-intx", include_str!("../../../configs/net-intx.toml")),
        ("net-plain", include_str!("../../../configs/net-plain.toml")),
    ],
};

/// The hardware address as it is in the device config, its first byte lowest.
fn lowest_first(mac: [u8; 6]) -> u64 {
    mac.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}
