//! `virtio-hdl generate`
use crate::design::{register_map, Resources};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use virtio_hdl_rtl::endpoint;

#[derive(Args)]
#[command(after_help = "Examples:\n  virtio-hdl generate blk\n  virtio-hdl generate my-card.toml --out rtl\n  \
                        verilator --lint-only -Wall -f files.f   (in the folder)")]
pub(super) struct Arguments {
    /// TOML file, or name of an example
    config: String,
    /// Folder for the files
    #[arg(long, default_value = "build/rtl", value_name = "DIR")]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    top: String,
    folder: PathBuf,
    files: Vec<String>,
    lines: usize,
    milliseconds: f64,
    resources: Resources,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = super::configuration(&arguments.config)?;
    let begin = Instant::now();
    let generated = endpoint::generate(&config)?;
    let milliseconds = begin.elapsed().as_secs_f64() * 1e3;

    let out = &arguments.out;
    fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}; give another with --out", out.display()))?;
    let design = &generated.design;
    let resources = Resources::of(design);
    let mut files: Vec<String> = vec![];
    for module in &design.modules {
        write(out, &module.file_name(), &module.file(), &mut files)?;
    }
    write(out, "files.f", &design.file_list(), &mut files)?;
    write(out, "registers.md", &register_map(&config), &mut files)?;
    write(out, "resources.md", &resources.markdown(), &mut files)?;

    let lines = design.modules.iter().map(|module| module.text.lines().count()).sum();
    let report =
        Report { top: endpoint::top_name(&config), folder: out.clone(), files, lines, milliseconds, resources };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    files.push(name.into());
    Ok(())
}

fn print(report: &Report) {
    let total = report.resources.total;
    println!("{} in {}", report.top, report.folder.display());
    println!(
        "  {} modules, {} lines of Verilog, generated in {:.0} ms",
        report.resources.modules.len(),
        report.lines,
        report.milliseconds
    );
    println!(
        "  {} flip-flops, {} bits of block RAM, {} bits of distributed RAM",
        total.register_bits, total.block_memory_bits, total.distributed_memory_bits
    );
    println!("  files.f       the files in order, for any tool");
    println!("  registers.md  what a driver finds");
    println!("  resources.md  state module by module");
}
