//! What an endpoint is generated from: the device, its queue, its PCI identity, its features.
//!
//! A configuration is a TOML file or the name of an example; every key may be left out. [`EndpointConfig::parse`]
//! checks everything before a block is constructed, and reports every problem with its line and what is allowed.
use crate::virtio::layout;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

mod error;
mod link;
mod read;
mod table;

pub use error::{ConfigError, Problem};
pub use link::{LinkInterface, LinkOptions, LinkSpeed};

/// No configuration is longer.
const MOST_BYTES: u64 = 1 << 20;

/// The examples that are built in: name and text.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("blk", include_str!("../configs/blk.toml")),
    ("blk-memory-bar", include_str!("../configs/blk-memory-bar.toml")),
    ("blk-one-vector", include_str!("../configs/blk-one-vector.toml")),
    ("blk-intx", include_str!("../configs/blk-intx.toml")),
    ("blk-plain", include_str!("../configs/blk-plain.toml")),
    ("net", include_str!("../configs/net.toml")),
    ("net-intx", include_str!("../configs/net-intx.toml")),
    ("net-plain", include_str!("../configs/net-plain.toml")),
];

/// The virtio device behind the rings.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// A disk.
    Blk,
    /// A network card.
    Net,
}

impl Device {
    /// As a configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Device::Blk => "blk",
            Device::Net => "net",
        }
    }

    /// All devices, with their names in a configuration.
    pub const NAMES: &'static [(&'static str, Device)] = &[("blk", Device::Blk), ("net", Device::Net)];

    /// The virtio device id, which legacy drivers find as the subsystem id.
    pub fn virtio_id(self) -> u16 {
        match self {
            Device::Blk => layout::VIRTIO_ID_BLK,
            Device::Net => layout::VIRTIO_ID_NET,
        }
    }

    /// The default PCI device id.
    pub fn pci_device(self) -> u16 {
        match self {
            Device::Blk => layout::DEVICE_ID_BLK,
            Device::Net => layout::DEVICE_ID_NET,
        }
    }

    /// The class codes a driver knows for the device; the first is the default.
    pub fn classes(self) -> &'static [u32] {
        match self {
            Device::Blk => &[0x01_0000, 0x01_8000],
            Device::Net => &[0x02_0000],
        }
    }

    /// Number of virtqueues.
    pub fn queues(self) -> usize {
        match self {
            Device::Blk => 1,
            Device::Net => 2,
        }
    }

    /// The default number of MSI-X vectors: one for config changes and one per queue.
    pub fn vectors(self) -> u8 {
        1 + self.queues() as u8
    }

    /// The shortest queue that holds a request: header, data and status of a disk's, header and frame of a network card's.
    pub fn shortest_queue(self) -> u16 {
        match self {
            Device::Blk => 4,
            Device::Net => 2,
        }
    }

    /// How many of them, from the first on, the driver may write.
    pub fn writable_config_bytes(self) -> usize {
        match self {
            Device::Blk => 0,
            Device::Net => (layout::net::CONFIG_STATUS - layout::net::CONFIG_MAC) as usize,
        }
    }

    /// The features it can offer, with their names in a configuration.
    pub fn features(self) -> &'static [(&'static str, Feature)] {
        match self {
            Device::Blk => Feature::BLK,
            Device::Net => Feature::NET,
        }
    }

    /// What a driver gets of the features offered that accepts BAD_FEATURE, which says that it did not negotiate: what such drivers
    /// have always understood.
    fn safe_features(self) -> &'static [Feature] {
        match self {
            Device::Blk => &[],
            Device::Net => &[Feature::Mac, Feature::Csum],
        }
    }
}

/// Address space of BAR0, the legacy register file.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bar0 {
    /// I/O space, as legacy drivers expect.
    Io,
    /// Memory space, for hard IP without I/O BARs.
    Memory,
}

impl Bar0 {
    /// Both, with their names in a configuration.
    pub const NAMES: &'static [(&'static str, Bar0)] = &[("io", Bar0::Io), ("memory", Bar0::Memory)];
}

