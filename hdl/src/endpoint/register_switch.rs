//! Who reads and writes the registers.
use crate::block::Block;
use crate::comment;
use crate::pcie::register_bus::{RegisterMaster, RegisterSlave};
use rust_hdl::prelude::*;

/// Switch of the register buses, combinational: they are the completer's, and while the endpoint stands still those of the state
/// window.
///
/// ```text
/// completer: config, BAR0, BAR1 --+-> config space
///                                 +-> legacy registers
/// state window: one bus and ------+-> MSI-X table and PBA   first three quarters of BAR1
///               which region      +-> diagnostics           last quarter of BAR1
/// ```
/// Nobody is asked by both: the endpoint stands still when no access is under way, and `frozen` keeps new ones from the completer.
/// So an answer may go to both, and the one that has not asked does not look at it.
#[derive(Block)]
pub struct RegisterSwitch {
    /// The buses are the state window's.
    pub frozen: Signal<In, Bit>,
    /// Accesses of the host: config space.
    pub host_config: RegisterSlave,
    /// {bus, device, function} that this access was sent to.
    pub host_target: Signal<In, Bits<16>>,
    /// Accesses of the host: BAR0.
    pub host_bar0: RegisterSlave,
    /// Accesses of the host: BAR1.
    pub host_bar1: RegisterSlave,
    /// Accesses of the state window, to the region of which one of the next three is high.
    pub window: RegisterSlave,
    /// Config space.
    pub window_config: Signal<In, Bit>,
    /// BAR0.
    pub window_bar0: Signal<In, Bit>,
    /// BAR1.
    pub window_bar1: Signal<In, Bit>,
    /// {bus, device, function} that a write of the window to config space is sent to.
    pub window_target: Signal<In, Bits<16>>,
    /// Config space.
    pub config_space: RegisterMaster,
    /// {bus, device, function} that the present access to config space was sent to.
    pub config_target: Signal<Out, Bits<16>>,
    /// The legacy register file.
    pub registers: RegisterMaster,
    /// MSI-X table and pending bit array; `done` stays low where there is none.
    pub table: RegisterMaster,
    /// Counters and the last violation.
    pub counters: RegisterMaster,

    bar1_valid: Signal<Local, Bit>,
    bar1_write: Signal<Local, Bit>,
    bar1_address: Signal<Local, Bits<12>>,
    bar1_enable: Signal<Local, Bits<4>>,
    bar1_write_data: Signal<Local, Bits<32>>,
    bar1_done: Signal<Local, Bit>,
    bar1_read_data: Signal<Local, Bits<32>>,
    last_quarter: Signal<Local, Bit>,
}

impl Logic for RegisterSwitch {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module register_switch: who reads and writes the registers");
        comment!("---- accesses");
        if self.frozen.val() {
            self.config_space.valid.next = self.window_config.val();
            self.config_space.write.next = self.window.write.val();
            self.config_space.address.next = self.window.address.val();
            self.config_space.enable.next = self.window.enable.val();
            self.config_space.write_data.next = self.window.write_data.val();
            self.config_target.next = self.window_target.val();
            self.registers.valid.next = self.window_bar0.val();
            self.registers.write.next = self.window.write.val();
            self.registers.address.next = self.window.address.val();
            self.registers.enable.next = self.window.enable.val();
            self.registers.write_data.next = self.window.write_data.val();
            self.bar1_valid.next = self.window_bar1.val();
            self.bar1_write.next = self.window.write.val();
            self.bar1_address.next = self.window.address.val();
            self.bar1_enable.next = self.window.enable.val();
            self.bar1_write_data.next = self.window.write_data.val();
        } else {
            self.config_space.valid.next = self.host_config.valid.val();
            self.config_space.write.next = self.host_config.write.val();
            self.config_space.address.next = self.host_config.address.val();
            self.config_space.enable.next = self.host_config.enable.val();
            self.config_space.write_data.next = self.host_config.write_data.val();
            self.config_target.next = self.host_target.val();
            self.registers.valid.next = self.host_bar0.valid.val();
            self.registers.write.next = self.host_bar0.write.val();
            self.registers.address.next = self.host_bar0.address.val();
            self.registers.enable.next = self.host_bar0.enable.val();
            self.registers.write_data.next = self.host_bar0.write_data.val();
            self.bar1_valid.next = self.host_bar1.valid.val();
            self.bar1_write.next = self.host_bar1.write.val();
            self.bar1_address.next = self.host_bar1.address.val();
            self.bar1_enable.next = self.host_bar1.enable.val();
            self.bar1_write_data.next = self.host_bar1.write_data.val();
        }
        self.last_quarter.next = self.bar1_address.val().get_bits::<4>(8) == 12;
        self.table.valid.next = self.bar1_valid.val() & !self.last_quarter.val();
        self.table.write.next = self.bar1_write.val();
        self.table.address.next = self.bar1_address.val();
        self.table.enable.next = self.bar1_enable.val();
        self.table.write_data.next = self.bar1_write_data.val();
        self.counters.valid.next = self.bar1_valid.val() & self.last_quarter.val();
        self.counters.write.next = self.bar1_write.val();
        self.counters.address.next = self.bar1_address.val();
        self.counters.enable.next = self.bar1_enable.val();
        self.counters.write_data.next = self.bar1_write_data.val();

        comment!("---- answers");
        self.bar1_done.next = self.table.done.val() | self.counters.done.val();
        self.bar1_read_data.next = self.table.read_data.val();
        if self.last_quarter.val() {
            self.bar1_read_data.next = self.counters.read_data.val();
        }
        self.host_config.done.next = self.config_space.done.val();
        self.host_config.read_data.next = self.config_space.read_data.val();
        self.host_bar0.done.next = self.registers.done.val();
        self.host_bar0.read_data.next = self.registers.read_data.val();
        self.host_bar1.done.next = self.bar1_done.val();
        self.host_bar1.read_data.next = self.bar1_read_data.val();
        self.window.done.next = false;
        self.window.read_data.next = self.config_space.read_data.val();
        if self.window_config.val() {
            self.window.done.next = self.config_space.done.val();
        } else if self.window_bar0.val() {
            self.window.done.next = self.registers.done.val();
            self.window.read_data.next = self.registers.read_data.val();
        } else if self.window_bar1.val() {
            self.window.done.next = self.bar1_done.val();
            self.window.read_data.next = self.bar1_read_data.val();
        }
    }
}
