//! `virtio-hdl sim`
use super::device::Device;
use super::files::Files;
use super::machine::{outcome, BoundDisk};
use super::progress;
use super::settings::Settings;
use super::summary::{Phase, Summary};
use super::trace::TraceArguments;
use crate::backend::console::Typist;
use crate::backend::{BalloonPort, ConsolePort, Disk, DiskPort, NetPort, SECTOR_BYTES};
use crate::design;
use crate::host::balloon::{self, Balloon};
use crate::host::console::{self, Console};
use crate::host::net::{self, Net};
use crate::host::pci::{self, Bus};
use crate::host::requests::{self, Requests};
use crate::link::{CompletionCut, LinkConfig};
use crate::machine::{Machine, MachineOptions, SLOT};
use crate::model::{Library, Stall};
use crate::scenario::transfer::Way;
use crate::scenario::wire::FarEnd;
use crate::scenario::{self, bytes, depth, events, frames, pages, random, transfer};
use crate::trace::TraceOptions;
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs;
use std::path::{Path, PathBuf};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::virtio::layout;

/// Sectors of the disk in memory where no image is given.
const MEMORY_SECTORS: u64 = 8192;
/// Most requests of a run.
const MOST_REQUESTS: u64 = 1_000_000_000;
/// Slowest disk: a request that takes longer counts as lost.
pub(super) const MOST_DISK_LATENCY: u64 = 2_000_000;

/// How much of an image is in memory at once.
const PIECE_BYTES: u64 = 1 << 20;
/// The largest disk for the scenario that models all of it.
const MOST_RANDOM_SECTORS: u64 = (1 << 30) / SECTOR_BYTES;

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// Reads the whole disk, and writes what is on it through the endpoint to a second disk
    Copy,
    /// Random requests, compared with a software model of the disk
    Random,
    /// Reads and writes of 4 KiB with 1 and with 32 outstanding, against the link's limit
    Depth,
    /// Random frames both ways, each of which must arrive once, in order and whole (net)
    Frames,
    /// Random bytes both ways, each of which must arrive once and in order (console)
    Bytes,
    /// Random pages into the balloon and out of it, against a model of the guest's memory (balloon)
    Pages,
    /// Random requests to a program, each of which must be answered once (firmware)
    Requests,
    /// Control events at random moments under load: limits, sleep, bus mastering, interrupts, resets, failing reads
    Events,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Cut {
    /// At every read completion boundary, 64 bytes
    Boundary,
    /// At multiples of the largest payload
    MaxPayload,
    /// At boundaries chosen at random
    Random,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl sim blk --disk disk.img --to copy.img\n  \
    virtio-hdl sim blk --scenario depth\n  \
    virtio-hdl sim blk --set blk.queues=4 --set read_tags=64 --scenario depth\n  \
    virtio-hdl sim blk --scenario random --requests 5000 --seed 7 --cut random --stall 40\n  \
    virtio-hdl sim blk --disk disk.img --read-only --vcd notify.vcd --vcd-trigger notify --vcd-to 2000\n  \
    virtio-hdl sim net --scenario frames --requests 50000 --seed 3 --stall 40\n  \
    virtio-hdl sim rng --scenario requests --requests 50\n  \
    virtio-hdl sim console --scenario bytes --requests 100000 --stall 40\n  \
    virtio-hdl sim balloon --scenario pages --requests 20000 --stall 40\n  \
    virtio-hdl sim net --scenario events --requests 1000 --seed 5\n  \
    virtio-hdl sim blk --speed")]
pub(super) struct Arguments {
    /// TOML file, or name of an example
    config: String,
    #[command(flatten)]
    settings: Settings,
    /// What to do
    #[arg(long, value_enum, default_value_t = Scenario::Copy)]
    scenario: Scenario,
    /// Disk image; without one, a disk in memory
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// Second disk image, which is made or overwritten (scenario copy)
    #[arg(long, value_name = "IMAGE")]
    to: Option<PathBuf>,
    /// The disk refuses writes
    #[arg(long)]
    read_only: bool,
    /// Cycles that the disk takes for a request
    #[arg(long, default_value_t = 0, value_name = "CYCLES", value_parser = clap::value_parser!(u64).range(..=MOST_DISK_LATENCY))]
    disk_latency: u64,
    /// Requests (scenarios random and depth), frames each way (frames), bytes each way (bytes), pages (pages),
    /// control events (events)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_REQUESTS))]
    requests: Option<u64>,
    /// Requests outstanding, if the queue holds so many
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    depth: u64,
    /// Decides everything random; the same seed gives the same run
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where the root complex cuts completions
    #[arg(long, value_enum, default_value_t = Cut::MaxPayload)]
    cut: Cut,
    /// In how many of 256 cycles each stream stands still at random
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=200))]
    stall: u8,
    #[command(flatten)]
    trace: TraceArguments,
    /// Compare the speed of the co-simulation with that of the bare model
    #[arg(long)]
    speed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What all scenarios need.
