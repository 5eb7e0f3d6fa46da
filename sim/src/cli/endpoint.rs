//! The endpoint that the commands `serve` and `qemu` put on a socket.
use super::trace::TraceArguments;
use crate::backend::{DevicePort, Disk, DiskPort};
use crate::bridge::{Bridge, BridgeOptions, MsixMode};
use crate::design;
use crate::vfio_user::ServerOptions;
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

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
    /// Disk image, raw
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// The disk refuses writes
    #[arg(long)]
    pub read_only: bool,
    /// Cycles that the disk takes for a request
    #[arg(long, default_value_t = 0, value_name = "CYCLES")]
    disk_latency: u64,
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
    /// The disk image that is given.
    pub fn disk(&self) -> anyhow::Result<&Path> {
        self.disk
            .as_deref()
            .context("a disk image is needed: --disk IMAGE; `mkfs.ext4 -d FOLDER disk.img 64M` makes one")
    }

    /// Builds the endpoint, with this disk. What is wrong with the user's files is said before anything is built.
    pub fn bridge(&self, disk: &Path) -> anyhow::Result<Bridge> {
        let config = super::disk_configuration(&self.config)?;
        let disk = Disk::open(disk, self.read_only)?.with_serial(&config.blk.serial);
        let library = design::library(&config)?;
        let options = BridgeOptions { msix: self.msix, seed: self.seed, trace: self.trace.options() };
        let port = DevicePort::Disk(DiskPort::new(disk, self.disk_latency));
        Bridge::new(&library, &config, port, &options).context("cannot start the endpoint")
    }

    pub fn server_options(&self) -> ServerOptions {
        ServerOptions { map: self.dma == Dma::Map }
    }
}
