//! What a block does, in terms of nets: between rust-hdl's syntax tree and the text.
use num_bigint::BigUint;
use std::collections::BTreeSet;

/// Index of a net in the block's [`Scope`](super::scope::Scope).
pub(super) type NetId = usize;
/// Index of an enum value in the block's [`Scope`](super::scope::Scope).
pub(super) type EnumId = usize;

/// Operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    And,
    Or,
    Xor,
    Multiply,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    LogicalAnd,
    LogicalOr,
    ShiftLeft,
    ShiftRight,
}

/// How the widths of operands and result belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Operands and result are equally wide.
    Arithmetic,
    /// The result is as wide as both operands together.
    Product,
    /// Operands are equally wide, the result is one bit.
    Comparison,
    /// One bit each.
    Logical,
    /// The result is as wide as the left operand.
    Shift,
}

impl Op {
    pub fn class(self) -> Class {
        use Op::*;
        match self {
            Add | Subtract | And | Or | Xor => Class::Arithmetic,
            Multiply => Class::Product,
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => Class::Comparison,
            LogicalAnd | LogicalOr => Class::Logical,
            ShiftLeft | ShiftRight => Class::Shift,
        }
    }
    pub fn is_bitwise(self) -> bool {
        matches!(self, Op::And | Op::Or | Op::Xor)
    }
    pub fn text(self) -> &'static str {
        use Op::*;
        match self {
            Add => "+",
            Subtract => "-",
            And => "&",
            Or => "|",
            Xor => "^",
            Multiply => "*",
            Equal => "==",
            NotEqual => "!=",
            Less => "<",
            LessEqual => "<=",
            Greater => ">",
            GreaterEqual => ">=",
            LogicalAnd => "&&",
            LogicalOr => "||",
            ShiftLeft => "<<",
            ShiftRight => ">>",
        }
    }
}

/// Operators of one operand; the last three make one bit of all bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaryOp {
    Not,
    Negate,
    All,
    Any,
    Parity,
}

/// A value. After lowering, `Slice` and `Bit` have a net as their base, and `Replace` is gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// A net or constant.
    Net(NetId),
    /// A number as wide as its surroundings want it.
    Literal(BigUint),
    /// A named value of an enum.
    Enum(EnumId),
    /// Two operands.
    Binary(Op, Box<Expr>, Box<Expr>),
    /// One operand.
    Unary(UnaryOp, Box<Expr>),
    /// Zero extension to a width, or a literal of that width.
    Extend(usize, Box<Expr>),
    /// Base, width, offset.
    Slice(Box<Expr>, usize, Box<Expr>),
    /// Base, index.
    Bit(Box<Expr>, Box<Expr>),
    /// Base, index, value of the bit.
    Replace(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Least significant part first.
    Concat(Vec<Expr>),
    /// The second value if the first is true, else the third: all that an assignment gives.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Reinterpreted as two's complement.
    Signed(Box<Expr>),
    /// Reinterpreted as a plain number.
    Unsigned(Box<Expr>),
}

/// A step of a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stmt {
    /// All bits of a net. The flag marks one made by `join` or `link`: the only driver there may be.
    Assign { net: NetId, value: Expr, link: bool },
    /// `width` bits of a net from `offset` on.
    AssignSlice { net: NetId, offset: Expr, width: usize, value: Expr },
    /// Arms in order of priority, and what else.
    If { arms: Vec<(Expr, Vec<Stmt>)>, otherwise: Vec<Stmt> },
    /// Arms; `None` is the default, last. `full`: there is one.
    Case { test: Expr, arms: Vec<(Option<Expr>, Vec<Stmt>)>, full: bool },
    /// Text for the reader.
    Comment(String),
}

impl Expr {
    pub fn number(value: usize) -> Expr {
        Expr::Literal(BigUint::from(value))
    }
    pub fn binary(op: Op, left: Expr, right: Expr) -> Expr {
        Expr::Binary(op, Box::new(left), Box::new(right))
    }
    pub fn slice(base: Expr, width: usize, offset: Expr) -> Expr {
        Expr::Slice(Box::new(base), width, Box::new(offset))
    }
    pub fn extend(width: usize, value: Expr) -> Expr {
        Expr::Extend(width, Box::new(value))
    }

    /// The value of a bare literal, or of arithmetic on such (unrolled loop variables).
    pub fn literal(&self) -> Option<BigUint> {
        match self {
            Expr::Literal(value) => Some(value.clone()),
            Expr::Binary(op, left, right) => {
                let (left, right) = (left.literal()?, right.literal()?);
                Some(match op {
                    Op::Add => left + right,
                    Op::Subtract if left >= right => left - right,
                    Op::Multiply => left * right,
                    Op::And => left & right,
                    Op::Or => left | right,
                    Op::Xor => left ^ right,
                    Op::ShiftLeft => left << to_usize(&right)?,
                    Op::ShiftRight => left >> to_usize(&right)?,
                    _ => return None,
                })
            }
            _ => None,
        }
    }
    /// As [`Expr::literal`], for places and sizes.
    pub fn index(&self) -> Option<usize> {
        to_usize(&self.literal()?)
    }

