//! An array of blocks of any length.
use crate::block::Clocked;
use rust_hdl::prelude::*;

/// `[T; N]` that is `Default` for every N. hdl_gen only sees `self.bank[i].port`, which both
/// rustc (Index) and the Verilog name mangling (`bank$0$port`) accept.
pub struct Bank<T, const N: usize>([T; N]);

impl<T: Default, const N: usize> Default for Bank<T, N> {
    fn default() -> Self {
        Bank(std::array::from_fn(|_| T::default()))
    }
}
impl<T, const N: usize> Bank<T, N> {
    /// The cells that `f` makes, by their places.
    pub fn from_fn(f: impl FnMut(usize) -> T) -> Self {
        Bank(std::array::from_fn(f))
    }
}
impl<T, const N: usize> std::ops::Index<usize> for Bank<T, N> {
    type Output = T;
    fn index(&self, i: usize) -> &T {
        &self.0[i]
    }
}
impl<T, const N: usize> std::ops::IndexMut<usize> for Bank<T, N> {
    fn index_mut(&mut self, i: usize) -> &mut T {
        &mut self.0[i]
    }
}
impl<T: Logic, const N: usize> Logic for Bank<T, N> {
    fn update(&mut self) {}
}
impl<T: Block, const N: usize> Block for Bank<T, N> {
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
impl<T: Clocked, const N: usize> Clocked for Bank<T, N> {
    fn adopt(&mut self, reset: bool) {
        self.0.adopt(reset);
    }
    fn follow(&mut self, clock: Clock, reset: Option<Bit>) {
        self.0.follow(clock, reset);
    }
    fn has_news(&self) -> bool {
        self.0.has_news()
    }
}
