//! virtio-net behind the endpoint's core.
use super::super::change::ChangeDetector;
use super::types::FrameSizes;
use super::NetDevice;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::config::EndpointConfig;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// The network device with what virtio-net says of itself: features, device config, the ports to the wire. Queue 0 receives,
/// queue 1 transmits.
///
/// The ports from `device_features` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct NetSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Hardware address, its first byte in bits 7:0.
    pub net_mac: Signal<In, Bits<48>>,
    /// The address in use: `net_mac`, or what the driver has written in its place until the next reset. For a filter in the MAC.
    pub net_mac_current: Signal<Out, Bits<48>>,
    /// The Ethernet link is up.
    pub net_link_up: Signal<In, Bit>,
    /// Frames to the wire, without frame check sequence: AXI4-Stream, byte 0 in bits 7:0; `keep` marks bytes.
    pub net_tx_valid: Signal<Out, Bit>,
    pub net_tx_ready: Signal<In, Bit>,
    pub net_tx_data: Signal<Out, Bits<128>>,
    pub net_tx_keep: Signal<Out, Bits<16>>,
    pub net_tx_last: Signal<Out, Bit>,
    /// The frame is to be spoilt on the wire.
    pub net_tx_error: Signal<Out, Bit>,
    /// Frames from the wire, of the same form.
    pub net_rx_valid: Signal<In, Bit>,
    pub net_rx_ready: Signal<Out, Bit>,
    pub net_rx_data: Signal<In, Bits<128>>,
    pub net_rx_keep: Signal<In, Bits<16>>,
    pub net_rx_last: Signal<In, Bit>,
    /// In any beat of a frame: it was damaged.
    pub net_rx_error: Signal<In, Bit>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    pub config_changed: Signal<Out, Bit>,
    pub driver_config: Signal<In, Bits<64>>,
    pub driver_features: Signal<In, Bits<32>>,
    pub driver_ok: Signal<In, Bit>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_pause: Signal<In, Bit>,
    pub device_give_up: Signal<In, Bit>,
    pub device_idle: Signal<Out, Bit>,
    #[given]
    pub chain: Vec<Sink<Chain>>,
    /// Of the transmit queue.
    pub bytes_1: Sink<ByteBeat>,
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    /// Of the receive queue.
    pub data_0: Source<ByteBeat>,
    #[given]
    pub device_violation_valid: Vec<Signal<Out, Bit>>,
    #[given]
    pub device_violation: Vec<Signal<Out, ViolationReport>>,
    #[given]
    pub device_events: Vec<Signal<Out, Bit>>,

    #[given]
    net: NetDevice,
    link_change: ChangeDetector<Bit>,
    // of the frame that the wire gives, some is taken and some is not
    inside_frame: Reg<Bit>,
    takes: Signal<Local, Bit>,

    #[given]
    offered: Constant<Bits<32>>,
    #[given]
    config_constants: Constant<Bits<DEVICE_CONFIG_BITS>>,
    config_bytes: Signal<Local, Bits<DEVICE_CONFIG_BITS>>,
}

impl NetSide {
    /// The device of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        Self::with(NetSideGiven {
            chain: list(2),
            command: list(2),
            device_violation_valid: list(2),
            device_violation: list(2),
            device_events: list(5),
            net: NetDevice::new(FrameSizes::new(config.net_options().max_frame), config.queue_size),
            offered: Constant::new(u64::from(config.host_features()).into()),
            config_constants: Constant::new(config.fixed_config().into()),
        })
    }
}

impl Logic for NetSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_net: the network device, its features and device config, the ports to the wire");
        self.net.clear.next = self.device_reset.val();

        comment!("---- features and device config: mac[6], status, what is constant");
        self.device_features.next = self.offered.val();
        self.config_bytes.next = self.config_constants.val() | bit_cast::<DEVICE_CONFIG_BITS, 48>(self.net_mac.val());
        self.device_config.next = self.config_bytes.val().replace_bit(48, self.net_link_up.val());
        self.net_mac_current.next = self.driver_config.val().get_bits::<48>(0);
        self.link_change.value.next = self.net_link_up.val();
        self.config_changed.next = self.link_change.changed.val();
        self.net.csum.next = self.driver_features.val().get_bit(0);
        self.net.guest_csum.next = self.driver_features.val().get_bit(1);
        self.net.merge.next = self.driver_features.val().get_bit(15);

        comment!("---- device");
        Sink::<Chain>::link(&mut self.chain[0], &mut self.net.rx_chain);
        Source::<ScatterCommand>::link(&mut self.command[0], &mut self.net.rx_scatter);
        Source::<ByteBeat>::link(&mut self.data_0, &mut self.net.rx_writable);
        self.device_violation_valid[0].next = self.net.rx_violation_valid.val();
        self.device_violation[0].next = self.net.rx_violation.val();
        Sink::<Chain>::link(&mut self.chain[1], &mut self.net.tx_chain);
        Sink::<ByteBeat>::link(&mut self.bytes_1, &mut self.net.tx_readable);
        Source::<ScatterCommand>::link(&mut self.command[1], &mut self.net.tx_scatter);
        self.device_violation_valid[1].next = self.net.tx_violation_valid.val();
        self.device_violation[1].next = self.net.tx_violation.val();
        comment!("in a pause the driver may yet give buffers for the frames that are here");
        self.device_idle.next =
            self.net.idle.val() & !(self.device_pause.val() & self.net.frames_wait.val() & !self.device_give_up.val());
        comment!("what comes before the driver is ready is of no use to it");
        self.net.stop.next = self.device_stop.val() | !self.driver_ok.val();
        self.device_events[0].next = self.net.transmit_dropped.val();
        self.device_events[1].next = self.net.receive_runt.val();
        self.device_events[2].next = self.net.receive_oversize.val();
        self.device_events[3].next = self.net.receive_error.val();
        self.device_events[4].next = self.net.receive_no_buffer.val();

        comment!("---- wire");
        self.net_tx_data.next = self.net.frame_out.data.val().data;
        self.net_tx_keep.next = self.net.frame_out.data.val().keep;
        self.net_tx_last.next = self.net.frame_out.data.val().last;
        self.net_tx_error.next = self.net.frame_out.data.val().error;
        self.net_tx_valid.next = self.net.frame_out.valid.val();
        self.net.frame_out.ready.next = self.net_tx_ready.val();
        self.net.frame_in.data.next.data = self.net_rx_data.val();
        self.net.frame_in.data.next.keep = self.net_rx_keep.val();
        self.net.frame_in.data.next.last = self.net_rx_last.val();
        self.net.frame_in.data.next.error = self.net_rx_error.val();
        comment!("in a pause no frame begins");
        self.takes.next = self.inside_frame.q.val() | !self.device_pause.val();
        self.net.frame_in.valid.next = self.net_rx_valid.val() & self.takes.val();
        self.net_rx_ready.next = self.net.frame_in.ready.val() & self.takes.val();
        if self.net_rx_valid.val() & self.net.frame_in.ready.val() & self.takes.val() {
            self.inside_frame.d.next = !self.net_rx_last.val();
        }
    }
}
