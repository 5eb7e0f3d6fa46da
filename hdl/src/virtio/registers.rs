//! The legacy register file in BAR0 (virtio 1.x, section 4.1.4.8 "Legacy Interfaces: A Note on PCI Device Layout").
use super::writable_config::WritableConfig;
use super::{DEVICE_CONFIG_BITS, DEVICE_CONFIG_BYTES, MAX_QUEUES};
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use crate::pcie::register_bus::RegisterSlave;
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use std::ops::Range;

/// What the constructor of [`LegacyRegisters`] needs to know.
#[derive(Clone, Debug)]
pub struct LegacyRegistersConfig {
    /// Size of each queue in descriptors; one to [`MAX_QUEUES`] queues.
    pub queue_sizes: Vec<u16>,
    /// MSI-X vectors the function has, 0 for none.
    pub vectors: u16,
    /// Length of the device-specific configuration, bytes, a multiple of 4 up to [`DEVICE_CONFIG_BYTES`].
    pub device_config_length: u16,
    /// Which of its bytes the driver may write: all in eight bytes that begin at a multiple of 8, or none.
    pub writable_config: Range<u16>,
    /// The driver reads what it has written there, and not what the device says.
    pub reads_back: bool,
    /// What a driver that writes BAD_FEATURE (bit 30) back is given instead.
    pub safe_features: u32,
}

/// Legacy virtio registers.
///
/// ```text
///   0x00 HOST_FEATURES  0x04 GUEST_FEATURES  0x08 QUEUE_PFN  0x0c QUEUE_NUM   0x0e QUEUE_SEL
///   0x10 QUEUE_NOTIFY   0x12 STATUS          0x13 ISR        0x14 CONFIG_VECTOR 0x16 QUEUE_VECTOR
///   0x14 device config while MSI-X is disabled, 0x18 while it is enabled
/// ```
/// Accesses are cut as QEMU cuts them for its own device: four enabled bytes are one access, else each half is one, of
/// 16 bits or, with one byte enabled, of 8. An access at a register's own offset reaches that register, and no other, whatever its
/// width: reads are cut off or extended with zeros, and what is written is a number of the access's width. Every other access of the
/// header reads all ones and changes nothing. Bytes that are not enabled read as anything.
///
/// The per-queue outputs carry queue 0 in the lowest bits.
#[derive(Block)]
pub struct LegacyRegisters {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// BAR0 accesses.
    pub bus: RegisterSlave,
    /// They are those of the state window: reads change nothing, ISR can be written, zeros reset nothing, and the vectors are there.
    pub frozen: Signal<In, Bit>,
    /// The driver has written something of the device config since the reset that it reads.
    pub config_written: Signal<Out, Bit>,
    /// MSI-X Enable of the capability: moves the device config and shows the vector registers.
    pub msix_enable: Signal<In, Bit>,
    /// Bus Master Enable of the command register; falling clears DRIVER_OK.
    pub bus_master: Signal<In, Bit>,
    /// Features offered.
    pub device_features: Signal<In, Bits<32>>,
    /// Device-specific configuration, byte 0 in bits 7:0.
    pub device_config: Signal<In, Bits<DEVICE_CONFIG_BITS>>,
    /// A queue wants the driver's attention: sets ISR bit 0.
    pub isr_queue: Signal<In, Bit>,
    /// The device config changed: sets ISR bits 0 and 1.
    pub isr_config: Signal<In, Bit>,
    /// Features the driver accepted: what GUEST_FEATURES holds until DRIVER_OK, and what it held then as long as that is set. A
    /// device that is at work is not given others; drivers that use queues before DRIVER_OK may negotiate after that.
    pub driver_features: Signal<Out, Bits<32>>,
    /// Eight bytes of the device config with what the driver has written: those of which it may write some, the first ones if there are
    /// none.
    pub driver_config: Signal<Out, Bits<64>>,
    /// One cycle: which of these bytes the driver has just written.
    pub driver_config_written: Signal<Out, Bits<8>>,
    /// Page frame of each queue, 0 = inactive.
    pub queue_pfn: Signal<Out, Bits<128>>,
    /// The page frame is not 0.
    pub queue_active: Signal<Out, Bits<4>>,
    /// MSI-X vector of each queue, 0xffff = none.
    pub queue_vector: Signal<Out, Bits<64>>,
    /// MSI-X vector of config changes, 0xffff = none.
    pub config_vector: Signal<Out, Bits<16>>,
    /// One-cycle kick of each queue.
    pub notify: Signal<Out, Bits<4>>,
    /// The driver has set DRIVER_OK.
    pub driver_ok: Signal<Out, Bit>,
    /// ISR is not 0.
    pub isr_pending: Signal<Out, Bit>,
    /// One cycle: the driver reset the device (STATUS = 0 or QUEUE_PFN = 0).
    pub device_reset: Signal<Out, Bit>,

