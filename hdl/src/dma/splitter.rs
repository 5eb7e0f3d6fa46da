//! Cuts a request at the boundaries a TLP must not cross.
#![allow(missing_docs, reason = "rust-hdl's derives write bare methods; hdl/tests/lint_source.rs sees to the rest")]
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use rust_hdl::prelude::*;

/// What both engines ask the splitter to cut: a host range, and where it lies in the client's RAM.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Transfer {
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes, 1 to 4096.
    pub length: Bits<13>,
    /// Byte address in the client's RAM of the first byte.
    pub ram_address: Bits<16>,
    /// Which client.
    pub client: Bits<4>,
    /// The client's own number for the request.
    pub slot: Bits<6>,
}

/// One TLP's part of a [`Transfer`].
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Chunk {
    /// Byte address in host memory.
    pub address: Bits<64>,
    /// Bytes.
    pub length: Bits<13>,
    /// Byte address in the client's RAM of the first byte.
    pub ram_address: Bits<16>,
    /// Which client.
    pub client: Bits<4>,
    /// The client's own number for the request.
    pub slot: Bits<6>,
    /// First chunk of the transfer.
    pub first: bool,
    /// Last chunk of the transfer.
    pub last: bool,
    /// Double words that the bytes touch, 1 to 1024.
    pub dwords: Bits<11>,
    /// Byte enables of the first double word.
    pub first_be: Bits<4>,
    /// Byte enables of the last double word, 0 when there is only one.
    pub last_be: Bits<4>,
}

/// Cuts a transfer at multiples of the maximum size, hence at 4 KiB too.
///
/// The host may change the limit at any time. A transfer keeps the one that held when it was taken: the cuts are worked out
/// ahead of the chunks, and with a limit that changes between the two they would miss bytes or go past the end. So a chunk of
/// the old limit may follow the change, but never one of a transfer taken after it.
///
/// A transfer takes one cycle to load and then gives one chunk per cycle. `chunk` comes from the
/// registers through two adders: the consumer registers it.
#[derive(Block)]
pub struct Splitter {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Maximum size as in the Device Control register: 128 << size bytes; 6 and 7 mean 4096.
    pub size: Signal<In, Bits<3>>,
    /// Forget what is left of the transfer, swallow new ones. A piece can still be taken in the cycle in which it rises.
    pub stop: Signal<In, Bit>,
    /// What to cut.
    pub transfer: Sink<Transfer>,
    /// The pieces, in order.
    pub chunk: Source<Chunk>,
    active: Reg<Bit>,
    /// The present chunk is the request's last; found out while it becomes the present one.
    last: DFF<Bit>,
    first: DFF<Bit>,
    address: DFF<Bits<64>>,
    remaining_less_one: DFF<Bits<13>>,
    ram_address: DFF<Bits<16>>,
    client: DFF<Bits<4>>,
    slot: DFF<Bits<6>>,
    // what lies in bits 11:7 of the limit less one: of the link now, and of the transfer
    limit: DFF<Bits<5>>,
    held_limit: DFF<Bits<5>>,
    coming_mask: Signal<Local, Bits<12>>,
    mask: Signal<Local, Bits<12>>,
    below: Signal<Local, Bits<12>>,
    room: Signal<Local, Bits<13>>,
    first_byte: Signal<Local, Bits<2>>,
    end_byte: Signal<Local, Bits<2>>,
    coming_offset: Signal<Local, Bits<13>>,
    coming_beyond: Signal<Local, Bits<13>>,
    left_less_one: Signal<Local, Bits<13>>,
    span: Signal<Local, Bits<13>>,
    first_mask: Signal<Local, Bits<4>>,
    end_mask: Signal<Local, Bits<4>>,
    single_end: Signal<Local, Bit>,
    single_cut: Signal<Local, Bit>,
    part: Signal<Local, Chunk>,
}

