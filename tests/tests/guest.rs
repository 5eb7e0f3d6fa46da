//! A stock QEMU with an unmodified Debian kernel on the Verilated endpoint.
use serde_json::json;
use std::time::Duration;
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::bridge::{BridgeOptions, MsixMode, Report};
use virtio_hdl::guest::{vfio_user_pci, Ended, Guest, MachineType, Memory};
use virtio_hdl::vfio_user::{region, ServerOptions};
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_tests::blocks::behind;
use virtio_hdl_tests::guest::{guest, guest_of, qemu, Ext4};
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(120);
fn serve(name: &str, disk: &Ext4) -> Served {
    Served::start(&example(name), disk.port(), BridgeOptions::default(), ServerOptions::default())
}

#[track_caller]
fn boot(guest: Guest, served: &Served) -> Ended {
    boot_with(guest.device(vfio_user_pci(&served.socket(), &[])))
}

#[track_caller]
fn boot_with(guest: Guest) -> Ended {
    let mut running = guest.start(|_| {}).unwrap_or_else(|error| panic!("{error}"));
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    ended
}

/// The guest programmed the RTL's own table, and its queue's vector fired.
#[track_caller]
fn check_msix(report: &Report) {
    assert!(report.msix_table_writes >= 8, "{report:?}");
    assert!(report.clients[0].region_writes[region::BAR1 as usize] >= 8, "{report:?}");
    let queue = &report.vectors[1];
    assert!((0xfee0_0000..0xfef0_0000).contains(&queue.address) && queue.fired > 8, "{report:?}");
    assert_eq!(report.intx_asserted, 0);
}

