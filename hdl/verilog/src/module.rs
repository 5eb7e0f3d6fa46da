//! One module: what its block computes, and its text.
use super::check;
use super::collect::BlockNode;
use super::error::{PrintError, Result};
use super::expressions::Lowering;
use super::instances::{connections, Instance};
use super::ir::{Expr, NetId, Stmt};
use super::layout::Layout;
use super::paths::Loops;
use super::processes::{split, Piece, PieceKind};
use super::registers::{self, Register};
use super::scope::{Role, Scope};
use super::setup;
use super::simplify::{drop_overwritten, lift_temporaries};
use rust_hdl::prelude::*;
use std::collections::{HashMap, HashSet};

/// A module without its name: the text behind `module NAME `, with marks where modules inside are named.
pub(super) struct Body {
    /// The name it asks for.
    pub name: Option<String>,
    /// The comment above it.
    pub heading: String,
    /// Text from the port list to `endmodule`.
    pub text: String,
    /// Ports, for whoever instantiates it: net names and widths, vectors for hand-written text.
    pub ports: Vec<Vec<PortNet>>,
    /// Parameters of hand-written text.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a module, with its value in one instance.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// Name.
    pub name: String,
    /// Value.
    pub value: usize,
    /// What it is in the text, where the same module must look the same in every design.
    pub default: usize,
    /// What it is.
    pub about: String,
}

/// A port in the text.
#[derive(Clone, Debug)]
pub(super) struct PortNet {
    /// Name.
    pub name: String,
    /// Place in the signal of the Rust source.
    pub offset: usize,
    /// Bits.
    pub width: usize,
}

/// What a block says of itself in its first comment: `module NAME: text`.
#[derive(Clone, Debug, Default)]
struct Title {
    pub name: String,
    pub text: String,
}

impl Title {
    fn parse(comment: &str) -> Option<Title> {
        let rest = comment.strip_prefix("module ")?;
        let (name, text) = rest.split_once(':').unwrap_or((rest, ""));
        let name = name.trim();
        let legal = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        legal.then(|| Title { name: name.into(), text: text.trim().into() })
    }
}

/// The ports of a block as nets, in the order of the block's fields.
pub(super) fn port_nets(node: &BlockNode, scope: &Scope) -> Vec<Vec<PortNet>> {
    let nets = |path: &str| -> Vec<PortNet> {
        let parts = scope.signal(path).map(|signal| signal.parts.as_slice()).unwrap_or_default();
        let net = |(id, offset): &(NetId, usize)| {
            let net = &scope.nets[*id];
            PortNet { name: net.name.clone(), offset: *offset, width: net.width }
        };
        parts.iter().map(net).collect()
    };
    node.ports().map(|atom| nets(&atom.path)).collect()
}

/// A block whose logic is a syntax tree. `inside` are the bodies of the blocks in it, registers left out.
pub(super) fn combinational(node: &BlockNode, path: &str, inside: &[Instance], initialised: bool) -> Result<Body> {
    let mut scope = Scope::new(node, path, true)?;
    let statements = match &node.code {
        Verilog::Combinatorial(code) => {
            Lowering { scope: &mut scope, loops: Loops::default(), purpose: String::new() }.block(code)?
        }
        _ if node.ports().all(|atom| atom.kind == AtomKind::InputParameter) && node.children.is_empty() => vec![],
        _ => {
            let reason = "no Verilog: is `#[hdl_gen]` missing on its `update`?".into();
            return Err(PrintError { path: path.into(), reason });
        }
    };
    let (title, statements) = take_title(statements);
    let statements = lift_temporaries(setup::first(statements, node, &scope), &scope);
    check::drivers(&statements, &scope)?;
    let pieces = split(drop_overwritten(statements), &scope)?;
    let mut module = Module::new(node, scope, pieces);
    module.initialised = initialised;
    let instances = connections(&mut module, inside);
    let ports = port_nets(node, &module.scope);
    let text = Layout::new(&module, &instances, &node.docs).text();
    let (name, said) = title.map_or((None, String::new()), |title| (Some(title.name), title.text));
    // the docs say more than a title
    let heading = node.docs.of_block().map_or(said, String::from);
    Ok(Body { name, heading, text, ports, parameters: vec![] })
}

fn take_title(mut statements: Vec<Stmt>) -> (Option<Title>, Vec<Stmt>) {
    let parse = |statement: &Stmt| match statement {
        Stmt::Comment(text) => Title::parse(text),
        _ => None,
    };
    let found = statements.iter().enumerate().find_map(|(place, statement)| Some((place, parse(statement)?)));
    let Some((place, title)) = found else { return (None, statements) };
    statements.remove(place);
    (Some(title), statements)
}

/// A register in the block: one per field of a struct.
pub(super) struct RegisterNets {
    pub q: NetId,
    pub d: NetId,
    pub clock: NetId,
    pub reset: Option<NetId>,
    pub initial: Expr,
}

/// A block ready to be laid out.
pub(super) struct Module {
    pub scope: Scope,
    pub pieces: Vec<Piece>,
    pub registers: Vec<RegisterNets>,
    /// The text has initial values of registers.
    pub initialised: bool,
    /// Nets whose continuous assignment is written where they are used, and so need no declaration.
    pub inlined: HashSet<NetId>,
    /// Outputs of blocks inside that are an output port of this one.
    pub renamed: HashMap<NetId, NetId>,
    /// Continuous assignments: where in `pieces`.
    assigned: HashMap<NetId, usize>,
    written: HashSet<NetId>,
    unused: String,
}

