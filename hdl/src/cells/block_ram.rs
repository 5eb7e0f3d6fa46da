//! Simple dual-port block RAM without a rule for collisions.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: simple_ram
// parameter WIDTH = 8: Bits of a word.
// parameter DEPTH = 16: Words, a power of two.
// ports wdata rdata [WIDTH-1:0]
// ports waddr raddr [$clog2(DEPTH)-1:0]
// Simple dual-port RAM, registered read; a read of the word just being written gives anything.
(* no_rw_check *)
reg [WIDTH-1:0] memory [0:DEPTH-1];
always @(posedge clock) begin
    rdata <= memory[raddr];
    if (wen) memory[waddr] <= wdata;
end
"#;

/// One write port, one read port; read data come one cycle after the address. W bits wide, 2^AW words.
///
/// A read of the word that is written in the same cycle gives anything: giving the old contents costs logic. In Verilog, a word
/// is unknown until it is written.
#[derive(Block)]
pub struct BlockRam<const W: usize, const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub raddr: Signal<In, Bits<AW>>,
    /// The word read in the cycle before.
    pub rdata: Signal<Out, Bits<W>>,
    /// Word to write.
    pub waddr: Signal<In, Bits<AW>>,
    /// Data to write.
    pub wdata: Signal<In, Bits<W>>,
    /// Write in this cycle.
    pub wen: Signal<In, Bit>,
    #[given]
    _memory: Vec<Bits<W>>,
}

impl<const W: usize, const AW: usize> Default for BlockRam<W, AW> {
    fn default() -> Self {
        Self::with(BlockRamGiven { _memory: vec![Default::default(); 1 << AW] })
    }
}

impl<const W: usize, const AW: usize> Logic for BlockRam<W, AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.rdata.next = self._memory[self.raddr.val().index()];
            if self.wen.val() {
                self._memory[self.waddr.val().index()] = self.wdata.val();
            }
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", W), ("DEPTH", 1 << AW)])
    }
}
