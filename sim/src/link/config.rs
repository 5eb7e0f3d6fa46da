//! How fast the link is and how the root complex behaves.
use serde::{Deserialize, Serialize};
use thiserror::Error;
pub use virtio_hdl_rtl::config::LinkSpeed;

/// Picoseconds, the unit of time inside the link model.
pub(super) type Picoseconds = u64;

/// Framing, sequence number and LCRC of each packet on the link, bytes.
pub const PACKET_OVERHEAD: u64 = 8;

/// Longest time of a configuration: sums of a few of them fit into the unit of time with room for years.
pub(super) const LONGEST_NS: u64 = 10_000_000_000;

/// Time that this many bytes take.
pub(super) fn time_on(speed: LinkSpeed, bytes: u64) -> Picoseconds {
    (bytes as f64 * 8_000.0 / speed.gigabits()).round() as Picoseconds
}

/// Where the root complex cuts completions.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompletionCut {
    /// At every read completion boundary.
    Boundary,
    /// At multiples of the largest payload.
    #[default]
    MaxPayload,
    /// At read completion boundaries chosen at random.
    Random,
}

/// How long the root complex takes to serve a read, without the way there and back: most take a little more than
/// `shortest_ns`, half of them at most `median_ns`, and the last percents spread up to `longest_ns`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// Fastest.
    pub shortest_ns: u64,
    /// Half of the reads take no longer.
    pub median_ns: u64,
    /// Slowest.
    pub longest_ns: u64,
}

impl Default for Latency {
    /// With 250 ns there and 250 ns back: 520 to 950 ns, median 547 ns.
    fn default() -> Self {
        Latency { shortest_ns: 20, median_ns: 47, longest_ns: 450 }
    }
}

/// Flow-control credits of the root complex's receiver. Data credits are units of 16 bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credits {
    /// Headers of memory writes and messages.
    pub posted_headers: u32,
    /// Payload of memory writes and messages.
    pub posted_data: u32,
    /// Headers of reads.
    pub nonposted_headers: u32,
    /// Headers of completions.
    pub completion_headers: u32,
    /// Payload of completions.
    pub completion_data: u32,
}

impl Default for Credits {
    /// Enough for a gen3 x8 link at the default latencies.
    fn default() -> Self {
        Credits {
            posted_headers: 96,
            posted_data: 1024,
            nonposted_headers: 96,
            completion_headers: 64,
            completion_data: 256,
        }
    }
}

/// How often a read of the device goes wrong; each is a probability from 0 to 1.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorRates {
    /// Answered "unsupported request".
    pub unsupported: f64,
    /// Answered "completer abort".
    pub aborted: f64,
    /// Answered with a poisoned completion.
    pub poisoned: f64,
    /// Not answered.
    pub lost: f64,
}

impl ErrorRates {
    fn total(&self) -> f64 {
        self.unsupported + self.aborted + self.poisoned + self.lost
    }
}

/// The link and the root complex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Generation and width.
    pub speed: LinkSpeed,
    /// The device's clock; all times of the interface are its cycles.
    pub clock_hz: u64,
    /// MPS: largest payload of a packet, bytes.
    pub max_payload: u16,
    /// MRRS: most bytes that the device may ask for in one read.
    pub max_read_request: u16,
    /// RCB: completions are cut only at multiples of this, 64 or 128 bytes.
    pub read_completion_boundary: u16,
    /// Where completions are cut.
    pub completion_cut: CompletionCut,
    /// One way over the link and to memory, ns: for posted writes, and for each direction of a read.
    pub one_way_ns: u64,
    /// Time to serve a read.
    pub read_latency: Latency,
    /// Completions of different reads may overtake each other. Off: reads are answered in their order.
    pub reorder: bool,
    /// Receive buffers of the root complex.
    pub credits: Credits,
    /// What goes wrong by chance.
    pub errors: ErrorRates,
    /// The host gives up on a request after this time, ns.
    pub completion_timeout_ns: u64,
    /// The same seed gives the same run.
    pub seed: u64,
}

impl Default for LinkConfig {
    fn default() -> Self {
        LinkConfig {
            speed: LinkSpeed::Gen2X4,
            clock_hz: 125_000_000,
            max_payload: 256,
            max_read_request: 512,
            read_completion_boundary: 64,
            completion_cut: CompletionCut::MaxPayload,
            one_way_ns: 250,
            read_latency: Latency::default(),
            reorder: true,
            credits: Credits::default(),
            errors: ErrorRates::default(),
            completion_timeout_ns: 50_000,
            seed: 0,
        }
    }
}

