//! The endpoint that the commands `serve` and `qemu` put on a socket.
use super::ctl;
use super::device::Device;
use super::files::Files;
use super::progress::shown;
use super::settings::Settings;
use super::trace::TraceArguments;
use crate::backend::console::{ConsoleBackend, ConsoleSpec, FileConsole, TerminalSize};
use crate::backend::net::{Link, NetBackend, NetSpec, Recorder};
use crate::backend::{BalloonPort, ConsolePort, Disk, DiskPort, NetPort};
use crate::bridge::{Bridge, BridgeOptions, MsixMode};
use crate::control::{Control, MOST_MEBIBYTES};
use crate::design::{self, OwnRtl};
use crate::model::DeviceSide;
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use vfio_user_server::ServerOptions;
use virtio_hdl_rtl::config::{DeviceType, EndpointConfig};
use virtio_hdl_rtl::device::net::NetOptions;
use virtio_hdl_rtl::device::{BALLOON, BLK, CONSOLE, FIRMWARE, NET};

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dma {
    /// The guest's memory is mapped where QEMU hands it over (share=on), else by messages
    Map,
    /// Every access is a message to QEMU: slower, needs no shared memory
    Message,
}

/// Seconds of the endpoint's time: no disk takes longer.
const MOST_LATENCY: u64 = 1_000_000_000;

/// What is put on a socket.
pub(super) enum Subject {
    /// An endpoint that is generated.
    Virtio(Box<EndpointConfig>),
    /// RTL of the user's own.
    Own(Box<OwnRtl>),
}

/// What is opened before anything is built.
pub(super) enum Opened {
    /// Own RTL has no device side.
    Nothing,
    /// The image, locked.
    Disk(Disk),
    /// The network, connected, and the card's address.
    Net(Box<dyn NetBackend>, [u8; 6]),
    /// What the console is connected to, and its size where that has none.
    Console(Box<dyn ConsoleBackend>, TerminalSize),
    /// Pages that the balloon is to have at first.
    Balloon(u32),
    /// What the program's bytes are connected to.
    Firmware(Box<dyn ConsoleBackend>),
}

#[derive(Args)]
pub(super) struct EndpointArguments {
    /// TOML file, of a configuration or of RTL of your own (docs/own-rtl.md), or name of an example
    pub config: String,
    #[command(flatten)]
    settings: Settings,
    /// Disk image, raw, or a block device (blk)
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// The disk refuses writes (blk)
    #[arg(long)]
    pub read_only: bool,
    /// Cycles that the disk takes for a request; 0 if not given (blk)
    #[arg(long, value_name = "CYCLES", value_parser = clap::value_parser!(u64).range(..=MOST_LATENCY))]
    disk_latency: Option<u64>,
    /// What the Ethernet port is connected to (net): peer (a built-in host, 10.0.2.2), loopback[,swap], unix:LOCAL,REMOTE,
    /// udp:LOCAL:PORT,REMOTE:PORT, tap:NAME, pcap:FILE[,fast]; peer if not given
    #[arg(long, value_name = "NETWORK")]
    net: Option<NetSpec>,
    /// Hardware address, in place of the configuration's (net)
    #[arg(long, value_name = "MAC", value_parser = hardware_address)]
    mac: Option<[u8; 6]>,
    /// Write what crosses the wire as pcapng (net)
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// What the console is connected to (console), or that of the program (firmware): stdio (this terminal), pty, unix:PATH (a socket for one client at a time), file:PATH
    #[arg(long, value_name = "CONSOLE")]
    console: Option<ConsoleSpec>,
    /// Write what the program says (firmware)
    #[arg(long, value_name = "FILE", conflicts_with = "console")]
    firmware_log: Option<PathBuf>,
    /// Memory that the balloon takes from the guest at first, and gives to the host; 0 if not given (balloon)
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_MEBIBYTES)))]
    balloon: Option<u32>,
    /// Who turns MSI-X messages into interrupts
    #[arg(long, value_enum, default_value_t = MsixMode::Table)]
    pub msix: MsixMode,
    /// How the endpoint reaches the guest's memory
    #[arg(long, value_enum, default_value_t = Dma::Map)]
    pub dma: Dma,
    /// Decides what registers without reset hold at power on
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Unix socket to make for commands: see `virtio-hdl ctl --help`
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    #[command(flatten)]
    trace: TraceArguments,
}

