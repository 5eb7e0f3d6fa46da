//! An alternative Verilog printer over rust-hdl's public AST (`Block::accept` + `Logic::hdl`).
//!
//! Differences from the crate's own `generate_verilog`:
//! * every expression keeps the width Rust gave it (literals sized, widening casts become
//!   concatenations, slices of expressions are hoisted), so Verilog and simulator agree;
//! * parentheses follow the Rust parse, not the text;
//! * registers are inlined as clocked processes, identical modules are emitted once;
//! * single unconditional assignments become `assign`, the rest stays in one `always @*`;
//! * `$` never appears in a name, reserved words are escaped, only used enum values are declared.
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use rust_hdl_ast::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

mod rust_hdl_ast {
    pub use rust_hdl::prelude::ast::{
        VerilogBlock, VerilogBlockOrConditional, VerilogExpression, VerilogLink, VerilogOp, VerilogOpUnary,
        VerilogStatement,
    };
}

// ------------------------------------------------------------------ collection

#[derive(Clone)]
struct AtomInfo {
    name: String,
    kind: AtomKind,
    bits: usize,
    signed: bool,
    value: BigUint,
    enums: Vec<(String, usize, usize)>, // Type$Variant, value, width
}

struct Module {
    inst: String,
    atoms: Vec<AtomInfo>,
    code: Verilog,
    kids: Vec<Module>,
}

#[derive(Default)]
struct Collector {
    stack: Vec<Module>,
    ns: Vec<Vec<String>>,
    done: Option<Module>,
}

fn collect_enums(d: &TypeDescriptor, out: &mut Vec<(String, usize, usize)>) {
    match &d.kind {
        TypeKind::Enum(v) => {
            for (i, n) in v.iter().enumerate() {
                out.push((n.replace("::", "$"), i, clog2(v.len()).max(1)));
            }
        }
        TypeKind::Composite(f) => f.iter().for_each(|x| collect_enums(&x.kind, out)),
        _ => {}
    }
}

fn literal_value(v: &VerilogLiteral) -> BigUint {
    let s = format!("{:x}", v);
    BigUint::parse_bytes(s.split("'h").nth(1).unwrap().as_bytes(), 16).unwrap_or_default()
}

impl Probe for Collector {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        self.stack.push(Module { inst: name.into(), atoms: vec![], code: node.hdl(), kids: vec![] });
        self.ns.push(vec![]);
    }
    fn visit_start_namespace(&mut self, name: &str, _n: &dyn Block) {
        self.ns.last_mut().unwrap().push(name.into());
    }
    fn visit_atom(&mut self, name: &str, a: &dyn Atom) {
        let mut p = self.ns.last().unwrap().clone();
        p.push(name.into());
        let mut enums = vec![];
        collect_enums(&a.descriptor(), &mut enums);
        self.stack.last_mut().unwrap().atoms.push(AtomInfo {
            name: p.join("$"),
            kind: a.kind(),
            bits: a.bits(),
            signed: matches!(a.descriptor().kind, TypeKind::Signed(_)),
            value: if a.kind() == AtomKind::Constant { literal_value(&a.verilog()) } else { BigUint::default() },
            enums,
        });
    }
    fn visit_end_namespace(&mut self, _n: &str, _b: &dyn Block) {
        self.ns.last_mut().unwrap().pop();
    }
    fn visit_end_scope(&mut self, _n: &str, _b: &dyn Block) {
        self.ns.pop();
        let m = self.stack.pop().unwrap();
        match self.stack.last_mut() {
            Some(p) => p.kids.push(m),
            None => self.done = Some(m),
        }
    }
}

// ------------------------------------------------------------------ IR

