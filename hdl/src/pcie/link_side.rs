//! What a link tells the rest of the endpoint besides packets: of the function, by its config space, and of itself.
use crate::block::Bundle;
use rust_hdl::prelude::*;

/// The link's end of the function's state; [`FunctionStatusSink`] is the core's.
#[derive(Bundle, Default)]
#[mirror(FunctionStatusSink)]
pub struct FunctionStatusSource {
    /// Command: may send memory requests. Says nothing of the power state.
    pub bus_master: Signal<Out, Bit>,
    /// Command: must not assert INTx.
    pub intx_disable: Signal<Out, Bit>,
    /// The function sleeps.
    pub d3hot: Signal<Out, Bit>,
    /// MSI-X in place of INTx.
    pub msix_enable: Signal<Out, Bit>,
    /// All vectors are masked.
    pub msix_function_mask: Signal<Out, Bit>,
    /// One cycle: function-level reset.
    pub function_reset: Signal<Out, Bit>,
}

/// What the function's own requests must keep to: the link's end; [`RequesterSink`] is that of the DMA.
#[derive(Bundle, Default)]
#[mirror(RequesterSink)]
pub struct RequesterSource {
    /// {bus, device, function}.
    pub function_id: Signal<Out, Bits<16>>,
    /// Largest payload to send: 128 << n bytes, never more than is supported.
    pub max_payload: Signal<Out, Bits<3>>,
    /// Largest read to ask for: 128 << n bytes, never more than 4096.
    pub max_read_request: Signal<Out, Bits<3>>,
    /// Tags may have eight bits.
    pub extended_tag: Signal<Out, Bit>,
    /// Device Control 2: reads are never given up.
    pub timeout_disable: Signal<Out, Bit>,
}

/// What happens on the link: its own end; [`LinkEventsSink`] is the core's.
#[derive(Bundle, Default)]
#[mirror(LinkEventsSink)]
pub struct LinkEventsSource {
    /// The link has something to do.
    pub busy: Signal<Out, Bit>,
    /// One cycle: a malformed packet was dropped.
    pub packet_malformed: Signal<Out, Bit>,
    /// One cycle: a message came in.
    pub packet_message: Signal<Out, Bit>,
    /// In every cycle in which a packet waits for the link.
    pub transmit_stalled: Signal<Out, Bit>,
    /// The link has forgotten all reads that have left, as some do in a function-level reset.
    pub reads_forgotten: Signal<Out, Bit>,
}
