//! Where each port lies in a sample.
use crate::model::PortLayout;
use std::ops::Range;

/// A port in a sample.
#[derive(Clone, Debug)]
pub(super) struct SampledPort {
    pub name: String,
    pub width: usize,
    pub bytes: Range<usize>,
}

/// All ports of a sample.
#[derive(Clone, Debug)]
pub(super) struct PortMap {
    pub ports: Vec<SampledPort>,
    pub bytes: usize,
}

impl PortMap {
    pub fn new(ports: &[PortLayout]) -> Self {
        let mut bytes = 0;
        let ports = ports
            .iter()
            .map(|port| {
                bytes += port.bytes;
                SampledPort { name: port.name.clone(), width: port.width, bytes: bytes - port.bytes..bytes }
            })
            .collect();
        PortMap { ports, bytes }
    }

    /// Where a port lies.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        self.ports.iter().find(|port| port.name == name).map(|port| port.bytes.clone())
    }
}
