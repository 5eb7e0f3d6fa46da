//! From the readable buffers of chains to a stream of bytes.
use super::gather_request::{GatherRecord, GatherRequester};
use super::gather_stream::GatherStreamer;
use super::types::{BufferDescriptor, ByteBeat, RamWrite, ReadRequest, ReadRetire};
use crate::cells::{BankedRam, Sink, Source, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Gathers the buffers of chains into a stream of bytes, one chain after the other.
///
/// ```text
/// buffers -> requester -> request
///               | records, 64
///            streamer <- retire        write -> RAM of 2^(IW+5) bytes -> streamer -> data
/// ```
/// As many reads are in flight as the RAM has space for, 64 at most, over the ends of buffers and chains. The
/// bytes of a chain are packed and begin in lane 0; a chain with an error gives the same number of
/// bytes, with `error` from the failed read's first byte to the last beat.
///
/// Reset it only when the read engine has nothing of this client outstanding.
#[derive(LogicBlock)]
pub struct Gather<const IW: usize> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Device Control: maximum read request size, 128 << n bytes.
    pub max_read_request: Signal<In, Bits<3>>,
    pub buffers: Sink<BufferDescriptor>,
    pub request: Source<ReadRequest>,
    /// Of all clients; those of this one count.
    pub retire: Signal<In, ReadRetire>,
    pub retire_valid: Signal<In, Bit>,
    /// Of all clients; those of this one count.
    pub write: Signal<In, RamWrite>,
    pub write_valid: Signal<In, Bit>,
    pub data: Source<ByteBeat>,

    client: Constant<Bits<4>>,
    requester: GatherRequester<IW>,
    records: StreamFifo<GatherRecord, 6>,
    streamer: GatherStreamer<IW>,
    ram: BankedRam<IW>,
    our_write: Signal<Local, Bit>,
}

impl<const IW: usize> Gather<IW> {
    /// For the client number `client`.
    pub fn new(client: u64) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_read_request: Default::default(),
            buffers: Default::default(),
            request: Default::default(),
            retire: Default::default(),
            retire_valid: Default::default(),
            write: Default::default(),
            write_valid: Default::default(),
            data: Default::default(),
            client: Constant::new(client.into()),
            requester: GatherRequester::new(client),
            records: Default::default(),
            streamer: Default::default(),
            ram: Default::default(),
            our_write: Default::default(),
        }
    }
}

impl<const IW: usize> Logic for Gather<IW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_gather: gathers the readable buffers of chains into a stream of bytes");
        clock!(self, clock, requester, records, streamer, ram);
        self.requester.reset.next = self.reset.val();
        self.records.reset.next = self.reset.val();
        self.streamer.reset.next = self.reset.val();

        Sink::<BufferDescriptor>::link(&mut self.buffers, &mut self.requester.buffers);
        Source::<ReadRequest>::link(&mut self.request, &mut self.requester.request);
        self.requester.max_read_request.next = self.max_read_request.val();
        self.requester.free_word.next = self.streamer.free_word.val();
        Source::<GatherRecord>::join(&mut self.requester.record, &mut self.records.input);
        Source::<GatherRecord>::join(&mut self.records.output, &mut self.streamer.record);

        self.streamer.arrived.next = self.retire_valid.val() & (self.retire.val().client == self.client.val());
        self.streamer.arrived_error.next = self.retire.val().error;
        Source::<ByteBeat>::link(&mut self.data, &mut self.streamer.data);

        self.our_write.next = self.write_valid.val() & (self.write.val().client == self.client.val());
        self.ram.write_even_index.next = bit_cast::<IW, 11>(self.write.val().even_index);
        self.ram.write_odd_index.next = bit_cast::<IW, 11>(self.write.val().odd_index);
        self.ram.write_even_enable.next = 0.into();
        self.ram.write_odd_enable.next = 0.into();
        if self.our_write.val() {
            self.ram.write_even_enable.next = self.write.val().even_enable;
            self.ram.write_odd_enable.next = self.write.val().odd_enable;
        }
        self.ram.write_data.next = self.write.val().data;
        self.ram.read_even_index.next = self.streamer.read_index.val();
        self.ram.read_odd_index.next = self.streamer.read_index.val();
        self.streamer.read_even_data.next = self.ram.read_even_data.val();
        self.streamer.read_odd_data.next = self.ram.read_odd_data.val();
    }
}
