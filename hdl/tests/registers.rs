//! The legacy register file, line by line of the virtio legacy interface, in rust-hdl's evaluator and in Verilator.
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::registers::{LegacyRegisters, LegacyRegistersConfig};

const OFFERED: u32 = 0x7100_0270;
const CONFIG: u64 = 0x1122_3344_5566_7788;

struct Registers {
    bench: Bench<LegacyRegisters>,
    resets: usize,
    kicks: Vec<u64>,
    /// Which bytes of the device config the driver wrote, and what they hold then.
    told: Vec<(u64, u64)>,
}

impl Registers {
    fn new(name: &str) -> Self {
        let config = LegacyRegistersConfig {
            queue_sizes: vec![256, 64],
            vectors: 3,
            device_config_length: 24,
            writable_config: 0..6,
            reads_back: true,
            safe_features: 0x20,
        };
        let mut bench = Bench::new(name, LegacyRegisters::new(&config), |uut| &mut uut.clock);
        bench.uut.device_features.next = u64::from(OFFERED).into();
        bench.uut.device_config.next = CONFIG.into();
        bench.uut.bus_master.next = true;
        let mut registers = Self { bench, resets: 0, kicks: vec![], told: vec![] };
        registers.bench.uut.reset.next = true;
        registers.idle(2);
        registers.bench.uut.reset.next = false;
        registers.idle(2);
        registers
    }

    fn cycle(&mut self, drive: impl FnOnce(&mut LegacyRegisters)) -> Option<u32> {
        let mut read = None;
        let (resets, kicks, told) = (&mut self.resets, &mut self.kicks, &mut self.told);
        self.bench.cycle(
            |uut, _| drive(uut),
            |uut| {
                *resets += usize::from(uut.device_reset.val());
                if uut.notify.val().any() {
                    kicks.push(uut.notify.val().to_u64());
                }
                if uut.driver_config_written.val().any() {
                    told.push((
                        uut.driver_config_written.val().to_u64(),
                        uut.driver_config.val().to_u64() & 0xffff_ffff,
                    ));
                }
                if uut.bus.done.val() {
                    read = Some(uut.bus.read_data.val().to_u64() as u32);
                }
            },
        );
        read
    }

    fn idle(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.cycle(|_| {});
        }
    }

    fn access(&mut self, address: u64, enable: u64, write: Option<u32>) -> u32 {
        for _ in 0..self.bench.rng.below(3) {
            self.cycle(|uut| uut.bus.valid.next = false);
        }
        for _ in 0..10 {
            let read = self.cycle(|uut| {
                uut.bus.valid.next = true;
                uut.bus.write.next = write.is_some();
                uut.bus.address.next = address.into();
                uut.bus.enable.next = enable.into();
                uut.bus.write_data.next = u64::from(write.unwrap_or(0)).into();
            });
            if let Some(value) = read {
                self.cycle(|uut| uut.bus.valid.next = false);
                return value;
            }
        }
        panic!("no answer to an access at {address:#x}");
    }

    fn lanes(offset: u32, size: u32) -> (u64, u64, u32) {
        let shift = offset % 4;
        (u64::from(offset - shift), ((1 << size) - 1) << shift, 8 * shift)
    }

    fn read(&mut self, offset: u32, size: u32) -> u32 {
        let (address, enable, shift) = Self::lanes(offset, size);
        let mask = u32::MAX >> (32 - 8 * size);
        self.access(address, enable, None) >> shift & mask
    }

    fn write(&mut self, offset: u32, size: u32, value: u32) {
        let (address, enable, shift) = Self::lanes(offset, size);
        self.access(address, enable, Some(value << shift));
    }

    fn msix(&mut self, enable: bool) {
        self.bench.uut.msix_enable.next = enable;
        self.idle(1);
    }

    fn finish(self) {
        self.bench.finish();
    }
}

#[test]
fn host_features_are_read_only() {
    let mut r = Registers::new("registers_host_features");
    r.write(layout::HOST_FEATURES, 4, 0);
    assert_eq!(r.read(layout::HOST_FEATURES, 4), OFFERED);
    r.finish();
}

#[test]
fn guest_features_keep_only_offered_bits() {
    let mut r = Registers::new("registers_guest_features");
    r.write(layout::GUEST_FEATURES, 4, 0x3fff_ffff);
    assert_eq!(r.read(layout::GUEST_FEATURES, 4), OFFERED & 0x3fff_ffff);
    assert_eq!(r.bench.uut.driver_features.val().to_u64() as u32, OFFERED & 0x3fff_ffff);
    r.finish();
}

