//! The read engine with as many tags as a configuration asks for.
use super::read_engine::ReadEngine;
use super::types::*;
use crate::block::Block;
use crate::cells::{Sink, Source};
use crate::comment;
use crate::tlp::types::{CompletionBeat, TransmitBeat};
use rust_hdl::prelude::*;

/// A [`ReadEngine`] of 32 or 64 tags. How many there are is known in a configuration alone, but in rust-hdl a width is one of the
/// type's: of the engines here one is there, and its ports are these.
#[derive(Block)]
pub struct SizedReadEngine {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// As of [`ReadEngine`], as all that follows.
    pub max_read_request: Signal<In, Bits<3>>,
    /// Device Control: 8-bit tags; no more than 32 are used without.
    pub extended_tag: Signal<In, Bit>,
    /// Our bus, device and function number.
    pub function_id: Signal<In, Bits<16>>,
    /// No read leaves any more.
    pub stop: Signal<In, Bit>,
    /// A read is never given up.
    pub timeout_disable: Signal<In, Bit>,
    /// The link has forgotten the reads that have left.
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
    /// Pulse: a read has ended with an error.
    pub error_completion: Signal<Out, Bit>,
    /// A read waits because all tags are taken.
    pub stall_no_tag: Signal<Out, Bit>,

    // one of both
    #[given]
    tags_32: Vec<ReadEngine<5>>,
    #[given]
    tags_64: Vec<ReadEngine<6>>,
}

impl SizedReadEngine {
    /// Numbers of tags there are engines for.
    pub const TAGS: [u16; 2] = [32, 64];

    /// An engine of `tags` tags that gives a read up when it has not been answered `timeout` cycles after it left.
    pub fn new(tags: u16, timeout: u64) -> Self {
        assert!(Self::TAGS.contains(&tags), "{tags} tags");
        Self::with(SizedReadEngineGiven {
            tags_32: (0..usize::from(tags == 32)).map(|_| ReadEngine::new(timeout)).collect(),
            tags_64: (0..usize::from(tags == 64)).map(|_| ReadEngine::new(timeout)).collect(),
        })
    }
}

impl Logic for SizedReadEngine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_sized_read_engine: the read engine with the tags of the configuration");
        for i in 0..self.tags_32.len() {
            self.tags_32[i].max_read_request.next = self.max_read_request.val();
            self.tags_32[i].extended_tag.next = self.extended_tag.val();
            self.tags_32[i].function_id.next = self.function_id.val();
            self.tags_32[i].stop.next = self.stop.val();
            self.tags_32[i].timeout_disable.next = self.timeout_disable.val();
            self.tags_32[i].abandon.next = self.abandon.val();
            self.idle.next = self.tags_32[i].idle.val();
            Sink::<ReadRequest>::link(&mut self.request, &mut self.tags_32[i].request);
            Source::<TransmitBeat>::link(&mut self.transmit, &mut self.tags_32[i].transmit);
            Sink::<CompletionBeat>::link(&mut self.completion, &mut self.tags_32[i].completion);
            ReadReturnSource::link(&mut self.returns, &mut self.tags_32[i].returns);
            self.timeout.next = self.tags_32[i].timeout.val();
            self.unexpected_completion.next = self.tags_32[i].unexpected_completion.val();
            self.error_completion.next = self.tags_32[i].error_completion.val();
            self.stall_no_tag.next = self.tags_32[i].stall_no_tag.val();
        }
        for i in 0..self.tags_64.len() {
            self.tags_64[i].max_read_request.next = self.max_read_request.val();
            self.tags_64[i].extended_tag.next = self.extended_tag.val();
            self.tags_64[i].function_id.next = self.function_id.val();
            self.tags_64[i].stop.next = self.stop.val();
            self.tags_64[i].timeout_disable.next = self.timeout_disable.val();
            self.tags_64[i].abandon.next = self.abandon.val();
            self.idle.next = self.tags_64[i].idle.val();
            Sink::<ReadRequest>::link(&mut self.request, &mut self.tags_64[i].request);
            Source::<TransmitBeat>::link(&mut self.transmit, &mut self.tags_64[i].transmit);
            Sink::<CompletionBeat>::link(&mut self.completion, &mut self.tags_64[i].completion);
            ReadReturnSource::link(&mut self.returns, &mut self.tags_64[i].returns);
            self.timeout.next = self.tags_64[i].timeout.val();
            self.unexpected_completion.next = self.tags_64[i].unexpected_completion.val();
            self.error_completion.next = self.tags_64[i].error_completion.val();
            self.stall_no_tag.next = self.tags_64[i].stall_no_tag.val();
        }
    }
}
