//! The processor: start, traps, registers, RAM, sleep. The one file with `unsafe` in it.
//!
//! Of the machine mode it needs `mtvec` (direct), `mepc`, `mcause`, `mtval`, `mie`, and a `wfi` that ends when something is pending that
//! is set in `mie`, whether or not `mstatus` lets it interrupt (RISC-V privileged architecture 1.12, 3.3.3). Nothing here lets it: timer
//! and external interrupt end a sleep and do no more. A handler that took them between the last look at what is pending and `wfi` would
//! leave nothing to end that sleep; and without one there is no program that runs beside another.
use crate::card::{is_of_open, may_be_peeked, Card, Part};
use crate::mailbox::register;
use crate::program::{Device, Program};
use crate::text::Text;
use crate::{layout, layout::REGISTERS};
use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

global_asm!(
    r#"
    .section .start, "ax"
    .globl _start
_start:
    la t0, trap
    csrw mtvec, t0
    la sp, _stack_top
    la t0, _bss_start
    la t1, _bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call virtio_hdl_program

    # Any trap is the end, that of a report included.
    .balign 4
trap:
    la t0, halt
    csrw mtvec, t0
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    mv a3, ra
    # the old one may be the reason
    la sp, _stack_top
    call virtio_hdl_trap

    # No more is written to the watchdog, which tells the host.
    .balign 4
    .globl halt
halt:
    csrw mie, zero
1:  wfi
    j 1b
"#
);

extern "C" {
    // Of memory.x: places, of which only the address means anything.
    static _shared_start: u8;
    static _shared_end: u8;
    fn halt() -> !;
}

/// mie: timer and external interrupt (RISC-V privileged architecture 1.12, 3.1.9).
const MIE_TIMER_AND_EXTERNAL: u32 = 1 << 7 | 1 << 11;
/// Cycles that a byte of a last message waits for room: ten of them at 9600 baud and 250 MHz are a third of it.
const PATIENCE: u32 = 1 << 20;

fn read_register(register: u32) -> u32 {
    // SAFETY: a word in the register window, or an access fault, which is a trap and nothing worse.
    unsafe { ((REGISTERS + register) as *const u32).read_volatile() }
}

fn write_register(register: u32, value: u32) {
    // SAFETY: as above. What lets the RTL into RAM is written by `Hardware::open` alone, with addresses in the shared memory, where
    // the program has nothing of its own.
    unsafe { ((REGISTERS + register) as *mut u32).write_volatile(value) }
}

/// First byte and length of the shared memory.
fn shared() -> (u32, u32) {
    let start = &raw const _shared_start as u32;
    let end = &raw const _shared_end as u32;
    (start, end - start)
}

struct Hardware;

impl Card for Hardware {
    fn read(&mut self, register: u32) -> u32 {
        // a multiple of 4 within 4 KiB: no offset leads out of the window or traps
        read_register(register & 0xffc)
    }

    fn write(&mut self, register: u32, value: u32) {
        if !is_of_open(register & 0xffc) {
            write_register(register & 0xffc, value);
        }
    }

    fn shared_bytes(&self) -> u32 {
        shared().1
    }

    fn open(&mut self, queue: u32, request: Part, reply: Part) -> bool {
        let (start, bytes) = shared();
        if queue >= read_register(layout::SHAPE) & 0xff || !request.is_within(bytes) || !reply.is_within(bytes) {
            return false;
        }
        write_register(register(queue, layout::REQUEST), start + request.at);
        write_register(register(queue, layout::REPLY), start + reply.at);
        // requests come from here on
        write_register(register(queue, layout::REQUEST_ROOM), request.bytes);
        true
    }

    fn load(&self, at: u32, into: &mut [u8]) -> usize {
        let (start, bytes) = shared();
        let there = (bytes.saturating_sub(at) as usize).min(into.len());
        for (address, byte) in (start + at..).zip(&mut into[..there]) {
            // SAFETY: in the shared memory, where no reference points; volatile, since the RTL writes there.
            *byte = unsafe { (address as *const u8).read_volatile() };
        }
        there
    }

