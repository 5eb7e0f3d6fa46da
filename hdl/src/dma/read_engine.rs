//! DMA reads of host memory into the RAMs of the clients.
use super::place::BeatPlacer;
use super::read_receive::CompletionReceiver;
use super::read_tags::TagTable;
use super::splitter::Splitter;
use super::types::{ReadRequest, ReadReturnSource};
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::tlp::types::{CompletionBeat, TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// DMA read engine with 2^TW tags.
///
/// ```text
/// request -> splitter -> MRd with the next tag of the circle -> transmit
///                              | set up
///                          tag table -> retire, in the order of issue
///                              | check, account
/// completion -> receiver ------+-> placer -> write (a word per beat)
/// ```
/// Requests are cut at multiples of the maximum read request size. Completions come in any order between tags and
/// in any number of pieces; their data go to the client's RAM as they come. A request is retired when all its
/// tags and all earlier requests have ended; its data are in the RAM then.
///
/// One chunk leaves in two cycles; completions are taken without a pause, but for packets of one beat and the same tag.
#[derive(Block)]
pub struct ReadEngine<const TW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Device Control: maximum read request size, 128 << n bytes.
    pub max_read_request: Signal<In, Bits<3>>,
    /// Device Control: 8-bit tags.
    pub extended_tag: Signal<In, Bit>,
    /// Our bus, device and function number.
    pub function_id: Signal<In, Bits<16>>,
    /// No read leaves any more, nor the one that waits to, which retires with an error; requests are swallowed and not
    /// retired; what is outstanding drains.
    pub stop: Signal<In, Bit>,
    /// Device Control 2: a read is never given up. It is while `stop` is high: a drain must end.
    pub timeout_disable: Signal<In, Bit>,
    /// The link has forgotten the reads that have left: they end with an error. Only while `stop` is high.
    pub abandon: Signal<In, Bit>,
    /// Nothing is outstanding or queued.
    pub idle: Signal<Out, Bit>,
    /// What to read.
    pub request: Sink<ReadRequest>,
    /// MRd, one beat each.
    pub transmit: Source<TransmitBeat>,
    /// Completions of the reads.
    pub completion: Sink<CompletionBeat>,
    /// What has been read, for all clients.
    pub returns: ReadReturnSource,
    /// Pulse: a tag was given up.
    pub timeout: Signal<Out, Bit>,
    /// Pulse: a completion nobody waits for was dropped.
    pub unexpected_completion: Signal<Out, Bit>,
    /// Pulse: a read has ended with a completion with an error status, poisoned data or contradictions.
    pub error_completion: Signal<Out, Bit>,
    /// A read waits because all tags are taken.
    pub stall_no_tag: Signal<Out, Bit>,

    splitter: Splitter,
    #[given]
    tags: TagTable<TW>,
    receiver: CompletionReceiver,
    placer: BeatPlacer,
    read: DFF<TransmitBeat>,
    read_valid: Reg<Bit>,
    stopped: Reg<Bit>,
    issue: Signal<Local, Bit>,
    out: Signal<Local, Bit>,
    withdrawn: Signal<Local, Bit>,
    beat: Signal<Local, TransmitBeat>,
}

impl<const TW: usize> ReadEngine<TW> {
    /// An engine that gives a read up when it has not been answered `timeout` cycles after it left.
    pub fn new(timeout: u64) -> Self {
        Self::with(ReadEngineGiven { tags: TagTable::new(timeout) })
    }
}

