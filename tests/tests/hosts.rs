//! Hosts and events that guests meet in practice: an IOMMU, a shared interrupt line, devices that are taken away or reset
//! under load.
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use virtio_hdl::bridge::{BridgeOptions, MsixMode, Report};
use virtio_hdl::guest::{vfio_user_pci, Ended, Guest};
use virtio_hdl::trace::TraceOptions;
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::{arm_guest, guest, kexec_guest, Ext4};
use virtio_hdl_tests::{check_sound, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);

fn serve(disk: &Ext4) -> Served {
    serve_with(disk, MsixMode::default())
}

fn serve_with(disk: &Ext4, msix: MsixMode) -> Served {
    let options = BridgeOptions { msix, ..BridgeOptions::default() };
    Served::start(&example("blk"), disk.port(), options, ServerOptions::default())
}

#[track_caller]
fn boot(guest: Guest) -> Ended {
    let mut running = guest.start(|_| {}).unwrap_or_else(|error| panic!("{error}"));
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    ended
}

/// QEMU's monitor.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// The argument of QEMU's that gives it one there.
    fn argument(socket: &Path) -> String {
        format!("unix:{},server=on,wait=off", socket.display())
    }

    fn connect(socket: &Path) -> Self {
        let end = Instant::now() + TIMEOUT;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => panic!("{}: {error}", socket.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut monitor = Monitor(BufReader::new(stream));
        monitor.read();
        monitor.execute("qmp_capabilities", json!({}));
        monitor
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn execute(&mut self, command: &str, arguments: Value) {
        let line = json!({ "execute": command, "arguments": arguments }).to_string();
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if answer.get("return").is_some() {
                return;
            }
        }
    }

    fn wait_for(&mut self, event: &str) {
        while self.read().get("event").and_then(Value::as_str) != Some(event) {}
    }
}

/// A legacy driver hands physical addresses over. With `iommu=pt` the IOMMU lets them pass, and it may remap the interrupts.
#[test]
fn an_iommu_that_lets_the_device_pass_and_remaps_its_interrupts() {
    let disk = Ext4::new(31);
    let served = serve(&disk);
    let machine = guest("copy /dev/vda; grep virtio0-req /proc/interrupts")
        .append("intel_iommu=on iommu=pt no_timer_check")
        .argument("-machine")
        .argument("kernel-irqchip=split")
        .device("intel-iommu,intremap=on,caching-mode=on")
        .device(vfio_user_pci(&served.socket(), &[]));
    let ended = boot(machine);
    assert!(ended.console.contains("IR-PCI-MSI"), "interrupts are not remapped: {}", ended.console);
    let report = served.end();
    disk.check();
    check_sound(&report);
}