impl EndpointArguments {
    /// The configuration that is named. What belongs to the other kind of device is refused.
    pub fn configuration(&self) -> anyhow::Result<EndpointConfig> {
        let config = self.settings.load(&self.config)?;
        let misplaced = self.of_the_device_side().find(|(_, devices)| !devices.contains(&config.device));
        if let Some((option, _)) = misplaced {
            bail!("{option} has no effect: {} is {}", self.config, config.device.title);
        }
        Ok(config)
    }

    /// The options that were given of what is behind the endpoint, each with the devices it is for.
    fn of_the_device_side(&self) -> impl Iterator<Item = (&'static str, Vec<&'static DeviceType>)> {
        let options = [
            ("--net", self.net.is_some(), vec![&NET]),
            ("--mac", self.mac.is_some(), vec![&NET]),
            ("--pcap", self.pcap.is_some(), vec![&NET]),
            ("--console", self.console.is_some(), vec![&CONSOLE, &FIRMWARE]),
            ("--firmware-log", self.firmware_log.is_some(), vec![&FIRMWARE]),
            ("--balloon", self.balloon.is_some(), vec![&BALLOON]),
            ("--disk", self.disk.is_some(), vec![&BLK]),
            ("--read-only", self.read_only, vec![&BLK]),
            ("--disk-latency", self.disk_latency.is_some(), vec![&BLK]),
        ];
        options.into_iter().filter(|(_, given, _)| *given).map(|(option, _, devices)| (option, devices))
    }

    /// What is named: a configuration, or RTL of the user's own, which has no device side for the options to speak of.
    pub fn subject(&self) -> anyhow::Result<Subject> {
        let Some(path) = super::own_rtl(&self.config) else {
            return Ok(Subject::Virtio(Box::new(self.configuration()?)));
        };
        if let Some((option, _)) = self.of_the_device_side().next() {
            bail!("{option} has no effect: {} is RTL of your own, with nothing behind it", self.config);
        }
        if !self.settings.set.is_empty() {
            bail!("--set has no effect: {} is RTL of your own, which no configuration generates", self.config);
        }
        Ok(Subject::Own(Box::new(OwnRtl::load(path)?)))
    }

    /// Whether the console is to be this terminal.
    pub fn takes_the_terminal(&self) -> bool {
        self.console == Some(ConsoleSpec::Stdio)
    }

