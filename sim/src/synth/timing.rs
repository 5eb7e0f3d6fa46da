//! nextpnr's report: what a placed and routed design takes, how fast it is, and what lies on its slowest path.
use super::error::SynthError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A placed and routed design on an ECP5.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Look-up tables of four inputs, those of carry chains and memories among them.
    pub lut4: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs of 16 kbit (18 with parity).
    pub dp16kd: u64,
    /// Megahertz.
    pub fmax: f64,
    /// The slowest path from flip-flop to flip-flop.
    pub path: Vec<Hop>,
}

/// What a path goes through within one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Instance names from the top: `read_engine.tags`.
    pub block: String,
    /// Cells.
    pub cells: u32,
    /// Nanoseconds in cells, and on the wires in front of them.
    pub logic: f64,
    /// Nanoseconds on the wires in front of them.
    pub routing: f64,
    /// The last net within the block.
    pub net: String,
}

#[derive(Deserialize)]
struct Report {
    fmax: BTreeMap<String, Fmax>,
    utilization: BTreeMap<String, Used>,
    critical_paths: Vec<CriticalPath>,
}

#[derive(Deserialize)]
struct Fmax {
    achieved: f64,
}

#[derive(Deserialize)]
struct Used {
    used: u64,
}

#[derive(Deserialize)]
struct CriticalPath {
    from: String,
    to: String,
    path: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    delay: f64,
    to: Cell,
    net: Option<String>,
}

#[derive(Deserialize)]
struct Cell {
    cell: String,
}

/// Reads a report.
pub fn placed(path: &Path) -> Result<Placed, SynthError> {
    let text = std::fs::read_to_string(path).map_err(SynthError::file(path))?;
    parse(&text).map_err(|what| SynthError::report(path, what))
}

fn parse(text: &str) -> Result<Placed, String> {
    let report: Report = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let used = |cell: &str| {
        report.utilization.get(cell).map(|cell| cell.used).ok_or(format!("{cell} is not in the utilisation"))
    };
    let [fmax] = report.fmax.values().collect::<Vec<_>>()[..] else {
        return Err(format!("{} clocks instead of one", report.fmax.len()));
    };
    let synchronous = |path: &&CriticalPath| path.from.starts_with("posedge") && path.to.starts_with("posedge");
    let slowest = report.critical_paths.iter().find(synchronous).ok_or("no path from flip-flop to flip-flop")?;
    Ok(Placed {
        lut4: used("TRELLIS_COMB")?,
        ff: used("TRELLIS_FF")?,
        dp16kd: used("DP16KD")?,
        fmax: fmax.achieved,
        path: hops(&slowest.path),
    })
}

/// Joins the steps of a path that stay within one block.
fn hops(steps: &[Step]) -> Vec<Hop> {
    let mut hops: Vec<Hop> = vec![];
    for step in steps {
        let block = block(&step.to.cell);
        if hops.last().is_none_or(|hop| hop.block != block) {
            hops.push(Hop { block, cells: 0, logic: 0.0, routing: 0.0, net: String::new() });
        }
        let Some(hop) = hops.last_mut() else { continue };
        match step.kind.as_str() {
            "routing" => hop.routing += step.delay,
            _ => {
                hop.logic += step.delay;
                hop.cells += 1;
            }
        }
        if let Some(net) = &step.net {
            hop.net = signal(net).to_string();
        }
    }
    hops
}

/// The part of a name that comes from the RTL: yosys appends cell types and ports to the signal that a cell drives.
fn signal(name: &str) -> &str {
    const CELLS: [&str; 8] =
        ["_LUT4_", "_TRELLIS_", "_CCU2C_", "_PFUMX_", "_L6MUX21_", "_DP16KD_", "_MULT18X18D_", "_DO_"];
    let end = CELLS.iter().filter_map(|cell| name.find(cell)).min().unwrap_or(name.len());
    let name = &name[..end];
    name.strip_prefix("dut.").unwrap_or(name)
}

