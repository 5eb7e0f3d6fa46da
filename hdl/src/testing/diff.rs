//! Recorded stimuli and results, run again in Verilator.
use super::{build, cpp_driver, PortInfo};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Stimuli and expected results of one block: a line per cycle, a hexadecimal number per port.
pub struct Diff {
    /// Names the folder with the files of the last run.
    pub name: String,
    /// That folder.
    pub dir: PathBuf,
    /// Input values, in the order of the ports, `clock` left out.
    pub stim: String,
    /// Output values, in the order of the ports.
    pub expect: String,
}

/// Port, cycles that differ, cycles, the first difference.
pub type Mismatch = (String, usize, usize, String);

impl Diff {
    /// Nothing recorded yet.
    pub fn new(name: &str) -> Self {
        let dir = build::folder().join("runs").join(name);
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Diff { name: name.into(), dir, stim: String::new(), expect: String::new() }
    }

    /// Runs the recorded stimuli in Verilator: per output, how many cycles differ.
    pub fn run(&self, verilog: &str, ports: &[PortInfo], options: &[&str]) -> Vec<Mismatch> {
        let file = |name: &str| self.dir.join(name);
        for (name, text) in [("top.v", verilog), ("stim.txt", &self.stim), ("expect.txt", &self.expect)] {
            std::fs::write(file(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let model = build::model(verilog, &cpp_driver(ports), options);
        let stim = std::fs::File::open(file("stim.txt")).expect("just written");
        let output = Command::new(model).stdin(stim).stderr(Stdio::inherit()).output().expect("just built");
        assert!(output.status.success(), "{}: the model ended with {}", self.name, output.status);
        std::fs::write(file("got.txt"), &output.stdout).unwrap_or_else(|error| panic!("got.txt: {error}"));
        self.compare(ports, &String::from_utf8_lossy(&output.stdout))
    }

    /// As [`Diff::run`]; panics with the first difference of each output that has any.
    pub fn check(&self, verilog: &str, ports: &[PortInfo]) {
        let mut failed = vec![];
        for (port, wrong, cycles, first) in self.run(verilog, ports, &[]) {
            if wrong > 0 {
                failed.push(format!("{}.{port}: {wrong} of {cycles} cycles differ, {first}", self.name));
            }
        }
        assert!(failed.is_empty(), "{}\nfiles: {}", failed.join("\n"), self.dir.display());
    }

    fn compare(&self, ports: &[PortInfo], got: &str) -> Vec<Mismatch> {
        let mut result: Vec<Mismatch> =
            ports.iter().filter(|p| !p.input).map(|p| (p.name.clone(), 0, 0, String::new())).collect();
        assert_eq!(got.lines().count(), self.expect.lines().count(), "{}: cycles", self.name);
        for (cycle, (got, want)) in got.lines().zip(self.expect.lines()).enumerate() {
            let (got, want): (Vec<_>, Vec<_>) = (got.split_whitespace().collect(), want.split_whitespace().collect());
            assert_eq!((got.len(), want.len()), (result.len(), result.len()), "{}: outputs", self.name);
            for (entry, (got, want)) in result.iter_mut().zip(got.iter().zip(&want)) {
                entry.2 += 1;
                if got.trim_start_matches('0') != want.trim_start_matches('0') {
                    if entry.1 == 0 {
                        entry.3 = format!("first in cycle {cycle}: rust={want} verilog={got}");
                    }
                    entry.1 += 1;
                }
            }
        }
        result
    }
}
