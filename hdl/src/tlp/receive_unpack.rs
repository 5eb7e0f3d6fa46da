//! Takes received packets apart: requests one way, completions another.
use super::format;
use super::header_decode::{HeaderDecode, PacketKind};
use super::types::{CompletionBeat, ReceivedBeat, Request};
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, Stage, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Turns the received stream into [`Request`]s and [`CompletionBeat`]s.
///
/// ```text
///            +-> first beat: HeaderDecode -> held header --> FIFO --> request
/// rx beats --+                                    |
///            +-> lanes 2:0 with the last beat's lane 3 --> register --> completion
/// ```
/// A completion's payload starts in lane 3, behind its three header double words, and is moved to lane 0: a beat
/// leaves when the next one comes in, the remainder while the next packet's header comes in, so back-to-back
/// completions flow at one beat per cycle.
///
/// A request leaves when its packet has ended as its header said; a malformed one is counted and dropped. A
/// completion is passed on as it comes: if the packet then turns out to be malformed it is counted, and the last
/// beat that leaves has `poisoned` set, so that its tag ends with an error instead of waiting for the timeout.
#[derive(Block)]
pub struct ReceiveUnpack {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Packets from the link.
    pub rx: Sink<ReceivedBeat>,
    /// Requests, in the order they came.
    pub request: Source<Request>,
    /// Completions, in the order they came.
    pub completion: Source<CompletionBeat>,
    /// One cycle for each malformed packet.
    pub malformed: Signal<Out, Bit>,
    /// One cycle for each message, which is dropped.
    pub message: Signal<Out, Bit>,
    /// One cycle: that was PME_Turn_Off.
    pub turn_off: Signal<Out, Bit>,
    /// One cycle: a completion with unsupported request.
    pub received_master_abort: Signal<Out, Bit>,
    /// One cycle: a completion with completer abort.
    pub received_target_abort: Signal<Out, Bit>,
    /// One cycle: a poisoned completion.
    pub poisoned_completion: Signal<Out, Bit>,
    /// Something is on its way through the block.
    pub busy: Signal<Out, Bit>,

    decode: HeaderDecode,
    request_fifo: StreamFifo<Request, 3>,
    /// The FIFO's memory is read asynchronously.
    request_stage: Stage<Request>,
    completion_stage: Stage<CompletionBeat>,

    in_packet: Reg<Bit>,
    second_beat: Reg<Bit>,
    packet: DFF<PacketKind>,
    four_dwords: DFF<Bit>,
    left: DFF<Bits<11>>,
    request_header: DFF<Request>,
    request_low: DFF<Bits<32>>,
    request_high: DFF<Bits<32>>,
    /// A packet has ended, in the beat before or while its request waits; what it was is decided from here.
    ended: Reg<Bit>,
    /// A beat was not as the header said.
    broken: DFF<Bit>,
    completion_header: DFF<CompletionBeat>,
    payload_left: Reg<Bits<11>>,
    lane3: DFF<Bits<32>>,
    flush: Reg<Bit>,
    flush_bad: DFF<Bit>,
    is_first: DFF<Bit>,
    /// A completion's header has come in, for the pulses.
    told: Reg<Bit>,
    malformed_pulse: Reg<Bit>,
    message_pulse: Reg<Bit>,
    turn_off_pulse: Reg<Bit>,
    master_abort_pulse: Reg<Bit>,
    target_abort_pulse: Reg<Bit>,
    poisoned_pulse: Reg<Bit>,

    beat: Signal<Local, Bits<128>>,
    keep: Signal<Local, Bits<4>>,
    last: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    ready: Signal<Local, Bit>,
    left_now: Signal<Local, Bits<11>>,
    ends_here: DFF<Bit>,
    /// Lanes of the last beat.
    end_keep: DFF<Bits<4>>,
    wanted_keep: Signal<Local, Bits<4>>,
    ends_next: Signal<Local, Bit>,
    bad_later: Signal<Local, Bit>,
    first_keep: Signal<Local, Bits<4>>,
    bad_first: Signal<Local, Bit>,
    bad_frame: Signal<Local, Bit>,
    flush_header: Signal<Local, Bit>,
    flush_now: Signal<Local, Bit>,
    flush_poisoned: Signal<Local, Bit>,
    request_pending: Signal<Local, Bit>,
    emit: Signal<Local, Bit>,
    last_payload: Signal<Local, Bit>,
    low_lanes: Signal<Local, Bits<96>>,

    #[given]
    status_unsupported: Constant<Bits<3>>,
    #[given]
    status_aborted: Constant<Bits<3>>,
    #[given]
    turn_off_high: Constant<Bits<4>>,
    #[given]
    turn_off_low: Constant<Bits<4>>,
}

impl Default for ReceiveUnpack {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(ReceiveUnpackGiven {
            status_unsupported: code(format::STATUS_UNSUPPORTED_REQUEST),
            status_aborted: code(format::STATUS_COMPLETER_ABORT),
            turn_off_high: Constant::new(u64::from(format::MESSAGE_PME_TURN_OFF >> 4).into()),
            turn_off_low: Constant::new(u64::from(format::MESSAGE_PME_TURN_OFF & 15).into()),
        })
    }
}

