//! A QEMU that has the device `vfio-user-pci`: the user's, the system's, or Debian's in the cache folder.
use super::debian::{DebianOptions, DebianPackages};
use super::error::GuestError;
use super::processor::Processor;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The oldest release of Debian whose backports have a QEMU that is new enough. Its firmware comes from there too.
const SUITES: &[&str] = &["trixie", "trixie-backports"];

/// Debian's QEMU for such guests. It runs here, on x86-64.
fn packages(processor: Processor) -> DebianPackages<'static> {
    let (name, packages): (_, &[&str]) = match processor {
        Processor::X86_64 => ("QEMU", &["qemu-system-x86"]),
        Processor::Aarch64 => ("QEMU for arm64", &["qemu-system-arm"]),
    };
    DebianPackages { name, architecture: "amd64", suites: SUITES, packages, only: "" }
}

/// How long a guest of 512 bytes may take with KVM; with TCG it takes 0.1 s.
const KVM_PROBE: Duration = Duration::from_secs(1);
/// What that guest writes to the port of isa-debug-exit.
const KVM_PROBE_CODE: u8 = 42;
/// mov al,42; mov dx,0xf4; out dx,al; hlt; jmp $-1
const KVM_PROBE_PROGRAM: [u8; 9] = [0xb0, KVM_PROBE_CODE, 0xba, 0xf4, 0x00, 0xee, 0xf4, 0xeb, 0xfd];

/// Which QEMU to take.
#[derive(Clone, Debug, Default)]
pub struct FindOptions {
    /// This one, and no other.
    pub qemu: Option<PathBuf>,
    /// How to fetch one.
    pub debian: DebianOptions,
    /// What its guests run on.
    pub processor: Processor,
}

/// A QEMU that has the device `vfio-user-pci`.
#[derive(Clone, Debug)]
pub struct Qemu {
    place: Place,
    processor: Processor,
    version: String,
    ends_with_parent: bool,
}

