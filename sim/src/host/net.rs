//! The network driver: frames out, and buffers for frames that come in.
use super::chain::Chain;
use super::pci::Bus;
use super::ring::{Buffer, RingError, RingOptions, Shape, Virtqueue};
use super::virtio_pci::{DriverError, InterruptCount, Interrupted, QueueOptions, QueueUse, VectorPolicy, VirtioPci};
use super::Platform;
use crate::link::{FunctionId, Interrupt};
use std::collections::HashMap;
use thiserror::Error;
use virtio_hdl_rtl::virtio::layout::net::*;
use virtio_hdl_rtl::virtio::layout::{
    FEATURE_ANY_LAYOUT, FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, STATUS_DRIVER_OK,
    VIRTIO_ID_NET,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// The queue of frames that come in.
const RECEIVE: u16 = 0;
/// The queue of frames that go out.
const TRANSMIT: u16 = 1;

/// Both, in their order.
const QUEUES: [QueueUse; 2] = [QueueUse::interrupting("input"), QueueUse::interrupting("output")];

/// How the driver runs the port.
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
            FEATURE_CSUM,
            FEATURE_GUEST_CSUM,
            FEATURE_MTU,
            FEATURE_MAC,
            FEATURE_MRG_RXBUF,
            FEATURE_STATUS,
            FEATURE_NOTIFY_ON_EMPTY,
            FEATURE_ANY_LAYOUT,
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

/// A frame that is to go out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// From the destination address on, without the frame check sequence.
    pub frame: Vec<u8>,
    /// The device computes a checksum: where it begins, and how far behind that it is put. It sums what is in its place.
    pub checksum: Option<(u16, u16)>,
    /// Bytes of the chain's buffers, header included; the last one takes what is left.
    pub cut: Vec<u32>,
    /// Where the chain lies.
    pub shape: Shape,
}

/// A frame that has come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// From the destination address on.
    pub frame: Vec<u8>,
    /// The device has found the checksum of TCP or UDP right.
    pub checksum_valid: bool,
    /// Chains that it took.
    pub buffers: u16,
}

/// What is wrong with the network port.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum NetError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The buffers do not lie in guest memory.
    #[error("guest memory: {0}")]
    Memory(#[from] GuestMemoryError),
    /// A frame was announced in more buffers than are used.
    #[error("a frame takes {announced} buffers, and only {found} of them are in the used ring")]
    BuffersMissing { announced: u16, found: u16 },
    /// Less than a header, or more than the buffer holds.
    #[error("the device says it wrote {written} bytes into a buffer of {bytes}")]
    Written { written: u32, bytes: u32 },
    /// A frame that takes no buffer, or an unknown header.
    #[error("the header of a frame says flags {flags:#04x}, GSO {gso}, {buffers} buffers")]
    Header { flags: u8, gso: u8, buffers: u16 },
}

impl From<RingError> for NetError {
    fn from(error: RingError) -> Self {
        NetError::Driver(error.into())
    }
}

/// A network port.
#[derive(Debug)]
pub struct Net {
    transport: VirtioPci,
    receive: Virtqueue,
    transmit: Virtqueue,
    features: u32,
    incoming: HashMap<u16, Chain>,
    outgoing: HashMap<u16, Chain>,
    interrupts: InterruptCount,
}

