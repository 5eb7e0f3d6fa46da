//! What a bridge did.
use super::Vector;
use serde::Serialize;
use serde_json::{Map, Value};
use vfio_user_server::ClientStatistics;

/// What happened at the bridge since it was built.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Resets that they asked for.
    pub resets: u64,
    /// Function-level resets.
    pub function_resets: u64,
    /// Writes to the endpoint's MSI-X table.
    pub msix_table_writes: u64,
    /// The MSI-X table as last written, and how often each vector fired.
    pub vectors: Vec<Vector>,
    /// Messages to an Arm's ITS, which drops them: see [`MsixMode::Eventfd`](super::MsixMode::Eventfd).
    pub messages_to_its: u64,
    /// How often INTA was asserted.
    pub intx_asserted: u64,
    /// What its device side did; see [`DeviceSide::statistics`](crate::model::DeviceSide::statistics).
    #[serde(flatten)]
    pub device: Map<String, Value>,
    /// TLPs to the endpoint.
    pub packets_to_device: u64,
    /// TLPs from the endpoint.
    pub packets_from_device: u64,
    /// Register accesses that the endpoint did not answer.
    pub unanswered_accesses: u64,
    /// Queues that stopped because the driver broke a rule of the ring: the first one of each time between two resets.
    pub queue_violations: u64,
    /// Kicks that nothing came of, because the driver had not set Bus Master.
    pub kicks_without_bus_master: u64,
    /// Messages of the endpoint that report an error.
    pub error_messages: u64,
    /// Packets of the endpoint against the rules.
    pub violations: u64,
    /// Clock cycles simulated.
    pub cycles_simulated: u64,
    /// Clock cycles in which the endpoint had nothing to do, and the clock stood still.
    pub cycles_skipped: u64,
    /// What each client and the server told each other: the last ones.
    pub clients: Vec<ClientStatistics>,
    /// The same of all clients before those, summed up, and how many they were.
    pub earlier_clients: (u64, ClientStatistics),
}

/// Clients of which a report tells each on its own.
const CLIENTS: usize = 64;

impl Report {
    /// A count of the device side; 0 where it counts no such thing.
    pub fn device_count(&self, name: &str) -> u64 {
        self.device.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A client has gone.
    pub(super) fn client_gone(&mut self, statistics: ClientStatistics) {
        self.clients.push(statistics);
        if self.clients.len() > CLIENTS {
            self.earlier_clients.0 += 1;
            self.earlier_clients.1 += self.clients.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that runs for years has no more to tell than one that ran for a day.
    #[test]
    fn clients_of_long_ago_are_summed_up() {
        let mut report = Report::default();
        for client in 0..1000 {
            let messages = [("VERSION", 1)].into();
            report.client_gone(ClientStatistics { messages, failed_dma: client, ..ClientStatistics::default() });
        }
        assert_eq!((report.clients.len(), report.clients[0].failed_dma), (CLIENTS, 1000 - CLIENTS as u64));
        let (count, sum) = report.earlier_clients;
        assert_eq!((count, sum.messages["VERSION"], sum.failed_dma), (936, 936, 935 * 936 / 2));
    }
}