struct Setup<'a> {
    arguments: &'a Arguments,
    config: EndpointConfig,
    library: Library,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut config = arguments.settings.load(&arguments.config)?;
    match (Device::of(config.device)?, arguments.scenario) {
        // late answers and sleeps longer than the completion timeout are among the events: a short one makes them cheap
        (Device::Blk | Device::Net | Device::Console | Device::Balloon, Scenario::Events) => {
            config.completion_timeout_us = events::COMPLETION_TIMEOUT_US;
        }
        (Device::Net, Scenario::Frames) => {}
        (Device::Net, _) => bail!("{} is a network endpoint: give --scenario frames or events", arguments.config),
        (Device::Console, Scenario::Bytes) => {}
        (Device::Console, _) => bail!("{} is a console: give --scenario bytes or events", arguments.config),
        (Device::Balloon, Scenario::Pages) => {}
        (Device::Balloon, _) => bail!("{} is a memory balloon: give --scenario pages or events", arguments.config),
        (Device::Firmware, Scenario::Requests) => {}
        (Device::Firmware, _) => bail!("{} is a device that is a program: give --scenario requests", arguments.config),
        (Device::Blk, Scenario::Frames) => {
            bail!("{} is a disk: --scenario frames is for network endpoints", arguments.config)
        }
        (Device::Blk, Scenario::Bytes) => {
            bail!("{} is a disk: --scenario bytes is for consoles", arguments.config)
        }
        (Device::Blk, Scenario::Requests) => {
            bail!("{} is a disk: --scenario requests is for devices that are a program", arguments.config)
        }
        (Device::Blk, Scenario::Pages) => {
            bail!("{} is a disk: --scenario pages is for memory balloons", arguments.config)
        }
        (Device::Blk, _) => {}
    }
    // What is wrong with the user's files is said before anything is built, or written.
    let files = Files::default().reads("CONFIG", Some(Path::new(&arguments.config)).filter(|path| path.is_file()));
    let files = files.reads("--disk", arguments.disk.as_deref()).writes("--to", arguments.to.as_deref());
    arguments.trace.add_to(files).check()?;
    if let Some(path) = &arguments.disk {
        Disk::open(path, arguments.read_only || arguments.scenario == Scenario::Copy)?;
    }
    if arguments.scenario == Scenario::Copy && arguments.disk.is_none() && !arguments.speed {
        bail!("--scenario copy needs a disk image: --disk IMAGE; `make demo` makes one");
    }
    if arguments.to.is_some() && arguments.scenario != Scenario::Copy {
        bail!("--to belongs to --scenario copy");
    }
    let library = progress::shown(|progress| design::library_telling(&config, progress))?;
    let setup = Setup { arguments, config, library };
    if arguments.speed {
        let options = setup.machine_options(false);
        let speed =
            super::speed::measure(&setup.library, &options, arguments.disk_latency, arguments.requests.unwrap_or(500))?;
        return super::speed::print(&speed, arguments.json);
    }
    let summary = match arguments.scenario {
        Scenario::Copy => setup.copy()?,
        Scenario::Random => setup.random()?,
        Scenario::Depth => setup.depth()?,
        Scenario::Frames => setup.frames()?,
        Scenario::Bytes => setup.bytes()?,
        Scenario::Pages => setup.pages()?,
        Scenario::Requests => setup.requests()?,
        Scenario::Events => setup.events()?,
    };
    summary.print(arguments.json)
}

