//! A virtqueue with its data movers: what a device sees of a queue.
use super::ring::{client, RingEngine};
use super::types::*;
use crate::block::{list, Block};
use crate::cells::{LaneRam, Sink, Source};
use crate::comment;
use crate::dma::arbiter::{TurnArbiter, WriteArbiter};
use crate::dma::gather::Gather;
use crate::dma::give_back::GiveBack;
use crate::dma::scatter::Scatter;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// One queue: the ring engine, the gatherer of readable bytes and the scatterer of writable ones.
///
/// This is the chain interface: `chain` says that a chain is there and how long it is, `bytes` are what the driver gave,
/// `command` and `data` are what the device gives back. Where a device has no use for one of them, its data mover is left out:
/// `bytes` never come then, or `data` are never taken. A new device type is a row
/// ([`crate::config::DeviceType`]) and one block behind it.
#[derive(Block)]
pub struct Virtqueue {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Number of the queue, which stands in front of its DMA client numbers: a constant, and a port so that all queues are
    /// one module.
    pub number: Signal<In, Bits<2>>,
    /// What the queue is to do, and what it says of itself.
    pub control: QueueControlSink,
    /// Limits of the link: 128 << n bytes.
    pub max_payload: Signal<In, Bits<3>>,
    /// Largest read to ask for: 128 << n bytes.
    pub max_read_request: Signal<In, Bits<3>>,
    /// Reads of host memory, their data and their ends.
    pub read_request: Source<ReadRequest>,
    /// What has been read, for all DMA clients.
    pub returns: ReadReturnSink,
    /// Writes of host memory, and the write engine's port to their data.
    pub write_request: Source<WriteRequest>,
    /// The write engine is past all words before `ram_word`.
    pub ram_past: Signal<In, Bit>,
    /// Whose RAM it reads.
    pub ram_client: Signal<In, Bits<4>>,
    /// The word that it reads.
    pub ram_word: Signal<In, Bits<12>>,
    /// What that word holds, one cycle later.
    pub ram_data: Signal<Out, Bits<128>>,
    /// One cycle: a request of `done_client` has been written.
    pub done_valid: Signal<In, Bit>,
    /// Whose request it was.
    pub done_client: Signal<In, Bits<4>>,
    /// The chain interface.
    pub chain: Source<Chain>,
    /// Bytes of the readable buffers, chain by chain.
    pub bytes: Source<ByteBeat>,
    /// What to do with the writable buffers of each chain.
    pub command: Sink<ScatterCommand>,
    /// Bytes for the writable buffers.
    pub data: Sink<ByteBeat>,

    #[given]
    ring: RingEngine,
    // one or none
    #[given]
    gather: Vec<Gather<8>>,
    // the one or the other
    #[given]
    scatter: Vec<Scatter<6>>,
    #[given]
    give_back: Vec<GiveBack>,
    /// What is read: buffers in the lower half, descriptors in the upper one.
    read_ram: LaneRam<128, 9, 16>,
    /// First DMA client numbers of the queue.
    first_read: Signal<Local, Bits<4>>,
    first_write: Signal<Local, Bits<4>>,
    /// What the engines tell, with the queue's own clients counted from 0; those of other queues are above them.
    own_retire: Signal<Local, ReadRetire>,
    own_write: Signal<Local, RamWrite>,
    own_done_client: Signal<Local, Bits<4>>,
    own_ram_client: Signal<Local, Bits<4>>,
    write_descriptor: Signal<Local, Bit>,
    gather_word: Signal<Local, Bits<8>>,
    out: Signal<Local, WriteRequest>,
    #[given]
    read_arbiter: TurnArbiter,
    // with a scatterer
    #[given]
    write_arbiter: Vec<WriteArbiter>,
    #[given]
    used_selected: Vec<DFF<Bit>>,
    #[given]
    gather_client: Constant<Bits<4>>,
    #[given]
    window_client: Constant<Bits<4>>,
    #[given]
    scatter_client: Constant<Bits<4>>,
    #[given]
    used_client: Constant<Bits<4>>,
}

