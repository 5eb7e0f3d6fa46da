//! MSI-X table, masking, pending bits.
use std::collections::VecDeque;
use virtio_hdl_rtl::pcie::layout::*;
use virtio_hdl_rtl::pcie::registers::{MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET};
use virtio_hdl_rtl::pcie::MsixTable;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::types::TransmitKind;

/// What a vector was programmed with: tells which vector a message is of.
fn address_of(vector: u64) -> u64 {
    0x1_fee0_0000 + 0x10 * vector
}
fn data_of(vector: u64) -> u64 {
    0xa000_0000 + vector
}

struct Msix {
    bench: Bench<MsixTable>,
    vectors: u64,
    enable: bool,
    function_mask: bool,
    /// Chances in 8 that a message is taken.
    take: u64,
    fire: VecDeque<u64>,
    /// Vectors that were taken, and vectors of the messages, with the cycle.
    fired: Vec<(u64, u64)>,
    sent: Vec<(u64, u64)>,
}

impl Msix {
    fn new(name: &str, vectors: u64) -> Self {
        let mut bench = Bench::new(name, MsixTable::new(vectors as u16), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        let (fire, fired, sent) = Default::default();
        Self { bench, vectors, enable: true, function_mask: false, take: 8, fire, fired, sent }
    }

    /// The same with every entry programmed and unmasked.
    fn ready(name: &str, vectors: u64) -> Self {
        let mut this = Self::new(name, vectors);
        for vector in 0..vectors {
            this.program(vector);
            this.mask(vector, false);
        }
        this
    }

    /// One cycle; with an access, whether it was done and what was read.
    fn cycle(&mut self, access: Option<(bool, u64, u64, u64)>) -> Option<u32> {
        let Self { bench, vectors, enable, function_mask, take, fire, fired, sent } = self;
        let (mut read, mut taken, cycle) = (None, None, bench.cycles);
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                uut.enable.next = *enable;
                uut.function_mask.next = *function_mask;
                uut.message.ready.next = rng.chance(*take, 8);
                uut.fire.valid.next = !fire.is_empty();
                uut.fire.data.next = fire.front().copied().unwrap_or(0).into();
                uut.bus.valid.next = access.is_some();
                if let Some((write, address, enable, data)) = access {
                    uut.bus.write.next = write;
                    uut.bus.address.next = address.into();
                    uut.bus.enable.next = enable.into();
                    uut.bus.write_data.next = data.into();
                }
            },
            |uut| {
                if uut.bus.valid.val() && uut.bus.done.val() {
                    read = Some(uut.bus.read_data.val().to_u64() as u32);
                }
                if uut.fire.valid.val() && uut.fire.ready.val() {
                    taken = Some(uut.fire.data.val().to_u64());
                }
                if uut.message.valid.val() && uut.message.ready.val() {
                    let message = uut.message.data.val();
                    let vector = message.data.to_u128() as u64 - 0xa000_0000;
                    assert!(vector < *vectors);
                    assert_eq!((message.kind, message.last), (TransmitKind::MemoryWrite, true));
                    assert_eq!(message.address.to_u64(), address_of(vector));
                    assert_eq!((message.length.to_u64(), message.first_be.to_u64()), (1, 15));
                    assert_eq!(message.last_be.to_u64(), 0);
                    sent.push((cycle, vector));
                }
            },
        );
        if let Some(vector) = taken {
            fire.pop_front();
            fired.push((cycle, vector));
        }
        read
    }

    fn access(&mut self, write: bool, address: u64, enable: u64, data: u64) -> u32 {
        for _ in 0..20 {
            if let Some(read) = self.cycle(Some((write, address, enable, data))) {
                return read;
            }
        }
        panic!("the access at {address:#x} is not done");
    }
    fn read(&mut self, address: u64) -> u32 {
        self.access(false, address, 15, 0)
    }
    fn write(&mut self, address: u64, data: u64) {
        self.access(true, address, 15, data);
    }
    fn entry(vector: u64) -> u64 {
        u64::from(MSIX_TABLE_OFFSET) + MSIX_ENTRY_BYTES * vector
    }
    fn program(&mut self, vector: u64) {
        self.write(Self::entry(vector) + MSIX_ENTRY_ADDRESS, address_of(vector) & 0xffff_ffff);
        self.write(Self::entry(vector) + MSIX_ENTRY_UPPER_ADDRESS, address_of(vector) >> 32);
        self.write(Self::entry(vector) + MSIX_ENTRY_DATA, data_of(vector));
    }
    fn mask(&mut self, vector: u64, masked: bool) {
        self.write(Self::entry(vector) + MSIX_ENTRY_CONTROL, u64::from(masked));
    }
    fn pending(&mut self) -> u64 {
        let at = u64::from(MSIX_PBA_OFFSET);
        u64::from(self.read(at)) | u64::from(self.read(at + 4)) << 32
    }
    fn run(&mut self, cycles: usize) {
        (0..cycles).for_each(|_| assert_eq!(self.cycle(None), None));
    }
    fn sent_vectors(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.sent).into_iter().map(|(_, vector)| vector).collect()
    }
}

