//! What is measured at full speed, on a machine of its own each.
use super::alone::Alone;
use crate::backend::{Disk, DiskPort, NetPort};
use crate::cli::machine::{outcome, BoundDisk};
use crate::cli::progress;
use crate::design;
use crate::host::net::{self, Net};
use crate::host::pci::{self, Bus};
use crate::host::{Platform, Width};
use crate::link::{LinkConfig, Statistics};
use crate::machine::{Machine, MachineOptions, SLOT};
use crate::model::Library;
use crate::scenario::limit::Heads;
use crate::scenario::rate::Way;
use crate::scenario::wire::FarEnd;
use crate::scenario::{depth, rate};
use anyhow::bail;
use indicatif::ProgressBar;
use serde::Serialize;
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;

/// Sectors of the disk.
const SECTORS: u64 = 8192;
/// Bytes of the disk requests that are measured, and how many of them are outstanding.
const BLK_BYTES: [u32; 2] = [512, 4096];
const BLK_DEPTHS: [usize; 3] = [1, 8, 32];
/// Bytes of the frames that are measured.
const FRAME_BYTES: [u32; 6] = [64, 128, 256, 512, 1024, 1514];
/// Those that are measured both ways at once.
const BOTH_WAYS_BYTES: [u32; 2] = [64, 1514];
/// Those that are measured with scattered heads: for longer ones a descriptor more is nothing.
const SCATTERED_BYTES: u32 = 64;
/// Bytes per second that come by wire: more than any link carries.
const FAST_WIRE: f64 = 1e11;
/// Seed of the order of scattered heads.
const SCATTER: u64 = 1;
/// Where guest memory begins: most of a server's lies above 4 GiB, and there a packet's header is four bytes longer.
pub(super) const ABOVE: u64 = 4 << 30;
const BELOW: u64 = 0;

/// Diagnostics fields that count stalls: no tag, no credit for a read, the link takes no packet.
const STALLS: [u16; 3] = [9, 10, 11];

/// Where cycles went in which something could have been sent, by reason, as the endpoint counts them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stalls {
    /// A read waited for a free tag.
    pub no_tag: u64,
    /// A read waited for the link partner's credit.
    pub no_credit: u64,
    /// The link took no packet.
    pub link_busy: u64,
}

