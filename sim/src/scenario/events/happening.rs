//! What happens while the device is at work.
use super::{Run, ScenarioError, Traffic, COMPLETION_TIMEOUT_US, PATIENCE};
use crate::host::{Platform, Width};
use crate::link::Fault;
use crate::state::StateError;
use rand::seq::IndexedRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::ops::Range;
use virtio_hdl_rtl::pcie::layout as pcie;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{Bytes, GuestAddress};

/// What must be done about it.
pub(super) enum Aftermath {
    /// All goes on.
    GoesOn,
    /// Work is lost until a reset.
    Reset,
    /// The function has forgotten everything.
    Gone,
}

/// A read of which kind fails.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadKind {
    /// Available index.
    Index,
    /// Available slots.
    Slots,
    /// Descriptor table.
    Descriptors,
    /// Indirect table, header or data.
    Other,
    /// `used_event`.
    UsedEvent,
}

/// The events, and a list of those that are alike.
macro_rules! happenings {
    ($($name:ident)*) => {
        /// An event.
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub(super) enum Happening {
            $($name,)*
            ReadFails(ReadKind),
            ReadIsLate(ReadKind),
        }

        /// All but those of reads.
        const WITHOUT_READS: &[Happening] = &[$(Happening::$name),*];
    };
}

