//! The text of a module from its parts.
use super::docs::Docs;
use super::instances::Connections;
use super::ir::{EnumId, Expr, NetId};
use super::module::{Module, RegisterNets};
use super::processes::{Piece, PieceKind};
use super::scope::{Net, Role};
use super::text::{comment, folded, number, ordinal, range};
use num_bigint::BigUint;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

/// Writes one module.
pub(super) struct Layout<'a> {
    module: &'a Module,
    instances: &'a [Connections],
    docs: &'a Docs,
    procedural: HashSet<NetId>,
    /// Values of registers and their clocks and resets that are written where they are used.
    inlined: HashMap<NetId, &'a Expr>,
}

/// Registers of one clock and reset.
struct Clocked<'a> {
    clock: String,
    reset: Option<String>,
    registers: Vec<&'a RegisterNets>,
}

impl<'a> Layout<'a> {
    pub fn new(module: &'a Module, instances: &'a [Connections], docs: &'a Docs) -> Self {
        let mut read = HashSet::new();
        module.pieces.iter().for_each(|piece| {
            piece.kind.reads(&mut |net, _| {
                read.insert(net);
            })
        });
        let mut inlined = HashMap::new();
        for register in &module.registers {
            for net in [Some(register.d), Some(register.clock), register.reset].into_iter().flatten() {
                if let (Some(value), false) = (module.assigned(net), read.contains(&net)) {
                    // an edge needs a name
                    if net != register.clock || matches!(value, Expr::Net(_)) {
                        inlined.insert(net, value);
                    }
                }
            }
        }
        Layout { module, instances, docs, procedural: module.procedural(), inlined }
    }

    /// From the port list to `endmodule`.
    pub fn text(&self) -> String {
        let mut out = self.header();
        let sections = [
            self.constants(),
            self.declarations(),
            self.logic(),
            self.clocked().iter().map(|group| self.clocked_text(group)).collect(),
            self.initial(),
            self.instances.iter().map(|instance| self.instance_text(instance)).collect(),
            self.unused(),
        ];
        for section in sections.iter().filter(|section| !section.is_empty()) {
            out.push('\n');
            out.push_str(section.trim_start_matches('\n'));
        }
        out.push_str("endmodule\n");
        folded(&out)
    }

    fn nets(&self, wanted: impl Fn(&Role) -> bool + 'a) -> impl Iterator<Item = (NetId, &'a Net)> {
        self.module.scope.nets.iter().enumerate().filter(move |(_, net)| wanted(&net.role))
    }

    fn header(&self) -> String {
        let is_port = |role: &Role| matches!(role, Role::Input | Role::Output | Role::InOut);
        let ports = self.nets(is_port).map(|(id, net)| {
            let kind = match net.role {
                Role::Input => "input  wire",
                Role::InOut => "inout  wire",
                _ if self.procedural.contains(&id) => "output reg ",
                _ => "output wire",
            };
            (kind, net, range(net.width))
        });
        port_list(ports.collect(), self.docs)
    }

    /// Constants and enum values that the text mentions.
    fn constants(&self) -> String {
        let mut used = HashSet::new();
        let mut enums: BTreeSet<EnumId> = BTreeSet::new();
        for piece in &self.module.pieces {
            piece.kind.reads(&mut |net, _| {
                used.insert(net);
            });
            piece.kind.expressions(&mut |expr| expr.enums(&mut enums));
        }
        let mentioned = |register: &&RegisterNets| self.module.initialised || register.reset.is_some();
        self.module.registers.iter().filter(mentioned).for_each(|register| register.initial.enums(&mut enums));
        let scope = &self.module.scope;
        let mut lines = vec![];
        for (id, net) in scope.nets.iter().enumerate() {
            if let (Role::Constant(value), true) = (&net.role, used.contains(&id)) {
                let sign = if net.signed { "signed " } else { "" };
                lines.push((sign, net.width, &net.name, number(value, net.width), net.field()));
            }
        }
        for id in enums {
            let value = &scope.enums[id];
            let width = value.enumeration.width;
            lines.push(("", width, &value.name, ordinal(value.value, width), ""));
        }
        let columns = lines.iter().map(|(_, width, ..)| range(*width).len()).max().unwrap_or(0);
        let mut out = String::new();
        for (sign, width, name, value, field) in lines {
            self.docs.write(field, "    ", &mut out);
            let _ = writeln!(out, "    localparam {sign}{:<columns$}{name} = {value};", range(width));
        }
        out
    }