/// A feature bit that the device offers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// net: the driver may leave checksums of frames to the device (bit 0).
    Csum,
    /// net: the device says which received checksums are right (bit 1).
    GuestCsum,
    /// blk: `seg_max` in the device config is valid (bit 2).
    SegMax,
    /// net: `mtu` in the device config is valid (bit 3).
    Mtu,
    /// blk: the geometry in the device config is valid (bit 4).
    Geometry,
    /// blk: the disk may be read-only; offered while the `blk_read_only` port is high (bit 5).
    Ro,
    /// net: the address in the device config is valid (bit 5).
    Mac,
    /// blk: `blk_size` in the device config is valid (bit 6).
    BlkSize,
    /// blk: FLUSH requests (bit 9).
    Flush,
    /// net: a received frame may take several chains (bit 15).
    MrgRxbuf,
    /// net: the state of the link in the device config is valid (bit 16).
    Status,
    /// An interrupt when the queue runs empty, even if suppressed (bit 24).
    NotifyOnEmpty,
    /// Requests and frames may be cut into descriptors anywhere (bit 27). It is so in any case; this says it.
    AnyLayout,
    /// Indirect descriptor tables (bit 28).
    Indirect,
    /// `used_event` and `avail_event` (bit 29).
    EventIdx,
}

impl Feature {
    /// What virtio-blk can offer, with the names in a configuration.
    const BLK: &'static [(&'static str, Feature)] = &[
        ("event_idx", Feature::EventIdx),
        ("indirect", Feature::Indirect),
        ("notify_on_empty", Feature::NotifyOnEmpty),
        ("seg_max", Feature::SegMax),
        ("geometry", Feature::Geometry),
        ("ro", Feature::Ro),
        ("blk_size", Feature::BlkSize),
        ("flush", Feature::Flush),
    ];
    /// What virtio-net can offer, with the names in a configuration.
    const NET: &'static [(&'static str, Feature)] = &[
        ("event_idx", Feature::EventIdx),
        ("indirect", Feature::Indirect),
        ("notify_on_empty", Feature::NotifyOnEmpty),
        ("any_layout", Feature::AnyLayout),
        ("mac", Feature::Mac),
        ("status", Feature::Status),
        ("mtu", Feature::Mtu),
        ("mrg_rxbuf", Feature::MrgRxbuf),
        ("csum", Feature::Csum),
        ("guest_csum", Feature::GuestCsum),
    ];

    /// Number of the bit in HOST_FEATURES.
    pub fn bit(self) -> u32 {
        match self {
            Feature::Csum => layout::net::FEATURE_CSUM,
            Feature::GuestCsum => layout::net::FEATURE_GUEST_CSUM,
            Feature::SegMax => layout::blk::FEATURE_SEG_MAX,
            Feature::Geometry => layout::blk::FEATURE_GEOMETRY,
            Feature::Ro => layout::blk::FEATURE_RO,
            Feature::Mac => layout::net::FEATURE_MAC,
            Feature::Mtu => layout::net::FEATURE_MTU,
            Feature::BlkSize => layout::blk::FEATURE_BLK_SIZE,
            Feature::Flush => layout::blk::FEATURE_FLUSH,
            Feature::MrgRxbuf => layout::net::FEATURE_MRG_RXBUF,
            Feature::Status => layout::net::FEATURE_STATUS,
            Feature::NotifyOnEmpty => layout::FEATURE_NOTIFY_ON_EMPTY,
            Feature::AnyLayout => layout::FEATURE_ANY_LAYOUT,
            Feature::Indirect => layout::FEATURE_RING_INDIRECT_DESC,
            Feature::EventIdx => layout::FEATURE_RING_EVENT_IDX,
        }
    }
}

/// PCI identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ids {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID: the virtio device id.
    pub subsystem: u16,
    /// Class code, 24 bits; always one that [`Device::classes`] names.
    pub class: u32,
    /// Revision ID: the virtio ABI version.
    pub revision: u8,
}

