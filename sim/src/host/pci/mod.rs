//! PCI as firmware and operating system do it: find functions, size and place base address registers, walk
//! capabilities, switch MSI-X, save and restore.
mod msix;
mod saved;

use super::{Platform, Width};
use crate::link::FunctionId;
use std::ops::{Range, RangeInclusive};
use thiserror::Error;
use virtio_hdl_rtl::pcie::layout::*;

pub use msix::{Msix, MsixMessage};
pub use saved::SavedState;

/// A base address register and the window that it opens.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// I/O ports or memory.
    pub space: Space,
    /// First port or address.
    pub address: u64,
    /// Size, a power of two.
    pub bytes: u64,
}

/// What a base address register opens.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Space {
    /// I/O ports.
    Io,
    /// Memory.
    Memory,
}

impl Bar {
    /// Reads at an offset in the window.
    pub fn read(&self, platform: &mut dyn Platform, offset: u32, width: Width) -> u32 {
        match self.space {
            Space::Io => platform.io_read(self.address as u32 + offset, width),
            Space::Memory => platform.mmio_read(self.address + u64::from(offset), width),
        }
    }

    /// Writes at an offset in the window.
    pub fn write(&self, platform: &mut dyn Platform, offset: u32, width: Width, value: u32) {
        match self.space {
            Space::Io => platform.io_write(self.address as u32 + offset, width, value),
            Space::Memory => platform.mmio_write(self.address + u64::from(offset), width, value),
        }
    }
}

/// An entry of the capability list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is.
    pub id: u8,
    /// Where it starts in configuration space.
    pub offset: u16,
}

/// What is wrong with a function.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PciError {
    /// A base address register with no sensible size.
    #[error("{function}: BAR{index} reads {value:#010x} after all ones were written")]
    BarSize { function: FunctionId, index: usize, value: u32 },
    /// No room in the windows.
    #[error("{function}: no room for the {bytes} bytes of BAR{index}")]
    NoRoom { function: FunctionId, index: usize, bytes: u64 },
    /// A capability list that does not end or leaves the standard space.
    #[error("{function}: the capability list is broken at {offset:#x}")]
    CapabilityList { function: FunctionId, offset: u16 },
    /// Not there.
    #[error("{function}: there is no such function")]
    NoFunction { function: FunctionId },
    /// Not there.
    #[error("{function}: there is no BAR{index}")]
    NoBar { function: FunctionId, index: usize },
    /// A driver has it already.
    #[error("{function}: BAR{index} is claimed by a driver")]
    Claimed { function: FunctionId, index: usize },
    /// The function has no such capability.
    #[error("{function}: there is no capability {id:#04x}")]
    NoCapability { function: FunctionId, id: u8 },
    /// More vectors than the table has.
    #[error("{function}: {wanted} vectors are wanted, the MSI-X table has {available}")]
    Vectors { function: FunctionId, wanted: u16, available: u16 },
    /// The function did not come back to full power.
    #[error("{function}: the power state is {state}, not {wanted}")]
    PowerState { function: FunctionId, state: u16, wanted: u16 },
}

/// How a bus is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Buses to look at.
    pub buses: RangeInclusive<u8>,
    /// Ports for I/O BARs.
    pub io: Range<u64>,
    /// Addresses for memory BARs.
    pub memory: Range<u64>,
    /// MPS, bytes; a function gets no more than it supports.
    pub max_payload: u16,
    /// MRRS, bytes.
    pub max_read_request: u16,
    /// Tags of 8 bits where they are supported.
    pub extended_tag: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            buses: 0..=1,
            io: 0xc000..0x1_0000,
            memory: 0xe000_0000..0xf000_0000,
            max_payload: 256,
            max_read_request: 512,
            extended_tag: true,
        }
    }
}

/// The functions that were found.
#[derive(Clone, Debug, Default)]
pub struct Bus {
    functions: Vec<Function>,
    /// BARs that drivers have claimed.
    claims: Vec<(FunctionId, usize)>,
}

impl Bus {
    /// Finds the functions, sizes and places their BARs, and sets MPS, MRRS and tags. Nothing is switched on.
    pub fn scan(platform: &mut dyn Platform, options: &Options) -> Result<Self, PciError> {
        let mut bus = Bus::default();
        let mut windows = [options.io.clone(), options.memory.clone()];
        for number in options.buses.clone() {
            for device in 0..32 {
                for function in 0..8 {
                    let id = FunctionId::new(number, device, function);
                    let Some(mut found) = Function::identify(platform, id)? else {
                        // Every device has a function 0; of the others any may be missing.
                        if function == 0 {
                            break;
                        }
                        continue;
                    };
                    found.place_bars(platform, &mut windows)?;
                    found.set_express(platform, options);
                    found.silence(platform);
                    let single = !found.multifunction;
                    bus.functions.push(found);
                    if single {
                        break;
                    }
                }
            }
        }
        Ok(bus)
    }

