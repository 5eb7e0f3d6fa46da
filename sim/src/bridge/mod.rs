//! Between vfio-user and the endpoint: what QEMU asks for becomes TLPs, and what the endpoint sends becomes memory
//! accesses and interrupts of the guest.
//!
//! ```text
//!                     REGION_READ, REGION_WRITE              CfgRd CfgWr IORd IOWr MRd MWr
//!  guest <-> QEMU <-> ------------------------> Bridge <----------------------------------> Verilated endpoint
//!                     <- DMA, eventfds --------          <- MRd MWr, messages ------------
//! ```
//! The link has no delay and no limit here: simulated time counts clock cycles of the endpoint, and while it rests the
//! clock stands still.
use crate::backend::net::NetError;
use crate::backend::{DevicePort, WIRE_BYTES_PER_SECOND};
use crate::link::hard_ip::{msix_capability, Family};
use crate::model::{Endpoint, EndpointOptions, Library, ModelError};
use crate::trace::{Trace, TraceOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;
use vfio_user_server::{irq, region, Client, ClientStatistics, Device, Errno, Work};
use virtio_hdl_rtl::config::{Bar0, EndpointConfig, LinkInterface};
use virtio_hdl_rtl::pcie::layout::MSIX_CONTROL;
use virtio_hdl_rtl::pcie::registers::{BAR1_BYTES, MSIX_CAPABILITY};

mod access;
mod engine;
mod interrupts;
mod report;

use engine::{Engine, Progress};
use interrupts::Interrupts;
pub use interrupts::Vector;
pub use report::Report;

/// Bytes of a PCI Express function's configuration space.
const CONFIG_BYTES: u64 = 4096;

/// Who turns the endpoint's MSI-X messages into interrupts.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum MsixMode {
    /// The guest programs the endpoint's own table, and the endpoint's memory writes are the interrupts
    #[default]
    Table,
    /// QEMU emulates a table, and each vector has an eventfd; an Arm's ITS needs it
    Eventfd,
}

/// How an endpoint is bridged.
#[derive(Clone, Debug, Default)]
pub struct BridgeOptions {
    /// Who turns messages into interrupts.
    pub msix: MsixMode,
    /// Decides everything that is random: what registers without reset hold at power on.
    pub seed: u64,
    /// What is written down.
    pub trace: TraceOptions,
}

/// The bridge cannot be built, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The model cannot be loaded, or does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A trace file cannot be written.
    #[error("cannot write the trace: {0}")]
    Trace(io::Error),
    /// The recording of the network cannot be written.
    #[error(transparent)]
    Recording(NetError),
    /// The disk cannot be made permanent.
    #[error("cannot flush the disk image: {0}")]
    Flush(io::Error),
}

impl BridgeError {
    /// The guest and its disk are well; what was written down about them is not whole.
    pub fn is_of_traces(&self) -> bool {
        matches!(self, BridgeError::Trace(_) | BridgeError::Recording(_))
    }
}

/// A Verilated endpoint as a vfio-user device.
pub struct Bridge {
    engine: Engine,
    msix: MsixMode,
    /// Bytes of BAR0 and BAR1; 0 where there is none.
    bar_bytes: [u64; 2],
    /// BAR0 is in I/O space.
    bar0_io: bool,
    /// Where the BARs are on the link, as far as it is known.
    bar_addresses: [Option<u64>; 2],
    /// The base address registers as they were last written: see the module `access`.
    bars: [u8; 8],
    /// Where the PCI Express capability is, `Some(None)` where it knows no function-level reset, `None` until it was asked.
    express: Option<Option<u16>>,
    /// Whether the command register lets the endpoint use memory, as far as it is known.
    bus_master: Option<bool>,
    /// A kick without has been told of.
    told_bus_master: bool,
    vectors: u8,
    /// Where the control word of MSI-X is in configuration space.
    msix_control: u64,
    failure: Option<BridgeError>,
}

