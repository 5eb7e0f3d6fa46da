//! QEMU as a process, with its qtest socket and its memory file.
use super::{Client, QtestError};
use crate::guest::Qemu;
use crate::link::FunctionId;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest part of QEMU's messages that an error tells.
const OUTPUT_BYTES: usize = 2000;
/// How often a QEMU that has not connected yet is looked at.
const STEP: Duration = Duration::from_millis(10);

/// Which PC it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Chipset {
    /// `-M q35`: ICH9, PCI Express.
    Q35,
    /// `-M pc`: i440FX and PIIX3, PCI only.
    Pc,
}

impl Chipset {
    /// Name of QEMU's machine.
    pub const fn name(self) -> &'static str {
        match self {
            Chipset::Q35 => "q35",
            Chipset::Pc => "pc",
        }
    }
}

/// What is started.
#[derive(Clone, Debug)]
pub struct QtestOptions<'a> {
    /// The program.
    pub qemu: &'a Qemu,
    /// The machine.
    pub chipset: Chipset,
    /// Bytes of guest memory, whole MiB, below 2 GiB.
    pub memory_bytes: u64,
    /// Further arguments: `-device`, `-drive` and what belongs to them.
    pub arguments: Vec<OsString>,
    /// Functions on bus 0 that answer. The chipset's own are left alone.
    pub functions: Vec<FunctionId>,
    /// Longest wait for the start, and for an answer.
    pub timeout: Duration,
}

/// A running QEMU; ends with this, and with the thread that started it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts QEMU on the guest memory that `memory` makes of a file, and connects.
    pub fn start<M>(
        options: &QtestOptions,
        memory: impl FnOnce(&Path) -> Result<M, QtestError>,
    ) -> Result<(Self, Client, M), QtestError> {
        let folder = tempfile::tempdir().map_err(|error| file_error(&std::env::temp_dir(), error))?;
        let (memory_file, socket) = (folder.path().join("memory"), folder.path().join("qtest"));
        let memory = memory(&memory_file)?;
        let listener = UnixListener::bind(&socket).map_err(|error| file_error(&socket, error))?;
        let output = output_of(&folder);
        let output = File::create(&output).map_err(|error| file_error(&output, error))?;
        let backend = format!(
            "memory-backend-file,id=memory,size={},share=on,mem-path={}",
            options.memory_bytes,
            memory_file.display()
        );
        let mut command = options.qemu.command();
        command.args(options.qemu.end_with_parent());
        command.args(["-accel", "qtest", "-qtest-log", "none", "-display", "none", "-nodefaults", "-no-user-config"]);
        command.args(["-M", &format!("{},memory-backend=memory", options.chipset.name()), "-object", &backend]);
        command.args(["-m", &format!("{}M", options.memory_bytes >> 20), "-qtest"]);
        command.arg(format!("unix:{}", socket.display())).args(&options.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        tracing::debug!(?command, "starting QEMU");
        let child = command.spawn().map_err(|error| QtestError::Start { program: options.qemu.path(), error })?;
        let mut process = Process { child, folder };
        let client = process.accept(&listener, &socket, options.timeout)?;
        Ok((process, client, memory))
    }

    fn accept(&mut self, listener: &UnixListener, socket: &Path, timeout: Duration) -> Result<Client, QtestError> {
        let end = Instant::now() + timeout;
        let step = Timespec { tv_sec: 0, tv_nsec: STEP.subsec_nanos().into() };
        while Instant::now() < end {
            match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&step)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => {
                    let (stream, _) = listener.accept().map_err(|error| file_error(socket, error))?;
                    return Client::new(stream, timeout);
                }
                Err(error) => return Err(file_error(socket, error.into())),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(QtestError::Ended { status, output: self.output() });
            }
        }
        Err(QtestError::NoConnection(timeout))
    }

    /// The end of what QEMU has said.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(output_of(&self.folder)).unwrap_or_default();
        let start = bytes.len().saturating_sub(OUTPUT_BYTES);
        String::from_utf8_lossy(&bytes[start..]).trim_end().into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output_of(folder: &TempDir) -> PathBuf {
    folder.path().join("output")
}

fn file_error(path: &Path, error: io::Error) -> QtestError {
    QtestError::File { path: path.into(), error }
}
