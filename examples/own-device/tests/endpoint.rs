//! The endpoint that is made of the row, and what is said of a row or a configuration that does not fit.
use own_device::{RngOptions, RNG};
use std::path::Path;
use virtio_hdl_rtl::board::{project, Board};
use virtio_hdl_rtl::config::{Axis, Buffers, DeviceType, EndpointConfig, Flow, Level, Queue, Stream, StreamField};
use virtio_hdl_rtl::device::{BLK, NET};
use virtio_hdl_rtl::endpoint::{generate, top_name};
use virtio_hdl_rtl::testing::accepted;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rng.toml");

fn read(text: &str) -> Result<EndpointConfig, String> {
    EndpointConfig::read_with(&[&BLK, &NET, &RNG], text, "x.toml").map_err(|error| error.to_string())
}

#[test]
fn the_configuration_of_this_folder_is_an_endpoint() {
    let config = EndpointConfig::load_with(&[&RNG], CONFIG).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.queue_size, config.vectors, config.options::<RngOptions>().max_bytes), (64, 2, 1024));
    let ids = &config.ids;
    assert_eq!((ids.vendor, ids.device, ids.subsystem, ids.class), (0x1af4, 0x1005, 4, 0x00_ff00));
    assert_eq!((config.host_features(), config.config_bytes(), config.bar0_bytes()), (0x7000_0000, 0, 32));
    assert_eq!(top_name(&config), "virtio_rng_endpoint");
    let generated = generate(&config).unwrap_or_else(|error| panic!("{error}"));
    accepted(&generated.design);
    let names: Vec<&str> = generated.ports.iter().map(|port| port.name.as_str()).collect();
    for port in RNG.ports() {
        assert!(names.contains(&port.name.as_str()), "{} is not among {names:?}", port.name);
    }
    assert!(names.iter().all(|name| !name.starts_with("device_") && !name.starts_with("driver_")), "{names:?}");
}

