//! What does not go together: boards and configurations.
use super::table::BOARDS;
use super::Board;
use crate::config::{LinkInterface, LinkSpeed};
use crate::verilog::PrintError;

/// A configuration that does not fit a board, or a board that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// No board has this name.
    #[error("there is no board {name}; boards: {}", list(BOARDS.iter().map(|board| board.name)))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The link is not one of the board's.
    #[error(
        "the configuration asks for a {} link, {board} has {}; set link.speed",
        link.name(), list(links.iter().map(|link| link.name()))
    )]
    Link {
        /// The board.
        board: &'static str,
        /// What was asked for.
        link: LinkSpeed,
        /// What there is.
        links: &'static [LinkSpeed],
    },
    /// The interface is that of another IP.
    #[error("the configuration asks for the interface \"{}\", {board} has \"{}\"; leave link.interface out", named.name(), own.name())]
    Interface {
        /// The board.
        board: &'static str,
        /// What it has.
        own: LinkInterface,
        /// What was asked for.
        named: LinkInterface,
    },
    /// The IP does not have this width with this link.
    #[error(
        "the configuration asks for a datapath of {bits} bits, with a {} link {board} has {} bits; set link.data_bits or leave it out",
        link.name(), list(widths.iter().map(u16::to_string))
    )]
    Width {
        /// The board.
        board: &'static str,
        /// What was asked for.
        bits: u16,
        /// With this link.
        link: LinkSpeed,
        /// What there is.
        widths: Vec<u16>,
    },
    /// The device type has nothing for a card.
    #[error(
        "{board} is a card, and there is nothing to put behind a device \"{device}\" on one; take a generic board"
    )]
    Device {
        /// The board.
        board: &'static str,
        /// What the configuration asks for.
        device: &'static str,
    },
    /// The card does not have the pins for what is behind the device.
    #[error(
        "{board} has no pins {}, and a device \"{device}\" on a card needs them; take {}, which have, or {}, which bring out its streams",
        list(pins.iter()), list(names(|board| board.card.is_some() && board.without_pin(pins).is_empty())),
        list(names(|board| board.card.is_none()))
    )]
    Pins {
        /// The board.
        board: &'static str,
        /// What the configuration asks for.
        device: &'static str,
        /// Ports that have no pin.
        pins: Vec<&'static str>,
    },
    /// What is behind the device cannot be had with this configuration on this card.
    #[error("{board} cannot have this device \"{device}\": {reason}")]
    CardSide {
        /// The board.
        board: &'static str,
        /// What the configuration asks for.
        device: &'static str,
        /// Why.
        reason: String,
    },
    /// The endpoint cannot be printed: a mistake in the RTL.
    #[error("the endpoint cannot be printed")]
    Print(#[from] PrintError),
    /// The endpoint and the IP do not have the same ports: a mistake in the RTL or in the IP's table.
    #[error("port {port} of the endpoint does not fit the hard IP: {reason}")]
    Port {
        /// The endpoint's port.
        port: String,
        /// Why.
        reason: String,
    },
}

/// Names of the boards of this kind.
fn names(kind: impl Fn(&Board) -> bool) -> impl Iterator<Item = &'static str> {
    BOARDS.iter().filter(move |board| kind(board)).map(|board| board.name)
}

fn list(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    names.map(|name| name.as_ref().to_string()).collect::<Vec<_>>().join(", ")
}
