//! Verilator and the C++ compiler: Verilog and a shim become a shared library.
use super::error::ModelError;
use super::library::{tools, BuildStep, Progress};
use crate::cache::hash;
use crate::leftovers;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

pub(super) const SHIM: &str = include_str!("cpp/shim.cpp");
pub(super) const SHIM_HEADER: &str = include_str!("cpp/shim.hpp");

/// The Verilog is not linted here; `--x-initial unique` lets a seed fill what no reset clears. The compiler takes half
/// the time for functions of 500 statements, and what it makes is as fast.
pub(super) const VERILATOR_OPTIONS: &[&str] = &[
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "unique",
    "--noassert",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "--output-split",
    "20000",
    "--output-split-cfuncs",
    "500",
    "--Mdir",
    "verilated",
];
pub(super) const COMPILER_OPTIONS: &[&str] =
    &["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-plt", "-w", "-DVL_TIME_CONTEXT", "-Iverilated", "-I."];
/// For what runs every cycle. With -O3 the compiler takes half as long again, and what it makes is as fast; with -O1 a model is slower
/// by 6 to 15 %, and compiled in two thirds of the time: `VIRTIO_HDL_QUICK_MODELS=1` asks for that, where each runs once, as in CI.
fn optimisation() -> &'static str {
    match std::env::var_os("VIRTIO_HDL_QUICK_MODELS").is_some_and(|value| value == "1") {
        true => "-O1",
        false => "-O2",
    }
}
/// For what runs once.
const SLOW: &str = "-O0";
/// For Verilator's own runtime, which is compiled once for all models.
const RUNTIME: &str = "-O1";

pub(super) fn version(tool: &'static str) -> Result<String, ModelError> {
    Ok(String::from_utf8_lossy(&run(Command::new(tool).arg("--version"), tool)?.stdout).into_owned())
}

/// Runs a tool to its end; a failure carries what it said.
pub(super) fn run(command: &mut Command, tool: &'static str) -> Result<Output, ModelError> {
    let output = leftovers::output(command).map_err(|error| ModelError::ToolMissing { tool, error })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr, output.stdout].concat();
    Err(ModelError::ToolFailed { tool, said: String::from_utf8_lossy(&said).into_owned() })
}

/// What is made of Verilog before there is a library.
pub(super) struct Recipe<'a> {
    /// Name of the top module.
    pub top: &'a str,
    /// File name and text.
    pub files: &'a [(String, String)],
    /// For Verilator, besides [`VERILATOR_OPTIONS`].
    pub verilator: &'a [String],
    /// For the compiler, besides [`COMPILER_OPTIONS`].
    pub compiler: &'a [&'a str],
    /// Headers that those name.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Recipe<'_> {
    /// All options, with the versions of the tools: the second half of a key.
    pub fn options(&self, tools: &str) -> String {
        let mut parts = [VERILATOR_OPTIONS, COMPILER_OPTIONS, &[optimisation(), SLOW, RUNTIME, tools]].concat();
        parts.extend(self.verilator.iter().map(String::as_str));
        parts.extend(self.compiler);
        parts.extend(self.headers.iter().map(|(_, text)| *text));
        hash(&parts)
    }
}

/// One library in the making.
pub(super) struct Build<'a> {
    /// Folder of its own.
    pub work: &'a Path,
    pub recipe: &'a Recipe<'a>,
    pub progress: Progress<'a>,
}

/// One C++ file to compile.
struct Unit {
    source: PathBuf,
    object: PathBuf,
    optimisation: &'static str,
}