/// "One memory write per interrupt": in the order of the interrupts, no more, no fewer, with backpressure.
#[test]
fn every_interrupt_is_one_memory_write_in_order() {
    let mut msix = Msix::ready("msix_order", 5);
    let mut rng = Rng(10);
    let want: Vec<_> = (0..300).map(|_| rng.below(5)).collect();
    msix.fire.extend(&want);
    for take in [8, 2, 5] {
        msix.take = take;
        msix.run(300);
    }
    msix.take = 8;
    msix.run(700);
    assert_eq!(msix.sent_vectors(), want);
    assert_eq!(msix.pending(), 0);
    msix.bench.finish();
}

/// "last used-ring write to MSI-X write leaving: at most 4 cycles" (performance): also while BAR1 is read.
#[test]
fn a_message_is_offered_at_most_four_cycles_after_its_vector() {
    let mut msix = Msix::ready("msix_latency", 3);
    for n in 0..40 {
        msix.fire.push_back(n % 3);
        match n % 2 {
            0 => msix.run(8),
            _ => (0..4).for_each(|_| {
                msix.read(0);
            }),
        }
    }
    assert_eq!((msix.fired.len(), msix.sent.len()), (40, 40));
    let latency: Vec<_> = msix.fired.iter().zip(&msix.sent).map(|(fired, sent)| sent.0 - fired.0).collect();
    assert!(latency.iter().step_by(2).all(|&cycles| cycles == 2), "{latency:?}");
    assert!(latency.iter().all(|&cycles| cycles <= 4), "{latency:?}");
    msix.bench.finish();
}

/// "per-vector mask; pending set while masked and delivered on unmask".
#[test]
fn a_masked_vector_is_pending_and_sent_once_when_unmasked() {
    let mut msix = Msix::ready("msix_mask", 40);
    for vector in [1, 33, 39] {
        msix.mask(vector, true);
    }
    msix.fire.extend([33, 0, 1, 33, 39, 2]);
    msix.run(40);
    assert_eq!(msix.sent_vectors(), [0, 2]);
    assert_eq!(msix.pending(), 1 << 1 | 1 << 33 | 1 << 39);
    msix.mask(33, false);
    msix.run(60);
    assert_eq!(msix.sent_vectors(), [33]);
    assert_eq!(msix.pending(), 1 << 1 | 1 << 39);
    msix.mask(1, false);
    msix.mask(39, false);
    msix.run(60);
    let mut sent = msix.sent_vectors();
    sent.sort();
    assert_eq!((sent, msix.pending()), (vec![1, 39], 0));
    assert!(!msix.bench.uut.busy.val());
    msix.bench.finish();
}

/// "function mask": the same for all vectors.
#[test]
fn function_mask_keeps_all_vectors_pending() {
    let mut msix = Msix::ready("msix_function_mask", 4);
    msix.mask(3, true);
    msix.function_mask = true;
    msix.fire.extend([2, 3, 0, 2]);
    msix.run(20);
    assert_eq!((msix.sent_vectors(), msix.pending()), (vec![], 0b1101));
    assert!(!msix.bench.uut.busy.val(), "nothing to do until it is unmasked");
    msix.function_mask = false;
    msix.run(20);
    let mut sent = msix.sent_vectors();
    sent.sort();
    assert_eq!((sent, msix.pending()), (vec![0, 2], 0b1000));
    msix.bench.finish();
}

