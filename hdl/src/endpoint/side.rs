//! The ports of a device's block, against its row and the core.
use crate::config::{Buffers, DeviceType, Flow};
use crate::verilog::Port;
use std::collections::BTreeMap;

/// The core's ports to the device, those of queues and events without their numbers; and whether the device's block needs them. It may
/// leave out what it has no use for, or nothing to say to.
const PORTS: [(&str, bool); 19] = [
    ("device_features", true),
    ("device_config", false),
    ("config_changed", false),
    ("driver_config", false),
    ("driver_config_written", false),
    ("driver_features", false),
    ("driver_ok", false),
    ("device_reset", true),
    ("device_stop", true),
    ("device_pause", false),
    ("device_give_up", false),
    ("device_idle", true),
    ("chain", true),
    // where the row says that the device uses such buffers
    ("bytes", true),
    ("command", true),
    ("data", true),
    ("device_violation_valid", false),
    ("device_violation", false),
    ("device_events", true),
];

/// Ports of the core that the device's block has left out: name, and whether it is an input.
pub(super) struct LeftOut(Vec<(String, bool)>);

impl LeftOut {
    /// Outputs of the core.
    pub fn outputs(&self) -> Vec<&str> {
        self.of(false)
    }

    /// Inputs of the core.
    pub fn inputs(&self) -> Vec<&str> {
        self.of(true)
    }

    fn of(&self, inputs: bool) -> Vec<&str> {
        self.0.iter().filter(|(_, is_input)| *is_input == inputs).map(|(name, _)| name.as_str()).collect()
    }
}

/// Width and direction of each net.
fn nets(ports: &[Port]) -> BTreeMap<&str, (usize, Flow)> {
    let flow = |port: &Port| if port.input { Flow::In } else { Flow::Out };
    ports
        .iter()
        .flat_map(|port| port.nets.iter().map(move |(name, _, width)| (name.as_str(), (*width, flow(port)))))
        .collect()
}

/// `chain` of `chain_0_head`.
fn without_number(name: &str) -> &str {
    let number =
        name.match_indices('_').find(|(at, _)| name[at + 1..].starts_with(|letter: char| letter.is_ascii_digit()));
    number.map_or(name, |(at, _)| &name[..at])
}

/// Whether the device of this queue has no use for what the port `bytes_0_valid` or `data_0_valid` belongs to.
fn is_of_no_use(name: &str, buffers: &[Buffers]) -> bool {
    let queue = name.split('_').nth(1).and_then(|number| number.parse::<usize>().ok());
    let buffers = queue.and_then(|queue| buffers.get(queue));
    buffers.is_some_and(|buffers| match without_number(name) {
        "bytes" => !buffers.has_readable(),
        "data" => !buffers.has_writable(),
        _ => false,
    })
}

/// Each port of the block is the core's or the row's, those of the row are as it says, and none is missing. `buffers` of each queue are
/// used.
pub(super) fn check(
    device: &DeviceType,
    buffers: &[Buffers],
    block: &[Port],
    core: &[Port],
) -> Result<LeftOut, String> {
    let (block, core) = (nets(block), nets(core));
    let row: BTreeMap<_, _> = device.ports().into_iter().map(|port| (port.name, (port.bits, port.flow))).collect();
    for (name, told) in &row {
        match block.get(name.as_str()) {
            Some(found) if found == told => {}
            Some(found) => return Err(format!("the block's port {name} is {found:?}, the row's {told:?}")),
            None => return Err(format!("the row has the port {name}, the block has not")),
        }
    }
    if let Some(name) = block.keys().find(|name| !row.contains_key(**name) && !core.contains_key(**name)) {
        return Err(format!("the block's port {name} is neither the row's nor the core's"));
    }
    let mut left_out = vec![];
    for (name, (_, flow)) in core.iter().filter(|(name, _)| !block.contains_key(**name)) {
        match PORTS.iter().find(|(port, _)| *port == without_number(name)) {
            Some((_, true)) if !is_of_no_use(name, buffers) => return Err(format!("the block has no port {name}")),
            Some(_) => left_out.push((name.to_string(), *flow == Flow::In)),
            // to the link
            None => {}
        }
    }
    Ok(LeftOut(left_out))
}
