//! Turns the device side's answers into bytes for the chain's writable buffers.
use super::answer_tag::AnswerTag;
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::layout;
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
///
/// Nothing of the device side is believed but what carries the tag of the command that is to be answered. Commands are numbered one
/// after the other, through resets of the device as well; the number `expected` is that of the oldest command whose request has no
/// response yet:
///
/// ```text
///  tag of an answer      what it is                              what becomes of it
///  below expected        of a request that is over, or forgotten thrown away
///  expected              the answer                              taken, at its time
///  above expected        the answer to expected was left out     waits; the request at hand ends with IOERR
///  not given yet         of no command                           thrown away at once
/// ```
/// Data that end early are made up with zeroes, data that go on too long are cut off; both requests end with IOERR. After
/// `answer_cycles` without what it waits for, the request at hand and all others that the device side has ends with IOERR: they belong to
/// an old `generation`, and their answers come too late.
#[derive(Block)]
pub struct BlkResponse {
    pub clock: Signal<In, Clock>,
    /// Of the endpoint.
    pub reset: Signal<In, Bit>,
    /// Reset of the device, in any cycle: requests are forgotten, their answers will be too old.
    pub clear: Signal<In, Bit>,
    /// A reset is to come: nothing goes out.
    pub stop: Signal<In, Bit>,
    /// Requests in order.
    pub pending: Sink<BlkPending>,
    /// Tag of the next command to be given.
    pub next_tag: Signal<In, Bits<8>>,
    /// Readable bytes of the request at hand are still to come.
    pub reading: Signal<In, Bit>,
    /// A request waits: for the host's data, or for the device side to take a command or data.
    pub waits_for_host: Signal<In, Bit>,
    pub waits_for_device: Signal<In, Bit>,
    /// Status of each command, in order.
    pub status: Sink<BlkStatus>,
    /// Data of read commands that succeeded.
    pub read: Sink<BlkReadBeat>,
    /// What to do with the chain's writable buffers.
    pub scatter: Source<ScatterCommand>,
    /// Bytes for them.
    pub writable: Source<ByteBeat>,
    /// The queue that both are for.
    pub answer_queue: Signal<Out, Bits<2>>,
    /// Changes when all requests that the device side has are given up.
    pub generation: Signal<Out, Bit>,
    /// One cycle: they have been.
    pub timeout: Signal<Out, Bit>,
    /// One cycle: an answer was left out, too short, too long, did not come, or came unasked.
    pub fault: Signal<Out, Bit>,
    /// Between requests.
    pub idle: Signal<Out, Bit>,

    state: Reg<ResponseState>,
    of_queue: DFF<Bits<2>>,
    head: DFF<Bits<16>>,
    drop: DFF<Bit>,
    value: DFF<Bits<8>>,
    commanded: DFF<Bit>,
    reads: DFF<Bit>,
    get_id: DFF<Bit>,
    of_generation: DFF<Bit>,
    with_data: DFF<Bit>,
    /// Writable bytes, of which the last one takes the status; while data are passed on, those that are left.
    writable_length: DFF<Bits<32>>,
    /// Zeroes in place of data.
    filling: DFF<Bit>,
    /// The second beat of a serial number, of whose bytes four count.
    id_rest: DFF<Bit>,

    // the oldest answers on both streams, and whose they are
    status_held: DFF<BlkStatus>,
    status_valid: Reg<Bit>,
    status_tag: AnswerTag,
    read_held: DFF<BlkReadBeat>,
    read_valid: Reg<Bit>,
    read_tag: AnswerTag,
    expected: Reg<Bits<8>>,
    present: Reg<Bit>,
    waited: DFF<Bits<35>>,
    expired: Reg<Bit>,
    at_fault: Reg<Bit>,

    #[given]
    answer_cycles: Constant<Bits<35>>,
    #[given]
    ok: Constant<Bits<8>>,
    #[given]
    io_error: Constant<Bits<8>>,
    #[given]
    unsupported: Constant<Bits<8>>,

