//! The link of an endpoint that speaks raw TLPs.
use super::bridge::ffi;
use super::endpoint::LINK_FRAMING;
use super::{Direction, InputLevel, Interface, Model, ModelError, Stream, TlpPorts};

/// Its ports.
pub(super) struct RawLink {
    pub receive: Stream,
    pub transmit: Stream,
    pub nonposted_ready: Option<InputLevel>,
    /// `keep` of what comes and of what leaves has a bit per byte: behind the double words then stands how many bytes count.
    counts_bytes: (bool, bool),
}

impl RawLink {
    /// Takes charge of the ports.
    pub fn find(model: &mut Model, interface: &Interface, bytes_per_cycle: Option<f64>) -> Result<Self, ModelError> {
        let (receive, receive_bytes) = stream(model, "of TLPs to the endpoint", Direction::Input, &interface.receive)?;
        let (transmit, transmit_bytes) = stream(model, "of TLPs from it", Direction::Output, &interface.transmit)?;
        if let Some(rate) = bytes_per_cycle {
            model.set_pace(receive, rate, LINK_FRAMING)?;
            model.set_pace(transmit, rate, LINK_FRAMING)?;
        }
        let nonposted_ready = interface.nonposted_ready.as_deref().map(|name| model.input_level(name)).transpose()?;
        if let Some(level) = nonposted_ready {
            model.set(level, 1);
        }
        for (name, value) in &interface.constants {
            let level = model.input_level(name)?;
            model.set(level, *value);
        }
        Ok(RawLink { receive, transmit, nonposted_ready, counts_bytes: (receive_bytes, transmit_bytes) })
    }

    /// Queues a TLP for the endpoint.
    pub fn send(&self, model: &mut Model, not_before: u64, dwords: &[u32]) -> Result<(), ModelError> {
        match self.counts_bytes.0 {
            true => model.send(self.receive, not_before, &[dwords, &[4 * dwords.len() as u32]].concat()),
            false => model.send(self.receive, not_before, dwords),
        }
    }

    /// The double words of a packet that has left.
    pub fn dwords<'p>(&self, words: &'p [u32]) -> &'p [u32] {
        match words {
            // The last beat is there as a whole.
            [dwords @ .., bytes] if self.counts_bytes.1 => &dwords[..dwords.len().min(*bytes as usize / 4)],
            dwords => dwords,
        }
    }
}

/// Takes charge of a stream, and says whether its `keep` has a bit per byte.
fn stream(model: &mut Model, name: &str, direction: Direction, ports: &TlpPorts) -> Result<(Stream, bool), ModelError> {
    let width = |name: &str| model.ports().iter().find(|port| port.name == name).map_or(0, |port| port.width);
    let (data, keep) = (width(&ports.data), ports.keep.as_deref().map_or(0, width));
    if ports.keep.is_none() && data > 32 {
        let needed =
            format!("{} carries {} double words, and nothing says which of them count: keep", ports.data, data / 32);
        return Err(ModelError::Unfit(needed));
    }
    let stream = model.add_named_stream(ffi::StreamNames {
        name: name.into(),
        input: direction == Direction::Input,
        valid: ports.valid.clone(),
        ready: ports.ready.clone(),
        data: ports.data.clone(),
        keep: ports.keep.clone().unwrap_or_default(),
        last: ports.last.clone(),
        beats: false,
        side: Vec::new(),
    })?;
    Ok((stream, keep != 0 && keep == data / 8))
}
