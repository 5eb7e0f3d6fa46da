//! From frames to the chains of the receive queue.
use super::receive_chains::ReceiveChains;
use super::receive_check::ReceiveCheck;
use super::receive_header::ReceiveHeader;
use super::receive_plan::ReceivePlan;
use super::receive_store::ReceiveStore;
use super::types::*;
use crate::block::{list, Block};
use crate::cells::{BlockRam, Sink, Source, Stage, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Receive side of the network device: frames are stored whole and looked at before a buffer is touched.
///
/// ```text
/// frame_in -> [store] -> memory ----------------------> [header] -> bytes
///                +-> [check] -> frames, 128 -> [plan] -----^
/// chain -> [chains] ---------------------------^  +-> scatter commands
/// ```
#[derive(Block)]
pub struct Receive {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The stream of frames on the wire begins.
    pub wire_reset: Signal<In, Bit>,
    /// Begin nothing; frames from the wire are thrown away.
    pub stop: Signal<In, Bit>,
    pub merge: Signal<In, Bit>,
    pub guest_csum: Signal<In, Bit>,
    pub chain: Sink<Chain>,
    pub scatter: Source<ScatterCommand>,
    pub writable: Source<ByteBeat>,
    pub frame_in: Sink<NetBeat>,
    /// One cycle each: a frame was dropped.
    pub runt: Signal<Out, Bit>,
    pub oversize: Signal<Out, Bit>,
    pub error: Signal<Out, Bit>,
    pub no_buffer: Signal<Out, Bit>,
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,
    /// Nothing moves before a chain or a beat comes.
    pub idle: Signal<Out, Bit>,
    /// Frames are here that have not gone into chains.
    pub frames_wait: Signal<Out, Bit>,

    #[given]
    store: ReceiveStore,
    #[given]
    check: ReceiveCheck,
    // one of both
    #[given]
    ram: Vec<BlockRam<128, 9>>,
    #[given]
    large_ram: Vec<BlockRam<128, 11>>,
    frames: StreamFifo<ReceiveFrame, 7>,
    #[given]
    chains: ReceiveChains,
    #[given]
    plan: ReceivePlan,
    parts: StreamFifo<ReceivePart, 2>,
    /// The FIFO's memory is read asynchronously.
    part_stage: Stage<ReceivePart>,
    #[given]
    header: ReceiveHeader,
    waiting: Signal<Local, Bit>,
}

impl Receive {
    /// For frames of this size, and a queue of so many descriptors.
    pub fn new(sizes: FrameSizes, queue_size: u16) -> Self {
        Self::with(ReceiveGiven {
            store: ReceiveStore::new(sizes),
            check: ReceiveCheck::new(sizes),
            ram: list(usize::from(!sizes.is_large())),
            large_ram: list(usize::from(sizes.is_large())),
            chains: ReceiveChains::new(sizes),
            plan: ReceivePlan::new(sizes, queue_size),
            header: ReceiveHeader::new(sizes),
        })
    }
}

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive: from frames to the chains of the receive queue");
        self.store.wire_reset.next = self.wire_reset.val();

        comment!("wire to memory");
        self.store.stop.next = self.stop.val();
        Sink::<NetBeat>::link(&mut self.frame_in, &mut self.store.frame_in);
        self.store.read.next = self.header.read.val();
        self.store.taken.next = self.frames.output.valid.val() & self.plan.frame.ready.val();
        self.store.starved.next = self.plan.starved.val();
        self.header.data.next = 0.into();
        for i in 0..self.ram.len() {
            self.ram[i].waddr.next = self.store.address.val().get_bits::<9>(0);
            self.ram[i].wdata.next = self.store.data.val();
            self.ram[i].wen.next = self.store.write.val();
            self.ram[i].raddr.next = self.header.address.val().get_bits::<9>(0);
            self.header.data.next = self.ram[i].rdata.val();
        }
        for i in 0..self.large_ram.len() {
            self.large_ram[i].waddr.next = self.store.address.val();
            self.large_ram[i].wdata.next = self.store.data.val();
            self.large_ram[i].wen.next = self.store.write.val();
            self.large_ram[i].raddr.next = self.header.address.val();
            self.header.data.next = self.large_ram[i].rdata.val();
        }
        self.runt.next = self.store.runt.val();
        self.oversize.next = self.store.oversize.val();
        self.error.next = self.store.error.val();
        self.no_buffer.next = self.store.no_buffer.val() | self.plan.no_fit.val();
        self.check.guest_csum.next = self.guest_csum.val();
        self.check.beat_valid.next = self.store.beat_valid.val();
        self.check.beat.next = self.store.data.val();
        self.check.last.next = self.store.last.val();
        self.check.keep.next = self.store.keep.val();
        self.check.length.next = self.store.length.val();
        self.frames.input.valid.next = self.check.frame_valid.val();
        self.frames.input.data.next = self.check.frame.val();

        self.plan.another.next = self.store.another.val();

        comment!("chains");
        self.chains.stop.next = self.stop.val();
        self.chains.merge.next = self.merge.val();
        Sink::<Chain>::link(&mut self.chain, &mut self.chains.chain);
        self.violation_valid.next = self.chains.violation_valid.val();
        self.violation.next = self.chains.violation.val();
        self.plan.stop.next = self.stop.val();
        self.plan.merge.next = self.merge.val();
        Source::<ReceiveFrame>::join(&mut self.frames.output, &mut self.plan.frame);
        Source::<ReceiveBuffer>::join(&mut self.chains.buffer, &mut self.plan.buffer);
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.plan.scatter);

        comment!("memory to chains");
        Source::<ReceivePart>::join(&mut self.plan.part, &mut self.parts.input);
        Source::<ReceivePart>::join(&mut self.parts.output, &mut self.part_stage.input);
        Source::<ReceivePart>::join(&mut self.part_stage.output, &mut self.header.part);
        Source::<ByteBeat>::link(&mut self.writable, &mut self.header.writable);

        self.frames_wait.next = self.store.any.val();
        self.waiting.next = self.plan.starved.val() & !self.chains.buffer.valid.val() & !self.chain.valid.val();
        self.idle.next = self.store.idle.val()
            & self.header.idle.val()
            & !self.parts.output.valid.val()
            & (self.waiting.val() | (self.plan.idle.val() & !self.store.any.val()));
    }
}
