//! Simple dual-port RAM with write lanes.
use crate::block::Block;
use rust_hdl::prelude::*;

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
        let depth = 1usize << AW;
        let lane_writes = lane_writes("memory", "wen", "waddr", "wdata", W, LANES);
        let range = super::range(W);
        Verilog::Custom(format!(
            "\
// module: lane_ram_{W}x{depth}_{LANES}
// Simple dual-port RAM with {LANES} write lanes, registered read; a read of the word just being written gives anything.
(* no_rw_check *)
reg {range}memory [0:{last}];
always @(posedge clock) begin
    rdata <= memory[raddr];
{lane_writes}end
",
            last = depth - 1,
        ))
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

/// The write statements of a RAM with lane enables.
fn lane_writes(memory: &str, enable: &str, address: &str, data: &str, width: usize, lanes: usize) -> String {
    let lane = width / lanes;
    let line = |l: usize| {
        let bits = if lane == 1 { format!("{l}") } else { format!("{}:{}", (l + 1) * lane - 1, l * lane) };
        format!("    if ({enable}[{l}]) {memory}[{address}][{bits}] <= {data}[{bits}];\n")
    };
    (0..lanes).map(line).collect()
}
