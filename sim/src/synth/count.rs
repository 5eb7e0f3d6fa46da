//! From yosys' cell counts to the resources of a device.
use super::error::SynthError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Resources of a Xilinx device that a design or one of its modules takes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Area {
    /// Look-up tables in all: every LUT1 to LUT6, whether or not two would fit into one, and those below.
    pub lut: u64,
    /// Look-up tables that are memory or a shift register.
    pub lut_memory: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs of 36 kbit; one of 18 kbit is half.
    pub bram36: f64,
    /// Multipliers.
    pub dsp: u64,
    /// What yosys expects to remain when small look-up tables are paired; without memories.
    pub estimated_lc: u64,
}

impl Area {
    /// Look-up tables of a device that it takes, small ones paired.
    pub fn packed(&self) -> u64 {
        self.estimated_lc + self.lut_memory
    }

    /// Adds another area several times.
    pub fn add(&mut self, other: &Area, times: u64) {
        self.lut += times * other.lut;
        self.lut_memory += times * other.lut_memory;
        self.ff += times * other.ff;
        self.bram36 += times as f64 * other.bram36;
        self.dsp += times * other.dsp;
        self.estimated_lc += times * other.estimated_lc;
    }

    /// Counts one kind of cell; false for cells that are not known.
    fn count(&mut self, cell: &str, number: u64) -> bool {
        // Look-up tables of a memory or shift register: UG474 (7 series), UG574 (UltraScale).
        let memory = match cell {
            "SRL16E" | "SRLC16E" | "SRLC32E" | "RAM32X1S" | "RAM64X1S" => 1,
            "RAM32X1D" | "RAM64X1D" | "RAM32X2S" | "RAM128X1S" => 2,
            "RAM32M" | "RAM64M" | "RAM128X1D" | "RAM256X1S" => 4,
            "RAM32M16" | "RAM64M8" | "RAM256X1D" | "RAM512X1S" | "RAM64X8SW" => 8,
            _ => 0,
        };
        self.lut += memory * number;
        self.lut_memory += memory * number;
        match cell {
            "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" => self.lut += number,
            "FDRE" | "FDSE" | "FDCE" | "FDPE" | "FDRE_1" | "FDSE_1" | "FDCE_1" | "FDPE_1" => self.ff += number,
            "RAMB36E1" | "RAMB36E2" => self.bram36 += number as f64,
            "RAMB18E1" | "RAMB18E2" => self.bram36 += number as f64 / 2.0,
            "DSP48E1" | "DSP48E2" => self.dsp += number,
            // Parts of a slice or of the clock network; an inverter goes into the look-up table that it feeds.
            "CARRY4" | "CARRY8" | "MUXF7" | "MUXF8" | "MUXF9" | "INV" | "BUFG" | "$scopeinfo" => (),
            _ => return memory > 0,
        }
        true
    }
}

/// One module of a design, as the tool counted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Without what it contains.
    pub own: Area,
    /// Modules inside, and how often.
    pub inside: Vec<(String, u64)>,
}

/// The report of `stat -json`.
#[derive(Deserialize)]
struct Statistics {
    modules: BTreeMap<String, ModuleStatistics>,
}

#[derive(Deserialize)]
struct ModuleStatistics {
    num_cells_by_type: BTreeMap<String, u64>,
    #[serde(default)]
    estimated_num_lc: u64,
}

/// Reads what `stat -json -tech xilinx` wrote: every module of the design.
pub fn modules(path: &Path) -> Result<BTreeMap<String, Module>, SynthError> {
    let text = std::fs::read_to_string(path).map_err(SynthError::file(path))?;
    parse(&text).map_err(|what| SynthError::report(path, what))
}

fn parse(text: &str) -> Result<BTreeMap<String, Module>, String> {
    let statistics: Statistics = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let plain = |name: &str| name.trim_start_matches('\\').to_string();
    let names: Vec<String> = statistics.modules.keys().map(|name| plain(name)).collect();
    let mut found = BTreeMap::new();
    let mut estimated = BTreeMap::new();
    for (name, counted) in &statistics.modules {
        let mut module = Module { own: Area::default(), inside: vec![] };
        for (cell, number) in &counted.num_cells_by_type {
            let cell = plain(cell);
            if names.contains(&cell) {
                module.inside.push((cell, *number));
            } else if !module.own.count(&cell, *number) {
                return Err(format!(
                    "the cell {cell} of {} is not known: say in synth::count what it takes",
                    plain(name)
                ));
            }
        }
        estimated.insert(plain(name), counted.estimated_num_lc);
        found.insert(plain(name), module);
    }
    // The tool's estimate is of a module with all that is inside.
    for (name, module) in &mut found {
        let inside: u64 = module.inside.iter().map(|(name, times)| times * estimated[name]).sum();
        module.own.estimated_lc = estimated[name].saturating_sub(inside);
    }
    Ok(found)
}

