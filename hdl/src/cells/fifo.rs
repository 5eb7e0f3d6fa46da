//! Stream FIFO.
use super::register::literal_digits;
use super::stream::{Sink, Source};
use rust_hdl::prelude::*;

/// First-word-fall-through FIFO of 2^AW entries in a RAM and one more in its output register.
///
/// One beat in and one out in every cycle; no output depends combinationally on an input. From 32 entries on the
/// RAM is a block RAM whose output register is `output.data`: a beat is seen two cycles after it was written
/// into the empty FIFO. Smaller ones are distributed RAM, and a beat that finds the FIFO empty goes
/// straight to the output register: one cycle.
#[derive(LogicBlock)]
pub struct StreamFifo<T: Synth, const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: empties the FIFO.
    pub reset: Signal<In, Bit>,
    /// Beats in; `ready` while the RAM is not full.
    pub input: Sink<T>,
    /// The same beats in the same order.
    pub output: Source<T>,
    _memory: Vec<T>,
    _written: usize,
    _read: usize,
}

impl<T: Synth, const AW: usize> StreamFifo<T, AW> {
    /// Entries of the RAM.
    pub const DEPTH: usize = 1 << AW;
    const BYPASS: bool = AW < 5;
}

impl<T: Synth, const AW: usize> Default for StreamFifo<T, AW> {
    fn default() -> Self {
        assert!(AW >= 1, "a FIFO of one entry is a Skid");
        Self {
            clock: Default::default(),
            reset: Default::default(),
            input: Sink {
                data: Default::default(),
                valid: Default::default(),
                ready: Signal::<Out, Bit>::new_with_default(true),
            },
            output: Default::default(),
            _memory: vec![T::default(); Self::DEPTH],
            _written: 0,
            _read: 0,
        }
    }
}

impl<T: Synth, const AW: usize> Logic for StreamFifo<T, AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let mut push = self.input.valid.val() && self.input.ready.val();
            let free = self.output.ready.val() || !self.output.valid.val();
            let empty = self._written == self._read;
            let bypass = Self::BYPASS && push && free && empty;
            if free && !empty {
                self.output.data.next = self._memory[self._read % Self::DEPTH];
                self._read += 1;
            } else if free && Self::BYPASS {
                self.output.data.next = self.input.data.val();
            }
            push &= !bypass;
            if free {
                self.output.valid.next = !empty || bypass;
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
        }
    }
    fn connect(&mut self) {
        self.input.ready.connect();
        self.output.data.connect();
        self.output.valid.connect();
    }
    fn hdl(&self) -> Verilog {
        let (width, depth, top) = (T::BITS, Self::DEPTH, AW - 1);
        let range = super::range(width);
        let init = format!("{width}'h{}", literal_digits(T::default().verilog()));
        let style = if Self::BYPASS { "ram_style = \"distributed\", no_rw_check" } else { "no_rw_check" };
        let fetch = if Self::BYPASS {
            "    if (free)\n        output_data <= empty ? input_data : memory[read[{top}:0]];\n"
        } else {
            "    if (free && !empty)\n        output_data <= memory[read[{top}:0]];\n"
        }
        .replace("{top}", &top.to_string());
        let store = if Self::BYPASS { "push && !bypass" } else { "push" };
        let bypass_net = if Self::BYPASS { "wire bypass = push && free && empty;\n" } else { "" };
        let valid = if Self::BYPASS { "!empty || bypass" } else { "!empty" };
        Verilog::Custom(format!(
            "\
// module: stream_fifo_{width}x{depth}
// First-word-fall-through FIFO: a RAM of {depth} entries and an output register.
// The pointers have one bit more than an address, so that full and empty differ.
(* {style} *)
reg {range}memory [0:{last}];
reg [{AW}:0] written;
reg [{AW}:0] read;
wire empty = written == read;
wire full = written == {{!read[{AW}], read[{top}:0]}};
wire push = input_valid && !full;
wire free = output_ready || !output_valid;
{bypass_net}assign input_ready = !full;
initial begin
    written = {pw}'d0;
    read = {pw}'d0;
    output_valid = 1'b0;
    output_data = {init};
end
always @(posedge clock) begin
    if ({store})
        memory[written[{top}:0]] <= input_data;
{fetch}    if (reset) begin
        written <= {pw}'d0;
        read <= {pw}'d0;
        output_valid <= 1'b0;
    end else begin
        if ({store})
            written <= written + {pw}'d1;
        if (free && !empty)
            read <= read + {pw}'d1;
        if (free)
            output_valid <= {valid};
    end
end
",
            last = depth - 1,
            pw = AW + 1,
        ))
    }
}
