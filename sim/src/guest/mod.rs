//! A stock QEMU and a small Linux in it: where they come from, and how they run.
//!
//! [`Qemu`] is the system's QEMU when that has `vfio-user-pci`, else Debian's, installed into the user's cache folder;
//! [`Kernel`] is Debian's cloud kernel, from there too, or a file; [`Initramfs`] is busybox, the modules that a job
//! needs, and the job, a shell script; [`Guest`] runs all of it and hands over what the console says.
//!
//! ```no_run
//! use std::time::Duration;
//! use virtio_hdl::guest::{busybox, DebianOptions, FindOptions, Guest, Initramfs, Kernel, Qemu, BLK_MODULES};
//!
//! # fn main() -> Result<(), virtio_hdl::guest::GuestError> {
//! let qemu = Qemu::find(&FindOptions::default())?;
//! let debian = DebianOptions::default();
//! let kernel = Kernel::debian("bookworm", &debian)?;
//! let initramfs = Initramfs::new(&kernel, &busybox(&debian)?)?
//!     .modules(BLK_MODULES)
//!     .wait_for("/dev/vda")
//!     .job("mount -t ext4 /dev/vda /mnt && ls /mnt && umount /mnt")
//!     .build()?;
//! let mut guest = Guest::new(&qemu)
//!     .kernel(&kernel, initramfs)
//!     .argument("-drive")
//!     .argument("if=none,id=disk,format=raw,file=disk.img")
//!     .device("virtio-blk-pci,disable-modern=on,drive=disk")
//!     .start(|line| println!("{line}"))?;
//! guest.wait(Duration::from_secs(60))?.job()?;
//! # Ok(())
//! # }
//! ```
mod debian;
mod device;
mod error;
mod initramfs;
mod kernel;
mod modules;
mod processor;
mod qemu;
mod run;
mod vmlinux;

pub use debian::{DebianOptions, DebianPackages};
pub use device::{vfio_user_pci, virtio_blk_pci};
pub use error::GuestError;
pub use initramfs::{
    busybox, busybox_for, Initramfs, BALLOON_MODULES, BLK_MODULES, CONSOLE_MODULES, FIRMWARE_MODULES, NET_MODULES,
};
pub use kernel::Kernel;
pub use processor::Processor;
pub use qemu::{FindOptions, Qemu};
pub use run::{Ended, Guest, MachineType, Memory, Running};