    with_data_next: Signal<Local, Bit>,
    /// More than a beat is left, and no more data than a beat. Known two cycles after the length, before any beat: those take longer
    /// to come.
    full_beat: DFF<Bit>,
    final_beat: DFF<Bit>,
    /// The byte of a beat that is the status, and whether there is one.
    status_lane: Signal<Local, Bits<4>>,
    last_lane: DFF<Bits<4>>,
    with_status: Signal<Local, Bit>,
    answer: Signal<Local, Bits<8>>,
    status_byte: Signal<Local, Bits<8>>,
    lane: Signal<Local, Bits<8>>,
    lanes: Signal<Local, Bits<128>>,
    before_status: Signal<Local, Bits<32>>,
    out_command: Signal<Local, ScatterCommand>,
    out_beat: Signal<Local, ByteBeat>,
    failed: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    data_here: Signal<Local, Bit>,
    data_moves: Signal<Local, Bit>,
    data_wrong: Signal<Local, Bit>,
    status_left_out: Signal<Local, Bit>,
    data_left_out: Signal<Local, Bit>,
    status_taken: Signal<Local, Bit>,
    status_ready: Signal<Local, Bit>,
    read_ready: Signal<Local, Bit>,
    status_useless: Signal<Local, Bit>,
    read_useless: Signal<Local, Bit>,
    waits: Signal<Local, Bit>,
    gives_up: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
}

impl BlkResponse {
    /// Gives the device side up when it has made it wait for so many cycles.
    pub fn new(answer_cycles: u64) -> Self {
        use layout::blk;
        Self::with(BlkResponseGiven {
            answer_cycles: Constant::new(answer_cycles.into()),
            ok: Constant::new(u64::from(blk::STATUS_OK).into()),
            io_error: Constant::new(u64::from(blk::STATUS_IOERR).into()),
            unsupported: Constant::new(u64::from(blk::STATUS_UNSUPP).into()),
        })
    }
}

impl Logic for BlkResponse {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module blk_response: data and status byte of virtio-blk");
        self.state.reset.next = self.reset.val() | self.clear.val();
        self.present.reset.next = self.reset.val() | self.clear.val();
        self.expired.reset.next = self.reset.val() | self.clear.val();
        self.at_fault.reset.next = self.reset.val() | self.clear.val();

        comment!("---- what is there");
        self.failed.next = self.of_generation.q.val() != self.present.q.val();
        self.status_useless.next = self.status_tag.old.val() | self.status_tag.early.val();
        self.read_useless.next = self.read_tag.old.val() | self.read_tag.early.val();
        self.data_here.next = self.read_valid.q.val() & self.read_tag.matches.val();
        self.moves.next = (self.state.q.val() == ResponseState::Data)
            & (self.filling.q.val() | self.data_here.val())
            & self.writable.ready.val()
            & !self.stop.val();
        self.data_moves.next = self.moves.val() & !self.filling.q.val();
        self.data_wrong.next = (self.state.q.val() == ResponseState::Data)
            & !self.filling.q.val()
            & (self.read_held.q.val().last != self.final_beat.q.val());
        comment!("what comes later is there already");
        self.status_left_out.next = (self.state.q.val() == ResponseState::Status)
            & self.status_valid.q.val()
            & !self.status_tag.matches.val()
            & !self.status_useless.val();
        self.data_left_out.next = (self.state.q.val() == ResponseState::Data)
            & !self.filling.q.val()
            & self.read_valid.q.val()
            & !self.read_tag.matches.val()
            & !self.read_useless.val();
        self.status_taken.next = (self.state.q.val() == ResponseState::Status)
            & self.status_valid.q.val()
            & self.status_tag.matches.val()
            & !self.failed.val()
            & !self.stop.val();

        comment!("---- the oldest answers, and whose they are");
        self.status_ready.next = !self.status_valid.q.val() | self.status_taken.val() | self.status_useless.val();
        self.status.ready.next = self.status_ready.val();
        self.status_tag.expected.next = self.expected.q.val();
        self.status_tag.next_tag.next = self.next_tag.val();
        self.status_tag.held.next = self.status_held.q.val().tag;
        self.status_tag.behind.next = self.status.data.val().tag;
        self.status_tag.moves.next = self.status_ready.val();
        if self.status_ready.val() {
            self.status_held.d.next = self.status.data.val();
            self.status_valid.d.next = self.status.valid.val();
        }
        self.read_ready.next = !self.read_valid.q.val() | self.data_moves.val() | self.read_useless.val();
        self.read.ready.next = self.read_ready.val();
        self.read_tag.expected.next = self.expected.q.val();
        self.read_tag.next_tag.next = self.next_tag.val();
        self.read_tag.held.next = self.read_held.q.val().tag;
        self.read_tag.behind.next = self.read.data.val().tag;
        self.read_tag.moves.next = self.read_ready.val();
        if self.read_ready.val() {
            self.read_held.d.next = self.read.data.val();
            self.read_valid.d.next = self.read.valid.val();
        }

