//! A guest of `virtio-hdl qemu` that takes commands while it runs.
use crate::{output, program};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

/// A guest of `virtio-hdl qemu`, and its endpoint's control socket.
pub struct Guest {
    folder: tempfile::TempDir,
    child: Child,
    console: Lines<BufReader<ChildStdout>>,
    seen: String,
}

impl Guest {
    /// Starts it with these arguments and this job, which says `booted`.
    pub fn start(arguments: &[&str], job: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("job.sh"), job).unwrap();
        let mut command = program();
        command.arg("qemu").args(arguments).arg("--job").arg(path("job.sh")).arg("--control").arg(path("control"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let console = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut guest = Guest { folder, child, console, seen: String::new() };
        guest.says("booted");
        guest
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads on until the guest says so.
    #[track_caller]
    pub fn says(&mut self, what: &str) {
        for line in self.console.by_ref().map_while(Result::ok) {
            self.seen += &(line.clone() + "\n");
            if line.contains(what) {
                return;
            }
        }
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("the guest never says {what}:\n{}\n{errors}", self.seen);
    }

    /// `virtio-hdl ctl`.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let done = output(program().arg("ctl").arg(self.path("control")).args(arguments).current_dir(&self.folder));
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Reads on to the end, which must be a good one: what has been said.
    #[track_caller]
    pub fn ends(mut self) -> String {
        self.console.by_ref().map_while(Result::ok).for_each(|line| self.seen += &(line + "\n"));
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}\n{errors}", self.seen);
        assert!(!self.path("control").exists(), "the control socket stays");
        let told = format!("{}\n{errors}", self.seen);
        for wrong in ["WRONG", "LOST", "against the rules", "without an answer", "WARN", "I/O error", "hung"] {
            assert!(!told.contains(wrong), "{told}");
        }
        told
    }
}
