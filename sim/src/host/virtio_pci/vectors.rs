//! Interrupts: which vectors there are, and what an interrupt means.
use super::{DriverError, VectorPurpose, VirtioPci};
use crate::host::pci::{Msix, MsixMessage};
use crate::host::{Platform, Width};
use crate::link::Interrupt;
use virtio_hdl_rtl::virtio::layout::*;

/// How interrupts reach the driver; tried in this order.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum VectorPolicy {
    /// A vector for configuration changes and one for each queue.
    PerQueue,
    /// A vector for configuration changes and one for all queues.
    Shared,
    /// INTx for everything.
    Line,
}

impl VectorPolicy {
    /// All, best first.
    pub const ALL: [VectorPolicy; 3] = [VectorPolicy::PerQueue, VectorPolicy::Shared, VectorPolicy::Line];

    /// Vectors that `queues` queues need.
    pub fn vectors(self, queues: u16) -> u16 {
        match self {
            VectorPolicy::PerQueue => 1 + queues,
            VectorPolicy::Shared => 2,
            VectorPolicy::Line => 0,
        }
    }

    /// The vector of a queue.
    pub(super) fn vector_of(self, queue: u16) -> Option<u16> {
        match self {
            VectorPolicy::PerQueue => Some(1 + queue),
            VectorPolicy::Shared => Some(1),
            VectorPolicy::Line => None,
        }
    }
}

/// What an interrupt was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Another device's interrupt.
    NotMine,
    /// The device configuration changed, and these queues have something.
    Mine { config_changed: bool, queues: Vec<u16> },
}

/// Vector of configuration changes.
const CONFIG: u16 = 0;

/// The interrupts of a device in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Vectors {
    msix: Option<Msix>,
    messages: Vec<MsixMessage>,
    policy: Option<VectorPolicy>,
}

impl Vectors {
    pub fn msix(&self) -> Option<&Msix> {
        self.msix.as_ref()
    }

    pub fn messages(&self) -> &[MsixMessage] {
        &self.messages
    }
}

impl VirtioPci {
    /// How interrupts reach the driver, once the queues are found.
    pub fn policy(&self) -> Option<VectorPolicy> {
        self.vectors.policy
    }

    /// Sets up the interrupts for `queues` queues. Nothing is left behind when it fails.
    pub(super) fn request_vectors(
        &mut self,
        platform: &mut dyn Platform,
        policy: VectorPolicy,
        queues: u16,
    ) -> Result<(), DriverError> {
        if policy == VectorPolicy::Line {
            if self.function.interrupt_pin == 0 {
                return Err(DriverError::NoInterruptPin);
            }
            self.vectors = Vectors { msix: None, messages: Vec::new(), policy: Some(policy) };
            return Ok(());
        }
        let msix = Msix::of(platform, &self.function)?;
        let messages: Vec<MsixMessage> =
            (0..policy.vectors(queues)).map(|vector| platform.message(self.function.id, vector)).collect();
        msix.enable(platform, &self.function, &messages)?;
        self.vectors = Vectors { msix: Some(msix), messages, policy: Some(policy) };
        if !self.attach(platform, CONFIG_VECTOR, CONFIG) {
            self.free_vectors(platform);
            return Err(DriverError::VectorRefused { vector: CONFIG, purpose: VectorPurpose::Config });
        }
        Ok(())
    }

    /// Writes a vector register; false when the device refuses.
    pub(super) fn attach(&self, platform: &mut dyn Platform, register: u32, vector: u16) -> bool {
        self.write(platform, register, Width::Word, vector.into());
        self.read(platform, register, Width::Word) as u16 == vector
    }

    /// Gives the interrupts back.
    pub(super) fn free_vectors(&mut self, platform: &mut dyn Platform) {
        if let Some(msix) = self.vectors.msix {
            // The read makes sure that no message of the old vector is still on its way.
            self.attach(platform, CONFIG_VECTOR, NO_VECTOR);
            msix.disable(platform, &self.function);
        }
        self.vectors = Vectors::default();
    }

    /// Handles an interrupt of the platform.
    pub fn interrupt(&self, platform: &mut dyn Platform, interrupt: Interrupt) -> Interrupted {
        match interrupt {
            Interrupt::Line { asserted: true, .. } => self.line_interrupt(platform),
            Interrupt::Line { .. } => Interrupted::NotMine,
            Interrupt::Message { address, data, .. } => self.message_interrupt(MsixMessage { address, data }),
        }
    }

    /// The shared handler of INTx: the interrupt status says whether it was this device.
    fn line_interrupt(&self, platform: &mut dyn Platform) -> Interrupted {
        let status = self.read(platform, ISR, Width::Byte) as u8;
        // All ones: the device is asleep or gone.
        if status == 0 || status == u8::MAX {
            return Interrupted::NotMine;
        }
        let queues = self.queues.iter().map(|queue| queue.index).collect();
        Interrupted::Mine { config_changed: status & ISR_CONFIG != 0, queues }
    }

    fn message_interrupt(&self, message: MsixMessage) -> Interrupted {
        let Some(vector) = self.vectors.messages.iter().position(|known| *known == message) else {
            return Interrupted::NotMine;
        };
        if vector == usize::from(CONFIG) {
            return Interrupted::Mine { config_changed: true, queues: Vec::new() };
        }
        let with_vector = self.queues.iter().filter(|queue| queue.vector.map(usize::from) == Some(vector));
        Interrupted::Mine { config_changed: false, queues: with_vector.map(|queue| queue.index).collect() }
    }
}
