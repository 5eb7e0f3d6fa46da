//! The disk at the endpoint's device-side ports: carries commands out in their order.
use super::{BlkCommand, BlkEvent, BlkOperation, BlkPorts, Disk, SECTOR_BYTES};
use crate::control::{Command, Refusal, Switch};
use crate::model::{DevicePacket, DeviceSide, Endpoint, ModelError, SideError};
use serde_json::{json, Map, Value};
use std::collections::VecDeque;
use std::io;
use virtio_hdl_rtl::virtio::layout::blk::FEATURE_FLUSH;
use virtio_hdl_rtl::virtio::layout::{FEATURE_BAD_FEATURE, GUEST_FEATURES, QUEUE_PFN, STATUS};

/// Status bytes of virtio-blk.
const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;
/// Most bytes of a name that are made up: an endpoint asks for 20.
const GET_ID_MOST: usize = 4096;

/// Requests of at most so many bytes are carried out as a whole: a write that fails on its way changes nothing.
const AT_ONCE: usize = 1 << 20;
/// Longer ones are read in pieces of this size.
const PIECE: usize = 256 << 10;
/// Most bytes of read data that wait for the endpoint.
const WINDOW: usize = 4 << 20;

/// Most writes whose data have come before their commands.
const MOST_INCOMING: usize = 1024;

/// A command that has no answer yet.
struct Waiting {
    at: u64,
    command: BlkCommand,
    /// A write's end: when, and how.
    written: Option<(u64, io::Result<()>)>,
}

/// The data of a write on their way.
#[derive(Default)]
struct Incoming {
    /// The last of them came.
    complete: Option<u64>,
    discard: bool,
    bytes: Vec<u8>,
    /// Bytes before those that are on the disk already.
    written: u64,
    failure: Option<io::Error>,
}

/// A read that was answered and whose data follow.
struct Reading {
    at: u64,
    tag: u8,
    sector: u64,
    left: usize,
}

/// The disk, with the commands and write data that wait for each other. What it keeps in memory is bounded, whatever the
/// guest asks for: long requests go in pieces.
pub struct DiskPort {
    disk: Disk,
    latency: u64,
    commands: VecDeque<Waiting>,
    incoming: VecDeque<Incoming>,
    reading: Option<Reading>,
    done: u64,
    ports: Option<BlkPorts>,
    /// Each write is permanent before it is answered.
    write_through: bool,
    /// What the driver accepts is seen: until it is FLUSH, writes go through.
    watched: bool,
}

