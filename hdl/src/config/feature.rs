//! Features: bits by which device and driver agree on what each of them can do.
use crate::virtio::layout;

/// A feature that a device type can offer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feature {
    /// Number of the bit in HOST_FEATURES.
    pub bit: u32,
    /// As a configuration names it.
    pub name: &'static str,
    /// When it is offered, for the register map; empty if always.
    pub when: &'static str,
    /// A configuration that does not list features offers it; else it has to be asked for.
    pub by_default: bool,
}

impl Feature {
    /// An interrupt when the queue runs empty, even if suppressed.
    pub const NOTIFY_ON_EMPTY: Feature = Feature::new(layout::FEATURE_NOTIFY_ON_EMPTY, "notify_on_empty");
    /// Requests and frames may be cut into descriptors anywhere. It is so in any case; this says it.
    pub const ANY_LAYOUT: Feature = Feature::new(layout::FEATURE_ANY_LAYOUT, "any_layout");
    /// Indirect descriptor tables.
    pub const INDIRECT: Feature = Feature::new(layout::FEATURE_RING_INDIRECT_DESC, "indirect");
    /// `used_event` and `avail_event`.
    pub const EVENT_IDX: Feature = Feature::new(layout::FEATURE_RING_EVENT_IDX, "event_idx");

    /// A feature that is offered in any case, if the configuration has it.
    pub const fn new(bit: u32, name: &'static str) -> Self {
        Feature { bit, name, when: "", by_default: true }
    }

    /// The same, offered by the device's block only at some times.
    pub const fn only(self, when: &'static str) -> Self {
        Feature { when, ..self }
    }

    /// The same, offered only where a configuration asks for it, or for what it belongs to.
    pub const fn on_request(self) -> Self {
        Feature { by_default: false, ..self }
    }
}
