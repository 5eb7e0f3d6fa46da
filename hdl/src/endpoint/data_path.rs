//! The virtqueues of an endpoint and the DMA engines they share.
use super::gate::TransmitGate;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::arbiter::{ReadArbiter, WriteArbiter};
use crate::dma::sized_read_engine::SizedReadEngine;
use crate::dma::types::*;
use crate::dma::write_engine::WriteEngine;
use crate::pcie::link_side::RequesterSink;
use crate::tlp::types::{CompletionBeat, TransmitBeat};
use crate::virtio::queue::Virtqueue;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Virtqueues and DMA engines: from kicks to the chain interface of each queue, and to packets.
///
/// ```text
///                    +-- read requests --> arbiter --> read engine ----------> nonposted
/// chain interface <-> virtqueue 0..N                       ^----------------- completion
///                    +-- write requests -> arbiter --> write engine -> gate --> posted
/// ```
/// A queue that is alone has the engines to itself: there are arbiters only from two queues on.
#[derive(Block)]
pub struct DataPath {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// A device reset clears the queues; the engines have drained by then.
    pub clear: Signal<In, Bit>,
    /// A reset is under way: begin nothing. Packets that have not begun do not leave any more.
    pub stop: Signal<In, Bit>,
    /// Keep the queues off, though they are set up.
    pub halt: Signal<In, Bit>,
    /// Begin no more chains that give the device work; those that wait for it do no harm.
    pub pause: Signal<In, Bit>,
    /// Nor any other.
    pub pause_all: Signal<In, Bit>,
    /// With `clear`: where each queue is stays.
    pub keep: Signal<In, Bit>,
    /// One cycle, behind each `clear`: each queue begins at its used index.
    pub rewind: Signal<In, Bit>,
    /// One cycle, while all are still: the state of these queues becomes `state_data`.
    pub state_write: Signal<In, Bits<4>>,
    /// See [`QueueControlSource::state`].
    pub state_data: Signal<In, Bits<32>>,
    /// Of each queue.
    #[given]
    pub queue_state: Vec<Signal<Out, Bits<32>>>,
    /// What requests must keep to.
    pub requester: RequesterSink,
    /// The link has forgotten all reads that have left, as some do in a function-level reset.
    pub reads_forgotten: Signal<In, Bit>,
    /// Features the driver accepted.
    pub driver_features: Signal<In, Bits<32>>,
    /// Page frame of each queue; queue 0 in the lowest bits.
    pub queue_pfn: Signal<In, Bits<128>>,
    /// Queues with a page frame.
    pub queue_active: Signal<In, Bits<4>>,
    /// One cycle: the driver kicked the queue.
    pub kick: Signal<In, Bits<4>>,
    /// Completions of our reads.
    pub completion: Sink<CompletionBeat>,
    /// Memory writes and memory reads.
    pub posted: Source<TransmitBeat>,
    /// Memory reads.
    pub nonposted: Source<TransmitBeat>,
    /// The chain interface of each queue; see [`Virtqueue`].
    #[given]
    pub chain: Vec<Source<Chain>>,
    /// Of each queue: bytes of the readable buffers.
    #[given]
    pub bytes: Vec<Source<ByteBeat>>,
    /// Of each queue: what to do with the writable buffers.
    #[given]
    pub command: Vec<Sink<ScatterCommand>>,
    /// Of each queue: bytes for the writable buffers.
    #[given]
    pub data: Vec<Sink<ByteBeat>>,
    /// Of each queue, one cycle: the device found a rule broken.
    #[given]
    pub device_violation_valid: Vec<Signal<In, Bit>>,
    /// Which rule, and what broke it.
    #[given]
    pub device_violation: Vec<Signal<In, ViolationReport>>,
    /// One cycle: the driver wants an interrupt of this queue.
    pub queue_interrupt: Signal<Out, Bits<4>>,
    /// First violation since the device reset, and its queue.
    pub violation: Signal<Out, ViolationReport>,
    /// The queue of `violation`.
    pub violation_queue: Signal<Out, Bits<2>>,
    /// No read is outstanding.
    pub reads_idle: Signal<Out, Bit>,
    /// Both engines have nothing to do.
    pub idle: Signal<Out, Bit>,
    /// No packet waits to leave, and no write is under way.
    pub quiet: Signal<Out, Bit>,
    /// A queue has something in flight.
    pub queue_busy: Signal<Out, Bit>,
    /// Events of the read engine, one cycle each.
    pub unexpected_completion: Signal<Out, Bit>,
    /// A read ended with an error.
    pub error_completion: Signal<Out, Bit>,
    /// A read was given up.
    pub timeout: Signal<Out, Bit>,
    /// A read waits because all tags are taken.
    pub stall_no_tag: Signal<Out, Bit>,

