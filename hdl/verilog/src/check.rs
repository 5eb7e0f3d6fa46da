//! What must hold of a block's statements: one driver per net, every net assigned, no latch.
use super::error::Result;
use super::ir::{Expr, NetId, Stmt};
use super::scope::{Role, Scope};
use num_bigint::BigUint;
use std::collections::{HashMap, HashSet};

/// Nets may be written here, and those of `join` and `link` by nothing else; nets that are read or leave the
/// block are written.
pub(super) fn drivers(statements: &[Stmt], scope: &Scope) -> Result<()> {
    let mut linked: HashSet<NetId> = HashSet::new();
    let mut written = HashSet::new();
    for statement in statements {
        let is_link = matches!(statement, Stmt::Assign { link: true, .. });
        let mut double = None;
        let mut mine = HashSet::new();
        statement.writes(&mut |net| {
            if linked.contains(&net) || (is_link && written.contains(&net)) {
                double = Some(net);
            }
            mine.insert(net);
        });
        if let Some(net) = double {
            return scope.error(format!("`{}` has two drivers, one of them a join or link", scope.nets[net].rust_name));
        }
        if is_link {
            linked.extend(&mine);
        }
        written.extend(mine);
    }
    for net in &written {
        let of = match scope.nets[*net].role {
            Role::Input => "an input of the block itself",
            Role::ChildOutput => "the output of a block inside",
            Role::Constant(_) => "a constant",
            _ => continue,
        };
        return scope.error(format!("`{}` is assigned, but is {of}", scope.nets[*net].rust_name));
    }
    let mut read = HashSet::new();
    statements.iter().for_each(|statement| {
        statement.reads(&mut |net, _| {
            read.insert(net);
        });
    });
    for (id, net) in scope.nets.iter().enumerate() {
        let needed = match net.role {
            Role::Output | Role::ChildInput => true,
            Role::Local | Role::Temporary => read.contains(&id),
            _ => false,
        };
        if needed && !written.contains(&id) {
            return scope.error(format!("`{}` is never assigned", net.rust_name));
        }
    }
    Ok(())
}

/// The statements of one process, in order: every net they write is assigned in all bits on every path,
/// and read only after that.
pub(super) fn process(statements: &[Stmt], scope: &Scope) -> Result<()> {
    let mut written = HashSet::new();
    statements.iter().for_each(|statement| {
        statement.writes(&mut |net| {
            written.insert(net);
        });
    });
    let mut flow = Flow { scope, written: &written };
    let mut end = Assigned::new();
    flow.block(statements, &mut end)?;
    let mut missing: Vec<NetId> = written.iter().copied().filter(|net| !flow.is_full(&end, *net)).collect();
    missing.sort_unstable();
    match missing.first() {
        None => Ok(()),
        Some(net) => scope.error(format!(
            "`{}` is not assigned on every path: that would be a latch; assign a default first",
            scope.nets[*net].rust_name
        )),
    }
}

/// Per net the bits that are assigned on every path so far.
type Assigned = HashMap<NetId, BigUint>;

struct Flow<'a> {
    scope: &'a Scope,
    written: &'a HashSet<NetId>,
}

impl Flow<'_> {
    fn ones(width: usize) -> BigUint {
        (BigUint::from(1u32) << width) - 1u32
    }
    fn is_full(&self, assigned: &Assigned, net: NetId) -> bool {
        assigned.get(&net).is_some_and(|bits| *bits == Self::ones(self.scope.nets[net].width))
    }

    fn block(&mut self, statements: &[Stmt], assigned: &mut Assigned) -> Result<()> {
        statements.iter().try_for_each(|statement| self.statement(statement, assigned))
    }

    fn statement(&mut self, statement: &Stmt, assigned: &mut Assigned) -> Result<()> {
        match statement {
            Stmt::Comment(_) => {}
            Stmt::Assign { net, value, .. } => {
                self.read(value, assigned)?;
                assigned.insert(*net, Self::ones(self.scope.nets[*net].width));
            }
            Stmt::AssignSlice { net, offset, width, value } => {
                self.read(value, assigned)?;
                self.read(offset, assigned)?;
                match offset.index() {
                    Some(offset) => *assigned.entry(*net).or_default() |= Self::ones(*width) << offset,
                    None => self.read(&Expr::Net(*net), assigned)?,
                }
            }
            Stmt::If { arms, otherwise } => {
                let mut ends = vec![];
                for (test, body) in arms {
                    self.read(test, assigned)?;
                    ends.push(self.branch(body, assigned)?);
                }
                ends.push(self.branch(otherwise, assigned)?);
                *assigned = meet(ends);
            }
            Stmt::Case { test, arms, full } => {
                self.read(test, assigned)?;
                let mut ends = arms.iter().map(|(_, body)| self.branch(body, assigned)).collect::<Result<Vec<_>>>()?;
                if !full {
                    ends.push(assigned.clone());
                }
                *assigned = meet(ends);
            }
        }
        Ok(())
    }

    fn branch(&mut self, body: &[Stmt], before: &Assigned) -> Result<Assigned> {
        let mut assigned = before.clone();
        self.block(body, &mut assigned)?;
        Ok(assigned)
    }

    fn read(&self, expr: &Expr, assigned: &Assigned) -> Result<()> {
        let mut early = None;
        expr.reads(&mut |net, bits| {
            if self.written.contains(&net) {
                let (offset, width) = bits.unwrap_or((0, self.scope.nets[net].width));
                let wanted = Self::ones(width) << offset;
                if assigned.get(&net).is_none_or(|bits| bits & &wanted != wanted) {
                    early = Some(net);
                }
            }
        });
        match early {
            None => Ok(()),
            Some(net) => self
                .scope
                .error(format!("`{}` is read before it is assigned on every path", self.scope.nets[net].rust_name)),
        }
    }
}

/// What is assigned at the end of all branches.
fn meet(ends: Vec<Assigned>) -> Assigned {
    let mut ends = ends.into_iter();
    let mut result = ends.next().unwrap_or_default();
    for end in ends {
        result.retain(|net, bits| match end.get(net) {
            Some(other) => {
                *bits &= other;
                true
            }
            None => false,
        });
    }
    result
}
