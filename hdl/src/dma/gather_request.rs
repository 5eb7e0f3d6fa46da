//! Cuts the readable buffers of chains into reads.
use super::types::{BufferDescriptor, ReadRequest};
use crate::block::Block;
use crate::cells::{HalfStage, Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// What the streamer must know of a read, or of the end of a chain, in the order of issue.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct GatherRecord {
    /// Bytes, at most 512.
    pub length: Bits<10>,
    /// End of a chain: no read.
    pub end: bool,
    /// With `end`: the chain is broken.
    pub error: bool,
}

/// Issues the reads for a stream of buffers, as long as there is space in the RAM and a slot.
///
/// Buffers are cut at multiples of the maximum read request size, 512 bytes at most: small enough that data stream
/// on before a long buffer is complete, large enough that headers do not matter. The limit is taken anew for each read,
/// before it is measured: it may change at any time, but not between the measure and the cut. The bytes of a chain
/// lie behind each other in the RAM, each chain begins with a new 16-byte word.
#[derive(Block)]
pub struct GatherRequester<const AW: usize> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub max_read_request: Signal<In, Bits<3>>,
    pub buffers: Sink<BufferDescriptor>,
    pub request: Source<ReadRequest>,
    /// For the streamer; offered when the read has been taken.
    pub record: Source<GatherRecord>,
    /// A word of the RAM has been streamed and is free again.
    pub free_word: Signal<In, Bit>,

    #[given]
    client: Constant<Bits<4>>,
    request_stage: HalfStage<ReadRequest>,
    // the buffer being cut
    active: Reg<Bit>,
    mark: Reg<Bit>,
    broken: DFF<Bit>,
    address: DFF<Bits<64>>,
    remaining: DFF<Bits<32>>,
    mask: DFF<Bits<9>>,
    below: Signal<Local, Bits<9>>,
    room: DFF<Bits<10>>,
    reach: Signal<Local, Bits<11>>,
    beyond: Signal<Local, Bits<11>>,
    // whether the rest fits, in a register from the cycle before
    measured: Reg<Bit>,
    fits: DFF<Bit>,
    step: Signal<Local, Bit>,
    // the read to issue, or the end mark to pass on
    read_valid: Reg<Bit>,
    mark_valid: Reg<Bit>,
    mark_error: DFF<Bit>,
    read_address: DFF<Bits<64>>,
    read_length: DFF<Bits<10>>,
    offer: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    pass: Signal<Local, Bit>,
    done: Signal<Local, Bit>,
    slot: Reg<Bits<6>>,
    // RAM space
    place: Reg<Bits<12>>,
    #[given]
    free: Reg<Bits<13>>,
    pad: Signal<Local, Bits<4>>,
    has_space: Reg<Bit>,
    taken: Signal<Local, Bits<13>>,
    given: Signal<Local, Bits<13>>,
}

impl<const AW: usize> GatherRequester<AW> {
    /// For the client number `client`, with a RAM of 2^AW words of 16 bytes.
    pub fn new(client: u64) -> Self {
        assert!((6..=8).contains(&AW), "the RAM must hold 1 to 4 KiB");
        Self::with(GatherRequesterGiven { client: Constant::new(client.into()), free: Reg::new((16u64 << AW).into()) })
    }
}

