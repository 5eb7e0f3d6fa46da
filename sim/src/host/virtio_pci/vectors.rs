//! Interrupts: which vectors there are, and what an interrupt means.
use super::{DriverError, Queue, QueueUse, VectorPurpose, VirtioPci};
use crate::host::pci::{Msix, MsixMessage};
use crate::host::ring::{RingError, Virtqueue};
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

    /// The vector of each of these queues. One that the driver wants no interrupt of has none.
    pub(super) fn vectors_of(self, uses: &[QueueUse]) -> Vec<Option<u16>> {
        let mut next = CONFIG + 1;
        let mut vector_of = |wanted: &QueueUse| match self {
            _ if !wanted.callback => None,
            VectorPolicy::PerQueue => {
                next += 1;
                Some(next - 1)
            }
            VectorPolicy::Shared => Some(CONFIG + 1),
            VectorPolicy::Line => None,
        };
        uses.iter().map(&mut vector_of).collect()
    }

    /// What the vectors for these queues are called, as in Linux's /proc/interrupts.
    fn names(self, uses: &[QueueUse]) -> Vec<String> {
        let interrupting = uses.iter().filter(|wanted| wanted.callback);
        match self {
            VectorPolicy::PerQueue => {
                std::iter::once("config").chain(interrupting.map(|wanted| &*wanted.name)).map(String::from).collect()
            }
            VectorPolicy::Shared => vec!["config".into(), "virtqueues".into()],
            VectorPolicy::Line => vec![],
        }
    }
}

/// Interrupts that meant a device.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct InterruptCount {
    /// All of them.
    pub all: u64,
    /// Those that told of a change of the configuration.
    pub config_changes: u64,
}

/// What an interrupt was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Another device's interrupt.
    NotMine,
    /// The device configuration changed, and these queues have something.
    Mine {
        /// The device configuration changed.
        config_changed: bool,
        /// Queues whose used ring may have grown.
        queues: Vec<u16>,
    },
}

/// Vector of changes of the configuration; those of queues follow.
const CONFIG: u16 = 0;

/// The interrupts of a device in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Vectors {
    msix: Option<Msix>,
    messages: Vec<MsixMessage>,
    names: Vec<String>,
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
        uses: &[QueueUse],
    ) -> Result<(), DriverError> {
        if policy == VectorPolicy::Line {
            if self.function.interrupt_pin == 0 {
                return Err(DriverError::NoInterruptPin);
            }
            self.vectors = Vectors { policy: Some(policy), ..Vectors::default() };
            return Ok(());
        }
        let msix = Msix::of(platform, &self.function)?;
        let names = policy.names(uses);
        let messages: Vec<MsixMessage> =
            (0..names.len() as u16).map(|vector| platform.message(self.function.id, vector)).collect();
        msix.enable(platform, &self.function, &messages)?;
        self.vectors = Vectors { msix: Some(msix), messages, names, policy: Some(policy) };
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

    /// What each vector in use is called; none with INTx.
    pub fn vector_names(&self) -> &[String] {
        &self.vectors.names
    }

    /// Handles an interrupt of the platform. `rings` are the queues as [`find_queues`](Self::find_queues) returned them:
    /// as in Linux, an interrupt with nothing new in any of them, and no change of the configuration, is another's.
    pub fn interrupt(
        &self,
        platform: &mut dyn Platform,
        interrupt: Interrupt,
        rings: &[&Virtqueue],
    ) -> Result<Interrupted, RingError> {
        match interrupt {
            Interrupt::Line { asserted: true, .. } => self.line_interrupt(platform, rings),
            Interrupt::Line { .. } => Ok(Interrupted::NotMine),
            Interrupt::Message { address, data, .. } => {
                self.message_interrupt(platform, MsixMessage { address, data }, rings)
            }
        }
    }

    /// Waits for an interrupt of the platform until cycle `deadline` at most, handles it, and counts it if it means this device. None when
    /// there is nothing more to wait for.
    pub fn next_interrupt(
        &self,
        platform: &mut dyn Platform,
        deadline: u64,
        rings: &[&Virtqueue],
        count: &mut InterruptCount,
    ) -> Result<Option<Interrupted>, RingError> {
        let Some(interrupt) = platform.wait_interrupt(deadline) else { return Ok(None) };
        let interrupted = self.interrupt(platform, interrupt, rings)?;
        match interrupted {
            Interrupted::Mine { config_changed, .. } => {
                count.all += 1;
                count.config_changes += u64::from(config_changed);
            }
            // Another device may hold a shared line for ever.
            Interrupted::NotMine if platform.now() >= deadline => return Ok(None),
            Interrupted::NotMine => {}
        }
        Ok(Some(interrupted))
    }

    /// The shared handler of INTx: the interrupt status says whether it was this device.
    fn line_interrupt(&self, platform: &mut dyn Platform, rings: &[&Virtqueue]) -> Result<Interrupted, RingError> {
        let status = self.read(platform, ISR, Width::Byte) as u8;
        // All ones: the device is asleep or gone.
        if status == 0 || status == u8::MAX {
            return Ok(Interrupted::NotMine);
        }
        self.interrupted(platform, status & ISR_CONFIG != 0, rings, |_| true)
    }

    fn message_interrupt(
        &self,
        platform: &mut dyn Platform,
        message: MsixMessage,
        rings: &[&Virtqueue],
    ) -> Result<Interrupted, RingError> {
        let Some(vector) = self.vectors.messages.iter().position(|known| *known == message) else {
            return Ok(Interrupted::NotMine);
        };
        if vector == usize::from(CONFIG) {
            return Ok(Interrupted::Mine { config_changed: true, queues: Vec::new() });
        }
        self.interrupted(platform, false, rings, |queue| queue.vector.map(usize::from) == Some(vector))
    }

    /// Which of the queues that the interrupt may be of have something.
    fn interrupted(
        &self,
        platform: &dyn Platform,
        config_changed: bool,
        rings: &[&Virtqueue],
        of: impl Fn(&Queue) -> bool,
    ) -> Result<Interrupted, RingError> {
        let mut queues = Vec::new();
        for (queue, ring) in self.queues.iter().zip(rings) {
            if of(queue) && ring.has_used(platform.memory())? {
                queues.push(queue.index);
            }
        }
        match config_changed || !queues.is_empty() {
            true => Ok(Interrupted::Mine { config_changed, queues }),
            false => Ok(Interrupted::NotMine),
        }
    }
}