impl Net {
    /// Binds to the network port at `id`.
    pub fn probe(
        platform: &mut dyn Platform,
        bus: &mut Bus,
        id: FunctionId,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let (transport, (receive, transmit, features)) =
            VirtioPci::bind(platform, bus, id, VIRTIO_ID_NET, |platform, transport| {
                Self::set_up(platform, transport, options)
            })?;
        Ok(Net {
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

    /// Whether a feature bit was accepted by both sides.
    pub fn has_feature(&self, bit: u32) -> bool {
        self.features >> bit & 1 == 1
    }

    /// Interrupts that meant this port, and how many of them a change of the configuration.
    pub fn interrupts(&self) -> (u64, u64) {
        (self.interrupts.all, self.interrupts.config_changes)
    }

    /// The hardware address.
    pub fn mac(&self, platform: &mut dyn Platform) -> [u8; 6] {
        let mut mac = [0; 6];
        self.transport.get_config(platform, CONFIG_MAC, &mut mac);
        mac
    }

    /// Bytes of the longest frame that the device carries, as far as it tells.
    pub fn longest_frame(&self, platform: &mut dyn Platform) -> u32 {
        if !self.has_feature(FEATURE_MTU) {
            return FRAME_BYTES_MAX;
        }
        let mut mtu = [0; 2];
        self.transport.get_config(platform, CONFIG_MTU, &mut mtu);
        u32::from(u16::from_le_bytes(mtu)) + FRAME_BYTES_OVER
    }

    /// Whether the link is up, as far as the device tells.
    pub fn link_up(&self, platform: &mut dyn Platform) -> bool {
        let mut status = [0; 2];
        self.transport.get_config(platform, CONFIG_STATUS, &mut status);
        !self.has_feature(FEATURE_STATUS) || u16::from_le_bytes(status) & STATUS_LINK_UP != 0
    }

    /// Bytes of the header in front of every frame.
    pub fn header_bytes(&self) -> u32 {
        match self.has_feature(FEATURE_MRG_RXBUF) {
            true => MERGE_HEADER_BYTES,
            false => HEADER_BYTES,
        }
    }

    /// Buffers that the device has for frames that come in.
    pub fn receive_buffers(&self) -> usize {
        self.incoming.len()
    }

    /// Frames that the device has to send.
    pub fn transmitting(&self) -> usize {
        self.outgoing.len()
    }

    /// Entries of each queue; of the shorter one, were they to differ.
    pub fn queue_size(&self) -> u16 {
        self.receive.size().min(self.transmit.size())
    }

    /// Room for another chain of this many buffers: in the receive queue, in the transmit queue.
    pub fn has_room(&self, buffers: usize) -> (bool, bool) {
        (self.receive.free_descriptors() >= buffers, self.transmit.free_descriptors() >= buffers)
    }

    /// Gives the device a chain for frames that come in: `bytes` bytes, cut as [`Outgoing::cut`] says. It learns of
    /// it with [`kick`](Self::kick).
    pub fn provide(
        &mut self,
        platform: &mut dyn Platform,
        bytes: u32,
        cut: &[u32],
        shape: Shape,
    ) -> Result<(), NetError> {
        let chain = Chain::allocate(platform, bytes)?;
        let (head, chain) = chain.offer(platform, &mut self.receive, cut, Buffer::writable, shape)?;
        self.incoming.insert(head, chain);
        Ok(())
    }

    /// Gives the device a frame to send. It learns of it with [`kick`](Self::kick).
    pub fn send(&mut self, platform: &mut dyn Platform, outgoing: &Outgoing) -> Result<(), NetError> {
        let header = self.header_bytes();
        let chain = Chain::allocate(platform, header + outgoing.frame.len() as u32)?;
        let mut bytes = vec![0; header as usize];
        if let Some((start, offset)) = outgoing.checksum {
            bytes[0] = FLAG_NEEDS_CSUM;
            bytes[6..8].copy_from_slice(&start.to_le_bytes());
            bytes[8..10].copy_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(&outgoing.frame);
        platform.memory().write_slice(&bytes, GuestAddress(chain.address))?;
        let (head, chain) =
            chain.offer(platform, &mut self.transmit, &outgoing.cut, Buffer::readable, outgoing.shape)?;
        self.outgoing.insert(head, chain);
        Ok(())
    }

    /// Tells the device what was given to it, and notifies it where it wants to be.
    pub fn kick(&mut self, platform: &mut dyn Platform) -> Result<(), NetError> {
        for (queue, index) in [(&mut self.receive, RECEIVE), (&mut self.transmit, TRANSMIT)] {
            if queue.kick(platform.memory())? {
                self.transport.notify(platform, index);
            }
        }
        Ok(())
    }

    /// Takes back what was sent, and the next frame that came in; the next one will interrupt when there is none.
    pub fn poll(&mut self, platform: &mut dyn Platform) -> Result<Option<Incoming>, NetError> {
        loop {
            while let Some(used) = self.transmit.take(platform)? {
                if let Some(chain) = self.outgoing.remove(&used.head) {
                    chain.free(platform);
                }
            }
            if let Some(frame) = self.take_frame(platform)? {
                return Ok(Some(frame));
            }
            let more_sent = self.transmit.enable_interrupts(platform.memory())?;
            if !self.receive.enable_interrupts(platform.memory())? && !more_sent {
                return Ok(None);
            }
        }
    }

    /// Handles an interrupt of the platform.
    pub fn interrupt(&self, platform: &mut dyn Platform, interrupt: Interrupt) -> Result<Interrupted, RingError> {
        self.transport.interrupt(platform, interrupt, &[&self.receive, &self.transmit])
    }

    /// The same, and waits for it by interrupt, until cycle `deadline` at most.
    pub fn wait(&mut self, platform: &mut dyn Platform, deadline: u64) -> Result<Option<Incoming>, NetError> {
        let sending = self.outgoing.len();
        loop {
            if let Some(frame) = self.poll(platform)? {
                return Ok(Some(frame));
            }
            if self.outgoing.len() < sending {
                return Ok(None);
            }
            let rings = [&self.receive, &self.transmit];
            if self.transport.next_interrupt(platform, deadline, &rings, &mut self.interrupts)?.is_none() {
                return Ok(None);
            }
        }
    }

    fn take_frame(&mut self, platform: &mut dyn Platform) -> Result<Option<Incoming>, NetError> {
        let Some(mut data) = self.take_chain(platform)? else { return Ok(None) };
        let header = self.header_bytes() as usize;
        if data.len() < header {
            return Err(NetError::Written { written: data.len() as u32, bytes: header as u32 });
        }
        let (flags, gso) = (data[0], data[1]);
        let buffers = match self.has_feature(FEATURE_MRG_RXBUF) {
            true => u16::from_le_bytes([data[10], data[11]]),
            false => 1,
        };
        if flags & !FLAG_DATA_VALID != 0 || gso != 0 || buffers == 0 {
            return Err(NetError::Header { flags, gso, buffers });
        }
        data.drain(..header);
        for found in 1..buffers {
            let Some(more) = self.take_chain(platform)? else {
                return Err(NetError::BuffersMissing { announced: buffers, found });
            };
            data.extend(more);
        }
        Ok(Some(Incoming { frame: data, checksum_valid: flags & FLAG_DATA_VALID != 0, buffers }))
    }

    /// What the device wrote into the next used chain.
    fn take_chain(&mut self, platform: &mut dyn Platform) -> Result<Option<Vec<u8>>, NetError> {
        let Some(used) = self.receive.take(platform)? else { return Ok(None) };
        let Some(chain) = self.incoming.remove(&used.head) else { return Ok(None) };
        if used.written > chain.bytes {
            return Err(NetError::Written { written: used.written, bytes: chain.bytes });
        }
        let mut data = vec![0; used.written as usize];
        platform.memory().read_slice(&mut data, GuestAddress(chain.address))?;
        chain.free(platform);
        Ok(Some(data))
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
