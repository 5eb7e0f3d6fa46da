//! A machine whose device is watched: every packet that it sends of its own accord must be one that it may send then.
use super::Change;
use crate::host::pci::{Bar, Function, MsixMessage, Space};
use crate::host::{Platform, Width};
use crate::link::root_complex::MESSAGE_WINDOW;
use crate::link::{FunctionId, Interrupt, Kind, Tlp};
use crate::machine::{Machine, Passed};
use std::collections::BTreeMap;
use std::ops::Range;
use virtio_hdl_rtl::pcie::layout::*;
use virtio_hdl_rtl::virtio::layout::{ring_bytes, used_offset, QUEUE_PFN, QUEUE_PFN_SHIFT, STATUS, STATUS_DRIVER_OK};
use vm_memory::GuestMemoryMmap;

/// Why the device must not send memory requests: from the next completion on that it sends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Ban {
    /// The answer to the first read behind a reset.
    Reset,
    /// The answer to the write that took bus mastering away.
    NoMaster,
    /// The answer to the write that sent the function to sleep.
    Asleep,
}

/// What the driver has allowed the device.
#[derive(Copy, Clone, Debug, Default)]
struct Leave {
    master: bool,
    driver_ok: bool,
    asleep: bool,
    /// When it was last taken away, cycles.
    since: u64,
}

/// The machine, as the driver uses it.
pub(super) struct Guard<'a> {
    machine: &'a mut Machine,
    /// Registers and capabilities whose writes change what the device may do.
    function: Option<(Function, Bar)>,
    /// Memory that the driver has taken and not given back: first address and bytes.
    live: BTreeMap<u64, u64>,
    /// Memory that the device may write now.
    writable: BTreeMap<u64, u64>,
    /// Used rings among it.
    used_rings: Vec<u64>,
    /// Entries of each queue.
    queue_size: u16,
    /// Memory that is taken with this alignment is for the device to write.
    writable_alignment: Option<u64>,
    leave: Leave,
    /// What the next completion changes.
    next: Option<Ban>,
    /// A reset has been asked for, and no read was answered since.
    resetting: bool,
    /// Cycles that packets may still take through a block that answers configuration requests itself.
    pipeline: u64,
    /// What happens behind the next write that resets the device.
    change_at_reset: Option<Change>,
    /// The driver knows that the device configuration has changed, since such a change was last asked for: by an interrupt, or because it
    /// has reset the device once more, as one does that finds no vectors, and reads all anew.
    pub told_of_change: bool,
    broken: Option<String>,
}

impl<'a> Guard<'a> {
    /// Watches an endpoint with queues of `queue_size` from now on. Packets may leave for `pipeline` cycles after a
    /// configuration write was answered that forbids them.
    pub fn new(machine: &'a mut Machine, queue_size: u16, pipeline: u64) -> Self {
        machine.take_packets();
        Guard {
            machine,
            function: None,
            live: BTreeMap::new(),
            writable: BTreeMap::new(),
            used_rings: Vec::new(),
            queue_size,
            writable_alignment: None,
            leave: Leave::default(),
            next: None,
            resetting: false,
            pipeline,
            change_at_reset: None,
            told_of_change: false,
            broken: None,
        }
    }

    /// The function under test.
    pub fn learn(&mut self, function: &Function) {
        self.function = function.bar(0).ok().map(|registers| (function.clone(), registers));
    }

    /// The machine itself.
    pub fn machine(&mut self) -> &mut Machine {
        self.machine
    }

    /// The device may write here.
    pub fn allow(&mut self, range: Range<u64>) {
        self.writable.insert(range.start, range.end - range.start);
    }

    /// The device may write all memory that is taken from now on with this alignment, until it is given back.
    pub fn allow_what_is_taken(&mut self, alignment: Option<u64>) {
        self.writable_alignment = alignment;
    }

    /// The device must not write here any more.
    pub fn forbid(&mut self, range: &Range<u64>) {
        // what it has sent until now was allowed
        self.look();
        self.writable.remove(&range.start);
    }