/// Gives modules the names that the Verilog has for them, with the values of their parameters, in place of the tool's: it calls them
/// `$paramod$HASH\NAME`. `heads` is a dump of all modules that says which values a hash stands for.
pub fn with_parameters(
    modules: BTreeMap<String, Module>,
    heads: &Path,
) -> Result<BTreeMap<String, Module>, SynthError> {
    let text = std::fs::read_to_string(heads).map_err(SynthError::file(heads))?;
    let names = parametrised(&text);
    let name = |name: String| names.get(&name).cloned().unwrap_or(name);
    let renamed = modules.into_iter().map(|(module, Module { own, inside })| {
        let inside = inside.into_iter().map(|(inside, times)| (name(inside), times)).collect();
        (name(module), Module { own, inside })
    });
    Ok(renamed.collect())
}

/// The tool's names of modules with parameters, and ours: `fifo #(.WIDTH(8), .DEPTH(16))`.
fn parametrised(heads: &str) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut module = None;
    for line in heads.lines() {
        if let Some(name) = line.strip_prefix("module ") {
            module = name.starts_with("$paramod").then_some(name);
        } else if let (Some(module), Some((name, value))) =
            (module, line.strip_prefix("  parameter \\").and_then(|parameter| parameter.split_once(' ')))
        {
            names.entry(module.into()).or_default().push(format!(".{name}({value})"));
        }
    }
    let ours =
        |name: &str, values: &[String]| format!("{} #({})", name.split('\\').nth(1).unwrap_or(name), values.join(", "));
    names.iter().map(|(name, values)| (name.clone(), ours(name, values))).collect()
}

/// A module with all that is inside.
pub fn total(modules: &BTreeMap<String, Module>, name: &str) -> Area {
    let Some(module) = modules.get(name) else {
        return Area::default();
    };
    let mut area = module.own;
    for (inside, times) in &module.inside {
        area.add(&total(modules, inside), *times);
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"creator": "Yosys", "modules": {
        "\\leaf": {"num_cells": 9, "num_cells_by_type": {"CARRY4": 2, "FDRE": 8, "LUT2": 8, "INV": 3, "RAM32M": 1, "RAMB18E1": 1}, "estimated_num_lc": 4},
        "\\top": {"num_cells_by_type": {"BUFG": 1, "SRL16E": 2, "RAM32M16": 1, "FDSE": 1, "leaf": 3}, "estimated_num_lc": 14}},
        "design": {"num_cells": 9}}"#;

    #[test]
    fn memories_count_as_the_tables_they_take() {
        let modules = parse(REPORT).unwrap();
        let leaf = Area { lut: 12, lut_memory: 4, ff: 8, bram36: 0.5, dsp: 0, estimated_lc: 4 };
        assert_eq!(modules["leaf"], Module { own: leaf, inside: vec![] });
        let own = Area { lut: 10, lut_memory: 10, ff: 1, bram36: 0.0, dsp: 0, estimated_lc: 2 };
        assert_eq!(modules["top"], Module { own, inside: vec![("leaf".into(), 3)] });
        let all = Area { lut: 46, lut_memory: 22, ff: 25, bram36: 1.5, dsp: 0, estimated_lc: 14 };
        assert_eq!(total(&modules, "top"), all);
    }

    #[test]
    fn modules_with_parameters_have_the_names_of_their_instances() {
        let heads = "module \\top\nend\nattribute \\hdlname \"\\\\fifo\"\nmodule $paramod$0e9c\\fifo\n  parameter \\WIDTH 8\n  \
                     parameter \\DEPTH 16\n  wire \\clock\nend\nmodule $paramod\\stage\\WIDTH=s32'0110\n  parameter \\WIDTH 6\nend\n";
        let expected = [
            ("$paramod$0e9c\\fifo", "fifo #(.WIDTH(8), .DEPTH(16))"),
            ("$paramod\\stage\\WIDTH=s32'0110", "stage #(.WIDTH(6))"),
        ];
        let names = parametrised(heads);
        assert_eq!(names.len(), expected.len());
        for (theirs, ours) in expected {
            assert_eq!(names[theirs], ours);
        }
    }

    #[test]
    fn a_cell_that_is_not_known_is_not_passed_over() {
        let error = parse(&REPORT.replace("SRL16E", "URAM288")).unwrap_err();
        assert!(error.starts_with("the cell URAM288 of top is not known"), "{error}");
    }
}
