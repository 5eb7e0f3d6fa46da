//! Firmware that boots from the endpoint, or by its network: what it needs of the legacy interface is an I/O BAR.
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::time::Duration;
use virtio_hdl::backend::{net, Disk, DiskPort, NetPort};
use virtio_hdl::bridge::BridgeOptions;
use virtio_hdl::guest::{vfio_user_pci, DebianOptions, DebianPackages, Guest, MachineType, Running};
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::qemu;
use virtio_hdl_tests::{check_sound, example, Served};

const TIMEOUT: Duration = Duration::from_secs(60);
/// What the first sector holds.
const LINE: &str = "this line came through the endpoint";

/// A file of a package of Debian's.
fn packaged(package: &str, path: &str) -> PathBuf {
    let packages = [package];
    let packages = DebianPackages {
        name: package,
        architecture: "amd64",
        suites: &["bookworm"],
        packages: &packages,
        only: package,
    };
    packages.install(&DebianOptions::default()).unwrap_or_else(|error| panic!("{error}")).join(path)
}

fn serve_disk(image: &[u8]) -> (tempfile::NamedTempFile, Served) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    let port = Box::new(DiskPort::new(Disk::open(file.path(), false).unwrap(), 0));
    let served = Served::start(&example("blk"), port, BridgeOptions::default(), ServerOptions::default());
    (file, served)
}

fn start(guest: Guest) -> Running {
    guest.start(|_| {}).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn wait_for(running: &mut Running, text: &str) {
    if let Err(error) = running.wait_for(text, TIMEOUT) {
        panic!("{error}\n{}", running.console());
    }
}

#[test]
fn u_boot_reads_the_disk() {
    let mut image = vec![0; 1 << 20];
    image[..LINE.len()].copy_from_slice(LINE.as_bytes());
    let (_file, served) = serve_disk(&image);
    let machine = Guest::new(qemu())
        .machine(MachineType::Pc)
        .argument("-bios")
        .argument(packaged("u-boot-qemu", "usr/lib/u-boot/qemu-x86_64/u-boot.rom"))
        .device(vfio_user_pci(&served.socket(), &[]));
    let mut running = start(machine);
    wait_for(&mut running, "stop autoboot");
    running.send("\n").unwrap();
    for (command, answer) in [
        ("pci enum; pci\n", "0x1af4"),
        ("virtio scan\n", "=>"),
        ("virtio info\n", "Device 0"),
        ("virtio read 1000000 0 1\n", "1 blocks read: OK"),
        ("md.b 1000000 30\n", "this line came t"),
    ] {
        running.send(command).unwrap();
        wait_for(&mut running, answer);
    }
    running.kill().unwrap();
    check_sound(&served.end());
}

/// A FAT file system whose script the UEFI shell runs at start: it prints a file and switches the machine off.
fn uefi_image() -> Vec<u8> {
    let mut image = Cursor::new(vec![0; 4 << 20]);
    fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
    let files = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
    for (name, text) in [("startup.nsh", "type fs0:\\line.txt\r\nreset -s\r\n"), ("line.txt", LINE)] {
        files.root_dir().create_file(name).unwrap().write_all(text.as_bytes()).unwrap();
    }
    drop(files);
    image.into_inner()
}

#[test]
fn ovmf_reads_files_from_the_disk() {
    let (_file, served) = serve_disk(&uefi_image());
    let machine = Guest::new(qemu())
        .argument("-bios")
        .argument(packaged("ovmf", "usr/share/ovmf/OVMF.fd"))
        .device(vfio_user_pci(&served.socket(), &[]));
    let mut running = start(machine);
    wait_for(&mut running, LINE);
    running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    let report = served.end();
    check_sound(&report);
    assert!(report.device_count("disk_commands") > 0, "{report:?}");
}

#[test]
fn ipxe_gets_an_address() {
    let config = example("net");
    let port = NetPort::new(Box::new(net::Peer::new()), config.net_options().mac, config.link.clock_hz);
    let served = Served::start(&config, Box::new(port), BridgeOptions::default(), ServerOptions::default());
    let machine = Guest::new(qemu())
        .argument("-machine")
        .argument("graphics=off")
        .argument("-kernel")
        .argument(packaged("ipxe", "boot/ipxe.lkrn"))
        .device(vfio_user_pci(&served.socket(), &[]));
    let mut running = start(machine);
    wait_for(&mut running, "iPXE");
    wait_for(&mut running, "52:54:00:12:34:56");
    wait_for(&mut running, "10.0.2.15");
    running.kill().unwrap();
    check_sound(&served.end());
}