#[test]
fn guest_features_with_bad_feature_substitute_the_safe_set() {
    let mut r = Registers::new("registers_bad_feature");
    r.write(layout::GUEST_FEATURES, 4, 0xffff_ffff);
    assert_eq!(r.read(layout::GUEST_FEATURES, 4), 0x20);
    r.finish();
}

#[test]
fn queue_pfn_belongs_to_the_selected_queue_and_zero_resets_the_device() {
    let mut r = Registers::new("registers_pfn");
    r.write(layout::QUEUE_PFN, 4, 0x1234_5678);
    r.write(layout::QUEUE_SEL, 2, 1);
    assert_eq!(r.read(layout::QUEUE_PFN, 4), 0);
    r.write(layout::QUEUE_PFN, 4, 0x9abc_def0);
    assert_eq!(r.bench.uut.queue_pfn.val().get_bits::<64>(0).to_u64(), 0x9abc_def0_1234_5678);
    r.write(layout::STATUS, 1, 7);
    assert_eq!(r.resets, 0);
    r.write(layout::QUEUE_PFN, 4, 0);
    assert_eq!(r.resets, 1);
    assert_eq!(r.read(layout::STATUS, 1), 0);
    assert_eq!(r.read(layout::QUEUE_PFN, 4), 0);
    assert_eq!(r.read(layout::QUEUE_SEL, 2), 0);
    r.finish();
}

#[test]
fn queue_num_is_the_size_of_the_selected_queue() {
    let mut r = Registers::new("registers_num");
    assert_eq!(r.read(layout::QUEUE_NUM, 2), 256);
    r.write(layout::QUEUE_SEL, 2, 1);
    assert_eq!(r.read(layout::QUEUE_NUM, 2), 64);
    r.write(layout::QUEUE_NUM, 2, 5);
    assert_eq!(r.read(layout::QUEUE_NUM, 2), 64);
    r.finish();
}

/// A driver that looks for queues selects one after the other until there is none; it must not get the last one again.
#[test]
fn queue_sel_takes_every_index_below_1024() {
    let mut r = Registers::new("registers_sel");
    r.msix(true);
    r.write(layout::QUEUE_SEL, 2, 1);
    r.write(layout::QUEUE_PFN, 4, 0x100);
    r.write(layout::QUEUE_VECTOR, 2, 2);
    for none in [2, 3, 4, 5, 0x100, 0x101, 0x3ff] {
        r.write(layout::QUEUE_SEL, 2, none);
        assert_eq!(r.read(layout::QUEUE_SEL, 2), none);
        assert_eq!(r.read(layout::QUEUE_NUM, 2), 0);
        assert_eq!(r.read(layout::QUEUE_PFN, 4), 0);
        assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 0xffff);
        r.write(layout::QUEUE_PFN, 4, 0x13c);
        r.write(layout::QUEUE_VECTOR, 2, 1);
        assert_eq!(r.read(layout::QUEUE_PFN, 4), 0);
        assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 0xffff);
        for beyond in [0x400, 0x401, 0xffff] {
            r.write(layout::QUEUE_SEL, 2, beyond);
            assert_eq!(r.read(layout::QUEUE_SEL, 2), none);
        }
    }
    assert_eq!(r.bench.uut.queue_pfn.val().get_bits::<64>(0).to_u64(), 0x100 << 32);
    assert_eq!(r.bench.uut.queue_vector.val().get_bits::<32>(0).to_u64(), 0x2_ffff);
    assert_eq!(r.bench.uut.queue_active.val().to_u64(), 2);
    r.write(layout::QUEUE_SEL, 2, 1);
    assert_eq!(r.read(layout::QUEUE_PFN, 4), 0x100);
    assert_eq!(r.resets, 0);
    // page frame 0 resets the device, whatever is selected
    r.write(layout::QUEUE_SEL, 2, 77);
    r.write(layout::QUEUE_PFN, 4, 0);
    assert_eq!(r.resets, 1);
    assert_eq!(r.read(layout::QUEUE_SEL, 2), 0);
    r.finish();
}

