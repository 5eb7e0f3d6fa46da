//! What goes wrong before a guest runs, and what is said about it; what is fetched once.
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use virtio_hdl::guest::{busybox, DebianOptions, DebianPackages, FindOptions, GuestError, Initramfs, Kernel, Qemu};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Fails unless the error's text has all these.
fn says<T>(result: std::result::Result<T, GuestError>, parts: &[&str]) -> Result {
    let error = result.err().ok_or("no error")?.to_string();
    match parts.iter().find(|part| !error.contains(*part)) {
        None => Ok(()),
        Some(part) => Err(format!("{part:?} is not in:\n{error}").into()),
    }
}

/// Nothing is cached.
fn fresh(cache: &TempDir) -> DebianOptions {
    DebianOptions { cache: Some(cache.path().into()), quiet: true, ..DebianOptions::default() }
}

/// A program that answers as this script does.
fn program(folder: &TempDir, script: &str) -> Result<FindOptions> {
    let path = folder.path().join("qemu");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(FindOptions { qemu: Some(path), ..FindOptions::default() })
}

#[test]
fn a_qemu_is_found_and_has_the_device() -> Result {
    let qemu = Qemu::find(&FindOptions::default())?;
    let mut numbers = qemu.version().split('.').map_while(|number| number.parse::<u32>().ok());
    assert!((numbers.next(), numbers.next()) >= (Some(10), Some(1)), "{}", qemu.version());
    let help = qemu.command().args(["-device", "vfio-user-pci,help"]).output()?;
    assert!(String::from_utf8(help.stdout)?.contains("socket="));
    // In Debian's QEMU this accelerator is a module.
    let mut qtest = qemu.command();
    qtest.args(["-accel", "qtest", "-machine", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]);
    let mut qtest = qtest.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    qtest.stdin.take().ok_or("no input")?.write_all(b"quit\n")?;
    assert!(qtest.wait()?.success());
    Ok(())
}

#[test]
fn a_qemu_without_the_device_is_refused() -> Result {
    let folder = TempDir::new()?;
    let script = "case $1 in --version) echo 'QEMU emulator version 7.2.22 (Debian 1:7.2)' ;; esac";
    let options = program(&folder, script)?;
    says(Qemu::find(&options), &["QEMU 7.2.22", "no device vfio-user-pci", "QEMU 10.1", "--qemu"])
}

#[test]
fn a_program_that_is_no_qemu_is_refused() -> Result {
    let folder = TempDir::new()?;
    says(Qemu::find(&program(&folder, "echo hello")?), &["does not answer --version as QEMU does: hello"])?;
    let none = FindOptions { qemu: Some("/no/such/qemu".into()), ..FindOptions::default() };
    says(Qemu::find(&none), &["/no/such/qemu cannot be started", "No such file"])
}

#[test]
fn a_kernel_that_is_none_is_refused() -> Result {
    let folder = TempDir::new()?;
    let text = folder.path().join("text");
    std::fs::write(&text, "no kernel ".repeat(100))?;
    let short = folder.path().join("short");
    std::fs::write(&short, "short")?;
    says(Kernel::from_file(Path::new("/no/such/kernel"), None), &["cannot read /no/such/kernel", "No such file"])?;
    says(Kernel::from_file(&text, None), &["text is no Linux kernel", "boot header is missing", "bzImage"])?;
    says(Kernel::from_file(&short, None), &["too short"])?;
    says(Kernel::from_file(folder.path(), None), &["not a file"])?;
    says(Kernel::from_file(&std::env::current_exe()?, None), &["ELF", "vmlinux"])
}

#[test]
fn debians_kernels_are_unpacked_and_a_users_is_not() -> Result {
    // One is packed with LZ4, one with zstd.
    for suite in ["bookworm", "trixie"] {
        let kernel = Kernel::debian(suite, &DebianOptions::default())?;
        let vmlinux = kernel.vmlinux.ok_or("it is not unpacked")?;
        assert_eq!(vmlinux.parent(), kernel.image.parent(), "{suite}");
        let content = std::fs::read(&vmlinux)?;
        assert!(content.starts_with(b"\x7fELF"), "{suite}");
        let banner = format!("Linux version {} ", kernel.version);
        assert!(content.windows(banner.len()).any(|window| window == banner.as_bytes()), "{suite}: no {banner:?}");
        assert_eq!(Kernel::from_file(&kernel.image, None)?.vmlinux, None, "{suite}");
    }
    Ok(())
}