impl Module {
    fn new(node: &BlockNode, mut scope: Scope, pieces: Vec<Piece>) -> Self {
        let mut registers = vec![];
        for child in &node.children {
            if let Some(register) = registers::recognise(child) {
                registers.extend(register_nets(&scope, &child.instance, &register));
            }
        }
        let unused = scope.names.fresh("unused");
        let mut module = Module {
            scope,
            pieces,
            registers,
            initialised: false,
            inlined: HashSet::new(),
            renamed: HashMap::new(),
            assigned: HashMap::new(),
            written: HashSet::new(),
            unused,
        };
        module.connect_ports_to_outputs();
        for (place, piece) in module.pieces.iter().enumerate() {
            if let PieceKind::Assign(net, _) = &piece.kind {
                module.assigned.insert(*net, place);
            }
            module.written.extend(piece.kind.writes());
        }
        module
    }

    /// The value of a continuous assignment.
    pub fn assigned(&self, net: NetId) -> Option<&Expr> {
        match &self.pieces[*self.assigned.get(&net)?].kind {
            PieceKind::Assign(_, value) => Some(value),
            _ => None,
        }
    }

    /// `assign output = inner_output;`: the inner block drives the port itself, unless the module reads what comes out of the block:
    /// there the name of the port would mislead.
    fn connect_ports_to_outputs(&mut self) {
        let mut renamed = HashMap::new();
        let mut reads: HashMap<NetId, usize> = HashMap::new();
        self.pieces.iter().for_each(|piece| piece.kind.reads(&mut |net, _| *reads.entry(net).or_default() += 1));
        let scope = &self.scope;
        let registers: HashSet<NetId> = self.registers.iter().map(|register| register.q).collect();
        self.pieces.retain(|piece| {
            let PieceKind::Assign(port, Expr::Net(inner)) = &piece.kind else { return true };
            let (to, from) = (&scope.nets[*port], &scope.nets[*inner]);
            let fits = to.role == Role::Output && from.role == Role::ChildOutput && to.signed == from.signed;
            let read = reads.get(inner).is_some_and(|times| *times > 1);
            if !fits || read || registers.contains(inner) || !piece.comments.is_empty() {
                return true;
            }
            renamed.insert(*inner, *port);
            false
        });
        for (inner, port) in &renamed {
            let name = self.scope.nets[*port].name.clone();
            self.scope.nets[*inner].name = name;
        }
        self.renamed = renamed;
    }

    /// Nets that depend on a register or on a block inside: they change when the reset gives registers their first value. What
    /// only depends on inputs may keep its value for ever.
    pub fn awake(&self) -> HashSet<NetId> {
        let nets = self.scope.nets.iter().enumerate();
        let mut awake: HashSet<NetId> =
            nets.filter(|(_, net)| net.role == Role::ChildOutput).map(|(id, _)| id).collect();
        loop {
            let before = awake.len();
            for piece in &self.pieces {
                let mut wakes = false;
                piece.kind.reads(&mut |net, _| wakes |= awake.contains(&net));
                if wakes {
                    awake.extend(piece.kind.writes());
                }
            }
            if awake.len() == before {
                return awake;
            }
        }
    }

    /// Nets that a process assigns.
    pub fn procedural(&self) -> HashSet<NetId> {
        let processes = self.pieces.iter().filter(|piece| matches!(piece.kind, PieceKind::Process(_)));
        processes.flat_map(|piece| piece.kind.writes()).collect()
    }
}

fn register_nets(scope: &Scope, instance: &str, register: &Register) -> Vec<RegisterNets> {
    let nets =
        |port: &str| scope.signal(&format!("{instance}${port}")).map(|signal| signal.parts.clone()).unwrap_or_default();
    let (q, d, clock, reset) = (nets("q"), nets("d"), nets("clock"), nets("reset"));
    let Some((clock, _)) = clock.first().copied() else { return vec![] };
    let pairs = q.into_iter().zip(d);
    let register = |((q, offset), (d, _)): ((NetId, usize), (NetId, usize))| {
        let mask = (num_bigint::BigUint::from(1u32) << scope.nets[q].width) - 1u32;
        let value = (&register.initial >> offset) & mask;
        let name = scope.nets[q].enumeration.as_ref().and_then(|enumeration| scope.value_of(enumeration, &value));
        let initial = name.map_or(Expr::Literal(value), Expr::Enum);
        RegisterNets { q, d, clock, reset: reset.first().map(|(net, _)| *net), initial }
    };
    pairs.map(register).collect()
}

impl Module {
    /// Some piece writes the net.
    pub fn is_written(&self, net: NetId) -> bool {
        self.written.contains(&net)
    }
    /// A name for what nothing reads.
    pub fn unused_name(&self) -> &str {
        &self.unused
    }
    /// The comments in front of a continuous assignment.
    pub fn comments(&self, net: NetId) -> &[String] {
        self.assigned.get(&net).map(|place| self.pieces[*place].comments.as_slice()).unwrap_or_default()
    }
}
