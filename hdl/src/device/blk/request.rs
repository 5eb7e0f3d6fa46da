//! Takes a request's header, checks it, and gives the device side a command.
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// What the request block does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RequestState {
    /// Waits for a chain and its header.
    Idle,
    /// Looks how much of the medium is behind the sector.
    Check,
    /// Compares them with the length.
    Compare,
    /// Decides what becomes of the request.
    Decide,
    /// Offers the command.
    Command,
    /// Passes write data on.
    Data,
    /// Queues the response.
    Respond,
    /// Consumes what is left of the readable bytes.
    Drain,
}

/// Request side of the block device.
#[derive(Block)]
pub struct BlkRequest {
    pub clock: Signal<In, Clock>,
    /// In any cycle: the request at hand is forgotten.
    pub reset: Signal<In, Bit>,
    /// A reset is to come: no new commands, no more write data.
    pub stop: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub capacity: Signal<In, Bits<64>>,
    /// Write requests fail.
    pub read_only: Signal<In, Bit>,
    /// Chains of the request queues, and the queue of the one that is offered.
    pub chain: Sink<Chain>,
    pub chain_queue: Signal<In, Bits<2>>,
    /// Bytes of their readable buffers: the header is the first beat.
    pub readable: Sink<ByteBeat>,
    /// Commands for the device side.
    pub command: Source<BlkCommand>,
    /// Data of write commands.
    pub write: Source<BlkWriteBeat>,
    /// The device side takes nothing: commands that it does not take end with an error.
    pub refused: Signal<In, Bit>,
    /// One cycle: the write data at hand end here.
    pub cut: Signal<Out, Bit>,
    /// Requests in order, for the response side.
    pub pending: Source<BlkPending>,
    /// Goes along with them.
    pub generation: Signal<In, Bit>,
    /// Readable bytes of the request handed on last are still to come. Its chain is not given back until they have: a used chain's
    /// memory is the driver's again (virtio 1.x, 2.7.8), and reads of it may still be on their way.
    pub reading: Signal<Out, Bit>,
    /// The host owes write data; the device side owes it to take a command, or data.
    pub waits_for_host: Signal<Out, Bit>,
    pub waits_for_device: Signal<Out, Bit>,
    /// Between requests.
    pub idle: Signal<Out, Bit>,
    /// One cycle: a chain was too short for a request.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,
    /// The queue that it is of.
    pub violation_queue: Signal<Out, Bits<2>>,

    state: Reg<RequestState>,
    /// Queues of which a chain was too short: nothing of what follows in them is done.
    halted: Reg<Bits<4>>,
    stuck: Reg<Bit>,
    of_queue: DFF<Bits<2>>,
    head: DFF<Bits<16>>,
    is_in: DFF<Bit>,
    is_out: DFF<Bit>,
    is_flush: DFF<Bit>,
    is_get_id: DFF<Bit>,
    sector: DFF<Bits<64>>,
    /// The data: what follows the header, or what comes before the status.
    bytes: DFF<Bits<32>>,
    writable_length: DFF<Bits<32>>,
    /// Sectors from the first one to the end of the medium: at least 2^23, or how many; or it lies behind the end.
    room_large: DFF<Bit>,
    room: DFF<Bits<23>>,
    behind_end: DFF<Bit>,
    out_of_range: DFF<Bit>,
    ragged: DFF<Bit>,
    long_id: DFF<Bit>,
    failed: DFF<Bit>,
    dropped: DFF<Bit>,
    drained: DFF<Bit>,
    operation: DFF<BlkOperation>,
    reads: DFF<Bit>,
    status: DFF<Bits<2>>,
    commanded: DFF<Bit>,

    #[given]
    in_type: Constant<Bits<32>>,
    #[given]
    flush_type: Constant<Bits<32>>,
    #[given]
    get_id_type: Constant<Bits<32>>,
    /// Bits of the type that say what is done.
    #[given]
    type_mask: Constant<Bits<32>>,
    #[given]
    id_bytes: Constant<Bits<32>>,
    #[given]
    header_bytes: Constant<Bits<32>>,
    #[given]
    ok: Constant<Bits<2>>,
    #[given]
    io_error: Constant<Bits<2>>,
    #[given]
    unsupported: Constant<Bits<2>>,

    too_short: DFF<Bit>,
    raw_kind: Signal<Local, Bits<32>>,
    kind: Signal<Local, Bits<32>>,
    transfer: Signal<Local, Bit>,
    behind_header: Signal<Local, Bits<32>>,
    before_status: Signal<Local, Bits<32>>,
    end_sector: Signal<Local, Bits<65>>,
    first_sector: Signal<Local, Bits<65>>,
    difference: Signal<Local, Bits<65>>,
    sectors: Signal<Local, Bits<23>>,
    out_command: Signal<Local, BlkCommand>,
    out_beat: Signal<Local, BlkWriteBeat>,
    out_pending: Signal<Local, BlkPending>,
    report: Signal<Local, ViolationReport>,
}