#[test]
fn queue_notify_kicks_the_queue_and_ignores_unknown_ones() {
    let mut r = Registers::new("registers_notify");
    for queue in [1, 0, 2, 0xffff, 1] {
        r.write(layout::QUEUE_NOTIFY, 2, queue);
    }
    assert_eq!(r.kicks, [2, 1, 2]);
    r.finish();
}

#[test]
fn status_zero_resets_features_isr_and_vectors() {
    let mut r = Registers::new("registers_status");
    r.msix(true);
    r.write(layout::STATUS, 1, 0x87);
    assert_eq!(r.read(layout::STATUS, 1), 0x87);
    assert!(r.bench.uut.driver_ok.val());
    r.write(layout::GUEST_FEATURES, 4, 0x10);
    r.write(layout::CONFIG_VECTOR, 2, 1);
    r.write(layout::QUEUE_VECTOR, 2, 2);
    r.bench.uut.isr_queue.next = true;
    r.idle(1);
    r.bench.uut.isr_queue.next = false;
    r.idle(1);
    assert!(r.bench.uut.isr_pending.val());
    r.write(layout::STATUS, 1, 0);
    assert_eq!(r.resets, 1);
    assert_eq!(r.read(layout::STATUS, 1), 0);
    assert_eq!(r.read(layout::GUEST_FEATURES, 4), 0);
    assert_eq!(r.read(layout::ISR, 1), 0);
    assert_eq!(r.read(layout::CONFIG_VECTOR, 2), 0xffff);
    assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 0xffff);
    r.finish();
}

#[test]
fn isr_read_clears_it_and_a_config_change_sets_both_bits() {
    let mut r = Registers::new("registers_isr");
    r.bench.uut.isr_queue.next = true;
    r.idle(1);
    r.bench.uut.isr_queue.next = false;
    assert_eq!(r.read(layout::ISR, 1), 1);
    assert_eq!(r.read(layout::ISR, 1), 0);
    r.bench.uut.isr_config.next = true;
    r.idle(1);
    r.bench.uut.isr_config.next = false;
    assert_eq!(r.read(layout::ISR, 1), 3);
    assert_eq!(r.read(layout::ISR, 1), 0);
    r.finish();
}

#[test]
fn vector_registers_exist_only_while_msix_is_enabled() {
    let mut r = Registers::new("registers_vectors");
    // without MSI-X, 0x14 is device config
    assert_eq!(r.read(layout::CONFIG_VECTOR, 2), CONFIG as u32 & 0xffff);
    r.msix(true);
    assert_eq!(r.read(layout::CONFIG_VECTOR, 2), 0xffff);
    r.write(layout::CONFIG_VECTOR, 2, 2);
    assert_eq!(r.read(layout::CONFIG_VECTOR, 2), 2);
    r.write(layout::QUEUE_SEL, 2, 1);
    r.write(layout::QUEUE_VECTOR, 2, 1);
    assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 1);
    r.write(layout::QUEUE_SEL, 2, 0);
    assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 0xffff);
    r.finish();
}

#[test]
fn a_vector_the_device_does_not_have_reads_back_as_none() {
    let mut r = Registers::new("registers_bad_vector");
    r.msix(true);
    for bad in [3, 4, 0x100, 0xfffe, 0xffff] {
        r.write(layout::CONFIG_VECTOR, 2, 1);
        r.write(layout::CONFIG_VECTOR, 2, bad);
        assert_eq!(r.read(layout::CONFIG_VECTOR, 2), 0xffff);
        r.write(layout::QUEUE_VECTOR, 2, 1);
        r.write(layout::QUEUE_VECTOR, 2, bad);
        assert_eq!(r.read(layout::QUEUE_VECTOR, 2), 0xffff);
    }
    r.finish();
}

#[test]
fn device_config_moves_with_the_msix_enable_bit_and_is_read_at_any_size() {
    let mut r = Registers::new("registers_config");
    for (msix, start) in [(false, layout::DEVICE_CONFIG), (true, layout::DEVICE_CONFIG_MSIX)] {
        r.msix(msix);
        let bytes = CONFIG.to_le_bytes();
        for i in 0..8 {
            assert_eq!(r.read(start + i, 1), u32::from(bytes[i as usize]));
        }
        for i in 0..4 {
            let pair = u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
            assert_eq!(r.read(start + 2 * i as u32, 2), u32::from(pair));
        }
        assert_eq!(r.read(start, 4), CONFIG as u32);
        assert_eq!(r.read(start + 4, 4), (CONFIG >> 32) as u32);
        assert_eq!(r.read(start + 20, 4), 0, "the last double word");
        assert_eq!(r.read(start + 24, 4), 0xffff_ffff, "past the end");
        r.write(start + 8, 4, u32::MAX);
        assert_eq!(r.read(start + 8, 4), 0, "writes are dropped");
    }
    r.finish();
}

