//! One of four.
use crate::block::Block;
use rust_hdl::prelude::*;

const TEXT: &str = r#"// module: mux4
// parameter WIDTH = 8: Bits of each input.
// ports inputs_0 inputs_1 inputs_2 inputs_3 chosen [WIDTH-1:0]
// ports select [1:0]
// Multiplexer of four inputs, combinational.
assign chosen = select[1] ? (select[0] ? inputs_3 : inputs_2) : (select[0] ? inputs_1 : inputs_0);
"#;

/// Multiplexer of four inputs, combinational.
///
/// As a tree, so that it takes one look-up table of six inputs a bit: of a `match` the tools decode the selection first, and four
/// decoded lines and four inputs take two.
#[derive(Block)]
pub struct Mux4<T: Synth> {
    /// What there is to choose from.
    pub inputs: [Signal<In, T>; 4],
    /// Which of them.
    pub select: Signal<In, Bits<2>>,
    /// That one, in the same cycle.
    pub chosen: Signal<Out, T>,
}

impl<T: Synth> Logic for Mux4<T> {
    fn update(&mut self) {
        self.chosen.next = self.inputs[self.select.val().index()].val();
    }
    fn connect(&mut self) {
        self.chosen.connect();
    }
    fn hdl(&self) -> Verilog {
        super::parametrised(TEXT, &[("WIDTH", T::BITS)])
    }
}
