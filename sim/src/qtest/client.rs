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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::thread::{spawn, JoinHandle};

    /// A client, and a QEMU that says these words to each command in turn and returns the commands.
    fn client(words: &[&'static str]) -> (Client, JoinHandle<Vec<String>>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let words = words.to_vec();
        let qemu = spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().unwrap()).lines();
            let mut said = words.into_iter();
            let mut commands = Vec::new();
            while let Some(Ok(command)) = lines.next() {
                commands.push(command);
                match said.next() {
                    Some(words) => theirs.write_all(words.as_bytes()).unwrap(),
                    None => break,
                }
            }
            commands
        });
        (Client::new(ours, Duration::from_millis(200)).unwrap(), qemu)
    }

    #[test]
    fn accesses_are_lines_of_text() {
        let (mut client, qemu) = client(&["OK\n", "OK 0x001f\n", "OK 0x00000000cafe0123\n", "OK\n", "OK 0x0a0Bff\n"]);
        client.port_write(0xcf8, Width::Double, 0x8000_2000).unwrap();
        assert_eq!(client.port_read(0xcfe, Width::Word).unwrap(), 0x1f);
        assert_eq!(client.memory_read(0xfe00_0000, Width::Double).unwrap(), 0xcafe_0123);
        client.block_write(0x1000, &[1, 0xab]).unwrap();
        let mut data = [0; 3];
        client.block_read(0x2000, &mut data).unwrap();
        assert_eq!(data, [0x0a, 0x0b, 0xff]);
        drop(client);
        let commands = ["outl 0xcf8 0x80002000", "inw 0xcfe", "readl 0xfe000000", "write 0x1000 0x2 0x01ab"];
        assert_eq!(qemu.join().unwrap()[..4], commands);
    }

    #[test]
    fn interrupts_come_at_any_time() {
        let (mut client, _qemu) =
            client(&["IRQ raise 20\nIRQ raise 3\nOK\nIRQ lower 3\n", "OK 0x1\nIRQ lower 20\nIRQ ra"]);
        client.intercept_inputs("ioapic").unwrap();
        client.listen(Duration::ZERO).unwrap();
        assert_eq!(client.asserted(), &BTreeSet::from([20]), "with the answer before it");
        client.port_read(0, Width::Byte).unwrap();
        assert!(client.asserted().is_empty());
        assert_eq!(client.received, b"IRQ ra", "half a line waits for its end");
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let (mut client, qemu) = client(&["FAIL Unknown command 'inb'\n", "HELLO\n", "OK 0xz\n", "OK 0x1\n", ""]);
        let mut read = || client.port_read(0x60, Width::Byte).unwrap_err();
        let error = read();
        assert!(matches!(error, QtestError::Refused { .. }), "{error}");
        assert_eq!(error.to_string(), "QEMU refuses `inb 0x60`: FAIL Unknown command 'inb'");
        assert!(matches!(read(), QtestError::Answer { .. }));
        assert!(matches!(read(), QtestError::Answer { .. }));
        let error = client.block_read(0, &mut [0; 4]).unwrap_err();
        assert!(matches!(error, QtestError::Answer { .. }), "{error}");
        let error = client.port_read(0x60, Width::Byte).unwrap_err();
        assert!(matches!(error, QtestError::Timeout { .. }), "{error}");
        let _ = client.stream.write_all(b"the last\n");
        qemu.join().unwrap();
        let error = client.port_read(0x60, Width::Byte).unwrap_err();
        assert!(matches!(error, QtestError::Closed(_)), "{error}");
    }
}
