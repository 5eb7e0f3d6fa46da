//! Differential harness: a block runs in rust-hdl's own evaluator and, as printed Verilog, in Verilator, with the
//! same stimuli; every output must be the same in every cycle.
//!
//! [`Bench`] is the short way: set inputs as you like, check outputs as you like, the rest is done.
//!
//! ```no_run
//! use virtio_hdl_rtl::{cells::Skid, testing::{Bench, Port}};
//! use rust_hdl::prelude::*;
//! let mut bench = Bench::new("skid", Skid::<Bits<8>>::default(), |uut| &mut uut.clock);
//! for _ in 0..1000 {
//!     bench.cycle(
//!         |uut, rng| {
//!             uut.input.data.next = Port::random(rng);
//!             uut.input.valid.next = rng.chance(1, 2);
//!             uut.output.ready.next = rng.chance(1, 2);
//!         },
//!         |uut| assert!(!uut.output.valid.val() || uut.output.data.val() < 256),
//!     );
//! }
//! bench.finish();
//! ```
mod bench;
mod build;
mod diff;
mod driver;
mod icarus;
mod port;
mod stream;

pub use bench::Bench;
pub use build::{accepted, accepted_with, model, verilator};
pub use diff::{Diff, Mismatch};
pub use driver::{cpp_driver, ports, PortInfo};
pub use icarus::{icarus, is_control, starts_known, starts_known_where};
pub use port::Port;
pub use stream::{moved, narrow, wide, Feed};

/// xorshift64*: deterministic, no dependency.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// Seeded by the environment variable `SEED`, or always the same.
    pub fn from_env() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        Rng(0x5eed_0000_0001 ^ u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15))
    }
    /// 64 random bits.
    #[allow(clippy::should_implement_trait, reason = "it never ends: no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    /// 0 to n-1.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
    /// True in `num` of `den` cases.
    pub fn chance(&mut self, num: u64, den: u64) -> bool {
        self.below(den) < num
    }
}

/// `drive_random!(uut, rng, line; a, b.c)`: random inputs, logged as a line of the stimulus file.
/// In the order of the ports.
#[macro_export]
macro_rules! drive_random {
    ($u:expr, $r:expr, $l:expr; $($($p:ident).+),* $(,)?) => {{
        $( $u.$($p).+.next = $crate::testing::Port::random($r);
           $l.push_str(&$crate::testing::Port::hex($u.$($p).+.next)); $l.push(' '); )*
        $l.push('\n');
    }};
}

/// `log_fields!(uut, line; a, b.c)`: outputs as a line of the expected results, in the order of the ports.
#[macro_export]
macro_rules! log_fields {
    ($u:expr, $l:expr; $($($p:ident).+),* $(,)?) => {{
        $( $l.push_str(&$crate::testing::Port::hex($u.$($p).+.val())); $l.push(' '); )*
        $l.push('\n');
    }};
}
