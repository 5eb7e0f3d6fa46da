//! A state, register by register.
use super::{QueueState, State, StateError};
use crate::link::FunctionId;
use crate::model::{Endpoint, StateAccess};
use virtio_hdl_rtl::device::blk::RO;
use virtio_hdl_rtl::device::BLK;
use virtio_hdl_rtl::endpoint::state_window::*;
use virtio_hdl_rtl::pcie::layout::{BAR0, CACHE_LINE_SIZE, COMMAND, INTERRUPT_LINE};
use virtio_hdl_rtl::pcie::registers::{
    EXPRESS_CAPABILITY, MSIX_CAPABILITY, MSIX_PBA_OFFSET, POWER_CAPABILITY, VENDOR_CAPABILITY,
};
use virtio_hdl_rtl::virtio::layout::{
    CONFIG_VECTOR, DEVICE_CONFIG_MSIX, GUEST_FEATURES, HOST_FEATURES, ISR, QUEUE_NUM, QUEUE_PFN, QUEUE_SEL,
    QUEUE_VECTOR, STATUS, STATUS_DRIVER_OK, STATUS_FEATURES_OK,
};
use virtio_hdl_rtl::virtio::DEVICE_CONFIG_BYTES;

/// Of the endpoint's own config space, what can be written, in an order in which no write undoes another: the command register last.
const WRITABLE: [u16; 11] = [
    CACHE_LINE_SIZE,
    BAR0,
    BAR0 + 4,
    INTERRUPT_LINE,
    POWER_CAPABILITY + 4,
    MSIX_CAPABILITY,
    EXPRESS_CAPABILITY + 0x10,
    EXPRESS_CAPABILITY + 0x28,
    EXPRESS_CAPABILITY + 0x30,
    EXPRESS_CAPABILITY + 8,
    COMMAND,
];

/// Accesses of the registers of an endpoint that stands still.
struct Window<'e>(&'e mut Endpoint);

impl Window<'_> {
    fn access(&mut self, address: u32, enable: u8, write: Option<u32>) -> Result<u32, StateError> {
        Ok(self.0.state_access(StateAccess { address, enable, write })?)
    }

    fn read(&mut self, address: u32) -> Result<u32, StateError> {
        self.access(address, 0xf, None)
    }

    fn write(&mut self, address: u32, value: u32) -> Result<(), StateError> {
        self.access(address, 0xf, Some(value)).map(|_| ())
    }

    /// A register of BAR0 of so many bytes.
    fn register(&mut self, offset: u32, bytes: u8, write: Option<u32>) -> Result<u32, StateError> {
        let (dword, shift) = (offset & !3, 8 * (offset & 3));
        let enable = ((1 << bytes) - 1) << (offset & 3);
        let value = self.access(BAR0_REGION | dword, enable, write.map(|value| value << shift))? >> shift;
        Ok(value & (u32::MAX >> (32 - 8 * u32::from(bytes))))
    }

    fn events(&mut self) -> Result<u32, StateError> {
        self.read(EVENTS)
    }
}

impl State {
    /// Reads it.
    pub fn read(endpoint: &mut Endpoint) -> Result<Self, StateError> {
        let block = endpoint.hard_ip_config();
        let mut window = Window(endpoint);
        let shape = still(&mut window)?;
        let (device, vectors, queues) = ((shape >> 16) as u16, shape >> 8 & 0x7f, shape & 7);
        let (function, config) = match block {
            Some((id, words)) => (id.0, words),
            None => {
                let words = 0..u32::from(VENDOR_CAPABILITY / 4);
                let words = words.map(|word| window.read(CONFIG_REGION + 4 * word)).collect::<Result<_, _>>()?;
                (window.read(FUNCTION)? as u16, words)
            }
        };
        let events = window.events()?;
        let select = window.register(QUEUE_SEL, 2, None)? as u16;
        let queue = |window: &mut Window, number: u32| -> Result<QueueState, StateError> {
            window.register(QUEUE_SEL, 2, Some(number))?;
            let state = window.read(QUEUES + 4 * number)?;
            Ok(QueueState {
                size: window.register(QUEUE_NUM, 2, None)? as u16,
                page_frame: window.register(QUEUE_PFN, 4, None)?,
                vector: window.register(QUEUE_VECTOR, 2, None)? as u16,
                index: state as u16,
                kicked: state & QUEUE_KICKED != 0,
                stopped: state & QUEUE_STOPPED != 0,
            })
        };
        let queues = (0..queues).map(|number| queue(&mut window, number)).collect::<Result<_, _>>()?;
        window.register(QUEUE_SEL, 2, Some(select.into()))?;
        let entry = |window: &mut Window, vector: u32| -> Result<[u32; 4], StateError> {
            let mut entry = [0; 4];
            for (column, word) in (0..).zip(&mut entry) {
                *word = window.read(BAR1_REGION + 16 * vector + 4 * column)?;
            }
            Ok(entry)
        };
        let vectors: Vec<_> = (0..vectors).map(|vector| entry(&mut window, vector)).collect::<Result<_, _>>()?;
        let pending = match vectors.is_empty() {
            true => 0,
            false => {
                let low = window.read(BAR1_REGION + MSIX_PBA_OFFSET)?;
                u64::from(low) | u64::from(window.read(BAR1_REGION + MSIX_PBA_OFFSET + 4)?) << 32
            }
        };
        let device_config =
            (0..DEVICE_CONFIG_BYTES / 4).map(|word| window.read(BAR0_REGION + DEVICE_CONFIG_MSIX + 4 * word));
        Ok(State {
            device_config: device_config.collect::<Result<_, _>>()?,
            device,
            function,
            config,
            offered: window.register(HOST_FEATURES, 4, None)?,
            features: window.register(GUEST_FEATURES, 4, None)?,
            accepted: window.read(ACCEPTED)?,
            status: window.register(STATUS, 1, None)? as u8,
            isr: window.register(ISR, 1, None)? as u8,
            select,
            config_vector: window.register(CONFIG_VECTOR, 2, None)? as u16,
            config_written: events & CONFIG_WRITTEN != 0,
            change_waits: events & CHANGE_WAITS != 0,
            halted: events & HALTED != 0,
            queues,
            vectors,
            pending,
        })
    }

