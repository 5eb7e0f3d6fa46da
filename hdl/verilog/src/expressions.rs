//! Expressions: from rust-hdl's syntax tree to values of known width that Verilog computes as Rust does.
//!
//! Verilog cannot take a slice of anything but a net, so such parts become temporaries. Widths are those
//! that Rust gave: every operand of an operator is as wide as Rust had it, casts are explicit.
use super::collect::literal_value;
use super::error::Result;
use super::ir::{Class, Expr, NetId, Op, Stmt, UnaryOp};
use super::paths::Loops;
use super::scope::Scope;
use num_bigint::BigUint;
use rust_hdl::prelude::ast::{VerilogExpression, VerilogOp, VerilogOpUnary};
use std::collections::{BTreeMap, BTreeSet};

/// Translates one block's code.
pub(super) struct Lowering<'a> {
    pub scope: &'a mut Scope,
    pub loops: Loops,
    /// What the statement being translated assigns; temporaries are called after it.
    pub purpose: String,
}

impl Lowering<'_> {
    /// The value of an expression; statements for its temporaries go to `out`.
    pub fn value(&mut self, tree: &VerilogExpression, out: &mut Vec<Stmt>) -> Result<Expr> {
        use VerilogExpression as V;
        Ok(match tree {
            V::Signal(name) => self.signal(name)?,
            V::Literal(literal) => Expr::Literal(literal_value(literal, 64)),
            V::Paren(inner) => self.value(inner, out)?,
            V::Cast(inner, width) => {
                let inner = self.value(inner, out)?;
                self.resize(inner, *width, out)?
            }
            V::Signed(inner) => Expr::Signed(Box::new(self.value(inner, out)?)),
            V::Unsigned(inner) => Expr::Unsigned(Box::new(self.value(inner, out)?)),
            V::Binary(left, op, right) => {
                let (left, right) = (self.value(left, out)?, self.value(right, out)?);
                self.binary(operator(op), left, right)?
            }
            V::Unary(op, inner) => {
                let inner = Box::new(self.value(inner, out)?);
                let value = Expr::Unary(
                    match op {
                        VerilogOpUnary::Not => UnaryOp::Not,
                        VerilogOpUnary::Neg => UnaryOp::Negate,
                        VerilogOpUnary::All => UnaryOp::All,
                        VerilogOpUnary::Any => UnaryOp::Any,
                        VerilogOpUnary::Xor => UnaryOp::Parity,
                    },
                    inner,
                );
                self.worked_out(value)
            }
            V::Index(base, index) => {
                let (base, index) = (self.value(base, out)?, self.value(index, out)?);
                self.bit(base, index, out)?
            }
            V::Slice(base, width, offset) => {
                let (base, offset) = (self.value(base, out)?, self.value(offset, out)?);
                self.slice(base, *width, offset, out)?
            }
            V::IndexReplace(base, index, bit) => {
                let base = Box::new(self.value(base, out)?);
                let index = Box::new(self.value(index, out)?);
                Expr::Replace(base, index, Box::new(self.value(bit, out)?))
            }
        })
    }

    /// As [`Lowering::value`] with nothing left that only an assignment of its own can express.
    pub fn operand(&mut self, tree: &VerilogExpression, out: &mut Vec<Stmt>) -> Result<Expr> {
        let value = self.value(tree, out)?;
        self.without_replace(value, out)
    }

    fn signal(&mut self, name: &str) -> Result<Expr> {
        if let Some(value) = self.loops.get(name) {
            return Ok(Expr::number(value));
        }
        let path = self.loops.resolve(name, &self.scope.path)?;
        if let Some(signal) = self.scope.signal(&path) {
            return Ok(match signal.parts.as_slice() {
                [(net, _)] => Expr::Net(*net),
                parts => Expr::Concat(parts.iter().map(|(net, _)| Expr::Net(*net)).collect()),
            });
        }
        if let Some(value) = self.scope.enum_value(&path) {
            return Ok(Expr::Enum(value));
        }
        self.scope.error(format!(
            "`{name}` is not a signal, a `Constant` field, a loop variable or an enum value; `#[hdl_gen]` does not see \
             consts and const generics: use a `Constant` field"
        ))
    }

    fn binary(&self, op: Op, left: Expr, right: Expr) -> Result<Expr> {
        let widths = (self.scope.width(&left), self.scope.width(&right));
        if op.class() == Class::Arithmetic {
            if let (Some(a), Some(b)) = widths {
                if a != b {
                    return self.scope.error(format!(
                        "`{}` of {a} and {b} bits: arithmetic with `index()` does not translate, `bit_cast` first",
                        op.text()
                    ));
                }
            }
        }
        if op.class() != Class::Comparison {
            let value = self.without_constant(op, left, right);
            return Ok(match &value {
                Expr::Binary(op, left, right) => self.scope.beside(*op, left, right).unwrap_or(value),
                _ => value,
            });
        }
        Ok(match widths {
            // numbers out of `index()` can have any widths
            (Some(a), Some(b)) if a < b => self.compare(op, Expr::extend(b, left), right, b),
            (Some(a), Some(b)) if a > b => self.compare(op, left, Expr::extend(a, right), a),
            (Some(width), _) | (None, Some(width)) => self.compare(op, left, right, width),
            _ => Expr::binary(op, left, right),
        })
    }

    /// The value if numbers alone make it: the names of constants stay in the text.
    fn plain_number(&self, value: &Expr) -> Option<BigUint> {
        let mut named = false;
        value.reads(&mut |_, _| named = true);
        let mut enums = BTreeSet::new();
        value.enums(&mut enums);
        self.scope.constant(value).filter(|_| !named && enums.is_empty())
    }

    /// What numbers alone make, as a number.
    fn worked_out(&self, value: Expr) -> Expr {
        match (self.scope.width(&value), self.plain_number(&value)) {
            (Some(width), Some(number)) => Expr::extend(width, Expr::Literal(number & ones(width))),
            _ => value,
        }
    }

    /// Logic with a constant operand, as configurations and unrolled loops make it.
    fn without_constant(&self, op: Op, left: Expr, right: Expr) -> Expr {
        let Some(width) = self.scope.width(&left).or(self.scope.width(&right)) else {
            return Expr::binary(op, left, right);
        };
        let neutral = match op {
            Op::And | Op::LogicalAnd => ones(width),
            Op::Or | Op::LogicalOr => BigUint::ZERO,
            Op::ShiftLeft if right.index() == Some(0) => return left,
            _ => return self.worked_out(Expr::binary(op, left, right)),
        };
        let known = |value: &Expr| if width == 1 { self.scope.constant(value) } else { self.plain_number(value) };
        let deciding = &neutral ^ ones(width);
        match (known(&left), known(&right)) {
            (Some(value), _) if value == neutral => right,
            (_, Some(value)) if value == neutral => left,
            (Some(value), _) | (_, Some(value)) if value == deciding => Expr::extend(width, Expr::Literal(value)),
            _ => self.worked_out(Expr::binary(op, left, right)),
        }
    }

    /// A comparison whose result is known from a constant on one side that the other one, of `width` bits, never or
    /// always is below or above: lint tools object to those. The constant may also be too large for the width.
    fn compare(&self, op: Op, left: Expr, right: Expr, width: usize) -> Expr {
        let plain = Expr::binary(op, left.clone(), right.clone());
        if self.scope.is_signed(&left) || self.scope.is_signed(&right) {
            return plain;
        }
        // as `value OP constant`
        let (op, known) = match (self.scope.constant(&left), self.scope.constant(&right)) {
            (None, Some(known)) => (op, known),
            (Some(known), None) => match op {
                Op::Less => (Op::Greater, known),
                Op::LessEqual => (Op::GreaterEqual, known),
                Op::Greater => (Op::Less, known),
                Op::GreaterEqual => (Op::LessEqual, known),
                op => (op, known),
            },
            _ => return plain,
        };
        let largest = (BigUint::from(1u32) << width) - 1u32;
        let result = match op {
            Op::Equal if known > largest => Some(false),
            Op::NotEqual if known > largest => Some(true),
            Op::Less if known == BigUint::ZERO => Some(false),
            Op::GreaterEqual if known == BigUint::ZERO => Some(true),
            Op::Less if known > largest => Some(true),
            Op::GreaterEqual if known > largest => Some(false),
            Op::LessEqual if known >= largest => Some(true),
            Op::Greater if known >= largest => Some(false),
            _ => None,
        };
        result.map_or(plain, |truth| Expr::extend(1, Expr::number(truth as usize)))
    }

    /// Widens or narrows a value.
    pub fn resize(&mut self, value: Expr, width: usize, out: &mut Vec<Stmt>) -> Result<Expr> {
        match self.scope.width(&value) {
            Some(own) if own == width => Ok(value),
            Some(own) if own > width => self.slice(value, width, Expr::number(0), out),
            _ => Ok(match value {
                Expr::Extend(_, inner) => Expr::Extend(width, inner),
                value => Expr::extend(width, value),
            }),
        }
    }

    /// `width` bits from `offset` on; zeros past the top.
    pub fn slice(&mut self, base: Expr, width: usize, offset: Expr, out: &mut Vec<Stmt>) -> Result<Expr> {
        let Some(own) = self.scope.width(&base) else {
            return self.scope.error("a slice of a bare number");
        };
        let Some(start) = offset.index() else { return self.variable_slice(base, own, width, offset, out) };
        if start == 0 && width == own {
            return Ok(base);
        }
        if start >= own {
            return Ok(Expr::extend(width, Expr::number(0)));
        }
        if start + width > own {
            let part = self.slice(base, own - start, offset, out)?;
            return Ok(Expr::extend(width, part));
        }
        match base {
            Expr::Net(_) => Ok(Expr::slice(base, width, offset)),
            Expr::Extend(_, ref inner) if inner.literal().is_some() => {
                let number = inner.literal().unwrap_or_default();
                Ok(Expr::extend(width, Expr::Literal((number >> start) & ones(width))))
            }
            Expr::Slice(inner, _, inner_start) if inner_start.index().is_some() => {
                let start = start + inner_start.index().unwrap_or(0);
                self.slice(*inner, width, Expr::number(start), out)
            }
            Expr::Concat(parts) => self.slice_of_parts(parts, width, start, out),
            Expr::Extend(_, inner) if self.scope.width(&inner).is_some() => self.slice(*inner, width, offset, out),
            base => {
                let net = self.temporary(base, out)?;
                self.slice(net, width, offset, out)
            }
        }
    }

    fn slice_of_parts(&mut self, parts: Vec<Expr>, width: usize, start: usize, out: &mut Vec<Stmt>) -> Result<Expr> {
        let mut place = 0;
        let mut found = vec![];
        for part in parts {
            let Some(part_width) = self.scope.width(&part) else { return self.scope.error("a part without width") };
            let (low, high) = (start.max(place), (start + width).min(place + part_width));
            if low < high {
                found.push(self.slice(part, high - low, Expr::number(low - place), out)?);
            }
            place += part_width;
        }
        Ok(if found.len() == 1 { found.remove(0) } else { Expr::Concat(found) })
    }

    fn variable_slice(
        &mut self,
        base: Expr,
        own: usize,
        width: usize,
        offset: Expr,
        out: &mut Vec<Stmt>,
    ) -> Result<Expr> {
        let offset = self.without_replace(offset, out)?;
        let offset_width = self.scope.width(&offset).unwrap_or(64);
        let stays_inside = offset_width < 31 && (1usize << offset_width) - 1 + width <= own;
        let base = self.net(base, out)?;
        if stays_inside {
            let offset = self.fit_index(offset, own, out)?;
            return Ok(Expr::slice(base, width, offset));
        }
        // a shift fills with zeros as Rust does; a slice past the top would be undefined
        let shifted = Expr::binary(Op::ShiftRight, base, offset);
        let net = self.temporary(shifted, out)?;
        self.slice(net, width, Expr::number(0), out)
    }

    fn bit(&mut self, base: Expr, index: Expr, out: &mut Vec<Stmt>) -> Result<Expr> {
        let Some(own) = self.scope.width(&base) else {
            return self.scope.error("a bit of a bare number");
        };
        if let Some(place) = index.index() {
            if place >= own {
                return self.scope.error(format!("bit {place} of a value of {own} bits"));
            }
            return self.slice(base, 1, index, out);
        }
        let base = self.net(base, out)?;
        let index = self.without_replace(index, out)?;
        if own == 1 {
            return Ok(base);
        }
        let index = self.fit_index(index, own, out)?;
        Ok(Expr::Bit(Box::new(base), Box::new(index)))
    }

    /// An index into `size` bits, as wide as lint wants it.
    pub fn fit_index(&mut self, index: Expr, size: usize, out: &mut Vec<Stmt>) -> Result<Expr> {
        let needed = (usize::BITS - (size - 1).leading_zeros()) as usize;
        self.resize(index, needed.max(1), out)
    }

    fn net(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Result<Expr> {
        match value {
            Expr::Net(_) => Ok(value),
            value => self.temporary(value, out),
        }
    }

    /// Gives a value a net of its own.
    pub fn temporary(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Result<Expr> {
        let value = self.without_replace(value, out)?;
        let Some(width) = self.scope.width(&value) else {
            return self.scope.error("a part of an expression has no width: give it a `Signal<Local, _>`");
        };
        let signed = self.scope.is_signed(&value);
        let net = self.scope.temporary(&self.purpose, width, signed);
        out.push(Stmt::Assign { net, value, link: false });
        Ok(Expr::Net(net))
    }

    /// Replaces `replace_bit` further inside by statements.
    pub fn without_replace(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Result<Expr> {
        let mut boxed = |this: &mut Self, part: Box<Expr>| Ok(Box::new(this.without_replace(*part, out)?));
        Ok(match value {
            Expr::Replace(base, index, bit) => {
                let Some(width) = self.scope.width(&base) else { return self.scope.error("a bit of a bare number") };
                let net = self.scope.temporary(&self.purpose, width, false);
                self.replace_bit(net, *base, *index, *bit, out)?;
                Expr::Net(net)
            }
            Expr::Binary(op, left, right) => Expr::Binary(op, boxed(self, left)?, boxed(self, right)?),
            Expr::Unary(op, inner) => Expr::Unary(op, boxed(self, inner)?),
            Expr::Extend(width, inner) => Expr::Extend(width, boxed(self, inner)?),
            Expr::Signed(inner) => Expr::Signed(boxed(self, inner)?),
            Expr::Unsigned(inner) => Expr::Unsigned(boxed(self, inner)?),
            other => other,
        })
    }

    /// Several constant bits replaced in a number: the bits next to each other.
    fn as_parts(&mut self, chain: Expr, width: usize, out: &mut Vec<Stmt>) -> Result<Expr> {
        let mut bits = BTreeMap::new();
        let mut base = &chain;
        while let Expr::Replace(inner, index, bit) = base {
            let Some(place) = index.index().filter(|place| *place < width) else { return Ok(chain) };
            bits.entry(place).or_insert(bit);
            base = inner;
        }
        let Some(number) = base.literal() else { return Ok(chain) };
        let mut parts = vec![];
        let mut place = 0;
        while place < width {
            match bits.get(&place) {
                Some(bit) => {
                    let bit = self.without_replace(bit.as_ref().clone(), out)?;
                    parts.push(self.resize(bit, 1, out)?);
                    place += 1;
                }
                None => {
                    let run = (place..width).take_while(|place| !bits.contains_key(place)).count();
                    let value = (&number >> place) & ((BigUint::from(1u32) << run) - 1u32);
                    parts.push(Expr::extend(run, Expr::Literal(value)));
                    place += run;
                }
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Concat(parts) })
    }

    /// `net = base.replace_bit(index, bit)`.
    pub fn replace_bit(&mut self, net: NetId, base: Expr, index: Expr, bit: Expr, out: &mut Vec<Stmt>) -> Result<()> {
        let width = self.scope.nets[net].width;
        let chain = Expr::Replace(Box::new(base), Box::new(index), Box::new(bit));
        let (base, index, bit) = match self.as_parts(chain, width, out)? {
            Expr::Replace(base, index, bit) => (*base, *index, *bit),
            value => {
                out.push(Stmt::Assign { net, value, link: false });
                return Ok(());
            }
        };
        let base = self.without_replace(base, out)?;
        let index = self.without_replace(index, out)?;
        let bit = self.without_replace(bit, out)?;
        let mut reads_target = false;
        index.reads(&mut |read, _| reads_target |= read == net);
        bit.reads(&mut |read, _| reads_target |= read == net);
        if index.index().is_some_and(|place| place >= width) {
            return self.scope.error(format!("a bit outside of `{}`", self.scope.nets[net].rust_name));
        }
        if index.index().is_none() || reads_target {
            // masks: a variable bit select on the left costs a subtractor in yosys
            let value = replace_by_mask(base, index, bit, width);
            out.push(Stmt::Assign { net, value, link: false });
            return Ok(());
        }
        if base != Expr::Net(net) {
            out.push(Stmt::Assign { net, value: base, link: false });
        }
        out.push(Stmt::AssignSlice { net, offset: index, width: 1, value: bit });
        Ok(())
    }
}

fn ones(width: usize) -> BigUint {
    (BigUint::from(1u32) << width) - 1u32
}

/// `(base & ~(1 << index)) | (bit << index)`, or half of it when the bit is a constant.
fn replace_by_mask(base: Expr, index: Expr, bit: Expr, width: usize) -> Expr {
    let shifted = |value| Expr::binary(Op::ShiftLeft, Expr::extend(width, value), index.clone());
    let one = shifted(Expr::number(1));
    let cleared = Expr::binary(Op::And, base.clone(), Expr::Unary(UnaryOp::Not, Box::new(one.clone())));
    match bit.literal() {
        Some(value) if value == BigUint::ZERO => cleared,
        Some(_) => Expr::binary(Op::Or, base, one),
        None => Expr::binary(Op::Or, cleared, shifted(bit)),
    }
}

fn operator(op: &VerilogOp) -> Op {
    match op {
        VerilogOp::Add => Op::Add,
        VerilogOp::Sub => Op::Subtract,
        VerilogOp::Mul => Op::Multiply,
        VerilogOp::LogicalAnd => Op::LogicalAnd,
        VerilogOp::LogicalOr => Op::LogicalOr,
        VerilogOp::BitXor => Op::Xor,
        VerilogOp::BitAnd => Op::And,
        VerilogOp::BitOr => Op::Or,
        VerilogOp::Shl => Op::ShiftLeft,
        VerilogOp::Shr => Op::ShiftRight,
        VerilogOp::Eq => Op::Equal,
        VerilogOp::Ne => Op::NotEqual,
        VerilogOp::Lt => Op::Less,
        VerilogOp::Le => Op::LessEqual,
        VerilogOp::Gt => Op::Greater,
        VerilogOp::Ge => Op::GreaterEqual,
    }
}
