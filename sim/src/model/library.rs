//! From Verilog to a shared library: Verilator, the C++ compiler, and a cache of what they made.
//!
//! The cache's key is a hash of everything that goes in: the Verilog, the ports, the C++ of the shim and the processor,
//! and behind it one of the versions of both tools and their options. A library is built in a folder of its own and renamed into place, with a
//! checksum beside it, and a lock per key keeps parallel processes from building the same one twice.
use super::error::ModelError;
use super::store;
use crate::cache::{self, hash};
use crate::leftovers::{self, Leftover};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use virtio_hdl_rtl::pcie::function::FunctionConfig;
use virtio_hdl_rtl::verilog::Port;

const SHIM: &str = include_str!("cpp/shim.cpp");
const SHIM_HEADER: &str = include_str!("cpp/shim.hpp");

/// The Verilog is believed here, not linted; `--x-initial unique` lets a seed fill what no reset clears. The compiler takes half
/// the time for functions of 500 statements, and what it makes is as fast.
const VERILATOR_OPTIONS: &[&str] = &[
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
const COMPILER_OPTIONS: &[&str] =
    &["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-plt", "-w", "-DVL_TIME_CONTEXT", "-Iverilated", "-I."];
/// For what runs every cycle.
const FAST: &str = "-O3";
/// For what runs once.
const SLOW: &str = "-O0";
/// For Verilator's own runtime, which is compiled once for all models.
const RUNTIME: &str = "-O1";

/// What the cached models may take, 300 of them or so; those that were used last are kept.
const STORE_BYTES: u64 = 256 << 20;

/// A design to simulate: Verilog, its top module, the top module's ports.
pub struct Sources {
    /// Name of the top module.
    pub top: String,
    /// File name and text.
    pub files: Vec<(String, String)>,
    /// All ports of the top module; `clock`, `reset` and `busy` are among them.
    pub ports: Vec<Port>,
}

/// A Verilated model as a shared library in the cache.
#[derive(Clone, Debug)]
pub struct Library {
    path: PathBuf,
    built: bool,
    function: Option<FunctionConfig>,
}

impl Library {
    /// Takes the library from the user's cache, or builds it, with a spinner while it does.
    pub fn build(sources: &Sources) -> Result<Self, ModelError> {
        Self::build_in(&cache_folder()?, sources)
    }

    /// The same with a cache of one's own.
    pub fn build_in(cache: &Path, sources: &Sources) -> Result<Self, ModelError> {
        let shim = shim(sources);
        let design = design_key(std::env::consts::ARCH, sources, &shim);
        let found = |path| Ok(Library { path, built: false, function: None });
        let tools = match tools() {
            Ok(tools) => tools,
            // Who has a model needs no tools, whichever those were that made it.
            Err(missing) => return store::any(cache, &design).map_or(Err(missing), found),
        };
        let options = [VERILATOR_OPTIONS, COMPILER_OPTIONS, &[FAST, SLOW, RUNTIME, &tools]].concat();
        let folder = cache.join(format!("{design}-{}", &hash(&options)[..8]));
        let top = &sources.top;
        if let Some(path) = store::intact(&folder) {
            return found(path);
        }
        fs::create_dir_all(cache).map_err(|error| ModelError::cache(cache, error))?;
        let lock = folder.with_extension("lock");
        let mut waits = None;
        let waiting =
            || waits = Some(spinner(&format!("waiting for another process, which builds the model of {top}")));
        let _lock = cache::lock_or(&lock, waiting).map_err(|error| ModelError::cache(&lock, error))?;
        waits.iter().for_each(ProgressBar::finish_and_clear);
        if let Some(path) = store::intact(&folder) {
            return found(path);
        }
        if folder.exists() {
            note!("the cached model of {top} in {} is damaged: it is built anew", folder.display());
        }
        // A fixed name, so that nothing stays of a build that was killed.
        let work = folder.with_extension("building");
        let _ = fs::remove_dir_all(&work);
        let name = work.file_name().unwrap_or_default();
        let work = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(cache);
        let work = work.map_err(|error| ModelError::cache(cache, error))?;
        let _leftover = Leftover::path(work.path());
        Build { work: work.path(), runtime: &runtime(cache)?, sources }.compile(&shim)?;
        let path = store::put(&work.path().join("model.so"), &folder)?;
        store::prune(cache, STORE_BYTES);
        Ok(Library { path, built: true, function: None })
    }

    /// Says what hard IP in front of the endpoint has been configured with.
    pub fn with_function(self, function: FunctionConfig) -> Self {
        Library { function: Some(function), ..self }
    }

    /// What hard IP in front of the endpoint has been configured with.
    pub fn function(&self) -> Option<&FunctionConfig> {
        self.function.as_ref()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was built just now, rather than found.
    pub fn was_built(&self) -> bool {
        self.built
    }
}

/// `$XDG_CACHE_HOME/virtio-hdl`, or `~/.cache/virtio-hdl`.
pub fn cache_folder() -> Result<PathBuf, ModelError> {
    cache::folder().ok_or(ModelError::NoCache)
}

/// Versions of the tools, asked once per process.
fn tools() -> Result<String, ModelError> {
    static TOOLS: Mutex<Option<String>> = Mutex::new(None);
    let mut tools = TOOLS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(tools) = &*tools {
        return Ok(tools.clone());
    }
    let found = format!("{}\n{}", version("verilator")?, version("g++")?);
    Ok(tools.insert(found).clone())
}

/// Where the compiled runtime of this Verilator lies: every model links the same.
fn runtime(cache: &Path) -> Result<PathBuf, ModelError> {
    let folder = cache.join(format!("runtime-{}", hash(&[&tools()?, &COMPILER_OPTIONS.concat(), RUNTIME])));
    fs::create_dir_all(&folder).map_err(|error| ModelError::cache(&folder, error))?;
    Ok(folder)
}

/// All that a model is made of, but for the tools.
fn design_key(processor: &str, sources: &Sources, shim: &str) -> String {
    let mut parts = vec![processor, SHIM_HEADER, shim, &sources.top];
    parts.extend(sources.files.iter().flat_map(|(name, text)| [name.as_str(), text]));
    hash(&parts)
}

fn version(tool: &'static str) -> Result<String, ModelError> {
    Ok(String::from_utf8_lossy(&run(Command::new(tool).arg("--version"), tool)?.stdout).into_owned())
}

/// Runs a tool to its end; a failure carries what it said.
fn run(command: &mut Command, tool: &'static str) -> Result<Output, ModelError> {
    let output = leftovers::output(command).map_err(|error| ModelError::ToolMissing { tool, error })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr, output.stdout].concat();
    Err(ModelError::ToolFailed { tool, said: String::from_utf8_lossy(&said).into_owned() })
}

/// The shim's text for this model's ports.
fn shim(sources: &Sources) -> String {
    let nets = || sources.ports.iter().flat_map(|port| port.nets.iter().map(|net| (net, port.input)));
    let mut rows = String::new();
    for ((name, _, width), input) in nets() {
        let _ = writeln!(rows, "        {{\"{name}\", {width}, {}, &top->{name}}},", u8::from(input));
    }
    SHIM.replace("@TOP@", &sources.top).replace("@COUNT@", &nets().count().to_string()).replace("@PORTS@", &rows)
}

/// Lets the compiler compare the widths of ports with the model's storage, which is read and written by them.
fn width_checks(sources: &Sources) -> String {
    let mut text =
        format!("\n[[maybe_unused]] static void virtio_hdl_widths(const V{}* top) {{\n    (void)top;\n", sources.top);
    for (name, _, width) in sources.ports.iter().flat_map(|port| &port.nets) {
        let bytes = match width {
            0..=8 => 1,
            9..=16 => 2,
            17..=32 => 4,
            33..=64 => 8,
            wide => 4 * wide.div_ceil(32),
        };
        let _ = writeln!(
            text,
            "    static_assert(sizeof(top->{name}) == {bytes}, \"error: the port {name} has not {width} bits\");"
        );
    }
    text + "}\n"
}

/// One library in the making.
struct Build<'a> {
    /// Folder of its own.
    work: &'a Path,
    /// Folder of the compiled runtime.
    runtime: &'a Path,
    sources: &'a Sources,
}

