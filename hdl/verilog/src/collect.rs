//! The tree of blocks, read from rust-hdl through its `Probe`.
use super::docs::Docs;
use super::error::{PrintError, Result};
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use std::rc::Rc;

/// A `LogicState` enum.
#[derive(Debug, PartialEq)]
pub(super) struct EnumType {
    /// Name of the type.
    pub name: String,
    /// Variants in the order of their values.
    pub variants: Vec<String>,
    /// Bits of a value.
    pub width: usize,
}

/// A part of a signal that becomes a net of its own: a field of a struct, or all of it.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Field names joined by `_`; empty for the whole signal.
    pub name: String,
    /// Place of the least significant bit.
    pub offset: usize,
    /// Bits.
    pub width: usize,
    /// Two's complement.
    pub signed: bool,
    /// The values have names.
    pub enumeration: Option<Rc<EnumType>>,
}

/// A port, local signal or constant of a block.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    /// Rust path inside the block, `$` between the parts: `input$data`, `bytes$3`.
    pub path: String,
    /// Port, local or constant.
    pub kind: AtomKind,
    /// Bits.
    pub width: usize,
    /// Name of the struct, if it is one.
    pub structure: Option<String>,
    /// Fields of a struct from the least significant on, or the whole.
    pub fields: Vec<Field>,
    /// Value of a constant.
    pub value: BigUint,
}

/// A block with everything below it.
pub(super) struct BlockNode {
    /// Field name in the parent, `queues$0` for an array.
    pub instance: String,
    /// Ports, locals and constants in the order of the fields.
    pub atoms: Vec<Atom>,
    /// What its source says of it.
    pub docs: Docs,
    /// What it does.
    pub code: Verilog,
    /// Blocks inside, in the order of the fields.
    pub children: Vec<BlockNode>,
}

impl BlockNode {
    /// Its ports.
    pub fn ports(&self) -> impl Iterator<Item = &Atom> {
        self.atoms.iter().filter(|atom| atom.kind.is_parameter())
    }
    /// The Verilog is written by hand, with one vector per port.
    pub fn is_custom(&self) -> bool {
        matches!(self.code, Verilog::Custom(_) | Verilog::Wrapper(_) | Verilog::Blackbox(_))
    }
}

/// Reads the tree of blocks below `uut`.
pub(super) fn collect<U: Block>(uut: &U, top: &str) -> Result<BlockNode> {
    let mut collector = Collector { top_only: false, ..Default::default() };
    uut.accept(top, &mut collector);
    collector.finish(top)
}

/// Reads the ports of `uut` alone.
pub(super) fn collect_top<U: Block>(uut: &U, top: &str) -> Result<BlockNode> {
    let mut collector = Collector { top_only: true, ..Default::default() };
    uut.accept(top, &mut collector);
    collector.finish(top)
}

#[derive(Default)]
struct Collector {
    top_only: bool,
    depth: usize,
    stack: Vec<BlockNode>,
    namespaces: Vec<Vec<String>>,
    done: Option<BlockNode>,
    error: Option<PrintError>,
}

impl Collector {
    fn finish(self, top: &str) -> Result<BlockNode> {
        match (self.error, self.done) {
            (Some(error), _) => Err(error),
            (None, Some(node)) => Ok(node),
            (None, None) => Err(PrintError { path: top.into(), reason: "not a block".into() }),
        }
    }
    fn skipping(&self) -> bool {
        self.top_only && self.depth > 1
    }
}

