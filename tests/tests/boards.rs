//! Boards, without the vendor's tools: tops are elaborated around a black box of the hard IP, constraints are read, scripts run
//! under `tclsh` against commands that write down how they were called.
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use virtio_hdl_rtl::board::constraints::named_ports;
use virtio_hdl_rtl::board::hard_ip::Direction;
use virtio_hdl_rtl::board::project::{project, Project};
use virtio_hdl_rtl::board::{Board, BoardError, Fitted, HardIp, BOARDS};
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface, LinkSpeed};
use virtio_hdl_rtl::device::console::ConsoleOptions;
use virtio_hdl_rtl::endpoint::core::function_config;
use virtio_hdl_rtl::pcie::function::{BarSpace, FunctionConfig};
use virtio_hdl_tests::{example, program};
use yaml_rust2::{Yaml, YamlLoader};

/// A project in a folder.
struct Written {
    folder: tempfile::TempDir,
    project: Project,
    fitted: Fitted,
    board: &'static Board,
}

/// Writes the project of a configuration for a board.
fn written(board: &'static Board, config: &EndpointConfig) -> Written {
    let fitted = board.fit(config).unwrap();
    let project = project(board, &fitted).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for module in &project.design.modules {
        fs::write(folder.path().join(module.file_name()), module.file()).unwrap();
    }
    for (name, text) in &project.files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Written { folder, project, fitted, board }
}

/// A configuration at another speed.
fn at(speed: LinkSpeed, config: &EndpointConfig) -> EndpointConfig {
    let mut config = config.clone();
    config.link.speed = speed;
    config
}

/// Whether the board is no card, or has the pins for what is behind the device on one.
fn has_pins(board: &Board, config: &EndpointConfig) -> bool {
    board.card.is_none() || config.device.card.is_some_and(|side| board.without_pin(side.pins).is_empty())
}

/// Every board with all devices it can have at its first link, those without a card with all links and widths.
fn combinations() -> Vec<(&'static Board, EndpointConfig)> {
    let mut all = vec![];
    let pairs = BOARDS.iter().flat_map(|board| ["blk", "net", "console"].map(|device| (board, example(device))));
    for (board, device) in pairs.filter(|(board, device)| has_pins(board, device)) {
        all.push((board, at(board.links[0], &device)));
        if board.card.is_none() && device == example("blk") {
            for speed in board.links {
                for mode in board.hard_ip.modes(*speed) {
                    let mut config = at(*speed, &device);
                    config.link.interface = board.hard_ip.interface();
                    config.link.data_bits = mode.data_bits;
                    all.push((board, config));
                }
            }
            all.push((board, example("blk-intx")));
            all.push((board, example("blk-memory-bar")));
        }
    }
    all
}

/// Does it for all, on as many threads as there are processors.
fn for_all<T: Sync>(all: &[T], job: impl Fn(&T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (job, chunk) = (&job, all.len().div_ceil(threads).max(1));
    std::thread::scope(|scope| {
        for part in all.chunks(chunk) {
            scope.spawn(move || part.iter().for_each(job));
        }
    });
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// What is read besides the top.
#[derive(Copy, Clone, PartialEq)]
enum Inside {
    /// All modules.
    Everything,
    /// The ports of the endpoint.
    Ports,
}

/// Elaborates the top around a black box of the IP; the netlist of the top.
fn elaborate(written: &Written, inside: Inside) -> Result<Value, String> {
    let (folder, top) = (written.folder.path(), &written.project.top);
    let config = &written.fitted.config;
    fs::write(folder.join("stub.vb"), written.board.hard_ip.stub(config, config.link.data_bits)).unwrap();
    let endpoint = written.project.design.modules.iter().nth_back(1).unwrap();
    let endpoint = match inside {
        Inside::Everything => "read_verilog *.v".to_string(),
        Inside::Ports => format!("read_verilog -lib {}; read_verilog {top}.v", endpoint.file_name()),
    };
    let script = format!(
        "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v; read_verilog stub.vb; {endpoint}; \
         hierarchy -check -top {top}; select {top}; proc; check -assert; json -o top.json"
    );
    let output = Command::new("yosys")
        .current_dir(folder)
        .args(["-Q", "-T", "-p", &script])
        .output()
        .unwrap_or_else(|error| panic!("yosys: {error}; `make setup` installs it"));
    let said = text(&output);
    let complaint = said.lines().find(|line| ["ERROR", "Warning", "Resizing"].iter().any(|word| line.contains(word)));
    if let (false, Some(line)) | (true, Some(line)) = (output.status.success(), complaint) {
        return Err(line.into());
    }
    assert!(output.status.success(), "{said}");
    let netlist: Value = serde_json::from_str(&fs::read_to_string(folder.join("top.json")).unwrap()).unwrap();
    Ok(netlist["modules"][top].clone())
}

/// How many bits each connection of a cell has, and whether they are all nets or constants 0 and 1.
fn connections<'a>(top: &'a Value, cell: &str) -> BTreeMap<&'a str, (usize, bool)> {
    let bits = |bits: &Value| {
        let bits = bits.as_array().unwrap();
        (bits.len(), bits.iter().all(|bit| bit.is_number() || bit == "0" || bit == "1"))
    };
    let ports = top["cells"][cell]["connections"].as_object().unwrap();
    ports.iter().map(|(name, net)| (name.as_str(), bits(net))).collect()
}