#[test]
fn without_enable_and_beyond_the_table_vectors_are_dropped() {
    let mut msix = Msix::ready("msix_dropped", 3);
    msix.fire.extend([3, 64, 67, 255]);
    msix.run(20);
    msix.enable = false;
    msix.fire.extend([0, 1, 2]);
    msix.run(20);
    assert_eq!((msix.fired.len(), msix.pending()), (7, 0));
    msix.enable = true;
    msix.run(80);
    assert!(msix.sent_vectors().is_empty());
    msix.bench.finish();
}

/// A vector that is masked while its message waits behind another becomes pending.
#[test]
fn masking_a_vector_that_waits_makes_it_pending() {
    let mut msix = Msix::ready("msix_late_mask", 2);
    msix.take = 0;
    msix.fire.extend([0, 1]);
    msix.run(10);
    msix.mask(1, true);
    msix.take = 8;
    msix.run(10);
    assert_eq!((msix.sent_vectors(), msix.pending()), (vec![0], 2));
    msix.bench.finish();
}

/// Reset: all masked, nothing pending, no message left behind.
#[test]
fn function_level_reset_masks_all_and_forgets_what_was_pending() {
    let mut msix = Msix::ready("msix_reset", 3);
    msix.mask(1, true);
    msix.take = 0;
    msix.fire.extend([1, 0, 2]);
    msix.run(20);
    msix.bench.uut.function_reset.next = true;
    msix.run(1);
    msix.bench.uut.function_reset.next = false;
    msix.take = 8;
    msix.run(20);
    assert_eq!((msix.sent_vectors(), msix.pending()), (vec![], 0));
    for vector in 0..3 {
        assert_eq!(msix.read(Msix::entry(vector) + MSIX_ENTRY_CONTROL), MSIX_ENTRY_MASKED);
    }
    msix.bench.finish();
}

/// A reset of the virtio device: nothing stays pending, the table stays as the driver wrote it.
#[test]
fn device_reset_forgets_what_was_pending_and_keeps_the_table() {
    let mut msix = Msix::ready("msix_forget", 3);
    msix.mask(1, true);
    msix.fire.extend([1, 1]);
    msix.run(20);
    assert_eq!(msix.pending(), 2);
    msix.bench.uut.forget.next = true;
    msix.run(1);
    msix.bench.uut.forget.next = false;
    assert_eq!(msix.pending(), 0);
    msix.mask(1, false);
    msix.run(20);
    assert!(msix.sent_vectors().is_empty());
    msix.fire.extend([1, 0]);
    msix.run(20);
    assert_eq!(msix.sent_vectors(), [1, 0]);
    msix.bench.finish();
}

/// BAR1 as memory: byte enables, entries beyond the table, the pending bits cannot be written.
fn table(name: &str, vectors: u64) {
    let mut msix = Msix::new(name, vectors);
    let mut model = vec![0u32; 1024];
    for vector in 0..vectors as usize {
        model[4 * vector + 3] = MSIX_ENTRY_MASKED;
    }
    let mut rng = Rng(11);
    msix.enable = false;
    for _ in 0..1500 {
        let dword = match rng.below(8) {
            0 => rng.below(1024),
            1 => 0x200 + rng.below(4),
            _ => rng.below(4 * vectors + 4),
        } as usize;
        let (enable, data) = (rng.below(16), rng.next() >> 32);
        if rng.chance(1, 2) {
            msix.access(true, 4 * dword as u64, enable, data);
            if dword < 4 * vectors as usize {
                let mask = crate::byte_mask(enable as u32) & if dword % 4 == 3 { 1 } else { u32::MAX };
                model[dword] = model[dword] & !mask | data as u32 & mask;
            }
        } else {
            assert_eq!(msix.read(4 * dword as u64), model[dword], "{:#x}", 4 * dword);
        }
        if rng.chance(1, 2) {
            msix.run(1);
        }
    }
    msix.bench.finish();
}

#[test]
fn table_of_three_vectors_reads_back_what_was_written() {
    table("msix_table_3", 3);
}

