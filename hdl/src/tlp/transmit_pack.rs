//! Puts packets together for the link.
use super::header_encode::HeaderEncode;
use super::types::{TlpBeat, TransmitBeat};
use crate::block::Block;
use crate::cells::{Mux4, Reg, Sink, Source, Stage};
use crate::comment;
use rust_hdl::prelude::*;

/// What the packer does with the next beat.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PackState {
    /// Send a header: with the first payload double word where the header has three.
    Header,
    /// Payload behind a four double word header: lanes stay where they are.
    Aligned,
    /// Payload behind a three double word header: lanes move up by three.
    Shifted,
    /// The rest of the shifted payload.
    Rest,
}

/// Turns [`TransmitBeat`]s into packets: makes the header, puts the payload behind it.
///
/// One beat leaves per cycle inside a packet and between packets. A write with a four double word header takes
/// one beat more than its payload, one with a three double word header one beat more where the payload ends in
/// lanes 3 to 1.
#[derive(Block)]
pub struct TransmitPack {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Packets to send.
    pub transmit: Sink<TransmitBeat>,
    /// Packets to the link.
    pub tx: Source<TlpBeat>,
    /// {bus, device, function}: requester ID and completer ID.
    pub function_id: Signal<In, Bits<16>>,

    encode: HeaderEncode,
    stage: Stage<TlpBeat>,
    state: Reg<PackState>,
    held: DFF<Bits<96>>,

    four: Signal<Local, Bit>,
    has_data: Signal<Local, Bit>,
    length: Signal<Local, Bits<11>>,
    last_lane: Signal<Local, Bits<2>>,
    last_keep: Signal<Local, Bits<4>>,
    rest_keep: Signal<Local, Bits<4>>,
    payload: Signal<Local, Bits<128>>,
    header: Signal<Local, Bits<128>>,
    /// Lanes 0 to 2.
    lower: Mux4<Bits<96>>,
    /// Lane 3.
    upper: Signal<Local, Bits<32>>,
    lower_out: Signal<Local, Bits<96>>,
    out_keep: Signal<Local, Bits<4>>,
    out_last: Signal<Local, Bit>,
    consume: Signal<Local, Bit>,
    next_state: Signal<Local, PackState>,
}

impl Logic for TransmitPack {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_transmit_pack: makes headers and puts the payload behind them");
        self.encode.beat.next = self.transmit.data.val();
        self.encode.function_id.next = self.function_id.val();
        self.four.next = self.encode.four_dwords.val();
        self.has_data.next = self.encode.has_data.val();
        self.length.next = self.transmit.data.val().length;
        self.payload.next = self.transmit.data.val().data;
        comment!("lanes in use of the packet's last beat of payload, and of what is left of it after a shift");
        self.last_lane.next = self.length.val().get_bits::<2>(0) - bits::<2>(1);
        self.last_keep.next = bits::<4>(15);
        self.rest_keep.next = bits::<4>(7);
        if self.last_lane.val() == 0 {
            self.last_keep.next = bits::<4>(1);
            self.rest_keep.next = bits::<4>(0);
        } else if self.last_lane.val() == 1 {
            self.last_keep.next = bits::<4>(3);
            self.rest_keep.next = bits::<4>(1);
        } else if self.last_lane.val() == 2 {
            self.last_keep.next = bits::<4>(7);
            self.rest_keep.next = bits::<4>(3);
        }

        comment!("the beat that leaves");
        self.consume.next = true;
        self.next_state.next = self.state.q.val();
        self.header.next = self.encode.header.val();
        self.lower.inputs[0].next = self.header.val().get_bits::<96>(0);
        self.lower.inputs[1].next = self.payload.val().get_bits::<96>(0);
        self.lower.inputs[2].next = self.held.q.val();
        self.lower.inputs[3].next = self.payload.val().get_bits::<96>(32);
        self.lower.select.next = 0.into();
        comment!("of the rest it is not kept");
        self.upper.next = self.payload.val().get_bits::<32>(0);
        self.out_keep.next = bits::<4>(15);
        self.out_last.next = false;
        match self.state.q.val() {
            PackState::Header => {
                if self.four.val() {
                    self.upper.next = self.header.val().get_bits::<32>(96);
                }
                if !self.has_data.val() {
                    self.out_last.next = true;
                    if !self.four.val() {
                        self.out_keep.next = bits::<4>(7);
                    }
                } else if self.four.val() {
                    self.consume.next = false;
                    self.next_state.next = PackState::Aligned;
                } else if !self.transmit.data.val().last {
                    self.next_state.next = PackState::Shifted;
                } else if self.last_lane.val() == 0 {
                    self.out_last.next = true;
                } else {
                    comment!("the beat stays until its other lanes have left");
                    self.consume.next = false;
                    self.next_state.next = PackState::Rest;
                }
            }
            PackState::Aligned => {
                self.lower.select.next = 1.into();
                self.upper.next = self.payload.val().get_bits::<32>(96);
                if self.transmit.data.val().last {
                    self.out_keep.next = self.last_keep.val();
                    self.out_last.next = true;
                    self.next_state.next = PackState::Header;
                }
            }
            PackState::Shifted => {
                self.lower.select.next = 2.into();
                if self.transmit.data.val().last {
                    if self.last_lane.val() == 0 {
                        self.out_last.next = true;
                        self.next_state.next = PackState::Header;
                    } else {
                        self.consume.next = false;
                        self.next_state.next = PackState::Rest;
                    }
                }
            }
            PackState::Rest => {
                self.lower.select.next = 3.into();
                self.out_keep.next = self.rest_keep.val();
                self.out_last.next = true;
                self.next_state.next = PackState::Header;
            }
        }
        self.stage.input.valid.next = self.transmit.valid.val();
        self.lower_out.next = self.lower.chosen.val();
        self.stage.input.data.next.data =
            (bit_cast::<128, 32>(self.upper.val()) << 96) | bit_cast::<128, 96>(self.lower_out.val());
        self.stage.input.data.next.keep = self.out_keep.val();
        self.stage.input.data.next.last = self.out_last.val();
        self.transmit.ready.next = self.stage.input.ready.val() & self.consume.val();
        if self.transmit.valid.val() & self.stage.input.ready.val() {
            self.state.d.next = self.next_state.val();
            self.held.d.next = self.payload.val().get_bits::<96>(32);
        }
        Source::<TlpBeat>::link(&mut self.tx, &mut self.stage.output);
    }
}