        comment!("---- patience");
        self.waits.next = ((self.state.q.val() == ResponseState::Status)
            & !self.failed.val()
            & !self.waits_for_host.val()
            & (!self.status_valid.q.val() | self.status_useless.val()))
            | ((self.state.q.val() == ResponseState::Data)
                & !self.filling.q.val()
                & (!self.read_valid.q.val() | self.read_useless.val()))
            | ((self.state.q.val() == ResponseState::Idle) & self.waits_for_device.val())
            | ((self.state.q.val() == ResponseState::Command) & self.reading.val() & self.waits_for_device.val());
        if self.waits.val() {
            self.waited.d.next = self.waited.q.val() + 1;
        }
        self.expired.d.next = self.waits.val() & (self.waited.q.val() == self.answer_cycles.val());
        self.gives_up.next = self.expired.q.val() & self.waits.val() & !self.stop.val();
        comment!("between what it waits for");
        if ((self.state.q.val() != ResponseState::Status)
            & (self.state.q.val() != ResponseState::Data)
            & !self.waits.val())
            | self.moves.val()
            | self.gives_up.val()
        {
            self.waited.d.next = 0.into();
        }
        if self.gives_up.val() {
            self.present.d.next = !self.present.q.val();
        }
        self.generation.next = self.present.q.val();
        self.timeout.next = self.gives_up.val();
        self.at_fault.d.next = (self.gives_up.val()
            | self.data_left_out.val()
            | (self.status_left_out.val() & !self.failed.val())
            | (self.data_wrong.val() & self.data_moves.val())
            | (self.status_valid.q.val() & self.status_tag.early.val() & !self.status_tag.old.val())
            | (self.read_valid.q.val() & self.read_tag.early.val() & !self.read_tag.old.val()))
            & !self.stop.val();
        self.fault.next = self.at_fault.q.val();

        comment!("---- bytes");
        self.with_data_next.next = (self.status_held.q.val().status == self.ok.val()) & self.reads.q.val();
        self.answer.next = self.status_held.q.val().status;
        if (self.answer.val() != self.ok.val()) & (self.answer.val() != self.unsupported.val()) {
            self.answer.next = self.io_error.val();
        }
        comment!("data fill a beat while more than they are left; the last beat of data has room for the status byte, or it comes alone");
        self.before_status.next = self.writable_length.q.val() - 1;
        self.full_beat.d.next = self.writable_length.q.val() > 16;
        self.final_beat.d.next = (self.writable_length.q.val() <= 17) | self.id_rest.q.val();
        self.last_lane.d.next = self.before_status.val().get_bits::<4>(0);
        self.status_lane.next = self.last_lane.q.val();
        self.with_status.next = (self.state.q.val() == ResponseState::StatusByte) | !self.full_beat.q.val();
        if self.state.q.val() == ResponseState::StatusByte {
            self.status_lane.next = 0.into();
        }
        comment!("with data it is 0 so far");
        self.status_byte.next = self.value.q.val();
        if self.data_wrong.val() {
            self.status_byte.next = self.io_error.val();
        }
        self.lanes.next = 0.into();
        for i in 0..4 {
            self.lane.next = self.read_held.q.val().data.get_bits::<8>(i * 8);
            if self.filling.q.val() {
                self.lane.next = 0.into();
            }
            if self.with_status.val() & (self.status_lane.val() == i.to_bits::<4>()) {
                self.lane.next = self.status_byte.val();
            }
            self.lanes.next = self.lanes.val() | (bit_cast::<128, 8>(self.lane.val()) << (i * 8).to_bits::<7>());
        }
        for i in 4..16 {
            self.lane.next = self.read_held.q.val().data.get_bits::<8>(i * 8);
            if self.filling.q.val() | self.id_rest.q.val() {
                self.lane.next = 0.into();
            }
            if self.with_status.val() & (self.status_lane.val() == i.to_bits::<4>()) {
                self.lane.next = self.status_byte.val();
            }
            self.lanes.next = self.lanes.val() | (bit_cast::<128, 8>(self.lane.val()) << (i * 8).to_bits::<7>());
        }
        self.out_beat.next.data = self.lanes.val();
        self.out_beat.next.count = 16.into();
        self.out_beat.next.last = false;
        self.out_beat.next.error = false;