/// Every port of the IP is connected in full; outputs that nobody reads are named and left open.
fn check_top(written: &Written) {
    // the endpoint itself is the same on all boards of a family
    let inside = if ["vcu118", "acorn"].contains(&written.board.name) { Inside::Everything } else { Inside::Ports };
    let top = elaborate(written, inside).unwrap_or_else(|line| panic!("{}: {line}", written.project.top));
    let config = &written.fitted.config;
    let ports = written.board.hard_ip.ports(config, config.link.data_bits);
    let connected = connections(&top, "pcie");
    let verilog = &written.project.design.modules.last().unwrap().text;
    for port in &ports {
        let name = format!("{} {}", written.project.top, port.name);
        assert!(verilog.contains(&format!(".{}(", port.name)), "{name} is not named");
        match (connected.get(port.name), port.direction) {
            (Some((0, _)) | None, Direction::Output) => {}
            (Some((width, driven)), _) => assert_eq!((*width, *driven), (port.width, true), "{name}"),
            (None, Direction::Input(_)) => panic!("{name} is not connected"),
        }
    }
    let names: BTreeSet<&str> = ports.iter().map(|port| port.name).collect();
    assert!(connected.keys().all(|name| names.contains(name)));
    // what goes to the endpoint and comes from it is there on both sides
    let endpoint = connections(&top, "endpoint");
    for (name, (width, driven)) in &endpoint {
        // the cards' far end filters no addresses, and nobody on them reads the endpoint's state
        let unread = ["net_mac_current", "state_done", "state_read_data"];
        let open = written.board.card.is_some() && unread.contains(name);
        assert!(open || (*width > 0 && *driven), "{} endpoint {name}", written.project.top);
    }
    assert!(endpoint.keys().filter(|name| names.contains(*name)).count() > 30);
    check_pins(written, &top);
}

/// Bits of the ports of a netlist, as constraints name them.
fn port_bits(top: &Value) -> BTreeSet<String> {
    let bits = |(name, port): (&String, &Value)| -> Vec<String> {
        match port["bits"].as_array().unwrap().len() {
            1 => vec![name.clone()],
            width => (0..width).map(|bit| format!("{name}[{bit}]")).collect(),
        }
    };
    top["ports"].as_object().unwrap().iter().flat_map(bits).collect()
}