/// One C++ file to compile.
struct Unit {
    source: PathBuf,
    object: PathBuf,
    optimisation: &'static str,
}

impl Build<'_> {
    fn compile(&self, shim: &str) -> Result<(), ModelError> {
        let top = &self.sources.top;
        let progress = spinner(&format!("building the model of {top}, which is then kept"));
        self.write("shim.hpp", SHIM_HEADER)?;
        // Not part of the key: it adds nothing to what is made, and says no to what must not be.
        self.write("shim.cpp", &format!("{shim}{}", width_checks(self.sources)))?;
        let mut verilator = Command::new("verilator");
        verilator.current_dir(self.work).args(VERILATOR_OPTIONS).args(["--top-module", top]);
        for (name, text) in &self.sources.files {
            self.write(name, text)?;
            verilator.arg(name);
        }
        run(&mut verilator, "verilator")?;

        let include = verilator_include()?;
        let units = self.units(&include)?;
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failure = OnceLock::new();
        let work = || {
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let count = done.load(Ordering::Relaxed);
                progress.set_message(format!("compiling {top} ({count} of {})", units.len()));
                if let Err(error) = self.compile_unit(unit, &include) {
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
        progress.set_message(format!("linking {top}"));
        let mut linker = Command::new("g++");
        linker.current_dir(self.work).args(["-shared", "-Wl,-Bsymbolic", "-pthread", "-o", "model.so"]);
        linker.args(units.iter().map(|unit| &unit.object));
        run(&mut linker, "g++")?;
        progress.finish_and_clear();
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ModelError> {
        fs::write(self.work.join(name), text).map_err(|error| ModelError::cache(&self.work.join(name), error))
    }

    /// Compiles a file, unless it is one of the runtime that is there already.
    fn compile_unit(&self, unit: &Unit, include: &Path) -> Result<(), ModelError> {
        if unit.object.exists() {
            return Ok(());
        }
        // Under another name first: a runtime object that is there is whole.
        let object = self.work.join(unit.object.file_name().unwrap_or_default());
        let mut compiler = Command::new("g++");
        compiler
            .current_dir(self.work)
            .args(COMPILER_OPTIONS)
            .arg(format!("-I{}", include.display()))
            .arg(format!("-I{}", include.join("vltstd").display()))
            .args([unit.optimisation, "-c", "-o"])
            .args([&object, &unit.source]);
        run(&mut compiler, "g++")?;
        fs::rename(&object, &unit.object).map_err(|error| ModelError::cache(&unit.object, error))
    }

    /// What to compile: the list that Verilator leaves for `make`, which names the files of its runtime that this
    /// version needs, and the shim.
    fn units(&self, include: &Path) -> Result<Vec<Unit>, ModelError> {
        let list = self.work.join(format!("verilated/V{}_classes.mk", self.sources.top));
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
                    object: self.runtime.join(format!("{word}.o")),
                    optimisation: RUNTIME,
                })),
                _ => {}
            }
        }
        let threads = processors();
        units.extend(self.joined("fast", fast, threads, FAST)?);
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