    fn declarations(&self) -> String {
        // kind, net, and the field whose docs belong there
        let mut lines: Vec<(&str, &Net, &str)> = vec![];
        let registers: HashSet<NetId> = self.module.registers.iter().map(|register| register.q).collect();
        let needs = |id: &NetId| {
            !self.inlined.contains_key(id) && !self.module.inlined.contains(id) && !self.module.renamed.contains_key(id)
        };
        for (id, net) in
            self.nets(|role| matches!(role, Role::ChildOutput | Role::ChildInput | Role::Local | Role::Temporary))
        {
            let written = self.procedural.contains(&id);
            if registers.contains(&id) {
                lines.push(("reg ", net, net.field()));
            } else if needs(&id) && (net.role != Role::Local || written || self.module.is_written(id)) {
                let field = if net.role == Role::Local { net.field() } else { "" };
                lines.push((if written { "reg " } else { "wire" }, net, field));
            }
        }
        let columns = lines.iter().map(|(_, net, _)| range(net.width).len()).max().unwrap_or(0);
        let mut out = String::new();
        let mut described = "";
        for (kind, net, field) in lines {
            if field != described {
                self.docs.write(field, "    ", &mut out);
                described = field;
            }
            let sign = if net.signed { "signed " } else { "" };
            let _ = writeln!(out, "    {kind} {sign}{:<columns$}{};", range(net.width), net.name);
        }
        out
    }

    fn logic(&self) -> String {
        let scope = &self.module.scope;
        let awake = self.module.awake();
        let reset = self.reset().map(|net| scope.nets[net].name.as_str());
        let mut out = String::new();
        let mut after_process = false;
        for Piece { comments, kind } in &self.module.pieces {
            let hidden = matches!(kind, PieceKind::Assign(net, _)
                if self.inlined.contains_key(net) || self.module.inlined.contains(net));
            if hidden {
                continue;
            }
            let is_process = matches!(kind, PieceKind::Process(_));
            if is_process || after_process || !comments.is_empty() {
                out.push('\n');
            }
            after_process = is_process;
            comments.iter().for_each(|text| comment(text, "    ", &mut out));
            match kind {
                PieceKind::Assign(net, value) => {
                    let net = &scope.nets[*net];
                    let _ = writeln!(out, "    assign {} = {};", net.name, scope.text(value, net.width));
                }
                PieceKind::AssignSlices(net, slices) => {
                    for (offset, width, value) in slices {
                        let target = scope.slice_target(*net, &Expr::number(*offset), *width);
                        let _ = writeln!(out, "    assign {target} = {};", scope.text(value, *width));
                    }
                }
                PieceKind::Process(body) => {
                    out.push_str("    always @* begin\n");
                    // an `always @*` waits for a change before it runs: the end of the reset is one that comes for certain
                    if let (Some(reset), false) = (reset, kind.writes().any(|net| awake.contains(&net))) {
                        let _ = writeln!(out, "        if ({reset}) begin end // inputs may never change");
                    }
                    scope.statements(body, 2, &mut out);
                    out.push_str("    end\n");
                }
            }
        }
        out
    }