impl DiskPort {
    /// A port for this disk, which takes `latency` cycles from a command (for a write: from its data) to the answer.
    pub fn new(disk: Disk, latency: u64) -> Self {
        DiskPort {
            disk,
            latency,
            commands: VecDeque::new(),
            incoming: VecDeque::new(),
            reading: None,
            done: 0,
            ports: None,
            write_through: false,
            watched: false,
        }
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Its ports, for changes that are not the disk's: a medium that grows.
    pub fn ports(&self) -> Result<BlkPorts, ModelError> {
        super::connected(self.ports)
    }

    /// Commands carried out.
    pub fn commands(&self) -> u64 {
        self.done
    }

    /// Appends to the data that are on their way.
    fn receive(&mut self, words: &[u32]) -> &mut Incoming {
        if self.incoming.back().is_none_or(|incoming| incoming.complete.is_some()) {
            // Data come behind their commands: an endpoint that sends others sends them in vain.
            if self.incoming.len() >= MOST_INCOMING {
                self.incoming.pop_back();
            }
            self.incoming.push_back(Incoming::default());
        }
        let last = self.incoming.len() - 1;
        let incoming = &mut self.incoming[last];
        incoming.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        if incoming.bytes.len() > WINDOW {
            incoming.bytes.clear();
            incoming.failure = Some(io::ErrorKind::InvalidData.into());
        }
        incoming
    }

    /// Writes what has come for the write commands, in their order.
    fn take_writes(&mut self) {
        let is_open = |waiting: &&mut Waiting| {
            waiting.command.operation == BlkOperation::Write && waiting.command.length > 0 && waiting.written.is_none()
        };
        while let Some(waiting) = self.commands.iter_mut().find(is_open) {
            let Some(incoming) = self.incoming.front_mut() else { return };
            if incoming.complete.is_none() && incoming.bytes.len() <= AT_ONCE {
                return;
            }
            incoming.store(&mut self.disk, &waiting.command);
            let Some(at) = incoming.complete else { return };
            waiting.written = Some((at, incoming.failure.take().map_or(Ok(()), Err)));
            self.incoming.pop_front();
        }
    }

    /// Answers commands in their order, as far as they are complete and there is room for their data.
    fn answer(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = self.ports()?;
        loop {
            if !self.stream(endpoint)? {
                return Ok(());
            }
            let Some(waiting) = self.commands.front_mut() else { return Ok(()) };
            let command = waiting.command;
            let length = command.length as usize;
            let is_write = command.operation == BlkOperation::Write && length > 0;
            if is_write && waiting.written.is_none() {
                return Ok(());
            }
            if command.operation == BlkOperation::Read && ports.read_queued(endpoint)? + length.min(AT_ONCE) > WINDOW {
                return ports.set_read_low(endpoint, WINDOW);
            }
            let (from, written) = (waiting.at, waiting.written.take());
            self.commands.pop_front();
            self.done += 1;
            let at = written.as_ref().map_or(from, |(at, _)| from.max(*at)).saturating_add(self.latency);
            let (status, read) = self.execute(command, written.map(|(_, result)| result));
            tracing::trace!(at, ?command, status, "disk");
            ports.status(endpoint, at, command.tag, status)?;
            if !read.is_empty() {
                ports.read_data(endpoint, at, command.tag, &read, true)?;
            } else if command.operation == BlkOperation::Read && status == OK && length > 0 {
                self.reading = Some(Reading { at, tag: command.tag, sector: command.sector, left: length });
            }
        }
    }

    /// Hands over data of a long read. True when there is nothing left of it.
    fn stream(&mut self, endpoint: &mut Endpoint) -> Result<bool, ModelError> {
        let ports = self.ports()?;
        while let Some(reading) = &mut self.reading {
            if ports.read_queued(endpoint)? + PIECE > WINDOW {
                ports.set_read_low(endpoint, WINDOW)?;
                return Ok(false);
            }
            let mut piece = vec![0; reading.left.min(PIECE)];
            let promised = "the disk image cannot be read where it could be read a moment ago";
            let read = self.disk.read_on(reading.sector, &mut piece);
            read.map_err(|error| ModelError::Side(format!("{promised}: {error}").into()))?;
            reading.left -= piece.len();
            reading.sector += piece.len() as u64 / SECTOR_BYTES;
            let (at, tag, left) = (reading.at, reading.tag, reading.left);
            piece.resize(piece.len().next_multiple_of(16), 0);
            ports.read_data(endpoint, at, tag, &piece, left == 0)?;
            if left == 0 {
                self.reading = None;
            }
        }
        ports.set_read_low(endpoint, 0)?;
        Ok(true)
    }

    /// Carries a command out; of a write that was done before, `written` is its end.
    fn execute(&mut self, command: BlkCommand, written: Option<io::Result<()>>) -> (u8, Vec<u8>) {
        let length = command.length as usize;
        let mut read = vec![];
        let result = match command.operation {
            BlkOperation::Read if length > AT_ONCE => self.try_read(command.sector, length),
            BlkOperation::Read => {
                read = vec![0; length];
                self.disk.read(command.sector, &mut read)
            }
            BlkOperation::Write => written.unwrap_or(Ok(())).and_then(|()| match self.write_through {
                true => self.disk.flush(),
                false => Ok(()),
            }),
            BlkOperation::Flush => self.disk.flush(),
            BlkOperation::GetId => {
                // zeros behind the name, up to the length that was asked for
                read = self.disk.id().to_vec();
                read.resize(length.min(GET_ID_MOST), 0);
                Ok(())
            }
            BlkOperation::Unknown(_) => return (UNSUPP, vec![]),
        };
        match result {
            Ok(()) => {
                read.resize(read.len().next_multiple_of(16), 0);
                (OK, read)
            }
            Err(error) => {
                tracing::debug!(%error, ?command, "the disk refuses");
                (IOERR, vec![])
            }
        }
    }

    /// Whether a long read will not fail: its status comes before its data.
    fn try_read(&self, sector: u64, length: usize) -> io::Result<()> {
        let sectors = (length as u64).div_ceil(SECTOR_BYTES);
        if sector.checked_add(sectors).is_none_or(|end| end > self.disk.sectors()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut piece = vec![0; PIECE];
        let (mut sector, mut left) = (sector, length);
        while left > 0 {
            let count = left.min(PIECE);
            self.disk.read(sector, &mut piece[..count])?;
            (sector, left) = (sector + count as u64 / SECTOR_BYTES, left - count);
        }
        Ok(())
    }
}

impl DeviceSide for DiskPort {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = BlkPorts::connect(endpoint)?;
        ports.show(endpoint, self.disk.sectors(), self.disk.is_read_only());
        self.ports = Some(ports);
        Ok(())
    }

    /// Takes what left the endpoint, and answers every command that is complete.
    fn packet(&mut self, packet: DevicePacket, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match self.ports()?.event(packet) {
            Some(BlkEvent::Command(at, command)) => self.commands.push_back(Waiting { at, command, written: None }),
            Some(BlkEvent::WritePart(_, words)) => self.receive(&words).complete = None,
            Some(BlkEvent::WriteData(at, words, discard)) => {
                let incoming = self.receive(&words);
                (incoming.complete, incoming.discard) = (Some(at), discard);
            }
            Some(BlkEvent::ReadWanted(_)) | None => {}
        }
        self.take_writes();
        self.answer(endpoint)
    }

    fn latency(&self) -> u64 {
        self.latency
    }

    fn host_is_watched(&mut self) {
        (self.watched, self.write_through) = (true, true);
    }

    /// What the driver says of its writes: without FLUSH each is permanent when it is answered (virtio 0.9.5, appendix D), and
    /// a reset takes FLUSH back.
    fn host_wrote(&mut self, bar: u32, offset: u64, data: &[u8]) {
        let zero = data.iter().all(|byte| *byte == 0);
        match u32::try_from(offset) {
            _ if bar != 0 => {}
            Ok(GUEST_FEATURES) => {
                let accepted = data.try_into().map_or(0, u32::from_le_bytes);
                // Who accepts BAD_FEATURE has negotiated nothing.
                self.write_through = accepted >> FEATURE_FLUSH & 1 == 0 || accepted >> FEATURE_BAD_FEATURE & 1 == 1;
            }
            Ok(STATUS | QUEUE_PFN) if zero => self.write_through = true,
            _ => {}
        }
    }

    fn control(&mut self, command: &Command, endpoint: &mut Endpoint) -> Result<(), Refusal> {
        let because = |error: &dyn std::fmt::Display| Refusal::Because(format!("the disk stays as it is: {error}"));
        match command {
            Command::Capacity { sectors } => self.disk.resize(*sectors).map_err(|error| because(&error))?,
            Command::ReadOnly { state } => {
                self.disk.set_read_only(*state == Switch::On).map_err(|error| because(&error))?;
            }
            _ => return Err(Refusal::OtherDevice),
        }
        let ports = self.ports().map_err(|error| because(&error))?;
        ports.show(endpoint, self.disk.sectors(), self.disk.is_read_only());
        Ok(())
    }

    fn state(&self) -> Map<String, Value> {
        let state = [("capacity", json!(self.disk.sectors())), ("read_only", json!(self.disk.is_read_only()))];
        state.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    fn forget(&mut self) {
        self.commands.clear();
        self.incoming.clear();
        self.reading = None;
        self.write_through = self.watched;
    }

    fn flush(&mut self) -> Result<(), SideError> {
        self.disk.flush().map_err(|error| format!("cannot flush the disk image: {error}").into())
    }

    fn statistics(&self) -> Map<String, Value> {
        let counts = [("disk_commands", self.done), ("disk_flushes", self.disk.flushes())];
        counts.into_iter().map(|(name, count)| (name.to_string(), json!(count))).collect()
    }
}

impl Incoming {
    /// Puts what has come on the disk, unless something has failed before.
    fn store(&mut self, disk: &mut Disk, command: &BlkCommand) {
        let bytes = std::mem::take(&mut self.bytes);
        let left = u64::from(command.length).saturating_sub(self.written);
        let wanted = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        let short = self.complete.is_some() && (wanted.len() as u64) < left;
        if self.failure.is_none() && (self.discard || short) {
            self.failure = Some(io::ErrorKind::InvalidData.into());
        }
        if self.failure.is_none() {
            let sector = command.sector.saturating_add(self.written / SECTOR_BYTES);
            self.failure = disk.write(sector, wanted).err();
        }
        self.written = self.written.saturating_add(wanted.len() as u64);
    }
}
