//! The qtest protocol: lines of text over a socket.
//!
//! A command is one line, its answer is `OK` with a value or `FAIL` or `ERR` with a reason. Lines `IRQ raise N` and
//! `IRQ lower N` come at any time, for the inputs of the one device that was chosen. Source: the comment at the head of
//! QEMU's `system/qtest.c`.
use super::QtestError;
use crate::host::Width;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Longest part of a command that errors tell.
const TOLD: usize = 80;

/// The side of the qtest socket that commands.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    timeout: Duration,
    /// Bytes of a line that has not come to its end.
    received: Vec<u8>,
    /// The answer to a command, until it is taken.
    answer: Option<String>,
    asserted: BTreeSet<u32>,
}

/// Letter of an access of this width in the commands' names.
const fn letter(width: Width) -> char {
    match width {
        Width::Byte => 'b',
        Width::Word => 'w',
        Width::Double => 'l',
    }
}

impl Client {
    /// Speaks over `stream`, and waits at most `timeout` for an answer.
    pub fn new(stream: UnixStream, timeout: Duration) -> Result<Self, QtestError> {
        stream.set_write_timeout(Some(timeout)).map_err(|error| socket_error("connect", error))?;
        Ok(Client { stream, timeout, received: Vec::new(), answer: None, asserted: BTreeSet::new() })
    }

    /// Reads an I/O port. Ports have 16 bits: QEMU aborts on others.
    pub fn port_read(&mut self, port: u16, width: Width) -> Result<u32, QtestError> {
        Ok(self.value(&format!("in{} {port:#x}", letter(width)))? as u32)
    }

    /// Writes an I/O port.
    pub fn port_write(&mut self, port: u16, width: Width, value: u32) -> Result<(), QtestError> {
        self.done(&format!("out{} {port:#x} {value:#x}", letter(width)))
    }

    /// Reads memory with one access.
    pub fn memory_read(&mut self, address: u64, width: Width) -> Result<u32, QtestError> {
        Ok(self.value(&format!("read{} {address:#x}", letter(width)))? as u32)
    }

    /// Writes memory with one access.
    pub fn memory_write(&mut self, address: u64, width: Width, value: u32) -> Result<(), QtestError> {
        self.done(&format!("write{} {address:#x} {value:#x}", letter(width)))
    }

    /// Reads bytes of memory, with accesses as QEMU likes them.
    pub fn block_read(&mut self, address: u64, data: &mut [u8]) -> Result<(), QtestError> {
        if data.is_empty() {
            return Ok(());
        }
        let command = format!("read {address:#x} {:#x}", data.len());
        let answer = self.command(&command)?;
        let digits = answer.strip_prefix("0x").filter(|digits| digits.len() == 2 * data.len() && digits.is_ascii());
        let bytes = digits.map(|digits| {
            data.iter_mut().enumerate().try_for_each(|(index, byte)| {
                *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16)?;
                Ok::<(), std::num::ParseIntError>(())
            })
        });
        match bytes {
            Some(Ok(())) => Ok(()),
            _ => Err(QtestError::Answer { command, answer: told(&answer) }),
        }
    }

    /// Writes bytes of memory, with accesses as QEMU likes them.
    pub fn block_write(&mut self, address: u64, data: &[u8]) -> Result<(), QtestError> {
        if data.is_empty() {
            return Ok(());
        }
        let mut command = format!("write {address:#x} {:#x} 0x", data.len());
        for byte in data {
            let _ = write!(command, "{byte:02x}");
        }
        self.done(&command)
    }

    /// Chooses the device whose interrupt inputs are told. Only once; all inputs are taken to be low.
    pub fn intercept_inputs(&mut self, device: &str) -> Result<(), QtestError> {
        self.done(&format!("irq_intercept_in {device}"))
    }

    /// Inputs of the device chosen that are asserted, as far as QEMU has told.
    pub fn asserted(&self) -> &BTreeSet<u32> {
        &self.asserted
    }

    /// Waits until QEMU says something of its own accord, at most `patience`.
    pub fn listen(&mut self, patience: Duration) -> Result<(), QtestError> {
        if self.readable("listen", patience)? {
            self.receive("listen")?;
        }
        match self.answer.take() {
            Some(answer) => Err(QtestError::Answer { command: "nothing".into(), answer: told(&answer) }),
            None => Ok(()),
        }
    }

    fn done(&mut self, command: &str) -> Result<(), QtestError> {
        self.command(command).map(drop)
    }

    fn value(&mut self, command: &str) -> Result<u64, QtestError> {
        let answer = self.command(command)?;
        let digits = answer.strip_prefix("0x").unwrap_or(&answer);
        u64::from_str_radix(digits, 16)
            .map_err(|_| QtestError::Answer { command: told(command), answer: told(&answer) })
    }

    /// Gives a command and returns what follows `OK`.
    fn command(&mut self, command: &str) -> Result<String, QtestError> {
        let line = format!("{command}\n");
        self.stream.write_all(line.as_bytes()).map_err(|error| socket_error(command, error))?;
        let end = Instant::now() + self.timeout;
        loop {
            if let Some(line) = self.answer.take() {
                return match line.split_once(' ').unwrap_or((&line, "")) {
                    ("OK", value) => Ok(value.into()),
                    ("FAIL" | "ERR", _) => Err(QtestError::Refused { command: told(command), answer: told(&line) }),
                    _ => Err(QtestError::Answer { command: told(command), answer: told(&line) }),
                };
            }
            let patience = end.saturating_duration_since(Instant::now());
            if self.readable(command, patience)? {
                self.receive(command)?;
            } else if patience.is_zero() {
                return Err(QtestError::Timeout { command: told(command), timeout: self.timeout });
            }
        }
    }

    fn readable(&self, command: &str, patience: Duration) -> Result<bool, QtestError> {
        let time = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(socket_error(command, error.into())),
        }
    }

    fn receive(&mut self, command: &str) -> Result<(), QtestError> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(QtestError::Closed(told(command))),
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                // Every line that is complete: an interrupt may come with the answer before it.
                while let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.received.drain(..=end).collect();
                    let line = String::from_utf8_lossy(&line);
                    if !self.take_interrupt(line.trim_end()) {
                        self.answer = Some(line.trim_end().into());
                    }
                }
                Ok(())
            }
            Err(error) => Err(socket_error(command, error)),
        }
    }

    /// Takes note of a change of an interrupt input; false when the line is not one.
    fn take_interrupt(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        let (Some("IRQ"), Some(change), Some(Ok(input)), None) =
            (words.next(), words.next(), words.next().map(str::parse::<u32>), words.next())
        else {
            return false;
        };
        match change {
            "raise" => self.asserted.insert(input),
            "lower" => self.asserted.remove(&input),
            _ => return false,
        };
        true
    }
}

fn told(text: &str) -> String {
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

fn socket_error(command: &str, error: io::Error) -> QtestError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => QtestError::Closed(told(command)),
        _ => QtestError::Socket { command: told(command), error },
    }
}
