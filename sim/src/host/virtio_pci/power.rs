//! Sleep, waking, removal.
use super::{DriverError, VirtioPci};
use crate::host::pci::Bus;
use crate::host::Platform;
use virtio_hdl_rtl::pcie::layout::CAPABILITY_POWER;
use virtio_hdl_rtl::virtio::layout::STATUS_FAILED;

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

    /// Resets the device, takes its queues back, switches the function off and gives its registers back, all of it even when
    /// something fails; then the first error is told.
    pub fn remove(mut self, platform: &mut dyn Platform, bus: &mut Bus) -> Result<(), DriverError> {
        let resumed = self.resume(platform);
        let reset = self.reset(platform);
        self.let_go(platform, bus);
        resumed.and(reset)
    }

    /// The driver gives up: the same, but the device is told so, and keeps its status FAILED for the next one to see.
    pub fn abandon(mut self, platform: &mut dyn Platform, bus: &mut Bus) {
        let reset = self.reset(platform);
        self.delete_queues(platform);
        if let Err(error) = reset.and_then(|()| self.add_status(platform, STATUS_FAILED)) {
            tracing::debug!(%error, "a device that its driver gives up does not take FAILED");
        }
        self.let_go(platform, bus);
    }

    fn let_go(&mut self, platform: &mut dyn Platform, bus: &mut Bus) {
        self.delete_queues(platform);
        self.function.disable(platform);
        bus.release_all(self.function.id);
    }
}