    /// The input `reset`, where a process that may never run otherwise can wait for its end.
    fn reset(&self) -> Option<NetId> {
        let awake = self.module.awake();
        let sleeps = |piece: &Piece| {
            matches!(piece.kind, PieceKind::Process(_)) && !piece.kind.writes().any(|net| awake.contains(&net))
        };
        self.nets(|role| *role == Role::Input)
            .find(|(_, net)| net.name == "reset" && net.width == 1)
            .filter(|_| self.module.pieces.iter().any(sleeps))
            .map(|(id, _)| id)
    }

    /// The value of a register's port: an expression if that is all there is to it.
    fn port_text(&self, net: NetId) -> String {
        let scope = &self.module.scope;
        match self.inlined.get(&net) {
            Some(value) => scope.text(value, scope.nets[net].width),
            None => scope.nets[net].name.clone(),
        }
    }

    fn clocked(&self) -> Vec<Clocked<'_>> {
        let mut groups: Vec<Clocked> = vec![];
        for register in &self.module.registers {
            let clock = self.port_text(register.clock);
            let reset = register.reset.map(|net| self.port_text(net));
            match groups.iter_mut().find(|group| group.clock == clock && group.reset == reset) {
                Some(group) => group.registers.push(register),
                None => groups.push(Clocked { clock, reset, registers: vec![register] }),
            }
        }
        groups
    }

    fn clocked_text(&self, group: &Clocked) -> String {
        let name = |net: NetId| &self.module.scope.nets[net].name;
        let mut out = format!("\n    always @(posedge {}) begin\n", group.clock);
        let indent = if group.reset.is_some() { "            " } else { "        " };
        if let Some(reset) = &group.reset {
            let _ = writeln!(out, "        if ({reset}) begin");
            for register in &group.registers {
                let width = self.module.scope.nets[register.q].width;
                let _ = writeln!(
                    out,
                    "{indent}{} <= {};",
                    name(register.q),
                    self.module.scope.text(&register.initial, width)
                );
            }
            out.push_str("        end else begin\n");
        }
        for register in &group.registers {
            for net in [register.d, register.clock] {
                if self.inlined.contains_key(&net) {
                    self.module.comments(net).iter().for_each(|text| comment(text, indent, &mut out));
                }
            }
            self.next_value(register, indent, &mut out);
        }
        if group.reset.is_some() {
            out.push_str("        end\n");
        }
        out.push_str("    end\n");
        out
    }

    /// What a register takes at the edge; one that keeps its value unless told otherwise is told so by `if`.
    fn next_value(&self, register: &RegisterNets, indent: &str, out: &mut String) {
        let scope = &self.module.scope;
        let (name, width) = (&scope.nets[register.q].name, scope.nets[register.q].width);
        let mut arms = vec![];
        let mut value = self.inlined.get(&register.d).copied();
        while let Some(Expr::Choice(test, yes, no)) = value {
            arms.push((test, yes));
            value = Some(no);
        }
        if arms.is_empty() || value != Some(&Expr::Net(register.q)) {
            let _ = writeln!(out, "{indent}{name} <= {};", self.port_text(register.d));
            return;
        }
        for (place, (test, yes)) in arms.iter().enumerate() {
            let word = if place == 0 { "if" } else { "else if" };
            let test = scope.text(&scope.condition(test), 1);
            let _ = writeln!(out, "{indent}{word} ({test})\n{indent}    {name} <= {};", scope.text(yes, width));
        }
    }

    /// Initial values, where they are wanted.
    fn initial(&self) -> String {
        let scope = &self.module.scope;
        let line = |register: &RegisterNets| {
            let net = &scope.nets[register.q];
            format!("    initial {} = {};\n", net.name, scope.text(&register.initial, net.width))
        };
        self.module.registers.iter().filter(|_| self.module.initialised).map(line).collect()
    }

    fn instance_text(&self, instance: &Connections) -> String {
        let mut out = String::from("\n");
        self.docs.write(&instance.field, "    ", &mut out);
        instance.comments.iter().for_each(|text| comment(text, "    ", &mut out));
        let ports: Vec<_> = instance.ports.iter().map(|(port, net)| connection(port, net)).collect();
        let Connections { module, parameters, name, .. } = instance;
        let _ = writeln!(out, "    {module} {parameters}{name} (\n{}\n    );", ports.join(",\n"));
        out
    }

    /// A net that takes the bits nothing reads, by a name that lint tools accept.
    fn unused(&self) -> String {
        let scope = &self.module.scope;
        let ones = |width: usize| (BigUint::from(1u32) << width) - 1u32;
        let mut used: HashMap<NetId, BigUint> = HashMap::new();
        let mut mark = |net: NetId, bits: Option<(usize, usize)>| {
            let (offset, width) = bits.unwrap_or((0, scope.nets[net].width));
            *used.entry(net).or_default() |= ones(width) << offset;
        };
        self.module.pieces.iter().for_each(|piece| piece.kind.reads(&mut mark));
        self.reset().into_iter().for_each(|net| mark(net, None));
        self.module
            .registers
            .iter()
            .flat_map(|r| [Some(r.d), Some(r.clock), r.reset])
            .flatten()
            .for_each(|net| mark(net, None));
        let mut parts = vec![];
        for (id, net) in
            self.nets(|role| matches!(role, Role::Input | Role::Local | Role::Temporary | Role::ChildOutput))
        {
            if self.module.renamed.contains_key(&id) || (net.role == Role::Local && !self.module.is_written(id)) {
                continue;
            }
            let bits = used.get(&id).cloned().unwrap_or_default();
            parts.extend(
                gaps(&bits, net.width).map(|(offset, width)| scope.slice_target(id, &Expr::number(offset), width)),
            );
        }
        if parts.is_empty() {
            return String::new();
        }
        let name = self.module.unused_name();
        format!("    // Nothing here reads these.\n    wire {name} = &{{1'b0, {}}};\n", parts.join(", "))
    }
}