#[test]
fn table_of_64_vectors_reads_back_what_was_written() {
    table("msix_table_64", 64);
}

/// Any order of firing, masking, unmasking and disabling: no interrupt is lost, none is made up.
#[test]
fn no_interrupt_is_lost_and_none_is_made_up() {
    let mut msix = Msix::ready("msix_random", 20);
    let mut rng = Rng(12);
    let mut masked = [false; 20];
    for step in 0..600 {
        match rng.below(6) {
            0 | 1 => {
                let vector = rng.below(20);
                masked[vector as usize] = rng.chance(1, 2);
                msix.mask(vector, masked[vector as usize]);
            }
            2 => msix.function_mask = rng.chance(1, 3),
            _ => msix.fire.extend((0..3).map(|_| rng.below(20))),
        }
        msix.take = [8, 3, 1][step / 50 % 3];
        msix.run(rng.below(12) as usize);
    }
    msix.function_mask = false;
    msix.take = 8;
    for vector in 0..20 {
        msix.mask(vector, false);
    }
    while !msix.fire.is_empty() {
        msix.run(1);
    }
    msix.run(100);
    assert_eq!((msix.pending(), msix.bench.uut.busy.val()), (0, false));
    for vector in 0..20 {
        let of = |list: &[(u64, u64)]| list.iter().filter(|x| x.1 == vector).map(|x| x.0).collect::<Vec<_>>();
        let (fired, sent) = (of(&msix.fired), of(&msix.sent));
        assert!(fired.last() < sent.last(), "vector {vector}: the last interrupt is lost");
        // after n messages at least n interrupts have been
        for (n, cycle) in sent.iter().enumerate() {
            assert!(fired.iter().filter(|&&x| x < *cycle).count() > n, "vector {vector}: a message made up");
        }
    }
    msix.bench.finish();
}

/// By double words, as the state window does it: each vector that is then pending is sent once when it may be.
fn pending_bits_written(name: &str, vectors: u64) {
    let mut msix = Msix::new(name, vectors);
    (0..vectors).for_each(|vector| msix.program(vector));
    let exists = u64::MAX >> (64 - vectors);
    let at = u64::from(MSIX_PBA_OFFSET);
    let mut rng = msix.bench.rng.clone();
    let (mut pending, mut lost) = (0u64, 0);
    for _ in 0..300 {
        let (frozen, upper, data) = (rng.chance(1, 2), rng.below(2), rng.next() >> 32);
        msix.bench.uut.frozen.next = frozen;
        let write = rng.chance(3, 4);
        msix.enable = rng.chance(1, 2);
        msix.access(write, at + 4 * upper, 15, data);
        if frozen && write {
            pending = (pending & !(0xffff_ffff << (32 * upper)) | data << (32 * upper)) & exists;
        } else {
            lost += u64::from(write);
        }
        // a write of something else, with the same data
        if rng.chance(1, 4) {
            msix.access(true, at + 8 + 8 * rng.below(4), 15, data ^ 0xffff_ffff);
        }
        msix.run(rng.below(3) as usize);
        assert_eq!(msix.pending(), pending);
    }
    assert!(lost > 50, "{lost} writes of a driver");
    assert!(msix.sent_vectors().is_empty(), "all are masked");
    msix.bench.uut.frozen.next = true;
    msix.write(at, rng.next() >> 32);
    msix.write(at + 4, rng.next() >> 32);
    let pending = msix.pending();
    msix.bench.uut.frozen.next = false;
    msix.enable = true;
    (0..vectors).for_each(|vector| msix.mask(vector, false));
    msix.take = 3;
    msix.run(8 * vectors as usize + 100);
    let mut sent = msix.sent_vectors();
    sent.sort();
    let wanted: Vec<_> = (0..vectors).filter(|vector| pending >> vector & 1 == 1).collect();
    assert_eq!((sent, msix.pending()), (wanted, 0));
    msix.bench.finish();
}

#[test]
fn pending_bits_of_three_vectors_are_written_only_while_frozen() {
    pending_bits_written("msix_pending_written_3", 3);
}

#[test]
fn pending_bits_of_40_vectors_are_written_only_while_frozen() {
    pending_bits_written("msix_pending_written_40", 40);
}