impl Ids {
    /// The vendor ID of virtio devices.
    pub const VIRTIO_VENDOR: u16 = 0x1af4;

    fn of(device: Device) -> Self {
        Ids {
            vendor: Self::VIRTIO_VENDOR,
            device: device.pci_device(),
            subsystem_vendor: Self::VIRTIO_VENDOR,
            subsystem: device.virtio_id(),
            class: device.classes()[0],
            revision: 0,
        }
    }
}

/// Disk geometry as virtio-blk's device config holds it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

/// What only virtio-blk has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlkOptions {
    /// Logical block size in bytes (`blk_size` of the device config).
    pub block_size: u32,
    /// Most data segments of one request (`seg_max` of the device config).
    pub seg_max: u32,
    /// Geometry of the device config.
    pub geometry: Geometry,
    /// What GET_ID answers, at most 20 ASCII characters.
    pub serial: String,
    /// Milliseconds after which a disk that does not answer is given up: what it has been asked ends with IOERR.
    pub answer_timeout_ms: u32,
}

impl BlkOptions {
    fn of(queue_size: u16) -> Self {
        BlkOptions {
            block_size: 512,
            // Header and status take two descriptors of the longest chain.
            seg_max: u32::from(queue_size.saturating_sub(2)).min(126),
            geometry: Geometry { cylinders: 16383, heads: 16, sectors: 63 },
            serial: "virtio-hdl".into(),
            // Linux's patience with a SCSI disk
            answer_timeout_ms: 30_000,
        }
    }
}

/// What only virtio-net has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetOptions {
    /// Hardware address, in the order in which it is written. It comes into the endpoint by the port `net_mac`; this is what a
    /// simulation puts there.
    pub mac: [u8; 6],
    /// Bytes of the longest frame in either direction, from the destination address to the end of the payload, VLAN tags included, the
    /// check sequence not: 1522 to 9022.
    pub max_frame: u16,
}

impl NetOptions {
    /// Largest payload that fits with two VLAN tags.
    pub fn mtu(&self) -> u16 {
        self.max_frame - layout::net::FRAME_BYTES_OVER as u16
    }
}

impl NetOptions {
    /// Six bytes of two hexadecimal digits each; neither a group address nor all zero.
    pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
        let byte = |part: &str| match part.len() {
            2 if part.bytes().all(|digit| digit.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let bytes = text.split(':').map(byte).collect::<Option<Vec<u8>>>()?;
        let mac: [u8; 6] = bytes.try_into().ok()?;
        (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
    }
}

impl Default for NetOptions {
    fn default() -> Self {
        NetOptions { mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], max_frame: layout::net::FRAME_BYTES_MAX as u16 }
    }
}

/// A configuration's text. What is no file could go on for ever, or never begin.
fn read_file(name: &str) -> io::Result<String> {
    if !fs::metadata(name)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    fs::File::open(name)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST_BYTES {
        true => Err(io::Error::other("it is longer than 1 MiB")),
        false => Ok(text),
    }
}

/// A complete, checked configuration of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointConfig {
    /// The device.
    pub device: Device,
    /// Begin of the name of every module that is generated.
    pub prefix: String,
    /// Size of each virtqueue, a power of 2 from [`Device::shortest_queue`] to 256.
    pub queue_size: u16,
    /// MSI-X vectors, 0 to 8; 0 means INTx only: no MSI-X capability, no BAR1.
    pub vectors: u8,
    /// Address space of BAR0.
    pub bar0: Bar0,
    /// Largest payload the device supports (Device Capabilities), 128, 256 or 512 bytes.
    pub max_payload: u16,
    /// Memory reads in flight.
    pub read_tags: u16,
    /// Microseconds after which a read without completion is given up.
    pub completion_timeout_us: u32,
    /// Features the device offers.
    pub features: BTreeSet<Feature>,
    /// PCI identity.
    pub ids: Ids,
    /// virtio-blk's options.
    pub blk: BlkOptions,
    /// virtio-net's options.
    pub net: NetOptions,
    /// The link the endpoint is meant for.
    pub link: LinkOptions,
    /// Remarks on values that were replaced; for the user's eyes.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

impl EndpointConfig {
    /// The default configuration of a device.
    pub fn of(device: Device) -> Self {
        let queue_size = 256;
        EndpointConfig {
            device,
            prefix: format!("virtio_{}_", device.name()),
            queue_size,
            vectors: device.vectors(),
            bar0: Bar0::Io,
            max_payload: 256,
            read_tags: 32,
            completion_timeout_us: 10_000,
            features: device.features().iter().map(|(_, feature)| *feature).collect(),
            ids: Ids::of(device),
            blk: BlkOptions::of(queue_size),
            net: NetOptions::default(),
            link: LinkOptions::default(),
            warnings: vec![],
        }
    }

