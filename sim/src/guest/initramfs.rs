//! The guest's file system in memory: busybox, modules, and a job.
use super::debian::{DebianOptions, DebianPackages};
use super::error::GuestError;
use super::kernel::Kernel;
use super::modules::{Module, Modules};
use super::processor::Processor;
use cpio::newc::{trailer, Builder};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const INIT: &str = include_str!("init.sh");

/// What a guest needs for an ext4 file system on a virtio-blk disk. ext4 asks for crc32c by the name of the function, so
/// that no module says it depends on it; later kernels have it built in.
pub const BLK_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "crc32c_generic?", "ext4"];

/// What a guest needs for a virtio-net port.
pub const NET_MODULES: &[&str] = &["virtio_pci", "virtio_net"];
/// What a guest with a console needs.
pub const CONSOLE_MODULES: &[&str] = &["virtio_pci", "virtio_console"];
/// What a guest with a balloon needs.
pub const BALLOON_MODULES: &[&str] = &["virtio_pci", "virtio_balloon"];
/// What a guest with one of our devices that are programs needs: the driver of each that there is.
pub const FIRMWARE_MODULES: &[&str] = &["virtio_pci", "virtio_rng"];

const FOLDER: u32 = 0o040755;
const PROGRAM: u32 = 0o100755;
const FILE: u32 = 0o100644;
const CHARACTER_DEVICE: u32 = 0o020600;

/// Debian's busybox, which needs no library, fetched the first time.
pub fn busybox(options: &DebianOptions) -> Result<PathBuf, GuestError> {
    busybox_for(Processor::X86_64, options)
}

/// The same for another processor.
pub fn busybox_for(processor: Processor, options: &DebianOptions) -> Result<PathBuf, GuestError> {
    let folder = DebianPackages {
        name: &processor.name("busybox"),
        architecture: processor.architecture(),
        suites: &["bookworm"],
        packages: &["busybox-static"],
        only: "busybox",
    }
    .install(options)?;
    let places = ["usr/bin/busybox", "bin/busybox"].map(|place| folder.join(place));
    places.into_iter().find(|path| path.exists()).ok_or(GuestError::NotPackaged { what: "busybox", folder })
}

/// Builds an initramfs: [`build`](Self::build) gives what QEMU takes as `-initrd`.
///
/// Its first process loads the modules, waits for a device if asked to, then runs the job, or a shell if there is none,
/// and powers off. On the console it says:
///
/// - `virtio-hdl: init at SECONDS` since the kernel began,
/// - `virtio-hdl: DEVICE at SECONDS`, or `virtio-hdl: no DEVICE at SECONDS`,
/// - `virtio-hdl: job exit CODE`.
pub struct Initramfs<'a> {
    modules: Modules<'a>,
    wanted: Vec<String>,
    files: Vec<(String, u32, Vec<u8>)>,
}

impl<'a> Initramfs<'a> {
    /// With a static busybox and nothing else.
    pub fn new(kernel: &'a Kernel, busybox: &Path) -> Result<Self, GuestError> {
        let content = fs::read(busybox).map_err(GuestError::read(busybox))?;
        let files = vec![("bin/busybox".into(), PROGRAM, content), ("init".into(), PROGRAM, INIT.into())];
        Ok(Initramfs { modules: Modules::of(kernel)?, wanted: Vec::new(), files })
    }

    /// Has these modules loaded, in this order, each behind those that it depends on, unless they are built in. A name
    /// that ends with `?` is left out if there is no such module.
    pub fn modules(mut self, names: &[&str]) -> Self {
        self.wanted.extend(names.iter().map(|name| name.to_string()));
        self
    }

    /// Waits for a block device before the job begins, for half a minute at most.
    pub fn wait_for(self, device: &str) -> Self {
        self.wait_at_most(device, 30)
    }

    /// The same for some seconds at most.
    pub fn wait_at_most(self, device: &str, seconds: u32) -> Self {
        self.file("wait", format!("{device} {seconds}\n"))
    }

    /// The shell script to run; the folder `/mnt` is there to mount on.
    pub fn job(self, script: &str) -> Self {
        self.file("job", script)
    }

    /// A file more, by its path without `/` at the front.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), FILE, content.into()));
        self
    }

    /// The archive (newc), not compressed: decompressing takes a guest longer than reading does.
    pub fn build(self) -> Result<Vec<u8>, GuestError> {
        let mut modules: Vec<Module> = Vec::new();
        for wanted in &self.wanted {
            match wanted.strip_suffix('?') {
                Some(name) if !self.modules.has(name) => {}
                name => self.modules.add(name.unwrap_or(wanted), &mut modules)?,
            }
        }
        let order: String = modules.iter().map(|module| format!("{}\n", module.name)).collect();
        let mut entries = self.files;
        entries.push(("modules/order".into(), FILE, order.into()));
        entries.extend(modules.into_iter().map(|module| (format!("modules/{}.ko", module.name), FILE, module.content)));
        archive(&entries).map_err(GuestError::io("make the initramfs"))
    }
}

fn archive(files: &[(String, u32, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    let parents = files.iter().flat_map(|(path, ..)| Path::new(path).ancestors().skip(1));
    let folders: BTreeSet<_> = parents.chain([Path::new("dev")]).filter_map(Path::to_str).collect();
    for folder in folders.into_iter().filter(|folder| !folder.is_empty()) {
        archive = Builder::new(folder).mode(FOLDER).nlink(2).write(archive, 0).finish()?;
    }
    // The kernel opens it for the first process, before there is a devtmpfs.
    let console = Builder::new("dev/console").mode(CHARACTER_DEVICE).rdev_major(5).rdev_minor(1);
    archive = console.write(archive, 0).finish()?;
    for (inode, (path, mode, content)) in (1..).zip(files) {
        let bytes = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut writer = Builder::new(path).ino(inode).mode(*mode).write(archive, bytes);
        writer.write_all(content)?;
        archive = writer.finish()?;
    }
    trailer(archive)
}
