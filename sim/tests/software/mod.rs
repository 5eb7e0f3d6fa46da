//! A machine with a legacy virtio disk written in plain Rust: the smallest thing that the drivers can be shown on
//! without RTL. It knows nothing of the drivers' code; what it shares with them are the layout constants.
#![allow(dead_code, reason = "each test file uses another part")]
pub mod consumer;
pub mod registers;

use std::collections::VecDeque;
use virtio_hdl::host::{Allocator, Platform, Width};
use virtio_hdl::link::{FunctionId, Interrupt};
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{GuestAddress, GuestMemoryMmap};

pub const DISK: FunctionId = FunctionId::new(1, 0, 0);
const MEMORY_BYTES: u64 = 16 << 20;
/// Cycles that an access takes.
const ACCESS: u64 = 60;
const MSIX_CAPABILITY: u16 = 0x50;
const POWER_CAPABILITY: u16 = 0x40;
const EXPRESS_CAPABILITY: u16 = 0x60;
pub const FEATURES: u32 = 1 << blk::FEATURE_FLUSH
    | 1 << blk::FEATURE_BLK_SIZE
    | 1 << FEATURE_RING_INDIRECT_DESC
    | 1 << FEATURE_RING_EVENT_IDX;

/// How the machine is built.
#[derive(Clone, Debug)]
pub struct Build {
    pub vendor: u16,
    pub device: u16,
    pub revision: u8,
    pub subsystem: u16,
    /// Entries of the MSI-X table; 0 for no MSI-X.
    pub vectors: u16,
    /// Vectors from here on are refused by the vector registers.
    pub refused_from: u16,
    pub io_bar: bool,
    pub interrupt_pin: u8,
    pub queue_size: u16,
    pub queues: u16,
    pub features: u32,
    pub sectors: u64,
    /// Chains of a batch are used in reverse order.
    pub reverse: bool,
    /// The capability list points at itself.
    pub looped_capabilities: bool,
}

impl Default for Build {
    fn default() -> Self {
        Build {
            vendor: VENDOR_ID,
            device: DEVICE_ID_BLK,
            revision: ABI_VERSION,
            subsystem: VIRTIO_ID_BLK,
            vectors: 2,
            refused_from: u16::MAX,
            io_bar: true,
            interrupt_pin: 1,
            queue_size: 16,
            queues: 1,
            features: FEATURES,
            sectors: 64,
            reverse: false,
            looped_capabilities: false,
        }
    }
}

/// An access to the register file, for tests of how a driver reads and writes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub write: bool,
    pub offset: u32,
    pub width: Width,
    pub value: u32,
}

pub struct Machine {
    pub build: Build,
    pub memory: GuestMemoryMmap,
    pub allocator: Allocator,
    now: u64,
    config: [u8; 256],
    pub registers: registers::Registers,
    pub table: Vec<[u32; 4]>,
    pub disk: Vec<u8>,
    pub interrupts: VecDeque<Interrupt>,
    pub log: Vec<Access>,
    /// Messages sent.
    pub messages: u64,
    /// A hung device: kicks are ignored.
    pub deaf: bool,
    /// Waking up resets configuration space, as it may where No_Soft_Reset is 0.
    pub forgets: bool,
    /// Another device on the interrupt line holds it, and nobody serves that one.
    pub line_is_held: bool,
    /// Power management does not take the function back to D0.
    pub stays_asleep: bool,
    /// The disk is this function of its device too.
    alias: Option<FunctionId>,
}

