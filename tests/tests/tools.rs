//! The synthesis of the default endpoint with the yosys of the system, without what takes most of the time and says nothing more of the
//! text: it maps memories, goes on with flip-flops, past all optimisation and the gates of each operator, and ends before logic comes
//! into LUTs. `make synth` and the check of the area run it whole, with a yosys of their own. (Lint, Icarus Verilog and latch checks of
//! every block and every example are in `hdl/tests/lint.rs`.)
use std::process::Command;
use virtio_hdl_rtl::endpoint::{generate, top_name};
use virtio_hdl_tests::example;

/// Runs a synthesis, whose steps from `coarse` to `memories` and from `map_ffram`, which optimises first, to flip-flops are left out: no
/// latch, no error, and such a block RAM.
fn synthesis(command: &str, coarse: &str, memories: &str, ram: &str) {
    let config = example("blk");
    let folder = tempfile::tempdir().unwrap();
    for module in &generate(&config).unwrap().design.modules {
        std::fs::write(folder.path().join(module.file_name()), module.file()).unwrap();
    }
    let top = top_name(&config);
    let script = format!(
        "read_verilog *.v; {command} -top {top} -run begin:{coarse}; proc; opt_clean; memory -nomap; opt_clean; \
         {command} -top {top} -run {memories}:map_ffram; memory_map; simplemap t:$*dff*; {command} -top {top} -run map_ffs:map_luts; \
         check -assert; select -assert-none t:$_DLATCH_* t:$dlatch %u; select -assert-any t:{ram}"
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
    synthesis("synth_ecp5", "coarse", "map_ram", "DP16KD");
}

#[test]
fn yosys_synthesises_it_for_xilinx() {
    synthesis("synth_xilinx -family xc7", "prepare", "map_memory", "RAMB*");
}
