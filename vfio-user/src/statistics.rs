//! What went over a connection.
use crate::region;
use std::collections::BTreeMap;
use std::ops::AddAssign;

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

impl AddAssign for ClientStatistics {
    fn add_assign(&mut self, other: Self) {
        for (name, count) in other.messages {
            *self.messages.entry(name).or_default() += count;
        }
        let add = |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        add(&mut self.region_reads, &other.region_reads);
        add(&mut self.region_writes, &other.region_writes);
        self.read_mapped_bytes += other.read_mapped_bytes;
        self.read_message_bytes += other.read_message_bytes;
        self.written_mapped_bytes += other.written_mapped_bytes;
        self.written_message_bytes += other.written_message_bytes;
        self.dma_messages += other.dma_messages;
        self.failed_dma += other.failed_dma;
        self.eventfds_signalled += other.eventfds_signalled;
    }
}
