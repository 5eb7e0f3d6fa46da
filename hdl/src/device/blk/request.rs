//! Takes a request's header, checks it, and gives the device side a command.
use super::types::*;
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
    /// Adds sector and length.
    Check,
    /// Decides what becomes of the request.
    Decide,
    /// Offers the command.
    Command,
    /// Passes write data on.
    Data,
    /// Ends the data of a write that a reset cut off.
    Abort,
    /// Queues the response.
    Respond,
    /// Consumes what is left of the readable bytes.
    Drain,
}

/// Request side of the block device.
#[derive(LogicBlock)]
pub struct BlkRequest {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Drain: no new commands.
    pub stop: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub capacity: Signal<In, Bits<64>>,
    /// Write requests fail.
    pub read_only: Signal<In, Bit>,
    /// Chains of the request queue.
    pub chain: Sink<Chain>,
    /// Bytes of their readable buffers: the header is the first beat.
    pub readable: Sink<ByteBeat>,
    /// Commands for the device side.
    pub command: Source<BlkCommand>,
    /// Data of write commands.
    pub write: Source<BlkWriteBeat>,
    /// Requests in order, for the response side.
    pub pending: Source<BlkPending>,
    /// Between requests.
    pub idle: Signal<Out, Bit>,
    /// One cycle: a chain was too short for a request.
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,

    state: Reg<RequestState>,
    halted: Reg<Bit>,
    head: DFF<Bits<16>>,
    kind: DFF<Bits<32>>,
    sector: DFF<Bits<64>>,
    end_sector: DFF<Bits<64>>,
    readable_length: DFF<Bits<32>>,
    writable_length: DFF<Bits<32>>,
    failed: DFF<Bit>,
    dropped: DFF<Bit>,
    drained: DFF<Bit>,
    operation: DFF<BlkOperation>,
    length: DFF<Bits<32>>,
    data_length: DFF<Bits<32>>,
    status: DFF<Bits<8>>,
    commanded: DFF<Bit>,

    in_type: Constant<Bits<32>>,
    out_type: Constant<Bits<32>>,
    flush_type: Constant<Bits<32>>,
    get_id_type: Constant<Bits<32>>,
    header_bytes: Constant<Bits<32>>,
    ok: Constant<Bits<8>>,
    io_error: Constant<Bits<8>>,
    unsupported: Constant<Bits<8>>,

    too_short: Signal<Local, Bit>,
    is_out: Signal<Local, Bit>,
    bytes: Signal<Local, Bits<32>>,
    sectors: Signal<Local, Bits<23>>,
    out_of_range: Signal<Local, Bit>,
    ragged: Signal<Local, Bit>,
    out_command: Signal<Local, BlkCommand>,
    out_beat: Signal<Local, BlkWriteBeat>,
    out_pending: Signal<Local, BlkPending>,
    report: Signal<Local, ViolationReport>,
}

impl Default for BlkRequest {
    fn default() -> Self {
        use crate::virtio::layout::blk;
        Self {
            clock: Default::default(),
            reset: Default::default(),
            stop: Default::default(),
            capacity: Default::default(),
            read_only: Default::default(),
            chain: Default::default(),
            readable: Default::default(),
            command: Default::default(),
            write: Default::default(),
            pending: Default::default(),
            idle: Default::default(),
            violation_valid: Default::default(),
            violation: Default::default(),
            state: Default::default(),
            halted: Default::default(),
            head: Default::default(),
            kind: Default::default(),
            sector: Default::default(),
            end_sector: Default::default(),
            readable_length: Default::default(),
            writable_length: Default::default(),
            failed: Default::default(),
            dropped: Default::default(),
            drained: Default::default(),
            operation: Default::default(),
            length: Default::default(),
            data_length: Default::default(),
            status: Default::default(),
            commanded: Default::default(),
            in_type: Constant::new(u64::from(blk::TYPE_IN).into()),
            out_type: Constant::new(u64::from(blk::TYPE_OUT).into()),
            flush_type: Constant::new(u64::from(blk::TYPE_FLUSH).into()),
            get_id_type: Constant::new(u64::from(blk::TYPE_GET_ID).into()),
            header_bytes: Constant::new(u64::from(blk::HEADER_BYTES).into()),
            ok: Constant::new(u64::from(blk::STATUS_OK).into()),
            io_error: Constant::new(u64::from(blk::STATUS_IOERR).into()),
            unsupported: Constant::new(u64::from(blk::STATUS_UNSUPP).into()),
            too_short: Default::default(),
            is_out: Default::default(),
            bytes: Default::default(),
            sectors: Default::default(),
            out_of_range: Default::default(),
            ragged: Default::default(),
            out_command: Default::default(),
            out_beat: Default::default(),
            out_pending: Default::default(),
            report: Default::default(),
        }
    }
}

impl Logic for BlkRequest {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_request: header checks and commands of virtio-blk");
        dff_setup!(
            self,
            clock,
            state,
            halted,
            head,
            kind,
            sector,
            end_sector,
            readable_length,
            writable_length,
            failed,
            dropped,
            drained,
            operation,
            length,
            data_length,
            status,
            commanded
        );
        self.state.reset.next = self.reset.val();
        self.halted.reset.next = self.reset.val();

