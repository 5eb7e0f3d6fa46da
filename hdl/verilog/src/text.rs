//! Verilog text of expressions and statements.
use super::ir::{Class, Expr, NetId, Op, Stmt, UnaryOp};
use super::scope::Scope;
use num_bigint::BigUint;
use std::fmt::Write as _;

/// Longest line of code.
const CODE_COLUMNS: usize = 110;
/// Longest line of a comment.
const COMMENT_COLUMNS: usize = 100;

/// A number of known width: decimal below 1024, hexadecimal where the bits say more: a run of ones from the lowest or to the
/// highest bit, which is a mask, and what is larger, which is an address or an identifier.
pub(super) fn number(value: &BigUint, width: usize) -> String {
    let value = value & ((BigUint::from(1u32) << width) - 1u32);
    let small = value < BigUint::from(10u32);
    let low_zeros = value.trailing_zeros().unwrap_or(0);
    let run = value.count_ones() == value.bits() - low_zeros && value.count_ones() > 1;
    let mask = run && (low_zeros == 0 || value.bits() == width as u64);
    if width == 1 {
        format!("1'b{value}")
    } else if small || (value < BigUint::from(1024u32) && !mask) {
        format!("{width}'d{value}")
    } else {
        format!("{width}'h{value:x}")
    }
}

/// As [`number()`], for what stands among bits: an operand of `&`, a label of a `case` over numbers.
fn bit_pattern(value: &BigUint, width: usize) -> String {
    let value = value & ((BigUint::from(1u32) << width) - 1u32);
    if value < BigUint::from(10u32) {
        number(&value, width)
    } else {
        format!("{width}'h{value:x}")
    }
}

/// As [`number()`], for what is one of a list.
pub(super) fn ordinal(value: usize, width: usize) -> String {
    let base = if width == 1 { 'b' } else { 'd' };
    format!("{width}'{base}{value}")
}

/// `[7:0] `, or nothing for one bit.
pub(super) fn range(width: usize) -> String {
    if width == 1 {
        String::new()
    } else {
        format!("[{}:0] ", width - 1)
    }
}

/// `[7:4]`, or `[4]` for one bit.
fn bits(offset: usize, width: usize) -> String {
    if width == 1 {
        format!("[{offset}]")
    } else {
        format!("[{}:{offset}]", offset + width - 1)
    }
}

impl Scope {
    /// An expression whose bare numbers are `width` bits wide.
    pub fn text(&self, expr: &Expr, width: usize) -> String {
        match expr {
            Expr::Net(net) => self.nets[*net].name.clone(),
            Expr::Literal(value) => number(value, width),
            Expr::Enum(id) => self.enums[*id].name.clone(),
            Expr::Binary(op, left, right) => match expr.literal() {
                Some(value) => number(&value, width),
                None => self.binary_text(*op, left, right, width),
            },
            Expr::Unary(op, value) => {
                let own = self.width(value).unwrap_or(width);
                let sign = match op {
                    UnaryOp::Not if own == 1 => "!",
                    UnaryOp::Not => "~",
                    UnaryOp::Negate => "-",
                    UnaryOp::All => "&",
                    UnaryOp::Any => "|",
                    UnaryOp::Parity => "^",
                };
                let inner = self.primary(value, own);
                match **value {
                    // `^~` would be one operator, and iverilog takes no `~~`
                    Expr::Unary(UnaryOp::Not, _) => format!("{sign}({inner})"),
                    _ => format!("{sign}{inner}"),
                }
            }
            Expr::Extend(width, value) => match self.width(value) {
                Some(own) if own < *width => {
                    let value = self.text(value, own);
                    let inner = value.strip_prefix('{').and_then(|v| v.strip_suffix('}')).filter(|v| !v.contains('{'));
                    format!("{{{}'d0, {}}}", width - own, inner.unwrap_or(&value))
                }
                Some(own) => self.text(value, own),
                None => self.text(value, *width),
            },
            Expr::Slice(base, width, offset) => match offset.index() {
                Some(offset) => format!("{}{}", self.primary(base, 0), bits(offset, *width)),
                None => format!("{}[{} +: {width}]", self.primary(base, 0), self.text(offset, 32)),
            },
            Expr::Bit(base, index) => format!("{}[{}]", self.primary(base, 0), self.text(index, 32)),
            Expr::Concat(parts) => {
                let parts: Vec<_> =
                    parts.iter().rev().map(|part| self.text(part, self.width(part).unwrap_or(1))).collect();
                format!("{{{}}}", parts.join(", "))
            }
            Expr::Choice(test, yes, no) => {
                let test = self.condition(test);
                let test_text = self.primary(&test, 1);
                let yes = self.primary(yes, width);
                let no = match **no {
                    Expr::Choice(..) => self.text(no, width),
                    _ => self.primary(no, width),
                };
                format!("{test_text} ? {yes} : {no}")
            }
            Expr::Signed(value) => format!("$signed({})", self.text(value, width)),
            Expr::Unsigned(value) => format!("$unsigned({})", self.text(value, width)),
            Expr::Replace(base, ..) => self.text(base, width), // lowering leaves none
        }
    }