impl Machine {
    pub fn new(build: Build) -> Self {
        let mut config = [0; 256];
        let mut put = |offset: u16, bytes: &[u8]| config[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        put(pci::VENDOR_ID, &build.vendor.to_le_bytes());
        put(pci::DEVICE_ID, &build.device.to_le_bytes());
        put(pci::STATUS, &pci::STATUS_CAPABILITIES.to_le_bytes());
        put(pci::REVISION_ID, &[build.revision, 0, 0, 1]);
        put(pci::SUBSYSTEM_VENDOR_ID, &VENDOR_ID.to_le_bytes());
        put(pci::SUBSYSTEM_ID, &build.subsystem.to_le_bytes());
        put(pci::INTERRUPT_PIN, &[build.interrupt_pin]);
        put(pci::CAPABILITY_POINTER, &[POWER_CAPABILITY as u8]);
        put(POWER_CAPABILITY, &[pci::CAPABILITY_POWER, EXPRESS_CAPABILITY as u8]);
        let next = if build.vectors > 0 { MSIX_CAPABILITY as u8 } else { 0 };
        put(EXPRESS_CAPABILITY, &[pci::CAPABILITY_EXPRESS, next, 2, 0, 1 | 1 << 5]);
        if build.vectors > 0 {
            put(MSIX_CAPABILITY, &[pci::CAPABILITY_MSIX, 0]);
            put(MSIX_CAPABILITY + pci::MSIX_CONTROL, &(build.vectors - 1).to_le_bytes());
            put(MSIX_CAPABILITY + pci::MSIX_TABLE, &1_u32.to_le_bytes());
            put(MSIX_CAPABILITY + pci::MSIX_PBA, &0x801_u32.to_le_bytes());
        }
        if build.looped_capabilities {
            put(EXPRESS_CAPABILITY, &[pci::CAPABILITY_EXPRESS, POWER_CAPABILITY as u8]);
        }
        put(pci::BAR0, &[u8::from(build.io_bar)]);
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES as usize)]).unwrap();
        Machine {
            memory,
            allocator: Allocator::new(std::iter::once(0x10_0000..MEMORY_BYTES)),
            now: 0,
            config,
            registers: registers::Registers::default(),
            table: vec![[0, 0, 0, 1]; build.vectors.into()],
            disk: vec![0; (build.sectors * blk::SECTOR_BYTES) as usize],
            interrupts: VecDeque::new(),
            log: Vec::new(),
            messages: 0,
            deaf: false,
            forgets: false,
            line_is_held: false,
            stays_asleep: false,
            alias: None,
            build,
        }
    }

    /// Makes the disk's device one with two functions, both of which are the disk.
    pub fn also_at(&mut self, function: FunctionId) {
        self.alias = Some(function);
        self.config[usize::from(pci::HEADER_TYPE)] |= 0x80;
    }

    fn is_disk(&self, function: FunctionId) -> bool {
        function == DISK || Some(function) == self.alias
    }

    pub fn config_u16(&self, offset: u16) -> u16 {
        u16::from_le_bytes([self.config[offset as usize], self.config[offset as usize + 1]])
    }

    fn config_u32(&self, offset: u16) -> u32 {
        u32::from(self.config_u16(offset)) | u32::from(self.config_u16(offset + 2)) << 16
    }

    pub fn msix_enabled(&self) -> bool {
        self.build.vectors > 0 && self.config_u16(MSIX_CAPABILITY + pci::MSIX_CONTROL) & pci::MSIX_CONTROL_ENABLE != 0
    }

    pub fn power_state(&self) -> u16 {
        self.config_u16(POWER_CAPABILITY + pci::POWER_CONTROL) & pci::POWER_STATE
    }

    pub fn command(&self) -> u16 {
        self.config_u16(pci::COMMAND)
    }

    pub fn device_control(&self) -> u16 {
        self.config_u16(EXPRESS_CAPABILITY + pci::EXPRESS_DEVICE_CONTROL)
    }

    /// What of configuration space can be written.
    fn config_mask(&self, offset: u16) -> u8 {
        let bar0 = if self.build.io_bar { 0xffff_ffc0_u32 } else { 0xffff_f000 };
        let bar1 = if self.build.vectors > 0 { 0xffff_f000_u32 } else { 0 };
        let word = |base: u16, mask: u32| mask.to_le_bytes().get((offset - base) as usize).copied().unwrap_or(0);
        match offset {
            0x04..=0x05 => word(0x04, 0x0407),
            0x0c | 0x3c => 0xff,
            0x10..=0x13 => word(0x10, bar0),
            0x14..=0x17 => word(0x14, bar1),
            0x44..=0x45 => word(0x44, 3),
            0x52..=0x53 if self.build.vectors > 0 => word(0x52, 0xc000),
            0x68..=0x69 => word(0x68, 0x71e0),
            _ => 0,
        }
    }

    /// The BAR and the offset in it that an access reaches.
    fn decode(&self, io: bool, address: u64) -> Option<(usize, u32)> {
        let bit = if io { pci::COMMAND_IO } else { pci::COMMAND_MEMORY };
        if self.command() & bit == 0 || self.power_state() != 0 {
            return None;
        }
        let bar0_bytes = if self.build.io_bar { 64 } else { 4096 };
        [(0, bar0_bytes), (1, 4096)].into_iter().find_map(|(index, bytes)| {
            let register = self.config_u32(pci::BAR0 + 4 * index as u16);
            let is_io = register & 1 == 1;
            let base = u64::from(register & !0xf);
            (is_io == io && base != 0 && (base..base + bytes).contains(&address))
                .then(|| (index, (address - base) as u32))
        })
    }

    fn bar_read(&mut self, io: bool, address: u64, width: Width) -> u32 {
        self.now += ACCESS;
        match self.decode(io, address) {
            Some((0, offset)) => {
                let value = self.register_read(offset, width) & width.ones();
                self.log.push(Access { write: false, offset, width, value });
                value
            }
            Some((_, offset)) if (offset as usize) < 16 * self.table.len() => {
                self.table[offset as usize / 16][offset as usize / 4 % 4]
            }
            Some(_) => 0,
            None => width.ones(),
        }
    }

    fn bar_write(&mut self, io: bool, address: u64, width: Width, value: u32) {
        self.now += ACCESS;
        match self.decode(io, address) {
            Some((0, offset)) => {
                self.log.push(Access { write: true, offset, width, value });
                self.register_write(offset, width, value);
            }
            Some((_, offset)) if (offset as usize) < 16 * self.table.len() => {
                self.table[offset as usize / 16][offset as usize / 4 % 4] = value;
            }
            _ => {}
        }
    }

    /// Sends the message of a vector, or asserts the line.
    fn raise(&mut self, vector: u16, isr: u8) {
        self.registers.isr |= isr;
        if !self.msix_enabled() {
            return;
        }
        if let Some([address, upper, data, 0]) = self.table.get(usize::from(vector)).copied() {
            self.messages += 1;
            let address = u64::from(upper) << 32 | u64::from(address);
            self.interrupts.push_back(Interrupt::Message { at: self.now, address, data });
        }
    }

    /// Changes the capacity as an administrator would.
    pub fn change_capacity(&mut self, sectors: u64) {
        self.build.sectors = sectors;
        self.disk.resize((sectors * blk::SECTOR_BYTES) as usize, 0);
        self.raise(self.registers.config_vector, ISR_QUEUE | ISR_CONFIG);
    }

    /// Values written to a register, in order.
    pub fn written(&self, offset: u32) -> Vec<u32> {
        self.log.iter().filter(|access| access.write && access.offset == offset).map(|access| access.value).collect()
    }

    fn line(&self) -> bool {
        let ours = !self.msix_enabled() && self.registers.isr != 0;
        self.line_is_held || ours && self.command() & pci::COMMAND_INTX_DISABLE == 0
    }
}

