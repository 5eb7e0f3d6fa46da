//! `virtio-hdl bench`: how near the endpoint comes to what its link allows.
mod measure;
mod plot;

use super::device::Device;
use super::output::outln;
use crate::link::LinkSpeed;
use crate::scenario::latency::Spread;
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use measure::{Bench, Rig, Stalls};
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

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl bench\n  \
    virtio-hdl bench blk --link gen2x4 --json\n  \
    virtio-hdl bench net --plot share.svg\n\n\
    All figures are counted in clock cycles: they do not depend on the machine. The limit counts the bytes of all packets that a\n\
    request takes, in batches of as many as are outstanding.")]
pub(super) struct Arguments {
    /// TOML files, or names of examples
    #[arg(value_name = "CONFIG", default_values = ["net", "blk"])]
    configs: Vec<String>,
    /// Only this link
    #[arg(long, value_enum)]
    link: Option<Link>,
    /// Requests of each measurement
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    requests: u64,
    /// Draw the share of the limit
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let configs = arguments.configs.iter().map(|name| super::configuration(name));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    // the folder is there before the long work, whose result would be lost
    if let Some(folder) = arguments.plot.as_deref().and_then(Path::parent) {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let links = [(Link::Gen2x4, LinkSpeed::Gen2X4, 125_000_000), (Link::Gen3x4, LinkSpeed::Gen3X4, 250_000_000)];
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})")?);
    let mut bench = Bench::default();
    for (link, speed, clock_hz) in links {
        if arguments.link.is_some_and(|wanted| wanted != link) {
            continue;
        }
        for config in &configs {
            if config.link.interface == LinkInterface::SevenSeries && speed.generation() > 2 {
                continue;
            }
            let mut config = config.clone();
            (config.link.speed, config.link.clock_hz) = (speed, clock_hz);
            // Streams of 64 bits need twice the clock to carry what the link does.
            while config.link.interface_gigabits() < speed.gigabits() {
                config.link.clock_hz *= 2;
            }
            bar.set_message(format!("{}: building the model", speed.name()));
            let rig = Rig::new(&config, arguments.requests)?;
            match Device::of(config.device)? {
                Device::Blk => rig.blk(&mut bench, &bar)?,
                Device::Net => rig.net(&mut bench, &bar)?,
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
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&bench)?);
        return Ok(());
    }
    print(&bench);
    Ok(())
}

fn print(bench: &Bench) {
    outln!(
        "{:8} {:22} {:>6} {:>9} {:>8} {:>7} {:>9} {:>7} {:>11} {:>12} {:>9} {:>9} {:>9}",
        "link",
        "",
        "bytes",
        "cycles",
        "limit",
        "share",
        "kHz",
        "Gb/s",
        "link in/out",
        "reads, most",
        "no tag",
        "no credit",
        "link busy"
    );
    for row in &bench.rows {
        let count = |of: fn(&Stalls) -> u64| row.stalls.as_ref().map_or("-".into(), |stalls| of(stalls).to_string());
        outln!(
            "{:8} {:22} {:>6} {:>9.1} {:>8.1} {:>6.1}% {:>9.1} {:>7.2} {:>4.0}%/{:>4.0}% {:>7.1}/{:>4} {:>9} {:>9} {:>9}",
            row.link,
            row.what,
            row.bytes,
            row.cycles,
            row.limit,
            100.0 * row.share,
            row.per_second / 1e3,
            row.gigabits,
            100.0 * row.to_device,
            100.0 * row.to_host,
            row.reads,
            row.most_reads,
            count(|stalls| stalls.no_tag),
            count(|stalls| stalls.no_credit),
            count(|stalls| stalls.link_busy)
        );
    }
    outln!("\none alone, from the notify's arrival until a packet leaves: cycles, least / median / 99 %");
    for alone in &bench.alone {
        let spread = |s: Spread| format!("{:>5}/{:>5}/{:>5}", s.least, s.median, s.p99);
        outln!(
            "{:8} {:22} first read {}   used ring {}   interrupt {}",
            alone.link,
            alone.what,
            spread(alone.latency.first_read),
            spread(alone.latency.used),
            spread(alone.latency.interrupt)
        );
    }
}
