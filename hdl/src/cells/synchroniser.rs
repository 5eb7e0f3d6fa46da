//! A signal of nobody's clock.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: synchroniser
// Two registers behind a signal that keeps to no clock: the first may be undecided for a while, the second is not. They stay
// beside each other in a Xilinx part.
(* ASYNC_REG = "TRUE" *)
reg [1:0] stages;
initial stages = 2'b11;
assign synchronous = stages[1];
always @(posedge clock)
    if (reset) stages <= 2'b11;
    else stages <= {stages[0], asynchronous};
"#;

/// Two registers behind a signal that keeps to no clock, of a line that is high when it rests.
#[derive(Block)]
pub struct Synchroniser {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: the line rests.
    pub reset: Signal<In, Bit>,
    /// May change at any time.
    pub asynchronous: Signal<In, Bit>,
    /// What it was two edges ago.
    pub synchronous: Signal<Out, Bit>,
    #[given]
    _stages: [bool; 2],
}

impl Default for Synchroniser {
    fn default() -> Self {
        Self::with(SynchroniserGiven { _stages: [true; 2] })
    }
}

impl Logic for Synchroniser {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self._stages = [self.asynchronous.val(), self._stages[0]];
            if self.reset.val() {
                self._stages = [true; 2];
            }
        }
        self.synchronous.next = self._stages[1];
    }
    fn connect(&mut self) {
        self.synchronous.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom(TEXT.into())
    }
}