/// One boot that copies, on the endpoint of the example `blk`.
#[track_caller]
fn copies(seed: u64, change: impl FnOnce(Guest<'static>) -> Guest<'static>) -> (Ended, Report) {
    copies_on(&example("blk"), Ext4::new(seed), change)
}

/// One boot that copies, on this endpoint.
#[track_caller]
fn copies_on(
    config: &EndpointConfig,
    disk: Ext4,
    change: impl FnOnce(Guest<'static>) -> Guest<'static>,
) -> (Ended, Report) {
    let served = Served::start(config, disk.port(), BridgeOptions::default(), ServerOptions::default());
    let ended = boot(change(guest("copy /dev/vda")), &served);
    let report = served.end();
    disk.check();
    check_clean(&report);
    (ended, report)
}

#[test]
fn linux_mounts_copies_and_unmounts_with_msix() {
    let (_, report) = copies_on(&example("blk"), Ext4::large(1), |guest| guest);
    check_msix(&report);
    let client = &report.clients[0];
    assert!(client.read_mapped_bytes > 8 << 20 && client.written_mapped_bytes > 8 << 20, "{client:?}");
}

#[test]
fn linux_6_12_copies() {
    let disk = Ext4::new(15);
    let served = serve("blk", &disk);
    let ended = boot(guest_of("trixie", "copy /dev/vda; uname -r"), &served);
    assert!(ended.console.contains("\n6.12."), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix(&report);
}

#[test]
fn linux_copies_with_intx() {
    let (_, report) = copies_on(&example("blk"), Ext4::large(2), |guest| guest.append("pci=nomsi"));
    assert!(report.intx_asserted > 8, "{report:?}");
    assert_eq!(report.msix_table_writes, 0);
}

#[test]
fn linux_copies_behind_the_blocks_of_both_vendors() {
    for block in [(LinkInterface::SevenSeries, 128), (LinkInterface::UltraScalePlus, 256)] {
        let (_, report) = copies_on(&behind(block, "blk"), Ext4::large(16), |guest| guest);
        check_msix(&report);
    }
}

#[test]
fn linux_copies_with_two_processors() {
    let (_, report) = copies(3, |guest| guest.cpus(2));
    check_msix(&report);
}

#[test]
fn linux_copies_behind_a_root_port() {
    let disk = Ext4::new(4);
    let served = serve("blk", &disk);
    let device = vfio_user_pci(&served.socket(), &[("bus", json!("root"))]);
    let job = "copy /dev/vda; ls /sys/bus/pci/devices; ls /sys/bus/pci/devices | grep -q 0000:01:00.0";
    boot_with(guest(job).device("pcie-root-port,id=root,chassis=1").device(device));
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix(&report);
}

#[test]
fn linux_copies_on_a_pc_without_pci_express() {
    let (_, report) = copies(5, |guest| guest.machine(MachineType::Pc));
    check_msix(&report);
}

#[test]
fn linux_copies_with_dma_by_message() {
    let (_, report) = copies_on(&example("blk"), Ext4::large(6), |guest| guest.memory(Memory::Anonymous, 256));
    check_msix(&report);
    let client = &report.clients[0];
    assert_eq!((client.read_mapped_bytes, client.written_mapped_bytes), (0, 0));
    assert!(client.read_message_bytes > 8 << 20 && client.written_message_bytes > 8 << 20, "{client:?}");
}

#[test]
fn linux_copies_with_dma_by_message_intx_and_two_processors() {
    let (_, report) = copies(7, |guest| guest.memory(Memory::Anonymous, 256).append("pci=nomsi").cpus(2));
    assert!(report.intx_asserted > 8, "{report:?}");
}

#[test]
fn memory_that_is_not_shared_is_found_out_and_works_by_message() {
    let (_, report) = copies(8, |guest| guest.memory(Memory::Unshared, 256));
    check_msix(&report);
    let client = &report.clients[0];
    assert_eq!((client.read_mapped_bytes, client.written_mapped_bytes), (0, 0));
}

#[test]
fn linux_reboots_and_finds_the_disk_again() {
    let disk = Ext4::new(9);
    let served = serve("blk", &disk);
    let job = "mount -t ext4 /dev/vda /mnt
        if [ ! -e /mnt/rebooted ]; then
            touch /mnt/rebooted; umount /mnt; copy /dev/vda; echo first; stty echo; reboot -f; sleep 60
        fi
        umount /mnt; copy /dev/vda; echo second";
    let ended = boot(guest(job).reboots(), &served);
    assert!(ended.console.contains("first") && ended.console.contains("second"), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix(&report);
    assert!(report.resets >= 2, "{report:?}");
    assert_eq!(report.clients.len(), 1);
}

#[test]
fn linux_unbinds_and_binds_its_driver() {
    let disk = Ext4::new(10);
    let served = serve("blk", &disk);
    let job = "copy /dev/vda
        cd /sys/bus/pci/drivers/virtio-pci; device=$(echo 0000:*)
        for round in 1 2 3; do
            echo $device >unbind; [ ! -e /dev/vda ]
            echo $device >bind
            while [ ! -b /dev/vda ]; do sleep 0.05; done
            copy /dev/vda
        done
        cd /; echo bound again";
    let ended = boot(guest(job), &served);
    assert!(ended.console.contains("bound again"));
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix(&report);
}

/// Linux puts nothing back that QEMU shows as it was: the base addresses are QEMU's own.
#[test]
fn linux_resets_the_function_and_finds_the_disk_again() {
    let disk = Ext4::new(17);
    let served = serve("blk", &disk);
    let job = "copy /dev/vda
        cd /sys/bus/pci/drivers/virtio-pci; device=$(echo 0000:*)
        grep -w flr /sys/bus/pci/devices/$device/reset_method
        for round in 1 2; do
            echo $device >unbind; [ ! -e /dev/vda ]
            echo 1 >/sys/bus/pci/devices/$device/reset
            echo $device >bind
            while [ ! -b /dev/vda ]; do sleep 0.05; done
            copy /dev/vda
        done
        cd /; echo reset and found";
    let ended = boot(guest(job), &served);
    assert!(ended.console.contains("reset and found"));
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix(&report);
    assert_eq!(report.function_resets, 2);
}

#[test]
fn two_endpoints_work_at_once() {
    let disks = [Ext4::new(11), Ext4::new(12)];
    let served = [serve("blk", &disks[0]), serve("blk", &disks[1])];
    let job = "while [ ! -b /dev/vdb ]; do sleep 0.05; done
        mkdir /mnt2
        cat /dev/vdb >/dev/null &
        copy /dev/vda
        wait; fresh
        cat /dev/vda >/dev/null &
        copy /dev/vdb
        wait";
    let guest = served.iter().fold(guest(job), |guest, served| guest.device(vfio_user_pci(&served.socket(), &[])));
    boot_with(guest);
    for (disk, served) in disks.iter().zip(served) {
        let report = served.end();
        disk.check();
        check_clean(&report);
        check_msix(&report);
    }
}

#[test]
fn a_second_guest_follows_the_first_without_a_restart() {
    let disk = Ext4::new(13);
    let served = serve("blk", &disk);
    boot(guest("copy /dev/vda; mount -t ext4 /dev/vda /mnt; rm /mnt/copy; umount /mnt"), &served);
    boot(guest("copy /dev/vda").append("pci=nomsi"), &served);
    let report = served.end();
    disk.check();
    check_clean(&report);
    check_msix_of_first(&report);
    assert_eq!(report.clients.len(), 2);
}

#[track_caller]
fn check_msix_of_first(report: &Report) {
    assert!(report.vectors[1].fired > 8 && report.intx_asserted > 8, "{report:?}");
}

#[test]
fn vectors_reach_the_guest_as_eventfds_too() {
    let disk = Ext4::new(14);
    let options = BridgeOptions { msix: MsixMode::Eventfd, ..BridgeOptions::default() };
    let served = Served::start(&example("blk"), disk.port(), options, ServerOptions::default());
    let ended = boot(guest("copy /dev/vda; grep PCI-MSI /proc/interrupts"), &served);
    assert!(ended.console.contains("virtio0-req.0"), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_clean(&report);
    assert!(report.vectors[1].fired > 8 && report.clients[0].eventfds_signalled > 8, "{report:?}");
    // The guest's table is QEMU's.
    assert_eq!(report.clients[0].region_writes[region::BAR1 as usize], 0);
}

#[test]
fn every_example_endpoint_boots() {
    for (seed, name) in (20..).zip(["blk-memory-bar", "blk-one-vector", "blk-intx", "blk-plain"]) {
        let disk = Ext4::new(seed);
        let served = serve(name, &disk);
        boot(guest("copy /dev/vda"), &served);
        disk.check();
        check_clean(&served.end());
    }
}

/// Each processor has a queue of its own, and copies a quarter of the disk through it while the others do the same.
#[test]
fn linux_gives_each_of_four_processors_a_queue() {
    const QUARTER: usize = 2 << 20;
    let image = tempfile::NamedTempFile::new().unwrap();
    let mut disk = vec![0; 8 * QUARTER];
    let mut rng = Rng(21);
    disk[..4 * QUARTER].iter_mut().for_each(|byte| *byte = rng.next() as u8);
    std::fs::write(image.path(), &disk).unwrap();
    let port = Box::new(DiskPort::new(Disk::open(image.path(), false).unwrap(), 0));
    let served = Served::start(&example("blk-multiqueue"), port, BridgeOptions::default(), ServerOptions::default());
    let job = "[ $(ls /sys/block/vda/mq | wc -l) = 4 ]
        for n in 0 1 2 3; do
            taskset -c $n dd if=/dev/vda of=/dev/vda bs=64k count=32 skip=$((32 * n)) seek=$((128 + 32 * n)) conv=notrunc,fsync \
                2>/dev/null &
        done
        wait
        grep virtio0 /proc/interrupts";
    let ended = boot(guest(job).cpus(4), &served);
    assert!((0..4).all(|n| ended.console.contains(&format!("virtio0-req.{n}"))), "{}", ended.console);
    let report = served.end();
    check_clean(&report);
    for queue in &report.vectors[1..=4] {
        assert!(queue.fired > 8, "{report:?}");
    }
    let copied = std::fs::read(image.path()).unwrap();
    assert!(copied[..4 * QUARTER] == disk[..4 * QUARTER], "what was only read has changed");
    assert!(copied[4 * QUARTER..] == disk[..4 * QUARTER], "what was written differs");
}

/// Prints what is in the second sector on the first serial port, then switches the machine off.
const BOOT_SECTOR: [u8; 57] = [
    0x31, 0xc0, //             xor ax, ax
    0x8e, 0xd8, //             mov ds, ax
    0x8e, 0xc0, //             mov es, ax
    0xbb, 0x00, 0x80, //       mov bx, 0x8000
    0xb8, 0x01, 0x02, //       mov ax, 0x0201      ; read one sector
    0xb9, 0x02, 0x00, //       mov cx, 2           ; the second
    0xb6, 0x00, //             mov dh, 0
    0xcd, 0x13, //             int 0x13
    0x72, 0x21, //             jc fail
    0xbe, 0x00, 0x80, //       mov si, 0x8000
    0xac, //             next: lodsb
    0x84, 0xc0, //             test al, al
    0x74, 0x12, //             jz off
    0x88, 0xc3, //             mov bl, al
    0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd
    0xec, //                   in al, dx
    0xa8, 0x20, //             test al, 0x20
    0x74, 0xf8, //             jz wait
    0xba, 0xf8, 0x03, //       mov dx, 0x3f8
    0x88, 0xd8, //             mov al, bl
    0xee, //                   out dx, al
    0xeb, 0xe9, //             jmp next
    0xba, 0x04, 0x06, // off:  mov dx, 0x604       ; ACPI PM1a control
    0xb8, 0x00, 0x20, //       mov ax, 0x2000      ; sleep type 0, sleep enable: off
    0xef, //                   out dx, ax
    0xf4, //             fail: hlt
    0xeb, 0xfd, //             jmp fail
];

#[test]
fn seabios_boots_from_the_disk() {
    const LINE: &str = "this line came through the endpoint";
    let image = tempfile::NamedTempFile::new().unwrap();
    let mut disk = vec![0; 1 << 20];
    disk[..BOOT_SECTOR.len()].copy_from_slice(&BOOT_SECTOR);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[512..512 + LINE.len()].copy_from_slice(LINE.as_bytes());
    std::fs::write(image.path(), disk).unwrap();
    for machine in [MachineType::Q35, MachineType::Pc] {
        let port = Box::new(DiskPort::new(Disk::open(image.path(), true).unwrap(), 0));
        let served = Served::start(&example("blk"), port, BridgeOptions::default(), ServerOptions::default());
        let device = vfio_user_pci(&served.socket(), &[("bootindex", json!(0))]);
        let mut running = Guest::new(qemu()).machine(machine).device(device).start(|_| {}).unwrap();
        let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        assert!(ended.console.contains(LINE), "{machine:?}: {}\n{}", ended.console, ended.errors);
        let report = served.end();
        assert!(report.device_count("disk_commands") >= 2, "{report:?}");
        check_clean(&report);
    }
}
