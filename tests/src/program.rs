//! The command line, as the tests start it.
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::OnceLock;
use std::time::Duration;

/// The program, built beside the tests.
pub fn program() -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        // With one of the tests, so that its dependencies have the features that they have for tests: else Cargo would compile
        // nearly all of them once more.
        let build = ["build", "--quiet", "--workspace", "--bin", "virtio-hdl", "--test", "architecture"];
        assert!(Command::new(env!("CARGO")).args(build).status().is_ok_and(|status| status.success()));
    });
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let profile = folder.file_name().unwrap().to_owned();
    let debug = folder.with_file_name("debug").join("virtio-hdl");
    Command::new(if profile == "release" && !debug.exists() { folder.join("virtio-hdl") } else { debug })
}

/// How long a command may take that is expected to end, on a machine with much else to do.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs a command to its end. One that does not come to it is a mistake to be told of, not to be waited for.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, (ended, ends)) = (child.id().to_string(), channel::<()>());
    let watch = std::thread::spawn(move || {
        let late = ends.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout);
        late && Command::new("kill").args(["-s", "KILL", &pid]).status().is_ok()
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    assert!(!watch.join().unwrap(), "{command:?} still runs after {LONGEST:?}");
    output
}
