//! The virtio-net endpoint with a raw-TLP interface.
use super::change::ChangeDetector;
use super::core::EndpointCore;
use crate::cells::Source;
use crate::comment;
use crate::config::EndpointConfig;
use crate::device::net::NetDevice;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// A complete virtio-net function: the core with the network device behind its two queues, 0 to receive and 1 to transmit.
#[derive(LogicBlock)]
pub struct NetEndpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Packets from the link; see [`crate::tlp::types::TlpBeat`].
    pub rx_data: Signal<In, Bits<128>>,
    pub rx_keep: Signal<In, Bits<4>>,
    pub rx_last: Signal<In, Bit>,
    pub rx_valid: Signal<In, Bit>,
    pub rx_ready: Signal<Out, Bit>,
    /// Packets to the link.
    pub tx_data: Signal<Out, Bits<128>>,
    pub tx_keep: Signal<Out, Bits<4>>,
    pub tx_last: Signal<Out, Bit>,
    pub tx_valid: Signal<Out, Bit>,
    pub tx_ready: Signal<In, Bit>,
    /// A memory read may be sent: the link partner has non-posted credit.
    pub tx_nonposted_ready: Signal<In, Bit>,
    /// Hardware address, its first byte in bits 7:0.
    pub net_mac: Signal<In, Bits<48>>,
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
    /// The endpoint has something to do. When it has been low for 64 cycles, and no input changes, the clock may stop.
    pub busy: Signal<Out, Bit>,

    core: EndpointCore,
    net: NetDevice,
    link_change: ChangeDetector<Bit>,

    offered: Constant<Bits<32>>,
    config_bytes: Signal<Local, Bits<256>>,
}

impl NetEndpoint {
    /// The endpoint of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            rx_data: Default::default(),
            rx_keep: Default::default(),
            rx_last: Default::default(),
            rx_valid: Default::default(),
            rx_ready: Default::default(),
            tx_data: Default::default(),
            tx_keep: Default::default(),
            tx_last: Default::default(),
            tx_valid: Default::default(),
            tx_ready: Default::default(),
            tx_nonposted_ready: Default::default(),
            net_mac: Default::default(),
            net_link_up: Default::default(),
            net_tx_valid: Default::default(),
            net_tx_ready: Default::default(),
            net_tx_data: Default::default(),
            net_tx_keep: Default::default(),
            net_tx_last: Default::default(),
            net_tx_error: Default::default(),
            net_rx_valid: Default::default(),
            net_rx_ready: Default::default(),
            net_rx_data: Default::default(),
            net_rx_keep: Default::default(),
            net_rx_last: Default::default(),
            net_rx_error: Default::default(),
            busy: Default::default(),
            core: EndpointCore::new(config),
            net: Default::default(),
            link_change: Default::default(),
            offered: Constant::new(u64::from(config.host_features()).into()),
            config_bytes: Default::default(),
        }
    }
}

impl Logic for NetEndpoint {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_net_endpoint: virtio-net PCIe endpoint, raw TLPs");
        clock!(self, clock, core, net, link_change);
        self.core.reset.next = self.reset.val();
        self.net.reset.next = self.core.device_reset.val();
        self.link_change.reset.next = self.reset.val();

        // ------------------------------------------------------------ link
        self.core.rx.data.next.data = self.rx_data.val();
        self.core.rx.data.next.keep = self.rx_keep.val();
        self.core.rx.data.next.last = self.rx_last.val();
        self.core.rx.valid.next = self.rx_valid.val();
        self.rx_ready.next = self.core.rx.ready.val();
        self.tx_data.next = self.core.tx.data.val().data;
        self.tx_keep.next = self.core.tx.data.val().keep;
        self.tx_last.next = self.core.tx.data.val().last;
        self.tx_valid.next = self.core.tx.valid.val();
        self.core.tx.ready.next = self.tx_ready.val();
        self.core.tx_nonposted_ready.next = self.tx_nonposted_ready.val();
        self.busy.next = self.core.busy.val();

        // ------------------------------------------------------------ features and device config: mac[6], status
        self.core.device_features.next = self.offered.val();
        self.config_bytes.next = bit_cast::<256, 48>(self.net_mac.val());
        self.core.device_config.next = self.config_bytes.val().replace_bit(48, self.net_link_up.val());
        self.link_change.value.next = self.net_link_up.val();
        self.core.config_changed.next = self.link_change.changed.val();
        self.net.csum.next = self.core.driver_features.val().get_bit(0);
        self.net.guest_csum.next = self.core.driver_features.val().get_bit(1);
        self.net.merge.next = self.core.driver_features.val().get_bit(15);

        // ------------------------------------------------------------ device
        Source::<Chain>::join(&mut self.core.chain[0], &mut self.net.rx_chain);
        Source::<ByteBeat>::join(&mut self.core.bytes[0], &mut self.net.rx_readable);
        Source::<ScatterCommand>::join(&mut self.net.rx_scatter, &mut self.core.command[0]);
        Source::<ByteBeat>::join(&mut self.net.rx_writable, &mut self.core.data[0]);
        self.core.device_violation_valid[0].next = self.net.rx_violation_valid.val();
        self.core.device_violation[0].next = self.net.rx_violation.val();
        Source::<Chain>::join(&mut self.core.chain[1], &mut self.net.tx_chain);
        Source::<ByteBeat>::join(&mut self.core.bytes[1], &mut self.net.tx_readable);
        Source::<ScatterCommand>::join(&mut self.net.tx_scatter, &mut self.core.command[1]);
        // frames that were sent leave nothing in their chains
        self.core.data[1].valid.next = false;
        self.core.data[1].data.next.data = 0.into();
        self.core.data[1].data.next.count = 0.into();
        self.core.data[1].data.next.last = false;
        self.core.data[1].data.next.error = false;
        self.core.device_violation_valid[1].next = self.net.tx_violation_valid.val();
        self.core.device_violation[1].next = self.net.tx_violation.val();
        self.core.device_idle.next = self.net.idle.val();
        // what comes before the driver is ready is of no use to it
        self.net.stop.next = self.core.device_stop.val() | !self.core.driver_ok.val();
        self.core.device_events[0].next = self.net.transmit_dropped.val();
        self.core.device_events[1].next = self.net.receive_runt.val();
        self.core.device_events[2].next = self.net.receive_oversize.val();
        self.core.device_events[3].next = self.net.receive_error.val();
        self.core.device_events[4].next = self.net.receive_no_buffer.val();

        // ------------------------------------------------------------ wire
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
        self.net.frame_in.valid.next = self.net_rx_valid.val();
        self.net_rx_ready.next = self.net.frame_in.ready.val();
    }
}
