//! Values that shifts and ors put next to each other: concatenations.
use super::ir::{Expr, Op};
use super::scope::Scope;
use num_bigint::BigUint;

/// Place, bits and value of a part of a number whose other bits are zero.
type Part = (usize, usize, Expr);

impl Scope {
    /// `a << 8 | b` as `{a, b}`, if no bits meet and none are shifted out.
    pub fn beside(&self, op: Op, left: &Expr, right: &Expr) -> Option<Expr> {
        if self.is_signed(left) || self.is_signed(right) {
            return None;
        }
        let width = match op {
            Op::ShiftLeft => self.width(left)?,
            _ => self.width(left).or(self.width(right))?,
        };
        let mut parts = match op {
            Op::ShiftLeft => {
                let places = right.index()?;
                self.parts(left, width).into_iter().map(|(place, bits, value)| (place + places, bits, value)).collect()
            }
            Op::Or => [self.parts(left, width), self.parts(right, width)].concat(),
            _ => return None,
        };
        parts.sort_by_key(|(place, ..)| *place);
        let ends = parts.iter().map(|(place, bits, _)| place + bits);
        let begins = parts.iter().skip(1).map(|(place, ..)| *place).chain([width]);
        let apart = ends.zip(begins).all(|(end, begin)| end <= begin);
        apart.then(|| concatenation(parts, width))
    }

    /// What is not zero of a value, the least significant first.
    fn parts(&self, value: &Expr, width: usize) -> Vec<Part> {
        match (value, value.literal()) {
            (_, Some(number)) => number_part(number & ((BigUint::from(1u32) << width) - 1u32)),
            (Expr::Extend(width, inner), _) => self.parts(inner, self.width(inner).unwrap_or(*width)),
            (Expr::Concat(inner), _) => {
                let mut from = 0;
                let mut parts = vec![];
                for part in inner {
                    let bits = self.width(part).unwrap_or(0);
                    parts.extend(
                        self.parts(part, bits).into_iter().map(|(place, bits, value)| (from + place, bits, value)),
                    );
                    from += bits;
                }
                parts
            }
            _ => vec![(0, width, value.clone())],
        }
    }
}

/// A number without the zeros around it.
fn number_part(number: BigUint) -> Vec<Part> {
    let Some(place) = number.trailing_zeros() else { return vec![] };
    let bits = (number.bits() - place) as usize;
    vec![(place as usize, bits, Expr::extend(bits, Expr::Literal(number >> place)))]
}

fn concatenation(parts: Vec<Part>, width: usize) -> Expr {
    let mut at = 0;
    let mut all: Vec<Expr> = vec![];
    // numbers next to each other are one
    let mut number: Option<(usize, BigUint)> = None;
    let flush = |number: &mut Option<(usize, BigUint)>, all: &mut Vec<Expr>| {
        all.extend(number.take().map(|(bits, value)| Expr::extend(bits, Expr::Literal(value))));
    };
    for (place, bits, value) in parts.into_iter().chain([(width, 0, Expr::number(0))]) {
        if place > at {
            let (below, rest) = number.take().unwrap_or_default();
            number = Some((below + place - at, rest));
        }
        at = place + bits;
        match &value {
            Expr::Extend(_, inner) if inner.literal().is_some() => {
                let (below, rest) = number.take().unwrap_or_default();
                number = Some((below + bits, rest | (inner.literal().unwrap_or_default() << below)));
            }
            _ if bits > 0 => {
                flush(&mut number, &mut all);
                all.push(value);
            }
            _ => {}
        }
    }
    match number.take() {
        // zeros on top are what widens the rest
        Some((_, top)) if top == BigUint::ZERO && !all.is_empty() => Expr::extend(width, one_or_all(all)),
        mut top => {
            flush(&mut top, &mut all);
            one_or_all(all)
        }
    }
}

fn one_or_all(mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Expr::Concat(parts)
    }
}