impl<const TW: usize> Logic for ReadEngine<TW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_read_engine: reads host memory into client RAMs, many tags in flight");
        comment!("requests to chunks");
        self.splitter.size.next = self.max_read_request.val();
        self.splitter.transfer.valid.next = self.request.valid.val();
        self.request.ready.next = self.splitter.transfer.ready.val();
        self.splitter.transfer.data.next.address = self.request.data.val().address;
        self.splitter.transfer.data.next.length = self.request.data.val().length;
        self.splitter.transfer.data.next.ram_address = self.request.data.val().destination;
        self.splitter.transfer.data.next.client = self.request.data.val().client;
        self.splitter.transfer.data.next.slot = self.request.data.val().slot;

        comment!(
            "chunks to reads \
             a read at most every other cycle: nothing here waits for the arbiter's answer"
        );
        self.issue.next = self.splitter.chunk.valid.val() & self.tags.available.val() & !self.read_valid.q.val();
        self.splitter.chunk.ready.next = self.issue.val();
        self.stall_no_tag.next = self.splitter.chunk.valid.val() & self.tags.exhausted.val();
        self.beat.next.data = 0.into();
        self.beat.next.last = true;
        self.beat.next.kind = TransmitKind::MemoryRead;
        self.beat.next.length = self.splitter.chunk.data.val().dwords;
        self.beat.next.address = self.splitter.chunk.data.val().address & !bits::<64>(3);
        self.beat.next.above_4g = self.splitter.chunk.data.val().address.get_bits::<32>(32).any();
        self.beat.next.first_be = self.splitter.chunk.data.val().first_be;
        self.beat.next.last_be = self.splitter.chunk.data.val().last_be;
        self.beat.next.tag = self.tags.next_tag.val();
        self.beat.next.requester_id = 0.into();
        self.beat.next.status = 0.into();
        self.beat.next.byte_count = 0.into();
        self.beat.next.lower_address = 0.into();
        self.beat.next.attributes = 0.into();
        self.beat.next.traffic_class = 0.into();
        self.beat.next.message_code = 0.into();
        comment!("a stop is seen by the arbiter at once, and by the tags one cycle later: what is issued until then is withdrawn");
        self.stopped.d.next = self.stop.val();
        self.splitter.stop.next = self.stop.val();
        self.out.next = self.read_valid.q.val() & !self.stop.val() & !self.stopped.q.val();
        self.withdrawn.next = self.read_valid.q.val() & self.stopped.q.val();
        if self.issue.val() {
            self.read.d.next = self.beat.val();
            self.read_valid.d.next = true;
        } else if (self.out.val() & self.transmit.ready.val()) | self.withdrawn.val() {
            self.read_valid.d.next = false;
        }
        self.transmit.data.next = self.read.q.val();
        self.transmit.valid.next = self.out.val();

        comment!("tags");
        self.tags.extended_tag.next = self.extended_tag.val();
        self.tags.wanted.next = self.splitter.chunk.valid.val();
        self.tags.allocate.next = self.issue.val();
        self.tags.waiting.next = self.read_valid.q.val();
        self.tags.waiting_tag.next = self.read.q.val().tag;
        self.tags.withdraw.next = self.withdrawn.val();
        self.tags.abandon.next = self.abandon.val();
        self.tags.patient.next = self.timeout_disable.val() & !self.stopped.q.val();
        self.tags.chunk.next = self.splitter.chunk.data.val();
        self.tags.coming_tag.next = self.receiver.coming_tag.val();
        self.tags.lookup_tag.next = self.receiver.lookup_tag.val();
        self.tags.lookup.next = self.receiver.lookup.val();
        self.tags.advance_address.next = self.receiver.advance_address.val();
        self.tags.advance_remaining.next = self.receiver.advance_remaining.val();
        self.tags.advance_last.next = self.receiver.advance_last.val();
        self.tags.advance_lower_address.next = self.receiver.advance_lower_address.val();
        self.tags.spoil.next = self.receiver.spoil.val();
        self.tags.refuse.next = self.receiver.refuse.val();
        self.tags.finish.next = self.receiver.finish.val();
        self.tags.finish_tag.next = self.receiver.finish_tag.val();
        self.tags.finish_error.next = self.receiver.finish_error.val();

        comment!("completions");
        Sink::<CompletionBeat>::link(&mut self.completion, &mut self.receiver.completion);
        self.receiver.function_id.next = self.function_id.val();
        self.receiver.found.next = self.tags.found.val();
        self.receiver.address.next = self.tags.address.val();
        self.receiver.remaining.next = self.tags.remaining.val();
        self.receiver.lower_address.next = self.tags.lower_address.val();
        self.receiver.client.next = self.tags.client.val();
        self.receiver.expire.next = self.tags.expire.val();
        self.receiver.expire_tag.next = self.tags.expire_tag.val();
        self.placer.beat.next = self.receiver.beat.val();
        self.placer.beat_valid.next = self.receiver.beat_valid.val();
        self.returns.write.next = self.placer.write.val();
        self.returns.write_valid.next = self.placer.write_valid.val();

        self.returns.retire.next = self.tags.retire.val();
        self.returns.retire_valid.next = self.tags.retire_valid.val();
        self.timeout.next = self.tags.expire.val() & !self.abandon.val();
        self.unexpected_completion.next = self.receiver.unexpected.val();
        comment!("a read that was withdrawn is no such one");
        self.error_completion.next = self.tags.bad.val() & !self.stop.val();
        self.idle.next = self.tags.empty.val()
            & self.receiver.empty.val()
            & self.splitter.transfer.ready.val()
            & !self.read_valid.q.val()
            & !self.request.valid.val();
    }
}
