//! virtio-blk (virtio 1.x, section 5.2): requests become commands of the device side, its answers become responses.
//!
//! ```text
//!   chain, readable bytes -> [request] -> [port] -> command, write data ---> device side
//!                                |                                               |
//!                             pending, in order                                  v
//!   scatter command, bytes <- [response] <- status, read data <------------------+
//! ```
//! Several requests are in flight: the request block runs ahead of the answers by as many as `pending` holds. The device
//! side answers in the order of the commands, and gives the tag of each back. It is not trusted to: see `response::BlkResponse`.
mod answer_tag;
mod options;
mod port;
pub mod ram_disk;
mod request;
mod response;
mod row;
mod side;
pub mod types;

pub use options::{BlkOptions, Geometry};
pub use row::{BLK, BLK_SIZE, FLUSH, GEOMETRY, MQ, RO, SEG_MAX};

use crate::block::Block;
use crate::cells::{Sink, Source, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;
use types::*;

/// The block device.
///
/// A reset of the device needs nothing of the device side: what has been offered to it stays offered, and what it answers later is
/// recognised by its tag.
#[derive(Block)]
pub struct BlkDevice {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Of the endpoint and all that is at the device side.
    pub reset: Signal<In, Bit>,
    /// Of the device, in any cycle: all requests are forgotten.
    pub clear: Signal<In, Bit>,
    /// A reset of the device is to come: nothing is begun, nothing goes out to the rings.
    pub stop: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub capacity: Signal<In, Bits<64>>,
    /// Write requests fail.
    pub read_only: Signal<In, Bit>,
    /// Chains of the request queues.
    pub chain: Sink<Chain>,
    /// The queue of the chain that is offered.
    pub chain_queue: Signal<In, Bits<2>>,
    /// Bytes of their readable buffers.
    pub readable: Sink<ByteBeat>,
    /// What to do with their writable buffers.
    pub scatter: Source<ScatterCommand>,
    /// Bytes for their writable buffers.
    pub writable: Source<ByteBeat>,
    /// The queue of what `scatter` and `writable` offer.
    pub answer_queue: Signal<Out, Bits<2>>,
    /// Commands for the device side.
    pub command: Source<BlkCommand>,
    /// Data of write commands.
    pub write: Source<BlkWriteBeat>,
    /// Status of each command, in order.
    pub status: Sink<BlkStatus>,
    /// Data of read commands that succeeded, behind their status.
    pub read: Sink<BlkReadBeat>,
    /// No request is in flight. With `stop` in any case.
    pub idle: Signal<Out, Bit>,
    /// One cycle: an answer of the device side was left out, too short, too long, did not come in time, or came unasked.
    pub fault: Signal<Out, Bit>,
    /// One cycle: a chain was too short for a request.
    pub violation_valid: Signal<Out, Bit>,
    /// Which rule, and what broke it.
    pub violation: Signal<Out, ViolationReport>,
    /// The queue that it is of.
    pub violation_queue: Signal<Out, Bits<2>>,

    request: request::BlkRequest,
    port: port::BlkPort,
    #[given]
    response: response::BlkResponse,
    pending: StreamFifo<BlkPending, 5>,
    // a reset forgets too
    forget: Signal<Local, Bit>,
}

impl BlkDevice {
    /// Gives the device side up when an answer has not come for so many cycles.
    pub fn new(answer_cycles: u64) -> Self {
        Self::with(BlkDeviceGiven { response: response::BlkResponse::new(answer_cycles) })
    }
}

impl Logic for BlkDevice {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_device: virtio-blk between the ring engine and the device side");
        self.forget.next = self.reset.val() | self.clear.val();
        self.request.reset.next = self.forget.val();
        self.port.clear.next = self.clear.val();
        self.response.clear.next = self.clear.val();
        self.pending.reset.next = self.forget.val();
        self.request.stop.next = self.stop.val();
        self.response.stop.next = self.stop.val();
        self.request.capacity.next = self.capacity.val();
        self.request.read_only.next = self.read_only.val();
        Sink::<Chain>::link(&mut self.chain, &mut self.request.chain);
        self.request.chain_queue.next = self.chain_queue.val();
        Sink::<ByteBeat>::link(&mut self.readable, &mut self.request.readable);
        Source::<BlkCommand>::join(&mut self.request.command, &mut self.port.command);
        Source::<BlkWriteBeat>::join(&mut self.request.write, &mut self.port.write);
        self.port.cut.next = self.request.cut.val() | self.clear.val();
        self.port.timeout.next = self.response.timeout.val();
        self.request.refused.next = self.port.refused.val();
        self.request.generation.next = self.response.generation.val();
        self.response.next_tag.next = self.port.next_tag.val();
        comment!("of the request at hand, if no other is behind it");
        self.response.reading.next = self.request.reading.val() & !self.pending.output.valid.val();
        self.response.waits_for_host.next = self.request.waits_for_host.val();
        self.response.waits_for_device.next = self.request.waits_for_device.val();
        Source::<BlkCommand>::link(&mut self.command, &mut self.port.command_out);
        Source::<BlkWriteBeat>::link(&mut self.write, &mut self.port.write_out);
        Source::<BlkPending>::join(&mut self.request.pending, &mut self.pending.input);
        Source::<BlkPending>::join(&mut self.pending.output, &mut self.response.pending);
        Sink::<BlkStatus>::link(&mut self.status, &mut self.response.status);
        Sink::<BlkReadBeat>::link(&mut self.read, &mut self.response.read);
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.response.scatter);
        Source::<ByteBeat>::link(&mut self.writable, &mut self.response.writable);
        self.answer_queue.next = self.response.answer_queue.val();
        self.idle.next =
            (self.request.idle.val() & self.response.idle.val() & !self.pending.output.valid.val()) | self.stop.val();
        self.fault.next = self.response.fault.val();
        self.violation_valid.next = self.request.violation_valid.val();
        self.violation.next = self.request.violation.val();
        self.violation_queue.next = self.request.violation_queue.val();
    }
}
