//! What the system tests share: machines with generated, Verilated endpoints.
use virtio_hdl::backend::Disk;
use virtio_hdl::design;
use virtio_hdl::machine::{Machine, MachineOptions};
use virtio_hdl::model::Library;
use virtio_hdl_rtl::config::EndpointConfig;

/// The example configuration of this name.
pub fn example(name: &str) -> EndpointConfig {
    EndpointConfig::load(name).unwrap_or_else(|error| panic!("{error}"))
}

/// The Verilated endpoint of a configuration, from the cache if it is there.
pub fn library(config: &EndpointConfig) -> Library {
    design::library(config).unwrap_or_else(|error| panic!("{error}"))
}

/// A machine with this endpoint and `disk`.
pub fn machine(config: &EndpointConfig, disk: Disk, options: &MachineOptions) -> Machine {
    Machine::new(&library(config), disk, options).unwrap_or_else(|error| panic!("{error}"))
}