happenings! {
    Nothing
    MaxReadRequest
    MaxPayload
    ExtendedTag
    Sleep
    BusMasterOff
    MsixEnable
    FunctionMask
    VectorMask
    QueueVector
    ConfigVector
    Features
    PageFrame
    Failed
    DriverNotOk
    StatusZero
    PageFrameZero
    FunctionReset
    DeviceConfig
    TakeOver
    Freeze
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::ReadFails(kind) => write!(f, "a failed read of {kind:?}"),
            Happening::ReadIsLate(kind) => write!(f, "a late read of {kind:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Happening {
    /// Any, with the same probability for each but that reads fail a little more often.
    pub fn random(rng: &mut ChaCha8Rng) -> Self {
        const KINDS: [ReadKind; 5] =
            [ReadKind::Index, ReadKind::Slots, ReadKind::Descriptors, ReadKind::Other, ReadKind::UsedEvent];
        match rng.random_range(0..WITHOUT_READS.len() + KINDS.len()) {
            index if index < WITHOUT_READS.len() => WITHOUT_READS[index],
            index if rng.random_bool(0.7) => Happening::ReadFails(KINDS[index - WITHOUT_READS.len()]),
            index => Happening::ReadIsLate(KINDS[index - WITHOUT_READS.len()]),
        }
    }
}

impl<T: Traffic> Run<'_, T> {
    /// Lets it happen.
    pub(super) fn perform(&mut self, happening: Happening) -> Result<Aftermath, ScenarioError> {
        use Happening::*;
        match happening {
            Nothing => {}
            // more than the root complex takes is not chosen: that is its own business
            MaxReadRequest => {
                self.device_control(7 << pcie::EXPRESS_MAX_READ_REQUEST_SHIFT, pcie::EXPRESS_MAX_READ_REQUEST_SHIFT, 3)?
            }
            MaxPayload => {
                self.device_control(7 << pcie::EXPRESS_MAX_PAYLOAD_SHIFT, pcie::EXPRESS_MAX_PAYLOAD_SHIFT, 2)?
            }
            ExtendedTag => {
                self.device_control(pcie::EXPRESS_EXTENDED_TAG, pcie::EXPRESS_EXTENDED_TAG.trailing_zeros() as u16, 2)?
            }
            Sleep => self.sleep()?,
            BusMasterOff => {
                self.bus_master_off()?;
                return Ok(Aftermath::Reset);
            }
            MsixEnable => self.message_control(pcie::MSIX_CONTROL_ENABLE)?,
            FunctionMask => self.message_control(pcie::MSIX_CONTROL_MASK)?,
            VectorMask => self.mask_vectors(),
            QueueVector => self.rewrite_vector(QUEUE_VECTOR),
            ConfigVector => self.rewrite_vector(CONFIG_VECTOR),
            Features => {
                let features = self.rng.random();
                self.write(GUEST_FEATURES, Width::Double, features);
            }
            PageFrame => {
                self.move_ring()?;
                return Ok(Aftermath::Reset);
            }
            Failed => self.write(STATUS, Width::Byte, u32::from(STATUS_FAILED | 7)),
            DriverNotOk => {
                self.write(STATUS, Width::Byte, u32::from(STATUS_ACKNOWLEDGE | STATUS_DRIVER));
                self.wait();
                return Ok(Aftermath::Reset);
            }
            StatusZero => {
                self.reset_by(STATUS, Width::Byte)?;
                return Ok(Aftermath::Reset);
            }
            PageFrameZero => {
                self.reset_by(QUEUE_PFN, Width::Double)?;
                return Ok(Aftermath::Reset);
            }
            FunctionReset => return self.function_reset(),
            DeviceConfig => {
                let change = self.traffic.next_change();
                let changed = change(self.guard.machine());
                self.told(changed.map_err(ScenarioError::from))?;
            }
            TakeOver => self.take_over()?,
            Freeze => self.freeze()?,
            ReadFails(kind) => {
                let fault = *[Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost]
                    .choose(&mut self.rng)
                    .unwrap_or(&Fault::Lost);
                self.fail(kind, fault);
            }
            ReadIsLate(kind) => {
                let timeout = u64::from(COMPLETION_TIMEOUT_US) * 1000;
                let late = self.rng.random_range(timeout..timeout * 9 / 5);
                self.fail(kind, Fault::Late(late));
            }
        }
        Ok(Aftermath::GoesOn)
    }

    /// The endpoint stands still for a while, in which nothing leaves it, and goes on: it itself, with its state read and written, or
    /// another one in its place.
    fn freeze(&mut self) -> Result<(), ScenarioError> {
        let begun = self.guard.machine().begin_freeze();
        self.state(begun)?;
        let end = self.guard.now() + PATIENCE;
        loop {
            // A driver that gives buffers back meanwhile loses no frame.
            let collected = self.traffic.collect(&mut self.guard);
            self.told(collected)?;
            let still = self.guard.machine().stands_still();
            if self.state(still)? {
                break;
            }
            if self.guard.now() > end {
                return Err(self.broken("the endpoint does not come to a stand".into()));
            }
            self.guard.run(256);
        }
        self.checked()?;
        self.wait();
        let left = self.guard.machine().take_packets().into_iter().filter(|packet| packet.to_host).count();
        if left > 0 {
            return Err(self.broken(format!("{left} packets left an endpoint that stands still")));
        }
        let (choice, seed) = (self.rng.random_range(0..4), self.rng.random());
        let library = &self.options.library;
        let machine = self.guard.machine();
        let moved = match choice {
            0 => Ok(()),
            1 => machine.save().and_then(|state| machine.restore(&state)),
            _ => machine.exchange(library, seed),
        };
        self.state(moved)?;
        let thawed = self.guard.machine().thaw();
        self.state(thawed)
    }

    fn state<R>(&self, result: Result<R, StateError>) -> Result<R, ScenarioError> {
        result.map_err(|error| self.broken(error.to_string()))
    }

    fn wait(&mut self) {
        let cycles = self.rng.random_range(0..2_000);
        self.guard.run(cycles);
    }

    fn write(&mut self, register: u32, width: Width, value: u32) {
        if let Some(transport) = self.traffic.transport() {
            transport.write(&mut self.guard, register, width, value);
        }
    }

    fn read(&mut self, register: u32, width: Width) -> u32 {
        self.traffic.transport().map_or(width.ones(), |transport| transport.read(&mut self.guard, register, width))
    }

    /// A random value below `values` in a field of Device Control.
    fn device_control(&mut self, mask: u16, shift: u16, values: u16) -> Result<(), ScenarioError> {
        let function = self.function()?;
        let Some(capability) = function.capability(pcie::CAPABILITY_EXPRESS) else { return Ok(()) };
        let register = capability + pcie::EXPRESS_DEVICE_CONTROL;
        let value = self.rng.random_range(0..values) << shift;
        let control = self.guard.config_read(function.id, register, Width::Word) as u16;
        self.guard.config_write(function.id, register, Width::Word, u32::from(control & !mask | value));
        Ok(())
    }

    /// D3hot for a while, sometimes longer than the completion timeout; the work waits.
    fn sleep(&mut self) -> Result<(), ScenarioError> {
        let function = self.function()?;
        let slept = function.set_power_state(&mut self.guard, 3);
        slept.map_err(|error| self.broken(error.to_string()))?;
        let timeout = self.options.config.completion_timeout_cycles();
        let cycles = self.rng.random_range(0..4 * timeout);
        self.guard.run(cycles);
        let woken = function.set_power_state(&mut self.guard, 0);
        woken.map_err(|error| self.broken(error.to_string()))
    }

    /// Bus mastering off, and sometimes on again: nothing of the work begun before reaches memory.
    fn bus_master_off(&mut self) -> Result<(), ScenarioError> {
        let function = self.function()?;
        function.command(&mut self.guard, 0, pcie::COMMAND_BUS_MASTER);
        let timeout = self.options.config.completion_timeout_cycles();
        let cycles = if self.rng.random_bool(0.3) {
            self.rng.random_range(0..3 * timeout)
        } else {
            self.rng.random_range(0..500)
        };
        self.guard.run(cycles);
        if self.rng.random_bool(0.5) {
            function.command(&mut self.guard, pcie::COMMAND_BUS_MASTER, 0);
            self.wait();
        }
        let status = self.read(STATUS, Width::Byte) as u8;
        if status & STATUS_DRIVER_OK != 0 {
            return Err(self.broken(format!("device status is {status:#04x} though bus mastering was taken away")));
        }
        Ok(())
    }

    /// Flips a bit of MSI-X Message Control for a while.
    fn message_control(&mut self, bit: u16) -> Result<(), ScenarioError> {
        let function = self.function()?;
        let used = self.traffic.transport().is_some_and(|transport| transport.msix().is_some());
        let Some(capability) = function.capability(pcie::CAPABILITY_MSIX).filter(|_| used) else { return Ok(()) };
        let register = capability + pcie::MSIX_CONTROL;
        let control = self.guard.config_read(function.id, register, Width::Word) as u16;
        self.guard.config_write(function.id, register, Width::Word, u32::from(control ^ bit));
        self.wait();
        self.guard.config_write(function.id, register, Width::Word, u32::from(control));
        Ok(())
    }

    /// Masks some vectors for a while.
    fn mask_vectors(&mut self) {
        let Some(msix) = self.traffic.transport().and_then(|transport| transport.msix().copied()) else { return };
        let vectors: Vec<u16> = (0..3).filter(|_| self.rng.random_bool(0.7)).collect();
        for vector in &vectors {
            msix.set_mask(&mut self.guard, *vector, true);
        }
        self.wait();
        for vector in &vectors {
            msix.set_mask(&mut self.guard, *vector, false);
        }
    }

    /// Another vector for the selected queue or the configuration, for a while. One that the device does not have, or none,
    /// may be among them.
    fn rewrite_vector(&mut self, register: u32) {
        if self.traffic.transport().is_none_or(|transport| transport.msix().is_none()) {
            return;
        }
        let before = self.read(register, Width::Word);
        let value = *[0, 1, 2, 3, 200, u32::from(NO_VECTOR)].choose(&mut self.rng).unwrap_or(&0);
        self.write(register, Width::Word, value);
        self.wait();
        self.write(register, Width::Word, before);
    }

    /// The selected queue gets another ring, which is empty.
    fn move_ring(&mut self) -> Result<(), ScenarioError> {
        let Some(size) =
            self.traffic.transport().and_then(|transport| transport.queues().last()).map(|queue| queue.size)
        else {
            return Ok(());
        };
        let bytes = ring_bytes(size);
        let ring = self.guard.allocate(bytes, RING_ALIGN).ok_or(ScenarioError::Memory(bytes))?;
        self.guard.memory().write_slice(&vec![0; bytes as usize], GuestAddress(ring))?;
        let used = ring + used_offset(size)..ring + bytes;
        self.guard.allow(used.clone());
        self.write(QUEUE_PFN, Width::Double, (ring >> QUEUE_PFN_SHIFT) as u32);
        self.wait();
        // the memory is the device's until it is reset
        self.reset_by(STATUS, Width::Byte)?;
        self.guard.forbid(&used);
        self.guard.free(ring, bytes);
        Ok(())
    }

    /// Resets the device by writing 0, reads the answer, and lets some time pass in which nothing may be sent.
    fn reset_by(&mut self, register: u32, width: Width) -> Result<(), ScenarioError> {
        self.write(register, width, 0);
        let status = self.read(STATUS, Width::Byte);
        self.wait();
        match status {
            0 => Ok(()),
            found => Err(self.broken(format!("device status is {found:#04x} behind a reset"))),
        }
    }

    fn function_reset(&mut self) -> Result<Aftermath, ScenarioError> {
        let function = self.function()?;
        let Some(capability) = function.capability(pcie::CAPABILITY_EXPRESS) else { return Ok(Aftermath::GoesOn) };
        let supported =
            self.guard.config_read(function.id, capability + pcie::EXPRESS_DEVICE_CAPABILITIES, Width::Double);
        if supported & pcie::EXPRESS_FUNCTION_RESET_SUPPORTED == 0 {
            return Ok(Aftermath::GoesOn);
        }
        let reset = function.reset(&mut self.guard);
        reset.map_err(|error| self.broken(error.to_string()))?;
        if !self.raw {
            // The block answers while the endpoint still drains: PCI Express gives it 100 ms, and it gets one.
            self.guard.run(self.options.config.link.clock_hz / 1000);
        }
        self.guard.config_read(function.id, pcie::VENDOR_ID, Width::Word);
        self.wait();
        Ok(Aftermath::Gone)
    }

    /// The next read of this kind fails.
    fn fail(&mut self, kind: ReadKind, fault: Fault) {
        let Some(range) = self.place(kind) else { return };
        self.inject(range, fault);
    }

    /// Where the device reads what.
    fn place(&mut self, kind: ReadKind) -> Option<Range<u64>> {
        let queues = self.traffic.transport()?.queues();
        let queue = queues.choose(&mut self.rng)?;
        let (ring, size) = (queue.address, queue.size);
        let available = ring + avail_offset(size);
        Some(match kind {
            ReadKind::Index => available + RING_INDEX..available + RING_INDEX + 2,
            ReadKind::Slots => available + RING_ENTRIES..available + RING_ENTRIES + 2 * u64::from(size),
            ReadKind::Descriptors => ring..available,
            ReadKind::UsedEvent => ring + used_event_offset(size)..ring + used_event_offset(size) + 2,
            ReadKind::Other => {
                let elsewhere: Vec<_> = self.guard.live().filter(|region| region.start != ring).collect();
                elsewhere.choose(&mut self.rng)?.clone()
            }
        })
    }
}
