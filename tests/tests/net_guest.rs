//! A stock QEMU with an unmodified Debian kernel on the Verilated network port.
use std::time::Duration;
use virtio_hdl::backend::net::{Link, LinkSwitch, NetSpec};
use virtio_hdl::backend::{NetPort, WireStatistics};
use virtio_hdl::bridge::{BridgeOptions, Report};
use virtio_hdl::guest::{vfio_user_pci, Ended, Guest, Memory};
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::net_guest;
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);
const MAC: [u8; 6] = [0x52, 0x54, 0, 0xab, 0xcd, 1];

/// Serves the endpoint of this example on this network, with the hand at its plug.
fn serve(name: &str, network: &str, mac: [u8; 6]) -> (Served, LinkSwitch) {
    let config = example(name);
    let link = Link::new(network.parse::<NetSpec>().unwrap().open().unwrap()).unwrap();
    let switch = link.switch();
    let port = Box::new(NetPort::new(Box::new(link), mac, config.link.clock_hz));
    (Served::start(&config, port, BridgeOptions::default(), ServerOptions::default()), switch)
}

#[track_caller]
fn boot(guest: Guest, served: &Served) -> Ended {
    let mut running = guest.device(vfio_user_pci(&served.socket(), &[])).start(|_| {}).unwrap();
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    ended
}

/// A guest that talks with the peer; TCP carries 1 MiB each way.
#[track_caller]
fn talks(name: &str, change: impl FnOnce(Guest<'static>) -> Guest<'static>) -> Report {
    talks_long(name, 1, change)
}

/// The same with so many MiB.
#[track_caller]
fn talks_long(name: &str, mebibytes: u64, change: impl FnOnce(Guest<'static>) -> Guest<'static>) -> Report {
    let (served, _) = serve(name, "peer", MAC);
    let bytes = mebibytes << 20;
    let ended = boot(change(net_guest(&format!("size={bytes}; address; dhcp; pings; tcp"))), &served);
    assert!(ended.console.contains("address 52:54:00:ab:cd:01"), "{}", ended.console);
    assert!(ended.console.contains("20 packets transmitted, 20 packets received"), "{}", ended.console);
    let report = served.end();
    check_clean(&report);
    let wire = WireStatistics::of(&report.device).unwrap();
    assert!(wire.transmitted_bytes > bytes && wire.received_bytes > bytes, "{wire:?}");
    report
}

#[test]
fn linux_gets_an_address_pings_and_moves_tcp_with_msix() {
    let report = talks_long("net", 4, |guest| guest);
    assert!(report.msix_table_writes >= 12 && report.intx_asserted == 0, "{report:?}");
    assert!(report.vectors[1].fired > 8 && report.vectors[2].fired > 8, "{report:?}");
}

#[test]
fn linux_talks_with_intx() {
    let report = talks("net", |guest| guest.append("pci=nomsi"));
    assert!(report.intx_asserted > 8 && report.msix_table_writes == 0, "{report:?}");
}

#[test]
fn linux_talks_with_plain_rings_and_without_vectors() {
    talks("net-plain", |guest| guest);
    talks("net-intx", |guest| guest);
}

#[test]
fn linux_talks_with_two_processors_and_dma_by_message() {
    talks("net", |guest| guest.cpus(2).memory(Memory::Anonymous, 256));
}

#[test]
fn the_guest_sees_the_link_go_down_and_up() {
    let (served, link) = serve("net", "peer", MAC);
    let job = "address; dhcp; pings; echo connected
        carrier() { tries=0; while [ $(cat /sys/class/net/eth0/carrier) != $1 ]; do tries=$((tries + 1)); [ $tries -lt 600 ]; sleep 0.05; done; }
        carrier 0; echo unplugged; carrier 1; pings; echo back";
    let mut running = net_guest(job).device(vfio_user_pci(&served.socket(), &[])).start(|_| {}).unwrap();
    let wait = |running: &mut virtio_hdl::guest::Running, text: &str| {
        running.wait_for(text, TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    };
    wait(&mut running, "connected");
    link.set(false);
    wait(&mut running, "unplugged");
    link.set(true);
    wait(&mut running, "back");
    running.wait(TIMEOUT).unwrap().job().unwrap_or_else(|error| panic!("{error}"));
    let report = served.end();
    check_clean(&report);
    assert!(report.vectors[0].fired >= 2, "the configuration's vector: {report:?}");
}

#[test]
fn the_driver_is_unloaded_and_loaded_again() {
    let (served, _) = serve("net", "peer", MAC);
    let job = "address; dhcp; pings
        for round in 1 2; do rmmod virtio_net; [ ! -e /sys/class/net/eth0 ]; insmod /modules/virtio_net.ko; address; dhcp; pings; done; tcp";
    boot(net_guest(job), &served);
    check_clean(&served.end());
}

/// It writes the address byte by byte into the device config, which is behind the vectors; after a reset it is the card's own.
#[test]
fn linux_sets_the_address_of_the_card() {
    let (served, _) = serve("net", "peer", MAC);
    let job = r#"address
        config() { dd if=/sys/class/net/eth0/device/../resource0 bs=1 skip=24 count=6 2>/dev/null | md5sum; }
        ip link set eth0 address 52:54:00:0a:0b:0c
        [ "$(config)" = "$(printf '\122\124\000\012\013\014' | md5sum)" ]
        dhcp; pings
        rmmod virtio_net; insmod /modules/virtio_net.ko; address
        [ "$(config)" = "$(printf '\122\124\000\253\315\001' | md5sum)" ]"#;
    let ended = boot(net_guest(job), &served);
    assert_eq!(ended.console.matches("address 52:54:00:ab:cd:01").count(), 2, "{}", ended.console);
    check_clean(&served.end());
}

#[test]
fn two_guests_talk_through_two_endpoints() {
    let folder = tempfile::tempdir().unwrap();
    let end = |name: &str| folder.path().join(name).display().to_string();
    let (here, there) = (end("here"), end("there"));
    let (left, _) = serve("net", &format!("unix:{here},{there}"), [0x52, 0x54, 0, 0, 0, 1]);
    let (right, _) = serve("net", &format!("unix:{there},{here}"), [0x52, 0x54, 0, 0, 0, 2]);
    let common = "ip link set eth0 up; head -c 1048576 /dev/urandom >/tmp/data\n";
    let listen = "ip address add 10.1.0.1/24 dev eth0
        printf '#!/bin/sh\\ncat >/tmp/got\\n' >/tmp/take; chmod +x /tmp/take
        nc -l -p 5000 -e /tmp/take; md5sum </tmp/got";
    let send = "ip address add 10.1.0.2/24 dev eth0; until ping -c 1 -W 1 10.1.0.1 >/dev/null; do sleep 0.1; done
        sleep 1; nc 10.1.0.1 5000 </tmp/data; md5sum </tmp/data; echo sent";
    let start = |job: &str, served: &Served| {
        net_guest(&format!("{common}{job}")).device(vfio_user_pci(&served.socket(), &[])).start(|_| {}).unwrap()
    };
    let mut listener = start(listen, &left);
    let mut sender = start(send, &right);
    let sums = [&mut listener, &mut sender].map(|running| {
        let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        ended.job().unwrap_or_else(|error| panic!("{error}"));
        ended.console.lines().find(|line| line.ends_with("  -")).unwrap().to_string()
    });
    assert_eq!(sums[0], sums[1]);
    for served in [left, right] {
        check_clean(&served.end());
    }
}
