//! The model layer by itself, on a small Verilog stand-in: build and cache, streams, pace, quiescence, replay.
use std::path::Path;
use virtio_hdl::backend::{BlkCommand, BlkEvent, BlkOperation, BlkPorts};
use virtio_hdl::model::{
    DevicePacket, DeviceSide, Direction, Endpoint, EndpointOptions, Library, Model, ModelError, Sources, Stall, Stop,
    StreamShape, Transmitted,
};
use virtio_hdl_rtl::verilog::Port;

const PORTS: &[(&str, usize, bool)] = &[
    ("clock", 1, true),
    ("reset", 1, true),
    ("rx_data", 128, true),
    ("rx_keep", 4, true),
    ("rx_last", 1, true),
    ("rx_valid", 1, true),
    ("rx_ready", 1, false),
    ("tx_data", 128, false),
    ("tx_keep", 4, false),
    ("tx_last", 1, false),
    ("tx_valid", 1, false),
    ("tx_ready", 1, true),
    ("tx_nonposted_ready", 1, true),
    ("blk_capacity", 64, true),
    ("blk_read_only", 1, true),
    ("blk_command_valid", 1, false),
    ("blk_command_ready", 1, true),
    ("blk_command_operation", 3, false),
    ("blk_command_sector", 64, false),
    ("blk_command_length", 32, false),
    ("blk_command_tag", 8, false),
    ("blk_write_valid", 1, false),
    ("blk_write_ready", 1, true),
    ("blk_write_data", 128, false),
    ("blk_write_last", 1, false),
    ("blk_write_error", 1, false),
    ("blk_status_valid", 1, true),
    ("blk_status_ready", 1, false),
    ("blk_status", 8, true),
    ("blk_status_tag", 8, true),
    ("blk_read_valid", 1, true),
    ("blk_read_ready", 1, false),
    ("blk_read_data", 128, true),
    ("blk_read_last", 1, true),
    ("blk_read_tag", 8, true),
    ("busy", 1, false),
];

fn sources() -> Sources {
    Sources {
        top: "standin".into(),
        files: vec![("standin.v".into(), include_str!("standin.v").into())],
        ports: PORTS.iter().map(|(name, width, input)| Port::plain(name, *width, *input)).collect(),
    }
}

/// A device side that leaves its ports to the test.
#[derive(Default)]
struct Side(Option<BlkPorts>);

impl DeviceSide for Side {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        self.0 = Some(BlkPorts::connect(endpoint)?);
        Ok(())
    }

    fn packet(&mut self, _packet: DevicePacket, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        unreachable!("the test takes the packets")
    }
}

fn with_ports(options: &EndpointOptions) -> (Endpoint, BlkPorts) {
    let library = Library::build(&sources()).unwrap_or_else(|error| panic!("{error}"));
    let mut side = Side::default();
    let endpoint = Endpoint::load(&library, options, &mut side).unwrap_or_else(|error| panic!("{error}"));
    (endpoint, side.0.unwrap())
}

fn endpoint(options: &EndpointOptions) -> Endpoint {
    with_ports(options).0
}

/// Packets of every length from 3 double words, with recognisable content.
fn packet(number: u32) -> Vec<u32> {
    (0..3 + number % 61).map(|word| number << 8 | word).collect()
}

fn transmitted(endpoint: &mut Endpoint) -> Vec<Vec<u32>> {
    std::iter::from_fn(|| endpoint.take_transmitted()).map(|packet| packet.dwords).collect()
}

/// Runs until the endpoint rests, and says what it sent.
fn run_to_rest(endpoint: &mut Endpoint) -> Vec<Transmitted> {
    let mut sent = vec![];
    loop {
        let stop = endpoint.run(1_000_000).unwrap();
        sent.extend(std::iter::from_fn(|| endpoint.take_transmitted()));
        match stop {
            Stop::Quiescent => return sent,
            Stop::Deadline => panic!("still busy after {} cycles", endpoint.cycle()),
            _ => {}
        }
    }
}

