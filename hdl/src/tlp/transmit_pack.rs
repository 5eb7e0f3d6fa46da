//! Puts packets together for the link.
use super::format;
use super::types::{TlpBeat, TransmitBeat, TransmitKind};
use crate::cells::{Reg, Sink, Skid, Source};
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
#[derive(LogicBlock)]
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

    skid: Skid<TlpBeat>,
    state: Reg<PackState>,
    held: DFF<Bits<96>>,

    four: Signal<Local, Bit>,
    has_data: Signal<Local, Bit>,
    packet_type: Signal<Local, Bits<5>>,
    traffic: Signal<Local, Bits<32>>,
    header_length: Signal<Local, Bits<10>>,
    length: Signal<Local, Bits<11>>,
    length_less_one: Signal<Local, Bits<11>>,
    last_lane: Signal<Local, Bits<2>>,
    last_keep: Signal<Local, Bits<4>>,
    rest_keep: Signal<Local, Bits<4>>,
    address: Signal<Local, Bits<64>>,
    address_high: Signal<Local, Bits<32>>,
    address_low: Signal<Local, Bits<32>>,
    identity: Signal<Local, Bits<32>>,
    tag: Signal<Local, Bits<32>>,
    enables: Signal<Local, Bits<32>>,
    dword0_base: Signal<Local, Bits<32>>,
    dword0_four: Signal<Local, Bits<32>>,
    dword0: Signal<Local, Bits<32>>,
    dword1: Signal<Local, Bits<32>>,
    dword2: Signal<Local, Bits<32>>,
    header: Signal<Local, Bits<128>>,
    third_dword: Signal<Local, Bits<128>>,
    last_dwords: Signal<Local, Bits<128>>,
    payload: Signal<Local, Bits<128>>,
    out_data: Signal<Local, Bits<128>>,
    out_keep: Signal<Local, Bits<4>>,
    out_last: Signal<Local, Bit>,
    consume: Signal<Local, Bit>,
    next_state: Signal<Local, PackState>,

    memory: Constant<Bits<5>>,
    cpl: Constant<Bits<5>>,
    message_local: Constant<Bits<5>>,
}

impl Default for TransmitPack {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self {
            clock: Default::default(),
            reset: Default::default(),
            transmit: Default::default(),
            tx: Default::default(),
            function_id: Default::default(),
            skid: Default::default(),
            state: Reg::new(PackState::Header),
            held: Default::default(),
            four: Default::default(),
            has_data: Default::default(),
            packet_type: Default::default(),
            traffic: Default::default(),
            header_length: Default::default(),
            length: Default::default(),
            length_less_one: Default::default(),
            last_lane: Default::default(),
            last_keep: Default::default(),
            rest_keep: Default::default(),
            address: Default::default(),
            address_high: Default::default(),
            address_low: Default::default(),
            identity: Default::default(),
            tag: Default::default(),
            enables: Default::default(),
            dword0_base: Default::default(),
            dword0_four: Default::default(),
            dword0: Default::default(),
            dword1: Default::default(),
            dword2: Default::default(),
            header: Default::default(),
            third_dword: Default::default(),
            last_dwords: Default::default(),
            payload: Default::default(),
            out_data: Default::default(),
            out_keep: Default::default(),
            out_last: Default::default(),
            consume: Default::default(),
            next_state: Default::default(),
            memory: code(format::TYPE_MEMORY),
            cpl: code(format::TYPE_COMPLETION),
            message_local: code(format::TYPE_MESSAGE_LOCAL),
        }
    }
}

impl Logic for TransmitPack {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_transmit_pack: makes headers and puts the payload behind them");
        dff_setup!(self, clock, state, held);
        clock!(self, clock, skid);
        self.state.reset.next = self.reset.val();
        self.skid.reset.next = self.reset.val();