/// The constraints name ports that are there; on a card every port has one pin, and every pin one port.
fn check_pins(written: &Written, top: &Value) {
    let name = &written.project.top;
    let file = format!("{}.xdc", written.board.name);
    let constraints = fs::read_to_string(written.folder.path().join(&file)).unwrap();
    let there = port_bits(top);
    let mut with_pin = BTreeSet::new();
    for port in named_ports(&constraints) {
        let known = match port.name.strip_suffix("[*]") {
            Some(vector) => there.contains(&format!("{vector}[0]")),
            None => there.contains(&port.name),
        };
        assert!(known, "{file} names {}, {name} has not", port.name);
        if port.pin {
            assert!(with_pin.insert(port.name.clone()), "{file}: {} has two pins", port.name);
        }
    }
    if written.board.card.is_some() {
        let without: Vec<_> = there.difference(&with_pin).collect();
        assert!(without.is_empty(), "{file}: no pin for {without:?} of {name}");
    }
    let pins: Vec<_> = constraints
        .lines()
        .filter_map(|line| line.split_once("PACKAGE_PIN "))
        .map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default())
        .collect();
    assert_eq!(pins.iter().collect::<BTreeSet<_>>().len(), pins.len(), "{file}: a pin has two ports");
}

#[test]
fn every_top_elaborates_with_all_ports_of_the_ip_connected_and_all_pins_placed() {
    for_all(&combinations(), |(board, config)| check_top(&written(board, config)));
}

/// The check itself: what is wrong in a top is found.
#[test]
fn a_top_with_a_mistake_does_not_pass() {
    let board = Board::find("acorn").unwrap();
    for (from, to, complaint) in [
        (".m_axis_rx_tuser(m_axis_rx_tuser)", ".m_axis_rx_tuser(m_axis_rx_tuser[20:0])", "Resizing cell port"),
        (".cfg_dsn(64'd0)", ".cfg_dsm(64'd0)", "does not have a port named"),
        ("IBUFDS_GTE2 ", "IBUFDS_GTE9 ", "is not part of the design"),
        (".user_lnk_up(user_lnk_up)", ".user_lnk_up()", "is used but has no driver"),
    ] {
        let written = written(board, &example("blk"));
        let path = written.folder.path().join(format!("{}.v", written.project.top));
        let verilog = fs::read_to_string(&path).unwrap();
        assert!(verilog.contains(from), "{from}");
        fs::write(path, verilog.replacen(from, to, 1)).unwrap();
        let line = elaborate(&written, Inside::Ports).expect_err(from);
        assert!(line.contains(complaint), "{from}: {line}");
    }
}

/// A constraint file of each card at every link it has: lanes that are not used are not named.
#[test]
fn constraints_name_the_lanes_of_the_link_only() {
    for board in BOARDS.iter().filter(|board| board.card.is_some()) {
        for speed in board.links {
            let project = project(board, &board.fit(&at(*speed, &example("blk"))).unwrap()).unwrap();
            let (_, constraints) = project.files.iter().find(|(name, _)| name.ends_with(".xdc")).unwrap();
            let lanes = named_ports(constraints).iter().filter(|port| port.name.starts_with("pcie_rx_p[")).count();
            assert_eq!(lanes, usize::from(speed.lanes()), "{} {}", board.name, speed.name());
        }
    }
}

/// A file of the project of a configuration on a board, and its top.
fn xdc_and_top(board: &Board, config: &EndpointConfig) -> Result<(String, String), BoardError> {
    let project = project(board, &board.fit(config).unwrap())?;
    let (_, constraints) = project.files.into_iter().find(|(name, _)| name.ends_with(".xdc")).unwrap();
    Ok((constraints, project.design.modules.last().unwrap().text.clone()))
}

