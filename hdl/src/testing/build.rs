//! Verilator builds of single blocks, cached by content.
use crate::verilog::Design;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the harness puts its files: `verilated` in Cargo's target folder, which is that of whoever tests blocks of his own.
pub(super) fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    // Cargo marks it so, for backups to leave it out.
    let marked = || test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).map(PathBuf::from);
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).or_else(marked);
    target.unwrap_or_else(std::env::temp_dir).join("verilated")
}

pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Runs a tool; panics with what it said if it failed.
pub(super) fn run(program: &str, folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed in {}:\n{said}", folder.display());
    said.into_owned()
}

/// Verilator's version and the folder of its run-time sources.
pub fn verilator() -> &'static (String, PathBuf) {
    static FOUND: OnceLock<(String, PathBuf)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let here = Path::new(".");
        let root = run("verilator", here, ["--getenv", "VERILATOR_ROOT"]);
        (run("verilator", here, ["--version"]), Path::new(root.trim()).join("include"))
    })
}

/// Of a model. What was compiled in advance is taken only with the same ones.
const MODEL_OPTIONS: [&str; 2] = ["-O1", "-w"];

/// Compiles into `place` by way of a temporary folder, so that concurrent tests cannot meet half-made files.
pub(super) fn once(place: &Path, make: impl FnOnce(&Path)) {
    if place.exists() {
        return;
    }
    let work = tempfolder(place);
    make(&work);
    // another test may have been faster: its result is as good
    if std::fs::rename(&work, place).is_err() {
        assert!(place.exists(), "cannot create {}", place.display());
        let _ = std::fs::remove_dir_all(&work);
    }
}

fn tempfolder(place: &Path) -> PathBuf {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = place.with_extension(format!("{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// Verilator's own run-time objects, and its header as the compiler has read it, made once.
fn runtime() -> PathBuf {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = LOCK.lock();
    let (version, include) = verilator();
    let place = folder().join(format!("runtime-{:016x}", hash(&[&[version.as_str()], &MODEL_OPTIONS[..]].concat())));
    once(&place, |work| {
        for source in ["verilated", "verilated_threads"] {
            let file = include.join(format!("{source}.cpp")).display().to_string();
            let mut arguments = vec!["-O2".into(), "-c".into(), file, "-o".into(), format!("{source}.o")];
            arguments.extend(includes(include));
            run("g++", work, arguments);
        }
        let header = include.join("verilated.h").display().to_string();
        let mut arguments: Vec<String> = MODEL_OPTIONS.map(String::from).into();
        arguments.extend(["-x", "c++-header", &header, "-o", "verilated.h.gch"].map(String::from));
        arguments.extend(includes(include));
        run("g++", work, arguments);
    });
    place
}

fn includes(include: &Path) -> Vec<String> {
    ["", "/vltstd"].iter().map(|sub| format!("-I{}{sub}", include.display())).collect()
}

/// The program made of the Verilog module `top` and the C++ `driver`.
pub fn model(verilog: &str, driver: &str, options: &[&str]) -> PathBuf {
    let key = [&[verilator().0.as_str(), verilog, driver], options].concat();
    let place = folder().join(format!("model-{:016x}", hash(&key)));
    once(&place, |work| {
        let write = |name: &str, text: &str| std::fs::write(work.join(name), text).expect("write to the target folder");
        write("top.v", verilog);
        write("driver.cpp", driver);
        let mut arguments = vec!["--cc", "-Wno-lint", "-Wno-style", "--top-module", "top", "--Mdir", "obj"];
        arguments.extend(options);
        arguments.push("top.v");
        run("verilator", work, arguments);
        // one translation unit, with Verilator's header compiled in advance: most of the time goes into reading it
        let mut all: Vec<_> = std::fs::read_dir(work.join("obj")).expect("Verilator's output").flatten().collect();
        all.sort_by_key(|entry| entry.file_name());
        let sources = all.iter().filter(|entry| entry.path().extension().is_some_and(|x| x == "cpp"));
        let lines = sources.map(|entry| format!("#include \"{}\"\n", entry.file_name().to_string_lossy()));
        write("all.cpp", &(lines.collect::<String>() + "#include \"driver.cpp\"\n"));
        let runtime = runtime();
        let objects = ["verilated", "verilated_threads"].map(|o| runtime.join(format!("{o}.o")).display().to_string());
        let mut arguments: Vec<String> = MODEL_OPTIONS.map(String::from).into();
        arguments.push(format!("-I{}", runtime.display()));
        arguments.extend(["-include", "verilated.h", "-Iobj", "-I.", "all.cpp"].map(String::from));
        arguments.extend(objects);
        arguments.extend(["-o", "model", "-pthread", "-latomic"].map(String::from));
        arguments.extend(includes(&verilator().1));
        run("g++", work, arguments);
        let _ = std::fs::remove_dir_all(work.join("obj"));
    });
    place.join("model")
}

/// What the tools say of a printed design, one file per module: `verilator --lint-only -Wall` must be silent, yosys must
/// read it without a latch or a loop, iverilog must accept it. Panics with their complaints.
pub fn accepted(design: &Design) {
    accepted_with(design, &[]);
}

/// As [`accepted`], with options for Verilator.
pub fn accepted_with(design: &Design, options: &[&str]) {
    let texts: Vec<_> = design.modules.iter().map(|module| module.file()).collect();
    let key: Vec<_> = [verilator().0.as_str()].into_iter().chain(texts.iter().map(String::as_str)).collect();
    let place = folder().join(format!("accepted-{:016x}", hash(&key)));
    let Some(top) = design.modules.last() else { return };
    once(&place, |work| {
        for (module, text) in design.modules.iter().zip(&texts) {
            std::fs::write(work.join(module.file_name()), text).expect("write to the target folder");
        }
        let files: Vec<_> = design.modules.iter().map(|module| module.file_name()).collect();
        let with_files = |arguments: &[&str]| -> Vec<String> {
            arguments.iter().map(|argument| argument.to_string()).chain(files.iter().cloned()).collect()
        };
        run("verilator", work, with_files(&[&["--lint-only", "-Wall", "--top-module", &top.name], options].concat()));
        // Not to /dev/null: iverilog makes its output executable, and root may do that.
        run("iverilog", work, with_files(&["-g2005", "-Wall", "-o", "accepted.vvp", "-s", &top.name]));
        let script = format!(
            "read_verilog {}; hierarchy -check -top {}; proc; check -assert; select -assert-none t:$dlatch t:$adlatch",
            files.join(" "),
            top.name
        );
        run("yosys", work, ["-q", "-p", &script]);
    });
}
