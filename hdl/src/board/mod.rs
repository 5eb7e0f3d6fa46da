//! Cards: what sits behind the device on one, and what a vendor's tool needs to build one.
//!
//! ```text
//!            +------------------------------- virtio_blk_NAME ------------------------------+
//! edge  ---- | reference clock buffer, pcie_7x_0 or pcie4_uscale_plus_0, reset synchroniser |
//! connector  |          | AXI4-Stream, cfg_*                                                |
//!            |   virtio_blk_with_ram_disk: endpoint with the shim -- blk_* -- ram_disk      |
//!            +------------------------------------------------------------------------------+
//! ```
//! A [`Board`] is a row of [`table::BOARDS`] and a file of constraints; [`Board::fit`] makes a configuration one for the board,
//! and [`project::project`] all files that build it. What is behind the device comes from its row.
pub mod constraints;
mod error;
pub mod fusesoc;
pub mod hard_ip;
pub mod project;
mod settings;
mod table;
mod top;

pub use error::BoardError;
pub use hard_ip::HardIp;
pub use table::BOARDS;

use crate::config::{EndpointConfig, LinkInterface, LinkSpeed};
use hard_ip::Mode;

/// A card, or a family of parts without one.
#[derive(Clone, Debug)]
pub struct Board {
    /// What the command line calls it; names of modules have `_` for `-`.
    pub name: &'static str,
    /// What its maker calls it.
    pub title: &'static str,
    /// Part number, as the vendor's tool takes it.
    pub part: &'static str,
    /// The IP around its hard block.
    pub hard_ip: HardIp,
    /// Links that its connector and part carry, best known first.
    pub links: &'static [LinkSpeed],
    /// Place of the hard block.
    pub block: &'static str,
    /// UltraScale+: the quad of lane 0.
    pub quad: Option<&'static str>,
    /// 7-series: the transceiver of each lane where it is not the one that the IP chooses; or none.
    pub channels: &'static [&'static str],
    /// What is on the card; none for a family of parts.
    pub card: Option<Card>,
    /// Pins, clocks, bitstream properties.
    pub constraints: &'static str,
}

/// What a card has besides its connector.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its LEDs light when driven low.
    pub leds_active_low: bool,
    /// It drives CLKREQ# itself, as M.2 modules do.
    pub clkreq: bool,
    /// Words of 16 bytes of its RAM disk, as a power of two.
    pub disk_words_log2: u8,
    /// Where the bitstream is kept.
    pub flash: Flash,
}

/// Configuration memory.
#[derive(Clone, Debug)]
pub struct Flash {
    /// Its part number in the vendor's tool.
    pub device: &'static str,
    /// How it is connected.
    pub interface: &'static str,
    /// Mebibytes.
    pub size: u32,
    /// Where the bitstream goes.
    pub address: u32,
}

/// A configuration made for a board.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// With the board's interface, width and clock.
    pub config: EndpointConfig,
    /// What the user side of the IP runs at.
    pub mode: Mode,
}

impl Board {
    /// The board of this name.
    pub fn find(name: &str) -> Result<&'static Board, BoardError> {
        BOARDS.iter().find(|board| board.name == name).ok_or_else(|| BoardError::Unknown { name: name.into() })
    }

    /// The name of its modules.
    pub fn identifier(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The ports that are pins besides the connector's and the LEDs', with this configuration.
    fn pins(&self, config: &EndpointConfig) -> &'static [&'static str] {
        let side = self.card.as_ref().and(config.device.card.as_ref());
        side.map_or(&[], |side| side.pins)
    }

    /// Those of these ports that its constraints give no pin.
    pub fn without_pin(&self, ports: &[&'static str]) -> Vec<&'static str> {
        let placed = constraints::named_ports(self.constraints);
        let is_placed = |port: &&&str| placed.iter().any(|named| named.pin && named.name == **port);
        ports.iter().filter(|port| !is_placed(port)).copied().collect()
    }

    /// Makes a configuration one for this board: the interface is the IP's, the clock the IP's for the link and the width. The
    /// width is what the configuration says if it names an interface, else the best one.
    pub fn fit(&self, config: &EndpointConfig) -> Result<Fitted, BoardError> {
        let link = config.link.speed;
        if !self.links.contains(&link) {
            return Err(BoardError::Link { board: self.name, link, links: self.links });
        }
        let modes = self.hard_ip.modes(link);
        let own = self.hard_ip.interface();
        let named = config.link.interface;
        let mode = match named {
            LinkInterface::Tlp => modes.first().copied(),
            _ if named == own => modes.iter().copied().find(|mode| mode.data_bits == config.link.data_bits),
            _ => return Err(BoardError::Interface { board: self.name, own, named }),
        };
        let Some(mode) = mode else {
            let widths = modes.iter().map(|mode| mode.data_bits).collect();
            return Err(BoardError::Width { board: self.name, bits: config.link.data_bits, link, widths });
        };
        let mut config = config.clone();
        config.link.interface = own;
        config.link.data_bits = mode.data_bits;
        config.link.clock_hz = u64::from(mode.megahertz) * 1_000_000;
        Ok(Fitted { config, mode })
    }
}
