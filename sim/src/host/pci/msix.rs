//! MSI-X: the table behind a BAR, and the switch in the capability.
use super::{Bar, Function, PciError};
use crate::host::{Platform, Width};
use virtio_hdl_rtl::pcie::layout::*;

/// What a vector sends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MsixMessage {
    /// Where to.
    pub address: u64,
    /// What.
    pub data: u32,
}

/// The MSI-X capability of a function.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Msix {
    capability: u16,
    /// Entries of the table.
    pub vectors: u16,
    table: Bar,
    table_offset: u32,
    pending: Bar,
    pending_offset: u32,
}

impl Msix {
    /// Finds the table and the pending bits of a function.
    pub fn of(platform: &mut dyn Platform, function: &Function) -> Result<Self, PciError> {
        let capability = function.required(CAPABILITY_MSIX)?;
        let control = platform.config_read(function.id, capability + MSIX_CONTROL, Width::Word) as u16;
        let table = platform.config_read(function.id, capability + MSIX_TABLE, Width::Double);
        let pending = platform.config_read(function.id, capability + MSIX_PBA, Width::Double);
        Ok(Msix {
            capability,
            vectors: (control & MSIX_CONTROL_SIZE) + 1,
            table: function.bar((table & MSIX_BAR) as usize)?,
            table_offset: table & !MSIX_BAR,
            pending: function.bar((pending & MSIX_BAR) as usize)?,
            pending_offset: pending & !MSIX_BAR,
        })
    }

    /// Switches MSI-X on and INTx off, with these messages for the first vectors; the others stay masked.
    pub fn enable(
        &self,
        platform: &mut dyn Platform,
        function: &Function,
        messages: &[MsixMessage],
    ) -> Result<(), PciError> {
        if messages.len() > usize::from(self.vectors) {
            let (wanted, available) = (messages.len() as u16, self.vectors);
            return Err(PciError::Vectors { function: function.id, wanted, available });
        }
        // Masked as a whole until every entry is written.
        self.control(platform, function, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK, 0);
        for (vector, message) in messages.iter().enumerate() {
            self.write(platform, vector as u16, MSIX_ENTRY_ADDRESS, message.address as u32);
            self.write(platform, vector as u16, MSIX_ENTRY_UPPER_ADDRESS, (message.address >> 32) as u32);
            self.write(platform, vector as u16, MSIX_ENTRY_DATA, message.data);
            self.set_mask(platform, vector as u16, false);
        }
        function.command(platform, COMMAND_INTX_DISABLE, 0);
        self.control(platform, function, 0, MSIX_CONTROL_MASK);
        Ok(())
    }

    /// Switches MSI-X off and INTx on.
    pub fn disable(&self, platform: &mut dyn Platform, function: &Function) {
        for vector in 0..self.vectors {
            self.set_mask(platform, vector, true);
        }
        self.control(platform, function, 0, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK);
        function.command(platform, 0, COMMAND_INTX_DISABLE);
    }

    /// Masks or unmasks all vectors.
    pub fn set_function_mask(&self, platform: &mut dyn Platform, function: &Function, masked: bool) {
        let (set, clear) = if masked { (MSIX_CONTROL_MASK, 0) } else { (0, MSIX_CONTROL_MASK) };
        self.control(platform, function, set, clear);
    }

    /// Masks or unmasks a vector.
    pub fn set_mask(&self, platform: &mut dyn Platform, vector: u16, masked: bool) {
        self.write(platform, vector, MSIX_ENTRY_CONTROL, if masked { MSIX_ENTRY_MASKED } else { 0 });
    }

    /// Whether a vector waits to be unmasked.
    pub fn is_pending(&self, platform: &mut dyn Platform, vector: u16) -> bool {
        let offset = self.pending_offset.saturating_add(u32::from(vector / 32) * 4);
        self.pending.read(platform, offset, Width::Double) >> (vector % 32) & 1 == 1
    }

    fn write(&self, platform: &mut dyn Platform, vector: u16, field: u64, value: u32) {
        let entry = self.table_offset.saturating_add(u32::from(vector) * MSIX_ENTRY_BYTES as u32);
        self.table.write(platform, entry.saturating_add(field as u32), Width::Double, value);
    }

    fn control(&self, platform: &mut dyn Platform, function: &Function, set: u16, clear: u16) {
        let register = self.capability + MSIX_CONTROL;
        let control = platform.config_read(function.id, register, Width::Word) as u16;
        platform.config_write(function.id, register, Width::Word, (control & !clear | set).into());
    }
}
