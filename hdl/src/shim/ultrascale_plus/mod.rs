//! The shims of the UltraScale+ integrated block for PCI Express, PCIE4 and PCIE4C (PG213).
mod complete;
mod completion;
mod descriptor;
mod function;
mod order;
mod receive_128;
mod receive_256;
mod request;
mod requests;
mod send_128;
mod send_256;

use crate::block::Block;
use crate::cells::{Sink, Source};
use crate::comment;
use crate::pcie::link_side::{FunctionStatusSource, LinkEventsSource, RequesterSource};
use crate::tlp::types::*;
use complete::UltraScalePlusComplete;
use function::{UltraScalePlusConfiguration, UltraScalePlusFunction};
use order::UltraScalePlusOrder;
use receive_128::UltraScalePlusReceive128;
use receive_256::UltraScalePlusReceive256;
use requests::UltraScalePlusRequests;
use rust_hdl::prelude::*;
use send_128::UltraScalePlusSend128;
use send_256::UltraScalePlusSend256;

/// One shim: name, module comment, bits of `tdata`, bits of `tkeep`, the blocks that know the width.
macro_rules! ultrascale_plus {
    ($(#[$doc:meta])* $name:ident, $given:ident, $title:tt, $data:tt, $keep:tt, $receive:ident, $send:ident) => {
        $(#[$doc])*
        ///
        /// ```text
        /// m_axis_cq -> requests -> request
        ///                  | descriptor, for completions with an error
        /// s_axis_cc <- complete <-+- transmit
        /// s_axis_rq <- send <-----+
        ///   seq_num -> order: a completion waits in `complete` for the writes before it
        /// m_axis_rc -> receive -> completion
        /// cfg_* <-> function: what the config space says, INTx, function-level reset
        /// ```
        /// The block must be made with double word aligned streams without straddling, tags given by the user
        /// (five bits), and one function.
        ///
        /// The ports from `request` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
        #[derive(Block)]
        pub struct $name {
            /// `user_clk`.
            pub clock: Signal<In, Clock>,
            /// `user_reset`: synchronous, active high.
            pub reset: Signal<In, Bit>,
            /// What the host asks for.
            pub m_axis_cq_tdata: Signal<In, Bits<$data>>,
            /// Requests of the host: which double words of the beat count.
            pub m_axis_cq_tkeep: Signal<In, Bits<$keep>>,
            /// Requests of the host: last beat of a packet.
            pub m_axis_cq_tlast: Signal<In, Bit>,
            /// Requests of the host: there is a beat.
            pub m_axis_cq_tvalid: Signal<In, Bit>,
            /// Requests of the host: the beat is taken.
            pub m_axis_cq_tready: Signal<Out, Bit>,
            /// Requests of the host: byte enables, where the packet begins, discontinue.
            pub m_axis_cq_tuser: Signal<In, Bits<88>>,
            /// Non-posted requests are always welcome.
            pub pcie_cq_np_req: Signal<Out, Bits<2>>,
            /// The endpoint's completions.
            pub s_axis_cc_tdata: Signal<Out, Bits<$data>>,
            /// Completions of the endpoint: which double words of the beat count.
            pub s_axis_cc_tkeep: Signal<Out, Bits<$keep>>,
            /// Completions of the endpoint: last beat of a packet.
            pub s_axis_cc_tlast: Signal<Out, Bit>,
            /// Completions of the endpoint: there is a beat.
            pub s_axis_cc_tvalid: Signal<Out, Bit>,
            /// All bits are the same.
            pub s_axis_cc_tready: Signal<In, Bits<4>>,
            /// Discontinue, parity: none.
            pub s_axis_cc_tuser: Signal<Out, Bits<33>>,
            /// The endpoint's reads and writes.
            pub s_axis_rq_tdata: Signal<Out, Bits<$data>>,
            /// Requests of the endpoint: which double words of the beat count.
            pub s_axis_rq_tkeep: Signal<Out, Bits<$keep>>,
            /// Requests of the endpoint: last beat of a packet.
            pub s_axis_rq_tlast: Signal<Out, Bit>,
            /// Requests of the endpoint: there is a beat.
            pub s_axis_rq_tvalid: Signal<Out, Bit>,
            /// All bits are the same.
            pub s_axis_rq_tready: Signal<In, Bits<4>>,
            /// Requests of the endpoint: byte enables and sequence number.
            pub s_axis_rq_tuser: Signal<Out, Bits<62>>,
            /// Sequence number of a write that has left.
            pub pcie_rq_seq_num0: Signal<In, Bits<6>>,
            /// One cycle: there is such a number.
            pub pcie_rq_seq_num_vld0: Signal<In, Bit>,
            /// A second one in the same cycle.
            pub pcie_rq_seq_num1: Signal<In, Bits<6>>,
            /// One cycle: there is a second one.
            pub pcie_rq_seq_num_vld1: Signal<In, Bit>,
            /// Completions of the endpoint's reads.
            pub m_axis_rc_tdata: Signal<In, Bits<$data>>,
            /// Completions of the endpoint's reads: which double words of the beat count.
            pub m_axis_rc_tkeep: Signal<In, Bits<$keep>>,
            /// Completions of the endpoint's reads: last beat of a packet.
            pub m_axis_rc_tlast: Signal<In, Bit>,
            /// Completions of the endpoint's reads: there is a beat.
            pub m_axis_rc_tvalid: Signal<In, Bit>,
            /// Completions of the endpoint's reads: the beat is taken.
            pub m_axis_rc_tready: Signal<Out, Bit>,
            /// Completions of the endpoint's reads: byte enables, where packets begin and end, discontinue.
            pub m_axis_rc_tuser: Signal<In, Bits<75>>,
            /// Credits for non-posted headers, as far as the block shows them.
            pub pcie_tfc_nph_av: Signal<In, Bits<4>>,
            /// Configuration ports of the block: `cfg_*`.
            pub cfg: UltraScalePlusConfiguration,

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
            /// A reset is under way.
            pub quiescing: Signal<In, Bit>,

            requests: UltraScalePlusRequests<$data>,
            complete: UltraScalePlusComplete<$data, $keep>,
            receive: $receive,
            send: $send,
            order: UltraScalePlusOrder,
            #[given]
            function: UltraScalePlusFunction,

            is_completion: Signal<Local, Bit>,
            cc_ready: Signal<Local, Bit>,
            rq_ready: Signal<Local, Bit>,
        }

        impl $name {
            /// With payloads of up to 128 << `max_payload` bytes.
            pub fn new(max_payload: u8) -> Self {
                Self::with($given { function: UltraScalePlusFunction::new(max_payload) })
            }
        }

        impl Logic for $name {
            #[hdl_gen]
            fn update(&mut self) {
                comment!($title);

                comment!("---- received packets");
                self.requests.tdata.next = self.m_axis_cq_tdata.val();
                self.requests.tlast.next = self.m_axis_cq_tlast.val();
                self.requests.tuser.next = self.m_axis_cq_tuser.val();
                self.requests.tvalid.next = self.m_axis_cq_tvalid.val();
                self.requests.answered.next = self.complete.answered.val();
                self.m_axis_cq_tready.next = self.requests.tready.val();
                self.pcie_cq_np_req.next = bits::<2>(1);
                Source::<Request>::link(&mut self.request, &mut self.requests.request);
                self.receive.tdata.next = self.m_axis_rc_tdata.val();
                self.receive.tlast.next = self.m_axis_rc_tlast.val();
                self.receive.tuser.next = self.m_axis_rc_tuser.val();
                self.receive.tvalid.next = self.m_axis_rc_tvalid.val();
                self.receive.function_id.next = self.function.requester.function_id.val();
                self.m_axis_rc_tready.next = self.receive.tready.val();
                Source::<CompletionBeat>::link(&mut self.completion, &mut self.receive.completion);

                comment!("---- packets to send");
                self.is_completion.next = (self.transmit.data.val().kind == TransmitKind::Completion)
                    | (self.transmit.data.val().kind == TransmitKind::CompletionData);
                self.complete.completion.data.next = self.transmit.data.val();
                self.complete.completion.valid.next = self.transmit.valid.val() & self.is_completion.val();
                self.send.packet.data.next = self.transmit.data.val();
                self.send.packet.valid.next = self.transmit.valid.val() & !self.is_completion.val();
                self.transmit.ready.next = self.send.packet.ready.val();
                if self.is_completion.val() {
                    self.transmit.ready.next = self.complete.completion.ready.val();
                }
                self.cc_ready.next = self.s_axis_cc_tready.val().get_bit(0);
                self.rq_ready.next = self.s_axis_rq_tready.val().get_bit(0);
                self.complete.request.next = self.requests.descriptor.val();
                self.complete.enables.next = self.requests.enables.val();
                self.complete.ordered.next = self.order.ordered.val();
                self.complete.tready.next = self.cc_ready.val();
                self.s_axis_cc_tdata.next = self.complete.tdata.val();
                self.s_axis_cc_tkeep.next = self.complete.tkeep.val();
                self.s_axis_cc_tlast.next = self.complete.tlast.val();
                self.s_axis_cc_tvalid.next = self.complete.tvalid.val();
                self.s_axis_cc_tuser.next = 0.into();
                self.send.hold.next = self.order.full.val();
                self.send.tready.next = self.rq_ready.val();
                self.s_axis_rq_tdata.next = self.send.tdata.val();
                self.s_axis_rq_tkeep.next = self.send.tkeep.val();
                self.s_axis_rq_tlast.next = self.send.tlast.val();
                self.s_axis_rq_tuser.next = self.send.tuser.val();
                self.s_axis_rq_tvalid.next = self.send.tvalid.val();
                self.order.write.next = self.send.write.val();
                self.order.hold.next = self.complete.taken.val();
                self.order.pcie_rq_seq_num0.next = self.pcie_rq_seq_num0.val();
                self.order.pcie_rq_seq_num_vld0.next = self.pcie_rq_seq_num_vld0.val();
                self.order.pcie_rq_seq_num1.next = self.pcie_rq_seq_num1.val();
                self.order.pcie_rq_seq_num_vld1.next = self.pcie_rq_seq_num_vld1.val();

                comment!("---- function");
                UltraScalePlusConfiguration::link(&mut self.cfg, &mut self.function.cfg);
                self.function.pcie_tfc_nph_av.next = self.pcie_tfc_nph_av.val();
                self.function.read.next = self.send.read.val();
                self.function.intx_level.next = self.intx_level.val();
                self.function.intx_pending.next = self.intx_pending.val();
                self.function.quiescing.next = self.quiescing.val();
                self.nonposted_ready.next = self.function.nonposted_ready.val();
                FunctionStatusSource::link(&mut self.function_status, &mut self.function.function_status);
                RequesterSource::link(&mut self.requester, &mut self.function.requester);
                self.link.reads_forgotten.next = self.function.reads_forgotten.val();
                self.link.busy.next = self.requests.busy.val()
                    | self.complete.busy.val()
                    | self.receive.busy.val()
                    | self.send.tvalid.val()
                    | self.function.busy.val();
                self.link.packet_malformed.next = self.requests.malformed.val() | self.receive.malformed.val();
                self.link.packet_message.next = self.requests.message.val();
                self.link.transmit_stalled.next = self.send.tvalid.val() & !self.rq_ready.val();
            }
        }
    };
}

ultrascale_plus!(
    /// The UltraScale+ block with a 128-bit interface.
    UltraScalePlus128, UltraScalePlus128Given, "module pcie_usp_128: the UltraScale+ integrated block for PCI Express, 128 bits",
    128, 4, UltraScalePlusReceive128, UltraScalePlusSend128
);
ultrascale_plus!(
    /// The UltraScale+ block with a 256-bit interface.
    UltraScalePlus256, UltraScalePlus256Given, "module pcie_usp_256: the UltraScale+ integrated block for PCI Express, 256 bits",
    256, 8, UltraScalePlusReceive256, UltraScalePlusSend256
);
