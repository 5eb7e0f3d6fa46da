//! The default endpoint under the yosys of the system, as far as its memories: it reads the text, finds no latch, no loop and no
//! two drivers of a net, and makes block RAM of what is to be block RAM. Operators, flip-flops and LUTs take most of a synthesis
//! and say nothing more of the text: `make synth` and the check of the area have them, with a yosys of their own. (Lint, Icarus
//! Verilog and latch checks of every block and every example are in `hdl/tests/lint.rs`.)
use std::process::Command;
use virtio_hdl_rtl::endpoint::{generate, top_name};
use virtio_hdl_tests::example;

/// Runs the first steps of a synthesis and its steps from `memories` to before `after`: such a block RAM comes out.
fn synthesis(command: &str, coarse: &str, memories: &str, after: &str, ram: &str) {
    let config = example("blk");
    let folder = tempfile::tempdir().unwrap();
    for module in &generate(&config).unwrap().design.modules {
        std::fs::write(folder.path().join(module.file_name()), module.file()).unwrap();
    }
    let top = top_name(&config);
    let script = format!(
        "read_verilog *.v; {command} -top {top} -run begin:{coarse}; proc; opt_clean; memory -nomap; opt_clean; \
         {command} -top {top} -run {memories}:{after}; \
         check -assert; select -assert-none t:$dlatch t:$adlatch %u; select -assert-any t:{ram}"
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
}

#[test]
fn yosys_synthesises_it_for_ecp5() {
    synthesis("synth_ecp5", "coarse", "map_ram", "map_ffram", "DP16KD");
}

#[test]
fn yosys_synthesises_it_for_xilinx() {
    synthesis("synth_xilinx -family xc7", "prepare", "map_memory", "map_ffram", "RAMB*");
}