/// The names of the boards, as messages have them.
fn names(kind: impl Fn(&Board) -> bool) -> String {
    BOARDS.iter().filter(|board| kind(board)).map(|board| board.name).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_console_has_a_uart_on_a_card_and_its_streams_without_one() {
    let console = example("console");
    assert_eq!(
        names(|board| board.card.is_some() && has_pins(board, &console)),
        "vcu118, u200, ac701, litefury, acorn"
    );
    for board in BOARDS.iter().filter(|board| board.card.is_some()) {
        let (constraints, top) = xdc_and_top(board, &console).unwrap();
        let paths = ["set_false_path -to [get_ports uart_txd]", "set_false_path -from [get_ports uart_rxd]"];
        assert!(paths.iter().all(|path| constraints.lines().any(|line| line == *path)), "{constraints}");
        let placed = |name: &str| named_ports(&constraints).iter().any(|port| port.name == name && port.pin);
        assert!(placed("uart_txd") && placed("uart_rxd"), "{constraints}");
        for text in [
            "output wire       uart_txd",
            "input  wire       uart_rxd",
            ".uart_txd(uart_txd)",
            ".console_cols(16'h0050)",
        ] {
            assert!(top.contains(text), "{text}: {top}");
        }
        // a port that is not there would be a warning of Vivado's
        let (constraints, top) = xdc_and_top(board, &example("blk")).unwrap();
        assert!(
            !constraints.contains("UART") && !constraints.contains("uart") && !top.contains("uart"),
            "{constraints}"
        );
    }
    for board in BOARDS.iter().filter(|board| board.card.is_none()) {
        let (constraints, top) = xdc_and_top(board, &console).unwrap();
        assert!(!constraints.contains("uart") && !top.contains("uart"), "{top}");
        for stream in ["m_axis_tx", "s_axis_rx"] {
            let there = ["tvalid", "tready", "tdata"].iter().all(|field| top.contains(&format!(" {stream}_{field}")));
            assert!(there, "{stream}: {top}");
        }
    }
}

#[test]
fn a_card_without_a_uart_has_no_console_and_says_which_boards_have() {
    let known = Board::find("ac701").unwrap();
    let without = known.constraints.split("\n\n").filter(|text| !text.contains("uart_rxd")).collect::<Vec<_>>();
    let half = known.constraints.replace("{PACKAGE_PIN U19 IOSTANDARD LVCMOS18}", "{IOSTANDARD LVCMOS18}");
    for (constraints, missing) in [(without.join("\n\n"), "uart_txd, uart_rxd"), (half, "uart_txd")] {
        assert!(constraints.len() < known.constraints.len());
        let board = Board { name: "bare", constraints: constraints.leak(), ..known.clone() };
        let error = xdc_and_top(&board, &example("console")).unwrap_err().to_string();
        let message = format!(
            "bare has no pins {missing}, and a device \"console\" on a card needs them; take vcu118, u200, ac701, litefury, acorn, \
             which have, or generic-7series, generic-usplus, which bring out its streams"
        );
        assert_eq!(error, message);
        assert!(xdc_and_top(&board, &example("blk")).is_ok());
    }
}

/// A clock of 250 MHz does what one of 125 MHz does not.
#[test]
fn a_uart_has_the_clock_of_the_card() {
    let mut config = example("console");
    config.options_mut::<ConsoleOptions>().baud = 12_000_000;
    let board = Board::find("vcu118").unwrap();
    let refused = xdc_and_top(board, &config).unwrap_err();
    assert!(matches!(refused, BoardError::CardSide { board: "vcu118", .. }), "{refused}");
    let project = project(board, &board.fit(&at(LinkSpeed::Gen3X8, &config)).unwrap()).unwrap();
    let uart = project.design.modules.iter().find(|module| module.name == "virtio_console_uart").unwrap();
    // 21 cycles a bit
    assert!(uart.text.contains("21'd20") || uart.text.contains("21'h000014"), "{}", uart.text);
}

/// Calls of the vendor's commands: command and arguments.
type Calls = Vec<Vec<String>>;

/// Runs `build.tcl` against commands that write down their calls; `attributes` are those of the hard block, `slack` is that of the
/// worst path.
fn build(written: &Written, attributes: &[(String, String)], slack: &str) -> (Output, Calls) {
    let folder = written.folder.path();
    let pairs: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} {value}")).collect();
    fs::write(folder.join("attributes"), pairs.join(" ")).unwrap();
    let calls = folder.join("calls");
    let _ = fs::remove_file(&calls);
    let output = Command::new("tclsh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vivado.tcl"))
        .arg(folder.join("build.tcl"))
        .env_remove("PART")
        .envs([("ATTRIBUTES", folder.join("attributes")), ("CALLS", calls.clone()), ("SLACK", PathBuf::from(slack))])
        .current_dir("/")
        .output()
        .unwrap_or_else(|error| panic!("tclsh: {error}; `make setup` installs it"));
    let calls = fs::read_to_string(calls).unwrap_or_default();
    (output, calls.lines().map(|line| line.split('\t').map(String::from).collect()).collect())
}