#[test]
fn it_stands_behind_every_hard_block_and_on_boards_without_a_card() {
    for link in ["7-series-64", "7-series-128", "ultrascale+-128", "ultrascale+-256"] {
        let config = EndpointConfig::load_with(&[&RNG], &format!("{CONFIG}@{link}")).unwrap();
        accepted(&generate(&config).unwrap_or_else(|error| panic!("{link}: {error}")).design);
    }
    let config = EndpointConfig::of(&RNG);
    let board = Board::find("generic-usplus").unwrap();
    let top = project::project(board, &board.fit(&config).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let text = &top.design.modules.last().unwrap().text;
    for port in ["output wire [15:0]  m_axis_request_tdata", "input  wire [127:0] s_axis_word_tdata"] {
        assert!(text.contains(port), "{text}");
    }
    let board = Board::find("vcu118").unwrap();
    let error = project::project(board, &board.fit(&config).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("vcu118 is a card, and there is nothing to put behind a device \"rng\""), "{error}");
}

#[test]
fn its_words_are_known_in_a_configuration() {
    assert_eq!(read("device = \"rng\""), Ok(EndpointConfig::of(&RNG)));
    assert_eq!(read("").unwrap().device, &BLK);
    for (text, message) in [
        ("device = \"entropy\"", "x.toml:1:10: device: \"entropy\" is not known; allowed: \"blk\", \"net\", \"rng\""),
        (
            "device = \"rng\"\nfeatures = [\"ro\"]",
            "x.toml:2:13: features: \"ro\" is not known; allowed: \"event_idx\", \"indirect\", \"notify_on_empty\"",
        ),
        (
            "device = \"rng\"\n[rng]\nmax_bytes = 8",
            "x.toml:3:13: rng.max_bytes = 8 is out of range; allowed: 16 to 4096",
        ),
        (
            "device = \"rng\"\n[rng]\nmax-bytes = 64",
            "x.toml:3:1: unknown key max-bytes in rng; did you mean max_bytes?; allowed: max_bytes",
        ),
    ] {
        assert_eq!(read(text), Err(message.into()));
    }
    let error = EndpointConfig::read_with(&[], "", "x.toml").unwrap_err().to_string();
    assert_eq!(error, "x.toml: there are no device types");
}

/// The endpoint of a row like [`RNG`], but for some of it.
fn refused(row: DeviceType) -> String {
    generate(&EndpointConfig::of(Box::leak(Box::new(row)))).unwrap_err().to_string()
}

#[test]
fn a_row_that_does_not_fit_its_block_is_refused() {
    let like = || DeviceType { ..RNG };
    let stream = |name, bits| {
        let fields: &'static [StreamField] = vec![StreamField { name: "data", bits, axis: Axis::Data }].leak();
        Stream { name, flow: Flow::In, fields }
    };
    let streams = |streams: Vec<Stream>| DeviceType { streams: streams.leak(), ..like() };
    let request = RNG.streams[0];
    for (row, message) in [
        (
            streams(vec![request, stream("rng_word", 64)]),
            "the block's port rng_word_data is (128, In), the row's (64, In)",
        ),
        (streams(vec![request]), "the block's port rng_word_data is neither the row's nor the core's"),
        (
            streams(vec![request, stream("rng_word", 128), stream("rng_more", 8)]),
            "the row has the port rng_more_data, the block has not",
        ),
        (
            streams(vec![request, stream("rng_word", 128), stream("rng_word", 128)]),
            "two ports are called rng_word_valid",
        ),
        (
            DeviceType { levels: &[Level { name: "rng_on", flow: Flow::In, bits: 1, on_card: None }], ..like() },
            "the row has the port rng_on, the block has not",
        ),
        (DeviceType { events: &[], ..like() }, "the block's port device_events_0 is neither the row's nor the core's"),
        (DeviceType { queues: &[], ..like() }, "it has 0 queues; allowed: 1 to 4"),
        (DeviceType { read_tags: 16, ..like() }, "it needs 16 reads in flight; allowed: 32, 64"),
        (DeviceType { queues: &[RNG_QUEUE; 2], ..like() }, "the block has no port bytes_0_count"),
        (
            DeviceType { queues: &[RNG_QUEUE, RO_QUEUE, RNG_QUEUE], ..like() },
            "the number of requestq depends on the features",
        ),
        (
            DeviceType { features: &[RO_TWICE; 2], ..like() },
            "the bit of the feature ro is above 29, or that of another",
        ),
        (DeviceType { name: "an rng", ..like() }, "its name is not a lower-case word"),
        (DeviceType { name: "link", ..like() }, "its name is that of another section of a configuration"),
        (DeviceType { name: "dice", ..like() }, "the name of the port rng_request_valid does not begin with dice_"),
    ] {
        let error = refused(row);
        assert!(error.ends_with(message), "{error}");
        assert!(error.starts_with("virtio_"), "{error}");
    }
}

const RNG_QUEUE: Queue = Queue { name: "requestq", what: "", buffers: Buffers::Both, needs: None };
const RO_QUEUE: Queue = Queue { name: "roq", needs: Some(RO_TWICE), ..RNG_QUEUE };
const RO_TWICE: virtio_hdl_rtl::config::Feature = virtio_hdl_rtl::device::blk::RO;

/// What `docs/add-a-device.md` quotes is in this folder.
#[test]
fn the_document_quotes_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let rust: String =
        ["src/lib.rs", "src/block.rs", "src/entropy.rs", "src/main.rs", "tests/block.rs"].map(read).join("\n");
    let sources = [("rust", rust), ("toml", read("rng.toml"))];
    let document = read("../../docs/add-a-device.md");
    let mut quoted = [0; 2];
    for block in document.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        let Some(place) = sources.iter().position(|(name, _)| *name == language) else {
            // commands, pictures, and what programs say
            assert!(language.is_empty(), "a block of {language:?} is compared with nothing");
            continue;
        };
        // whole lines: a quote does not begin or end within one
        let whole = format!("\n{}", sources[place].1);
        assert!(whole.contains(&format!("\n{text}")), "this {language} is in the document only:\n{text}");
        quoted[place] += 1;
    }
    assert!(quoted[0] >= 5 && quoted[1] >= 1, "{quoted:?} blocks quoted");
}