// by which `update` shifts the number
const _: () = assert!(client::READS == 1 << 2 && client::WRITES == 1 << 1);

impl Virtqueue {
    /// A queue with a table of `queue_size` descriptors, of whose chains the device uses these buffers.
    pub fn new(queue_size: u16, buffers: Buffers) -> Self {
        let (readable, writable) = (usize::from(buffers.has_readable()), usize::from(buffers.has_writable()));
        Self::with(VirtqueueGiven {
            ring: RingEngine::new(queue_size, buffers.has_readable()),
            gather: (0..readable).map(|_| Gather::new(client::GATHER)).collect(),
            scatter: (0..writable).map(|_| Scatter::new(client::SCATTER)).collect(),
            give_back: list(1 - writable),
            read_arbiter: TurnArbiter::new(3 + readable),
            write_arbiter: (0..writable).map(|_| WriteArbiter::new(2)).collect(),
            used_selected: list(writable),
            gather_client: Constant::new(client::GATHER.into()),
            window_client: Constant::new(client::WINDOW.into()),
            scatter_client: Constant::new(client::SCATTER.into()),
            used_client: Constant::new(client::USED.into()),
        })
    }
}

impl Logic for Virtqueue {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtqueue: one queue with its data movers");
        QueueControlSink::link(&mut self.control, &mut self.ring.control);
        Source::<Chain>::link(&mut self.chain, &mut self.ring.chain);

        comment!("client numbers: {number, part}, and 0 in place of the number inside the queue");
        self.first_read.next = bit_cast::<4, 2>(self.number.val()) << 2;
        self.first_write.next = bit_cast::<4, 2>(self.number.val()) << 1;
        self.own_retire.next = self.returns.retire.val();
        self.own_retire.next.client = self.returns.retire.val().client ^ self.first_read.val();
        self.own_write.next = self.returns.write.val();
        self.own_write.next.client = self.returns.write.val().client ^ self.first_read.val();
        self.own_done_client.next = self.done_client.val() ^ self.first_write.val();
        self.own_ram_client.next = self.ram_client.val() ^ self.first_write.val();

        comment!("reads");
        self.ring.returns.retire.next = self.own_retire.val();
        self.ring.returns.retire_valid.next = self.returns.retire_valid.val();
        self.ring.returns.write.next = self.own_write.val();
        self.ring.returns.write_valid.next = self.returns.write_valid.val();
        Source::<ReadRequest>::join(&mut self.ring.available_request, &mut self.read_arbiter.clients[0]);
        Source::<ReadRequest>::join(&mut self.ring.window_request, &mut self.read_arbiter.clients[1]);
        Source::<ReadRequest>::join(&mut self.ring.decision_request, &mut self.read_arbiter.clients[2]);
        self.read_request.data.next = self.read_arbiter.request.data.val();
        self.read_request.data.next.client = self.read_arbiter.request.data.val().client | self.first_read.val();
        self.read_request.valid.next = self.read_arbiter.request.valid.val();
        self.read_arbiter.request.ready.next = self.read_request.ready.val();

        comment!("their data: the walker reads one in four cycles, so it goes first");
        self.write_descriptor.next = self.own_write.val().client == self.window_client.val();
        self.read_ram.waddr.next = bit_cast::<9, 8>(self.returns.write.val().word.get_bits::<8>(0));
        self.read_ram.wdata.next = self.returns.write.val().data;
        self.read_ram.wen.next = 0.into();
        if self.returns.write_valid.val()
            & (self.write_descriptor.val() | (self.own_write.val().client == self.gather_client.val()))
        {
            self.read_ram.wen.next = self.returns.write.val().enable;
        }
        if self.write_descriptor.val() {
            self.read_ram.waddr.next = bit_cast::<9, 8>(self.returns.write.val().word.get_bits::<8>(0)) | 0x100;
            comment!("a run of first windows, which may pass the end of their ring");
            if self.returns.write.val().word.get_bit(8) {
                self.read_ram.waddr.next = bit_cast::<9, 6>(self.returns.write.val().word.get_bits::<6>(0)) | 0x100;
            }
        }
        self.gather_word.next = 0.into();
        for g in 0..self.gather.len() {
            self.gather_word.next = self.gather[g].read_word.val();
        }
        self.read_ram.raddr.next = bit_cast::<9, 8>(self.gather_word.val());
        if self.ring.window_read_valid.val() {
            self.read_ram.raddr.next = bit_cast::<9, 8>(self.ring.window_read_word.val()) | 0x100;
        }
        self.ring.window_read_data.next = self.read_ram.rdata.val();

