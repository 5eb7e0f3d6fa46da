//! UltraScale+ completer completions: the endpoint's answers.
use crate::block::Block;
use crate::cells::{Reg, Sink};
use crate::comment;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// Sends completions on `s_axis_cc`, `W` bits and `K` double words wide (PG213, "Completer completion interface", double
/// word aligned).
///
/// ```text
/// descriptor: 6:0 lower address, 28:16 byte count, 42:32 double words, 45:43 status, 63:48 requester ID, 71:64 tag,
///             91:89 traffic class, 94:92 attributes; the block puts in the completer ID
/// success:    | data 0, descriptor | data 1 to 3 |
/// error:      | 0 and byte enables, descriptor | descriptor of the request |       "Completions with error status"
/// ```
/// Takes one completion of up to four double words, as [`crate::pcie::completer::Completer`] makes them, and holds it while
/// `ordered` is low: the stream of requests may not be passed.
#[derive(Block)]
pub struct UltraScalePlusComplete<const W: usize, const K: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Completions, no other packets.
    pub completion: Sink<TransmitBeat>,
    /// Descriptor of the request that is answered; stays until `answered`.
    pub request: Signal<In, Bits<128>>,
    /// Its byte enables, {last, first}.
    pub enables: Signal<In, Bits<8>>,
    /// Every write that was sent before the completion was taken is ahead of it.
    pub ordered: Signal<In, Bit>,
    /// A completion is taken in this cycle.
    pub taken: Signal<Out, Bit>,
    /// One cycle: it has left.
    pub answered: Signal<Out, Bit>,
    /// `s_axis_cc`.
    pub tdata: Signal<Out, Bits<W>>,
    pub tkeep: Signal<Out, Bits<K>>,
    pub tlast: Signal<Out, Bit>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,
    /// Something is inside.
    pub busy: Signal<Out, Bit>,

    full: Reg<Bit>,
    second: Reg<Bit>,
    descriptor: DFF<Bits<96>>,
    data: DFF<Bits<128>>,
    error: DFF<Bit>,
    /// Lanes of the whole packet, and of what does not go with the descriptor.
    lanes: DFF<Bits<8>>,
    lanes_behind: DFF<Bits<4>>,

    count: Signal<Local, Bits<12>>,
    length: Signal<Local, Bits<11>>,
    payload: Signal<Local, Bits<128>>,
    low: Signal<Local, Bits<64>>,
    high: Signal<Local, Bits<32>>,
    held_data: Signal<Local, Bits<128>>,
    word: Signal<Local, Bits<32>>,
    behind: Signal<Local, Bits<128>>,
    whole: Signal<Local, Bits<256>>,
    keep: Signal<Local, Bits<8>>,
    more: Signal<Local, Bit>,
    valid: Signal<Local, Bit>,
}

impl<const W: usize, const K: usize> Logic for UltraScalePlusComplete<W, K> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_complete: completions for the UltraScale+ block");
        comment!("the descriptor");
        self.count.next = self.completion.data.val().byte_count;
        self.length.next = bits::<11>(0);
        if self.completion.data.val().kind == TransmitKind::CompletionData {
            self.length.next = self.completion.data.val().length;
        }
        self.low.next = bit_cast::<64, 7>(self.completion.data.val().lower_address)
            | (bit_cast::<64, 12>(self.count.val()) << 16)
            | (bit_cast::<64, 11>(self.length.val()) << 32)
            | (bit_cast::<64, 3>(self.completion.data.val().status) << 43)
            | (bit_cast::<64, 16>(self.completion.data.val().requester_id) << 48);
        if self.count.val() == bits::<12>(0) {
            self.low.next = self.low.val().replace_bit(28, true);
        }
        self.high.next = bit_cast::<32, 8>(self.completion.data.val().tag)
            | (bit_cast::<32, 3>(self.completion.data.val().traffic_class) << 25)
            | (bit_cast::<32, 2>(self.completion.data.val().attributes) << 28);
        self.payload.next = self.completion.data.val().data;
        self.completion.ready.next = !self.full.q.val();
        self.taken.next = self.completion.valid.val() & !self.full.q.val();
        if self.completion.valid.val() & !self.full.q.val() {
            self.full.d.next = true;
            self.descriptor.d.next = (bit_cast::<96, 32>(self.high.val()) << 64) | bit_cast::<96, 64>(self.low.val());
            self.data.d.next = self.payload.val();
            self.error.d.next = self.completion.data.val().status != bits::<3>(0);
            match self.length.val().get_bits::<3>(0).index() {
                0 => {
                    self.lanes.d.next = bits::<8>(7);
                    self.lanes_behind.d.next = bits::<4>(0);
                }
                1 => {
                    self.lanes.d.next = bits::<8>(15);
                    self.lanes_behind.d.next = bits::<4>(0);
                }
                2 => {
                    self.lanes.d.next = bits::<8>(31);
                    self.lanes_behind.d.next = bits::<4>(1);
                }
                3 => {
                    self.lanes.d.next = bits::<8>(63);
                    self.lanes_behind.d.next = bits::<4>(3);
                }
                _ => {
                    self.lanes.d.next = bits::<8>(127);
                    self.lanes_behind.d.next = bits::<4>(7);
                }
            }
            if self.completion.data.val().status != bits::<3>(0) {
                self.lanes.d.next = bits::<8>(255);
                self.lanes_behind.d.next = bits::<4>(15);
            }
        }

        comment!("the packet, and its second half where the stream has 128 bits");
        self.held_data.next = self.data.q.val();
        self.word.next = self.held_data.val().get_bits::<32>(0);
        self.behind.next = bit_cast::<128, 96>(self.held_data.val().get_bits::<96>(32));
        self.keep.next = self.lanes.q.val();
        if self.error.q.val() {
            self.word.next = bit_cast::<32, 8>(self.enables.val());
            self.behind.next = self.request.val();
        }
        self.whole.next = (bit_cast::<256, 128>(self.behind.val()) << 128)
            | (bit_cast::<256, 32>(self.word.val()) << 96)
            | bit_cast::<256, 96>(self.descriptor.q.val());
        self.more.next = false;
        for _narrow in (W >> 8)..1 {
            self.more.next = !self.second.q.val() & self.lanes_behind.q.val().any();
            if self.second.q.val() {
                self.whole.next = bit_cast::<256, 128>(self.behind.val());
                self.keep.next = bit_cast::<8, 4>(self.lanes_behind.q.val());
            }
        }
        self.tdata.next = self.whole.val().get_bits::<W>(0);
        self.tkeep.next = self.keep.val().get_bits::<K>(0);
        self.tlast.next = !self.more.val();
        self.valid.next = self.full.q.val() & self.ordered.val();
        self.tvalid.next = self.valid.val();
        self.answered.next = false;
        if self.valid.val() & self.tready.val() {
            self.second.d.next = self.more.val();
            self.full.d.next = self.more.val();
            self.answered.next = !self.more.val();
        }
        self.busy.next = self.full.q.val();
    }
}
