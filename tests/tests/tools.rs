//! The synthesis of the default endpoint with the yosys of the system, up to the mapping of logic into LUTs, which takes most of the
//! time and says nothing more of the text: `make synth` and the check of the area run it whole, with a yosys of their own. (Lint,
//! Icarus Verilog and latch checks of every block and every example are in `hdl/tests/lint.rs`.)
use std::process::Command;
use virtio_hdl_rtl::endpoint::{generate, top_name};
use virtio_hdl_tests::example;

/// Runs a synthesis: no latch, no error. Returns what yosys said.
fn synthesis(command: &str) -> String {
    let config = example("blk");
    let folder = tempfile::tempdir().unwrap();
    for module in &generate(&config).unwrap().design.modules {
        std::fs::write(folder.path().join(module.file_name()), module.file()).unwrap();
    }
    let top = top_name(&config);
    let script = format!(
        "read_verilog *.v; {command} -top {top}; check -assert; select -assert-none t:$_DLATCH_* t:$dlatch %u; stat"
    );
    let output = Command::new("yosys")
        .current_dir(folder.path())
        .args(["-Q", "-T", "-p", &script])
        .output()
        .unwrap_or_else(|error| panic!("yosys: {error}; `make setup` installs it"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for line in text.lines() {
        assert!(!line.contains("ERROR") && !line.starts_with("Latch inferred"), "{line}");
    }
    text
}

#[test]
fn yosys_synthesises_it_for_ecp5() {
    assert!(synthesis("synth_ecp5 -run begin:map_luts").contains("DP16KD"), "block RAM is inferred");
}

#[test]
fn yosys_synthesises_it_for_xilinx() {
    assert!(synthesis("synth_xilinx -family xc7 -run begin:map_luts").contains("RAMB"), "block RAM is inferred");
}
