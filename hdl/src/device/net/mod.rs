//! virtio-net (virtio 1.x, section 5.1): chains become frames, frames go into chains.
//!
//! ```text
//!   tx_chain, tx_readable -> [transmit] -> frame_out
//!              tx_scatter <-----+
//!   rx_chain, rx_readable -> [receive] <- frame_in
//! rx_scatter, rx_writable <-----+
//! ```
//! Both sides store frames whole, 8 KiB each, or 32 KiB where frames may be longer than 2,032 bytes: nothing of a frame that turns out to be bad has left before that is known. A frame of 64 bytes
//! takes 5 cycles in either direction, a longer one a cycle per 16 bytes.
mod byte_sum;
pub mod mac_swap;
mod options;
mod receive;
mod receive_chains;
mod receive_check;
mod receive_header;
mod receive_plan;
mod receive_store;
mod row;
mod side;
mod transmit;
mod transmit_checksum;
mod transmit_header;
mod transmit_port;
mod transmit_send;
pub mod types;

pub use options::NetOptions;
pub use row::{CSUM, GUEST_CSUM, MAC, MRG_RXBUF, MTU, NET, STATUS};

use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;
use types::*;

/// The network device.
///
/// A chain to send and a received frame keep the features with which they began, whatever the driver negotiates meanwhile.
#[derive(Block)]
pub struct NetDevice {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Of the endpoint and the wire.
    pub reset: Signal<In, Bit>,
    /// Of the device, in any cycle: frames in it are forgotten. One that is on its way to the wire is cut off and ends with an error:
    /// `stop` first, and wait a little.
    pub clear: Signal<In, Bit>,
    /// Drain, from the next cycle on: chains stay where they are, the frame on its way to the wire goes on to its end, frames from
    /// the wire are thrown away. May also be held while the driver is not ready, so that it does not get frames of an earlier time.
    pub stop: Signal<In, Bit>,
    /// MRG_RXBUF has been negotiated: a header of 12 bytes both ways, several chains per received frame.
    pub merge: Signal<In, Bit>,
    /// CSUM has been negotiated: the driver may leave checksums to the device.
    pub csum: Signal<In, Bit>,
    /// GUEST_CSUM has been negotiated: the driver wants to know which checksums are right.
    pub guest_csum: Signal<In, Bit>,
    /// Chains of the transmit queue.
    pub tx_chain: Sink<Chain>,
    /// Bytes of their readable buffers.
    pub tx_readable: Sink<ByteBeat>,
    /// They are used, with no bytes.
    pub tx_scatter: Source<ScatterCommand>,
    /// Chains of the receive queue.
    pub rx_chain: Sink<Chain>,
    /// What to do with their writable buffers.
    pub rx_scatter: Source<ScatterCommand>,
    /// Bytes for their writable buffers: one stream per frame, however many chains it takes.
    pub rx_writable: Source<ByteBeat>,
    /// Frames to the wire.
    pub frame_out: Source<NetBeat>,
    /// Frames from the wire.
    pub frame_in: Sink<NetBeat>,
    /// Nothing moves before a chain or a beat comes. With `stop`: no frame is on its way to the wire.
    pub idle: Signal<Out, Bit>,
    /// Frames are here that have not gone into chains of the receive queue.
    pub frames_wait: Signal<Out, Bit>,
    /// One cycle each: a frame to send was too short or too long, could not be read, or its checksum lies outside of it.
    pub transmit_dropped: Signal<Out, Bit>,
    /// A received frame had fewer than 14 bytes.
    pub receive_runt: Signal<Out, Bit>,
    /// A received frame was too long.
    pub receive_oversize: Signal<Out, Bit>,
    /// A received frame was damaged, whatever its length.
    pub receive_error: Signal<Out, Bit>,
    /// A received frame found the memory full of frames without buffers, or did not fit into its buffers.
    pub receive_no_buffer: Signal<Out, Bit>,
    /// One cycle: a chain has no room for a header.
    pub tx_violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub tx_violation: Signal<Out, ViolationReport>,
    /// One cycle: a chain of the receive queue has no room for a header.
    pub rx_violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub rx_violation: Signal<Out, ViolationReport>,

    #[given]
    transmit: transmit::Transmit,
    #[given]
    receive: receive::Receive,
    // `stop`, one cycle later: it drives much
    stopping: Reg<Bit>,
    // a reset forgets too
    forget: Signal<Local, Bit>,
}

impl NetDevice {
    /// Of frames of this size, and with a receive queue of so many descriptors.
    pub fn new(sizes: FrameSizes, queue_size: u16) -> Self {
        Self::with(NetDeviceGiven {
            transmit: transmit::Transmit::new(sizes),
            receive: receive::Receive::new(sizes, queue_size),
        })
    }
}

impl Logic for NetDevice {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_device: virtio-net between the ring engines and the wire");
        self.forget.next = self.reset.val() | self.clear.val();
        self.stopping.reset.next = self.forget.val();
        self.stopping.d.next = self.stop.val();
        self.transmit.clear.next = self.clear.val();
        self.transmit.stop.next = self.stopping.q.val();
        self.transmit.merge.next = self.merge.val();
        self.transmit.csum.next = self.csum.val();
        Sink::<Chain>::link(&mut self.tx_chain, &mut self.transmit.chain);
        Sink::<ByteBeat>::link(&mut self.tx_readable, &mut self.transmit.readable);
        Source::<ScatterCommand>::link(&mut self.tx_scatter, &mut self.transmit.scatter);
        Source::<NetBeat>::link(&mut self.frame_out, &mut self.transmit.frame_out);
        self.transmit_dropped.next = self.transmit.dropped.val();
        self.tx_violation_valid.next = self.transmit.violation_valid.val();
        self.tx_violation.next = self.transmit.violation.val();

        self.receive.reset.next = self.forget.val();
        self.receive.wire_reset.next = self.reset.val();
        self.receive.stop.next = self.stopping.q.val();
        self.receive.merge.next = self.merge.val();
        self.receive.guest_csum.next = self.guest_csum.val();
        Sink::<Chain>::link(&mut self.rx_chain, &mut self.receive.chain);
        Source::<ScatterCommand>::link(&mut self.rx_scatter, &mut self.receive.scatter);
        Source::<ByteBeat>::link(&mut self.rx_writable, &mut self.receive.writable);
        Sink::<NetBeat>::link(&mut self.frame_in, &mut self.receive.frame_in);
        self.receive_runt.next = self.receive.runt.val();
        self.receive_oversize.next = self.receive.oversize.val();
        self.receive_error.next = self.receive.error.val();
        self.receive_no_buffer.next = self.receive.no_buffer.val();
        self.rx_violation_valid.next = self.receive.violation_valid.val();
        self.rx_violation.next = self.receive.violation.val();

        self.frames_wait.next = self.receive.frames_wait.val() & !self.stop.val();
        self.idle.next = self.transmit.idle.val() & self.receive.idle.val();
        if self.stopping.q.val() {
            self.idle.next = self.transmit.quiet.val();
        }
    }
}