#[test]
fn a_library_is_built_once_and_then_found() {
    let cache = tempfile::tempdir().unwrap();
    let libraries: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3).map(|_| scope.spawn(|| Library::build_in(cache.path(), &sources()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(libraries.iter().filter(|library| library.was_built()).count(), 1, "built by one of three");
    assert!(!Library::build_in(cache.path(), &sources()).unwrap().was_built());
    let mut changed = sources();
    changed.files[0].1.push_str("// a comment\n");
    let other = Library::build_in(cache.path(), &changed).unwrap();
    assert!(other.was_built() && other.path() != libraries[0].path(), "another text is another library");
    let leftovers = std::fs::read_dir(cache.path()).unwrap().flatten();
    assert!(!leftovers.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".building")));

    // Damaged, it is built anew, whatever it was; loaded, it would take the process with it.
    let path = other.path();
    let good = std::fs::read(path).unwrap();
    std::fs::write(path, &good[..good.len() / 2]).unwrap();
    assert!(Library::build_in(cache.path(), &changed).unwrap().was_built());
    assert!(std::fs::read(path).unwrap().len() > good.len() / 2);
    assert!(!Library::build_in(cache.path(), &changed).unwrap().was_built());
}

#[test]
fn broken_verilog_says_what_verilator_said() {
    let cache = tempfile::tempdir().unwrap();
    let mut broken = sources();
    broken.files[0].1 = "module standin(input clock; endmodule\n".into();
    let error = Library::build_in(cache.path(), &broken).unwrap_err();
    assert!(matches!(error, ModelError::ToolFailed { tool: "verilator", .. }));
    assert!(error.to_string().contains("standin.v:1:"), "{error}");
}

#[test]
fn a_missing_port_or_library_is_an_error() {
    let mut fewer = sources();
    fewer.ports.retain(|port| port.name != "blk_status");
    let library = Library::build(&fewer).unwrap();
    let error = Endpoint::load(&library, &EndpointOptions::default(), &mut Side::default()).err().unwrap().to_string();
    assert_eq!(error, "the model cannot be used: the model has no port blk_status");
    assert!(Library::build_in(Path::new("/proc/no-such-folder"), &sources()).is_err());
}

#[test]
fn packets_of_every_length_come_back_whole_under_random_standstill() {
    for seed in 1..4 {
        let stall = Stall { receive: 90, transmit: 120, device: 60 };
        let mut endpoint = endpoint(&EndpointOptions { seed, stall, ..EndpointOptions::default() });
        let sent: Vec<_> = (0..500).map(packet).collect();
        for packet in &sent {
            endpoint.receive(0, packet).unwrap();
        }
        let received: Vec<_> = run_to_rest(&mut endpoint).into_iter().map(|packet| packet.dwords).collect();
        assert!(received == sent, "seed {seed}: {} packets of {}", received.len(), sent.len());
    }
}

#[test]
fn the_link_carries_its_rate_and_no_more() {
    // gen2 x4 at 125 MHz: 14.44 bytes per cycle.
    let rate = 14.44;
    let mut endpoint = endpoint(&EndpointOptions { link_bytes_per_cycle: Some(rate), ..EndpointOptions::default() });
    let packets = 1000;
    let words: Vec<u32> = (0..4 + 64).collect();
    for _ in 0..packets {
        endpoint.receive(100, &words).unwrap();
    }
    let stamps: Vec<_> =
        run_to_rest(&mut endpoint).iter().map(|packet| (packet.first_cycle, packet.last_cycle)).collect();
    assert_eq!(stamps.len(), packets);
    assert_eq!(stamps[0].0, 101, "the first beat comes when it is due, and out a cycle later");
    let cycles = (stamps[packets - 1].0 - stamps[0].0) as f64;
    let expected = (packets - 1) as f64 * (4.0 * words.len() as f64 + 8.0) / rate;
    assert!((cycles / expected - 1.0).abs() < 0.001, "{cycles} cycles, the link takes {expected}");
    assert!(stamps.iter().all(|(first, last)| last - first >= 16));
}

