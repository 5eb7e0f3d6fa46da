//! One register in a stream, at half the rate.
use super::{Sink, Source};
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: stream_half_stage
// parameter WIDTH = 8: Bits of a beat.
// ports input_data output_data [WIDTH-1:0]
// One register in a stream, filled and emptied by turns: no path leads through it.
assign input_ready = !output_valid;
always @(posedge clock) begin
    if (!output_valid)
        output_data <= input_data;
    if (reset)
        output_valid <= 1'b0;
    else if (output_valid)
        output_valid <= !output_ready;
    else
        output_valid <= input_valid;
end
"#;

/// A stream register that is filled and emptied by turns: one beat in two cycles, one cycle of latency.
///
/// `data`, `valid` and `input.ready` come from registers: no path leads through it. For requests, which nobody takes in every
/// cycle, it does what a FIFO of two entries does, without a RAM.
#[derive(Block)]
pub struct HalfStage<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: empties the stage.
    pub reset: Signal<In, Bit>,
    /// Beats in; `ready` while the register is empty.
    #[given]
    pub input: Sink<T>,
    /// The same beats, at least one cycle later.
    pub output: Source<T>,
}

impl<T: Synth> Default for HalfStage<T> {
    fn default() -> Self {
        Self::with(HalfStageGiven {
            input: Sink {
                data: Default::default(),
                valid: Default::default(),
                ready: Signal::<Out, Bit>::new_with_default(true),
            },
        })
    }
}

impl<T: Synth> Logic for HalfStage<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            if self.output.valid.val() {
                self.output.valid.next = !self.output.ready.val();
            } else {
                self.output.data.next = self.input.data.val();
                self.output.valid.next = self.input.valid.val();
            }
            if self.reset.val() {
                self.output.valid.next = false;
            }
        }
        self.input.ready.next = !self.output.valid.val();
    }
    fn connect(&mut self) {
        self.input.ready.connect();
        self.output.data.connect();
        self.output.valid.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", T::BITS)])
    }
}
