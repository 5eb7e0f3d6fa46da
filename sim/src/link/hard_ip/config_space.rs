//! Config space of the hard block: type 0 header, power management, MSI-X, PCI Express, and which requests hit a BAR.
use super::Family;
use crate::link::tlp::*;
use virtio_hdl_rtl::pcie::function::{BarSpace, FunctionConfig};
use virtio_hdl_rtl::pcie::layout::*;
use virtio_hdl_rtl::pcie::registers as ours;

/// Bytes of config space.
const BYTES: u16 = 4096;
/// Where both families have power management.
const POWER: u16 = 0x40;
/// First of the extended capabilities.
const EXTENDED: u16 = 0x100;
/// Extended capability: advanced error reporting, version 2.
const ADVANCED_ERRORS: u32 = 0x0002_0001;
/// Extended capability: device serial number, version 1.
const SERIAL_NUMBER: u32 = 0x0001_0003;
/// Device control as it comes up: relaxed ordering, no snoop, reads of 512 bytes.
const DEVICE_CONTROL_RESET: u16 = 0x2810;
/// Device control: what a driver can set, with 8-bit tags where they are supported.
const DEVICE_CONTROL_WRITABLE: u16 = 0x78ff;
/// Device status bits that go away when written with one.
const DEVICE_STATUS_CLEARED: u16 = 0x000f;
/// Status bits that go away when written with one.
const STATUS_CLEARED: u16 = 0xf900;
/// Link control: what a driver can set.
const LINK_CONTROL_WRITABLE: u16 = 0x01fb;

/// Where the capabilities are: the offsets that the vendor's tools give.
#[derive(Copy, Clone, Debug)]
struct Places {
    msix: u16,
    express: u16,
}

impl Places {
    fn of(family: Family) -> Self {
        match family {
            Family::SevenSeries => Places { express: 0x60, msix: 0x9c },
            Family::UltraScalePlus => Places { msix: 0x60, express: 0x70 },
        }
    }
}

/// Where MSI-X is in the config space of a block.
pub fn msix_capability(family: Family) -> u16 {
    Places::of(family).msix
}

/// One double word: its value, what a write changes, what writing ones clears.
#[derive(Copy, Clone, Debug, Default)]
struct Register {
    value: u32,
    writable: u32,
    cleared: u32,
}

/// A base address register that a request hit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub bar: u8,
    /// Number of address bits within it.
    pub aperture: u8,
}

/// What a write of config space did beyond changing registers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A function-level reset begins.
    FunctionReset,
}

/// Config space.
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    family: Family,
    function: FunctionConfig,
    places: Places,
    registers: Vec<Register>,
    id: FunctionId,
    /// INTx is wanted: Status bit 3.
    pub interrupt_pending: bool,
    /// Reads are outstanding: Device Status bit 5.
    pub transactions_pending: bool,
}

impl ConfigSpace {
    /// As it comes up for this function.
    pub fn new(family: Family, function: &FunctionConfig) -> Self {
        let mut space = ConfigSpace {
            family,
            function: function.clone(),
            places: Places::of(family),
            registers: vec![Register::default(); usize::from(BYTES / 4)],
            id: FunctionId(0),
            interrupt_pending: false,
            transactions_pending: false,
        };
        space.header();
        space.capabilities();
        space
    }

    fn put(&mut self, offset: u16, value: u32, writable: u32, cleared: u32) {
        self.registers[usize::from(offset / 4)] = Register { value, writable, cleared };
    }

    fn header(&mut self) {
        let f = self.function.clone();
        let pair = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
        self.put(VENDOR_ID, pair(f.device_id, f.vendor_id), 0, 0);
        let mut command = COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE | 0x0140;
        if f.bar0_space == BarSpace::Io {
            command |= COMMAND_IO;
        }
        if f.bar0_space == BarSpace::Memory || f.vectors > 0 {
            command |= COMMAND_MEMORY;
        }
        self.put(COMMAND, pair(STATUS_CAPABILITIES, 0), command.into(), pair(STATUS_CLEARED, 0));
        self.put(REVISION_ID, f.class << 8 | u32::from(f.revision), 0, 0);
        self.put(CACHE_LINE_SIZE, 0, 0xff, 0);
        let kind = if f.bar0_space == BarSpace::Io { BAR_IO } else { 0 };
        self.put(BAR0, kind, !(f.bar0_size - 1), 0);
        if f.bar1_size() > 0 {
            self.put(BAR0 + 4, 0, !(f.bar1_size() - 1), 0);
        }
        self.put(SUBSYSTEM_VENDOR_ID, pair(f.subsystem_id, f.subsystem_vendor_id), 0, 0);
        self.put(CAPABILITY_POINTER, POWER.into(), 0, 0);
        self.put(INTERRUPT_LINE, 1 << 8, 0xff, 0);
    }

