//! The window by which the state of an endpoint is read and written while it stands still.
//!
//! [`ADDRESS`] says what the bits of an address are, [`REGISTERS`] what lies in region 0.
//!
//! The other regions are there while the endpoint stands still; until then they read all ones, and writes are lost. They are the
//! registers that a driver sees, but for what only restoring can mean: reads change nothing (ISR), ISR, the pending bits and the error
//! bits of the status registers can be written as they are, zero in STATUS or QUEUE_PFN resets nothing, and the vectors are in BAR0
//! whether MSI-X is enabled or not. Behind a hard block region 1 is not there: config space is the block's.
use crate::block::{list, Block};
use crate::cells::Reg;
use crate::comment;
use crate::pcie::register_bus::RegisterMaster;
use rust_hdl::prelude::*;

/// What the bits of the address are.
pub const ADDRESS: [(&str, &str); 3] = [
    ("31:16", "{bus, device, function} that a write of config space is sent to"),
    ("13:12", "region: 0 the registers below, 1 config space, 2 BAR0, 3 BAR1"),
    ("11:0", "byte offset in it; bits 1:0 zero: state_enable says which bytes count; registers of region 0 and pending bits are written as a whole"),
];
/// The registers of region 0: offset, name, what they hold.
pub const REGISTERS: [(u32, &str, &str); 7] = [
    (IDENTITY, "IDENTITY", "RO: 0x5653 in bits 31:16, version of the window in bits 7:0"),
    (SHAPE, "SHAPE", "RO: virtio device id in bits 31:16, MSI-X vectors in bits 14:8, queues in bits 2:0"),
    (CONTROL, "CONTROL", "RW bit 0: stand still; RO bit 1: it does; RO bit 2: a request of the host waits, or is on its way"),
    (
        EVENTS,
        "EVENTS",
        "RW bit 0: a change of the device config has not been told yet; RO bit 1: the driver has written device config; RW bit 2: the \
         queues wait for DRIVER_OK, since bus mastering was taken away",
    ),
    (ACCEPTED, "ACCEPTED", "RO: the features in force, which GUEST_FEATURES may not show any more"),
    (FUNCTION, "FUNCTION", "RO: {bus, device, function} in bits 15:0"),
    (QUEUES, "QUEUE", "RW, 4 bytes for each queue: used index in bits 15:0, kicked in bit 16, stopped in bit 17"),
];
/// How the names of its ports at the top begin.
pub const PORTS: &str = "state_";
/// What stands in [`IDENTITY`]: "VS".
pub const SIGNATURE: u16 = 0x5653;
/// Version of the window.
pub const VERSION: u8 = 1;
/// Offset: signature and version.
pub const IDENTITY: u32 = 0x00;
/// Offset: what is behind it.
pub const SHAPE: u32 = 0x04;
/// Offset: stand still.
pub const CONTROL: u32 = 0x08;
/// Offset: what waits to be told.
pub const EVENTS: u32 = 0x0c;
/// Offset: features in force.
pub const ACCEPTED: u32 = 0x10;
/// Offset: the function's number.
pub const FUNCTION: u32 = 0x14;
/// Offset: the first queue's state.
pub const QUEUES: u32 = 0x20;
/// [`CONTROL`]: the endpoint is to stand still.
pub const FREEZE: u32 = 1;
/// [`CONTROL`]: it does.
pub const FROZEN: u32 = 1 << 1;
/// [`CONTROL`]: a request of the host waits.
pub const WAITING: u32 = 1 << 2;
/// [`EVENTS`]: a change of the device config waits to be told.
pub const CHANGE_WAITS: u32 = 1;
/// [`EVENTS`]: the driver has written device config.
pub const CONFIG_WRITTEN: u32 = 1 << 1;
/// [`EVENTS`]: the queues wait for DRIVER_OK.
pub const HALTED: u32 = 1 << 2;
/// A queue's state: the driver has kicked it.
pub const QUEUE_KICKED: u32 = 1 << 16;
/// A queue's state: it has stopped.
pub const QUEUE_STOPPED: u32 = 1 << 17;
/// Where the regions begin.
pub const CONFIG_REGION: u32 = 0x1000;
/// Where the registers of BAR0 begin.
pub const BAR0_REGION: u32 = 0x2000;
/// Where those of BAR1 begin.
pub const BAR1_REGION: u32 = 0x3000;

/// The state window.
///
/// ```text
/// valid         __/------------------\____   with write, address, enable, write_data; held until done
/// done          ____________/----------\__   with read_data; held until valid falls
/// ```
/// Four steps, each seen before the next one: who is at the window may have any other clock.
#[derive(Block)]
pub struct StateWindow {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// An access.
    pub valid: Signal<In, Bit>,
    /// A write.
    pub write: Signal<In, Bit>,
    /// Where.
    pub address: Signal<In, Bits<32>>,
    /// Which bytes.
    pub enable: Signal<In, Bits<4>>,
    /// What.
    pub write_data: Signal<In, Bits<32>>,
    /// It has happened.
    pub done: Signal<Out, Bit>,
    /// What was read.
    pub read_data: Signal<Out, Bits<32>>,
    /// The endpoint is to stand still.
    pub freeze: Signal<Out, Bit>,
    /// It does.
    pub frozen: Signal<In, Bit>,
    /// The access on the register buses; `valid` is of no region.
    pub bus: RegisterMaster,
    /// It is one of config space.
    pub config_valid: Signal<Out, Bit>,
    /// It is one of BAR0.
    pub bar0_valid: Signal<Out, Bit>,
    /// It is one of BAR1.
    pub bar1_valid: Signal<Out, Bit>,
    /// Features in force.
    pub accepted: Signal<In, Bits<32>>,
    /// The driver has written device config.
    pub config_written: Signal<In, Bit>,
    /// A change of the device config has not been told.
    pub change_waits: Signal<In, Bit>,
    /// The queues wait for DRIVER_OK.
    pub halted: Signal<In, Bit>,
    /// One cycle: these two become bits 0 and 2 of `write_data`.
    pub events_write: Signal<Out, Bit>,
    /// A request of the host waits.
    pub waiting: Signal<In, Bit>,
    /// {bus, device, function}.
    pub function_id: Signal<In, Bits<16>>,
    /// Of each queue.
    #[given]
    pub queue_state: Vec<Signal<In, Bits<32>>>,
    /// One cycle: the state of this queue becomes `write_data`.
    pub queue_write: Signal<Out, Bits<4>>,
    /// An access is under way.
    pub busy: Signal<Out, Bit>,

