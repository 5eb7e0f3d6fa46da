//! `virtio-hdl bench`: how near the endpoint comes to what its link allows.
mod alone;
mod measure;
mod plot;
mod print;
mod table;

use super::device::Device;
use super::output::outln;
use super::settings::Settings;
use crate::link::LinkSpeed;
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use measure::{Bench, Rig};
use std::fs;
use std::path::{Path, PathBuf};
use virtio_hdl_rtl::config::LinkInterface;

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Link {
    /// 125 MHz
    Gen2x4,
    /// 250 MHz
    Gen3x4,
}

/// The links, in the order of the table.
const LINKS: [(Link, LinkSpeed); 2] = [(Link::Gen2x4, LinkSpeed::Gen2X4), (Link::Gen3x4, LinkSpeed::Gen3X4)];

impl Link {
    /// Of the endpoint, in hertz: streams of 128 bits carry what the link does.
    fn clock_hz(self) -> u64 {
        match self {
            Link::Gen2x4 => 125_000_000,
            Link::Gen3x4 => 250_000_000,
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl bench\n  \
    virtio-hdl bench blk --link gen2x4 --json\n  \
    virtio-hdl bench net --plot share.svg\n  \
    virtio-hdl bench blk --set read_tags=64 --requests 500\n  \
    virtio-hdl bench --table README.md\n\n\
    All figures are counted in clock cycles: they do not depend on the machine. The limit counts the bytes of all packets that a\n\
    request takes, in batches of as many as are outstanding (32 frames), with memory above 4 GiB, where headers are longer; the share\n\
    with memory below stands beside. `runs` and `scattered` say how the driver's descriptors lie; each has its own limit. Frames both ways\n\
    are counted together.")]
pub(super) struct Arguments {
    /// TOML files, or names of examples
    #[arg(value_name = "CONFIG", default_values = ["net", "blk"])]
    configs: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    /// Only this link
    #[arg(long, value_enum)]
    link: Option<Link>,
    /// Requests of each measurement
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    requests: u64,
    /// Draw the share of the limit
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write the table of figures into a text, between the lines `<!-- bench -->` and `<!-- end of bench -->`
    #[arg(long, value_name = "FILE.md", conflicts_with_all = ["configs", "set"])]
    table: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let configs = arguments.configs.iter().map(|name| arguments.settings.load(name));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    // the folder and the text are there before the long work, whose result would be lost
    let document = arguments.table.as_deref().map(table::Document::read).transpose()?;
    if let Some(folder) = arguments.plot.as_deref().and_then(Path::parent) {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})")?);
    let mut bench = Bench::default();
    for (link, speed) in LINKS {
        if arguments.link.is_some_and(|wanted| wanted != link) {
            continue;
        }
        for config in &configs {
            if config.link.interface == LinkInterface::SevenSeries && speed.generation() > 2 {
                continue;
            }
            let mut config = config.clone();
            (config.link.speed, config.link.clock_hz) = (speed, link.clock_hz());
            // Streams of 64 bits need twice the clock to carry what the link does.
            while config.link.interface_gigabits() < speed.gigabits() {
                config.link.clock_hz *= 2;
            }
            bar.set_message(format!("{}: building the model", speed.name()));
            let rig = Rig::new(&config, arguments.requests)?;
            match Device::of(config.device)? {
                Device::Blk => {
                    rig.blk(&mut bench, &bar)?;
                    rig.blk_alone(&mut bench)?;
                }
                Device::Console | Device::Balloon | Device::Firmware => {
                    bail!("no figure of {} is near a limit of the link", config.device.title)
                }
                Device::Net => {
                    rig.net(&mut bench, &bar)?;
                    rig.net_alone(&mut bench)?;
                }
            }
        }
    }
    bar.finish_and_clear();
    if bench.rows.is_empty() {
        bail!("nothing to measure: blocks of the 7-series end at gen2; give --link gen2x4");
    }
    if let Some(path) = &arguments.plot {
        plot::shares(path, &bench.rows).with_context(|| format!("cannot draw {}", path.display()))?;
    }
    if let Some(document) = &document {
        document.update(&bench)?;
    }
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&bench)?);
        return Ok(());
    }
    print::table(&bench);
    Ok(())
}