/// What the parameters make of the hard block, in the ways Vivado writes it.
fn attributes(written: &Written) -> Vec<(String, String)> {
    let attributes = written.board.hard_ip.attributes(&written.fitted.config).into_iter();
    attributes
        .map(|attribute| match attribute.value.parse::<u64>() {
            Ok(number) => (attribute.name.into(), format!("32'h{number:08X}")),
            Err(_) => (attribute.name.into(), attribute.value),
        })
        .collect()
}

/// `CONFIG.` parameters that were set on the IP.
fn parameters(calls: &Calls) -> BTreeMap<String, String> {
    let set = calls.iter().find(|call| call[..2] == ["set_property", "-dict"]).unwrap();
    assert!(set[3].starts_with("ip "), "{set:?}");
    let words: Vec<_> = set[2].split_whitespace().map(|word| word.trim_matches(['{', '}'])).collect();
    assert_eq!(words.len() % 2, 0);
    let pairs: BTreeMap<_, _> = words.chunks(2).map(|pair| (pair[0].replace("CONFIG.", ""), pair[1].into())).collect();
    assert_eq!(pairs.len(), words.len() / 2, "no parameter is set twice");
    pairs
}

/// Bytes of a BAR by its parameters.
fn bytes(parameters: &BTreeMap<String, String>, size: &str, scale: &str) -> u32 {
    let unit = match parameters[scale].as_str() {
        "Bytes" => 1,
        "Kilobytes" => 1024,
        other => panic!("{other}"),
    };
    parameters[size].parse::<u32>().unwrap() * unit
}