/// With an IOMMU that translates, each of the physical addresses faults: the host says so, the endpoint's queue stops, nothing is
/// written, and the server goes on to the next guest.
#[test]
fn behind_an_iommu_that_translates_dma_faults_and_nothing_is_written() {
    let disk = Ext4::new(32);
    let served = serve(&disk);
    let mut running = guest("")
        .append("intel_iommu=on iommu.passthrough=0 no_timer_check")
        .device("intel-iommu,caching-mode=on")
        .device(vfio_user_pci(&served.socket(), &[]))
        .start(|_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    running.wait_for("PTE Read access is not set", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    running.kill().unwrap_or_else(|error| panic!("{error}"));
    boot(guest("copy /dev/vda").device(vfio_user_pci(&served.socket(), &[])));
    let report = served.end();
    disk.check();
    check_sound(&report);
    assert_eq!(report.clients.len(), 2, "{report:?}");
    let client = &report.clients[0];
    // a sector for SeaBIOS, before there is an IOMMU
    assert!(client.written_mapped_bytes < 1024 && client.failed_dma > 0, "{client:?}");
}

/// An Arm with this interrupt controller, whose guest copies and finds its interrupts in these lines.
#[track_caller]
fn arm_copies(seed: u64, msix: MsixMode, controller: &str, interrupts: &str, append: &str) -> Report {
    let disk = Ext4::new(seed);
    let served = serve_with(&disk, msix);
    let machine = arm_guest(&format!("copy /dev/vda; grep '{interrupts}' /proc/interrupts"))
        .append(append)
        .argument("-machine")
        .argument(controller)
        .device(vfio_user_pci(&served.socket(), &[]));
    boot(machine);
    let report = served.end();
    disk.check();
    check_sound(&report);
    report
}

/// An ITS must know which device a message is from. QEMU says it of the messages of its own table, and not of those of the RTL's.
#[test]
fn an_arm_with_an_its_is_interrupted_by_eventfds() {
    let report = arm_copies(38, MsixMode::Eventfd, "gic-version=3", "ITS-MSI.*virtio0-req", "");
    assert!(report.vectors[1].fired > 8 && report.messages_to_its == 0, "{report:?}");
}

/// A GICv2m asks for no device.
#[test]
fn an_arm_without_an_its_is_interrupted_by_the_table_of_the_rtl() {
    let report = arm_copies(39, MsixMode::Table, "gic-version=2", "MSI.*virtio0-req", "");
    assert!(report.msix_table_writes >= 8 && report.vectors[1].fired > 8, "{report:?}");
    assert_eq!((report.messages_to_its, report.intx_asserted), (0, 0));
}

/// The line needs no message.
#[test]
fn an_arm_with_an_its_is_interrupted_by_the_line() {
    let report = arm_copies(40, MsixMode::Table, "gic-version=3", "GICv3.*virtio0", "pci=nomsi");
    assert!(report.intx_asserted > 8, "{report:?}");
}

/// The guest waits for its disk for ever; the server says why, and what to do.
#[test]
fn messages_that_an_its_drops_are_told_of() {
    let disk = Ext4::new(41);
    let served = serve(&disk);
    let mut running = arm_guest("")
        .append("loglevel=8")
        .argument("-machine")
        .argument("gic-version=3")
        .device(vfio_user_pci(&served.socket(), &[]))
        .start(|_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    // It reads its first sector then.
    running.wait_for("[vda] ", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    std::thread::sleep(Duration::from_secs(3));
    let ended = running.kill().unwrap_or_else(|error| panic!("{error}"));
    assert!(!ended.console.contains("virtio-hdl: /dev/vda"), "the ITS took the message: {}", ended.console);
    let report = served.end();
    check_sound(&report);
    assert!(report.messages_to_its == 1 && report.vectors[1].fired == 1, "{report:?}");
}

/// Two endpoints on one line of the interrupt controller, both at work: no interrupt is nobody's, and none is lost.
#[test]
fn two_endpoints_share_an_interrupt_line_with_traffic_on_both() {
    let disks = [Ext4::new(33), Ext4::new(34)];
    let served = disks.each_ref().map(serve);
    let job = "while [ ! -b /dev/vdb ]; do sleep 0.05; done
        cat /dev/vdb >/dev/null & copy /dev/vda
        wait; fresh
        cat /dev/vda >/dev/null & copy /dev/vdb
        wait
        grep virtio0 /proc/interrupts | grep virtio1
        [ -z \"$(dmesg | grep -i 'nobody cared')\" ]";
    // Interrupt pins of slots that are four apart meet (PCI-to-PCI bridge specification, section 9.1).
    let machine = ["0x4", "0x8"].iter().zip(&served).fold(guest(job).append("pci=nomsi"), |guest, (slot, served)| {
        guest.device(vfio_user_pci(&served.socket(), &[("addr", json!(slot))]))
    });
    boot(machine);
    for (disk, served) in disks.iter().zip(served) {
        let report = served.end();
        disk.check();
        check_sound(&report);
        assert!(report.intx_asserted > 8, "{report:?}");
    }
}

/// The driver goes and comes while requests are under way: they fail, the next ones work.
#[test]
fn fifty_unbinds_under_load() {
    let disk = Ext4::new(35);
    let served = serve(&disk);
    let job = "set +e
        device=$(basename $(readlink -f /sys/block/vda/device/..))
        round=0
        while [ $round -lt 50 ]; do
            dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null &
            echo $device >/sys/bus/pci/drivers/virtio-pci/unbind
            wait
            echo $device >/sys/bus/pci/drivers/virtio-pci/bind
            while [ ! -b /dev/vda ]; do sleep 0.02; done
            fresh
            round=$((round + 1))
        done
        set -e
        copy /dev/vda; echo rounds $round";
    let ended = boot(guest(job).device(vfio_user_pci(&served.socket(), &[])));
    assert!(ended.console.contains("rounds 50"), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_sound(&report);
    assert!(report.msix_table_writes >= 50 * 8, "{report:?}");
}

/// The machine is reset while reads of 256 KiB are under way: none of them reaches the memory of the system that boots then.
#[test]
fn the_machine_is_reset_under_load() {
    let disk = Ext4::new(36);
    let served = serve(&disk);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("monitor");
    let job = "mount -t ext4 /dev/vda /mnt
        if [ ! -e /mnt/mark ]; then
            touch /mnt/mark; umount /mnt
            for reader in 1 2 3 4; do while true; do fresh; cat /dev/vda >/dev/null; done & done
            sleep 1; echo 'under load'; sleep 100
        fi
        umount /mnt; copy /dev/vda; echo second";
    let machine = guest(job)
        .reboots()
        .argument("-qmp")
        .argument(Monitor::argument(&socket))
        .device(vfio_user_pci(&served.socket(), &[]));
    let mut running = machine.start(|_| {}).unwrap_or_else(|error| panic!("{error}"));
    running.wait_for("under load", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    Monitor::connect(&socket).execute("system_reset", json!({}));
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    assert!(ended.console.contains("second"), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_sound(&report);
}

/// What a log of TLPs says of Bus Master: for each time that the bit fell, cycles since the last packet to memory; and how many
/// packets to memory left while it was clear. One that leaves ahead of the answer to the write that clears it is not late.
fn without_bus_master(log: &str) -> (Vec<u64>, usize) {
    let (mut falls, mut late, mut last) = (Vec::new(), 0, 0);
    // The bit, and whether the write to it has been answered.
    let (mut on, mut answered) = (false, true);
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let cycle: u64 = words.next().unwrap().parse().unwrap();
        // "to device", "to host"
        let (direction, kind) = (words.nth(1).unwrap(), words.next().unwrap());
        if kind == "CfgWr0" && line.contains("register 0x004") {
            let (_, data) = line.split_once("data ").unwrap();
            let now = u32::from_str_radix(data.trim(), 16).unwrap() & 4 != 0;
            if on && !now {
                falls.push(cycle.saturating_sub(last));
            }
            (on, answered) = (now, false);
        }
        answered |= kind == "Cpl";
        if matches!(kind, "MWr" | "MRd") && direction == "host" {
            late += usize::from(!on && answered);
            last = cycle;
        }
    }
    (falls, late)
}

/// Another kernel is started by the one that runs (kexec) while reads are under way, with no reset in between but what Linux does: it
/// clears Bus Master. Nothing comes late, and the new kernel finds its disk.
#[test]
fn another_kernel_is_started_under_load() {
    let disk = Ext4::new(42);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let trace = TraceOptions { tlp_log: Some(log.clone()), ..TraceOptions::default() };
    let options = BridgeOptions { trace, ..BridgeOptions::default() };
    let served = Served::start(&example("blk"), disk.port(), options, ServerOptions::default());
    let job = "for reader in 1 2 3 4; do
            while true; do dd if=/dev/vda of=/dev/null bs=4M iflag=direct 2>/dev/null; done &
        done
        sleep 1; echo 'under load'; sh /kexec; echo \"kexec: $?\"; exit 1";
    let machine = kexec_guest(job, "copy /dev/vda; echo second").device(vfio_user_pci(&served.socket(), &[]));
    let ended = boot(machine);
    assert!(ended.console.contains("under load") && ended.console.contains("second"), "{}", ended.console);
    let report = served.end();
    disk.check();
    check_sound(&report);
    let (falls, late) = without_bus_master(&std::fs::read_to_string(log).unwrap());
    assert!(falls.len() == 1 && falls[0] < 10_000, "no load when Linux cleared the bit: {falls:?}");
    assert_eq!(late, 0, "packets to memory while Bus Master was clear");
}

/// The device is unplugged while it is read from, and plugged in again.
#[test]
fn the_device_is_unplugged_under_load() {
    let disk = Ext4::new(37);
    let served = serve(&disk);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("monitor");
    let job = "set +e
        while true; do fresh; cat /dev/vda >/dev/null || break; done &
        sleep 1; echo 'under load'
        while [ -b /dev/vda ]; do sleep 0.05; done
        wait; echo unplugged
        while [ ! -b /dev/vda ]; do sleep 0.05; done
        set -e
        copy /dev/vda";
    let device = vfio_user_pci(&served.socket(), &[("bus", json!("root")), ("id", json!("disk"))]);
    let machine = guest(job)
        .argument("-qmp")
        .argument(Monitor::argument(&socket))
        .device("pcie-root-port,id=root,chassis=1")
        .device(device.clone());
    let mut running = machine.start(|_| {}).unwrap_or_else(|error| panic!("{error}"));
    let mut monitor = Monitor::connect(&socket);
    running.wait_for("under load", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    monitor.execute("device_del", json!({ "id": "disk" }));
    monitor.wait_for("DEVICE_DELETED");
    running.wait_for("unplugged", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    let device: Value = serde_json::from_str(&device).unwrap();
    monitor.execute("device_add", device);
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    let report = served.end();
    disk.check();
    check_sound(&report);
    assert_eq!(report.clients.len(), 2, "{report:?}");
}
