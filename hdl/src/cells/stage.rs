//! One register in a stream.
use super::{Sink, Source};
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: stream_stage
// parameter WIDTH = 8: Bits of a beat.
// ports input_data output_data [WIDTH-1:0]
// One register in a stream; `input_ready` follows `output_ready`.
assign input_ready = output_ready || !output_valid;
always @(posedge clock) begin
    if (input_ready)
        output_data <= input_data;
    if (reset)
        output_valid <= 1'b0;
    else if (input_ready)
        output_valid <= input_valid;
end
"#;

/// A stream register: one beat per cycle, one cycle of latency, `data` and `valid` from registers.
///
/// `input.ready` follows `output.ready` in the same cycle: stages in a row make one chain of it, which a [`super::Skid`]
/// cuts for twice the registers.
#[derive(Block)]
pub struct Stage<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: empties the stage.
    pub reset: Signal<In, Bit>,
    /// Beats in.
    pub input: Sink<T>,
    /// The same beats, at least one cycle later.
    pub output: Source<T>,
}

impl<T: Synth> Logic for Stage<T> {
    fn update(&mut self) {
        let free = self.output.ready.val() || !self.output.valid.val();
        if self.clock.pos_edge() {
            if free {
                self.output.data.next = self.input.data.val();
                self.output.valid.next = self.input.valid.val();
            }
            if self.reset.val() {
                self.output.valid.next = false;
            }
        }
        self.input.ready.next = free;
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
