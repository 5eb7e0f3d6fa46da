//! virtio-console's section of a configuration.
use super::row::SIZE;
use crate::config::{EndpointConfig, Problems, Table};

/// What only virtio-console has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// Columns of the terminal, unless what is behind the endpoint knows better (`cols` of the device config).
    pub cols: u16,
    /// Its rows (`rows` of the device config).
    pub rows: u16,
    /// Bits a second of the UART on a card.
    pub baud: u32,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        ConsoleOptions { cols: 80, rows: 25, baud: 115_200 }
    }
}

impl EndpointConfig {
    /// virtio-console's options.
    ///
    /// # Panics
    /// If it is not a virtio-console endpoint.
    pub fn console_options(&self) -> &ConsoleOptions {
        self.options()
    }
}

pub(super) fn read(table: &mut Table, problems: &mut Problems, config: &mut EndpointConfig) {
    let offered = config.offers(SIZE);
    for (key, is_cols) in [("cols", true), ("rows", false)] {
        let Some((value, place)) = table.number(problems, key, 1..=0xffff, "1 to 65535", |_| true) else { continue };
        if !offered {
            let message = format!("console.{key} has no effect: add \"size\" to features, or leave it out");
            problems.add(&place, message);
        }
        let options: &mut ConsoleOptions = config.options_mut();
        match is_cols {
            true => options.cols = value as u16,
            false => options.rows = value as u16,
        }
    }
    // whether the clock can do it is for the card to say, whose clock is not the file's
    if let Some((baud, _)) = table.number(problems, "baud", 300..=12_000_000, "300 to 12_000_000", |_| true) {
        config.options_mut::<ConsoleOptions>().baud = baud as u32;
    }
}