    /// The device configuration changes behind the next write that resets the device.
    pub fn change_at_reset(&mut self, change: Change) {
        self.change_at_reset = Some(change);
        self.told_of_change = false;
    }

    fn written(&mut self) {
        if let Some(change) = self.change_at_reset.take_if(|_| self.resetting) {
            if let Err(error) = change(self.machine) {
                self.break_rule(error.to_string());
            }
        }
        self.look();
    }

    /// Takes memory back that nobody has any more.
    pub fn release(&mut self, region: &Range<u64>) {
        self.look();
        self.writable.retain(|start, _| !region.contains(start));
        self.free(region.start, region.end - region.start);
    }

    /// Takes all memory back, as nobody has it any more.
    pub fn reclaim(&mut self) {
        for (address, bytes) in std::mem::take(&mut self.live) {
            self.machine.free(address, bytes);
        }
        self.writable.clear();
    }

    /// Memory that the driver has taken.
    pub fn live(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.live.iter().map(|(address, bytes)| *address..address + bytes)
    }

    /// The first thing that the device must not have done.
    pub fn check(&mut self) -> Result<(), String> {
        self.look();
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Looks at what the device has sent since the last look.
    fn look(&mut self) {
        for packet in self.machine.take_packets() {
            if packet.to_host {
                self.sent(&packet);
            }
        }
    }

    fn sent(&mut self, packet: &Passed) {
        let Ok(tlp) = Tlp::decode(&packet.dwords) else { return };
        match tlp.kind {
            Kind::Completion(_) => {
                if let Some(ban) = self.next.take() {
                    self.ban(ban, packet.at);
                }
            }
            Kind::MemoryRead { request, .. } => {
                let (address, bytes) = request.bytes();
                self.memory_request("reads", packet.at, address, bytes, |guard| &guard.live);
            }
            Kind::MemoryWrite { request, .. } if MESSAGE_WINDOW.contains(&request.address) => {
                self.must_be_allowed("interrupts", packet.at, request.address);
            }
            Kind::MemoryWrite { request, payload } => {
                for (address, data) in request.runs(&payload) {
                    self.memory_request("writes", packet.at, address, data.len() as u64, |guard| &guard.writable);
                }
            }
            _ => {}
        }
    }

    fn ban(&mut self, ban: Ban, at: u64) {
        self.leave.since = at;
        match ban {
            Ban::Reset => {
                self.leave.driver_ok = false;
                for ring in self.used_rings.drain(..) {
                    self.writable.remove(&ring);
                }
            }
            Ban::NoMaster => (self.leave.master, self.leave.driver_ok) = (false, false),
            Ban::Asleep => self.leave.asleep = true,
        }
    }

    fn must_be_allowed(&mut self, what: &str, at: u64, address: u64) {
        let Leave { master, driver_ok, asleep, since } = self.leave;
        if (!master || !driver_ok || asleep) && at > since + self.pipeline {
            self.break_rule(format!(
                "the device {what} at {address:#x} in cycle {at}: bus master {master}, DRIVER_OK {driver_ok}, asleep {asleep} since {since}"
            ));
        }
    }

    /// The device accesses memory: it may, and there.
    fn memory_request(
        &mut self,
        what: &str,
        at: u64,
        address: u64,
        bytes: u64,
        regions: impl Fn(&Self) -> &BTreeMap<u64, u64>,
    ) {
        self.must_be_allowed(what, at, address);
        let region = regions(self).range(..=address).next_back();
        if region.is_none_or(|(start, length)| address - start + bytes > *length) {
            self.break_rule(format!(
                "the device {what} {bytes} bytes at {address:#x} in cycle {at}, which no ring names then"
            ));
        }
    }

    fn break_rule(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// What a write of configuration space changes.
    fn config_written(&mut self, offset: u16, value: u32) {
        let Some((function, _)) = &self.function else { return };
        let at = |capability, register| function.capability(capability).map(|start| start + register);
        if offset == COMMAND {
            match value as u16 & COMMAND_BUS_MASTER {
                0 => self.next = Some(Ban::NoMaster),
                _ => self.leave.master = true,
            }
        } else if Some(offset) == at(CAPABILITY_POWER, POWER_CONTROL) {
            match value as u16 & POWER_STATE {
                0 => self.leave.asleep = false,
                _ => self.next = Some(Ban::Asleep),
            }
        } else if Some(offset) == at(CAPABILITY_EXPRESS, EXPRESS_DEVICE_CONTROL)
            && value as u16 & EXPRESS_FUNCTION_RESET != 0
        {
            self.resetting = true;
        }
    }

    /// What a write of the register file changes.
    fn register_written(&mut self, space: Space, address: u64, value: u32) {
        let Some((_, registers)) = &self.function else { return };
        if registers.space != space {
            return;
        }
        match address.checked_sub(registers.address).map(|offset| offset as u32) {
            Some(STATUS | QUEUE_PFN) if value == 0 => {
                self.resetting = true;
                self.told_of_change |= self.change_at_reset.is_none();
            }
            Some(QUEUE_PFN) => {
                let ring = u64::from(value) << QUEUE_PFN_SHIFT;
                let used = ring + used_offset(self.queue_size);
                self.writable.insert(used, ring + ring_bytes(self.queue_size) - used);
                self.used_rings.push(used);
            }
            Some(STATUS) if value as u8 & STATUS_DRIVER_OK != 0 => self.leave.driver_ok = true,
            _ => {}
        }
    }

    /// The answer to a read shows that a reset has taken place.
    fn reading(&mut self) {
        if std::mem::take(&mut self.resetting) {
            self.next = Some(Ban::Reset);
        }
    }
}

impl Platform for Guard<'_> {
    fn config_read(&mut self, function: FunctionId, offset: u16, width: Width) -> u32 {
        self.reading();
        let value = self.machine.config_read(function, offset, width);
        self.look();
        value
    }

    fn config_write(&mut self, function: FunctionId, offset: u16, width: Width, value: u32) {
        self.config_written(offset, value);
        self.machine.config_write(function, offset, width, value);
        self.look();
    }

    fn io_read(&mut self, port: u32, width: Width) -> u32 {
        self.reading();
        let value = self.machine.io_read(port, width);
        self.look();
        value
    }

    fn io_write(&mut self, port: u32, width: Width, value: u32) {
        self.register_written(Space::Io, port.into(), value);
        self.machine.io_write(port, width, value);
        self.written();
    }

    fn mmio_read(&mut self, address: u64, width: Width) -> u32 {
        self.reading();
        let value = self.machine.mmio_read(address, width);
        self.look();
        value
    }

    fn mmio_write(&mut self, address: u64, width: Width, value: u32) {
        self.register_written(Space::Memory, address, value);
        self.machine.mmio_write(address, width, value);
        self.written();
    }

    fn memory(&self) -> &GuestMemoryMmap {
        self.machine.memory()
    }

    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let address = self.machine.allocate(bytes, align)?;
        self.live.insert(address, bytes);
        if self.writable_alignment == Some(align) {
            self.writable.insert(address, bytes);
        }
        Some(address)
    }

    fn free(&mut self, address: u64, bytes: u64) {
        // what was sent until now may still use it
        self.look();
        self.live.remove(&address);
        self.writable.remove(&address);
        self.machine.free(address, bytes);
    }

    fn message(&mut self, function: FunctionId, vector: u16) -> MsixMessage {
        self.machine.message(function, vector)
    }

    fn wait_interrupt(&mut self, deadline: u64) -> Option<Interrupt> {
        let interrupt = self.machine.wait_interrupt(deadline);
        self.look();
        interrupt
    }

    fn now(&self) -> u64 {
        self.machine.now()
    }

    fn run(&mut self, cycles: u64) {
        self.machine.run(cycles);
        self.look();
    }
}
