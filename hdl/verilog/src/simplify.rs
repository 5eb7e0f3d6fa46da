//! Steps between lowering and text: temporaries out of branches, overwritten assignments away.
use super::ir::{Expr, NetId, Stmt};
use super::scope::{Role, Scope};
use std::collections::{HashMap, HashSet};

/// Puts temporaries that stand inside branches in front of the outermost statement, where they can become
/// continuous assignments. One that depends on what the branch itself computes stays, and gets a default value
/// in front, so that it is no latch.
pub(super) fn lift_temporaries(statements: Vec<Stmt>, scope: &Scope) -> Vec<Stmt> {
    let last = last_writes(&statements);
    let mut out = Vec::with_capacity(statements.len());
    for (place, mut statement) in statements.into_iter().enumerate() {
        let mut lifted = vec![];
        let mut stay = vec![];
        let mut unfinished = HashSet::new();
        for body in statement.bodies_mut() {
            lift(body, scope, &last, place, &mut lifted, (&mut stay, &mut unfinished));
        }
        out.append(&mut lifted);
        stay.dedup();
        out.extend(stay.into_iter().map(|net| Stmt::Assign { net, value: Expr::number(0), link: false }));
        out.push(statement);
    }
    out
}

fn lift(
    body: &mut Vec<Stmt>,
    scope: &Scope,
    last: &HashMap<NetId, usize>,
    place: usize,
    lifted: &mut Vec<Stmt>,
    // temporaries that stay, and those of which only a part was lifted
    (stay, unfinished): (&mut Vec<NetId>, &mut HashSet<NetId>),
) {
    let mut kept = Vec::with_capacity(body.len());
    for mut statement in body.drain(..) {
        for inner in statement.bodies_mut() {
            lift(inner, scope, last, place, lifted, (&mut *stay, &mut *unfinished));
        }
        match &statement {
            Stmt::Assign { net, value, .. } if scope.nets[*net].role == Role::Temporary => {
                let is_lifted =
                    |net: NetId| lifted.iter().any(|s| matches!(s, Stmt::Assign { net: n, .. } if *n == net));
                let mut settled = true;
                value.reads(&mut |read, _| {
                    let whole = is_lifted(read) && !unfinished.contains(&read);
                    settled &= whole || last.get(&read).is_none_or(|write| *write < place);
                });
                if settled && !stay.contains(net) {
                    lifted.push(statement);
                } else {
                    if !stay.contains(net) {
                        stay.push(*net);
                    }
                    kept.push(statement);
                }
            }
            Stmt::AssignSlice { net, .. } if scope.nets[*net].role == Role::Temporary => {
                let first = lifted.iter().any(|s| matches!(s, Stmt::Assign { net: n, .. } if n == net));
                let mut settled = first;
                statement.reads(&mut |read, _| settled &= last.get(&read).is_none_or(|write| *write < place));
                if settled && !unfinished.contains(net) {
                    lifted.push(statement);
                } else {
                    unfinished.insert(*net);
                    kept.push(statement);
                }
            }
            _ => kept.push(statement),
        }
    }
    *body = kept;
}

/// For every net the last of the outermost statements that writes it.
pub(super) fn last_writes(statements: &[Stmt]) -> HashMap<NetId, usize> {
    let mut last = HashMap::new();
    for (place, statement) in statements.iter().enumerate() {
        statement.writes(&mut |net| {
            last.insert(net, place);
        });
    }
    last
}

/// Drops assignments that a later one overwrites before anything reads them: `dff_setup!` gives every
/// register its hold value, which is often not needed.
pub(super) fn drop_overwritten(statements: Vec<Stmt>) -> Vec<Stmt> {
    let mut drop = HashSet::new();
    // outermost unconditional writes that nothing has read yet
    let mut pending: HashMap<NetId, Vec<usize>> = HashMap::new();
    for (place, statement) in statements.iter().enumerate() {
        statement.reads(&mut |net, _| {
            pending.remove(&net);
        });
        match statement {
            Stmt::Assign { net, .. } => {
                drop.extend(pending.remove(net).into_iter().flatten());
                pending.insert(*net, vec![place]);
            }
            Stmt::AssignSlice { net, .. } => {
                if let Some(places) = pending.get_mut(net) {
                    places.push(place);
                }
            }
            // what a branch writes would be left without its default
            branch => branch.writes(&mut |net| {
                pending.remove(&net);
            }),
        }
    }
    let keep = |(place, statement)| (!drop.contains(&place)).then_some(statement);
    statements.into_iter().enumerate().filter_map(keep).collect()
}
