//! The top level of a board: buffers, the hard IP, the endpoint with what is behind it.
use super::hard_ip::{Direction, HardIp, IpPort};
use super::{Board, BoardError};
use crate::config::{Axis, DeviceType, EndpointConfig, Flow, Stream, StreamField, StreamPort};
use crate::endpoint::state_window;
use crate::verilog::{Port, PrintedModule};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Bits of the divider behind the LED that blinks: 0.5 to 2 times a second.
const BLINK_BITS: usize = 27;

/// A port of the top.
struct TopPort {
    input: bool,
    width: usize,
    name: String,
}

/// An instance: module, name, parameters, ports with what is connected to them.
struct Instance<'a> {
    module: &'a str,
    name: &'a str,
    ports: Vec<(String, String)>,
}

/// Name of the top: `virtio_blk_vcu118`.
pub fn name(board: &Board, config: &EndpointConfig) -> String {
    format!("{}{}", config.prefix, board.identifier())
}

/// Prints the top. `endpoint` is the module inside, with these ports: those of the hard IP by name, `clock`, `reset`, `busy`, and
/// with a generic board those of the device side.
pub fn print(
    board: &Board,
    config: &EndpointConfig,
    endpoint: &str,
    ports: &[Port],
) -> Result<PrintedModule, BoardError> {
    let ip_ports = board.hard_ip.ports(config, config.link.data_bits);
    let (clock, ip_reset) = board.hard_ip.clock_and_reset();
    let by_name: BTreeMap<&str, &IpPort> = ip_ports.iter().map(|port| (port.name, port)).collect();
    let mut user = UserSide::new(config.device);
    let mut driven = BTreeSet::new();
    let mut connections = vec![];
    let mut pins = vec![];
    for (name, width, is_input) in nets(ports) {
        let expression = match (name, by_name.get(name)) {
            ("clock", _) => clock.to_string(),
            ("reset", _) => "reset".to_string(),
            ("busy", _) => "busy".to_string(),
            // on a card a net for a logic analyser; the host reads it in BAR1
            ("queue_violation", _) if board.card.is_some() => name.to_string(),
            (_, Some(port)) => {
                driven.extend((!is_input).then_some(name));
                connect(port, name, width, is_input)?
            }
            // nobody on the card saves what the endpoint is doing
            (_, None) if board.card.is_some() && name.starts_with(state_window::PORTS) => match is_input {
                true => format!("{width}'d0"),
                false => String::new(),
            },
            // without vectors the IP has none of these
            (_, None) if config.vectors == 0 && is_input && name.starts_with("cfg_interrupt_msix_") => {
                format!("{width}'d0")
            }
            _ if board.pins(config).contains(&name) => {
                pins.push(TopPort { input: is_input, width, name: name.into() });
                name.to_string()
            }
            _ if board.card.is_none() => user.connect(name, width, is_input)?,
            _ if config.device.levels.iter().any(|level| level.name == name) => level_on_card(config, name)?,
            _ => return Err(mismatch(name, "the IP has no such port")),
        };
        connections.push((name.to_string(), expression));
    }

    let lanes = usize::from(config.link.speed.lanes());
    let mut top_ports = edge_ports(lanes);
    top_ports.extend(board.card.as_ref().map(|_| TopPort { input: false, width: 3, name: "led".into() }));
    if board.card.as_ref().is_some_and(|card| card.clkreq) {
        top_ports.push(TopPort { input: false, width: 1, name: "pcie_clkreq_n".into() });
    }
    let missing = board.pins(config).iter().find(|name| pins.iter().all(|pin| pin.name != **name || pin.width != 1));
    if let Some(name) = missing {
        return Err(mismatch(name, "what is behind the device has no such pin of one bit"));
    }
    top_ports.append(&mut pins);
    if board.card.is_none() {
        for name in ["user_clk", "user_reset", "user_lnk_up", "busy"] {
            top_ports.push(TopPort { input: false, width: 1, name: name.into() });
        }
        top_ports.append(&mut user.ports);
    }
    let taken: BTreeSet<&str> = top_ports.iter().map(|port| port.name.as_str()).collect();
    let reads: BTreeSet<&str> = connections.iter().map(|(_, net)| net.split('[').next().unwrap_or_default()).collect();

    let name = name(board, config);
    let mut text = format!("// virtio-{} on a card: {}.\n", config.device.name, board.title);
    let _ = write!(text, "module {name} {}", port_list(&top_ports));
    buffers(&mut text, board.hard_ip);
    if board.hard_ip == HardIp::SevenSeries {
        text.push_str("    wire turnoff;\n");
    }
    // nets between the IP and the endpoint; outputs of the IP that nobody reads stay open
    let mut ip_connections = vec![];
    text.push_str("\n    // the hard block's user side\n");
    for port in &ip_ports {
        let expression = match (edge_connection(board.hard_ip, port.name), port.direction) {
            (Some(net), _) => net.to_string(),
            (None, Direction::Input(value)) if !driven.contains(port.name) => format!("{}'d{value}", port.width),
            (None, Direction::Input(_)) => declare(&mut text, port, &taken),
            (None, Direction::Output) => {
                let wanted = reads.contains(port.name) || [clock, ip_reset, "user_lnk_up"].contains(&port.name);
                if wanted {
                    declare(&mut text, port, &taken)
                } else {
                    String::new()
                }
            }
        };
        ip_connections.push((port.name.to_string(), expression));
    }
    if !taken.contains("busy") {
        text.push_str("    wire busy;\n");
    }
    if !taken.contains("queue_violation") {
        text.push_str("    wire [31:0] queue_violation;\n");
    }
    reset(&mut text, clock, ip_reset);
    text.push_str(&user.assignments);
    if board.card.is_none() {
        if clock != "user_clk" {
            let _ = write!(text, "\n    assign user_clk = {clock};\n");
        }
        if ip_reset != "user_reset" {
            text.push_str("    assign user_reset = reset;\n");
        }
    }
    instance(&mut text, &Instance { module: board.hard_ip.module(), name: "pcie", ports: ip_connections });
    instance(&mut text, &Instance { module: endpoint, name: "endpoint", ports: connections });
    if let Some(card) = &board.card {
        leds(&mut text, clock, card.leds_active_low);
        if card.clkreq {
            text.push_str("\n    assign pcie_clkreq_n = 1'b0;\n");
        }
    }
    text.push_str("endmodule\n");
    Ok(PrintedModule { name, text })
}

