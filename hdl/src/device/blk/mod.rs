//! virtio-blk (virtio 1.x, section 5.2): requests become commands of the device side, its answers become responses.
//!
//! ```text
//!   chain, readable bytes -> [request] -> command, write data ---> device side
//!                                |                                     |
//!                             pending, in order                        v
//!   scatter command, bytes <- [response] <- status, read data <--------+
//! ```
//! Several requests are in flight: the request block runs ahead of the answers by as many as `pending` holds. The device
//! side answers in the order of the commands.
pub mod request;
pub mod response;
pub mod types;

use crate::cells::{Sink, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;
use types::*;

/// The block device.
#[derive(LogicBlock, Default)]
pub struct BlkDevice {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Drain: no new commands, answers are consumed and forgotten.
    pub stop: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub capacity: Signal<In, Bits<64>>,
    /// Write requests fail.
    pub read_only: Signal<In, Bit>,
    /// Chains of the request queue.
    pub chain: Sink<Chain>,
    /// Bytes of their readable buffers.
    pub readable: Sink<ByteBeat>,
    /// What to do with their writable buffers.
    pub scatter: Source<ScatterCommand>,
    /// Bytes for their writable buffers.
    pub writable: Source<ByteBeat>,
    /// Commands for the device side.
    pub command: Source<BlkCommand>,
    /// Data of write commands.
    pub write: Source<BlkWriteBeat>,
    /// Status of each command, in order.
    pub status: Sink<Bits<8>>,
    /// Data of read commands that succeeded, behind their status.
    pub read: Sink<Bits<128>>,
    /// No request is in flight.
    pub idle: Signal<Out, Bit>,
    /// One cycle: a chain was too short for a request.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,

    request: request::BlkRequest,
    response: response::BlkResponse,
    pending: StreamFifo<BlkPending, 5>,
}

impl Logic for BlkDevice {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_device: virtio-blk between the ring engine and the device side");
        clock!(self, clock, request, response, pending);
        self.request.reset.next = self.reset.val();
        self.response.reset.next = self.reset.val();
        self.pending.reset.next = self.reset.val();
        self.request.stop.next = self.stop.val();
        self.response.stop.next = self.stop.val();
        self.request.capacity.next = self.capacity.val();
        self.request.read_only.next = self.read_only.val();
        Sink::<Chain>::link(&mut self.chain, &mut self.request.chain);
        Sink::<ByteBeat>::link(&mut self.readable, &mut self.request.readable);
        Source::<BlkCommand>::link(&mut self.command, &mut self.request.command);
        Source::<BlkWriteBeat>::link(&mut self.write, &mut self.request.write);
        Source::<BlkPending>::join(&mut self.request.pending, &mut self.pending.input);
        Source::<BlkPending>::join(&mut self.pending.output, &mut self.response.pending);
        Sink::<Bits<8>>::link(&mut self.status, &mut self.response.status);
        Sink::<Bits<128>>::link(&mut self.read, &mut self.response.read);
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.response.scatter);
        Source::<ByteBeat>::link(&mut self.writable, &mut self.response.writable);
        self.idle.next = self.request.idle.val() & self.response.idle.val() & !self.pending.output.valid.val();
        self.violation_valid.next = self.request.violation_valid.val();
        self.violation.next = self.request.violation.val();
    }
}
