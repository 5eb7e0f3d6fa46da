//! The endpoints behind the model of every vendor's PCIe block, under random gaps on all streams of the block.
use virtio_hdl::backend::{Disk, DiskPort, NetPort};
use virtio_hdl::host::blk::Options;
use virtio_hdl::host::net::{self, Net};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::link::{CompletionCut, LinkConfig};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::events::COMPLETION_TIMEOUT_US;
use virtio_hdl::scenario::wire::FarEnd;
use virtio_hdl::scenario::{frames, random};
use virtio_hdl_rtl::config::LinkInterface;
use virtio_hdl_tests::blocks::{behind, BLOCKS};
use virtio_hdl_tests::{bound, library};

type Block = (LinkInterface, u16);

const SECTORS: u64 = 2048;

/// Gaps and cuts that depend on the seed.
fn options(seed: u64) -> MachineOptions {
    let cuts = [CompletionCut::Random, CompletionCut::Boundary, CompletionCut::MaxPayload];
    let stall = [40, 0, 120, 10][seed as usize % 4];
    MachineOptions {
        link: LinkConfig {
            seed,
            clock_hz: 250_000_000,
            completion_cut: cuts[seed as usize % 3],
            ..LinkConfig::default()
        },
        stall: Stall { receive: stall, transmit: stall, device: stall / 2 },
        ..MachineOptions::default()
    }
}

/// The outcome of a run on a machine: a rule that the endpoint broke comes before what followed from it.
fn outcome<T, E: std::fmt::Display>(machine: &mut Machine, name: &str, result: Result<T, E>) -> T {
    machine.check().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(machine.root().violations().is_empty(), "{name}: {:?}", machine.root().violations());
    result.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// How the driver is told of what the device has done.
fn policies(intx: bool) -> Vec<VectorPolicy> {
    let all = VectorPolicy::ALL.to_vec();
    if intx {
        all[all.len() - 1..].to_vec()
    } else {
        all
    }
}

fn random_requests(block: Block, intx: bool, seeds: std::ops::Range<u64>, requests: u64) {
    for seed in seeds {
        let config = behind(block, "blk");
        let name = format!("blk behind {block:?}, INTx: {intx}, seed {seed}");
        let disk = Disk::in_memory(SECTORS).with_serial(&config.blk_options().serial);
        let driver = Options { scatter: Some(seed), policies: policies(intx), ..Options::default() };
        let (mut machine, _, mut blk) = bound(&config, disk, &options(seed), &driver);
        let mut content = vec![0; (SECTORS * 512) as usize];
        let run = random::Options {
            requests,
            depth: 32,
            seed,
            serial: config.blk_options().serial.clone(),
            read_only: false,
            strict: true,
        };
        let result = random::run(&mut machine, &mut blk, &mut content, &run, &mut |_| {});
        outcome(&mut machine, &name, result);
        let mut behind = vec![0; content.len()];
        machine.side::<DiskPort>().unwrap().disk().read(0, &mut behind).unwrap();
        assert!(behind == content, "{name}: the disk is not what it should be");
    }
}

fn random_frames(block: Block, intx: bool, seeds: std::ops::Range<u64>, frames: u64) {
    for seed in seeds {
        let config = behind(block, "net");
        let name = format!("net behind {block:?}, INTx: {intx}, seed {seed}");
        let driver = net::Options { scatter: Some(seed), policies: policies(intx), ..net::Options::default() };
        let options = options(seed);
        let wire = FarEnd::default();
        let port = Box::new(NetPort::new(wire.backend(), [0x52, 0x54, 0, 1, 2, 3], options.link.clock_hz));
        let mut machine = Machine::new(&library(&config), port, &options).unwrap_or_else(|error| panic!("{error}"));
        let result = (|| {
            let mut bus = Bus::scan(&mut machine, &Default::default()).map_err(|error| error.to_string())?;
            let mut net = Net::probe(&mut machine, &mut bus, SLOT, &driver).map_err(|error| error.to_string())?;
            let run = frames::Options { frames, depth: 48, seed, clock_hz: options.link.clock_hz };
            frames::run(&mut machine, &mut net, &wire, &run, &mut |_| {}).map_err(|error| error.to_string())
        })();
        outcome(&mut machine, &name, result);
    }
}

#[test]
fn random_requests_behind_every_block() {
    for block in BLOCKS {
        random_requests(block, false, 0..4, 400);
    }
}

#[test]
fn random_requests_with_intx_behind_every_block() {
    for block in BLOCKS {
        random_requests(block, true, 4..8, 300);
    }
}

#[test]
fn random_frames_behind_every_block() {
    for block in BLOCKS {
        random_frames(block, false, 0..4, 1000);
        random_frames(block, true, 4..6, 500);
    }
}

#[test]
fn bench_and_sim_run_behind_blocks_and_come_near_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("block.toml");
    let run = |arguments: &[&str]| {
        let output = virtio_hdl_tests::program().args(arguments).arg(&config).arg("--json").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    for (interface, bits, link) in
        [("7-series", 64, "gen2x4"), ("ultrascale+", 128, "gen3x4"), ("ultrascale+", 256, "gen3x4")]
    {
        // what `behind` makes, so that both share a model
        let text = format!(
            "completion_timeout_us = {COMPLETION_TIMEOUT_US}\n[link]\ninterface = \"{interface}\"\ndata_bits = {bits}\n\
             clock_hz = 250_000_000\n"
        );
        std::fs::write(&config, text).unwrap();
        let figures = run(&["bench", "--link", link, "--requests", "300"]);
        for what in ["blk read, depth 32", "blk write, depth 32"] {
            let mut rows = figures["rows"].as_array().unwrap().iter();
            let row = rows.find(|row| row["what"] == what && row["bytes"] == 4096).unwrap();
            let share = row["share"].as_f64().unwrap();
            assert!((0.9..1.0).contains(&share), "{interface}, {bits}: {what}: {share}");
            assert!(row["stalls"].is_null(), "the counters cannot be read");
        }
        run(&["sim", "--scenario", "random", "--requests", "200", "--stall", "40"]);
    }
}
