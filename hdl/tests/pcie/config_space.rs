//! Config space.
use crate::{blk, byte_mask};
use rust_hdl::prelude::*;
use std::collections::BTreeMap;
use virtio_hdl_rtl::pcie::layout::*;
use virtio_hdl_rtl::pcie::registers::*;
use virtio_hdl_rtl::pcie::{BarSpace, ConfigSpace, FunctionConfig};
use virtio_hdl_rtl::testing::{Bench, Port};

/// Drives the register bus as the completer does.
struct Config {
    bench: Bench<ConfigSpace>,
    /// What the block that keeps the diagnostics finds at an address; it answers one cycle later.
    diagnostics: [u32; 16],
}

/// The diagnostics at an address of config space.
fn diagnostic(words: &[u32; 16], address: u16) -> u32 {
    match address {
        0xa4..=0xe0 => words[usize::from(address - 0xa4) / 4],
        _ => 0,
    }
}

impl Config {
    fn new(name: &str, function: &FunctionConfig) -> Self {
        function.check().unwrap();
        let mut bench = Bench::new(name, ConfigSpace::new(function), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        bench.cycle(|uut, _| uut.reset.next = false, |_| ());
        Self { bench, diagnostics: [0; 16] }
    }

    fn access(&mut self, write: bool, address: u16, enable: u32, data: u32, target: u32) -> u32 {
        let mut read = None;
        let found = diagnostic(&self.diagnostics, address & 0xfc);
        for cycle in 0..3 {
            self.bench.cycle(
                |uut, rng| {
                    let word = if cycle == 1 { found } else { rng.next() as u32 };
                    uut.diagnostic.next = u64::from(word).into();
                    uut.bus.valid.next = true;
                    uut.bus.write.next = write;
                    uut.bus.address.next = u64::from(address & !3).into();
                    uut.bus.enable.next = u64::from(enable).into();
                    uut.bus.write_data.next = u64::from(data).into();
                    uut.target.next = u64::from(target).into();
                },
                |uut| {
                    assert_eq!(uut.bus.done.val(), cycle == 2);
                    read = Some(uut.bus.read_data.val().to_u64() as u32);
                },
            );
        }
        self.idle();
        read.unwrap()
    }

    fn idle(&mut self) {
        self.bench.cycle(|uut, _| uut.bus.valid.next = false, |uut| assert!(!uut.bus.done.val()));
    }

    /// Holds an input for one cycle.
    fn pulse(&mut self, input: fn(&mut ConfigSpace) -> &mut Signal<In, Bit>) {
        self.bench.cycle(|uut, _| input(uut).next = true, |_| ());
        self.bench.cycle(|uut, _| input(uut).next = false, |_| ());
    }

    fn read32(&mut self, address: u16) -> u32 {
        self.access(false, address, 15, 0, 0)
    }
    fn read16(&mut self, address: u16) -> u16 {
        (self.read32(address) >> (8 * (address & 3))) as u16
    }
    fn read8(&mut self, address: u16) -> u8 {
        (self.read32(address) >> (8 * (address & 3))) as u8
    }
    fn write32(&mut self, address: u16, value: u32) {
        self.access(true, address, 15, value, 0x0100);
    }
    fn write16(&mut self, address: u16, value: u16) {
        let byte = address & 3;
        self.access(true, address, 3 << byte, u32::from(value) << (8 * byte), 0x0100);
    }

    /// Offsets of the capabilities in the order of the list.
    fn capabilities(&mut self) -> Vec<(u8, u16)> {
        let mut list = vec![];
        let mut at = u16::from(self.read8(CAPABILITY_POINTER));
        while at != 0 {
            list.push((self.read8(at), at));
            at = u16::from(self.read8(at + 1));
            assert!(list.len() < 20, "the list has a loop");
        }
        list
    }
}

/// "PCI function": vendor, revision, device id, subsystem, class, header type, interrupt pin.
#[test]
fn identity_is_that_of_a_legacy_block_device() {
    let mut config = Config::new("config_identity", &blk());
    assert_eq!(config.read16(VENDOR_ID), 0x1af4);
    assert_eq!(config.read16(DEVICE_ID), 0x1001);
    assert_eq!(config.read8(REVISION_ID), 0);
    assert_eq!(config.read32(REVISION_ID) >> 8, 0x01_0000);
    assert_eq!(config.read16(SUBSYSTEM_VENDOR_ID), 0x1af4);
    assert_eq!(config.read16(SUBSYSTEM_ID), 2);
    assert_eq!(config.read8(HEADER_TYPE), 0);
    assert_eq!(config.read8(INTERRUPT_PIN), 1);
    config.write32(VENDOR_ID, 0xffff_ffff);
    config.write32(REVISION_ID, 0xffff_ffff);
    config.write32(SUBSYSTEM_VENDOR_ID, 0xffff_ffff);
    assert_eq!(config.read32(VENDOR_ID), 0x1001_1af4);
    assert_eq!(config.read32(REVISION_ID), 0x0100_0000);
    assert_eq!(config.read32(SUBSYSTEM_VENDOR_ID), 0x0002_1af4);
    config.bench.finish();
}

/// "BAR0: I/O by default", "BAR1: memory, page sized": all ones written read back as the size.
#[test]
fn bars_show_their_size_when_all_ones_are_written() {
    let mut config = Config::new("config_bars", &blk());
    config.write32(BAR0, 0xffff_ffff);
    config.write32(BAR0 + 4, 0xffff_ffff);
    assert_eq!(config.read32(BAR0), 0xffff_ffc0 | BAR_IO);
    assert_eq!(config.read32(BAR0 + 4), 0xffff_f000);
    for bar in 2..6 {
        config.write32(BAR0 + 4 * bar, 0xffff_ffff);
        assert_eq!(config.read32(BAR0 + 4 * bar), 0, "BAR{bar}");
    }
    config.write32(0x30, 0xffff_ffff);
    assert_eq!(config.read32(0x30), 0, "expansion ROM");
    config.write32(BAR0, 0xc055);
    config.write16(BAR0 + 6, 0xfebf);
    assert_eq!(config.bench.uut.bar0_base.val().to_u64(), 0xc040);
    assert_eq!(config.bench.uut.bar1_base.val().to_u64(), 0xfebf_f000);
    config.bench.finish();
}

#[test]
fn bar0_in_memory_space_by_option() {
    let function = FunctionConfig { bar0_space: BarSpace::Memory, bar0_size: 4096, vectors: 0, ..blk() };
    let mut config = Config::new("config_memory_bar", &function);
    config.write32(BAR0, 0xffff_ffff);
    config.write32(BAR0 + 4, 0xffff_ffff);
    assert_eq!((config.read32(BAR0), config.read32(BAR0 + 4)), (0xffff_f000, 0));
    config.write16(COMMAND, 0xffff);
    assert_eq!(config.read16(COMMAND) & 3, COMMAND_MEMORY, "no I/O space to enable");
    config.bench.finish();
}

/// "capabilities: MSI-X; PCI Express (legacy endpoint); power management (D0, D3hot)".
#[test]
fn capability_list_with_vectors() {
    let mut config = Config::new("config_capabilities", &blk());
    assert_eq!(config.read16(STATUS) & STATUS_CAPABILITIES, STATUS_CAPABILITIES);
    let list = config.capabilities();
    let want = [
        (CAPABILITY_POWER, POWER_CAPABILITY),
        (CAPABILITY_MSIX, MSIX_CAPABILITY),
        (CAPABILITY_EXPRESS, EXPRESS_CAPABILITY),
        (CAPABILITY_VENDOR, VENDOR_CAPABILITY),
    ];
    assert_eq!(list, want);
    assert_eq!(config.read16(POWER_CAPABILITY + 2) & 7, 3, "version 3");
    assert_eq!(config.read16(EXPRESS_CAPABILITY + 2), 2 | 1 << 4, "version 2, legacy endpoint");
    assert_eq!(config.read16(MSIX_CAPABILITY + MSIX_CONTROL), 1, "two vectors");
    assert_eq!(config.read32(MSIX_CAPABILITY + MSIX_TABLE), 1, "table: BAR1, offset 0");
    assert_eq!(config.read32(MSIX_CAPABILITY + MSIX_PBA), 0x800 | 1, "PBA: BAR1, offset 0x800");
    assert_eq!(config.read8(VENDOR_CAPABILITY + 2), 0x44);
    config.bench.finish();
}

/// "`vectors = 0` removes the capability and BAR1".
#[test]
fn capability_list_without_vectors() {
    let mut config = Config::new("config_no_vectors", &FunctionConfig { vectors: 0, ..blk() });
    let list: Vec<_> = config.capabilities().into_iter().map(|(id, _)| id).collect();
    assert_eq!(list, [CAPABILITY_POWER, CAPABILITY_EXPRESS, CAPABILITY_VENDOR]);
    for at in (MSIX_CAPABILITY..MSIX_CAPABILITY + 12).step_by(4) {
        config.write32(at, 0xffff_ffff);
        assert_eq!(config.read32(at), 0);
    }
    config.write32(BAR0 + 4, 0xffff_ffff);
    assert_eq!(config.read32(BAR0 + 4), 0, "BAR1");
    config.write16(COMMAND, 0xffff);
    assert_eq!(config.read16(COMMAND) & 3, COMMAND_IO, "no memory space to enable");
    assert!(!config.bench.uut.function_status.msix_enable.val());
    config.bench.finish();
}

#[test]
fn msix_enable_and_function_mask_are_the_two_writable_bits_of_message_control() {
    let mut config = Config::new("config_msix", &blk());
    config.write16(MSIX_CAPABILITY + MSIX_CONTROL, 0xffff);
    assert_eq!(config.read16(MSIX_CAPABILITY + MSIX_CONTROL), 1 | MSIX_CONTROL_MASK | MSIX_CONTROL_ENABLE);
    assert!(
        config.bench.uut.function_status.msix_enable.val() && config.bench.uut.function_status.msix_function_mask.val()
    );
    config.write16(MSIX_CAPABILITY + MSIX_CONTROL, MSIX_CONTROL_ENABLE);
    assert!(
        config.bench.uut.function_status.msix_enable.val()
            && !config.bench.uut.function_status.msix_function_mask.val()
    );
    // the byte below holds only the size
    config.access(true, MSIX_CAPABILITY, 0b0100, 0, 0);
    assert!(config.bench.uut.function_status.msix_enable.val());
    config.bench.finish();
}

/// D0 and D3hot; D1 and D2 do not exist; coming back resets nothing.
#[test]
fn power_state_goes_to_d3hot_and_back_without_a_reset() {
    let mut config = Config::new("config_power", &blk());
    let control = POWER_CAPABILITY + POWER_CONTROL;
    config.write16(COMMAND, 7);
    config.write16(control, 3);
    assert_eq!(config.read16(control), 3 | POWER_NO_SOFT_RESET);
    assert!(config.bench.uut.function_status.d3hot.val());
    for other in [1, 2] {
        config.write16(control, other);
        assert_eq!(config.read16(control) & POWER_STATE, 3, "write of D{other}");
    }
    config.write16(control, 0);
    assert!(!config.bench.uut.function_status.d3hot.val());
    assert_eq!(config.read16(COMMAND), 7);
    config.bench.finish();
}

/// "Reset (…, function-level …)": as after a reset, but for what the specification leaves alone.
#[test]
fn function_level_reset_clears_bars_and_command_but_not_the_payload_size() {
    let mut config = Config::new("config_flr", &blk());
    let control = EXPRESS_CAPABILITY + EXPRESS_DEVICE_CONTROL;
    config.write32(BAR0, 0xc000);
    config.write32(BAR0 + 4, 0xfebf_0000);
    config.write16(COMMAND, 0x0407);
    config.write16(MSIX_CAPABILITY + MSIX_CONTROL, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK);
    config.write32(INTERRUPT_LINE, 11);
    config.write16(POWER_CAPABILITY + POWER_CONTROL, 3);
    config.pulse(|uut| &mut uut.received_master_abort);
    config.pulse(|uut| &mut uut.malformed_received);
    config.write16(control, 1 << 5 | 5 << 12 | EXPRESS_EXTENDED_TAG);
    config.write16(EXPRESS_CAPABILITY + 0x10, 0x48);
    let value = config.read16(control) | EXPRESS_FUNCTION_RESET;
    let mut pulses = 0;
    for cycle in 0..3 {
        config.bench.cycle(
            |uut, _| {
                uut.bus.valid.next = cycle < 2;
                uut.bus.write.next = true;
                uut.bus.address.next = u64::from(control).into();
                uut.bus.enable.next = 3.into();
                uut.bus.write_data.next = u64::from(value).into();
                uut.target.next = 0x0300.into();
            },
            |uut| pulses += u32::from(uut.function_status.function_reset.val()),
        );
    }
    assert_eq!(pulses, 1);
    for (address, value) in [(BAR0, BAR_IO), (BAR0 + 4, 0), (COMMAND, 0x0010_0000), (INTERRUPT_LINE, 0x100)] {
        assert_eq!(config.read32(address), value, "{address:#x}");
    }
    assert_eq!(config.read16(MSIX_CAPABILITY + MSIX_CONTROL), 1);
    assert_eq!(config.read16(POWER_CAPABILITY + POWER_CONTROL), POWER_NO_SOFT_RESET);
    assert_eq!(
        config.read32(control),
        0x2000 | 1 << 5,
        "512-byte reads, no extended tag, payload size kept, no errors"
    );
    assert_eq!(config.read16(EXPRESS_CAPABILITY + 0x10), 0x48, "link control");
    assert_eq!(config.bench.uut.requester.function_id.val().to_u64(), 0x0300);
    config.bench.finish();
}

/// Device control: payload and read request sizes, never more than is supported.
#[test]
fn payload_and_read_request_sizes_are_limited() {
    let mut config = Config::new("config_sizes", &blk());
    let control = EXPRESS_CAPABILITY + EXPRESS_DEVICE_CONTROL;
    assert_eq!(config.bench.uut.requester.max_read_request.val().to_u64(), 2);
    for size in 0..8u16 {
        config.write16(control, size << 5 | size << 12 | (size & 1) << 8);
        let uut = &config.bench.uut;
        assert_eq!(uut.requester.max_payload.val().to_u64(), u64::from(size.min(1)));
        assert_eq!(uut.requester.max_read_request.val().to_u64(), u64::from(size.min(5)));
        assert_eq!(uut.requester.extended_tag.val(), size & 1 == 1);
    }
    assert_eq!(config.read32(EXPRESS_CAPABILITY + 4), 1 | 1 << 5 | 1 << 15 | 1 << 28);
    config.bench.finish();
}

/// Each event sets its bits, which stay until a one is written.
#[test]
fn status_bits_stay_until_a_one_is_written() {
    type Input = fn(&mut ConfigSpace) -> &mut Signal<In, Bit>;
    let events: [(Input, u16, u16); 10] = [
        (|uut| &mut uut.received_master_abort, STATUS_RECEIVED_MASTER_ABORT, 0),
        (|uut| &mut uut.received_target_abort, STATUS_RECEIVED_TARGET_ABORT, 0),
        (|uut| &mut uut.signaled_target_abort, STATUS_SIGNALED_TARGET_ABORT, EXPRESS_CORRECTABLE_DETECTED),
        (|uut| &mut uut.poisoned_received, STATUS_DETECTED_PARITY, EXPRESS_NONFATAL_DETECTED),
        (|uut| &mut uut.poisoned_completion, STATUS_MASTER_DATA_PARITY, 0),
        (|uut| &mut uut.unsupported_request, 0, EXPRESS_UNSUPPORTED_DETECTED | EXPRESS_CORRECTABLE_DETECTED),
        (|uut| &mut uut.unsupported_posted, 0, EXPRESS_UNSUPPORTED_DETECTED | EXPRESS_NONFATAL_DETECTED),
        (|uut| &mut uut.malformed_received, 0, EXPRESS_FATAL_DETECTED),
        (|uut| &mut uut.completion_timeout, 0, EXPRESS_NONFATAL_DETECTED),
        (|uut| &mut uut.unexpected_completion, 0, EXPRESS_CORRECTABLE_DETECTED),
    ];
    let mut config = Config::new("config_status", &blk());
    let device = EXPRESS_CAPABILITY + EXPRESS_DEVICE_CONTROL + 2;
    config.write16(COMMAND, 1 << 6);
    for (n, (event, status, device_status)) in events.into_iter().enumerate() {
        config.pulse(event);
        assert_eq!(config.read16(STATUS), status | STATUS_CAPABILITIES, "event {n}");
        assert_eq!(config.read16(device), device_status, "event {n}");
        // a write of other bits, and of the other byte, leaves it
        config.write16(STATUS, !status);
        config.write16(COMMAND, 1 << 6);
        assert_eq!(config.read16(STATUS), status | STATUS_CAPABILITIES, "event {n}");
        config.write16(STATUS, status);
        config.write16(device, device_status);
        assert_eq!((config.read16(STATUS), config.read16(device)), (STATUS_CAPABILITIES, 0), "event {n}");
    }
    config.write16(COMMAND, 0);
    config.pulse(|uut| &mut uut.poisoned_completion);
    assert_eq!(config.read16(STATUS), STATUS_CAPABILITIES, "parity error response is off");
    config.bench.uut.intx_pending.next = true;
    config.bench.uut.transactions_pending.next = true;
    assert_eq!(config.read16(STATUS), STATUS_CAPABILITIES | STATUS_INTERRUPT);
    assert_eq!(config.read16(device), EXPRESS_TRANSACTIONS_PENDING);
    config.bench.finish();
}

/// The function learns its number from every config write, from no read.
#[test]
fn function_number_is_that_of_the_last_config_write() {
    let mut config = Config::new("config_number", &blk());
    config.access(false, 0, 15, 0, 0x1234);
    assert_eq!(config.bench.uut.requester.function_id.val().to_u64(), 0);
    config.access(true, 0, 0, 0, 0xab10);
    assert_eq!(config.bench.uut.requester.function_id.val().to_u64(), 0xab10);
    config.access(false, 0, 15, 0, 0x1234);
    assert_eq!(config.bench.uut.requester.function_id.val().to_u64(), 0xab10);
    config.bench.finish();
}

/// The registers by the specification: constant value, writable bits, bits cleared by writing one.
struct Model {
    registers: BTreeMap<u16, [u32; 4]>,
    diagnostics: [u32; 16],
    /// The state window is there, in place of a driver.
    frozen: bool,
}

const VALUE: usize = 0;
const WRITABLE: usize = 1;
const CLEARED: usize = 2;
const AFTER_RESET: usize = 3;

impl Model {
    fn new() -> Self {
        // value and reset value, writable, write one to clear
        let rows = [
            (0x00, 0x1001_1af4, 0, 0),
            (0x04, 0x0010_0000, 0x0547, 0xf900_0000),
            (0x08, 0x0100_0000, 0, 0),
            (0x0c, 0, 0xff, 0),
            (0x10, 1, 0xffff_ffc0, 0),
            (0x14, 0, 0xffff_f000, 0),
            (0x2c, 0x0002_1af4, 0, 0),
            (0x34, 0x40, 0, 0),
            (0x3c, 0x100, 0xff, 0),
            (0x40, 0x0003_5001, 0, 0),
            (0x44, 8, 3, 0),
            (0x50, 0x0001_6011, 0xc000_0000, 0),
            (0x54, 0x0000_0001, 0, 0),
            (0x58, 0x0000_0801, 0, 0),
            (0x60, 0x0012_a010, 0, 0),
            (0x64, 0x1000_8021, 0, 0),
            (0x68, 0x2000, 0x71ef, 0x000f_0000),
            (0x6c, 0x0040_0042, 0, 0),
            (0x70, 0x1042_0000, 0x00cb, 0),
            (0x84, 0x10, 0, 0),
            (0x88, 0, 0x10, 0),
            (0x8c, 0x6, 0, 0),
            (0x90, 0x2, 0xf, 0),
            (0xa0, 0x0044_0009, 0, 0),
        ];
        let registers = rows.map(|(at, value, writable, cleared)| (at, [value, writable, cleared, value]));
        Self { registers: registers.into(), diagnostics: [0; 16], frozen: false }
    }

