//! All files that build a card.
use super::fusesoc::{self, Target, Vivado};
use super::mac_swap::MacSwap;
use super::ram_disk::RamDisk;
use super::{constraints, settings, top, Board, BoardError, Fitted};
use crate::config::{Device, EndpointConfig};
use crate::endpoint::{self, Generated};
use crate::verilog::{self, Design, Loose, Part, PrintError, PrintedModule};

/// The design of a card and the files around it.
#[derive(Clone, Debug)]
pub struct Project {
    /// All modules; the last is the top.
    pub design: Design,
    /// Name of the top.
    pub top: String,
    /// Files besides the Verilog: name and contents.
    pub files: Vec<(String, String)>,
}

/// Generates the project of a configuration made for the board.
pub fn project(board: &Board, fitted: &Fitted) -> Result<Project, BoardError> {
    let config = &fitted.config;
    let inner = with_device_side(board, config)?;
    let endpoint = inner.design.modules.last().map(|module| module.name.clone()).unwrap_or_default();
    let printed = top::print(board, config, &endpoint, &inner.ports)?;
    let name = printed.name.clone();
    let mut design = inner.design;
    design.modules.push(printed);

    let sources: Vec<String> = design.modules.iter().map(PrintedModule::file_name).collect();
    let constraints_name = format!("{}.xdc", board.name);
    let constraints_text = constraints::for_lanes(board.constraints, config.link.speed.lanes());
    let target = match board.channels {
        [] => Target::Vivado(Vivado { part: board.part, constraints: &constraints_name, pins: board.card.is_some() }),
        // only build.tcl moves transceivers
        _ => Target::Nothing,
    };
    let description = format!("virtio-{} on {}", config.device.name(), board.title);
    let files = vec![
        ("build.tcl".into(), include_str!("vivado/build.tcl").into()),
        ("ip.tcl".into(), include_str!("vivado/ip.tcl").into()),
        ("settings.tcl".into(), settings::print(board, fitted, &name, &sources, &constraints_name)),
        (format!("{name}.core"), fusesoc::core(&name, &description, &design, &target)),
        (constraints_name.clone(), constraints_text),
    ];
    Ok(Project { design, top: name, files })
}

/// The endpoint, on a card with what is behind its device side.
fn with_device_side(board: &Board, config: &EndpointConfig) -> Result<Generated, PrintError> {
    let generated = endpoint::generate(config)?;
    let Some(card) = &board.card else { return Ok(generated) };
    let part = Part { instance: "endpoint".into(), design: generated.design, ports: generated.ports };
    let prefix = config.prefix.as_str();
    let (name, behind) = match config.device {
        Device::Blk => ("with_ram_disk", ram_disk(prefix, card.disk_words_log2, &config.blk.serial)?),
        Device::Net => ("with_mac_swap", endpoint::part(prefix, "mac_swap", MacSwap::default(), "mac_swap")?),
    };
    let title = format!("virtio-{} endpoint with what is behind it on a card", config.device.name());
    let (design, ports) = verilog::join(&format!("{prefix}{name}"), &title, vec![part, behind], Loose::default())?;
    Ok(Generated { design, ports })
}

/// A RAM disk of 2^`words_log2` words.
fn ram_disk(prefix: &str, words_log2: u8, serial: &str) -> Result<Part, PrintError> {
    let name = "ram_disk";
    match words_log2 {
        14 => endpoint::part(prefix, name, RamDisk::<14>::new(serial), name),
        15 => endpoint::part(prefix, name, RamDisk::<15>::new(serial), name),
        _ => endpoint::part(prefix, name, RamDisk::<16>::new(serial), name),
    }
}