    #[given]
    read_engine: SizedReadEngine,
    write_engine: WriteEngine,
    write_gate: TransmitGate,
    #[given]
    queues: Vec<Virtqueue>,
    // none where there is one queue
    #[given]
    read_arbiter: Vec<ReadArbiter>,
    #[given]
    write_arbiter: Vec<WriteArbiter>,
    #[given]
    answering: Vec<DFF<Bits<3>>>,
    // one cycle behind `stop`: what a queue asks for in that cycle the engines, which have stopped, swallow
    queue_enable: Reg<Bits<4>>,
    violation_known: Reg<Bit>,
    violation_first: Reg<Bits<2>>,

    pfn: Signal<Local, Bits<32>>,
    event_idx: Signal<Local, Bit>,
    indirect: Signal<Local, Bit>,
    notify_on_empty: Signal<Local, Bit>,
    interrupts: Signal<Local, Bits<4>>,
    paused: Signal<Local, Bits<4>>,
    any_busy: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    report: Signal<Local, ViolationReport>,

    /// Queues whose chains give the device work.
    #[given]
    working: Constant<Bits<4>>,
}

impl DataPath {
    /// A virtqueue of `queue_size` descriptors for each of `buffers`, which says what of its chains the device uses, and `tags` reads in
    /// flight; one without completion is given up after `timeout` cycles.
    pub fn new(buffers: &[Buffers], queue_size: u16, tags: u16, timeout: u64) -> Self {
        let queues = buffers.len();
        let arbiters = usize::from(queues > 1);
        let working =
            buffers.iter().enumerate().fold(0, |mask, (i, buffers)| mask | u64::from(buffers.has_readable()) << i);
        Self::with(DataPathGiven {
            chain: list(queues),
            bytes: list(queues),
            command: list(queues),
            data: list(queues),
            device_violation_valid: list(queues),
            device_violation: list(queues),
            read_engine: SizedReadEngine::new(tags, timeout),
            queues: buffers.iter().map(|buffers| Virtqueue::new(queue_size, *buffers)).collect(),
            read_arbiter: (0..arbiters).map(|_| ReadArbiter::new(queues)).collect(),
            write_arbiter: (0..arbiters).map(|_| WriteArbiter::new(queues)).collect(),
            answering: list(arbiters),
            queue_state: list(queues),
            working: Constant::new(working.into()),
        })
    }
}

impl Logic for DataPath {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module data_path: virtqueues and DMA engines");
        self.queue_enable.reset.next = self.clear.val();
        self.violation_known.reset.next = self.clear.val();
        self.violation_first.reset.next = self.clear.val();

        comment!("---- engines and packets");
        self.read_engine.stop.next = self.stop.val();
        self.read_engine.max_read_request.next = self.requester.max_read_request.val();
        self.read_engine.abandon.next = self.reads_forgotten.val() & self.stop.val();
        self.read_engine.timeout_disable.next = self.requester.timeout_disable.val();
        self.read_engine.extended_tag.next = self.requester.extended_tag.val();
        self.read_engine.function_id.next = self.requester.function_id.val();
        self.write_engine.stop.next = self.stop.val();
        self.write_engine.max_payload.next = self.requester.max_payload.val();
        self.write_gate.discard.next = self.stop.val();
        Sink::<CompletionBeat>::link(&mut self.completion, &mut self.read_engine.completion);
        Source::<TransmitBeat>::link(&mut self.nonposted, &mut self.read_engine.transmit);
        Source::<TransmitBeat>::join(&mut self.write_engine.transmit, &mut self.write_gate.upstream);
        Source::<TransmitBeat>::link(&mut self.posted, &mut self.write_gate.downstream);
        self.reads_idle.next = self.read_engine.idle.val();
        self.idle.next = self.read_engine.idle.val() & self.write_engine.idle.val();
        comment!("reads that wait to leave never do once `stop` is high: nothing waits for the link partner's non-posted credit");
        self.quiet.next = !self.read_engine.transmit.valid.val()
            & !self.write_engine.transmit.valid.val()
            & self.write_engine.idle.val();
        self.unexpected_completion.next = self.read_engine.unexpected_completion.val();
        self.error_completion.next = self.read_engine.error_completion.val();
        self.timeout.next = self.read_engine.timeout.val();
        self.stall_no_tag.next = self.read_engine.stall_no_tag.val();

