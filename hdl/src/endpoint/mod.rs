//! Complete endpoints.
pub mod blk;
pub mod change;
pub mod core;
pub mod data_path;
pub mod diagnostics;
pub mod gate;
pub mod net;
pub mod reset;

use crate::config::{Device, EndpointConfig};
use crate::verilog::{self, Design, Port, PrintError};
use rust_hdl::prelude::Block;

/// The Verilog of an endpoint.
#[derive(Clone, Debug)]
pub struct Generated {
    /// All modules.
    pub design: Design,
    /// Ports of the top module.
    pub ports: Vec<Port>,
}

/// Name of the top module of a device's raw-TLP endpoint.
pub fn top_name(device: Device) -> &'static str {
    match device {
        Device::Blk => "virtio_blk_endpoint",
        Device::Net => "virtio_net_endpoint",
    }
}

/// Generates the raw-TLP endpoint of a configuration.
pub fn generate(config: &EndpointConfig) -> Result<Generated, PrintError> {
    let top = top_name(config.device);
    match config.device {
        Device::Blk => print(blk::BlkEndpoint::new(config), top),
        Device::Net => print(net::NetEndpoint::new(config), top),
    }
}

fn print<U: Block>(mut uut: U, top: &str) -> Result<Generated, PrintError> {
    uut.connect_all();
    Ok(Generated { design: verilog::print(&uut, top)?, ports: verilog::ports(&uut)? })
}