        self.chain.ready.next = false;
        self.readable.ready.next = false;
        self.command.valid.next = false;
        self.write.valid.next = false;
        self.pending.valid.next = false;
        self.violation_valid.next = false;
        self.report.next.rule = Violation::RequestTooShort;
        self.report.next.head = self.chain.data.val().head;
        self.too_short.next = (self.chain.data.val().readable_length < self.header_bytes.val())
            | (self.chain.data.val().writable_length == 0);

        // the data: what follows the header, or what comes before the status
        self.is_out.next = self.kind.q.val() == self.out_type.val();
        self.bytes.next = self.writable_length.q.val() - 1;
        if self.is_out.val() {
            self.bytes.next = self.readable_length.q.val() - self.header_bytes.val();
        }
        self.sectors.next = self.bytes.val().get_bits::<23>(9);
        self.ragged.next = self.bytes.val().get_bits::<9>(0) != 0;
        self.out_of_range.next =
            (self.sector.q.val() > self.capacity.val()) | (self.end_sector.q.val() > self.capacity.val());

        self.out_beat.next.data = self.readable.data.val().data;
        self.out_beat.next.last = self.readable.data.val().last;
        self.out_beat.next.error = self.readable.data.val().last & self.readable.data.val().error;
        match self.state.q.val() {
            RequestState::Idle => {
                self.head.d.next = self.chain.data.val().head;
                self.readable_length.d.next = self.chain.data.val().readable_length;
                self.writable_length.d.next = self.chain.data.val().writable_length;
                self.kind.d.next = self.readable.data.val().data.get_bits::<32>(0);
                self.sector.d.next = self.readable.data.val().data.get_bits::<64>(64);
                self.failed.d.next = self.readable.data.val().error;
                self.drained.d.next = self.readable.data.val().last;
                self.dropped.d.next = false;
                if self.chain.valid.val() & self.readable.valid.val() & !self.stop.val() {
                    self.chain.ready.next = true;
                    self.readable.ready.next = true;
                    self.state.d.next = RequestState::Check;
                    if self.chain.data.val().error | self.halted.q.val() {
                        self.dropped.d.next = true;
                    } else if self.too_short.val() {
                        self.dropped.d.next = true;
                        self.halted.d.next = true;
                        self.violation_valid.next = true;
                    }
                }
            }
            RequestState::Check => {
                self.end_sector.d.next = self.sector.q.val() + bit_cast::<64, 23>(self.sectors.val());
                self.state.d.next = RequestState::Decide;
            }
            RequestState::Decide => {
                self.commanded.d.next = false;
                self.status.d.next = self.ok.val();
                self.operation.d.next = BlkOperation::Read;
                self.length.d.next = self.bytes.val();
                self.data_length.d.next = 0.into();
                self.state.d.next = RequestState::Respond;
                if self.failed.q.val() {
                    // the header could not be read
                    self.status.d.next = self.io_error.val();
                } else if (self.kind.q.val() == self.in_type.val()) | self.is_out.val() {
                    if self.is_out.val() {
                        self.operation.d.next = BlkOperation::Write;
                    } else {
                        self.data_length.d.next = self.bytes.val();
                    }
                    if self.ragged.val() | self.out_of_range.val() | (self.is_out.val() & self.read_only.val()) {
                        self.status.d.next = self.io_error.val();
                    } else if self.bytes.val().any() {
                        self.commanded.d.next = true;
                        self.state.d.next = RequestState::Command;
                    }
                } else if self.kind.q.val() == self.flush_type.val() {
                    self.operation.d.next = BlkOperation::Flush;
                    self.length.d.next = 0.into();
                    self.commanded.d.next = true;
                    self.state.d.next = RequestState::Command;
                } else if self.kind.q.val() == self.get_id_type.val() {
                    self.operation.d.next = BlkOperation::GetId;
                    self.data_length.d.next = self.bytes.val();
                    if self.bytes.val() > 4096 {
                        self.status.d.next = self.io_error.val();
                    } else if self.bytes.val().any() {
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
                self.command.valid.next = true;
                if self.command.ready.val() {
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
                self.write.valid.next = self.readable.valid.val();
                self.readable.ready.next = self.write.ready.val();
                if self.readable.valid.val() & self.write.ready.val() {
                    if self.readable.data.val().last {
                        self.state.d.next = RequestState::Idle;
                    }
                } else if self.stop.val() & !self.readable.valid.val() {
                    self.state.d.next = RequestState::Abort;
                }
            }
            RequestState::Abort => {
                self.write.valid.next = true;
                self.out_beat.next.last = true;
                self.out_beat.next.error = true;
                if self.write.ready.val() {
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
        self.out_command.next.length = self.length.q.val();
        self.command.data.next = self.out_command.val();
        self.write.data.next = self.out_beat.val();
        self.out_pending.next.head = self.head.q.val();
        self.out_pending.next.drop = self.dropped.q.val();
        self.out_pending.next.commanded = self.commanded.q.val();
        self.out_pending.next.status = self.status.q.val();
        self.out_pending.next.data_length = self.data_length.q.val();
        self.out_pending.next.writable_length = self.writable_length.q.val();
        self.pending.data.next = self.out_pending.val();
        self.idle.next = (self.state.q.val() == RequestState::Idle)
            | (self.stop.val() & (self.state.q.val() == RequestState::Drain));
        self.violation.next = self.report.val();
    }
}
