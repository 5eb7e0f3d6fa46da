//! Checks the TCP and UDP checksums of frames from the wire.
use super::byte_sum::ByteSum;
use super::types::*;
use crate::block::Block;
use crate::cells::{Reg, StreamFifo};
use crate::comment;
use rust_hdl::prelude::*;

/// Looks at each frame as it goes into the memory, and announces it with the verdict.
///
/// A frame is `valid` if it is an Ethernet II frame without VLAN tag that carries TCP or UDP over IPv4 without options, unfragmented, or
/// over IPv6 without extension headers, if its lengths agree (RFC 791, 768, 8200), and if its checksum is there and right. In all other
/// cases nothing is said of it. Addresses lie directly before TCP or UDP in both, so that one stretch of bytes is summed; length and protocol
/// of the pseudo header are added.
#[derive(Block)]
pub struct ReceiveCheck {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The driver wants to know.
    pub guest_csum: Signal<In, Bit>,
    pub beat_valid: Signal<In, Bit>,
    pub beat: Signal<In, Bits<128>>,
    pub last: Signal<In, Bit>,
    /// The frame stays in the memory; one cycle after the last beat.
    pub keep: Signal<In, Bit>,
    /// Its bytes; one cycle after the last beat.
    pub length: Signal<In, Bits<14>>,
    /// One cycle: a frame that stays.
    pub frame_valid: Signal<Out, Bit>,
    pub frame: Signal<Out, ReceiveFrame>,

    #[given]
    byte_sum: ByteSum,
    pending: StreamFifo<ReceivePending, 4>,
    ended: Reg<Bit>,
    // number of the next beat, up to 4
    number: Reg<Bits<3>>,
    ipv4: DFF<Bit>,
    ipv6: DFF<Bit>,
    fragment: DFF<Bit>,
    protocol: DFF<Bits<8>>,
    // bytes of TCP or UDP, and where they end in the frame
    payload: DFF<Bits<16>>,
    end: DFF<Bits<17>>,
    // the same for the sum; behind every frame until the second beat has come, and no checksum ends there
    #[given]
    sum_end: Reg<Bits<14>>,
    udp_length: DFF<Bits<16>>,
    udp_none: DFF<Bit>,
    out_valid: Reg<Bit>,
    out_data: DFF<ReceiveFrame>,

    #[given]
    length_mask: Constant<Bits<14>>,

    ether_type: Signal<Local, Bits<16>>,
    version: Signal<Local, Bits<8>>,
    raw_length: Signal<Local, Bits<16>>,
    ip_length: Signal<Local, Bits<16>>,
    end_next: Signal<Local, Bits<17>>,
    raw_udp_length: Signal<Local, Bits<16>>,
    fragment_word: Signal<Local, Bits<16>>,
    payload_swapped: Signal<Local, Bits<16>>,
    length_wide: Signal<Local, Bits<17>>,
    payload_large: Signal<Local, Bit>,
    tcp_good: Signal<Local, Bit>,
    udp_good: Signal<Local, Bit>,
    entry: Signal<Local, ReceivePending>,
}

impl ReceiveCheck {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(ReceiveCheckGiven {
            byte_sum: ByteSum::new(sizes),
            sum_end: Reg::new(sizes.length_mask().into()),
            length_mask: Constant::new(sizes.length_mask().into()),
        })
    }
}

