//! A process that only chooses one value is an expression: `c ? a : b`.
use super::ir::{Expr, NetId, Stmt, UnaryOp};
use super::scope::Scope;

/// More alternatives are easier to read as `if` and `else`.
const MOST: usize = 3;

/// The net that the statements give one of a few values, and those; no comment is lost by it.
pub(super) fn choice(body: &[Stmt], scope: &Scope) -> Option<(NetId, Expr)> {
    let (first, rest) = body.split_first()?;
    let (net, mut chosen) = match first {
        Stmt::Assign { net, value, .. } => (*net, value.clone()),
        Stmt::If { arms, otherwise } => {
            let [Stmt::Assign { net, value, .. }] = otherwise.as_slice() else { return None };
            (*net, in_order(arms, *net, value.clone())?)
        }
        _ => return None,
    };
    for statement in rest {
        let Stmt::If { arms, otherwise } = statement else { return None };
        chosen = match otherwise.as_slice() {
            [] => in_order(arms, net, chosen)?,
            _ => return None,
        };
    }
    let mut own = scope.nets[net].signed;
    chosen.reads(&mut |read, _| own |= read == net);
    let one_bit = scope.nets[net].width == 1;
    let simpler = |value| if one_bit { of_one_bit(value) } else { value };
    (!own && alternatives(&chosen) <= MOST).then(|| (net, simpler(chosen)))
}

/// `c ? 1 : 0` is `c`, `c ? 0 : 1` is `!c`.
fn of_one_bit(value: Expr) -> Expr {
    let Expr::Choice(test, yes, no) = &value else { return value };
    let bit = |value: &Expr| value.literal().or(if let Expr::Extend(1, bit) = value { bit.literal() } else { None });
    match (bit(yes).map(|bit| bit.bits()), bit(no).map(|bit| bit.bits())) {
        (Some(1), Some(0)) => (**test).clone(),
        (Some(0), Some(1)) => Expr::Unary(UnaryOp::Not, test.clone()),
        _ => value,
    }
}

/// Arms that assign the net only, in front of what it is otherwise.
fn in_order(arms: &[(Expr, Vec<Stmt>)], net: NetId, otherwise: Expr) -> Option<Expr> {
    arms.iter().rev().try_fold(otherwise, |otherwise, (test, body)| match body.as_slice() {
        [Stmt::Assign { net: target, value, .. }] if *target == net => {
            Some(Expr::Choice(Box::new(test.clone()), Box::new(value.clone()), Box::new(otherwise)))
        }
        _ => None,
    })
}

fn alternatives(value: &Expr) -> usize {
    match value {
        Expr::Choice(_, _, otherwise) => 1 + alternatives(otherwise),
        _ => 0,
    }
}