impl Probe for Collector {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        self.depth += 1;
        if !self.skipping() {
            let (instance, docs) = (name.into(), Docs::default());
            self.stack.push(BlockNode { instance, atoms: vec![], docs, code: node.hdl(), children: vec![] });
            self.namespaces.push(vec![]);
        }
    }
    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        if self.skipping() {
            return;
        }
        if let (Some(node), Some(namespaces)) = (self.stack.last_mut(), self.namespaces.last_mut()) {
            node.docs.take(namespaces, name);
            namespaces.push(name.into());
        }
    }
    fn visit_atom(&mut self, name: &str, atom: &dyn rust_hdl::prelude::Atom) {
        if self.skipping() {
            return;
        }
        let (Some(node), Some(namespaces)) = (self.stack.last_mut(), self.namespaces.last()) else { return };
        let path = namespaces.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("$");
        let descriptor = atom.descriptor();
        let structure = matches!(descriptor.kind, TypeKind::Composite(_)).then(|| descriptor.name.clone());
        let mut fields = vec![];
        flatten(&descriptor, String::new(), &mut 0, &mut fields);
        let value =
            if atom.kind() == AtomKind::Constant { literal_value(&atom.verilog(), atom.bits()) } else { BigUint::ZERO };
        if fields.is_empty() || fields.iter().any(|field| field.width == 0) {
            let path = self.stack.iter().map(|node| node.instance.as_str()).collect::<Vec<_>>().join(".");
            let reason = format!("signal `{name}` has a part of no bits (an enum of one value?)");
            self.error.get_or_insert(PrintError { path, reason });
            return;
        }
        node.atoms.push(Atom { path, kind: atom.kind(), width: atom.bits(), structure, fields, value });
    }
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        if let (false, Some(namespaces)) = (self.skipping(), self.namespaces.last_mut()) {
            namespaces.pop();
        }
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        if !self.skipping() {
            self.namespaces.pop();
            if let Some(node) = self.stack.pop() {
                match self.stack.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => self.done = Some(node),
                }
            }
        }
        self.depth -= 1;
    }
}

fn flatten(descriptor: &TypeDescriptor, name: String, offset: &mut usize, fields: &mut Vec<Field>) {
    let mut leaf = |width, signed, enumeration| {
        fields.push(Field { name: name.clone(), offset: *offset, width, signed, enumeration });
        *offset += width;
    };
    match &descriptor.kind {
        TypeKind::Bits(width) => leaf(*width, false, None),
        TypeKind::Signed(width) => leaf(*width, true, None),
        TypeKind::Enum(variants) => {
            let width = clog2(variants.len());
            let variant = |full: &String| full.rsplit("::").next().unwrap_or(full).to_string();
            let variants = variants.iter().map(variant).collect();
            leaf(width, false, Some(Rc::new(EnumType { name: descriptor.name.clone(), variants, width })));
        }
        TypeKind::Composite(parts) => {
            for part in parts {
                let inner = if name.is_empty() { part.fieldname.clone() } else { format!("{name}_{}", part.fieldname) };
                flatten(&part.kind, inner, offset, fields);
            }
        }
    }
}

/// The bits of a literal, whose value field is private.
pub(super) fn literal_value(literal: &VerilogLiteral, width: usize) -> BigUint {
    let digits = literal_digits(literal.clone());
    match digits.strip_prefix('-') {
        None => BigUint::parse_bytes(digits.as_bytes(), 16).unwrap_or_default(),
        Some(magnitude) => {
            let magnitude = BigUint::parse_bytes(magnitude.as_bytes(), 16).unwrap_or_default();
            (BigUint::from(1u32) << width) - magnitude
        }
    }
}

/// Hex digits of a literal, whose value field is private; `LowerHex` always prints `W'hDIGITS`.
pub fn literal_digits(literal: VerilogLiteral) -> String {
    let text = format!("{literal:x}");
    text.rsplit_once('h').map_or("0", |(_, digits)| digits).to_string()
}

impl Field {
    /// A signal as one vector.
    pub fn whole(atom: &Atom) -> Field {
        let enumeration = atom.fields.first().filter(|_| atom.structure.is_none()).and_then(|f| f.enumeration.clone());
        let signed = atom.structure.is_none() && atom.fields.first().is_some_and(|f| f.signed);
        Field { name: String::new(), offset: 0, width: atom.width, signed, enumeration }
    }
}
