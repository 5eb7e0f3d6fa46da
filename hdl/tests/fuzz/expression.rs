//! Random expressions, each with what it means.
use crate::{mask, signal, State};
use rust_hdl::prelude::ast::{VerilogExpression as Tree, VerilogOp, VerilogOpUnary};
use virtio_hdl_rtl::testing::Rng;

/// The value of an expression.
pub type Model = Box<dyn Fn(&State) -> u64>;

/// An expression of 1, 8 or 16 bits over the inputs and the first `locals` locals. There are no parentheses in the tree:
/// the printer has to see them from its shape.
pub fn any(rng: &mut Rng, width: usize, depth: usize, locals: usize) -> (Tree, Model) {
    if width == 1 {
        return bit(rng, depth, locals);
    }
    if depth == 0 || rng.chance(1, 6) {
        return leaf(rng, width, locals);
    }
    let inner = depth - 1;
    let m = mask(width);
    match rng.below(9) {
        0..=3 => {
            let kind = rng.below(5) as usize;
            let (left, l) = any(rng, width, inner, locals);
            let (right, r) = number_or(rng, width, inner, locals);
            let op =
                [VerilogOp::Add, VerilogOp::Sub, VerilogOp::BitAnd, VerilogOp::BitOr, VerilogOp::BitXor][kind].clone();
            let model: Model = Box::new(move |state| {
                let (x, y) = (l(state), r(state));
                m & [x.wrapping_add(y), x.wrapping_sub(y), x & y, x | y, x ^ y][kind]
            });
            (binary(left, op, right), model)
        }
        4 => {
            let (tree, model) = any(rng, width, inner, locals);
            (Tree::Unary(VerilogOpUnary::Not, Box::new(tree)), Box::new(move |state| !model(state) & m))
        }
        5 => {
            let (tree, model) = any(rng, width, inner, locals);
            let (amount, by) = place(rng, width);
            if rng.chance(1, 2) {
                (binary(tree, VerilogOp::Shl, amount), Box::new(move |state| (model(state) << by(state)) & m))
            } else {
                (binary(tree, VerilogOp::Shr, amount), Box::new(move |state| model(state) >> by(state)))
            }
        }
        6 => {
            let (tree, model) = any(rng, 24 - width, inner, locals);
            (Tree::Cast(Box::new(tree), width), Box::new(move |state| model(state) & m))
        }
        7 => {
            let (tree, model) = any(rng, width, inner, locals);
            let (index, at) = place(rng, 8);
            let (bit, value) = any(rng, 1, inner, locals);
            let replaced = Tree::IndexReplace(Box::new(tree), Box::new(index), Box::new(bit));
            (
                replaced,
                Box::new(move |state| {
                    let at = at(state);
                    model(state) & !(1 << at) | value(state) << at
                }),
            )
        }
        _ => {
            // possibly past the top: zeros there
            let from = if rng.chance(1, 2) { 8 } else { 16 };
            let (tree, model) = any(rng, from, inner, locals);
            let (offset, at) = place(rng, from);
            (
                Tree::Slice(Box::new(tree), width, Box::new(offset)),
                Box::new(move |state| (model(state) >> at(state)) & m),
            )
        }
    }
}

fn bit(rng: &mut Rng, depth: usize, locals: usize) -> (Tree, Model) {
    if depth == 0 {
        let at = rng.below(8);
        let (tree, model) = leaf(rng, 8, locals);
        return (Tree::Index(Box::new(tree), Box::new(number(at))), Box::new(move |state| (model(state) >> at) & 1));
    }
    let inner = depth - 1;
    let width = if rng.chance(1, 2) { 8 } else { 16 };
    match rng.below(6) {
        0 | 1 => {
            let kind = rng.below(6) as usize;
            let (left, l) = any(rng, width, inner, locals);
            let (right, r) = number_or(rng, width, inner, locals);
            use VerilogOp::*;
            let op = [Eq, Ne, Lt, Le, Gt, Ge][kind].clone();
            (
                binary(left, op, right),
                Box::new(move |state| {
                    let (x, y) = (l(state), r(state));
                    [x == y, x != y, x < y, x <= y, x > y, x >= y][kind] as u64
                }),
            )
        }
        2 => {
            let kind = rng.below(3) as usize;
            let (tree, model) = any(rng, width, inner, locals);
            let op = [VerilogOpUnary::All, VerilogOpUnary::Any, VerilogOpUnary::Xor][kind].clone();
            let m = mask(width);
            (
                Tree::Unary(op, Box::new(tree)),
                Box::new(move |state| {
                    let value = model(state);
                    [value == m, value != 0, value.count_ones() % 2 == 1][kind] as u64
                }),
            )
        }
        3 => {
            let kind = rng.below(5) as usize;
            let ((left, l), (right, r)) = (bit(rng, inner, locals), bit(rng, inner, locals));
            use VerilogOp::*;
            let op = [BitAnd, BitOr, BitXor, LogicalAnd, LogicalOr][kind].clone();
            (
                binary(left, op, right),
                Box::new(move |state| {
                    let (x, y) = (l(state), r(state));
                    [x & y, x | y, x ^ y, x & y, x | y][kind]
                }),
            )
        }
        4 => {
            let (tree, model) = bit(rng, inner, locals);
            (Tree::Unary(VerilogOpUnary::Not, Box::new(tree)), Box::new(move |state| model(state) ^ 1))
        }
        _ => {
            let (tree, model) = any(rng, width, inner, locals);
            (Tree::Index(Box::new(tree), Box::new(signal("n"))), Box::new(move |state| (model(state) >> state.n) & 1))
        }
    }
}

fn leaf(rng: &mut Rng, width: usize, locals: usize) -> (Tree, Model) {
    if width == 16 {
        return (signal("d"), Box::new(|state| state.d));
    }
    match rng.below(3 + locals as u64) {
        0 => (signal("a"), Box::new(|state| state.a)),
        1 => (signal("b"), Box::new(|state| state.b)),
        2 => (signal("c"), Box::new(|state| state.c)),
        local => {
            let local = local as usize - 3;
            (signal(&format!("x{local}")), Box::new(move |state| state.locals[local]))
        }
    }
}

fn number(value: u64) -> Tree {
    Tree::Literal((value as u32).into())
}

fn number_or(rng: &mut Rng, width: usize, depth: usize, locals: usize) -> (Tree, Model) {
    if rng.chance(1, 3) {
        let value = rng.below(256);
        (number(value), Box::new(move |_| value))
    } else {
        any(rng, width, depth, locals)
    }
}

/// A constant below `size`, or the input of three bits.
fn place(rng: &mut Rng, size: usize) -> (Tree, Model) {
    if rng.chance(1, 2) {
        let value = rng.below(size as u64);
        (number(value), Box::new(move |_| value))
    } else {
        (signal("n"), Box::new(|state| state.n))
    }
}

fn binary(left: Tree, op: VerilogOp, right: Tree) -> Tree {
    Tree::Binary(Box::new(left), op, Box::new(right))
}
