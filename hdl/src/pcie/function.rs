//! What a PCI function is made with.
use super::{layout, registers as at};

/// Where BAR0 lies.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BarSpace {
    /// I/O space, the legacy default.
    Io,
    /// 32-bit memory space, not prefetchable.
    Memory,
}

/// Identity, BARs and limits of the function; they become constants of its config space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionConfig {
    /// Vendor id.
    pub vendor_id: u16,
    /// Device id.
    pub device_id: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code, 24 bits: base class, subclass, interface.
    pub class: u32,
    /// Subsystem vendor id.
    pub subsystem_vendor_id: u16,
    /// Subsystem id.
    pub subsystem_id: u16,
    /// Where BAR0 lies.
    pub bar0_space: BarSpace,
    /// Bytes of BAR0, a power of two: 4 to 256 in I/O space, 16 to 4096 in memory space.
    pub bar0_size: u32,
    /// MSI-X vectors, at most 64; 0 leaves MSI-X and BAR1 out.
    pub vectors: u16,
    /// Largest payload supported: 128 << n bytes, n at most 5.
    pub max_payload: u8,
    /// Link speed: 1 for 2.5, 2 for 5, 3 for 8 GT/s.
    pub link_speed: u8,
    /// Lanes.
    pub link_width: u8,
    /// Double words of diagnostics, at most [`at::MAX_DIAGNOSTICS`].
    pub diagnostics: u8,
}

impl FunctionConfig {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let sizes = match self.bar0_space {
            BarSpace::Io => 4..=256,
            BarSpace::Memory => 16..=4096,
        };
        if !self.bar0_size.is_power_of_two() || !sizes.contains(&self.bar0_size) {
            return Err(format!(
                "BAR0 of {} bytes: a power of two from {} to {} is allowed",
                self.bar0_size,
                sizes.start(),
                sizes.end()
            ));
        }
        if self.vectors > at::MAX_VECTORS {
            return Err(format!("{} MSI-X vectors: at most {} are allowed", self.vectors, at::MAX_VECTORS));
        }
        if self.class > 0xff_ffff {
            return Err(format!("class {:#x}: a class code has 24 bits", self.class));
        }
        if self.max_payload > 5 {
            return Err(format!("maximum payload code {}: 0 to 5 are allowed", self.max_payload));
        }
        if !(1..=3).contains(&self.link_speed) {
            return Err(format!("link speed {}: 1 to 3 are allowed", self.link_speed));
        }
        if ![1, 2, 4, 8, 12, 16].contains(&self.link_width) {
            return Err(format!("link width {}: 1, 2, 4, 8, 12 and 16 are allowed", self.link_width));
        }
        if self.diagnostics > at::MAX_DIAGNOSTICS {
            let (words, most) = (self.diagnostics, at::MAX_DIAGNOSTICS);
            return Err(format!("{words} double words of diagnostics: at most {most} are allowed"));
        }
        Ok(())
    }

    /// Bytes of BAR1, 0 when there is none.
    pub fn bar1_size(&self) -> u32 {
        if self.vectors == 0 {
            0
        } else {
            at::BAR1_BYTES
        }
    }

    pub(super) fn id(&self) -> u32 {
        u32::from(self.device_id) << 16 | u32::from(self.vendor_id)
    }

    pub(super) fn class_revision(&self) -> u32 {
        self.class << 8 | u32::from(self.revision)
    }

    pub(super) fn subsystem(&self) -> u32 {
        u32::from(self.subsystem_id) << 16 | u32::from(self.subsystem_vendor_id)
    }

    /// An enable bit for a space without BARs reads 0.
    pub(super) fn command_writable(&self) -> u16 {
        let mut writable = at::COMMAND_WRITABLE;
        if self.bar0_space == BarSpace::Io {
            writable |= layout::COMMAND_IO;
        }
        if self.bar0_space == BarSpace::Memory || self.vectors > 0 {
            writable |= layout::COMMAND_MEMORY;
        }
        writable
    }

    /// BAR0 as it reads after all ones were written, without its kind.
    pub fn bar0_mask(&self) -> u32 {
        !(self.bar0_size - 1)
    }

    /// The kind of BAR0: bit 0 for I/O space.
    pub fn bar0_kind(&self) -> u32 {
        match self.bar0_space {
            BarSpace::Io => layout::BAR_IO,
            BarSpace::Memory => 0,
        }
    }

    /// BAR1 as it reads after all ones were written; 0 when there is none.
    pub fn bar1_mask(&self) -> u32 {
        match self.bar1_size() {
            0 => 0,
            size => !(size - 1),
        }
    }

    pub(super) fn power_capability(&self) -> u32 {
        let next = if self.vectors > 0 { at::MSIX_CAPABILITY } else { at::EXPRESS_CAPABILITY };
        capability(layout::CAPABILITY_POWER, next, at::POWER_CAPABILITIES)
    }

    pub(super) fn msix_capability(&self) -> u32 {
        match self.vectors {
            0 => 0,
            vectors => capability(layout::CAPABILITY_MSIX, at::EXPRESS_CAPABILITY, vectors - 1),
        }
    }

    /// The MSI-X capability's table register: offset and BAR; 0 without vectors.
    pub fn msix_table(&self) -> u32 {
        if self.vectors > 0 {
            at::MSIX_TABLE_OFFSET | 1
        } else {
            0
        }
    }

    /// The MSI-X capability's PBA register: offset and BAR; 0 without vectors.
    pub fn msix_pba(&self) -> u32 {
        if self.vectors > 0 {
            at::MSIX_PBA_OFFSET | 1
        } else {
            0
        }
    }

    pub(super) fn express_capability(&self) -> u32 {
        capability(layout::CAPABILITY_EXPRESS, at::VENDOR_CAPABILITY, at::EXPRESS_CAPABILITIES)
    }

    pub(super) fn device_capabilities(&self) -> u32 {
        u32::from(self.max_payload)
            | layout::EXPRESS_EXTENDED_TAG_SUPPORTED
            | at::EXPRESS_ROLE_BASED_ERRORS
            | layout::EXPRESS_FUNCTION_RESET_SUPPORTED
    }

    /// No ranges: the timeout is what the configuration says.
    pub(super) fn device_capabilities_2(&self) -> u32 {
        layout::EXPRESS_TIMEOUT_DISABLE_SUPPORTED
    }

    pub(super) fn link_capabilities(&self) -> u32 {
        u32::from(self.link_speed) | u32::from(self.link_width) << 4 | at::EXPRESS_ASPM_OPTIONALITY
    }

    pub(super) fn link_status(&self) -> u16 {
        u16::from(self.link_speed) | u16::from(self.link_width) << 4 | at::EXPRESS_SLOT_CLOCK
    }

    /// Every speed up to the link's own.
    pub(super) fn link_speeds(&self) -> u32 {
        ((1 << self.link_speed) - 1) << 1
    }

    pub(super) fn vendor_capability(&self) -> u32 {
        capability(layout::CAPABILITY_VENDOR, 0, 4 + 4 * u16::from(self.diagnostics))
    }
}

/// First double word of a capability: id, offset of the next one, and the two bytes behind them.
fn capability(id: u8, next: u16, word: u16) -> u32 {
    u32::from(id) | u32::from(next) << 8 | u32::from(word) << 16
}
