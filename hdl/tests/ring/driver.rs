//! A driver and a device around the ring engine: offers chains, checks what the engine hands on, uses them.
use crate::memory::{bench, Dma, Memory};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::Source;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::ring::RingEngine;
use virtio_hdl_rtl::virtio::types::{Chain, Violation};

/// Negotiated features.
#[derive(Clone, Copy)]
pub struct Features {
    pub event_idx: bool,
    pub indirect: bool,
    pub notify_on_empty: bool,
}

/// One buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descriptor {
    pub address: u64,
    pub length: u32,
    pub writable: bool,
}

impl Descriptor {
    pub fn readable(address: u64, length: u32) -> Self {
        Self { address, length, writable: false }
    }
    pub fn writable(address: u64, length: u32) -> Self {
        Self { address, length, writable: true }
    }
}

/// A chain as the driver offered it.
pub struct Offered {
    pub head: u16,
    readable: Vec<Descriptor>,
    writable: Vec<Descriptor>,
    /// Descriptors of the table that it occupies.
    descriptors: Vec<u16>,
}

fn total(buffers: &[Descriptor]) -> u64 {
    buffers.iter().map(|buffer| u64::from(buffer.length)).sum()
}

/// What moved in one cycle, before the clock edge.
#[derive(Default)]
struct Seen {
    chain: Option<Chain>,
    readable: Option<BufferDescriptor>,
    writable: Option<BufferDescriptor>,
    /// A used element was offered; it was taken.
    used: Option<bool>,
    interrupt: bool,
}

impl Seen {
    fn of(uut: &RingEngine) -> Self {
        fn moved<T: Synth>(source: &Source<T>) -> Option<T> {
            (source.valid.val() && source.ready.val()).then(|| source.data.val())
        }
        Self {
            chain: moved(&uut.chain),
            readable: moved(&uut.readable),
            writable: moved(&uut.writable),
            used: uut.used.valid.val().then(|| uut.used.ready.val()),
            interrupt: uut.control.raise_interrupt.val(),
        }
    }
}

pub struct Driver {
    pub bench: Bench<RingEngine>,
    pub dma: Dma,
    pub memory: Memory,
    pub base: u64,
    pub interrupts: usize,
    /// The device takes no buffer before it has this many chains.
    pub chains_first: usize,
    queue_size: u16,
    features: Features,
    available: u16,
    /// All chains offered, in order.
    pub offered: Vec<Offered>,
    /// How many of them the driver has taken back.
    reclaimed: usize,
    /// How many chains the engine has handed on, and how far it is with their buffers: (chain, buffer).
    pub chains: usize,
    readable: (usize, usize),
    writable: (usize, usize),
    /// Elements the device is to use.
    to_use: VecDeque<(u16, u32)>,
    using: bool,
    kicked: bool,
    in_reset: bool,
    tables: Vec<(u64, u64)>,
    /// The cycle from which on a violation is told.
    pub stopped_at: Option<u64>,
}

impl Driver {
    pub fn new(name: &str, queue_size: u16, features: Features) -> Self {
        Self::of(bench(name, queue_size, true), queue_size, features)
    }

    /// Around an engine that reads no slots beside their index.
    pub fn without_guesses(name: &str, queue_size: u16, features: Features) -> Self {
        Self::of(bench(name, queue_size, false), queue_size, features)
    }

    fn of(bench: Bench<RingEngine>, queue_size: u16, features: Features) -> Self {
        let mut driver = Self {
            bench,
            dma: Dma::new(60),
            memory: Memory(vec![0; 0x100000]),
            base: 0x10000,
            interrupts: 0,
            chains_first: 0,
            queue_size,
            features,
            available: 0,
            offered: vec![],
            reclaimed: 0,
            chains: 0,
            readable: (0, 0),
            writable: (0, 0),
            to_use: VecDeque::new(),
            using: false,
            kicked: false,
            in_reset: false,
            tables: vec![],
            stopped_at: None,
        };
        driver.bench.uut.control.enable.next = true;
        driver.bench.uut.control.ring_base.next = driver.base.into();
        driver.bench.uut.control.event_idx.next = features.event_idx;
        driver.bench.uut.control.indirect.next = features.indirect;
        driver.bench.uut.control.notify_on_empty.next = features.notify_on_empty;
        driver.reset();
        driver
    }

