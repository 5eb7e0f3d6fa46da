//! Control events under load, at random moments: see `scenario::events`. Few seeds here, many in `make soak`.
use virtio_hdl::backend::console::{TerminalSize, Typist};
use virtio_hdl::backend::{BalloonPort, ConsolePort, Disk, DiskPort, NetPort};
use virtio_hdl::machine::{Machine, MachineOptions};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::events::{self, Options, Report};
use virtio_hdl::scenario::wire::FarEnd;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_tests::blocks::{behind, BLOCKS};
use virtio_hdl_tests::{example, impatient, library};

/// Sectors of the disk.
const SECTORS: u64 = 2048;

/// Runs random events on this endpoint.
fn run(config: EndpointConfig, seed: u64, events: u64) -> Report {
    run_with(config, seed, events, false)
}

/// The same, or standstills only.
fn run_with(config: EndpointConfig, seed: u64, events: u64, standstills: bool) -> Report {
    let config = impatient(config);
    let stall = [0, 30, 60][seed as usize % 3];
    let mut options =
        MachineOptions { stall: Stall { receive: stall, transmit: stall, device: stall }, ..Default::default() };
    (options.link.seed, options.link.clock_hz) = (seed, config.link.clock_hz);
    let library = library(&config);
    let run = Options { events, seed, config: config.clone(), library: library.clone(), standstills };
    let report = match config.device.name {
        "blk" => {
            let mut machine =
                Machine::new(&library, Box::new(DiskPort::new(Disk::in_memory(SECTORS), 0)), &options).unwrap();
            events::run_disk(&mut machine, &run, &mut |_| {})
        }
        "console" => {
            let typist = Typist::default();
            let size = TerminalSize { cols: 80, rows: 25 };
            let port = ConsolePort::new(Box::new(typist.console()), size, config.link.clock_hz);
            let mut machine = Machine::new(&library, Box::new(port), &options).unwrap();
            events::run_console(&mut machine, &typist, &run, &mut |_| {})
        }
        "balloon" => {
            let mut port = BalloonPort::new(0, config.link.clock_hz);
            let handle = port.handle();
            let mut machine = Machine::new(&library, Box::new(port), &options).unwrap();
            events::run_balloon(&mut machine, &handle, &run, &mut |_| {})
        }
        _ => {
            let wire = FarEnd::default();
            let port = NetPort::new(wire.backend(), config.net_options().mac, config.link.clock_hz);
            let mut machine = Machine::new(&library, Box::new(port), &options).unwrap();
            events::run_port(&mut machine, &wire, &run, &mut |_| {})
        }
    };
    report.unwrap_or_else(|error| panic!("{:?}: {error}", config.link.interface))
}

#[test]
fn a_disk_lives_through_control_events_under_load() {
    for seed in 1..=3 {
        let report = run(example("blk"), seed, 100);
        assert!(report.ended > 200, "{report:?}");
    }
}

#[test]
fn a_port_lives_through_control_events_under_load() {
    for seed in 1..=3 {
        let report = run(example("net"), seed, 100);
        assert!(report.ended > 330, "{report:?}");
    }
}

#[test]
fn a_console_lives_through_control_events_under_load() {
    for seed in 1..=3 {
        let report = run(example("console"), seed, 100);
        assert!(report.ended > 33_000, "{report:?}");
    }
}

/// In 200 of them, at random moments under load, the endpoint goes on itself, has its state read, is reset and has it written, or another
/// instance goes on in its place.
#[test]
fn a_disk_a_port_and_a_console_stand_still_and_go_on() {
    for (seed, name, least) in [(1, "blk", 400), (2, "net", 400), (3, "console", 50_000)] {
        let report = run_with(example(name), seed, 200, true);
        assert_eq!(report.events.get("Freeze"), Some(&200));
        assert!(report.ended > least && report.stopped == 0, "{name}: {report:?}");
    }
}

#[test]
fn a_balloon_lives_through_control_events_under_load() {
    for seed in 1..=3 {
        let report = run(example("balloon"), seed, 100);
        assert!(report.ended > 3_300, "{report:?}");
    }
}

/// Their drivers try the other ways to interrupt first, and reset the device for each.
#[test]
fn devices_without_vectors_live_through_control_events() {
    for (seed, name) in (5..).zip(["blk-intx", "net-intx", "console-intx", "balloon-intx"]) {
        run(example(name), seed, 60);
    }
}

#[test]
fn both_live_through_control_events_behind_every_block() {
    for (seed, block) in (1..).zip(BLOCKS) {
        for name in ["blk", "net"] {
            run(behind(block, name), seed, 40);
        }
    }
}