/// Name, width and direction of every net of these ports.
fn nets(ports: &[Port]) -> impl Iterator<Item = (&str, usize, bool)> {
    ports.iter().flat_map(|port| port.nets.iter().map(|(name, _, width)| (name.as_str(), *width, port.input)))
}

fn mismatch(port: &str, reason: impl Into<String>) -> BoardError {
    BoardError::Port { port: port.into(), reason: reason.into() }
}

/// What the endpoint's port is connected to: the net of the IP's port, or its lowest bits.
fn connect(port: &IpPort, name: &str, width: usize, is_input: bool) -> Result<String, BoardError> {
    if (port.direction == Direction::Output) != is_input {
        return Err(mismatch(name, "both drive it, or none"));
    }
    match width {
        width if width == port.width => Ok(name.to_string()),
        1 if is_input => Ok(format!("{name}[0]")),
        width if is_input && width < port.width => Ok(format!("{name}[{}:0]", width - 1)),
        width => Err(mismatch(name, format!("{width} bits, the IP has {}", port.width))),
    }
}

/// What a port of the device is on a card, where nothing behind the device has it: an input its value, an output open.
fn level_on_card(config: &EndpointConfig, name: &str) -> Result<String, BoardError> {
    let level = config.device.levels.iter().find(|level| level.name == name);
    match level.map(|level| (level.flow, level.bits, level.on_card)) {
        Some((Flow::Out, ..)) => Ok(String::new()),
        Some((Flow::In, 1, Some(value))) => Ok(format!("1'b{}", value(config) & 1)),
        Some((Flow::In, bits, Some(value))) => {
            let digits = bits.div_ceil(4);
            Ok(format!("{bits}'h{:0digits$x}", value(config)))
        }
        _ => Err(mismatch(name, "the row of the device type has no value for it on a card")),
    }
}