/// The names of the parameters, which differ from IP to IP in their spelling.
struct Names {
    ids: [&'static str; 5],
    class: &'static str,
    bar0: [&'static str; 3],
    bar1: [&'static str; 4],
    msix: [&'static str; 6],
    link: [&'static str; 2],
    payload: &'static str,
    pin: &'static str,
    width: &'static str,
}

const SEVEN_SERIES: Names = Names {
    ids: ["Vendor_ID", "Device_ID", "Revision_ID", "Subsystem_Vendor_ID", "Subsystem_ID"],
    class: "Class_Code_Base",
    bar0: ["Bar0_Type", "Bar0_Size", "Bar0_Scale"],
    bar1: ["Bar1_Enabled", "Bar1_Type", "Bar1_Size", "Bar1_Scale"],
    msix: ["MSIx_Enabled", "MSIx_Table_Size", "MSIx_Table_Offset", "MSIx_Table_BIR", "MSIx_PBA_Offset", "MSIx_PBA_BIR"],
    link: ["Link_Speed", "Maximum_Link_Width"],
    payload: "Max_Payload_Size",
    pin: "Legacy_Interrupt",
    width: "Interface_Width",
};

const ULTRASCALE_PLUS: Names = Names {
    ids: ["vendor_id", "PF0_DEVICE_ID", "PF0_REVISION_ID", "PF0_SUBSYSTEM_VENDOR_ID", "PF0_SUBSYSTEM_ID"],
    class: "pf0_class_code_base",
    bar0: ["pf0_bar0_type", "pf0_bar0_size", "pf0_bar0_scale"],
    bar1: ["pf0_bar1_enabled", "pf0_bar1_type", "pf0_bar1_size", "pf0_bar1_scale"],
    msix: [
        "pf0_msix_enabled",
        "PF0_MSIX_CAP_TABLE_SIZE",
        "PF0_MSIX_CAP_TABLE_OFFSET",
        "PF0_MSIX_CAP_TABLE_BIR",
        "PF0_MSIX_CAP_PBA_OFFSET",
        "PF0_MSIX_CAP_PBA_BIR",
    ],
    link: ["PL_LINK_CAP_MAX_LINK_SPEED", "PL_LINK_CAP_MAX_LINK_WIDTH"],
    payload: "pf0_dev_cap_max_payload",
    pin: "PF0_INTERRUPT_PIN",
    width: "axisten_if_width",
};

/// The parameters say what the RTL's own config space says.
fn check_parameters(name: &str, ip: HardIp, set: &BTreeMap<String, String>, function: &FunctionConfig, bits: u16) {
    // 7-series: offsets in units of 8 bytes, number of vectors; UltraScale+: bytes, number less one
    let (names, unit, less) = match ip {
        HardIp::SevenSeries => (SEVEN_SERIES, 8, 0),
        HardIp::UltraScalePlus => (ULTRASCALE_PLUS, 1, 1),
    };
    let hex = |key: &str| u32::from_str_radix(&set[key], 16).unwrap_or_else(|_| panic!("{name}: {key} {}", set[key]));
    let ids = [
        function.vendor_id,
        function.device_id,
        function.revision.into(),
        function.subsystem_vendor_id,
        function.subsystem_id,
    ];
    assert_eq!(names.ids.map(hex), ids.map(u32::from), "{name}");
    assert_eq!(hex(names.class), function.class >> 16, "{name}");
    let space = if function.bar0_space == BarSpace::Io { "IO" } else { "Memory" };
    let [kind, size, scale] = names.bar0;
    assert_eq!((set[kind].as_str(), bytes(set, size, scale)), (space, function.bar0_size), "{name}");
    let [enabled, kind, size, scale] = names.bar1;
    assert_eq!(set[enabled], (function.vectors > 0).to_string(), "{name}");
    assert_eq!(set[names.msix[0]], (function.vectors > 0).to_string(), "{name}");
    if function.vectors > 0 {
        assert_eq!((set[kind].as_str(), bytes(set, size, scale)), ("Memory", !function.bar1_mask() + 1), "{name}");
        let [_, table_size, table, table_bir, pba, pba_bir] = names.msix;
        assert_eq!(hex(table_size) + less, u32::from(function.vectors), "{name}");
        for (offset, bir, expected) in [(table, table_bir, function.msix_table()), (pba, pba_bir, function.msix_pba())]
        {
            assert_eq!(set[bir], format!("BAR_{}", expected & 7), "{name}");
            assert_eq!(hex(offset) * unit, expected & !7, "{name}");
        }
    } else {
        assert!(names.msix[1..].iter().all(|key| !set.contains_key(*key)), "{name}");
    }
    let speed = ["2.5", "5.0", "8.0"][usize::from(function.link_speed) - 1];
    assert_eq!(set[names.link[0]], format!("{speed}_GT/s"), "{name}");
    assert_eq!(set[names.link[1]], format!("X{}", function.link_width), "{name}");
    assert_eq!(set[names.payload], format!("{}_bytes", 128 << function.max_payload), "{name}");
    assert_eq!(set[names.pin], "INTA", "{name}");
    assert_eq!(set[names.width], format!("{bits}_bit"), "{name}");
}

#[test]
fn the_script_creates_the_ip_with_the_config_space_of_the_rtl_and_ends_in_a_bitstream() {
    for_all(&combinations(), |(board, config)| {
        let written = written(board, config);
        let name = &written.project.top;
        let (output, calls) = build(&written, &attributes(&written), "0.123");
        assert!(output.status.success(), "{name}: {}", text(&output));
        let of = |command: &str| calls.iter().filter(|call| call[0] == command).collect::<Vec<_>>();
        let config = &written.fitted.config;
        check_parameters(name, board.hard_ip, &parameters(&calls), &function_config(config), config.link.data_bits);

        let files: Vec<_> = of("read_verilog").iter().map(|call| PathBuf::from(&call[1])).collect();
        assert_eq!(files.len(), written.project.design.modules.len(), "{name}");
        assert!(files.iter().all(|file| file.is_file()), "{name}");
        assert!(Path::new(&of("read_xdc")[0][1]).is_file(), "{name}");
        assert!(of("create_ip")[0].iter().any(|word| word == board.hard_ip.module()), "{name}");
        assert!(of("synth_design")[0].contains(name) && of("synth_design")[0].iter().any(|word| word == board.part));
        assert!(text(&output).contains("attributes are as configured"), "{name}: {}", text(&output));
        if board.card.is_some() {
            assert_eq!((of("write_bitstream").len(), of("write_cfgmem").len()), (1, 1), "{name}");
            let placed = calls.iter().filter(|call| call[0] == "set_property" && call[1] == "LOC").count();
            assert_eq!(placed, board.channels.len(), "{name}");
        } else {
            assert!(of("place_design").is_empty(), "{name}");
        }
    });
}

#[test]
fn a_bitstream_that_misses_timing_is_not_written() {
    let written = written(Board::find("vcu118").unwrap(), &example("net"));
    let (output, calls) = build(&written, &attributes(&written), "-0.250");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("error: timing is missed, setup by 0.25 ns, hold by 0.25 ns"), "{}", text(&output));
    assert!(calls.iter().all(|call| call[0] != "write_bitstream"));
}

#[test]
fn a_hard_block_with_another_config_space_stops_the_build() {
    for (board, name, wrong) in [("acorn", "MSIX_CAP_PBA_OFFSET", "29'h00000800"), ("u200", "PF0_BAR0_CONTROL", "3'h4")]
    {
        let written = written(Board::find(board).unwrap(), &example("blk"));
        let mut attributes = attributes(&written);
        attributes.iter_mut().find(|(attribute, _)| attribute == name).unwrap().1 = wrong.into();
        let (output, calls) = build(&written, &attributes, "0.1");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(&format!("{name} is {wrong}, not ")), "{}", text(&output));
        assert!(calls.iter().all(|call| call[0] != "place_design"));
    }
}

#[test]
fn a_part_without_a_card_is_chosen_by_the_environment() {
    let written = written(Board::find("generic-7series").unwrap(), &example("net"));
    let settings = fs::read_to_string(written.folder.path().join("settings.tcl")).unwrap();
    let script = format!("{settings}\nputs $part");
    let path = written.folder.path().join("part.tcl");
    fs::write(&path, script).unwrap();
    let output = Command::new("tclsh").arg(&path).env("PART", "xc7k325tffg900-2").output().unwrap();
    assert_eq!(text(&output), "xc7k325tffg900-2\n");
}

/// The document of a core file.
fn core(folder: &Path, top: &str) -> Yaml {
    let text = fs::read_to_string(folder.join(format!("{top}.core"))).unwrap();
    let rest = text.strip_prefix("CAPI=2:\n").expect("the first line is the version");
    YamlLoader::load_from_str(rest).unwrap().remove(0)
}

/// Names of the files of a fileset; each is a string, or a mapping with the name as its key.
fn fileset(core: &Yaml, name: &str) -> Vec<String> {
    let files = core["filesets"][name]["files"].as_vec().unwrap_or_else(|| panic!("no fileset {name}"));
    let name = |file: &Yaml| match file {
        Yaml::Hash(hash) => hash.keys().next().unwrap().as_str().unwrap().to_string(),
        file => file.as_str().unwrap().to_string(),
    };
    files.iter().map(name).collect()
}

#[test]
fn fusesoc_core_files_name_what_is_there() {
    let out = tempfile::tempdir().unwrap();
    for (arguments, top, filesets) in [
        (vec!["generate", "net"], "virtio_net_endpoint", vec!["rtl"]),
        (vec!["generate", "blk", "--board", "ac701"], "virtio_blk_ac701", vec!["rtl", "card"]),
        (vec!["generate", "console", "--board", "ac701"], "virtio_console_ac701", vec!["rtl", "card"]),
        (vec!["generate", "net", "--board", "acorn"], "virtio_net_acorn", vec!["rtl"]),
        (vec!["generate", "net", "--board", "generic-usplus"], "virtio_net_generic_usplus", vec!["rtl", "card"]),
    ] {
        let folder = out.path().join(top);
        let output = program().args(arguments).arg("--out").arg(&folder).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let core = core(&folder, top);
        assert_eq!(core["name"].as_str(), Some(format!("virtio-hdl::{top}:{}", env!("CARGO_PKG_VERSION")).as_str()));
        let files: Vec<_> = filesets.iter().flat_map(|name| fileset(&core, name)).collect();
        assert!(files.iter().all(|file| folder.join(file).is_file()), "{files:?}");
        let list = fs::read_to_string(folder.join(format!("{top}.f"))).unwrap();
        assert_eq!(list.lines().collect::<Vec<_>>(), fileset(&core, "rtl"), "as in the list of files");
        let targets = core["targets"].as_hash().unwrap();
        for (_, target) in targets {
            let own = &target["filesets"];
            let merged = &target["<<"]["filesets"];
            let used = own.as_vec().or(merged.as_vec()).unwrap();
            assert!(used.iter().all(|name| !core["filesets"][name.as_str().unwrap()].is_badvalue()));
        }
        assert_eq!(core["targets"]["default"]["toplevel"].as_str(), Some(top));
    }
}

#[test]
fn what_a_board_does_not_have_is_said_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let gen3 = file("gen3.toml", "device = \"blk\"\n[link]\nspeed = \"gen3 x4\"\nclock_hz = 250_000_000\n");
    let fast = file("fast.toml", "device = \"console\"\n[console]\nbaud = 12_000_000\n");
    let wide = file("wide.toml", "device = \"net\"\n[link]\ninterface = \"ultrascale+\"\ndata_bits = 256\n");
    for (config, board, message) in [
        ("blk", "vcu119", "there is no board vcu119; boards: vcu118, u200, ac701, litefury, acorn, generic-7series, generic-usplus"),
        (&gen3, "acorn", "the configuration asks for a gen3 x4 link, acorn has gen2 x4; set link.speed"),
        (
            &wide,
            "ac701",
            "the configuration asks for the interface \"ultrascale+\", ac701 has \"7-series\"; leave link.interface out",
        ),
        (
            &wide,
            "u200",
            "the configuration asks for a datapath of 256 bits, with a gen2 x4 link u200 has 128 bits; set link.data_bits or leave it out",
        ),
        (
            &fast,
            "ac701",
            "ac701 cannot have this device \"console\": console.baud = 12000000 is too fast for a clock of 125000000 Hz; \
             allowed: 16 cycles a bit at least, up to 7812500",
        ),
    ] {
        let output = program().args(["generate", config, "--board", board]).arg("--out").arg(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{config} {board}");
        assert!(text(&output).contains(message), "{}", text(&output));
    }
    let unknown = Board::find("x").unwrap_err();
    assert_eq!(unknown, BoardError::Unknown { name: "x".into() });
}

#[test]
fn boards_are_listed_and_fitted() {
    let output = program().args(["boards", "--json"]).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, BOARDS.iter().map(|board| board.name).collect::<Vec<_>>());
    let listed = text(&program().arg("boards").output().unwrap());
    assert!(names.iter().all(|name| listed.contains(name)), "{listed}");

    let fitted = Board::find("vcu118").unwrap().fit(&at(LinkSpeed::Gen3X8, &example("blk"))).unwrap();
    let link = &fitted.config.link;
    assert_eq!((link.interface, link.data_bits, link.clock_hz), (LinkInterface::UltraScalePlus, 256, 250_000_000));
}

/// `make bitstream` without Vivado: the files are there, and it says what to do with them; with one it is started on them.
#[test]
fn make_bitstream_says_what_to_do_without_vivado() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let run = |path: &str, board: &str| {
        Command::new("bash")
            .arg(root.join("scripts/bitstream.sh"))
            .args([board, "net"])
            .env("VIRTIO_HDL", program().get_program())
            .env("OUT", folder.path().join("out"))
            .env("PATH", path)
            .output()
            .unwrap()
    };
    let output = run("/usr/bin:/bin", "ac701");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("error: vivado is not in PATH: source settings64.sh of your Vivado"),
        "{}",
        text(&output)
    );
    assert!(folder.path().join("out/build.tcl").is_file());
    let output = run("/usr/bin:/bin", "ac702");
    assert!(text(&output).contains("there is no board ac702; boards: vcu118"), "{}", text(&output));

    let vivado = folder.path().join("vivado");
    fs::write(&vivado, "#!/bin/sh\necho \"vivado $* in $PWD\"\n").unwrap();
    fs::set_permissions(&vivado, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = run(&format!("{}:/usr/bin:/bin", folder.path().display()), "ac701");
    assert!(output.status.success(), "{}", text(&output));
    let place = fs::canonicalize(folder.path().join("out")).unwrap();
    assert!(
        text(&output).contains(&format!("vivado -mode batch -source build.tcl in {}", place.display())),
        "{}",
        text(&output)
    );
}