#[test]
fn device_config_that_is_writable_is_the_drivers_until_reset() {
    let mut r = Registers::new("registers_config_written");
    let own = |r: &Registers| r.bench.uut.driver_config.val().to_u64();
    // until it is written, it follows the device
    r.bench.uut.device_config.next = (CONFIG ^ 0xff00).into();
    r.idle(2);
    assert_eq!(own(&r), CONFIG ^ 0xff00);
    r.write(layout::DEVICE_CONFIG + 1, 1, 0xa5);
    assert_eq!(own(&r), CONFIG & !0xff00 | 0xa500);
    r.bench.uut.device_config.next = u64::MAX.into();
    r.idle(2);
    assert_eq!(own(&r), CONFIG & !0xffff_0000_0000_ff00 | 0xffff_0000_0000_a500, "only the rest follows the device");
    r.msix(true);
    r.write(layout::DEVICE_CONFIG_MSIX + 4, 4, 0xdead_beef);
    assert_eq!(r.read(layout::DEVICE_CONFIG_MSIX + 4, 4), 0xffff_beef, "six bytes are writable");
    assert_eq!(r.read(layout::DEVICE_CONFIG_MSIX, 4), 0x5566_a588);
    r.write(layout::STATUS, 1, 0);
    assert_eq!(r.read(layout::DEVICE_CONFIG_MSIX, 4), u32::MAX);
    assert_eq!(own(&r), u64::MAX);
    r.finish();
}

/// As a console has it: the driver is told apart which byte it wrote, though it writes what was there.
#[test]
fn device_config_that_is_writable_may_lie_anywhere_and_each_write_is_told() {
    let config = LegacyRegistersConfig {
        queue_sizes: vec![16],
        vectors: 3,
        device_config_length: 12,
        writable_config: 8..12,
        reads_back: false,
        safe_features: 0,
    };
    let mut bench = Bench::new("registers_config_told", LegacyRegisters::new(&config), |uut| &mut uut.clock);
    bench.uut.device_config.next = CONFIG.into();
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let mut registers = Registers { bench, resets: 0, kicks: vec![], told: vec![] };
    let mut told = vec![];
    for (offset, bytes, value) in
        [(8, 1, 0x41), (9, 1, 0), (8, 1, 0x41), (8, 4, 0x4443_4241), (0, 4, 0xffff_ffff), (4, 4, 0)]
    {
        let told_before = registers.told.len();
        registers.write(layout::DEVICE_CONFIG + offset, bytes, value);
        registers.idle(3);
        told.push(registers.told[told_before..].to_vec());
    }
    assert_eq!(told, [vec![(1, 0x41)], vec![(2, 0x41)], vec![(1, 0x41)], vec![(15, 0x4443_4241)], vec![], vec![]]);
    assert_eq!(registers.read(layout::DEVICE_CONFIG, 4), CONFIG as u32, "the rest is the device's");
    assert_eq!(registers.read(layout::DEVICE_CONFIG + 8, 4), 0, "as QEMU's console has it");
    registers.finish();
}

#[test]
fn features_of_the_queues_stay_while_driver_ok_is_set() {
    let mut r = Registers::new("registers_accepted");
    let given = |r: &Registers| r.bench.uut.driver_features.val().to_u64() as u32;
    // drivers use queues before DRIVER_OK, and some negotiate after that
    r.write(layout::GUEST_FEATURES, 4, 0x10);
    assert_eq!(given(&r), 0x10);
    r.write(layout::GUEST_FEATURES, 4, 0x20);
    assert_eq!(given(&r), 0x20);
    r.write(layout::STATUS, 1, 7);
    r.write(layout::GUEST_FEATURES, 4, 0x40);
    assert_eq!((r.read(layout::GUEST_FEATURES, 4), given(&r)), (0x40, 0x20));
    r.write(layout::STATUS, 1, 3);
    assert_eq!(given(&r), 0x40);
    r.write(layout::STATUS, 1, 7);
    r.write(layout::STATUS, 1, 0);
    assert_eq!((r.read(layout::GUEST_FEATURES, 4), given(&r)), (0, 0));
    r.finish();
}

