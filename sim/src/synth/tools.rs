//! The open tools: yosys, nextpnr-ecp5 and ecppack as YoWASP packages them for PyPI, in a private virtual environment that
//! `scripts/setup.sh synth` makes. They are WebAssembly, so that the same version gives the same result on every machine.
use super::error::SynthError;
use crate::cache;
use crate::leftovers;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The versions, as `pip` reads them; `scripts/setup.sh` takes the same file.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The installed tools.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The folder of the tools in the user's cache: its name holds a hash of the versions, so that other versions come into
    /// another folder.
    pub fn folder() -> Result<PathBuf, SynthError> {
        let digest = Sha256::digest(REQUIREMENTS);
        let key: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(cache::folder().ok_or(SynthError::NoCache)?.join(format!("synth-tools-{key}")))
    }

    /// Finds the tools; does not install them.
    pub fn find() -> Result<Self, SynthError> {
        let folder = Self::folder()?;
        // setup.sh writes it last.
        match folder.join("installed").exists() {
            true => Ok(Tools { folder }),
            false => Err(SynthError::Missing { folder }),
        }
    }

    /// Runs one of the tools in a folder of its own, and leaves what it says in `TOOL.log` there. The tools see nothing outside
    /// the folder: files are named relative to it.
    pub(super) fn run(
        &self,
        design: &str,
        tool: &'static str,
        arguments: &[&str],
        work: &Path,
    ) -> Result<(), SynthError> {
        self.compile(tool)?;
        let output = self.output(tool, Command::new(self.path(tool)).args(arguments).current_dir(work))?;
        let said = [output.stdout, output.stderr].concat();
        let log = work.join(format!("{tool}.log"));
        std::fs::write(&log, &said).map_err(SynthError::file(&log))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let said = lines[lines.len().saturating_sub(10)..].join("\n");
        Err(SynthError::Failed { design: design.into(), tool, said, log: work.into() })
    }

    /// Has a tool compiled for this machine, which it does when it first runs, in up to half a minute. One at a time: a second
    /// process would write over what the first has begun to use.
    fn compile(&self, tool: &'static str) -> Result<(), SynthError> {
        let compiled = self.folder.join(format!("{tool}.compiled"));
        let lock = compiled.with_extension("lock");
        let _lock = cache::lock(&lock).map_err(SynthError::file(&lock))?;
        if !compiled.exists() && self.output(tool, Command::new(self.path(tool)).arg("--version"))?.status.success() {
            std::fs::write(&compiled, "").map_err(SynthError::file(&compiled))?;
        }
        Ok(())
    }

    fn path(&self, tool: &str) -> PathBuf {
        self.folder.join("bin").join(format!("yowasp-{tool}"))
    }

    fn output(&self, tool: &'static str, command: &mut Command) -> Result<Output, SynthError> {
        leftovers::output(command).map_err(|error| SynthError::Start { tool, folder: self.folder.clone(), error })
    }
}

/// Each tool that works on the RTL, with the whole version: of the others that are installed no figure depends.
fn pinned() -> impl Iterator<Item = (&'static str, &'static str)> {
    let packaged = REQUIREMENTS.lines().filter_map(|line| line.strip_prefix("yowasp-")?.split_once("=="));
    packaged.filter(|(tool, _)| *tool != "runtime")
}

/// What names these tools among all that a figure comes from.
pub(super) fn key() -> String {
    pinned().map(|(tool, version)| format!("{tool} {version}\n")).collect()
}

/// Name and version of each tool that works on the RTL: `yosys 0.70`.
pub fn versions() -> Vec<String> {
    pinned()
        .map(|(tool, version)| format!("{tool} {}", version.split('.').take(2).collect::<Vec<_>>().join(".")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_installed() {
        assert_eq!(versions(), ["yosys 0.70", "nextpnr-ecp5 0.11"]);
    }
}
