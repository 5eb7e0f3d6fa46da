//! The nets of one module: its ports, constants and locals, and the ports of the blocks inside.
use super::collect::{Atom, BlockNode, EnumType};
use super::error::{PrintError, Result};
use super::ir::{Class, EnumId, Expr, NetId, UnaryOp};
use super::names::{identifier, upper_case, Names};
use super::registers;
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;

/// What a net is to the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    /// Input port.
    Input,
    /// Output port.
    Output,
    /// Port for both directions; only hand-written text may use it.
    InOut,
    /// `Signal<Local, _>`.
    Local,
    /// `Constant<_>` with its value.
    Constant(BigUint),
    /// Input of a block inside.
    ChildInput,
    /// Output of a block inside.
    ChildOutput,
    /// Made by the printer for a part of an expression.
    Temporary,
}

/// A Verilog net.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// Name in the text.
    pub name: String,
    /// Name in the Rust source, for errors.
    pub rust_name: String,
    /// Bits.
    pub width: usize,
    /// Two's complement.
    pub signed: bool,
    /// What it is.
    pub role: Role,
    /// Its values have names.
    pub enumeration: Option<Rc<EnumType>>,
}

impl Net {
    /// The field of the block that it belongs to.
    pub fn field(&self) -> &str {
        self.rust_name.split('.').next().unwrap_or_default()
    }
}

/// A signal of the Rust source: one net, or one per field of a struct.
#[derive(Clone, Debug)]
pub(super) struct SignalNets {
    /// Nets and their places in the signal, the least significant first.
    pub parts: Vec<(NetId, usize)>,
    /// Bits.
    pub width: usize,
}

/// A named value of an enum.
pub(super) struct EnumValue {
    /// Name in the text.
    pub name: String,
    /// Its number.
    pub value: usize,
    /// The type.
    pub enumeration: Rc<EnumType>,
}

/// All that has a name in one module.
pub(super) struct Scope {
    /// Path of the block, for errors.
    pub path: String,
    /// Nets by number.
    pub nets: Vec<Net>,
    /// Enum values by number.
    pub enums: Vec<EnumValue>,
    /// Names that are taken.
    pub names: Names,
    signals: HashMap<String, SignalNets>,
    enum_values: HashMap<String, EnumId>,
}

impl Scope {
    /// The nets of a block. `children`: the ports of the blocks inside, too.
    pub fn new(node: &BlockNode, path: &str, children: bool) -> Result<Self> {
        let mut scope = Scope {
            path: path.into(),
            nets: vec![],
            enums: vec![],
            names: Names::default(),
            signals: HashMap::new(),
            enum_values: HashMap::new(),
        };
        let ports: Vec<_> = node.ports().collect();
        scope.declare("", "", &ports, node.is_custom(), false)?;
        let inner: Vec<_> = node.atoms.iter().filter(|atom| !atom.kind.is_parameter()).collect();
        scope.declare("", "", &inner, false, false)?;
        if children {
            for child in &node.children {
                let ports: Vec<_> = child.ports().collect();
                let instance = format!("{}$", child.instance);
                if registers::recognise(child).is_some() {
                    scope.declare_register(&child.instance, &ports)?;
                } else {
                    scope.declare(&instance, &instance, &ports, false, true)?;
                }
            }
        }
        Ok(scope)
    }