    fn capabilities(&mut self) {
        let Places { msix, express } = self.places;
        let f = self.function.clone();
        // The list goes upwards.
        let mut chain = vec![(POWER, CAPABILITY_POWER, ours::POWER_CAPABILITIES)];
        chain.push((express, CAPABILITY_EXPRESS, ours::EXPRESS_CAPABILITIES));
        if f.vectors > 0 {
            chain.push((msix, CAPABILITY_MSIX, f.vectors - 1));
        }
        chain.sort_unstable();
        for (index, (offset, id, word)) in chain.iter().enumerate() {
            let next = chain.get(index + 1).map_or(0, |(offset, ..)| *offset);
            self.put(*offset, u32::from(*id) | u32::from(next) << 8 | u32::from(*word) << 16, 0, 0);
        }
        self.put(POWER + POWER_CONTROL, ours::POWER_NO_SOFT_RESET.into(), POWER_STATE.into(), 0);
        if f.vectors > 0 {
            let switches = u32::from(MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK) << 16;
            self.registers[usize::from(msix / 4)].writable = switches;
            self.put(msix + MSIX_TABLE, ours::MSIX_TABLE_OFFSET | 1, 0, 0);
            self.put(msix + MSIX_PBA, ours::MSIX_PBA_OFFSET | 1, 0, 0);
        }
        let mut device = u32::from(f.max_payload) | ours::EXPRESS_ROLE_BASED_ERRORS;
        let mut control = DEVICE_CONTROL_WRITABLE;
        match self.family {
            Family::SevenSeries => {
                device |= EXPRESS_EXTENDED_TAG_SUPPORTED;
                control |= EXPRESS_EXTENDED_TAG;
            }
            Family::UltraScalePlus => device |= EXPRESS_FUNCTION_RESET_SUPPORTED,
        }
        self.put(express + EXPRESS_DEVICE_CAPABILITIES, device, 0, 0);
        let status = u32::from(DEVICE_STATUS_CLEARED) << 16;
        self.put(express + EXPRESS_DEVICE_CONTROL, DEVICE_CONTROL_RESET.into(), control.into(), status);
        let (speed, width) = (u32::from(f.link_speed), u32::from(f.link_width));
        self.put(express + 0x0c, speed | width << 4 | ours::EXPRESS_ASPM_OPTIONALITY, 0, 0);
        let link_status = speed | width << 4 | u32::from(ours::EXPRESS_SLOT_CLOCK);
        self.put(express + 0x10, link_status << 16, LINK_CONTROL_WRITABLE.into(), 0);
        self.put(express + EXPRESS_DEVICE_CAPABILITIES_2, EXPRESS_TIMEOUT_DISABLE_SUPPORTED, 0, 0);
        self.put(express + EXPRESS_DEVICE_CONTROL_2, 0, EXPRESS_TIMEOUT_DISABLE.into(), 0);
        self.put(express + 0x2c, ((1 << f.link_speed) - 1) << 1, 0, 0);
        self.put(express + 0x30, speed, 0xf, 0);
        let extended = match self.family {
            Family::SevenSeries => SERIAL_NUMBER,
            Family::UltraScalePlus => ADVANCED_ERRORS,
        };
        self.put(EXTENDED, extended, 0, 0);
    }

    /// A double word as a driver reads it.
    pub fn read(&self, register: u16) -> u32 {
        let value = self.registers[usize::from(register % BYTES / 4)].value;
        match register & !3 {
            COMMAND => value | u32::from(STATUS_INTERRUPT) << 16 & mask(self.interrupt_pending),
            at if at == self.places.express + EXPRESS_DEVICE_CONTROL => {
                value | u32::from(ours::EXPRESS_TRANSACTIONS_PENDING) << 16 & mask(self.transactions_pending)
            }
            _ => value,
        }
    }

    /// Has these values from here on, as far as they can differ.
    pub fn restore(&mut self, id: FunctionId, words: &[u32]) {
        self.id = id;
        for (register, word) in self.registers.iter_mut().zip(words) {
            let changeable = register.writable | register.cleared;
            register.value = register.value & !changeable | word & changeable;
        }
    }

