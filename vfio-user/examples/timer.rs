//! A timer as a PCI function: one BAR of registers and one interrupt.
//!
//! ```text
//! cargo run -p vfio-user-server --example timer -- /tmp/timer.sock
//! qemu-system-x86_64 -M q35 -device '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/tmp/timer.sock"}}' ...
//! ```
//! with a QEMU of 10.1 or later and a guest of your own; `lspci` there shows device 1234:7133. BAR0 has registers of 32 bits:
//!
//! | offset | register | |
//! |---|---|---|
//! | 0x0 | ID | reads [`ID_VALUE`] |
//! | 0x4 | DELAY | a write starts the timer, with so many microseconds, or with 0 stops it |
//! | 0x8 | STATUS | 1: the timer has expired, and INTA is asserted until 1 is written here |
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use vfio_user_server::{irq, region, Client, ClientStatistics, Device, Errno, Server, ServerOptions, Work};

/// Bytes of configuration space: without capabilities these will do.
const CONFIG_BYTES: usize = 256;
/// Bytes of BAR0, a power of two.
const BAR_BYTES: u64 = 4096;

/// Offset in BAR0: tells the device apart.
pub const ID: u64 = 0x0;
/// Offset in BAR0: the timer's microseconds.
pub const DELAY: u64 = 0x4;
/// Offset in BAR0: whether it has expired.
pub const STATUS: u64 = 0x8;
/// What ID reads.
pub const ID_VALUE: u32 = 0x7469_6d65;

/// Vendor 1234, whose numbers emulators use, device 7133, revision 0, class 08 80 00 (system peripheral, other).
const IDENTITY: [u8; 12] = [0x34, 0x12, 0x33, 0x71, 0, 0, 0, 0, 0, 0, 0x80, 0x08];
/// Second byte of the command register, and its bit that disables INTx.
const COMMAND_HIGH: usize = 0x05;
const INTX_DISABLE: u8 = 1 << 2;
/// First byte of the status register, and its bit that says whether INTx is pending.
const STATUS_LOW: usize = 0x06;
const INTX_PENDING: u8 = 1 << 3;
/// Interrupt pin: 1 is INTA.
const INTERRUPT_PIN: usize = 0x3d;

/// Bits of configuration space that software may write: memory space and INTx disable, BAR0's address, interrupt line.
const fn writable(offset: usize) -> u8 {
    match offset {
        0x04 => 1 << 1,
        COMMAND_HIGH => INTX_DISABLE,
        0x11 => 0xf0,
        0x12 | 0x13 | 0x3c => 0xff,
        _ => 0,
    }
}

/// The device.
pub struct Timer {
    config: [u8; CONFIG_BYTES],
    delay_us: u32,
    expires: Option<Instant>,
}

impl Timer {
    /// As after a reset.
    pub fn at_rest() -> Self {
        let mut config = [0; CONFIG_BYTES];
        config[..IDENTITY.len()].copy_from_slice(&IDENTITY);
        config[INTERRUPT_PIN] = 1;
        Timer { config, delay_us: 0, expires: None }
    }

    fn has_expired(&self) -> bool {
        self.config[STATUS_LOW] & INTX_PENDING != 0
    }

    /// Asserts INTA if it is to be. One signal is enough: it stands until the VMM unmasks.
    fn interrupt(&self, client: &mut Client) {
        if self.has_expired() && self.config[COMMAND_HIGH] & INTX_DISABLE == 0 {
            client.interrupt(irq::INTX, 0);
        }
    }

    fn register(&self, offset: u64) -> u32 {
        match offset {
            ID => ID_VALUE,
            DELAY => self.delay_us,
            STATUS => self.has_expired().into(),
            _ => 0,
        }
    }
}

impl Device for Timer {
    fn region_bytes(&self, region: u32) -> u64 {
        match region {
            region::BAR0 => BAR_BYTES,
            region::CONFIG => CONFIG_BYTES as u64,
            _ => 0,
        }
    }

    fn irq_vectors(&self, index: u32) -> u32 {
        // QEMU asks for the last two of every PCI Express device.
        matches!(index, irq::INTX | irq::ERR | irq::REQ).into()
    }

    fn region_read(&mut self, _: &mut Client, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        for (byte, at) in data.iter_mut().zip(offset..) {
            *byte = match region {
                region::CONFIG => self.config[at as usize],
                _ => self.register(at & !3).to_le_bytes()[at as usize & 3],
            };
        }
        Ok(())
    }

    fn region_write(&mut self, client: &mut Client, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        if region == region::CONFIG {
            for (new, at) in data.iter().zip(offset as usize..) {
                self.config[at] = self.config[at] & !writable(at) | new & writable(at);
            }
            self.interrupt(client);
            return Ok(());
        }
        let value = u32::from_le_bytes(data.try_into().map_err(|_| Errno::INVAL)?);
        match offset {
            DELAY => {
                self.delay_us = value;
                self.expires = (value != 0).then(|| Instant::now() + Duration::from_micros(value.into()));
            }
            STATUS if value & 1 != 0 => self.config[STATUS_LOW] &= !INTX_PENDING,
            _ => {}
        }
        Ok(())
    }

    fn reset(&mut self, _: &mut Client) {
        *self = Timer::at_rest();
    }

    fn intx_unmasked(&mut self, client: &mut Client) {
        self.interrupt(client);
    }

    fn attached(&mut self, _: &mut Client) {
        *self = Timer::at_rest();
    }

    fn detached(&mut self, _: ClientStatistics) {}

    fn deadline(&self) -> Option<Instant> {
        self.expires
    }

    fn work(&mut self, client: &mut Client) -> Work {
        if self.expires.is_some_and(|expires| expires <= Instant::now()) {
            self.expires = None;
            self.config[STATUS_LOW] |= INTX_PENDING;
            self.interrupt(client);
        }
        Work::Idle
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("give the path of the socket to make")?;
    let mut server = Server::bind(path.as_ref(), ServerOptions::default())?;
    // Nobody writes to the other end: a signal ends the process, and the next one replaces the socket that stays.
    let (stop, _silent) = UnixStream::pair()?;
    server.serve(&mut Timer::at_rest(), stop.as_fd())?;
    Ok(())
}
