//! What other tools say about the generated Verilog: every example configuration.
use std::path::{Path, PathBuf};
use std::process::Command;
use virtio_hdl_rtl::config::EXAMPLES;
use virtio_hdl_rtl::endpoint::{generate, top_name};
use virtio_hdl_tests::example;

/// The files of a configuration in a folder of their own.
fn written(name: &str) -> (tempfile::TempDir, Vec<PathBuf>, &'static str) {
    let config = example(name);
    let generated = generate(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = generated.design.modules.iter().map(|module| {
        let path = folder.path().join(module.file_name());
        std::fs::write(&path, module.file()).unwrap();
        path
    });
    let files = files.collect();
    (folder, files, top_name(config.device))
}

fn run(tool: &str, folder: &Path, arguments: &[&str], files: &[PathBuf]) -> String {
    let output = Command::new(tool)
        .current_dir(folder)
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("{tool}: {error}; `make setup` installs it"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}:\n{text}");
    text
}

#[test]
fn verilator_lint_is_clean_without_a_waiver() {
    for (name, _) in EXAMPLES {
        let (folder, files, top) = written(name);
        let text = run("verilator", folder.path(), &["--lint-only", "-Wall", "--top-module", top], &files);
        assert!(!text.contains("%Warning"), "{name}:\n{text}");
    }
}

#[test]
fn icarus_verilog_compiles_it_as_verilog_2005() {
    for (name, _) in EXAMPLES {
        let (folder, files, top) = written(name);
        let text = run("iverilog", folder.path(), &["-g2005", "-Wall", "-s", top, "-o", "endpoint.vvp"], &files);
        let complaint = text.lines().find(|line| line.contains("error") || line.contains("warning"));
        // Verilog sources do not say how long a time step is
        assert!(complaint.is_none_or(|line| line.contains("timescale")), "{name}:\n{text}");
    }
}

/// Runs a synthesis of the default endpoint; no latch, no error, and the cells it counts.
fn synthesis(command: &str) -> String {
    let (folder, _, top) = written("blk");
    let script = format!("read_verilog *.v; {command} -top {top}; select -assert-none t:$_DLATCH_* t:$dlatch %u; stat");
    let text = run("yosys", folder.path(), &["-Q", "-T", "-p", &script], &[]);
    for line in text.lines() {
        let bad = line.contains("ERROR") || line.to_lowercase().contains("latch inferred");
        assert!(!bad, "{line}");
    }
    text
}

#[test]
fn yosys_synthesises_it_for_ecp5() {
    assert!(synthesis("synth_ecp5").contains("DP16KD"), "block RAM is inferred");
}

#[test]
fn yosys_synthesises_it_for_xilinx() {
    assert!(synthesis("synth_xilinx -family xc7").contains("RAMB"), "block RAM is inferred");
}

#[test]
fn generating_takes_less_than_100_ms_and_gives_the_same_text() {
    let config = example("blk");
    let start = std::time::Instant::now();
    let first = generate(&config).unwrap().design.single_file();
    let took = start.elapsed();
    assert_eq!(first, generate(&config).unwrap().design.single_file());
    println!("generated in {took:?}");
    assert!(took.as_millis() < 100, "{took:?}");
}
