//! The device's DMA and interrupts: one queue, in order.
//!
//! ```text
//!   dma_read, dma_write, interrupt -> waiting -+-> mapping, eventfd: done at once
//!                                              +-> DMA_READ, DMA_WRITE -> outstanding -> reply
//! ```
//! The order is that of posted writes on PCI Express: what a write has brought is visible before whatever comes behind
//! it. Messages may follow each other, since the VMM serves them in order. A mapped access or an eventfd would overtake
//! them: it waits until all earlier message writes are acknowledged. Only writes to the MSI window hold nothing up: they
//! are interrupts, nobody reads there.
//!
//! A register access that is answered promises that what the device wrote before is done. The VMM cannot be waited for,
//! since it may not serve DMA until it has the answer; but what was written is sent before it ([`DmaQueue::push`]). How much
//! is under way at all is up to the device, which stops when the queue is full.
use crate::connection::{Connection, Gone};
use crate::irq::Irqs;
use crate::memory::{Direction, Memory, Sample};
use crate::message::{encode, starting_with, Command, DmaAccess, Message};
use crate::{ClientStatistics, Errno};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use zerocopy::IntoBytes;

/// Most data bytes of a DMA message. QEMU hangs above about 208 KiB.
pub(crate) const MAX_DMA_BYTES: usize = 64 << 10;
/// Most DMA messages without a reply, but for writes that a reply must not overtake: see [`DmaQueue::push`].
const MAX_OUTSTANDING: usize = 64;
/// Writes that the VMM has not acknowledged with which the device should wait: see [`DmaQueue::is_full`].
const MOST_WRITES: usize = 64;
/// Their bytes.
const MOST_BYTES: usize = 256 << 10;
/// Operations that are not finished with which a client is given up: a device that waits when it should has far fewer.
const MAX_PENDING: usize = 4096;
/// Bytes of them.
const MAX_PENDING_BYTES: usize = 16 << 20;
/// Where x86 systems take message signalled interrupts. Source: Intel SDM volume 3, "Message Address Register Format".
const MSI_WINDOW: Range<u64> = 0xfee0_0000..0xfef0_0000;

#[derive(Debug)]
enum Operation {
    /// `key` names the read in [`DmaQueue::reads`].
    Read {
        key: u64,
        address: u64,
        bytes: usize,
    },
    Write {
        address: u64,
        data: Vec<u8>,
    },
    Interrupt {
        index: u32,
        vector: u32,
    },
}

/// A read that is not finished.
#[derive(Debug)]
struct Read {
    token: u64,
    data: Vec<u8>,
    /// Bytes that have come.
    arrived: usize,
}

/// A DMA message without a reply.
#[derive(Debug)]
enum Outstanding {
    Read {
        key: u64,
        at: usize,
        address: u64,
        bytes: usize,
        sample: Option<Sample>,
    },
    /// `memory` of the guest, not the message of an interrupt.
    Write {
        address: u64,
        bytes: usize,
        memory: bool,
    },
}

impl Outstanding {
    fn command(&self) -> Command {
        match self {
            Outstanding::Read { .. } => Command::DmaRead,
            Outstanding::Write { .. } => Command::DmaWrite,
        }
    }

    fn address(&self) -> u64 {
        match self {
            Outstanding::Read { address, .. } | Outstanding::Write { address, .. } => *address,
        }
    }

    /// Whether mapped accesses and eventfds behind it wait for the reply.
    fn holds_up(&self) -> bool {
        matches!(self, Outstanding::Write { memory: true, .. })
    }
}

fn is_msi(address: u64, bytes: usize) -> bool {
    MSI_WINDOW.contains(&address) && bytes as u64 <= MSI_WINDOW.end - address
}

/// What a queue works with: the rest of the client.
pub(crate) struct Surroundings<'a> {
    pub memory: &'a mut Memory,
    pub irqs: &'a mut Irqs,
    pub connection: &'a mut Connection,
    pub statistics: &'a mut ClientStatistics,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct DmaQueue {
    waiting: VecDeque<Operation>,
    /// Bytes of the first waiting operation that have gone out by message.
    sent: usize,
    outstanding: HashMap<u16, Outstanding>,
    reads: HashMap<u64, Read>,
    finished: VecDeque<(u64, Result<Vec<u8>, Errno>)>,
    next_id: u16,
    next_key: u64,
    /// Most data bytes of a message.
    message_bytes: usize,
    /// Why the connection cannot go on.
    failure: Option<Gone>,
}