/// QEMU's own legacy registers, as `tests/tests/qtest_registers.rs` finds them, for the device of these tests.
#[derive(Clone, Debug)]
struct Reference {
    msix: bool,
    /// The state window is at the registers, in place of a driver.
    frozen: bool,
    features: u32,
    select: u32,
    pfn: [u32; 2],
    vector: [u32; 2],
    config_vector: u32,
    status: u32,
    isr: u32,
    /// What the driver has written.
    config: [Option<u8>; 6],
    resets: usize,
    kicks: Vec<u64>,
}

impl Reference {
    fn new() -> Self {
        Reference {
            msix: false,
            frozen: false,
            features: 0,
            select: 0,
            pfn: [0; 2],
            vector: [0xffff; 2],
            config_vector: 0xffff,
            status: 0,
            isr: 0,
            config: [None; 6],
            resets: 0,
            kicks: vec![],
        }
    }

    fn reset(&mut self) {
        let Reference { msix, resets, kicks, .. } = self.clone();
        *self = Reference { msix, resets: resets + 1, kicks, ..Reference::new() };
    }

    fn config(&self, place: u32, bytes: u32) -> u32 {
        if place + bytes > 24 {
            return u32::MAX;
        }
        (place..place + bytes).rev().fold(0, |value, at| {
            let own = if at < 8 { CONFIG.to_le_bytes()[at as usize] } else { 0 };
            let written = self.config.get(at as usize).copied().flatten();
            value << 8 | u32::from(written.unwrap_or(own))
        })
    }

    /// One access that is aligned to its size.
    fn read(&mut self, offset: u32, bytes: u32) -> u32 {
        let base = layout::device_config_offset(self.msix || self.frozen);
        let queue = self.select as usize;
        let value = match offset {
            _ if offset >= base => self.config(offset - base, bytes),
            layout::HOST_FEATURES => OFFERED,
            layout::GUEST_FEATURES => self.features,
            layout::QUEUE_PFN => self.pfn.get(queue).copied().unwrap_or(0),
            layout::QUEUE_NUM => [256, 64].get(queue).copied().unwrap_or(0),
            layout::QUEUE_SEL => self.select,
            layout::STATUS => self.status,
            layout::ISR if self.frozen => self.isr,
            layout::ISR => std::mem::take(&mut self.isr),
            layout::CONFIG_VECTOR => self.config_vector,
            layout::QUEUE_VECTOR => self.vector.get(queue).copied().unwrap_or(0xffff),
            _ => u32::MAX,
        };
        value & u32::MAX >> (32 - 8 * bytes)
    }

    fn write(&mut self, offset: u32, bytes: u32, value: u32) {
        let value = value & u32::MAX >> (32 - 8 * bytes);
        let base = layout::device_config_offset(self.msix || self.frozen);
        let queue = self.select as usize;
        let vector = if value < 3 { value } else { 0xffff };
        match offset {
            _ if offset >= base => {
                for n in 0..bytes {
                    if let Some(byte) = self.config.get_mut((offset - base + n) as usize) {
                        *byte = Some((value >> (8 * n)) as u8);
                    }
                }
            }
            layout::GUEST_FEATURES if self.status & 8 != 0 && !self.frozen => {}
            layout::GUEST_FEATURES if value >> 30 & 1 == 1 => self.features = 0x20 & OFFERED,
            layout::GUEST_FEATURES if self.frozen => self.features = value,
            layout::GUEST_FEATURES => self.features = value & OFFERED,
            layout::QUEUE_PFN if value == 0 && !self.frozen => self.reset(),
            layout::QUEUE_PFN => {
                if let Some(pfn) = self.pfn.get_mut(queue) {
                    *pfn = value;
                }
            }
            layout::QUEUE_SEL if value < 1024 => self.select = value,
            layout::QUEUE_NOTIFY if value & 0xffff < 2 => self.kicks.push(1 << (value & 1)),
            layout::STATUS => {
                self.status = value & 0xff;
                if self.status == 0 && !self.frozen {
                    self.reset();
                }
            }
            layout::ISR if self.frozen => self.isr = value & 3,
            layout::CONFIG_VECTOR => self.config_vector = vector,
            layout::QUEUE_VECTOR => {
                if let Some(place) = self.vector.get_mut(queue) {
                    *place = vector;
                }
            }
            _ => {}
        }
    }

