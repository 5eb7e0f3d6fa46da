//! Numbers of the PCI configuration space and of the MSI-X table.
//!
//! Source: PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification, section 7.5 and 7.7.

/// Vendor id, u16.
pub const VENDOR_ID: u16 = 0x00;
/// Device id, u16.
pub const DEVICE_ID: u16 = 0x02;
/// Command, u16.
pub const COMMAND: u16 = 0x04;
/// Status, u16.
pub const STATUS: u16 = 0x06;
/// Revision id, u8.
pub const REVISION_ID: u16 = 0x08;
/// Class code, 3 bytes: interface, subclass, base class.
pub const CLASS_CODE: u16 = 0x09;
/// Cache line size, u8.
pub const CACHE_LINE_SIZE: u16 = 0x0c;
/// Header type, u8; bit 7: more than one function.
pub const HEADER_TYPE: u16 = 0x0e;
/// First of six base address registers, u32 each.
pub const BAR0: u16 = 0x10;
/// Subsystem vendor id, u16.
pub const SUBSYSTEM_VENDOR_ID: u16 = 0x2c;
/// Subsystem id, u16.
pub const SUBSYSTEM_ID: u16 = 0x2e;
/// Offset of the first capability, u8.
pub const CAPABILITY_POINTER: u16 = 0x34;
/// Interrupt line, u8: for software only.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Interrupt pin, u8: 1 is INTA.
pub const INTERRUPT_PIN: u16 = 0x3d;

/// Command: the function answers I/O requests.
pub const COMMAND_IO: u16 = 1 << 0;
/// Command: the function answers memory requests.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: the function may send memory requests.
pub const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Command: the function must not assert INTx.
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Status: INTx is wanted, whether or not it is disabled.
pub const STATUS_INTERRUPT: u16 = 1 << 3;
/// Status: there is a capability list.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;

/// BAR bit 0: I/O space.
pub const BAR_IO: u32 = 1;
/// BAR bits 2:1 of a 64-bit memory BAR.
pub const BAR_MEMORY_64: u32 = 0b100;

/// Capability id: power management.
pub const CAPABILITY_POWER: u8 = 0x01;
/// Capability id: vendor specific.
pub const CAPABILITY_VENDOR: u8 = 0x09;
/// Capability id: PCI Express.
pub const CAPABILITY_EXPRESS: u8 = 0x10;
/// Capability id: MSI-X.
pub const CAPABILITY_MSIX: u8 = 0x11;

/// Power management: control and status, u16, from the capability's start.
pub const POWER_CONTROL: u16 = 4;
/// Power management control: the power state, 0 for D0 and 3 for D3hot.
pub const POWER_STATE: u16 = 3;

/// PCI Express: device capabilities, u32.
pub const EXPRESS_DEVICE_CAPABILITIES: u16 = 4;
/// PCI Express: device control, u16.
pub const EXPRESS_DEVICE_CONTROL: u16 = 8;
/// Device capabilities bits 2:0: largest payload, 128 << n bytes.
pub const EXPRESS_MAX_PAYLOAD_SUPPORTED: u32 = 7;
/// Device capabilities: tags of 8 bits.
pub const EXPRESS_EXTENDED_TAG_SUPPORTED: u32 = 1 << 5;
/// Device capabilities: function-level reset.
pub const EXPRESS_FUNCTION_RESET_SUPPORTED: u32 = 1 << 28;
/// Device control: lowest bit of the largest payload, 3 bits, 128 << n bytes.
pub const EXPRESS_MAX_PAYLOAD_SHIFT: u16 = 5;
/// Device control: tags of 8 bits.
pub const EXPRESS_EXTENDED_TAG: u16 = 1 << 8;
/// Device control: lowest bit of the largest read request, 3 bits, 128 << n bytes.
pub const EXPRESS_MAX_READ_REQUEST_SHIFT: u16 = 12;
/// Device control: writing 1 resets the function.
pub const EXPRESS_FUNCTION_RESET: u16 = 1 << 15;

/// PCI Express: device capabilities 2, u32.
pub const EXPRESS_DEVICE_CAPABILITIES_2: u16 = 0x24;
/// PCI Express: device control 2, u16.
pub const EXPRESS_DEVICE_CONTROL_2: u16 = 0x28;
/// Device capabilities 2: the completion timeout can be disabled.
pub const EXPRESS_TIMEOUT_DISABLE_SUPPORTED: u32 = 1 << 4;
/// Device control 2: no completion timeout.
pub const EXPRESS_TIMEOUT_DISABLE: u16 = 1 << 4;

/// MSI-X: message control, u16.
pub const MSIX_CONTROL: u16 = 2;
/// MSI-X: table BAR and offset, u32.
pub const MSIX_TABLE: u16 = 4;
/// MSI-X: PBA BAR and offset, u32.
pub const MSIX_PBA: u16 = 8;
/// Message control: vectors - 1.
pub const MSIX_CONTROL_SIZE: u16 = 0x7ff;
/// Message control: all vectors masked.
pub const MSIX_CONTROL_MASK: u16 = 1 << 14;
/// Message control: MSI-X in place of INTx.
pub const MSIX_CONTROL_ENABLE: u16 = 1 << 15;
/// Table and PBA register: which BAR; the other bits are the offset in it.
pub const MSIX_BAR: u32 = 7;
/// Bytes of a table entry.
pub const MSIX_ENTRY_BYTES: u64 = 16;
/// Table entry: message address, lower half.
pub const MSIX_ENTRY_ADDRESS: u64 = 0;
/// Table entry: message address, upper half.
pub const MSIX_ENTRY_UPPER_ADDRESS: u64 = 4;
/// Table entry: message data.
pub const MSIX_ENTRY_DATA: u64 = 8;
/// Table entry: vector control.
pub const MSIX_ENTRY_CONTROL: u64 = 12;
/// Vector control: masked.
pub const MSIX_ENTRY_MASKED: u32 = 1;
