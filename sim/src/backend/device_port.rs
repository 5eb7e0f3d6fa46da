//! What is at the device side of an endpoint: a disk, an Ethernet port, or something of the user's.
use super::net::NetError;
use super::{Disk, DiskPort, NetPort, WireStatistics};
use crate::model::{DeviceEvent, Endpoint, ModelError};
use std::io;
use std::os::fd::BorrowedFd;

/// A device side that is neither of the two: in tests, one that breaks every rule.
pub trait DeviceSide {
    /// Once, before the endpoint runs.
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError>;
    /// Takes what left the endpoint.
    fn event(&mut self, event: DeviceEvent, endpoint: &mut Endpoint) -> Result<(), ModelError>;
    /// Does what is due.
    fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError>;
    /// The cycle in which [`poll`](Self::poll) has something to do, if nothing happens before.
    fn deadline(&self) -> Option<u64>;
}

/// A disk, an Ethernet port, or something else.
pub enum DevicePort {
    /// Behind virtio-blk.
    Disk(DiskPort),
    /// Behind virtio-net.
    Net(NetPort),
    /// Behind either.
    Other(Box<dyn DeviceSide + Send>),
}

impl DevicePort {
    /// Connects it; once, before the endpoint runs.
    pub fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match self {
            DevicePort::Disk(port) => endpoint.set_blk_disk(port.disk().sectors(), port.disk().is_read_only()),
            DevicePort::Net(port) => port.poll(endpoint),
            DevicePort::Other(side) => side.connect(endpoint),
        }
    }

    /// Takes what left the endpoint.
    pub fn event(&mut self, event: DeviceEvent, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match self {
            DevicePort::Disk(port) => port.event(event, endpoint),
            DevicePort::Net(port) => {
                port.event(event);
                Ok(())
            }
            DevicePort::Other(side) => side.event(event, endpoint),
        }
    }

    /// Hands over what has come from outside until now.
    pub fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match self {
            DevicePort::Disk(_) => Ok(()),
            DevicePort::Net(port) => port.poll(endpoint),
            DevicePort::Other(side) => side.poll(endpoint),
        }
    }

    /// The cycle in which [`poll`](Self::poll) has something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        match self {
            DevicePort::Disk(_) => None,
            DevicePort::Net(port) => port.deadline(),
            DevicePort::Other(side) => side.deadline(),
        }
    }

    /// Readable when something comes from outside.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            DevicePort::Disk(_) | DevicePort::Other(_) => None,
            DevicePort::Net(port) => port.as_fd(),
        }
    }

    /// The endpoint was reset: forgets what it had asked for.
    pub fn forget(&mut self) {
        if let DevicePort::Disk(port) = self {
            port.forget();
        }
    }

    /// Makes what was written permanent.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            DevicePort::Disk(port) => port.disk().flush(),
            DevicePort::Net(_) | DevicePort::Other(_) => Ok(()),
        }
    }

    /// Ends what is written down of the network.
    pub fn finish(&mut self) -> Result<(), NetError> {
        match self {
            DevicePort::Disk(_) | DevicePort::Other(_) => Ok(()),
            DevicePort::Net(port) => port.finish(),
        }
    }

    /// Whether each write to the disk is permanent before it is answered; see [`DiskPort::set_write_through`].
    pub fn set_write_through(&mut self, write_through: bool) {
        if let DevicePort::Disk(port) = self {
            port.set_write_through(write_through);
        }
    }

    /// The disk, if it is one.
    pub fn disk(&mut self) -> Option<&mut Disk> {
        match self {
            DevicePort::Disk(port) => Some(port.disk()),
            DevicePort::Net(_) | DevicePort::Other(_) => None,
        }
    }

    /// Commands that the disk has carried out.
    pub fn disk_commands(&self) -> u64 {
        match self {
            DevicePort::Disk(port) => port.commands(),
            DevicePort::Net(_) | DevicePort::Other(_) => 0,
        }
    }

    /// How often the disk's image was made permanent.
    pub fn disk_flushes(&self) -> u64 {
        match self {
            DevicePort::Disk(port) => port.flushes(),
            DevicePort::Net(_) | DevicePort::Other(_) => 0,
        }
    }

    /// What went over the wire.
    pub fn wire(&self) -> Option<WireStatistics> {
        match self {
            DevicePort::Disk(_) | DevicePort::Other(_) => None,
            DevicePort::Net(port) => Some(port.statistics()),
        }
    }
}