impl Logic for ReceiveUnpack {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_receive_unpack: takes received packets apart into requests and completion beats");
        comment!("both ways out must have room");
        self.request_pending.next =
            self.ended.q.val() & !self.broken.q.val() & (self.packet.q.val() == PacketKind::Request);
        self.ready.next = self.completion_stage.input.ready.val()
            & (!self.request_pending.val() | self.request_fifo.input.ready.val());
        self.rx.ready.next = self.ready.val();
        self.take.next = self.rx.valid.val() & self.ready.val();
        self.beat.next = self.rx.data.val().data;
        self.keep.next = self.rx.data.val().keep;
        self.last.next = self.rx.data.val().last;
        self.decode.beat.next = self.beat.val();

        comment!("does the packet end where its header says? found out one beat before");
        self.wanted_keep.next = bits::<4>(15);
        if self.ends_here.q.val() {
            self.wanted_keep.next = self.end_keep.q.val();
        }
        self.bad_later.next = (self.last.val() ^ self.ends_here.q.val()) | (self.keep.val() != self.wanted_keep.val());
        comment!(
            "the first beat: a header of three or four double words, and at most one of payload; no sum decides this"
        );
        self.first_keep.next = bits::<4>(15);
        if self.decode.three_in_all.val() {
            self.first_keep.next = bits::<4>(7);
        }
        self.bad_first.next =
            (self.last.val() ^ self.decode.in_one_beat.val()) | (self.keep.val() != self.first_keep.val());
        if self.in_packet.q.val() {
            self.left_now.next = self.left.q.val();
            self.ends_next.next = self.left.q.val() <= bits::<11>(8);
            self.bad_frame.next = self.broken.q.val() | self.bad_later.val();
        } else {
            self.left_now.next = self.decode.total.val();
            self.ends_next.next = self.decode.in_two_beats.val();
            self.bad_frame.next = self.bad_first.val();
        }

        comment!("completion beats: the lane kept from the last beat, then this beat's lanes 2 to 0");
        self.low_lanes.next = self.beat.val().get_bits::<96>(0);
        self.last_payload.next = (self.payload_left.q.val() <= bits::<11>(4)) | self.bad_later.val();
        self.emit.next = self.rx.valid.val()
            & self.in_packet.q.val()
            & (self.packet.q.val() == PacketKind::Completion)
            & (self.payload_left.q.val() != bits::<11>(0))
            & !self.broken.q.val()
            & (!self.request_pending.val() | self.request_fifo.input.ready.val());
        comment!(
            "a payload that ends in the header's beat, or a packet that is broken there, leaves in the next cycle"
        );
        self.flush_header.next =
            self.told.q.val() & ((self.payload_left.q.val() <= bits::<11>(1)) | self.broken.q.val());
        self.flush_now.next = self.flush.q.val() | self.flush_header.val();
        self.flush_poisoned.next =
            (self.flush.q.val() & self.flush_bad.q.val()) | (self.flush_header.val() & self.broken.q.val());
        self.completion_stage.input.valid.next = self.flush_now.val() | self.emit.val();
        self.completion_stage.input.data.next.data = bit_cast::<128, 32>(self.lane3.q.val());
        self.completion_stage.input.data.next.last = true;
        self.completion_stage.input.data.next.poisoned =
            self.completion_header.q.val().poisoned | self.flush_poisoned.val();
        if !self.flush_now.val() {
            self.completion_stage.input.data.next.data =
                (bit_cast::<128, 96>(self.low_lanes.val()) << 32) | bit_cast::<128, 32>(self.lane3.q.val());
            self.completion_stage.input.data.next.last = self.last_payload.val();
            self.completion_stage.input.data.next.poisoned =
                self.completion_header.q.val().poisoned | self.bad_later.val();
        }
        self.completion_stage.input.data.next.first = self.is_first.q.val();
        self.completion_stage.input.data.next.tag = self.completion_header.q.val().tag;
        self.completion_stage.input.data.next.requester_id = self.completion_header.q.val().requester_id;
        self.completion_stage.input.data.next.status = self.completion_header.q.val().status;
        self.completion_stage.input.data.next.byte_count = self.completion_header.q.val().byte_count;
        self.completion_stage.input.data.next.lower_address = self.completion_header.q.val().lower_address;
        self.completion_stage.input.data.next.length = self.completion_header.q.val().length;
        self.flush.d.next = self.flush_now.val() & !self.completion_stage.input.ready.val();
        self.flush_bad.d.next = self.flush_poisoned.val();
        if self.flush_header.val() {
            self.payload_left.d.next = bits::<11>(0);
        }

