//! Which device a configuration is of, for the commands that put something behind it, into the guest, or on its rings.
use crate::guest::{Initramfs, BALLOON_MODULES, BLK_MODULES, CONSOLE_MODULES, FIRMWARE_MODULES, NET_MODULES};
use anyhow::bail;
use virtio_hdl_rtl::config::DeviceType;
use virtio_hdl_rtl::device::{BALLOON, BLK, CONSOLE, FIRMWARE, NET};

/// The device types that the commands know; a `match` over them shows the compiler each place that a further one needs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// virtio-blk: a disk.
    Blk,
    /// virtio-net: a network card.
    Net,
    /// virtio-console: a console.
    Console,
    /// virtio-balloon: a memory balloon.
    Balloon,
    /// A program.
    Firmware,
}

impl Device {
    /// The device of a type; an error for one that has no commands.
    pub fn of(device: &DeviceType) -> anyhow::Result<Self> {
        let known = [
            (&BLK, Device::Blk),
            (&NET, Device::Net),
            (&CONSOLE, Device::Console),
            (&BALLOON, Device::Balloon),
            (&FIRMWARE, Device::Firmware),
        ];
        let Some((_, found)) = known.into_iter().find(|(known, _)| *known == device) else {
            bail!("{} can be generated, but no command drives it", device.title);
        };
        Ok(found)
    }

    /// What a guest does with it unless it is told otherwise.
    pub fn demo(self) -> &'static str {
        match self {
            Device::Blk => include_str!("qemu/blk.sh"),
            Device::Net => include_str!("qemu/net.sh"),
            Device::Console => include_str!("qemu/console.sh"),
            Device::Balloon => include_str!("qemu/balloon.sh"),
            Device::Firmware => include_str!("qemu/firmware.sh"),
        }
    }

    /// A guest that has its driver, and begins when the device is there.
    pub fn drive(self, initramfs: Initramfs<'_>) -> Initramfs<'_> {
        match self {
            Device::Blk => initramfs.modules(BLK_MODULES).wait_for("/dev/vda"),
            Device::Net => initramfs.modules(NET_MODULES),
            Device::Console => initramfs.modules(CONSOLE_MODULES),
            Device::Balloon => initramfs.modules(BALLOON_MODULES),
            Device::Firmware => initramfs.modules(FIRMWARE_MODULES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_hdl_rtl::device::TYPES;

    #[test]
    fn every_type_that_is_built_in_has_its_commands() {
        for device in TYPES {
            Device::of(device).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