    features: Reg<Bits<32>>,
    accepted: Reg<Bits<32>>,
    /// QUEUE_SEL, and which of the queues it names: none, if there is no such queue.
    select: Reg<Bits<10>>,
    #[given]
    selected: Reg<Bits<4>>,
    status: Reg<Bits<8>>,
    isr: Reg<Bits<2>>,
    /// A vector, or 0x7f for none.
    #[given]
    config_vector_reg: Reg<Bits<7>>,
    #[given]
    pfn: Vec<Reg<Bits<32>>>,
    active: Reg<Bits<4>>,
    #[given]
    vector: Vec<Reg<Bits<7>>>,
    notify_reg: Reg<Bits<4>>,
    reset_request: Reg<Bit>,
    bus_master_before: Reg<Bit>,
    /// MSI-X is enabled: its vectors come before the device config.
    shifted: Reg<Bit>,
    done: Reg<Bit>,
    read_data: Reg<Bits<32>>,
    /// One, if the driver may write something of the device config.
    #[given]
    writable: Vec<WritableConfig>,

    #[given]
    queue_size: Vec<Constant<Bits<16>>>,
    #[given]
    vectors: Constant<Bits<16>>,
    /// Behind the device config, without and with MSI-X.
    #[given]
    config_end: Constant<Bits<12>>,
    #[given]
    shifted_end: Constant<Bits<12>>,
    #[given]
    safe_features: Constant<Bits<32>>,
    /// Where the driver's eight bytes are in the device config, bits.
    #[given]
    driver_offset: Constant<Bits<9>>,
    /// All of them, or none, where the driver reads what the device says.
    #[given]
    driver_shown: Constant<Bits<64>>,
    /// All of the device config but these.
    #[given]
    not_driver_bytes: Constant<Bits<DEVICE_CONFIG_BITS>>,

    access: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    read: Signal<Local, Bit>,
    clear: Signal<Local, Bit>,
    enable: Signal<Local, Bits<4>>,
    /// Accesses: of all four bytes; at the double word's own offset; at that plus 2; at that plus 3.
    whole: Signal<Local, Bit>,
    at_0: Signal<Local, Bit>,
    at_2: Signal<Local, Bit>,
    at_3: Signal<Local, Bit>,
    address: Signal<Local, Bits<12>>,
    config_dword: Signal<Local, Bits<4>>,
    in_config: Signal<Local, Bit>,
    low_half: Signal<Local, Bits<16>>,
    high_half: Signal<Local, Bits<16>>,
    accepted_vector_low: Signal<Local, Bits<7>>,
    accepted_vector_high: Signal<Local, Bits<7>>,
    selected_pfn: Signal<Local, Bits<32>>,
    selected_size: Signal<Local, Bits<16>>,
    selected_vector: Signal<Local, Bits<7>>,
    selected_next: Signal<Local, Bits<4>>,
    shown_vector: Signal<Local, Bits<16>>,
    shown_config_vector: Signal<Local, Bits<16>>,
    config_shift: Signal<Local, Bits<9>>,
    wide: Signal<Local, Bits<32>>,
    isr_next: Signal<Local, Bits<2>>,
    notify_next: Signal<Local, Bits<4>>,
    driver_bytes: Signal<Local, Bits<64>>,
    driver_touched: Signal<Local, Bits<8>>,
    shown_config: Signal<Local, Bits<DEVICE_CONFIG_BITS>>,
    register_0: Signal<Local, Bits<32>>,
    register_2: Signal<Local, Bits<16>>,
    register_3: Signal<Local, Bits<16>>,
    value_low: Signal<Local, Bits<16>>,
    value_high: Signal<Local, Bits<16>>,
    value: Signal<Local, Bits<32>>,
    one_pfn: Signal<Local, Bits<32>>,
    one_vector: Signal<Local, Bits<7>>,
    one_shown: Signal<Local, Bits<16>>,
    all_queue_pfn: Signal<Local, Bits<128>>,
    all_queue_vector: Signal<Local, Bits<64>>,
}

