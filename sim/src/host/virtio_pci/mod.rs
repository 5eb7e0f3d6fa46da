//! The legacy virtio transport over PCI: probe, features, configuration, status, notification.
//!
//! A driver goes through it in this order:
//!
//! ```text
//! probe -> negotiate -> find_queues -> set DRIVER_OK -> notify / interrupt ... -> reset -> delete_queues -> remove
//! ```
//! Source: virtio specification, the legacy interface of section 4.1.
mod power;
mod queues;
mod vectors;

use super::pci::{Bar, Bus, Function, Msix, PciError, SavedState};
use super::ring::RingError;
use super::{Platform, Width};
use crate::link::FunctionId;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::*;

pub use queues::{Queue, QueueOptions, QueueUse};
pub use vectors::{InterruptCount, Interrupted, VectorPolicy};

/// What keeps a driver from running a device.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DriverError {
    /// Not a virtio device.
    #[error("{vendor:04x}:{device:04x} is not a virtio device")]
    NotVirtio { vendor: u16, device: u16 },
    /// A virtio ABI that this driver does not know.
    #[error("virtio ABI version {0} is not known, {ABI_VERSION} is")]
    AbiVersion(u8),
    /// Another kind of device.
    #[error("virtio device id {found} where {expected} was expected")]
    DeviceKind { found: u16, expected: u16 },
    /// The device does not take the status or does not reset.
    #[error("device status is {found:#04x} after {written:#04x} was written")]
    Status { written: u8, found: u8 },
    /// No such queue.
    #[error("queue {0} does not exist")]
    NoQueue(u16),
    /// Somebody uses the queue.
    #[error("queue {index} is in use at page frame {frame:#x}")]
    QueueInUse { index: u16, frame: u32 },
    /// No guest memory.
    #[error("no guest memory for {0} bytes")]
    NoMemory(u64),
    /// The ring lies beyond the reach of the 32-bit page frame.
    #[error("a ring at {0:#x} is out of reach")]
    RingAddress(u64),
    /// The device refused a vector.
    #[error("the device refused vector {vector} for {purpose}")]
    VectorRefused { vector: u16, purpose: VectorPurpose },
    /// No kind of interrupt works.
    #[error("no interrupts: {}", .0.iter().map(|(policy, error)| format!("{policy:?}: {error}")).collect::<Vec<_>>().join("; "))]
    NoInterrupts(Vec<(VectorPolicy, DriverError)>),
    /// The function has no interrupt pin.
    #[error("the function has no interrupt pin")]
    NoInterruptPin,
    /// The function does not answer.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// A ring is broken.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// What a vector is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum VectorPurpose {
    /// Changes of the device configuration.
    Config,
    /// A queue.
    Queue(u16),
}

impl std::fmt::Display for VectorPurpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VectorPurpose::Config => write!(f, "configuration changes"),
            VectorPurpose::Queue(index) => write!(f, "queue {index}"),
        }
    }
}

/// The BAR that holds the register file.
const REGISTER_BAR: usize = 0;

/// A virtio device behind PCI.
#[derive(Debug)]
pub struct VirtioPci {
    function: Function,
    registers: Bar,
    kind: u16,
    /// What was negotiated last.
    accepted: u32,
    vectors: vectors::Vectors,
    queues: Vec<Queue>,
    suspended: Option<SavedState>,
}

impl VirtioPci {
    /// Takes a function for a driver: checks the ids, enables it, claims its registers, lets it do DMA, resets it and
    /// says that it has been noticed and has a driver.
    pub fn probe(platform: &mut dyn Platform, bus: &mut Bus, id: FunctionId) -> Result<Self, DriverError> {
        let function = bus.function(id)?.clone();
        let (vendor, device) = (function.vendor, function.device);
        if vendor != VENDOR_ID || !(DEVICE_ID_FIRST..=DEVICE_ID_LAST).contains(&device) {
            return Err(DriverError::NotVirtio { vendor, device });
        }
        if function.revision != ABI_VERSION {
            return Err(DriverError::AbiVersion(function.revision));
        }
        function.enable(platform)?;
        // As Linux's pci_request_regions: all of them or none.
        let claimed = function.bar(REGISTER_BAR).and_then(|registers| bus.claim_all(id).map(|()| registers));
        let registers = match claimed {
            Ok(bar) => bar,
            Err(error) => {
                function.disable(platform);
                return Err(error.into());
            }
        };
        function.set_master(platform);
        let mut driver = VirtioPci {
            kind: function.subsystem,
            function,
            registers,
            accepted: 0,
            vectors: vectors::Vectors::default(),
            queues: Vec::new(),
            suspended: None,
        };
        if let Err(error) = driver.begin(platform) {
            driver.function.disable(platform);
            bus.release_all(id);
            return Err(error);
        }
        Ok(driver)
    }

