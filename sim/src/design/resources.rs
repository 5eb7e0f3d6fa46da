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
    /// Name of the module.
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
        let names: BTreeSet<&str> = design.modules.iter().map(|module| module.name.as_str()).collect();
        let mut instances: BTreeMap<&str, u64> = BTreeMap::new();
        // A module comes after those it contains: from the top down, each count is final when it is used.
        for (index, module) in design.modules.iter().enumerate().rev() {
            if index + 1 == design.modules.len() {
                instances.insert(&module.name, 1);
            }
            let times = instances.get(module.name.as_str()).copied().unwrap_or(0);
            for inside in module.text.lines().filter_map(|line| line.split_whitespace().next()) {
                if let Some(name) = names.get(inside) {
                    *instances.entry(name).or_default() += times;
                }
            }
        }
        let mut total = Usage::default();
        let modules = design.modules.iter().map(|module| {
            let own = usage(&module.text);
            let instances = instances.get(module.name.as_str()).copied().unwrap_or(0);
            total.add(own, instances);
            ModuleUsage { module: module.name.clone(), instances, own }
        });
        Resources { modules: modules.collect(), total }
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

/// State of one module: memories are declared with a depth, flip-flops are what a clocked process assigns.
fn usage(text: &str) -> Usage {
    let mut widths: BTreeMap<&str, u64> = BTreeMap::new();
    let mut usage = Usage::default();
    let mut clocked = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, width, depth)) = declaration(line) {
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
fn declaration(line: &str) -> Option<(&str, u64, Option<u64>)> {
    let rest = line.split('=').next()?.trim().trim_start_matches("output").trim_start().strip_prefix("reg")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (width, rest) = match rest.strip_prefix('[') {
        Some(range) => {
            let (range, rest) = range.split_once(']')?;
            (range.split_once(':')?.0.trim().parse::<u64>().ok()? + 1, rest)
        }
        None => (1, rest),
    };
    let rest = rest.trim().trim_end_matches([';', ',']);
    match rest.split_once('[') {
        None => Some((rest.trim(), width, None)),
        Some((name, depth)) => {
            let last: u64 = depth.trim_end_matches(']').split_once(':')?.1.trim().parse().ok()?;
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
}