impl LegacyRegisters {
    /// Builds the register file; panics if the configuration is outside its documented range, which
    /// [`crate::config`] has excluded.
    pub fn new(config: &LegacyRegistersConfig) -> Self {
        let queues = config.queue_sizes.len();
        assert!((1..=MAX_QUEUES).contains(&queues), "1 to {MAX_QUEUES} queues");
        assert!(u32::from(config.device_config_length) <= DEVICE_CONFIG_BYTES && config.device_config_length % 4 == 0);
        let writable = &config.writable_config;
        assert!(writable.end <= config.device_config_length);
        let driver_offset = 8 * u64::from(WritableConfig::window(writable));
        let shown = if config.reads_back { u64::MAX } else { 0 };
        Self::with(LegacyRegistersGiven {
            selected: Reg::new(1.into()),
            config_vector_reg: Reg::new(0x7f.into()),
            pfn: (0..queues).map(|_| Reg::default()).collect(),
            vector: (0..queues).map(|_| Reg::new(0x7f.into())).collect(),
            writable: (0..usize::from(!writable.is_empty())).map(|_| WritableConfig::new(writable)).collect(),
            queue_size: config.queue_sizes.iter().map(|size| Constant::new(u64::from(*size).into())).collect(),
            vectors: Constant::new(u64::from(config.vectors).into()),
            config_end: Constant::new((u64::from(config.device_config_length) + 0x14).into()),
            shifted_end: Constant::new((u64::from(config.device_config_length) + 0x18).into()),
            safe_features: Constant::new(u64::from(config.safe_features).into()),
            driver_offset: Constant::new(driver_offset.into()),
            driver_shown: Constant::new(shown.into()),
            not_driver_bytes: Constant::new(Bits::from(
                ((BigUint::from(1u8) << DEVICE_CONFIG_BITS) - 1u8) - (BigUint::from(shown) << driver_offset),
            )),
        })
    }
}

impl Logic for LegacyRegisters {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module legacy_registers: the legacy virtio register file in BAR0");
        comment!("what a driver's reset clears is reset together, in the cycle after the resetting write");
        self.clear.next = self.reset.val() | self.reset_request.q.val();
        self.features.reset.next = self.clear.val();
        self.accepted.reset.next = self.clear.val();
        self.select.reset.next = self.clear.val();
        self.selected.reset.next = self.clear.val();
        self.status.reset.next = self.clear.val();
        self.active.reset.next = self.clear.val();
        self.isr.reset.next = self.clear.val();
        self.config_vector_reg.reset.next = self.clear.val();

