//! `virtio-hdl serve` as a process.
use crate::guest::{qemu, run};
use crate::program;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use virtio_hdl::guest::{vfio_user_pci, Guest, Running};
use virtio_hdl::host::pci::{Bus, Options};
use virtio_hdl::link::FunctionId;
use virtio_hdl::qtest::{Chipset, QtestOptions, QtestPlatform};

/// Where [`Serve::on_a_bus`] puts the endpoint.
pub const SLOT: FunctionId = FunctionId::new(0, 4, 0);

/// A server's process; it is killed with this.
pub struct Serve {
    /// The process.
    pub child: Child,
    folder: tempfile::TempDir,
    /// What it said when it was ready.
    pub said: String,
}

impl Serve {
    /// Serves a disk.
    pub fn start(disk: &Path) -> Self {
        Serve::start_with(disk, &[])
    }

    /// The same with these arguments.
    pub fn start_with(disk: &Path, arguments: &[&str]) -> Self {
        Serve::of("blk", |command, _| {
            command.arg("--disk").arg(disk).args(arguments);
        })
    }

    /// Serves this configuration; `with` adds arguments, which may name files in the folder that it is given.
    pub fn of(config: &str, with: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.args(["serve", config, "--socket"]).arg(folder.path().join("socket"));
        with(&mut command, folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("-device") {
            assert_ne!(errors.read_line(&mut said).unwrap(), 0, "{said}");
        }
        child.stderr = Some(errors.into_inner());
        Serve { child, folder, said }
    }

    /// Where QEMU finds it.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// A file in its folder.
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.folder.path().join(name.as_ref())
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        run(Command::new("kill").args(["-s", name, &self.child.id().to_string()]));
    }

    /// Waits for the end: exit code, standard output, and the rest of standard error.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), output, errors)
    }

    /// Boots this guest on it.
    pub fn boot(&self, guest: Guest) -> Running {
        guest.device(vfio_user_pci(&self.socket(), &[])).start(|_| {}).unwrap()
    }

    /// The endpoint on QEMU's PCI bus, at [`SLOT`], with no guest.
    pub fn on_a_bus(&self) -> (QtestPlatform, Bus) {
        let device = vfio_user_pci(&self.socket(), &[("addr", "04.0".into())]);
        let options = QtestOptions {
            qemu: qemu(),
            chipset: Chipset::Q35,
            memory_bytes: 64 << 20,
            arguments: vec!["-device".into(), device.into()],
            functions: vec![SLOT],
            timeout: Duration::from_secs(60),
        };
        let mut platform = QtestPlatform::start(&options).unwrap_or_else(|error| panic!("{error}"));
        let bus = Bus::scan(&mut platform, &Options::default()).unwrap();
        (platform, bus)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of processor time that a process has had.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, fields 14 and 15 of proc(5), in ticks of 10 ms
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}
