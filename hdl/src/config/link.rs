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

/// Link and clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkOptions {
    /// Generation and lanes.
    pub speed: LinkSpeed,
    /// Clock of the endpoint in Hz.
    pub clock_hz: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        LinkOptions { speed: LinkSpeed::Gen2X4, clock_hz: 125_000_000 }
    }
}

impl LinkOptions {
    /// Bits of the datapath between endpoint and link, per clock cycle.
    pub const DATAPATH_BITS: u64 = 128;

    /// Gb/s that the datapath carries.
    pub fn datapath_gigabits(&self) -> f64 {
        (Self::DATAPATH_BITS * self.clock_hz) as f64 / 1e9
    }
}
