//! Compiles the C++ side of the bridge to Verilated models.
fn main() {
    let folder = "src/model/cpp";
    let mut build = cxx_build::bridge("src/model/bridge.rs");
    // The cycle loop is the co-simulation's inner loop: optimised in every profile.
    build.std("c++17").opt_level(3).flag_if_supported("-Wall").flag_if_supported("-Wextra");
    // g++ 16 says it of what cxx generates, and of nothing else.
    build.flag_if_supported("-Wno-maybe-uninitialized");
    for file in ["library.cpp", "stream.cpp", "model.cpp"] {
        build.file(format!("{folder}/{file}"));
    }
    build.compile("virtio_hdl_model");
    println!("cargo:rerun-if-changed={folder}");
    println!("cargo:rerun-if-changed=src/model/bridge.rs");
}