#[derive(Clone, Debug, PartialEq)]
enum E {
    Sig(String),
    Lit(BigUint),
    Enum(String),
    Bin(&'static str, Box<E>, Box<E>),
    Cmp(&'static str, Box<E>, Box<E>),
    Logic(&'static str, Box<E>, Box<E>),
    Shift(&'static str, Box<E>, Box<E>),
    Un(&'static str, Box<E>),
    Reduce(&'static str, Box<E>),
    Cast(usize, Box<E>),
    Slice(Box<E>, usize, Box<E>),
    Index(Box<E>, Box<E>),
    Replace(Box<E>, Box<E>, Box<E>),
    Signed(Box<E>),
    Unsigned(Box<E>),
}

#[derive(Clone, Debug)]
enum S {
    Assign(String, E),
    SliceAssign(String, E, usize, E),
    If(Vec<(E, Vec<S>)>, Option<Vec<S>>),
    Case(E, Vec<(Option<E>, Vec<S>)>),
    Comment(String),
}

#[derive(Clone)]
struct Sig {
    width: usize,
    signed: bool,
    v: String,
    constant: bool,
}

struct Scope {
    sigs: HashMap<String, Sig>,
    enums: HashMap<String, (usize, usize)>,
    used_enums: BTreeSet<String>,
    loops: Vec<(String, usize)>,
    temps: Vec<(String, usize)>,
    taken: HashSet<String>,
    path: String,
}

const KEYWORDS: &[&str] = &[
    "always",
    "and",
    "assign",
    "automatic",
    "begin",
    "bind",
    "bit",
    "break",
    "buf",
    "byte",
    "case",
    "cell",
    "chandle",
    "checker",
    "class",
    "clocking",
    "config",
    "const",
    "context",
    "continue",
    "cover",
    "default",
    "design",
    "disable",
    "dist",
    "do",
    "edge",
    "else",
    "end",
    "enum",
    "event",
    "expect",
    "export",
    "extends",
    "extern",
    "final",
    "for",
    "force",
    "fork",
    "function",
    "generate",
    "global",
    "if",
    "iff",
    "import",
    "initial",
    "inout",
    "input",
    "inside",
    "instance",
    "int",
    "integer",
    "interface",
    "join",
    "large",
    "let",
    "library",
    "local",
    "logic",
    "longint",
    "macromodule",
    "matches",
    "medium",
    "module",
    "nand",
    "negedge",
    "new",
    "nor",
    "not",
    "null",
    "or",
    "output",
    "package",
    "packed",
    "parameter",
    "posedge",
    "primitive",
    "priority",
    "program",
    "property",
    "protected",
    "pulldown",
    "pullup",
    "pure",
    "rand",
    "randc",
    "real",
    "ref",
    "reg",
    "release",
    "repeat",
    "restrict",
    "return",
    "sequence",
    "shortint",
    "signed",
    "small",
    "solve",
    "specify",
    "static",
    "string",
    "strong",
    "struct",
    "super",
    "supply0",
    "supply1",
    "table",
    "tagged",
    "task",
    "this",
    "throughout",
    "time",
    "timeprecision",
    "timeunit",
    "tran",
    "tri",
    "tri0",
    "tri1",
    "type",
    "typedef",
    "union",
    "unique",
    "unsigned",
    "untyped",
    "use",
    "var",
    "vectored",
    "virtual",
    "void",
    "wait",
    "wand",
    "weak",
    "while",
    "wildcard",
    "wire",
    "with",
    "within",
    "wor",
    "xnor",
    "xor",
];

impl Scope {
    fn fresh(&mut self, want: &str) -> String {
        let mut n = want.replace("$", "_");
        if KEYWORDS.contains(&n.as_str()) {
            n.push('_');
        }
        while !self.taken.insert(n.clone()) {
            n.push('_');
        }
        n
    }

    // -------- names

    fn eval_index(&self, s: &str) -> usize {
        let t: Vec<char> = s.chars().filter(|c| !c.is_whitespace()).collect();
        let mut p = 0;
        let r = self.sum(&t, &mut p);
        assert!(p == t.len(), "{}: array index `{s}` is not a constant expression", self.path);
        r
    }
    fn sum(&self, t: &[char], p: &mut usize) -> usize {
        let mut v = self.prod(t, p);
        while *p < t.len() && (t[*p] == '+' || t[*p] == '-') {
            let o = t[*p];
            *p += 1;
            let r = self.prod(t, p);
            v = if o == '+' { v + r } else { v - r };
        }
        v
    }
    fn prod(&self, t: &[char], p: &mut usize) -> usize {
        let mut v = self.prim(t, p);
        while *p < t.len() && (t[*p] == '*' || t[*p] == '/') {
            let o = t[*p];
            *p += 1;
            let r = self.prim(t, p);
            v = if o == '*' { v * r } else { v / r };
        }
        v
    }
    fn prim(&self, t: &[char], p: &mut usize) -> usize {
        if *p < t.len() && t[*p] == '(' {
            *p += 1;
            let v = self.sum(t, p);
            *p += 1;
            return v;
        }
        let s = *p;
        while *p < t.len() && (t[*p].is_alphanumeric() || t[*p] == '_') {
            *p += 1;
        }
        let w: String = t[s..*p].iter().collect();
        if let Some((_, v)) = self.loops.iter().rev().find(|(n, _)| *n == w) {
            return *v;
        }
        w.replace("usize", "").replace('_', "").parse().unwrap_or_else(|_| {
            panic!("{}: array index uses `{w}`, which is neither a loop variable nor a number", self.path)
        })
    }

    fn resolve(&self, raw: &str) -> String {
        let mut s = raw.trim_end_matches("$next").trim_start_matches(['.', '$']).replace('.', "$").replace("::", "$");
        while let Some(a) = s.find('[') {
            let b = s[a..].find(']').map(|x| x + a).unwrap();
            let i = self.eval_index(&s[a + 1..b]);
            s = format!("{}${}{}", &s[..a], i, &s[b + 1..]);
        }
        s
    }

    // -------- lowering

    fn lower_expr(&mut self, e: &VerilogExpression) -> E {
        use VerilogExpression as V;
        let b = |x| Box::new(x);
        match e {
            V::Signal(n) => {
                if let Some((_, v)) = self.loops.iter().rev().find(|(l, _)| l == n) {
                    return E::Lit(BigUint::from(*v));
                }
                let r = self.resolve(n);
                if self.sigs.contains_key(&r) {
                    E::Sig(r)
                } else if self.enums.contains_key(&r) {
                    self.used_enums.insert(r.clone());
                    E::Enum(r)
                } else {
                    panic!(
                        "{}: `{n}` is not a signal, constant field, loop variable or enum value; \
                            Rust consts and const generics are invisible to hdl_gen, use a Constant<T> field",
                        self.path
                    )
                }
            }
            V::Literal(l) => E::Lit(literal_value(l)),
            V::Cast(x, n) => E::Cast(*n, b(self.lower_expr(x))),
            V::Signed(x) => E::Signed(b(self.lower_expr(x))),
            V::Unsigned(x) => E::Unsigned(b(self.lower_expr(x))),
            V::Paren(x) => self.lower_expr(x),
            V::Binary(l, o, r) => {
                let (l, r) = (b(self.lower_expr(l)), b(self.lower_expr(r)));
                use VerilogOp::*;
                match o {
                    Add => E::Bin("+", l, r),
                    Sub => E::Bin("-", l, r),
                    Mul => E::Bin("*", l, r),
                    BitXor => E::Bin("^", l, r),
                    BitAnd => E::Bin("&", l, r),
                    BitOr => E::Bin("|", l, r),
                    LogicalAnd => E::Logic("&&", l, r),
                    LogicalOr => E::Logic("||", l, r),
                    Shl => E::Shift("<<", l, r),
                    Shr => E::Shift(">>", l, r),
                    Eq => E::Cmp("==", l, r),
                    Ne => E::Cmp("!=", l, r),
                    Lt => E::Cmp("<", l, r),
                    Le => E::Cmp("<=", l, r),
                    Gt => E::Cmp(">", l, r),
                    Ge => E::Cmp(">=", l, r),
                }
            }
            V::Unary(o, x) => {
                let x = b(self.lower_expr(x));
                match o {
                    VerilogOpUnary::Not => E::Un("~", x),
                    VerilogOpUnary::Neg => E::Un("-", x),
                    VerilogOpUnary::All => E::Reduce("&", x),
                    VerilogOpUnary::Any => E::Reduce("|", x),
                    VerilogOpUnary::Xor => E::Reduce("^", x),
                }
            }
            V::Index(x, i) => E::Index(b(self.lower_expr(x)), b(self.lower_expr(i))),
            V::Slice(x, w, o) => E::Slice(b(self.lower_expr(x)), *w, b(self.lower_expr(o))),
            V::IndexReplace(x, i, v) => E::Replace(b(self.lower_expr(x)), b(self.lower_expr(i)), b(self.lower_expr(v))),
        }
    }

    fn lower_target(&mut self, e: &VerilogExpression) -> String {
        match e {
            VerilogExpression::Signal(n) => {
                let r = self.resolve(n);
                assert!(self.sigs.contains_key(&r), "{}: assignment to unknown signal `{n}`", self.path);
                r
            }
            _ => panic!("{}: unsupported assignment target", self.path),
        }
    }

    fn lower_block(&mut self, b: &VerilogBlock) -> Vec<S> {
        let mut out = vec![];
        for s in b {
            self.lower_stmt(s, &mut out);
        }
        out
    }

    fn lower_stmt(&mut self, s: &VerilogStatement, out: &mut Vec<S>) {
        match s {
            VerilogStatement::Assignment(l, r) => {
                let l = self.lower_target(l);
                let r = self.lower_expr(r);
                let r = self.hoist(r, out, true);
                // x = y.replace_bit(i, v)  ==>  x = y; x[i] = v
                if let E::Replace(base, i, v) = &r {
                    // a variable bit select on the left costs a subtractor in yosys; use masks there
                    if !matches!(fold(i), E::Lit(_)) {
                        let w = self.sigs[&l].width;
                        out.push(S::Assign(l, mask_form(base, i, v, w)));
                        return;
                    }
                    let mut reads = BTreeSet::new();
                    reads_of(i, &mut reads);
                    reads_of(v, &mut reads);
                    if !reads.contains(&l) {
                        if **base != E::Sig(l.clone()) {
                            out.push(S::Assign(l.clone(), (**base).clone()));
                        }
                        out.push(S::SliceAssign(l, (**i).clone(), 1, (**v).clone()));
                        return;
                    }
                }
                out.push(S::Assign(l, r));
            }
            VerilogStatement::SliceAssignment { base, width, offset, replacement } => {
                let l = self.lower_target(base);
                let o = self.lower_expr(offset);
                let r = self.lower_expr(replacement);
                let o = self.hoist(o, out, false);
                let r = self.hoist(r, out, false);
                out.push(S::SliceAssign(l, o, *width, r));
            }
            VerilogStatement::If(c) => {
                let mut arms = vec![];
                let mut cur = c.clone();
                let other = loop {
                    let t = self.lower_expr(&cur.test);
                    let t = self.hoist(t, out, false);
                    let body = self.lower_block(&cur.then);
                    arms.push((t, body));
                    match cur.otherwise {
                        VerilogBlockOrConditional::Block(b) => break Some(self.lower_block(&b)),
                        VerilogBlockOrConditional::None => break None,
                        VerilogBlockOrConditional::Conditional(s) => match *s {
                            VerilogStatement::If(c2) => cur = c2,
                            _ => unreachable!(),
                        },
                    }
                };
                out.push(S::If(arms, other));
            }
            VerilogStatement::Match(m) => {
                let t = self.lower_expr(&m.test);
                let t = self.hoist(t, out, false);
                let mut cases = vec![];
                for c in &m.cases {
                    let p = if c.condition == "default" {
                        None
                    } else {
                        let r = self.resolve(&c.condition);
                        Some(if self.enums.contains_key(&r) {
                            self.used_enums.insert(r.clone());
                            E::Enum(r)
                        } else {
                            E::Lit(parse_int(&c.condition).unwrap_or_else(|| {
                                panic!(
                                    "{}: match pattern `{}` is neither an enum value nor an integer",
                                    self.path, c.condition
                                )
                            }))
                        })
                    };
                    cases.push((p, self.lower_block(&c.block)));
                }
                // an exhaustive enum match needs no unreachable default, but lint wants one
                out.push(S::Case(t, cases));
            }
            VerilogStatement::Loop(l) => {
                for i in l.from.as_usize()..l.to.as_usize() {
                    self.loops.push((l.index.clone(), i));
                    for s in &l.block {
                        self.lower_stmt(s, out);
                    }
                    self.loops.pop();
                }
            }
            VerilogStatement::Comment(c) => {
                let t = c.split('"').nth(1).unwrap_or(c).to_string();
                out.push(S::Comment(t));
            }
            VerilogStatement::Link(ls) => {
                for l in ls {
                    let (dst, src) = match l {
                        VerilogLink::Forward(d) => ((&d.other_name, &d.my_name), (&d.owner_name, &d.my_name)),
                        VerilogLink::Backward(d) => ((&d.owner_name, &d.my_name), (&d.other_name, &d.my_name)),
                        VerilogLink::Bidirectional(_) => panic!("{}: inout link: use a wrapper", self.path),
                    };
                    let name = |s: &Self, x: (&String, &String)| {
                        let mut n = s.resolve(x.0);
                        let f = x.1.trim_start_matches('.').replace('.', "$");
                        if !f.is_empty() {
                            n = format!("{n}${f}");
                        }
                        n
                    };
                    let (d, s) = (name(self, dst), name(self, src));
                    out.push(S::Assign(d, E::Sig(s)));
                }
            }
            VerilogStatement::Macro(b) => {
                for s in b {
                    self.lower_stmt(s, out);
                }
            }
        }
    }

    // -------- widths

    fn width(&self, e: &E) -> Option<usize> {
        Some(match e {
            E::Sig(n) => self.sigs[n].width,
            E::Lit(_) => return None,
            E::Enum(n) => self.enums[n].1,
            E::Bin("*", l, r) => self.width(l)? + self.width(r)?,
            E::Bin(_, l, r) => return self.width(l).or(self.width(r)),
            E::Cmp(..) | E::Logic(..) | E::Reduce(..) | E::Index(..) => 1,
            E::Shift(_, l, _) => return self.width(l),
            E::Un(_, x) | E::Signed(x) | E::Unsigned(x) => return self.width(x),
            E::Cast(n, _) => *n,
            E::Slice(_, w, _) => *w,
            E::Replace(x, _, _) => return self.width(x),
        })
    }

    /// Moves sub-expressions that Verilog cannot slice or narrow in place into temporaries.
    fn hoist(&mut self, e: E, out: &mut Vec<S>, top: bool) -> E {
        let b = |x| Box::new(x);
        match e {
            E::Sig(_) | E::Lit(_) | E::Enum(_) => e,
            E::Bin(o, l, r) => E::Bin(o, b(self.hoist(*l, out, false)), b(self.hoist(*r, out, false))),
            E::Cmp(o, l, r) => E::Cmp(o, b(self.hoist(*l, out, false)), b(self.hoist(*r, out, false))),
            E::Logic(o, l, r) => E::Logic(o, b(self.hoist(*l, out, false)), b(self.hoist(*r, out, false))),
            E::Shift(o, l, r) => E::Shift(o, b(self.hoist(*l, out, false)), b(self.hoist(*r, out, false))),
            E::Un(o, x) => E::Un(o, b(self.hoist(*x, out, false))),
            E::Reduce(o, x) => E::Reduce(o, b(self.hoist(*x, out, false))),
            E::Signed(x) => E::Signed(b(self.hoist(*x, out, false))),
            E::Unsigned(x) => E::Unsigned(b(self.hoist(*x, out, false))),
            E::Cast(n, x) => {
                let x = self.hoist(*x, out, false);
                match self.width(&x) {
                    None => E::Cast(n, b(x)),
                    Some(w) if w == n => x,
                    Some(w) if w < n => E::Cast(n, b(x)),
                    Some(_) => self.slice(x, n, E::Lit(BigUint::default()), out),
                }
            }
            E::Slice(x, w, o) => {
                let x = self.hoist(*x, out, false);
                let o = self.hoist(*o, out, false);
                self.slice(x, w, o, out)
            }
            E::Index(x, i) => {
                let x = self.hoist(*x, out, false);
                let i = self.hoist(*i, out, false);
                match (&x, &fold(&i)) {
                    (E::Slice(s, _, o), E::Lit(k)) => match fold(o) {
                        E::Lit(ov) => E::Index(s.clone(), b(E::Lit(ov + k))),
                        _ => E::Index(b(self.temp(x, out)), b(i)),
                    },
                    (E::Sig(_), _) => E::Index(b(x), b(i)),
                    _ => E::Index(b(self.temp(x, out)), b(i)),
                }
            }
            E::Replace(x, i, v) => {
                let x = self.hoist(*x, out, false);
                let i = self.hoist(*i, out, false);
                let v = self.hoist(*v, out, false);
                let r = E::Replace(b(x), b(i), b(v));
                if top {
                    r
                } else {
                    // nested use: give it a name, then the statement form above applies
                    let w = self.width(&r).unwrap();
                    let t = self.new_temp(w);
                    if let E::Replace(x, i, v) = r {
                        if !matches!(fold(&i), E::Lit(_)) {
                            out.push(S::Assign(t.clone(), mask_form(&x, &i, &v, w)));
                            return E::Sig(t);
                        }
                        out.push(S::Assign(t.clone(), *x));
                        out.push(S::SliceAssign(t.clone(), *i, 1, *v));
                    }
                    E::Sig(t)
                }
            }
        }
    }

    fn slice(&mut self, x: E, w: usize, o: E, out: &mut Vec<S>) -> E {
        let b = |x| Box::new(x);
        let n = self.width(&x).expect("slice of a bare literal");
        let o = fold(&o);
        match (&x, &o) {
            // slice of a constant slice: fold the offsets
            (E::Slice(s, w2, o2), E::Lit(k)) if matches!(fold(o2), E::Lit(_)) => {
                let E::Lit(k2) = fold(o2) else { unreachable!() };
                let (ku, s, w2) = (to_usize(k), (**s).clone(), *w2);
                if ku >= w2 {
                    E::Cast(w, b(E::Lit(BigUint::default())))
                } else if ku + w <= w2 {
                    self.slice(s, w, E::Lit(k + k2), out)
                } else {
                    // the outer slice runs past the inner one: zeroes there, not its neighbours
                    let part = self.slice(s, w2 - ku, E::Lit(k + k2), out);
                    E::Cast(w, b(part))
                }
            }
            (E::Sig(_), E::Lit(k)) => {
                let k = to_usize(k);
                if k + w <= n {
                    E::Slice(b(x), w, b(o))
                } else if k < n {
                    // Rust zero-fills past the top
                    E::Cast(w, b(E::Slice(b(x), n - k, b(o))))
                } else {
                    E::Cast(w, b(E::Lit(BigUint::default())))
                }
            }
            (E::Sig(_), _) => {
                let ow = self.width(&o).unwrap_or(32);
                if ow < 31 && (1usize << ow) - 1 + w <= n {
                    E::Slice(b(x), w, b(o))
                } else {
                    let t = self.temp(E::Shift(">>", b(x), b(o)), out);
                    E::Slice(b(t), w, b(E::Lit(BigUint::default())))
                }
            }
            _ => {
                let t = self.temp(x, out);
                self.slice(t, w, o, out)
            }
        }
    }

    fn new_temp(&mut self, w: usize) -> String {
        let key = format!("tmp{}", self.temps.len());
        let v = self.fresh(&key);
        self.temps.push((v.clone(), w));
        let k = format!("%{key}");
        self.sigs.insert(k.clone(), Sig { width: w, signed: false, v, constant: false });
        k
    }
    fn temp(&mut self, x: E, out: &mut Vec<S>) -> E {
        let w = self.width(&x).unwrap();
        let t = self.new_temp(w);
        out.push(S::Assign(t.clone(), x));
        E::Sig(t)
    }

    // -------- printing

    fn lit(&self, v: &BigUint, w: usize) -> String {
        let m = (BigUint::from(1u32) << w) - 1u32;
        let v = v & m;
        if w == 1 {
            format!("1'b{v}")
        } else if w <= 4 || v < BigUint::from(10u32) {
            format!("{w}'d{v}")
        } else {
            format!("{w}'h{v:x}")
        }
    }

    /// Prints `e` at width `w` (used only to size bare literals). Returns (text, is_primary).
    fn p(&self, e: &E, w: usize) -> (String, bool) {
        match e {
            E::Sig(n) => (self.sigs[n].v.clone(), true),
            E::Lit(v) => (self.lit(v, w), true),
            E::Enum(n) => (enum_name(n), true),
            E::Bin(o, l, r) => {
                if let E::Lit(v) = fold(e) {
                    return (self.lit(&v, w), true);
                }
                let ww = self.width(l).or(self.width(r)).unwrap_or(w);
                let sg = self.is_signed(l) || self.is_signed(r);
                (format!("{} {o} {}", self.qs(l, ww, sg), self.qs(r, ww, sg)), false)
            }
            E::Cmp(o, l, r) => {
                let ww = self.width(l).or(self.width(r)).unwrap_or(32);
                let sg = self.is_signed(l) || self.is_signed(r);
                (format!("{} {o} {}", self.qs(l, ww, sg), self.qs(r, ww, sg)), false)
            }
            E::Logic(o, l, r) => (format!("{} {o} {}", self.q(l, 1), self.q(r, 1)), false),
            E::Shift(o, l, r) => {
                let ww = self.width(l).unwrap_or(w);
                let rt = match fold(r) {
                    E::Lit(v) => format!("{v}"),
                    r2 => self.q(&r2, 32),
                };
                (format!("{} {o} {rt}", self.q(l, ww)), false)
            }
            E::Un(o, x) => {
                let ww = self.width(x).unwrap_or(w);
                let o = if *o == "~" && ww == 1 { "!" } else { o };
                (format!("{o}{}", self.q(x, ww)), false)
            }
            E::Reduce(o, x) => (format!("{o}{}", self.q(x, 1)), false),
            E::Signed(x) => (format!("$signed({})", self.p(x, w).0), true),
            E::Unsigned(x) => (format!("$unsigned({})", self.p(x, w).0), true),
            E::Cast(n, x) => match self.width(x) {
                None => match fold(x) {
                    E::Lit(v) => (self.lit(&v, *n), true),
                    _ => panic!("{}: cast of untyped expression", self.path),
                },
                Some(xw) => (format!("{{{}'d0, {}}}", n - xw, self.p(x, xw).0), true),
            },
            E::Slice(x, w, o) => {
                let s = self.q(x, 0);
                let n = self.width(x).unwrap();
                match fold(o) {
                    E::Lit(k) => {
                        let k = to_usize(&k);
                        if *w == n {
                            (s, true)
                        } else if *w == 1 {
                            (format!("{s}[{k}]"), true)
                        } else {
                            (format!("{s}[{}:{k}]", k + w - 1), true)
                        }
                    }
                    o2 => (format!("{s}[{} +: {w}]", self.p(&o2, 32).0), true),
                }
            }
            E::Index(x, i) => {
                let s = self.q(x, 0);
                if self.width(x) == Some(1) {
                    return (s, true);
                }
                match fold(i) {
                    E::Lit(k) => (format!("{s}[{k}]"), true),
                    i2 => (format!("{s}[{}]", self.p(&i2, 32).0), true),
                }
            }
            E::Replace(..) => unreachable!("replace_bit is lowered to statements"),
        }
    }
    fn q(&self, e: &E, w: usize) -> String {
        let (s, prim) = self.p(e, w);
        if prim {
            s
        } else {
            format!("({s})")
        }
    }

    fn is_signed(&self, e: &E) -> bool {
        match e {
            E::Sig(n) => self.sigs[n].signed,
            E::Signed(_) => true,
            E::Bin(_, l, r) => self.is_signed(l) || self.is_signed(r),
            E::Un(_, x) | E::Shift(_, x, _) => self.is_signed(x),
            _ => false,
        }
    }
    /// Like `q`, but a bare literal next to a signed operand must be signed too, or the
    /// whole Verilog expression turns unsigned.
    fn qs(&self, e: &E, w: usize, signed: bool) -> String {
        match e {
            E::Lit(v) if signed => format!("{w}'sd{v}"),
            E::Un("-", x) if signed && matches!(**x, E::Lit(_)) => format!("(-{})", self.qs(x, w, true)),
            _ => self.q(e, w),
        }
    }

    fn stmts(&self, b: &[S], ind: usize, out: &mut String) {
        let pad = "    ".repeat(ind);
        for s in b {
            match s {
                S::Assign(l, r) => {
                    let sg = &self.sigs[l];
                    let _ = writeln!(out, "{pad}{} = {};", sg.v, self.p(r, sg.width).0);
                }
                S::SliceAssign(l, o, w, r) => {
                    let sg = &self.sigs[l];
                    let t = match fold(o) {
                        E::Lit(k) if *w == 1 => format!("{}[{k}]", sg.v),
                        E::Lit(k) => format!("{}[{}:{k}]", sg.v, to_usize(&k) + w - 1),
                        o2 if *w == 1 => format!("{}[{}]", sg.v, self.p(&o2, 32).0),
                        o2 => format!("{}[{} +: {w}]", sg.v, self.p(&o2, 32).0),
                    };
                    let _ = writeln!(out, "{pad}{t} = {};", self.p(r, *w).0);
                }
                S::If(arms, other) => {
                    for (i, (c, b)) in arms.iter().enumerate() {
                        let kw = if i == 0 { format!("{pad}if") } else { " else if".into() };
                        let _ = writeln!(out, "{kw} ({}) begin", self.p(c, 1).0);
                        self.stmts(b, ind + 1, out);
                        let _ = write!(out, "{pad}end");
                    }
                    if let Some(b) = other {
                        if !b.is_empty() {
                            let _ = writeln!(out, " else begin");
                            self.stmts(b, ind + 1, out);
                            let _ = write!(out, "{pad}end");
                        }
                    }
                    out.push('\n');
                }
                S::Case(t, cases) => {
                    let w = self.width(t).unwrap();
                    let _ = writeln!(out, "{pad}case ({})", self.p(t, w).0);
                    let mut has_default = false;
                    for (p, b) in cases {
                        let l = match p {
                            None => {
                                has_default = true;
                                "default".to_string()
                            }
                            Some(p) => self.p(p, w).0,
                        };
                        let _ = writeln!(out, "{pad}    {l}: begin");
                        self.stmts(b, ind + 2, out);
                        let _ = writeln!(out, "{pad}    end");
                    }
                    if !has_default {
                        let _ = writeln!(out, "{pad}    default: ;");
                    }
                    let _ = writeln!(out, "{pad}endcase");
                }
                S::Comment(c) => {
                    let _ = writeln!(out, "{pad}// {c}");
                }
            }
        }
    }
}

/// `(x & ~(1 << i)) | (v << i)`, or just the set/clear half when `v` is a constant.
fn mask_form(x: &E, i: &E, v: &E, w: usize) -> E {
    let b = |x| Box::new(x);
    let one = E::Shift("<<", b(E::Cast(w, b(E::Lit(BigUint::from(1u32))))), b(i.clone()));
    let clear = E::Bin("&", b(x.clone()), b(E::Un("~", b(one.clone()))));
    match v {
        E::Lit(k) if *k == BigUint::default() => clear,
        E::Lit(_) => E::Bin("|", b(x.clone()), b(one)),
        v => E::Bin("|", b(clear), b(E::Shift("<<", b(E::Cast(w, b(v.clone()))), b(i.clone())))),
    }
}

fn enum_name(n: &str) -> String {
    // Type$VariantName -> TYPE_VARIANT_NAME is nicer, but keep it greppable from the Rust side
    n.replace('$', "_")
}
fn parse_int(s: &str) -> Option<BigUint> {
    let t = s.replace('_', "");
    let t = t.trim_end_matches("usize").trim_end_matches("u64").trim_end_matches("u32");
    if let Some(h) = t.strip_prefix("0x") {
        BigUint::parse_bytes(h.as_bytes(), 16)
    } else if let Some(h) = t.strip_prefix("0b") {
        BigUint::parse_bytes(h.as_bytes(), 2)
    } else {
        BigUint::parse_bytes(t.as_bytes(), 10)
    }
}
fn to_usize(b: &BigUint) -> usize {
    b.to_u64_digits().first().copied().unwrap_or(0) as usize
}
/// Folds arithmetic on bare literals (unrolled loop indices).
fn fold(e: &E) -> E {
    if let E::Bin(o, l, r) = e {
        if let (E::Lit(a), E::Lit(b)) = (fold(l), fold(r)) {
            return E::Lit(match *o {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "&" => a & b,
                "|" => a | b,
                _ => a ^ b,
            });
        }
    }
    e.clone()
}

fn reads_of(e: &E, out: &mut BTreeSet<String>) {
    match e {
        E::Sig(n) => {
            out.insert(n.clone());
        }
        E::Lit(_) | E::Enum(_) => {}
        E::Bin(_, a, b)
        | E::Cmp(_, a, b)
        | E::Logic(_, a, b)
        | E::Shift(_, a, b)
        | E::Slice(a, _, b)
        | E::Index(a, b) => {
            reads_of(a, out);
            reads_of(b, out);
        }
        E::Un(_, a) | E::Reduce(_, a) | E::Cast(_, a) | E::Signed(a) | E::Unsigned(a) => reads_of(a, out),
        E::Replace(a, b, c) => {
            reads_of(a, out);
            reads_of(b, out);
            reads_of(c, out);
        }
    }
}
fn writes_of(b: &[S], out: &mut BTreeMap<String, usize>) {
    for s in b {
        match s {
            S::Assign(l, _) | S::SliceAssign(l, _, _, _) => *out.entry(l.clone()).or_default() += 1,
            S::If(a, o) => {
                a.iter().for_each(|x| writes_of(&x.1, out));
                if let Some(o) = o {
                    writes_of(o, out);
                }
            }
            S::Case(_, c) => c.iter().for_each(|x| writes_of(&x.1, out)),
            S::Comment(_) => {}
        }
    }
}

/// Cuts a combinational body into processes: as many as its data flow allows, so that no process reads, through others,
/// what it writes itself. A loop that is only in the text, not in the logic, would cost the simulator its static
/// order and is a lint warning.
///
/// Statements that write the same signal stay together, in their order, and so does a statement that reads a signal before
/// its last write. What still forms a loop is merged.
fn split_processes(ir: Vec<S>) -> Vec<Vec<S>> {
    let n = ir.len();
    let mut writers: HashMap<String, Vec<usize>> = HashMap::new();
    let mut reads: Vec<BTreeSet<String>> = vec![];
    for (i, s) in ir.iter().enumerate() {
        let mut w = BTreeMap::new();
        writes_of(std::slice::from_ref(s), &mut w);
        for k in w.into_keys() {
            writers.entry(k).or_default().push(i);
        }
        let mut r = BTreeSet::new();
        statement_reads(s, &mut r);
        reads.push(r);
    }
    // group of each statement; a comment goes with the statement behind it
    let mut group: Vec<usize> = (0..n).collect();
    fn find(group: &mut [usize], i: usize) -> usize {
        let mut root = i;
        while group[root] != root {
            root = group[root];
        }
        group[i] = root;
        root
    }
    fn join(group: &mut [usize], a: usize, b: usize) {
        let (a, b) = (find(group, a), find(group, b));
        group[a.max(b)] = a.min(b);
    }
    for i in 0..n.saturating_sub(1) {
        if matches!(ir[i], S::Comment(_)) {
            join(&mut group, i, i + 1);
        }
    }
    for list in writers.values() {
        list.iter().for_each(|i| join(&mut group, list[0], *i));
    }
    for (i, r) in reads.iter().enumerate() {
        for v in r {
            if let Some(list) = writers.get(v) {
                if *list.last().unwrap() >= i {
                    join(&mut group, list[0], i);
                }
            }
        }
    }
    // groups that feed each other in a circle are one
    let mut feeds: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (i, r) in reads.iter().enumerate() {
        for v in r {
            if let Some(list) = writers.get(v) {
                let (from, to) = (find(&mut group, list[0]), find(&mut group, i));
                if from != to {
                    feeds.entry(from).or_default().insert(to);
                }
            }
        }
    }
    let reachable: BTreeMap<usize, BTreeSet<usize>> = feeds
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut todo = vec![*start];
            while let Some(at) = todo.pop() {
                for next in feeds.get(&at).into_iter().flatten() {
                    if seen.insert(*next) {
                        todo.push(*next);
                    }
                }
            }
            (*start, seen)
        })
        .collect();
    for (a, from_a) in &reachable {
        for b in from_a {
            if reachable.get(b).is_some_and(|from_b| from_b.contains(a)) {
                join(&mut group, *a, *b);
            }
        }
    }
    let mut out: BTreeMap<usize, Vec<S>> = BTreeMap::new();
    for (i, s) in ir.into_iter().enumerate() {
        let root = find(&mut group, i);
        out.entry(root).or_default().push(s);
    }
    out.into_values().filter(|g| g.iter().any(|s| !matches!(s, S::Comment(_)))).collect()
}

/// Signals a statement reads, those of its conditions included.
fn statement_reads(s: &S, out: &mut BTreeSet<String>) {
    match s {
        S::Assign(_, r) => reads_of(r, out),
        S::SliceAssign(_, o, _, r) => {
            reads_of(o, out);
            reads_of(r, out);
        }
        S::If(arms, other) => {
            for (test, body) in arms {
                reads_of(test, out);
                body.iter().for_each(|s| statement_reads(s, out));
            }
            other.iter().flatten().for_each(|s| statement_reads(s, out));
        }
        S::Case(test, cases) => {
            reads_of(test, out);
            cases.iter().flat_map(|(_, body)| body).for_each(|s| statement_reads(s, out));
        }
        S::Comment(_) => {}
    }
}

/// Drops array indices so that `bank[i]$q` (source) and `bank$3$q` (elaborated) compare equal.
fn base_key(s: &str) -> String {
    let mut out: Vec<String> = vec![];
    for part in s.replace('.', "$").replace("::", "$").split('$') {
        let p = part.split('[').next().unwrap();
        if p.is_empty() || p.chars().all(|c| c.is_ascii_digit()) || p == "next" {
            continue;
        }
        out.push(p.into());
    }
    out.join("$")
}
struct Reads(HashSet<String>);
impl VerilogVisitor for Reads {
    fn visit_signal(&mut self, s: &str) {
        self.0.insert(base_key(s));
    }
    fn visit_assignment(&mut self, _l: &VerilogExpression, r: &VerilogExpression) {
        self.visit_expression(r);
    }
    fn visit_slice_assignment(
        &mut self,
        _b: &VerilogExpression,
        _w: &usize,
        o: &VerilogExpression,
        r: &VerilogExpression,
    ) {
        self.visit_expression(o);
        self.visit_expression(r);
    }
    fn visit_link(&mut self, ls: &[VerilogLink]) {
        for l in ls {
            let (a, b) = match l {
                VerilogLink::Forward(d) => (&d.owner_name, &d.my_name),
                VerilogLink::Backward(d) | VerilogLink::Bidirectional(d) => (&d.other_name, &d.my_name),
            };
            self.0.insert(base_key(&format!("{a}${b}")));
        }
    }
}
fn raw_reads(b: &VerilogBlock) -> HashSet<String> {
    let mut r = Reads(HashSet::new());
    r.visit_block(b);
    r.0
}

// ------------------------------------------------------------------ modules

/// A register leaf recognised by the text of its custom Verilog.
fn as_reg(m: &Module) -> Option<(bool, usize)> {
    let Verilog::Custom(t) = &m.code else { return None };
    let names: Vec<_> = m.atoms.iter().map(|a| a.name.as_str()).collect();
    let w = m.atoms.iter().find(|a| a.name == "q")?.bits;
    if names == ["d", "q", "clock"] && t.contains("always @(posedge clock) begin\n   q <= d;\nend") {
        Some((false, w))
    } else if names == ["d", "q", "clock", "reset"] && t.contains("if (reset) q <= ") {
        Some((true, w))
    } else {
        None
    }
}
fn reg_init(m: &Module) -> BigUint {
    let Verilog::Custom(t) = &m.code else { unreachable!() };
    let i = t.find("q = ").unwrap();
    let s: String = t[i..].split(";").next().unwrap().split("'h").nth(1).unwrap().into();
    BigUint::parse_bytes(s.trim().as_bytes(), 16).unwrap()
}

#[derive(Default)]
pub struct Printer {
    by_text: HashMap<String, String>,
    names: HashSet<String>,
    out: Vec<String>,
    cores: BTreeSet<String>,
}

pub fn generate<U: Block>(uut: &U, top: &str) -> String {
    let mut c = Collector::default();
    uut.accept("top", &mut c);
    let m = c.done.unwrap();
    let mut p = Printer::default();
    p.names.insert(top.into());
    p.module(&m, Some(top), top);
    let mut s = String::from("// Generated; do not edit.\n`default_nettype none\n\n");
    s += &p.out.join("\n");
    for c in &p.cores {
        s += "\n";
        s += c;
    }
    s += "\n`default_nettype wire\n";
    s
}

fn decl(kind: &str, signed: bool, w: usize, name: &str) -> String {
    let s = if signed { "signed " } else { "" };
    if w == 1 {
        format!("{kind} {s}{name}")
    } else {
        format!("{kind} {s}[{}:0] {name}", w - 1)
    }
}

impl Printer {
    fn module(&mut self, m: &Module, force: Option<&str>, path: &str) -> (String, HashMap<String, String>) {
        let mut sc = Scope {
            sigs: HashMap::new(),
            enums: HashMap::new(),
            used_enums: BTreeSet::new(),
            loops: vec![],
            temps: vec![],
            taken: HashSet::new(),
            path: path.into(),
        };
        let add_enums = |sc: &mut Scope, a: &AtomInfo| {
            for (n, v, w) in &a.enums {
                if let Some(old) = sc.enums.insert(n.clone(), (*v, *w)) {
                    assert_eq!(old, (*v, *w), "{path}: two different enum types share the name {n}");
                }
            }
        };
        for a in &m.atoms {
            assert!(a.bits > 0, "{path}: signal {} has width 0", a.name);
            let v = sc.fresh(&a.name);
            sc.sigs.insert(
                a.name.clone(),
                Sig { width: a.bits, signed: a.signed, v, constant: a.kind == AtomKind::Constant },
            );
            add_enums(&mut sc, a);
        }
        let portmap: HashMap<String, String> = m
            .atoms
            .iter()
            .filter(|a| a.kind.is_parameter())
            .map(|a| (a.name.clone(), sc.sigs[&a.name].v.clone()))
            .collect();
        // nets that some expression of this module reads (for naming unread child outputs)
        let read = match &m.code {
            Verilog::Combinatorial(code) => raw_reads(code),
            _ => HashSet::new(),
        };
        // child ports become nets of this module
        let custom = matches!(m.code, Verilog::Custom(_) | Verilog::Wrapper(_) | Verilog::Blackbox(_));
        let mut kids = vec![];
        if !custom {
            for k in &m.kids {
                for a in k.atoms.iter().filter(|a| a.kind.is_parameter()) {
                    let key = format!("{}${}", k.inst, a.name);
                    let unread =
                        a.kind == AtomKind::OutputParameter && as_reg(k).is_none() && !read.contains(&base_key(&key));
                    // lint tools accept unread nets whose name says so
                    let v = if unread { sc.fresh(&format!("unused_{key}")) } else { sc.fresh(&key) };
                    sc.sigs.insert(key, Sig { width: a.bits, signed: a.signed, v, constant: false });
                    add_enums(&mut sc, a);
                }
                kids.push(k);
            }
        }
        let mut body = String::new();
        let mut title = None;
        let mut port_reg: HashSet<String> = HashSet::new();
        match &m.code {
            Verilog::Blackbox(b) => {
                self.cores.insert(b.code.clone());
                return (b.name.clone(), m.atoms.iter().map(|a| (a.name.clone(), a.name.clone())).collect());
            }
            Verilog::Wrapper(w) => {
                self.cores.insert(w.cores.clone());
                body += "\n";
                for l in w.code.lines() {
                    let _ = writeln!(body, "    {l}");
                }
            }
            Verilog::Custom(t) => {
                body += "\n";
                for l in t.lines() {
                    if let Some(n) = l.trim().strip_prefix("// module:") {
                        title = Some((n.trim().to_string(), String::new()));
                        continue;
                    }
                    let _ = writeln!(body, "    {}", l.trim_end());
                }
                for a in m.atoms.iter().filter(|a| a.kind == AtomKind::OutputParameter) {
                    // leaf text assigns its outputs procedurally unless it says `assign name`
                    if !t.contains(&format!("assign {} ", a.name.replace('$', "_"))) {
                        port_reg.insert(a.name.clone());
                    }
                }
            }
            Verilog::Empty => {}
            Verilog::Combinatorial(code) => {
                let mut ir = sc.lower_block(code);
                // leading comment names the module
                if let Some(S::Comment(c)) = ir.first() {
                    if let Some(r) = c.strip_prefix("module ") {
                        let (n, d) = r.split_once(':').unwrap_or((r, ""));
                        title = Some((n.trim().into(), d.trim().into()));
                        ir.remove(0);
                    }
                }
                self.comb(m, &kids, &mut sc, ir, &mut body, &mut port_reg, path);
            }
        }
        // header
        let mut text = String::new();
        let args: Vec<String> = m
            .atoms
            .iter()
            .filter(|a| a.kind.is_parameter())
            .map(|a| {
                let k = match a.kind {
                    AtomKind::InputParameter => "input  wire",
                    AtomKind::InOutParameter => "inout  wire",
                    _ if port_reg.contains(&a.name) => "output reg ",
                    _ => "output wire",
                };
                format!("    {}", decl(k, a.signed, a.bits, &sc.sigs[&a.name].v))
            })
            .collect();
        let _ = writeln!(text, "(\n{}\n);", args.join(",\n"));
        let mut consts = String::new();
        for a in m.atoms.iter().filter(|a| a.kind == AtomKind::Constant) {
            let s = &sc.sigs[&a.name];
            let range = if a.bits == 1 { String::new() } else { format!("[{}:0] ", a.bits - 1) };
            let sg = if a.signed { "signed " } else { "" };
            let _ = writeln!(consts, "    localparam {sg}{range}{} = {};", s.v, sc.lit(&a.value, a.bits));
        }
        for n in &sc.used_enums {
            let (v, w) = sc.enums[n];
            let range = if w == 1 { String::new() } else { format!("[{}:0] ", w - 1) };
            let _ = writeln!(consts, "    localparam {range}{} = {};", enum_name(n), sc.lit(&BigUint::from(v), w));
        }
        if !consts.is_empty() {
            let _ = write!(text, "\n{consts}");
        }
        text += &body;
        text += "endmodule\n";
        // dedupe
        if force.is_none() {
            if let Some(n) = self.by_text.get(&text) {
                return (n.clone(), portmap);
            }
        }
        let (want, doc) = title.unwrap_or_else(|| {
            let stem = m.inst.split('$').next().unwrap().to_string();
            (stem, String::new())
        });
        let mut name = force.map(|s| s.to_string()).unwrap_or(want);
        if force.is_none() {
            let stem = name.clone();
            let mut i = 2;
            while !self.names.insert(name.clone()) {
                name = format!("{stem}_{i}");
                i += 1;
            }
        }
        let mut full = String::new();
        if !doc.is_empty() {
            let _ = writeln!(full, "// {doc}");
        }
        let _ = write!(full, "module {name} {text}");
        self.by_text.insert(text, name.clone());
        self.out.push(full);
        (name, portmap)
    }

    #[allow(clippy::too_many_arguments)]
    fn comb(
        &mut self,
        m: &Module,
        kids: &[&Module],
        sc: &mut Scope,
        mut ir: Vec<S>,
        body: &mut String,
        port_reg: &mut HashSet<String>,
        path: &str,
    ) {
        let mut counts = BTreeMap::new();
        writes_of(&ir, &mut counts);
        let mut cont: Vec<(String, E)> = vec![];
        let mut processes: Vec<Vec<S>> = vec![];
        for mut group in split_processes(std::mem::take(&mut ir)) {
            match group.last() {
                Some(S::Assign(..)) if group.iter().filter(|s| !matches!(s, S::Comment(_))).count() == 1 => {
                    let Some(S::Assign(l, r)) = group.pop() else { unreachable!() };
                    cont.push((l, r));
                }
                _ => processes.push(group),
            }
        }
        let ir: Vec<S> = processes.iter().flatten().cloned().collect();
        let simple: HashMap<String, E> = cont
            .iter()
            .filter(|(_, e)| matches!(e, E::Sig(_) | E::Lit(_) | E::Enum(_)))
            .map(|(l, e)| (l.clone(), e.clone()))
            .collect();
        let mut proc = BTreeMap::new();
        writes_of(&ir, &mut proc);
        let mut skip: HashSet<String> = HashSet::new();
        let mut decls = String::new();
        let mut insts = String::new();
        // registers, grouped by clock and reset
        let mut groups: BTreeMap<(String, String), Vec<(String, String, String)>> = BTreeMap::new();
        let mut inits = String::new();
        for k in kids {
            if let Some((has_reset, w)) = as_reg(k) {
                let g = |p: &str| format!("{}${}", k.inst, p);
                let net = |sc: &Scope, key: &String| -> String {
                    match simple.get(key) {
                        Some(e) => sc.p(e, sc.sigs[key].width).0,
                        None => sc.sigs[key].v.clone(),
                    }
                };
                let clk = net(sc, &g("clock"));
                let rst = if has_reset { net(sc, &g("reset")) } else { String::new() };
                for p in ["clock", "reset"] {
                    if simple.contains_key(&g(p)) {
                        skip.insert(g(p));
                    }
                }
                let init = sc.lit(&reg_init(k), w);
                let q = sc.sigs[&g("q")].v.clone();
                let d = match simple.get(&g("d")) {
                    Some(e) => {
                        skip.insert(g("d"));
                        sc.p(e, w).0
                    }
                    None => sc.sigs[&g("d")].v.clone(),
                };
                let sg = sc.sigs[&g("q")].signed;
                let _ = writeln!(decls, "    {} = {init};", decl("reg ", sg, w, &q));
                for p in ["d", "clock", "reset"] {
                    if !skip.contains(&g(p)) && (p != "reset" || has_reset) {
                        let kind = if proc.contains_key(&g(p)) { "reg " } else { "wire" };
                        let s = &sc.sigs[&g(p)];
                        let _ = writeln!(decls, "    {};", decl(kind, s.signed, s.width, &s.v));
                    }
                }
                let _ = &mut inits;
                groups.entry((clk, rst)).or_default().push((q, d, init));
                continue;
            }
            let (kname, kports) = self.module(k, None, &format!("{path}.{}", k.inst));
            let mut conns = vec![];
            for a in k.atoms.iter().filter(|a| a.kind.is_parameter()) {
                let key = format!("{}${}", k.inst, a.name);
                let s = sc.sigs[&key].clone();
                let net = match simple.get(&key) {
                    Some(e) if a.kind == AtomKind::InputParameter => {
                        skip.insert(key.clone());
                        sc.p(e, s.width).0
                    }
                    _ => {
                        let kind = if proc.contains_key(&key) { "reg " } else { "wire" };
                        let _ = writeln!(decls, "    {};", decl(kind, s.signed, s.width, &s.v));
                        s.v.clone()
                    }
                };
                conns.push(format!("        .{}({})", kports[&a.name], net));
            }
            let inst = sc.fresh(&format!("u_{}", k.inst));
            let _ = writeln!(insts, "\n    {kname} {inst} (\n{}\n    );", conns.join(",\n"));
        }
        for a in m.atoms.iter().filter(|a| a.kind == AtomKind::LocalSignal) {
            if !counts.contains_key(&a.name) {
                continue;
            }
            let kind = if proc.contains_key(&a.name) { "reg " } else { "wire" };
            let s = &sc.sigs[&a.name];
            let _ = writeln!(decls, "    {};", decl(kind, s.signed, s.width, &s.v));
        }
        for (t, w) in &sc.temps {
            let key = sc.sigs.iter().find(|(_, s)| s.v == *t).unwrap().0;
            let kind = if proc.contains_key(key) { "reg " } else { "wire" };
            let _ = writeln!(decls, "    {};", decl(kind, false, *w, t));
        }
        for a in m.atoms.iter().filter(|a| a.kind == AtomKind::OutputParameter) {
            if proc.contains_key(&a.name) {
                port_reg.insert(a.name.clone());
            }
        }
        if !decls.is_empty() {
            let _ = write!(body, "\n{decls}");
        }
        let mut assigns = String::new();
        for (l, e) in &cont {
            if skip.contains(l) || sc.sigs[l].constant {
                continue;
            }
            let s = &sc.sigs[l];
            let _ = writeln!(assigns, "    assign {} = {};", s.v, sc.p(e, s.width).0);
        }
        if !assigns.is_empty() {
            let _ = write!(body, "\n{assigns}");
        }
        for process in &processes {
            let mut t = String::new();
            // a temporary used inside a branch still needs a value on every path
            let mut first = vec![];
            let mut written = BTreeMap::new();
            writes_of(process, &mut written);
            for (v, _) in &sc.temps {
                let key = sc.sigs.iter().find(|(_, s)| s.v == *v).unwrap().0.clone();
                let top = process.iter().any(|s| matches!(s, S::Assign(l, _) if *l == key));
                if written.contains_key(&key) && !top {
                    first.push(S::Assign(key, E::Lit(BigUint::default())));
                }
            }
            sc.stmts(&first, 2, &mut t);
            sc.stmts(process, 2, &mut t);
            let _ = write!(body, "\n    always @* begin\n{t}    end\n");
        }
        for ((clk, rst), regs) in &groups {
            let _ = write!(body, "\n    always @(posedge {clk}) begin\n");
            if rst.is_empty() {
                for (q, d, _) in regs {
                    let _ = writeln!(body, "        {q} <= {d};");
                }
            } else {
                let _ = writeln!(body, "        if ({rst}) begin");
                for (q, _, i) in regs {
                    let _ = writeln!(body, "            {q} <= {i};");
                }
                let _ = writeln!(body, "        end else begin");
                for (q, d, _) in regs {
                    let _ = writeln!(body, "            {q} <= {d};");
                }
                let _ = writeln!(body, "        end");
            }
            let _ = writeln!(body, "    end");
        }
        body.push_str(&insts);
    }
}