    fn binary_text(&self, op: Op, left: &Expr, right: &Expr, width: usize) -> String {
        let sign = op.text();
        let width = match op.class() {
            Class::Arithmetic => self.width(left).or(self.width(right)).unwrap_or(width),
            Class::Comparison => self.width(left).or(self.width(right)).unwrap_or(32),
            Class::Logical => 1,
            Class::Shift => self.width(left).unwrap_or(width),
            Class::Product => return self.product_text(left, right),
        };
        let right_text = match (op.class(), right.literal()) {
            (Class::Shift, Some(amount)) => amount.to_string(),
            (Class::Shift, None) => self.primary(right, 32),
            _ => self.operand(op, right, width, self.is_signed(left)),
        };
        // a chain of the same operator needs no parentheses: all of them group from the left
        let chain = matches!(left, Expr::Binary(inner, ..) if *inner == op && op.class() != Class::Comparison)
            && op.class() != Class::Shift
            && left.literal().is_none();
        let left_text =
            if chain { self.text(left, width) } else { self.operand(op, left, width, self.is_signed(right)) };
        format!("{left_text} {sign} {right_text}")
    }

    /// Both operands as wide as the product.
    fn product_text(&self, left: &Expr, right: &Expr) -> String {
        let widths = (self.width(left).unwrap_or(1), self.width(right).unwrap_or(1));
        let signed = self.is_signed(left) || self.is_signed(right);
        let extended = |value: &Expr, own: usize, more: usize| {
            let text = self.primary(value, own);
            if signed {
                format!("{{{{{more}{{{text}[{}]}}}}, {text}}}", own - 1)
            } else {
                format!("{{{more}'d0, {text}}}")
            }
        };
        format!("{} * {}", extended(left, widths.0, widths.1), extended(right, widths.1, widths.0))
    }

    /// An operand; a bare number next to a signed one is signed too, or all would count as unsigned.
    fn operand(&self, op: Op, expr: &Expr, width: usize, signed: bool) -> String {
        match (expr, signed) {
            (Expr::Literal(value), true) => format!("{width}'sd{value}"),
            (Expr::Unary(UnaryOp::Negate, inner), true) if inner.literal().is_some() => {
                format!("(-{})", self.operand(op, inner, width, true))
            }
            (Expr::Literal(value), false) if op.is_bitwise() => bit_pattern(value, width),
            (Expr::Extend(width, inner), false) if op.is_bitwise() && inner.literal().is_some() => {
                bit_pattern(&inner.literal().unwrap_or_default(), *width)
            }
            _ => self.primary(expr, width),
        }
    }