#[test]
fn device_side_streams_carry_commands_data_and_status() {
    let (mut endpoint, ports) = with_ports(&EndpointOptions::default());
    let event = |endpoint: &mut Endpoint| endpoint.take_device_packet().and_then(|packet| ports.event(packet));
    ports.show(&mut endpoint, 0x1234_5678_9abc, false);
    endpoint.receive(50, &[0xc000_0001, 0x9abc_def0, 0x1234_5678, 4096]).unwrap();
    assert_eq!(endpoint.run(1000).unwrap(), Stop::Event);
    let command = BlkCommand { operation: BlkOperation::Write, sector: 0x1234_5678_9abc_def0, length: 4096, tag: 1 };
    assert_eq!(event(&mut endpoint), Some(BlkEvent::Command(51, command)));
    assert_eq!(endpoint.take_device_packet(), None);
    assert_eq!(endpoint.cycle(), 52, "no lookahead: stops behind the event");

    ports.status(&mut endpoint, 60, 7, 2).unwrap();
    assert_eq!(endpoint.run(1000).unwrap(), Stop::Event);
    assert_eq!(transmitted(&mut endpoint), [[0x5700_0002, 7 << 8, 0x5678_9abc, 0x1234]]);

    let bytes: Vec<u8> = (2..2 + 40).collect();
    ports.read_data(&mut endpoint, 0, 3, &bytes, true).unwrap();
    ports.read_data(&mut endpoint, 0, 4, &[1; 16], true).unwrap();
    endpoint.set_lookahead(0, 100).unwrap();
    assert_eq!(endpoint.run(1000).unwrap(), Stop::Event);
    let word = |first: u32| first | (first + 1) << 8 | (first + 2) << 16 | (first + 3) << 24;
    let first: Vec<u32> = (0..8).map(|index| word(2 + 4 * index)).collect();
    match (event(&mut endpoint), event(&mut endpoint)) {
        (Some(BlkEvent::WriteData(_, one, false)), Some(BlkEvent::WriteData(_, two, true))) => {
            assert_eq!(one, first);
            assert_eq!(two, [word(34), word(38), 0, 0, 0x0101_0101, 0x0101_0101, 0x0101_0101, 0x0101_0101]);
        }
        other => panic!("{other:?}"),
    }
    ports.status(&mut endpoint, 0, 0, 0).unwrap();
    endpoint.run(1000).unwrap();
    assert_eq!(transmitted(&mut endpoint)[0][1], 4, "the tag of the last beat of a read");
}

#[test]
fn at_rest_the_clock_stops_and_time_jumps_to_what_is_queued() {
    let mut endpoint = endpoint(&EndpointOptions::default());
    assert_eq!(endpoint.run(1_000_000_000).unwrap(), Stop::Quiescent);
    let (cycle, clocked) = (endpoint.cycle(), endpoint.clocked());
    assert!(cycle < 100 && clocked < 100);
    endpoint.receive(500_000_000, &packet(1)).unwrap();
    assert_eq!(endpoint.run(400_000_000).unwrap(), Stop::Deadline);
    assert_eq!((endpoint.cycle(), endpoint.clocked()), (400_000_000, clocked));
    assert_eq!(endpoint.run(1_000_000_000).unwrap(), Stop::Event);
    assert_eq!(endpoint.take_transmitted().map(|packet| packet.first_cycle), Some(500_000_001));
    assert!(endpoint.clocked() < clocked + 20);
    assert_eq!(endpoint.run(1_000_000_000).unwrap(), Stop::Quiescent);
    endpoint.skip_to(700_000_000);
    assert_eq!(endpoint.cycle(), 700_000_000);
}

#[test]
fn the_lookahead_ends_a_run_behind_its_first_packet() {
    let mut endpoint = endpoint(&EndpointOptions::default());
    for start in [100, 110, 120, 200] {
        endpoint.receive(start, &packet(1)).unwrap();
    }
    endpoint.set_lookahead(30, 0).unwrap();
    assert_eq!(endpoint.run(1000).unwrap(), Stop::Event);
    assert_eq!(transmitted(&mut endpoint).len(), 3);
    assert_eq!(endpoint.cycle(), 101 + 1 + 30);
    assert_eq!(endpoint.run(150).unwrap(), Stop::Deadline);
}

#[test]
fn the_seed_decides_what_reset_leaves_open() {
    let unreset = |seed| {
        let (mut endpoint, ports) = with_ports(&EndpointOptions { seed, ..EndpointOptions::default() });
        ports.status(&mut endpoint, 0, 0, 0).unwrap();
        endpoint.run(1000).unwrap();
        endpoint.take_transmitted().unwrap().dwords[1]
    };
    assert_eq!(unreset(0), 0);
    assert_eq!(unreset(7), unreset(7));
    assert!((1..20).map(unreset).any(|value| value != 0));
}

