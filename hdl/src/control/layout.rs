//! What the program of the control processor sees: addresses and bits. The one place for them: RTL, simulation and the program
//! (`firmware/`, which includes this file by its path) take them from here. No `use` of anything, therefore.
//!
//! ```text
//! 0000_0000  RAM: 4 to 64 KiB, program, data, stack; execution begins at 0
//! 8000_0000  registers, in words: a write of fewer bytes is one of the whole word with zeros
//! elsewhere  access fault
//! ```

/// First byte of the registers.
pub const REGISTERS: u32 = 0x8000_0000;

/// RO: what this is, [`IDENTITY_VALUE`].
pub const IDENTITY: u32 = 0x00;
/// `vhc` and the version of this layout.
pub const IDENTITY_VALUE: u32 = 0x7668_6301;
/// RO: bytes of RAM in 31:16 divided by 256, mailboxes in 7:0.
pub const SHAPE: u32 = 0x04;
/// RO: what asks for the external interrupt; each bit falls with what it stands for.
pub const PENDING: u32 = 0x08;
/// RW: what of [`PENDING`] interrupts. Bits as there. 0 at first.
pub const ENABLE: u32 = 0x0c;
/// [`PENDING`]: the mailbox of queue 0 holds a request; that of queue N is N bits higher.
pub const PENDING_MAILBOX: u32 = 1 << 0;
/// [`PENDING`]: a byte has come in.
pub const PENDING_BYTE: u32 = 1 << 16;
/// [`PENDING`]: the driver's status, features or the device config have changed, or the device has been reset.
pub const PENDING_DRIVER: u32 = 1 << 17;
/// RO: cycles since the reset, low word; wraps.
pub const TIME: u32 = 0x10;
/// RW: the timer interrupts while `TIME - ALARM`, as a signed number, is not negative, and [`ALARM_ON`] is set.
pub const ALARM: u32 = 0x14;
/// RW: bit 0, the timer interrupts. 0 at first.
pub const ALARM_ON: u32 = 0x18;
/// WO: the program is alive. Not written for the configured time, the watchdog says so in the diagnostics.
pub const WATCHDOG: u32 = 0x1c;
/// A byte written goes out. Read: [`OUT_READY`], there is room. A byte without room is lost.
pub const BYTE_OUT: u32 = 0x20;
/// [`BYTE_OUT`]: there is room for a byte.
pub const OUT_READY: u32 = 1;
/// RO, and a read takes it: a byte that came in, [`IN_VALID`] with it.
pub const BYTE_IN: u32 = 0x24;
/// [`BYTE_IN`]: there was one.
pub const IN_VALID: u32 = 1 << 31;
/// RO: [`DRIVER_OK`] and what follows.
pub const DRIVER: u32 = 0x30;
/// [`DRIVER`]: the driver has set DRIVER_OK.
pub const DRIVER_OK: u32 = 1 << 0;
/// [`DRIVER`], and written as 1 it is cleared: the device has been reset since.
pub const DRIVER_RESET: u32 = 1 << 1;
/// [`DRIVER`], and written as 1 it is cleared: the driver has written the device config since.
pub const DRIVER_CONFIG: u32 = 1 << 2;
/// [`DRIVER`], and written as 1 it is cleared: DRIVER_OK or the features have changed since.
pub const DRIVER_CHANGED: u32 = 1 << 3;
/// RO: features that the driver has accepted.
pub const FEATURES: u32 = 0x34;
/// WO: the driver is to be told that the device config has changed.
pub const CONFIG_CHANGED: u32 = 0x38;
/// RW: the device config, byte 0 in bits 7:0 of the first word; as long as the configuration of the endpoint makes it, at most 64 bytes.
pub const DEVICE_CONFIG: u32 = 0x40;

/// The mailbox of queue 0; that of queue N is N times [`MAILBOX_BYTES`] higher.
pub const MAILBOX: u32 = 0x100;
/// Bytes from one mailbox to the next.
pub const MAILBOX_BYTES: u32 = 0x20;
/// In a mailbox, RO: [`FULL`] and the request's number.
pub const MAILBOX_STATE: u32 = 0x00;
/// [`MAILBOX_STATE`]: a request waits for its reply.
pub const FULL: u32 = 1 << 0;
/// [`MAILBOX_STATE`]: a part of the request could not be read; what there is of it is not to be trusted.
pub const UNREADABLE: u32 = 1 << 1;
/// [`MAILBOX_STATE`]: number of the request, in 15:8; each has another than the one before.
pub const NUMBER_SHIFT: u32 = 8;
/// In a mailbox, RO: bytes of the request as the driver gave it; no more than [`REQUEST_ROOM`] of them are in RAM.
pub const READABLE: u32 = 0x04;
/// In a mailbox, RO: bytes that the reply may have.
pub const WRITABLE: u32 = 0x08;
/// In a mailbox, RW: byte address in RAM, a multiple of 16, to which requests go.
pub const REQUEST: u32 = 0x0c;
/// In a mailbox, RW: bytes of RAM there are for a request, a multiple of 16; 0 at first: requests wait until it is not.
pub const REQUEST_ROOM: u32 = 0x10;
/// In a mailbox, RW: byte address in RAM, a multiple of 16, from which the reply is taken.
pub const REPLY: u32 = 0x14;
/// In a mailbox, WO: the reply's bytes in 15:0, the request's number in 31:24: the reply leaves, and the chain is used. Ignored if no
/// request of this number waits, as after a reset of the device. Longer than [`WRITABLE`], it is cut.
pub const ANSWER: u32 = 0x18;
/// [`ANSWER`]: where the request's number is.
pub const ANSWER_NUMBER_SHIFT: u32 = 24;
