//! How much state a design holds, counted from its Verilog: flip-flops and memory bits, module by module.
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use virtio_hdl_rtl::verilog::Design;

/// Words of a memory from which on synthesis takes block RAM for it; shorter ones become distributed RAM.
const BLOCK_RAM_WORDS: u64 = 128;

/// State of one module, or of several.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bits in flip-flops.
    pub register_bits: u64,
    /// Bits in memories of at least 128 words.
    pub block_memory_bits: u64,
    /// Bits in shorter memories.
    pub distributed_memory_bits: u64,
}

impl Usage {
    fn add(&mut self, other: Usage, times: u64) {
        self.register_bits += times * other.register_bits;
        self.block_memory_bits += times * other.block_memory_bits;
        self.distributed_memory_bits += times * other.distributed_memory_bits;
    }
}

/// One row of the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleUsage {
    /// Name of the module, with the values of its parameters as an instance gives them.
    pub module: String,
    /// How often it is in the design.
    pub instances: u64,
    /// One instance, without what it contains.
    pub own: Usage,
}

/// The summary of a design.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Every module; the top comes last.
    pub modules: Vec<ModuleUsage>,
    /// Everything together.
    pub total: Usage,
}

impl Resources {
    /// Counts a design as the printer prints it.
    pub fn of(design: &Design) -> Self {
        // For each module, how often it is there with which values of its parameters.
        let mut uses: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        uses.extend(design.modules.iter().map(|module| (module.name.as_str(), BTreeMap::new())));
        if let Some(top) = design.modules.last() {
            uses.insert(&top.name, BTreeMap::from([("", 1)]));
        }
        // A module comes after those it contains: from the top down, each count is final when it is used.
        for module in design.modules.iter().rev() {
            let times: u64 = uses[module.name.as_str()].values().sum();
            for (inside, parameters) in module.text.lines().filter_map(instance) {
                if let Some(uses) = uses.get_mut(inside) {
                    *uses.entry(parameters).or_default() += times;
                }
            }
        }
        let mut total = Usage::default();
        let mut modules = vec![];
        for module in &design.modules {
            for (parameters, instances) in &uses[module.name.as_str()] {
                let own = usage(&module.text, values(parameters));
                total.add(own, *instances);
                let module = format!("{} {parameters}", module.name).trim_end().to_string();
                modules.push(ModuleUsage { module, instances: *instances, own });
            }
        }
        Resources { modules, total }
    }

    /// As a table in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| module | instances | flip-flops | block RAM bits | distributed RAM bits |\n|---|---:|---:|---:|---:|\n",
        );
        let mut row = |name: &str, instances: u64, usage: Usage| {
            let Usage { register_bits, block_memory_bits, distributed_memory_bits } = usage;
            text += &format!(
                "| {name} | {instances} | {register_bits} | {block_memory_bits} | {distributed_memory_bits} |\n"
            );
        };
        for module in &self.modules {
            row(&module.module, module.instances, module.own);
        }
        row("**total**", 1, self.total);
        text
    }
}

/// Module and values of parameters of `module #(.WIDTH(8), .DEPTH(16)) name (` or of `module name (`.
fn instance(line: &str) -> Option<(&str, &str)> {
    let (module, rest) = line.trim().strip_suffix(" (")?.split_once(' ')?;
    Some((module, rest.rfind(')').map_or("", |end| &rest[..=end])))
}

/// Parameters by name.
type Values<'t> = BTreeMap<&'t str, u64>;

/// The values of `#(.WIDTH(8), .DEPTH(16))`.
fn values(parameters: &str) -> Values<'_> {
    parameters.trim_start_matches("#(").split(',').filter_map(value).collect()
}

/// Name and value of `.WIDTH(8)`.
fn value(parameter: &str) -> Option<(&str, u64)> {
    let (name, value) = parameter.trim().trim_start_matches('.').trim_end_matches(')').split_once('(')?;
    Some((name, value.parse().ok()?))
}

/// The value of `7`, `WIDTH`, `WIDTH-1` or `$clog2(DEPTH)`.
fn evaluate(expression: &str, values: &Values) -> Option<u64> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.split_once('-') {
        return evaluate(left, values)?.checked_sub(evaluate(right, values)?);
    }
    if let Some(inner) = expression.strip_prefix("$clog2(").and_then(|rest| rest.strip_suffix(')')) {
        return Some(u64::from(evaluate(inner, values)?.next_power_of_two().trailing_zeros()));
    }
    expression.parse().ok().or_else(|| values.get(expression).copied())
}