impl<const AW: usize> Logic for GatherRequester<AW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_gather_requester: cuts the readable buffers of chains into reads");
        comment!("issue: the read and its record leave together, when the space it takes was there one cycle before");
        self.offer.next = self.has_space.q.val() & self.record.ready.val();
        self.request_stage.input.valid.next = self.offer.val();
        self.request_stage.input.data.next.address = self.read_address.q.val();
        self.request_stage.input.data.next.length = bit_cast::<13, 10>(self.read_length.q.val());
        self.request_stage.input.data.next.destination = bit_cast::<16, 12>(self.place.q.val());
        self.request_stage.input.data.next.client = self.client.val();
        self.request_stage.input.data.next.slot = self.slot.q.val();
        self.issue.next = self.offer.val() & self.request_stage.input.ready.val();
        Source::<ReadRequest>::link(&mut self.request, &mut self.request_stage.output);
        self.pass.next = self.mark_valid.q.val() & self.record.ready.val();
        self.record.valid.next = self.issue.val() | self.mark_valid.q.val();
        self.record.data.next.length = self.read_length.q.val();
        self.record.data.next.end = self.mark_valid.q.val();
        self.record.data.next.error = self.mark_error.q.val();
        self.done.next = self.issue.val() | self.pass.val();
        self.has_space.d.next = self.read_valid.q.val()
            & !self.done.val()
            & (self.free.q.val() >= bit_cast::<13, 10>(self.read_length.q.val()));

        comment!("space: bytes taken by reads, what the end of a chain leaves of a word, words streamed");
        self.pad.next = bits::<4>(0) - self.place.q.val().get_bits::<4>(0);
        self.taken.next = 0.into();
        if self.issue.val() {
            self.taken.next = bit_cast::<13, 10>(self.read_length.q.val());
            self.place.d.next = self.place.q.val() + bit_cast::<12, 10>(self.read_length.q.val());
            self.slot.d.next = self.slot.q.val() + 1;
        } else if self.pass.val() {
            self.taken.next = bit_cast::<13, 4>(self.pad.val());
            self.place.d.next = self.place.q.val() + bit_cast::<12, 4>(self.pad.val());
        }
        self.given.next = 0.into();
        if self.free_word.val() {
            self.given.next = 16.into();
        }
        self.free.d.next = self.free.q.val() - self.taken.val() + self.given.val();

        comment!("cut");
        self.below.next = !self.address.q.val().get_bits::<9>(0) & self.mask.q.val();
        self.room.d.next = bit_cast::<10, 9>(self.below.val()) + 1;
        comment!("one sum: seen from the begin of the block, the end is not behind it; the block's size is (mask << 1 | 1) ^ mask");
        self.reach.next = bit_cast::<11, 9>(self.address.q.val().get_bits::<9>(0) & self.mask.q.val())
            + bit_cast::<11, 10>(self.remaining.q.val().get_bits::<10>(0));
        self.beyond.next = self.reach.val() & !bit_cast::<11, 9>(self.mask.q.val());
        self.fits.d.next = !self.remaining.q.val().get_bits::<22>(10).any()
            & (!self.beyond.val().any()
                | (self.reach.val()
                    == (((bit_cast::<11, 9>(self.mask.q.val()) << 1) | 1) ^ bit_cast::<11, 9>(self.mask.q.val()))));
        self.measured.d.next = self.active.q.val();
        self.step.next = ((self.active.q.val() & self.measured.q.val()) | self.mark.q.val())
            & ((!self.read_valid.q.val() & !self.mark_valid.q.val()) | self.done.val());
        if self.step.val() | !self.active.q.val() {
            match self.max_read_request.val().index() {
                0 => self.mask.d.next = 0x07F.into(),
                1 => self.mask.d.next = 0x0FF.into(),
                _ => self.mask.d.next = 0x1FF.into(),
            }
        }
        if self.done.val() {
            self.read_valid.d.next = false;
            self.mark_valid.d.next = false;
        }
        if self.step.val() {
            self.measured.d.next = false;
            self.read_valid.d.next = self.active.q.val();
            self.mark_valid.d.next = self.mark.q.val();
            self.mark_error.d.next = self.broken.q.val();
            self.read_address.d.next = self.address.q.val();
            self.read_length.d.next = self.room.q.val();
            if self.fits.q.val() {
                self.read_length.d.next = bit_cast::<10, 32>(self.remaining.q.val());
            }
            comment!("what follows a cut begins at the boundary");
            self.address.d.next = (self.address.q.val() | bit_cast::<64, 9>(self.mask.q.val())) + 1;
            self.remaining.d.next = self.remaining.q.val() - bit_cast::<32, 10>(self.room.q.val());
            self.mark.d.next = false;
            if self.fits.q.val() {
                self.active.d.next = false;
            }
        }
        comment!(
            "the next buffer comes in when this one has been cut: no path from the cut to whoever has the buffers"
        );
        self.buffers.ready.next = !self.active.q.val() & !self.mark.q.val();
        if !self.active.q.val() & !self.mark.q.val() & self.buffers.valid.val() {
            self.active.d.next = !self.buffers.data.val().end;
            self.mark.d.next = self.buffers.data.val().end;
            self.broken.d.next = self.buffers.data.val().error;
            self.address.d.next = self.buffers.data.val().address;
            self.remaining.d.next = self.buffers.data.val().length;
        }
    }
}
