//! A Linux kernel: Debian's for clouds, which is small and has all of virtio, or a file.
use super::debian::{DebianOptions, DebianPackages};
use super::error::GuestError;
use super::processor::Processor;
use super::run::MachineType;
use super::vmlinux;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A kernel that QEMU can boot, and its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The bzImage; of an Arm, the Image.
    pub image: PathBuf,
    /// The same kernel out of a bzImage of Debian's, which an emulated PC boots sooner; none if it cannot be booted so.
    pub vmlinux: Option<PathBuf>,
    /// As `uname -r` says it, such as `6.1.0-50-cloud-amd64`.
    pub version: String,
    /// The folder that would be `/lib/modules/VERSION`; without one all that a job needs must be built in.
    pub modules: Option<PathBuf>,
}

impl Kernel {
    /// `linux-image-cloud-amd64` of a suite of Debian, fetched the first time: `bookworm` has Linux 6.1, `trixie` 6.12.
    pub fn debian(suite: &str, options: &DebianOptions) -> Result<Self, GuestError> {
        Kernel::debian_for(Processor::X86_64, suite, options)
    }

    /// The same for another processor.
    pub fn debian_for(processor: Processor, suite: &str, options: &DebianOptions) -> Result<Self, GuestError> {
        let folder = DebianPackages {
            name: &processor.name(&format!("Linux of {suite}")),
            architecture: processor.architecture(),
            suites: &[suite],
            packages: &[&format!("linux-image-cloud-{}", processor.architecture())],
            only: "linux-",
        }
        .install(options)?;
        let missing = |what| GuestError::NotPackaged { what, folder: folder.clone() };
        let modules = ["usr/lib/modules", "lib/modules"]
            .iter()
            .find_map(|modules| entries(&folder.join(modules)).next())
            .ok_or_else(|| missing("lib/modules"))?;
        // From Linux 7 on the image is with the modules.
        let image = entries(&folder.join("boot"))
            .chain(entries(&modules))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
            .ok_or_else(|| missing("vmlinuz"))?;
        match processor {
            Processor::X86_64 => {
                let kernel = Kernel::from_file(&image, Some(&modules))?;
                Ok(Kernel { vmlinux: vmlinux::beside(&image), ..kernel })
            }
            // Its image does not say which it is.
            Processor::Aarch64 => {
                let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Kernel { image, vmlinux: None, version, modules: Some(modules) })
            }
        }
    }

    /// A bzImage, and the folder of its modules (`/lib/modules/VERSION`) unless all is built in. It is booted as it is:
    /// nothing is written beside a user's file.
    pub fn from_file(image: &Path, modules: Option<&Path>) -> Result<Self, GuestError> {
        let version = version(image)?;
        if let Some(modules) = modules {
            fs::read_dir(modules.join("kernel")).map_err(GuestError::read(modules))?;
        }
        Ok(Kernel { image: image.into(), vmlinux: None, version, modules: modules.map(Into::into) })
    }

    /// The file that QEMU boots, given its other arguments: on an emulated PC with QEMU's own firmware the vmlinux.
    pub(super) fn image_for(&self, machine: MachineType, kvm: bool, arguments: &[OsString]) -> &Path {
        let Some(vmlinux) = &self.vmlinux else { return &self.image };
        // OVMF starts a bzImage and no ELF.
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
        let other_firmware =
            arguments.any(|argument| ["-bios", "pflash", "firmware="].iter().any(|part| argument.contains(part)));
        if kvm || other_firmware || machine == MachineType::Virt {
            tracing::debug!("{} is booted: not an emulated PC with SeaBIOS", self.image.display());
            return &self.image;
        }
        vmlinux
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The version that a bzImage says it has. Offsets are of the Linux/x86 boot protocol: `boot_flag` at 0x1fe, `header` at
/// 0x202, `kernel_version` (less 0x200) at 0x20e.
fn version(image: &Path) -> Result<String, GuestError> {
    let not = |why| GuestError::NotAKernel { path: image.into(), why };
    let file = File::open(image).map_err(GuestError::read(image))?;
    if !file.metadata().map_err(GuestError::read(image))?.is_file() {
        return Err(not("it is not a file"));
    }
    let mut header = [0; 0x210];
    file.read_exact_at(&mut header, 0).map_err(|_| not("it is too short"))?;
    if header[0x1fe..0x200] != [0x55, 0xaa] || header[0x202..0x206] != *b"HdrS" {
        return Err(match header.starts_with(b"\x7fELF") {
            true => not("it is an ELF file, perhaps the uncompressed vmlinux"),
            false => not("the boot header is missing"),
        });
    }
    let offset = u64::from(u16::from_le_bytes([header[0x20e], header[0x20f]])) + 0x200;
    let mut text = [0; 64];
    let length = file.read_at(&mut text, offset).map_err(GuestError::read(image))?;
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    let version = text.split(|c: char| c.is_whitespace() || c == '\0').next().unwrap_or_default();
    match version.starts_with(|c: char| c.is_ascii_digit()) {
        true => Ok(version.into()),
        false => Err(not("it does not say its version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulated_pc_with_its_own_firmware_boots_the_vmlinux() {
        let bzimage = Kernel { image: "bzImage".into(), vmlinux: None, version: "6.1".into(), modules: None };
        let both = Kernel { vmlinux: Some("vmlinux".into()), ..bzimage.clone() };
        for (machine, kvm, arguments, expected) in [
            (MachineType::Q35, false, "", "vmlinux"),
            (MachineType::Pc, false, "-no-hpet -s -S", "vmlinux"),
            (MachineType::Q35, true, "", "bzImage"),
            (MachineType::Virt, false, "", "bzImage"),
            (MachineType::Q35, false, "-s -bios OVMF.fd", "bzImage"),
            (MachineType::Q35, false, "-drive if=pflash,file=OVMF.fd", "bzImage"),
            (MachineType::Pc, false, "-machine pflash0=code", "bzImage"),
        ] {
            let arguments: Vec<OsString> = arguments.split_whitespace().map(Into::into).collect();
            assert_eq!(
                both.image_for(machine, kvm, &arguments),
                Path::new(expected),
                "{machine:?} {kvm} {arguments:?}"
            );
            assert_eq!(bzimage.image_for(machine, kvm, &arguments), Path::new("bzImage"));
        }
    }
}