    /// All files that are named.
    pub fn files(&self) -> Files<'_> {
        let capture = match &self.net {
            Some(NetSpec::Pcap { path, .. }) => Some(path.as_path()),
            _ => None,
        };
        let files = Files::default().reads("CONFIG", Some(Path::new(&self.config)).filter(|path| path.is_file()));
        let files = files.reads("--disk", self.disk.as_deref()).reads("--net", capture);
        let printed = match &self.console {
            Some(ConsoleSpec::File(path)) => Some(path.as_path()),
            _ => None,
        };
        let files = files.writes("--console", printed).writes("--firmware-log", self.firmware_log.as_deref());
        self.trace.add_to(files.writes("--pcap", self.pcap.as_deref()))
    }

    /// Opens what the arguments put at the device side.
    pub fn open(&self, subject: &Subject) -> anyhow::Result<Opened> {
        let config = match subject {
            Subject::Virtio(config) => config,
            Subject::Own(_) => return Ok(Opened::Nothing),
        };
        match Device::of(config.device)? {
            Device::Blk => {
                let image = self.disk.as_deref();
                let image =
                    image.context("a disk is needed: --disk IMAGE; `mkfs.ext4 -d FOLDER disk.img 64M` makes one")?;
                self.open_disk(config, image)
            }
            Device::Net => {
                let network = self.net.as_ref().unwrap_or(&NetSpec::Peer).open()?;
                Ok(Opened::Net(network, self.mac.unwrap_or(config.net_options().mac)))
            }
            Device::Console => {
                let console = self.console.as_ref().context(
                    "something to connect the console to is needed: --console stdio, pty, unix:PATH or file:PATH",
                )?;
                Ok(Opened::Console(open_console(console)?, terminal_size(config)))
            }
            Device::Firmware => Ok(Opened::Firmware(match (&self.console, &self.firmware_log) {
                (Some(console), _) => open_console(console)?,
                (None, Some(path)) => Box::new(FileConsole::create(path).context("--firmware-log")?),
                (None, None) => Box::new(()),
            })),
            Device::Balloon => Ok(Opened::Balloon(BalloonPort::pages(self.balloon.unwrap_or(0)))),
        }
    }

    /// This image as the endpoint's disk.
    pub fn open_disk(&self, config: &EndpointConfig, image: &Path) -> anyhow::Result<Opened> {
        Ok(Opened::Disk(Disk::open(image, self.read_only)?.with_serial(&config.blk_options().serial)))
    }

    /// Makes the socket for commands, if there is to be one.
    pub fn control(&self) -> anyhow::Result<Option<Control>> {
        ctl::bind(self.control.as_deref())
    }

    /// Builds the endpoint, and opens what is written.
    pub fn bridge(&self, subject: &Subject, opened: Opened, control: Option<Control>) -> anyhow::Result<Bridge> {
        let (library, clock_hz) = match subject {
            Subject::Virtio(config) => {
                let library = shown(|progress| design::library_telling(config, progress))?;
                (library, config.link.clock_hz)
            }
            Subject::Own(rtl) => (shown(|progress| rtl.library(progress))?, rtl.clock_hz()),
        };
        let side: Box<dyn DeviceSide> = match opened {
            Opened::Nothing => Box::new(()),
            Opened::Disk(disk) => Box::new(DiskPort::new(disk, self.disk_latency.unwrap_or(0))),
            Opened::Net(backend, mac) => {
                let link = Link::new(backend)?;
                let switch = link.switch();
                let mut backend: Box<dyn NetBackend> = Box::new(link);
                if let Some(path) = &self.pcap {
                    backend = Box::new(Recorder::create(backend, path)?);
                }
                Box::new(NetPort::new(backend, mac, clock_hz).with_switch(switch))
            }
            Opened::Console(backend, size) => Box::new(ConsolePort::new(backend, size, clock_hz)),
            Opened::Balloon(target) => Box::new(BalloonPort::new(target, clock_hz)),
            Opened::Firmware(backend) => Box::new(ConsolePort::of_program(backend, clock_hz)),
        };
        let options = BridgeOptions { clock_hz, msix: self.msix, seed: self.seed, trace: self.trace.options() };
        let mut bridge = Bridge::new(&library, side, &options).context("cannot start the endpoint")?;
        if let Some(control) = control {
            bridge.controlled_by(control, ctl::identity(subject, self.settings.name(&self.config)));
            bridge.exchanged_by(ctl::find());
        }
        Ok(bridge)
    }

    pub fn server_options(&self) -> ServerOptions {
        ServerOptions { map: self.dma == Dma::Map }
    }
}

/// Connects a console, and says where the other end is if nobody knows yet.
fn open_console(console: &ConsoleSpec) -> anyhow::Result<Box<dyn ConsoleBackend>> {
    let console = console.open()?;
    if let Some(place) = console.place() {
        note!("the console is {place}");
    }
    Ok(console)
}

/// What a console's configuration says of the terminal.
pub(super) fn terminal_size(config: &EndpointConfig) -> TerminalSize {
    let options = config.console_options();
    TerminalSize { cols: options.cols, rows: options.rows }
}

/// The address of one card.
fn hardware_address(text: &str) -> Result<[u8; 6], String> {
    NetOptions::parse_mac(text).ok_or_else(|| {
        "the address of one card is needed, such as 52:54:00:12:34:56: not of a group (its first byte is odd), not all zero"
            .into()
    })
}
