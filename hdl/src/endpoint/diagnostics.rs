//! What a debugger can read in BAR1 and in the vendor-specific capability: the first ring violation and event counters.
use crate::block::{list, Block};
use crate::cells::{LutRam, Reg};
use crate::comment;
use crate::config::DeviceType;
use crate::pcie::register_bus::RegisterSlave;
use crate::pcie::registers as at;
use crate::virtio::types::{Violation, ViolationReport};
use rust_hdl::prelude::*;

/// Double words that every endpoint has, in their order at [`at::DIAGNOSTICS_OFFSET`] in BAR1 and at [`at::DIAGNOSTICS`] in the
/// endpoint's own config space.
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

/// All double words of a device's endpoint: behind those of every endpoint [`DeviceType::events`].
pub fn fields(device: &DeviceType) -> impl Iterator<Item = &'static str> {
    FIELDS.iter().chain(device.events).copied()
}

/// What the rule numbers of field 0 mean.
pub const RULES: [&str; 16] = [
    "no rule is broken",
    "the available index went on by more than the queue has entries",
    "the head index is not below the queue's size",
    "a descriptor's next is out of range",
    "the chain is longer than the queue, or has a loop",
    "an indirect descriptor though the feature was not negotiated",
    "an indirect descriptor inside an indirect table",
    "an indirect descriptor with NEXT set",
    "the length of an indirect table is no multiple of 16, or 0",
    "a descriptor of length 0",
    "a writable descriptor before a readable one",
    "the chain's bytes do not fit into 32 bits",
    "a read of the ring failed",
    "the chain is too short for a request",
    "a buffer or an indirect table ends behind the last address",
    "it had stopped before its state was restored",
];

/// Which queue stopped, and why: the words for field 0, none while it is 0.
pub fn violation_in_words(field: u32) -> Option<String> {
    let (rule, queue, head) = (field & 0xff, field >> 8 & 0xff, field >> 16);
    let words = RULES.get(rule as usize).copied().unwrap_or("a rule without a name");
    (rule != 0).then(|| {
        format!("queue {queue} has stopped at head {head}: {words} (rule {rule}); a reset of the device recovers it")
    })
}

/// Diagnostics registers: field 0 is the violation, field N counts event N - 1.
///
/// The counters lie in a RAM, and one adder goes round them; what happens meanwhile is kept in a few bits per counter. A
/// number is up to two rounds old, which are less than 50 cycles.
///
/// ```text
/// events -> collected, 5 bits each -> + -> RAM, by turns
///                                     ^----+ +--> word <- index of the access to config space or BAR1
/// ```
#[derive(Block)]
pub struct Diagnostics {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// First violation of a queue since the device reset, and that queue.
    pub violation: Signal<In, ViolationReport>,
    /// The queue of `violation`.
    pub violation_queue: Signal<In, Bits<2>>,
    /// Events, in the order of [`fields`] from field 1.
    #[given]
    pub events: Vec<Signal<In, Bit>>,
    /// Accesses to BAR1 at [`at::DIAGNOSTICS_OFFSET`]; writes are lost.
    pub window: RegisterSlave,
    /// Address of an access to config space.
    pub config_address: Signal<In, Bits<12>>,
    /// What the vendor-specific capability has there, one cycle later, while nobody is at the window; else 0.
    pub config_word: Signal<Out, Bits<32>>,
    /// Field 0.
    pub violation_word: Signal<Out, Bits<32>>,

    #[given]
    collected: Vec<Reg<Bits<5>>>,
    /// The field whose turn it is.
    #[given]
    turn: Reg<Bits<5>>,
    /// The first round: the RAM holds what it held before the reset.
    #[given]
    first_round: Reg<Bit>,
    slot: DFF<Bits<5>>,
    slot_valid: Reg<Bit>,
    base: DFF<Bits<32>>,
    amount: DFF<Bits<5>>,
    counters: LutRam<32, 5>,
    shown: LutRam<32, 5>,
    word: DFF<Bits<32>>,
    looked_up: Reg<Bit>,
    done: Reg<Bit>,

    count: Signal<Local, Bits<5>>,
    sum: Signal<Local, Bits<32>>,
    config_index: Signal<Local, Bits<6>>,
    window_index: Signal<Local, Bits<6>>,
    index: Signal<Local, Bits<6>>,
    is_first: Signal<Local, Bit>,
    is_counter: Signal<Local, Bit>,
    first: Signal<Local, Bits<32>>,
    code: Signal<Local, Violation>,
    rule: Signal<Local, Bits<8>>,

