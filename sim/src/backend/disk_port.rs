//! The disk at the endpoint's device-side ports: carries commands out in their order.
use super::{Disk, SECTOR_BYTES};
use crate::model::{BlkCommand, BlkOperation, DeviceEvent, Endpoint, ModelError};
use std::collections::VecDeque;
use std::io;

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
    write_through: bool,
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
            write_through: false,
        }
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Whether each write is permanent before it is answered, as a driver expects that did not accept FLUSH.
    pub fn set_write_through(&mut self, write_through: bool) {
        self.write_through = write_through;
    }

    /// How often the image was made permanent.
    pub fn flushes(&self) -> u64 {
        self.disk.flushes()
    }

    /// Commands carried out.
    pub fn commands(&self) -> u64 {
        self.done
    }

    /// The endpoint was reset: forgets what it had asked for.
    pub fn forget(&mut self) {
        self.commands.clear();
        self.incoming.clear();
        self.reading = None;
    }

    /// Takes what left the endpoint, and answers every command that is complete.
    pub fn event(&mut self, event: DeviceEvent, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match event {
            DeviceEvent::Command(at, command) => self.commands.push_back(Waiting { at, command, written: None }),
            DeviceEvent::WritePart(_, words) => self.receive(&words).complete = None,
            DeviceEvent::WriteData(at, words, discard) => {
                let incoming = self.receive(&words);
                (incoming.complete, incoming.discard) = (Some(at), discard);
            }
            // An endpoint with a disk has no wire.
            DeviceEvent::ReadWanted(_) | DeviceEvent::Frame(..) => {}
        }
        self.take_writes();
        self.answer(endpoint)
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
            if command.operation == BlkOperation::Read && endpoint.blk_read_queued()? + length.min(AT_ONCE) > WINDOW {
                return endpoint.set_blk_read_low(WINDOW);
            }
            let (from, written) = (waiting.at, waiting.written.take());
            self.commands.pop_front();
            self.done += 1;
            let at = written.as_ref().map_or(from, |(at, _)| from.max(*at)).saturating_add(self.latency);
            let (status, read) = self.execute(command, written.map(|(_, result)| result));
            tracing::trace!(at, ?command, status, "disk");
            endpoint.blk_status(at, command.tag, status)?;
            if !read.is_empty() {
                endpoint.blk_read_data(at, command.tag, &read, true)?;
            } else if command.operation == BlkOperation::Read && status == OK && length > 0 {
                self.reading = Some(Reading { at, tag: command.tag, sector: command.sector, left: length });
            }
        }
    }

    /// Hands over data of a long read. True when there is nothing left of it.
    fn stream(&mut self, endpoint: &mut Endpoint) -> Result<bool, ModelError> {
        while let Some(reading) = &mut self.reading {
            if endpoint.blk_read_queued()? + PIECE > WINDOW {
                endpoint.set_blk_read_low(WINDOW)?;
                return Ok(false);
            }
            let mut piece = vec![0; reading.left.min(PIECE)];
            self.disk.read(reading.sector, &mut piece).map_err(ModelError::Disk)?;
            reading.left -= piece.len();
            reading.sector += piece.len() as u64 / SECTOR_BYTES;
            let (at, tag, left) = (reading.at, reading.tag, reading.left);
            piece.resize(piece.len().next_multiple_of(16), 0);
            endpoint.blk_read_data(at, tag, &piece, left == 0)?;
            if left == 0 {
                self.reading = None;
            }
        }
        endpoint.set_blk_read_low(0)?;
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