    /// The functions in order.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// One of them.
    pub fn function(&self, id: FunctionId) -> Result<&Function, PciError> {
        self.functions.iter().find(|function| function.id == id).ok_or(PciError::NoFunction { function: id })
    }

    /// Claims a BAR for a driver.
    pub fn claim(&mut self, id: FunctionId, index: usize) -> Result<Bar, PciError> {
        let bar = self.function(id)?.bar(index)?;
        if self.claims.contains(&(id, index)) {
            return Err(PciError::Claimed { function: id, index });
        }
        self.claims.push((id, index));
        Ok(bar)
    }

    /// Claims all BARs of a function for a driver, or none.
    pub fn claim_all(&mut self, id: FunctionId) -> Result<(), PciError> {
        let function = self.function(id)?;
        let there: Vec<usize> = (0..function.bars.len()).filter(|index| function.bars[*index].is_some()).collect();
        for index in &there {
            if let Err(error) = self.claim(id, *index) {
                self.claims.retain(|(claimed, other)| *claimed != id || other >= index);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives the claimed BARs of a function back.
    pub fn release_all(&mut self, id: FunctionId) {
        self.claims.retain(|(claimed, _)| *claimed != id);
    }
}

/// A function of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub id: FunctionId,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code, 24 bits: base class, subclass, interface.
    pub class: u32,
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
    /// 1 for INTA, 0 for none.
    pub interrupt_pin: u8,
    /// The device may have more functions.
    pub multifunction: bool,
    /// Base address registers; the upper half of a wide one is `None`.
    pub bars: [Option<Bar>; 6],
    /// Capability list in its order.
    pub capabilities: Vec<Capability>,
}

impl Function {
    fn identify(platform: &mut dyn Platform, id: FunctionId) -> Result<Option<Self>, PciError> {
        let mut read = |offset, width| platform.config_read(id, offset, width);
        let vendor = read(VENDOR_ID, Width::Word) as u16;
        if vendor == u16::MAX {
            return Ok(None);
        }
        let mut function = Function {
            id,
            vendor,
            device: read(DEVICE_ID, Width::Word) as u16,
            revision: read(REVISION_ID, Width::Byte) as u8,
            class: read(REVISION_ID, Width::Double) >> 8,
            subsystem_vendor: read(SUBSYSTEM_VENDOR_ID, Width::Word) as u16,
            subsystem: read(SUBSYSTEM_ID, Width::Word) as u16,
            interrupt_pin: read(INTERRUPT_PIN, Width::Byte) as u8,
            multifunction: read(HEADER_TYPE, Width::Byte) & 0x80 != 0,
            bars: [None; 6],
            capabilities: Vec::new(),
        };
        if read(STATUS, Width::Word) as u16 & STATUS_CAPABILITIES != 0 {
            let mut offset = read(CAPABILITY_POINTER, Width::Byte) as u16 & 0xfc;
            while offset != 0 {
                // More entries than fit above the header: the list is a loop.
                if offset < 0x40 || function.capabilities.len() == 48 {
                    return Err(PciError::CapabilityList { function: id, offset });
                }
                let entry = read(offset, Width::Word);
                function.capabilities.push(Capability { id: entry as u8, offset });
                offset = (entry >> 8) as u16 & 0xfc;
            }
        }
        Ok(Some(function))
    }

    /// Switches MSI-X off if an earlier kernel has left it on, as Linux does (drivers/pci/msi, `pci_msix_init`): a driver begins
    /// without it.
    fn silence(&self, platform: &mut dyn Platform) {
        let Some(capability) = self.capability(CAPABILITY_MSIX) else { return };
        let control = platform.config_read(self.id, capability + MSIX_CONTROL, Width::Word) as u16;
        if control & MSIX_CONTROL_ENABLE != 0 {
            let off = u32::from(control & !MSIX_CONTROL_ENABLE);
            platform.config_write(self.id, capability + MSIX_CONTROL, Width::Word, off);
        }
    }

    fn place_bars(&mut self, platform: &mut dyn Platform, windows: &mut [Range<u64>; 2]) -> Result<(), PciError> {
        let id = self.id;
        // Nothing may answer at the odd addresses that sizing leaves for a moment.
        self.command(platform, 0, COMMAND_IO | COMMAND_MEMORY);
        let mut index = 0;
        while index < self.bars.len() {
            let register = BAR0 + 4 * index as u16;
            let mut size = |register| {
                platform.config_write(id, register, Width::Double, u32::MAX);
                platform.config_read(id, register, Width::Double)
            };
            let mask = size(register);
            if mask == 0 {
                index += 1;
                continue;
            }
            let space = if mask & BAR_IO != 0 { Space::Io } else { Space::Memory };
            let wide = space == Space::Memory && mask & 0b110 == BAR_MEMORY_64;
            let upper = if wide { size(register + 4) } else { u32::MAX };
            let decoded = match space {
                // A function may leave the upper half of an I/O BAR at 0.
                Space::Io => mask & !3 | 0xffff_0000,
                Space::Memory => mask & !0xf,
            };
            let bytes = (!(u64::from(upper) << 32 | u64::from(decoded))).wrapping_add(1);
            if !bytes.is_power_of_two() {
                return Err(PciError::BarSize { function: id, index, value: mask });
            }
            let window = &mut windows[usize::from(space == Space::Memory)];
            // A device may claim to have as much as it likes.
            let place = window.start.checked_next_multiple_of(bytes);
            let place = place.and_then(|address| Some((address, address.checked_add(bytes)?)));
            let Some((address, end)) = place.filter(|(_, end)| *end <= window.end) else {
                return Err(PciError::NoRoom { function: id, index, bytes });
            };
            window.start = end;
            platform.config_write(id, register, Width::Double, address as u32);
            if wide {
                platform.config_write(id, register + 4, Width::Double, (address >> 32) as u32);
            }
            self.bars[index] = Some(Bar { space, address, bytes });
            index += if wide { 2 } else { 1 };
        }
        Ok(())
    }

    fn set_express(&self, platform: &mut dyn Platform, options: &Options) {
        let Some(offset) = self.capability(CAPABILITY_EXPRESS) else { return };
        let supported = platform.config_read(self.id, offset + EXPRESS_DEVICE_CAPABILITIES, Width::Double);
        let code = |bytes: u16| (bytes / 128).checked_ilog2().unwrap_or(0) as u16;
        let payload = code(options.max_payload).min((supported & EXPRESS_MAX_PAYLOAD_SUPPORTED) as u16);
        let mut control =
            payload << EXPRESS_MAX_PAYLOAD_SHIFT | code(options.max_read_request) << EXPRESS_MAX_READ_REQUEST_SHIFT;
        if options.extended_tag && supported & EXPRESS_EXTENDED_TAG_SUPPORTED != 0 {
            control |= EXPRESS_EXTENDED_TAG;
        }
        platform.config_write(self.id, offset + EXPRESS_DEVICE_CONTROL, Width::Word, control.into());
    }

    /// Where a capability is.
    pub fn capability(&self, id: u8) -> Option<u16> {
        self.capabilities.iter().find(|capability| capability.id == id).map(|capability| capability.offset)
    }

    fn required(&self, id: u8) -> Result<u16, PciError> {
        self.capability(id).ok_or(PciError::NoCapability { function: self.id, id })
    }

    /// A base address register.
    pub fn bar(&self, index: usize) -> Result<Bar, PciError> {
        self.bars.get(index).copied().flatten().ok_or(PciError::NoBar { function: self.id, index })
    }

    /// Sets and clears bits of the command register.
    pub fn command(&self, platform: &mut dyn Platform, set: u16, clear: u16) {
        let command = platform.config_read(self.id, COMMAND, Width::Word) as u16;
        platform.config_write(self.id, COMMAND, Width::Word, (command & !clear | set).into());
    }

    /// Full power, and answers at its BARs.
    pub fn enable(&self, platform: &mut dyn Platform) -> Result<(), PciError> {
        if self.capability(CAPABILITY_POWER).is_some() {
            self.set_power_state(platform, 0)?;
        }
        // INTx may be used, as Linux's do_pci_enable_device says too: an earlier kernel may have switched it off
        self.command(platform, COMMAND_IO | COMMAND_MEMORY, COMMAND_INTX_DISABLE);
        Ok(())
    }

    /// No DMA, no answers at its BARs.
    pub fn disable(&self, platform: &mut dyn Platform) {
        self.command(platform, 0, COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER);
    }

    /// May do DMA and send message interrupts.
    pub fn set_master(&self, platform: &mut dyn Platform) {
        self.command(platform, COMMAND_BUS_MASTER, 0);
    }

    /// Power state: 0 for D0, 3 for D3hot.
    pub fn set_power_state(&self, platform: &mut dyn Platform, wanted: u16) -> Result<(), PciError> {
        let register = self.required(CAPABILITY_POWER)? + POWER_CONTROL;
        let control = platform.config_read(self.id, register, Width::Word) as u16;
        platform.config_write(self.id, register, Width::Word, (control & !POWER_STATE | wanted).into());
        let state = platform.config_read(self.id, register, Width::Word) as u16 & POWER_STATE;
        if state == wanted {
            Ok(())
        } else {
            Err(PciError::PowerState { function: self.id, state, wanted })
        }
    }

    /// Function-level reset. What configuration space held is gone.
    pub fn reset(&self, platform: &mut dyn Platform) -> Result<(), PciError> {
        let register = self.required(CAPABILITY_EXPRESS)? + EXPRESS_DEVICE_CONTROL;
        let control = platform.config_read(self.id, register, Width::Word);
        platform.config_write(self.id, register, Width::Word, control | u32::from(EXPRESS_FUNCTION_RESET));
        Ok(())
    }
}
