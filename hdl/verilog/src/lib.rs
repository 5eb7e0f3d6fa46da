//! The Verilog printer: from rust-hdl's public syntax tree to one readable file per module.
//!
//! ```text
//! collect -> scope -> expressions, statements -> simplify -> check, processes -> layout -> design
//! tree of    nets     widths as Rust has them,    branches    one driver, no     text of   names, each
//! blocks              loops unrolled              decided     latch; grouping    a module  module once
//! ```
//! What it does differently from rust-hdl's own printer:
//! * every expression keeps the width Rust gave it: numbers are sized, casts explicit, slices of
//!   expressions get a net, parentheses follow the Rust parse;
//! * a struct is one net per field, a register is a clocked process of the block that holds it;
//! * what is assigned once becomes `assign`, a process that only chooses a value `c ? a : b`, the rest `always @*` per group of
//!   nets that belong together;
//! * bits that shifts and ors put next to each other are a concatenation; numbers are decimal below 1024, and hexadecimal where the
//!   bits say more: masks, what stands among bits, addresses and identifiers; conditions have `&&` and `||`;
//! * nothing depends on time zero, where Verilog-2005 and SystemVerilog differ: registers have no initial value, so that the
//!   first reset changes them all; logic of constants is worked out; and an `always @*` that depends on inputs alone waits for
//!   the end of the reset too, as inputs may be constants;
//! * partial assignment, reading before writing and two drivers are errors, and so is everything that
//!   cannot be printed: [`PrintError`] says which block and why.
mod beside;
mod check;
mod choice;
mod collect;
mod constants;
mod design;
mod docs;
mod error;
mod expressions;
mod hand_written;
mod head;
mod instances;
mod ir;
mod join;
mod layout;
mod module;
mod names;
mod paths;
mod processes;
mod registers;
mod scope;
mod setup;
mod simplify;
mod statements;
mod text;

pub use collect::literal_digits;
pub use design::{Design, PrintedModule};
pub use docs::describe;
pub use error::PrintError;
pub use head::other_configuration;
pub use join::{join, Loose, Part};

use rust_hdl::prelude::Block;

/// Prints a connected block as the module `top` and those inside.
pub fn print<U: Block>(uut: &U, top: &str) -> Result<Design, PrintError> {
    design(uut, "", top, false)
}

/// As [`print()`], with `prefix` in front of the name of every module, `top` among them: the namespace of a design that shares an
/// FPGA with others.
pub fn print_prefixed<U: Block>(uut: &U, prefix: &str, top: &str) -> Result<Design, PrintError> {
    design(uut, prefix, top, false)
}

/// As [`print()`], with initial values: for comparisons with rust-hdl's evaluator, whose registers begin so without a reset.
pub fn print_initialised<U: Block>(uut: &U, top: &str) -> Result<Design, PrintError> {
    design(uut, "", top, true)
}

fn design<U: Block>(uut: &U, prefix: &str, top: &str, initialised: bool) -> Result<Design, PrintError> {
    let node = collect::collect(uut, top)?;
    let mut builder = design::Builder::new(initialised);
    builder.add(&node, top, "")?;
    Ok(builder.finish(prefix, top))
}

/// A port of a block: a signal of the Rust source and its nets in the Verilog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the source, `_` between the parts.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Input, else output.
    pub input: bool,
    /// Name, place in the signal and width of each net: one, or one per field of a struct.
    pub nets: Vec<(String, usize, usize)>,
}

impl Port {
    /// A port that is no struct.
    pub fn plain(name: &str, width: usize, input: bool) -> Self {
        Port { name: name.into(), width, input, nets: vec![(name.into(), 0, width)] }
    }
}

/// The ports of a block as [`print()`] prints them, in the order of the block's fields.
pub fn ports<U: Block>(uut: &U) -> Result<Vec<Port>, PrintError> {
    let node = collect::collect_top(uut, "top")?;
    let scope = scope::Scope::new(&node, "top", false)?;
    let nets = module::port_nets(&node, &scope);
    let port = |(atom, nets): (&collect::Atom, Vec<module::PortNet>)| Port {
        name: atom.path.replace('$', "_"),
        width: atom.width,
        input: atom.kind == rust_hdl::prelude::AtomKind::InputParameter,
        nets: nets.into_iter().map(|net| (net.name, net.offset, net.width)).collect(),
    };
    Ok(node.ports().zip(nets).map(port).collect())
}
