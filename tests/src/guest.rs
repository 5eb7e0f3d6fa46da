//! Guests and disks for the system tests.
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::guest::{
    busybox, busybox_for, DebianOptions, FindOptions, Guest, Initramfs, Kernel, Processor, Qemu, BALLOON_MODULES,
    BLK_MODULES, CONSOLE_MODULES, FIRMWARE_MODULES, NET_MODULES,
};

/// Functions for the guest's jobs.
const FUNCTIONS: &str = r#"set -e
fresh() { echo 3 >/proc/sys/vm/drop_caches; }
sum() { md5sum "$1" | cut -d' ' -f1; }
# copy DISK: reads the file, checks it, writes it to another, and reads that behind the cache
copy() {
    mount -t ext4 "$1" /mnt
    [ "$(sum /mnt/data)" = "$(cat /mnt/data.md5)" ] || { echo "what was read is wrong"; return 1; }
    dd if=/mnt/data of=/mnt/copy bs=64k conv=fsync 2>/dev/null
    umount /mnt
    fresh
    mount -t ext4 "$1" /mnt
    [ "$(sum /mnt/copy)" = "$(cat /mnt/data.md5)" ] || { echo "what was written is wrong"; return 1; }
    umount /mnt
    echo "copied on $1"
}
"#;

/// The QEMU that the command line would take.
pub fn qemu() -> &'static Qemu {
    static QEMU: OnceLock<Qemu> = OnceLock::new();
    QEMU.get_or_init(|| Qemu::find(&FindOptions::default()).unwrap_or_else(|error| panic!("{error}")))
}

/// The same with the processor of an Arm.
pub fn arm_qemu() -> &'static Qemu {
    static QEMU: OnceLock<Qemu> = OnceLock::new();
    let options = FindOptions { processor: Processor::Aarch64, ..FindOptions::default() };
    QEMU.get_or_init(|| Qemu::find(&options).unwrap_or_else(|error| panic!("{error}")))
}

/// Functions for the jobs of guests with a network port.
const NET_FUNCTIONS: &str = r#"set -e
peer=10.0.2.2
sum() { md5sum "$@" | cut -d' ' -f1; }
# Bytes that go each way, if a job says no other number.
size=1048576
address() { echo "address $(cat /sys/class/net/eth0/address)"; }
dhcp() {
    ip link set eth0 up
    printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip address flush dev "$interface"\nip address add "$ip/$mask" dev "$interface"\n' >/tmp/dhcp
    chmod +x /tmp/dhcp
    udhcpc -q -n -i eth0 -s /tmp/dhcp
}
pings() { ping -q -A -c 20 $peer; }
tcp() {
    wget -q -O /tmp/data http://$peer/random/$size/1
    [ "$(sum /tmp/data)" = "$(wget -q -O - http://$peer/md5/$size/1)" ] || { echo "what was received is wrong"; return 1; }
    [ "$(sum /tmp/data)" = "$(wget -q -O - --post-file=/tmp/data http://$peer/sink)" ] || { echo "what was sent is wrong"; return 1; }
}
"#;

/// Linux 6.1 with a disk and this job.
pub fn guest(job: &str) -> Guest<'static> {
    guest_of("bookworm", job)
}

/// The kernel of this release of Debian with a disk and this job.
pub fn guest_of(suite: &str, job: &str) -> Guest<'static> {
    blk_guest(qemu(), suite, job)
}

/// Linux 6.1 on QEMU's board for an Arm, with a disk and this job.
pub fn arm_guest(job: &str) -> Guest<'static> {
    blk_guest(arm_qemu(), "bookworm", job)
}

fn blk_guest(qemu: &'static Qemu, suite: &str, job: &str) -> Guest<'static> {
    boots(qemu, suite, BLK_MODULES, |initramfs| initramfs.wait_for("/dev/vda").job(&format!("{FUNCTIONS}{job}")))
}

/// Linux 6.1 with a network port and this job.
pub fn net_guest(job: &str) -> Guest<'static> {
    boots(qemu(), "bookworm", NET_MODULES, |initramfs| initramfs.job(&format!("{NET_FUNCTIONS}{job}")))
}

/// Functions for the jobs of guests with a console.
const CONSOLE_FUNCTIONS: &str = r#"set -e
# As file 3: the settings last as long as it is open.
open() {
    exec 3<>/dev/hvc0
    stty raw -echo <&3
}
"#;

/// Linux 6.1 with a console and this job.
pub fn console_guest(job: &str) -> Guest<'static> {
    boots(qemu(), "bookworm", CONSOLE_MODULES, |initramfs| initramfs.job(&format!("{CONSOLE_FUNCTIONS}{job}")))
}

/// Linux 6.1 with every kind of device and this job, which has the functions of all.
pub fn guest_of_all(job: &str) -> Guest<'static> {
    let modules = [BLK_MODULES, NET_MODULES, CONSOLE_MODULES, BALLOON_MODULES].concat();
    let job = format!("{FUNCTIONS}{NET_FUNCTIONS}{CONSOLE_FUNCTIONS}{BALLOON_FUNCTIONS}{job}");
    boots(qemu(), "bookworm", &modules, |initramfs| initramfs.wait_for("/dev/vda").job(&job))
}

