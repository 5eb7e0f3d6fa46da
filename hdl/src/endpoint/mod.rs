//! Complete endpoints.
pub mod core;
pub mod data_path;
pub mod diagnostics;
pub mod gate;
mod raw_link;
pub mod register_switch;
pub mod reset;
mod side;
pub mod state_window;

use crate::config::{EndpointConfig, LinkInterface, LinkOptions};
use crate::shim::{SevenSeries128, SevenSeries64, UltraScalePlus128, UltraScalePlus256};
use crate::verilog::{self, Design, Loose, Part, Port, PrintError};
use crate::virtio::MAX_QUEUES;
use rust_hdl::prelude::Block;

/// The Verilog of an endpoint.
#[derive(Clone, Debug)]
pub struct Generated {
    /// All modules.
    pub design: Design,
    /// Ports of the top module.
    pub ports: Vec<Port>,
}

/// Name of the top module of an endpoint behind the prefix of its configuration: `virtio_blk_endpoint` behind raw packets,
/// `virtio_blk_7series_128` and the like behind a hard block.
pub fn top_name(config: &EndpointConfig) -> String {
    format!("{}{}", config.prefix, link_name(&config.link).unwrap_or("endpoint"))
}

/// Which hard block an endpoint is for, with its width.
fn link_name(link: &LinkOptions) -> Option<&'static str> {
    match (link.interface, link.data_bits) {
        (LinkInterface::Tlp, _) => None,
        (LinkInterface::SevenSeries, 64) => Some("7series_64"),
        (LinkInterface::SevenSeries, _) => Some("7series_128"),
        (LinkInterface::UltraScalePlus, 256) => Some("usp_256"),
        (LinkInterface::UltraScalePlus, _) => Some("usp_128"),
    }
}

/// Generates the endpoint of a configuration: link, core and the block of its device type, joined.
///
/// # Errors
/// The row of the device type contradicts itself or its block, or the block cannot be printed.
pub fn generate(config: &EndpointConfig) -> Result<Generated, PrintError> {
    let prefix = config.prefix.as_str();
    let fault = |reason| PrintError { path: format!("{prefix}{DEVICE_MODULE}"), reason };
    config.device.check().map_err(fault)?;
    if !(1..=MAX_QUEUES).contains(&config.queue_count()) {
        return Err(fault(format!("it has {} queues; allowed: 1 to {MAX_QUEUES}", config.queue_count())));
    }
    let device = part(prefix, "device", (config.device.side)(config), DEVICE_MODULE)?;
    let function = core::function_config(config);
    let behind = config.link.interface != LinkInterface::Tlp;
    let module = format!("pcie_{}", link_name(&config.link).unwrap_or("raw_link"));
    let link = match (config.link.interface, config.link.data_bits) {
        (LinkInterface::Tlp, _) => part(prefix, "link", raw_link::RawLink::new(&function), &module)?,
        (LinkInterface::SevenSeries, 64) => part(prefix, "link", SevenSeries64::new(function.max_payload), &module)?,
        (LinkInterface::SevenSeries, _) => part(prefix, "link", SevenSeries128::new(function.max_payload), &module)?,
        (LinkInterface::UltraScalePlus, 256) => {
            part(prefix, "link", UltraScalePlus256::new(function.max_payload), &module)?
        }
        (LinkInterface::UltraScalePlus, _) => {
            part(prefix, "link", UltraScalePlus128::new(function.max_payload), &module)?
        }
    };
    let intx = if behind { core::Intx::Level } else { core::Intx::Messages };
    let core = part(prefix, "core", core::EndpointCore::new(config, intx), "endpoint_core")?;
    let left_out = side::check(config.device, &config.buffers(), &device.ports, &core.ports).map_err(fault)?;
    let behind_what = if behind { format!(" behind {module}") } else { ", raw TLPs".into() };
    let title = format!("virtio-{} PCIe endpoint{behind_what}", config.device.name);
    let open = [unread(config.link.interface), left_out.outputs()].concat();
    let zero = [undriven(config.link.interface), left_out.inputs()].concat();
    let loose = Loose { open: &open, zero: &zero };
    let (design, ports) = verilog::join(&top_name(config), &title, vec![link, core, device], loose)?;
    Ok(Generated { design, ports })
}

/// Outputs of the core that the link does not read.
fn unread(interface: LinkInterface) -> Vec<&'static str> {
    let config_bus = ["config_bus_valid", "config_bus_write", "config_bus_address", "config_bus_enable"];
    let config_space = ["config_bus_write_data", "config_target", "request_aborted", "write_poisoned", "diagnostic"];
    let reports = ["request_unsupported", "posted_unsupported", "completion_timeout", "completion_unexpected"];
    let names: Vec<&[&str]> = match interface {
        LinkInterface::Tlp => vec![&["intx_level", "quiescing"]],
        LinkInterface::SevenSeries => vec![&config_bus, &config_space, &["quiescing", "frozen"]],
        LinkInterface::UltraScalePlus => vec![&config_bus, &config_space, &reports, &["reads_pending", "frozen"]],
    };
    names.concat()
}

/// Inputs of the core that the link does not drive: config requests end in a hard block, which sends the messages, too.
fn undriven(interface: LinkInterface) -> Vec<&'static str> {
    let config_space = ["config_bus_done", "config_bus_read_data"];
    let messages = ["error_correctable", "error_nonfatal", "error_fatal", "turn_off"];
    match interface {
        LinkInterface::Tlp => vec![],
        LinkInterface::SevenSeries | LinkInterface::UltraScalePlus => [&config_space[..], &messages].concat(),
    }
}

/// The device of an endpoint, behind the prefix.
const DEVICE_MODULE: &str = "device_side";

/// Prints a block as a part of an endpoint, all its modules behind the prefix.
pub(crate) fn part<U: Block>(prefix: &str, instance: &str, mut uut: U, module: &str) -> Result<Part, PrintError> {
    uut.connect_all();
    let design = verilog::print_prefixed(&uut, prefix, module)?;
    Ok(Part { instance: instance.into(), design, ports: verilog::ports(&uut)? })
}
