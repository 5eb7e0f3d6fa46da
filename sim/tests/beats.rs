//! The model layer with streams that cross beat by beat: side bands, timed levels, watched ports, two streams on a link.
use virtio_hdl::link::hard_ip::{Beat, BeatLayout};
use virtio_hdl::model::{Direction, Library, Model, Packet, Sources, Stop, Stream, StreamShape};
use virtio_hdl_rtl::verilog::Port;

const LAYOUT: BeatLayout = BeatLayout { double_words: 2, user_bits: 41 };
const SHAPE: StreamShape = StreamShape { data: false, keep: false, last: false, side: &[], beats: true };

fn model(seed: u64) -> Model {
    let mut ports = vec![("clock", 1, true), ("reset", 1, true), ("busy", 1, false)];
    ports.extend([("driven", 4, true), ("shown", 4, false)]);
    let stream = |name: &str, input: bool, ready: usize| {
        let sides = [("tdata", 64), ("tkeep", 8), ("tlast", 1), ("tuser", 41), ("tvalid", 1)];
        let mut ports: Vec<Port> =
            sides.iter().map(|(side, width)| Port::plain(&format!("{name}_{side}"), *width, input)).collect();
        ports.push(Port::plain(&format!("{name}_tready"), ready, !input));
        ports
    };
    let mut ports: Vec<Port> = ports.into_iter().map(|(name, width, input)| Port::plain(name, width, input)).collect();
    ports.extend([stream("in", true, 1), stream("out", false, 4), stream("copy", false, 1)].concat());
    let files = vec![("beats.v".into(), include_str!("beats.v").into())];
    let library = Library::build(&Sources { top: "beats".into(), files, ports }).unwrap_or_else(|e| panic!("{e}"));
    Model::load(&library, seed).unwrap_or_else(|error| panic!("{error}"))
}

/// The beats of packet `number`; every field of every beat is its own.
fn packet(number: u32) -> Vec<Beat> {
    let count = 1 + number % 5;
    let beat = |index: u32| {
        let last = index + 1 == count;
        let mut data = [0; 8];
        data[..2].copy_from_slice(&[number << 8 | index, !number]);
        let user = u128::from(number) << 20 | u128::from(index) | u128::from(number % 3 == 0) << 40;
        Beat { data, keep: if last { 0x0f } else { 0xff }, last, user }
    };
    (0..count).map(beat).collect()
}

fn words(beats: &[Beat]) -> Vec<u32> {
    let mut words = Vec::new();
    beats.iter().for_each(|beat| LAYOUT.write(beat, &mut words));
    words
}

/// Runs to the end and says what left: stream, last cycle, words.
fn run(model: &mut Model) -> Vec<(Stream, u64, Vec<u32>)> {
    let mut left = Vec::new();
    loop {
        let stop = model.run(1_000_000).unwrap();
        model.drain(|Packet { stream, last_cycle, words, .. }| left.push((stream, last_cycle, words.to_vec())));
        match stop {
            Stop::Quiescent => return left,
            Stop::Deadline => panic!("still busy"),
            _ => {}
        }
    }
}

#[test]
fn beats_keep_their_side_bands_under_random_standstill() {
    for seed in 1..4 {
        let mut model = model(seed);
        let input = model.add_stream("in", Direction::Input, SHAPE).unwrap();
        let (out, copy) = ("out", "copy");
        let [out, copy] = [out, copy].map(|name| model.add_stream(name, Direction::Output, SHAPE).unwrap());
        for (stream, share) in [(input, 60), (out, 100), (copy, 80)] {
            model.set_stall(stream, share).unwrap();
        }
        model.reset(4);
        // What enters need not be whole packets.
        let all: Vec<Beat> = (1..200).flat_map(packet).collect();
        for group in all.chunks(3) {
            model.send(input, 0, &words(group)).unwrap();
        }
        let left = run(&mut model);
        let of = |wanted: Stream| left.iter().filter(move |(stream, ..)| *stream == wanted).map(|(.., words)| words);
        assert!(of(out).eq((1..200).map(|number| words(&packet(number))).collect::<Vec<_>>().iter()), "seed {seed}");
        assert_eq!(of(copy).count(), 199 / 3, "seed {seed}");
        assert_eq!(LAYOUT.read(of(copy).next().unwrap()), packet(3));
    }
}

#[test]
fn levels_change_in_their_cycle_and_watched_ports_tell_of_it() {
    let mut model = model(0);
    let (driven, shown) = (model.input_level("driven").unwrap(), model.level("shown").unwrap());
    let watch = model.watch(shown).unwrap();
    model.reset(4);
    let start = model.cycle();
    for (cycle, value) in [(100, 5), (40, 3), (41, 0), (41, 9), (500_000, 1)] {
        model.set_at(driven, cycle, value);
    }
    let left = run(&mut model);
    let seen: Vec<(u64, u32)> = left.iter().map(|(_, cycle, words)| (*cycle, words[0])).collect();
    assert_eq!(seen, [(start, 0), (41, 3), (42, 9), (101, 5), (500_001, 1)]);
    assert!(left.iter().all(|(stream, ..)| *stream == watch));
    assert!(model.clocked() < 1000, "time jumps to what is queued");
    model.set_at(driven, 600_000, 2);
    model.reset(4);
    let again: Vec<u32> = run(&mut model).iter().map(|(.., words)| words[0]).collect();
    assert_eq!(again, [0, 1], "a reset forgets what is queued, and tells the first value again");
}

#[test]
fn a_watched_port_stops_the_run_in_its_cycle() {
    let mut model = model(0);
    let (driven, shown) = (model.input_level("driven").unwrap(), model.level("shown").unwrap());
    model.watch(shown).unwrap();
    model.reset(4);
    assert_eq!(model.run(1000).unwrap(), Stop::Event);
    model.set_at(driven, 50, 1);
    assert_eq!(model.run(1000).unwrap(), Stop::Event);
    assert_eq!(model.cycle(), 52);
}

#[test]
fn two_streams_share_the_rate_of_a_link() {
    for shared in [false, true] {
        let mut model = model(0);
        let input = model.add_stream("in", Direction::Input, SHAPE).unwrap();
        let out = model.add_stream("out", Direction::Output, SHAPE).unwrap();
        let copy = model.add_stream("copy", Direction::Output, SHAPE).unwrap();
        for stream in [out, copy] {
            model.set_pace(stream, 4.0, 0).unwrap();
        }
        if shared {
            model.share_link(copy, out).unwrap();
        }
        model.reset(4);
        for _ in 0..100 {
            // Five beats, 36 bytes, by both.
            model.send(input, 0, &words(&packet(9))).unwrap();
        }
        let (first, last) = match &run(&mut model)[..] {
            [(_, first, _), .., (_, last, _)] => (*first, *last),
            other => panic!("{other:?}"),
        };
        let (cycles, expected) = ((last - first) as f64, if shared { 99.0 * 18.0 } else { 99.0 * 9.0 });
        assert!((cycles / expected - 1.0).abs() < 0.02, "{cycles} cycles, the link takes {expected}");
    }
}