    /// Calls `visit` for every net that is read, with the bits if they are known (offset, width).
    pub fn reads(&self, visit: &mut impl FnMut(NetId, Option<(usize, usize)>)) {
        match self {
            Expr::Net(net) => visit(*net, None),
            Expr::Literal(_) | Expr::Enum(_) => {}
            Expr::Slice(base, width, offset) => match (&**base, offset.index()) {
                (Expr::Net(net), Some(offset)) => visit(*net, Some((offset, *width))),
                _ => {
                    base.reads(visit);
                    offset.reads(visit);
                }
            },
            Expr::Bit(base, index) => match (&**base, index.index()) {
                (Expr::Net(net), Some(index)) => visit(*net, Some((index, 1))),
                _ => {
                    base.reads(visit);
                    index.reads(visit);
                }
            },
            Expr::Binary(_, left, right) => {
                left.reads(visit);
                right.reads(visit);
            }
            Expr::Unary(_, value) | Expr::Extend(_, value) | Expr::Signed(value) | Expr::Unsigned(value) => {
                value.reads(visit)
            }
            Expr::Replace(a, b, c) | Expr::Choice(a, b, c) => [a, b, c].iter().for_each(|part| part.reads(visit)),
            Expr::Concat(parts) => parts.iter().for_each(|part| part.reads(visit)),
        }
    }
    /// The enum values it names.
    pub fn enums(&self, found: &mut BTreeSet<EnumId>) {
        match self {
            Expr::Enum(id) => {
                found.insert(*id);
            }
            Expr::Net(_) | Expr::Literal(_) => {}
            Expr::Binary(_, a, b) | Expr::Slice(a, _, b) | Expr::Bit(a, b) => {
                a.enums(found);
                b.enums(found);
            }
            Expr::Unary(_, a) | Expr::Extend(_, a) | Expr::Signed(a) | Expr::Unsigned(a) => a.enums(found),
            Expr::Replace(a, b, c) | Expr::Choice(a, b, c) => [a, b, c].iter().for_each(|part| part.enums(found)),
            Expr::Concat(parts) => parts.iter().for_each(|part| part.enums(found)),
        }
    }
}

fn to_usize(value: &BigUint) -> Option<usize> {
    usize::try_from(value).ok()
}

impl Stmt {
    /// Calls `visit` for every net written, here or further inside.
    pub fn writes(&self, visit: &mut impl FnMut(NetId)) {
        match self {
            Stmt::Assign { net, .. } | Stmt::AssignSlice { net, .. } => visit(*net),
            _ => self.bodies().flatten().for_each(|stmt| stmt.writes(visit)),
        }
    }
    /// Calls `visit` for every expression, here or further inside.
    pub fn expressions<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        match self {
            Stmt::Assign { value, .. } => visit(value),
            Stmt::AssignSlice { offset, value, .. } => {
                visit(offset);
                visit(value);
            }
            Stmt::If { arms, .. } => arms.iter().for_each(|(test, _)| visit(test)),
            Stmt::Case { test, arms, .. } => {
                visit(test);
                arms.iter().filter_map(|(pattern, _)| pattern.as_ref()).for_each(&mut *visit);
            }
            Stmt::Comment(_) => {}
        }
        self.bodies().flatten().for_each(|stmt| stmt.expressions(visit));
    }
    /// Calls `visit` for every net read; see [`Expr::reads`].
    pub fn reads(&self, visit: &mut impl FnMut(NetId, Option<(usize, usize)>)) {
        self.expressions(&mut |expr| expr.reads(visit));
    }
    /// The statements inside, one list per branch.
    pub fn bodies(&self) -> Box<dyn Iterator<Item = &Vec<Stmt>> + '_> {
        match self {
            Stmt::If { arms, otherwise } => Box::new(arms.iter().map(|(_, body)| body).chain([otherwise])),
            Stmt::Case { arms, .. } => Box::new(arms.iter().map(|(_, body)| body)),
            _ => Box::new(std::iter::empty()),
        }
    }
    /// As [`Stmt::bodies`], to be changed.
    pub fn bodies_mut(&mut self) -> Box<dyn Iterator<Item = &mut Vec<Stmt>> + '_> {
        match self {
            Stmt::If { arms, otherwise } => Box::new(arms.iter_mut().map(|(_, body)| body).chain([otherwise])),
            Stmt::Case { arms, .. } => Box::new(arms.iter_mut().map(|(_, body)| body)),
            _ => Box::new(std::iter::empty()),
        }
    }
}
