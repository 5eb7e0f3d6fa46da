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

/// Cycles until a packet begins to leave the endpoint: from the notify's arrival, or from the first beat of a frame by wire.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The first memory read.
    pub first_read: Spread,
    /// The first write of anything but the interrupt.
    pub first_write: Spread,
    /// The last write of the used ring, which is that of its index.
    pub used: Spread,
    /// The interrupt.
    pub interrupt: Spread,
    /// From the last write of the used ring to the interrupt.
    pub used_to_interrupt: Spread,
}

/// What a request begins with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The notify of the driver.
    Notify,
    /// The cycle in which a frame's first beat is at the endpoint.
    Wire(u64),
}

/// One request, cycles since its begin.
#[derive(Copy, Clone, Debug, Default)]
struct One {
    first_read: Option<u64>,
    first_write: Option<u64>,
    used: Option<u64>,
    interrupt: Option<u64>,
}

impl One {
    fn of(begin: Begin, used: &Range<u64>, packets: &[Passed]) -> Self {
        let mut one = One::default();
        let mut began = match begin {
            Begin::Notify => None,
            Begin::Wire(cycle) => Some(cycle),
        };
        for Passed { at, to_host, dwords } in packets {
            let heading = Heading::of(dwords);
            if !to_host {
                began = began.or(heading.is_notify().then_some(*at));
                continue;
            }
            let Some(since) = began.and_then(|began| at.checked_sub(began)) else { continue };
            if heading.is_interrupt() {
                one.interrupt = Some(since);
                break;
            }
            match heading.kind {
                "MRd" => one.first_read = one.first_read.or(Some(since)),
                "MWr" => {
                    one.first_write = one.first_write.or(Some(since));
                    one.used = Some(since).filter(|_| used.contains(&heading.address)).or(one.used);
                }
                _ => {}
            }
        }
        one
    }
}

/// Measures `rounds` times what `one` does: give the device one request, or a frame, and wait for its end; it tells what that
/// began with. The used ring is at `used`.
pub fn measure(
    machine: &mut Machine,
    used: Range<u64>,
    rounds: usize,
    mut one: impl FnMut(&mut Machine) -> Result<Begin, ScenarioError>,
) -> Result<Latency, ScenarioError> {
    let mut all = vec![];
    for _ in 0..rounds {
        machine.run(REST);
        machine.take_packets();
        let begin = one(machine)?;
        all.push(One::of(begin, &used, &machine.take_packets()));
    }
    let spread = |of: fn(&One) -> Option<u64>| Spread::of(all.iter().filter_map(of).collect());
    Ok(Latency {
        first_read: spread(|one| one.first_read),
        first_write: spread(|one| one.first_write),
        used: spread(|one| one.used),
        interrupt: spread(|one| one.interrupt),
        used_to_interrupt: spread(|one| Some(one.interrupt? - one.used?)),
    })
}
