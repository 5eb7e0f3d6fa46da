//! The register file of the software disk.
use super::Machine;
use virtio_hdl::host::Width;
use virtio_hdl_rtl::virtio::layout::*;

/// Queues that a machine can be built with.
pub const QUEUES: usize = 3;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct QueueRegisters {
    pub frame: u32,
    pub vector: u16,
    /// Next available entry to look at.
    pub seen: u16,
    /// Used entries written.
    pub used: u16,
}

impl Default for QueueRegisters {
    fn default() -> Self {
        QueueRegisters { frame: 0, vector: NO_VECTOR, seen: 0, used: 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    pub features: u32,
    pub select: u16,
    pub status: u8,
    pub isr: u8,
    pub config_vector: u16,
    pub queues: [QueueRegisters; QUEUES],
    /// Set by tests through the device configuration.
    pub scratch: u8,
}

impl Default for Registers {
    fn default() -> Self {
        Registers {
            features: 0,
            select: 0,
            status: 0,
            isr: 0,
            config_vector: NO_VECTOR,
            queues: [QueueRegisters::default(); QUEUES],
            scratch: 0,
        }
    }
}

/// A byte of the device configuration that can be written: the first behind the block size.
pub const SCRATCH: u32 = blk::CONFIG_BYTES;

impl Machine {
    fn device_config(&self, offset: u32) -> u8 {
        let mut bytes = [0; blk::CONFIG_BYTES as usize + 1];
        bytes[0..8].copy_from_slice(&self.build.sectors.to_le_bytes());
        bytes[20..24].copy_from_slice(&512_u32.to_le_bytes());
        bytes[SCRATCH as usize] = self.registers.scratch;
        bytes.get(offset as usize).copied().unwrap_or(0xff)
    }

    pub(super) fn register_read(&mut self, offset: u32, width: Width) -> u32 {
        let msix = self.msix_enabled();
        let config = device_config_offset(msix);
        let registers = &mut self.registers;
        let queue = registers.queues[usize::from(registers.select)];
        match (offset, width) {
            (HOST_FEATURES, Width::Double) => self.build.features,
            (GUEST_FEATURES, Width::Double) => registers.features,
            (QUEUE_PFN, Width::Double) => queue.frame,
            (QUEUE_NUM, Width::Word) => self.build.queue_size.into(),
            (QUEUE_SEL, Width::Word) => registers.select.into(),
            (STATUS, Width::Byte) => registers.status.into(),
            (ISR, Width::Byte) => std::mem::take(&mut registers.isr).into(),
            (CONFIG_VECTOR, Width::Word) if msix => registers.config_vector.into(),
            (QUEUE_VECTOR, Width::Word) if msix => queue.vector.into(),
            _ if offset >= config => (0..u32::from(width.bytes()))
                .map(|index| u32::from(self.device_config(offset - config + index)) << (8 * index))
                .sum(),
            _ => u32::MAX,
        }
    }

    pub(super) fn register_write(&mut self, offset: u32, width: Width, value: u32) {
        let msix = self.msix_enabled();
        let offered = self.build.features;
        let accepted = |value: u32, build: &super::Build| {
            let ok = value < u32::from(build.vectors) && value < u32::from(build.refused_from);
            if ok {
                value as u16
            } else {
                NO_VECTOR
            }
        };
        let (queues, registers) = (u32::from(self.build.queues), &mut self.registers);
        let queue = &mut registers.queues[usize::from(registers.select)];
        match (offset, width) {
            (GUEST_FEATURES, Width::Double) => registers.features = value & offered,
            (QUEUE_PFN, Width::Double) if value == 0 => self.reset(),
            (QUEUE_PFN, Width::Double) => queue.frame = value,
            (QUEUE_SEL, Width::Word) if value < queues => registers.select = value as u16,
            (QUEUE_NOTIFY, Width::Word) if value < queues && !self.deaf => self.kicked(value as usize),
            (STATUS, Width::Byte) if value == 0 => self.reset(),
            (STATUS, Width::Byte) => registers.status = value as u8,
            (CONFIG_VECTOR, Width::Word) if msix => registers.config_vector = accepted(value, &self.build),
            (QUEUE_VECTOR, Width::Word) if msix => queue.vector = accepted(value, &self.build),
            (_, Width::Byte) if offset == device_config_offset(msix) + SCRATCH => registers.scratch = value as u8,
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.registers = Registers::default();
    }
}