    /// A condition: `&&` and `||` between single bits.
    pub fn condition(&self, expr: &Expr) -> Expr {
        let inner = |expr: &Expr| Box::new(self.condition(expr));
        match expr {
            Expr::Binary(Op::And, left, right) if self.width(expr) == Some(1) => {
                Expr::Binary(Op::LogicalAnd, inner(left), inner(right))
            }
            Expr::Binary(Op::Or, left, right) if self.width(expr) == Some(1) => {
                Expr::Binary(Op::LogicalOr, inner(left), inner(right))
            }
            Expr::Unary(UnaryOp::Not, value) if self.width(value) == Some(1) => Expr::Unary(UnaryOp::Not, inner(value)),
            _ => expr.clone(),
        }
    }

    /// In parentheses if it is not a name, number, slice or the like.
    fn primary(&self, expr: &Expr, width: usize) -> String {
        let text = self.text(expr, width);
        match expr {
            Expr::Binary(..) if expr.literal().is_none() => format!("({text})"),
            Expr::Choice(..) => format!("({text})"),
            Expr::Unary(UnaryOp::Not, _) => text,
            Expr::Unary(..) => format!("({text})"),
            _ => text,
        }
    }

    /// Statements inside a process.
    pub fn statements(&self, block: &[Stmt], indent: usize, out: &mut String) {
        let pad = "    ".repeat(indent);
        for statement in block {
            match statement {
                Stmt::Comment(text) => comment(text, &pad, out),
                Stmt::Assign { net, value, .. } => {
                    let net = &self.nets[*net];
                    let _ = writeln!(out, "{pad}{} = {};", net.name, self.text(value, net.width));
                }
                Stmt::AssignSlice { net, offset, width, value } => {
                    let place = self.slice_target(*net, offset, *width);
                    let _ = writeln!(out, "{pad}{place} = {};", self.text(value, *width));
                }
                Stmt::If { arms, otherwise } => {
                    for (i, (test, body)) in arms.iter().enumerate() {
                        let word = if i == 0 { format!("{pad}if") } else { " else if".into() };
                        let _ = writeln!(out, "{word} ({}) begin", self.text(&self.condition(test), 1));
                        self.statements(body, indent + 1, out);
                        let _ = write!(out, "{pad}end");
                    }
                    if otherwise.iter().any(|s| !matches!(s, Stmt::Comment(_))) {
                        out.push_str(" else begin\n");
                        self.statements(otherwise, indent + 1, out);
                        let _ = write!(out, "{pad}end");
                    }
                    out.push('\n');
                }
                Stmt::Case { test, arms, full } => self.case_text(test, arms, *full, indent, out),
            }
        }
    }

    fn case_text(&self, test: &Expr, arms: &[(Option<Expr>, Vec<Stmt>)], full: bool, indent: usize, out: &mut String) {
        let pad = "    ".repeat(indent);
        let width = self.width(test).unwrap_or(32);
        let _ = writeln!(out, "{pad}case ({})", self.text(test, width));
        for (pattern, body) in arms {
            let label = match pattern {
                None => "default:".into(),
                Some(Expr::Literal(value)) => format!("{}:", bit_pattern(value, width)),
                Some(pattern) => format!("{}:", self.text(pattern, width)),
            };
            if body.iter().all(|s| matches!(s, Stmt::Comment(_))) {
                let _ = writeln!(out, "{pad}    {label} ;");
            } else {
                let _ = writeln!(out, "{pad}    {label} begin");
                self.statements(body, indent + 2, out);
                let _ = writeln!(out, "{pad}    end");
            }
        }
        if !full {
            let _ = writeln!(out, "{pad}    default: ;");
        }
        let _ = writeln!(out, "{pad}endcase");
    }

