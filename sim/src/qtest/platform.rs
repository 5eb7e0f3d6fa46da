//! The machine of QEMU as its software sees it.
use super::process::Process;
use super::{Chipset, Client, QtestError, QtestOptions};
use crate::host::pci::MsixMessage;
use crate::host::{Allocator, Platform, Width};
use crate::link::{FunctionId, Interrupt};
use std::fs::OpenOptions;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};

/// Cycles in a microsecond. Drivers count their patience in cycles of the device, and a Verilated endpoint simulates
/// about as many.
const CYCLES_PER_US: u64 = 4;
/// Longest wait between two looks at the messages in memory.
const LOOK: Duration = Duration::from_micros(50);

/// Guest memory of message interrupts: a double word each.
const MESSAGES: u64 = 0x10_0000;
/// Bytes of it: for eight functions with 2048 vectors, which is the most that MSI-X can have.
const MESSAGES_BYTES: u64 = 8 * 2048 * 4;
/// Data of the first message; not 0, which is what a double word without a message holds.
const FIRST_MESSAGE: u32 = 0x20;

/// Configuration address port of a PC.
const CONFIG_ADDRESS: u16 = 0xcf8;
/// Configuration data port.
const CONFIG_DATA: u16 = 0xcfc;
/// Configuration address: the access is meant.
const CONFIG_ENABLE: u32 = 1 << 31;
/// Reset control port of a PC, and what it takes for a reset of the whole machine.
const RESET_CONTROL: u16 = 0xcf9;
const RESET_ALL: u32 = 0b110;

/// PIIX3's interrupt router, and its registers: one byte with an ISA interrupt for each of four PCI lines.
const PIIX3: FunctionId = FunctionId::new(0, 1, 0);
const PIIX3_ROUTES: u16 = 0x60;
const PIIX3_ROUTE: u32 = 0x0b0b_0a0a;

impl Chipset {
    /// Inputs of the I/O APIC that PCI functions can assert.
    const fn lines(self) -> RangeInclusive<u32> {
        match self {
            Chipset::Q35 => 16..=23,
            Chipset::Pc => 10..=11,
        }
    }
}

/// A machine of QEMU that this process drives in place of a guest.
///
/// Time is the wall clock: four cycles pass in a microsecond, whatever happens. A message interrupt is a
/// write to a double word of guest memory, because nothing outside of QEMU sees what its interrupt controllers get; two
/// messages of the same vector that are not taken in between are one, as in an interrupt controller.
#[derive(Debug)]
pub struct QtestPlatform {
    client: Client,
    process: Process,
    chipset: Chipset,
    functions: Vec<FunctionId>,
    memory: GuestMemoryMmap,
    allocator: Allocator,
    /// Vectors in the order of their double words.
    vectors: Vec<(FunctionId, u16)>,
    start: Instant,
    /// The first error; everything after it counts for nothing.
    failure: Option<QtestError>,
}

impl QtestPlatform {
    /// Starts QEMU.
    pub fn start(options: &QtestOptions) -> Result<Self, QtestError> {
        let (chipset, functions) = (options.chipset, options.functions.clone());
        let bytes = options.memory_bytes;
        let (process, client, memory) = Process::start(options, |path| map(path, bytes))?;
        let mut platform = QtestPlatform {
            client,
            process,
            chipset,
            functions,
            memory,
            allocator: Allocator::new(std::iter::once(MESSAGES + MESSAGES_BYTES..bytes)),
            vectors: Vec::new(),
            start: Instant::now(),
            failure: None,
        };
        platform.client.intercept_inputs("ioapic")?;
        platform.route_lines()?;
        Ok(platform)
    }

    /// The socket, for accesses that the platform does not know.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What QEMU has said on its standard error, the end of it.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Bytes of guest memory that the host has taken and not given back.
    pub fn memory_in_use(&self) -> u64 {
        self.allocator.used()
    }

    /// What went wrong between QEMU and this process.
    pub fn check(&mut self) -> Result<(), QtestError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Resets the machine with all its devices. Guest memory stays.
    pub fn reset(&mut self) -> Result<(), QtestError> {
        self.client.port_write(RESET_CONTROL, Width::Byte, RESET_ALL)?;
        // QEMU resets between two commands.
        self.client.port_read(CONFIG_ADDRESS, Width::Double)?;
        self.route_lines()
    }

    /// Does what firmware does so that INTx arrives.
    fn route_lines(&mut self) -> Result<(), QtestError> {
        match self.chipset {
            // PCI lines have inputs of their own.
            Chipset::Q35 => Ok(()),
            Chipset::Pc => {
                self.select(PIIX3, PIIX3_ROUTES)?;
                self.client.port_write(CONFIG_DATA, Width::Double, PIIX3_ROUTE)
            }
        }
    }

