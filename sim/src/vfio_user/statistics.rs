//! What went over a connection.
use super::region;
use std::collections::BTreeMap;

/// Figures of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClientStatistics {
    /// Commands of the client, by name.
    pub messages: BTreeMap<&'static str, u64>,
    /// Register reads that the device served, by region.
    pub region_reads: [u64; region::COUNT as usize],
    /// Register writes that the device served, by region.
    pub region_writes: [u64; region::COUNT as usize],
    /// Bytes that the device read through a mapping.
    pub read_mapped_bytes: u64,
    /// Bytes that the device read by message.
    pub read_message_bytes: u64,
    /// Bytes that the device wrote through a mapping.
    pub written_mapped_bytes: u64,
    /// Bytes that the device wrote by message, and that the VMM has acknowledged.
    pub written_message_bytes: u64,
    /// DMA_READ and DMA_WRITE messages sent.
    pub dma_messages: u64,
    /// Reads and writes of the device that failed.
    pub failed_dma: u64,
    /// Interrupts signalled through an eventfd.
    pub eventfds_signalled: u64,
}
