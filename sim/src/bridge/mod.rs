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
use crate::control::Control;
use crate::model::{DeviceSide, Endpoint, EndpointOptions, Library, ModelError, SideError};
use crate::state::StateError;
use crate::trace::{Trace, TraceOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;
use vfio_user_server::{irq, region, Client, ClientStatistics, Device, Errno, Work};

mod access;
mod control;
mod engine;
mod function;
mod interrupts;
mod report;
mod state;

pub use control::Identity;
use engine::{Engine, Progress};
use function::{Function, BARS};
use interrupts::Interrupts;
pub use interrupts::Vector;
pub use report::Report;
use state::Standing;
pub use state::{Find, Replacement};

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
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Frequency of the endpoint's clock.
    pub clock_hz: u64,
    /// Who turns messages into interrupts.
    pub msix: MsixMode,
    /// Decides everything that is random: what registers without reset hold at power on.
    pub seed: u64,
    /// What is written down.
    pub trace: TraceOptions,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        BridgeOptions { clock_hz: 125_000_000, msix: MsixMode::default(), seed: 0, trace: TraceOptions::default() }
    }
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
    /// The endpoint answers no read of its configuration space.
    #[error(
        "the endpoint does not answer a read of its configuration space (CfgRd0 of register 0): is its reset let go, does \
         its link take packets? See its ports with --vcd FILE, and the packets with --tlp-log FILE"
    )]
    Silent,
    /// It cannot stand still.
    #[error(transparent)]
    State(StateError),
    /// What the device side writes down cannot be written: a recording of the network.
    #[error(transparent)]
    Recording(SideError),
    /// What the endpoint wrote on its device side, to a disk, cannot be made permanent.
    #[error(transparent)]
    Flush(SideError),
}

impl BridgeError {
    /// The guest and its device are well; what was written down about them is not whole.
    pub fn is_of_traces(&self) -> bool {
        matches!(self, BridgeError::Trace(_) | BridgeError::Recording(_))
    }
}

/// A Verilated endpoint as a vfio-user device.
pub struct Bridge {
    engine: Engine,
    msix: MsixMode,
    /// What its configuration space says.
    function: Function,
    /// Where the BARs are on the link, as far as it is known.
    bar_addresses: [Option<u64>; BARS],
    /// The base address registers as they were last written: see the module `access`.
    bars: [u8; 4 * BARS],
    /// Whether the command register lets the endpoint use memory, as far as it is known.
    bus_master: Option<bool>,
    /// A kick without has been told of.
    told_bus_master: bool,
    failure: Option<BridgeError>,
    /// Where commands come from besides the guest's.
    control: Option<Control>,
    identity: Identity,
    /// What it can be exchanged for.
    find: Option<Find>,
    standing: Standing,
    /// Of the model that is at work.
    seed: u64,
}

impl Bridge {
    /// Powers the endpoint on, with this at its device side, and looks at its configuration space.
    pub fn new(library: &Library, mut side: Box<dyn DeviceSide>, options: &BridgeOptions) -> Result<Self, BridgeError> {
        let model = EndpointOptions { seed: options.seed, ..EndpointOptions::default() };
        side.host_is_watched();
        let endpoint = Endpoint::load(library, &model, &mut *side)?;
        let trace = Trace::new(&options.trace, endpoint.ports(), options.clock_hz).map_err(BridgeError::Trace)?;
        let mut engine = Engine::new(endpoint, side, trace, options.clock_hz);
        let function = match Function::find(&mut engine) {
            Ok(function) => function,
            Err(error) => {
                // What there is of the traces shows why.
                let _ = engine.finish();
                return Err(error);
            }
        };
        engine.reset(None);
        engine.interrupts = Interrupts::new(options.msix, function.vectors());
        Ok(Bridge {
            engine,
            msix: options.msix,
            function,
            bar_addresses: [None; BARS],
            bars: [0; 4 * BARS],
            bus_master: None,
            told_bus_master: false,
            failure: None,
            control: None,
            identity: Identity::default(),
            find: None,
            standing: Standing::default(),
            seed: options.seed,
        })
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        self.engine.report()
    }

    /// What made the bridge stop, if anything did; flushes the device side and ends the traces.
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
        self.bar_addresses = [None; BARS];
        self.bars = [0; 4 * BARS];
        self.bus_master = None;
        self.told_bus_master = false;
        self.freeze_again();
    }
}

impl Device for Bridge {
    fn region_bytes(&self, index: u32) -> u64 {
        match index {
            region::CONFIG => CONFIG_BYTES,
            _ => self.function.bars.get(index as usize).map_or(0, |bar| bar.bytes),
        }
    }

    fn irq_vectors(&self, index: u32) -> u32 {
        match index {
            irq::INTX | irq::ERR | irq::REQ => 1,
            irq::MSIX => self.function.vectors().into(),
            _ => 0,
        }
    }

    fn region_read(&mut self, client: &mut Client, index: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        let result = self.on_the_move(|bridge| bridge.read(client, index, offset, data));
        self.checked(result)
    }

    fn region_write(&mut self, client: &mut Client, index: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let result = self.on_the_move(|bridge| bridge.write(client, index, offset, data));
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
                tracing::error!(%error, "the guest is gone, and what it wrote is not permanent");
                self.failure.get_or_insert(BridgeError::Flush(error));
            }
        }
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.engine.as_fd()
    }

    fn controlled(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(Control::as_fd)
    }

    fn control(&mut self, client: Option<&mut Client>) -> Work {
        self.serve_control(client)
    }

    fn stands_still(&self) -> bool {
        self.standing == Standing::Still
    }

    fn deadline(&self) -> Option<Instant> {
        self.engine.deadline()
    }

    fn work(&mut self, client: &mut Client) -> Work {
        let looked = self.come_to_a_stand().map_err(BridgeError::State);
        let progress = looked.and_then(|()| match self.stands_still() {
            true => Ok(Progress::Resting),
            false => self.engine.work(client),
        });
        match self.checked(progress) {
            Ok(_) if self.standing == Standing::Ends => Work::Busy,
            Ok(Progress::Running) => Work::Busy,
            Ok(Progress::Resting) => Work::Idle,
            Err(_) => Work::Failed,
        }
    }
}
