//! The endpoint against QEMU's own virtio-blk, in the same guest, on the wall's clock.
use super::run::{on_endpoint, Outcome};
use super::{Arguments, Ended};
use crate::cli::device::Device;
use crate::cli::endpoint::Subject;
use crate::cli::output::outln;
use crate::cli::speed::median;
use crate::guest::virtio_blk_pci;
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Reads 1 MiB, writes it elsewhere, and reads it back.
const JOB: &str = "set -e
dd if=/dev/vda of=/tmp/read bs=64k count=16 iflag=direct
dd if=/tmp/read of=/dev/vda bs=64k seek=16 oflag=direct conv=fsync
dd if=/dev/vda of=/tmp/back bs=64k skip=16 count=16 iflag=direct
cmp /tmp/read /tmp/back
";
const DISK_BYTES: u64 = 8 << 20;
/// A guest that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Serialize)]
struct Comparison {
    /// Wall-clock seconds from QEMU's start to its end, of each run.
    endpoint_seconds: Vec<f64>,
    own_seconds: Vec<f64>,
    /// Of the medians.
    ratio: f64,
}

pub(super) fn run(arguments: &Arguments, runs: u32) -> anyhow::Result<()> {
    // one for each: an image is locked by who has it
    let (image, own_image) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let content: Vec<u8> =
        (0..DISK_BYTES / 4).flat_map(|word| (word as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    std::fs::write(image.path(), &content)?;
    std::fs::write(own_image.path(), &content)?;
    let config = arguments.endpoint.configuration()?;
    if Device::of(config.device)? != Device::Blk {
        bail!("--compare is for disks: CONFIG must be a virtio-blk endpoint");
    }
    let opened = arguments.endpoint.open_disk(&config, image.path())?;
    let mut bridge = arguments.endpoint.bridge(&Subject::Virtio(Box::new(config)), opened, None)?;
    let parts = arguments.parts(Some(Device::Blk), Some(JOB))?;
    let bar = ProgressBar::new(u64::from(2 * runs));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} boots ({elapsed})")?);
    let (mut endpoint_seconds, mut own_seconds) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let guest = arguments.guest(&parts);
        let Outcome { ended, seconds } =
            on_endpoint(&mut bridge, arguments.endpoint.server_options(), guest, |guest| guest.start(|_| {}))?;
        ended.job()?;
        endpoint_seconds.push(seconds);
        bar.inc(1);
        let mut drive = std::ffi::OsString::from("if=none,id=disk,format=raw,file=");
        drive.push(own_image.path());
        let begin = Instant::now();
        let guest = arguments.guest(&parts).argument("-drive").argument(drive).device(virtio_blk_pci("disk"));
        let ended: Ended = guest.start(|_| {})?.wait(TIMEOUT)?;
        own_seconds.push(begin.elapsed().as_secs_f64());
        ended.job()?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    bridge.finish()?;
    if bridge.report().device_count("disk_commands") == 0 {
        bail!("the guest did not use the endpoint");
    }
    let ratio = median(&endpoint_seconds) / median(&own_seconds);
    let comparison = Comparison { endpoint_seconds, own_seconds, ratio };
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&comparison)?);
        return Ok(());
    }
    outln!("boot, read 1 MiB, write it, read it back, compare, power off: median of {runs}");
    outln!("{:>12.2} s on the Verilated endpoint", median(&comparison.endpoint_seconds));
    outln!("{:>12.2} s on QEMU's own virtio-blk-pci (legacy)", median(&comparison.own_seconds));
    outln!("{ratio:>12.2} times");
    Ok(())
}