        self.access.next = self.bus.valid.val() & !self.done.q.val();
        self.done.d.next = self.access.val();
        self.write.next = self.access.val() & self.bus.write.val();
        self.read.next = self.access.val() & !self.bus.write.val();
        self.enable.next = self.bus.enable.val();
        comment!("BAR0 has at most 256 bytes");
        self.address.next = self.bus.address.val() & 0xFF;
        self.whole.next = self.enable.val() == 0xf;
        self.at_0.next = self.enable.val().get_bit(0);
        self.at_2.next = self.enable.val().get_bit(2) & !self.whole.val();
        self.at_3.next = self.enable.val().get_bit(3) & !self.enable.val().get_bit(2);
        comment!("what is written to the register at the double word's own offset, and to the one at that plus 2");
        self.wide.next = self.bus.write_data.val();
        self.low_half.next = self.wide.val().get_bits::<16>(0);
        self.high_half.next = self.wide.val().get_bits::<16>(16);
        if !self.enable.val().get_bit(1) {
            self.low_half.next = self.wide.val().get_bits::<16>(0) & 0xff;
        }
        if !self.enable.val().get_bit(3) {
            self.high_half.next = self.wide.val().get_bits::<16>(16) & 0xff;
        }
        if !self.whole.val() {
            self.wide.next = bit_cast::<32, 16>(self.low_half.val());
        }

        comment!("a vector the function does not have reads back as none");
        self.accepted_vector_low.next = 0x7f.into();
        if (self.low_half.val() < self.vectors.val()) & (!self.whole.val() | (self.high_half.val() == 0)) {
            self.accepted_vector_low.next = self.low_half.val().get_bits::<7>(0);
        }
        self.accepted_vector_high.next = 0x7f.into();
        if self.high_half.val() < self.vectors.val() {
            self.accepted_vector_high.next = self.high_half.val().get_bits::<7>(0);
        }

        comment!("the selected queue's registers");
        self.selected_pfn.next = 0.into();
        self.selected_size.next = 0.into();
        self.selected_vector.next = 0x7f.into();
        for i in 0..self.pfn.len() {
            if self.selected.q.val().get_bit(i) {
                self.selected_pfn.next = self.pfn[i].q.val();
                self.selected_size.next = self.queue_size[i].val();
                self.selected_vector.next = self.vector[i].q.val();
            }
        }

        self.shown_vector.next = bit_cast::<16, 7>(self.selected_vector.val());
        if self.selected_vector.val().get_bit(6) {
            self.shown_vector.next = 0xffff.into();
        }
        self.shown_config_vector.next = bit_cast::<16, 7>(self.config_vector_reg.q.val());
        if self.config_vector_reg.q.val().get_bit(6) {
            self.shown_config_vector.next = 0xffff.into();
        }

        comment!("device config: at 0x18 while MSI-X is enabled, else at 0x14");
        self.shifted.d.next = self.msix_enable.val() | self.frozen.val();
        self.config_dword.next = self.address.val().get_bits::<4>(2) - bits::<4>(5);
        self.in_config.next = (self.address.val() >= bits::<12>(0x14)) & (self.address.val() < self.config_end.val());
        if self.shifted.q.val() {
            self.config_dword.next = self.address.val().get_bits::<4>(2) - bits::<4>(6);
            self.in_config.next =
                (self.address.val() >= bits::<12>(0x18)) & (self.address.val() < self.shifted_end.val());
        }
        self.config_shift.next = bit_cast::<9, 4>(self.config_dword.val()) << 5;

        self.driver_bytes.next = self.device_config.val().get_bits::<64>(self.driver_offset.val().index());
        self.driver_touched.next = 0.into();
        self.config_written.next = false;
        self.shown_config.next = self.device_config.val();
        for i in 0..self.writable.len() {
            self.writable[i].reset.next = self.clear.val();
            self.writable[i].write.next = self.write.val() & self.in_config.val();
            self.writable[i].dword.next = self.config_dword.val();
            self.writable[i].enable.next = self.enable.val();
            self.writable[i].data.next = self.bus.write_data.val();
            self.writable[i].own.next = self.device_config.val().get_bits::<64>(self.driver_offset.val().index());
            self.driver_bytes.next = self.writable[i].shown.val();
            self.driver_touched.next = self.writable[i].touched.val();
            self.config_written.next = self.writable[i].is_written.val() & self.driver_shown.val().any();
            self.shown_config.next = (self.device_config.val() & self.not_driver_bytes.val())
                | (bit_cast::<DEVICE_CONFIG_BITS, 64>(self.driver_bytes.val() & self.driver_shown.val())
                    << self.driver_offset.val());
        }

