//! Sleep, waking, removal.
use super::{DriverError, VirtioPci, REGISTER_BAR};
use crate::host::pci::Bus;
use crate::host::Platform;
use virtio_hdl_rtl::pcie::layout::CAPABILITY_POWER;

/// Power state D0: on.
const ON: u16 = 0;
/// Power state D3hot: the function answers configuration requests only.
const HOT_OFF: u16 = 3;

impl VirtioPci {
    /// Saves configuration space and sends the function to D3hot. A function without power management only saves.
    pub fn suspend(&mut self, platform: &mut dyn Platform) -> Result<(), DriverError> {
        let saved = self.function.save(platform);
        if self.function.capability(CAPABILITY_POWER).is_some() {
            self.function.set_power_state(platform, HOT_OFF)?;
        }
        self.suspended = Some(saved);
        Ok(())
    }

    /// Brings the function back to D0 and restores configuration space and the MSI-X table.
    pub fn resume(&mut self, platform: &mut dyn Platform) -> Result<(), DriverError> {
        let Some(saved) = self.suspended.take() else { return Ok(()) };
        if self.function.capability(CAPABILITY_POWER).is_some() {
            self.function.set_power_state(platform, ON)?;
        }
        self.function.restore(platform, &saved);
        if let Some(msix) = self.vectors.msix() {
            msix.enable(platform, &self.function, self.vectors.messages())?;
        }
        Ok(())
    }

    /// Resets the device, takes its queues back, switches the function off and gives its registers back.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        self.resume(platform)?;
        let reset = self.reset(platform);
        self.delete_queues(platform);
        self.function.disable(platform);
        bus.release(self.function.id, REGISTER_BAR);
        reset
    }
}
