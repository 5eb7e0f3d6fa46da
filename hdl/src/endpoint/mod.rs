//! Complete endpoints.
pub mod blk;
pub mod change;
pub mod core;
pub mod data_path;
pub mod diagnostics;
pub mod gate;
pub mod net;
pub mod raw_link;
pub mod reset;

use crate::config::{Device, EndpointConfig};
use crate::verilog::{self, Design, Loose, Part, Port, PrintError};
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

/// Generates the raw-TLP endpoint of a configuration: link, core and device, joined.
pub fn generate(config: &EndpointConfig) -> Result<Generated, PrintError> {
    let link = part("link", raw_link::RawLink::new(&core::function_config(config)), "pcie_raw_link")?;
    let core = part("core", core::EndpointCore::new(config, core::Intx::Messages), "endpoint_core")?;
    let device = match config.device {
        Device::Blk => part("device", blk::BlkSide::new(config), "virtio_blk")?,
        Device::Net => part("device", net::NetSide::new(config), "virtio_net")?,
    };
    let title = format!("virtio-{} PCIe endpoint, raw TLPs", config.device.name());
    let loose = Loose { open: &["intx_level", "quiescing"], zero: &[] };
    let (design, ports) = verilog::join(top_name(config.device), &title, vec![link, core, device], loose)?;
    Ok(Generated { design, ports })
}

fn part<U: Block>(instance: &str, mut uut: U, module: &str) -> Result<Part, PrintError> {
    uut.connect_all();
    Ok(Part { instance: instance.into(), design: verilog::print(&uut, module)?, ports: verilog::ports(&uut)? })
}