        comment!("---- readable buffers");
        for g in 0..self.gather.len() {
            self.gather[g].retire.next = self.own_retire.val();
            self.gather[g].retire_valid.next = self.returns.retire_valid.val();
            self.gather[g].max_read_request.next = self.max_read_request.val();
            self.gather[g].read_granted.next = !self.ring.window_read_valid.val();
            self.gather[g].read_data.next = self.read_ram.rdata.val();
            Source::<ReadRequest>::join(&mut self.gather[g].request, &mut self.read_arbiter.clients[3]);
            Source::<BufferDescriptor>::join(&mut self.ring.readable, &mut self.gather[g].buffers);
            Source::<ByteBeat>::link(&mut self.bytes, &mut self.gather[g].data);
        }
        for _none in self.gather.len()..1 {
            self.ring.readable.ready.next = true;
            self.bytes.data.next = self.data.data.val();
            self.bytes.valid.next = false;
        }

        comment!("---- writable buffers; the used ring, behind the data in one order");
        self.ring.used_done.next = self.done_valid.val() & (self.own_done_client.val() == self.used_client.val());
        self.ring.used_read_word.next = self.ram_word.val();
        self.ram_data.next = self.ring.used_read_data.val();
        for s in 0..self.scatter.len() {
            self.scatter[s].done.next =
                self.done_valid.val() & (self.own_done_client.val() == self.scatter_client.val());
            Source::<BufferDescriptor>::join(&mut self.ring.writable, &mut self.scatter[s].buffers);
            Sink::<ScatterCommand>::link(&mut self.command, &mut self.scatter[s].command);
            Sink::<ByteBeat>::link(&mut self.data, &mut self.scatter[s].data);
            Source::<UsedElement>::join(&mut self.scatter[s].used, &mut self.ring.used);
            Source::<WriteRequest>::join(&mut self.scatter[s].request, &mut self.write_arbiter[s].clients[0]);
            Source::<WriteRequest>::join(&mut self.ring.used_request, &mut self.write_arbiter[s].clients[1]);
            self.out.next = self.write_arbiter[s].request.data.val();
            self.write_request.valid.next = self.write_arbiter[s].request.valid.val();
            self.write_arbiter[s].request.ready.next = self.write_request.ready.val();
            self.scatter[s].read_past.next =
                self.ram_past.val() & (self.own_ram_client.val() == self.scatter_client.val());
            self.scatter[s].read_word.next = self.ram_word.val();
            self.used_selected[s].d.next = self.own_ram_client.val() == self.used_client.val();
            if !self.used_selected[s].q.val() {
                self.ram_data.next = self.scatter[s].read_data.val();
            }
        }
        for g in 0..self.give_back.len() {
            Source::<BufferDescriptor>::join(&mut self.ring.writable, &mut self.give_back[g].buffers);
            Sink::<ScatterCommand>::link(&mut self.command, &mut self.give_back[g].command);
            self.data.ready.next = false;
            Source::<UsedElement>::join(&mut self.give_back[g].used, &mut self.ring.used);
            self.out.next = self.ring.used_request.data.val();
            self.write_request.valid.next = self.ring.used_request.valid.val();
            self.ring.used_request.ready.next = self.write_request.ready.val();
        }
        self.write_request.data.next = self.out.val();
        self.write_request.data.next.client = self.out.val().client | self.first_write.val();
    }
}