/// `.port(value)`, a long concatenation with one part per line.
fn connection(port: &str, value: &str) -> String {
    let line = format!("        .{port}({value})");
    match value.strip_prefix('{').and_then(|v| v.strip_suffix('}')).filter(|v| line.len() > 110 && !v.contains('{')) {
        Some(parts) => {
            let parts = parts.replace(", ", ",\n            ");
            format!("        .{port}({{\n            {parts}\n        }})")
        }
        None => line,
    }
}

/// Runs of zeros in `bits`: offset and width.
fn gaps(bits: &BigUint, width: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut gaps: Vec<(usize, usize)> = vec![];
    for place in (0..width).filter(|place| !bits.bit(*place as u64)) {
        match gaps.last_mut() {
            Some((offset, length)) if *offset + *length == place => *length += 1,
            _ => gaps.push((place, 1)),
        }
    }
    gaps.into_iter()
}

/// `(` ports with their docs `);`, each of its kind and range
pub(super) fn port_list(ports: Vec<(&str, &Net, String)>, docs: &Docs) -> String {
    if ports.is_empty() {
        return "();\n".into();
    }
    let columns = ports.iter().map(|(_, _, range)| range.len()).max().unwrap_or(0);
    let mut out = String::from("(\n");
    let mut before = "";
    for (place, (kind, net, range)) in ports.iter().enumerate() {
        docs.write_new(&net.rust_name, before, "    ", &mut out);
        before = &net.rust_name;
        let sign = if net.signed { "signed " } else { "" };
        let separator = if place + 1 < ports.len() { "," } else { "" };
        let _ = writeln!(out, "    {kind} {sign}{range:<columns$}{}{separator}", net.name);
    }
    out + ");\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_runs_of_zeros() {
        let found: Vec<_> = gaps(&BigUint::from(0b0110_0001u32), 10).collect();
        assert_eq!(found, [(1, 4), (7, 3)]);
        assert_eq!(gaps(&BigUint::from(0xffu32), 8).count(), 0);
    }
}
