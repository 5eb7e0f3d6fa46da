//! Register with synchronous reset.
use crate::verilog::literal_digits;
use rust_hdl::prelude::*;

/// Register with synchronous reset and an explicit reset value.
///
/// rust-hdl's own `DFF` has no reset: it is for data. The printer inlines this cell as a clocked process of the block that holds it.
#[derive(Clone, Debug, LogicBlock)]
pub struct Reg<T: Synth> {
    /// Next value.
    pub d: Signal<In, T>,
    /// Present value.
    pub q: Signal<Out, T>,
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    _init: T,
}

impl<T: Synth> Reg<T> {
    /// A register that resets to `init`.
    pub fn new(init: T) -> Self {
        Self {
            d: Default::default(),
            q: Signal::new_with_default(init),
            clock: Default::default(),
            reset: Default::default(),
            _init: init,
        }
    }
}

impl<T: Synth> Default for Reg<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Synth> Logic for Reg<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = if self.reset.val() { self._init } else { self.d.val() };
        }
    }
    fn connect(&mut self) {
        self.q.connect();
    }
    fn hdl(&self) -> Verilog {
        let init = format!("{}'h{}", T::BITS, literal_digits(self._init.verilog()));
        Verilog::Custom(format!(
            "initial q = {init};\nalways @(posedge clock)\n    if (reset) q <= {init};\n    else q <= d;\n"
        ))
    }
}