/// Functions for the jobs of guests with a balloon. The kernel counts pages of 4 KiB.
const BALLOON_FUNCTIONS: &str = r#"set -e
in_balloon() {
    awk '/^balloon_inflate/ { n += $2 } /^balloon_deflate/ { n -= $2 } END { print n + 0 }' /proc/vmstat
}
# balloon PAGES: waits until so many are in it
balloon() { until [ "$(in_balloon)" = "$1" ]; do sleep 0.02; done; }
# memory KEY: of /proc/meminfo, KiB
memory() { awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo; }
"#;

/// Linux 6.1 with a balloon and this job.
pub fn balloon_guest(job: &str) -> Guest<'static> {
    boots(qemu(), "bookworm", BALLOON_MODULES, |initramfs| initramfs.job(&format!("{BALLOON_FUNCTIONS}{job}")))
}

/// Linux 6.1 with one of our devices that are programs, and this job.
pub fn program_guest(job: &str) -> Guest<'static> {
    boots(qemu(), "bookworm", FIRMWARE_MODULES, |initramfs| initramfs.job(&format!("set -e\n{job}")))
}

/// Linux 6.1 with this job and nothing to drive.
pub fn bare_guest(job: &str) -> Guest<'static> {
    boots(qemu(), "bookworm", &[], |initramfs| initramfs.job(job))
}

/// Linux 6.1 with a disk, whose job starts the same kernel anew by `sh /kexec`, with another job.
pub fn kexec_guest(job: &str, then: &str) -> Guest<'static> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("kexec");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kexec.c");
    run(Command::new("gcc")
        .args(["-static", "-nostdlib", "-fno-stack-protector", "-O1", "-o"])
        .arg(&program)
        .arg(source));
    let debian = DebianOptions::default();
    let kernel = Kernel::debian("bookworm", &debian).unwrap_or_else(|error| panic!("{error}"));
    let with_job = |job: &str| {
        let initramfs = Initramfs::new(&kernel, &busybox(&debian).unwrap()).unwrap().modules(BLK_MODULES);
        initramfs.wait_for("/dev/vda").job(&format!("{FUNCTIONS}{job}"))
    };
    let initramfs = with_job(job)
        .file("kexec", "chmod +x /kexec.x; exec /kexec.x /kernel /initrd \"$(cat /proc/cmdline)\"")
        .file("kexec.x", std::fs::read(program).unwrap())
        .file("kernel", std::fs::read(&kernel.image).unwrap())
        .file("initrd", with_job(then).build().unwrap());
    Guest::new(qemu()).kernel(&kernel, initramfs.build().unwrap())
}

fn boots(
    qemu: &'static Qemu,
    suite: &str,
    modules: &[&str],
    with_job: impl FnOnce(Initramfs) -> Initramfs,
) -> Guest<'static> {
    let debian = DebianOptions::default();
    let processor = qemu.processor();
    let kernel = Kernel::debian_for(processor, suite, &debian).unwrap_or_else(|error| panic!("{error}"));
    let busybox = busybox_for(processor, &debian).unwrap_or_else(|error| panic!("{error}"));
    let initramfs = Initramfs::new(&kernel, &busybox).unwrap().modules(modules);
    Guest::new(qemu).kernel(&kernel, with_job(initramfs).build().unwrap())
}

/// A disk with an ext4 file system that holds random bytes and their checksum.
pub struct Ext4 {
    folder: tempfile::TempDir,
    data: Vec<u8>,
}

impl Ext4 {
    /// 2 MiB of them, for guests whose subject is not how much they copy. The seed decides the bytes.
    pub fn new(seed: u64) -> Self {
        Self::of(seed, 2 << 20)
    }

    /// 8 MiB of them.
    pub fn large(seed: u64) -> Self {
        Self::of(seed, 8 << 20)
    }

    fn of(seed: u64, bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let mut state = seed | 1;
        let data: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(bytes)
        .collect();
        std::fs::write(files.join("data"), &data).unwrap();
        let sum = run(Command::new("md5sum").arg(files.join("data")));
        std::fs::write(files.join("data.md5"), sum.split(' ').next().unwrap()).unwrap();
        // Both copies, the journal, and what the file system needs for itself.
        let size = format!("{}M", 5 * (bytes >> 20));
        run(Command::new("mkfs.ext4").arg("-q").arg("-d").arg(&files).arg(folder.path().join("disk")).arg(size));
        Ext4 { folder, data }
    }

    /// The image, behind a device.
    pub fn port(&self) -> Box<DiskPort> {
        Box::new(DiskPort::new(Disk::open(&self.path(), false).unwrap(), 0))
    }

    /// The image.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// The file system has no fault, and the guest's copy is there.
    pub fn check(&self) {
        run(Command::new("e2fsck").arg("-fn").arg(self.path()));
        assert!(self.file("copy") == self.data, "the copy on the disk differs");
    }

    /// A file in the file system, empty if it is not there.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let to = self.folder.path().join("out");
        run(Command::new("debugfs").arg("-R").arg(format!("dump {name} {}", to.display())).arg(self.path()));
        std::fs::read(to).unwrap_or_default()
    }
}

/// Runs a tool that must succeed, and gives what it prints.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
