//! What a bridge did.
use super::Vector;
use crate::backend::WireStatistics;
use crate::vfio_user::ClientStatistics;
use serde::Serialize;

/// What happened at the bridge since it was built.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Resets that they asked for.
    pub resets: u64,
    /// Writes to the endpoint's MSI-X table.
    pub msix_table_writes: u64,
    /// The MSI-X table as last written, and how often each vector fired.
    pub vectors: Vec<Vector>,
    /// How often INTA was asserted.
    pub intx_asserted: u64,
    /// Commands that the disk carried out.
    pub disk_commands: u64,
    /// What went over the wire of a network device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<WireStatistics>,
    /// TLPs to the endpoint.
    pub packets_to_device: u64,
    /// TLPs from the endpoint.
    pub packets_from_device: u64,
    /// Register accesses that the endpoint did not answer.
    pub unanswered_accesses: u64,
    /// Packets of the endpoint against the rules.
    pub violations: u64,
    /// Clock cycles simulated.
    pub cycles_simulated: u64,
    /// Clock cycles in which the endpoint had nothing to do, and the clock stood still.
    pub cycles_skipped: u64,
    /// What each client and the server told each other.
    pub clients: Vec<ClientStatistics>,
}
