//! The ring engine of one queue.
use super::available::AvailableReader;
use super::interrupt_decision::InterruptDecision;
use super::types::*;
use super::used::UsedWriter;
use super::walker::ChainWalker;
use super::window::WindowReader;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// DMA client numbers of a queue's parts. All queues have the same; [`super::queue::Virtqueue`] puts the queue's number in front.
pub mod client {
    /// Reads of index and slots of the available ring.
    pub const AVAILABLE: u64 = 0;
    /// Reads of descriptors.
    pub const WINDOW: u64 = 1;
    /// Reads of the driver's interrupt wish.
    pub const DECISION: u64 = 2;
    /// Reads of buffers.
    pub const GATHER: u64 = 3;
    /// Numbers a queue takes.
    pub const READS: u64 = 4;
    /// Writes of buffers.
    pub const SCATTER: u64 = 0;
    /// Writes of the used ring.
    pub const USED: u64 = 1;
    /// Write numbers a queue takes.
    pub const WRITES: u64 = 2;
}

/// Ring engine of one queue: from kicks to chains, from used elements to interrupts.
///
/// ```text
///  kick -> [available reader] -heads-> [window reader] -descriptors-> [chain walker] -> readable, writable, chain
///               | notify on/off
///               v
///  used -> [used writer] -written index-> [interrupt decision] -> interrupt
/// ```
/// The first broken rule stops the queue until it is reset; the report stays readable.
#[derive(Block)]
pub struct RingEngine {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// What the queue is to do, and what it says of itself.
    pub control: QueueControlSink,
    /// Reads of host memory, by part.
    pub available_request: Source<ReadRequest>,
    /// Reads of descriptors.
    pub window_request: Source<ReadRequest>,
    /// Reads of the driver's interrupt wish.
    pub decision_request: Source<ReadRequest>,
    /// What has been read, for all DMA clients.
    pub returns: ReadReturnSink,
    /// Read port of the RAM of the windows' descriptors; see [`WindowReader`].
    pub window_read_valid: Signal<Out, Bit>,
    /// Word of 16 bytes of the RAM of descriptors.
    pub window_read_word: Signal<Out, Bits<8>>,
    /// What it holds, one cycle later.
    pub window_read_data: Signal<In, Bits<128>>,
    /// Writes of the used ring, and the write engine's port to their data.
    pub used_request: Source<WriteRequest>,
    /// The word that it reads.
    pub used_read_word: Signal<In, Bits<12>>,
    /// What that word holds, one cycle later.
    pub used_read_data: Signal<Out, Bits<128>>,
    /// One cycle: the oldest write request of the used ring has left.
    pub used_done: Signal<In, Bit>,
    /// Chains, and their buffers with an end mark behind each chain.
    pub chain: Source<Chain>,
    /// Buffers that the device may read, with an end mark behind each chain.
    pub readable: Source<BufferDescriptor>,
    /// Buffers that the device may write, with an end mark behind each chain.
    pub writable: Source<BufferDescriptor>,
    /// Finished chains; their data have been accepted by the write engine.
    pub used: Sink<UsedElement>,

    #[given]
    available: AvailableReader,
    #[given]
    window: WindowReader,
    #[given]
    walker: ChainWalker,
    #[given]
    used_writer: UsedWriter,
    #[given]
    decision: InterruptDecision,
    report: Reg<ViolationReport>,
    stopped: Reg<Bit>,
    enable: Signal<Local, Bit>,
    found: Signal<Local, ViolationReport>,
    found_valid: Signal<Local, Bit>,
}

impl RingEngine {
    /// The ring engine of a table of `queue_size` descriptors. For `guesses` see [`AvailableReader::new`].
    pub fn new(queue_size: u16, guesses: bool) -> Self {
        Self::with(RingEngineGiven {
            available: AvailableReader::new(client::AVAILABLE, queue_size, guesses),
            window: WindowReader::new(client::WINDOW, queue_size),
            walker: ChainWalker::new(queue_size),
            used_writer: UsedWriter::new(client::USED, queue_size),
            decision: InterruptDecision::new(client::DECISION, queue_size),
        })
    }
}

