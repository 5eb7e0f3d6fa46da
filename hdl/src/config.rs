//! What an endpoint is generated from: the device, its queue, its PCI identity, its features.
//!
//! A configuration is a TOML file or the name of an example; every key may be left out. [`EndpointConfig::read_with`]
//! checks everything before a block is constructed, and reports every problem with its line and what is allowed.
//!
//! What kinds of devices there are, it is told: each is a row, a [`DeviceType`].
use crate::virtio::layout;
use num_bigint::BigUint;
use serde::Serialize;
use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

mod device_type;
mod error;
mod feature;
mod link;
mod options;
mod read;
mod setting;
mod table;

pub use crate::virtio::types::Buffers;
pub use device_type::{
    Axis, CardSide, ConfigField, DeviceType, FieldValue, Flow, Level, Queue, Section, SidePort, Stream, StreamField,
    StreamPort,
};
pub use error::{ConfigError, Problem};
pub use feature::Feature;
pub use link::{LinkInterface, LinkOptions, LinkSpeed};
pub use options::Options;
pub use setting::{Setting, SettingError};
pub use table::{Found, Problems, Table};

/// No configuration is longer.
const MOST_BYTES: u64 = 1 << 20;

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
    /// Class code, 24 bits; one of [`DeviceType::classes`], unless the type is a different device in each configuration.
    pub class: u32,
    /// Revision ID: the virtio ABI version.
    pub revision: u8,
}

impl Ids {
    /// The vendor ID of virtio devices.
    pub const VIRTIO_VENDOR: u16 = 0x1af4;

    fn of(device: &DeviceType) -> Self {
        Ids {
            vendor: Self::VIRTIO_VENDOR,
            device: device.pci_device,
            subsystem_vendor: Self::VIRTIO_VENDOR,
            subsystem: device.virtio_id,
            class: device.classes.first().copied().unwrap_or_default(),
            revision: 0,
        }
    }
}

/// The text of a configuration, or of another description of an endpoint. What is no file could go on for ever, or never begin.
///
/// # Errors
/// It cannot be read, is no file, or is longer than 1 MiB.
pub fn read_file(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST_BYTES {
        true => Err(io::Error::other("it is longer than 1 MiB")),
        false => Ok(text),
    }
}

/// A complete, checked configuration of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The device.
    pub device: &'static DeviceType,
    /// Begin of the name of every module that is generated.
    pub prefix: String,
    /// Size of each virtqueue, a power of 2 from [`DeviceType::shortest_queue`] to 256.
    pub queue_size: u16,
    /// MSI-X vectors, 0 to 8; 0 means INTx only: no MSI-X capability, no BAR1.
    pub vectors: u8,
    /// Address space of BAR0.
    pub bar0: Bar0,
    /// Largest payload the device supports (Device Capabilities), 128, 256 or 512 bytes.
    pub max_payload: u16,
    /// Memory reads in flight, 32 or 64. What the interface of the link, or a host that does not allow tags of 8 bits (Device Control,
    /// bit 8), does not take stays unused.
    pub read_tags: u16,
    /// Microseconds after which a read without completion is given up.
    pub completion_timeout_us: u32,
    /// Features the device offers.
    pub features: BTreeSet<Feature>,
    /// PCI identity.
    pub ids: Ids,
    /// What only this device type has; see [`EndpointConfig::options`].
    pub options: Options,
    /// The link the endpoint is meant for.
    pub link: LinkOptions,
    /// Remarks on values that were replaced; for the user's eyes.
    pub warnings: Vec<Problem>,
}

impl EndpointConfig {
    /// The default configuration of a device.
    pub fn of(device: &'static DeviceType) -> Self {
        let queue_size = 256;
        let by_default = device.features.iter().copied().filter(|feature| feature.by_default);
        let mut config = EndpointConfig {
            device,
            prefix: format!("virtio_{}_", device.name),
            queue_size,
            vectors: 0,
            bar0: Bar0::Io,
            max_payload: 256,
            read_tags: device.read_tags,
            completion_timeout_us: 10_000,
            features: by_default.collect(),
            ids: Ids::of(device),
            options: device.default_options(queue_size),
            link: LinkOptions::default(),
            warnings: vec![],
        };
        config.vectors = config.default_vectors();
        config
    }

    /// Virtqueues.
    pub fn queue_count(&self) -> usize {
        self.queues().len()
    }

    /// Its virtqueues by their numbers, each with its name.
    pub fn queues(&self) -> Vec<(String, Queue)> {
        let sets = (self.device.queue_sets)(self);
        // as the specification counts them, from 1
        let name = |queue: &Queue, set: usize| match sets {
            1 => queue.name.to_string(),
            _ => format!("{}{}", queue.name, set + 1),
        };
        let offered = |queue: &&Queue| queue.needs.is_none_or(|feature| self.offers(feature));
        let queues = |set| self.device.queues.iter().filter(offered).map(move |queue| (name(queue, set), *queue));
        (0..sets).flat_map(queues).collect()
    }

    /// What the device uses of each queue's chains.
    pub fn buffers(&self) -> Vec<Buffers> {
        self.queues().into_iter().map(|(_, queue)| queue.buffers).collect()
    }

    /// One MSI-X vector for config changes and one per queue.
    fn default_vectors(&self) -> u8 {
        1 + self.queue_count() as u8
    }