fn edge_ports(lanes: usize) -> Vec<TopPort> {
    let port = |input, width, name: &str| TopPort { input, width, name: name.into() };
    vec![
        port(true, 1, "pcie_refclk_p"),
        port(true, 1, "pcie_refclk_n"),
        port(true, 1, "pcie_perst_n"),
        port(true, lanes, "pcie_rx_p"),
        port(true, lanes, "pcie_rx_n"),
        port(false, lanes, "pcie_tx_p"),
        port(false, lanes, "pcie_tx_n"),
    ]
}

/// The nets of the IP's ports that do not lead to the endpoint.
fn edge_connection(ip: HardIp, port: &str) -> Option<&'static str> {
    match (port, ip) {
        ("pci_exp_txp", _) => Some("pcie_tx_p"),
        ("pci_exp_txn", _) => Some("pcie_tx_n"),
        ("pci_exp_rxp", _) => Some("pcie_rx_p"),
        ("pci_exp_rxn", _) => Some("pcie_rx_n"),
        ("sys_clk", HardIp::SevenSeries) => Some("refclk"),
        ("sys_clk", HardIp::UltraScalePlus) => Some("refclk_fabric"),
        ("sys_clk_gt", _) => Some("refclk"),
        ("sys_rst_n" | "sys_reset", _) => Some("perst_n"),
        // the slot's power may go whenever it likes
        ("cfg_to_turnoff" | "cfg_turnoff_ok", _) => Some("turnoff"),
        _ => None,
    }
}

fn range(width: usize) -> String {
    if width == 1 {
        String::new()
    } else {
        format!("[{}:0] ", width - 1)
    }
}

/// Declares the net of a port unless the top has a port of that name; gives its name.
fn declare(text: &mut String, port: &IpPort, taken: &BTreeSet<&str>) -> String {
    if !taken.contains(port.name) {
        let _ = writeln!(text, "    wire {}{};", range(port.width), port.name);
    }
    port.name.to_string()
}