impl Default for BlkRequest {
    fn default() -> Self {
        use crate::virtio::layout::blk;
        Self::with(BlkRequestGiven {
            in_type: Constant::new(u64::from(blk::TYPE_IN).into()),
            flush_type: Constant::new(u64::from(blk::TYPE_FLUSH).into()),
            get_id_type: Constant::new(u64::from(blk::TYPE_GET_ID).into()),
            type_mask: Constant::new(u64::from(!(blk::TYPE_OUT | blk::TYPE_BARRIER)).into()),
            id_bytes: Constant::new(u64::from(blk::ID_BYTES).into()),
            header_bytes: Constant::new(u64::from(blk::HEADER_BYTES).into()),
            ok: Constant::new(u64::from(blk::STATUS_OK).into()),
            io_error: Constant::new(u64::from(blk::STATUS_IOERR).into()),
            unsupported: Constant::new(u64::from(blk::STATUS_UNSUPP).into()),
        })
    }
}

impl Logic for BlkRequest {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_request: header checks and commands of virtio-blk");
        self.chain.ready.next = false;
        self.readable.ready.next = false;
        self.command.valid.next = false;
        self.write.valid.next = false;
        self.pending.valid.next = false;
        self.cut.next = false;
        self.stuck.d.next = ((self.state.q.val() == RequestState::Command) & !self.command.ready.val())
            | ((self.state.q.val() == RequestState::Data) & self.readable.valid.val() & !self.write.ready.val());
        self.waits_for_device.next = self.stuck.q.val();
        self.waits_for_host.next = (self.state.q.val() == RequestState::Data) & !self.readable.valid.val();
        self.reading.next = (self.state.q.val() == RequestState::Data) | (self.state.q.val() == RequestState::Drain);
        self.violation_valid.next = false;
        self.report.next.rule = Violation::RequestTooShort;
        self.report.next.head = self.head.q.val();
        self.too_short.d.next = (self.bytes.q.val() < self.header_bytes.val()) | (self.writable_length.q.val() == 0);

        comment!(
            "as QEMU's: bit 0 tells writes from reads and means nothing elsewhere (5, FLUSH_OUT, is a flush), and the old BARRIER bit is \
             no more than a wish for an order that holds anyway"
        );
        self.raw_kind.next = self.readable.data.val().data.get_bits::<32>(0);
        self.kind.next = self.raw_kind.val() & self.type_mask.val();
        self.transfer.next = self.kind.val() == self.in_type.val();
        self.behind_header.next = self.bytes.q.val() - self.header_bytes.val();
        self.before_status.next = self.writable_length.q.val() - 1;
        self.end_sector.next = bit_cast::<65, 64>(self.capacity.val());
        self.first_sector.next = bit_cast::<65, 64>(self.sector.q.val());
        self.difference.next = self.end_sector.val() - self.first_sector.val();
        self.sectors.next = self.bytes.q.val().get_bits::<23>(9);
        self.long_id.d.next = self.bytes.q.val() > self.id_bytes.val();
        self.ragged.d.next = self.bytes.q.val().get_bits::<9>(0) != 0;
        self.out_of_range.d.next =
            self.behind_end.q.val() | (!self.room_large.q.val() & (self.sectors.val() > self.room.q.val()));

