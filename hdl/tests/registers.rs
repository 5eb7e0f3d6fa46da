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
}

impl Registers {
    fn new(name: &str) -> Self {
        let config = LegacyRegistersConfig {
            queue_sizes: vec![256, 64],
            vectors: 3,
            device_config_length: 24,
            safe_features: 0x20,
        };
        let mut bench = Bench::new(name, LegacyRegisters::new(&config), |uut| &mut uut.clock);
        bench.uut.device_features.next = u64::from(OFFERED).into();
        bench.uut.device_config.next = CONFIG.into();
        bench.uut.bus_master.next = true;
        let mut registers = Self { bench, resets: 0, kicks: vec![] };
        registers.bench.uut.reset.next = true;
        registers.idle(2);
        registers.bench.uut.reset.next = false;
        registers.idle(2);
        registers
    }

    fn cycle(&mut self, drive: impl FnOnce(&mut LegacyRegisters)) -> Option<u32> {
        let mut read = None;
        let (resets, kicks) = (&mut self.resets, &mut self.kicks);
        self.bench.cycle(
            |uut, _| drive(uut),
            |uut| {
                *resets += usize::from(uut.device_reset.val());
                if uut.notify.val().any() {
                    kicks.push(uut.notify.val().to_u64());
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

#[test]
fn queue_sel_out_of_range_keeps_the_old_selection() {
    let mut r = Registers::new("registers_sel");
    r.write(layout::QUEUE_SEL, 2, 1);
    for bad in [2, 3, 0x100, 0xffff] {
        r.write(layout::QUEUE_SEL, 2, bad);
        assert_eq!(r.read(layout::QUEUE_SEL, 2), 1);
    }
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
        r.write(start, 4, 0);
        assert_eq!(r.read(start, 4), CONFIG as u32, "writes are dropped");
    }
    r.finish();
}

#[test]
fn other_accesses_read_all_ones_and_change_nothing() {
    let mut r = Registers::new("registers_other");
    r.msix(true);
    // (offset, size) of the registers that answer
    let valid = [(0, 4), (4, 4), (8, 4), (0xc, 2), (0xe, 2), (0x12, 1), (0x13, 1), (0x14, 2), (0x16, 2)];
    r.write(layout::STATUS, 1, 3);
    r.write(layout::QUEUE_PFN, 4, 0x42);
    let before: Vec<_> = valid.iter().map(|(offset, size)| r.read(*offset, *size)).collect();
    for dword in 0..6u32 {
        for enable in 1..16u64 {
            let lowest = enable.trailing_zeros();
            let size = (enable >> lowest).trailing_ones();
            let contiguous = enable >> lowest == (1 << size) - 1;
            let offset = 4 * dword + lowest;
            if contiguous && (valid.contains(&(offset, size)) || (offset, size) == (0x10, 2)) {
                continue;
            }
            let value = r.access(u64::from(4 * dword), enable, None);
            assert_eq!(value, u32::MAX, "dword {dword}, enables {enable:#x}");
            r.access(u64::from(4 * dword), enable, Some(0));
            r.access(u64::from(4 * dword), enable, Some(0x0101_0101));
        }
    }
    let after: Vec<_> = valid.iter().map(|(offset, size)| r.read(*offset, *size)).collect();
    assert_eq!(before, after);
    assert_eq!((r.resets, r.kicks.len()), (0, 0));
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
        let data = if small { data & 0x0003_0003 } else { data };
        r.access(address, enable, write.then_some(data));
    }
    r.finish();
}
