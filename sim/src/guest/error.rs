//! What can go wrong between Debian's archive and a guest that has done its job.
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A guest could not be made or run, or failed.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A tool that every Debian has cannot be started.
    #[error(
        "{tool} cannot be started ({error}): this is no Debian system, nothing can be fetched for it; \
         give --qemu and --kernel yourself"
    )]
    NotDebian {
        /// Its name.
        tool: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The keys that Debian signs with are not there.
    #[error("{} is missing, Debian's packages cannot be checked: apt-get install debian-archive-keyring", path.display())]
    NoKeyring {
        /// Where they should be.
        path: PathBuf,
    },
    /// Debian's QEMU is for another processor.
    #[error("there is no QEMU to fetch for {0}: install QEMU 10.1 or later, or give --qemu")]
    Processor(&'static str),
    /// Not the name of a suite, not an address.
    #[error("{0:?} cannot be a {1} of Debian's archive")]
    Name(String, &'static str),
    /// apt-get could not fetch something.
    #[error(
        "cannot fetch {what} from {mirror}:\n{}\ncheck the network and the proxy (`apt-config dump Acquire::http`), or name \
         another mirror with VIRTIO_HDL_MIRROR=http://...; --qemu and --kernel need no mirror",
        last_lines(said, 8)
    )]
    Fetch {
        /// The packages.
        what: String,
        /// Where they were looked for.
        mirror: String,
        /// What apt-get printed.
        said: String,
    },
    /// A package could not be unpacked.
    #[error("cannot unpack {}: {said}", package.display())]
    Unpack {
        /// The package.
        package: PathBuf,
        /// What dpkg-deb printed.
        said: String,
    },
    /// A package has not what it should.
    #[error("there is no {what} in {}, as Debian packages it today; remove this folder to fetch it anew", folder.display())]
    NotPackaged {
        /// What was looked for.
        what: &'static str,
        /// Where the packages are unpacked.
        folder: PathBuf,
    },
    /// The cache cannot be written.
    #[error("cannot use {}: {error}; set XDG_CACHE_HOME to a folder you may write to", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no place for a cache.
    #[error("no place for QEMU and kernels: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// This QEMU cannot be started.
    #[error("{} cannot be started: {said}", path.display())]
    QemuStart {
        /// The program.
        path: PathBuf,
        /// Why.
        said: String,
    },
    /// This QEMU cannot have the endpoint.
    #[error(
        "{} is QEMU {version} and has no device vfio-user-pci, which comes with QEMU 10.1: give a newer --qemu, or none to \
         have one fetched",
        path.display()
    )]
    NoVfioUser {
        /// The program.
        path: PathBuf,
        /// What it says it is.
        version: String,
    },
    /// A kernel or a folder of modules cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that is no kernel.
    #[error("{} is no Linux kernel for x86 (bzImage): {why}; give the vmlinuz of a distribution, or arch/x86/boot/bzImage", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A module is missing or cannot be read.
    #[error("module {module} of Linux {version}: {why}")]
    Module {
        /// Its name.
        module: String,
        /// The kernel's version.
        version: String,
        /// What is wrong.
        why: String,
    },
    /// A file for the guest cannot be made, or the guest's console cannot be written.
    #[error("cannot {doing}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// What was waited for did not come.
    #[error("the guest is not {what} after {}; its console ended with\n{}", seconds(after), last_lines(console, 15))]
    Timeout {
        /// "at its end", or what the console should have shown.
        what: String,
        /// How long it was waited.
        after: Duration,
        /// The whole console.
        console: String,
    },
    /// QEMU came to its end early.
    #[error("QEMU ended ({status}) before the guest was {what}:\n{}", last_lines(said, 15))]
    Ended {
        /// "at the end of its job", or what the console should have shown.
        what: String,
        /// How.
        status: std::process::ExitStatus,
        /// The console, and what QEMU itself said.
        said: String,
    },
    /// The job in the guest failed.
    #[error("the job in the guest failed with exit code {code}; its console ended with\n{}", last_lines(console, 15))]
    Job {
        /// The shell's exit code.
        code: i32,
        /// The whole console.
        console: String,
    },
}

impl GuestError {
    pub(super) fn cache(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| GuestError::Cache { path: path.into(), error }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| GuestError::Read { path: path.into(), error }
    }

    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| GuestError::Io { doing, error }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn seconds(time: &Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