impl DmaQueue {
    pub fn new() -> Self {
        DmaQueue {
            waiting: VecDeque::new(),
            sent: 0,
            outstanding: HashMap::new(),
            reads: HashMap::new(),
            finished: VecDeque::new(),
            next_id: 0,
            next_key: 0,
            message_bytes: MAX_DMA_BYTES,
            failure: None,
        }
    }

    /// Why the connection cannot go on, if so: memory cannot be written, or the client does not answer.
    pub fn check(&mut self) -> Result<(), Gone> {
        let (writes, bytes) = self.pending_writes();
        if self.waiting.len() + self.outstanding.len() > MAX_PENDING || bytes > MAX_PENDING_BYTES {
            return Err(Gone::Unanswered { writes, bytes });
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The client takes no messages with more data than this.
    pub fn limit_message_bytes(&mut self, bytes: usize) {
        self.message_bytes = bytes.clamp(1, MAX_DMA_BYTES);
    }

    pub fn read(&mut self, token: u64, address: u64, bytes: usize) {
        self.next_key += 1;
        self.reads.insert(self.next_key, Read { token, data: Vec::new(), arrived: 0 });
        self.waiting.push_back(Operation::Read { key: self.next_key, address, bytes });
    }

    pub fn write(&mut self, address: u64, data: Vec<u8>) {
        self.waiting.push_back(Operation::Write { address, data });
    }

    pub fn interrupt(&mut self, index: u32, vector: u32) {
        self.waiting.push_back(Operation::Interrupt { index, vector });
    }

    pub fn take_read(&mut self) -> Option<(u64, Result<Vec<u8>, Errno>)> {
        self.finished.pop_front()
    }

    pub fn forget_reads(&mut self) {
        if matches!(self.waiting.front(), Some(Operation::Read { .. })) {
            self.sent = 0;
        }
        self.waiting.retain(|operation| !matches!(operation, Operation::Read { .. }));
        self.reads.clear();
        self.finished.clear();
    }

    /// Drops the writes and interrupts that wait, as if the device had not come to them.
    pub fn forget_writes(&mut self) {
        if !matches!(self.waiting.front(), Some(Operation::Read { .. })) {
            self.sent = 0;
        }
        self.waiting.retain(|operation| matches!(operation, Operation::Read { .. }));
    }

    /// Number and bytes of the writes that the VMM has not acknowledged.
    fn pending_writes(&self) -> (usize, usize) {
        let waiting = self.waiting.iter().filter_map(|operation| match operation {
            Operation::Write { data, .. } => Some(data.len()),
            _ => None,
        });
        let outstanding = self.outstanding.values().filter_map(|message| match message {
            Outstanding::Write { bytes, .. } => Some(*bytes),
            Outstanding::Read { .. } => None,
        });
        waiting.chain(outstanding).fold((0, 0), |(writes, sum), bytes| (writes + 1, sum + bytes))
    }

    pub fn writes_pending(&self) -> bool {
        self.pending_writes().0 != 0
    }

    /// Whether the device should not write more for now.
    pub fn is_full(&self) -> bool {
        let (writes, bytes) = self.pending_writes();
        writes >= MOST_WRITES || bytes >= MOST_BYTES
    }

    pub fn reads_pending(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Does what can be done.
    pub fn advance(&mut self, around: &mut Surroundings) {
        while let Some(operation) = self.waiting.pop_front() {
            if let Some(blocked) = self.attempt(operation, around) {
                self.waiting.push_front(blocked);
                return;
            }
            self.sent = 0;
        }
    }

    /// Sends all writes that wait, by message, even those that would go through a mapping: what is sent to the VMM next
    /// comes behind them.
    pub fn push(&mut self, around: &mut Surroundings) {
        let writes = |operation: &Operation| matches!(operation, Operation::Write { .. });
        if !self.waiting.iter().any(writes) {
            return;
        }
        let sent = std::mem::take(&mut self.sent);
        for (index, operation) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let begun = if index == 0 { sent } else { 0 };
            let Operation::Write { address, ref data } = operation else {
                if index == 0 {
                    self.sent = begun;
                }
                self.waiting.push_back(operation);
                continue;
            };
            let kept = std::mem::replace(&mut self.sent, begun);
            let inside = data.is_empty() || address.checked_add(data.len() as u64 - 1).is_some();
            if !inside {
                failed(around.statistics, Command::DmaWrite, address, Errno::FAULT);
            } else if !self.send_writes(address, data, MAX_PENDING, around) {
                // Nobody acknowledges anything: the client is given up.
                let (writes, bytes) = self.pending_writes();
                self.failure.get_or_insert(Gone::Unanswered { writes, bytes });
            }
            self.sent = kept;
        }
    }

    /// Finishes an operation or sends all of its messages; gives it back when something has to come first.
    fn attempt(&mut self, operation: Operation, around: &mut Surroundings) -> Option<Operation> {
        match operation {
            Operation::Interrupt { index, vector } => {
                if self.must_wait() {
                    return Some(operation);
                }
                around.statistics.eventfds_signalled += u64::from(around.irqs.signal(index, vector));
            }
            // Part of it has failed.
            Operation::Read { key, .. } if !self.reads.contains_key(&key) => {}
            Operation::Read { key, address, bytes } => {
                // Its end would be behind the last address.
                if bytes == 0 || address.checked_add(bytes as u64 - 1).is_none() {
                    let result = if bytes == 0 { Ok(Vec::new()) } else { Err(Errno::FAULT) };
                    self.finish_read(key, result, address, around.statistics);
                } else if self.sent == 0 && around.memory.reaches(address, bytes, Direction::Read) {
                    if self.must_wait() {
                        return Some(operation);
                    }
                    let result = around.memory.read(address, bytes);
                    around.statistics.read_mapped_bytes += if result.is_ok() { bytes as u64 } else { 0 };
                    self.finish_read(key, result, address, around.statistics);
                } else if !self.send_reads(key, address, bytes, around) {
                    return Some(operation);
                }
            }
            Operation::Write { address, ref data } => {
                if !data.is_empty() && address.checked_add(data.len() as u64 - 1).is_none() {
                    failed(around.statistics, Command::DmaWrite, address, Errno::FAULT);
                } else if self.sent == 0 && around.memory.reaches(address, data.len(), Direction::Write) {
                    if self.must_wait() {
                        return Some(operation);
                    }
                    match around.memory.write(address, data) {
                        Ok(()) => around.statistics.written_mapped_bytes += data.len() as u64,
                        // Nobody can tell a guest that a posted write is lost.
                        Err(error) => {
                            failed(around.statistics, Command::DmaWrite, address, error);
                            self.failure.get_or_insert(Gone::Memory { address, error });
                        }
                    }
                } else if !self.send_writes(address, data, MAX_OUTSTANDING, around) {
                    return Some(operation);
                }
            }
        }
        None
    }

    /// Whether a mapped access or an eventfd would overtake a write.
    fn must_wait(&self) -> bool {
        self.outstanding.values().any(Outstanding::holds_up)
    }

    /// Sends what is left of a read; false when no more messages may go out for now.
    fn send_reads(&mut self, key: u64, address: u64, bytes: usize, around: &mut Surroundings) -> bool {
        if let Some(read) = self.reads.get_mut(&key) {
            read.data.resize(bytes, 0);
        }
        while self.sent < bytes {
            let (at, address) = (self.sent, address + self.sent as u64);
            let count = self.message_bytes.min(bytes - at);
            let Some(id) = self.free_id(MAX_OUTSTANDING) else { return false };
            let sample = around.memory.sample(address, count);
            let access = DmaAccess { address, count: count as u64 };
            around.connection.send(&encode(id, Command::DmaRead.number(), false, &[access.as_bytes()]));
            around.statistics.dma_messages += 1;
            self.outstanding.insert(id, Outstanding::Read { key, at, address, bytes: count, sample });
            self.sent += count;
        }
        true
    }

    /// Sends what is left of a write; false when no more messages may go out for now, since `most` are.
    fn send_writes(&mut self, address: u64, data: &[u8], most: usize, around: &mut Surroundings) -> bool {
        while self.sent < data.len() {
            let address = address + self.sent as u64;
            let left = &data[self.sent..];
            let part = &left[..self.message_bytes.min(left.len())];
            let Some(id) = self.free_id(most) else { return false };
            let access = DmaAccess { address, count: part.len() as u64 };
            around.connection.send(&encode(id, Command::DmaWrite.number(), false, &[access.as_bytes(), part]));
            around.statistics.dma_messages += 1;
            // Systems other than a PC may have memory where a PC has none.
            let memory = !is_msi(address, part.len()) || around.memory.touches(address, part.len());
            self.outstanding.insert(id, Outstanding::Write { address, bytes: part.len(), memory });
            self.sent += part.len();
        }
        true
    }

    fn free_id(&mut self, most: usize) -> Option<u16> {
        if self.outstanding.len() >= most {
            return None;
        }
        while self.outstanding.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        Some(id)
    }

    /// A reply has come. Call [`DmaQueue::advance`] next.
    pub fn reply(&mut self, message: &Message, around: &mut Surroundings) {
        let (id, command) = (message.header.id, message.header.command());
        let Some(asked) = self.outstanding.remove(&id) else {
            tracing::warn!("ignored a reply to {command} with id {id}, which asked nothing");
            return;
        };
        let result = match message.header.failure() {
            Some(error) => Err(error),
            None if asked.command() != command => {
                tracing::warn!("the reply to {} with id {id} is one to {command}", asked.command());
                Err(Errno::PROTO)
            }
            None => Ok(message.body.as_slice()),
        };
        match asked {
            Outstanding::Write { bytes, .. } => match result {
                Ok(_) => around.statistics.written_message_bytes += bytes as u64,
                Err(error) => failed(around.statistics, Command::DmaWrite, asked.address(), error),
            },
            Outstanding::Read { key, at, address, bytes, sample } => {
                let result = result.and_then(|body| {
                    read_data(body, bytes).inspect_err(|_| {
                        tracing::warn!(
                            "the reply to DMA_READ with id {id} of {bytes} bytes at {address:#x} has {} bytes",
                            body.len()
                        );
                    })
                });
                match result {
                    Ok(data) => {
                        around.statistics.read_message_bytes += bytes as u64;
                        if let Some(sample) = sample {
                            around.memory.compare(&sample, address, data);
                        }
                        self.read_arrived(key, at, data, address, around.statistics);
                    }
                    Err(error) => self.finish_read(key, Err(error), address, around.statistics),
                }
            }
        }
    }

    /// A part of a read has come, unless it was forgotten.
    fn read_arrived(&mut self, key: u64, at: usize, data: &[u8], address: u64, statistics: &mut ClientStatistics) {
        let Some(read) = self.reads.get_mut(&key) else { return };
        read.data[at..at + data.len()].copy_from_slice(data);
        read.arrived += data.len();
        if read.arrived == read.data.len() {
            let data = std::mem::take(&mut read.data);
            self.finish_read(key, Ok(data), address, statistics);
        }
    }

    /// A read is over, unless it was forgotten or has failed before.
    fn finish_read(
        &mut self,
        key: u64,
        result: Result<Vec<u8>, Errno>,
        address: u64,
        statistics: &mut ClientStatistics,
    ) {
        let Some(read) = self.reads.remove(&key) else { return };
        if let Err(error) = &result {
            failed(statistics, Command::DmaRead, address, *error);
        }
        self.finished.push_back((read.token, result));
    }
}

/// The data of a reply to DMA_READ of `bytes` bytes.
fn read_data(body: &[u8], bytes: usize) -> Result<&[u8], Errno> {
    let (access, data) = starting_with::<DmaAccess>(body)?;
    if access.count != bytes as u64 || data.len() != bytes {
        return Err(Errno::PROTO);
    }
    Ok(data)
}

/// Counts and logs; the first with a warning, since a guest that takes Bus Master away causes many.
fn failed(statistics: &mut ClientStatistics, command: Command, address: u64, error: Errno) {
    statistics.failed_dma += 1;
    match statistics.failed_dma {
        1 => tracing::warn!("{command} at {address:#x} failed: {error}; further failures are only counted"),
        _ => tracing::debug!("{command} at {address:#x} failed: {error}"),
    }
}
