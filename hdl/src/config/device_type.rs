//! The row of a device type: what registers, ports, checks and documents are made from.
use super::{EndpointConfig, Feature, Options, Problems, Table};
use crate::block::AnyBlock;
use crate::virtio::types::Buffers;
use crate::virtio::{DEVICE_CONFIG_BYTES, READ_TAGS};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// A device type: a row, and the block behind it. Nothing else in the crate knows what kind of device an endpoint is.
///
/// The crate's own are `device::BLK` and `device::NET`. A user's is a `static` of the same form, which
/// [`EndpointConfig::load_with`] is given; `docs/add-a-device.md` walks through one.
pub struct DeviceType {
    /// As a configuration, its section, and the modules name it: `blk`.
    pub name: &'static str,
    /// In a message: `a disk`.
    pub title: &'static str,
    /// The virtio device id, which legacy drivers find as the subsystem id (virtio 1.x, chapter 5).
    /// [`DeviceType::ANY_VIRTIO_ID`] if the configuration says it (`ids.subsystem`); then it may have any class, too.
    pub virtio_id: u16,
    /// The default PCI device id, 0x1000 to 0x103f (virtio 1.x, 4.1.2.3).
    pub pci_device: u16,
    /// The class codes a driver knows for the device, 24 bits each; the first is the default.
    pub classes: &'static [u32],
    /// Its virtqueues.
    pub queues: &'static [Queue],
    /// How often a configuration has them, for a device with several queues of a kind: their numbers go through all of `queues`, and
    /// begin again. All in all there are 1 to [`MAX_QUEUES`](crate::virtio::MAX_QUEUES).
    pub queue_sets: fn(&EndpointConfig) -> usize,
    /// Descriptors of the shortest queue that holds a request; a power of two.
    pub shortest_queue: u16,
    /// Below this size of the queues a configuration is warned, with these words.
    pub advised_queue: Option<(u16, &'static str)>,
    /// Reads in flight that it needs, 32 or 64: many small ones take more to fill a link than few long ones.
    pub read_tags: u16,
    /// The features it can offer.
    pub features: &'static [Feature],
    /// Those that a driver gets which accepts BAD_FEATURE, and so says that it did not negotiate: what such drivers have always
    /// understood.
    pub safe_features: &'static [Feature],
    /// Its device config, up to [`DEVICE_CONFIG_BYTES`].
    pub fields: &'static [ConfigField],
    /// What its block counts with `device_events`, in their order, for the diagnostics.
    pub events: &'static [&'static str],
    /// Streams between its block and what is behind the endpoint.
    pub streams: &'static [Stream],
    /// Ports besides, which just have a value.
    pub levels: &'static [Level],
    /// Its section of a configuration, called as it is.
    pub section: Option<Section>,
    /// Makes the block: its ports are those of `endpoint::core::EndpointCore` from `device_features` on, the other way round,
    /// [`DeviceType::ports`], `clock` and `reset`.
    pub side: fn(&EndpointConfig) -> AnyBlock,
    /// What is behind it on a card; without it there are no projects for cards.
    pub card: Option<CardSide>,
    /// Configurations that are built in: name and text.
    pub examples: &'static [(&'static str, &'static str)],
}

/// A virtqueue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// As the specification names it.
    pub name: &'static str,
    /// What it carries.
    pub what: &'static str,
    /// The buffers of its chains that the device uses. Of a queue without readable ones its block needs no `bytes`, without writable
    /// ones no `data`.
    pub buffers: Buffers,
    /// It is there only if this is offered. Behind such a queue there is none that is always there: its number would depend on it.
    pub needs: Option<Feature>,
}

/// A field of the device config.
#[derive(Copy, Clone)]
pub struct ConfigField {
    /// From the beginning of the device config, bytes.
    pub offset: u32,
    /// 1 to 8.
    pub bytes: u32,
    /// As the specification names it.
    pub name: &'static str,
    /// It is there only if this is offered.
    pub needs: Option<Feature>,
    /// The driver may write it, and reads what it has written until the next reset, unless they are [`FieldValue::WriteOnly`]. All such fields of a device lie in eight bytes
    /// that begin at a multiple of 8.
    pub writable: bool,
    /// What is in it.
    pub value: FieldValue,
}

