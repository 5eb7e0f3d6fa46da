//! `virtio-hdl bench`: how near the endpoint comes to what its link allows.
use super::output::outln;
use super::{outcome, plot};
use crate::backend::{DevicePort, Disk, NetPort};
use crate::design;
use crate::host::blk::{self, Blk, Operation, Request};
use crate::host::net::{self, Net, Outgoing};
use crate::host::pci::{self, Bus};
use crate::host::ring::{Buffer, Shape, Virtqueue};
use crate::host::{Platform, Width};
use crate::link::{LinkConfig, LinkSpeed, Statistics};
use crate::machine::{Machine, MachineOptions, SLOT};
use crate::model::Library;
use crate::scenario::latency::{self, Latency};
use crate::scenario::wire::FarEnd;
use crate::scenario::{depth, rate, ScenarioError};
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};
use virtio_hdl_rtl::device::BLK;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_rtl::virtio::layout;

/// Sectors of the disk.
const SECTORS: u64 = 8192;
/// Bytes of a disk request.
const BLK_BYTES: u32 = 4096;
/// Bytes of the frames that are measured.
const FRAME_BYTES: [u32; 6] = [64, 128, 256, 512, 1024, 1514];
/// Bytes per second that come by wire: more than any link carries.
const FAST_WIRE: f64 = 1e11;
/// Requests of a measurement of latency.
const ROUNDS: usize = 200;
/// Cycles after which a request has been lost.
const PATIENCE: u64 = 4_000_000;

/// Diagnostics fields that count stalls: no tag, no credit for a read, the link takes no packet.
const STALLS: [u16; 3] = [9, 10, 11];

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

/// Where cycles went in which something could have been sent, by reason, as the endpoint counts them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stalls {
    /// A read waited for a free tag.
    no_tag: u64,
    /// A read waited for the link partner's credit.
    no_credit: u64,
    /// The link took no packet.
    link_busy: u64,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub link: &'static str,
    pub what: String,
    /// Bytes of each request.
    pub bytes: u32,
    /// Cycles per request, and those that the link allows.
    cycles: f64,
    limit: f64,
    /// Share of the limit, 0 to 1.
    pub share: f64,
    /// Requests and payload per second.
    per_second: f64,
    gigabits: f64,
    /// Share of each direction of the link that is in use, 0 to 1.
    to_device: f64,
    to_host: f64,
    /// Reads in flight: mean, most.
    reads: f64,
    most_reads: usize,
    /// Behind hard IP the counters cannot be read.
    stalls: Option<Stalls>,
}

