//! The console driver: bytes out, and buffers for bytes that come in.
use super::chain::Chain;
use super::pci::Bus;
use super::ring::{Buffer, RingError, RingOptions, Shape, Virtqueue};
use super::virtio_pci::{DriverError, InterruptCount, Interrupted, QueueOptions, QueueUse, VectorPolicy, VirtioPci};
use super::Platform;
use crate::link::{FunctionId, Interrupt};
use std::collections::HashMap;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::console::*;
use virtio_hdl_rtl::virtio::layout::{
    FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, STATUS_DRIVER_OK, VIRTIO_ID_CONSOLE,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// The queue of bytes that come in.
const RECEIVE: u16 = 0;
/// The queue of bytes that go out.
const TRANSMIT: u16 = 1;

/// Both, in their order.
const QUEUES: [QueueUse; 2] = [QueueUse::interrupting("input"), QueueUse::interrupting("output")];

/// How the driver runs the console.
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
            FEATURE_SIZE,
            FEATURE_EMERG_WRITE,
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

/// What is wrong with the console.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ConsoleError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The buffers do not lie in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
    /// More than the buffer holds, or nothing.
    #[error("the device says it wrote {written} bytes into a buffer of {bytes}")]
    Written { written: u32, bytes: u32 },
}

impl From<RingError> for ConsoleError {
    fn from(error: RingError) -> Self {
        ConsoleError::Driver(error.into())
    }
}

/// A console.
#[derive(Debug)]
pub struct Console {
    transport: VirtioPci,
    receive: Virtqueue,
    transmit: Virtqueue,
    features: u32,
    incoming: HashMap<u16, Chain>,
    outgoing: HashMap<u16, Chain>,
    interrupts: InterruptCount,
}

impl Console {
    /// Binds to the console at `id`.
    pub fn probe(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let (transport, (receive, transmit, features)) =
            VirtioPci::bind(platform, bus, id, VIRTIO_ID_CONSOLE, |platform, transport| {
                Self::set_up(platform, transport, options)
            })?;
        Ok(Console {
            transport,
            receive,
            transmit,
            features,
            incoming: HashMap::new(),
            outgoing: HashMap::new(),
            interrupts: InterruptCount::default(),
        })
    }

    fn set_up(
        platform: &mut dyn Platform,
        transport: &mut VirtioPci,
        options: &Options,
    ) -> Result<(Virtqueue, Virtqueue, u32), DriverError> {
        let features = transport.negotiate(platform, options.features);
        let event_index = features >> FEATURE_RING_EVENT_IDX & 1 == 1;
        let ring = RingOptions { event_index, scatter: options.scatter };
        let queue_options = QueueOptions { policies: options.policies.clone(), ring };
        let mut queues = transport.find_queues(platform, &QUEUES, &queue_options)?.into_iter();
        let (Some(receive), Some(transmit)) = (queues.next(), queues.next()) else {
            return Err(DriverError::NoMemory(0));
        };
        transport.add_status(platform, STATUS_DRIVER_OK)?;
        Ok((receive, transmit, features))
    }

    /// The transport underneath.
    pub fn transport(&self) -> &VirtioPci {
        &self.transport
    }

    /// The receive queue and the transmit queue.
    pub fn queues(&self) -> (&Virtqueue, &Virtqueue) {
        (&self.receive, &self.transmit)
    }

    /// The same, for chains that the driver itself would not make.
    pub fn queues_mut(&mut self) -> (&mut Virtqueue, &mut Virtqueue) {
        (&mut self.receive, &mut self.transmit)
    }

    /// Whether a feature bit was accepted by both sides.
    pub fn has_feature(&self, bit: u32) -> bool {
        self.features >> bit & 1 == 1
    }

    /// Interrupts that meant this console, and how many of them a change of the configuration.
    pub fn interrupts(&self) -> (u64, u64) {
        (self.interrupts.all, self.interrupts.config_changes)
    }

    /// Columns and rows of the terminal, if the device tells.
    pub fn size(&self, platform: &mut dyn Platform) -> Option<(u16, u16)> {
        let mut size = [0; 4];
        self.transport.get_config(platform, CONFIG_COLS, &mut size);
        let [cols_low, cols_high, rows_low, rows_high] = size;
        let size = (u16::from_le_bytes([cols_low, cols_high]), u16::from_le_bytes([rows_low, rows_high]));
        self.has_feature(FEATURE_SIZE).then_some(size)
    }

    /// Prints a byte without a queue, as Linux's driver does: byte by byte of a register of 32 bits.
    pub fn emergency_write(&self, platform: &mut dyn Platform, byte: u8) {
        self.transport.set_config(platform, CONFIG_EMERG_WR, &u32::from(byte).to_le_bytes());
    }

    /// Entries of each queue; of the shorter one, were they to differ.
    pub fn queue_size(&self) -> u16 {
        self.receive.size().min(self.transmit.size())
    }

    /// Buffers that the device has for bytes that come in.
    pub fn receive_buffers(&self) -> usize {
        self.incoming.len()
    }