    /// A driver writes the enabled bytes of a double word.
    pub fn write(&mut self, target: FunctionId, register: u16, enables: u8, data: u32) -> Effect {
        self.id = target;
        let bytes = (0..4).filter(|byte| enables >> byte & 1 == 1).fold(0, |mask, byte| mask | 0xff << (8 * byte));
        let at = register & !3;
        let cell = &mut self.registers[usize::from(at % BYTES / 4)];
        let mut writable = cell.writable & bytes;
        // D1 and D2 do not exist: a write of them changes nothing.
        if at == POWER + POWER_CONTROL && !matches!(data & 3, 0 | 3) {
            writable = 0;
        }
        cell.value = cell.value & !writable & !(cell.cleared & bytes & data) | data & writable;
        let reset = u32::from(EXPRESS_FUNCTION_RESET) & bytes & data != 0;
        let control = at == self.places.express + EXPRESS_DEVICE_CONTROL;
        match reset && control && self.family == Family::UltraScalePlus {
            true => {
                self.function_reset();
                Effect::FunctionReset
            }
            false => Effect::None,
        }
    }

    /// All registers as they come up, but those that a function-level reset leaves alone (PCI Express Base
    /// Specification, 6.6.2): maximum payload, link control, and the numbers of bus and device.
    fn function_reset(&mut self) {
        let fresh = ConfigSpace::new(self.family, &self.function);
        let payload = 7 << EXPRESS_MAX_PAYLOAD_SHIFT;
        let control = usize::from((self.places.express + EXPRESS_DEVICE_CONTROL) / 4);
        let link = usize::from((self.places.express + 0x10) / 4);
        let kept = (self.registers[control].value & payload, self.registers[link]);
        self.registers = fresh.registers;
        self.registers[control].value = self.registers[control].value & !payload | kept.0;
        self.registers[link] = kept.1;
    }

    /// The BAR that a memory or I/O request to this address hits.
    pub fn hit(&self, io: bool, address: u64) -> Option<Hit> {
        let enabled = self.command() & if io { COMMAND_IO } else { COMMAND_MEMORY } != 0;
        if !enabled || self.power_state() != 0 {
            return None;
        }
        (0..2).find_map(|bar: u8| {
            let register = self.registers[usize::from(BAR0 / 4) + usize::from(bar)];
            let is_io = bar == 0 && self.function.bar0_space == BarSpace::Io;
            let size = register.writable;
            let hit = size != 0 && is_io == io && address >> 32 == 0 && address as u32 & size == register.value & size;
            hit.then(|| Hit { bar, aperture: size.trailing_zeros() as u8 })
        })
    }

    /// Sets bits of the status register.
    pub fn set_status(&mut self, bits: u16) {
        self.registers[usize::from(COMMAND / 4)].value |= u32::from(bits) << 16;
    }

    /// Sets bits of the device status register.
    pub fn set_device_status(&mut self, bits: u16) {
        self.registers[usize::from((self.places.express + EXPRESS_DEVICE_CONTROL) / 4)].value |= u32::from(bits) << 16;
    }

    /// Bus, device and function: the target of the last config write.
    pub fn id(&self) -> FunctionId {
        self.id
    }

    /// The command register.
    pub fn command(&self) -> u16 {
        self.registers[usize::from(COMMAND / 4)].value as u16
    }

    /// The device control register.
    pub fn device_control(&self) -> u16 {
        self.registers[usize::from((self.places.express + EXPRESS_DEVICE_CONTROL) / 4)].value as u16
    }

    /// The device control 2 register.
    pub fn device_control_2(&self) -> u16 {
        self.registers[usize::from((self.places.express + EXPRESS_DEVICE_CONTROL_2) / 4)].value as u16
    }

    /// 0 for D0, 3 for D3hot.
    pub fn power_state(&self) -> u16 {
        self.registers[usize::from((POWER + POWER_CONTROL) / 4)].value as u16 & POWER_STATE
    }

    /// The control word of MSI-X, 0 without vectors.
    pub fn msix_control(&self) -> u16 {
        match self.function.vectors {
            0 => 0,
            _ => (self.registers[usize::from(self.places.msix / 4)].value >> 16) as u16,
        }
    }

    /// Largest payload, as code: 128 << n bytes, no more than is supported.
    pub fn max_payload(&self) -> u16 {
        (self.device_control() >> EXPRESS_MAX_PAYLOAD_SHIFT & 7).min(self.function.max_payload.into())
    }

    /// Largest read, as code: 128 << n bytes.
    pub fn max_read_request(&self) -> u16 {
        (self.device_control() >> EXPRESS_MAX_READ_REQUEST_SHIFT & 7).min(5)
    }
}

/// All ones or none.
fn mask(on: bool) -> u32 {
    if on {
        u32::MAX
    } else {
        0
    }
}
