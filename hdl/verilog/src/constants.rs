//! Logic of constants alone: worked out here, because an `always @*` without an input that changes never runs in an
//! event-driven simulator, and leaves X.
use super::error::Result;
use super::ir::{Class, Expr, NetId, Op, Stmt, UnaryOp};
use super::processes::{Piece, PieceKind};
use super::scope::{Role, Scope};
use num_bigint::{BigInt, BigUint};
use std::collections::{BTreeSet, HashMap};

/// Values of the nets that are known.
type Known = HashMap<NetId, BigUint>;

/// Puts continuous assignments of numbers in place of every process that depends on constants alone.
pub(super) fn fold(mut pieces: Vec<Piece>, scope: &Scope) -> Result<Vec<Piece>> {
    let mut known = Known::new();
    loop {
        let before = known.len();
        let mut folded = vec![];
        for piece in pieces {
            match &piece.kind {
                PieceKind::Assign(net, value) => {
                    if let Some(value) = scope.value(value, scope.nets[*net].width, &known) {
                        known.insert(*net, value);
                    }
                    folded.push(piece);
                }
                PieceKind::AssignSlices(net, slices) => {
                    let part = |(offset, width, value): &(usize, usize, Expr)| {
                        Some(scope.value(value, *width, &known)? << offset)
                    };
                    let whole = slices.iter().map(|(_, width, _)| width).sum::<usize>() == scope.nets[*net].width;
                    if let (true, Some(value)) = (whole, slices.iter().map(part).sum::<Option<BigUint>>()) {
                        known.insert(*net, value);
                    }
                    folded.push(piece);
                }
                PieceKind::Process(body) => match process(body, &known, scope)? {
                    Some(values) => {
                        let mut comments = piece.comments;
                        for (net, value) in values {
                            known.insert(net, value.clone());
                            let value = scope.named(net, value);
                            folded.push(Piece {
                                comments: std::mem::take(&mut comments),
                                kind: PieceKind::Assign(net, value),
                            });
                        }
                    }
                    None => folded.push(piece),
                },
            }
        }
        pieces = folded;
        if known.len() == before {
            return Ok(pieces);
        }
    }
}

/// What a process gives its nets, if it reads nothing but constants, known nets and its own.
fn process(body: &[Stmt], known: &Known, scope: &Scope) -> Result<Option<Vec<(NetId, BigUint)>>> {
    let mut written = BTreeSet::new();
    body.iter().for_each(|statement| {
        statement.writes(&mut |net| {
            written.insert(net);
        })
    });
    let mut constant = true;
    body.iter().for_each(|statement| {
        statement.reads(&mut |net, _| {
            constant &=
                written.contains(&net) || known.contains_key(&net) || matches!(scope.nets[net].role, Role::Constant(_));
        })
    });
    if !constant {
        return Ok(None);
    }
    let mut values = known.clone();
    let done = run(body, &mut values, scope);
    let results: Option<Vec<_>> = written.iter().map(|net| Some((*net, values.get(net)?.clone()))).collect();
    match (done, results) {
        (Some(()), Some(results)) => Ok(Some(results)),
        _ => {
            let name = written.first().map(|net| scope.nets[*net].rust_name.as_str()).unwrap_or_default();
            scope.error(format!("`{name}` depends on constants alone, by an operation whose value is not known here"))
        }
    }
}

/// Executes statements.
fn run(body: &[Stmt], values: &mut Known, scope: &Scope) -> Option<()> {
    for statement in body {
        match statement {
            Stmt::Comment(_) => {}
            Stmt::Assign { net, value, .. } => {
                let value = scope.value(value, scope.nets[*net].width, values)?;
                values.insert(*net, value);
            }
            Stmt::AssignSlice { net, offset, width, value } => {
                let value = scope.value(value, *width, values)?;
                let offset = usize::try_from(scope.value(offset, 32, values)?).ok()?;
                let all = ones(scope.nets[*net].width);
                let hole = (ones(*width) << offset) & &all;
                // the bits that no one has assigned yet are assigned later: there are no latches
                let before = values.get(net).cloned().unwrap_or_default();
                values.insert(*net, (before & (&all ^ &hole)) | ((value << offset) & hole));
            }
            Stmt::If { arms, otherwise } => {
                let mut taken = otherwise;
                for (test, body) in arms {
                    if scope.value(test, 1, values)? != BigUint::ZERO {
                        taken = body;
                        break;
                    }
                }
                run(taken, values, scope)?;
            }
            Stmt::Case { test, arms, .. } => {
                let width = scope.width(test).unwrap_or(32);
                let test = scope.value(test, width, values)?;
                for (pattern, body) in arms {
                    let fits = match pattern {
                        None => true,
                        Some(pattern) => scope.value(pattern, width, values)? == test,
                    };
                    if fits {
                        run(body, values, scope)?;
                        break;
                    }
                }
            }
        }
    }
    Some(())
}

fn ones(width: usize) -> BigUint {
    (BigUint::from(1u32) << width) - 1u32
}

/// A number of `width` bits as two's complement.
fn signed(value: BigUint, width: usize) -> BigInt {
    let negative = width > 0 && value.bit(width as u64 - 1);
    BigInt::from(value) - if negative { BigInt::from(1) << width } else { BigInt::ZERO }
}

