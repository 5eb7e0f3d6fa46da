//! What comes back from a wire that leads to a mirror.
use crate::cells::{Reg, Skid};
use crate::comment;
use crate::device::net::types::NetBeat;
use rust_hdl::prelude::*;

/// Sends every frame back with destination and source address exchanged, behind the `net_*` ports of an endpoint: its ports
/// are theirs, in the other direction.
///
/// Nothing is stored but what cuts the paths between both ways: both addresses are in the first beat. A frame that was to be
/// spoilt on the wire comes back marked as damaged, and the endpoint drops it as it would behind a wire.
#[derive(LogicBlock, Default)]
pub struct MacSwap {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Frames from the endpoint.
    pub net_tx_valid: Signal<In, Bit>,
    pub net_tx_ready: Signal<Out, Bit>,
    pub net_tx_data: Signal<In, Bits<128>>,
    pub net_tx_keep: Signal<In, Bits<16>>,
    pub net_tx_last: Signal<In, Bit>,
    pub net_tx_error: Signal<In, Bit>,
    /// The same frames to the endpoint.
    pub net_rx_valid: Signal<Out, Bit>,
    pub net_rx_ready: Signal<In, Bit>,
    pub net_rx_data: Signal<Out, Bits<128>>,
    pub net_rx_keep: Signal<Out, Bits<16>>,
    pub net_rx_last: Signal<Out, Bit>,
    pub net_rx_error: Signal<Out, Bit>,

    /// The next beat is not the first of its frame.
    inside: Reg<Bit>,
    buffer: Skid<NetBeat>,
    source: Signal<Local, Bits<128>>,
    destination: Signal<Local, Bits<128>>,
    rest: Signal<Local, Bits<128>>,
    beat: Signal<Local, NetBeat>,
}

impl Logic for MacSwap {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module mac_swap: sends every frame back with destination and source address exchanged");
        dff_setup!(self, clock, inside);
        clock!(self, clock, buffer);
        self.inside.reset.next = self.reset.val();
        self.buffer.reset.next = self.reset.val();

        // first beat: destination in bits 47:0, source in bits 95:48, behind them what stays
        self.destination.next = bit_cast::<128, 48>(self.net_tx_data.val().get_bits::<48>(0)) << 48;
        self.source.next = bit_cast::<128, 48>(self.net_tx_data.val().get_bits::<48>(48));
        self.rest.next = bit_cast::<128, 32>(self.net_tx_data.val().get_bits::<32>(96)) << 96;
        self.beat.next.data = self.net_tx_data.val();
        if !self.inside.q.val() {
            self.beat.next.data = self.source.val() | self.destination.val() | self.rest.val();
        }
        self.beat.next.keep = self.net_tx_keep.val();
        self.beat.next.last = self.net_tx_last.val();
        self.beat.next.error = self.net_tx_error.val();
        self.buffer.input.data.next = self.beat.val();
        self.buffer.input.valid.next = self.net_tx_valid.val();
        self.net_tx_ready.next = self.buffer.input.ready.val();
        if self.net_tx_valid.val() & self.buffer.input.ready.val() {
            self.inside.d.next = !self.net_tx_last.val();
        }

        self.net_rx_data.next = self.buffer.output.data.val().data;
        self.net_rx_keep.next = self.buffer.output.data.val().keep;
        self.net_rx_last.next = self.buffer.output.data.val().last;
        self.net_rx_error.next = self.buffer.output.data.val().error;
        self.net_rx_valid.next = self.buffer.output.valid.val();
        self.buffer.output.ready.next = self.net_rx_ready.val();
    }
}