/// What a line of the table is about.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Case {
    /// Device, direction, depth.
    pub what: String,
    /// How the heads of the chains lie.
    pub heads: Heads,
    /// Bytes of each request.
    pub bytes: u32,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub link: &'static str,
    #[serde(flatten)]
    pub case: Case,
    /// Cycles per request, and those that the link allows.
    pub cycles: f64,
    pub limit: f64,
    /// Share of the limit, 0 to 1.
    pub share: f64,
    /// The same with memory below 4 GiB; the limit is still that of above.
    pub share_below: f64,
    /// Requests and payload per second.
    pub per_second: f64,
    pub gigabits: f64,
    /// Share of each direction of the link that is in use, 0 to 1.
    pub to_device: f64,
    pub to_host: f64,
    /// Reads in flight: mean, most.
    pub reads: f64,
    pub most_reads: usize,
    /// Behind hard IP the counters cannot be read.
    pub stalls: Option<Stalls>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Bench {
    pub rows: Vec<Row>,
    pub alone: Vec<Alone>,
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

/// An endpoint on a link.
pub(super) struct Rig {
    pub link: LinkConfig,
    library: Library,
    requests: u64,
    /// The endpoint has config space of its own.
    counts: bool,
}

/// What one measurement found: cycles per request, and those that the link allows.
struct Found {
    cycles: f64,
    limit: f64,
}

impl Rig {
    pub fn new(config: &EndpointConfig, requests: u64) -> anyhow::Result<Self> {
        let link = LinkConfig { speed: config.link.speed, clock_hz: config.link.clock_hz, ..LinkConfig::default() };
        let counts = config.link.interface == LinkInterface::Tlp;
        Ok(Rig {
            link,
            library: progress::shown(|progress| design::library_telling(config, progress))?,
            requests,
            counts,
        })
    }

    fn machine_options(&self, memory_start: u64) -> MachineOptions {
        MachineOptions { link: self.link.clone(), memory_start, ..MachineOptions::default() }
    }

    /// A disk and its driver.
    pub fn start_blk(&self, memory_start: u64) -> anyhow::Result<BoundDisk> {
        let disk = DiskPort::new(Disk::in_memory(SECTORS), 0);
        BoundDisk::start(&self.library, disk, &self.machine_options(memory_start))
    }

    /// The machine with a network port, its driver, and the far end of its wire.
    pub fn start_net(&self, memory_start: u64, heads: Heads) -> anyhow::Result<(Machine, Net, FarEnd)> {
        let wire = FarEnd::default();
        let port = NetPort::new(wire.backend(), [2, 0, 0, 0, 0, 1], self.link.clock_hz).with_wire_rate(FAST_WIRE);
        let mut machine = Machine::new(&self.library, Box::new(port), &self.machine_options(memory_start))?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let scatter = (heads == Heads::Scattered).then_some(SCATTER);
        let net = Net::probe(&mut machine, &mut bus, SLOT, &net::Options { scatter, ..net::Options::default() })?;
        Ok((machine, net, wire))
    }

    /// Measures a disk.
    pub fn blk(&self, bench: &mut Bench, bar: &ProgressBar) -> anyhow::Result<()> {
        for bytes in BLK_BYTES {
            for (write, name) in [(false, "read"), (true, "write")] {
                for depth in BLK_DEPTHS {
                    let what = format!("blk {name}, depth {depth}");
                    bar.set_message(format!("{}: {what}, {bytes} bytes", self.link.speed.name()));
                    let requests = if depth == 1 { self.requests / 10 } else { self.requests };
                    let options = depth::Options { write, bytes, depth, requests, seed: 0 };
                    let row = self.above_and_below(Case { what, bytes, heads: Heads::Runs }, |memory| {
                        let BoundDisk { mut machine, mut blk } = self.start_blk(memory)?;
                        let mark = Mark::of(&mut machine, self.counts);
                        let result = depth::run(&mut machine, &mut blk, &self.link, &options);
                        let figures = outcome(&mut machine, result)?;
                        Ok((machine, mark, Found { cycles: figures.cycles_per_request, limit: figures.limit_cycles }))
                    })?;
                    bench.rows.push(row);
                }
            }
        }
        Ok(())
    }

    /// Measures a network port.
    pub fn net(&self, bench: &mut Bench, bar: &ProgressBar) -> anyhow::Result<()> {
        for way in [Way::Transmit, Way::Receive] {
            for bytes in FRAME_BYTES {
                bench.rows.push(self.net_row(way, bytes, Heads::Runs, bar)?);
            }
            bench.rows.push(self.net_row(way, SCATTERED_BYTES, Heads::Scattered, bar)?);
        }
        for bytes in BOTH_WAYS_BYTES {
            bench.rows.push(self.net_row(Way::Both, bytes, Heads::Runs, bar)?);
        }
        bench.rows.push(self.net_row(Way::Both, SCATTERED_BYTES, Heads::Scattered, bar)?);
        Ok(())
    }

    fn net_row(&self, way: Way, bytes: u32, heads: Heads, bar: &ProgressBar) -> anyhow::Result<Row> {
        let what = match way {
            Way::Transmit => "net transmit",
            Way::Receive => "net receive",
            Way::Both => "net both ways",
        };
        bar.set_message(format!("{}: {what}, {bytes} bytes", self.link.speed.name()));
        let options = rate::Options { way, bytes, frames: self.requests, heads };
        self.above_and_below(Case { what: what.into(), bytes, heads }, |memory| {
            let (mut machine, mut net, wire) = self.start_net(memory, heads)?;
            let mark = Mark::of(&mut machine, self.counts);
            let result = rate::run(&mut machine, &mut net, &wire, &self.link, &options);
            let figures = outcome(&mut machine, result)?;
            Ok((machine, mark, Found { cycles: figures.cycles_per_frame, limit: figures.limit_cycles }))
        })
    }

    /// What `measure` finds with memory above 4 GiB, and the share with memory below.
    fn above_and_below(
        &self,
        case: Case,
        measure: impl Fn(u64) -> anyhow::Result<(Machine, Mark, Found)>,
    ) -> anyhow::Result<Row> {
        let (mut machine, _, below) = measure(BELOW)?;
        keeps_the_rules(&mut machine)?;
        let (mut machine, before, found) = measure(ABOVE)?;
        keeps_the_rules(&mut machine)?;
        let after = Mark::of(&mut machine, self.counts);
        let passed = (after.cycle - before.cycle) as f64;
        let (now, then) = (after.statistics, before.statistics);
        let carried = |bytes: u64| bytes as f64 / (passed * self.link.bytes_per_cycle());
        let stalled = |(now, then): (u32, u32)| u64::from(now.wrapping_sub(then));
        let stalls = after.stalls.zip(before.stalls).map(|([tag, credit, busy], then)| Stalls {
            no_tag: stalled((tag, then[0])),
            no_credit: stalled((credit, then[1])),
            link_busy: stalled((busy, then[2])),
        });
        let Found { cycles, limit } = found;
        let per_second = self.link.clock_hz as f64 / cycles;
        Ok(Row {
            link: self.link.speed.name(),
            cycles,
            limit,
            share: limit / cycles,
            share_below: below.limit / below.cycles,
            per_second,
            gigabits: per_second * f64::from(case.bytes) * 8.0 / 1e9,
            case,
            to_device: carried(now.to_device_bytes - then.to_device_bytes),
            to_host: carried(now.to_host_bytes - then.to_host_bytes),
            reads: (now.read_cycles - then.read_cycles) as f64 / passed,
            most_reads: now.most_reads,
            stalls,
        })
    }
}

/// An error if the model failed, or the device broke a rule of PCI Express.
fn keeps_the_rules(machine: &mut Machine) -> anyhow::Result<()> {
    machine.check()?;
    if let Some((cycle, first)) = machine.root().violations().first() {
        bail!("the device broke a rule of PCI Express in cycle {cycle}: {first}");
    }
    Ok(())
}
