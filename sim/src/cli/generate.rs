//! `virtio-hdl generate`
use super::output::outln;
use super::settings::Settings;
use crate::design::{register_map, Resources};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use virtio_hdl_rtl::board::{fusesoc, project, Board, Fitted};
use virtio_hdl_rtl::config::{Bar0, EndpointConfig};
use virtio_hdl_rtl::endpoint;
use virtio_hdl_rtl::verilog::{self, Design};

/// A folder that builds a card's bitstream starts at this script.
const BUILD_SCRIPT: &str = "build.tcl";

#[derive(Args)]
#[command(after_help = "Examples:\n  virtio-hdl generate blk\n  virtio-hdl generate my-card.toml --out rtl\n  \
                        virtio-hdl generate blk --set queue_size=64 --set blk.queues=2 --set generate.prefix=two_queues_\n  \
                        verilator --lint-only -Wall -f virtio_blk_endpoint.f   (in the folder)\n  \
                        virtio-hdl generate blk --board vcu118\n  \
                        vivado -mode batch -source build.tcl     (in the folder build/vcu118)\n\
                        Boards: virtio-hdl boards")]
pub(super) struct Arguments {
    /// TOML file, or name of an example
    config: String,
    #[command(flatten)]
    settings: Settings,
    /// Also write what builds a bitstream for this card: top level, constraints, scripts for Vivado
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// Folder for the files; else build/rtl, with a board build/NAME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// What was generated, and where it lies.
#[derive(Serialize)]
struct Written {
    top: String,
    prefix: String,
    folder: PathBuf,
    board: Option<BoardReport>,
    files: Vec<String>,
    modules: usize,
    lines: usize,
    milliseconds: f64,
    resources: Resources,
}

/// What was chosen for a board.
#[derive(Serialize)]
struct BoardReport {
    name: &'static str,
    part: &'static str,
    hard_ip: &'static str,
    link: &'static str,
    data_bits: u16,
    megahertz: u32,
}

impl BoardReport {
    fn of(board: &Board, fitted: &Fitted) -> Self {
        BoardReport {
            name: board.name,
            part: board.part,
            hard_ip: board.hard_ip.catalogue_name(),
            link: fitted.config.link.speed.name(),
            data_bits: fitted.mode.data_bits,
            megahertz: fitted.mode.megahertz,
        }
    }
}

/// What is written, but for what follows from it.
struct Output {
    config: EndpointConfig,
    design: Design,
    top: String,
    files: Vec<(String, String)>,
    board: Option<BoardReport>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = arguments.settings.load(&arguments.config)?;
    let begin = Instant::now();
    let output = match &arguments.board {
        None => endpoint_alone(config)?,
        Some(name) => for_board(Board::find(name)?, &config)?,
    };
    let milliseconds = begin.elapsed().as_secs_f64() * 1e3;

    let folder =
        arguments.out.clone().unwrap_or_else(|| Path::new("build").join(arguments.board.as_deref().unwrap_or("rtl")));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}; give another with --out", folder.display()))?;
    let design = &output.design;
    let source = source(arguments);
    let modules: Vec<_> = design.modules.iter().map(|module| (module.file_name(), module.file_of(&source))).collect();
    modules.iter().try_for_each(|(name, text)| spare(&folder, name, text, &source))?;
    let resources = Resources::of(design);
    let mut files: Vec<String> = vec![];
    for (name, text) in &modules {
        write(&folder, name, text, &mut files)?;
    }
    write(&folder, &format!("{}.f", output.top), &design.file_list(), &mut files)?;
    for (name, text) in &output.files {
        write(&folder, name, text, &mut files)?;
    }
    let prefix = &output.config.prefix;
    write(&folder, &format!("{prefix}registers.md"), &register_map(&output.config), &mut files)?;
    write(&folder, &format!("{prefix}resources.md"), &resources.markdown(), &mut files)?;

    let modules = design.modules.len();
    let lines = design.modules.iter().map(|module| module.text.lines().count()).sum();
    let (top, board) = (output.top, output.board);
    if output.config.bar0 == Bar0::Memory {
        eprintln!("note: BAR0 is in memory space: Linux drives it, but SeaBIOS, iPXE, U-Boot and OVMF only look for an I/O BAR");
    }
    let report =
        Written { top, prefix: output.config.prefix, folder, board, files, modules, lines, milliseconds, resources };
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn endpoint_alone(config: EndpointConfig) -> anyhow::Result<Output> {
    let design = endpoint::generate(&config)?.design;
    let top = endpoint::top_name(&config);
    let core = fusesoc::core(&top, &format!("virtio-{} endpoint", config.device.name), &design, &fusesoc::Target::Lint);
    let files = vec![(format!("{top}.core"), core)];
    Ok(Output { config, design, top, files, board: None })
}

fn for_board(board: &'static Board, config: &EndpointConfig) -> anyhow::Result<Output> {
    let fitted = board.fit(config)?;
    let project = project::project(board, &fitted)?;
    let report = BoardReport::of(board, &fitted);
    Ok(Output {
        config: fitted.config,
        design: project.design,
        top: project.top,
        files: project.files,
        board: Some(report),
    })
}

/// What the heads of the files name: the configuration, without the folder that it lies in, and the board.
fn source(arguments: &Arguments) -> String {
    let path = Path::new(&arguments.config);
    let name = path.file_name().map_or(arguments.config.clone(), |name| name.to_string_lossy().into_owned());
    let name = arguments.settings.name(&name);
    match &arguments.board {
        None => name,
        Some(board) => format!("{name} for {board}"),
    }
}

/// A file that another configuration has left keeps its text: that configuration's design needs it.
fn spare(folder: &Path, name: &str, text: &str, source: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let Ok(before) = fs::read_to_string(&path) else { return Ok(()) };
    let body = |file: &str| file.split_once("`default_nettype none").map(|(_, body)| body.to_string());
    match verilog::other_configuration(&before, source) {
        Some(other) if body(&before) != body(text) => anyhow::bail!(
            "{} belongs to the configuration {other}, and has another text with {source}: give one of them a name of its own, \
             as prefix = \"second_\" in the section [generate] or --set generate.prefix=second_, or another folder with --out",
            path.display()
        ),
        _ => Ok(()),
    }
}

fn write(folder: &Path, name: &str, text: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    files.push(name.into());
    Ok(())
}

fn print(report: &Written) {
    let total = report.resources.total;
    outln!("{} in {}", report.top, report.folder.display());
    outln!(
        "  {} modules, {} lines of Verilog, generated in {:.0} ms",
        report.modules,
        report.lines,
        report.milliseconds
    );
    outln!(
        "  {} flip-flops, {} bits of block RAM, {} bits of distributed RAM",
        total.register_bits,
        total.block_memory_bits,
        total.distributed_memory_bits
    );
    if let Some(board) = &report.board {
        outln!(
            "  for {}: {} around {}, {}, {} bits at {} MHz; never run on hardware",
            board.name,
            board.hard_ip,
            board.part,
            board.link,
            board.data_bits,
            board.megahertz
        );
        outln!("  {BUILD_SCRIPT}     vivado -mode batch -source {BUILD_SCRIPT}, in this folder");
    }
    let (top, prefix) = (&report.top, &report.prefix);
    outln!("  {top}.f  the files in order, for any tool; {top}.core for FuseSoC");
    outln!("  {prefix}registers.md  what a driver finds; {prefix}resources.md  state module by module");
}
