//! The PCI Express link that an endpoint is meant for.
use serde::Serialize;

/// Link and clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkOptions {
    /// PCI Express generation, 1 to 3.
    pub generation: u8,
    /// Lanes: 1, 2, 4 or 8.
    pub lanes: u8,
    /// Clock of the endpoint in Hz.
    pub clock_hz: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        LinkOptions { generation: 2, lanes: 4, clock_hz: 125_000_000 }
    }
}

impl LinkOptions {
    /// Bits of the datapath between endpoint and link, per clock cycle.
    pub const DATAPATH_BITS: u64 = 128;

    /// Bits per second that the link carries for TLPs in each direction: after line encoding, acknowledgements, flow
    /// control and skips, with each TLP's header, payload and 8 bytes of framing still to come out of it.
    pub fn tlp_layer_bits_per_second(&self) -> u64 {
        let lanes = u64::from(self.lanes);
        match (self.generation, self.lanes) {
            (1, _) => 1_805_000_000 * lanes,
            (2, _) => 3_610_000_000 * lanes,
            // The wider the link, the larger the share that the receiver's acknowledgements take.
            (_, 8) => 57_880_000_000,
            _ => 7_267_500_000 * lanes,
        }
    }

    /// Bits per second that the datapath carries.
    pub fn datapath_bits_per_second(&self) -> u64 {
        Self::DATAPATH_BITS * self.clock_hz
    }

    /// "gen2 x4".
    pub fn name(&self) -> String {
        format!("gen{} x{}", self.generation, self.lanes)
    }
}