    fn store(&mut self, at: u32, bytes: &[u8]) -> usize {
        let (start, length) = shared();
        let room = (length.saturating_sub(at) as usize).min(bytes.len());
        for (address, byte) in (start + at..).zip(&bytes[..room]) {
            // SAFETY: in the shared memory, where no reference points; volatile, since the RTL reads there.
            unsafe { (address as *mut u8).write_volatile(*byte) };
        }
        room
    }

    fn peek(&mut self, address: u32) -> Option<u32> {
        let shape = read_register(layout::SHAPE);
        let in_ram = address < (shape >> 16) * 256;
        let of_registers = address.checked_sub(REGISTERS).is_some_and(|register| may_be_peeked(register, shape & 0xff));
        if address % 4 != 0 || !(in_ram || of_registers) {
            return None;
        }
        let word;
        // SAFETY: a read of a word that is there and changes nothing. By an instruction, since 0 is a place as any other.
        unsafe {
            asm!("lw {word}, 0({address})", word = out(reg) word, address = in(reg) address, options(nostack, readonly))
        };
        Some(word)
    }

    fn sleep(&mut self) {
        // SAFETY: interrupts stay off in mstatus, so that nothing but the sleep itself ends by this.
        unsafe { asm!("csrw mie, {}", "wfi", in(reg) MIE_TIMER_AND_EXTERNAL, options(nostack)) };
    }
}

/// What is said last: straight to the byte port, and given up when that takes nothing.
struct LastWords {
    given_up: bool,
}

impl Text for LastWords {
    fn byte(&mut self, byte: u8) {
        let start = read_register(layout::TIME);
        while !self.given_up && read_register(layout::BYTE_OUT) & layout::OUT_READY == 0 {
            self.given_up = read_register(layout::TIME).wrapping_sub(start) > PATIENCE;
        }
        if !self.given_up {
            write_register(layout::BYTE_OUT, byte.into());
        }
    }
}

/// Says it, and sleeps for good: the watchdog tells the host.
fn stop(say: impl FnOnce(&mut LastWords)) -> ! {
    let mut words = LastWords { given_up: false };
    words.text("\r\n");
    say(&mut words);
    words.text("\r\n");
    // SAFETY: ends in a loop.
    unsafe { halt() }
}

/// A program from its start on; see [`crate::program!`].
pub fn run<D: Device>(device: D) -> ! {
    let mut program = Program::new(device);
    match program.start(&mut Hardware) {
        Ok(()) => program.run(&mut Hardware),
        Err(text) => stop(|words| words.text(text)),
    }
}

/// Exceptions by their number (RISC-V privileged architecture 1.12, table 3.6).
const EXCEPTIONS: [&str; 8] = [
    "instruction address misaligned",
    "instruction access fault",
    "illegal instruction",
    "breakpoint",
    "load address misaligned",
    "load access fault",
    "store address misaligned",
    "store access fault",
];

#[no_mangle]
extern "C" fn virtio_hdl_trap(cause: u32, pc: u32, value: u32, caller: u32) -> ! {
    stop(|words| {
        words.text("trap: ");
        match EXCEPTIONS.get(cause as usize) {
            Some(name) => words.text(name),
            None => {
                words.text("cause ");
                words.hex(cause);
            }
        }
        for (name, word) in [(", pc ", pc), (", mtval ", value), (", ra ", caller)] {
            words.text(name);
            words.hex(word);
        }
    })
}

// The message would bring core::fmt with it.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    stop(|words| {
        words.text("panic");
        if let Some(location) = info.location() {
            words.text(" at ");
            words.text(location.file());
            words.text(", line ");
            words.decimal(location.line());
        }
    })
}

/// Makes the program of a device: `program!(Rng::new())`.
#[macro_export]
macro_rules! program {
    ($device:expr) => {
        #[allow(unsafe_code, reason = "the name that the start calls")]
        #[export_name = "virtio_hdl_program"]
        extern "C" fn program() -> ! {
            $crate::hardware::run($device)
        }
    };
}
