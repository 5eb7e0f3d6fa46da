//! Distributed RAM with two write ports.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: two_write_ram
// parameter WIDTH = 8: Bits of a word.
// parameter DEPTH = 16: Words, a power of two.
// ports first_wdata second_wdata rdata [WIDTH-1:0]
// ports first_waddr second_waddr raddr [$clog2(DEPTH)-1:0]
// Distributed RAM: two write ports, one asynchronous read port. A word is what the memories of both ports hold, one XOR the other; a
// port writes its own so that the word becomes what it wants. Both write different words, or it becomes anything.
(* ram_style = "distributed" *)
reg [WIDTH-1:0] first [0:DEPTH-1];
(* ram_style = "distributed" *)
reg [WIDTH-1:0] second [0:DEPTH-1];
integer word;
// for simulators that know X alone: a word that has been written is known, whatever both held
initial
    for (word = 0; word < DEPTH; word = word + 1) begin
        first[word] = {WIDTH{1'b0}};
        second[word] = {WIDTH{1'b0}};
    end
assign rdata = first[raddr] ^ second[raddr];
always @(posedge clock) begin
    if (first_wen) first[first_waddr] <= first_wdata ^ second[first_waddr];
    if (second_wen) second[second_waddr] <= second_wdata ^ first[second_waddr];
end
"#;

/// Two write ports, one asynchronous read port: `rdata` follows `raddr` in the same cycle, a word written is seen from the next cycle
/// on. Words that both write in the same cycle must be different ones. W bits wide, 2^AW words.
///
/// For marks that one side sets and another clears: as registers each would have a decoder and a multiplexer in front of it. An
/// XOR of two memories, as in LaForest et al., "Multi-ported memories for FPGAs via XOR", FPGA 2012.
#[derive(Block)]
pub struct TwoWriteRam<const W: usize, const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to write.
    pub first_waddr: Signal<In, Bits<AW>>,
    /// Data to write.
    pub first_wdata: Signal<In, Bits<W>>,
    /// Write in this cycle.
    pub first_wen: Signal<In, Bit>,
    /// Word to write.
    pub second_waddr: Signal<In, Bits<AW>>,
    /// Data to write.
    pub second_wdata: Signal<In, Bits<W>>,
    /// Write in this cycle.
    pub second_wen: Signal<In, Bit>,
    /// Word to read.
    pub raddr: Signal<In, Bits<AW>>,
    /// The word, in the same cycle.
    pub rdata: Signal<Out, Bits<W>>,
    #[given]
    _first: Vec<Bits<W>>,
    #[given]
    _second: Vec<Bits<W>>,
}

impl<const W: usize, const AW: usize> Default for TwoWriteRam<W, AW> {
    fn default() -> Self {
        let memory = vec![Default::default(); 1 << AW];
        Self::with(TwoWriteRamGiven { _first: memory.clone(), _second: memory })
    }
}

impl<const W: usize, const AW: usize> Logic for TwoWriteRam<W, AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let (first, second) = (self.first_waddr.val().index(), self.second_waddr.val().index());
            let first_word = self.first_wdata.val() ^ self._second[first];
            let second_word = self.second_wdata.val() ^ self._first[second];
            if self.first_wen.val() {
                self._first[first] = first_word;
            }
            if self.second_wen.val() {
                self._second[second] = second_word;
            }
        }
        let word = self.raddr.val().index();
        self.rdata.next = self._first[word] ^ self._second[word];
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", W), ("DEPTH", 1 << AW)])
    }
}
