//! A stock QEMU and Debian's kernels: fetched, booted, with QEMU's own virtio-blk.
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use virtio_hdl::guest::{busybox, DebianOptions, FindOptions, Guest, Initramfs, Kernel, Qemu, BLK_MODULES};

/// Far more than it takes.
const LONG: Duration = Duration::from_secs(90);

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn qemu() -> Result<Qemu> {
    Ok(Qemu::find(&FindOptions::default())?)
}

/// A kernel and its initramfs with everything for virtio-blk and ext4.
fn linux(suite: &str, job: &str) -> Result<(Kernel, Vec<u8>)> {
    let debian = DebianOptions::default();
    let kernel = Kernel::debian(suite, &debian)?;
    let initramfs =
        Initramfs::new(&kernel, &busybox(&debian)?)?.modules(BLK_MODULES).wait_for("/dev/vda").job(job).build()?;
    Ok((kernel, initramfs))
}

/// An ext4 image with a file `hello`.
fn image(folder: &TempDir) -> Result<String> {
    let content = folder.path().join("content");
    std::fs::create_dir(&content)?;
    std::fs::write(content.join("hello"), "hello from the host\n")?;
    let image = folder.path().join("disk.img");
    tool(Command::new("mkfs.ext4").args(["-q", "-d"]).arg(&content).arg(&image).arg("16M"))?;
    Ok(image.display().to_string())
}

fn tool(command: &mut Command) -> Result<String> {
    let path = std::env::var("PATH")?;
    let output = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{command:?}: {said}").into()),
    }
}

fn with_disk<'a>(qemu: &'a Qemu, kernel: &Kernel, initramfs: Vec<u8>, image: &str) -> Guest<'a> {
    Guest::new(qemu)
        .kernel(kernel, initramfs)
        .argument("-drive")
        .argument(format!("if=none,id=disk,format=raw,file={image}"))
        .device("virtio-blk-pci,disable-modern=on,drive=disk")
}

/// Mounts the disk, reads a file, writes one.
const JOB: &str = "set -e
mount -t ext4 /dev/vda /mnt
cat /mnt/hello
echo hello from Linux $(uname -r) >/mnt/answer
sync
umount /mnt";

fn mounts_reads_and_writes(suite: &str, version: &str) -> Result {
    let folder = TempDir::new()?;
    let image = image(&folder)?;
    let (kernel, initramfs) = linux(suite, JOB)?;
    assert!(kernel.version.starts_with(version), "{}", kernel.version);
    let ended = with_disk(&qemu()?, &kernel, initramfs, &image).start(|_| {})?.wait(LONG)?;
    ended.job()?;
    assert!(ended.console.contains("hello from the host\n"), "{}", ended.console);
    assert!(ended.init_seconds().is_some_and(|seconds| seconds > 0.1), "{}", ended.console);
    let answer = tool(Command::new("debugfs").args(["-R", "cat /answer", &image]))?;
    assert!(answer.contains(&format!("hello from Linux {}\n", kernel.version)), "{answer}");
    tool(Command::new("e2fsck").args(["-f", "-n", &image]))?;
    Ok(())
}

#[test]
fn linux_6_1_mounts_reads_and_writes() -> Result {
    mounts_reads_and_writes("bookworm", "6.1.")
}

#[test]
fn linux_6_12_mounts_reads_and_writes() -> Result {
    mounts_reads_and_writes("trixie", "6.12.")
}