    /// An error of this block.
    pub fn error<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(PrintError { path: self.path.clone(), reason: reason.into() })
    }

    /// The signal of a Rust path, `$` between the parts.
    pub fn signal(&self, path: &str) -> Option<&SignalNets> {
        self.signals.get(path)
    }

    /// The enum value of a Rust path, `Type$Variant` at the end.
    pub fn enum_value(&self, path: &str) -> Option<EnumId> {
        let mut parts = path.rsplit('$');
        let (variant, name) = (parts.next()?, parts.next()?);
        self.enum_values.get(&format!("{name}${variant}")).copied()
    }

    /// The name of an enum's value.
    pub fn value_of(&self, enumeration: &EnumType, value: &BigUint) -> Option<EnumId> {
        let variant = enumeration.variants.get(usize::try_from(value).ok()?)?;
        self.enum_values.get(&format!("{}${variant}", enumeration.name)).copied()
    }

    /// A new net for a part of the value of `purpose`.
    pub fn temporary(&mut self, purpose: &str, width: usize, signed: bool) -> NetId {
        let name = self.names.fresh(&format!("{purpose}_term"));
        self.nets.push(Net {
            rust_name: format!("a part of the value of `{purpose}`"),
            name,
            width,
            signed,
            role: Role::Temporary,
            enumeration: None,
        });
        self.nets.len() - 1
    }

    /// Nets for `atoms`, all with the prefix in their names. `whole`: a struct is one vector.
    fn declare(&mut self, key: &str, prefix: &str, atoms: &[&Atom], whole: bool, child: bool) -> Result<()> {
        let short_names = if whole { vec![] } else { self.short_names(prefix, atoms) };
        for atom in atoms {
            let mut parts = vec![];
            let constant = atom.kind == AtomKind::Constant;
            let base =
                if short_names.contains(&atom.path.as_str()) { stream_name(&atom.path) } else { atom.path.as_str() };
            let fields = if whole { vec![super::collect::Field::whole(atom)] } else { atom.fields.clone() };
            for field in fields {
                let mut name = format!("{prefix}{base}");
                if !field.name.is_empty() {
                    name = format!("{name}_{}", field.name);
                }
                let name = if constant { upper_case(&name) } else { name };
                let role = match (atom.kind, child) {
                    (AtomKind::InputParameter, false) => Role::Input,
                    (AtomKind::InputParameter, true) => Role::ChildInput,
                    (AtomKind::OutputParameter | AtomKind::OutputPassthrough, false) => Role::Output,
                    (AtomKind::OutputParameter | AtomKind::OutputPassthrough, true) => Role::ChildOutput,
                    (AtomKind::InOutParameter, false) => Role::InOut,
                    (AtomKind::InOutParameter, true) => {
                        return self.error(format!("inout port `{key}{}`: write a wrapper", atom.path));
                    }
                    (AtomKind::Constant, _) => {
                        let mask = (BigUint::from(1u32) << field.width) - 1u32;
                        Role::Constant((&atom.value >> field.offset) & mask)
                    }
                    _ => Role::Local,
                };
                let rust_name = rust_name(&format!("{key}{}", atom.path), &field.name);
                parts.push((self.net(name, rust_name, &field, role)?, field.offset));
            }
            self.signals.insert(format!("{key}{}", atom.path), SignalNets { parts, width: atom.width });
        }
        Ok(())
    }

    /// A register `state` has the nets `state` and `state_next`, or `state_reg` and `state_reg_next` where something else, or a keyword,
    /// has one of those names already. What is called `flag_next` itself gets a `flag_next_value`.
    fn declare_register(&mut self, instance: &str, atoms: &[&Atom]) -> Result<()> {
        // two names that belong together, also where a port has one of them already
        let fields: Vec<_> = atoms.iter().filter(|atom| atom.path == "q").flat_map(|atom| &atom.fields).collect();
        let suffixes = || {
            fields.iter().map(|field| if field.name.is_empty() { String::new() } else { format!("_{}", field.name) })
        };
        let next = |name: &str| match name.ends_with("_next") {
            true => format!("{name}_value"),
            false => format!("{name}_next"),
        };
        let free = |name: &str| {
            self.names.is_free(name) && self.names.is_free(&next(name)) && identifier(name) == name.replace('$', "_")
        };
        let plain = suffixes().all(|suffix| free(&format!("{instance}{suffix}")));
        let base = if plain { instance.to_string() } else { format!("{instance}_reg") };
        // the present value first, as a reader expects it
        let order = ["q", "d", "clock", "reset"];
        for atom in order.iter().filter_map(|port| atoms.iter().find(|atom| atom.path == *port)) {
            let mut parts = vec![];
            for field in &atom.fields {
                let field_name = if field.name.is_empty() { String::new() } else { format!("_{}", field.name) };
                let (name, role) = match atom.path.as_str() {
                    "q" => (format!("{base}{field_name}"), Role::ChildOutput),
                    "d" => (next(&format!("{base}{field_name}")), Role::ChildInput),
                    port => (format!("{instance}_{port}"), Role::ChildInput),
                };
                let rust_name = rust_name(&format!("{instance}.{}", atom.path), &field.name);
                parts.push((self.net(name, rust_name, field, role)?, field.offset));
            }
            self.signals.insert(format!("{instance}${}", atom.path), SignalNets { parts, width: atom.width });
        }
        Ok(())
    }

    fn net(&mut self, name: String, rust_name: String, field: &super::collect::Field, role: Role) -> Result<NetId> {
        let name = self.names.fresh(&name);
        if let Some(enumeration) = &field.enumeration {
            self.declare_enum(enumeration)?;
        }
        self.nets.push(Net {
            name,
            rust_name,
            width: field.width,
            signed: field.signed,
            role,
            enumeration: field.enumeration.clone(),
        });
        Ok(self.nets.len() - 1)
    }

    /// The paths of struct-valued stream payloads (`request$data`) whose fields can be called `request_address`
    /// instead of `request_data_address`.
    fn short_names<'a>(&self, prefix: &str, atoms: &[&'a Atom]) -> Vec<&'a str> {
        let is_payload = |atom: &&&Atom| atom.structure.is_some() && atom.path.ends_with("$data");
        let mut others = Names::default();
        for atom in atoms.iter().filter(|atom| !is_payload(atom)) {
            others.fresh(&atom.path);
        }
        let mut short = vec![];
        for atom in atoms.iter().filter(is_payload) {
            let name = |field: &super::collect::Field| format!("{}_{}", stream_name(&atom.path), field.name);
            let free = |name: &str| others.is_free(name) && self.names.is_free(&format!("{prefix}{name}"));
            if atom.fields.iter().all(|field| free(&name(field))) {
                atom.fields.iter().for_each(|field| {
                    others.fresh(&name(field));
                });
                short.push(atom.path.as_str());
            }
        }
        short
    }

    fn declare_enum(&mut self, enumeration: &Rc<EnumType>) -> Result<()> {
        for (value, variant) in enumeration.variants.iter().enumerate() {
            let key = format!("{}${variant}", enumeration.name);
            match self.enum_values.get(&key) {
                Some(id) if self.enums[*id].enumeration == *enumeration => {}
                Some(_) => return self.error(format!("two different enums are called `{}`", enumeration.name)),
                None => {
                    let name = format!("{}_{}", upper_case(&enumeration.name), upper_case(variant));
                    let name = self.names.fresh(&name);
                    self.enum_values.insert(key, self.enums.len());
                    self.enums.push(EnumValue { name, value, enumeration: enumeration.clone() });
                }
            }
        }
        Ok(())
    }

    /// Bits of a value; a bare literal has none of its own.
    pub fn width(&self, expr: &Expr) -> Option<usize> {
        Some(match expr {
            Expr::Net(net) => self.nets[*net].width,
            Expr::Literal(_) => return None,
            Expr::Enum(id) => self.enums[*id].enumeration.width,
            Expr::Binary(op, left, right) => match op.class() {
                Class::Arithmetic => return self.width(left).or(self.width(right)),
                Class::Product => self.width(left)? + self.width(right)?,
                Class::Comparison | Class::Logical => 1,
                Class::Shift => return self.width(left),
            },
            Expr::Unary(UnaryOp::Not | UnaryOp::Negate, value) => return self.width(value),
            Expr::Unary(..) | Expr::Bit(..) => 1,
            Expr::Extend(width, _) | Expr::Slice(_, width, _) => *width,
            Expr::Replace(base, ..) => return self.width(base),
            Expr::Choice(_, yes, no) => return self.width(yes).or(self.width(no)),
            Expr::Concat(parts) => parts.iter().map(|part| self.width(part)).sum::<Option<usize>>()?,
            Expr::Signed(value) | Expr::Unsigned(value) => return self.width(value),
        })
    }

    /// Verilog takes the value as two's complement.
    pub fn is_signed(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Net(net) => self.nets[*net].signed,
            Expr::Signed(_) => true,
            Expr::Binary(op, left, right) => match op.class() {
                Class::Arithmetic | Class::Product => self.is_signed(left) || self.is_signed(right),
                Class::Shift => self.is_signed(left),
                _ => false,
            },
            Expr::Unary(UnaryOp::Not | UnaryOp::Negate, value) => self.is_signed(value),
            _ => false,
        }
    }

    /// The value, if constants alone determine it.
    pub fn constant(&self, expr: &Expr) -> Option<BigUint> {
        let mask = |width: usize, value: BigUint| value & ((BigUint::from(1u32) << width) - 1u32);
        Some(match expr {
            Expr::Net(net) => match &self.nets[*net].role {
                Role::Constant(value) => value.clone(),
                _ => return None,
            },
            Expr::Literal(value) => value.clone(),
            Expr::Enum(id) => BigUint::from(self.enums[*id].value),
            Expr::Binary(op, left, right) => {
                if self.is_signed(left) || self.is_signed(right) {
                    return None;
                }
                let (a, b) = (self.constant(left)?, self.constant(right)?);
                use super::ir::Op::*;
                let bit = |value: bool| BigUint::from(value as u8);
                match op {
                    Equal => bit(a == b),
                    NotEqual => bit(a != b),
                    Less => bit(a < b),
                    LessEqual => bit(a <= b),
                    Greater => bit(a > b),
                    GreaterEqual => bit(a >= b),
                    And | LogicalAnd => a & b,
                    Or | LogicalOr => a | b,
                    Xor => a ^ b,
                    Add => mask(self.width(expr)?, a + b),
                    ShiftLeft => {
                        mask(self.width(expr)?, a << usize::try_from(b).ok().filter(|places| *places < 1 << 16)?)
                    }
                    ShiftRight => a >> usize::try_from(b).ok()?,
                    _ => return None,
                }
            }
            Expr::Unary(UnaryOp::Not, value) => {
                let width = self.width(value)?;
                self.constant(value)? ^ mask(width, (BigUint::from(1u32) << width) - 1u32)
            }
            Expr::Unary(UnaryOp::Any, value) => BigUint::from((self.constant(value)? != BigUint::ZERO) as u8),
            Expr::Extend(_, value) => self.constant(value)?,
            Expr::Slice(base, width, offset) => mask(*width, self.constant(base)? >> offset.index()?),
            Expr::Bit(base, index) => mask(1, self.constant(base)? >> index.index()?),
            _ => return None,
        })
    }
}

/// `request$data` without `$data`.
fn stream_name(path: &str) -> &str {
    path.strip_suffix("$data").unwrap_or(path)
}

fn rust_name(path: &str, field: &str) -> String {
    let path = path.replace('$', ".");
    if field.is_empty() {
        path
    } else {
        format!("{path}.{field}")
    }
}
