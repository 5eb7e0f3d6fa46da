//! From Verilog to a shared library: the cache of what Verilator and the C++ compiler made.
//!
//! The cache's key is a hash of everything that goes in: the Verilog, the ports, the C++ of the shim and the processor,
//! and behind it one of the versions of both tools and their options. A library is built in a folder of its own and renamed into place, with a
//! checksum beside it, and a lock per key keeps parallel processes from building the same one twice.
use super::build::{version, Build, Recipe, SHIM, SHIM_HEADER};
use super::error::ModelError;
use super::interface::Interface;
use super::store;
use crate::cache::{self, hash};
use crate::leftovers::Leftover;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use virtio_hdl_rtl::pcie::function::FunctionConfig;
use virtio_hdl_rtl::verilog::Port;

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

/// What a build does, for people who wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BuildStep<'a> {
    /// Another process builds the same model.
    Waits {
        /// Name of the top module.
        top: &'a str,
    },
    /// The model is not in the cache, and is built.
    Begins {
        /// Name of the top module.
        top: &'a str,
    },
    /// The C++ is compiled.
    Compiles {
        /// Name of the top module.
        top: &'a str,
        /// Files that are done.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// The objects are linked.
    Links {
        /// Name of the top module.
        top: &'a str,
    },
}

impl fmt::Display for BuildStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            BuildStep::Waits { top } => write!(f, "waiting for another process, which builds the model of {top}"),
            BuildStep::Begins { top } => write!(f, "building the model of {top}, which is then kept"),
            BuildStep::Compiles { top, done, of } => write!(f, "compiling {top} ({done} of {of})"),
            BuildStep::Links { top } => write!(f, "linking {top}"),
        }
    }
}

/// Is told what a build does. Threads call it.
pub type Progress<'a> = &'a (dyn Fn(BuildStep) + Sync);

/// A Verilated model as a shared library in the cache.
#[derive(Clone, Debug)]
pub struct Library {
    path: PathBuf,
    built: bool,
    function: Option<FunctionConfig>,
    interface: Interface,
    /// Of Verilog that is not generated here.
    is_foreign: bool,
}

impl Library {
    /// Takes the library from the user's cache, or builds it.
    pub fn build(sources: &Sources) -> Result<Self, ModelError> {
        Self::build_telling(sources, &|_| {})
    }

    /// The same, and tells what it does meanwhile.
    pub fn build_telling(sources: &Sources, progress: Progress) -> Result<Self, ModelError> {
        Self::make(&cache_folder()?, sources, progress)
    }

    /// The same with a cache of one's own.
    pub fn build_in(cache: &Path, sources: &Sources) -> Result<Self, ModelError> {
        Self::make(cache, sources, &|_| {})
    }

    fn make(cache: &Path, sources: &Sources, progress: Progress) -> Result<Self, ModelError> {
        let shim = shim(sources);
        let recipe = Recipe { top: &sources.top, files: &sources.files, verilator: &[], compiler: &[], headers: &[] };
        let key = design_key(std::env::consts::ARCH, sources, &shim);
        // The checks are not part of the key: they add nothing to what is made, and say no to what must not be.
        Self::find_or_make(cache, &key, &recipe, progress, |_| Ok(format!("{shim}{}", width_checks(sources))))
    }

    /// Takes the library with this key from the cache, or makes it.
    pub(super) fn find_or_make(
        cache: &Path,
        design: &str,
        recipe: &Recipe,
        progress: Progress,
        shim: impl FnOnce(&str) -> Result<String, ModelError>,
    ) -> Result<Self, ModelError> {
        let new =
            |path, built| Library { path, built, function: None, interface: Interface::default(), is_foreign: false };
        let found = |path| Ok(new(path, false));
        let tools = match tools() {
            Ok(tools) => tools,
            // Who has a model needs no tools, whichever those were that made it.
            Err(missing) => return store::any(cache, design).map_or(Err(missing), found),
        };
        let folder = cache.join(format!("{design}-{}", &recipe.options(&tools)[..8]));
        let top = recipe.top;
        if let Some(path) = store::intact(&folder) {
            return found(path);
        }
        fs::create_dir_all(cache).map_err(|error| ModelError::cache(cache, error))?;
        let lock = folder.with_extension("lock");
        let waiting = || progress(BuildStep::Waits { top });
        let _lock = cache::lock_or(&lock, waiting).map_err(|error| ModelError::cache(&lock, error))?;
        if let Some(path) = store::intact(&folder) {
            return found(path);
        }
        if folder.exists() {
            tracing::warn!("the cached model of {top} in {} is damaged: it is built anew", folder.display());
        }
        // A fixed name, so that nothing stays of a build that was killed.
        let work = folder.with_extension("building");
        let _ = fs::remove_dir_all(&work);
        let name = work.file_name().unwrap_or_default();
        let work = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(cache);
        let work = work.map_err(|error| ModelError::cache(cache, error))?;
        let _leftover = Leftover::path(work.path());
        Build { work: work.path(), recipe, progress }.compile(cache, shim)?;
        let path = store::put(&work.path().join("model.so"), &folder)?;
        store::prune(cache, STORE_BYTES);
        Ok(new(path, true))
    }

    /// Says that the model is of Verilog that is not generated here, and how it is held.
    pub(super) fn with_interface(self, interface: Interface) -> Self {
        Library { interface, is_foreign: true, ..self }
    }

    /// How the model is held.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Whether the model is of Verilog that is not generated here.
    pub fn is_foreign(&self) -> bool {
        self.is_foreign
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
pub(super) fn tools() -> Result<String, ModelError> {
    static TOOLS: Mutex<Option<String>> = Mutex::new(None);
    let mut tools = TOOLS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(tools) = &*tools {
        return Ok(tools.clone());
    }
    let found = format!("{}\n{}", version("verilator")?, version("g++")?);
    Ok(tools.insert(found).clone())
}

/// All that a model is made of, but for the tools.
fn design_key(processor: &str, sources: &Sources, shim: &str) -> String {
    let mut parts = vec![processor, SHIM_HEADER, shim, &sources.top];
    parts.extend(sources.files.iter().flat_map(|(name, text)| [name.as_str(), text]));
    hash(&parts)
}

/// The shim's text for this model's ports.
fn shim(sources: &Sources) -> String {
    let nets = || sources.ports.iter().flat_map(|port| port.nets.iter().map(|net| (net, port.input)));
    let mut rows = String::new();
    for ((name, _, width), input) in nets() {
        let _ = writeln!(rows, "        {{\"{name}\", {width}, {}, &top->{name}}},", u8::from(input));
    }
    fill_shim(&sources.top, nets().count(), &rows, &ShimParts::default())
}

/// What the shim does with the model.
pub(super) struct ShimParts<'a> {
    /// Functions of its own.
    pub functions: &'a str,
    /// To settle it.
    pub evaluate: &'a str,
    /// To end it.
    pub finalise: &'a str,
}

impl Default for ShimParts<'_> {
    fn default() -> Self {
        ShimParts { functions: "", evaluate: "instance->top->eval();", finalise: "instance->top->final();" }
    }
}

/// The shim's text, with the rows of its table of ports.
pub(super) fn fill_shim(top: &str, count: usize, rows: &str, parts: &ShimParts) -> String {
    let text = SHIM.replace("@FOREIGN@", parts.functions);
    let text = text.replace("@EVAL@", parts.evaluate).replace("@FINAL@", parts.finalise);
    text.replace("@TOP@", top).replace("@COUNT@", &count.to_string()).replace("@PORTS@", rows)
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
