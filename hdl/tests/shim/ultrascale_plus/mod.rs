//! The UltraScale+ shims (PG213), 128 and 256 bits.
mod completions;
mod function;
mod requests;
mod send;
mod world;

/// Runs each test for both widths.
macro_rules! both {
    ($($name:ident;)*) => {
        mod bits_128 {
            $(#[test] fn $name() { super::$name::<virtio_hdl_rtl::shim::UltraScalePlus128>(); })*
        }
        mod bits_256 {
            $(#[test] fn $name() { super::$name::<virtio_hdl_rtl::shim::UltraScalePlus256>(); })*
        }
    };
}
use both;
