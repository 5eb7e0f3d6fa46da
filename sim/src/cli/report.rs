//! What a bridge did, for people to read.
use super::output::outln;
use crate::backend::WireStatistics;
use crate::bridge::Report;
use vfio_user_server::ClientStatistics;

pub(super) fn print(report: &Report) {
    let sum = |count: fn(&ClientStatistics) -> u64| {
        report.clients.iter().map(count).sum::<u64>() + count(&report.earlier_clients.1)
    };
    outln!(
        "{:>12} register reads, {} writes; {} resets",
        sum(|client| client.region_reads.iter().sum()),
        sum(|client| client.region_writes.iter().sum()),
        report.resets
    );
    outln!(
        "{:>12} bytes read by DMA, {} written; {} bytes of them in {} messages",
        sum(|client| client.read_mapped_bytes + client.read_message_bytes),
        sum(|client| client.written_mapped_bytes + client.written_message_bytes),
        sum(|client| client.read_message_bytes + client.written_message_bytes),
        sum(|client| client.dma_messages)
    );
    for (index, vector) in report.vectors.iter().enumerate() {
        outln!("{:>12} interrupts of MSI-X vector {index}: {:#x} to {:#x}", vector.fired, vector.data, vector.address);
    }
    outln!("{:>12} interrupts by INTx; {} writes to the MSI-X table", report.intx_asserted, report.msix_table_writes);
    let wire = WireStatistics::of(&report.device);
    match &wire {
        Some(wire) => outln!(
            "{:>12} frames sent, {} bytes; {} received, {} bytes",
            wire.transmitted_frames,
            wire.transmitted_bytes,
            wire.received_frames,
            wire.received_bytes
        ),
        None if report.device.contains_key("disk_commands") => outln!(
            "{:>12} disk commands; {} flushes of the image",
            report.device_count("disk_commands"),
            report.device_count("disk_flushes")
        ),
        None => {}
    }
    outln!("{:>12} TLPs to the endpoint, {} from it", report.packets_to_device, report.packets_from_device);
    outln!("{:>12} clock cycles simulated, {} skipped", report.cycles_simulated, report.cycles_skipped);
    for (count, what) in [
        (report.unanswered_accesses, "register accesses without an answer"),
        (report.queue_violations, "queues stopped by a rule that the driver broke"),
        (report.kicks_without_bus_master, "kicks while Bus Master was off"),
        (report.messages_to_its, "interrupts that an Arm's ITS dropped (use --msix eventfd)"),
        (report.error_messages, "error messages of the endpoint"),
        (report.violations, "packets against the rules"),
        (wire.map_or(0, |wire| wire.lost_frames), "frames that the network had no room for"),
        (wire.map_or(0, |wire| wire.overrun_frames), "frames that came too fast and were dropped by the system"),
    ] {
        if count != 0 {
            outln!("{count:>12} {what}");
        }
    }
}
