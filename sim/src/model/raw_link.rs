//! The link of an endpoint that speaks raw TLPs.
use super::endpoint::LINK_FRAMING;
use super::{Direction, InputLevel, Model, ModelError, Stream, StreamShape};

/// Its ports.
pub(super) struct RawLink {
    pub receive: Stream,
    pub transmit: Stream,
    pub nonposted_ready: InputLevel,
}

impl RawLink {
    /// Takes charge of the ports.
    pub fn find(model: &mut Model, bytes_per_cycle: Option<f64>) -> Result<Self, ModelError> {
        let tlp = StreamShape { data: true, keep: true, last: true, ..StreamShape::default() };
        let receive = model.add_stream("rx", Direction::Input, tlp)?;
        let transmit = model.add_stream("tx", Direction::Output, tlp)?;
        if let Some(rate) = bytes_per_cycle {
            model.set_pace(receive, rate, LINK_FRAMING)?;
            model.set_pace(transmit, rate, LINK_FRAMING)?;
        }
        let nonposted_ready = model.input_level("tx_nonposted_ready")?;
        model.set(nonposted_ready, 1);
        Ok(RawLink { receive, transmit, nonposted_ready })
    }
}
