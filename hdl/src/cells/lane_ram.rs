//! Simple dual-port RAM with write lanes.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: lane_ram
// parameter WIDTH = 8: Bits of a word.
// parameter DEPTH = 16: Words, a power of two.
// parameter LANES = 2: Equal parts of a word that are written by themselves.
// ports wdata rdata [WIDTH-1:0]
// ports waddr raddr [$clog2(DEPTH)-1:0]
// ports wen [LANES-1:0]
// Simple dual-port RAM with write lanes, registered read; a read of the word just being written gives anything.
localparam LANE = WIDTH / LANES;
(* no_rw_check *)
reg [WIDTH-1:0] memory [0:DEPTH-1];
integer lane;
always @(posedge clock) begin
    rdata <= memory[raddr];
    for (lane = 0; lane < LANES; lane = lane + 1)
        if (wen[lane]) memory[waddr][lane*LANE +: LANE] <= wdata[lane*LANE +: LANE];
end
"#;

/// One write port with a write enable per lane, one read port; read data come one cycle after the address.
/// A read of the word that is written in the same cycle gives anything.
///
/// W bits wide, 2^AW words, LANES equal lanes.
#[derive(Block)]
pub struct LaneRam<const W: usize, const AW: usize, const LANES: usize> {
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
    /// Lanes to write.
    pub wen: Signal<In, Bits<LANES>>,
    #[given]
    _memory: Vec<Bits<W>>,
    #[given]
    _lanes: LaneMasks<W>,
}

impl<const W: usize, const AW: usize, const LANES: usize> Default for LaneRam<W, AW, LANES> {
    fn default() -> Self {
        Self::with(LaneRamGiven { _memory: vec![Default::default(); 1 << AW], _lanes: LaneMasks::new(LANES) })
    }
}

impl<const W: usize, const AW: usize, const LANES: usize> Logic for LaneRam<W, AW, LANES> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.rdata.next = self._memory[self.raddr.val().index()];
            let word = &mut self._memory[self.waddr.val().index()];
            self._lanes.write(word, self.wdata.val(), self.wen.val());
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", W), ("DEPTH", 1 << AW), ("LANES", LANES)])
    }
}

/// The bits of each lane of a word, for writes with lane enables.
struct LaneMasks<const W: usize>(Vec<Bits<W>>);

impl<const W: usize> LaneMasks<W> {
    /// `lanes` equal lanes of a W-bit word.
    fn new(lanes: usize) -> Self {
        assert!(lanes > 0 && W % lanes == 0, "{W} bits do not divide into {lanes} lanes");
        let width = W / lanes;
        let mask = |lane: usize| {
            (lane * width..(lane + 1) * width).fold(Bits::<W>::default(), |word, bit| word.replace_bit(bit, true))
        };
        Self((0..lanes).map(mask).collect())
    }

    /// Writes the enabled lanes of `data` to `word`.
    fn write<const LANES: usize>(&self, word: &mut Bits<W>, data: Bits<W>, enable: Bits<LANES>) {
        // the usual cases first: this is the hot path of the simulation
        if enable.all() {
            *word = data;
        } else if enable.any() {
            let enabled = self.0.iter().enumerate().filter(|(lane, _)| enable.get_bit(*lane));
            let mask = enabled.fold(Bits::<W>::default(), |sum, (_, mask)| sum | *mask);
            *word = (*word & !mask) | (data & mask);
        }
    }
}