#[test]
fn a_recorded_run_replays_cycle_by_cycle() {
    let library = Library::build(&sources()).unwrap();
    let stall = Stall { receive: 40, transmit: 40, device: 0 };
    let options = EndpointOptions { seed: 5, stall, ..EndpointOptions::default() };
    let mut endpoint = Endpoint::load_recorded(&library, &options, &mut Side::default()).unwrap();
    for number in 0..200 {
        endpoint.receive(u64::from(number) * 40, &packet(number)).unwrap();
    }
    run_to_rest(&mut endpoint);
    assert_eq!(endpoint.replay().unwrap().cycles, endpoint.clocked());
    assert!(endpoint.replay_matches().unwrap());
    let mut endpoint = Endpoint::load(&library, &options, &mut ()).unwrap();
    endpoint.run(100).unwrap();
    assert!(endpoint.replay().is_err(), "nothing recorded, nothing to replay");
}

#[test]
fn samples_hold_every_port_in_the_window() {
    let mut endpoint = endpoint(&EndpointOptions::default());
    endpoint.receive(140, &packet(0)).unwrap();
    endpoint.sample(139, 143);
    endpoint.set_lookahead(10, 0).unwrap();
    endpoint.run(1000).unwrap();
    let mut offset = 0;
    let at: std::collections::HashMap<_, _> = endpoint
        .ports()
        .iter()
        .map(|port| {
            offset += port.bytes;
            (port.name.clone(), offset - port.bytes..offset)
        })
        .collect();
    let mut seen = vec![];
    endpoint.drain_samples(|cycle, values| {
        assert_eq!(values.len(), offset);
        seen.push((
            cycle,
            values[at["rx_valid"].clone()][0],
            values[at["tx_valid"].clone()][0],
            values[at["tx_keep"].clone()][0],
        ));
    });
    // In cycle 139 the clock stood still.
    assert_eq!(seen, [(140, 1, 0, 0), (141, 0, 1, 7), (142, 0, 0, 7)]);
}

/// Ports that streams and levels cannot have, and some that they can.
fn odd_sources() -> Sources {
    let ports = [
        ("clock", 1, true),
        ("reset", 1, true),
        ("busy", 1, false),
        ("in_valid", 1, true),
        ("in_ready", 1, false),
        ("in_data", 64, true),
        ("in_keep", 8, true),
        ("in_last", 1, true),
        ("in_side", 40, true),
        ("wide_valid", 1, true),
        ("wide_ready", 1, false),
        ("wide_data", 4096, true),
        ("odd_valid", 1, true),
        ("odd_ready", 1, false),
        ("odd_data", 64, true),
        ("odd_keep", 3, true),
        ("long_valid", 1, true),
        ("long_ready", 1, false),
        ("long_data", 512, true),
        ("long_keep", 64, true),
        ("twice_valid", 2, true),
        ("twice_ready", 1, false),
        ("sum", 64, false),
    ];
    let list: Vec<_> = ports
        .iter()
        .map(|(name, width, input)| format!("{} [{}:0] {name}", if *input { "input" } else { "output" }, width - 1))
        .collect();
    let ready = ["in", "wide", "odd", "long", "twice"].map(|name| format!("assign {name}_ready = 1'b1;")).join(" ");
    let text = format!(
        "module odd ({}); {ready} assign busy = 1'b0; assign sum = in_data + {{24'd0, in_side}}; endmodule\n",
        list.join(", ")
    );
    Sources {
        top: "odd".into(),
        files: vec![("odd.v".into(), text)],
        ports: ports.iter().map(|(name, width, input)| Port::plain(name, *width, *input)).collect(),
    }
}

const BYTES: StreamShape = StreamShape { data: true, keep: true, last: true, side: &["side"], beats: false };
const DATA: StreamShape = StreamShape { data: true, keep: false, last: false, side: &[], beats: false };
const KEPT: StreamShape = StreamShape { data: true, keep: true, last: false, side: &[], beats: false };
const BARE: StreamShape = StreamShape { data: false, keep: false, last: false, side: &[], beats: false };

