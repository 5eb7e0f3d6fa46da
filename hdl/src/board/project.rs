//! All files that build a card.
use super::fusesoc::{self, Target, Vivado};
use super::{constraints, settings, top, Board, BoardError, Fitted};
use crate::config::EndpointConfig;
use crate::endpoint::{self, Generated};
use crate::verilog::{self, Design, Loose, Part, PrintedModule};

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
    let constraints_text = constraints::for_pins(&constraints_text, board.pins(config));
    let target = match board.channels {
        [] => Target::Vivado(Vivado { part: board.part, constraints: &constraints_name, pins: board.card.is_some() }),
        // only build.tcl moves transceivers
        _ => Target::Nothing,
    };
    let description = format!("virtio-{} on {}", config.device.name, board.title);
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
fn with_device_side(board: &Board, config: &EndpointConfig) -> Result<Generated, BoardError> {
    let generated = endpoint::generate(config)?;
    let Some(card) = &board.card else { return Ok(generated) };
    let device = config.device;
    let Some(side) = &device.card else {
        return Err(BoardError::Device { board: board.name, device: device.name });
    };
    let pins = board.without_pin(side.pins);
    if !pins.is_empty() {
        return Err(BoardError::Pins { board: board.name, device: device.name, pins });
    }
    let part = Part { instance: "endpoint".into(), design: generated.design, ports: generated.ports };
    let refused = |reason| BoardError::CardSide { board: board.name, device: device.name, reason };
    let block = (side.block)(config, card.disk_words_log2).map_err(refused)?;
    let behind = endpoint::part(&config.prefix, side.module, block, side.module)?;
    let name = format!("{}with_{}", config.prefix, side.module);
    let title = format!("virtio-{} endpoint with what is behind it on a card", device.name);
    let (design, ports) = verilog::join(&name, &title, vec![part, behind], Loose::default())?;
    Ok(Generated { design, ports })
}