/// How long one request alone takes.
#[derive(Clone, Debug, Serialize)]
struct Alone {
    link: &'static str,
    what: String,
    clock_hz: u64,
    latency: Latency,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Bench {
    rows: Vec<Row>,
    alone: Vec<Alone>,
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
            match config.device == &BLK {
                true => rig.blk(&mut bench, &bar)?,
                false => rig.net(&mut bench, &bar)?,
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
    bench.print();
    Ok(())
}

/// What was counted when a measurement began.
struct Mark {
    cycle: u64,
    statistics: Statistics,
    stalls: Option<[u32; 3]>,
}

impl Mark {
    /// `counts`: config space is the endpoint's own, and has its counters.
    fn of(machine: &mut Machine, counts: bool) -> Self {
        let read = || STALLS.map(|field| machine.config_read(SLOT, DIAGNOSTICS + 4 * field, Width::Double));
        let stalls = counts.then(read);
        Mark { cycle: machine.now(), statistics: machine.statistics(), stalls }
    }
}

struct Rig {
    link: LinkConfig,
    library: Library,
    requests: u64,
    /// The endpoint has config space of its own.
    counts: bool,
}

impl Rig {
    fn new(config: &EndpointConfig, requests: u64) -> anyhow::Result<Self> {
        let link = LinkConfig { speed: config.link.speed, clock_hz: config.link.clock_hz, ..LinkConfig::default() };
        let counts = config.link.interface == LinkInterface::Tlp;
        Ok(Rig { link, library: design::library(config)?, requests, counts })
    }

    fn machine_options(&self) -> MachineOptions {
        MachineOptions { link: self.link.clone(), ..MachineOptions::default() }
    }

    fn start(&self) -> anyhow::Result<(Machine, Blk)> {
        let mut machine = Machine::new(&self.library, Disk::in_memory(SECTORS), &self.machine_options())?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let blk = Blk::probe(&mut machine, &mut bus, SLOT, &blk::Options::default())?;
        Ok((machine, blk))
    }

    fn blk(&self, bench: &mut Bench, bar: &ProgressBar) -> anyhow::Result<()> {
        for (write, name) in [(false, "read"), (true, "write")] {
            for depth in [1, 32] {
                let what = format!("blk {name}, depth {depth}");
                bar.set_message(format!("{}: {what}", self.link.speed.name()));
                let (mut machine, mut blk) = self.start()?;
                let mark = Mark::of(&mut machine, self.counts);
                let requests = if depth == 1 { self.requests / 10 } else { self.requests };
                let options = depth::Options { write, bytes: BLK_BYTES, depth, requests, seed: 0 };
                let result = depth::run(&mut machine, &mut blk, &self.link, &options);
                let figures = outcome(&mut machine, result)?;
                let (cycles, limit) = (figures.cycles_per_request, figures.limit_cycles);
                bench.rows.push(self.row(&mut machine, &mark, what, BLK_BYTES, cycles, limit)?);
            }
            bench.alone.push(self.blk_alone(write, name)?);
        }
        Ok(())
    }

    /// One 4 KiB request at a time.
    fn blk_alone(&self, write: bool, name: &str) -> anyhow::Result<Alone> {
        let (mut machine, mut blk) = self.start()?;
        let address = machine.allocate(BLK_BYTES.into(), 4096).context("no guest memory")?;
        let ring = used_ring(blk.queue());
        let operation = if write { Operation::Out } else { Operation::In };
        let data = vec![Buffer { address, bytes: BLK_BYTES, writable: !write }];
        let request = Request { operation, sector: 0, data, shape: Shape::Direct };
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            blk.execute(machine, &request, PATIENCE)?;
            Ok::<_, ScenarioError>(())
        })?;
        Ok(self.alone(format!("blk {name} 4 KiB"), latency))
    }

