//! The constraints of a board, and the ports they name.

/// The constraints for a link of fewer lanes than the connector has: without the lines of the others.
pub fn for_lanes(text: &str, lanes: u8) -> String {
    let missing = |line: &&str| lanes_named(line).is_some_and(|lane| lane >= u32::from(lanes));
    text.lines().filter(|line| !missing(line)).map(|line| format!("{line}\n")).collect()
}

/// The constraints for a device whose far end has these pins: without the paragraphs, up to an empty line, that name others. Ports of
/// the connector and LEDs are always there.
pub fn for_pins(text: &str, pins: &[&str]) -> String {
    let there = |name: &str| name.starts_with("pcie_") || name.starts_with("led[") || pins.contains(&name);
    let paragraphs = text.trim_end().split("\n\n");
    let kept: Vec<_> = paragraphs.filter(|text| named_ports(text).iter().all(|port| there(&port.name))).collect();
    kept.join("\n\n") + "\n"
}

/// The lane of a line of a PCI Express pin.
fn lanes_named(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("{pcie_rx_").or_else(|| line.split_once("{pcie_tx_"))?;
    let (_, rest) = rest.split_once('[')?;
    rest.split_once(']')?.0.parse().ok()
}

/// A port, or a bit of one, that a constraint names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPort {
    /// As the constraint writes it: `led[0]`, `led[*]` or `pcie_perst_n`.
    pub name: String,
    /// It is given a pin.
    pub pin: bool,
}

/// All ports that the constraints name, in their order.
pub fn named_ports(text: &str) -> Vec<NamedPort> {
    let code = |line: &str| line.split(" ;#").next().unwrap_or_default().trim().to_string();
    let mut found = vec![];
    for line in text.lines().map(code).filter(|line| !line.starts_with('#')) {
        for part in line.split("[get_ports ").skip(1) {
            let name = match part.strip_prefix('{') {
                Some(braced) => braced.split('}').next(),
                None => part.split(']').next(),
            };
            let pin = line.contains("PACKAGE_PIN");
            let names = name.unwrap_or_default().split_whitespace();
            found.extend(names.map(|name| NamedPort { name: name.into(), pin }));
        }
    }
    found
}