    /// The left side of an assignment to some bits.
    pub fn slice_target(&self, net: NetId, offset: &Expr, width: usize) -> String {
        let name = &self.nets[net].name;
        match offset.index() {
            Some(_) if width == self.nets[net].width => name.clone(),
            Some(offset) => format!("{name}{}", bits(offset, width)),
            None if width == 1 => format!("{name}[{}]", self.text(offset, 32)),
            None => format!("{name}[{} +: {width}]", self.text(offset, 32)),
        }
    }
}

/// A comment of any number of lines.
pub(super) fn comment(text: &str, pad: &str, out: &mut String) {
    for line in text.lines() {
        for line in wrap(line, COMMENT_COLUMNS.saturating_sub(pad.len() + 3)) {
            let _ = writeln!(out, "{}", format!("{pad}// {line}").trim_end());
        }
    }
}

/// Code with no line longer than [`CODE_COLUMNS`]: broken behind an operator or a comma, as far outside of parentheses as possible.
pub(super) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let code = line.trim_start();
        let pad = " ".repeat(line.len() - code.len());
        let mut rest = line;
        let mut begun = String::new();
        while rest.len() + begun.len() > CODE_COLUMNS && !code.starts_with("//") {
            let Some(place) = place_to_break(rest, CODE_COLUMNS - begun.len()) else { break };
            let _ = writeln!(out, "{begun}{}", &rest[..place]);
            begun = format!("{pad}    ");
            rest = &rest[place + 1..];
        }
        let _ = writeln!(out, "{begun}{rest}");
    }
    out
}

/// The space behind an operator or a comma that is the outermost, and of those the last.
fn place_to_break(line: &str, columns: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let indent = line.len() - line.trim_start().len();
    let mut depth = 0i32;
    // depth, and the place from the right; `=` and `<=` of an assignment only if there is nothing else
    let mut best: Option<(i32, usize)> = None;
    for place in indent..bytes.len().min(columns) {
        match bytes[place] {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth -= 1,
            b' ' if place > indent + 12 => {
                let cost = match bytes[place - 1] {
                    b'&' | b'|' | b'^' | b'+' | b'-' | b'*' | b',' | b'?' | b':' => depth,
                    b'=' => depth + 8,
                    _ => continue,
                };
                if best.is_none_or(|(least, _)| cost <= least) {
                    best = Some((cost, place));
                }
            }
            _ => {}
        }
    }
    best.map(|(_, place)| place)
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    if text.chars().count() <= columns {
        return vec![text.into()];
    }
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > columns {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_sizes() {
        let text = |value: u64, width| number(&BigUint::from(value), width);
        assert_eq!(text(1, 1), "1'b1");
        assert_eq!(text(9, 8), "8'd9");
        assert_eq!(text(255, 8), "8'hff");
        assert_eq!(text(256, 8), "8'd0");
        assert_eq!([text(256, 16), text(12, 8), text(100, 7)], ["16'd256", "8'd12", "7'd100"]);
        assert_eq!([text(12, 4), text(0xff00, 16), text(0x1af4, 16)], ["4'hc", "16'hff00", "16'h1af4"]);
    }

    #[test]
    fn long_lines_break_outside_of_parentheses() {
        let term = |name: &str| format!("({name} & {})", "b".repeat(36));
        let line = format!("        x <= {} | {} | {};", term("one"), term("two"), term("three"));
        let expected = format!("        x <= {} | {} |\n            {};\n", term("one"), term("two"), term("three"));
        assert_eq!(folded(&line), expected);
        assert_eq!(folded("    // a b\n"), "    // a b\n");
        let comment = format!("    // {}\n", "a & b, ".repeat(30));
        assert_eq!(folded(&comment), comment);
    }

    #[test]
    fn comments_wrap() {
        let mut out = String::new();
        comment(&"word ".repeat(30), "    ", &mut out);
        assert_eq!(out.lines().count(), 2);
        assert!(out.lines().all(|line| line.starts_with("    // word") && line.len() <= 100));
    }
}