    /// Resets the engine and the ring.
    pub fn reset(&mut self) {
        let bytes = layout::ring_bytes(self.queue_size);
        self.memory.write(self.base, &vec![0; bytes as usize]);
        self.in_reset = true;
        self.cycle();
        self.cycle();
        self.in_reset = false;
        self.dma = Dma::new(self.dma.latency);
        self.offered.clear();
        self.to_use.clear();
        (self.available, self.reclaimed, self.chains, self.interrupts) = (0, 0, 0, 0);
        (self.readable, self.writable, self.using, self.kicked) = ((0, 0), (0, 0), false, false);
        self.stopped_at = None;
    }

    /// As if so many chains had been used already.
    pub fn begin_at(&mut self, index: u16) {
        let used = || Offered { head: 0, readable: vec![], writable: vec![], descriptors: vec![] };
        let count = usize::from(index);
        self.offered.resize_with(count, used);
        (self.reclaimed, self.chains, self.readable, self.writable) = (count, count, (count, 0), (count, 0));
        self.set_available_index(index);
        self.memory.set_u16(self.used_ring() + layout::RING_INDEX, index);
        self.memory.set_u16(self.base + layout::avail_event_offset(self.queue_size), index);
    }

    // ---------------------------------------------------------------- standing still
    /// The queue's state, as the state window shows it.
    pub fn state(&self) -> u32 {
        self.bench.uut.control.state.val().to_u64() as u32
    }

    /// All chains that were handed on have been used, and nothing moves inside or outside.
    pub fn is_still(&self) -> bool {
        let used = self.to_use.is_empty() && self.used_count() == self.chains as u16;
        used && self.dma.idle() && self.asleep()
    }

    /// A reset of the engine alone, and what the reset sequencer does behind it.
    pub fn reset_engine(&mut self, keep: bool) {
        self.bench.uut.control.keep.next = keep;
        self.in_reset = true;
        self.cycle();
        self.in_reset = false;
        self.bench.uut.control.rewind.next = true;
        self.cycle();
        self.bench.uut.control.rewind.next = false;
        self.bench.uut.control.keep.next = false;
    }

    /// As the state window writes it.
    pub fn write_state(&mut self, state: u32) {
        self.bench.uut.control.state_write.next = true;
        self.bench.uut.control.state_data.next = u64::from(state).into();
        self.cycle();
        self.bench.uut.control.state_write.next = false;
    }

    /// What the engine has asked for and told until now: reads, writes, chains, interrupts.
    pub fn moves(&self) -> [usize; 4] {
        [self.dma.asked_reads.len(), self.dma.asked_writes.len(), self.chains, self.interrupts]
    }