    /// The same for a driver of this kind of device, which then sets it up; where that fails, the function is given back.
    pub fn bind<T>(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        kind: u16,
        set_up: impl FnOnce(&mut dyn Platform, &mut VirtioPci) -> Result<T, DriverError>,
    ) -> Result<(Self, T), DriverError> {
        let found = bus.function(id)?.subsystem;
        if found != kind {
            return Err(DriverError::DeviceKind { found, expected: kind });
        }
        let mut transport = VirtioPci::probe(platform, bus, id)?;
        match set_up(platform, &mut transport) {
            Ok(driver) => Ok((transport, driver)),
            Err(error) => {
                transport.abandon(platform, bus);
                Err(error)
            }
        }
    }

    fn begin(&mut self, platform: &mut dyn Platform) -> Result<(), DriverError> {
        self.reset(platform)?;
        self.add_status(platform, STATUS_ACKNOWLEDGE)?;
        self.add_status(platform, STATUS_DRIVER)
    }

    /// The same with the features that have been negotiated.
    fn begin_again(&mut self, platform: &mut dyn Platform) -> Result<(), DriverError> {
        self.begin(platform)?;
        self.write(platform, GUEST_FEATURES, Width::Double, self.accepted);
        Ok(())
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Virtio device id: what kind of device it is.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// Its queues, once they are found.
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// The MSI-X table, while vectors are in use.
    pub fn msix(&self) -> Option<&Msix> {
        self.vectors.msix()
    }

    /// What the device offers.
    pub fn device_features(&self, platform: &mut dyn Platform) -> u32 {
        self.read(platform, HOST_FEATURES, Width::Double)
    }

    /// Accepts what the device offers and the driver supports, and returns it.
    pub fn negotiate(&mut self, platform: &mut dyn Platform, supported: u32) -> u32 {
        self.accepted = self.device_features(platform) & supported;
        self.write(platform, GUEST_FEATURES, Width::Double, self.accepted);
        self.accepted
    }

    /// Reads the device configuration byte by byte.
    pub fn get_config(&self, platform: &mut dyn Platform, offset: u32, bytes: &mut [u8]) {
        let base = self.config_base() + offset;
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.read(platform, base + index as u32, Width::Byte) as u8;
        }
    }

    /// Writes the device configuration byte by byte.
    pub fn set_config(&self, platform: &mut dyn Platform, offset: u32, bytes: &[u8]) {
        let base = self.config_base() + offset;
        for (index, byte) in bytes.iter().enumerate() {
            self.write(platform, base + index as u32, Width::Byte, (*byte).into());
        }
    }

    /// The device configuration lies behind the vector registers while those are there.
    fn config_base(&self) -> u32 {
        device_config_offset(self.vectors.msix().is_some())
    }

    /// Device status.
    pub fn status(&self, platform: &mut dyn Platform) -> u8 {
        self.read(platform, STATUS, Width::Byte) as u8
    }

    /// Adds bits to the device status. It is never 0 here: that is [`reset`](Self::reset).
    pub fn add_status(&self, platform: &mut dyn Platform, bits: u8) -> Result<(), DriverError> {
        let written = self.status(platform) | bits;
        self.write(platform, STATUS, Width::Byte, written.into());
        match self.status(platform) {
            found if found == written => Ok(()),
            found => Err(DriverError::Status { written, found }),
        }
    }

    /// Resets the device. The read behind it makes sure that the device is done with all it had.
    pub fn reset(&self, platform: &mut dyn Platform) -> Result<(), DriverError> {
        self.write(platform, STATUS, Width::Byte, 0);
        match self.status(platform) {
            0 => Ok(()),
            found => Err(DriverError::Status { written: 0, found }),
        }
    }

    /// Tells the device to look at a queue.
    pub fn notify(&self, platform: &mut dyn Platform, queue: u16) {
        self.write(platform, QUEUE_NOTIFY, Width::Word, queue.into());
    }

    /// Reads a register of the register file.
    pub fn read(&self, platform: &mut dyn Platform, offset: u32, width: Width) -> u32 {
        self.registers.read(platform, offset, width)
    }

    /// Writes a register of the register file.
    pub fn write(&self, platform: &mut dyn Platform, offset: u32, width: Width, value: u32) {
        self.registers.write(platform, offset, width, value);
    }
}