    /// The default virtio-blk endpoint: the example `blk`.
    pub fn blk() -> Self {
        Self::of(Device::Blk)
    }

    /// The default virtio-net endpoint: the example `net`.
    pub fn net() -> Self {
        Self::of(Device::Net)
    }

    /// Checks the text of a configuration; `file` is how messages call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        read::read(text, file)
    }

    /// Reads a file, or takes the example of that name where there is no such file. `NAME@INTERFACE-BITS`, as
    /// `blk@7-series-128`, is the same with that interface and `data_bits` in `[link]`.
    pub fn load(name: &str) -> Result<Self, ConfigError> {
        let notation = || name.rsplit_once('@').filter(|(_, link)| !link.contains('/'));
        let (plain, link) = match Path::new(name).is_file() {
            true => (name, None),
            false => notation().map_or((name, None), |(plain, link)| (plain, Some(link))),
        };
        let example = EXAMPLES.iter().find(|(example, _)| *example == plain && !Path::new(plain).is_file());
        let mut config = match example {
            Some((example, text)) => Self::parse(text, &format!("example {example}"))?,
            None => Self::parse(&read_file(plain).map_err(|error| ConfigError::unreadable(plain, &error))?, plain)?,
        };
        if let Some(link) = link {
            config.link.set_interface(link).map_err(|message| ConfigError::of_name(name, message))?;
        }
        Ok(config)
    }

    /// Whether the device offers a feature.
    pub fn offers(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// HOST_FEATURES: what is offered, and BAD_FEATURE (bit 30). RO is in it if it may be offered at all.
    pub fn host_features(&self) -> u32 {
        self.features.iter().fold(1 << 30, |bits, feature| bits | 1 << feature.bit())
    }

    /// What a driver gets that accepts BAD_FEATURE: it did not negotiate.
    pub fn safe_features(&self) -> u32 {
        let safe = self.device.safe_features().iter().filter(|feature| self.offers(**feature));
        safe.fold(0, |bits, feature| bits | 1 << feature.bit())
    }

    /// Bytes of the device config behind the registers.
    pub fn config_bytes(&self) -> u32 {
        match self.device {
            Device::Blk => layout::blk::CONFIG_BYTES,
            Device::Net if self.offers(Feature::Mtu) => layout::net::CONFIG_BYTES_MTU,
            Device::Net => layout::net::CONFIG_BYTES,
        }
    }

    /// Size of BAR0 in bytes: the next power of two of the registers and the device config, and no less than the hard block has.
    pub fn bar0_bytes(&self) -> u32 {
        let needed = layout::bar0_bytes(self.vectors > 0, self.config_bytes());
        needed.max(self.link.interface.smallest_bar())
    }

    /// The disk's answer timeout in clock cycles.
    pub fn answer_timeout_cycles(&self) -> u64 {
        u64::from(self.blk.answer_timeout_ms) * self.link.clock_hz / 1_000
    }

    /// The completion timeout in clock cycles.
    pub fn completion_timeout_cycles(&self) -> u64 {
        u64::from(self.completion_timeout_us) * self.link.clock_hz / 1_000_000
    }
}