    // ---------------------------------------------------------------- the ring
    fn write_descriptor(&mut self, at: u64, address: u64, length: u32, flags: u16, next: u16) {
        self.memory.write(at, &address.to_le_bytes());
        self.memory.write(at + 8, &length.to_le_bytes());
        self.memory.set_u16(at + 12, flags);
        self.memory.set_u16(at + 14, next);
    }
    pub fn descriptor(&mut self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        self.write_descriptor(self.base + 16 * u64::from(index), address, length, flags, next);
    }
    pub fn table_descriptor(&mut self, table: u64, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let at = table + 16 * u64::from(index);
        self.tables.push((at, at + 16));
        self.write_descriptor(at, address, length, flags, next);
    }
    pub fn available_ring(&self) -> u64 {
        self.base + layout::avail_offset(self.queue_size)
    }
    pub fn used_ring(&self) -> u64 {
        self.base + layout::used_offset(self.queue_size)
    }
    pub fn set_available_index(&mut self, index: u16) {
        self.available = index;
        self.memory.set_u16(self.available_ring() + 2, index);
    }
    pub fn offer_head(&mut self, head: u16) {
        let slot = u64::from(self.available % self.queue_size);
        self.memory.set_u16(self.available_ring() + 4 + 2 * slot, head);
        self.set_available_index(self.available.wrapping_add(1));
    }
    /// A direct chain in the descriptors from `head` downwards.
    pub fn offer_chain(&mut self, head: u16, buffers: &[Descriptor]) {
        let indexes: Vec<u16> = (0..buffers.len() as u16).map(|i| head - i).collect();
        self.offer_direct(&indexes, buffers);
    }
    /// A direct chain in these descriptors.
    pub fn offer_direct(&mut self, indexes: &[u16], buffers: &[Descriptor]) {
        for (i, buffer) in buffers.iter().enumerate() {
            let next = indexes.get(i + 1).copied();
            self.descriptor(indexes[i], buffer.address, buffer.length, flags(buffer, next), next.unwrap_or(0xffff));
        }
        self.record(indexes, buffers);
    }
    /// A chain in an indirect table, in order.
    pub fn offer_table(&mut self, head: u16, buffers: &[Descriptor], table: u64) {
        let order: Vec<u16> = (0..buffers.len() as u16).collect();
        self.offer_indirect(&[head], buffers, table, &order);
    }
    /// The first `direct` buffers in the queue's table, the others in an indirect table in random order.
    pub fn offer_indirect(&mut self, indexes: &[u16], buffers: &[Descriptor], table: u64, order: &[u16]) {
        let direct = indexes.len() - 1;
        for i in 0..direct {
            let next = indexes[i + 1];
            self.descriptor(indexes[i], buffers[i].address, buffers[i].length, flags(&buffers[i], Some(next)), next);
        }
        self.descriptor(indexes[direct], table, 16 * order.len() as u32, layout::DESCRIPTOR_INDIRECT, 0);
        for (i, buffer) in buffers[direct..].iter().enumerate() {
            let next = order.get(i + 1).copied();
            let flags = flags(buffer, next);
            self.table_descriptor(table, order[i], buffer.address, buffer.length, flags, next.unwrap_or(0xffff));
        }
        self.record(indexes, buffers);
    }
    fn record(&mut self, indexes: &[u16], buffers: &[Descriptor]) {
        let (writable, readable) = buffers.iter().partition(|buffer| buffer.writable);
        self.offered.push(Offered { head: indexes[0], readable, writable, descriptors: indexes.to_vec() });
        self.offer_head(indexes[0]);
    }
    pub fn no_interrupt(&mut self, on: bool) {
        self.memory.set_u16(self.available_ring(), u16::from(on));
    }
    pub fn used_flags(&self) -> u16 {
        self.memory.u16(self.used_ring())
    }
    pub fn used_count(&self) -> u16 {
        self.memory.u16(self.used_ring() + 2)
    }
    pub fn kick(&mut self) {
        self.kicked = true;
    }
    /// Nothing is in flight any more.
    pub fn asleep(&self) -> bool {
        !self.bench.uut.control.busy.val()
    }

