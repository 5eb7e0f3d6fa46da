//! virtio-net's section of a configuration.
use super::row::MAC;
use crate::config::{EndpointConfig, Problems, Table};
use crate::virtio::layout;

/// What only virtio-net has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetOptions {
    /// Hardware address, in the order in which it is written. It comes into the endpoint by the port `net_mac`; this is what a
    /// simulation puts there.
    pub mac: [u8; 6],
    /// Bytes of the longest frame in either direction, from the destination address to the end of the payload, VLAN tags included, the
    /// check sequence not: 1522 to 9022.
    pub max_frame: u16,
}

impl NetOptions {
    /// Largest payload that fits with two VLAN tags.
    pub fn mtu(&self) -> u16 {
        self.max_frame - layout::net::FRAME_BYTES_OVER as u16
    }

    /// Six bytes of two hexadecimal digits each; neither a group address nor all zero.
    pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
        let byte = |part: &str| match part.len() {
            2 if part.bytes().all(|digit| digit.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let bytes = text.split(':').map(byte).collect::<Option<Vec<u8>>>()?;
        let mac: [u8; 6] = bytes.try_into().ok()?;
        (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
    }
}

impl Default for NetOptions {
    fn default() -> Self {
        NetOptions { mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], max_frame: layout::net::FRAME_BYTES_MAX as u16 }
    }
}

impl EndpointConfig {
    /// virtio-net's options.
    ///
    /// # Panics
    /// If it is not a virtio-net endpoint.
    pub fn net_options(&self) -> &NetOptions {
        self.options()
    }
}

pub(super) fn read(table: &mut Table, problems: &mut Problems, config: &mut EndpointConfig) {
    let offers_mac = config.offers(MAC);
    let options: &mut NetOptions = config.options_mut();
    let allowed = "an address of one card, as \"52:54:00:12:34:56\"";
    if let Some((text, place)) = table.text(problems, "mac", allowed, |text| NetOptions::parse_mac(text).is_some()) {
        options.mac = NetOptions::parse_mac(&text).unwrap_or(options.mac);
        if !offers_mac {
            problems.add(&place, "net.mac has no effect: add \"mac\" to features, or leave it out");
        }
    }
    let allowed = "1522 (a payload of 1500 bytes and two VLAN tags, no check sequence) to 9022";
    if let Some((bytes, _)) = table.number(problems, "max_frame", 1522..=9022, allowed, |_| true) {
        options.max_frame = bytes as u16;
    }
}
