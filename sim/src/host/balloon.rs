//! The balloon driver: pages into the balloon and out of it, and what the guest says of its memory.
use super::chain::Chain;
use super::pci::Bus;
use super::ring::{Buffer, RingError, RingOptions, Shape, Virtqueue};
use super::virtio_pci::{DriverError, InterruptCount, Interrupted, QueueOptions, QueueUse, VectorPolicy, VirtioPci};
use super::Platform;
use crate::link::{FunctionId, Interrupt};
use std::collections::HashMap;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::balloon::*;
use virtio_hdl_rtl::virtio::layout::{
    FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, STATUS_DRIVER_OK, VIRTIO_ID_BALLOON,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// All of its queues; the last one only with the feature STATS_VQ.
const QUEUES: [QueueUse; 3] =
    [QueueUse::interrupting("inflate"), QueueUse::interrupting("deflate"), QueueUse::interrupting("stats")];

/// A queue of the balloon.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum BalloonQueue {
    /// Pages for the balloon.
    Inflate,
    /// Pages out of it.
    Deflate,
    /// What the guest says of its memory.
    Statistics,
}

impl BalloonQueue {
    /// All, in the order of their numbers.
    pub const ALL: [BalloonQueue; 3] = [BalloonQueue::Inflate, BalloonQueue::Deflate, BalloonQueue::Statistics];
}

/// How the driver runs the balloon.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ways to interrupt, tried in this order.
    pub policies: Vec<VectorPolicy>,
    /// Feature bits that the driver supports.
    pub features: u32,
    /// Seed of a random order of descriptors; in order when there is none.
    pub scatter: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let bits = [
            FEATURE_MUST_TELL_HOST,
            FEATURE_STATS_VQ,
            FEATURE_DEFLATE_ON_OOM,
            FEATURE_NOTIFY_ON_EMPTY,
            FEATURE_RING_INDIRECT_DESC,
            FEATURE_RING_EVENT_IDX,
        ];
        Options {
            policies: VectorPolicy::ALL.to_vec(),
            features: bits.iter().fold(0, |features, bit| features | 1 << bit),
            scatter: None,
        }
    }
}

/// What is wrong with the balloon.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum BalloonError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The buffers do not lie in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
    /// It has nothing to write.
    #[error("the device says it wrote {0} bytes")]
    Written(u32),
    /// The feature was not accepted.
    #[error("there is no queue for statistics")]
    NoStatistics,
}

impl From<RingError> for BalloonError {
    fn from(error: RingError) -> Self {
        BalloonError::Driver(error.into())
    }
}

/// A balloon.
#[derive(Debug)]
pub struct Balloon {
    transport: VirtioPci,
    /// Two, or three.
    queues: Vec<Virtqueue>,
    features: u32,
    /// Chains that the device has, by the number of their queue and their head.
    chains: HashMap<(usize, u16), Chain>,
    interrupts: InterruptCount,
}

impl Balloon {
    /// Binds to the balloon at `id`.
    pub fn probe(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let (transport, (queues, features)) =
            VirtioPci::bind(platform, bus, id, VIRTIO_ID_BALLOON, |platform, transport| {
                Self::set_up(platform, transport, options)
            })?;
        Ok(Balloon { transport, queues, features, chains: HashMap::new(), interrupts: InterruptCount::default() })
    }

    fn set_up(
        platform: &mut dyn Platform,
        transport: &mut VirtioPci,
        options: &Options,
    ) -> Result<(Vec<Virtqueue>, u32), DriverError> {
        let features = transport.negotiate(platform, options.features);
        let event_index = features >> FEATURE_RING_EVENT_IDX & 1 == 1;
        let ring = RingOptions { event_index, scatter: options.scatter };
        let queue_options = QueueOptions { policies: options.policies.clone(), ring };
        let count = 2 + (features >> FEATURE_STATS_VQ & 1) as usize;
        let queues = transport.find_queues(platform, &QUEUES[..count], &queue_options)?;
        transport.add_status(platform, STATUS_DRIVER_OK)?;
        Ok((queues, features))
    }

    /// The transport underneath.
    pub fn transport(&self) -> &VirtioPci {
        &self.transport
    }

    /// The queues, in the order of their numbers.
    pub fn queues(&self) -> &[Virtqueue] {
        &self.queues
    }

    /// A queue, for chains that the driver itself would not make.
    pub fn queue_mut(&mut self, queue: BalloonQueue) -> Option<&mut Virtqueue> {
        self.queues.get_mut(queue as usize)
    }

    /// Whether a feature bit was accepted by both sides.
    pub fn has_feature(&self, bit: u32) -> bool {
        self.features >> bit & 1 == 1
    }

    /// Interrupts that meant this balloon, and how many of them a change of the configuration.
    pub fn interrupts(&self) -> (u64, u64) {
        (self.interrupts.all, self.interrupts.config_changes)
    }