    /// The machine with a network port, its driver, and the far end of its wire.
    fn start_net(&self) -> anyhow::Result<(Machine, Net, FarEnd)> {
        let wire = FarEnd::default();
        let port = DevicePort::Net(NetPort::new(wire.backend(), [2, 0, 0, 0, 0, 1], self.link.clock_hz));
        let options = MachineOptions { wire_bytes_per_second: FAST_WIRE, ..self.machine_options() };
        let mut machine = Machine::with_port(&self.library, port, &options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let net = Net::probe(&mut machine, &mut bus, SLOT, &net::Options::default())?;
        Ok((machine, net, wire))
    }

    fn net(&self, bench: &mut Bench, bar: &ProgressBar) -> anyhow::Result<()> {
        for (transmit, name) in [(true, "net transmit"), (false, "net receive")] {
            for bytes in FRAME_BYTES {
                bar.set_message(format!("{}: {name}, {bytes} bytes", self.link.speed.name()));
                let (mut machine, mut net, wire) = self.start_net()?;
                let mark = Mark::of(&mut machine, self.counts);
                let options = rate::Options { transmit, bytes, frames: self.requests };
                let result = rate::run(&mut machine, &mut net, &wire, &self.link, &options);
                let figures = outcome(&mut machine, result)?;
                let (cycles, limit) = (figures.cycles_per_frame, figures.limit_cycles);
                bench.rows.push(self.row(&mut machine, &mark, name.into(), bytes, cycles, limit)?);
            }
        }
        bench.alone.push(self.transmit_alone()?);
        bench.alone.push(self.receive_alone()?);
        Ok(())
    }

    /// One frame to the wire at a time.
    fn transmit_alone(&self) -> anyhow::Result<Alone> {
        let (mut machine, mut net, _wire) = self.start_net()?;
        let ring = used_ring(net.queues().1);
        let outgoing = Outgoing { frame: vec![0x5a; 64], ..Outgoing::default() };
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            net.send(machine, &outgoing)?;
            net.kick(machine)?;
            let deadline = machine.now() + PATIENCE;
            while net.transmitting() > 0 && machine.now() < deadline {
                net.wait(machine, deadline)?;
            }
            Ok(())
        })?;
        Ok(self.alone("net transmit 64 B".into(), latency))
    }

    /// One buffer for a frame at a time, with a frame that waits for it.
    fn receive_alone(&self) -> anyhow::Result<Alone> {
        let (mut machine, mut net, wire) = self.start_net()?;
        let ring = used_ring(net.queues().0);
        let bytes = net.header_bytes() + 64;
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            wire.put(Duration::ZERO, vec![0x5a; 64]);
            machine.run(100);
            net.provide(machine, bytes, &[], Shape::Direct)?;
            net.kick(machine)?;
            let deadline = machine.now() + PATIENCE;
            while net.receive_buffers() > 0 && machine.now() < deadline {
                net.wait(machine, deadline)?;
            }
            Ok(())
        })?;
        Ok(self.alone("net receive 64 B".into(), latency))
    }

    fn alone(&self, what: String, latency: Latency) -> Alone {
        Alone { link: self.link.speed.name(), what, clock_hz: self.link.clock_hz, latency }
    }

    fn row(
        &self,
        machine: &mut Machine,
        before: &Mark,
        what: String,
        bytes: u32,
        cycles: f64,
        limit: f64,
    ) -> anyhow::Result<Row> {
        machine.check()?;
        let after = Mark::of(machine, self.counts);
        if let Some((cycle, first)) = machine.root().violations().first() {
            bail!("the device broke a rule of PCI Express in cycle {cycle}: {first}");
        }
        let passed = (after.cycle - before.cycle) as f64;
        let (now, then) = (after.statistics, before.statistics);
        let carried = |bytes: u64| bytes as f64 / (passed * self.link.bytes_per_cycle());
        let stalled = |(now, then): (u32, u32)| u64::from(now.wrapping_sub(then));
        let stalls = after.stalls.zip(before.stalls).map(|([tag, credit, busy], then)| Stalls {
            no_tag: stalled((tag, then[0])),
            no_credit: stalled((credit, then[1])),
            link_busy: stalled((busy, then[2])),
        });
        let per_second = self.link.clock_hz as f64 / cycles;
        Ok(Row {
            link: self.link.speed.name(),
            what,
            bytes,
            cycles,
            limit,
            share: limit / cycles,
            per_second,
            gigabits: per_second * f64::from(bytes) * 8.0 / 1e9,
            to_device: carried(now.to_device_bytes - then.to_device_bytes),
            to_host: carried(now.to_host_bytes - then.to_host_bytes),
            reads: (now.read_cycles - then.read_cycles) as f64 / passed,
            most_reads: now.most_reads,
            stalls,
        })
    }
}

/// Where a queue's used ring lies.
fn used_ring(queue: &Virtqueue) -> Range<u64> {
    let used = layout::used_offset(queue.size());
    queue.address() + used..queue.address() + layout::ring_bytes(queue.size())
}

impl Bench {
    fn print(&self) {
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
        for row in &self.rows {
            let count =
                |of: fn(&Stalls) -> u64| row.stalls.as_ref().map_or("-".into(), |stalls| of(stalls).to_string());
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
        for alone in &self.alone {
            let spread = |s: latency::Spread| format!("{:>5}/{:>5}/{:>5}", s.least, s.median, s.p99);
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
}
