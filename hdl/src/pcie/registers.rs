//! Where this function's registers are: capability offsets, BAR1 offsets, diagnostics. The numbers that every
//! PCI function shares are in [`super::layout`].

/// First capability: power management.
pub const POWER_CAPABILITY: u16 = 0x40;
/// MSI-X capability; not in the list of a function without vectors.
pub const MSIX_CAPABILITY: u16 = 0x50;
/// PCI Express capability.
pub const EXPRESS_CAPABILITY: u16 = 0x60;
/// Vendor-specific capability with the diagnostics, which are in BAR1 too.
pub const VENDOR_CAPABILITY: u16 = 0xa0;
/// First diagnostics double word, behind the capability's header.
pub const DIAGNOSTICS: u16 = 0xa4;
/// Diagnostics double words at most: to the end of the first 256 bytes.
pub const MAX_DIAGNOSTICS: u8 = 23;

/// Vectors at most.
pub const MAX_VECTORS: u16 = 64;
/// Offset of the MSI-X table in BAR1.
pub const MSIX_TABLE_OFFSET: u32 = 0;
/// Offset of the MSI-X pending bit array in BAR1.
pub const MSIX_PBA_OFFSET: u32 = 0x800;
/// Offset of the diagnostics in BAR1: the same double words as in the vendor-specific capability.
pub const DIAGNOSTICS_OFFSET: u32 = 0xc00;
/// Bytes of BAR1.
pub const BAR1_BYTES: u32 = 0x1000;

/// Power management capabilities: version 3, no PME, D1 and D2 not supported.
pub const POWER_CAPABILITIES: u16 = 0x0003;
/// Power management control: going from D3hot to D0 resets nothing (No_Soft_Reset).
pub const POWER_NO_SOFT_RESET: u16 = 1 << 3;
/// PCI Express capabilities: version 2, legacy endpoint.
pub const EXPRESS_CAPABILITIES: u16 = 0x0012;
/// Device capabilities: role-based error reporting.
pub const EXPRESS_ROLE_BASED_ERRORS: u32 = 1 << 15;
/// Link capabilities: ASPM optionality compliance.
pub const EXPRESS_ASPM_OPTIONALITY: u32 = 1 << 22;
/// Link status: the slot's reference clock is used.
pub const EXPRESS_SLOT_CLOCK: u16 = 1 << 12;

/// Command bits a driver may always set: bus master, parity error response, SERR enable, INTx disable.
pub const COMMAND_WRITABLE: u16 = 0x0544;
/// Device control bits a driver may set, without the maximum payload: error reporting, extended tag, maximum
/// read request. Relaxed ordering and no snoop are never used and read 0.
pub const EXPRESS_DEVICE_CONTROL_WRITABLE: u16 = 0x710f;
/// Device control after reset: 512-byte read requests.
pub const EXPRESS_DEVICE_CONTROL_RESET: u16 = 0x2000;
/// Link control bits a driver may set: ASPM, read completion boundary, common clock, extended synch.
pub const EXPRESS_LINK_CONTROL_WRITABLE: u16 = 0x00cb;

/// Status: a poisoned completion came in while parity error response was set.
pub const STATUS_MASTER_DATA_PARITY: u16 = 1 << 8;
/// Status: an error message was sent that SERR# Enable asked for.
pub const STATUS_SIGNALED_SYSTEM_ERROR: u16 = 1 << 14;
/// Status: a completion with completer abort was sent.
pub const STATUS_SIGNALED_TARGET_ABORT: u16 = 1 << 11;
/// Status: a completion with completer abort came in.
pub const STATUS_RECEIVED_TARGET_ABORT: u16 = 1 << 12;
/// Status: a completion with unsupported request came in.
pub const STATUS_RECEIVED_MASTER_ABORT: u16 = 1 << 13;
/// Status: a poisoned packet came in.
pub const STATUS_DETECTED_PARITY: u16 = 1 << 15;

/// Status bits that a driver clears by writing 1.
pub const STATUS_CLEARABLE: u16 = STATUS_MASTER_DATA_PARITY
    | STATUS_SIGNALED_TARGET_ABORT
    | STATUS_RECEIVED_TARGET_ABORT
    | STATUS_RECEIVED_MASTER_ABORT
    | STATUS_SIGNALED_SYSTEM_ERROR
    | STATUS_DETECTED_PARITY;

/// Device status: a correctable or advisory error.
pub const EXPRESS_CORRECTABLE_DETECTED: u16 = 1 << 0;
/// Device status: a non-fatal error.
pub const EXPRESS_NONFATAL_DETECTED: u16 = 1 << 1;
/// Device status: a fatal error.
pub const EXPRESS_FATAL_DETECTED: u16 = 1 << 2;
/// Device status: an unsupported request came in.
pub const EXPRESS_UNSUPPORTED_DETECTED: u16 = 1 << 3;
/// Device status: read requests are outstanding.
pub const EXPRESS_TRANSACTIONS_PENDING: u16 = 1 << 5;