    /// Pages that the device wants in the balloon.
    pub fn num_pages(&self, platform: &mut dyn Platform) -> u32 {
        let mut pages = [0; 4];
        self.transport.get_config(platform, CONFIG_NUM_PAGES, &mut pages);
        u32::from_le_bytes(pages)
    }

    /// Tells the device how many are in it.
    pub fn set_actual(&self, platform: &mut dyn Platform, pages: u32) {
        self.transport.set_config(platform, CONFIG_ACTUAL, &pages.to_le_bytes());
    }

    /// Chains of a queue that the device has.
    pub fn outstanding(&self, queue: BalloonQueue) -> usize {
        self.chains.keys().filter(|(number, _)| *number == queue as usize).count()
    }

    /// Descriptors of a queue; none where there is no such queue.
    pub fn queue_size(&self, queue: BalloonQueue) -> usize {
        self.queues.get(queue as usize).map_or(0, |queue| queue.size().into())
    }

    /// Whether a queue has room for another chain of so many buffers.
    pub fn has_room(&self, queue: BalloonQueue, buffers: usize) -> bool {
        self.queues.get(queue as usize).is_some_and(|queue| queue.free_descriptors() >= buffers)
    }

    /// Gives the device a chain of these bytes, in buffers as long as `cut` says, and a last one of what is left; its number among those of
    /// this queue that the device has. It learns of it with [`kick`](Self::kick).
    pub fn give(
        &mut self,
        platform: &mut dyn Platform,
        queue: BalloonQueue,
        bytes: &[u8],
        cut: &[u32],
        shape: Shape,
    ) -> Result<u16, BalloonError> {
        let number = queue as usize;
        let ring = self.queues.get_mut(number).ok_or(BalloonError::NoStatistics)?;
        let chain = Chain::allocate(platform, bytes.len() as u32)?;
        platform.memory().write_slice(bytes, GuestAddress(chain.address))?;
        let (head, chain) = chain.offer(platform, ring, cut, Buffer::readable, shape)?;
        self.chains.insert((number, head), chain);
        Ok(head)
    }

    /// Tells the device what was given to it, and notifies it where it wants to be.
    pub fn kick(&mut self, platform: &mut dyn Platform) -> Result<(), BalloonError> {
        for (queue, index) in self.queues.iter_mut().zip(0..) {
            if queue.kick(platform.memory())? {
                self.transport.notify(platform, index);
            }
        }
        Ok(())
    }

    /// The next chain that comes back: its queue and number. The next one will interrupt when there is none.
    pub fn poll(&mut self, platform: &mut dyn Platform) -> Result<Option<(BalloonQueue, u16)>, BalloonError> {
        loop {
            for (number, ring) in self.queues.iter_mut().enumerate() {
                let Some(used) = ring.take(platform)? else { continue };
                if used.written != 0 {
                    return Err(BalloonError::Written(used.written));
                }
                if let Some(chain) = self.chains.remove(&(number, used.head)) {
                    chain.free(platform);
                }
                return Ok(Some((BalloonQueue::ALL[number], used.head)));
            }
            let mut more = false;
            for ring in &mut self.queues {
                more |= ring.enable_interrupts(platform.memory())?;
            }
            if !more {
                return Ok(None);
            }
        }
    }

    /// The same, and waits for it by interrupt, until cycle `deadline` at most; or until the configuration has changed.
    pub fn wait(
        &mut self,
        platform: &mut dyn Platform,
        deadline: u64,
    ) -> Result<Option<(BalloonQueue, u16)>, BalloonError> {
        loop {
            if let Some(back) = self.poll(platform)? {
                return Ok(Some(back));
            }
            let rings: Vec<_> = self.queues.iter().collect();
            match self.transport.next_interrupt(platform, deadline, &rings, &mut self.interrupts)? {
                None => return Ok(None),
                Some(Interrupted::Mine { config_changed: true, .. }) => return self.poll(platform),
                Some(_) => {}
            }
        }
    }

    /// Handles an interrupt of the platform.
    pub fn interrupt(&self, platform: &mut dyn Platform, interrupt: Interrupt) -> Result<Interrupted, RingError> {
        let rings: Vec<_> = self.queues.iter().collect();
        self.transport.interrupt(platform, interrupt, &rings)
    }

    /// Resets the device and gives everything back, even when something fails; then the first error is told.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        let resumed = self.transport.resume(platform);
        // The memory is the device's until it is reset.
        let reset = self.transport.reset(platform);
        self.queues.iter_mut().for_each(|queue| queue.discard(platform));
        self.chains.values().for_each(|chain| chain.free(platform));
        let removed = self.transport.remove(platform, bus);
        resumed.and(reset).and(removed)
    }
}