    /// Checks the text of a configuration for one of these device types, the first unless it says another; `file` is how messages
    /// call it.
    pub fn read_with(types: &[&'static DeviceType], text: &str, file: &str) -> Result<Self, ConfigError> {
        Self::read_set_with(types, text, file, &[])
    }

    /// The same with values that count more than the text's: of several for a key the last.
    pub fn read_set_with(
        types: &[&'static DeviceType],
        text: &str,
        file: &str,
        settings: &[Setting],
    ) -> Result<Self, ConfigError> {
        read::read(types, text, file, settings)
    }

    /// Reads a file, or takes the example of that name where there is no such file, as [`EndpointConfig::read_with`].
    /// `NAME@INTERFACE-BITS`, as `blk@7-series-128`, is the same with that interface and `data_bits` in `[link]`.
    pub fn load_with(types: &[&'static DeviceType], name: &str) -> Result<Self, ConfigError> {
        Self::load_set_with(types, name, &[])
    }

    /// The same with settings, as [`EndpointConfig::read_set_with`] takes them.
    pub fn load_set_with(types: &[&'static DeviceType], name: &str, settings: &[Setting]) -> Result<Self, ConfigError> {
        let notation = || name.rsplit_once('@').filter(|(_, link)| !link.contains('/'));
        let (plain, link) = match Path::new(name).is_file() {
            true => (name, None),
            false => notation().map_or((name, None), |(plain, link)| (plain, Some(link))),
        };
        let examples: Vec<_> = types.iter().flat_map(|device| device.examples).collect();
        let example = examples.iter().find(|(example, _)| *example == plain && !Path::new(plain).is_file());
        let (text, file) = match example {
            Some((example, text)) => (text.to_string(), format!("example {example}")),
            None => {
                let names = examples.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                let text =
                    read_file(Path::new(plain)).map_err(|error| ConfigError::unreadable(plain, &error, &names))?;
                (text, plain.to_string())
            }
        };
        // Where the text spells the defaults out, as examples do, those that follow from other values would contradict a setting.
        let read_alone =
            example.filter(|_| !settings.is_empty()).and_then(|_| read::read(types, &text, &file, &[]).ok());
        let defaults = read_alone.filter(|config| *config == Self::of(config.device));
        let text = defaults.map_or(text, |config| format!("device = \"{}\"", config.device.name));
        let Some(link) = link else { return read::read(types, &text, &file, settings) };
        let mut config = read::read(types, &text, &file, &[])?;
        config.link.set_interface(link).map_err(|message| ConfigError::of_name(name, message))?;
        if settings.is_empty() {
            return Ok(config);
        }
        // All is checked together: the interface comes with what it needs, and the settings have the last word.
        let all: Vec<_> = Setting::of_interface(&config.link, name).iter().chain(settings).cloned().collect();
        read::read(types, &text, &file, &all)
    }

    /// The options of its device type, as the row's section made them.
    ///
    /// # Panics
    /// If they are of another type: the configuration is one of another device.
    pub fn options<T: Any>(&self) -> &T {
        self.options.get().unwrap_or_else(|| panic!("{} has other options", self.device.name))
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// As [`EndpointConfig::options`].
    pub fn options_mut<T: Any>(&mut self) -> &mut T {
        let device = self.device.name;
        self.options.get_mut().unwrap_or_else(|| panic!("{device} has other options"))
    }

    /// The virtio device id.
    pub fn virtio_id(&self) -> u16 {
        match self.device.virtio_id {
            DeviceType::ANY_VIRTIO_ID => self.ids.subsystem,
            id => id,
        }
    }

    /// Whether the device offers a feature.
    pub fn offers(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// HOST_FEATURES: what is offered, and BAD_FEATURE (bit 30). RO is in it if it may be offered at all.
    pub fn host_features(&self) -> u32 {
        self.features.iter().fold(1 << 30, |bits, feature| bits | 1 << feature.bit)
    }

    /// What a driver gets that accepts BAD_FEATURE: it did not negotiate.
    pub fn safe_features(&self) -> u32 {
        let safe = self.device.safe_features.iter().filter(|feature| self.offers(**feature));
        safe.fold(0, |bits, feature| bits | 1 << feature.bit)
    }

    /// The fields of the device config that are there.
    pub fn config_fields(&self) -> impl Iterator<Item = &'static ConfigField> + '_ {
        self.device.fields.iter().filter(|field| field.needs.is_none_or(|feature| self.offers(feature)))
    }

    /// Bytes of the device config that the driver may write.
    pub fn writable_config(&self) -> Range<u16> {
        let range = DeviceType::writable_range(self.config_fields());
        range.start as u16..range.end as u16
    }

    /// Whether the driver reads what it has written there.
    pub fn reads_back(&self) -> bool {
        self.config_fields().all(|field| !matches!(field.value, FieldValue::WriteOnly(_)))
    }

    /// Bytes of the device config behind the registers, a multiple of four.
    pub fn config_bytes(&self) -> u32 {
        let ends = self.config_fields().map(|field| field.offset + field.bytes);
        ends.max().unwrap_or(0).next_multiple_of(4)
    }

    /// What is fixed of the device config: the rest, which the device's block puts in, is 0.
    pub fn fixed_config(&self) -> BigUint {
        let fixed = self.config_fields().filter_map(|field| match field.value {
            FieldValue::Fixed(value) => {
                let bits = u64::MAX >> (64 - 8 * field.bytes.clamp(1, 8));
                Some(BigUint::from(value(self) & bits) << (8 * field.offset))
            }
            FieldValue::Live(_) | FieldValue::WriteOnly(_) => None,
        });
        fixed.fold(BigUint::ZERO, |all, field| all | field)
    }

    /// Size of BAR0 in bytes: the next power of two of the registers and the device config, and no less than the hard block has.
    pub fn bar0_bytes(&self) -> u32 {
        let needed = layout::bar0_bytes(self.vectors > 0, self.config_bytes());
        needed.max(self.link.interface.smallest_bar())
    }

    /// The completion timeout in clock cycles.
    pub fn completion_timeout_cycles(&self) -> u64 {
        u64::from(self.completion_timeout_us) * self.link.clock_hz / 1_000_000
    }
}
