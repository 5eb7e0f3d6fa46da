//! Reads a TLP's header: what the packet is, how long it must be, and whether the header keeps the rules.
use super::format;
use super::types::{CompletionBeat, Request, RequestKind};
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// What a received packet is.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PacketKind {
    /// A request, to be answered or executed.
    Request,
    /// An answer to one of our reads.
    Completion,
    /// A message, of no use to this endpoint.
    Message,
    /// Against the rules: dropped and counted.
    Malformed,
}

/// Combinational decoder of a packet's first beat (PCI Express Base Specification, 2.2.1 to 2.2.9).
///
/// Checked here is what the header alone tells: known Fmt and Type, one double word for I/O and config, byte
/// enables, no crossing of a 4 KiB boundary. Whether the packet is as long as its header says is for the
/// caller to check against `total`.
#[derive(Block)]
pub struct HeaderDecode {
    /// The first four double words.
    pub beat: Signal<In, Bits<128>>,
    /// What it is.
    pub packet: Signal<Out, PacketKind>,
    /// The header as a request. Its data are those of a three double word header's first beat; `bar_hit` is 0.
    pub request: Signal<Out, Request>,
    /// The header as a completion.
    pub completion: Signal<Out, CompletionBeat>,
    /// The header has four double words.
    pub four_dwords: Signal<Out, Bit>,
    /// Payload double words, 0 to 1024.
    pub payload: Signal<Out, Bits<11>>,
    /// Double words of the whole packet: header, payload, digest.
    pub total: Signal<Out, Bits<11>>,
    /// `total` is at most 4, and it is 3; known before the sum is.
    pub in_one_beat: Signal<Out, Bit>,
    /// `total` is 3.
    pub three_in_all: Signal<Out, Bit>,
    /// `total` is at most 8, and the lanes that its last beat has; both without the sum.
    pub in_two_beats: Signal<Out, Bit>,
    /// Double words that the last of two beats has, a bit for each.
    pub end_keep: Signal<Out, Bits<4>>,

    dword0: Signal<Local, Bits<32>>,
    dword1: Signal<Local, Bits<32>>,
    dword2: Signal<Local, Bits<32>>,
    dword3: Signal<Local, Bits<32>>,
    packet_type: Signal<Local, Bits<5>>,
    prefix: Signal<Local, Bit>,
    has_data: Signal<Local, Bit>,
    four: Signal<Local, Bit>,
    length_field: Signal<Local, Bits<10>>,
    length: Signal<Local, Bits<11>>,
    first_be: Signal<Local, Bits<4>>,
    last_be: Signal<Local, Bits<4>>,
    low_address: Signal<Local, Bits<32>>,
    high_address: Signal<Local, Bits<64>>,
    page_dword: Signal<Local, Bits<10>>,
    page_end: Signal<Local, Bits<12>>,
    one_dword: Signal<Local, Bit>,
    first_reaches_end: Signal<Local, Bit>,
    last_from_start: Signal<Local, Bit>,
    may_have_gaps: Signal<Local, Bit>,
    bad_enables: Signal<Local, Bit>,
    bad_memory: Signal<Local, Bit>,
    bad_register: Signal<Local, Bit>,
    byte_count_field: Signal<Local, Bits<12>>,
    payload_dwords: Signal<Local, Bits<11>>,
    base_dwords: Signal<Local, Bits<11>>,

    #[given]
    memory: Constant<Bits<5>>,
    #[given]
    memory_locked: Constant<Bits<5>>,
    #[given]
    io: Constant<Bits<5>>,
    #[given]
    config_0: Constant<Bits<5>>,
    #[given]
    config_1: Constant<Bits<5>>,
    #[given]
    cpl: Constant<Bits<5>>,
    #[given]
    fetch_add: Constant<Bits<5>>,
    #[given]
    swap: Constant<Bits<5>>,
    #[given]
    compare_swap: Constant<Bits<5>>,
}

impl Default for HeaderDecode {
    fn default() -> Self {
        let code = |code: u32| Constant::new(u64::from(code).into());
        Self::with(HeaderDecodeGiven {
            memory: code(format::TYPE_MEMORY),
            memory_locked: code(format::TYPE_MEMORY_LOCKED),
            io: code(format::TYPE_IO),
            config_0: code(format::TYPE_CONFIG_0),
            config_1: code(format::TYPE_CONFIG_1),
            cpl: code(format::TYPE_COMPLETION),
            fetch_add: code(format::TYPE_FETCH_ADD),
            swap: code(format::TYPE_SWAP),
            compare_swap: code(format::TYPE_COMPARE_SWAP),
        })
    }
}