/// What a field of the device config holds.
#[derive(Copy, Clone)]
pub enum FieldValue {
    /// This number.
    Fixed(fn(&EndpointConfig) -> u64),
    /// What the device's block says at the time; in words, for the register map.
    Live(&'static str),
    /// 0: a writable field that does something when it is written; what, in words.
    WriteOnly(&'static str),
}

/// Which way a port leads.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// From the endpoint to what is behind it.
    Out,
    /// Into the endpoint.
    In,
}

/// A stream: the ports `NAME_valid`, `NAME_ready`, and one for each field.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Begins with the name of the device type, as `blk_read`.
    pub name: &'static str,
    /// Which way its beats go.
    pub flow: Flow,
    /// What a beat consists of.
    pub fields: &'static [StreamField],
}

/// A field of a stream's beats: the port `STREAM_NAME`, or `STREAM` itself for a field without name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StreamField {
    /// Empty for the field that is called as the stream.
    pub name: &'static str,
    /// Bits.
    pub bits: usize,
    /// Where AXI4-Stream has it.
    pub axis: Axis,
}

/// Signals of AXI4-Stream besides TVALID and TREADY: what a board without a card brings out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// TDATA. Several such fields share it in their order, each from a byte on.
    Data,
    /// TKEEP.
    Keep,
    /// TLAST.
    Last,
    /// TUSER.
    User,
}

/// A port that has a value at all times.
#[derive(Copy, Clone)]
pub struct Level {
    /// Begins with the name of the device type, as `blk_capacity`.
    pub name: &'static str,
    /// Which way it leads.
    pub flow: Flow,
    /// Bits, up to 64.
    pub bits: usize,
    /// An input's value on a card, unless [`CardSide::block`] drives it.
    pub on_card: Option<fn(&EndpointConfig) -> u64>,
}

/// A device type's own section of a configuration.
#[derive(Copy, Clone)]
pub struct Section {
    /// What it says if it says nothing, for queues of this size.
    pub default: fn(u16) -> Options,
    /// Reads it into [`EndpointConfig::options`]. Everything before it has been read.
    pub read: fn(&mut Table, &mut Problems, &mut EndpointConfig),
}

/// What is behind a device on a card, so that it can be tried.
#[derive(Copy, Clone)]
pub struct CardSide {
    /// Name of its module.
    pub module: &'static str,
    /// Makes it: its ports are [`DeviceType::ports`], the other way round, but for levels that it leaves out, [`pins`](Self::pins),
    /// `clock` and `reset`. It may use block RAM of this many words of 16 bytes, as a power of two. Or says why the card cannot have it:
    /// the configuration is the one made for the card, with its clock.
    pub block: fn(&EndpointConfig, u8) -> Result<AnyBlock, String>,
    /// Ports of it that are pins, of one bit each. A card has this device if its constraints place all of them.
    pub pins: &'static [&'static str],
}

/// A port between a device's block and what is behind the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidePort {
    /// Name.
    pub name: String,
    /// Bits.
    pub bits: usize,
    /// Which way it leads.
    pub flow: Flow,
}

/// What a port of a stream is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StreamPort {
    /// `NAME_valid`.
    Valid,
    /// `NAME_ready`.
    Ready,
    /// A field, by its place in [`Stream::fields`].
    Field(usize),
}

impl Flow {
    fn back(self) -> Flow {
        match self {
            Flow::Out => Flow::In,
            Flow::In => Flow::Out,
        }
    }
}

impl Stream {
    /// All of its ports.
    pub fn ports(&self) -> Vec<(StreamPort, SidePort)> {
        let port = |name: String, bits, flow| SidePort { name, bits, flow };
        let mut ports = vec![
            (StreamPort::Valid, port(format!("{}_valid", self.name), 1, self.flow)),
            (StreamPort::Ready, port(format!("{}_ready", self.name), 1, self.flow.back())),
        ];
        for (index, field) in self.fields.iter().enumerate() {
            let name = match field.name {
                "" => self.name.to_string(),
                name => format!("{}_{name}", self.name),
            };
            ports.push((StreamPort::Field(index), port(name, field.bits, self.flow)));
        }
        ports
    }
}

