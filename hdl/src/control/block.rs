//! The control block as a device has it.
use super::mailbox::{Mailbox, MemoryMaster};
use super::memory::ControlMemory;
use super::port_byte::PortByte;
use super::processor::Processor;
use super::registers::ControlRegisters;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// What a control block is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlOptions {
    /// The program: what is in the memory first.
    pub image: Vec<u8>,
    /// Bytes of memory, a power of two from 4 to 64 KiB.
    pub memory_bytes: u32,
    /// Queues that the program serves, 1 to 4.
    pub queues: usize,
    /// What the device config holds first.
    pub device_config: Vec<u32>,
    /// Cycles without a sign of the program after which the watchdog says so, less than 2^28.
    pub patience: u32,
}

/// A processor with its memory, its registers and a mailbox for each queue that its program serves.
///
/// ```text
/// chain, bytes  -> [mailbox] <-> [memory] <-> [processor]
/// command, data <-     |                          |
///                  registers of the program ------+
///                      ^ driver_ok, features, device reset, bytes in
/// ```
/// Nothing of the data path waits for the program: what it does not serve are only its own queues, and these drain and are reset
/// without it. A reset of the device tells it and leaves it running; it begins anew with the reset of the whole endpoint only.
#[derive(Block)]
pub struct ControlBlock {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Of the device: chains are forgotten, the program is told.
    pub clear: Signal<In, Bit>,
    /// Drain: no chain is taken, none given back.
    pub stop: Signal<In, Bit>,
    /// Requests that the program has need not be waited for.
    pub give_up: Signal<In, Bit>,
    /// Chains of its queues.
    #[given]
    pub chain: Vec<Sink<Chain>>,
    /// Bytes of their readable buffers.
    #[given]
    pub readable: Vec<Sink<ByteBeat>>,
    /// What to do with their writable buffers.
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    /// Bytes for their writable buffers.
    #[given]
    pub writable: Vec<Source<ByteBeat>>,
    /// The driver has set DRIVER_OK.
    pub driver_ok: Signal<In, Bit>,
    /// Features that it has accepted.
    pub driver_features: Signal<In, Bits<32>>,
    /// One cycle: it has written the device config.
    pub driver_wrote: Signal<In, Bit>,
    /// The device config, byte 0 in bits 7:0.
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    /// One cycle: the driver is to be told of a change of it.
    pub config_changed: Signal<Out, Bit>,
    /// What the program puts out.
    pub byte_out: Source<PortByte>,
    /// What comes in for it.
    pub byte_in: Sink<PortByte>,
    /// The program waits for something to happen. While it does its alarm may come late, unless it is one of 4096 cycles or less: the
    /// clock may be stopped.
    pub asleep: Signal<Out, Bit>,
    /// It has given no sign for too long.
    pub hung: Signal<Out, Bit>,
    /// One cycle: it has begun to handle an exception, which a program that is right has none of.
    pub failed: Signal<Out, Bit>,
    /// One cycle: it has put out a byte for which there was no room.
    pub byte_lost: Signal<Out, Bit>,
    /// One cycle: an instruction has been carried out.
    pub retired: Signal<Out, Bit>,
    /// Where it was.
    pub pc: Signal<Out, Bits<32>>,
    /// No chain is at hand.
    pub idle: Signal<Out, Bit>,

    processor: Processor,
    #[given]
    memory: ControlMemory,
    #[given]
    registers: ControlRegisters,
    #[given]
    mailbox: Vec<Mailbox>,
    // the end of an access to a register, or to nothing
    ends: Reg<Bit>,
    is_nowhere: DFF<Bit>,
    value: DFF<Bits<32>>,
    failing: Reg<Bit>,

    address: Signal<Local, Bits<32>>,
    in_memory: Signal<Local, Bit>,
    in_registers: Signal<Local, Bit>,
    in_mailboxes: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    cause: Signal<Local, Bits<5>>,
    full: Signal<Local, Bits<4>>,
    all_idle: Signal<Local, Bit>,
    found: Signal<Local, Bits<32>>,

    // the bits of an address that are zero inside of the memory
    #[given]
    beyond: Constant<Bits<32>>,
}

impl ControlBlock {
    /// With these options.
    ///
    /// # Panics
    /// With options that are out of range, or an image that does not fit.
    pub fn new(options: &ControlOptions) -> Self {
        let ControlOptions { memory_bytes, queues, .. } = *options;
        Self::with(ControlBlockGiven {
            chain: list(queues),
            readable: list(queues),
            command: list(queues),
            writable: list(queues),
            memory: ControlMemory::new(memory_bytes, &options.image, queues),
            registers: ControlRegisters::new(memory_bytes, queues, &options.device_config, options.patience),
            mailbox: list(queues),
            beyond: Constant::new(u64::from(!(memory_bytes - 1)).into()),
        })
    }
}

