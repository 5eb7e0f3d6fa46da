//! UltraScale+ completer requests: what the host asks of the endpoint.
use super::descriptor;
use crate::block::Block;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::tlp::types::{Request, RequestKind};
use rust_hdl::prelude::*;

/// Reads the packets of `m_axis_cq`, `W` bits wide (PG213, "Completer request interface", double word aligned).
///
/// ```text
/// descriptor: 1:0 address type, 63:2 address, 74:64 double words, 78:75 request type, 95:80 requester ID, 103:96 tag,
///             114:112 BAR, 123:121 traffic class, 126:124 attributes
/// tuser:      3:0 first byte enables, 7:4 last ones, in the first beat; 41 discontinue, in the last
/// 128 bits: | descriptor | payload 3:0 | payload 7:4 | ...       256 bits: | payload 3:0, descriptor | payload 11:4 | ...
/// ```
/// One request is held, and nothing else taken, until the endpoint is done with it: a non-posted one until its completion has
/// left, as a completion with an error repeats the request's descriptor. Completions of our own reads have a stream
/// to themselves, so this blocks none of them.
///
/// Of a longer payload the first two double words are kept.
#[derive(Block)]
pub struct UltraScalePlusRequests<const W: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// `m_axis_cq`.
    pub tdata: Signal<In, Bits<W>>,
    pub tlast: Signal<In, Bit>,
    pub tuser: Signal<In, Bits<88>>,
    pub tvalid: Signal<In, Bit>,
    pub tready: Signal<Out, Bit>,
    /// Requests.
    pub request: Source<Request>,
    /// Descriptor of the request that is held.
    pub descriptor: Signal<Out, Bits<128>>,
    /// Its byte enables, {last, first}.
    pub enables: Signal<Out, Bits<8>>,
    /// One cycle: the completion of the request that is held has left.
    pub answered: Signal<In, Bit>,
    /// One cycle for each message, which is dropped.
    pub message: Signal<Out, Bit>,
    /// One cycle for each packet the block could not read (discontinue), which is dropped.
    pub malformed: Signal<Out, Bit>,
    /// Something is inside.
    pub busy: Signal<Out, Bit>,

    in_packet: Reg<Bit>,
    second_beat: Reg<Bit>,
    header: DFF<Bits<128>>,
    byte_enables: DFF<Bits<8>>,
    payload: DFF<Bits<64>>,
    /// The request waits for the endpoint.
    waiting: Reg<Bit>,
    /// Its completion has not left.
    unanswered: Reg<Bit>,
    message_pulse: Reg<Bit>,
    malformed_pulse: Reg<Bit>,

    ready: Signal<Local, Bit>,
    descriptor_now: Signal<Local, Bits<128>>,
    kind_now: Signal<Local, Bits<4>>,
    kind: Signal<Local, Bits<4>>,
    held: Signal<Local, Bits<128>>,

    #[given]
    memory_write: Constant<Bits<4>>,
    #[given]
    first_message: Constant<Bits<4>>,
    #[given]
    reserved: Constant<Bits<4>>,
}

impl<const W: usize> Default for UltraScalePlusRequests<W> {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(UltraScalePlusRequestsGiven {
            memory_write: code(descriptor::MEMORY_WRITE),
            first_message: code(descriptor::MESSAGE),
            reserved: code(descriptor::RESERVED),
        })
    }
}

impl<const W: usize> Logic for UltraScalePlusRequests<W> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_requests: completer requests of the UltraScale+ block");
        self.ready.next = !self.waiting.q.val() & !self.unanswered.q.val();
        self.tready.next = self.ready.val();
        if self.request.ready.val() {
            self.waiting.d.next = false;
        }
        if self.answered.val() {
            self.unanswered.d.next = false;
        }
        self.message_pulse.d.next = false;
        self.malformed_pulse.d.next = false;
        self.held.next = self.header.q.val();
        self.descriptor_now.next = self.held.val();
        if !self.in_packet.q.val() {
            self.descriptor_now.next = self.tdata.val().get_bits::<128>(0);
        }
        self.kind_now.next = self.descriptor_now.val().get_bits::<4>(75);
        if self.tvalid.val() & self.ready.val() {
            self.in_packet.d.next = !self.tlast.val();
            self.second_beat.d.next = !self.in_packet.q.val();
            self.header.d.next = self.descriptor_now.val();
            if !self.in_packet.q.val() {
                self.byte_enables.d.next = self.tuser.val().get_bits::<8>(0);
            }
            comment!("the payload follows the descriptor, in the second beat or in the upper half of the first");
            for offset in (W >> 8)..1 {
                if self.second_beat.q.val() {
                    self.payload.d.next = self.tdata.val().get_bits::<64>(offset);
                }
            }
            for offset in 128..(128 + (W >> 8)) {
                if !self.in_packet.q.val() {
                    self.payload.d.next = self.tdata.val().get_bits::<64>(offset);
                }
            }
            if self.tlast.val() {
                if self.tuser.val().get_bit(41) | (self.kind_now.val() == self.reserved.val()) {
                    self.malformed_pulse.d.next = true;
                } else if self.kind_now.val() >= self.first_message.val() {
                    self.message_pulse.d.next = true;
                } else {
                    self.waiting.d.next = true;
                    self.unanswered.d.next = self.kind_now.val() != self.memory_write.val();
                }
            }
        }

        self.kind.next = self.held.val().get_bits::<4>(75);
        self.request.data.next.kind = RequestKind::Unsupported;
        match self.kind.val().index() {
            0 => self.request.data.next.kind = RequestKind::MemoryRead,
            1 => self.request.data.next.kind = RequestKind::MemoryWrite,
            2 => self.request.data.next.kind = RequestKind::IoRead,
            3 => self.request.data.next.kind = RequestKind::IoWrite,
            _ => {}
        }
        self.request.data.next.length = self.held.val().get_bits::<11>(64);
        self.request.data.next.first_be = self.byte_enables.q.val().get_bits::<4>(0);
        self.request.data.next.last_be = self.byte_enables.q.val().get_bits::<4>(4);
        self.request.data.next.requester_id = self.held.val().get_bits::<16>(80);
        self.request.data.next.tag = self.held.val().get_bits::<8>(96);
        self.request.data.next.attributes = self.held.val().get_bits::<2>(124);
        self.request.data.next.traffic_class = self.held.val().get_bits::<3>(121);
        self.request.data.next.address = bit_cast::<64, 62>(self.held.val().get_bits::<62>(2)) << 2;
        comment!("the block has no mark for poisoned requests, and delivers none for BARs that are off");
        self.request.data.next.poisoned = false;
        self.request.data.next.data = self.payload.q.val();
        self.request.data.next.bar_hit = bits::<2>(0);
        match self.held.val().get_bits::<3>(112).index() {
            0 => self.request.data.next.bar_hit = bits::<2>(1),
            1 => self.request.data.next.bar_hit = bits::<2>(2),
            _ => {}
        }
        self.request.valid.next = self.waiting.q.val();
        self.descriptor.next = self.held.val();
        self.enables.next = self.byte_enables.q.val();
        self.message.next = self.message_pulse.q.val();
        self.malformed.next = self.malformed_pulse.q.val();
        self.busy.next = self.in_packet.q.val() | self.waiting.q.val() | self.unanswered.q.val();
    }
}