    /// Writes it to an endpoint that has been reset since, and stands still. Refused before anything is changed where it is of another
    /// kind; afterwards all is as it was read, or an error says what is not.
    pub fn write(&self, endpoint: &mut Endpoint) -> Result<(), StateError> {
        let before = State::read(endpoint)?;
        self.fits(&before)?;
        if endpoint.hard_ip_config().is_some() {
            endpoint.set_hard_ip_config(FunctionId(self.function), &self.config);
        }
        let mut window = Window(endpoint);
        if window.0.hard_ip_config().is_none() {
            for offset in WRITABLE {
                let address = CONFIG_REGION | u32::from(offset) | u32::from(self.function) << 16;
                window.write(address, self.config[usize::from(offset / 4)])?;
            }
        }
        for (vector, entry) in (0..).zip(&self.vectors) {
            for (column, word) in (0..).zip(entry) {
                window.write(BAR1_REGION + 16 * vector + 4 * column, *word)?;
            }
        }
        if !self.vectors.is_empty() {
            window.write(BAR1_REGION + MSIX_PBA_OFFSET, self.pending as u32)?;
            window.write(BAR1_REGION + MSIX_PBA_OFFSET + 4, (self.pending >> 32) as u32)?;
        }
        // The features in force are those that GUEST_FEATURES had when DRIVER_OK was set.
        window.register(STATUS, 1, Some(0))?;
        window.register(GUEST_FEATURES, 4, Some(self.accepted))?;
        window.register(STATUS, 1, Some(u32::from(self.status & !STATUS_FEATURES_OK)))?;
        if self.status & STATUS_DRIVER_OK != 0 {
            window.register(GUEST_FEATURES, 4, Some(self.features))?;
        }
        window.register(STATUS, 1, Some(self.status.into()))?;
        window.register(CONFIG_VECTOR, 2, Some(self.config_vector.into()))?;
        for (number, queue) in (0..).zip(&self.queues) {
            window.register(QUEUE_SEL, 2, Some(number))?;
            window.register(QUEUE_PFN, 4, Some(queue.page_frame))?;
            window.register(QUEUE_VECTOR, 2, Some(queue.vector.into()))?;
            let kicked = if queue.kicked { QUEUE_KICKED } else { 0 };
            let stopped = if queue.stopped { QUEUE_STOPPED } else { 0 };
            window.write(QUEUES + 4 * number, u32::from(queue.index) | kicked | stopped)?;
        }
        window.register(QUEUE_SEL, 2, Some(self.select.into()))?;
        if self.config_written {
            for (word, value) in (0..).zip(&self.device_config) {
                window.write(BAR0_REGION + DEVICE_CONFIG_MSIX + 4 * word, *value)?;
            }
        }
        window.register(ISR, 1, Some(self.isr.into()))?;
        let change_waits = if self.change_waits { CHANGE_WAITS } else { 0 };
        let halted = if self.halted { HALTED } else { 0 };
        window.write(EVENTS, change_waits | halted)?;
        match self.difference(&State::read(endpoint)?) {
            Some(difference) => Err(StateError::Differs(difference)),
            None => Ok(()),
        }
    }

    /// Whether an endpoint that has this state now is of the same kind.
    pub(super) fn fits(&self, now: &State) -> Result<(), StateError> {
        let check = |what, state: String, endpoint: String| match state == endpoint {
            true => Ok(()),
            false => Err(StateError::OtherKind { what, state, endpoint }),
        };
        let sizes = |state: &State| format!("{:?}", state.queues.iter().map(|queue| queue.size).collect::<Vec<_>>());
        let identity = |state: &State| format!("{:08x}", state.config.first().copied().unwrap_or_default());
        check("the virtio device", self.device.to_string(), now.device.to_string())?;
        check("queues of", sizes(self), sizes(now))?;
        check("vectors, so many:", self.vectors.len().to_string(), now.vectors.len().to_string())?;
        check("config space of so many double words:", self.config.len().to_string(), now.config.len().to_string())?;
        check("the PCI device", identity(self), identity(now))?;
        check(
            "device config of so many double words:",
            self.device_config.len().to_string(),
            now.device_config.len().to_string(),
        )?;
        let missing = (self.features | self.accepted) & !now.offered & !of_the_side(self.device);
        check("features that the endpoint does not offer:", format!("{missing:#010x}"), format!("{:#010x}", 0))
    }
}

/// Features that come and go with what is behind the device.
fn of_the_side(device: u16) -> u32 {
    match device == BLK.virtio_id {
        true => 1 << RO.bit,
        false => 0,
    }
}

/// The shape of an endpoint that stands still.
fn still(window: &mut Window) -> Result<u32, StateError> {
    let identity = window.read(IDENTITY)?;
    if identity != u32::from(SIGNATURE) << 16 | u32::from(VERSION) {
        return Err(StateError::OtherWindow(identity));
    }
    match window.read(CONTROL)? & FROZEN {
        0 => Err(StateError::Moves),
        _ => window.read(SHAPE),
    }
}