impl Setup<'_> {
    fn machine_options(&self, trace: bool) -> MachineOptions {
        let arguments = self.arguments;
        let link = LinkConfig {
            speed: self.config.link.speed,
            clock_hz: self.config.link.clock_hz,
            seed: arguments.seed,
            completion_cut: match arguments.cut {
                Cut::Boundary => CompletionCut::Boundary,
                Cut::MaxPayload => CompletionCut::MaxPayload,
                Cut::Random => CompletionCut::Random,
            },
            ..LinkConfig::default()
        };
        let trace = if trace { arguments.trace.options() } else { TraceOptions::default() };
        let stall = Stall { receive: arguments.stall, transmit: arguments.stall, device: arguments.stall };
        MachineOptions { link, stall, trace, ..MachineOptions::default() }
    }

    fn disk(&self, read_only: bool) -> anyhow::Result<Disk> {
        let disk = match &self.arguments.disk {
            Some(path) => Disk::open(path, read_only)?,
            None => Disk::in_memory(MEMORY_SECTORS),
        };
        Ok(disk.with_serial(&self.config.blk_options().serial))
    }

    fn start(&self, disk: Disk, trace: bool) -> anyhow::Result<BoundDisk> {
        let disk = DiskPort::new(disk, self.arguments.disk_latency);
        BoundDisk::start(&self.library, disk, &self.machine_options(trace))
    }

    fn summary(&self) -> Summary {
        Summary::new(&self.machine_options(false).link, self.library.was_built())
    }

    /// Piece by piece: an image may be larger than the memory. What the endpoint says is compared with the image itself.
    fn copy(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let image = self.disk(true)?;
        let bytes = image.sectors() * SECTOR_BYTES;
        let mut piece = vec![0; PIECE_BYTES.min(bytes) as usize];
        let mut original = piece.clone();
        let same = |name: &str, start: u64, found: &[u8], original: &mut [u8]| -> anyhow::Result<()> {
            let original = &mut original[..found.len()];
            image.read(start / SECTOR_BYTES, original)?;
            match found.iter().zip(&*original).position(|(found, original)| found != original) {
                Some(first) => {
                    bail!("{name}: what was read differs from the original, first at byte {}", start + first as u64)
                }
                None => Ok(()),
            }
        };
        let reading = self.start(self.disk(true)?, true)?;
        summary.add(self.transfer("read", reading, Way::Read, bytes, &mut piece, &mut |start, found| {
            same("read", start, found, &mut original)
        })?);
        if self.arguments.read_only && self.arguments.to.is_none() {
            return Ok(summary);
        }
        let writing = self.start(self.target(bytes)?.with_serial(&self.config.blk_options().serial), false)?;
        summary.add(self.transfer("write", writing, Way::Write, bytes, &mut piece, &mut |start, piece| {
            Ok(image.read(start / SECTOR_BYTES, piece)?)
        })?);
        let target = match &self.arguments.to {
            Some(path) => Disk::open(path, true)?,
            None => return Ok(summary),
        };
        let checking = self.start(target, false)?;
        summary.add(self.transfer("read back", checking, Way::Read, bytes, &mut piece, &mut |start, found| {
            same("read back", start, found, &mut original)
        })?);
        Ok(summary)
    }

    /// The disk that is written.
    fn target(&self, bytes: u64) -> anyhow::Result<Disk> {
        let Some(path) = &self.arguments.to else { return Ok(Disk::in_memory(bytes / SECTOR_BYTES)) };
        let file = fs::File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(bytes).with_context(|| format!("cannot make {} as large as the disk", path.display()))?;
        Ok(Disk::open(path, false)?)
    }

    /// Moves `bytes` bytes piece by piece, each of which `each` makes before it is written, or gets when it was read, with
    /// its place on the disk.
    fn transfer(
        &self,
        name: &str,
        bound: BoundDisk,
        way: Way,
        bytes: u64,
        piece: &mut [u8],
        each: &mut dyn FnMut(u64, &mut [u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Phase> {
        let BoundDisk { mut machine, mut blk } = bound;
        let bar = progress_bar(name, bytes);
        let mut phase = Phase::begin(name, &machine);
        let depth = self.arguments.depth as usize;
        let mut start = 0;
        while start < bytes {
            let length = (bytes - start).min(piece.len() as u64);
            let piece = &mut piece[..length as usize];
            if way == Way::Write {
                each(start, piece)?;
            }
            let show = &mut |done| bar.set_position(start + done);
            let result = transfer::run(&mut machine, &mut blk, way, start, piece, depth, show);
            phase.requests += outcome(&mut machine, result)?;
            if way == Way::Read {
                each(start, piece)?;
            }
            start += length;
        }
        phase.bytes = bytes;
        bar.finish_and_clear();
        phase.end(&mut machine)?;
        Ok(phase)
    }

    fn random(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let disk = self.disk(self.arguments.read_only)?;
        if disk.sectors() > MOST_RANDOM_SECTORS {
            bail!("--scenario random keeps a model of the whole disk, which may have 1 GiB: give a smaller image");
        }
        let mut content = vec![0; usize::try_from(disk.sectors() * SECTOR_BYTES)?];
        disk.read(0, &mut content)?;
        let read_only = disk.is_read_only();
        let BoundDisk { mut machine, mut blk } = self.start(disk, true)?;
        let options = random::Options {
            requests: self.arguments.requests.unwrap_or(2000),
            depth: self.arguments.depth as usize,
            seed: self.arguments.seed,
            serial: self.config.blk_options().serial.clone(),
            read_only,
            strict: true,
        };
        let bar = progress_bar("random", options.requests);
        let mut phase = Phase::begin("random", &machine);
        let result = random::run(&mut machine, &mut blk, &mut content, &options, &mut |done| bar.set_position(done));
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.requests;
        phase.bytes = report.read_bytes + report.written_bytes;
        phase.end(&mut machine)?;
        let mut after = vec![0; content.len()];
        machine.side::<DiskPort>().context("no disk")?.disk().read(0, &mut after)?;
        if after != content {
            bail!("seed {}: the disk differs from the model of it", self.arguments.seed);
        }
        summary.add(phase);
        Ok(summary)
    }

    fn frames(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(true);
        let wire = FarEnd::default();
        let port = NetPort::new(wire.backend(), self.config.net_options().mac, options.link.clock_hz);
        let mut machine = Machine::new(&self.library, Box::new(port), &options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let driver = net::Options { scatter: Some(self.arguments.seed), ..net::Options::default() };
        let mut net = Net::probe(&mut machine, &mut bus, SLOT, &driver)?;
        let run = frames::Options {
            frames: self.arguments.requests.unwrap_or(2000),
            depth: self.arguments.depth as usize,
            seed: self.arguments.seed,
            clock_hz: options.link.clock_hz,
        };
        let bar = progress_bar("frames", 2 * run.frames);
        let mut phase = Phase::begin("frames", &machine);
        let result = frames::run(&mut machine, &mut net, &wire, &run, &mut |done| bar.set_position(done));
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.sent_frames + report.received_frames;
        phase.bytes = report.sent_bytes + report.received_bytes;
        phase.end(&mut machine)?;
        summary.add(phase);
        Ok(summary)
    }

    fn console_port(&self, typist: &Typist) -> ConsolePort {
        let size = super::endpoint::terminal_size(&self.config);
        ConsolePort::new(Box::new(typist.console()), size, self.config.link.clock_hz)
    }

    fn bytes(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(true);
        let typist = Typist::default();
        let mut machine = Machine::new(&self.library, Box::new(self.console_port(&typist)), &options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let driver = console::Options { scatter: Some(self.arguments.seed), ..console::Options::default() };
        let mut console = Console::probe(&mut machine, &mut bus, SLOT, &driver)?;
        let run = bytes::Options {
            bytes: self.arguments.requests.unwrap_or(50_000),
            depth: self.arguments.depth as usize,
            seed: self.arguments.seed,
        };
        let bar = progress_bar("bytes", 2 * run.bytes);
        let mut phase = Phase::begin("bytes", &machine);
        let result = bytes::run(&mut machine, &mut console, &typist, &run, &mut |done| bar.set_position(done));
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.printed_chains + report.typed_chains;
        phase.bytes = report.printed_bytes + report.typed_bytes;
        phase.end(&mut machine)?;
        summary.add(phase);
        Ok(summary)
    }

    fn pages(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(true);
        let mut port = BalloonPort::new(0, options.link.clock_hz);
        let handle = port.handle();
        let mut machine = Machine::new(&self.library, Box::new(port), &options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let driver = balloon::Options { scatter: Some(self.arguments.seed), ..balloon::Options::default() };
        let mut balloon = Balloon::probe(&mut machine, &mut bus, SLOT, &driver)?;
        let run = pages::Options {
            pages: self.arguments.requests.unwrap_or(20_000),
            depth: self.arguments.depth as usize,
            seed: self.arguments.seed,
        };
        let bar = progress_bar("pages", run.pages);
        let mut phase = Phase::begin("pages", &machine);
        let result = pages::run(&mut machine, &mut balloon, &handle, &run, &mut |done| bar.set_position(done));
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.chains;
        phase.bytes = u64::from(layout::balloon::FRAME_BYTES) * (report.inflated + report.deflated);
        phase.end(&mut machine)?;
        summary.add(phase);
        Ok(summary)
    }

    fn requests(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(true);
        let port = ConsolePort::of_program(Box::new(()), options.link.clock_hz);
        let mut machine = Machine::new(&self.library, Box::new(port), &options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let queues = self.config.queue_count();
        let driver = requests::Options { queues, scatter: Some(self.arguments.seed), ..requests::Options::default() };
        let mut driver = Requests::probe(&mut machine, &mut bus, SLOT, self.config.virtio_id(), &driver)?;
        let run = scenario::requests::Options {
            requests: self.arguments.requests.unwrap_or(200),
            depth: self.arguments.depth as usize,
            queues,
            seed: self.arguments.seed,
        };
        let bar = progress_bar("requests", run.requests);
        let mut phase = Phase::begin("requests", &machine);
        // what a program should say only it knows
        let check = &mut |_: &_, _: &_| Ok(());
        let result =
            scenario::requests::run(&mut machine, &mut driver, &run, check, &mut |done| bar.set_position(done));
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.requests;
        phase.bytes = report.request_bytes + report.reply_bytes;
        phase.end(&mut machine)?;
        summary.add(phase);
        Ok(summary)
    }

    fn events(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(true);
        let run = events::Options {
            events: self.arguments.requests.unwrap_or(500),
            seed: self.arguments.seed,
            config: self.config.clone(),
            library: self.library.clone(),
            standstills: false,
        };
        let bar = progress_bar("events", run.events);
        let progress = &mut |done| bar.set_position(done);
        let (mut machine, result);
        let mut phase;
        match Device::of(self.config.device)? {
            Device::Blk => {
                let disk = DiskPort::new(Disk::in_memory(MEMORY_SECTORS), self.arguments.disk_latency);
                machine = Machine::new(&self.library, Box::new(disk), &options)?;
                phase = Phase::begin("events", &machine);
                result = events::run_disk(&mut machine, &run, progress);
            }
            Device::Console => {
                let typist = Typist::default();
                machine = Machine::new(&self.library, Box::new(self.console_port(&typist)), &options)?;
                phase = Phase::begin("events", &machine);
                result = events::run_console(&mut machine, &typist, &run, progress);
            }
            Device::Balloon => {
                let mut port = BalloonPort::new(0, options.link.clock_hz);
                let handle = port.handle();
                machine = Machine::new(&self.library, Box::new(port), &options)?;
                phase = Phase::begin("events", &machine);
                result = events::run_balloon(&mut machine, &handle, &run, progress);
            }
            Device::Firmware => bail!("no control events for {}", self.config.device.title),
            Device::Net => {
                let wire = FarEnd::default();
                let port = NetPort::new(wire.backend(), self.config.net_options().mac, options.link.clock_hz);
                machine = Machine::new(&self.library, Box::new(port), &options)?;
                phase = Phase::begin("events", &machine);
                result = events::run_port(&mut machine, &wire, &run, progress);
            }
        }
        let report = outcome(&mut machine, result)?;
        bar.finish_and_clear();
        phase.requests = report.ended;
        phase.end(&mut machine)?;
        summary.add(phase);
        Ok(summary)
    }

    fn depth(&self) -> anyhow::Result<Summary> {
        let mut summary = self.summary();
        let options = self.machine_options(false);
        let mut traced = true;
        for (write, name) in [(false, "read"), (true, "write")] {
            for depth in [1, self.arguments.depth] {
                let BoundDisk { mut machine, mut blk } = self.start(self.disk(self.arguments.read_only)?, traced)?;
                traced = false;
                if write && machine.side::<DiskPort>().is_some_and(|port| port.disk().is_read_only()) {
                    continue;
                }
                let requests = self.arguments.requests.unwrap_or(if depth == 1 { 200 } else { 2000 });
                let run =
                    depth::Options { write, bytes: 4096, depth: depth as usize, requests, seed: self.arguments.seed };
                let mut phase = Phase::begin("", &machine);
                let result = depth::run(&mut machine, &mut blk, &options.link, &run);
                let figures = outcome(&mut machine, result)?;
                phase.name = format!("{name} 4 KiB, depth {}", figures.depth);
                phase.requests = figures.requests;
                phase.bytes = figures.requests * u64::from(figures.bytes);
                phase.end(&mut machine)?;
                phase.figures = Some(figures);
                summary.add(phase);
            }
        }
        Ok(summary)
    }
}

fn progress_bar(name: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {percent}% ({elapsed}, {eta} to go)") {
        bar.set_style(style);
    }
    bar.set_message(name.to_string());
    bar
}
