//! Clock, reset and hold: what every cell of a block gets unless the block says otherwise.
//!
//! A cell is clocked by the block's `clock`, and reset by its `reset` if both have one; a register keeps its value (`d = q`). These
//! come in front of all else, in the order of the fields, so that the text does not depend on where and in which order the source
//! says them, or whether it leaves them out: `derive(Block)` says them for it.
use super::collect::BlockNode;
use super::ir::{Expr, NetId, Stmt};
use super::registers;
use super::scope::{Role, Scope};
use std::collections::HashMap;

/// Puts them there, and takes them out of where the source has them.
pub(super) fn first(mut statements: Vec<Stmt>, node: &BlockNode, scope: &Scope) -> Vec<Stmt> {
    let defaults = defaults(node, scope);
    let values: HashMap<NetId, NetId> = defaults.iter().map(|(net, value, _)| (*net, *value)).collect();
    // whether the first that the source says of an input is its default
    let mut begins_so: HashMap<NetId, bool> = HashMap::new();
    statements.retain(|statement| {
        let is_default = match statement {
            Stmt::Assign { net, value: Expr::Net(value), .. } => {
                !begins_so.contains_key(net) && values.get(net) == Some(value)
            }
            _ => false,
        };
        statement.writes(&mut |net| {
            begins_so.entry(net).or_insert(is_default);
        });
        !is_default
    });
    let needed = |(net, _, hold): &&(NetId, NetId, bool)| *hold || begins_so.get(net) != Some(&false);
    let assign =
        |(net, value, _): &(NetId, NetId, bool)| Stmt::Assign { net: *net, value: Expr::Net(*value), link: false };
    defaults.iter().filter(needed).map(assign).chain(statements).collect()
}

/// Input of a cell, its value, and whether that is a register's hold.
fn defaults(node: &BlockNode, scope: &Scope) -> Vec<(NetId, NetId, bool)> {
    let parts = |path: &str| -> Vec<NetId> {
        let nets = scope.signal(path).map(|signal| signal.parts.as_slice()).unwrap_or_default();
        nets.iter().map(|(net, _)| *net).collect()
    };
    let input = |name: &str| -> Vec<NetId> {
        parts(name).into_iter().filter(|net| scope.nets[*net].role == Role::Input).collect()
    };
    let (clock, reset) = (input("clock"), input("reset"));
    let mut defaults = vec![];
    for child in &node.children {
        let port = |name: &str| parts(&format!("{}${name}", child.instance));
        let mut add = |to: Vec<NetId>, from: &[NetId], hold| {
            defaults.extend(to.into_iter().zip(from).map(|(to, from)| (to, *from, hold)));
        };
        add(port("clock"), &clock, false);
        add(port("reset"), &reset, false);
        if registers::recognise(child).is_some() {
            add(port("d"), &port("q"), true);
        }
    }
    defaults
}
