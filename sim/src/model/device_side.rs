//! What stands at the device side of an endpoint: a disk, an Ethernet port, or a part of the user's.
use super::{Endpoint, ModelError, Stream};
use crate::control::{Command, Refusal};
use serde_json::{Map, Value};
use std::any::Any;
use std::error::Error;
use std::os::fd::BorrowedFd;

/// Why a device side cannot go on, in its own words.
pub type SideError = Box<dyn Error + Send + Sync>;

/// A packet that left the endpoint by a stream of the device side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePacket {
    /// The stream it left by: one that [`DeviceSide::connect`] added, or what tells of one.
    pub stream: Stream,
    /// The cycle in which its first beat moved.
    pub first_cycle: u64,
    /// The cycle in which its last beat moved.
    pub last_cycle: u64,
    /// Payload and side ports; see [`StreamShape`](super::StreamShape).
    pub words: Vec<u32>,
}

/// Memory of the host, for a side that gives some of it back. Below a hypervisor that is the guest's memory.
pub trait HostMemory {
    /// Gives a range back: until it is written again it holds zeros, and takes no memory.
    fn discard(&mut self, address: u64, bytes: u64) -> Discarded;
}

/// What became of a range that was to be given back, in bytes: together they are the range.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Given back.
    pub given_back: u64,
    /// Memory that cannot be given back, and stays as it is.
    pub kept: u64,
    /// No memory.
    pub outside: u64,
}

/// A way from a trait object to its type, which all types have.
pub trait AsAny: Any {
    /// The same as [`Any`].
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// What stands at the device side of an endpoint. Nobody above it knows what that is: it takes charge of its own ports, is
/// given all that leaves by them, and may send whenever it is called.
///
/// Only [`connect`](Self::connect) and [`packet`](Self::packet) must be there; the rest is for sides that have something to do of
/// their own accord, keep something, or count. `()` is the side of an endpoint that has none.
pub trait DeviceSide: AsAny + Send {
    /// Takes charge of the ports, once, before the reset after power-up: streams by [`Endpoint::add_stream`], levels by
    /// [`Endpoint::model`]. What is sent here is lost in the reset.
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError>;

    /// Takes what left by one of its streams, in the order in which it left.
    fn packet(&mut self, packet: DevicePacket, endpoint: &mut Endpoint) -> Result<(), ModelError>;

    /// Gives memory of the host back, as packets have asked for: called behind them, before [`poll`](Self::poll).
    fn give_back(&mut self, _memory: &mut dyn HostMemory, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        Ok(())
    }

    /// Does what is due: at the beginning, behind packets, at the [`deadline`](Self::deadline), and when
    /// [`as_fd`](Self::as_fd) is readable.
    fn poll(&mut self, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        Ok(())
    }

    /// The cycle in which [`poll`](Self::poll) has something to do, if nothing happens before.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Readable when something comes from outside.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Cycles that pass at least from a packet to what the side does because of it: for so long the endpoint may run on.
    fn latency(&self) -> u64 {
        0
    }

    /// From here on [`host_wrote`](Self::host_wrote) tells of each register that the host writes. Once, before the endpoint
    /// runs, by a host that sees it: a bridge to a hypervisor, whose guest relies on what its driver has agreed to.
    fn host_is_watched(&mut self) {}

    /// The host writes to a register: the number of the BAR, the offset in it, the bytes.
    fn host_wrote(&mut self, _bar: u32, _offset: u64, _data: &[u8]) {}

    /// Carries out a command that is for what stands here, as a hand at the card would: moves its plug, changes its medium. What it
    /// shows afterwards is told by [`state`](Self::state).
    fn control(&mut self, _command: &Command, _endpoint: &mut Endpoint) -> Result<(), Refusal> {
        Err(Refusal::OtherDevice)
    }

    /// What it shows the endpoint, by name: for whoever asks while it runs.
    fn state(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The endpoint was reset: forgets what it had asked for.
    fn forget(&mut self) {}

    /// Makes permanent what the endpoint has written.
    fn flush(&mut self) -> Result<(), SideError> {
        Ok(())
    }

    /// Ends what is written down.
    fn finish(&mut self) -> Result<(), SideError> {
        Ok(())
    }

    /// What it has done, for reports, by name.
    fn statistics(&self) -> Map<String, Value> {
        Map::new()
    }
}

impl DeviceSide for () {
    fn connect(&mut self, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        Ok(())
    }

    fn packet(&mut self, _packet: DevicePacket, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        Ok(())
    }
}