impl Logic for HeaderDecode {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module tlp_header_decode: what a received packet is, from its first beat; combinational");
        self.dword0.next = self.beat.val().get_bits::<32>(0);
        self.dword1.next = self.beat.val().get_bits::<32>(32);
        self.dword2.next = self.beat.val().get_bits::<32>(64);
        self.dword3.next = self.beat.val().get_bits::<32>(96);
        self.prefix.next = self.dword0.val().get_bit(31);
        self.has_data.next = self.dword0.val().get_bit(30);
        self.four.next = self.dword0.val().get_bit(29);
        self.packet_type.next = self.dword0.val().get_bits::<5>(24);
        self.length_field.next = self.dword0.val().get_bits::<10>(0);
        self.length.next = bit_cast::<11, 10>(self.length_field.val());
        if self.length_field.val() == bits::<10>(0) {
            self.length.next = bits::<11>(1024);
        }
        self.last_be.next = self.dword1.val().get_bits::<4>(4);
        self.first_be.next = self.dword1.val().get_bits::<4>(0);

        comment!("the address is the last header double word, below the upper half when there are four");
        self.low_address.next = self.dword2.val();
        self.high_address.next = bits::<64>(0);
        if self.four.val() {
            self.low_address.next = self.dword3.val();
            self.high_address.next = bit_cast::<64, 32>(self.dword2.val());
        }
        self.page_dword.next = self.low_address.val().get_bits::<10>(2);

        comment!("byte enables (2.2.5): none may be empty, and gaps are for one double word or an aligned pair");
        self.one_dword.next = self.length.val() == bits::<11>(1);
        self.first_reaches_end.next = (self.first_be.val() == bits::<4>(15))
            | (self.first_be.val() == bits::<4>(14))
            | (self.first_be.val() == bits::<4>(12))
            | (self.first_be.val() == bits::<4>(8));
        self.last_from_start.next = (self.last_be.val() == bits::<4>(15))
            | (self.last_be.val() == bits::<4>(7))
            | (self.last_be.val() == bits::<4>(3))
            | (self.last_be.val() == bits::<4>(1));
        self.may_have_gaps.next = (self.length.val() == bits::<11>(2)) & !self.low_address.val().get_bit(2);
        if self.one_dword.val() {
            self.bad_enables.next = self.last_be.val() != bits::<4>(0);
        } else {
            self.bad_enables.next = (self.first_be.val() == bits::<4>(0))
                | (self.last_be.val() == bits::<4>(0))
                | (!self.may_have_gaps.val() & !(self.first_reaches_end.val() & self.last_from_start.val()));
        }
        self.page_end.next = bit_cast::<12, 10>(self.page_dword.val()) + bit_cast::<12, 11>(self.length.val());
        self.bad_memory.next = self.bad_enables.val() | (self.page_end.val() > bits::<12>(1024));
        self.bad_register.next = self.four.val() | !self.one_dword.val() | (self.last_be.val() != bits::<4>(0));

        comment!("what it is");
        self.packet.next = PacketKind::Malformed;
        self.request.next.kind = RequestKind::Unsupported;
        if self.prefix.val() {
            self.packet.next = PacketKind::Malformed;
        } else if self.packet_type.val() == self.memory.val() {
            if !self.bad_memory.val() {
                self.packet.next = PacketKind::Request;
            }
            if self.has_data.val() {
                self.request.next.kind = RequestKind::MemoryWrite;
            } else {
                self.request.next.kind = RequestKind::MemoryRead;
            }
        } else if self.packet_type.val() == self.memory_locked.val() {
            if !self.bad_memory.val() & !self.has_data.val() {
                self.packet.next = PacketKind::Request;
            }
        } else if self.packet_type.val() == self.io.val() {
            if !self.bad_register.val() {
                self.packet.next = PacketKind::Request;
            }
            if self.has_data.val() {
                self.request.next.kind = RequestKind::IoWrite;
            } else {
                self.request.next.kind = RequestKind::IoRead;
            }
        } else if self.packet_type.val() == self.config_0.val() {
            if !self.bad_register.val() {
                self.packet.next = PacketKind::Request;
            }
            if self.has_data.val() {
                self.request.next.kind = RequestKind::ConfigWrite;
            } else {
                self.request.next.kind = RequestKind::ConfigRead;
            }
        } else if self.packet_type.val() == self.config_1.val() {
            if !self.bad_register.val() {
                self.packet.next = PacketKind::Request;
            }
        } else if (self.packet_type.val() == self.fetch_add.val())
            | (self.packet_type.val() == self.swap.val())
            | (self.packet_type.val() == self.compare_swap.val())
        {
            if self.has_data.val() {
                self.packet.next = PacketKind::Request;
            }
        } else if self.packet_type.val() == self.cpl.val() {
            if !self.four.val() {
                self.packet.next = PacketKind::Completion;
            }
        } else if (self.packet_type.val().get_bits::<2>(3) == bits::<2>(2)) & self.four.val() {
            self.packet.next = PacketKind::Message;
        }

