//! The vendor's IP around the hard blocks for PCI Express: its ports, and its parameters from the same configuration as the RTL.
mod seven_series;
mod ultrascale_plus;

use crate::config::{Bar0, EndpointConfig, LinkInterface, LinkSpeed};
use std::fmt::Write as _;

/// An IP of the vendor's catalogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum HardIp {
    /// 7 Series Integrated Block for PCI Express, `pcie_7x` (PG054).
    SevenSeries,
    /// UltraScale+ Integrated Block for PCI Express, `pcie4_uscale_plus` (PG213).
    UltraScalePlus,
}

/// Who drives a port of the IP.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The IP drives it.
    Output,
    /// An input; where the endpoint does not drive it, it has this value.
    Input(u64),
}

/// A port of the IP's module.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IpPort {
    /// Its name in the product guide.
    pub name: &'static str,
    /// Bits.
    pub width: usize,
    /// Who drives it.
    pub direction: Direction,
}

const fn output(name: &'static str, width: usize) -> IpPort {
    IpPort { name, width, direction: Direction::Output }
}

const fn input(name: &'static str, width: usize) -> IpPort {
    tied(name, width, 0)
}

const fn tied(name: &'static str, width: usize, value: u64) -> IpPort {
    IpPort { name, width, direction: Direction::Input(value) }
}

/// What the user side of the IP runs at: bits of its streams, and its clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Bits of `tdata`.
    pub data_bits: u16,
    /// `user_clk` in MHz.
    pub megahertz: u32,
}

const fn mode(data_bits: u16, megahertz: u32) -> Mode {
    Mode { data_bits, megahertz }
}

/// An attribute of the hard block as the IP must have set it: the config space of the silicon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name on the primitive.
    pub name: &'static str,
    /// Number, or TRUE or FALSE.
    pub value: String,
}

impl HardIp {
    /// Name in the catalogue.
    pub fn catalogue_name(self) -> &'static str {
        match self {
            HardIp::SevenSeries => "pcie_7x",
            HardIp::UltraScalePlus => "pcie4_uscale_plus",
        }
    }

    /// Name of the module that is created.
    pub fn module(self) -> &'static str {
        match self {
            HardIp::SevenSeries => "pcie_7x_0",
            HardIp::UltraScalePlus => "pcie4_uscale_plus_0",
        }
    }

    /// The endpoint's name of its streams.
    pub fn interface(self) -> LinkInterface {
        match self {
            HardIp::SevenSeries => LinkInterface::SevenSeries,
            HardIp::UltraScalePlus => LinkInterface::UltraScalePlus,
        }
    }

    /// Name of the family, for messages.
    pub fn family(self) -> &'static str {
        match self {
            HardIp::SevenSeries => "7-series",
            HardIp::UltraScalePlus => "UltraScale+",
        }
    }

    /// The primitive of the hard block.
    pub fn primitive(self) -> &'static str {
        match self {
            HardIp::SevenSeries => "PCIE_2_1",
            HardIp::UltraScalePlus => "PCIE40E4",
        }
    }

    /// The clock output of the user side and its reset.
    pub fn clock_and_reset(self) -> (&'static str, &'static str) {
        match self {
            HardIp::SevenSeries => ("user_clk_out", "user_reset_out"),
            HardIp::UltraScalePlus => ("user_clk", "user_reset"),
        }
    }

    /// What the user side can run at with this link and a shim that there is, best first. PG054, "Interface Width and
    /// Frequency"; PG213, "Supported Clock Frequencies and Interface Widths".
    pub fn modes(self, link: LinkSpeed) -> Vec<Mode> {
        match (self, link) {
            (HardIp::SevenSeries, LinkSpeed::Gen2X4) => vec![mode(128, 125), mode(64, 250)],
            (HardIp::UltraScalePlus, LinkSpeed::Gen2X4) => vec![mode(128, 125)],
            (HardIp::UltraScalePlus, LinkSpeed::Gen3X4) => vec![mode(128, 250), mode(256, 125)],
            (HardIp::UltraScalePlus, LinkSpeed::Gen3X8) => vec![mode(256, 250)],
            (HardIp::SevenSeries, LinkSpeed::Gen3X4 | LinkSpeed::Gen3X8) => vec![],
        }
    }

    /// The ports of the IP's module as [`HardIp::parameters`] make it.
    pub fn ports(self, config: &EndpointConfig, data_bits: u16) -> Vec<IpPort> {
        let (lanes, bits) = (usize::from(config.link.speed.lanes()), usize::from(data_bits));
        match self {
            HardIp::SevenSeries => seven_series::ports(lanes, bits),
            HardIp::UltraScalePlus => ultrascale_plus::ports(lanes, bits, config.vectors > 0),
        }
    }

    /// `CONFIG.` parameters of the IP and their values; `block` is the place of the hard block, `quad` that of its first
    /// transceivers.
    pub fn parameters(
        self,
        config: &EndpointConfig,
        mode: Mode,
        block: &str,
        quad: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        match self {
            HardIp::SevenSeries => seven_series::parameters(config, mode, block),
            HardIp::UltraScalePlus => ultrascale_plus::parameters(config, mode, block, quad),
        }
    }

    /// What the parameters must have made of the hard block: from the constants of the RTL's own config space.
    pub fn attributes(self, config: &EndpointConfig) -> Vec<Attribute> {
        match self {
            HardIp::SevenSeries => seven_series::attributes(config),
            HardIp::UltraScalePlus => ultrascale_plus::attributes(config),
        }
    }

    /// The IP's module without contents, for tools that have not got it.
    pub fn stub(self, config: &EndpointConfig, data_bits: u16) -> String {
        let mut text = format!("(* blackbox *)\nmodule {} (", self.module());
        for (index, port) in self.ports(config, data_bits).iter().enumerate() {
            let kind = if port.direction == Direction::Output { "output" } else { "input" };
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\n    {kind} [{}:0] {}", port.width - 1, port.name);
        }
        text + "\n);\nendmodule\n"
    }
}

fn number(name: &'static str, value: u32) -> Attribute {
    Attribute { name, value: value.to_string() }
}

fn word(name: &'static str, value: &str) -> Attribute {
    Attribute { name, value: value.into() }
}

/// "X4".
fn width_name(config: &EndpointConfig) -> String {
    format!("X{}", config.link.speed.lanes())
}

/// "5.0_GT/s".
fn speed_name(config: &EndpointConfig) -> String {
    let speed = match config.link.speed.generation() {
        1 => "2.5",
        2 => "5.0",
        _ => "8.0",
    };
    format!("{speed}_GT/s")
}

/// Where BAR0 lies, as both IPs call it.
fn bar0_type(config: &EndpointConfig) -> &'static str {
    match config.bar0 {
        Bar0::Io => "IO",
        Bar0::Memory => "Memory",
    }
}

/// A BAR's size as both IPs take it: a number and its unit.
fn size_and_scale(bytes: u32) -> (String, String) {
    if bytes < 1024 {
        (bytes.to_string(), "Bytes".into())
    } else {
        ((bytes / 1024).to_string(), "Kilobytes".into())
    }
}
