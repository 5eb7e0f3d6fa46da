//! `virtio-hdl qemu`
use super::device::Device;
use super::endpoint::EndpointArguments;
use super::stop::Stop;
use crate::guest::{busybox, DebianOptions, Ended, FindOptions, Guest, Initramfs, Kernel, MachineType, Memory, Qemu};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

mod compare;
mod run;

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Chipset {
    /// PCI Express
    Q35,
    /// PCI
    Pc,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Accelerator {
    /// Emulation; runs everywhere
    Tcg,
    /// Hardware virtualisation; refused where it does not really run a guest
    Kvm,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl qemu blk --disk disk.img\n  \
    virtio-hdl qemu blk --disk disk.img --shell\n  \
    virtio-hdl qemu blk --disk disk.img --append pci=nomsi --tlp-log tlp.log\n  \
    virtio-hdl qemu blk --disk disk.img --job test.sh --cpus 2 --suite trixie\n  \
    virtio-hdl qemu blk --disk disk.img --shell -- -netdev user,id=n -device e1000,netdev=n\n  \
    virtio-hdl qemu blk --disk disk.img --set blk.queues=2 --cpus 2\n  \
    virtio-hdl qemu blk --compare 5\n  \
    virtio-hdl qemu net --pcap wire.pcapng\n\n\
    Without --job and --shell a guest with a disk mounts the ext4 file system on it, reads its files, writes 8 MiB to the \
    file virtio-hdl.data, syncs, unmounts, reads it back and powers off; one with a network port gets an address, pings, and \
    moves 4 MiB each way by TCP. With --shell, Ctrl-A X ends QEMU.\n\
    QEMU, if there is none from 10.1 on, and the guest's Linux are fetched from Debian into the cache folder once.")]
pub(super) struct Arguments {
    #[command(flatten)]
    endpoint: EndpointArguments,
    /// A shell in the guest, on this terminal
    #[arg(long, conflicts_with_all = ["job", "json"])]
    shell: bool,
    /// Shell script that the guest runs
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
    /// More for the kernel's command line, such as pci=nomsi
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,
    /// Linux to boot (bzImage) in place of Debian's
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Folder of that kernel's modules, unless virtio_pci, virtio_blk and ext4 are built in
    #[arg(long, value_name = "FOLDER", requires = "kernel")]
    modules: Option<PathBuf>,
    /// Debian's release whose cloud kernel is booted: bookworm has Linux 6.1, trixie 6.12
    #[arg(long, default_value = "bookworm", value_name = "SUITE", conflicts_with = "kernel")]
    suite: String,
    /// QEMU to use, 10.1 or later
    #[arg(long, value_name = "PROGRAM")]
    qemu: Option<PathBuf>,
    /// The PC that QEMU is
    #[arg(long, value_enum, default_value_t = Chipset::Q35)]
    machine: Chipset,
    /// Memory of the guest
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..))]
    memory: u32,
    /// Processors of the guest
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// How QEMU runs the guest
    #[arg(long, value_enum, default_value_t = Accelerator::Tcg)]
    accel: Accelerator,
    /// Boot N times each on the endpoint and on QEMU's own virtio-blk, read, write and compare 1 MiB, and print the times
    #[arg(long, value_name = "N", conflicts_with_all = ["disk", "shell", "job", "read_only", "control"],
        value_parser = clap::value_parser!(u32).range(1..=100))]
    compare: Option<u32>,
    /// Print what happened as JSON; the guest's console goes to standard error
    #[arg(long)]
    json: bool,
    /// For QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    rest: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match arguments.compare {
        Some(runs) => compare::run(arguments, runs),
        None => run::run(arguments),
    }
}

/// QEMU and the Linux for it.
struct Parts {
    qemu: Qemu,
    kernel: Kernel,
    initramfs: Vec<u8>,
}

impl Arguments {
    /// Finds or fetches what the guest is made of. It runs `job`, or a shell if there is none.
    fn parts(&self, device: Option<Device>, job: Option<&str>) -> anyhow::Result<Parts> {
        let debian = DebianOptions::default();
        let qemu =
            Qemu::find(&FindOptions { qemu: self.qemu.clone(), debian: debian.clone(), ..FindOptions::default() })?;
        if self.accel == Accelerator::Kvm && !qemu.kvm_works() {
            anyhow::bail!("KVM does not run a guest here (is /dev/kvm there, and may you use it?); leave --accel out");
        }
        let kernel = match &self.kernel {
            Some(image) => Kernel::from_file(image, self.modules.as_deref())?,
            None => Kernel::debian(&self.suite, &debian)?,
        };
        let initramfs = Initramfs::new(&kernel, &busybox(&debian)?)?;
        let initramfs = match device {
            Some(device) => device.drive(initramfs),
            None => initramfs,
        };
        let initramfs = match job {
            Some(job) => initramfs.job(job),
            None => initramfs,
        }
        .build()?;
        Ok(Parts { qemu, kernel, initramfs })
    }

    fn guest<'a>(&self, parts: &'a Parts) -> Guest<'a> {
        let machine = match self.machine {
            Chipset::Q35 => MachineType::Q35,
            Chipset::Pc => MachineType::Pc,
        };
        let mut guest = Guest::new(&parts.qemu)
            .machine(machine)
            .memory(Memory::Shared, self.memory)
            .cpus(self.cpus)
            .kvm(self.accel == Accelerator::Kvm)
            .kernel(&parts.kernel, parts.initramfs.clone());
        if let Some(append) = &self.append {
            guest = guest.append(append);
        }
        self.rest.iter().fold(guest, |guest, argument| guest.argument(argument))
    }
}