        comment!("---- queues");
        self.event_idx.next = self.driver_features.val().get_bit(29);
        self.indirect.next = self.driver_features.val().get_bit(28);
        self.notify_on_empty.next = self.driver_features.val().get_bit(24);
        self.queue_enable.d.next = self.queue_active.val();
        if self.stop.val() | self.halt.val() {
            self.queue_enable.d.next = 0.into();
        }
        self.paused.next = 0.into();
        if self.pause_all.val() {
            self.paused.next = 0xf.into();
        } else if self.pause.val() {
            self.paused.next = self.working.val();
        }
        self.interrupts.next = 0.into();
        self.any_busy.next = false;
        for i in 0..self.queues.len() {
            self.queues[i].reset.next = self.clear.val();
            self.queues[i].number.next = i.to_bits::<2>();
            self.pfn.next = self.queue_pfn.val().get_bits::<32>(i * 32);
            self.queues[i].control.enable.next = self.queue_enable.q.val().get_bit(i);
            self.queues[i].control.ring_base.next = bit_cast::<64, 32>(self.pfn.val()) << 12;
            self.queues[i].control.event_idx.next = self.event_idx.val();
            self.queues[i].control.indirect.next = self.indirect.val();
            self.queues[i].control.notify_on_empty.next = self.notify_on_empty.val();
            self.queues[i].control.kick.next = self.kick.val().get_bit(i);
            self.queues[i].control.pause.next = self.paused.val().get_bit(i);
            self.queues[i].control.keep.next = self.keep.val();
            self.queues[i].control.rewind.next = self.rewind.val();
            self.queues[i].control.state_write.next = self.state_write.val().get_bit(i);
            self.queues[i].control.state_data.next = self.state_data.val();
            self.queue_state[i].next = self.queues[i].control.state.val();
            self.queues[i].max_payload.next = self.requester.max_payload.val();
            self.queues[i].max_read_request.next = self.requester.max_read_request.val();
            self.queues[i].control.device_violation_valid.next = self.device_violation_valid[i].val();
            self.queues[i].control.device_violation.next = self.device_violation[i].val();
            Source::<Chain>::link(&mut self.chain[i], &mut self.queues[i].chain);
            Source::<ByteBeat>::link(&mut self.bytes[i], &mut self.queues[i].bytes);
            Sink::<ScatterCommand>::link(&mut self.command[i], &mut self.queues[i].command);
            Sink::<ByteBeat>::link(&mut self.data[i], &mut self.queues[i].data);
            self.interrupts.next = self.interrupts.val().replace_bit(i, self.queues[i].control.raise_interrupt.val());
            self.any_busy.next = self.any_busy.val() | self.queues[i].control.busy.val();

            comment!("what comes from the engines carries a client number, so all queues hear it");
            ReadReturnSource::join(&mut self.read_engine.returns, &mut self.queues[i].returns);
            self.queues[i].ram_past.next = self.write_engine.read_past.val();
            self.queues[i].ram_client.next = self.write_engine.read_client.val();
            self.queues[i].ram_word.next = self.write_engine.read_word.val();
            self.queues[i].done_valid.next = self.write_engine.done_valid.val();
            self.queues[i].done_client.next = self.write_engine.done_client.val();
        }
        self.queue_interrupt.next = self.interrupts.val();
        self.queue_busy.next = self.any_busy.val();

        comment!("---- requests: one queue, or several by turns");
        for i in self.read_arbiter.len()..1 {
            Source::<ReadRequest>::join(&mut self.queues[i].read_request, &mut self.read_engine.request);
        }
        for a in 0..self.read_arbiter.len() {
            self.read_arbiter[a].reset.next = self.clear.val();
            for i in 0..self.queues.len() {
                Source::<ReadRequest>::join(&mut self.queues[i].read_request, &mut self.read_arbiter[a].clients[i]);
            }
            Source::<ReadRequest>::join(&mut self.read_arbiter[a].request, &mut self.read_engine.request);
        }
        for i in self.write_arbiter.len()..1 {
            Source::<WriteRequest>::join(&mut self.queues[i].write_request, &mut self.write_engine.request);
        }
        for a in 0..self.write_arbiter.len() {
            self.write_arbiter[a].reset.next = self.clear.val();
            for i in 0..self.queues.len() {
                Source::<WriteRequest>::join(&mut self.queues[i].write_request, &mut self.write_arbiter[a].clients[i]);
            }
            Source::<WriteRequest>::join(&mut self.write_arbiter[a].request, &mut self.write_engine.request);
        }

        comment!("data of the queue that was asked in the cycle before; a queue has two clients");
        self.write_engine.read_data.next = self.queues[0].ram_data.val();
        for a in 0..self.answering.len() {
            self.answering[a].d.next = self.write_engine.read_client.val().get_bits::<3>(1);
            for i in 1..self.queues.len() {
                if self.answering[a].q.val() == i.to_bits::<3>() {
                    self.write_engine.read_data.next = self.queues[i].ram_data.val();
                }
            }
        }

        comment!("---- the first violation of all queues");
        self.found.next = false;
        for i in 0..self.queues.len() {
            self.report.next = self.queues[i].control.violation.val();
            if (self.report.val().rule != Violation::Nothing) & !self.found.val() & !self.violation_known.q.val() {
                self.found.next = true;
                self.violation_known.d.next = true;
                self.violation_first.d.next = i.to_bits::<2>();
            }
        }
        self.violation.next = self.queues[0].control.violation.val();
        for i in 1..self.queues.len() {
            if self.violation_first.q.val() == i.to_bits::<2>() {
                self.violation.next = self.queues[i].control.violation.val();
            }
        }
        self.violation_queue.next = self.violation_first.q.val();
    }
}