    freezing: Reg<Bit>,
    is_done: Reg<Bit>,
    value: DFF<Bits<32>>,
    own_value: Signal<Local, Bits<32>>,
    begins: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    forwards: Signal<Local, Bit>,
    region: Signal<Local, Bits<2>>,
    offset: Signal<Local, Bits<12>>,
    reachable: Signal<Local, Bit>,

    #[given]
    identity: Constant<Bits<32>>,
    #[given]
    shape: Constant<Bits<32>>,
    #[given]
    has_config: Constant<Bit>,
    #[given]
    has_bar1: Constant<Bit>,
}

impl StateWindow {
    /// Of a device with this id, so many queues and vectors; config space may be somewhere else.
    pub fn new(device_id: u16, queues: usize, vectors: u8, has_config: bool) -> Self {
        let shape = u64::from(device_id) << 16 | u64::from(vectors) << 8 | queues as u64;
        Self::with(StateWindowGiven {
            queue_state: list(queues),
            identity: Constant::new((u64::from(SIGNATURE) << 16 | u64::from(VERSION)).into()),
            shape: Constant::new(shape.into()),
            has_config: Constant::new(has_config),
            has_bar1: Constant::new(vectors > 0),
        })
    }
}

impl Logic for StateWindow {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module state_window: the state of an endpoint that stands still");
        self.region.next = self.address.val().get_bits::<2>(12);
        self.offset.next = self.address.val().get_bits::<12>(0);
        self.begins.next = self.valid.val() & !self.is_done.q.val();
        self.writes.next = self.begins.val() & self.write.val() & (self.region.val() == 0);
        if !self.valid.val() {
            self.is_done.d.next = false;
        }

        comment!("---- what the driver sees");
        self.reachable.next = false;
        match self.region.val().index() {
            1 => self.reachable.next = self.has_config.val(),
            2 => self.reachable.next = true,
            3 => self.reachable.next = self.has_bar1.val(),
            _ => {}
        }
        self.forwards.next = self.begins.val() & self.frozen.val() & self.reachable.val();
        self.config_valid.next = self.forwards.val() & (self.region.val() == 1);
        self.bar0_valid.next = self.forwards.val() & (self.region.val() == 2);
        self.bar1_valid.next = self.forwards.val() & (self.region.val() == 3);
        self.bus.valid.next = self.forwards.val();
        self.bus.write.next = self.write.val();
        self.bus.address.next = self.offset.val();
        self.bus.enable.next = self.enable.val();
        self.bus.write_data.next = self.write_data.val();

        comment!("---- registers of its own");
        self.own_value.next = 0.into();
        self.events_write.next = false;
        self.queue_write.next = 0.into();
        match self.offset.val().index() {
            0x00 => self.own_value.next = self.identity.val(),
            0x04 => self.own_value.next = self.shape.val(),
            0x08 => {
                self.own_value.next = bits::<32>(0)
                    .replace_bit(0, self.freezing.q.val())
                    .replace_bit(1, self.frozen.val())
                    .replace_bit(2, self.waiting.val());
                if self.writes.val() {
                    self.freezing.d.next = self.write_data.val().get_bit(0);
                }
            }
            0x0c => {
                self.own_value.next = bits::<32>(0)
                    .replace_bit(0, self.change_waits.val())
                    .replace_bit(1, self.config_written.val())
                    .replace_bit(2, self.halted.val());
                self.events_write.next = self.writes.val() & self.frozen.val();
            }
            0x10 => self.own_value.next = self.accepted.val(),
            0x14 => self.own_value.next = bit_cast::<32, 16>(self.function_id.val()),
            _ => {}
        }
        for i in 0..self.queue_state.len() {
            if self.offset.val() == (i * 4 + 32).to_bits::<12>() {
                self.own_value.next = self.queue_state[i].val();
                self.queue_write.next = self.queue_write.val().replace_bit(i, self.writes.val() & self.frozen.val());
            }
        }

        comment!("---- the answer");
        if self.begins.val() {
            if self.region.val() == 0 {
                self.value.d.next = self.own_value.val();
                self.is_done.d.next = true;
            } else if !self.forwards.val() {
                self.value.d.next = 0xffff_ffff_u64.into();
                self.is_done.d.next = true;
            } else if self.bus.done.val() {
                self.value.d.next = self.bus.read_data.val();
                self.is_done.d.next = true;
            }
        }
        self.done.next = self.is_done.q.val();
        self.read_data.next = self.value.q.val();
        self.freeze.next = self.freezing.q.val();
        self.busy.next = self.valid.val() | self.is_done.q.val();
    }
}