        comment!("the header");
        self.address.next = self.transmit.data.val().address;
        self.address_high.next = self.address.val().get_bits::<32>(32);
        self.address_low.next = bit_cast::<32, 30>(self.address.val().get_bits::<30>(2)) << 2;
        self.length.next = self.transmit.data.val().length;
        self.header_length.next = self.length.val().get_bits::<10>(0);
        self.identity.next = bit_cast::<32, 16>(self.function_id.val()) << 16;
        self.tag.next = bit_cast::<32, 8>(self.transmit.data.val().tag) << 8;
        self.enables.next = (bit_cast::<32, 4>(self.transmit.data.val().last_be) << 4)
            | bit_cast::<32, 4>(self.transmit.data.val().first_be);
        self.packet_type.next = self.memory.val();
        self.four.next = self.address_high.val() != bits::<32>(0);
        self.has_data.next = false;
        self.traffic.next = bits::<32>(0);
        self.dword1.next = self.identity.val() | self.tag.val() | self.enables.val();
        self.dword2.next = self.address_low.val();
        match self.transmit.data.val().kind {
            TransmitKind::MemoryRead => {}
            TransmitKind::MemoryWrite => self.has_data.next = true,
            TransmitKind::Message => {
                self.packet_type.next = self.message_local.val();
                self.four.next = true;
                self.header_length.next = bits::<10>(0);
                self.address_high.next = bits::<32>(0);
                self.address_low.next = bits::<32>(0);
                self.dword1.next =
                    self.identity.val() | self.tag.val() | bit_cast::<32, 8>(self.transmit.data.val().message_code);
            }
            _ => {
                self.packet_type.next = self.cpl.val();
                self.four.next = false;
                self.has_data.next = self.transmit.data.val().kind == TransmitKind::CompletionData;
                if self.transmit.data.val().kind == TransmitKind::Completion {
                    self.header_length.next = bits::<10>(0);
                }
                self.traffic.next = (bit_cast::<32, 3>(self.transmit.data.val().traffic_class) << 20)
                    | (bit_cast::<32, 2>(self.transmit.data.val().attributes) << 12);
                self.dword1.next = self.identity.val()
                    | (bit_cast::<32, 3>(self.transmit.data.val().status) << 13)
                    | bit_cast::<32, 12>(self.transmit.data.val().byte_count);
                self.dword2.next = (bit_cast::<32, 16>(self.transmit.data.val().requester_id) << 16)
                    | self.tag.val()
                    | bit_cast::<32, 7>(self.transmit.data.val().lower_address);
            }
        }
        self.dword0_base.next = (bit_cast::<32, 5>(self.packet_type.val()) << 24)
            | self.traffic.val()
            | bit_cast::<32, 10>(self.header_length.val());
        self.dword0_four.next = self.dword0_base.val().replace_bit(29, self.four.val());
        self.dword0.next = self.dword0_four.val().replace_bit(30, self.has_data.val());
        self.header.next = (bit_cast::<128, 32>(self.dword1.val()) << 32) | bit_cast::<128, 32>(self.dword0.val());
        self.payload.next = self.transmit.data.val().data;
        if self.four.val() {
            self.last_dwords.next = bit_cast::<128, 32>(self.address_low.val()) << 96;
            self.third_dword.next = bit_cast::<128, 32>(self.address_high.val()) << 64;
        } else {
            self.last_dwords.next = self.payload.val() << 96;
            self.third_dword.next = bit_cast::<128, 32>(self.dword2.val()) << 64;
        }

        comment!("lanes in use of the packet's last beat of payload, and of what is left of it after a shift");
        self.length_less_one.next = self.length.val() - bits::<11>(1);
        self.last_lane.next = self.length_less_one.val().get_bits::<2>(0);
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
        self.out_data.next = self.payload.val();
        self.out_keep.next = bits::<4>(15);
        self.out_last.next = false;
        match self.state.q.val() {
            PackState::Header => {
                self.out_data.next = self.last_dwords.val() | self.third_dword.val() | self.header.val();
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
                if self.transmit.data.val().last {
                    self.out_keep.next = self.last_keep.val();
                    self.out_last.next = true;
                    self.next_state.next = PackState::Header;
                }
            }
            PackState::Shifted => {
                self.out_data.next = (self.payload.val() << 96) | bit_cast::<128, 96>(self.held.q.val());
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
                self.out_data.next = self.payload.val() >> 32;
                self.out_keep.next = self.rest_keep.val();
                self.out_last.next = true;
                self.next_state.next = PackState::Header;
            }
        }
        self.skid.input.valid.next = self.transmit.valid.val();
        self.skid.input.data.next.data = self.out_data.val();
        self.skid.input.data.next.keep = self.out_keep.val();
        self.skid.input.data.next.last = self.out_last.val();
        self.transmit.ready.next = self.skid.input.ready.val() & self.consume.val();
        if self.transmit.valid.val() & self.skid.input.ready.val() {
            self.state.d.next = self.next_state.val();
            self.held.d.next = self.payload.val().get_bits::<96>(32);
        }
        Source::<TlpBeat>::link(&mut self.tx, &mut self.skid.output);
    }
}
