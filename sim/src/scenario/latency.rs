//! How long one request takes in an endpoint that rests: from the notify to what leaves.
use super::ScenarioError;
use crate::host::Platform;
use crate::machine::{Machine, Passed};
use crate::trace::Heading;
use serde::Serialize;
use std::ops::Range;

/// Cycles between two requests, so that the endpoint rests.
const REST: u64 = 4_000;

/// Least, median and 99th percentile, cycles.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Least.
    pub least: u64,
    /// Median.
    pub median: u64,
    /// 99 of 100 take no longer.
    pub p99: u64,
}

impl Spread {
    /// Of these values; all zero of none.
    pub fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |share: usize| values.get((values.len() * share / 100).min(values.len().saturating_sub(1))).copied();
        Spread { least: at(0).unwrap_or_default(), median: at(50).unwrap_or_default(), p99: at(99).unwrap_or_default() }
    }
}

/// Cycles from the notify's arrival at the endpoint until a packet begins to leave it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The first memory read.
    pub first_read: Spread,
    /// The last write of the used ring.
    pub used: Spread,
    /// The interrupt.
    pub interrupt: Spread,
}

/// Measures `rounds` times what `one` does: give the device one request, notify it, and wait for its end. The used ring
/// is at `used`.
pub fn measure(
    machine: &mut Machine,
    used: Range<u64>,
    rounds: usize,
    mut one: impl FnMut(&mut Machine) -> Result<(), ScenarioError>,
) -> Result<Latency, ScenarioError> {
    let (mut first_read, mut used_write, mut interrupt) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        machine.run(REST);
        machine.take_packets();
        one(machine)?;
        let packets = machine.take_packets();
        let (mut at, mut first, mut last_used) = (None, None, None);
        for Passed { at: cycle, to_host, dwords } in &packets {
            let heading = Heading::of(dwords);
            if !to_host {
                at = at.or(heading.is_notify().then_some(*cycle));
                continue;
            }
            let Some(notified) = at else { continue };
            let since = cycle.saturating_sub(notified);
            if heading.kind == "MRd" {
                first = first.or(Some(since));
            }
            if heading.kind == "MWr" && used.contains(&heading.address) {
                last_used = Some(since);
            }
            if heading.is_interrupt() {
                interrupt.push(since);
                break;
            }
        }
        first_read.extend(first);
        used_write.extend(last_used);
    }
    let spreads = [first_read, used_write, interrupt].map(Spread::of);
    Ok(Latency { first_read: spreads[0], used: spreads[1], interrupt: spreads[2] })
}