    // ---------------------------------------------------------------- time
    pub fn cycle(&mut self) {
        let cycle = self.bench.cycles;
        let (dma, memory) = (&mut self.dma, &mut self.memory);
        let (kick, reset, to_use) = (std::mem::take(&mut self.kicked), self.in_reset, self.to_use.front().copied());
        let using = self.using;
        let patient = self.chains < self.chains_first;
        let mut seen = Seen::default();
        let mut rng = Rng(cycle.wrapping_mul(0x9e37_79b9) + 1);
        // both closures need the memory: the first reads it, the second writes it
        let memory = std::cell::RefCell::new(memory);
        let dma = std::cell::RefCell::new(dma);
        self.bench.cycle(
            |uut, rng| {
                uut.reset.next = reset;
                uut.control.kick.next = kick;
                dma.borrow_mut().drive(uut, rng, cycle, &memory.borrow());
                uut.chain.ready.next = rng.chance(2, 3);
                uut.readable.ready.next = !patient && rng.chance(2, 3);
                uut.writable.ready.next = !patient && rng.chance(2, 3);
                // once offered, an element stays
                uut.used.valid.next = to_use.is_some() && (using || rng.chance(1, 4));
                let (head, length) = to_use.unwrap_or_default();
                uut.used.data.next = UsedElement {
                    head: u64::from(head).into(),
                    length: u64::from(length).into(),
                    more: false,
                    // a hint is no promise
                    soon: head % 2 == 1,
                };
            },
            |uut| {
                dma.borrow_mut().observe(uut, &mut rng, cycle, &mut memory.borrow_mut());
                seen = Seen::of(uut);
            },
        );
        if !reset {
            self.observe(seen);
        }
    }

    fn observe(&mut self, seen: Seen) {
        self.interrupts += usize::from(seen.interrupt);
        if self.stopped_at.is_none() && self.bench.uut.control.violation.val().rule != Violation::Nothing {
            self.stopped_at = Some(self.bench.cycles);
        }
        self.using = seen.used == Some(false);
        if seen.used == Some(true) {
            self.to_use.pop_front();
        }
        if let Some(chain) = seen.chain {
            if !chain.error {
                let expected = &self.offered[self.chains];
                assert_eq!(chain.head.to_u64(), u64::from(expected.head));
                assert_eq!(chain.readable_length.to_u64(), total(&expected.readable));
                assert_eq!(chain.writable_length.to_u64(), total(&expected.writable));
                self.chains += 1;
                self.to_use.push_back((expected.head, total(&expected.writable) as u32));
            }
        }
        if let Some(buffer) = seen.readable {
            let expected = self.offered.get(self.readable.0).map(|chain| &chain.readable[..]);
            check_buffer(buffer, &mut self.readable, expected);
        }
        if let Some(buffer) = seen.writable {
            let expected = self.offered.get(self.writable.0).map(|chain| &chain.writable[..]);
            check_buffer(buffer, &mut self.writable, expected);
        }
    }

    pub fn run_until_used(&mut self, count: u16) {
        for _ in 0..20_000 {
            if self.used_count() == count {
                return;
            }
            self.cycle();
        }
        let rule = self.bench.uut.control.violation.val().rule;
        panic!("{} of {count} chains used; broken rule: {rule:?}", self.used_count());
    }

    /// Runs until the device has all buffers of `chains` chains.
    pub fn run_until_taken(&mut self, chains: usize) {
        for _ in 0..5_000 {
            if (self.readable.0, self.writable.0) == (chains, chains) {
                return;
            }
            self.cycle();
        }
        panic!("{:?} and {:?} of {chains} chains taken", self.readable, self.writable);
    }

    /// Runs until the engine sleeps.
    pub fn settle(&mut self) {
        for _ in 0..5_000 {
            self.cycle();
            if self.asleep() {
                return;
            }
        }
        panic!("the engine does not go to sleep");
    }

    /// Runs until nothing has moved for a while, inside and outside.
    pub fn run_until_quiet(&mut self) {
        let mut quiet = 0;
        for _ in 0..60_000 {
            self.cycle();
            quiet = if self.asleep() { quiet + 1 } else { 0 };
            if quiet == 300 {
                return;
            }
        }
        panic!("the engine does not come to rest");
    }

    /// A reset brings the queue back: a chain works, and no violation is left.
    pub fn recovers_by_reset(&mut self) {
        self.reset();
        self.offer_chain(3, &[Descriptor::writable(0x40000, 16)]);
        self.kick();
        self.run_until_used(1);
        assert_eq!(self.bench.uut.control.violation.val().rule, Violation::Nothing);
    }

