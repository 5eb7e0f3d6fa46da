//! What goes wrong with the device's reads: by chance or on demand.
use super::config::ErrorRates;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::ops::{Range, RangeInclusive};

/// What happens to a read of the device.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered "unsupported request".
    Unsupported,
    /// Answered "completer abort", perhaps after some data.
    Aborted,
    /// One of the completions is poisoned.
    Poisoned,
    /// Not answered, or not to the end.
    Lost,
    /// Answered this much later, in ns, at most ten seconds: after the device's completion timeout, for instance.
    Late(u64),
}

/// Chooses the reads that fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub rates: ErrorRates,
    ordered: Vec<(Range<u64>, Fault)>,
}

impl Faults {
    pub fn new(rates: ErrorRates) -> Self {
        Faults { rates, ordered: Vec::new() }
    }

    /// The next read that touches `addresses` fails in this way.
    pub fn order(&mut self, addresses: Range<u64>, fault: Fault) {
        self.ordered.push((addresses, fault));
    }

    /// Reads do not fail any more that were ordered to.
    pub fn forget(&mut self) {
        self.ordered.clear();
    }

    /// Ordered faults that have not struck.
    pub fn pending(&self) -> usize {
        self.ordered.len()
    }

    /// The fault of a read, if it has one. The last byte may be that of the address space.
    pub fn choose(&mut self, read: RangeInclusive<u64>, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let touches = |range: &Range<u64>| range.start <= *read.end() && *read.start() < range.end;
        let struck = self.ordered.iter().position(|(range, _)| touches(range));
        if let Some(index) = struck {
            return Some(self.ordered.remove(index).1);
        }
        let ErrorRates { unsupported, aborted, poisoned, lost } = self.rates;
        let mut dice = rng.random::<f64>();
        for (rate, fault) in [
            (unsupported, Fault::Unsupported),
            (aborted, Fault::Aborted),
            (poisoned, Fault::Poisoned),
            (lost, Fault::Lost),
        ] {
            if dice < rate {
                return Some(fault);
            }
            dice -= rate;
        }
        None
    }
}