        comment!("requests: the pending one moves on, the next may take its place in the same cycle");
        self.request_fifo.input.valid.next = self.request_pending.val();
        self.request_fifo.input.data.next.kind = self.request_header.q.val().kind;
        self.request_fifo.input.data.next.length = self.request_header.q.val().length;
        self.request_fifo.input.data.next.first_be = self.request_header.q.val().first_be;
        self.request_fifo.input.data.next.last_be = self.request_header.q.val().last_be;
        self.request_fifo.input.data.next.requester_id = self.request_header.q.val().requester_id;
        self.request_fifo.input.data.next.tag = self.request_header.q.val().tag;
        self.request_fifo.input.data.next.attributes = self.request_header.q.val().attributes;
        self.request_fifo.input.data.next.traffic_class = self.request_header.q.val().traffic_class;
        self.request_fifo.input.data.next.address = self.request_header.q.val().address;
        self.request_fifo.input.data.next.poisoned = self.request_header.q.val().poisoned;
        self.request_fifo.input.data.next.data =
            (bit_cast::<64, 32>(self.request_high.q.val()) << 32) | bit_cast::<64, 32>(self.request_low.q.val());
        self.request_fifo.input.data.next.bar_hit = self.request_header.q.val().bar_hit;
        if self.request_fifo.input.ready.val() | !self.request_pending.val() {
            self.ended.d.next = false;
        }
        self.malformed_pulse.d.next =
            self.ended.q.val() & (self.broken.q.val() | (self.packet.q.val() == PacketKind::Malformed));
        self.message_pulse.d.next =
            self.ended.q.val() & !self.broken.q.val() & (self.packet.q.val() == PacketKind::Message);
        comment!("a message's code is where requests have their byte enables");
        self.turn_off_pulse.d.next = self.ended.q.val()
            & !self.broken.q.val()
            & (self.packet.q.val() == PacketKind::Message)
            & (self.request_header.q.val().last_be == self.turn_off_high.val())
            & (self.request_header.q.val().first_be == self.turn_off_low.val());

        self.told.d.next = false;
        self.master_abort_pulse.d.next =
            self.told.q.val() & (self.completion_header.q.val().status == self.status_unsupported.val());
        self.target_abort_pulse.d.next =
            self.told.q.val() & (self.completion_header.q.val().status == self.status_aborted.val());
        self.poisoned_pulse.d.next = self.told.q.val() & self.completion_header.q.val().poisoned;
        if self.take.val() {
            self.in_packet.d.next = !self.last.val();
            self.second_beat.d.next = !self.in_packet.q.val();
            self.left.d.next = self.left_now.val() - bits::<11>(4);
            self.ends_here.d.next = self.ends_next.val();
            self.lane3.d.next = self.beat.val().get_bits::<32>(96);
            self.broken.d.next = self.bad_frame.val();
            self.ended.d.next = self.last.val();
            if !self.in_packet.q.val() {
                self.packet.d.next = self.decode.packet.val();
                self.end_keep.d.next = self.decode.end_keep.val();
                self.four_dwords.d.next = self.decode.four_dwords.val();
                self.request_header.d.next = self.decode.request.val();
                self.request_header.d.next.bar_hit = self.rx.data.val().bar_hit;
                self.request_low.d.next = self.beat.val().get_bits::<32>(96);
                self.request_high.d.next = bits::<32>(0);
                self.completion_header.d.next = self.decode.completion.val();
                self.is_first.d.next = true;
                self.payload_left.d.next = self.decode.payload.val();
                self.told.d.next = self.decode.packet.val() == PacketKind::Completion;
            } else {
                if self.second_beat.q.val() {
                    if self.four_dwords.q.val() {
                        self.request_low.d.next = self.beat.val().get_bits::<32>(0);
                        self.request_high.d.next = self.beat.val().get_bits::<32>(32);
                    } else {
                        self.request_high.d.next = self.beat.val().get_bits::<32>(0);
                    }
                }
                if self.emit.val() {
                    self.is_first.d.next = false;
                    self.payload_left.d.next = self.payload_left.q.val() - bits::<11>(4);
                    if self.last_payload.val() {
                        self.payload_left.d.next = bits::<11>(0);
                    } else if self.payload_left.q.val() == bits::<11>(5) {
                        self.payload_left.d.next = bits::<11>(0);
                        self.flush.d.next = true;
                        self.flush_bad.d.next = false;
                    }
                }
            }
        }

        Source::<Request>::join(&mut self.request_fifo.output, &mut self.request_stage.input);
        Source::<Request>::link(&mut self.request, &mut self.request_stage.output);
        Source::<CompletionBeat>::link(&mut self.completion, &mut self.completion_stage.output);
        self.malformed.next = self.malformed_pulse.q.val();
        self.message.next = self.message_pulse.q.val();
        self.turn_off.next = self.turn_off_pulse.q.val();
        self.received_master_abort.next = self.master_abort_pulse.q.val();
        self.received_target_abort.next = self.target_abort_pulse.q.val();
        self.poisoned_completion.next = self.poisoned_pulse.q.val();
        self.busy.next = self.in_packet.q.val()
            | self.request_pending.val()
            | self.flush_now.val()
            | self.request_fifo.output.valid.val()
            | self.request_stage.output.valid.val()
            | self.completion_stage.output.valid.val();
    }
}
