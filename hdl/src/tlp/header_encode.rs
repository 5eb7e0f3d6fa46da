//! Writes a TLP's header.
use super::format;
use super::types::{TransmitBeat, TransmitKind};
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// Combinational encoder of a packet's header (PCI Express Base Specification, 2.2.1 to 2.2.9).
///
/// Memory requests have a header of three double words below 4 GiB and of four above, as the specification wants
/// it; messages have four, completions three.
#[derive(Block)]
pub struct HeaderEncode {
    /// What to send.
    pub beat: Signal<In, TransmitBeat>,
    /// {bus, device, function}: requester ID and completer ID.
    pub function_id: Signal<In, Bits<16>>,
    /// Three or four double words, the first in bits 31:0; the fourth is 0 where there are three.
    pub header: Signal<Out, Bits<128>>,
    /// The header has four double words.
    pub four_dwords: Signal<Out, Bit>,
    /// There is a payload.
    pub has_data: Signal<Out, Bit>,

    is_four: Signal<Local, Bit>,
    with_data: Signal<Local, Bit>,
    packet_type: Signal<Local, Bits<5>>,
    traffic: Signal<Local, Bits<32>>,
    length: Signal<Local, Bits<11>>,
    header_length: Signal<Local, Bits<10>>,
    address: Signal<Local, Bits<64>>,
    address_high: Signal<Local, Bits<32>>,
    address_low: Signal<Local, Bits<32>>,
    identity: Signal<Local, Bits<32>>,
    tag: Signal<Local, Bits<32>>,
    enables: Signal<Local, Bits<32>>,
    message_code: Signal<Local, Bits<8>>,
    code_group: Signal<Local, Bits<2>>,
    base: Signal<Local, Bits<32>>,
    base_four: Signal<Local, Bits<32>>,
    dword0: Signal<Local, Bits<32>>,
    dword1: Signal<Local, Bits<32>>,
    dword2: Signal<Local, Bits<32>>,
    low_half: Signal<Local, Bits<128>>,
    third: Signal<Local, Bits<128>>,
    fourth: Signal<Local, Bits<128>>,

    #[given]
    memory: Constant<Bits<5>>,
    #[given]
    cpl: Constant<Bits<5>>,
    #[given]
    message: Constant<Bits<5>>,
    #[given]
    error_group: Constant<Bits<2>>,
    #[given]
    interrupt_group: Constant<Bits<2>>,
    #[given]
    route_local: Constant<Bits<5>>,
    #[given]
    route_gathered: Constant<Bits<5>>,
}

impl Default for HeaderEncode {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(HeaderEncodeGiven {
            memory: code(format::TYPE_MEMORY),
            cpl: code(format::TYPE_COMPLETION),
            message: code(format::TYPE_MESSAGE | format::ROUTE_ROOT_COMPLEX),
            error_group: Constant::new(u64::from(format::MESSAGE_ERR_COR >> 4).into()),
            interrupt_group: Constant::new(u64::from(format::MESSAGE_ASSERT_INTA >> 4).into()),
            route_local: code(format::ROUTE_LOCAL),
            route_gathered: code(format::ROUTE_GATHERED),
        })
    }
}

impl Logic for HeaderEncode {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_header_encode: the header of a packet to send; combinational");
        self.address.next = self.beat.val().address;
        self.address_high.next = self.address.val().get_bits::<32>(32);
        self.address_low.next = bit_cast::<32, 30>(self.address.val().get_bits::<30>(2)) << 2;
        self.length.next = self.beat.val().length;
        self.header_length.next = self.length.val().get_bits::<10>(0);
        self.identity.next = bit_cast::<32, 16>(self.function_id.val()) << 16;
        self.tag.next = bit_cast::<32, 8>(self.beat.val().tag) << 8;
        self.enables.next =
            (bit_cast::<32, 4>(self.beat.val().last_be) << 4) | bit_cast::<32, 4>(self.beat.val().first_be);
        self.message_code.next = self.beat.val().message_code;
        self.code_group.next = self.message_code.val().get_bits::<2>(4);
        self.packet_type.next = self.memory.val();
        self.is_four.next = self.beat.val().above_4g;
        self.with_data.next = false;
        self.traffic.next = bits::<32>(0);
        self.dword1.next = self.identity.val() | self.tag.val() | self.enables.val();
        self.dword2.next = self.address_low.val();
        match self.beat.val().kind {
            TransmitKind::MemoryRead => {}
            TransmitKind::MemoryWrite => self.with_data.next = true,
            TransmitKind::Message => {
                self.packet_type.next = self.message.val() | self.route_gathered.val();
                if self.code_group.val() == self.error_group.val() {
                    self.packet_type.next = self.message.val();
                } else if self.code_group.val() == self.interrupt_group.val() {
                    self.packet_type.next = self.message.val() | self.route_local.val();
                }
                self.is_four.next = true;
                self.header_length.next = bits::<10>(0);
                self.address_high.next = bits::<32>(0);
                self.address_low.next = bits::<32>(0);
                self.dword1.next =
                    self.identity.val() | self.tag.val() | bit_cast::<32, 8>(self.beat.val().message_code);
            }
            _ => {
                self.packet_type.next = self.cpl.val();
                self.is_four.next = false;
                self.with_data.next = self.beat.val().kind == TransmitKind::CompletionData;
                if self.beat.val().kind == TransmitKind::Completion {
                    self.header_length.next = bits::<10>(0);
                }
                self.traffic.next = (bit_cast::<32, 3>(self.beat.val().traffic_class) << 20)
                    | (bit_cast::<32, 2>(self.beat.val().attributes) << 12);
                self.dword1.next = self.identity.val()
                    | (bit_cast::<32, 3>(self.beat.val().status) << 13)
                    | bit_cast::<32, 12>(self.beat.val().byte_count);
                self.dword2.next = (bit_cast::<32, 16>(self.beat.val().requester_id) << 16)
                    | self.tag.val()
                    | bit_cast::<32, 7>(self.beat.val().lower_address);
            }
        }
        self.base.next = (bit_cast::<32, 5>(self.packet_type.val()) << 24)
            | self.traffic.val()
            | bit_cast::<32, 10>(self.header_length.val());
        self.base_four.next = self.base.val().replace_bit(29, self.is_four.val());
        self.dword0.next = self.base_four.val().replace_bit(30, self.with_data.val());
        self.low_half.next = (bit_cast::<128, 32>(self.dword1.val()) << 32) | bit_cast::<128, 32>(self.dword0.val());
        self.third.next = bit_cast::<128, 32>(self.dword2.val()) << 64;
        self.fourth.next = bits::<128>(0);
        if self.is_four.val() {
            self.third.next = bit_cast::<128, 32>(self.address_high.val()) << 64;
            self.fourth.next = bit_cast::<128, 32>(self.address_low.val()) << 96;
        }
        self.header.next = self.fourth.val() | self.third.val() | self.low_half.val();
        self.four_dwords.next = self.is_four.val();
        self.has_data.next = self.with_data.val();
    }
}
