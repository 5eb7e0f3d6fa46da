//! Random well-typed programs through the printer and Verilator, against a direct model of what Rust means.
//!
//! `SEED=n cargo test --test fuzz` runs another set; a failure names the folder with the Verilog.
mod expression;
mod program;

use rust_hdl::prelude::ast::{VerilogBlock, VerilogExpression as Tree, VerilogStatement};
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::{accepted_with, ports, Diff, Rng};
use virtio_hdl_rtl::verilog;

/// Values of the inputs and locals while a program runs.
#[derive(Clone, Default)]
struct State {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    n: u64,
    locals: Vec<u64>,
}

fn signal(name: &str) -> Tree {
    Tree::Signal(name.into())
}
fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - width)
}

/// A block with given code.
#[derive(Default)]
struct Subject {
    a: Signal<In, Bits<8>>,
    b: Signal<In, Bits<8>>,
    c: Signal<In, Bits<8>>,
    d: Signal<In, Bits<16>>,
    n: Signal<In, Bits<3>>,
    locals: Vec<Signal<Local, Bits<8>>>,
    results: Vec<Signal<Out, Bits<16>>>,
    code: VerilogBlock,
}

impl Logic for Subject {
    fn update(&mut self) {}
    fn hdl(&self) -> Verilog {
        Verilog::Combinatorial(self.code.clone())
    }
}

impl Block for Subject {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_start_scope(name, self);
        self.a.accept("a", probe);
        self.b.accept("b", probe);
        self.c.accept("c", probe);
        self.d.accept("d", probe);
        self.n.accept("n", probe);
        for (i, local) in self.locals.iter().enumerate() {
            local.accept(&format!("x{i}"), probe);
        }
        for (i, result) in self.results.iter().enumerate() {
            result.accept(&format!("y{i}"), probe);
        }
        probe.visit_end_scope(name, self);
    }
}

impl Subject {
    /// `y = value`, widened to the result's 16 bits by the printer as well.
    fn result(&mut self, value: Tree, width: usize) {
        let target = signal(&format!("y{}$next", self.results.len()));
        let value = if width == 16 { value } else { Tree::Cast(Box::new(value), 16) };
        self.code.push(VerilogStatement::Assignment(target, value));
        self.results.push(Signal::default());
    }
}

/// Random inputs; zeros and ones often.
fn inputs(rng: &mut Rng) -> State {
    let mut pick = |mask: u64| match rng.below(4) {
        0 => 0,
        1 => mask,
        _ => rng.next() & mask,
    };
    State { a: pick(255), b: pick(255), c: pick(255), d: pick(65535), n: pick(7), locals: vec![] }
}

/// Compares the printed subject with `model` for `vectors` inputs.
fn compare(name: &str, subject: &Subject, vectors: usize, rng: &mut Rng, model: impl Fn(&State) -> Vec<u64>) {
    let design = verilog::print(subject, "top").unwrap_or_else(|error| panic!("{error}"));
    let mut diff = Diff::new(name);
    for _ in 0..vectors {
        let state = inputs(rng);
        diff.stim += &format!("{:x} {:x} {:x} {:x} {:x}\n", state.a, state.b, state.c, state.d, state.n);
        let results: Vec<_> = model(&state).iter().map(|value| format!("{value:04x}")).collect();
        diff.expect += &(results.join(" ") + "\n");
    }
    diff.check(&design.single_file(), &ports(subject));
}

#[test]
fn expressions() {
    let mut rng = Rng::from_env();
    let mut subject = Subject::default();
    let mut models = vec![];
    for _ in 0..600 {
        let width = [1, 8, 16][rng.below(3) as usize];
        let (tree, model) = expression::any(&mut rng, width, 4, 0);
        subject.result(tree, width);
        models.push(model);
    }
    compare("fuzz_expressions", &subject, 500, &mut rng, |state| models.iter().map(|model| model(state)).collect());
}

#[test]
fn programs() {
    let mut rng = Rng::from_env();
    for round in 0..6 {
        let mut subject =
            Subject { locals: (0..program::LOCALS).map(|_| Signal::default()).collect(), ..Default::default() };
        let (code, model) = program::any(&mut rng);
        subject.code = code;
        (0..program::LOCALS).for_each(|i| subject.result(signal(&format!("x{i}")), 8));
        compare(&format!("fuzz_program_{round}"), &subject, 500, &mut rng, |state| {
            let mut state = State { locals: vec![0; program::LOCALS], ..state.clone() };
            model.run(&mut state);
            state.locals
        });
    }
}

/// Lint sees no difference in width, no latch, and nothing unused. That a comparison has a known result is the
/// program's fault.
#[test]
fn programs_pass_lint() {
    let mut rng = Rng::from_env();
    for _ in 0..4 {
        let mut subject =
            Subject { locals: (0..program::LOCALS).map(|_| Signal::default()).collect(), ..Default::default() };
        subject.code = program::any(&mut rng).0;
        (0..program::LOCALS).for_each(|i| subject.result(signal(&format!("x{i}")), 8));
        let design = verilog::print(&subject, "top").unwrap_or_else(|error| panic!("{error}"));
        accepted_with(&design, &["-Wno-UNSIGNED", "-Wno-CMPCONST"]);
    }
}
