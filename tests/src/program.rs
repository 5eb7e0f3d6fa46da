//! The command line, as the tests start it.
use std::process::Command;
use std::sync::OnceLock;

/// The program, built beside the tests.
pub fn program() -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "virtio-hdl"]).status();
        assert!(built.is_ok_and(|status| status.success()));
    });
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let profile = folder.file_name().unwrap().to_owned();
    let debug = folder.with_file_name("debug").join("virtio-hdl");
    let path = if profile == "release" && !debug.exists() { folder.join("virtio-hdl") } else { debug };
    Command::new(path)
}
