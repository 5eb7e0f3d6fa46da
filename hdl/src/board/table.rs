//! The boards. Pins are in `hdl/constraints/`; docs/boards.md says where the facts were taken from. None has been run on hardware.
use super::hard_ip::HardIp;
use super::{Board, Card, Flash};
use crate::config::LinkSpeed::{Gen2X4, Gen3X4, Gen3X8};

/// All boards.
pub const BOARDS: &[Board] = &[
    Board {
        name: "vcu118",
        title: "AMD VCU118 evaluation kit, Virtex UltraScale+",
        part: "xcvu9p-flga2104-2L-e",
        quad: Some("GTY_Quad_227"),
        card: Some(Card {
            disk_words_log2: 16,
            flash: Flash { device: "mt25qu01g-spi-x1_x2_x4_x8", interface: "SPIx8", size: 256, address: 0 },
            ..CARD
        }),
        constraints: include_str!("../../constraints/vcu118.xdc"),
        ..ULTRASCALE_PLUS
    },
    Board {
        name: "u200",
        title: "AMD Alveo U200, Virtex UltraScale+",
        part: "xcu200-fsgd2104-2-e",
        quad: Some("GTY_Quad_227"),
        card: Some(Card {
            disk_words_log2: 16,
            // behind the image that the card comes with
            flash: Flash { device: "mt25qu01g-spi-x1_x2_x4", interface: "SPIx4", size: 128, address: 0x0100_2000 },
            ..CARD
        }),
        constraints: include_str!("../../constraints/u200.xdc"),
        ..ULTRASCALE_PLUS
    },
    Board {
        name: "ac701",
        title: "AMD AC701 evaluation kit, Artix-7",
        part: "xc7a200tfbg676-2",
        card: Some(CARD),
        constraints: include_str!("../../constraints/ac701.xdc"),
        ..SEVEN_SERIES
    },
    Board {
        name: "litefury",
        title: "RHS Research LiteFury, Artix-7, M.2; also SQRL Acorn CLE-101",
        part: "xc7a100tfgg484-2",
        channels: M2_CHANNELS,
        card: Some(Card { disk_words_log2: 14, ..M2_CARD }),
        constraints: include_str!("../../constraints/litefury.xdc"),
        ..SEVEN_SERIES
    },
    Board {
        name: "acorn",
        title: "SQRL Acorn CLE-215+, Artix-7, M.2",
        part: "xc7a200tfbg484-3",
        channels: M2_CHANNELS,
        card: Some(M2_CARD),
        constraints: include_str!("../../constraints/acorn.xdc"),
        ..SEVEN_SERIES
    },
    SEVEN_SERIES,
    ULTRASCALE_PLUS,
];

const SEVEN_SERIES: Board = Board {
    name: "generic-7series",
    title: "any 7-series part with a hard block: no pins, the device's streams are ports",
    part: "xc7a200tfbg676-2",
    hard_ip: HardIp::SevenSeries,
    links: &[Gen2X4],
    block: "X0Y0",
    quad: None,
    channels: &[],
    card: None,
    constraints: include_str!("../../constraints/generic.xdc"),
};

const ULTRASCALE_PLUS: Board = Board {
    name: "generic-usplus",
    title: "any UltraScale+ part with a hard block PCIE4: no pins, the device's streams are ports",
    part: "xcvu9p-flga2104-2L-e",
    hard_ip: HardIp::UltraScalePlus,
    links: &[Gen2X4, Gen3X4, Gen3X8],
    block: "X1Y2",
    ..SEVEN_SERIES
};

const CARD: Card = Card {
    leds_active_low: false,
    clkreq: false,
    disk_words_log2: 15,
    flash: Flash { device: "mt25ql256-spi-x1_x2_x4", interface: "SPIx4", size: 32, address: 0 },
};

const M2_CARD: Card = Card {
    leds_active_low: true,
    clkreq: true,
    flash: Flash { device: "s25fl256sxxxxxx0-spi-x1_x2_x4", ..CARD.flash },
    ..CARD
};

/// These modules lead lanes 0 to 3 to other transceivers than the IP takes.
const M2_CHANNELS: &[&str] = &["GTPE2_CHANNEL_X0Y6", "GTPE2_CHANNEL_X0Y4", "GTPE2_CHANNEL_X0Y5", "GTPE2_CHANNEL_X0Y7"];