    #[given]
    last: Constant<Bits<5>>,
    #[given]
    config_first: Constant<Bits<6>>,
    #[given]
    config_last: Constant<Bits<6>>,
}

impl Diagnostics {
    /// `fields` registers, the violation included: 2 to [`at::MAX_DIAGNOSTICS`].
    pub fn new(fields: usize) -> Self {
        assert!((2..=usize::from(at::MAX_DIAGNOSTICS)).contains(&fields), "{fields} double words of diagnostics");
        Self::with(DiagnosticsGiven {
            events: list(fields - 1),
            collected: list(fields - 1),
            turn: Reg::new(1.into()),
            first_round: Reg::new(true),
            last: Constant::new((fields as u64 - 1).into()),
            config_first: Constant::new(u64::from(at::DIAGNOSTICS / 4).into()),
            config_last: Constant::new((u64::from(at::DIAGNOSTICS / 4) + fields as u64 - 1).into()),
        })
    }
}

impl Logic for Diagnostics {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module diagnostics: first ring violation and event counters");
        comment!("what has happened since the counter's last turn; at its turn it begins anew");
        self.amount.d.next = 0.into();
        for i in 0..self.collected.len() {
            self.count.next = self.collected[i].q.val();
            if self.turn.q.val() == (i + 1).to_bits::<5>() {
                self.amount.d.next = self.collected[i].q.val();
                self.count.next = 0.into();
            }
            self.collected[i].d.next = self.count.val();
            if self.events[i].val() {
                self.collected[i].d.next = self.count.val() + 1;
            }
        }

        comment!("the turn: read, and added in the cycle behind");
        self.turn.d.next = self.turn.q.val() + 1;
        if self.turn.q.val() == self.last.val() {
            self.turn.d.next = 1.into();
            self.first_round.d.next = false;
        }
        self.counters.raddr.next = self.turn.q.val();
        self.base.d.next = self.counters.rdata.val();
        if self.first_round.q.val() {
            self.base.d.next = 0.into();
        }
        self.slot.d.next = self.turn.q.val();
        self.slot_valid.d.next = true;
        self.sum.next = self.base.q.val() + bit_cast::<32, 5>(self.amount.q.val());
        self.counters.waddr.next = self.slot.q.val();
        self.counters.wdata.next = self.sum.val();
        self.counters.wen.next = self.slot_valid.q.val();
        self.shown.waddr.next = self.slot.q.val();
        self.shown.wdata.next = self.sum.val();
        self.shown.wen.next = self.slot_valid.q.val();

        comment!("field 0");
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
            Violation::Before => self.rule.next = 15.into(),
            _ => self.rule.next = 0.into(),
        }
        self.first.next = (bit_cast::<32, 16>(self.violation.val().head) << 16)
            | (bit_cast::<32, 2>(self.violation_queue.val()) << 8)
            | bit_cast::<32, 8>(self.rule.val());
        self.violation_word.next = self.first.val();

        comment!("an access looks a field up in one cycle, and is answered behind it");
        self.config_index.next = self.config_address.val().get_bits::<6>(2);
        self.window_index.next = self.window.address.val().get_bits::<6>(2);
        self.index.next = self.config_index.val() - self.config_first.val();
        self.is_first.next = self.config_index.val() == self.config_first.val();
        self.is_counter.next =
            (self.config_index.val() > self.config_first.val()) & (self.config_index.val() <= self.config_last.val());
        if self.window.valid.val() {
            self.index.next = self.window_index.val();
            self.is_first.next = self.window_index.val() == 0;
            self.is_counter.next = self.window_index.val() <= bit_cast::<6, 5>(self.last.val());
        }
        self.shown.raddr.next = self.index.val().get_bits::<5>(0);
        self.word.d.next = 0.into();
        if self.is_first.val() {
            self.word.d.next = self.first.val();
        } else if self.is_counter.val() & !self.first_round.q.val() {
            self.word.d.next = self.shown.rdata.val();
        }
        self.looked_up.d.next = self.window.valid.val() & !self.looked_up.q.val() & !self.done.q.val();
        self.done.d.next = self.window.valid.val() & self.looked_up.q.val() & !self.done.q.val();
        self.window.done.next = self.done.q.val();
        self.window.read_data.next = self.word.q.val();
        self.config_word.next = self.word.q.val();
    }
}