/// Threads that compile at once.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Shows what goes on and for how long; where nobody can watch, it is said once.
fn spinner(message: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        note!("{message}");
    }
    let progress = ProgressBar::new_spinner();
    progress.set_message(message.to_string());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

/// Where Verilator's own C++ lies.
fn verilator_include() -> Result<PathBuf, ModelError> {
    let root = run(Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]), "verilator")?;
    Ok(Path::new(String::from_utf8_lossy(&root.stdout).trim()).join("include"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A folder of models may be shared by machines, and a library of one is of no use to another.
    #[test]
    fn each_processor_and_each_part_of_a_design_has_a_key_of_its_own() {
        let sources = |top: &str, name: &str, text: &str| Sources {
            top: top.into(),
            files: vec![(name.into(), text.into())],
            ports: vec![Port::plain("clock", 1, true)],
        };
        let one = sources("top", "top.v", "module top;");
        let keys: BTreeSet<_> = [
            design_key("x86_64", &one, "shim"),
            design_key("aarch64", &one, "shim"),
            design_key("x86_64", &one, "another shim"),
            design_key("x86_64", &sources("other", "top.v", "module top;"), "shim"),
            design_key("x86_64", &sources("top", "other.v", "module top;"), "shim"),
            design_key("x86_64", &sources("top", "top.v", "module other;"), "shim"),
        ]
        .into();
        assert_eq!(keys.len(), 6);
    }
}
