//! Distributed RAM.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: lut_ram
// parameter WIDTH = 8: Bits of a word.
// parameter DEPTH = 16: Words, a power of two.
// ports wdata rdata [WIDTH-1:0]
// ports waddr raddr [$clog2(DEPTH)-1:0]
// Distributed RAM: one write port, one asynchronous read port.
(* ram_style = "distributed" *)
reg [WIDTH-1:0] memory [0:DEPTH-1];
assign rdata = memory[raddr];
always @(posedge clock)
    if (wen) memory[waddr] <= wdata;
"#;

/// One write port, one asynchronous read port: `rdata` follows `raddr` in the same cycle, a word written is
/// seen from the next cycle on. W bits wide, 2^AW words; for small tables.
#[derive(Block)]
pub struct LutRam<const W: usize, const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to write.
    pub waddr: Signal<In, Bits<AW>>,
    /// Data to write.
    pub wdata: Signal<In, Bits<W>>,
    /// Write in this cycle.
    pub wen: Signal<In, Bit>,
    /// Word to read.
    pub raddr: Signal<In, Bits<AW>>,
    /// The word, in the same cycle.
    pub rdata: Signal<Out, Bits<W>>,
    #[given]
    _memory: Vec<Bits<W>>,
}

impl<const W: usize, const AW: usize> Default for LutRam<W, AW> {
    fn default() -> Self {
        Self::with(LutRamGiven { _memory: vec![Default::default(); 1 << AW] })
    }
}

impl<const W: usize, const AW: usize> Logic for LutRam<W, AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() && self.wen.val() {
            self._memory[self.waddr.val().index()] = self.wdata.val();
        }
        self.rdata.next = self._memory[self.raddr.val().index()];
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", W), ("DEPTH", 1 << AW)])
    }
}
