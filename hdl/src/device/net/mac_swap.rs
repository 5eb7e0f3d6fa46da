//! What comes back from a wire that leads to a mirror.
use super::types::NetBeat;
use crate::block::Block;
use crate::cells::{Reg, Skid};
use crate::comment;
use rust_hdl::prelude::*;

/// Sends every frame back with destination and source address exchanged, behind the `net_*` ports of an endpoint: its ports
/// are theirs, in the other direction.
///
/// Nothing is stored but what cuts the paths between both ways: both addresses are in the first beat. A frame that was to be
/// spoilt on the wire comes back marked as damaged, and the endpoint drops it as it would behind a wire.
///
/// Frames of fewer than 60 bytes are padded with zeroes, as a MAC must (IEEE 802.3, 4.2.3.3): the endpoint does not.
#[derive(Block)]
pub struct MacSwap {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Frames from the endpoint.
    pub net_tx_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub net_tx_ready: Signal<Out, Bit>,
    /// 16 bytes, the first in bits 7:0.
    pub net_tx_data: Signal<In, Bits<128>>,
    /// Which bytes count: all but in the last beat.
    pub net_tx_keep: Signal<In, Bits<16>>,
    /// Last beat of the frame.
    pub net_tx_last: Signal<In, Bit>,
    /// The frame is spoilt.
    pub net_tx_error: Signal<In, Bit>,
    /// The same frames to the endpoint.
    pub net_rx_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub net_rx_ready: Signal<In, Bit>,
    /// 16 bytes, the first in bits 7:0.
    pub net_rx_data: Signal<Out, Bits<128>>,
    /// Which bytes count: all but in the last beat.
    pub net_rx_keep: Signal<Out, Bits<16>>,
    /// Last beat of the frame.
    pub net_rx_last: Signal<Out, Bit>,
    /// The frame is spoilt.
    pub net_rx_error: Signal<Out, Bit>,

    /// Number of the next beat in its frame, 4 for all from the fifth on.
    number: Reg<Bits<3>>,
    /// The frame has ended, its padding has not.
    padding: Reg<Bit>,
    buffer: Skid<NetBeat>,
    source: Signal<Local, Bits<128>>,
    destination: Signal<Local, Bits<128>>,
    rest: Signal<Local, Bits<128>>,
    keep: Signal<Local, Bits<16>>,
    masked: Signal<Local, Bits<128>>,
    lane: Signal<Local, Bits<8>>,
    beat: Signal<Local, NetBeat>,
    fire: Signal<Local, Bit>,
}

impl Logic for MacSwap {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module mac_swap: sends every frame back with destination and source address exchanged");
        comment!("lanes that do not count become the padding");
        self.keep.next = self.net_tx_keep.val();
        self.masked.next = 0.into();
        for i in 0..16 {
            self.lane.next = 0.into();
            if self.keep.val().get_bit(i) & !self.padding.q.val() {
                self.lane.next = self.net_tx_data.val().get_bits::<8>(i * 8);
            }
            self.masked.next = self.masked.val() | (bit_cast::<128, 8>(self.lane.val()) << (i * 8).to_bits::<7>());
        }
        comment!("first beat: destination in bits 47:0, source in bits 95:48, behind them what stays");
        self.destination.next = bit_cast::<128, 48>(self.masked.val().get_bits::<48>(0)) << 48;
        self.source.next = bit_cast::<128, 48>(self.masked.val().get_bits::<48>(48));
        self.rest.next = bit_cast::<128, 32>(self.masked.val().get_bits::<32>(96)) << 96;
        self.beat.next.data = self.masked.val();
        if !self.number.q.val().any() {
            self.beat.next.data = self.source.val() | self.destination.val() | self.rest.val();
        }
        self.beat.next.error = self.net_tx_error.val() & !self.padding.q.val();
        self.buffer.input.valid.next = self.net_tx_valid.val() | self.padding.q.val();
        self.net_tx_ready.next = self.buffer.input.ready.val() & !self.padding.q.val();
        self.fire.next = (self.net_tx_valid.val() | self.padding.q.val()) & self.buffer.input.ready.val();

        comment!("---- three full beats and one of twelve bytes at least");
        self.beat.next.keep = self.keep.val();
        self.beat.next.last = self.net_tx_last.val();
        if self.net_tx_last.val() | self.padding.q.val() {
            if self.number.q.val() < 3 {
                self.beat.next.keep = 0xFFFF.into();
                self.beat.next.last = false;
            } else if self.number.q.val() == 3 {
                self.beat.next.keep = self.keep.val() | 0x0FFF;
                self.beat.next.last = true;
                if self.padding.q.val() {
                    self.beat.next.keep = 0x0FFF.into();
                }
            }
        }
        self.buffer.input.data.next = self.beat.val();
        if self.fire.val() {
            if !self.number.q.val().get_bit(2) {
                self.number.d.next = self.number.q.val() + 1;
            }
            if self.net_tx_last.val() | self.padding.q.val() {
                self.padding.d.next = self.number.q.val() < 3;
                if self.number.q.val() >= 3 {
                    self.number.d.next = 0.into();
                }
            }
        }

        self.net_rx_data.next = self.buffer.output.data.val().data;
        self.net_rx_keep.next = self.buffer.output.data.val().keep;
        self.net_rx_last.next = self.buffer.output.data.val().last;
        self.net_rx_error.next = self.buffer.output.data.val().error;
        self.net_rx_valid.next = self.buffer.output.valid.val();
        self.buffer.output.ready.next = self.net_rx_ready.val();
    }
}
