//! The PCI Express link that an endpoint is meant for.
use serde::{Deserialize, Serialize};

/// Generation and width of a link.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkSpeed {
    /// 5 GT/s, four lanes.
    #[default]
    #[serde(rename = "gen2 x4")]
    Gen2X4,
    /// 8 GT/s, four lanes.
    #[serde(rename = "gen3 x4")]
    Gen3X4,
    /// 8 GT/s, eight lanes.
    #[serde(rename = "gen3 x8")]
    Gen3X8,
}

impl LinkSpeed {
    /// All, with their names in a configuration.
    pub const NAMES: &'static [(&'static str, LinkSpeed)] =
        &[("gen2 x4", LinkSpeed::Gen2X4), ("gen3 x4", LinkSpeed::Gen3X4), ("gen3 x8", LinkSpeed::Gen3X8)];

    /// Bandwidth of the transaction layer in Gb/s per direction, after encoding, acknowledges, flow control and
    /// skips. Packets take their bytes and 8 bytes of framing, sequence number and LCRC of it.
    pub const fn gigabits(self) -> f64 {
        match self {
            LinkSpeed::Gen2X4 => 14.44,
            LinkSpeed::Gen3X4 => 29.07,
            LinkSpeed::Gen3X8 => 57.88,
        }
    }

    /// Generation, as Link Status encodes the speed.
    pub const fn generation(self) -> u8 {
        match self {
            LinkSpeed::Gen2X4 => 2,
            LinkSpeed::Gen3X4 | LinkSpeed::Gen3X8 => 3,
        }
    }

    /// Lanes.
    pub const fn lanes(self) -> u8 {
        match self {
            LinkSpeed::Gen2X4 | LinkSpeed::Gen3X4 => 4,
            LinkSpeed::Gen3X8 => 8,
        }
    }

    /// "gen2 x4".
    pub const fn name(self) -> &'static str {
        match self {
            LinkSpeed::Gen2X4 => "gen2 x4",
            LinkSpeed::Gen3X4 => "gen3 x4",
            LinkSpeed::Gen3X8 => "gen3 x8",
        }
    }
}

/// What is between the endpoint and the link.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum LinkInterface {
    /// A core that passes raw packets, config requests included.
    #[default]
    #[serde(rename = "tlp")]
    Tlp,
    /// The integrated block of the 7-series (PG054).
    #[serde(rename = "7-series")]
    SevenSeries,
    /// The integrated block PCIE4 or PCIE4C of UltraScale+ (PG213).
    #[serde(rename = "ultrascale+")]
    UltraScalePlus,
}

impl LinkInterface {
    /// All, with their names in a configuration.
    pub const NAMES: &'static [(&'static str, LinkInterface)] = &[
        ("tlp", LinkInterface::Tlp),
        ("7-series", LinkInterface::SevenSeries),
        ("ultrascale+", LinkInterface::UltraScalePlus),
    ];

    /// "tlp".
    pub const fn name(self) -> &'static str {
        match self {
            LinkInterface::Tlp => "tlp",
            LinkInterface::SevenSeries => "7-series",
            LinkInterface::UltraScalePlus => "ultrascale+",
        }
    }

    /// Bytes of the smallest BAR: what the PCI specification allows, or a hard block has.
    pub const fn smallest_bar(self) -> u32 {
        match self {
            LinkInterface::Tlp | LinkInterface::SevenSeries => 16,
            LinkInterface::UltraScalePlus => 128,
        }
    }

    /// Tags it lets the endpoint choose from: that of UltraScale+ does not say whether those of 8 bits are allowed.
    pub const fn read_tags(self) -> u16 {
        match self {
            LinkInterface::Tlp | LinkInterface::SevenSeries => 64,
            LinkInterface::UltraScalePlus => 32,
        }
    }

    /// How many bits its packet streams can have.
    pub const fn widths(self) -> &'static [u16] {
        match self {
            LinkInterface::Tlp => &[128],
            LinkInterface::SevenSeries => &[64, 128],
            LinkInterface::UltraScalePlus => &[128, 256],
        }
    }
}

/// Link and clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkOptions {
    /// Raw packets, or a hard block.
    pub interface: LinkInterface,
    /// Bits of its packet streams, one of [`LinkInterface::widths`].
    pub data_bits: u16,
    /// Generation and lanes.
    pub speed: LinkSpeed,
    /// Clock of the endpoint in Hz.
    pub clock_hz: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        LinkOptions {
            interface: LinkInterface::Tlp,
            data_bits: Self::DATAPATH_BITS,
            speed: LinkSpeed::Gen2X4,
            clock_hz: 125_000_000,
        }
    }
}

/// Interfaces and widths as they may follow a configuration's name: `blk@7-series-128`.
const NOTATIONS: &[(&str, LinkInterface, u16)] = &[
    ("tlp-128", LinkInterface::Tlp, 128),
    ("7-series-64", LinkInterface::SevenSeries, 64),
    ("7-series-128", LinkInterface::SevenSeries, 128),
    ("ultrascale+-128", LinkInterface::UltraScalePlus, 128),
    ("ultrascale+-256", LinkInterface::UltraScalePlus, 256),
];

impl LinkOptions {
    /// Takes another interface, as it is written behind a configuration's name, with a clock that is fast enough for it.
    pub(super) fn set_interface(&mut self, notation: &str) -> Result<(), String> {
        let Some((_, interface, bits)) = NOTATIONS.iter().find(|(known, ..)| *known == notation) else {
            let known: Vec<&str> = NOTATIONS.iter().map(|(known, ..)| *known).collect();
            return Err(format!("{notation} is no interface; allowed: {}", known.join(", ")));
        };
        (self.interface, self.data_bits) = (*interface, *bits);
        if *interface == LinkInterface::SevenSeries && self.speed.generation() > 2 {
            return Err(format!(
                "the block of the interface 7-series ends at gen2, and link.speed is {}",
                self.speed.name()
            ));
        }
        while self.interface_gigabits() < self.speed.gigabits() {
            self.clock_hz *= 2;
        }
        Ok(())
    }

    /// Bits that the endpoint itself handles per clock cycle and direction.
    pub const DATAPATH_BITS: u16 = 128;

    /// Gb/s that the packet streams carry.
    pub fn interface_gigabits(&self) -> f64 {
        (u64::from(self.data_bits) * self.clock_hz) as f64 / 1e9
    }
}