    /// One packet: the accesses that QEMU cuts its bytes into. The bytes that are not enabled are left out of the answer.
    fn access(&mut self, address: u32, enable: u64, data: Option<u32>) -> u32 {
        let pieces: Vec<(u32, u32)> = match enable {
            0xf => vec![(0, 4)],
            _ => [0, 2]
                .into_iter()
                .filter_map(|half| match enable >> half & 3 {
                    1 => Some((half, 1)),
                    2 => Some((half + 1, 1)),
                    3 => Some((half, 2)),
                    _ => None,
                })
                .collect(),
        };
        let mut read = 0;
        for (at, bytes) in pieces {
            match data {
                Some(data) => self.write(address + at, bytes, data >> (8 * at)),
                None => read |= self.read(address + at, bytes) << (8 * at),
            }
        }
        read
    }
}

/// Bits of the bytes that are enabled.
fn enabled(enable: u64) -> u32 {
    (0..4).filter(|byte| enable >> byte & 1 == 1).fold(0, |mask, byte| mask | 0xff << (8 * byte))
}

/// Everything that a driver can read without changing it.
fn assert_same(r: &mut Registers, reference: &mut Reference, what: &str) {
    assert_eq!((r.resets, &r.kicks), (reference.resets, &reference.kicks), "{what}");
    for address in (0..0x34).step_by(4) {
        let enable = if address == 0x10 { 0x7 } else { 0xf };
        let (ours, theirs) = (r.access(address.into(), enable, None), reference.access(address, enable, None));
        assert_eq!(ours & enabled(enable), theirs, "{what}: then at {address:#x}, {enable:#x}");
    }
    let pfn = r.bench.uut.queue_pfn.val().get_bits::<64>(0).to_u64();
    assert_eq!(pfn, u64::from(reference.pfn[1]) << 32 | u64::from(reference.pfn[0]), "{what}");
    let vector = r.bench.uut.queue_vector.val().get_bits::<32>(0).to_u64() as u32;
    assert_eq!(vector, reference.vector[1] << 16 | reference.vector[0], "{what}");
}

/// Each double word with each set of byte enables, read and written, with MSI-X and without.
#[test]
fn every_offset_and_width_is_answered_as_by_qemu() {
    let mut r = Registers::new("registers_widths");
    let mut reference = Reference::new();
    for msix in [false, true] {
        r.msix(msix);
        reference.msix = msix;
        for address in (0..0x34u32).step_by(4) {
            for enable in 0..16 {
                for data in [None, Some(0), Some(0x0102_0002), Some(0x8765_4321)] {
                    // something to lose
                    for (offset, size, value) in [
                        (layout::STATUS, 1, 3),
                        (layout::QUEUE_SEL, 2, 1),
                        (layout::QUEUE_PFN, 4, 0x42),
                        (layout::GUEST_FEATURES, 4, 0x7000_0270),
                    ] {
                        r.write(offset, size, value);
                        reference.write(offset, size, value);
                    }
                    r.bench.uut.isr_queue.next = true;
                    r.idle(1);
                    r.bench.uut.isr_queue.next = false;
                    reference.isr |= 1;
                    let what = format!("msix {msix}, double word {address:#x}, enables {enable:#x}, {data:x?}");
                    let ours = r.access(address.into(), enable, data);
                    let theirs = reference.access(address, enable, data);
                    if data.is_none() {
                        assert_eq!(ours & enabled(enable), theirs, "{what}");
                    }
                    assert_same(&mut r, &mut reference, &what);
                    let isr = (r.read(layout::ISR, 1), reference.read(layout::ISR, 1));
                    assert_eq!(isr.0, isr.1, "{what}");
                }
            }
        }
    }
    r.finish();
}

