//! From Verilog to a shared library: Verilator, the C++ compiler, and a cache of what they made.
//!
//! The cache's key is a hash of everything that goes in: the Verilog, the ports, the C++ of the shim, the versions of
//! both tools and their options. A library is built in a folder of its own and renamed into place, and a lock per key
//! keeps parallel processes from building the same one twice.
use super::error::ModelError;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use virtio_hdl_rtl::testing::PortInfo;

const SHIM: &str = include_str!("cpp/shim.cpp");
const SHIM_HEADER: &str = include_str!("cpp/shim.hpp");

/// The Verilog is believed here, not linted; `--x-initial unique` lets a seed fill what no reset clears.
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
    "--Mdir",
    "verilated",
];
const COMPILER_OPTIONS: &[&str] =
    &["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-plt", "-w", "-DVL_TIME_CONTEXT", "-Iverilated", "-I."];
/// For what runs every cycle.
const FAST: &str = "-O3";
/// For what runs once.
const SLOW: &str = "-O1";

/// A design to simulate: Verilog, its top module, the top module's ports.
pub struct Sources {
    /// Name of the top module.
    pub top: String,
    /// File name and text.
    pub files: Vec<(String, String)>,
    /// All ports of the top module; `clock`, `reset` and `busy` are among them.
    pub ports: Vec<PortInfo>,
}

/// A Verilated model as a shared library in the cache.
#[derive(Clone, Debug)]
pub struct Library {
    path: PathBuf,
    built: bool,
}

impl Library {
    /// Takes the library from the user's cache, or builds it, with a spinner while it does.
    pub fn build(sources: &Sources) -> Result<Self, ModelError> {
        Self::build_in(&cache_folder()?, sources)
    }

    /// The same with a cache of one's own.
    pub fn build_in(cache: &Path, sources: &Sources) -> Result<Self, ModelError> {
        let shim = shim(sources);
        let folder = cache.join(key(sources, &shim)?);
        let path = folder.join("model.so");
        if path.exists() {
            return Ok(Library { path, built: false });
        }
        fs::create_dir_all(cache).map_err(|error| ModelError::cache(cache, error))?;
        let _lock = lock(&folder.with_extension("lock"))?;
        if path.exists() {
            return Ok(Library { path, built: false });
        }
        let work = tempfile::Builder::new()
            .prefix("building-")
            .tempdir_in(cache)
            .map_err(|error| ModelError::cache(cache, error))?;
        compile(work.path(), sources, &shim)?;
        fs::create_dir_all(&folder).map_err(|error| ModelError::cache(&folder, error))?;
        fs::rename(work.path().join("model.so"), &path).map_err(|error| ModelError::cache(&path, error))?;
        Ok(Library { path, built: true })
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
    let from = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("virtio-hdl")).ok_or(ModelError::NoCache)
}

fn lock(path: &Path) -> Result<File, ModelError> {
    let file = File::create(path).map_err(|error| ModelError::cache(path, error))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| ModelError::cache(path, error.into()))?;
    Ok(file)
}

fn key(sources: &Sources, shim: &str) -> Result<String, ModelError> {
    static TOOLS: Mutex<Option<String>> = Mutex::new(None);
    let mut tools = TOOLS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if tools.is_none() {
        *tools = Some(format!("{}\n{}", version("verilator")?, version("g++")?));
    }
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(tools.as_deref().unwrap_or_default());
    [VERILATOR_OPTIONS, COMPILER_OPTIONS, &[FAST, SLOW, SHIM_HEADER, shim, &sources.top]]
        .concat()
        .into_iter()
        .for_each(&mut add);
    for (name, text) in &sources.files {
        add(name);
        add(text);
    }
    Ok(hash.finalize().iter().take(16).fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    }))
}

fn version(tool: &'static str) -> Result<String, ModelError> {
    Ok(String::from_utf8_lossy(&run(Command::new(tool).arg("--version"), tool)?.stdout).into_owned())
}

/// Runs a tool to its end; a failure carries what it said.
fn run(command: &mut Command, tool: &'static str) -> Result<Output, ModelError> {
    let output = command.output().map_err(|error| ModelError::ToolMissing { tool, error })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr, output.stdout].concat();
    Err(ModelError::ToolFailed { tool, said: String::from_utf8_lossy(&said).into_owned() })
}

