//! Two-entry elastic buffer: cuts every combinational path of a stream.
use super::stream::{Sink, Source};
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: skid_buffer
// parameter WIDTH = 8: Bits of a beat.
// ports input_data output_data [WIDTH-1:0]
// Two-entry stream buffer, all outputs from registers. `input_ready` is low while `spare` is taken.
reg [WIDTH-1:0] spare;
wire push = input_valid && input_ready;
wire free = output_ready || !output_valid;
initial input_ready = 1'b1;
always @(posedge clock) begin
    if (free)
        output_data <= input_ready ? input_data : spare;
    if (input_ready)
        spare <= input_data;
    if (reset) begin
        output_valid <= 1'b0;
        input_ready <= 1'b1;
    end else if (free) begin
        output_valid <= push || !input_ready;
        input_ready <= 1'b1;
    end else if (push) begin
        input_ready <= 1'b0;
    end
end
"#;

/// A stream buffer of two entries with all outputs from registers; one beat per cycle, one cycle of latency.
///
/// `input.ready` falls only when both entries are taken, so a sender that was told `ready` can always send.
#[derive(Block)]
pub struct Skid<T: Synth> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: empties the buffer.
    pub reset: Signal<In, Bit>,
    /// Beats in.
    #[given]
    pub input: Sink<T>,
    /// The same beats, at least one cycle later.
    pub output: Source<T>,
    _spare: T,
}

impl<T: Synth> Default for Skid<T> {
    fn default() -> Self {
        Self::with(SkidGiven {
            input: Sink {
                data: Default::default(),
                valid: Default::default(),
                ready: Signal::<Out, Bit>::new_with_default(true),
            },
        })
    }
}

impl<T: Synth> Logic for Skid<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let push = self.input.valid.val() && self.input.ready.val();
            let free = self.output.ready.val() || !self.output.valid.val();
            if free {
                let spare_full = !self.input.ready.val();
                self.output.data.next = if spare_full { self._spare } else { self.input.data.val() };
                self.output.valid.next = spare_full || push;
                self.input.ready.next = true;
            } else if push {
                self._spare = self.input.data.val();
                self.input.ready.next = false;
            }
            if self.reset.val() {
                self.output.valid.next = false;
                self.input.ready.next = true;
            }
        }
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
