//! A stock QEMU with an unmodified Debian kernel on the Verilated balloon: the guest's memory, and QEMU's.
use std::time::{Duration, Instant};
use virtio_hdl::backend::{BalloonHandle, BalloonPort};
use virtio_hdl::bridge::BridgeOptions;
use virtio_hdl::control::{Client, Command};
use virtio_hdl::guest::{vfio_user_pci, Running};
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::balloon_guest;
use virtio_hdl_tests::serve::Serve;
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);
const MEBIBYTE: u64 = 1 << 20;
/// Pages of a mebibyte.
const PAGES: u32 = 256;

#[track_caller]
fn wait_for(running: &mut Running, text: &str) {
    running.wait_for(text, TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The number behind the last such word that the guest said.
#[track_caller]
fn said(running: &Running, word: &str) -> u64 {
    let console = running.console();
    let (_, behind) = console.rsplit_once(&format!("{word} ")).unwrap_or_else(|| panic!("no {word}: {console}"));
    behind.split_whitespace().next().unwrap().parse().unwrap()
}

/// MiB of the guest's memory that QEMU has.
fn resident(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssShmem:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Newer numbers of the guest's.
fn statistics(handle: &BalloonHandle) -> impl Fn(u16) -> u64 {
    let told = handle.state().told;
    handle.ask();
    until("newer statistics", || handle.state().told > told);
    let statistics = handle.state().statistics;
    move |tag| statistics[&tag]
}

/// Into the balloon and out again: QEMU's memory goes and comes, the guest says of its own what it sees, and one that has no memory left
/// takes it out of the balloon.
#[test]
fn memory_goes_to_the_host_and_comes_back_and_a_guest_in_need_takes_it() {
    let config = example("balloon");
    let mut port = BalloonPort::new(0, config.link.clock_hz);
    let handle = port.handle();
    let served = Served::start(&config, Box::new(port), BridgeOptions::default(), ServerOptions::default());
    let job = "mount -t tmpfs -o size=140m none /mnt
        fill() { dd if=/dev/zero of=/mnt/fill bs=1M count=120 2>/dev/null; rm /mnt/fill; }
        fill; echo filled
        balloon 30720; echo inflated; echo total $(memory MemTotal); echo free $(memory MemFree); echo measured
        balloon 0; fill; echo filled again
        balloon 32768; echo inflated again
        need=$(($(memory MemFree) / 1024 + 1))m
        head -c $need /dev/zero | tail -c $need >/dev/null; echo held $need
        echo left $(in_balloon)";
    let guest = balloon_guest(job).device(vfio_user_pci(&served.socket(), &[]));
    let mut running = guest.start(|_| {}).unwrap();
    wait_for(&mut running, "filled");
    let full = resident(&running);
    handle.set_target(120 * PAGES);
    wait_for(&mut running, "measured");
    until("all of it is in", || handle.state().actual == 120 * PAGES);
    let empty = resident(&running);
    assert!(empty + 110 < full, "{full} MiB before, {empty} MiB with 120 MiB in the balloon");
    let state = handle.state();
    assert_eq!((state.inflated, state.given_back), (30720, 120 * MEBIBYTE), "{state:?}");
    assert_eq!((state.deflated, state.kept, state.outside), (0, 0, 0), "{state:?}");

    let number = statistics(&handle);
    let (free, total) = (said(&running, "free") << 10, said(&running, "total") << 10);
    assert_eq!(number(5), total, "what the guest has all in all");
    assert!(number(4).abs_diff(free) < 16 * MEBIBYTE, "{} are free, /proc/meminfo says {free}", number(4));
    assert!(number(6) < total && number(3) > 1000, "{:?}", handle.state());

    handle.set_target(0);
    wait_for(&mut running, "filled again");
    let again = resident(&running);
    assert!(again > empty + 110, "{empty} MiB with 120 MiB in the balloon, {again} MiB after it");
    assert_eq!(handle.state().deflated, 30720);

    handle.set_target(128 * PAGES);
    wait_for(&mut running, "inflated again");
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    let state = handle.state();
    let taken = state.deflated - 30720;
    assert!(taken > 256 && !ended.console.contains("Out of memory"), "{taken} pages: {}", ended.console);
    let report = served.end();
    check_clean(&report);
    assert!(report.vectors[0].fired >= 3, "the configuration's vector: {report:?}");
}

/// From the beginning, and by command; a driver without features takes it from what the guest has all in all.
#[test]
fn a_served_balloon_takes_targets_from_the_command_line_and_by_its_socket() {
    let serve = Serve::of("balloon-plain", |command, folder| {
        command.arg("--control").arg(folder.join("control")).args(["--balloon", "64"]);
    });
    let mut client = Client::connect(&serve.path("control"), TIMEOUT).unwrap();
    let mut ask = |command| client.ask(&command).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ask(Command::Status)["side"]["target_pages"], 64 * PAGES);
    let job = "balloon 16384; echo total $(memory MemTotal); balloon 2048; echo grown $(memory MemTotal)";
    let mut running = serve.boot(balloon_guest(job));
    wait_for(&mut running, "total ");
    until("64 MiB are in", || ask(Command::Status)["side"]["actual_pages"] == 64 * PAGES);
    let empty = resident(&running);
    assert_eq!(ask(Command::Balloon { mebibytes: 8 })["target_pages"], 8 * PAGES);
    wait_for(&mut running, "grown ");
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    let word = |word: &str| -> u64 {
        let (_, behind) = ended.console.rsplit_once(word).unwrap();
        behind.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert_eq!(word("grown ") - word("total "), 56 << 10, "KiB: {}", ended.console);
    assert!(empty < 256 - 64, "{empty} MiB of 256 with 64 in the balloon");
    let statistics = ask(Command::Statistics);
    let balloon = &statistics["balloon"];
    assert_eq!(balloon["given_back_bytes"], 64 * MEBIBYTE, "{balloon}");
}
