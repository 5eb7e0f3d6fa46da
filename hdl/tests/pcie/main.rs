//! The PCI function: every block against a Rust model of it, and rust-hdl's evaluator against Verilator.
mod bar_decode;
mod completer;
mod config_space;
mod messages;
mod msix;

use virtio_hdl_rtl::pcie::{BarSpace, FunctionConfig};

/// The block device of the examples: BAR0 of 64 bytes in I/O space, two vectors, gen2 x4.
pub fn blk() -> FunctionConfig {
    FunctionConfig {
        vendor_id: 0x1af4,
        device_id: 0x1001,
        revision: 0,
        class: 0x01_0000,
        subsystem_vendor_id: 0x1af4,
        subsystem_id: 2,
        bar0_space: BarSpace::Io,
        bar0_size: 64,
        vectors: 2,
        max_payload: 1,
        link_speed: 2,
        link_width: 4,
        diagnostics: 16,
    }
}

/// All bits of the bytes that a byte enable selects.
pub fn byte_mask(enable: u32) -> u32 {
    (0..4).filter(|byte| enable >> byte & 1 == 1).map(|byte| 0xff << (8 * byte)).sum()
}

#[test]
fn impossible_functions_are_refused_with_a_reason() {
    assert_eq!(blk().check(), Ok(()));
    for (wrong, word) in [
        (FunctionConfig { bar0_size: 48, ..blk() }, "BAR0"),
        (FunctionConfig { bar0_size: 512, ..blk() }, "BAR0"),
        (FunctionConfig { vectors: 65, ..blk() }, "vectors"),
        (FunctionConfig { class: 0x100_0000, ..blk() }, "class"),
        (FunctionConfig { max_payload: 6, ..blk() }, "payload"),
        (FunctionConfig { link_speed: 0, ..blk() }, "speed"),
        (FunctionConfig { link_width: 3, ..blk() }, "width"),
        (FunctionConfig { diagnostics: 24, ..blk() }, "diagnostics"),
    ] {
        let reason = wrong.check().unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }
}
