//! Verilog that is not generated here, as a model. What is different: it is in files that may include others, its ports are found
//! by Verilator, it may have assertions, and it may stop.
use super::bridge::ffi;
use super::build::{run, Recipe, SHIM_HEADER};
use super::interface::Interface;
use super::library::{cache_folder, fill_shim, Library, Progress, ShimParts};
use super::{layout, ModelError, PortLayout};
use crate::cache::hash;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: &str = include_str!("cpp/foreign.cpp");
const HEADER: &str = include_str!("cpp/foreign.hpp");
/// Where the design lies when it is built.
const DESIGN: &str = "design.sv";

/// Verilog of the user's, as Verilator takes it.
#[derive(Clone, Debug, Default)]
pub struct ForeignSources {
    /// Name of the top module.
    pub top: String,
    /// The files, in the order in which they are read.
    pub files: Vec<PathBuf>,
    /// Folders in which `include` looks.
    pub include: Vec<PathBuf>,
    /// Macros: name and text.
    pub defines: Vec<(String, String)>,
    /// Parameters of the top module: name and value, as Verilog.
    pub parameters: Vec<(String, String)>,
    /// What `$readmemh` and the like read at the start: the name in the Verilog, and the file.
    pub memory_files: Vec<(String, PathBuf)>,
    /// More for Verilator.
    pub options: Vec<String>,
    /// How the model is held.
    pub interface: Interface,
}

impl ForeignSources {
    /// Takes the model from the user's cache, or builds it.
    pub fn build(&self, progress: Progress) -> Result<Library, ModelError> {
        self.build_in(&cache_folder()?, progress)
    }

    /// The same with a cache of one's own.
    pub fn build_in(&self, cache: &Path, progress: Progress) -> Result<Library, ModelError> {
        let design = [(DESIGN.to_string(), self.text()?)];
        let mut options: Vec<String> = vec!["--assert".into()];
        options.extend(self.parameters.iter().map(|(name, value)| format!("-G{name}={value}")));
        options.extend(self.options.iter().cloned());
        let recipe = Recipe {
            top: &self.top,
            files: &design,
            verilator: &options,
            compiler: &["-DVL_USER_FATAL", "-DVL_USER_STOP", "-DVL_USER_FINISH", "-include", "foreign.hpp"],
            headers: &[("foreign.hpp", HEADER)],
        };
        let parts = ["foreign", std::env::consts::ARCH, SHIM_HEADER, &shim(&self.top, ""), &self.top, &design[0].1];
        let made = Library::find_or_make(cache, &hash(&parts), &recipe, progress, |header| Ok(shim(&self.top, header)));
        Ok(made?.with_interface(self.interface.clone()))
    }

    /// All of the Verilog as one text, in which nothing is included any more: what the model depends on, and no more.
    fn text(&self) -> Result<String, ModelError> {
        for path in &self.files {
            fs::File::open(path).map_err(|error| ModelError::Source { path: path.clone(), error })?;
        }
        let mut verilator = Command::new("verilator");
        verilator.arg("-E").args(&self.options);
        verilator.args(self.include.iter().map(|folder| format!("+incdir+{}", folder.display())));
        verilator.args(self.defines.iter().map(|(name, text)| match text.is_empty() {
            true => format!("-D{name}"),
            false => format!("-D{name}={text}"),
        }));
        let output = run(verilator.args(&self.files), "verilator")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        for (name, path) in &self.memory_files {
            let path = fs::canonicalize(path).map_err(|error| ModelError::Source { path: path.clone(), error })?;
            text = text.replace(&format!("\"{name}\""), &format!("\"{}\"", path.display()));
        }
        Ok(text)
    }
}

impl Library {
    /// The ports of the model's top module.
    pub fn ports(&self) -> Result<Vec<PortLayout>, ModelError> {
        Ok(layout(ffi::ports_of(&self.path().to_string_lossy())?))
    }
}

/// The shim for a model whose top module became this header.
fn shim(top: &str, header: &str) -> String {
    let ports: Vec<_> = header.lines().filter_map(port).collect();
    let mut rows = String::new();
    for Found { name, field, width, input } in &ports {
        let _ = writeln!(rows, "        {{\"{name}\", {width}, {}, &top->{field}}},", u8::from(*input));
    }
    let parts = ShimParts {
        functions: FUNCTIONS,
        evaluate: "virtio_hdl_evaluate(instance);",
        finalise: "virtio_hdl_finalise(instance);",
    };
    fill_shim(top, ports.len(), &rows, &parts)
}

/// A port as Verilator declares it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// In Verilog.
    name: String,
    /// In C++.
    field: String,
    width: usize,
    input: bool,
}

/// A line such as `VL_IN64(&s_axis_tdata,63,0);` or `VL_OUTW(&wide,127,0,4);`. Ports that are arrays, or go both ways, are
/// none that the kit can hold.
fn port(line: &str) -> Option<Found> {
    let line = line.trim();
    let (input, rest) = match (line.strip_prefix("VL_IN"), line.strip_prefix("VL_OUT")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let (kind, arguments) = rest.split_once("(&")?;
    if !["", "8", "16", "64", "W"].contains(&kind) {
        return None;
    }
    let mut arguments = arguments.split(')').next()?.split(',');
    let field = arguments.next()?.trim();
    let msb: usize = arguments.next()?.trim().parse().ok()?;
    let lsb: usize = arguments.next()?.trim().parse().ok()?;
    // Verilator writes `__` of a name as `___05F`.
    let name = field.strip_prefix("__SYM__").unwrap_or(field).replace("___05F", "__");
    Some(Found { name, field: field.into(), width: msb.abs_diff(lsb) + 1, input })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_verilators_header() {
        let found = |line| port(line).map(|port| (port.name, port.field, port.width, port.input));
        let expect = |name: &str, field: &str, width, input| Some((name.to_string(), field.to_string(), width, input));
        assert_eq!(found("    VL_IN8(&clk,0,0);"), expect("clk", "clk", 1, true));
        assert_eq!(found("    VL_IN64(&s_axis_tdata,63,0);"), expect("s_axis_tdata", "s_axis_tdata", 64, true));
        assert_eq!(found("    VL_OUT(&level,31,0);"), expect("level", "level", 32, false));
        assert_eq!(found("    VL_OUTW(&m_axis_tdata,255,0,8);"), expect("m_axis_tdata", "m_axis_tdata", 256, false));
        assert_eq!(found("    VL_IN8(&a___05Fb,7,0);"), expect("a__b", "a___05Fb", 8, true));
        assert_eq!(found("    VL_INOUT8(&pin,0,0);"), None);
        assert_eq!(found("    VL_IN8((&array)[4],7,0);"), None);
        assert_eq!(found("    class Vtop__Syms;"), None);
    }
}