/// Random accesses against the reference, of a driver or of the state window by turns.
fn random_accesses(name: &str, freezes: bool) {
    let mut r = Registers::new(name);
    let mut reference = Reference::new();
    for n in 0..4000 {
        let mut rng = r.bench.rng.clone();
        if rng.chance(1, 64) {
            reference.msix = !reference.msix;
            r.msix(reference.msix);
        }
        if freezes && rng.chance(1, 32) {
            reference.frozen = !reference.frozen;
            r.bench.uut.frozen.next = reference.frozen;
            r.idle(1);
        }
        let (isr_queue, isr_config) = (rng.chance(1, 8), rng.chance(1, 16));
        r.bench.uut.isr_queue.next = isr_queue;
        r.bench.uut.isr_config.next = isr_config;
        r.idle(1);
        r.bench.uut.isr_queue.next = false;
        r.bench.uut.isr_config.next = false;
        reference.isr |= if isr_config { 3 } else { u32::from(isr_queue) };
        let (address, enable) = (4 * rng.below(14) as u32, rng.below(16));
        let mask = [0, 0x0003_0003, 0x03ff_03ff, u32::MAX][rng.below(4) as usize];
        let data = (rng.next() as u32) & mask;
        let data = rng.chance(1, 2).then_some(data);
        r.bench.rng = rng;
        let (ours, theirs) = (r.access(address.into(), enable, data), reference.access(address, enable, data));
        if data.is_none() {
            assert_eq!(ours & enabled(enable), theirs, "{n}: {address:#x} {enable:#x}");
        }
        assert_eq!(
            (r.resets, &r.kicks),
            (reference.resets, &reference.kicks),
            "{n}: {address:#x} {enable:#x} {data:x?}"
        );
        let written = reference.config.iter().any(Option::is_some);
        assert_eq!(r.bench.uut.config_written.val(), written, "{n}: {address:#x} {enable:#x} {data:x?}");
    }
    r.finish();
}

#[test]
fn random_accesses_are_answered_as_by_qemu() {
    random_accesses("registers_reference", false);
}

/// Those of the state window restore what a driver has written, and change nothing by looking.
#[test]
fn random_accesses_while_frozen_change_what_is_written_and_nothing_else() {
    random_accesses("registers_frozen", true);
}

#[test]
fn isr_is_read_and_written_as_it_is_while_frozen() {
    let mut r = Registers::new("registers_frozen_isr");
    r.bench.uut.isr_config.next = true;
    r.idle(1);
    r.bench.uut.isr_config.next = false;
    r.bench.uut.frozen.next = true;
    for isr in [3, 0, 1, 2, 1] {
        if isr != 3 {
            r.write(layout::ISR, 1, isr);
        }
        assert_eq!((r.read(layout::ISR, 1), r.read(layout::ISR, 1)), (isr, isr));
        assert_eq!(r.bench.uut.isr_pending.val(), isr != 0);
    }
    // what comes in the cycle of a write stays, as it does in that of a read
    for written in [true, false] {
        r.write(layout::ISR, 1, 0);
        r.bench.uut.isr_queue.next = true;
        if written {
            r.write(layout::ISR, 1, 2);
        }
        r.idle(1);
        r.bench.uut.isr_queue.next = false;
        r.idle(1);
        assert_eq!(r.read(layout::ISR, 1), if written { 3 } else { 1 });
    }
    r.bench.uut.frozen.next = false;
    r.write(layout::ISR, 1, 0);
    assert_eq!((r.read(layout::ISR, 1), r.read(layout::ISR, 1)), (1, 0), "a driver's write is none, its read clears");
    r.finish();
}

#[test]
fn zeros_reset_nothing_and_vectors_are_there_without_msix_while_frozen() {
    let mut r = Registers::new("registers_frozen_zeros");
    r.msix(true);
    r.write(layout::STATUS, 1, 7);
    r.write(layout::GUEST_FEATURES, 4, 0x10);
    r.write(layout::QUEUE_SEL, 2, 1);
    r.write(layout::QUEUE_PFN, 4, 0x1234);
    r.write(layout::QUEUE_VECTOR, 2, 2);
    r.msix(false);
    assert_eq!(r.read(layout::QUEUE_VECTOR, 2), (CONFIG >> 16) as u32 & 0xffff, "device config, for a driver");
    r.bench.uut.frozen.next = true;
    r.idle(1);
    assert_eq!((r.read(layout::CONFIG_VECTOR, 2), r.read(layout::QUEUE_VECTOR, 2)), (0xffff, 2));
    assert_eq!(r.read(layout::DEVICE_CONFIG_MSIX, 4), CONFIG as u32);
    r.write(layout::CONFIG_VECTOR, 2, 1);
    assert_eq!(r.read(layout::CONFIG_VECTOR, 2), 1);
    r.write(layout::STATUS, 1, 0);
    r.write(layout::QUEUE_PFN, 4, 0);
    r.idle(3);
    assert_eq!((r.resets, r.read(layout::STATUS, 1), r.read(layout::QUEUE_PFN, 4)), (0, 0, 0));
    assert_eq!((r.read(layout::GUEST_FEATURES, 4), r.read(layout::QUEUE_SEL, 2)), (0x10, 1));
    assert_eq!((r.bench.uut.queue_active.val().to_u64(), r.bench.uut.driver_ok.val()), (0, false));
    r.write(layout::QUEUE_PFN, 4, 0x42);
    assert_eq!(r.bench.uut.queue_active.val().to_u64(), 2);
    r.bench.uut.frozen.next = false;
    r.idle(1);
    assert_eq!(r.read(layout::QUEUE_PFN, 4), 0x42);
    r.write(layout::QUEUE_PFN, 4, 0);
    assert_eq!(r.resets, 1, "a driver's zero");
    r.finish();
}