impl Build<'_> {
    /// Makes `model.so` in the folder. `shim` is given what Verilator made of the top module, its header.
    pub fn compile(
        &self,
        cache: &Path,
        shim: impl FnOnce(&str) -> Result<String, ModelError>,
    ) -> Result<(), ModelError> {
        let Recipe { top, files, .. } = *self.recipe;
        (self.progress)(BuildStep::Begins { top });
        self.write("shim.hpp", SHIM_HEADER)?;
        for (name, text) in self.recipe.headers {
            self.write(name, text)?;
        }
        let mut verilator = Command::new("verilator");
        verilator
            .current_dir(self.work)
            .args(VERILATOR_OPTIONS)
            .args(self.recipe.verilator)
            .args(["--top-module", top]);
        for (name, text) in files {
            self.write(name, text)?;
            verilator.arg(name);
        }
        run(&mut verilator, "verilator")?;
        let header = self.work.join(format!("verilated/V{top}.h"));
        let header = fs::read_to_string(&header).map_err(|error| ModelError::cache(&header, error))?;
        self.write("shim.cpp", &shim(&header)?)?;

        let include = verilator_include()?;
        let runtime = self.runtime(cache)?;
        for optimisation in [optimisation(), SLOW] {
            self.compile_header(&runtime, &include, optimisation)?;
        }
        let units = self.units(&include, &runtime)?;
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failure = OnceLock::new();
        let work = || {
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let count = done.load(Ordering::Relaxed);
                (self.progress)(BuildStep::Compiles { top, done: count, of: units.len() });
                if let Err(error) = self.compile_unit(unit, &include, &runtime) {
                    let _ = failure.set(error);
                    next.store(units.len(), Ordering::Relaxed);
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let threads = processors().min(units.len());
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        (self.progress)(BuildStep::Links { top });
        let mut linker = Command::new("g++");
        linker.current_dir(self.work).args(["-shared", "-Wl,-Bsymbolic", "-pthread", "-o", "model.so"]);
        linker.args(units.iter().map(|unit| &unit.object));
        run(&mut linker, "g++")?;
        Ok(())
    }

    /// Where the compiled runtime of this Verilator lies, and its header as the compiler has read it: every model of the same
    /// options takes the same.
    fn runtime(&self, cache: &Path) -> Result<PathBuf, ModelError> {
        let tools = tools()?;
        let mut parts = vec![tools.as_str()];
        let options = [COMPILER_OPTIONS, self.recipe.compiler].concat().concat();
        parts.extend([options.as_str(), RUNTIME]);
        parts.extend(self.recipe.headers.iter().map(|(_, text)| *text));
        let folder = cache.join(format!("runtime-{}", hash(&parts)));
        fs::create_dir_all(&folder).map_err(|error| ModelError::cache(&folder, error))?;
        Ok(folder)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ModelError> {
        fs::write(self.work.join(name), text).map_err(|error| ModelError::cache(&self.work.join(name), error))
    }

    /// Compiles Verilator's header in advance, unless it is there already: a third of a model's files is that.
    fn compile_header(&self, runtime: &Path, include: &Path, optimisation: &str) -> Result<(), ModelError> {
        let made = header(runtime, optimisation).with_extension("hpp.gch");
        let mut compiler = Command::new("g++");
        compiler.args([optimisation, "-x", "c++-header"]);
        self.compile_once(&made, &include.join("verilated.h"), &mut compiler, include)
    }

    /// Compiles a file, unless it is one of the runtime that is there already.
    fn compile_unit(&self, unit: &Unit, include: &Path, runtime: &Path) -> Result<(), ModelError> {
        let mut compiler = Command::new("g++");
        compiler.args([unit.optimisation, "-c"]);
        if unit.optimisation != RUNTIME {
            // before all else that is included, or the compiler reads the header itself
            compiler.arg("-include").arg(header(runtime, unit.optimisation));
        }
        self.compile_once(&unit.object, &unit.source, &mut compiler, include)
    }

    /// Compiles with the options of all files, under another name first: what is there is whole.
    fn compile_once(
        &self,
        made: &Path,
        source: &Path,
        compiler: &mut Command,
        include: &Path,
    ) -> Result<(), ModelError> {
        if made.exists() {
            return Ok(());
        }
        let making = self.work.join(made.file_name().unwrap_or_default());
        compiler
            .current_dir(self.work)
            .args(COMPILER_OPTIONS)
            .args(self.recipe.compiler)
            .arg(format!("-I{}", include.display()))
            .arg(format!("-I{}", include.join("vltstd").display()))
            .arg("-o")
            .args([making.as_path(), source]);
        run(compiler, "g++")?;
        fs::rename(&making, made).map_err(|error| ModelError::cache(made, error))
    }

    /// What to compile: the list that Verilator leaves for `make`, which names the files of its runtime that this
    /// version needs, and the shim.
    fn units(&self, include: &Path, runtime: &Path) -> Result<Vec<Unit>, ModelError> {
        let list = self.work.join(format!("verilated/V{}_classes.mk", self.recipe.top));
        let text = fs::read_to_string(&list).map_err(|error| ModelError::cache(&list, error))?;
        let (mut fast, mut slow, mut units) = (vec![PathBuf::from("shim.cpp")], vec![], vec![]);
        let mut variable = String::new();
        for line in text.lines() {
            let words = match line.split_once(" = ").or_else(|| line.split_once(" += ")) {
                Some((name, words)) => {
                    variable = name.trim().into();
                    words
                }
                None if line.starts_with(char::is_whitespace) => line,
                None => continue,
            };
            let words = words.split_whitespace().filter(|word| *word != "\\");
            let class = |word| Path::new("verilated").join(format!("{word}.cpp"));
            match variable.as_str() {
                "VM_CLASSES_FAST" | "VM_SUPPORT_FAST" => fast.extend(words.map(class)),
                "VM_CLASSES_SLOW" | "VM_SUPPORT_SLOW" => slow.extend(words.map(class)),
                "VM_GLOBAL_FAST" | "VM_GLOBAL_SLOW" => units.extend(words.map(|word| Unit {
                    source: include.join(format!("{word}.cpp")),
                    object: runtime.join(format!("{word}.o")),
                    optimisation: RUNTIME,
                })),
                _ => {}
            }
        }
        let threads = processors();
        units.extend(self.joined("fast", fast, threads, optimisation())?);
        units.extend(self.joined("slow", slow, threads.div_ceil(2), SLOW)?);
        Ok(units)
    }

    /// As many files as there are threads to compile them, about equally long, in place of many: half of the time goes into
    /// Verilator's headers, once a file.
    fn joined(
        &self,
        name: &str,
        mut sources: Vec<PathBuf>,
        count: usize,
        optimisation: &'static str,
    ) -> Result<Vec<Unit>, ModelError> {
        let length = |source: &PathBuf| fs::metadata(self.work.join(source)).map_or(0, |metadata| metadata.len());
        sources.sort_by_key(|source| std::cmp::Reverse(length(source)));
        let mut files = vec![(0, String::new()); count.min(sources.len())];
        for source in &sources {
            let Some((bytes, text)) = files.iter_mut().min_by_key(|(bytes, _)| *bytes) else { break };
            *bytes += length(source);
            let _ = writeln!(text, "#include \"{}\"", source.display());
        }
        let unit = |(place, (_, text)): (usize, &(u64, String))| {
            let file = format!("{name}_{place}");
            self.write(&format!("{file}.cpp"), text)?;
            let (source, object) = (format!("{file}.cpp").into(), self.work.join(format!("{file}.o")));
            Ok(Unit { source, object, optimisation })
        };
        files.iter().enumerate().map(unit).collect()
    }
}

/// What stands for Verilator's header where it was compiled with this optimisation; the compiler takes it with no other.
fn header(runtime: &Path, optimisation: &str) -> PathBuf {
    runtime.join(format!("verilated{optimisation}.hpp"))
}

/// Threads that compile at once.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where Verilator's own C++ lies.
fn verilator_include() -> Result<PathBuf, ModelError> {
    let root = run(Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]), "verilator")?;
    Ok(Path::new(String::from_utf8_lossy(&root.stdout).trim()).join("include"))
}
