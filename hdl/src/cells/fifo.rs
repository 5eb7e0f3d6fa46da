//! Stream FIFO.
use super::stream::{Sink, Source};
use crate::block::Block;
use rust_hdl::prelude::*;

const DISTRIBUTED: &str = r#"// module: stream_fifo
// parameter WIDTH = 8: Bits of a beat.
// parameter DEPTH = 16: Beats in the RAM, a power of two.
// ports input_data output_data [WIDTH-1:0]
// First-word-fall-through FIFO in distributed RAM; `input_ready` and `output_valid` are registers.
localparam ADDRESS = $clog2(DEPTH);
(* ram_style = "distributed", no_rw_check *)
reg [WIDTH-1:0] memory [0:DEPTH-1];
reg [ADDRESS-1:0] written;
reg [ADDRESS-1:0] read;
reg [ADDRESS:0] count;
wire push = input_valid && input_ready;
wire pop = output_ready && output_valid;
wire full = count[ADDRESS];
wire one_is_free = &count[ADDRESS-1:0];
assign output_data = memory[read];
initial input_ready = 1'b1;
always @(posedge clock) begin
    if (push)
        memory[written] <= input_data;
    if (reset) begin
        written <= 0;
        read <= 0;
        count <= 0;
        input_ready <= 1'b1;
        output_valid <= 1'b0;
    end else begin
        if (push)
            written <= written + 1'b1;
        if (pop)
            read <= read + 1'b1;
        if (push && !pop)
            count <= count + 1'b1;
        if (pop && !push)
            count <= count - 1'b1;
        input_ready <= pop || !(full || (push && one_is_free));
        output_valid <= push || (output_valid && !(pop && count == 1));
    end
end
"#;

const BLOCK_RAM: &str = r#"// module: stream_fifo_block
// parameter WIDTH = 8: Bits of a beat.
// parameter DEPTH = 16: Beats in the RAM, a power of two.
// ports input_data output_data [WIDTH-1:0]
// First-word-fall-through FIFO: a block RAM and an output register.
// `count` is of the RAM; `filled` and `input_ready` say early what it comes to.
localparam ADDRESS = $clog2(DEPTH);
(* no_rw_check *)
reg [WIDTH-1:0] memory [0:DEPTH-1];
reg [ADDRESS-1:0] written;
reg [ADDRESS-1:0] read;
reg [ADDRESS:0] count;
reg filled;
wire push = input_valid && input_ready;
wire free = output_ready || !output_valid;
wire pop = free && filled;
wire full = count[ADDRESS];
wire one_is_free = &count[ADDRESS-1:0];
initial input_ready = 1'b1;
always @(posedge clock) begin
    if (push)
        memory[written] <= input_data;
    if (pop)
        output_data <= memory[read];
    if (reset) begin
        written <= 0;
        read <= 0;
        count <= 0;
        filled <= 1'b0;
        input_ready <= 1'b1;
        output_valid <= 1'b0;
    end else begin
        if (push)
            written <= written + 1'b1;
        if (pop)
            read <= read + 1'b1;
        if (push && !pop)
            count <= count + 1'b1;
        if (pop && !push)
            count <= count - 1'b1;
        filled <= push || (filled && !(pop && count == 1));
        input_ready <= pop || !(full || (push && one_is_free));
        if (free)
            output_valid <= filled;
    end
end
"#;

/// First-word-fall-through FIFO of 2^AW entries.
///
/// One beat in and one out in every cycle; no output depends combinationally on an input. From 32 entries on it is a
/// block RAM whose output register, `output.data`, holds one beat more: a beat is seen two cycles after it was
/// written into the empty FIFO. Smaller ones are distributed RAM that `output.data` is read from: one cycle.
#[derive(Block)]
pub struct StreamFifo<T: Synth, const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: empties the FIFO.
    pub reset: Signal<In, Bit>,
    /// Beats in; `ready` while the RAM is not full.
    #[given]
    pub input: Sink<T>,
    /// The same beats in the same order.
    pub output: Source<T>,
    #[given]
    _memory: Vec<T>,
    _written: usize,
    _read: usize,
}

impl<T: Synth, const AW: usize> StreamFifo<T, AW> {
    /// Entries of the RAM.
    pub const DEPTH: usize = 1 << AW;
    const DISTRIBUTED: bool = AW < 5;
}

impl<T: Synth, const AW: usize> Default for StreamFifo<T, AW> {
    fn default() -> Self {
        assert!(AW >= 1, "a FIFO of one entry is a Stage");
        Self::with(StreamFifoGiven {
            input: Sink {
                data: Default::default(),
                valid: Default::default(),
                ready: Signal::<Out, Bit>::new_with_default(true),
            },
            _memory: vec![T::default(); Self::DEPTH],
        })
    }
}

impl<T: Synth, const AW: usize> StreamFifo<T, AW> {
    /// Block RAM: the output register is filled from the RAM.
    fn edge_block_ram(&mut self) {
        let free = self.output.ready.val() || !self.output.valid.val();
        let empty = self._written == self._read;
        if free && !empty {
            self.output.data.next = self._memory[self._read % Self::DEPTH];
            self._read += 1;
        }
        if free {
            self.output.valid.next = !empty;
        }
    }
}

impl<T: Synth, const AW: usize> Logic for StreamFifo<T, AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let push = self.input.valid.val() && self.input.ready.val();
            if Self::DISTRIBUTED {
                self._read += usize::from(self.output.ready.val() && self.output.valid.val());
            } else {
                self.edge_block_ram();
            }
            if push {
                self._memory[self._written % Self::DEPTH] = self.input.data.val();
                self._written += 1;
            }
            if self.reset.val() {
                self._written = 0;
                self._read = 0;
                self.output.valid.next = false;
            }
            self.input.ready.next = self._written - self._read < Self::DEPTH;
            if Self::DISTRIBUTED {
                self.output.valid.next = self._written != self._read;
                self.output.data.next = self._memory[self._read % Self::DEPTH];
            }
        }
    }
    fn connect(&mut self) {
        self.input.ready.connect();
        self.output.data.connect();
        self.output.valid.connect();
    }
    fn hdl(&self) -> Verilog {
        let text = if Self::DISTRIBUTED { DISTRIBUTED } else { BLOCK_RAM };
        super::parametrised(text, &[("WIDTH", T::BITS), ("DEPTH", Self::DEPTH)])
    }
}