    fn read(&self, address: u16) -> u32 {
        match address {
            0xa4..=0xe0 => diagnostic(&self.diagnostics, address),
            _ => self.registers.get(&address).map_or(0, |register| register[VALUE]),
        }
    }

    /// True: the function is reset.
    fn write(&mut self, address: u16, mask: u32, data: u32) -> bool {
        let Some(register) = self.registers.get_mut(&address) else { return false };
        let mut writable = register[WRITABLE] & mask;
        let mut cleared = register[CLEARED] & mask & data;
        if self.frozen {
            (writable, cleared) = (writable | register[CLEARED] & mask, 0);
        }
        let value = (register[VALUE] & !writable | data & writable) & !cleared;
        if address == 0x44 && ![0, 3].contains(&(value & 3)) {
            return false;
        }
        register[VALUE] = value;
        address == 0x68 && mask & data & 0x8000 != 0
    }

    fn event(&mut self, address: u16, bits: u32) {
        self.registers.get_mut(&address).unwrap()[VALUE] |= bits;
    }

    fn function_reset(&mut self) {
        for (&address, register) in &mut self.registers {
            let kept = match address {
                0x68 => 0xe0,
                0x70 | 0x90 => u32::MAX,
                _ => 0,
            };
            register[VALUE] = register[VALUE] & kept | register[AFTER_RESET] & !kept;
        }
    }
}

/// Any access of any size anywhere in the 4 KiB, between events, against the model.
fn registers_against_the_model(name: &str, freezes: bool) {
    let mut config = Config::new(name, &blk());
    let mut model = Model::new();
    let mut seen = BTreeMap::new();
    let mut function = 0;
    for _ in 0..3000 {
        let rng = &mut config.bench.rng;
        let mut address = 4 * rng.below(64) as u16;
        if rng.chance(1, 2) {
            let interesting: Vec<_> = model.registers.keys().copied().collect();
            address = interesting[rng.below(interesting.len() as u64) as usize];
        } else if rng.chance(1, 8) {
            address = (rng.below(1024) * 4) as u16;
        }
        let (write, enable) = (rng.chance(1, 2), [15, rng.below(16)][rng.below(2) as usize] as u32);
        let mut data = Bits::<32>::random(rng).to_u64() as u32;
        if rng.chance(3, 4) {
            data &= !0x8000;
        }
        model.diagnostics = std::array::from_fn(|_| rng.next() as u32);
        config.diagnostics = model.diagnostics;
        if freezes && config.bench.rng.chance(1, 16) {
            model.frozen = !model.frozen;
            config.bench.uut.frozen.next = model.frozen;
        }
        if config.bench.rng.chance(1, 4) {
            config.pulse(|uut| &mut uut.received_target_abort);
            model.event(0x04, 1 << 28);
        }
        if config.bench.rng.chance(1, 4) {
            config.pulse(|uut| &mut uut.unsupported_posted);
            model.event(0x68, 0xa << 16);
            // SERR# Enable: it is reported, and that is told
            if model.read(0x04) & 1 << 8 != 0 {
                model.event(0x04, 1 << 30);
            }
            config.idle();
        }
        let target = config.bench.rng.below(0x1_0000) as u32;
        let read = config.access(write, address, enable, data, target);
        if write {
            function = target;
            if model.write(address, byte_mask(enable), data) {
                model.function_reset();
            }
        } else {
            assert_eq!(read, model.read(address), "{address:#x}");
            *seen.entry(address).or_insert(0) += 1;
        }
        let uut = &config.bench.uut;
        assert_eq!(uut.requester.function_id.val().to_u64(), u64::from(function));
        assert_eq!(uut.bar0_base.val().to_u64(), u64::from(model.read(0x10) & !0x3f));
        assert_eq!(uut.bar1_base.val().to_u64(), u64::from(model.read(0x14)));
        let command = model.read(0x04);
        assert_eq!(
            [
                uut.io_enable.val(),
                uut.memory_enable.val(),
                uut.function_status.bus_master.val(),
                uut.function_status.intx_disable.val()
            ],
            [0, 1, 2, 10].map(|bit| command >> bit & 1 == 1)
        );
        assert_eq!(uut.function_status.d3hot.val(), model.read(0x44) & 3 == 3);
        assert_eq!(uut.requester.timeout_disable.val(), model.read(0x88) != 0);
    }
    assert!(model.registers.keys().all(|address| seen.contains_key(address)));
    config.bench.finish();
}

#[test]
fn every_register_reads_and_writes_as_specified() {
    registers_against_the_model("config_random", false);
}

/// Error bits become what the state window writes, where there are such bits; all else is as for a driver.
#[test]
fn error_bits_are_written_as_they_are_while_frozen() {
    registers_against_the_model("config_frozen", true);
}

/// An event in the very cycle of the write that clears its bit is not lost.
#[test]
fn an_event_wins_over_the_write_that_clears_it() {
    let mut config = Config::new("config_race", &blk());
    for cycle in 0..3 {
        config.bench.cycle(
            |uut, _| {
                uut.bus.valid.next = true;
                uut.bus.write.next = true;
                uut.bus.address.next = 4.into();
                uut.bus.enable.next = 12.into();
                uut.bus.write_data.next = 0xffff_0000_u64.into();
                uut.received_master_abort.next = cycle == 1;
            },
            |_| (),
        );
    }
    config.idle();
    assert_eq!(config.read16(STATUS), STATUS_CAPABILITIES | STATUS_RECEIVED_MASTER_ABORT);
    config.bench.finish();
}

/// Role-based error reporting: each event, with every combination of enables, awake and asleep.
#[test]
fn errors_are_reported_by_their_role_as_the_enables_ask() {
    type Input = fn(&mut ConfigSpace) -> &mut Signal<In, Bit>;
    const CORRECTABLE: u16 = 1;
    const NONFATAL: u16 = 2;
    const FATAL: u16 = 4;
    const UNSUPPORTED: u16 = 8;
    // the event, which report, the enables that it needs, whether SERR# Enable does without them, whether it comes asleep
    let events: [(Input, usize, u16, bool, bool); 7] = [
        (|uut| &mut uut.unsupported_request, 0, CORRECTABLE | UNSUPPORTED, false, true),
        (|uut| &mut uut.signaled_target_abort, 0, CORRECTABLE, false, true),
        (|uut| &mut uut.unexpected_completion, 0, CORRECTABLE, false, true),
        (|uut| &mut uut.unsupported_posted, 1, NONFATAL | UNSUPPORTED, true, true),
        (|uut| &mut uut.poisoned_received, 1, NONFATAL, true, true),
        (|uut| &mut uut.completion_timeout, 1, NONFATAL, true, false),
        (|uut| &mut uut.malformed_received, 2, FATAL, true, true),
    ];
    let mut config = Config::new("config_reports", &blk());
    let device = EXPRESS_CAPABILITY + EXPRESS_DEVICE_CONTROL;
    for (asleep, serr) in [(false, false), (false, true), (true, false), (true, true)] {
        config.write16(POWER_CAPABILITY + POWER_CONTROL, if asleep { 3 } else { 0 });
        config.write16(COMMAND, if serr { 1 << 8 } else { 0 });
        for enables in 0..16 {
            config.write16(device, enables);
            for (n, (event, report, needs, by_serr, comes_asleep)) in events.into_iter().enumerate() {
                let wanted = ((enables & needs == needs) || (serr && by_serr)) && (comes_asleep || !asleep);
                config.write16(STATUS, STATUS_SIGNALED_SYSTEM_ERROR);
                config.bench.cycle(|uut, _| event(uut).next = true, |_| ());
                let mut seen = [false; 3];
                let mut look = |uut: &ConfigSpace| {
                    seen = [uut.report_correctable.val(), uut.report_nonfatal.val(), uut.report_fatal.val()];
                };
                config.bench.cycle(|uut, _| event(uut).next = false, &mut look);
                let what = format!("event {n}, enables {enables:#x}, SERR# {serr}, asleep {asleep}");
                assert_eq!(seen, std::array::from_fn(|kind| wanted && kind == report), "{what}");
                config.idle();
                let signaled = config.read16(STATUS) & STATUS_SIGNALED_SYSTEM_ERROR != 0;
                assert_eq!(signaled, wanted && serr && report != 0, "{what}");
                let uut = &config.bench.uut;
                assert!(!uut.report_correctable.val() && !uut.report_nonfatal.val() && !uut.report_fatal.val());
            }
        }
    }
    config.bench.finish();
}