impl Bridge {
    /// Powers the endpoint on.
    pub fn new(
        library: &Library,
        config: &EndpointConfig,
        mut port: DevicePort,
        options: &BridgeOptions,
    ) -> Result<Self, BridgeError> {
        let wire = WIRE_BYTES_PER_SECOND / config.link.clock_hz as f64;
        let model =
            EndpointOptions { seed: options.seed, wire_bytes_per_cycle: Some(wire), ..EndpointOptions::default() };
        let mut endpoint = Endpoint::load(library, &model)?;
        port.connect(&mut endpoint)?;
        let trace = Trace::new(&options.trace, endpoint.ports(), config.link.clock_hz).map_err(BridgeError::Trace)?;
        let interrupts = Interrupts::new(options.msix, config.vectors);
        let msix = match config.link.interface {
            LinkInterface::Tlp => MSIX_CAPABILITY,
            LinkInterface::SevenSeries => msix_capability(Family::SevenSeries),
            LinkInterface::UltraScalePlus => msix_capability(Family::UltraScalePlus),
        };
        let bar1 = if config.vectors == 0 { 0 } else { u64::from(BAR1_BYTES) };
        let mut bridge = Bridge {
            engine: Engine::new(endpoint, port, trace, config.link.clock_hz, interrupts),
            msix: options.msix,
            bar_bytes: [config.bar0_bytes().into(), bar1],
            bar0_io: config.bar0 == Bar0::Io,
            bar_addresses: [None; 2],
            bars: [0; 8],
            express: None,
            bus_master: None,
            told_bus_master: false,
            vectors: config.vectors,
            msix_control: u64::from(msix + MSIX_CONTROL),
            failure: None,
        };
        bridge.engine.set_write_through(true);
        Ok(bridge)
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        self.engine.report()
    }

    /// What made the bridge stop, if anything did; flushes the disk and ends the traces.
    pub fn finish(&mut self) -> Result<(), BridgeError> {
        let flushed = self.engine.flush().map_err(BridgeError::Flush);
        let traced = self.engine.finish();
        self.failure.take().map_or(Ok(()), Err)?;
        flushed?;
        traced
    }

    /// Keeps the first error of the model; everything after it counts for nothing.
    fn checked<T>(&mut self, result: Result<T, BridgeError>) -> Result<T, Errno> {
        result.map_err(|error| {
            tracing::error!(%error, "the bridge stops");
            self.failure.get_or_insert(error);
            Errno::IO
        })
    }

    fn reset_endpoint(&mut self, client: Option<&mut Client>) {
        self.engine.reset(client);
        self.engine.set_write_through(true);
        self.bar_addresses = [None; 2];
        self.bars = [0; 8];
        self.bus_master = None;
        self.told_bus_master = false;
    }
}

impl Device for Bridge {
    fn region_bytes(&self, index: u32) -> u64 {
        match index {
            region::BAR0 => self.bar_bytes[0],
            region::BAR1 => self.bar_bytes[1],
            region::CONFIG => CONFIG_BYTES,
            _ => 0,
        }
    }

    fn irq_vectors(&self, index: u32) -> u32 {
        match index {
            irq::INTX | irq::ERR | irq::REQ => 1,
            irq::MSIX => self.vectors.into(),
            _ => 0,
        }
    }

    fn region_read(&mut self, client: &mut Client, index: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        let result = self.read(client, index, offset, data);
        self.checked(result)
    }

    fn region_write(&mut self, client: &mut Client, index: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let result = self.write(client, index, offset, data);
        self.checked(result)
    }

    fn reset(&mut self, client: &mut Client) {
        tracing::debug!("reset");
        self.engine.report.resets += 1;
        self.reset_endpoint(Some(client));
    }

    fn intx_unmasked(&mut self, client: &mut Client) {
        // What the driver did to take the interrupt back may not have reached the line yet.
        let settled = self.engine.settle(client);
        if self.checked(settled).is_ok() {
            self.engine.interrupts.unmasked(client);
        }
    }

    fn attached(&mut self, _client: &mut Client) {
        tracing::info!("a guest is there");
    }

    fn detached(&mut self, statistics: ClientStatistics) {
        self.engine.report.client_gone(statistics);
        self.reset_endpoint(None);
        match self.engine.flush() {
            Ok(()) => tracing::info!("the guest is gone; all that it wrote is flushed"),
            Err(error) => {
                tracing::error!(%error, "the guest is gone, and the disk image cannot be flushed");
                self.failure.get_or_insert(BridgeError::Flush(error));
            }
        }
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.engine.as_fd()
    }

    fn deadline(&self) -> Option<Instant> {
        self.engine.deadline()
    }

    fn work(&mut self, client: &mut Client) -> Work {
        let progress = self.engine.work(client);
        match self.checked(progress) {
            Ok(Progress::Running) => Work::Busy,
            Ok(Progress::Resting) => Work::Idle,
            Err(_) => Work::Failed,
        }
    }
}
