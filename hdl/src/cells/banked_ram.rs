//! RAM of two banks for 16 bytes at any byte address in one access.
use super::ram::{lane_writes, LaneMasks};
use rust_hdl::prelude::*;

/// Two banks of 2^IW words of 128 bits: words with even numbers in one, with odd numbers in the other, so that
/// 16 bytes at any byte address are one access of both. Byte address A is lane A\[3:0\] of word A[..4], word W is
/// in bank W\[0\] at index W[..1]; 2^(IW+5) bytes.
///
/// Read data come one cycle after the index. A read of a word that is written in the same cycle gives anything.
#[derive(LogicBlock)]
pub struct BankedRam<const IW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to write in the even bank.
    pub write_even_index: Signal<In, Bits<IW>>,
    /// Word to write in the odd bank.
    pub write_odd_index: Signal<In, Bits<IW>>,
    /// Bytes to write in the even bank.
    pub write_even_enable: Signal<In, Bits<16>>,
    /// Bytes to write in the odd bank.
    pub write_odd_enable: Signal<In, Bits<16>>,
    /// Data for both banks.
    pub write_data: Signal<In, Bits<128>>,
    /// Word to read from the even bank.
    pub read_even_index: Signal<In, Bits<IW>>,
    /// Word to read from the odd bank.
    pub read_odd_index: Signal<In, Bits<IW>>,
    /// The even bank's word, one cycle later.
    pub read_even_data: Signal<Out, Bits<128>>,
    /// The odd bank's word, one cycle later.
    pub read_odd_data: Signal<Out, Bits<128>>,
    _even: Vec<Bits<128>>,
    _odd: Vec<Bits<128>>,
    _lanes: LaneMasks<128>,
}

impl<const IW: usize> Default for BankedRam<IW> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            write_even_index: Default::default(),
            write_odd_index: Default::default(),
            write_even_enable: Default::default(),
            write_odd_enable: Default::default(),
            write_data: Default::default(),
            read_even_index: Default::default(),
            read_odd_index: Default::default(),
            read_even_data: Default::default(),
            read_odd_data: Default::default(),
            _even: vec![Default::default(); 1 << IW],
            _odd: vec![Default::default(); 1 << IW],
            _lanes: LaneMasks::new(16),
        }
    }
}

impl<const IW: usize> Logic for BankedRam<IW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.read_even_data.next = self._even[self.read_even_index.val().index()];
            self.read_odd_data.next = self._odd[self.read_odd_index.val().index()];
            let data = self.write_data.val();
            let even = &mut self._even[self.write_even_index.val().index()];
            self._lanes.write(even, data, self.write_even_enable.val());
            let odd = &mut self._odd[self.write_odd_index.val().index()];
            self._lanes.write(odd, data, self.write_odd_enable.val());
        }
    }
    fn connect(&mut self) {
        self.read_even_data.connect();
        self.read_odd_data.connect();
    }
    fn hdl(&self) -> Verilog {
        let depth = 1usize << IW;
        let even = lane_writes("even", "write_even_enable", "write_even_index", "write_data", 128, 16);
        let odd = lane_writes("odd", "write_odd_enable", "write_odd_index", "write_data", 128, 16);
        Verilog::Custom(format!(
            "\
// module: banked_ram_{depth}
// Two banks of {depth} words of 128 bits, byte write enables, registered read.
(* no_rw_check *)
reg [127:0] even [0:{last}];
(* no_rw_check *)
reg [127:0] odd [0:{last}];
integer i;
initial begin
    for (i = 0; i < {depth}; i = i + 1) begin
        even[i] = 128'h0;
        odd[i] = 128'h0;
    end
    read_even_data = 128'h0;
    read_odd_data = 128'h0;
end
always @(posedge clock) begin
    read_even_data <= even[read_even_index];
{even}end
always @(posedge clock) begin
    read_odd_data <= odd[read_odd_index];
{odd}end
",
            last = depth - 1,
        ))
    }
}
