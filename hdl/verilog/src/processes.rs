//! Which statements become continuous assignments, and which share an `always @*`.
use super::check;
use super::choice::choice;
use super::constants;
use super::error::Result;
use super::ir::{Expr, NetId, Stmt};
use super::scope::Scope;
use super::simplify::last_writes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A piece of a module's combinational logic.
#[derive(Debug)]
pub(super) struct Piece {
    /// Comments in front of it.
    pub comments: Vec<String>,
    /// What it does.
    pub kind: PieceKind,
}

/// Offset, width and value of some bits of a net.
pub(super) type Slice = (usize, usize, Expr);

/// The two ways to write combinational logic.
#[derive(Debug)]
pub(super) enum PieceKind {
    /// `assign net = value;`
    Assign(NetId, Expr),
    /// `assign net[offset +: width] = value;` for every part of one net.
    AssignSlices(NetId, Vec<Slice>),
    /// `always @*` with these statements.
    Process(Vec<Stmt>),
}

impl PieceKind {
    /// Calls `visit` for every net read; see [`Expr::reads`].
    pub fn reads(&self, visit: &mut impl FnMut(NetId, Option<(usize, usize)>)) {
        self.expressions(&mut |expr| expr.reads(visit));
    }
    /// The nets written.
    pub fn writes(&self) -> impl Iterator<Item = NetId> {
        let mut nets = BTreeSet::new();
        match self {
            PieceKind::Assign(net, _) | PieceKind::AssignSlices(net, _) => {
                nets.insert(*net);
            }
            PieceKind::Process(body) => body.iter().for_each(|statement| {
                statement.writes(&mut |net| {
                    nets.insert(net);
                })
            }),
        }
        nets.into_iter()
    }
    /// Calls `visit` for every expression.
    pub fn expressions<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        match self {
            PieceKind::Assign(_, value) => visit(value),
            PieceKind::AssignSlices(_, slices) => slices.iter().for_each(|(_, _, value)| visit(value)),
            PieceKind::Process(body) => body.iter().for_each(|statement| statement.expressions(visit)),
        }
    }
}

/// Groups the outermost statements. Two are in the same process if both write the same net, or one reads what
/// the other has not finished to write. Every process is checked for latches.
pub(super) fn split(statements: Vec<Stmt>, scope: &Scope) -> Result<Vec<Piece>> {
    let mut union = Union::new(statements.len());
    let last = last_writes(&statements);
    let mut first: HashMap<NetId, usize> = HashMap::new();
    for (place, statement) in statements.iter().enumerate() {
        statement.writes(&mut |net| {
            let other = *first.entry(net).or_insert(place);
            union.join(other, place);
        });
    }
    for (place, statement) in statements.iter().enumerate() {
        let mut early = None;
        statement.reads(&mut |net, _| {
            if last.get(&net).is_some_and(|write| *write >= place) {
                union.join(first[&net], place);
                if first[&net] > place {
                    early = Some(net);
                }
            }
        });
        if let Some(net) = early {
            return scope.error(format!("`{}` is read before it is assigned", scope.nets[net].rust_name));
        }
    }
    join_circles(&statements, &first, &mut union);
    // comments belong to the statement behind them
    let mut groups: BTreeMap<usize, (Vec<String>, Vec<Stmt>)> = BTreeMap::new();
    let mut comments = vec![];
    for (place, statement) in statements.into_iter().enumerate() {
        if let Stmt::Comment(text) = statement {
            comments.push(text);
            continue;
        }
        let (heading, body) = groups.entry(union.find(place)).or_default();
        if body.is_empty() {
            heading.append(&mut comments);
        } else {
            body.extend(comments.drain(..).map(Stmt::Comment));
        }
        body.push(statement);
    }
    let mut pieces = vec![];
    for (comments, body) in groups.into_values() {
        check::process(&body, scope)?;
        pieces.push(Piece { comments, kind: kind_of(body) });
    }
    let mut pieces = constants::fold(pieces, scope)?;
    for piece in &mut pieces {
        if let PieceKind::Process(body) = &piece.kind {
            if let Some((net, value)) = choice(body, scope) {
                piece.kind = PieceKind::Assign(net, value);
            }
        }
    }
    Ok(pieces)
}

/// Groups that feed each other in a circle become one: a loop that is only in the text, not in the logic, would cost
/// a simulator its static order.
fn join_circles(statements: &[Stmt], writer: &HashMap<NetId, usize>, union: &mut Union) {
    let mut feeds: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (place, statement) in statements.iter().enumerate() {
        statement.reads(&mut |net, _| {
            if let Some(from) = writer.get(&net) {
                let (from, to) = (union.find(*from), union.find(place));
                if from != to {
                    feeds.entry(from).or_default().insert(to);
                }
            }
        });
    }
    let reachable: BTreeMap<usize, BTreeSet<usize>> = feeds
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut next = vec![*start];
            while let Some(at) = next.pop() {
                next.extend(feeds.get(&at).into_iter().flatten().filter(|to| seen.insert(**to)));
            }
            (*start, seen)
        })
        .collect();
    for (a, from_a) in &reachable {
        for b in from_a {
            if reachable.get(b).is_some_and(|from_b| from_b.contains(a)) {
                union.join(*a, *b);
            }
        }
    }
}

fn kind_of(body: Vec<Stmt>) -> PieceKind {
    if let [Stmt::Assign { net, value, .. }] = body.as_slice() {
        return PieceKind::Assign(*net, value.clone());
    }
    match separate_slices(&body) {
        Some((net, slices)) => PieceKind::AssignSlices(net, slices),
        None => PieceKind::Process(body),
    }
}

/// One net that is assigned part by part, each once.
fn separate_slices(body: &[Stmt]) -> Option<(NetId, Vec<Slice>)> {
    let mut slices: Vec<Slice> = vec![];
    let mut target = None;
    for statement in body {
        let Stmt::AssignSlice { net, offset, width, value } = statement else { return None };
        let offset = offset.index()?;
        let mut own = *target.get_or_insert(*net) != *net;
        value.reads(&mut |read, _| own |= read == *net);
        if own || slices.iter().any(|(o, w, _)| *o < offset + width && offset < o + w) {
            return None;
        }
        slices.push((offset, *width, value.clone()));
    }
    Some((target?, slices))
}

/// Union-find; the smallest member stands for its set.
struct Union(Vec<usize>);

impl Union {
    fn new(size: usize) -> Self {
        Union((0..size).collect())
    }
    fn find(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}
