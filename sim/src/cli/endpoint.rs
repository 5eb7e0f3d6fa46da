//! The endpoint that the commands `serve` and `qemu` put on a socket.
use super::trace::TraceArguments;
use crate::backend::net::{NetSpec, Recorder};
use crate::backend::{DevicePort, Disk, DiskPort, NetPort};
use crate::bridge::{Bridge, BridgeOptions, MsixMode};
use crate::design;
use crate::vfio_user::ServerOptions;
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use virtio_hdl_rtl::config::{Device, EndpointConfig};

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dma {
    /// The guest's memory is mapped where QEMU hands it over (share=on), else by messages
    Map,
    /// Every access is a message to QEMU: slower, needs no shared memory
    Message,
}

#[derive(Args)]
pub(super) struct EndpointArguments {
    /// TOML file, or name of an example
    pub config: String,
    /// Disk image, raw (blk)
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// The disk refuses writes (blk)
    #[arg(long)]
    pub read_only: bool,
    /// Cycles that the disk takes for a request (blk)
    #[arg(long, default_value_t = 0, value_name = "CYCLES", value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    disk_latency: u64,
    /// What the Ethernet port is connected to (net): peer (a built-in host, 10.0.2.2), loopback[,swap], unix:LOCAL,REMOTE,
    /// udp:LOCAL:PORT,REMOTE:PORT, tap:NAME, pcap:FILE[,fast]
    #[arg(long, default_value = "peer", value_name = "NETWORK")]
    net: NetSpec,
    /// Hardware address, in place of the configuration's (net)
    #[arg(long, value_name = "MAC", value_parser = hardware_address)]
    mac: Option<[u8; 6]>,
    /// Write what crosses the wire as pcapng (net)
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Who turns MSI-X messages into interrupts
    #[arg(long, value_enum, default_value_t = MsixMode::Table)]
    pub msix: MsixMode,
    /// How the endpoint reaches the guest's memory
    #[arg(long, value_enum, default_value_t = Dma::Map)]
    pub dma: Dma,
    /// Decides what registers without reset hold at power on
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    trace: TraceArguments,
}

impl EndpointArguments {
    /// The configuration that is named.
    pub fn configuration(&self) -> anyhow::Result<EndpointConfig> {
        super::configuration(&self.config)
    }

    /// What the arguments put at the device side of this endpoint.
    pub fn port(&self, config: &EndpointConfig) -> anyhow::Result<DevicePort> {
        match config.device {
            Device::Blk => {
                let image = self.disk.as_deref();
                let image =
                    image.context("a disk is needed: --disk IMAGE; `mkfs.ext4 -d FOLDER disk.img 64M` makes one")?;
                self.disk_port(config, image)
            }
            Device::Net => {
                let mut backend = self.net.open()?;
                if let Some(path) = &self.pcap {
                    backend = Box::new(Recorder::create(backend, path)?);
                }
                let mac = self.mac.unwrap_or(config.net.mac);
                Ok(DevicePort::Net(NetPort::new(backend, mac, config.link.clock_hz)))
            }
        }
    }

    /// This image as the endpoint's disk.
    pub fn disk_port(&self, config: &EndpointConfig, image: &Path) -> anyhow::Result<DevicePort> {
        let disk = Disk::open(image, self.read_only)?.with_serial(&config.blk.serial);
        Ok(DevicePort::Disk(DiskPort::new(disk, self.disk_latency)))
    }

    /// Builds the endpoint. What is wrong with the user's files has been said before anything is built.
    pub fn bridge(&self, config: &EndpointConfig, port: DevicePort) -> anyhow::Result<Bridge> {
        let library = design::library(config)?;
        let options = BridgeOptions { msix: self.msix, seed: self.seed, trace: self.trace.options() };
        Bridge::new(&library, config, port, &options).context("cannot start the endpoint")
    }

    pub fn server_options(&self) -> ServerOptions {
        ServerOptions { map: self.dma == Dma::Map }
    }
}

/// Six pairs of hexadecimal digits, not a group address.
fn hardware_address(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    match bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
        Some(mac) if mac[0] & 1 == 0 => Ok(mac),
        Some(_) => Err("that is the address of a group: the first byte must be even".into()),
        None => Err("six bytes are needed, such as 52:54:00:12:34:56".into()),
    }
}