    /// Every read was of the ring or of an indirect table.
    pub fn expect_only_named_reads(&self) {
        let ring = (self.base, self.base + layout::ring_bytes(self.queue_size));
        for (address, length) in &self.dma.read_log {
            let inside = |range: &(u64, u64)| *address >= range.0 && address + length <= range.1;
            let in_table = |address: u64| self.tables.iter().any(|table| address >= table.0 && address < table.1);
            let named = inside(&ring) || (*address..address + length).all(in_table);
            assert!(named, "read of {length} bytes at {address:#x}");
        }
    }

    pub fn finish(self) {
        self.bench.finish();
    }

    // ---------------------------------------------------------------- a driver that sleeps between interrupts
    /// Offers `count` random chains; fails if one is lost, changed, or if a kick or an interrupt goes missing.
    pub fn run_random(&mut self, count: usize) {
        self.run_random_with(count, Self::cycle);
    }

    /// The same, with something else that happens between what the driver does: a cycle, or more.
    pub fn run_random_with(&mut self, count: usize, mut between: impl FnMut(&mut Self)) {
        let count = self.offered.len() + count;
        let mut rng = Rng(0xd21_0e12 + u64::from(self.queue_size));
        let mut free: Vec<u16> = (0..self.queue_size).collect();
        let room = self.room();
        let (mut awake, mut seen_interrupts, mut quiet) = (true, 0, 0);
        while self.reclaimed < count {
            quiet += 1;
            // a table of 250 descriptors in random order is read one by one
            assert!(quiet < 20_000, "{} of {count} chains came back: a kick or an interrupt was lost", self.reclaimed);
            if self.interrupts > seen_interrupts {
                (awake, seen_interrupts) = (true, self.interrupts);
            }
            if awake {
                quiet = 0;
                self.reclaim(&mut free);
                if !self.features.event_idx {
                    self.no_interrupt(rng.chance(1, 2));
                }
                while self.offered.len() < count && free.len() > room && rng.chance(3, 4) {
                    self.offer_random(&mut rng, &mut free);
                }
                for _ in 0..rng.below(40) {
                    self.cycle();
                }
                awake = !self.enable_interrupts();
                seen_interrupts = self.interrupts;
                // nothing in flight: no interrupt will come
                awake |= self.offered.len() == self.reclaimed;
            }
            between(self);
        }
        self.settle();
        self.expect_only_named_reads();
    }

    /// Free descriptors that must be there before a random chain is offered.
    fn room(&self) -> usize {
        usize::from(self.queue_size / 2).min(4)
    }

    /// Offers random chains without end for so many cycles, or until a read has failed.
    pub fn run_until_failure(&mut self, rng: &mut Rng, cycles: u64) {
        let mut free: Vec<u16> = (0..self.queue_size).collect();
        let room = self.room();
        let end = self.bench.cycles + cycles;
        while self.dma.failed.is_none() && self.bench.cycles < end {
            self.reclaim(&mut free);
            while free.len() > room && rng.chance(3, 4) {
                self.offer_random(rng, &mut free);
            }
            self.enable_interrupts();
            for _ in 0..rng.below(60) {
                self.cycle();
            }
        }
        // it goes on for a while, as a driver does that knows nothing
        for _ in 0..30 {
            self.reclaim(&mut free);
            while free.len() > room && rng.chance(3, 4) {
                self.offer_random(rng, &mut free);
            }
            self.enable_interrupts();
            self.kick();
            for _ in 0..40 {
                self.cycle();
            }
        }
    }

