//! Configuration space put aside over a suspend.
use super::Function;
use crate::host::{Platform, Width};
use virtio_hdl_rtl::pcie::layout::*;

/// What a function's configuration space held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    header: [u32; 16],
    express_control: Option<u16>,
    msix_control: Option<u16>,
}

impl Function {
    /// Puts the header and the switches in the capabilities aside.
    pub fn save(&self, platform: &mut dyn Platform) -> SavedState {
        let mut header = [0; 16];
        for (index, word) in header.iter_mut().enumerate() {
            *word = platform.config_read(self.id, 4 * index as u16, Width::Double);
        }
        let mut word = |id, register| {
            self.capability(id).map(|offset| platform.config_read(self.id, offset + register, Width::Word) as u16)
        };
        SavedState {
            header,
            express_control: word(CAPABILITY_EXPRESS, EXPRESS_DEVICE_CONTROL),
            msix_control: word(CAPABILITY_MSIX, MSIX_CONTROL),
        }
    }

    /// Writes back what was put aside: capabilities first, then the header from its end, so that the BARs are
    /// there before the command register lets the function answer.
    pub fn restore(&self, platform: &mut dyn Platform, saved: &SavedState) {
        let words = [
            (CAPABILITY_EXPRESS, EXPRESS_DEVICE_CONTROL, saved.express_control),
            (CAPABILITY_MSIX, MSIX_CONTROL, saved.msix_control),
        ];
        for (id, register, value) in words {
            if let (Some(offset), Some(value)) = (self.capability(id), value) {
                platform.config_write(self.id, offset + register, Width::Word, value.into());
            }
        }
        for (index, word) in saved.header.iter().enumerate().rev() {
            let offset = 4 * index as u16;
            // The upper half of this double word is the status register, where writing ones clears bits.
            let (width, value) = if offset == COMMAND { (Width::Word, word & 0xffff) } else { (Width::Double, *word) };
            if platform.config_read(self.id, offset, width) != value {
                platform.config_write(self.id, offset, width, value);
            }
        }
    }
}
