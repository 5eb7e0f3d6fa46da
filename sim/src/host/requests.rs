//! A driver for devices of any kind whose queues carry requests, each with a reply: those that are a program.
use super::chain::Chain;
use super::pci::Bus;
use super::ring::{Buffer, RingError, RingOptions, Shape, Virtqueue};
use super::virtio_pci::{DriverError, InterruptCount, QueueOptions, QueueUse, VectorPolicy, VirtioPci};
use super::Platform;
use crate::link::FunctionId;
use std::borrow::Cow;
use std::collections::HashMap;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::{
    FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, STATUS_DRIVER_OK,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// How the driver runs the device.
#[derive(Clone, Debug)]
pub struct Options {
    /// Queues that are used.
    pub queues: usize,
    /// Ways to interrupt, tried in this order.
    pub policies: Vec<VectorPolicy>,
    /// Feature bits that the driver supports.
    pub features: u32,
    /// Seed of a random order of descriptors; in order when there is none.
    pub scatter: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let bits = [FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_INDIRECT_DESC, FEATURE_RING_EVENT_IDX];
        Options {
            queues: 1,
            policies: VectorPolicy::ALL.to_vec(),
            features: bits.iter().fold(0, |features, bit| features | 1 << bit),
            scatter: None,
        }
    }
}

/// What is wrong with the device.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RequestError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The buffers do not lie in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
    /// It wrote more than there was room for.
    #[error("the device says it wrote {written} bytes where there was room for {room}")]
    Written { written: u32, room: u32 },
    /// There is no such queue.
    #[error("there is no queue {0}")]
    NoQueue(usize),
}

impl From<RingError> for RequestError {
    fn from(error: RingError) -> Self {
        RequestError::Driver(error.into())
    }
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its queue.
    pub queue: usize,
    /// Number of the request among those of this queue that the device had.
    pub number: u16,
    /// What the device wrote.
    pub bytes: Vec<u8>,
}

/// What the driver has given to the device: first the request, behind it the room for the reply.
#[derive(Debug)]
struct Given {
    chain: Chain,
    request: u32,
}

/// A device of requests.
#[derive(Debug)]
pub struct Requests {
    transport: VirtioPci,
    queues: Vec<Virtqueue>,
    given: HashMap<(usize, u16), Given>,
    interrupts: InterruptCount,
}

impl Requests {
    /// Binds to the device of this virtio id at `id`.
    pub fn probe(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        virtio_id: u16,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let (transport, queues) = VirtioPci::bind(platform, bus, id, virtio_id, |platform, transport| {
            let features = transport.negotiate(platform, options.features);
            let event_index = features >> FEATURE_RING_EVENT_IDX & 1 == 1;
            let ring = RingOptions { event_index, scatter: options.scatter };
            let queue_options = QueueOptions { policies: options.policies.clone(), ring };
            let name = |queue| Cow::Owned(format!("queue{queue}"));
            let uses: Vec<_> =
                (0..options.queues).map(|queue| QueueUse { name: name(queue), callback: true }).collect();
            let queues = transport.find_queues(platform, &uses, &queue_options)?;
            transport.add_status(platform, STATUS_DRIVER_OK)?;
            Ok(queues)
        })?;
        Ok(Requests { transport, queues, given: HashMap::new(), interrupts: InterruptCount::default() })
    }

    /// The transport underneath.
    pub fn transport(&self) -> &VirtioPci {
        &self.transport
    }

    /// Requests that the device has.
    pub fn outstanding(&self) -> usize {
        self.given.len()
    }

    /// Whether a queue has room for another request of so many buffers.
    pub fn has_room(&self, queue: usize, buffers: usize) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.free_descriptors() >= buffers)
    }

    /// Gives the device a request, with room for a reply of so many bytes; in buffers as long as `cut` says, of which none holds both.
    /// Its number. The device learns of it with [`kick`](Self::kick).
    pub fn give(
        &mut self,
        platform: &mut dyn Platform,
        queue: usize,
        request: &[u8],
        room: u32,
        cut: &[u32],
        shape: Shape,
    ) -> Result<u16, RequestError> {
        let ring = self.queues.get_mut(queue).ok_or(RequestError::NoQueue(queue))?;
        let length = request.len() as u32;
        let chain = Chain::allocate(platform, length + room)?;
        platform.memory().write_slice(request, GuestAddress(chain.address))?;
        let readable = Chain { address: chain.address, bytes: length };
        let writable = Chain { address: chain.address + u64::from(length), bytes: room };
        let mut buffers: Vec<_> = readable.cut_up(cut).map(|(at, bytes)| Buffer::readable(at, bytes)).collect();
        buffers.extend(writable.cut_up(cut).map(|(at, bytes)| Buffer::writable(at, bytes)));
        match ring.add(platform, &buffers, shape) {
            Ok(head) => {
                self.given.insert((queue, head), Given { chain, request: length });
                Ok(head)
            }
            Err(error) => {
                chain.free(platform);
                Err(error.into())
            }
        }
    }

    /// Tells the device what was given to it, and notifies it where it wants to be.
    pub fn kick(&mut self, platform: &mut dyn Platform) -> Result<(), RequestError> {
        for (queue, index) in self.queues.iter_mut().zip(0..) {
            if queue.kick(platform.memory())? {
                self.transport.notify(platform, index);
            }
        }
        Ok(())
    }

    /// The next reply. The next one will interrupt when there is none.
    pub fn poll(&mut self, platform: &mut dyn Platform) -> Result<Option<Reply>, RequestError> {
        loop {
            for (queue, ring) in self.queues.iter_mut().enumerate() {
                let Some(used) = ring.take(platform)? else { continue };
                let mut bytes = vec![];
                if let Some(Given { chain, request }) = self.given.remove(&(queue, used.head)) {
                    let room = chain.bytes - request;
                    if used.written > room {
                        return Err(RequestError::Written { written: used.written, room });
                    }
                    bytes.resize(used.written as usize, 0);
                    platform.memory().read_slice(&mut bytes, GuestAddress(chain.address + u64::from(request)))?;
                    chain.free(platform);
                }
                return Ok(Some(Reply { queue, number: used.head, bytes }));
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

    /// The same, and waits for it by interrupt, until cycle `deadline` at most.
    pub fn wait(&mut self, platform: &mut dyn Platform, deadline: u64) -> Result<Option<Reply>, RequestError> {
        loop {
            if let Some(reply) = self.poll(platform)? {
                return Ok(Some(reply));
            }
            let rings: Vec<_> = self.queues.iter().collect();
            if self.transport.next_interrupt(platform, deadline, &rings, &mut self.interrupts)?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Resets the device and gives everything back, even when something fails; then the first error is told.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        let resumed = self.transport.resume(platform);
        // The memory is the device's until it is reset.
        let reset = self.transport.reset(platform);
        self.queues.iter_mut().for_each(|queue| queue.discard(platform));
        self.given.values().for_each(|given| given.chain.free(platform));
        let removed = self.transport.remove(platform, bus);
        resumed.and(reset).and(removed)
    }
}
