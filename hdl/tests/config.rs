//! Configurations: the defaults, the examples, and an exact message for everything that can be wrong.
use virtio_hdl_rtl::config::{Bar0, ConfigError, DeviceType, EndpointConfig, Feature, LinkInterface, Setting};
use virtio_hdl_rtl::device;
use virtio_hdl_rtl::endpoint::top_name;

fn messages(text: &str) -> Vec<String> {
    match EndpointConfig::parse(text, "x.toml") {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string().lines().map(String::from).collect(),
    }
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(messages(text), [message], "{text}");
}

#[test]
fn empty_file_is_the_default_and_the_blk_example_spells_it_out() {
    let default = EndpointConfig::blk();
    assert_eq!(EndpointConfig::parse("", "x.toml"), Ok(default.clone()));
    assert_eq!(EndpointConfig::load("blk"), Ok(default));
}

#[test]
fn every_example_is_accepted_without_warning() {
    for (name, text) in device::examples() {
        let config = EndpointConfig::parse(text, name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.warnings, [], "{name}");
    }
    assert_eq!(EndpointConfig::load("blk-memory-bar").unwrap().bar0, Bar0::Memory);
}

#[test]
fn the_net_example_spells_the_default_out() {
    let default = EndpointConfig::net();
    assert_eq!(EndpointConfig::parse("device = \"net\"", "x.toml"), Ok(default.clone()));
    assert_eq!(EndpointConfig::load("net"), Ok(default.clone()));
    let ids = &default.ids;
    assert_eq!((ids.vendor, ids.device, ids.subsystem, ids.class, ids.revision), (0x1af4, 0x1000, 1, 0x02_0000, 0));
    assert_eq!((default.vectors, default.device.queues.len(), default.config_bytes()), (3, 2, 12));
    assert_eq!(default.net_options().mac, [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
    let intx = EndpointConfig { vectors: 0, ..default };
    assert_eq!(EndpointConfig::load("net-intx"), Ok(intx));
}

#[test]
fn the_console_example_spells_the_default_out() {
    let default = EndpointConfig::console();
    assert_eq!(EndpointConfig::parse("device = \"console\"", "x.toml"), Ok(default.clone()));
    assert_eq!(EndpointConfig::load("console"), Ok(default.clone()));
    let options = default.console_options();
    assert_eq!((options.cols, options.rows, options.baud), (80, 25, 115_200));
    let set = |baud: &str| EndpointConfig::load_set("console", &settings(&[&format!("console.baud={baud}")]));
    assert_eq!(set("300").unwrap().console_options().baud, 300);
    assert_eq!(set("12_000_000").unwrap().console_options().baud, 12_000_000);
    for baud in ["299", "12000001"] {
        let text = format!("device = \"console\"\n[console]\nbaud = {baud}");
        refused(&text, &format!("x.toml:3:8: console.baud = {baud} is out of range; allowed: 300 to 12_000_000"));
    }
}

#[test]
fn default_features_are_those_of_the_virtio_blk_specification() {
    let config = EndpointConfig::blk();
    // SEG_MAX 2, GEOMETRY 4, RO 5, BLK_SIZE 6, FLUSH 9, NOTIFY_ON_EMPTY 24, INDIRECT 28, EVENT_IDX 29, BAD 30.
    assert_eq!(config.host_features(), 0x7100_0274);
    let plain = EndpointConfig::load("blk-plain").unwrap();
    assert_eq!(plain.host_features(), 1 << 30);
    assert!(config.offers(Feature::INDIRECT) && !plain.offers(Feature::INDIRECT));
}

#[test]
fn default_features_are_those_of_the_virtio_net_specification() {
    // CSUM 0, GUEST_CSUM 1, MTU 3, MAC 5, MRG_RXBUF 15, STATUS 16, NOTIFY_ON_EMPTY 24, ANY_LAYOUT 27, INDIRECT 28, EVENT_IDX 29, BAD 30.
    assert_eq!(EndpointConfig::net().host_features(), 0x7901_802b);
    assert_eq!(EndpointConfig::load("net-plain").unwrap().host_features(), 1 << 30 | 1 << 16 | 1 << 5);
}

/// MQ (bit 12) comes with several queues, and a vector for each.
#[test]
fn several_queues_offer_mq_and_have_a_vector_each() {
    let config = EndpointConfig::load("blk-multiqueue").unwrap();
    assert_eq!((config.queue_count(), config.vectors, config.config_bytes()), (4, 5, 36));
    assert_eq!(config.host_features(), 0x7100_1274);
    assert_eq!(
        config.queues().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["requestq1", "requestq2", "requestq3", "requestq4"]
    );
    let few = EndpointConfig::parse("vectors = 2\nfeatures = []\n[blk]\nqueues = 2", "x.toml").unwrap();
    assert_eq!((few.queue_count(), few.vectors, few.host_features()), (2, 2, 1 << 30 | 1 << 12));
    let one = EndpointConfig::parse("features = [\"mq\"]", "x.toml").unwrap();
    assert_eq!((one.queue_count(), one.vectors, one.host_features()), (1, 2, 1 << 30 | 1 << 12));
    refused("[blk]\nqueues = 0", "x.toml:2:10: blk.queues = 0 is out of range; allowed: 1 to 4");
    refused("[blk]\nqueues = 5", "x.toml:2:10: blk.queues = 5 is out of range; allowed: 1 to 4");
}

/// A driver that accepts BAD_FEATURE gets the address and the checksums that are offered, as QEMU gives them; of a disk nothing.
#[test]
fn a_driver_that_did_not_negotiate_gets_the_safe_features() {
    assert_eq!(EndpointConfig::net().safe_features(), 1 << 5 | 1);
    assert_eq!(EndpointConfig::load("net-plain").unwrap().safe_features(), 1 << 5);
    assert_eq!(EndpointConfig::blk().safe_features(), 0);
}

#[test]
fn bar0_is_the_next_power_of_two_of_registers_and_device_config() {
    assert_eq!(EndpointConfig::blk().bar0_bytes(), 64);
    assert_eq!(EndpointConfig::load("blk-intx").unwrap().bar0_bytes(), 64);
    assert_eq!(EndpointConfig::load("blk-multiqueue").unwrap().bar0_bytes(), 64, "with the field num_queues");
    assert_eq!(EndpointConfig::net().bar0_bytes(), 64, "with the field mtu");
    assert_eq!(EndpointConfig::load("net-plain").unwrap().bar0_bytes(), 32);
    assert_eq!(EndpointConfig::load("net-intx").unwrap().bar0_bytes(), 32);
    let behind = |interface: &str| format!("device = \"net\"\n[link]\ninterface = \"{interface}\"\n");
    assert_eq!(EndpointConfig::parse(&behind("7-series"), "x").unwrap().bar0_bytes(), 64);
    assert_eq!(
        EndpointConfig::parse(&behind("ultrascale+"), "x").unwrap().bar0_bytes(),
        128,
        "PG213: the smallest BAR"
    );
}

#[test]
fn unknown_keys_are_named_with_what_is_allowed() {
    refused(
        "device = \"blk\"\nqueue-size = 16\n",
        "x.toml:2:1: unknown key queue-size at the top; did you mean queue_size?; allowed: device, queue_size, vectors, bar0, \
         max_payload, read_tags, completion_timeout_us, features, ids, blk, link, generate",
    );
    refused(
        "[link]\nclock-hz = 4",
        "x.toml:2:1: unknown key clock-hz in link; did you mean clock_hz?; allowed: interface, data_bits, speed, clock_hz",
    );
    refused(
        "[blk.geometry]\ntracks = 1",
        "x.toml:2:1: unknown key tracks in blk.geometry; allowed: cylinders, heads, sectors",
    );
}

#[test]
fn a_device_knows_its_own_section_and_features_only() {
    let top =
        "allowed: device, queue_size, vectors, bar0, max_payload, read_tags, completion_timeout_us, features, ids";
    refused(
        "device = \"net\"\n[blk]\n",
        &format!("x.toml:2:2: unknown key blk at the top; {top}, net, link, generate"),
    );
    refused("[net]\n", &format!("x.toml:1:2: unknown key net at the top; {top}, blk, link, generate"));
    refused("device = \"net\"\n[net]\nmtu = 1500", "x.toml:3:1: unknown key mtu in net; allowed: mac, max_frame");
    refused(
        "device = \"net\"\nfeatures = [\"mac\", \"flush\"]",
        "x.toml:2:20: features: \"flush\" is not known; allowed: \"event_idx\", \"indirect\", \"notify_on_empty\", \
         \"any_layout\", \"mac\", \"status\", \"mtu\", \"mrg_rxbuf\", \"csum\", \"guest_csum\"",
    );
    refused(
        "device = \"net\"\n[ids]\nsubsystem = 2",
        "x.toml:3:13: ids.subsystem = 2 is not this device's virtio id; with ids.vendor 0x1af4 allowed: 1",
    );
    let config = EndpointConfig::parse("device = \"net\"\n[ids]\nclass = 0x010000", "x.toml").unwrap();
    assert_eq!((config.ids.class, config.warnings.len()), (0x02_0000, 1));
}

#[test]
fn the_longest_frame_has_two_vlan_tags_at_least() {
    assert_eq!(
        (EndpointConfig::net().net_options().max_frame, EndpointConfig::net().net_options().mtu()),
        (1522, 1500)
    );
    let with = |bytes: u32| format!("device = \"net\"\n[net]\nmax_frame = {bytes}");
    assert_eq!(EndpointConfig::parse(&with(9022), "x.toml").unwrap().net_options().mtu(), 9000);
    let allowed = "allowed: 1522 (a payload of 1500 bytes and two VLAN tags, no check sequence) to 9022";
    for bytes in [1518, 9023] {
        refused(&with(bytes), &format!("x.toml:3:13: net.max_frame = {bytes} is out of range; {allowed}"));
    }
}

#[test]
fn a_hardware_address_is_that_of_one_card() {
    let with = |mac: &str| format!("device = \"net\"\n[net]\nmac = {mac}");
    let config = EndpointConfig::parse(&with("\"00:1B:21:aa:bb:0c\""), "x.toml").unwrap();
    assert_eq!(config.net_options().mac, [0x00, 0x1b, 0x21, 0xaa, 0xbb, 0x0c]);
    let allowed = "allowed: an address of one card, as \"52:54:00:12:34:56\"";
    for mac in [
        "01:00:5e:00:00:01", // a group
        "00:00:00:00:00:00",
        "52:54:00:12:34",
        "52:54:00:12:34:56:78",
        "52:54:00:12:34:5",
        "52:54:00:12:34:+6",
        "52-54-00-12-34-56",
        "",
    ] {
        refused(&with(&format!("\"{mac}\"")), &format!("x.toml:3:7: net.mac = \"{mac}\" is not possible; {allowed}"));
    }
    refused(&with("5"), &format!("x.toml:3:7: net.mac must be a text, not a number; {allowed}"));
    refused(
        "device = \"net\"\nfeatures = []\n[net]\nmac = \"52:54:00:00:00:01\"",
        "x.toml:4:7: net.mac has no effect: add \"mac\" to features, or leave it out",
    );
}

#[test]
fn values_out_of_range_say_what_is_allowed() {
    for (text, message) in [
        ("queue_size = 100", "1:14: queue_size = 100 is out of range; allowed: a power of 2 from 4 to 256"),
        ("queue_size = 512", "1:14: queue_size = 512 is out of range; allowed: a power of 2 from 4 to 256"),
        ("queue_size = -1", "1:14: queue_size = -1 is out of range; allowed: a power of 2 from 4 to 256"),
        ("queue_size = \"16\"", "1:14: queue_size must be a number, not a text; allowed: a power of 2 from 4 to 256"),
        ("vectors = 9", "1:11: vectors = 9 is out of range; allowed: 0 (no MSI-X) to 8"),
        ("bar0 = \"mem\"", "1:8: bar0: \"mem\" is not known; allowed: \"io\", \"memory\""),
        ("bar0 = 0", "1:8: bar0 takes a name, not a number; allowed: \"io\", \"memory\""),
        ("device = \"floppy\"", "1:10: device: \"floppy\" is not known; allowed: \"blk\", \"net\", \"console\", \"balloon\", \"firmware\""),
        ("max_payload = 200", "1:15: max_payload = 200 is out of range; allowed: 128, 256, 512"),
        ("read_tags = 16", "1:13: read_tags = 16 is out of range; allowed: 32, 64"),
        ("completion_timeout_us = 0", "1:25: completion_timeout_us = 0 is out of range; allowed: 1 to 64000 microseconds"),
        ("features = [\"flush\", \"flush\"]", "1:22: features names \"flush\" twice"),
        ("ids = 3", "1:7: ids must be a section or table, not a number"),
        ("[ids]\nvendor = 0x10000", "2:10: ids.vendor = 0x10000 is out of range; allowed: 0 to 0xffff"),
        ("[blk]\nblock_size = 256", "2:14: blk.block_size = 256 is out of range; allowed: 512, 1024, 2048, 4096"),
        (
            "[blk]\nserial = \"a serial number too long\"",
            "2:10: blk.serial = \"a serial number too long\" is not possible; allowed: at most 20 printable ASCII characters",
        ),
        (
"[link]\nspeed = \"gen4 x4\"", "2:9: link.speed: \"gen4 x4\" is not known; allowed: \"gen2 x4\", \"gen3 x4\", \"gen3 x8\""),
        (
            "[generate]\nprefix = \"0disk\"",
            "2:10: generate.prefix = \"0disk\" is not possible; allowed: 1 to 32 letters, digits and single _ that begin with a \
             letter, as \"disk0_\": every module's name begins so",
        ),
        ("[generate]\nprefx = 1", "2:1: unknown key prefx in generate; did you mean prefix?; allowed: prefix"),
    ] {
        refused(text, &format!("x.toml:{message}"));
    }
    for prefix in ["", "_disk", "a-b", "a__b", "disk 0", "ä", &"a".repeat(33)] {
        assert_eq!(messages(&format!("[generate]\nprefix = \"{prefix}\"")).len(), 1, "{prefix}");
    }
    assert!(messages("features = [\"mac\"]")[0].starts_with(
        "x.toml:1:13: features: \"mac\" is not known; allowed: \"event_idx\", \"indirect\", \"notify_on_empty\""
    ));
}

#[test]
fn impossible_combinations_are_refused() {
    for (text, message) in [
        (
            "features = []\n[blk]\nblock_size = 4096",
            "3:14: blk.block_size has no effect: add \"blk_size\" to features, or leave it out",
        ),
        (
            "queue_size = 16\n[blk]\nseg_max = 126",
            "3:11: blk.seg_max = 126 does not fit queue_size 16: header and status take two descriptors; allowed: 1 to 14",
        ),
        (
            "[ids]\nrevision = 1",
            "2:12: ids.revision = 1 is a virtio ABI that no driver knows; with ids.vendor 0x1af4 allowed: 0",
        ),
        (
            "[ids]\ndevice = 0x1041",
            "2:10: ids.device = 0x1041 is not a legacy virtio device; with ids.vendor 0x1af4 allowed: 0x1000 to 0x103f",
        ),
        (
            "[ids]\nsubsystem = 1",
            "2:13: ids.subsystem = 1 is not this device's virtio id; with ids.vendor 0x1af4 allowed: 2",
        ),
        (
            "[link]\nspeed = \"gen3 x8\"\n",
            "2:9: gen3 x8 carries 57.9 Gb/s, a 128-bit datapath at 125000000 Hz only 16.0; allowed: clock_hz of at least \
             453_000_000, or a slower link",
        ),
        (
            "[link]\ninterface = \"7-series\"\ndata_bits = 64\n",
            "1:1: gen2 x4 carries 14.4 Gb/s, a 64-bit datapath at 125000000 Hz only 8.0; allowed: clock_hz of at least \
             226_000_000, or a slower link",
        ),
        (
            "[link]\ninterface = \"7-series\"\nspeed = \"gen3 x4\"\nclock_hz = 250_000_000\n",
            "3:9: link.speed = \"gen3 x4\" with the interface \"7-series\", whose block ends at gen2; allowed: \"gen2 x4\"",
        ),
        (
            "[link]\ninterface = \"ultrascale+\"\ndata_bits = 64\nclock_hz = 250_000_000\n",
            "3:13: link.data_bits = 64 with the interface \"ultrascale+\"; allowed: 128, 256",
        ),
        ("[link]\ndata_bits = 256\n", "2:13: link.data_bits = 256 with the interface \"tlp\"; allowed: 128"),
        (
            "[link]\ninterface = \"axi\"\n",
            "2:13: link.interface: \"axi\" is not known; allowed: \"tlp\", \"7-series\", \"ultrascale+\"",
        ),
        ("[link]\ndata_bits = 100\n", "2:13: link.data_bits = 100 is out of range; allowed: 64, 128, 256, as the interface has them"),
    ] {
        refused(text, &format!("x.toml:{message}"));
    }
    let own = "[ids]\nvendor = 0x1234\nrevision = 1\nsubsystem = 7\ndevice = 1";
    assert!(EndpointConfig::parse(own, "x.toml").is_ok(), "another vendor has its own driver and ids");
}

/// Header, data and status of a disk's request take three descriptors, header and frame of a network card two.
#[test]
fn a_queue_that_holds_no_request_is_refused() {
    for features in ["", "features = []\n", "features = [\"indirect\"]\n"] {
        let with = |size: u16| EndpointConfig::parse(&format!("{features}queue_size = {size}"), "x.toml");
        assert!(with(2)
            .unwrap_err()
            .to_string()
            .contains("queue_size = 2 is out of range; allowed: a power of 2 from 4"));
        assert_eq!(with(4).unwrap().blk_options().seg_max, 2);
    }
    assert!(EndpointConfig::parse("device = \"net\"\nqueue_size = 2", "x.toml").is_ok());
    refused(
        "device = \"net\"\nqueue_size = 1",
        "x.toml:2:14: queue_size = 1 is out of range; allowed: a power of 2 from 2 to 256",
    );
}

#[test]
fn a_queue_too_short_for_linux_is_told() {
    let warnings = |size: u16| {
        let text = format!("device = \"net\"\nqueue_size = {size}");
        EndpointConfig::parse(&text, "x.toml").unwrap().warnings
    };
    for size in [2, 16] {
        let found = warnings(size);
        assert_eq!((found.len(), found[0].line, found[0].column), (1, 2, 14));
        assert!(found[0].message.contains("32 or more suit every driver"), "{}", found[0].message);
    }
    assert_eq!(warnings(32), []);
}

#[test]
fn an_unknown_class_falls_back_to_the_default_with_a_warning() {
    let config = EndpointConfig::parse("[ids]\nclass = 0x020000", "x.toml").unwrap();
    assert_eq!(config.ids.class, 0x01_0000);
    assert_eq!((config.warnings[0].line, config.warnings[0].column), (2, 9));
    assert_eq!(EndpointConfig::parse("[ids]\nclass = 0x018000", "x.toml").unwrap().ids.class, 0x01_8000);
}

#[test]
fn every_problem_is_reported_in_the_order_of_the_file() {
    let found = messages("vectors = 99\nqueue_size = 3\n[link]\nspeed = 5\ncolour = 1\n");
    assert_eq!(found.len(), 4, "{found:#?}");
    for (line, message) in found.iter().zip(["1:", "2:", "4:", "5:"]) {
        assert!(line.starts_with(&format!("x.toml:{message}")), "{line}");
    }
}

#[test]
fn what_is_not_toml_has_a_place_too() {
    assert!(messages("vectors = \n")[0].starts_with("x.toml:1:"), "{:?}", messages("vectors = \n"));
    assert!(messages("vectors = 1\nvectors = 2\n")[0].starts_with("x.toml:2:1: duplicate key"));
}

#[test]
fn a_missing_file_lists_the_examples() {
    let error = EndpointConfig::load("/no/such.toml").unwrap_err().to_string();
    assert!(error.starts_with("/no/such.toml: cannot read the configuration: "), "{error}");
    assert!(error.contains("blk-memory-bar"), "{error}");
}

#[test]
fn a_hard_block_has_its_interface_width_and_top() {
    let plain = EndpointConfig::net();
    assert_eq!((plain.link.interface, plain.link.data_bits), (LinkInterface::Tlp, 128));
    assert_eq!(top_name(&plain), "virtio_net_endpoint");
    let own = EndpointConfig::parse("[generate]\nprefix = \"disk0_\"", "x.toml").unwrap();
    assert_eq!(top_name(&own), "disk0_endpoint");
    for (interface, bits, top) in [
        ("7-series", 64, "virtio_blk_7series_64"),
        ("7-series", 128, "virtio_blk_7series_128"),
        ("ultrascale+", 128, "virtio_blk_usp_128"),
        ("ultrascale+", 256, "virtio_blk_usp_256"),
    ] {
        let text = format!("[link]\ninterface = \"{interface}\"\ndata_bits = {bits}\nclock_hz = 250_000_000\n");
        let config = EndpointConfig::parse(&text, "x.toml").unwrap();
        assert_eq!((config.link.interface.name(), config.link.data_bits), (interface, bits));
        assert_eq!(top_name(&config), top);
    }
    let wide = "[link]\ninterface = \"ultrascale+\"\ndata_bits = 256\nspeed = \"gen3 x8\"\nclock_hz = 250_000_000\n";
    assert!(EndpointConfig::parse(wide, "x.toml").is_ok(), "256 bits at 250 MHz carry gen3 x8");
}

#[test]
fn a_file_full_of_mistakes_is_told_of_at_once_and_in_part() {
    let begin = std::time::Instant::now();
    let keys: String = (0..50_000).map(|key| format!("k{key} = 1\n")).collect();
    let row: String = (0..50_000).map(|key| format!("k{key} = 1, ")).collect();
    let names = "\"event_idx\", ".repeat(50_000);
    for (text, first, more) in [
        (keys.clone(), (1, 1), 49_950),
        (format!("ids = {{ {row}k = 1 }}\n"), (1, 9), 49_951),
        (format!("features = [ {names} ]\n"), (1, 27), 49_949),
    ] {
        let problems = EndpointConfig::parse(&text, "long.toml").unwrap_err().problems;
        assert_eq!(problems.len(), 51);
        assert_eq!((problems[0].line, problems[0].column), first, "{}", problems[0].message);
        assert_eq!(problems[50].message, format!("and {more} more problems"));
    }
    // Linear, it is a fraction of a second.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn a_name_may_say_the_interface() {
    use virtio_hdl_rtl::config::LinkInterface;
    let plain = EndpointConfig::load("blk").unwrap();
    let behind = EndpointConfig::load("blk@7-series-128").unwrap();
    assert_eq!((behind.link.interface, behind.link.data_bits), (LinkInterface::SevenSeries, 128));
    assert_eq!(behind.link.clock_hz, plain.link.clock_hz);
    let narrow = EndpointConfig::load("net@7-series-64").unwrap();
    assert_eq!((narrow.link.data_bits, narrow.link.clock_hz), (64, 250_000_000), "as fast as the link");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("a@b.toml").to_string_lossy().into_owned();
    std::fs::write(&path, "device = \"net\"\nlink.speed = \"gen3 x4\"\nlink.clock_hz = 250_000_000\n").unwrap();
    EndpointConfig::load(&path).unwrap();
    let fast = EndpointConfig::load(&format!("{path}@ultrascale+-256")).unwrap();
    assert_eq!(fast.link.interface, LinkInterface::UltraScalePlus);
    let said = EndpointConfig::load(&format!("{path}@7-series-128")).unwrap_err().to_string();
    assert!(said.ends_with("the block of the interface 7-series ends at gen2, and link.speed is gen3 x4"), "{said}");
    let said = EndpointConfig::load("blk@tlp").unwrap_err().to_string();
    assert!(said.starts_with("blk@tlp: tlp is no interface; allowed: tlp-128, 7-series-64, "), "{said}");
}

/// Offsets of the virtio specification, 5.1.4 and 5.2.4: what the block puts in is 0 here.
#[test]
fn the_device_config_lies_where_the_specification_has_it() {
    let bytes = |config: &EndpointConfig| config.fixed_config().to_bytes_le();
    let blk = bytes(&EndpointConfig::blk());
    let (seg_max, geometry, blk_size) = (&blk[12..16], &blk[16..20], &blk[20..]);
    assert_eq!((seg_max, geometry, blk_size), (&[126, 0, 0, 0][..], &[0xff, 0x3f, 16, 63][..], &[0, 2][..]));
    assert_eq!(blk[..12], [0; 12]);
    let several = bytes(&EndpointConfig::load("blk-multiqueue").unwrap());
    assert_eq!(
        (&several[..22], &several[22..]),
        (&blk[..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..]),
        "num_queues"
    );
    let net = bytes(&EndpointConfig::net());
    assert_eq!((&net[..8], &net[8..]), (&[0; 8][..], &[1, 0, 0xdc, 0x05][..]), "one pair of queues, 1500 bytes");
    assert_eq!(bytes(&EndpointConfig::load("net-plain").unwrap()), [0]);
    let console = bytes(&EndpointConfig::console());
    assert_eq!(console, [0, 0, 0, 0, 1], "one port");
    let writable = device::TYPES.map(|device| EndpointConfig::of(device).writable_config());
    assert_eq!(writable, [0..0, 0..6, 8..12, 4..8, 0..0], "the hardware address; the byte of an emergency; `actual`");
}

#[test]
fn the_rows_of_the_crate_are_sound() {
    for device in device::TYPES {
        assert_eq!(device.check(), Ok(()), "{}", device.name);
        // that of a type which is another device in each configuration is called as the device
        let named = device.virtio_id != DeviceType::ANY_VIRTIO_ID;
        assert!(device.examples.iter().any(|(name, _)| !named || *name == device.name), "{}", device.name);
    }
}

#[test]
fn a_device_that_is_a_program_says_what_it_lacks() {
    let program = |text: &str| format!("device = \"firmware\"\nids.subsystem = 4\n[firmware]\n{text}");
    let rng = EndpointConfig::parse(&program("program = \"rng\""), "x.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((rng.virtio_id(), rng.queue_count(), rng.vectors), (4, 1, 2));
    assert_eq!(rng.firmware_options(), EndpointConfig::load("rng").unwrap().firmware_options());
    let lacks = "x.toml:1:1: ids.subsystem is needed: the virtio id of the device that this is to be";
    refused("device = \"firmware\"", lacks);
    for (text, message) in [
        ("queues = 5", "4:10: firmware.queues = 5 is out of range; allowed: 1 to 4"),
        ("memory = 24", "4:10: firmware.memory = 24 is out of range; allowed: 4, 8, 16, 32, 64 KiB"),
        ("watchdog_ms = 0", "4:15: firmware.watchdog_ms = 0 is out of range; allowed: 1 to 500 milliseconds"),
        ("memory = 4", "4:10: firmware.program has 7064 bytes, and a memory of 4 KiB 4096"),
        (
            "program = \"gone.bin\"",
            "4:11: firmware.program = \"gone.bin\" cannot be read: No such file or directory (os error 2); allowed: \"rng\", or the path of an image",
        ),
        (
            "program = \"/dev/zero\"",
            "4:11: firmware.program = \"/dev/zero\" cannot be read: it is not a file; allowed: \"rng\", or the path of an image",
        ),
    ] {
        refused(&program(text), &format!("x.toml:{message}"));
    }
}

fn settings(texts: &[&str]) -> Vec<Setting> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
}

#[test]
fn a_setting_counts_more_than_the_file_and_the_last_one_most() {
    let set = |texts: &[&str]| EndpointConfig::load_set("blk", &settings(texts)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(set(&[]), EndpointConfig::blk());
    let short = set(&["queue_size=64"]);
    assert_eq!((short.queue_size, short.blk_options().seg_max), (64, 62), "what follows from it follows");
    assert_eq!(set(&["device=net"]), EndpointConfig::net());
    assert_eq!(set(&["queue_size=64", "queue_size = 0x20"]).queue_size, 32);
    let queues = set(&["blk.queues=2", "vectors=3", "ids.subsystem_vendor=0x1234"]);
    assert_eq!((queues.blk_options().queues, queues.vectors, queues.ids.subsystem_vendor), (2, 3, 0x1234));
    let behind = set(&["link.interface=7-series", "link.data_bits=64", "link.clock_hz=250_000_000"]);
    assert_eq!((behind.link.interface, behind.link.data_bits), (LinkInterface::SevenSeries, 64));
    assert_eq!(set(&["link.speed=gen3 x4", "link.clock_hz=250_000_000"]).link.speed.name(), "gen3 x4");
    assert_eq!(set(&["features=[\"ro\", 'flush']"]).features.len(), 2);
    assert_eq!(set(&["blk.geometry.heads=8"]).blk_options().geometry.heads, 8);
    assert_eq!(set(&["blk.serial=a=b"]).blk_options().serial, "a=b");
    assert_eq!(set(&["blk.serial=\"64\""]).blk_options().serial, "64");
}

#[test]
fn a_wrong_setting_is_named_and_not_a_line_of_the_file() {
    let refused = |name: &str, texts: &[&str], message: &str| {
        let error = EndpointConfig::load_set(name, &settings(texts)).map(|_| ()).unwrap_err().to_string();
        assert!(error.lines().any(|line| line.starts_with(message)), "{texts:?}: {error}");
    };
    refused(
        "blk",
        &["queue_size=3"],
        "--set queue_size=3: queue_size = 3 is out of range; allowed: a power of 2 from 4",
    );
    refused(
        "blk",
        &["vectors=many"],
        "--set vectors=many: vectors must be a number, not a text; allowed: 0 (no MSI-X)",
    );
    refused("blk", &["blk.serial=64"], "--set blk.serial=64: blk.serial must be a text, not a number");
    refused("blk", &["colour=1"], "--set colour=1: unknown key colour at the top; allowed: device, queue_size");
    refused("blk", &["blk.que=1"], "--set blk.que=1: unknown key que in blk");
    refused("blk", &["net.mac=52:54:00:12:34:56"], "--set net.mac=52:54:00:12:34:56: unknown key net at the top");
    refused("blk", &["generate.prefix="], "--set generate.prefix=: generate.prefix = \"\" is not possible");
    refused("blk", &["link=1"], "--set link=1: link must be a section or table, not a number");
    let below = ["queue_size=64", "queue_size.low=1"];
    refused("blk", &below, "--set queue_size.low=1: queue_size is a number, and has no keys of its own");
    refused("blk", &["features=[\"ro\", 'rw']"], "--set features=[\"ro\", 'rw']: features: \"rw\" is not known");
    refused("blk", &["link.data_bits=64"], "--set link.data_bits=64: link.data_bits = 64 with the interface \"tlp\"");
    refused("blk", &["blk={ queues = 9 }"], "--set blk={ queues = 9 }: blk.queues = 9 is out of range");
    // Two at once, and what is wrong in the file stays there.
    refused("blk", &["vectors=9", "bar0=7"], "--set vectors=9: vectors = 9");
    refused("blk", &["vectors=9", "bar0=7"], "--set bar0=7: bar0 takes a name, not a number");
    let problems = read_set("vectors = 9\n", &["queue_size=64"]).unwrap_err().to_string();
    assert!(problems.starts_with("x.toml:1:11: vectors = 9"), "{problems}");
    assert!(read_set("vectors = 9\n", &["vectors=2"]).is_ok(), "what counts is checked");
    let warned = EndpointConfig::load_set("net", &settings(&["queue_size=16"])).unwrap().warnings;
    assert!(warned[0].in_file("net").starts_with("--set queue_size=16: queue_size = 16"), "{warned:?}");
}

fn read_set(text: &str, texts: &[&str]) -> Result<EndpointConfig, ConfigError> {
    EndpointConfig::read_set_with(&device::TYPES, text, "x.toml", &settings(texts))
}

#[test]
fn what_is_no_setting_says_how_to_write_one() {
    for (text, message) in [
        ("queue_size", "`queue_size` has no value; write KEY=VALUE, as queue_size=64"),
        ("", "`` has no value"),
        ("=64", "`` is no key"),
        ("blk..queues=2", "`blk..queues` is no key"),
        (".queues=2", "`.queues` is no key"),
        ("features=[ro]", "the value [ro] is not TOML's: "),
        ("blk.serial=\"open", "the value \"open is not TOML's: "),
    ] {
        let error = text.parse::<Setting>().unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn settings_have_the_last_word_behind_an_interface_in_the_name() {
    let set = |texts: &[&str]| EndpointConfig::load_set("blk@7-series-64", &settings(texts));
    let config = set(&["queue_size=64"]).unwrap();
    assert_eq!(config.link, EndpointConfig::load("blk@7-series-64").unwrap().link);
    assert_eq!(config.queue_size, 64);
    assert_eq!(set(&["link.data_bits=128"]).unwrap().link.data_bits, 128);
    let error = set(&["link.clock_hz=125_000_000"]).unwrap_err().to_string();
    assert!(error.contains("a 64-bit datapath at 125000000 Hz only"), "{error}");
    let error = set(&["link.speed=gen3 x4"]).unwrap_err().to_string();
    assert!(error.starts_with("--set link.speed=gen3 x4: link.speed = \"gen3 x4\" with the interface"), "{error}");
}
