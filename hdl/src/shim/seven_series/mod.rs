//! The shims of the 7-series integrated block for PCI Express (PG054).
mod function;
mod receive_128;
mod receive_64;
mod transmit_128;
mod transmit_64;

use super::byte_order::SwapBytes;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::pcie::link_side::{FunctionStatusSource, LinkEventsSource, RequesterSource};
use crate::tlp::types::*;
use crate::tlp::{ReceiveUnpack, TransmitPack};
use function::{SevenSeriesConfiguration, SevenSeriesFunction};
use receive_128::SevenSeriesReceive128;
use receive_64::SevenSeriesReceive64;
use rust_hdl::prelude::*;
use transmit_128::SevenSeriesTransmit128;
use transmit_64::SevenSeriesTransmit64;

/// One shim: name, module comment, bits of `tdata`, bits of `tkeep`, the blocks that know the width.
macro_rules! seven_series {
    ($(#[$doc:meta])* $name:ident, $given:ident, $title:tt, $data:tt, $keep:tt, $receive:ident, $transmit:ident) => {
        $(#[$doc])*
        ///
        /// ```text
        /// m_axis_rx -> receive -> ReceiveUnpack -> byte order -> request
        ///                                     +--> byte order -> completion
        /// s_axis_tx <- transmit <- TransmitPack <- byte order <- transmit
        /// cfg_* <-> function: what the config space says, INTx
        /// ```
        /// On these streams header double words are numbers as the PCIe specification draws them, as everywhere in
        /// [`crate::tlp`], and payload double words have memory byte 0 in bits 31:24: they are turned where
        /// nothing but payload is, which costs no logic.
        ///
        /// Completions must get through while requests wait for the endpoint, and both come on one stream: while a
        /// request waits, `rx_np_ok` asks the block to keep non-posted ones.
        ///
        /// The ports from `request` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
        /// A function-level reset is nothing that the block has.
        #[derive(Block)]
        pub struct $name {
            /// `user_clk`.
            pub clock: Signal<In, Clock>,
            /// `user_reset`: synchronous, active high.
            pub reset: Signal<In, Bit>,
            /// Received packets: double words.
            pub m_axis_rx_tdata: Signal<In, Bits<$data>>,
            /// Received packets: which bytes of the last beat count, in the 64-bit interface.
            pub m_axis_rx_tkeep: Signal<In, Bits<$keep>>,
            /// Received packets: last beat of a packet.
            pub m_axis_rx_tlast: Signal<In, Bit>,
            /// Received packets: there is a beat.
            pub m_axis_rx_tvalid: Signal<In, Bit>,
            /// Received packets: the beat is taken.
            pub m_axis_rx_tready: Signal<Out, Bit>,
            /// Received packets: BAR hits, poisoned, and where packets begin and end in the beat.
            pub m_axis_rx_tuser: Signal<In, Bits<22>>,
            /// Packets to send: double words.
            pub s_axis_tx_tdata: Signal<Out, Bits<$data>>,
            /// Packets to send: which bytes of the beat count.
            pub s_axis_tx_tkeep: Signal<Out, Bits<$keep>>,
            /// Packets to send: last beat of a packet.
            pub s_axis_tx_tlast: Signal<Out, Bit>,
            /// Packets to send: there is a beat.
            pub s_axis_tx_tvalid: Signal<Out, Bit>,
            /// Packets to send: the beat is taken.
            pub s_axis_tx_tready: Signal<In, Bit>,
            /// Discontinue, streaming, poisoned, ECRC: none of these.
            pub s_axis_tx_tuser: Signal<Out, Bits<4>>,
            /// Non-posted requests may come.
            pub rx_np_ok: Signal<Out, Bit>,
            /// Non-posted requests may come, one for each cycle; only where the block is set up for it.
            pub rx_np_req: Signal<Out, Bit>,
            /// Free transmit buffers of the block.
            pub tx_buf_av: Signal<In, Bits<6>>,
            /// One cycle: the block has dropped a packet of ours.
            pub tx_err_drop: Signal<In, Bit>,
            /// The block has a completion of its own to send.
            pub tx_cfg_req: Signal<In, Bit>,
            /// The block's own completions go first.
            pub tx_cfg_gnt: Signal<Out, Bit>,
            /// Configuration ports of the block: `cfg_*`.
            pub cfg: SevenSeriesConfiguration,
            /// Errors to report: the endpoint has answered them itself, which `cfg_err_posted` says by asking for no
            /// completion.
            pub cfg_err_ur: Signal<Out, Bit>,
            /// The errors need no completion.
            pub cfg_err_posted: Signal<Out, Bit>,
            /// One cycle: a read timed out.
            pub cfg_err_cpl_timeout: Signal<Out, Bit>,
            /// One cycle: a completion came in that nobody waits for.
            pub cfg_err_cpl_unexpect: Signal<Out, Bit>,

            /// Requests of the host.
            pub request: Source<Request>,
            /// Completions of the endpoint's reads.
            pub completion: Source<CompletionBeat>,
            /// Packets of the endpoint, in the order in which they are to leave.
            pub transmit: Sink<TransmitBeat>,
            /// A memory read may be sent: the link partner has non-posted credit.
            pub nonposted_ready: Signal<Out, Bit>,
            /// What config space says of the function.
            pub function_status: FunctionStatusSource,
            /// What its requests must keep to.
            pub requester: RequesterSource,
            /// What happens in the shim.
            pub link: LinkEventsSource,
            /// INTx is to be asserted.
            pub intx_level: Signal<In, Bit>,
            /// INTx is wanted: Status bit 3.
            pub intx_pending: Signal<In, Bit>,
            /// Memory reads are outstanding: Device Status bit 5.
            pub reads_pending: Signal<In, Bit>,
            /// One cycle: a request was answered with UR.
            pub request_unsupported: Signal<In, Bit>,
            /// One cycle: a write to nowhere was dropped.
            pub posted_unsupported: Signal<In, Bit>,
            /// One cycle: a read timed out.
            pub completion_timeout: Signal<In, Bit>,
            /// One cycle: a completion came in that nobody waits for.
            pub completion_unexpected: Signal<In, Bit>,

            receive: $receive,
            unpack: ReceiveUnpack,
            request_data: SwapBytes<64>,
            completion_data: SwapBytes<128>,
            transmit_data: SwapBytes<128>,
            pack: TransmitPack,
            send: $transmit,
            #[given]
            function: SevenSeriesFunction,
            np_ok: Reg<Bit>,
        }

        impl $name {
            /// With payloads of up to 128 << `max_payload` bytes.
            pub fn new(max_payload: u8) -> Self {
                Self::with($given {
                    function: SevenSeriesFunction::new(max_payload),
                })
            }
        }

        impl Logic for $name {
            #[hdl_gen]
            fn update(&mut self) {
                comment!($title);

                comment!("---- received packets");
                self.receive.tdata.next = self.m_axis_rx_tdata.val();
                self.receive.tkeep.next = self.m_axis_rx_tkeep.val();
                self.receive.tlast.next = self.m_axis_rx_tlast.val();
                self.receive.tuser.next = self.m_axis_rx_tuser.val();
                self.receive.tvalid.next = self.m_axis_rx_tvalid.val();
                self.m_axis_rx_tready.next = self.receive.tready.val();
                Source::<ReceivedBeat>::join(&mut self.receive.packet, &mut self.unpack.rx);
                self.request.data.next = self.unpack.request.data.val();
                self.request_data.from.next = self.unpack.request.data.val().data;
                self.request.data.next.data = self.request_data.to.val();
                self.request.valid.next = self.unpack.request.valid.val();
                self.unpack.request.ready.next = self.request.ready.val();
                self.completion.data.next = self.unpack.completion.data.val();
                self.completion_data.from.next = self.unpack.completion.data.val().data;
                self.completion.data.next.data = self.completion_data.to.val();
                self.completion.valid.next = self.unpack.completion.valid.val();
                self.unpack.completion.ready.next = self.completion.ready.val();
                self.np_ok.d.next = !self.unpack.request.valid.val();
                self.rx_np_ok.next = self.np_ok.q.val();
                self.rx_np_req.next = true;

                comment!("---- packets to send");
                self.pack.transmit.data.next = self.transmit.data.val();
                self.transmit_data.from.next = self.transmit.data.val().data;
                self.pack.transmit.data.next.data = self.transmit_data.to.val();
                self.pack.transmit.valid.next = self.transmit.valid.val();
                self.transmit.ready.next = self.pack.transmit.ready.val();
                self.pack.function_id.next = self.function.requester.function_id.val();
                Source::<TlpBeat>::join(&mut self.pack.tx, &mut self.send.packet);
                self.s_axis_tx_tdata.next = self.send.tdata.val();
                self.s_axis_tx_tkeep.next = self.send.tkeep.val();
                self.s_axis_tx_tlast.next = self.send.tlast.val();
                self.s_axis_tx_tvalid.next = self.send.tvalid.val();
                self.send.tready.next = self.s_axis_tx_tready.val();
                self.s_axis_tx_tuser.next = 0.into();
                self.tx_cfg_gnt.next = true;

                comment!("---- function");
                SevenSeriesConfiguration::link(&mut self.cfg, &mut self.function.cfg);
                self.function.tx_buf_av.next = self.tx_buf_av.val();
                self.function.intx_level.next = self.intx_level.val();
                self.function.intx_pending.next = self.intx_pending.val();
                self.function.reads_pending.next = self.reads_pending.val();
                self.cfg_err_ur.next = self.request_unsupported.val() | self.posted_unsupported.val();
                self.cfg_err_posted.next = true;
                self.cfg_err_cpl_timeout.next = self.completion_timeout.val();
                self.cfg_err_cpl_unexpect.next = self.completion_unexpected.val();
                self.nonposted_ready.next = self.function.nonposted_ready.val();
                FunctionStatusSource::link(&mut self.function_status, &mut self.function.function_status);
                RequesterSource::link(&mut self.requester, &mut self.function.requester);
                self.link.reads_forgotten.next = false;
                self.link.busy.next = self.receive.busy.val()
                    | self.unpack.busy.val()
                    | self.pack.tx.valid.val()
                    | self.function.busy.val();
                self.link.packet_malformed.next = self.unpack.malformed.val();
                self.link.packet_message.next = self.unpack.message.val();
                self.link.transmit_stalled.next = self.send.tvalid.val() & !self.s_axis_tx_tready.val();
            }
        }
    };
}

seven_series!(
    /// The 7-series block with a 64-bit interface.
    SevenSeries64, SevenSeries64Given, "module pcie_7series_64: the 7-series integrated block for PCI Express, 64 bits",
    64, 8, SevenSeriesReceive64, SevenSeriesTransmit64
);
seven_series!(
    /// The 7-series block with a 128-bit interface.
    SevenSeries128, SevenSeries128Given, "module pcie_7series_128: the 7-series integrated block for PCI Express, 128 bits",
    128, 16, SevenSeriesReceive128, SevenSeriesTransmit128
);
