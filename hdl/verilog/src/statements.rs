//! Statements: loops unrolled, branches on constants decided, structs taken apart into nets.
use super::collect::literal_value;
use super::error::Result;
use super::expressions::Lowering;
use super::ir::{Expr, NetId, Stmt};
use super::scope::SignalNets;
use num_bigint::BigUint;
use rust_hdl::prelude::ast::{
    VerilogBlockOrConditional, VerilogConditional, VerilogExpression, VerilogLink, VerilogLinkDetails, VerilogLoop,
    VerilogMatch, VerilogStatement,
};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// Translates a list of statements.
    pub fn block(&mut self, block: &[VerilogStatement]) -> Result<Vec<Stmt>> {
        let mut out = vec![];
        block.iter().try_for_each(|statement| self.statement(statement, &mut out))?;
        Ok(out)
    }

    fn statement(&mut self, statement: &VerilogStatement, out: &mut Vec<Stmt>) -> Result<()> {
        match statement {
            VerilogStatement::Assignment(target, value) => {
                let target = self.target(target)?;
                let value = self.value(value, out)?;
                self.assign(&target, value, out)
            }
            VerilogStatement::SliceAssignment { base, width, offset, replacement } => {
                let target = self.target(base)?;
                let offset = self.operand(offset, out)?;
                let value = self.operand(replacement, out)?;
                self.assign_slice(&target, *width, offset, value, out)
            }
            VerilogStatement::If(conditional) => self.conditional(conditional, out),
            VerilogStatement::Match(cases) => self.cases(cases, out),
            VerilogStatement::Loop(body) => self.unroll(body, out),
            VerilogStatement::Comment(text) => {
                out.push(Stmt::Comment(comment_text(text)));
                Ok(())
            }
            VerilogStatement::Link(links) => links.iter().try_for_each(|link| self.link(link, out)),
            VerilogStatement::Macro(block) => block.iter().try_for_each(|statement| self.statement(statement, out)),
        }
    }

    /// The signal that is assigned.
    fn target(&mut self, tree: &VerilogExpression) -> Result<SignalNets> {
        let VerilogExpression::Signal(name) = tree else {
            return self.scope.error("only whole signals, fields of structs and slices can be assigned");
        };
        let path = self.loops.resolve(name, &self.scope.path)?;
        let Some(signal) = self.scope.signal(&path).cloned() else {
            return self.scope.error(format!("assignment to `{}`, which is not a signal", path.replace('$', ".")));
        };
        self.purpose = match signal.parts.first() {
            Some((net, _)) => self.scope.nets[*net].name.clone(),
            None => path,
        };
        Ok(signal)
    }

    fn assign(&mut self, target: &SignalNets, value: Expr, out: &mut Vec<Stmt>) -> Result<()> {
        let (width, own) = (target.width, self.scope.width(&value));
        if own.is_some_and(|own| own != width) {
            let own = own.unwrap_or(0);
            return self.scope.error(format!("{own} bits assigned to `{}` of {width} bits", self.target_name(target)));
        }
        match (target.parts.as_slice(), value) {
            ([(net, _)], Expr::Replace(base, index, bit)) => self.replace_bit(*net, *base, *index, *bit, out),
            ([(net, _)], value) => {
                let value = self.without_replace(value, out)?;
                out.push(Stmt::Assign { net: *net, value, link: false });
                Ok(())
            }
            (_, value) => self.assign_slice(target, width, Expr::number(0), value, out),
        }
    }

    fn target_name(&self, target: &SignalNets) -> String {
        let names = target.parts.iter().map(|(net, _)| self.scope.nets[*net].rust_name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn assign_slice(
        &mut self,
        target: &SignalNets,
        width: usize,
        offset: Expr,
        value: Expr,
        out: &mut Vec<Stmt>,
    ) -> Result<()> {
        let Some(start) = offset.index() else {
            let [(net, _)] = target.parts.as_slice() else {
                return self.scope.error(format!("variable slice of the struct `{}`", self.target_name(target)));
            };
            let offset = self.fit_index(offset, target.width, out)?;
            out.push(Stmt::AssignSlice { net: *net, offset, width, value });
            return Ok(());
        };
        if start + width > target.width {
            return self.scope.error(format!("a slice outside of `{}`", self.target_name(target)));
        }
        let hit = |(net, place): &(NetId, usize)| {
            let (low, high) = (start.max(*place), (start + width).min(place + self.scope.nets[*net].width));
            (low < high).then_some((*net, *place, low, high))
        };
        let hits: Vec<_> = target.parts.iter().filter_map(hit).collect();
        // a value that has to be taken apart more than once gets a net
        let value = match value {
            Expr::Concat(_) | Expr::Net(_) | Expr::Literal(_) => value,
            value if hits.len() > 1 => self.temporary(value, out)?,
            value => value,
        };
        for (net, place, low, high) in hits {
            let part = match (&value, low == start && high == start + width) {
                (_, true) => value.clone(),
                (Expr::Literal(number), _) => {
                    let mask = (BigUint::from(1u32) << (high - low)) - 1u32;
                    Expr::Literal((number >> (low - start)) & mask)
                }
                _ => self.slice(value.clone(), high - low, Expr::number(low - start), out)?,
            };
            let part = self.without_replace(part, out)?;
            if high - low == self.scope.nets[net].width {
                out.push(Stmt::Assign { net, value: part, link: false });
            } else {
                let offset = Expr::number(low - place);
                out.push(Stmt::AssignSlice { net, offset, width: high - low, value: part });
            }
        }
        Ok(())
    }

    fn conditional(&mut self, conditional: &VerilogConditional, out: &mut Vec<Stmt>) -> Result<()> {
        let mut arms = vec![];
        let mut current = conditional;
        let otherwise = loop {
            self.purpose = "condition".into();
            let test = self.operand(&current.test, out)?;
            // a configuration's branch is decided here: the other one is not printed
            match self.scope.constant(&test) {
                Some(value) if value != BigUint::ZERO => break self.block(&current.then)?,
                Some(_) => {}
                None => arms.push((test, self.block(&current.then)?)),
            }
            match &current.otherwise {
                VerilogBlockOrConditional::Block(block) => break self.block(block)?,
                VerilogBlockOrConditional::None => break vec![],
                VerilogBlockOrConditional::Conditional(inner) => match &**inner {
                    VerilogStatement::If(inner) => current = inner,
                    other => {
                        let mut block = vec![];
                        self.statement(other, &mut block)?;
                        break block;
                    }
                },
            }
        };
        if arms.is_empty() {
            out.extend(otherwise);
        } else {
            out.push(Stmt::If { arms, otherwise });
        }
        Ok(())
    }

    fn cases(&mut self, cases: &VerilogMatch, out: &mut Vec<Stmt>) -> Result<()> {
        self.purpose = "selector".into();
        let test = self.operand(&cases.test, out)?;
        let Some(width) = self.scope.width(&test) else { return self.scope.error("match on a bare number") };
        let known = self.scope.constant(&test);
        let mut arms: Vec<(Option<Expr>, Vec<Stmt>)> = vec![];
        let mut covered = BTreeSet::new();
        let mut variants = None;
        let mut full = false;
        for case in &cases.cases {
            if full {
                break;
            }
            let pattern = self.pattern(&case.condition)?;
            let value = match &pattern {
                None => {
                    full = true;
                    None
                }
                Some(pattern) => self.scope.constant(pattern),
            };
            if let Some(value) = &value {
                if value.bits() > width as u64 || !covered.insert(value.clone()) {
                    continue; // can never match
                }
            }
            if let Some(Expr::Enum(id)) = &pattern {
                variants = Some(self.scope.enums[*id].enumeration.variants.len());
            }
            if let Some(known) = &known {
                if value.is_none() || value.as_ref() == Some(known) {
                    out.extend(self.block(&case.block)?);
                    return Ok(());
                }
                continue;
            }
            full |= variants == Some(covered.len()) || (width < 16 && covered.len() == 1 << width);
            arms.push((pattern, self.block(&case.block)?));
        }
        if let (true, Some((pattern, body))) = (full, arms.last_mut()) {
            // every value has an arm: the last one also takes encodings that have no name
            if let Some(pattern) = pattern.take() {
                body.insert(0, Stmt::Comment(self.scope.text(&pattern, width)));
            }
        }
        match arms.as_slice() {
            [] => {}
            [(None, _)] => out.extend(arms.remove(0).1),
            _ => out.push(Stmt::Case { test, arms, full }),
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str) -> Result<Option<Expr>> {
        if text == "default" {
            return Ok(None);
        }
        let path = self.loops.resolve(text, &self.scope.path)?;
        if let Some(id) = self.scope.enum_value(&path) {
            return Ok(Some(Expr::Enum(id)));
        }
        match parse_number(text) {
            Some(number) => Ok(Some(Expr::Literal(number))),
            None => self.scope.error(format!("match pattern `{text}` is neither an enum value nor a number")),
        }
    }

    fn unroll(&mut self, body: &VerilogLoop, out: &mut Vec<Stmt>) -> Result<()> {
        let bound = |literal| usize::try_from(literal_value(literal, 64)).ok().filter(|bound| *bound < 1 << 20);
        let (Some(from), Some(to)) = (bound(&body.from), bound(&body.to)) else {
            return self.scope.error(format!("bounds of the loop over `{}`", body.index));
        };
        for value in from..to {
            self.loops.0.push((body.index.clone(), value));
            let result = body.block.iter().try_for_each(|statement| self.statement(statement, out));
            self.loops.0.pop();
            result?;
        }
        Ok(())
    }

    fn link(&mut self, link: &VerilogLink, out: &mut Vec<Stmt>) -> Result<()> {
        let side = |this: &Self, owner: &str, details: &VerilogLinkDetails| -> Result<SignalNets> {
            let my = details.my_name.trim_start_matches('.').replace('.', "$");
            let owner = this.loops.resolve(owner, &this.scope.path)?;
            let path = if my.is_empty() { owner } else { format!("{owner}${my}") };
            match this.scope.signal(&path) {
                Some(signal) => Ok(signal.clone()),
                None => {
                    this.scope.error(format!("join or link of `{}`, which is not a signal", path.replace('$', ".")))
                }
            }
        };
        let (target, source) = match link {
            VerilogLink::Forward(d) => (side(self, &d.other_name, d)?, side(self, &d.owner_name, d)?),
            VerilogLink::Backward(d) => (side(self, &d.owner_name, d)?, side(self, &d.other_name, d)?),
            VerilogLink::Bidirectional(_) => return self.scope.error("link of an inout signal: write a wrapper"),
        };
        if target.parts.len() != source.parts.len() {
            return self.scope.error("join or link of different types");
        }
        for ((net, _), (source, _)) in target.parts.iter().zip(&source.parts) {
            out.push(Stmt::Assign { net: *net, value: Expr::Net(*source), link: true });
        }
        Ok(())
    }
}

/// The text of a comment as `#[hdl_gen]` hands it on: a Rust literal with more or less of the macro around it.
fn comment_text(raw: &str) -> String {
    let mut inside = raw.trim();
    for prefix in ["comment", "!", "(", "\""] {
        inside = inside.strip_prefix(prefix).map_or(inside, str::trim_start);
    }
    let inside = inside.strip_suffix(')').map_or(inside, str::trim_end);
    let inside = inside.strip_suffix('"').filter(|text| !text.ends_with('\\')).unwrap_or(inside);
    let mut text = String::new();
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('n')) => {
                letters.next();
                text.push('\n');
            }
            ('\\', Some('\n')) => while letters.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(_)) => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

fn parse_number(text: &str) -> Option<BigUint> {
    let digits = text.replace(['_', ' '], "");
    let digits =
        ["usize", "u64", "u32", "u16", "u8"].iter().fold(digits.as_str(), |d, suffix| d.trim_end_matches(suffix));
    match (digits.strip_prefix("0x"), digits.strip_prefix("0b")) {
        (Some(hex), _) => BigUint::parse_bytes(hex.as_bytes(), 16),
        (_, Some(binary)) => BigUint::parse_bytes(binary.as_bytes(), 2),
        _ => BigUint::parse_bytes(digits.as_bytes(), 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_unescaped() {
        assert_eq!(comment_text(r#"module fifo: holds \"words\""#), r#"module fifo: holds "words""#);
        assert_eq!(comment_text(r#"comment ! ("one\ntwo")"#), "one\ntwo");
        assert_eq!(comment_text(r#"comment! ("who may begin"#), "who may begin");
        assert_eq!(comment_text("a \\\n        b"), "a b");
    }

    #[test]
    fn numbers_of_patterns() {
        assert_eq!(parse_number("0x1_0"), Some(BigUint::from(16u32)));
        assert_eq!(parse_number("12usize"), Some(BigUint::from(12u32)));
        assert_eq!(parse_number("N"), None);
    }
}
