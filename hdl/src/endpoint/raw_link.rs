//! The link of an endpoint behind a PCIe core that passes raw packets, config requests included.
use crate::block::Block;
use crate::cells::{Sink, Source};
use crate::comment;
use crate::pcie::bar_decode::BarDecode;
use crate::pcie::config_space::ConfigSpace;
use crate::pcie::function::{BarSpace, FunctionConfig};
use crate::pcie::link_side::{FunctionStatusSource, LinkEventsSource, RequesterSource};
use crate::pcie::register_bus::RegisterSlave;
use crate::tlp::receive_unpack::ReceiveUnpack;
use crate::tlp::transmit_pack::TransmitPack;
use crate::tlp::types::*;
use rust_hdl::prelude::*;

/// Raw packets to requests and completions and back; the function's config space.
///
/// ```text
/// rx -> unpack -> BAR decode -> request        config_bus <-> config space -> function_id, bus_master, ...
///           +-----------------> completion     transmit -> pack -> tx
/// ```
/// The ports from `request` on are those of [`super::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct RawLink {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Packets from the link; see [`TlpBeat`].
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

    pub request: Source<Request>,
    pub completion: Source<CompletionBeat>,
    pub transmit: Sink<TransmitBeat>,
    pub nonposted_ready: Signal<Out, Bit>,
    pub config_bus: RegisterSlave,
    pub config_target: Signal<In, Bits<16>>,
    pub function_status: FunctionStatusSource,
    pub requester: RequesterSource,
    pub link: LinkEventsSource,
    pub error_correctable: Signal<Out, Bit>,
    pub error_nonfatal: Signal<Out, Bit>,
    pub error_fatal: Signal<Out, Bit>,
    pub turn_off: Signal<Out, Bit>,
    pub intx_pending: Signal<In, Bit>,
    pub reads_pending: Signal<In, Bit>,
    pub request_unsupported: Signal<In, Bit>,
    pub posted_unsupported: Signal<In, Bit>,
    pub request_aborted: Signal<In, Bit>,
    pub write_poisoned: Signal<In, Bit>,
    pub completion_timeout: Signal<In, Bit>,
    pub completion_unexpected: Signal<In, Bit>,
    pub diagnostic: Signal<In, Bits<32>>,
    pub frozen: Signal<In, Bit>,

    unpack: ReceiveUnpack,
    #[given]
    bar_decode: BarDecode,
    pack: TransmitPack,
    #[given]
    config_space: ConfigSpace,
}

impl RawLink {
    /// The link of this function.
    pub fn new(function: &FunctionConfig) -> Self {
        let bar0_is_io = function.bar0_space == BarSpace::Io;
        Self::with(RawLinkGiven {
            bar_decode: BarDecode::new(bar0_is_io, function.bar0_size, function.bar1_size()),
            config_space: ConfigSpace::new(function),
        })
    }
}

impl Logic for RawLink {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_raw_link: raw packets to requests and completions and back, and config space");
        comment!("---- packets in");
        self.unpack.rx.data.next.data = self.rx_data.val();
        self.unpack.rx.data.next.keep = self.rx_keep.val();
        self.unpack.rx.data.next.last = self.rx_last.val();
        self.unpack.rx.data.next.bar_hit = 0.into();
        self.unpack.rx.valid.next = self.rx_valid.val();
        self.rx_ready.next = self.unpack.rx.ready.val();
        self.bar_decode.request.next = self.unpack.request.data.val();
        self.bar_decode.io_enable.next = self.config_space.io_enable.val();
        self.bar_decode.memory_enable.next = self.config_space.memory_enable.val();
        self.bar_decode.bar0_base.next = self.config_space.bar0_base.val();
        self.bar_decode.bar1_base.next = self.config_space.bar1_base.val();
        self.request.data.next.kind = self.unpack.request.data.val().kind;
        self.request.data.next.length = self.unpack.request.data.val().length;
        self.request.data.next.first_be = self.unpack.request.data.val().first_be;
        self.request.data.next.last_be = self.unpack.request.data.val().last_be;
        self.request.data.next.requester_id = self.unpack.request.data.val().requester_id;
        self.request.data.next.tag = self.unpack.request.data.val().tag;
        self.request.data.next.attributes = self.unpack.request.data.val().attributes;
        self.request.data.next.traffic_class = self.unpack.request.data.val().traffic_class;
        self.request.data.next.address = self.unpack.request.data.val().address;
        self.request.data.next.bar_hit = self.bar_decode.hit.val();
        self.request.data.next.poisoned = self.unpack.request.data.val().poisoned;
        self.request.data.next.data = self.unpack.request.data.val().data;
        self.request.valid.next = self.unpack.request.valid.val();
        self.unpack.request.ready.next = self.request.ready.val();
        Source::<CompletionBeat>::link(&mut self.completion, &mut self.unpack.completion);

        comment!("---- packets out");
        Sink::<TransmitBeat>::link(&mut self.transmit, &mut self.pack.transmit);
        self.pack.function_id.next = self.config_space.requester.function_id.val();
        self.tx_data.next = self.pack.tx.data.val().data;
        self.tx_keep.next = self.pack.tx.data.val().keep;
        self.tx_last.next = self.pack.tx.data.val().last;
        self.tx_valid.next = self.pack.tx.valid.val();
        self.pack.tx.ready.next = self.tx_ready.val();
        self.nonposted_ready.next = self.tx_nonposted_ready.val();

        comment!("---- config space");
        RegisterSlave::link(&mut self.config_bus, &mut self.config_space.bus);
        self.config_space.target.next = self.config_target.val();
        self.config_space.intx_pending.next = self.intx_pending.val();
        self.config_space.transactions_pending.next = self.reads_pending.val();
        self.config_space.received_master_abort.next = self.unpack.received_master_abort.val();
        self.config_space.received_target_abort.next = self.unpack.received_target_abort.val();
        self.config_space.poisoned_completion.next = self.unpack.poisoned_completion.val();
        self.config_space.signaled_target_abort.next = self.request_aborted.val();
        self.config_space.poisoned_received.next = self.write_poisoned.val() | self.unpack.poisoned_completion.val();
        self.config_space.unsupported_request.next = self.request_unsupported.val();
        self.config_space.unsupported_posted.next = self.posted_unsupported.val();
        self.config_space.malformed_received.next = self.unpack.malformed.val();
        self.config_space.completion_timeout.next = self.completion_timeout.val();
        self.config_space.unexpected_completion.next = self.completion_unexpected.val();
        self.config_space.diagnostic.next = self.diagnostic.val();
        self.config_space.frozen.next = self.frozen.val();
        FunctionStatusSource::link(&mut self.function_status, &mut self.config_space.function_status);
        RequesterSource::link(&mut self.requester, &mut self.config_space.requester);

        comment!("---- events");
        self.link.packet_malformed.next = self.unpack.malformed.val();
        self.link.packet_message.next = self.unpack.message.val();
        self.error_correctable.next = self.config_space.report_correctable.val();
        self.error_nonfatal.next = self.config_space.report_nonfatal.val();
        self.error_fatal.next = self.config_space.report_fatal.val();
        self.turn_off.next = self.unpack.turn_off.val();
        self.link.transmit_stalled.next = self.pack.tx.valid.val() & !self.tx_ready.val();
        self.link.busy.next = self.unpack.busy.val() | self.pack.tx.valid.val();
        self.link.reads_forgotten.next = false;
    }
}
