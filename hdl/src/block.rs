//! The form of a block: `derive(Block)`, and what a block does for the cells in it.
//!
//! ```
//! use rust_hdl::prelude::*;
//! use virtio_hdl_rtl::block::Block;
//! use virtio_hdl_rtl::cells::Reg;
//!
//! /// Counts cycles with `bump`.
//! #[derive(Block)]
//! pub struct Counter {
//!     pub clock: Signal<In, Clock>,
//!     pub reset: Signal<In, Bit>,
//!     pub bump: Signal<In, Bit>,
//!     pub count: Signal<Out, Bits<8>>,
//!     total: Reg<Bits<8>>,
//! }
//!
//! impl Logic for Counter {
//!     #[hdl_gen]
//!     fn update(&mut self) {
//!         // `total` has the block's clock and reset, and keeps its value unless told otherwise
//!         if self.bump.val() {
//!             self.total.d.next = self.total.q.val() + 1;
//!         }
//!         self.count.next = self.total.q.val();
//!     }
//! }
//! ```
use crate::cells::{Reg, Sink, Source};
use rust_hdl::prelude::*;
pub use virtio_hdl_macros::{Block, Bundle};

/// Stands in front of and behind a field's name in what [`describe`] tells; no identifier has it.
pub(crate) const DOC: char = '\u{1}';

/// Tells a probe the doc comments of a block or a bundle: those of its fields by name, its own without one. rust-hdl has no place
/// for them, so they go as names of empty namespaces, which its own probes pass over; the printer takes them.
pub fn describe<B: Block>(block: &B, docs: &[(&str, &str)], probe: &mut dyn Probe) {
    for (field, text) in docs {
        let name = format!("{DOC}{field}{DOC}{text}");
        probe.visit_start_namespace(&name, block);
        probe.visit_end_namespace(&name, block);
    }
}

/// A cell that a block clocks, resets and holds before its own logic. The printer says the same in the Verilog.
pub trait Clocked {
    /// Marks the inputs that [`follow`](Clocked::follow) drives as connected.
    fn adopt(&mut self, _reset: bool) {}
    /// Drives the clock, the reset if the block has one, and, of registers, the next value with the present one.
    fn follow(&mut self, _clock: Clock, _reset: Option<Bit>) {}
}

// what has no clock
impl<D: Direction, T: Synth> Clocked for Signal<D, T> {}
impl<T: Synth> Clocked for Constant<T> {}
impl<T: Synth> Clocked for Source<T> {}
impl<T: Synth> Clocked for Sink<T> {}

impl<T: Synth> Clocked for Reg<T> {
    fn adopt(&mut self, reset: bool) {
        self.clock.connect();
        self.d.connect();
        if reset {
            self.reset.connect();
        }
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.clock.next = clock;
        self.d.next = self.q.val();
        if let Some(reset) = reset {
            self.reset.next = reset;
        }
    }
}

impl<T: Synth> Clocked for DFF<T> {
    fn adopt(&mut self, _: bool) {
        self.clock.connect();
        self.d.connect();
    }
    fn follow(&mut self, clock: Clock, _: Option<Bit>) {
        self.clock.next = clock;
        self.d.next = self.q.val();
    }
}

impl<T: Clocked> Clocked for Vec<T> {
    fn adopt(&mut self, reset: bool) {
        self.iter_mut().for_each(|cell| cell.adopt(reset));
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.iter_mut().for_each(|cell| cell.follow(clock, reset));
    }
}

impl<T: Clocked, const N: usize> Clocked for [T; N] {
    fn adopt(&mut self, reset: bool) {
        self.iter_mut().for_each(|cell| cell.adopt(reset));
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.iter_mut().for_each(|cell| cell.follow(clock, reset));
    }
}

/// A block of any type, for what is made by a function that is data: see [`crate::config::DeviceType::side`].
pub struct AnyBlock(Box<dyn Block>);

impl AnyBlock {
    /// Any block.
    pub fn new(block: impl Block + 'static) -> Self {
        AnyBlock(Box::new(block))
    }
}

impl Logic for AnyBlock {
    fn update(&mut self) {
        self.0.update();
    }
    fn connect(&mut self) {
        self.0.connect();
    }
    fn hdl(&self) -> Verilog {
        self.0.hdl()
    }
}

impl Block for AnyBlock {
    fn connect_all(&mut self) {
        self.0.connect_all();
    }
    fn update_all(&mut self) {
        self.0.update_all();
    }
    fn has_changed(&self) -> bool {
        self.0.has_changed()
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        self.0.accept(name, probe);
    }
}