/// Also those that the endpoint does not offer now, and those that are in force though GUEST_FEATURES shows others.
#[test]
fn features_are_written_as_they_are_while_frozen() {
    let mut r = Registers::new("registers_frozen_features");
    let given = |r: &Registers| r.bench.uut.driver_features.val().to_u64() as u32;
    r.write(layout::STATUS, 1, 0xf);
    r.bench.uut.frozen.next = true;
    for (accepted, shown) in [(0xbfff_ffff_u32, 0x8000_0001), (0, 0x270), (0x0f0f_0f0f, 0x3000_0000)] {
        r.write(layout::STATUS, 1, 0);
        r.write(layout::GUEST_FEATURES, 4, accepted);
        r.write(layout::STATUS, 1, 7);
        r.write(layout::GUEST_FEATURES, 4, shown);
        r.write(layout::STATUS, 1, 0xf);
        assert_eq!((r.read(layout::GUEST_FEATURES, 4), given(&r)), (shown, accepted));
    }
    r.bench.uut.frozen.next = false;
    r.write(layout::GUEST_FEATURES, 4, 0x10);
    assert_eq!((r.read(layout::GUEST_FEATURES, 4), given(&r)), (0x3000_0000, 0x0f0f_0f0f), "the negotiation has ended");
    r.finish();
}

#[test]
fn whether_device_config_has_been_written_is_told_until_the_reset() {
    let mut r = Registers::new("registers_config_told_written");
    let told = |r: &Registers| r.bench.uut.config_written.val();
    r.write(layout::DEVICE_CONFIG + 8, 4, 0x1234);
    assert!(!told(&r), "none of its bytes can be written");
    r.write(layout::DEVICE_CONFIG + 5, 1, 0x12);
    assert!(told(&r));
    r.write(layout::STATUS, 1, 0);
    assert!(!told(&r));
    r.bench.uut.frozen.next = true;
    r.idle(1);
    r.write(layout::DEVICE_CONFIG_MSIX, 4, 0x89ab_cdef);
    assert!(told(&r));
    assert_eq!(r.bench.uut.driver_config.val().to_u64() as u32, 0x89ab_cdef);
    r.finish();
}

#[test]
fn clearing_bus_master_enable_clears_driver_ok() {
    let mut r = Registers::new("registers_bus_master");
    r.write(layout::STATUS, 1, 7);
    r.bench.uut.bus_master.next = false;
    r.idle(2);
    assert_eq!(r.read(layout::STATUS, 1), 3);
    r.write(layout::STATUS, 1, 7);
    assert_eq!(r.read(layout::STATUS, 1), 7, "only the falling edge clears it");
    r.finish();
}

#[test]
fn random_accesses_agree_with_verilator() {
    let mut r = Registers::new("registers_random");
    for _ in 0..3000 {
        let (address, enable, data) = (4 * r.bench.rng.below(16), r.bench.rng.below(16), r.bench.rng.next() as u32);
        let write = r.bench.rng.chance(1, 2);
        let small = r.bench.rng.chance(1, 2);
        r.bench.uut.isr_queue.next = r.bench.rng.chance(1, 8);
        r.bench.uut.isr_config.next = r.bench.rng.chance(1, 16);
        r.bench.uut.msix_enable.next = r.bench.rng.chance(1, 2);
        r.bench.uut.bus_master.next = r.bench.rng.chance(7, 8);
        r.bench.uut.device_config.next = r.bench.rng.next().into();
        let data = if small { data & 0x0003_0003 } else { data };
        r.access(address, enable, write.then_some(data));
    }
    r.finish();
}
