//! Endpoints behind the vendors' PCIe blocks.
use super::{example, impatient};
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};

/// Interface and width of every block.
pub const BLOCKS: [(LinkInterface, u16); 4] = [
    (LinkInterface::SevenSeries, 64),
    (LinkInterface::SevenSeries, 128),
    (LinkInterface::UltraScalePlus, 128),
    (LinkInterface::UltraScalePlus, 256),
];

/// The example configuration of this name, behind a block; it gives reads up early in all tests, so that they share a model.
pub fn behind((interface, data_bits): (LinkInterface, u16), name: &str) -> EndpointConfig {
    let mut config = impatient(example(name));
    (config.link.interface, config.link.data_bits, config.link.clock_hz) = (interface, data_bits, 250_000_000);
    config
}