impl Logic for ReceiveCheck {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_receive_check: checks the TCP and UDP checksums of received frames");
        comment!("---- fields, as their beats come; all of them big-endian");
        self.ether_type.next = self.beat.val().get_bits::<16>(96);
        self.version.next = self.beat.val().get_bits::<8>(112);
        comment!("bytes 16, 17 in IPv4, with its header of 20 bytes; 18, 19 in IPv6, without its header");
        self.raw_length.next = self.beat.val().get_bits::<16>(0);
        if self.ipv6.q.val() {
            self.raw_length.next = self.beat.val().get_bits::<16>(16);
        }
        self.ip_length.next = (self.raw_length.val() << 8) | (self.raw_length.val() >> 8);
        self.end_next.next = bit_cast::<17, 16>(self.ip_length.val()) + 14;
        if self.ipv6.q.val() {
            self.end_next.next = bit_cast::<17, 16>(self.ip_length.val()) + 54;
        }
        self.fragment_word.next = self.beat.val().get_bits::<16>(32);
        comment!("bytes 38 to 41 in IPv4, 58 to 61 in IPv6");
        self.raw_udp_length.next = self.beat.val().get_bits::<16>(48);
        if self.ipv6.q.val() {
            self.raw_udp_length.next = self.beat.val().get_bits::<16>(80);
        }
        self.ended.d.next = self.beat_valid.val() & self.last.val();
        if self.beat_valid.val() {
            if !self.number.q.val().get_bit(2) {
                self.number.d.next = self.number.q.val() + 1;
            }
            match self.number.q.val().index() {
                0 => {
                    self.ipv4.d.next = (self.ether_type.val() == 0x0008) & (self.version.val() == 0x45);
                    self.ipv6.d.next = (self.ether_type.val() == 0xDD86) & (self.version.val().get_bits::<4>(4) == 6);
                }
                1 => {
                    self.end.d.next = self.end_next.val();
                    self.sum_end.d.next = self.end_next.val().get_bits::<14>(0) & self.length_mask.val();
                    if self.ipv6.q.val() {
                        self.payload.d.next = self.ip_length.val();
                        self.protocol.d.next = self.beat.val().get_bits::<8>(32);
                        self.fragment.d.next = false;
                    } else {
                        self.payload.d.next = self.ip_length.val() - 20;
                        self.protocol.d.next = self.beat.val().get_bits::<8>(56);
                        comment!("more fragments, or not the first");
                        self.fragment.d.next = (self.fragment_word.val() & 0xFF3F).any();
                    }
                }
                2 => {
                    self.udp_length.d.next = (self.raw_udp_length.val() << 8) | (self.raw_udp_length.val() >> 8);
                    self.udp_none.d.next = !self.beat.val().get_bits::<16>(64).any();
                }
                3 => {
                    if self.ipv6.q.val() {
                        self.udp_length.d.next = (self.raw_udp_length.val() << 8) | (self.raw_udp_length.val() >> 8);
                        self.udp_none.d.next = !self.beat.val().get_bits::<16>(96).any();
                    }
                }
                _ => {}
            }
            if self.last.val() {
                self.number.d.next = 0.into();
                self.sum_end.d.next = self.length_mask.val();
            }
        }

        comment!("---- the sum, from the source address on");
        self.byte_sum.beat_valid.next = self.beat_valid.val();
        self.byte_sum.beat.next = self.beat.val();
        self.byte_sum.last.next = self.last.val();
        self.byte_sum.start.next = 26.into();
        if self.ipv6.q.val() {
            self.byte_sum.start.next = 22.into();
        }
        self.byte_sum.end_byte.next = self.sum_end.q.val();
        self.payload_swapped.next = (self.payload.q.val() << 8) | (self.payload.q.val() >> 8);
        self.byte_sum.extra.next =
            bit_cast::<17, 16>(self.payload_swapped.val()) + (bit_cast::<17, 8>(self.protocol.q.val()) << 8);

        comment!(
            "---- what must be true besides \
             the frame reaches to `end`, hence every field above is its own"
        );
        self.length_wide.next = bit_cast::<17, 14>(self.length.val());
        self.tcp_good.next = (self.protocol.q.val() == 6) & (self.payload.q.val() >= 20);
        self.udp_good.next = (self.protocol.q.val() == 17)
            & (self.payload.q.val() >= 8)
            & (self.udp_length.q.val() == self.payload.q.val())
            & !self.udp_none.q.val();
        self.entry.next.keep = self.keep.val();
        self.entry.next.length = self.length.val();
        comment!("more than the frame can hold, and no payload that wrapped round below an IPv4 header's 20 bytes");
        self.payload_large.next = self.payload.q.val().get_bit(15);
        self.entry.next.candidate = (self.ipv6.q.val() | (self.ipv4.q.val() & !self.fragment.q.val()))
            & (self.end.q.val() <= self.length_wide.val())
            & !self.payload_large.val()
            & (self.tcp_good.val() | self.udp_good.val());
        self.pending.input.data.next = self.entry.val();
        self.pending.input.valid.next = self.ended.q.val();
        self.pending.output.ready.next = self.byte_sum.result_valid.val();

        self.out_valid.d.next = self.byte_sum.result_valid.val() & self.pending.output.data.val().keep;
        self.out_data.d.next.length = self.pending.output.data.val().length;
        self.out_data.d.next.valid =
            self.pending.output.data.val().candidate & (self.byte_sum.sum.val() == 0xFFFF) & self.guest_csum.val();
        self.frame_valid.next = self.out_valid.q.val();
        self.frame.next = self.out_data.q.val();
    }
}