/// State of one module: memories are declared with a depth, flip-flops are what a clocked process assigns.
fn usage<'t>(text: &'t str, mut values: Values<'t>) -> Usage {
    let mut widths: BTreeMap<&str, u64> = BTreeMap::new();
    let mut usage = Usage::default();
    let mut clocked = BTreeSet::new();
    for line in text.lines() {
        let constant =
            line.trim().strip_prefix("localparam ").and_then(|rest| rest.trim_end_matches(';').split_once(" = "));
        if let Some((name, value)) = constant {
            values.extend(evaluate(value, &values).map(|value| (name, value)));
        } else if let Some((name, width, depth)) = declaration(line, &values) {
            match depth {
                None => drop(widths.insert(name, width)),
                Some(words) if words >= BLOCK_RAM_WORDS => usage.block_memory_bits += width * words,
                Some(words) => usage.distributed_memory_bits += width * words,
            }
        } else if let Some((target, _)) = line.split_once(" <= ") {
            // Comparisons stand behind `if` or `=`; a target is one name, perhaps with an index.
            let name = target.trim_start().split('[').next().unwrap_or_default();
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.is_empty() && name.chars().all(word) {
                clocked.insert(name.to_string());
            }
        }
    }
    usage.register_bits = clocked.iter().filter_map(|name| widths.get(name.as_str())).sum();
    usage
}

/// Name, bits, and words of a memory, of `reg [7:0] name [0:63];`, `reg name = 1'b0;` or `output reg name,`.
fn declaration<'t>(line: &'t str, values: &Values) -> Option<(&'t str, u64, Option<u64>)> {
    let rest = line.split('=').next()?.trim().trim_start_matches("output").trim_start().strip_prefix("reg")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (width, rest) = match rest.strip_prefix('[') {
        Some(range) => {
            let (range, rest) = range.split_once(']')?;
            (evaluate(range.split_once(':')?.0, values)? + 1, rest)
        }
        None => (1, rest),
    };
    let rest = rest.trim().trim_end_matches([';', ',']);
    match rest.split_once('[') {
        None => Some((rest.trim(), width, None)),
        Some((name, depth)) => {
            let last = evaluate(depth.trim_end_matches(']').split_once(':')?.1, values)?;
            Some((name.trim(), width, Some(last + 1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_hdl_rtl::verilog::PrintedModule;

    #[test]
    fn registers_and_memories_are_counted_once_per_instance() {
        let leaf = "module leaf (\n    input  wire       clock,\n    output reg  [7:0] q,\n    output reg        flag\n);\n\
                    \n    reg [39:0] memory [0:63];\n    reg [15:0] big [0:255];\n    reg  [2:0] state = 3'd0;\n    reg  [3:0] wire_like = 4'd0;\n    always @* begin\n        \
                    wire_like = q[3:0];\n        if (q <= wire_like)\n            wire_like = 4'd0;\n    end\n    \
                    always @(posedge clock) begin\n        q <= q + 8'd1;\n        q[0] <= flag;\n        state <= 3'd1;\n        memory[q[5:0]] <= 40'h0;\n    end\nendmodule\n";
        let top =
            "module top (\n    input  wire clock\n);\n\n    leaf one (\n    );\n    leaf two (\n    );\nendmodule\n";
        let module = |name: &str, text: &str| PrintedModule { name: name.into(), text: text.into() };
        let resources = Resources::of(&Design { modules: vec![module("leaf", leaf), module("top", top)] });
        let own = Usage { register_bits: 11, block_memory_bits: 16 * 256, distributed_memory_bits: 40 * 64 };
        assert_eq!(resources.modules[0], ModuleUsage { module: "leaf".into(), instances: 2, own });
        assert_eq!(resources.total.register_bits, 22);
        assert_eq!(resources.total.block_memory_bits, 2 * 16 * 256);
    }

    #[test]
    fn a_module_with_parameters_is_counted_with_each_of_their_values() {
        let fifo = "module fifo #(\n    // Bits.\n    parameter WIDTH = 8,\n    parameter DEPTH = 16\n) (\n    \
                    output reg  [WIDTH-1:0] q\n);\n\n    localparam ADDRESS = $clog2(DEPTH);\n    \
                    reg [WIDTH-1:0] memory [0:DEPTH-1];\n    reg [ADDRESS:0] count;\n    always @(posedge clock) begin\n        \
                    q <= memory[0];\n        count <= count + 1'b1;\n    end\nendmodule\n";
        let top = "module top (\n    input  wire clock\n);\n\n    fifo #(.WIDTH(5), .DEPTH(64)) one (\n    );\n    \
                   fifo #(.WIDTH(1), .DEPTH(128)) two (\n    );\n    fifo #(.WIDTH(5), .DEPTH(64)) three (\n    );\nendmodule\n";
        let module = |name: &str, text: &str| PrintedModule { name: name.into(), text: text.into() };
        let resources = Resources::of(&Design { modules: vec![module("fifo", fifo), module("top", top)] });
        let wide = Usage { register_bits: 5 + 7, block_memory_bits: 0, distributed_memory_bits: 5 * 64 };
        let deep = Usage { register_bits: 1 + 8, block_memory_bits: 128, distributed_memory_bits: 0 };
        let row = |module: &str, instances, own| ModuleUsage { module: module.into(), instances, own };
        assert_eq!(resources.modules[0], row("fifo #(.WIDTH(1), .DEPTH(128))", 1, deep));
        assert_eq!(resources.modules[1], row("fifo #(.WIDTH(5), .DEPTH(64))", 2, wide));
        assert_eq!(resources.total.register_bits, 2 * 12 + 9);
    }
}