/// A link that cannot be.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum LinkConfigError {
    /// Not a power of two in range.
    #[error("{name} is {value}: a power of two from {least} to {most} is allowed")]
    PowerOfTwo { name: &'static str, value: u16, least: u16, most: u16 },
    /// No clock.
    #[error("clock_hz is {0}: 1 MHz to 1 GHz is allowed")]
    Clock(u64),
    /// The link must be slower than the clock.
    #[error("one_way_ns is {one_way_ns}: at {clock_hz} Hz it must be at least {least}, two cycles")]
    OneWay { one_way_ns: u64, clock_hz: u64, least: u64 },
    /// A time beyond which nothing is simulated.
    #[error("{name} is {value}: at most {most}, ten seconds, is allowed", most = LONGEST_NS)]
    Time { name: &'static str, value: u64 },
    /// Latencies out of order.
    #[error("read_latency: shortest_ns <= median_ns <= longest_ns is required, not {0:?}")]
    Latency(Latency),
    /// A packet must fit the credits.
    #[error("credits.{name} is {value}: at least {least} are needed")]
    Credits { name: &'static str, value: u32, least: u32 },
    /// Probabilities out of range.
    #[error("errors: each must be from 0 to 1 and their sum at most 1, not {0:?}")]
    Errors(ErrorRates),
}

impl LinkConfig {
    /// Whether such a link can be.
    pub fn check(&self) -> Result<(), LinkConfigError> {
        power_of_two("max_payload", self.max_payload, 128, 4096)?;
        power_of_two("max_read_request", self.max_read_request, 128, 4096)?;
        power_of_two("read_completion_boundary", self.read_completion_boundary, 64, 128)?;
        if !(1_000_000..=1_000_000_000).contains(&self.clock_hz) {
            return Err(LinkConfigError::Clock(self.clock_hz));
        }
        for (name, value) in [
            ("one_way_ns", self.one_way_ns),
            ("read_latency.longest_ns", self.read_latency.longest_ns),
            ("completion_timeout_ns", self.completion_timeout_ns),
        ] {
            if value > LONGEST_NS {
                return Err(LinkConfigError::Time { name, value });
            }
        }
        if u128::from(self.one_way_ns) * u128::from(self.clock_hz) < 2_000_000_000 {
            let least = 2_000_000_000_u64.div_ceil(self.clock_hz);
            return Err(LinkConfigError::OneWay { one_way_ns: self.one_way_ns, clock_hz: self.clock_hz, least });
        }
        let latency = self.read_latency;
        if latency.shortest_ns > latency.median_ns || latency.median_ns > latency.longest_ns {
            return Err(LinkConfigError::Latency(latency));
        }
        let payload = u32::from(self.max_payload) / 16;
        for (name, value, least) in [
            ("posted_headers", self.credits.posted_headers, 8),
            ("posted_data", self.credits.posted_data, 2 * payload),
            ("nonposted_headers", self.credits.nonposted_headers, 8),
            ("completion_headers", self.credits.completion_headers, 8),
            ("completion_data", self.credits.completion_data, 8),
        ] {
            if value < least {
                return Err(LinkConfigError::Credits { name, value, least });
            }
        }
        let rates = self.errors;
        let each = [rates.unsupported, rates.aborted, rates.poisoned, rates.lost];
        if each.iter().any(|p| !(0.0..=1.0).contains(p)) || rates.total() > 1.0 {
            return Err(LinkConfigError::Errors(rates));
        }
        Ok(())
    }

    /// Bytes that each direction of the link carries in a cycle, [`PACKET_OVERHEAD`] included: the rate at which
    /// the device's transmit stream is let through.
    pub fn bytes_per_cycle(&self) -> f64 {
        self.speed.gigabits() * 1e9 / 8.0 / self.clock_hz as f64
    }

    /// Cycles that a packet of this many double words takes on the link.
    pub fn packet_cycles(&self, double_words: usize) -> f64 {
        (4 * double_words as u64 + PACKET_OVERHEAD) as f64 / self.bytes_per_cycle()
    }

    /// Nanoseconds to cycles, rounded up.
    pub fn cycles(&self, ns: u64) -> u64 {
        (u128::from(ns) * u128::from(self.clock_hz)).div_ceil(1_000_000_000) as u64
    }

    /// Start of a cycle.
    pub(super) fn time_of(&self, cycle: u64) -> Picoseconds {
        (u128::from(cycle) * 1_000_000_000_000 / u128::from(self.clock_hz)) as Picoseconds
    }

    /// First cycle that starts at this time or later.
    pub(super) fn cycle_of(&self, time: Picoseconds) -> u64 {
        (u128::from(time) * u128::from(self.clock_hz)).div_ceil(1_000_000_000_000) as u64
    }
}

fn power_of_two(name: &'static str, value: u16, least: u16, most: u16) -> Result<(), LinkConfigError> {
    if value.is_power_of_two() && (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(LinkConfigError::PowerOfTwo { name, value, least, most })
    }
}