#[test]
fn streams_and_levels_have_ports_for_which_there_is_room() {
    let library = Library::build(&odd_sources()).unwrap();
    let mut model = Model::load(&library, 1).unwrap();
    for (name, shape) in [("wide", DATA), ("odd", KEPT), ("long", KEPT), ("twice", BARE)] {
        let error = model.add_stream(name, Direction::Input, shape).unwrap_err().to_string();
        assert!(error.contains(&format!("the stream {name} has a")), "{error}");
    }
    assert!(model.level("wide_data").is_err() && model.input_level("sum").is_err() && model.level("none").is_err());
    let sum = model.level("sum").unwrap();
    let error = model.watch(sum).unwrap_err().to_string();
    assert!(error.contains("the port sum is too wide"), "{error}");
    let (data, side) = (model.input_level("in_data").unwrap(), model.input_level("in_side").unwrap());
    model.set(data, 1 << 63);
    model.set(side, u64::MAX);
    model.run(10).unwrap();
    assert_eq!(model.get(sum), (1 << 63) + (1 << 40) - 1);
}

#[test]
fn packets_that_are_none_of_their_stream_are_refused() {
    let library = Library::build(&odd_sources()).unwrap();
    let mut model = Model::load(&library, 1).unwrap();
    let stream = model.add_stream("in", Direction::Input, BYTES).unwrap();
    // Data, their length in bytes, 40 bits of the side port.
    for words in [
        &[][..],
        &[1],
        &[4, 0, 0],
        &[1, 5, 0, 0],
        &[1, 0, 0, 0],
        &[1, u32::MAX, 0, 0],
        &[1, 2, 3, 8, 0, 0],
        &[1, 2, 3, 13, 0, 0],
    ] {
        assert!(model.send(stream, 0, words).is_err(), "{words:?}");
    }
    for words in [&[1, 1, 0, 0][..], &[1, 2, 3, 9, 7, 7], &[1, 2, 3, 12, 0, 0]] {
        model.send(stream, 0, words).unwrap();
    }
    assert_eq!(model.queued(stream).unwrap(), 16);
    assert_eq!(model.run(1000).unwrap(), Stop::Quiescent);
    assert_eq!(model.queued(stream).unwrap(), 0);
}

#[test]
fn a_stream_of_another_model_is_refused() {
    let library = Library::build(&odd_sources()).unwrap();
    let (mut model, mut other) = (Model::load(&library, 1).unwrap(), Model::load(&library, 1).unwrap());
    let stream = model.add_stream("in", Direction::Input, BYTES).unwrap();
    let same_number = other.add_stream("long", Direction::Input, DATA).unwrap();
    assert_ne!(stream, same_number);
    let error = other.send(stream, 0, &[1, 1, 0, 0]).unwrap_err().to_string();
    assert!(error.contains("another model"), "{error}");
    model.send(stream, 0, &[1, 1, 0, 0]).unwrap();
}

#[test]
#[should_panic = "the port is one of another model"]
fn a_port_of_another_model_is_not_set() {
    let (odd, standin) = (Library::build(&odd_sources()).unwrap(), Library::build(&sources()).unwrap());
    let (mut model, other) = (Model::load(&odd, 1).unwrap(), Model::load(&standin, 1).unwrap());
    model.set(other.input_level("blk_capacity").unwrap(), 1);
}

#[test]
fn ports_of_another_width_than_the_models_are_found_when_it_is_built() {
    let cache = tempfile::tempdir().unwrap();
    let mut wrong = odd_sources();
    wrong
        .ports
        .iter_mut()
        .filter(|port| port.name == "in_keep")
        .for_each(|port| *port = Port::plain("in_keep", 40, true));
    let error = Library::build_in(cache.path(), &wrong).unwrap_err();
    assert!(matches!(error, ModelError::ToolFailed { tool: "g++", .. }));
    assert!(error.to_string().contains("the port in_keep has not 40 bits"), "{error}");
}

#[test]
fn a_stream_that_runs_dry_is_told_of() {
    let (mut endpoint, ports) = with_ports(&EndpointOptions::default());
    ports.set_read_low(&mut endpoint, 64).unwrap();
    for _ in 0..4 {
        ports.read_data(&mut endpoint, 0, 0, &[2; 32], false).unwrap();
    }
    assert_eq!(ports.read_queued(&mut endpoint).unwrap(), 4 * (32 + 8), "with `last` and tag");
    let mut wanted = 0;
    while endpoint.run(10_000).unwrap() != Stop::Quiescent {
        while let Some(packet) = endpoint.take_device_packet() {
            wanted += u32::from(matches!(ports.event(packet), Some(BlkEvent::ReadWanted(_))));
        }
    }
    assert_eq!((wanted, ports.read_queued(&mut endpoint).unwrap()), (2, 0), "with 32 bytes left, and with none");
}