        comment!("---- one request after the other");
        self.pending.ready.next = false;
        self.scatter.valid.next = false;
        self.writable.valid.next = false;
        self.ends.next = false;
        match self.state.q.val() {
            ResponseState::Idle => {
                self.of_queue.d.next = self.pending.data.val().queue;
                self.head.d.next = self.pending.data.val().head;
                self.drop.d.next = self.pending.data.val().drop;
                self.value.d.next = bit_cast::<8, 2>(self.pending.data.val().status);
                self.commanded.d.next = self.pending.data.val().commanded;
                self.reads.d.next = self.pending.data.val().reads;
                self.get_id.d.next = self.pending.data.val().get_id;
                self.of_generation.d.next = self.pending.data.val().generation;
                self.writable_length.d.next = self.pending.data.val().writable_length;
                self.with_data.d.next = false;
                self.filling.d.next = false;
                self.id_rest.d.next = false;
                self.pending.ready.next = !self.stop.val();
                if self.pending.valid.val() & !self.stop.val() {
                    self.state.d.next = ResponseState::Command;
                    if self.pending.data.val().commanded {
                        self.state.d.next = ResponseState::Status;
                    }
                }
            }
            ResponseState::Status => {
                self.value.d.next = self.io_error.val();
                if self.failed.val() | self.status_left_out.val() {
                    self.state.d.next = ResponseState::Command;
                } else if self.status_taken.val() {
                    self.value.d.next = self.answer.val();
                    self.with_data.d.next = self.with_data_next.val();
                    self.state.d.next = ResponseState::Command;
                }
            }
            ResponseState::Command => {
                self.scatter.valid.next = !self.reading.val() & !self.stop.val();
                if self.gives_up.val() {
                    comment!("answered, but never took the data");
                    self.value.d.next = self.io_error.val();
                } else if self.scatter.ready.val() & !self.reading.val() & !self.stop.val() {
                    if self.with_data.q.val() {
                        self.state.d.next = ResponseState::Data;
                    } else if self.drop.q.val() {
                        self.ends.next = true;
                    } else {
                        self.state.d.next = ResponseState::StatusByte;
                    }
                }
            }
            ResponseState::Data => {
                self.writable.valid.next = (self.filling.q.val() | self.data_here.val()) & !self.stop.val();
                if !self.full_beat.q.val() {
                    self.out_beat.next.count = self.writable_length.q.val().get_bits::<5>(0);
                    self.out_beat.next.last = true;
                }
                if self.moves.val() {
                    self.writable_length.d.next = self.writable_length.q.val() - 16;
                    self.full_beat.d.next = self.writable_length.q.val() > 32;
                    self.final_beat.d.next = (self.writable_length.q.val() <= 33) | self.get_id.q.val();
                    self.id_rest.d.next = self.get_id.q.val();
                    if !self.full_beat.q.val() {
                        self.ends.next = true;
                    } else if self.writable_length.q.val() == 17 {
                        self.state.d.next = ResponseState::StatusByte;
                    }
                }
                if self.data_moves.val() {
                    self.filling.d.next = self.read_held.q.val().last | self.final_beat.q.val();
                    if self.data_wrong.val() {
                        self.value.d.next = self.io_error.val();
                    }
                } else if self.data_left_out.val() | self.gives_up.val() {
                    self.filling.d.next = true;
                    self.value.d.next = self.io_error.val();
                }
            }
            ResponseState::StatusByte => {
                self.writable.valid.next = !self.stop.val();
                self.out_beat.next.count = 1.into();
                self.out_beat.next.last = true;
                if self.writable.ready.val() & !self.stop.val() {
                    self.ends.next = true;
                }
            }
            _ => self.state.d.next = ResponseState::Idle,
        }
        if self.ends.val() {
            self.state.d.next = ResponseState::Idle;
            if self.commanded.q.val() {
                self.expected.d.next = self.expected.q.val() + 1;
            }
        }
        if self.clear.val() {
            self.expected.d.next = self.next_tag.val();
        }
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.drop = self.drop.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
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
        self.answer_queue.next = self.of_queue.q.val();
        self.idle.next = self.state.q.val() == ResponseState::Idle;
    }
}
