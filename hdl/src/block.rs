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
pub use virtio_hdl_verilog::describe;

/// So many of a kind: ports or parts of a block that is told how many of them it has.
pub fn list<T: Default>(count: usize) -> Vec<T> {
    (0..count).map(|_| T::default()).collect()
}

/// A field of a block: a cell that it clocks, resets and holds before its own logic, which the printer says in the Verilog too; or
/// ports, whose news are why the evaluator runs the block.
pub trait Clocked {
    /// Marks the inputs that [`follow`](Clocked::follow) drives as connected.
    fn adopt(&mut self, _reset: bool) {}
    /// Drives the clock, the reset if the block has one, and, of registers, the next value with the present one.
    fn follow(&mut self, _clock: Clock, _reset: Option<Bit>) {}
    /// Whether it has an input of the block whose value the block was not evaluated with. A block without any, in which nothing changed
    /// in the last step, would stay as it is: the evaluator spares itself the step. What is not known is news; cells inside have none.
    fn has_news(&self) -> bool {
        true
    }
}

impl<T: Synth> Clocked for Signal<In, T> {
    fn has_news(&self) -> bool {
        self.next != self.val()
    }
}

impl<T: Synth> Clocked for Signal<Out, T> {
    fn has_news(&self) -> bool {
        false
    }
}

impl<T: Synth> Clocked for Signal<Local, T> {
    fn has_news(&self) -> bool {
        false
    }
}

impl<T: Synth> Clocked for Constant<T> {
    fn has_news(&self) -> bool {
        false
    }
}

impl<T: Synth> Clocked for Source<T> {
    fn has_news(&self) -> bool {
        self.ready.has_news()
    }
}

impl<T: Synth> Clocked for Sink<T> {
    fn has_news(&self) -> bool {
        self.data.has_news() || self.valid.has_news()
    }
}

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
    fn has_news(&self) -> bool {
        false
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
    fn has_news(&self) -> bool {
        false
    }
}

impl<T: Clocked> Clocked for Vec<T> {
    fn adopt(&mut self, reset: bool) {
        self.iter_mut().for_each(|cell| cell.adopt(reset));
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.iter_mut().for_each(|cell| cell.follow(clock, reset));
    }
    fn has_news(&self) -> bool {
        self.iter().any(Clocked::has_news)
    }
}

impl<T: Clocked, const N: usize> Clocked for [T; N] {
    fn adopt(&mut self, reset: bool) {
        self.iter_mut().for_each(|cell| cell.adopt(reset));
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.iter_mut().for_each(|cell| cell.follow(clock, reset));
    }
    fn has_news(&self) -> bool {
        self.iter().any(Clocked::has_news)
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
