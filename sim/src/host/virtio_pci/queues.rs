//! Queues: set up, found, deleted.
use super::{DriverError, VectorPolicy, VectorPurpose, VirtioPci};
use crate::host::ring::{RingOptions, Virtqueue};
use crate::host::{Platform, Width};
use std::borrow::Cow;
use virtio_hdl_rtl::virtio::layout::*;

/// A queue that the device uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Which.
    pub index: u16,
    /// Entries.
    pub size: u16,
    /// Where the ring lies.
    pub address: u64,
    /// Its vector, with MSI-X.
    pub vector: Option<u16>,
}

/// What a driver wants a queue for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUse {
    /// What it is called, in the names of its interrupts.
    pub name: Cow<'static, str>,
    /// The driver wants to be interrupted for it. A queue without gets no vector, and its ring says NO_INTERRUPT.
    pub callback: bool,
}

impl QueueUse {
    /// A queue that interrupts.
    pub const fn interrupting(name: &'static str) -> Self {
        QueueUse { name: Cow::Borrowed(name), callback: true }
    }

    /// A queue that the driver looks at when it likes.
    pub const fn silent(name: &'static str) -> Self {
        QueueUse { name: Cow::Borrowed(name), callback: false }
    }
}

/// How queues are found.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Ways to interrupt, tried in this order.
    pub policies: Vec<VectorPolicy>,
    /// How the rings are run.
    pub ring: RingOptions,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions { policies: VectorPolicy::ALL.to_vec(), ring: RingOptions::default() }
    }
}

impl VirtioPci {
    /// Sets up the device's first queues, one for each of `uses`, with the best interrupts that the device has.
    ///
    /// Each way that fails is undone before the next is tried. To take a queue back is to write page frame 0, which resets
    /// the device: the next way begins with a reset of its own, and negotiates the same features again.
    pub fn find_queues(
        &mut self,
        platform: &mut dyn Platform,
        uses: &[QueueUse],
        options: &QueueOptions,
    ) -> Result<Vec<Virtqueue>, DriverError> {
        let mut refusals = Vec::new();
        for policy in &options.policies {
            match self.try_to_find_queues(platform, uses, *policy, options.ring) {
                Ok(queues) => return Ok(queues),
                Err(error) => refusals.push((*policy, error)),
            }
            self.begin_again(platform)?;
        }
        Err(DriverError::NoInterrupts(refusals))
    }

    fn try_to_find_queues(
        &mut self,
        platform: &mut dyn Platform,
        uses: &[QueueUse],
        policy: VectorPolicy,
        ring: RingOptions,
    ) -> Result<Vec<Virtqueue>, DriverError> {
        self.request_vectors(platform, policy, uses)?;
        let mut rings = Vec::new();
        let vectors = policy.vectors_of(uses);
        for ((index, wanted), vector) in (0..).zip(uses).zip(vectors) {
            match self.setup_queue(platform, index, vector, ring) {
                Ok(mut ring) => {
                    if !wanted.callback {
                        ring.disable_interrupts(platform.memory())?;
                    }
                    rings.push(ring);
                }
                Err(error) => {
                    self.delete_queues(platform);
                    return Err(error);
                }
            }
        }
        Ok(rings)
    }

    /// Sets up a queue: the device gets its page frame and its vector.
    fn setup_queue(
        &mut self,
        platform: &mut dyn Platform,
        index: u16,
        vector: Option<u16>,
        ring: RingOptions,
    ) -> Result<Virtqueue, DriverError> {
        self.select(platform, index);
        // A device may also keep the old selection where it has no such queue.
        let size = self.read(platform, QUEUE_NUM, Width::Word) as u16;
        if size == 0 || self.read(platform, QUEUE_SEL, Width::Word) as u16 != index {
            return Err(DriverError::NoQueue(index));
        }
        let frame = self.read(platform, QUEUE_PFN, Width::Double);
        if frame != 0 {
            return Err(DriverError::QueueInUse { index, frame });
        }
        let bytes = ring_bytes(size);
        let address = platform.allocate(bytes, RING_ALIGN).ok_or(DriverError::NoMemory(bytes))?;
        let ring = match Virtqueue::new(platform.memory(), address, size, ring) {
            Ok(ring) if address >> QUEUE_PFN_SHIFT <= u64::from(u32::MAX) => ring,
            result => {
                platform.free(address, bytes);
                return Err(result.err().map_or(DriverError::RingAddress(address), DriverError::from));
            }
        };
        self.write(platform, QUEUE_PFN, Width::Double, (address >> QUEUE_PFN_SHIFT) as u32);
        if let Some(vector) = vector {
            if !self.attach(platform, QUEUE_VECTOR, vector) {
                self.write(platform, QUEUE_PFN, Width::Double, 0);
                platform.free(address, bytes);
                return Err(DriverError::VectorRefused { vector, purpose: VectorPurpose::Queue(index) });
            }
        }
        self.queues.push(Queue { index, size, address, vector });
        Ok(ring)
    }

    /// Takes a queue from the device: detaches its vector, waits until no interrupt is on its way, and frees its ring.
    fn delete_queue(&self, platform: &mut dyn Platform, queue: &Queue) {
        self.select(platform, queue.index);
        if self.msix().is_some() {
            self.write(platform, QUEUE_VECTOR, Width::Word, NO_VECTOR.into());
            self.read(platform, ISR, Width::Byte);
        }
        self.write(platform, QUEUE_PFN, Width::Double, 0);
        platform.free(queue.address, ring_bytes(queue.size));
    }

    /// Takes all queues from the device and gives the interrupts back. The rings must not be used any more.
    pub fn delete_queues(&mut self, platform: &mut dyn Platform) {
        for queue in std::mem::take(&mut self.queues) {
            self.delete_queue(platform, &queue);
        }
        self.free_vectors(platform);
    }

    fn select(&self, platform: &mut dyn Platform, index: u16) {
        self.write(platform, QUEUE_SEL, Width::Word, index.into());
    }
}