    fn reclaim(&mut self, free: &mut Vec<u16>) {
        while self.used_count() != self.reclaimed as u16 {
            let chain = &self.offered[self.reclaimed];
            let at = self.used_ring() + 4 + 8 * (self.reclaimed as u64 % u64::from(self.queue_size));
            assert_eq!(self.memory.u32(at), u32::from(chain.head));
            assert_eq!(u64::from(self.memory.u32(at + 4)), total(&chain.writable));
            free.extend(&chain.descriptors);
            self.reclaimed += 1;
        }
    }

    /// As Linux's `virtqueue_enable_cb`: false if something came in the meantime.
    fn enable_interrupts(&mut self) -> bool {
        if self.features.event_idx {
            let at = self.base + layout::used_event_offset(self.queue_size);
            self.memory.set_u16(at, self.reclaimed as u16);
        } else {
            self.no_interrupt(false);
        }
        self.used_count() == self.reclaimed as u16
    }

    fn offer_random(&mut self, rng: &mut Rng, free: &mut Vec<u16>) {
        let readable = rng.below(4) as usize;
        let writable = rng.below(4) as usize + usize::from(readable == 0);
        let mut count = readable + writable;
        let indirect = self.features.indirect && rng.chance(1, 2);
        if indirect && rng.chance(1, 3) {
            // tables are not bound to the queue's size
            let most = if rng.chance(1, 8) { 250 } else { u64::from(self.queue_size) - 1 };
            count = 1 + rng.below(most) as usize;
        }
        let buffers: Vec<_> = (0..count)
            .map(|i| Descriptor {
                address: rng.next() & 0xff_ffff_ffff,
                length: 1 + rng.below(5000) as u32,
                writable: i >= readable,
            })
            .collect();
        let mut pick = |rng: &mut Rng| free.swap_remove(rng.below(free.len() as u64) as usize);
        if indirect {
            let direct = rng.below(2.min(count as u64)) as usize;
            let indexes: Vec<_> = (0..=direct).map(|_| pick(rng)).collect();
            let mut order: Vec<u16> = (0..(count - direct) as u16).collect();
            if rng.chance(1, 2) {
                // the walk begins at 0, the others in any order
                for i in (2..order.len()).rev() {
                    order.swap(i, 1 + rng.below(i as u64) as usize);
                }
            }
            let table = 0x20000 + 0x1000 * u64::from(indexes[0]) + 8 * rng.below(8);
            self.offer_indirect(&indexes, &buffers, table, &order);
        } else {
            let count = count.min(free.len());
            let mut indexes: Vec<_> =
                (0..count).map(|_| free.swap_remove(rng.below(free.len() as u64) as usize)).collect();
            if rng.chance(1, 2) {
                indexes.sort_unstable();
            }
            self.offer_direct(&indexes, &buffers[..count]);
        }
        let index = self.available;
        let wanted = if self.features.event_idx {
            let event = self.memory.u16(self.base + layout::avail_event_offset(self.queue_size));
            layout::needs_event(event, index, index.wrapping_sub(1))
        } else {
            self.used_flags() & layout::USED_NO_NOTIFY == 0
        };
        if wanted {
            self.kick();
            self.cycle();
        }
    }
}

fn flags(buffer: &Descriptor, next: Option<u16>) -> u16 {
    let next = if next.is_some() { layout::DESCRIPTOR_NEXT } else { 0 };
    next | if buffer.writable { layout::DESCRIPTOR_WRITE } else { 0 }
}

/// `place` is (chain, buffer); `expected` that chain's buffers of one direction.
fn check_buffer(seen: BufferDescriptor, place: &mut (usize, usize), expected: Option<&[Descriptor]>) {
    if seen.end {
        if !seen.error {
            assert_eq!(place.1, expected.expect("a chain that was not offered").len());
            *place = (place.0 + 1, 0);
        }
    } else if let Some(expected) = expected {
        // the buffers of a broken chain are not in the list
        let buffer = &expected[place.1];
        assert_eq!((seen.address.to_u64(), seen.length.to_u64()), (buffer.address, u64::from(buffer.length)));
        place.1 += 1;
    }
}
