//! Turns the device side's answers into bytes for the chain's writable buffers.
use super::types::*;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use rust_hdl::prelude::*;

/// What the response block does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ResponseState {
    /// Waits for a request.
    Idle,
    /// Waits for the device side's status.
    Status,
    /// Offers the scatter command.
    Command,
    /// Passes read data on.
    Data,
    /// Offers the beat with the status byte alone.
    StatusByte,
}

/// Response side of the block device.
///
/// A request that reads data is answered by the data with the status byte behind them; every other one by the status byte
/// alone, in the last writable byte of its chain.
#[derive(LogicBlock, Default)]
pub struct BlkResponse {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Drain: answers are consumed and forgotten.
    pub stop: Signal<In, Bit>,
    /// Requests in order.
    pub pending: Sink<BlkPending>,
    /// Status of each command, in order.
    pub status: Sink<Bits<8>>,
    /// Data of read commands that succeeded.
    pub read: Sink<Bits<128>>,
    /// What to do with the chain's writable buffers.
    pub scatter: Source<ScatterCommand>,
    /// Bytes for them.
    pub writable: Source<ByteBeat>,
    /// Between requests.
    pub idle: Signal<Out, Bit>,

    state: Reg<ResponseState>,
    head: DFF<Bits<16>>,
    drop: DFF<Bit>,
    value: DFF<Bits<8>>,
    reads: DFF<Bit>,
    with_data: DFF<Bit>,
    /// Writable bytes, of which the last one takes the status; while data are passed on, those that are left.
    writable_length: DFF<Bits<32>>,

    with_data_next: Signal<Local, Bit>,
    /// More than a beat is left. Known two cycles after the length, before any beat: those take longer to come.
    full_beat: DFF<Bit>,
    /// The byte of a beat that is the status, and whether there is one.
    status_lane: Signal<Local, Bits<4>>,
    last_lane: DFF<Bits<4>>,
    with_status: Signal<Local, Bit>,
    lane: Signal<Local, Bits<8>>,
    lanes: Signal<Local, Bits<128>>,
    before_status: Signal<Local, Bits<32>>,
    out_command: Signal<Local, ScatterCommand>,
    out_beat: Signal<Local, ByteBeat>,
    taken: Signal<Local, Bit>,
}

impl Logic for BlkResponse {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_response: data and status byte of virtio-blk");
        dff_setup!(self, clock, state, head, drop, value, reads, with_data, writable_length, full_beat, last_lane);
        self.state.reset.next = self.reset.val();

        self.pending.ready.next = false;
        self.status.ready.next = false;
        self.read.ready.next = false;
        self.scatter.valid.next = false;
        self.writable.valid.next = false;
        self.with_data_next.next = (self.status.data.val() == 0) & self.reads.q.val();
        // data fill a beat while more than they are left; the last beat of data has room for the status byte, or it comes alone
        self.before_status.next = self.writable_length.q.val() - 1;
        self.full_beat.d.next = self.writable_length.q.val() > 16;
        self.last_lane.d.next = self.before_status.val().get_bits::<4>(0);
        self.status_lane.next = self.last_lane.q.val();
        self.with_status.next = (self.state.q.val() == ResponseState::StatusByte) | !self.full_beat.q.val();
        if self.state.q.val() == ResponseState::StatusByte {
            self.status_lane.next = 0.into();
        }
        self.lanes.next = 0.into();
        for i in 0..16 {
            self.lane.next = self.read.data.val().get_bits::<8>(i * 8);
            if self.with_status.val() & (self.status_lane.val() == i.to_bits::<4>()) {
                self.lane.next = self.value.q.val();
            }
            self.lanes.next = self.lanes.val() | (bit_cast::<128, 8>(self.lane.val()) << (i * 8).to_bits::<7>());
        }
        self.out_beat.next.data = self.lanes.val();
        self.out_beat.next.count = 16.into();
        self.out_beat.next.last = false;
        self.out_beat.next.error = false;
        self.taken.next = self.writable.ready.val() | self.stop.val();
        match self.state.q.val() {
            ResponseState::Idle => {
                self.head.d.next = self.pending.data.val().head;
                self.drop.d.next = self.pending.data.val().drop;
                self.value.d.next = bit_cast::<8, 2>(self.pending.data.val().status);
                self.reads.d.next = self.pending.data.val().reads;
                self.writable_length.d.next = self.pending.data.val().writable_length;
                self.with_data.d.next = false;
                self.pending.ready.next = true;
                if self.pending.valid.val() {
                    self.state.d.next = ResponseState::Command;
                    if self.pending.data.val().commanded {
                        self.state.d.next = ResponseState::Status;
                    }
                }
            }
            ResponseState::Status => {
                self.status.ready.next = true;
                self.value.d.next = self.status.data.val();
                self.with_data.d.next = self.with_data_next.val();
                if self.status.valid.val() {
                    self.state.d.next = ResponseState::Command;
                }
            }
            ResponseState::Command => {
                self.scatter.valid.next = !self.stop.val();
                if self.scatter.ready.val() | self.stop.val() {
                    if self.with_data.q.val() {
                        self.state.d.next = ResponseState::Data;
                    } else if self.drop.q.val() | self.stop.val() {
                        self.state.d.next = ResponseState::Idle;
                    } else {
                        self.state.d.next = ResponseState::StatusByte;
                    }
                }
            }
            ResponseState::Data => {
                self.writable.valid.next = self.read.valid.val() & !self.stop.val();
                self.read.ready.next = self.taken.val();
                if !self.full_beat.q.val() {
                    self.out_beat.next.count = self.writable_length.q.val().get_bits::<5>(0);
                    self.out_beat.next.last = true;
                }
                if self.read.valid.val() & self.taken.val() {
                    self.writable_length.d.next = self.writable_length.q.val() - 16;
                    self.full_beat.d.next = self.writable_length.q.val() > 32;
                    if !self.full_beat.q.val() {
                        self.state.d.next = ResponseState::Idle;
                    } else if self.writable_length.q.val() == 17 {
                        self.state.d.next = ResponseState::StatusByte;
                    }
                }
            }
            ResponseState::StatusByte => {
                self.writable.valid.next = !self.stop.val();
                self.out_beat.next.count = 1.into();
                self.out_beat.next.last = true;
                if self.taken.val() {
                    self.state.d.next = ResponseState::Idle;
                }
            }
            _ => self.state.d.next = ResponseState::Idle,
        }
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.drop = self.drop.q.val();
        self.out_command.next.more = false;
        self.out_command.next.skip = self.before_status.val();
        self.out_command.next.length = 1.into();
        self.out_command.next.used_length = 1.into();
        if self.with_data.q.val() {
            self.out_command.next.skip = 0.into();
            self.out_command.next.length = self.writable_length.q.val();
            self.out_command.next.used_length = self.writable_length.q.val();
        }
        self.scatter.data.next = self.out_command.val();
        self.writable.data.next = self.out_beat.val();
        self.idle.next = self.state.q.val() == ResponseState::Idle;
    }
}