        self.out_beat.next.data = self.readable.data.val().data;
        self.out_beat.next.last = self.readable.data.val().last;
        self.out_beat.next.error = self.readable.data.val().last & self.readable.data.val().error;
        match self.state.q.val() {
            RequestState::Idle => {
                self.of_queue.d.next = self.chain_queue.val();
                self.head.d.next = self.chain.data.val().head;
                self.writable_length.d.next = self.chain.data.val().writable_length;
                self.bytes.d.next = self.chain.data.val().readable_length;
                self.is_in.d.next = self.transfer.val() & !self.raw_kind.val().get_bit(0);
                self.is_out.d.next = self.transfer.val() & self.raw_kind.val().get_bit(0);
                self.is_flush.d.next = self.kind.val() == self.flush_type.val();
                self.is_get_id.d.next = self.kind.val() == self.get_id_type.val();
                self.sector.d.next = self.readable.data.val().data.get_bits::<64>(64);
                self.failed.d.next = self.readable.data.val().error;
                self.drained.d.next = self.readable.data.val().last;
                self.dropped.d.next =
                    self.chain.data.val().error | self.halted.q.val().get_bit(self.chain_queue.val().index());
                if self.chain.valid.val() & self.readable.valid.val() & !self.stop.val() {
                    self.chain.ready.next = true;
                    self.readable.ready.next = true;
                    self.state.d.next = RequestState::Check;
                }
            }
            RequestState::Check => {
                self.bytes.d.next = self.before_status.val();
                if self.is_out.q.val() {
                    self.bytes.d.next = self.behind_header.val();
                }
                self.behind_end.d.next = self.difference.val().get_bit(64);
                self.room_large.d.next = self.difference.val().get_bits::<41>(23).any();
                self.room.d.next = self.difference.val().get_bits::<23>(0);
                self.state.d.next = RequestState::Compare;
            }
            RequestState::Compare => {
                if self.too_short.q.val() & !self.dropped.q.val() {
                    self.dropped.d.next = true;
                    self.halted.d.next = self.halted.q.val().replace_bit(self.of_queue.q.val().index(), true);
                    self.violation_valid.next = true;
                }
                self.state.d.next = RequestState::Decide;
            }
            RequestState::Decide => {
                self.commanded.d.next = false;
                self.status.d.next = self.ok.val();
                self.operation.d.next = BlkOperation::Read;
                self.reads.d.next = self.is_in.q.val() | self.is_get_id.q.val();
                self.state.d.next = RequestState::Respond;
                if self.failed.q.val() {
                    comment!("the header could not be read");
                    self.status.d.next = self.io_error.val();
                } else if self.is_in.q.val() | self.is_out.q.val() {
                    if self.is_out.q.val() {
                        self.operation.d.next = BlkOperation::Write;
                    }
                    if self.ragged.q.val() | self.out_of_range.q.val() | (self.is_out.q.val() & self.read_only.val()) {
                        self.status.d.next = self.io_error.val();
                    } else if self.bytes.q.val().any() {
                        self.commanded.d.next = true;
                        self.state.d.next = RequestState::Command;
                    }
                } else if self.is_flush.q.val() {
                    self.operation.d.next = BlkOperation::Flush;
                    self.bytes.d.next = 0.into();
                    self.commanded.d.next = true;
                    self.state.d.next = RequestState::Command;
                } else if self.is_get_id.q.val() {
                    self.operation.d.next = BlkOperation::GetId;
                    if self.long_id.q.val() {
                        self.bytes.d.next = self.id_bytes.val();
                    }
                    if self.bytes.q.val().any() {
                        self.commanded.d.next = true;
                        self.state.d.next = RequestState::Command;
                    }
                } else {
                    self.status.d.next = self.unsupported.val();
                }
                if self.dropped.q.val() {
                    self.commanded.d.next = false;
                    self.state.d.next = RequestState::Respond;
                }
            }
            RequestState::Command => {
                self.command.valid.next = !self.stop.val();
                if self.stop.val() {
                    self.state.d.next = RequestState::Drain;
                } else if self.command.ready.val() {
                    self.state.d.next = RequestState::Respond;
                } else if self.refused.val() {
                    self.commanded.d.next = false;
                    self.status.d.next = self.io_error.val();
                    self.state.d.next = RequestState::Respond;
                }
            }
            RequestState::Respond => {
                self.pending.valid.next = true;
                if self.pending.ready.val() {
                    if self.commanded.q.val() & (self.operation.q.val() == BlkOperation::Write) {
                        self.state.d.next = RequestState::Data;
                    } else if self.drained.q.val() {
                        self.state.d.next = RequestState::Idle;
                    } else {
                        self.state.d.next = RequestState::Drain;
                    }
                }
            }
            RequestState::Data => {
                self.write.valid.next = self.readable.valid.val() & !self.stop.val();
                self.readable.ready.next = self.write.ready.val() & !self.stop.val();
                if self.stop.val() | (self.refused.val() & !self.write.ready.val()) {
                    self.cut.next = true;
                    self.state.d.next = RequestState::Drain;
                } else if self.readable.valid.val() & self.write.ready.val() & self.readable.data.val().last {
                    self.state.d.next = RequestState::Idle;
                }
            }
            RequestState::Drain => {
                self.readable.ready.next = true;
                if self.readable.valid.val() & self.readable.data.val().last {
                    self.state.d.next = RequestState::Idle;
                }
            }
            _ => self.state.d.next = RequestState::Idle,
        }
        self.out_command.next.operation = self.operation.q.val();
        self.out_command.next.sector = self.sector.q.val();
        self.out_command.next.length = self.bytes.q.val();
        self.out_command.next.tag = 0.into();
        self.command.data.next = self.out_command.val();
        self.write.data.next = self.out_beat.val();
        self.out_pending.next.queue = self.of_queue.q.val();
        self.out_pending.next.head = self.head.q.val();
        self.out_pending.next.drop = self.dropped.q.val();
        self.out_pending.next.commanded = self.commanded.q.val();
        self.out_pending.next.status = self.status.q.val();
        self.out_pending.next.reads = self.reads.q.val();
        self.out_pending.next.get_id = self.is_get_id.q.val();
        self.out_pending.next.generation = self.generation.val();
        self.out_pending.next.writable_length = self.writable_length.q.val();
        self.pending.data.next = self.out_pending.val();
        self.idle.next = self.state.q.val() == RequestState::Idle;
        self.violation.next = self.report.val();
        self.violation_queue.next = self.of_queue.q.val();
    }
}