/// The block of a cell: the names in front of its signal, without the numbers of memories.
fn block(cell: &str) -> String {
    let (path, _) = signal(cell).rsplit_once('.').unwrap_or_default();
    let instance = |part: &&str| !part.starts_with(|c: char| c.is_ascii_digit()) && *part != "memory";
    let parts: Vec<&str> = path.split('.').filter(instance).collect();
    match parts.is_empty() {
        true => "top".into(),
        false => parts.join("."),
    }
}

impl Placed {
    /// The blocks of the slowest path, the part of each name that says most: `config_space > write_gate > tags`.
    pub fn route(&self) -> String {
        let mut blocks: Vec<&str> = self.path.iter().map(|hop| hop.block.as_str()).collect();
        blocks.dedup();
        blocks.join(" > ")
    }

    /// The slowest path in readable form.
    pub fn critical_path(&self) -> String {
        let sum = |part: fn(&Hop) -> f64| self.path.iter().map(part).sum::<f64>();
        let (logic, routing) = (sum(|hop| hop.logic), sum(|hop| hop.routing));
        let mut text = format!(
            "{:.1} MHz: {:.2} ns, {logic:.2} in cells and {routing:.2} on wires\n\n     at   cells  logic  wires  block: last net\n",
            self.fmax,
            logic + routing
        );
        let mut at = 0.0;
        for hop in &self.path {
            at += hop.logic + hop.routing;
            let Hop { block, cells, logic, routing, net } = hop;
            let _ = writeln!(text, "{at:7.2} {cells:7} {logic:6.2} {routing:6.2}  {block}: {net}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
      "fmax": {"clock": {"achieved": 85.9, "constraint": 125}},
      "utilization": {"TRELLIS_COMB": {"available": 83640, "used": 20342}, "TRELLIS_FF": {"available": 83640, "used": 9787},
                      "DP16KD": {"available": 208, "used": 30}},
      "critical_paths": [
        {"from": "<async>", "to": "posedge clock", "path": []},
        {"from": "posedge clock", "to": "posedge clock", "path": [
          {"type": "clk-to-q", "delay": 0.5, "to": {"cell": "dut.config_space.power_state_TRELLIS_FF_Q_1"}},
          {"type": "routing", "delay": 1.0, "net": "dut.config_space.power_state[1]", "to": {"cell": "dut.gate.open_LUT4_B_D_LUT4_Z"}},
          {"type": "logic", "delay": 0.25, "to": {"cell": "dut.gate.open_LUT4_B_D_LUT4_Z"}},
          {"type": "routing", "delay": 0.5, "net": "dut.gate.open_LUT4_B_D", "to": {"cell": "dut.gate.open_LUT4_B"}},
          {"type": "setup", "delay": 0.25, "to": {"cell": "dut.tags.stamp.memory.0.1_DO_LUT4_C"}}]}]}"#;

    #[test]
    fn a_report_gives_figures_and_the_path_by_blocks() {
        let placed = parse(REPORT).unwrap();
        assert_eq!((placed.lut4, placed.ff, placed.dp16kd, placed.fmax), (20342, 9787, 30, 85.9));
        assert_eq!(placed.route(), "config_space > gate > tags.stamp");
        let gate = Hop { block: "gate".into(), cells: 1, logic: 0.25, routing: 1.5, net: "gate.open".into() };
        assert_eq!(placed.path[1], gate);
        let text = placed.critical_path();
        assert!(text.starts_with("85.9 MHz: 2.50 ns, 1.00 in cells and 1.50 on wires\n"), "{text}");
        assert!(text.contains("   2.25       1   0.25   1.50  gate: gate.open\n"), "{text}");
    }

    #[test]
    fn a_report_without_a_clock_is_refused() {
        let error = parse(&REPORT.replace(r#""clock": {"achieved": 85.9, "constraint": 125}"#, "")).unwrap_err();
        assert_eq!(error, "0 clocks instead of one");
    }
}