#[derive(Clone, Debug)]
enum Place {
    /// A program that runs as it is.
    Program(PathBuf),
    /// Debian's packages, unpacked here, and the program in them.
    Private(PathBuf, &'static str),
}

impl Place {
    /// The dynamic loader, the libraries and the firmware are those of the packages: they are newer than the system's.
    fn command(&self) -> Command {
        let (folder, program) = match self {
            Place::Program(path) => return Command::new(path),
            Place::Private(folder, program) => (folder.join("usr"), program),
        };
        let libraries = folder.join("lib/x86_64-linux-gnu");
        let mut command = Command::new(folder.join("lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&libraries).arg(folder.join("bin").join(program));
        command.arg("-L").arg(folder.join("share/qemu")).arg("-L").arg(folder.join("share/seabios"));
        command.env("QEMU_MODULE_DIR", libraries.join("qemu"));
        command
    }

    fn path(&self) -> PathBuf {
        match self {
            Place::Program(path) => path.clone(),
            Place::Private(folder, program) => folder.join("usr/bin").join(program),
        }
    }

    fn ask(&self, arguments: &[&str]) -> Result<Output, GuestError> {
        let output = self.command().args(arguments).stdin(Stdio::null()).output();
        output.map_err(|error| GuestError::QemuStart { path: self.path(), said: error.to_string() })
    }
}

impl Qemu {
    /// The one that is asked for; else the system's, if it will do; else Debian's in the cache folder, which is fetched
    /// the first time (38 MB, 149 MB unpacked).
    pub fn find(options: &FindOptions) -> Result<Self, GuestError> {
        let processor = options.processor;
        if let Some(path) = &options.qemu {
            return Qemu::at(Place::Program(path.clone()), processor);
        }
        if let Some(qemu) = Qemu::of_system(processor) {
            return Ok(qemu);
        }
        if std::env::consts::ARCH != "x86_64" {
            return Err(GuestError::Processor(std::env::consts::ARCH));
        }
        Qemu::at(Place::Private(packages(processor).install(&options.debian)?, processor.program()), processor)
    }

    /// The same for PCs, but nothing is fetched: none if it would have to be.
    pub fn find_present(options: &DebianOptions) -> Option<Self> {
        let processor = Processor::X86_64;
        let packages = packages(processor);
        Qemu::of_system(processor).or_else(|| match packages.installed(options) {
            true => Qemu::at(Place::Private(packages.folder(options).ok()?, processor.program()), processor).ok(),
            false => None,
        })
    }

    /// Where [`find`](Self::find) would put the one for PCs.
    pub fn private_folder(options: &DebianOptions) -> Result<PathBuf, GuestError> {
        packages(Processor::X86_64).folder(options)
    }

    fn of_system(processor: Processor) -> Option<Self> {
        Qemu::at(Place::Program(processor.program().into()), processor).ok()
    }

    fn at(place: Place, processor: Processor) -> Result<Self, GuestError> {
        let said = place.ask(&["--version"])?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let Some(version) = text.strip_prefix("QEMU emulator version ").and_then(|rest| rest.split_whitespace().next())
        else {
            let said = [said.stdout, said.stderr].concat();
            let said = format!("it does not answer --version as QEMU does: {}", String::from_utf8_lossy(&said).trim());
            return Err(GuestError::QemuStart { path: place.path(), said });
        };
        // The exit code is 0 even if there is no such device.
        let devices = place.ask(&["-device", "vfio-user-pci,help"])?;
        if !String::from_utf8_lossy(&devices.stdout).contains("vfio-user-pci options") {
            return Err(GuestError::NoVfioUser { path: place.path(), version: version.into() });
        }
        let life = place.ask(&["-run-with", "help"])?;
        let ends_with_parent = String::from_utf8_lossy(&life.stdout).contains("exit-with-parent");
        Ok(Qemu { version: version.into(), place, processor, ends_with_parent })
    }

    /// Such as `11.1.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What its guests run on.
    pub fn processor(&self) -> Processor {
        self.processor
    }

    /// The program.
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Starts it when given its arguments.
    pub fn command(&self) -> Command {
        self.place.command()
    }

    /// Arguments by which QEMU ends when the thread that started it does, however that comes; none before QEMU 10.2.
    pub fn end_with_parent(&self) -> &'static [&'static str] {
        match self.ends_with_parent {
            true => &["-run-with", "exit-with-parent=on"],
            false => &[],
        }
    }

    /// Whether a guest runs with KVM. `/dev/kvm` may be there and no guest run, or run far slower than without: so a
    /// boot sector is booted, which takes a second at most.
    pub fn kvm_works(&self) -> bool {
        Path::new("/dev/kvm").exists() && self.boots_quickly("kvm").unwrap_or(false)
    }

    fn boots_quickly(&self, accelerator: &str) -> std::io::Result<bool> {
        let mut sector = [0; 512];
        sector[..KVM_PROBE_PROGRAM.len()].copy_from_slice(&KVM_PROBE_PROGRAM);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut image = tempfile::NamedTempFile::new()?;
        image.write_all(&sector)?;
        let mut child = self
            .command()
            .args(self.end_with_parent())
            .args(["-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-accel", accelerator])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive"])
            .arg(format!("if=ide,format=raw,file={}", image.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + KVM_PROBE;
        loop {
            if let Some(status) = child.try_wait()? {
                // isa-debug-exit makes it odd
                return Ok(status.code() == Some(i32::from(KVM_PROBE_CODE) << 1 | 1));
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FindOptions, Qemu};

    #[test]
    fn the_probe_for_kvm_boots_with_tcg() -> Result<(), Box<dyn std::error::Error>> {
        let qemu = Qemu::find(&FindOptions::default())?;
        assert!(qemu.boots_quickly("tcg")?);
        assert!(!qemu.boots_quickly("no-such-accelerator")?);
        Ok(())
    }
}