impl Platform for Machine {
    fn config_read(&mut self, function: FunctionId, offset: u16, width: Width) -> u32 {
        self.now += ACCESS;
        if !self.is_disk(function) || offset >= 256 {
            return width.ones();
        }
        self.config_u32(offset & !3) >> (8 * (offset % 4)) & width.ones()
    }

    fn config_write(&mut self, function: FunctionId, offset: u16, width: Width, value: u32) {
        self.now += ACCESS;
        let power = POWER_CAPABILITY + pci::POWER_CONTROL;
        if !self.is_disk(function) || self.stays_asleep && offset == power {
            return;
        }
        let asleep = self.power_state() != 0;
        for index in 0..u16::from(width.bytes()) {
            let mask = self.config_mask(offset + index);
            let byte = &mut self.config[(offset + index) as usize];
            *byte = *byte & !mask | (value >> (8 * index)) as u8 & mask;
        }
        if asleep && self.power_state() == 0 && self.forgets {
            self.config[usize::from(pci::COMMAND)..][..2].fill(0);
            self.config[usize::from(pci::BAR0)..][..4].copy_from_slice(&[u8::from(self.build.io_bar), 0, 0, 0]);
            self.config[usize::from(pci::BAR0) + 4..][..4].fill(0);
        }
    }

    fn io_read(&mut self, port: u32, width: Width) -> u32 {
        self.bar_read(true, port.into(), width)
    }

    fn io_write(&mut self, port: u32, width: Width, value: u32) {
        self.bar_write(true, port.into(), width, value);
    }

    fn mmio_read(&mut self, address: u64, width: Width) -> u32 {
        self.bar_read(false, address, width)
    }

    fn mmio_write(&mut self, address: u64, width: Width, value: u32) {
        self.bar_write(false, address, width, value);
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        self.allocator.allocate(bytes, align)
    }

    fn free(&mut self, address: u64, bytes: u64) {
        self.allocator.free(address, bytes);
    }

    fn wait_interrupt(&mut self, deadline: u64) -> Option<Interrupt> {
        if let Some(message) = self.interrupts.pop_front() {
            return Some(message);
        }
        if self.line() {
            assert!(self.now < deadline + 100 * ACCESS, "waiting goes on behind the deadline");
            return Some(Interrupt::Line { at: self.now, asserted: true });
        }
        self.now = self.now.max(deadline);
        None
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn run(&mut self, cycles: u64) {
        self.now += cycles;
    }
}