/// The shim's text for this model's ports.
fn shim(sources: &Sources) -> String {
    let mut rows = String::new();
    for PortInfo { name, width, input, .. } in &sources.ports {
        let _ = writeln!(rows, "        {{\"{name}\", {width}, {}, &top->{name}}},", u8::from(*input));
    }
    SHIM.replace("@TOP@", &sources.top).replace("@COUNT@", &sources.ports.len().to_string()).replace("@PORTS@", &rows)
}

fn compile(work: &Path, sources: &Sources, shim: &str) -> Result<(), ModelError> {
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(120));
    progress.set_message(format!("Verilating {}", sources.top));

    let write = |name: &str, text: &str| {
        fs::write(work.join(name), text).map_err(|error| ModelError::cache(&work.join(name), error))
    };
    write("shim.hpp", SHIM_HEADER)?;
    write("shim.cpp", shim)?;
    let mut verilator = Command::new("verilator");
    verilator.current_dir(work).args(VERILATOR_OPTIONS).args(["--top-module", &sources.top]);
    for (name, text) in &sources.files {
        write(name, text)?;
        verilator.arg(name);
    }
    run(&mut verilator, "verilator")?;

    let units = units(work, &sources.top)?;
    let done = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let failure = OnceLock::new();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(units.len());
    let include = verilator_include()?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let count = done.load(Ordering::Relaxed);
                    progress.set_message(format!("compiling {} ({count} of {})", sources.top, units.len()));
                    let mut compiler = Command::new("g++");
                    compiler
                        .current_dir(work)
                        .args(COMPILER_OPTIONS)
                        .arg(format!("-I{}", include.display()))
                        .arg(format!("-I{}", include.join("vltstd").display()))
                        .args([if unit.fast { FAST } else { SLOW }, "-c", "-o", &unit.object])
                        .arg(&unit.source);
                    if let Err(error) = run(&mut compiler, "g++") {
                        let _ = failure.set(error);
                        next.store(units.len(), Ordering::Relaxed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    progress.set_message(format!("linking {}", sources.top));
    let mut linker = Command::new("g++");
    linker.current_dir(work).args(["-shared", "-Wl,-Bsymbolic", "-pthread", "-o", "model.so"]);
    linker.args(units.iter().map(|unit| &unit.object));
    run(&mut linker, "g++")?;
    progress.finish_and_clear();
    Ok(())
}

/// Where Verilator's own C++ lies.
fn verilator_include() -> Result<PathBuf, ModelError> {
    let root = run(Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]), "verilator")?;
    Ok(Path::new(String::from_utf8_lossy(&root.stdout).trim()).join("include"))
}

/// One C++ file to compile.
struct Unit {
    source: PathBuf,
    object: String,
    fast: bool,
}

/// What to compile: the list that Verilator leaves for `make`, which names the files of its runtime that this version
/// needs, and the shim.
fn units(work: &Path, top: &str) -> Result<Vec<Unit>, ModelError> {
    let list = work.join(format!("verilated/V{top}_classes.mk"));
    let text = fs::read_to_string(&list).map_err(|error| ModelError::cache(&list, error))?;
    let runtime = verilator_include()?;
    let mut units = vec![Unit { source: "shim.cpp".into(), object: "shim.o".into(), fast: true }];
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
        let folder = match variable.as_str() {
            "VM_CLASSES_FAST" | "VM_CLASSES_SLOW" | "VM_SUPPORT_FAST" | "VM_SUPPORT_SLOW" => Path::new("verilated"),
            "VM_GLOBAL_FAST" | "VM_GLOBAL_SLOW" => &runtime,
            _ => continue,
        };
        for word in words.split_whitespace().filter(|word| *word != "\\") {
            units.push(Unit {
                source: folder.join(format!("{word}.cpp")),
                object: format!("{word}.o"),
                fast: variable.ends_with("FAST") && folder != runtime,
            });
        }
    }
    // The largest files first, so that no thread is left alone with one at the end.
    units.sort_by_key(|unit| {
        let size = fs::metadata(work.join(&unit.source)).map_or(0, |metadata| metadata.len());
        std::cmp::Reverse(if unit.fast { 4 * size } else { size })
    });
    Ok(units)
}