        comment!("how long it must be");
        self.payload_dwords.next = bits::<11>(0);
        if self.has_data.val() {
            self.payload_dwords.next = self.length.val();
        }
        self.base_dwords.next = bits::<11>(3);
        if self.four.val() & self.dword0.val().get_bit(15) {
            self.base_dwords.next = bits::<11>(5);
        } else if self.four.val() | self.dword0.val().get_bit(15) {
            self.base_dwords.next = bits::<11>(4);
        }
        self.total.next = self.base_dwords.val() + self.payload_dwords.val();
        self.three_in_all.next = !self.four.val() & !self.dword0.val().get_bit(15) & !self.has_data.val();
        self.in_one_beat.next = (!(self.four.val() & self.dword0.val().get_bit(15)) & !self.has_data.val())
            | (!self.four.val() & !self.dword0.val().get_bit(15) & self.one_dword.val());
        self.in_two_beats.next = !self.has_data.val();
        if (self.length_field.val() != bits::<10>(0)) & !self.length_field.val().get_bits::<7>(3).any() {
            comment!("up to seven double words of payload");
            self.in_two_beats.next =
                !self.has_data.val() | (self.base_dwords.val() + (self.length.val() & bits::<11>(7)) <= bits::<11>(8));
        }
        match (self.base_dwords.val() + (self.payload_dwords.val() & bits::<11>(3))).get_bits::<2>(0).index() {
            0 => self.end_keep.next = bits::<4>(15),
            1 => self.end_keep.next = bits::<4>(1),
            2 => self.end_keep.next = bits::<4>(3),
            _ => self.end_keep.next = bits::<4>(7),
        }
        self.payload.next = self.payload_dwords.val();
        self.four_dwords.next = self.four.val();

        self.request.next.length = self.length.val();
        self.request.next.first_be = self.first_be.val();
        self.request.next.last_be = self.last_be.val();
        self.request.next.requester_id = self.dword1.val().get_bits::<16>(16);
        self.request.next.tag = self.dword1.val().get_bits::<8>(8);
        self.request.next.attributes = self.dword0.val().get_bits::<2>(12);
        self.request.next.traffic_class = self.dword0.val().get_bits::<3>(20);
        self.request.next.address =
            (self.high_address.val() << 32) | (bit_cast::<64, 30>(self.low_address.val().get_bits::<30>(2)) << 2);
        self.request.next.poisoned = self.dword0.val().get_bit(14);
        self.request.next.data = bit_cast::<64, 32>(self.dword3.val());
        self.request.next.bar_hit = bits::<2>(0);

        self.byte_count_field.next = self.dword1.val().get_bits::<12>(0);
        self.completion.next.data = bits::<128>(0);
        self.completion.next.first = true;
        self.completion.next.last = false;
        self.completion.next.tag = self.dword2.val().get_bits::<8>(8);
        self.completion.next.requester_id = self.dword2.val().get_bits::<16>(16);
        self.completion.next.status = self.dword1.val().get_bits::<3>(13);
        self.completion.next.byte_count = bit_cast::<13, 12>(self.byte_count_field.val());
        if self.byte_count_field.val() == bits::<12>(0) {
            self.completion.next.byte_count = bits::<13>(4096);
        }
        self.completion.next.lower_address = self.dword2.val().get_bits::<7>(0);
        self.completion.next.length = self.payload_dwords.val();
        self.completion.next.poisoned = self.dword0.val().get_bit(14);
    }
}
