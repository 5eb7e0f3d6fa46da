//! What a debugger can read in the vendor-specific capability: the last ring violation and event counters.
use crate::cells::Reg;
use crate::comment;
use crate::config::Device;
use crate::virtio::types::{Violation, ViolationReport};
use rust_hdl::prelude::*;

/// One counter.
#[derive(LogicBlock, Default)]
pub struct EventCounter {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Counts one.
    pub event: Signal<In, Bit>,
    /// Events so far, modulo 2^32.
    pub total: Signal<Out, Bits<32>>,
    value: Reg<Bits<32>>,
}

impl Logic for EventCounter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module event_counter: counts the cycles in which its event is high");
        dff_setup!(self, clock, value);
        self.value.reset.next = self.reset.val();
        if self.event.val() {
            self.value.d.next = self.value.q.val() + 1;
        }
        self.total.next = self.value.q.val();
    }
}

/// Double words that every endpoint has, in their order at [`crate::pcie::registers::DIAGNOSTICS`].
pub const FIELDS: [&str; 16] = [
    "violation: rule in bits 7:0, queue in bits 15:8, head descriptor in bits 31:16",
    "packets received malformed, dropped",
    "messages received, dropped",
    "requests answered Unsupported Request",
    "requests answered Completer Abort",
    "posted requests dropped",
    "unexpected completions",
    "completions with error status or poisoned data",
    "reads timed out",
    "cycles in which a read waited for a tag",
    "cycles in which a read waited for non-posted credit",
    "cycles in which the link took no packet",
    "memory reads sent",
    "memory writes sent",
    "interrupts sent",
    "device resets",
];

/// Double words behind those: events of the device.
pub fn device_fields(device: Device) -> &'static [&'static str] {
    match device {
        Device::Blk => &[],
        Device::Net => &[
            "frames to send dropped: length, failed read, or checksum out of range",
            "frames received dropped: shorter than 14 bytes",
            "frames received dropped: longer than 1518 bytes",
            "frames received dropped: damaged on the wire",
            "frames received dropped: no buffer, or too small a one",
        ],
    }
}

/// All double words of a device's endpoint.
pub fn fields(device: Device) -> impl Iterator<Item = &'static str> {
    FIELDS.iter().chain(device_fields(device)).copied()
}

/// Diagnostics registers: field 0 is the violation, field N counts event N - 1.
#[derive(LogicBlock)]
pub struct Diagnostics {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// First violation of a queue since the device reset, and that queue.
    pub violation: Signal<In, ViolationReport>,
    pub violation_queue: Signal<In, Bits<2>>,
    /// Events, in the order of [`fields`] from field 1.
    pub events: Vec<Signal<In, Bit>>,
    /// All fields.
    pub fields: Vec<Signal<Out, Bits<32>>>,

    counters: Vec<EventCounter>,
    code: Signal<Local, Violation>,
    rule: Signal<Local, Bits<8>>,
}

impl Diagnostics {
    /// `fields` registers, the violation included.
    pub fn new(fields: usize) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            violation: Default::default(),
            violation_queue: Default::default(),
            events: (1..fields).map(|_| Default::default()).collect(),
            fields: (0..fields).map(|_| Default::default()).collect(),
            counters: (1..fields).map(|_| EventCounter::default()).collect(),
            code: Default::default(),
            rule: Default::default(),
        }
    }
}

impl Logic for Diagnostics {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module diagnostics: last ring violation and event counters");
        self.code.next = self.violation.val().rule;
        match self.code.val() {
            Violation::AvailableIndex => self.rule.next = 1.into(),
            Violation::HeadRange => self.rule.next = 2.into(),
            Violation::NextRange => self.rule.next = 3.into(),
            Violation::ChainTooLong => self.rule.next = 4.into(),
            Violation::IndirectNotNegotiated => self.rule.next = 5.into(),
            Violation::IndirectNested => self.rule.next = 6.into(),
            Violation::IndirectWithNext => self.rule.next = 7.into(),
            Violation::IndirectLength => self.rule.next = 8.into(),
            Violation::ZeroLength => self.rule.next = 9.into(),
            Violation::WritableFirst => self.rule.next = 10.into(),
            Violation::TotalLength => self.rule.next = 11.into(),
            Violation::RingRead => self.rule.next = 12.into(),
            Violation::RequestTooShort => self.rule.next = 13.into(),
            Violation::AddressRange => self.rule.next = 14.into(),
            _ => self.rule.next = 0.into(),
        }
        self.fields[0].next = (bit_cast::<32, 16>(self.violation.val().head) << 16)
            | (bit_cast::<32, 2>(self.violation_queue.val()) << 8)
            | bit_cast::<32, 8>(self.rule.val());
        for i in 0..self.counters.len() {
            self.counters[i].clock.next = self.clock.val();
            self.counters[i].reset.next = self.reset.val();
            self.counters[i].event.next = self.events[i].val();
            self.fields[i + 1].next = self.counters[i].total.val();
        }
    }
}