impl Scope {
    /// The value of an expression whose bare numbers are `width` bits wide, if constants and `known` nets determine it.
    fn value(&self, expr: &Expr, width: usize, known: &Known) -> Option<BigUint> {
        let own = |expr: &Expr| self.width(expr);
        Some(match expr {
            Expr::Net(net) => match &self.nets[*net].role {
                Role::Constant(value) => value.clone(),
                _ => known.get(net)?.clone(),
            },
            Expr::Literal(value) => value & ones(width),
            Expr::Enum(id) => BigUint::from(self.enums[*id].value),
            Expr::Binary(op, left, right) => match expr.literal() {
                Some(value) => value & ones(width),
                None => self.binary_value(*op, left, right, width, known)?,
            },
            Expr::Unary(op, inner) => {
                let inner_width = own(inner).unwrap_or(width);
                let value = self.value(inner, inner_width, known)?;
                let all = ones(inner_width);
                match op {
                    UnaryOp::Not => value ^ all,
                    UnaryOp::Negate => ((BigUint::from(1u32) << inner_width) - value) & all,
                    UnaryOp::All => BigUint::from(u8::from(value == all)),
                    UnaryOp::Any => BigUint::from(u8::from(value != BigUint::ZERO)),
                    UnaryOp::Parity => BigUint::from(value.count_ones() & 1),
                }
            }
            Expr::Extend(width, inner) => self.value(inner, own(inner).unwrap_or(*width), known)?,
            Expr::Slice(base, width, offset) => {
                let offset = usize::try_from(self.value(offset, 32, known)?).ok()?;
                (self.value(base, own(base)?, known)? >> offset) & ones(*width)
            }
            Expr::Bit(base, index) => {
                let index = usize::try_from(self.value(index, 32, known)?).ok()?;
                (self.value(base, own(base)?, known)? >> index) & ones(1)
            }
            Expr::Concat(parts) => {
                let mut offset = 0;
                let mut sum = BigUint::ZERO;
                for part in parts {
                    let width = own(part).unwrap_or(1);
                    sum |= self.value(part, width, known)? << offset;
                    offset += width;
                }
                sum
            }
            Expr::Choice(test, yes, no) => {
                let taken = if self.value(test, 1, known)? == BigUint::ZERO { no } else { yes };
                self.value(taken, width, known)?
            }
            Expr::Signed(inner) | Expr::Unsigned(inner) => self.value(inner, width, known)?,
            Expr::Replace(..) => return None, // lowering leaves none
        })
    }

    fn binary_value(&self, op: Op, left: &Expr, right: &Expr, width: usize, known: &Known) -> Option<BigUint> {
        let is_signed = self.is_signed(left) || self.is_signed(right);
        let both = match op.class() {
            Class::Arithmetic => self.width(left).or(self.width(right)).unwrap_or(width),
            Class::Comparison => self.width(left).or(self.width(right)).unwrap_or(32),
            Class::Logical => 1,
            Class::Shift => self.width(left).unwrap_or(width),
            Class::Product => {
                let (w, v) = (self.width(left)?, self.width(right)?);
                let (a, b) = (self.value(left, w, known)?, self.value(right, v, known)?);
                if !is_signed {
                    return Some(a * b);
                }
                let product = signed(a, w) * signed(b, v);
                return ((product + (BigInt::from(1) << (w + v))) % (BigInt::from(1) << (w + v))).to_biguint();
            }
        };
        let a = self.value(left, both, known)?;
        let b = self.value(right, if op.class() == Class::Shift { 32 } else { both }, known)?;
        let bit = |value: bool| Some(BigUint::from(u8::from(value)));
        let order = if is_signed { signed(a.clone(), both).cmp(&signed(b.clone(), both)) } else { a.cmp(&b) };
        match op {
            Op::Add => Some((a + b) & ones(both)),
            Op::Subtract => Some(((BigUint::from(1u32) << both) + a - b) & ones(both)),
            Op::And | Op::LogicalAnd => Some(a & b),
            Op::Or | Op::LogicalOr => Some(a | b),
            Op::Xor => Some(a ^ b),
            Op::Multiply => None, // of the class above
            Op::Equal => bit(order.is_eq()),
            Op::NotEqual => bit(order.is_ne()),
            Op::Less => bit(order.is_lt()),
            Op::LessEqual => bit(order.is_le()),
            Op::Greater => bit(order.is_gt()),
            Op::GreaterEqual => bit(order.is_ge()),
            Op::ShiftLeft | Op::ShiftRight => {
                let amount = usize::try_from(b).ok().filter(|amount| *amount < both);
                Some(match (amount, op) {
                    (None, _) => BigUint::ZERO,
                    (Some(amount), Op::ShiftLeft) => (a << amount) & ones(both),
                    (Some(amount), _) => a >> amount,
                })
            }
        }
    }

    /// A value of a net, by its name if it has one.
    fn named(&self, net: NetId, value: BigUint) -> Expr {
        let name = self.nets[net].enumeration.as_ref().and_then(|enumeration| self.value_of(enumeration, &value));
        name.map_or(Expr::Literal(value), Expr::Enum)
    }
}