    /// Chains that the device has to print.
    pub fn transmitting(&self) -> usize {
        self.outgoing.len()
    }

    /// Room for another chain of this many buffers: in the receive queue, in the transmit queue.
    pub fn has_room(&self, buffers: usize) -> (bool, bool) {
        (self.receive.free_descriptors() >= buffers, self.transmit.free_descriptors() >= buffers)
    }

    /// Gives the device a chain for bytes that come in: `bytes` bytes in buffers as long as `cut` says, and a last one of what is left.
    /// It learns of it with [`kick`](Self::kick).
    pub fn provide(
        &mut self,
        platform: &mut dyn Platform,
        bytes: u32,
        cut: &[u32],
        shape: Shape,
    ) -> Result<(), ConsoleError> {
        let chain = Chain::allocate(platform, bytes)?;
        let (head, chain) = chain.offer(platform, &mut self.receive, cut, Buffer::writable, shape)?;
        self.incoming.insert(head, chain);
        Ok(())
    }

    /// Gives the device bytes to print, in a chain that is cut in the same way.
    pub fn print(
        &mut self,
        platform: &mut dyn Platform,
        bytes: &[u8],
        cut: &[u32],
        shape: Shape,
    ) -> Result<(), ConsoleError> {
        let chain = Chain::allocate(platform, bytes.len() as u32)?;
        platform.memory().write_slice(bytes, GuestAddress(chain.address))?;
        let (head, chain) = chain.offer(platform, &mut self.transmit, cut, Buffer::readable, shape)?;
        self.outgoing.insert(head, chain);
        Ok(())
    }

    /// Tells the device what was given to it, and notifies it where it wants to be.
    pub fn kick(&mut self, platform: &mut dyn Platform) -> Result<(), ConsoleError> {
        for (queue, index) in [(&mut self.receive, RECEIVE), (&mut self.transmit, TRANSMIT)] {
            if queue.kick(platform.memory())? {
                self.transport.notify(platform, index);
            }
        }
        Ok(())
    }

    /// Takes back what was printed, and what has been typed into the next chain; the next one will interrupt when there is none.
    pub fn poll(&mut self, platform: &mut dyn Platform) -> Result<Option<Vec<u8>>, ConsoleError> {
        loop {
            while let Some(used) = self.transmit.take(platform)? {
                if let Some(chain) = self.outgoing.remove(&used.head) {
                    chain.free(platform);
                }
            }
            if let Some(bytes) = self.take_typed(platform)? {
                return Ok(Some(bytes));
            }
            let more_printed = self.transmit.enable_interrupts(platform.memory())?;
            if !self.receive.enable_interrupts(platform.memory())? && !more_printed {
                return Ok(None);
            }
        }
    }

    /// The same, and waits for it by interrupt, until cycle `deadline` at most; or until something has been printed, or the configuration
    /// has changed.
    pub fn wait(&mut self, platform: &mut dyn Platform, deadline: u64) -> Result<Option<Vec<u8>>, ConsoleError> {
        let printing = self.outgoing.len();
        loop {
            if let Some(bytes) = self.poll(platform)? {
                return Ok(Some(bytes));
            }
            if self.outgoing.len() < printing {
                return Ok(None);
            }
            let rings = [&self.receive, &self.transmit];
            match self.transport.next_interrupt(platform, deadline, &rings, &mut self.interrupts)? {
                None => return Ok(None),
                Some(Interrupted::Mine { config_changed: true, .. }) => return self.poll(platform),
                Some(_) => {}
            }
        }
    }

    /// Handles an interrupt of the platform.
    pub fn interrupt(&self, platform: &mut dyn Platform, interrupt: Interrupt) -> Result<Interrupted, RingError> {
        self.transport.interrupt(platform, interrupt, &[&self.receive, &self.transmit])
    }

    /// What the device wrote into the next used chain.
    fn take_typed(&mut self, platform: &mut dyn Platform) -> Result<Option<Vec<u8>>, ConsoleError> {
        let Some(used) = self.receive.take(platform)? else { return Ok(None) };
        let Some(chain) = self.incoming.remove(&used.head) else { return Ok(None) };
        if used.written > chain.bytes || used.written == 0 {
            return Err(ConsoleError::Written { written: used.written, bytes: chain.bytes });
        }
        let mut typed = vec![0; used.written as usize];
        platform.memory().read_slice(&mut typed, GuestAddress(chain.address))?;
        chain.free(platform);
        Ok(Some(typed))
    }

    /// Resets the device and gives everything back, even when something fails; then the first error is told.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        let resumed = self.transport.resume(platform);
        // The memory is the device's until it is reset.
        let reset = self.transport.reset(platform);
        self.receive.discard(platform);
        self.transmit.discard(platform);
        for chain in self.incoming.values().chain(self.outgoing.values()) {
            chain.free(platform);
        }
        let removed = self.transport.remove(platform, bus);
        resumed.and(reset).and(removed)
    }
}