        comment!("reads: the registers at the double word's own offset, at that plus 2 and at that plus 3");
        self.register_0.next = 0xffff_ffff_u64.into();
        self.register_2.next = 0xffff.into();
        self.register_3.next = 0xffff.into();
        match self.address.val().index() {
            0x00 => self.register_0.next = self.device_features.val(),
            0x04 => self.register_0.next = self.features.q.val(),
            0x08 => self.register_0.next = self.selected_pfn.val(),
            0x0c => {
                self.register_0.next = bit_cast::<32, 16>(self.selected_size.val());
                self.register_2.next = bit_cast::<16, 10>(self.select.q.val());
            }
            0x10 => {
                self.register_2.next = bit_cast::<16, 8>(self.status.q.val());
                self.register_3.next = bit_cast::<16, 2>(self.isr.q.val()) << 8;
            }
            0x14 => {
                if self.shifted.q.val() {
                    self.register_0.next = bit_cast::<32, 16>(self.shown_config_vector.val());
                    self.register_2.next = self.shown_vector.val();
                }
            }
            _ => {}
        }
        self.value_low.next = 0xffff.into();
        if self.at_0.val() {
            self.value_low.next = self.register_0.val().get_bits::<16>(0);
        }
        self.value_high.next = self.register_3.val();
        if self.whole.val() {
            self.value_high.next = self.register_0.val().get_bits::<16>(16);
        } else if self.at_2.val() {
            self.value_high.next = self.register_2.val();
        }
        self.value.next = (bit_cast::<32, 16>(self.value_high.val()) << 16) | bit_cast::<32, 16>(self.value_low.val());
        if self.in_config.val() {
            self.value.next = self.shown_config.val().get_bits::<32>(self.config_shift.val().index());
        }
        if self.read.val() {
            self.read_data.d.next = self.value.val();
        }

        comment!("ISR: reading clears it, what comes in the same cycle stays");
        self.isr_next.next = self.isr.q.val();
        if !self.in_config.val() & (self.address.val() == 0x10) & self.at_3.val() {
            if self.frozen.val() {
                if self.write.val() {
                    self.isr_next.next = self.bus.write_data.val().get_bits::<2>(24);
                }
            } else if self.read.val() {
                self.isr_next.next = 0.into();
            }
        }
        if self.isr_queue.val() {
            self.isr_next.next = self.isr_next.val() | 1;
        }
        if self.isr_config.val() {
            self.isr_next.next = 3.into();
        }
        self.isr.d.next = self.isr_next.val();

