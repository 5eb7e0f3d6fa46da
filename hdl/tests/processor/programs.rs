//! Programs in assembler on the processor's Verilog: the riscv-tests of RV32I, and our own for machine mode, in `programs/`.
//!
//! `scripts/setup.sh` brings the assembler and the riscv-tests. The latter come in a package of another processor, whose tests of machine
//! mode are not among them.
use rust_hdl::prelude::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use virtio_hdl_rtl::control::Processor;
use virtio_hdl_rtl::testing::model;
use virtio_hdl_rtl::verilog;

/// Those of RV32I; the others in the package are of M.
const RISCV_TESTS: [&str; 36] = [
    "add", "addi", "and", "andi", "auipc", "beq", "bge", "bgeu", "blt", "bltu", "bne", "j", "jal", "jalr", "lb", "lbu",
    "lh", "lhu", "lui", "lw", "or", "ori", "sb", "sh", "sll", "slli", "slt", "slti", "sra", "srai", "srl", "srli",
    "sub", "sw", "xor", "xori",
];

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processor/programs")
}

/// Where `scripts/setup.sh` puts the riscv-tests.
fn riscv_tests() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).expect("HOME");
    let folders = fs::read_dir(cache.join("virtio-hdl")).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("riscv-tests-") && folder.join("installed").exists()
    };
    let mut found: Vec<_> = folders.filter(is_ours).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("the riscv-tests are missing: run scripts/setup.sh")).join("tests")
}

fn run(program: &str, arguments: &[&str], folder: &Path, input: Option<&Path>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    if let Some(input) = input {
        command.stdin(File::open(input).unwrap_or_else(|error| panic!("{}: {error}", input.display())));
    }
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}: run scripts/setup.sh"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} {input:?}: {said}");
    output.stdout
}

/// Assembles a source for address 0.
fn assemble(source: &Path, to: &Path) -> PathBuf {
    let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let include = format!("-I{}", source.parent().expect("a folder").display());
    // from standard input, so that `riscv_test.h` is ours
    let text = run("cc", &["-E", "-P", "-x", "assembler-with-cpp", &include, "-"], &programs(), Some(source));
    fs::write(to.join(format!("{name}.s")), text).expect("a temporary file");
    let file = |extension: &str| format!("{name}.{extension}");
    let tool = |tool: &str, arguments: &[&str]| run(&format!("riscv64-unknown-elf-{tool}"), arguments, to, None);
    tool("as", &["-march=rv32i_zicsr_zifencei", "-mabi=ilp32", &file("s"), "-o", &file("o")]);
    tool("ld", &["-m", "elf32lriscv", "-N", "-Ttext=0", "-e0", &file("o"), "-o", &file("elf")]);
    tool("objcopy", &["-O", "binary", &file("elf"), &file("bin")]);
    to.join(file("bin"))
}

/// What one did: its name, the result that it told, cycles, instructions.
type Ran = (String, u64, u64, u64);

fn run_all(sources: &[PathBuf], folder: &str) -> Vec<Ran> {
    let mut uut = Processor::default();
    uut.connect_all();
    let design = verilog::print(&uut, "top").unwrap_or_else(|error| panic!("{error}"));
    let driver = fs::read_to_string(programs().join("driver.cpp")).expect("driver.cpp");
    let model = model(&design.single_file(), &driver, &[]);
    let place = std::env::temp_dir().join(format!("virtio-hdl-{folder}-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a temporary folder");
    let programs: Vec<_> = sources.iter().map(|source| assemble(source, &place)).collect();
    let arguments: Vec<_> = programs.iter().map(|program| program.to_str().expect("a name")).collect();
    let said = run(model.to_str().expect("a name"), &arguments, &place, None);
    let _ = fs::remove_dir_all(&place);
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let name = Path::new(words[0]).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let number = |word: usize| words[word].parse().expect("a number");
        (name, number(1), number(2), number(3))
    };
    String::from_utf8_lossy(&said).lines().map(line).collect()
}

fn all_pass(ran: &[Ran], count: usize) {
    assert_eq!(ran.len(), count);
    for (name, result, cycles, instructions) in ran {
        let case = result / 2;
        assert_ne!(*result, 0, "{name}: no end in {cycles} cycles, {instructions} instructions");
        assert_eq!(*result, 1, "{name}: case {case} failed");
        assert!(*instructions > 10, "{name}: only {instructions} instructions");
    }
}

#[test]
fn riscv_tests_of_rv32i_pass() {
    let tests = riscv_tests();
    let sources: Vec<_> = RISCV_TESTS.iter().map(|name| tests.join(format!("{name}.S"))).collect();
    all_pass(&run_all(&sources, "riscv-tests"), RISCV_TESTS.len());
}

fn own_program(name: &str) {
    all_pass(&run_all(&[programs().join(format!("{name}.S"))], name), 1);
}

#[test]
fn every_exception_is_precise_and_tells_its_cause_and_value() {
    own_program("traps");
}

#[test]
fn csrs_are_what_they_are_at_first_and_keep_what_can_be_written() {
    own_program("csrs");
}

#[test]
fn cycles_and_instructions_are_counted_exactly_and_can_be_written() {
    own_program("counters");
}

#[test]
fn interrupts_come_by_priority_wake_and_return() {
    own_program("interrupts");
}
