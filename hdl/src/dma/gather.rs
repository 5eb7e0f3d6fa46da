//! From the readable buffers of chains to a stream of bytes.
use super::gather_request::{GatherRecord, GatherRequester};
use super::gather_stream::GatherStreamer;
use super::types::{BufferDescriptor, ByteBeat, ReadRequest, ReadRetire};
use crate::block::Block;
use crate::cells::{Sink, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Gathers the buffers of chains into a stream of bytes, one chain after the other.
///
/// ```text
/// buffers -> requester -> request
///               | records, 64
///            streamer <- retire         RAM of 2^AW words of 16 bytes -> streamer -> data
/// ```
/// The RAM is outside. As many reads are in flight as it has space for, 64 at most, over the ends of buffers and chains. The
/// bytes of a chain are packed and begin in lane 0; a chain with an error gives the same number of
/// bytes, with `error` from the failed read's first byte to the last beat.
///
/// Reset it only when the read engine has nothing of this client outstanding.
#[derive(Block)]
pub struct Gather<const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Device Control: maximum read request size, 128 << n bytes.
    pub max_read_request: Signal<In, Bits<3>>,
    /// Buffers of the chains, with an end mark behind each chain.
    pub buffers: Sink<BufferDescriptor>,
    /// Reads of host memory.
    pub request: Source<ReadRequest>,
    /// Of all clients; those of this one count.
    pub retire: Signal<In, ReadRetire>,
    /// There is a retirement: `retire` counts in this cycle.
    pub retire_valid: Signal<In, Bit>,
    /// A read of the RAM; the data are expected one cycle after it was granted.
    pub read_valid: Signal<Out, Bit>,
    /// The RAM is read in this cycle.
    pub read_granted: Signal<In, Bit>,
    /// Word of 16 bytes of the RAM.
    pub read_word: Signal<Out, Bits<AW>>,
    /// What the RAM gave: 16 bytes.
    pub read_data: Signal<In, Bits<128>>,
    /// The bytes, chain by chain.
    pub data: Source<ByteBeat>,

    #[given]
    client: Constant<Bits<4>>,
    #[given]
    requester: GatherRequester<AW>,
    records: StreamFifo<GatherRecord, 6>,
    streamer: GatherStreamer<AW>,
}

impl<const AW: usize> Gather<AW> {
    /// For the client number `client`.
    pub fn new(client: u64) -> Self {
        Self::with(GatherGiven { client: Constant::new(client.into()), requester: GatherRequester::new(client) })
    }
}

impl<const AW: usize> Logic for Gather<AW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_gather: gathers the readable buffers of chains into a stream of bytes");
        Sink::<BufferDescriptor>::link(&mut self.buffers, &mut self.requester.buffers);
        Source::<ReadRequest>::link(&mut self.request, &mut self.requester.request);
        self.requester.max_read_request.next = self.max_read_request.val();
        self.requester.free_word.next = self.streamer.free_word.val();
        Source::<GatherRecord>::join(&mut self.requester.record, &mut self.records.input);
        Source::<GatherRecord>::join(&mut self.records.output, &mut self.streamer.record);

        self.streamer.arrived.next = self.retire_valid.val() & (self.retire.val().client == self.client.val());
        self.streamer.arrived_error.next = self.retire.val().error;
        Source::<ByteBeat>::link(&mut self.data, &mut self.streamer.data);

        self.read_valid.next = self.streamer.read_valid.val();
        self.streamer.read_granted.next = self.read_granted.val();
        self.read_word.next = self.streamer.read_word.val();
        self.streamer.read_data.next = self.read_data.val();
    }
}