impl Logic for RingEngine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module ring_engine: from kicks to chains, from used elements to interrupts");
        comment!("---- state that may outlive a reset");
        self.report.reset.next = self.reset.val() & !self.control.keep.val();
        self.stopped.reset.next = self.reset.val() & !self.control.keep.val();
        self.used_writer.keep.next = self.control.keep.val();
        self.used_writer.rewind.next = self.control.rewind.val();
        self.used_writer.index_write.next = self.control.state_write.val();
        self.used_writer.index.next = self.control.state_data.val().get_bits::<16>(0);
        self.decision.keep.next = self.control.keep.val();
        self.decision.rewind.next = self.control.rewind.val();
        self.decision.awake_write.next = self.control.state_write.val();
        self.decision.kicked.next = self.control.state_data.val().get_bit(16);
        self.available.rewind.next = self.control.rewind.val();
        self.available.used_index.next = self.used_writer.written_index.val();
        self.control.state.next = bit_cast::<32, 16>(self.used_writer.written_index.val())
            .replace_bit(16, self.decision.was_kicked.val())
            .replace_bit(17, self.stopped.q.val());

        comment!("---- parts");
        self.enable.next = self.control.enable.val() & !self.stopped.q.val();
        self.available.enable.next = self.enable.val();
        self.available.pause.next = self.control.pause.val();
        self.available.ring_base.next = self.control.ring_base.val();
        self.available.kick.next = self.control.kick.val();
        self.available.event_idx.next = self.control.event_idx.val();
        ReadReturnSink::link(&mut self.returns, &mut self.available.returns);
        self.available.notify_done.next = self.used_writer.notify_done.val();
        Source::<ReadRequest>::link(&mut self.available_request, &mut self.available.request);
        Source::<Bits<16>>::join(&mut self.available.heads, &mut self.window.heads);
        self.available.heads_idle.next = self.window.heads_idle.val();
        self.window.hold.next = self.available.hold.val();
        self.window.drop.next = self.available.drop.val();
        self.available.heads_forgetting.next = self.window.forgetting.val();
        Source::<NotifyUpdate>::join(&mut self.available.notify, &mut self.used_writer.notify);

        self.window.ring_base.next = self.control.ring_base.val();
        self.window.indirect.next = self.control.indirect.val();
        self.window.retire.next = self.returns.retire.val();
        self.window.retire_valid.next = self.returns.retire_valid.val();
        self.window_read_valid.next = self.window.read_valid.val();
        self.window_read_word.next = self.window.read_word.val();
        self.window.read_data.next = self.window_read_data.val();
        Source::<ReadRequest>::link(&mut self.window_request, &mut self.window.request);

        self.walker.ring_base.next = self.control.ring_base.val();
        self.walker.indirect.next = self.control.indirect.val();
        WindowViewSource::join(&mut self.window.view, &mut self.walker.view);
        self.window.stop.next = self.walker.stopped.val();
        Source::<WindowRequest>::join(&mut self.walker.further, &mut self.window.further);
        Source::<Chain>::link(&mut self.chain, &mut self.walker.chain);
        Source::<BufferDescriptor>::link(&mut self.readable, &mut self.walker.readable);
        Source::<BufferDescriptor>::link(&mut self.writable, &mut self.walker.writable);

        self.used_writer.ring_base.next = self.control.ring_base.val();
        self.used_writer.event_idx.next = self.control.event_idx.val();
        self.used_writer.done.next = self.used_done.val();
        self.used_writer.read_word.next = self.used_read_word.val();
        self.used_read_data.next = self.used_writer.read_data.val();
        Sink::<UsedElement>::link(&mut self.used, &mut self.used_writer.used);
        Source::<WriteRequest>::link(&mut self.used_request, &mut self.used_writer.request);

        self.decision.enable.next = self.enable.val();
        self.decision.kick.next = self.control.kick.val();
        self.decision.ring_base.next = self.control.ring_base.val();
        self.decision.event_idx.next = self.control.event_idx.val();
        self.decision.notify_on_empty.next = self.control.notify_on_empty.val();
        self.decision.written_index.next = self.used_writer.written_index.val();
        self.decision.known_index.next = self.available.known.val();
        ReadReturnSink::link(&mut self.returns, &mut self.decision.returns);
        Source::<ReadRequest>::link(&mut self.decision_request, &mut self.decision.request);
        self.control.raise_interrupt.next = self.decision.raise_interrupt.val();

        comment!(
            "the first violation stays; the walker's names the chain, so it wins over the others in the same cycle"
        );
        self.found_valid.next = true;
        self.found.next = self.walker.violation.val();
        if !self.walker.violation_valid.val() {
            self.found.next = self.control.device_violation.val();
            if !self.control.device_violation_valid.val() {
                self.found.next = self.available.violation.val();
                if !self.available.violation_valid.val() {
                    self.found.next = self.decision.violation.val();
                    self.found_valid.next = self.decision.violation_valid.val();
                }
            }
        }
        if self.found_valid.val() & !self.stopped.q.val() {
            self.stopped.d.next = true;
            self.report.d.next = self.found.val();
        }
        if self.control.state_write.val() {
            self.stopped.d.next = self.control.state_data.val().get_bit(17);
            self.report.d.next.head = 0.into();
            self.report.d.next.rule = Violation::Nothing;
            if self.control.state_data.val().get_bit(17) {
                self.report.d.next.rule = Violation::Before;
            }
        }
        self.control.violation.next = self.report.q.val();
        comment!("chains that the device leaves waiting, as buffers wait for frames, are no work");
        self.control.busy.next = self.used_writer.busy.val()
            | self.walker.busy.val()
            | self.decision.busy.val()
            | (!self.stopped.q.val() & !self.available.asleep.val() & !self.control.pause.val());
    }
}
