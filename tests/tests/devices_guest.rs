//! Devices of every kind in one guest at once, each a Verilated endpoint of its own.
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use virtio_hdl::backend::console::{SocketConsole, TerminalSize};
use virtio_hdl::backend::net::NetSpec;
use virtio_hdl::backend::{BalloonPort, ConsolePort, NetPort};
use virtio_hdl::bridge::{BridgeOptions, Report};
use virtio_hdl::guest::{vfio_user_pci, Guest, Memory};
use virtio_hdl::model::DeviceSide;
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::{guest_of_all, Ext4};
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);
/// What the guest prints each time.
const TEXT: [u8; 4096] = [b'x'; 4096];
/// In the balloon, 4,096 pages.
const BALLOON_MIB: u32 = 16;
const MAC: [u8; 6] = [0x52, 0x54, 0, 0xab, 0xcd, 1];

/// Their endpoints.
struct Devices {
    disk: Ext4,
    console: PathBuf,
    served: Vec<Served>,
    _folder: tempfile::TempDir,
}

impl Devices {
    fn serve(server: ServerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("console");
        let disk = Ext4::new(77);
        let clock_hz = example("net").link.clock_hz;
        let terminal = SocketConsole::bind(&console).unwrap();
        let sides: [(&str, Box<dyn DeviceSide>); 4] = [
            ("blk", disk.port()),
            ("net", Box::new(NetPort::new(NetSpec::Peer.open().unwrap(), MAC, clock_hz))),
            ("console", Box::new(ConsolePort::new(Box::new(terminal), TerminalSize { cols: 80, rows: 25 }, clock_hz))),
            ("balloon", Box::new(BalloonPort::new(BalloonPort::pages(BALLOON_MIB), clock_hz))),
        ];
        let served = sides.map(|(name, side)| Served::start(&example(name), side, BridgeOptions::default(), server));
        Devices { disk, console, served: served.into(), _folder: folder }
    }

    /// All of them work together, twice: before and after each has been unbound and bound.
    #[track_caller]
    fn work(self, change: impl FnOnce(Guest<'static>) -> Guest<'static>) -> Vec<Report> {
        let job = "size=262144
            work() {
                copy /dev/vda & copying=$!
                dhcp; pings; tcp; balloon 4096
                open; cat /tmp/text >&3; read -r line <&3; echo \"line $line\"; exec 3>&-
                wait $copying
            }
            head -c 4096 /dev/zero | tr '\\0' x >/tmp/text
            work
            ip link set eth0 down
            for driver in virtio_blk virtio_net virtio_console virtio_balloon; do
                device=$(basename $(dirname $(readlink -f /sys/bus/virtio/drivers/$driver/virtio*)))
                echo $device >/sys/bus/pci/drivers/virtio-pci/unbind
                echo $device >/sys/bus/pci/drivers/virtio-pci/bind
            done
            while [ ! -b /dev/vda ]; do sleep 0.05; done
            work";
        let slots = ["0x4", "0x8", "0xc", "0x10"];
        let guest = slots.iter().zip(&self.served).fold(change(guest_of_all(job)), |guest, (slot, served)| {
            guest.device(vfio_user_pci(&served.socket(), &[("addr", json!(slot))]))
        });
        let mut running = guest.start(|_| {}).unwrap();
        let mut terminal = UnixStream::connect(&self.console).unwrap();
        terminal.set_read_timeout(Some(TIMEOUT)).unwrap();
        for round in ["first", "second"] {
            let mut found = [0; TEXT.len()];
            terminal.read_exact(&mut found).unwrap_or_else(|error| panic!("{error}: {}", running.console()));
            assert!(found == TEXT);
            writeln!(terminal, "{round}").unwrap();
            running.wait_for(&format!("line {round}"), TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        }
        let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
        self.disk.check();
        self.served
            .into_iter()
            .map(|served| {
                let report = served.end();
                check_clean(&report);
                report
            })
            .collect()
    }
}

#[test]
fn devices_of_every_kind_work_in_one_guest_with_msix() {
    for report in Devices::serve(ServerOptions::default()).work(|guest| guest) {
        assert!(
            report.intx_asserted == 0 && report.vectors.iter().map(|vector| vector.fired).sum::<u64>() > 4,
            "{report:?}"
        );
    }
}

/// Interrupt pins of slots that are four apart meet (PCI-to-PCI bridge specification, section 9.1).
#[test]
fn devices_of_every_kind_work_in_one_guest_on_one_interrupt_line() {
    for report in Devices::serve(ServerOptions::default()).work(|guest| guest.append("pci=nomsi")) {
        assert!(report.intx_asserted > 2 && report.msix_table_writes == 0, "{report:?}");
    }
}

/// Without shared memory each access of theirs is a message, and QEMU answers reads of an ISR before it carries out writes that are on
/// their way.
#[test]
fn devices_of_every_kind_work_in_one_guest_on_one_interrupt_line_by_messages() {
    let devices = Devices::serve(ServerOptions { map: false });
    for report in devices.work(|guest| guest.append("pci=nomsi").memory(Memory::Anonymous, 256)) {
        assert!(report.intx_asserted > 2 && report.msix_table_writes == 0, "{report:?}");
    }
}