        comment!("writes");
        for i in 0..self.pfn.len() {
            self.pfn[i].reset.next = self.clear.val();
            self.vector[i].reset.next = self.clear.val();
        }
        self.reset_request.d.next = false;
        self.notify_next.next = 0.into();
        self.selected_next.next = 0.into();
        for i in 0..self.pfn.len() {
            if self.high_half.val() == i.to_bits::<16>() {
                self.selected_next.next = self.selected_next.val().replace_bit(i, true);
            }
        }
        if self.write.val() & !self.in_config.val() {
            match self.address.val().index() {
                0x04 => {
                    comment!("FEATURES_OK ends the negotiation, for a driver that knows of it");
                    if self.at_0.val() & (!self.status.q.val().get_bit(3) | self.frozen.val()) {
                        self.features.d.next = self.wide.val();
                        if !self.frozen.val() {
                            self.features.d.next = self.wide.val() & self.device_features.val();
                        }
                        if self.wide.val().get_bit(30) {
                            comment!("the driver echoed BAD_FEATURE: it did not negotiate at all");
                            self.features.d.next = self.safe_features.val() & self.device_features.val();
                        }
                    }
                }
                0x08 => {
                    if self.at_0.val() {
                        comment!("whichever queue is selected, also one that is not there");
                        self.reset_request.d.next = (self.wide.val() == 0) & !self.frozen.val();
                        for i in 0..self.pfn.len() {
                            if self.selected.q.val().get_bit(i) {
                                self.pfn[i].d.next = self.wide.val();
                                self.active.d.next = self.active.q.val().replace_bit(i, self.wide.val().any());
                            }
                        }
                    }
                }
                0x0c => {
                    comment!("a driver that looks for queues selects one after the other until it finds no more");
                    if self.at_2.val() & (self.high_half.val() < bits::<16>(1024)) {
                        self.select.d.next = self.high_half.val().get_bits::<10>(0);
                        self.selected.d.next = self.selected_next.val();
                    }
                }
                0x10 => {
                    if self.at_0.val() {
                        for i in 0..self.pfn.len() {
                            if self.low_half.val() == i.to_bits::<16>() {
                                self.notify_next.next = self.notify_next.val().replace_bit(i, true);
                            }
                        }
                    }
                    if self.at_2.val() {
                        self.status.d.next = self.high_half.val().get_bits::<8>(0);
                        self.reset_request.d.next = (self.high_half.val().get_bits::<8>(0) == 0) & !self.frozen.val();
                    }
                }
                0x14 => {
                    if self.shifted.q.val() & self.at_0.val() {
                        self.config_vector_reg.d.next = self.accepted_vector_low.val();
                    }
                    if self.shifted.q.val() & self.at_2.val() {
                        for i in 0..self.pfn.len() {
                            if self.selected.q.val().get_bit(i) {
                                self.vector[i].d.next = self.accepted_vector_high.val();
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        self.notify_reg.d.next = self.notify_next.val();

        comment!("a guest that takes bus mastering away without stopping the device means to stop it");
        self.bus_master_before.d.next = self.bus_master.val();
        if self.bus_master_before.q.val() & !self.bus_master.val() {
            self.status.d.next = self.status.q.val() & 0xfb;
        }

        self.bus.done.next = self.done.q.val();
        self.bus.read_data.next = self.read_data.q.val();
        if !self.status.q.val().get_bit(2) {
            self.accepted.d.next = self.features.q.val();
        }
        self.driver_features.next = self.accepted.q.val();
        self.driver_config.next = self.driver_bytes.val();
        self.driver_config_written.next = self.driver_touched.val();
        self.config_vector.next = self.shown_config_vector.val();
        self.notify.next = self.notify_reg.q.val();
        self.driver_ok.next = self.status.q.val().get_bit(2);
        self.isr_pending.next = self.isr.q.val().any();
        self.device_reset.next = self.reset_request.q.val();
        self.all_queue_pfn.next = 0.into();
        self.all_queue_vector.next = 0.into();
        for i in 0..self.pfn.len() {
            self.one_pfn.next = self.pfn[i].q.val();
            self.one_vector.next = self.vector[i].q.val();
            self.all_queue_pfn.next =
                self.all_queue_pfn.val() | (bit_cast::<128, 32>(self.one_pfn.val()) << (i * 32).to_bits::<7>());
            self.one_shown.next = bit_cast::<16, 7>(self.one_vector.val());
            if self.one_vector.val().get_bit(6) {
                self.one_shown.next = 0xffff.into();
            }
            self.all_queue_vector.next =
                self.all_queue_vector.val() | (bit_cast::<64, 16>(self.one_shown.val()) << (i * 16).to_bits::<6>());
        }
        self.queue_pfn.next = self.all_queue_pfn.val();
        self.queue_active.next = self.active.q.val();
        self.queue_vector.next = self.all_queue_vector.val();
    }
}