impl Logic for Splitter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_splitter: cuts a DMA request at multiples of the maximum TLP size");
        comment!("as many ones as the size says; the reserved sizes are as large as 5");
        self.limit.d.next = !(bits::<5>(0x1F) << self.size.val());
        self.coming_mask.next = (bit_cast::<12, 5>(self.limit.q.val()) << 7) | 0x7F;
        self.mask.next = (bit_cast::<12, 5>(self.held_limit.q.val()) << 7) | 0x7F;
        comment!("bytes up to the next boundary, less one");
        self.below.next = !self.address.q.val().get_bits::<12>(0) & self.mask.val();
        self.room.next = bit_cast::<13, 12>(self.below.val()) + 1;
        comment!("less its own length less one: what follows a cut");
        self.left_less_one.next = self.remaining_less_one.q.val() + !bit_cast::<13, 12>(self.below.val());
        comment!("of a request that comes in: where it ends, seen from the block it begins in");
        self.coming_offset.next =
            bit_cast::<13, 12>(self.transfer.data.val().address.get_bits::<12>(0) & self.coming_mask.val())
                + self.transfer.data.val().length;
        self.coming_beyond.next = self.coming_offset.val() & !bit_cast::<13, 12>(self.coming_mask.val());

        comment!("all that depends on which chunk it is, for both kinds, beside the sum that decides");
        self.first_byte.next = self.address.q.val().get_bits::<2>(0);
        self.span.next = self.remaining_less_one.q.val() + (bit_cast::<13, 2>(self.first_byte.val()) | 4);
        self.end_byte.next = self.remaining_less_one.q.val().get_bits::<2>(0) + self.first_byte.val();
        match self.end_byte.val().index() {
            0 => self.end_mask.next = 0x1.into(),
            1 => self.end_mask.next = 0x3.into(),
            2 => self.end_mask.next = 0x7.into(),
            _ => self.end_mask.next = 0xF.into(),
        }
        self.single_end.next = self.span.val().get_bits::<11>(2) == 1;
        self.single_cut.next = !self.below.val().get_bits::<10>(2).any();
        self.first_mask.next = bits::<4>(0xF) << self.first_byte.val();

        self.part.next.address = self.address.q.val();
        self.part.next.ram_address = self.ram_address.q.val();
        self.part.next.client = self.client.q.val();
        self.part.next.slot = self.slot.q.val();
        self.part.next.first = self.first.q.val();
        self.part.next.last = self.last.q.val();
        self.part.next.length = self.room.val();
        self.part.next.dwords = bit_cast::<11, 10>(self.below.val().get_bits::<10>(2)) + 1;
        self.part.next.first_be = self.first_mask.val();
        self.part.next.last_be = 0xF.into();
        if self.single_cut.val() {
            self.part.next.last_be = 0.into();
        }
        if self.last.q.val() {
            self.part.next.length = self.remaining_less_one.q.val() + 1;
            self.part.next.dwords = self.span.val().get_bits::<11>(2);
            self.part.next.last_be = self.end_mask.val();
            if self.single_end.val() {
                self.part.next.first_be = self.first_mask.val() & self.end_mask.val();
                self.part.next.last_be = 0.into();
            }
        }
        self.chunk.data.next = self.part.val();
        self.chunk.valid.next = self.active.q.val();
        self.transfer.ready.next = !self.active.q.val();

        if self.active.q.val() {
            if self.chunk.ready.val() {
                comment!("what follows a cut begins at the boundary");
                self.address.d.next = (self.address.q.val() | bit_cast::<64, 12>(self.mask.val())) + 1;
                self.remaining_less_one.d.next = self.left_less_one.val();
                self.last.d.next = !(self.left_less_one.val() & !bit_cast::<13, 12>(self.mask.val())).any();
                self.ram_address.d.next = self.ram_address.q.val() + bit_cast::<16, 13>(self.room.val());
                self.first.d.next = false;
                if self.last.q.val() {
                    self.active.d.next = false;
                }
            }
        } else {
            self.active.d.next = self.transfer.valid.val();
            self.first.d.next = true;
            self.held_limit.d.next = self.limit.q.val();
            comment!("the size of a block is (mask << 1 | 1) ^ mask");
            self.last.d.next = !self.coming_beyond.val().any()
                | (self.coming_offset.val()
                    == (((bit_cast::<13, 12>(self.coming_mask.val()) << 1) | 1)
                        ^ bit_cast::<13, 12>(self.coming_mask.val())));
            self.address.d.next = self.transfer.data.val().address;
            self.remaining_less_one.d.next = self.transfer.data.val().length - 1;
            self.ram_address.d.next = self.transfer.data.val().ram_address;
            self.client.d.next = self.transfer.data.val().client;
            self.slot.d.next = self.transfer.data.val().slot;
        }
        if self.stop.val() {
            self.active.d.next = false;
        }
    }
}