#[test]
fn modules_are_taken_from_a_folder_in_order_of_dependency() -> Result {
    let debian = DebianOptions::default();
    let kernel = Kernel::debian("bookworm", &debian)?;
    let busybox = busybox(&debian)?;
    says(Kernel::from_file(&kernel.image, Some(Path::new("/no/such/modules"))), &["/no/such/modules"])?;
    let missing = Initramfs::new(&kernel, &busybox)?.modules(&["no_such_module"]).build();
    says(missing, &["no_such_module", &kernel.version, "neither built in"])?;
    // Without modules, all is taken for built in.
    let without = Kernel::from_file(&kernel.image, None)?;
    Initramfs::new(&without, &busybox)?.modules(&["virtio_blk"]).build()?;

    let archive = Initramfs::new(&kernel, &busybox)?
        .modules(&["virtio_blk", "virtio-pci", "virtio_pci", "no_such_module?"])
        .file("some/where/else", "content")
        .build()?;
    let mut order = String::new();
    let mut names = Vec::new();
    let mut rest = &*archive;
    loop {
        let mut reader = cpio::NewcReader::new(rest)?;
        if reader.entry().is_trailer() {
            break;
        }
        names.push(reader.entry().name().to_string());
        if reader.entry().name() == "modules/order" {
            std::io::Read::read_to_string(&mut reader, &mut order)?;
        }
        rest = reader.finish()?;
    }
    let expected =
        ["virtio", "virtio_ring", "virtio_blk", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"];
    let position = |name: &str| order.lines().position(|line| line == name);
    assert_eq!(order.lines().count(), expected.len(), "{order}");
    for (before, after) in [(0, 1), (1, 2), (1, 5), (3, 5), (4, 5)] {
        assert!(position(expected[before]) < position(expected[after]), "{order}");
        assert!(position(expected[before]).is_some(), "{order}");
    }
    let place = |name: &str| names.iter().position(|entry| entry == name);
    assert!(place("some") < place("some/where") && place("some/where") < place("some/where/else"), "{names:?}");
    assert!(place("some").is_some());
    Ok(())
}

#[test]
fn a_mirror_that_is_not_there_is_named() -> Result {
    let cache = TempDir::new()?;
    let options = DebianOptions { mirror: "http://127.0.0.1:9/debian".into(), ..fresh(&cache) };
    says(
        busybox(&options),
        &["cannot fetch busybox", "127.0.0.1", "Connection refused", "proxy", "VIRTIO_HDL_MIRROR"],
    )?;
    let left: Vec<_> = std::fs::read_dir(cache.path())?.flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|path| path.extension().is_some_and(|extension| extension == "lock")), "{left:?}");
    Ok(())
}

#[test]
fn a_suite_or_package_that_is_not_there_is_named() -> Result {
    let cache = TempDir::new()?;
    let options = fresh(&cache);
    says(Kernel::debian("no-such-suite", &options), &["Linux of no-such-suite", "does not have a Release file"])?;
    says(Kernel::debian("book worm", &options), &["\"book worm\" cannot be a suite"])?;
    let mirror = DebianOptions { mirror: "http://a\" b/".into(), ..fresh(&cache) };
    says(busybox(&mirror), &["cannot be a mirror"])?;
    let packages = DebianPackages {
        name: "this",
        architecture: "amd64",
        suites: &["bookworm"],
        packages: &["no-such-package"],
        only: "",
    };
    says(packages.install(&options), &["cannot fetch this", "Unable to locate package no-such-package"])
}

#[test]
fn parallel_users_fetch_once() -> Result {
    let cache = TempDir::new()?;
    let options = fresh(&cache);
    let one = || -> std::result::Result<(PathBuf, u64), String> {
        let path = busybox(&options).map_err(|error| error.to_string())?;
        let inode = std::fs::metadata(&path).map_err(|error| error.to_string())?.ino();
        Ok((path, inode))
    };
    let found = std::thread::scope(|scope| {
        let all: Vec<_> = (0..3).map(|_| scope.spawn(one)).collect();
        all.into_iter()
            .map(|thread| thread.join().map_err(|_| "panic")?.map_err(Into::into))
            .collect::<Result<Vec<_>>>()
    })?;
    assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
    let said = Command::new(&found[0].0).args(["echo", "it", "runs"]).output()?;
    assert_eq!(String::from_utf8(said.stdout)?, "it runs\n");
    Ok(())
}

#[test]
#[ignore = "started by a_system_that_is_no_debian_is_named, with an empty PATH"]
fn helper_fetches_busybox() -> Result {
    let cache = TempDir::new()?;
    println!("{}", busybox(&fresh(&cache)).err().ok_or("no error")?);
    Ok(())
}

#[test]
fn a_system_that_is_no_debian_is_named() -> Result {
    let mut helper = Command::new(std::env::current_exe()?);
    helper.args(["--exact", "helper_fetches_busybox", "--ignored", "--nocapture"]).env("PATH", "/no/such/folder");
    let said = String::from_utf8(helper.output()?.stdout)?;
    assert!(said.contains("this is no Debian system") && said.contains("--qemu and --kernel"), "{said}");
    Ok(())
}

#[test]
fn kvm_is_found_out_quickly() -> Result {
    let qemu = Qemu::find(&FindOptions::default())?;
    let begin = std::time::Instant::now();
    let works = qemu.kvm_works();
    assert!(begin.elapsed().as_secs_f64() < 5.0, "{:?}", begin.elapsed());
    assert!(!works || Path::new("/dev/kvm").exists());
    Ok(())
}