    /// Chooses a double word of configuration space and returns the port of the byte at `offset`.
    fn select(&mut self, function: FunctionId, offset: u16) -> Result<u16, QtestError> {
        let address = CONFIG_ENABLE | u32::from(function.0) << 8 | u32::from(offset & 0xfc);
        self.client.port_write(CONFIG_ADDRESS, Width::Double, address)?;
        Ok(CONFIG_DATA + offset % 4)
    }

    /// Whether the function is there; these ports reach the first 256 bytes.
    fn answers(&self, function: FunctionId, offset: u16) -> bool {
        self.functions.contains(&function) && offset < 0x100
    }

    fn attempt<T>(&mut self, access: impl FnOnce(&mut Self) -> Result<T, QtestError>) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        access(self)
            .inspect_err(|_| tracing::error!(output = self.process.output(), "QEMU"))
            .map_err(|error| self.failure = Some(error))
            .ok()
    }

    fn message_address(index: usize) -> GuestAddress {
        GuestAddress(MESSAGES + 4 * index as u64)
    }

    fn take_message(&self) -> Option<MsixMessage> {
        (0..self.vectors.len()).find_map(|index| {
            let place = Self::message_address(index);
            // A message that comes before the store is one with this: who takes it looks at the rings afterwards.
            let data = match self.memory.load::<u32>(place, Ordering::Acquire) {
                Ok(data) if data != 0 => data,
                _ => return None,
            };
            self.memory.store(0u32, place, Ordering::Release).ok()?;
            Some(MsixMessage { address: place.0, data: u32::from_le(data) })
        })
    }
}

/// Guest memory in a file of its own.
fn map(path: &Path, bytes: u64) -> Result<GuestMemoryMmap, QtestError> {
    let error = |error: String| QtestError::Memory { path: path.into(), bytes, error };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(path).map_err(|e| error(e.to_string()))?;
    file.set_len(bytes).map_err(|e| error(e.to_string()))?;
    let size = usize::try_from(bytes).map_err(|e| error(e.to_string()))?;
    let range = (GuestAddress(0), size, Some(FileOffset::new(file, 0)));
    GuestMemoryMmap::from_ranges_with_files([range]).map_err(|e| error(e.to_string()))
}

impl Platform for QtestPlatform {
    fn config_read(&mut self, function: FunctionId, offset: u16, width: Width) -> u32 {
        if !self.answers(function, offset) {
            return width.ones();
        }
        self.attempt(|platform| {
            let port = platform.select(function, offset)?;
            platform.client.port_read(port, width)
        })
        .unwrap_or(width.ones())
    }

    fn config_write(&mut self, function: FunctionId, offset: u16, width: Width, value: u32) {
        if self.answers(function, offset) {
            self.attempt(|platform| {
                let port = platform.select(function, offset)?;
                platform.client.port_write(port, width, value)
            });
        }
    }

    fn io_read(&mut self, port: u32, width: Width) -> u32 {
        let read = |port| self.attempt(|platform| platform.client.port_read(port, width));
        u16::try_from(port).ok().and_then(read).unwrap_or(width.ones())
    }

    fn io_write(&mut self, port: u32, width: Width, value: u32) {
        if let Ok(port) = u16::try_from(port) {
            self.attempt(|platform| platform.client.port_write(port, width, value));
        }
    }

    fn mmio_read(&mut self, address: u64, width: Width) -> u32 {
        self.attempt(|platform| platform.client.memory_read(address, width)).unwrap_or(width.ones())
    }

    fn mmio_write(&mut self, address: u64, width: Width, value: u32) {
        self.attempt(|platform| platform.client.memory_write(address, width, value));
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        self.allocator.allocate(bytes, align)
    }

    fn free(&mut self, address: u64, bytes: u64) {
        self.allocator.free(address, bytes);
    }

    fn message(&mut self, function: FunctionId, vector: u16) -> MsixMessage {
        let index = self.vectors.iter().position(|known| *known == (function, vector)).unwrap_or_else(|| {
            self.vectors.push((function, vector));
            self.vectors.len() - 1
        });
        MsixMessage { address: Self::message_address(index).0, data: FIRST_MESSAGE + index as u32 }
    }

    fn wait_interrupt(&mut self, deadline: u64) -> Option<Interrupt> {
        loop {
            if let Some(MsixMessage { address, data }) = self.take_message() {
                return Some(Interrupt::Message { at: self.now(), address, data });
            }
            let lines = self.chipset.lines();
            if self.client.asserted().iter().any(|input| lines.contains(input)) {
                return Some(Interrupt::Line { at: self.now(), asserted: true });
            }
            let left = Duration::from_micros(deadline.saturating_sub(self.now()) / CYCLES_PER_US);
            if left.is_zero() || self.failure.is_some() {
                return None;
            }
            self.attempt(|platform| platform.client.listen(left.min(LOOK)));
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 * CYCLES_PER_US / 1000
    }

    fn run(&mut self, cycles: u64) {
        std::thread::sleep(Duration::from_micros(cycles.div_ceil(CYCLES_PER_US)));
    }
}