fn port_list(ports: &[TopPort]) -> String {
    let columns = ports.iter().map(|port| range(port.width).len()).max().unwrap_or(0);
    let line = |port: &TopPort| {
        let kind = if port.input { "input  wire" } else { "output wire" };
        format!("    {kind} {:<columns$}{}", range(port.width), port.name)
    };
    format!("(\n{}\n);\n", ports.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

fn instance(text: &mut String, instance: &Instance) {
    let port = |(name, net): &(String, String)| format!("        .{name}({net})");
    let ports: Vec<_> = instance.ports.iter().map(port).collect();
    let _ = write!(text, "\n    {} {} (\n{}\n    );\n", instance.module, instance.name, ports.join(",\n"));
}

fn buffers(text: &mut String, ip: HardIp) {
    text.push_str(
        "\n    // reference clock and PERST# of the slot\n    wire refclk;\n    wire refclk_fabric;\n    wire perst_n;\n",
    );
    // ODIV2 of GTE4, undivided unless told otherwise, reaches the fabric; GTE2 has no use for its own here
    let (primitive, half) = match ip {
        HardIp::SevenSeries => ("IBUFDS_GTE2", ""),
        HardIp::UltraScalePlus => ("IBUFDS_GTE4", "refclk_fabric"),
    };
    if half.is_empty() {
        *text = text.replace("    wire refclk_fabric;\n", "");
    }
    let connections =
        [("I", "pcie_refclk_p"), ("IB", "pcie_refclk_n"), ("CEB", "1'b0"), ("O", "refclk"), ("ODIV2", half)];
    let ports = connections.map(|(port, net)| (port.to_string(), net.to_string())).into();
    instance(text, &Instance { module: primitive, name: "refclk_buffer", ports });
    let ports = [("I", "pcie_perst_n"), ("O", "perst_n")].map(|(port, net)| (port.to_string(), net.to_string())).into();
    instance(text, &Instance { module: "IBUF", name: "perst_buffer", ports });
}

/// The IP asserts its reset when it likes; it ends in step with the clock.
fn reset(text: &mut String, clock: &str, ip_reset: &str) {
    let _ = write!(
        text,
        "\n    (* ASYNC_REG = \"TRUE\" *)\n    reg [2:0] reset_pipe = 3'b111;\n    wire reset = reset_pipe[2];\n    \
         always @(posedge {clock} or posedge {ip_reset}) begin\n        if ({ip_reset})\n            reset_pipe <= 3'b111;\n        \
         else\n            reset_pipe <= {{reset_pipe[1:0], 1'b0}};\n    end\n"
    );
}

fn leds(text: &mut String, clock: &str, active_low: bool) {
    let top = BLINK_BITS - 1;
    let invert = if active_low { "~" } else { "" };
    let _ = write!(
        text,
        "\n    // link up, clock, work to do\n    reg [{top}:0] blink = {BLINK_BITS}'d0;\n    \
         always @(posedge {clock})\n        blink <= blink + {BLINK_BITS}'d1;\n    \
         assign led = {invert}{{busy, blink[{top}], user_lnk_up}};\n"
    );
}

/// The device side as AXI4-Stream ports of the top.
struct UserSide {
    device: &'static DeviceType,
    ports: Vec<TopPort>,
    assignments: String,
}

impl UserSide {
    fn new(device: &'static DeviceType) -> Self {
        UserSide { device, ports: vec![], assignments: String::new() }
    }

    /// Connects a port of the device side; gives the net.
    fn connect(&mut self, name: &str, width: usize, is_input: bool) -> Result<String, BoardError> {
        let of_stream = self.device.streams.iter().find_map(|stream| {
            let mut ports = stream.ports().into_iter();
            ports.find(|(_, port)| port.name == name && port.bits == width).map(|(port, _)| (stream, port))
        });
        let Some((stream, port)) = of_stream else { return self.plain(name, width, is_input) };
        let own = stream.name.strip_prefix(self.device.name).and_then(|rest| rest.strip_prefix('_'));
        let side = match stream.flow {
            Flow::Out => "m_axis",
            Flow::In => "s_axis",
        };
        let prefix = format!("{side}_{}", own.unwrap_or(stream.name));
        let field = match port {
            StreamPort::Valid => "tvalid",
            StreamPort::Ready => "tready",
            StreamPort::Field(index) => match stream.fields[index].axis {
                Axis::Data => return Ok(self.data(&prefix, stream, index)),
                Axis::Keep => "tkeep",
                Axis::Last => "tlast",
                Axis::User => "tuser",
            },
        };
        Ok(self.add(format!("{prefix}_{field}"), width, is_input))
    }

    /// The fields that are data share the bits of one port, each from a byte on.
    fn data(&mut self, prefix: &str, stream: &Stream, index: usize) -> String {
        let port = format!("{prefix}_tdata");
        let is_input = stream.flow == Flow::In;
        let shared: Vec<_> = stream.fields.iter().enumerate().filter(|(_, field)| field.axis == Axis::Data).collect();
        if shared.len() == 1 {
            return self.add(port, stream.fields[index].bits, is_input);
        }
        let mut all = 0;
        let mut net = String::new();
        let mut gaps = String::new();
        for (at, field) in &shared {
            let end = all + field.bits;
            if *at == index {
                net = format!("{port}[{}:{all}]", end - 1);
            }
            all = end.next_multiple_of(8);
            if all > end && !is_input {
                let _ = writeln!(gaps, "    assign {port}[{}:{end}] = {}'d0;", all - 1, all - end);
            }
        }
        if index == shared[0].0 {
            self.add(port, all, is_input);
            if !gaps.is_empty() {
                let name = |field: &StreamField| if field.name.is_empty() { stream.name } else { field.name };
                let names: Vec<_> = shared.iter().rev().map(|(_, field)| name(field)).collect();
                let _ = write!(self.assignments, "\n    // {}\n{gaps}", names.join(", "));
            }
        }
        net
    }

    fn add(&mut self, name: String, width: usize, input: bool) -> String {
        self.ports.push(TopPort { input, width, name: name.clone() });
        name
    }

    fn plain(&mut self, name: &str, width: usize, is_input: bool) -> Result<String, BoardError> {
        if name != "queue_violation"
            && !name.starts_with(state_window::PORTS)
            && self.device.levels.iter().all(|level| level.name != name)
        {
            return Err(mismatch(name, "neither the IP nor the device side has such a port"));
        }
        Ok(self.add(name.into(), width, is_input))
    }
}
