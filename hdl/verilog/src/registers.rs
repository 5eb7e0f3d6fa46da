//! Registers: the cells that become clocked processes of the block that holds them.
use super::collect::BlockNode;
use num_bigint::BigUint;
use rust_hdl::prelude::*;

/// A register cell. One with a port `reset` goes back to its initial value synchronously.
pub(super) struct Register {
    /// Initial value.
    pub initial: BigUint,
}

/// Whether the block is the `Reg` of `virtio-hdl-rtl` or rust-hdl's `DFF`, by its ports and its text.
pub(super) fn recognise(node: &BlockNode) -> Option<Register> {
    let Verilog::Custom(text) = &node.code else { return None };
    let ports: Vec<_> = node.atoms.iter().map(|atom| atom.path.as_str()).collect();
    let known = match ports.as_slice() {
        ["d", "q", "clock"] => text.contains("always @(posedge clock) begin\n   q <= d;\nend"),
        ["d", "q", "clock", "reset"] => text.contains("if (reset) q <= "),
        _ => false,
    };
    if !known {
        return None;
    }
    let value = text.split("q = ").nth(1)?.split(';').next()?.trim();
    let initial = match (value.split_once("'h"), value.split_once("'b")) {
        (Some((_, digits)), _) => BigUint::parse_bytes(digits.as_bytes(), 16)?,
        (_, Some((_, digits))) => BigUint::parse_bytes(digits.as_bytes(), 2)?,
        _ => return None,
    };
    Some(Register { initial })
}
