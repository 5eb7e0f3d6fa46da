//! Random programs of assignments and branches, each with what it does.
use crate::expression::{any as expression, Model};
use crate::{mask, signal, State};
use rust_hdl::prelude::ast::{
    VerilogBlock, VerilogBlockOrConditional, VerilogCase, VerilogConditional, VerilogExpression as Tree, VerilogMatch,
    VerilogStatement,
};
use virtio_hdl_rtl::testing::Rng;

/// Locals of 8 bits.
pub const LOCALS: usize = 12;

/// What a list of statements does.
#[derive(Default)]
pub struct Steps(Vec<Step>);

enum Step {
    Assign(usize, Model),
    Slice { local: usize, offset: u64, width: usize, value: Model },
    If(Model, Steps, Steps),
    Match(Model, Vec<Steps>),
}

impl Steps {
    /// Runs them.
    pub fn run(&self, state: &mut State) {
        for step in &self.0 {
            match step {
                Step::Assign(local, value) => state.locals[*local] = value(state),
                Step::Slice { local, offset, width, value } => {
                    let value = value(state);
                    let bits = mask(*width) << offset;
                    state.locals[*local] = state.locals[*local] & !bits | value << offset;
                }
                Step::If(test, then, otherwise) => {
                    let branch = if test(state) == 1 { then } else { otherwise };
                    branch.run(state);
                }
                Step::Match(test, cases) => cases[test(state) as usize].run(state),
            }
        }
    }
}

/// A program: every local gets a value, then anything happens to them.
pub fn any(rng: &mut Rng) -> (VerilogBlock, Steps) {
    let (mut code, mut steps) = (vec![], Steps::default());
    for local in 0..LOCALS {
        assign(rng, local, local, &mut code, &mut steps);
        // some are used before all have a value
        if local > 1 && rng.chance(1, 3) {
            statement(rng, local, 2, &mut code, &mut steps);
        }
    }
    (0..14).for_each(|_| statement(rng, LOCALS, 3, &mut code, &mut steps));
    (code, steps)
}

fn assign(rng: &mut Rng, local: usize, locals: usize, code: &mut VerilogBlock, steps: &mut Steps) {
    let (tree, model) = expression(rng, 8, 2, locals);
    code.push(VerilogStatement::Assignment(signal(&format!("x{local}$next")), tree));
    steps.0.push(Step::Assign(local, model));
}

/// A statement on the first `locals` locals.
fn statement(rng: &mut Rng, locals: usize, depth: usize, code: &mut VerilogBlock, steps: &mut Steps) {
    let local = rng.below(locals as u64) as usize;
    match rng.below(if depth == 0 { 2 } else { 4 }) {
        0 => assign(rng, local, locals, code, steps),
        1 => {
            let (width, offset) = if rng.chance(1, 2) { (1, rng.below(8)) } else { (8, 0) };
            let (replacement, value) = expression(rng, width, 2, locals);
            let base = signal(&format!("x{local}"));
            let offset_tree = Tree::Literal((offset as u32).into());
            code.push(VerilogStatement::SliceAssignment { base, width, offset: offset_tree, replacement });
            steps.0.push(Step::Slice { local, offset, width, value });
        }
        2 => {
            let (test, model) = expression(rng, 1, 2, locals);
            let (then, on_true) = block(rng, locals, depth - 1);
            let (otherwise, on_false) = block(rng, locals, depth - 1);
            let otherwise = VerilogBlockOrConditional::Block(otherwise);
            code.push(VerilogStatement::If(VerilogConditional { test, then, otherwise }));
            steps.0.push(Step::If(model, on_true, on_false));
        }
        _ => {
            // a 3-bit selector: some values, then the default
            let listed = 1 + rng.below(8);
            let mut cases = vec![];
            let mut models = vec![];
            for value in 0..listed {
                let (block, model) = block(rng, locals, depth - 1);
                cases.push(VerilogCase { condition: value.to_string(), block });
                models.push(model);
            }
            let (default, model) = block(rng, locals, depth - 1);
            cases.push(VerilogCase { condition: "default".into(), block: default });
            models.push(model);
            code.push(VerilogStatement::Match(VerilogMatch { test: signal("n"), cases }));
            let select: Model = Box::new(move |state| state.n.min(listed));
            steps.0.push(Step::Match(select, models));
        }
    }
}

fn block(rng: &mut Rng, locals: usize, depth: usize) -> (VerilogBlock, Steps) {
    let (mut code, mut steps) = (vec![], Steps::default());
    (0..rng.below(3)).for_each(|_| statement(rng, locals, depth, &mut code, &mut steps));
    (code, steps)
}