impl Logic for ControlBlock {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_block: a processor, its memory, its registers, and mailboxes of the queues that its program serves");
        comment!("---- the bus of the processor: memory, registers, or nothing");
        self.address.next = self.processor.bus.address.val();
        self.in_memory.next = !(self.address.val() & self.beyond.val()).any();
        self.in_registers.next = (self.address.val() >> 9) == bits::<32>(0x40_0000);
        self.in_mailboxes.next = self.address.val().get_bit(8);
        self.memory.processor.valid.next = self.processor.bus.valid.val() & self.in_memory.val();
        self.memory.processor.address.next = self.address.val();
        self.memory.processor.enable.next = self.processor.bus.enable.val();
        self.memory.processor.write_data.next = self.processor.bus.write_data.val();
        self.begins.next = self.processor.bus.valid.val() & !self.in_memory.val() & !self.ends.q.val();
        self.writes.next = self.begins.val() & self.in_registers.val() & self.processor.bus.enable.val().any();
        self.registers.access.next = self.begins.val() & self.in_registers.val() & !self.in_mailboxes.val();
        self.registers.write.next = self.writes.val();
        self.registers.offset.next = self.address.val().get_bits::<8>(0);
        self.registers.write_data.next = self.processor.bus.write_data.val();
        self.ends.d.next = self.begins.val();
        self.is_nowhere.d.next = !self.in_registers.val();
        self.found.next = 0.into();
        if !self.in_mailboxes.val() {
            self.found.next = self.registers.read_data.val();
        }

        comment!("---- queues");
        self.full.next = 0.into();
        self.all_idle.next = true;
        for i in 0..self.mailbox.len() {
            self.mailbox[i].clear.next = self.clear.val();
            self.mailbox[i].stop.next = self.stop.val();
            self.mailbox[i].give_up.next = self.give_up.val();
            Sink::<Chain>::link(&mut self.chain[i], &mut self.mailbox[i].chain);
            Sink::<ByteBeat>::link(&mut self.readable[i], &mut self.mailbox[i].readable);
            Source::<ScatterCommand>::link(&mut self.command[i], &mut self.mailbox[i].command);
            Source::<ByteBeat>::link(&mut self.writable[i], &mut self.mailbox[i].writable);
            MemoryMaster::join(&mut self.mailbox[i].memory, &mut self.memory.mailbox[i]);
            self.mailbox[i].offset.next = self.address.val().get_bits::<5>(0);
            self.mailbox[i].write_data.next = self.processor.bus.write_data.val();
            self.mailbox[i].write.next = false;
            if self.in_mailboxes.val() & (self.address.val().get_bits::<3>(5) == i.to_bits::<3>()) {
                self.found.next = self.mailbox[i].read_data.val();
                self.mailbox[i].write.next = self.writes.val();
            }
            self.full.next = self.full.val().replace_bit(i, self.mailbox[i].full.val());
            self.all_idle.next = self.all_idle.val() & self.mailbox[i].idle.val();
        }
        self.idle.next = self.all_idle.val();
        self.registers.mailboxes.next = self.full.val();
        self.value.d.next = self.found.val();
        self.processor.bus.done.next = self.memory.processor.done.val() | self.ends.q.val();
        self.processor.bus.error.next =
            self.memory.processor.error.val() | (self.ends.q.val() & self.is_nowhere.q.val());
        self.processor.bus.read_data.next = self.memory.processor.read_data.val();
        if self.ends.q.val() {
            self.processor.bus.read_data.next = self.value.q.val();
        }

        comment!("---- what the program is told, and tells");
        self.processor.external_interrupt.next = self.registers.external_interrupt.val();
        self.processor.timer_interrupt.next = self.registers.timer_interrupt.val();
        self.registers.device_reset.next = self.clear.val();
        self.registers.driver_ok.next = self.driver_ok.val();
        self.registers.driver_features.next = self.driver_features.val();
        self.registers.driver_wrote.next = self.driver_wrote.val();
        self.device_config.next = self.registers.device_config.val();
        self.config_changed.next = self.registers.config_changed.val();
        Source::<PortByte>::link(&mut self.byte_out, &mut self.registers.byte_out);
        Sink::<PortByte>::link(&mut self.byte_in, &mut self.registers.byte_in);
        self.hung.next = self.registers.hung.val();
        self.byte_lost.next = self.registers.byte_lost.val();
        self.asleep.next = self.processor.asleep.val() & !self.registers.alarm_soon.val();
        self.retired.next = self.processor.retired.val();
        self.pc.next = self.processor.pc.val();
        self.cause.next = self.processor.trap_cause.val();
        self.failing.d.next = self.processor.trap.val() & !self.cause.val().get_bit(4);
        self.failed.next = self.failing.q.val();
    }
}