/// Passes bytes on while `go` is high, and says nothing of what waits.
fn gate() -> Model {
    let ports = [
        ("clock", 1, true),
        ("reset", 1, true),
        ("busy", 1, false),
        ("go", 1, true),
        ("in_valid", 1, true),
        ("in_ready", 1, false),
        ("in_data", 8, true),
        ("out_valid", 1, false),
        ("out_ready", 1, true),
        ("out_data", 8, false),
    ];
    let list = ports
        .map(|(name, width, input)| format!("{} [{}:0] {name}", if input { "input" } else { "output" }, width - 1))
        .join(", ");
    let text = format!(
        "module gate ({list}); assign in_ready = go && out_ready; assign out_valid = in_valid && go; \
         assign out_data = in_data; assign busy = 1'b0; endmodule\n"
    );
    let sources = Sources {
        top: "gate".into(),
        files: vec![("gate.v".into(), text)],
        ports: ports.map(|(name, width, input)| Port::plain(name, width, input)).into(),
    };
    Model::load(&Library::build(&sources).unwrap(), 1).unwrap()
}

/// Runs to rest; the bytes that left, and the cycles in which the first and the last did.
fn passed(model: &mut Model) -> (Vec<u32>, u64, u64) {
    let (mut bytes, mut cycles) = (vec![], vec![]);
    loop {
        let stop = model.run(1_000_000).unwrap();
        model.drain(|packet| {
            bytes.extend(packet.words);
            cycles.push(packet.last_cycle);
        });
        match stop {
            Stop::Quiescent => break,
            Stop::Deadline => panic!("it does not rest: {bytes:?}"),
            _ => {}
        }
    }
    (bytes, cycles.first().copied().unwrap_or(0), cycles.last().copied().unwrap_or(0))
}

#[test]
fn a_model_rests_with_what_it_does_not_take_and_goes_on_when_it_does() {
    for stall in [0, 100] {
        let mut model = gate();
        let input = model.add_stream("in", Direction::Input, DATA).unwrap();
        model.add_stream("out", Direction::Output, DATA).unwrap();
        let go = model.input_level("go").unwrap();
        model.set_stall(input, stall).unwrap();
        for byte in 0..10 {
            model.send(input, 0, &[byte]).unwrap();
        }
        assert!(passed(&mut model).0.is_empty());
        // what comes later changes nothing
        model.send(input, 5000, &[10]).unwrap();
        model.skip_to(10_000);
        assert!(passed(&mut model).0.is_empty());
        assert!(model.clocked() < 200, "the clock ran for {} cycles", model.clocked());
        model.set(go, 1);
        let (bytes, first, _) = passed(&mut model);
        assert!(bytes == (0..=10).collect::<Vec<_>>() && first == 10_000, "{bytes:?} from cycle {first}");
    }
}

#[test]
fn a_model_rests_while_its_output_is_held_and_has_its_stall_afterwards() {
    let mut model = gate();
    let input = model.add_stream("in", Direction::Input, DATA).unwrap();
    let output = model.add_stream("out", Direction::Output, DATA).unwrap();
    let go = model.input_level("go").unwrap();
    model.set(go, 1);
    model.set_stall(output, 200).unwrap();
    for _ in 0..3 {
        let sent: Vec<u32> = (0..100).collect();
        model.set_held(output, true).unwrap();
        sent.iter().for_each(|byte| model.send(input, 0, &[*byte]).unwrap());
        let clocked = model.clocked();
        assert!(passed(&mut model).0.is_empty());
        assert!(model.clocked() - clocked < 200, "the clock ran for {} cycles", model.clocked() - clocked);
        model.set_held(output, false).unwrap();
        let (bytes, first, last) = passed(&mut model);
        assert!(bytes == sent, "{bytes:?}");
        assert!(last - first > 250, "100 bytes in {} cycles, in 56 of 256 of which one moves", last - first);
    }
}
