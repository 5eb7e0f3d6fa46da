//! What sits behind the rings: device types, each with its row and its blocks.
//!
//! A row ([`DeviceType`]) is all that the rest knows of a device type. Those that are built in are here; one of a user's own is
//! written in the same way in a crate of his own (`docs/add-a-device.md`).
pub mod balloon;
pub mod blk;
pub mod change;
pub mod console;
pub mod firmware;
pub mod net;
pub mod queue_group;

pub use balloon::BALLOON;
pub use blk::BLK;
pub use console::CONSOLE;
pub use firmware::FIRMWARE;
pub use net::NET;

use crate::config::{ConfigError, DeviceType, EndpointConfig, Setting};

/// The device types that are built in; the first is that of a configuration that names none.
pub static TYPES: [&DeviceType; 5] = [&BLK, &NET, &CONSOLE, &BALLOON, &FIRMWARE];

/// The configurations that are built in: name and text.
pub fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    TYPES.iter().flat_map(|device| device.examples.iter().copied())
}

/// Configurations of the device types that are built in.
impl EndpointConfig {
    /// The default virtio-blk endpoint: the example `blk`.
    pub fn blk() -> Self {
        Self::of(&BLK)
    }

    /// The default virtio-net endpoint: the example `net`.
    pub fn net() -> Self {
        Self::of(&NET)
    }

    /// The default virtio-console endpoint: the example `console`.
    pub fn console() -> Self {
        Self::of(&CONSOLE)
    }

    /// The default virtio-balloon endpoint: the example `balloon`.
    pub fn balloon() -> Self {
        Self::of(&BALLOON)
    }

    /// [`EndpointConfig::read_with`] these types.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        Self::read_with(&TYPES, text, file)
    }

    /// [`EndpointConfig::load_with`] these types.
    pub fn load(name: &str) -> Result<Self, ConfigError> {
        Self::load_with(&TYPES, name)
    }

    /// [`EndpointConfig::load_set_with`] these types.
    pub fn load_set(name: &str, settings: &[Setting]) -> Result<Self, ConfigError> {
        Self::load_set_with(&TYPES, name, settings)
    }
}