/// Sections that a configuration has whatever the device.
const OTHER_SECTIONS: [&str; 3] = ["generate", "ids", "link"];

impl DeviceType {
    /// The virtio device id of a type that is a different device in each configuration.
    pub const ANY_VIRTIO_ID: u16 = 0;

    /// What its section says if it says nothing.
    pub(super) fn default_options(&self, queue_size: u16) -> Options {
        self.section.map_or_else(|| Options::new(()), |section| (section.default)(queue_size))
    }

    /// The ports that its block has towards what is behind the endpoint.
    pub fn ports(&self) -> Vec<SidePort> {
        let levels = self.levels.iter();
        let levels = levels.map(|level| SidePort { name: level.name.into(), bits: level.bits, flow: level.flow });
        let streams = self.streams.iter().flat_map(Stream::ports).map(|(_, port)| port);
        levels.chain(streams).collect()
    }

    /// From the first of these fields that the driver may write to the last one, bytes.
    pub(super) fn writable_range<'a>(fields: impl Iterator<Item = &'a ConfigField>) -> Range<u32> {
        let mut writable = fields.filter(|field| field.writable).map(|field| field.offset..field.offset + field.bytes);
        let Some(first) = writable.next() else { return 0..0 };
        writable.fold(first, |all, field| all.start.min(field.start)..all.end.max(field.end))
    }

    /// What is wrong with the row itself.
    pub fn check(&self) -> Result<(), String> {
        let name = self.name.as_bytes();
        let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
        if !name.first().is_some_and(u8::is_ascii_lowercase) || !name.iter().all(is_letter) {
            return Err("its name is not a lower-case word".into());
        }
        if OTHER_SECTIONS.contains(&self.name) {
            return Err("its name is that of another section of a configuration".into());
        }
        if self.classes.is_empty() {
            return Err("it has no class code".into());
        }
        if !self.shortest_queue.is_power_of_two() || self.shortest_queue > 256 {
            return Err(format!("its shortest queue has {} descriptors: no power of two to 256", self.shortest_queue));
        }
        if !READ_TAGS.contains(&self.read_tags) {
            return Err(format!("it needs {} reads in flight; allowed: 32, 64", self.read_tags));
        }
        let fits =
            |field: &&ConfigField| (1..=8).contains(&field.bytes) && field.offset + field.bytes <= DEVICE_CONFIG_BYTES;
        if let Some(field) = self.fields.iter().find(|field| !fits(field)) {
            return Err(format!("{} has no 1 to 8 bytes within {DEVICE_CONFIG_BYTES} of device config", field.name));
        }
        let writable = Self::writable_range(self.fields.iter());
        if writable.end > (writable.start & !7) + 8 {
            return Err("what the driver may write of the device config is not all in eight bytes that begin at a multiple of 8".into());
        }
        let mut not_always = self.queues.iter().skip_while(|queue| queue.needs.is_none());
        if let Some(queue) = not_always.find(|queue| queue.needs.is_none()) {
            return Err(format!("the number of {} depends on the features", queue.name));
        }
        let mut bits = BTreeSet::new();
        if let Some(feature) = self.features.iter().find(|feature| feature.bit > 29 || !bits.insert(feature.bit)) {
            return Err(format!("the bit of the feature {} is above 29, or that of another", feature.name));
        }
        let own = format!("{}_", self.name);
        if let Some(port) = self.ports().into_iter().find(|port| !port.name.starts_with(&own)) {
            return Err(format!("the name of the port {} does not begin with {own}", port.name));
        }
        let mut names = BTreeSet::new();
        match self.ports().into_iter().find(|port| !names.insert(port.name.clone())) {
            Some(port) => Err(format!("two ports are called {}", port.name)),
            None => Ok(()),
        }
    }
}

impl PartialEq for DeviceType {
    /// Names tell device types apart.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DeviceType {}

impl fmt::Debug for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
