//! The byte streams of a console, or of a program on the control processor, and what they are connected to.
use super::console::{ConsoleBackend, TerminalSize};
use crate::control::{Command, Refusal};
use crate::model::{DevicePacket, DeviceSide, Direction, Endpoint, InputLevel, ModelError, Stream, StreamShape};
use serde_json::{json, Map, Value};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Printed bytes that wait for the other end; when there are more, the endpoint waits.
const WAITING_BYTES: usize = 64 << 10;
/// Typed bytes that wait before the endpoint: a chain's worth, twice.
const TYPED_BYTES: usize = 512;
/// The endpoint may run on for so many cycles behind a byte that it printed.
const LOOKAHEAD: u64 = 256;
/// When the other end that had no room is asked again.
const RETRY: Duration = Duration::from_millis(1);

/// The ports of an endpoint to its console.
#[derive(Copy, Clone, Debug)]
struct Ports {
    printed: Stream,
    typed: Stream,
    /// Columns and rows, where the driver is told of them.
    size: Option<(InputLevel, InputLevel)>,
}

/// A console behind an endpoint.
pub struct ConsolePort {
    /// What its ports' names begin with.
    device: &'static str,
    backend: Box<dyn ConsoleBackend>,
    clock_hz: u64,
    /// Where the other end has none; nothing where the endpoint has no ports for a size.
    default_size: Option<TerminalSize>,
    size: Option<TerminalSize>,
    ports: Option<Ports>,
    /// Printed bytes that the other end has not taken.
    waiting: VecDeque<u8>,
    /// The endpoint may print nothing.
    held: bool,
    /// Nothing more is asked of the other end.
    full: bool,
    now: u64,
    printed_bytes: u64,
    typed_bytes: u64,
}

impl ConsolePort {
    /// A console that is connected to this. The endpoint's clock has `clock_hz`.
    pub fn new(backend: Box<dyn ConsoleBackend>, default_size: TerminalSize, clock_hz: u64) -> Self {
        ConsolePort {
            device: "console",
            backend,
            clock_hz,
            default_size: Some(default_size),
            size: None,
            ports: None,
            waiting: VecDeque::new(),
            held: false,
            full: false,
            now: 0,
            printed_bytes: 0,
            typed_bytes: 0,
        }
    }

    /// The bytes of a device that is a program (`firmware`): what it says, and what it is told. They have no size.
    pub fn of_program(backend: Box<dyn ConsoleBackend>, clock_hz: u64) -> Self {
        let unused = TerminalSize { cols: 0, rows: 0 };
        ConsolePort { device: "firmware", default_size: None, ..Self::new(backend, unused, clock_hz) }
    }

    /// The size of the terminal, where the driver is told of it.
    fn terminal_size(&self) -> Option<TerminalSize> {
        self.default_size.map(|default| self.backend.size().unwrap_or(default))
    }

    /// Looks at the other end at once, and not when it is time to.
    pub fn look(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        self.poll(endpoint)
    }

    /// Typed bytes that were asked for and that the endpoint has not taken.
    pub fn untaken(&self, endpoint: &mut Endpoint) -> Result<usize, ModelError> {
        endpoint.model().queued(super::connected(self.ports)?.typed)
    }

    /// Hands over what has been printed, and stops the endpoint while too much of it waits.
    fn print(&mut self, ports: Ports, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        while !self.waiting.is_empty() {
            let taken = self.backend.write(self.waiting.as_slices().0);
            if taken == 0 {
                break;
            }
            self.waiting.drain(..taken);
        }
        let hold = self.waiting.len() >= if self.held { WAITING_BYTES / 2 } else { WAITING_BYTES };
        if hold != self.held {
            self.held = hold;
            endpoint.model().set_held(ports.printed, hold)?;
        }
        Ok(())
    }

    /// Hands over what has been typed, as far as the endpoint has use for it.
    fn read(&mut self, ports: Ports, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        loop {
            let room = TYPED_BYTES.saturating_sub(endpoint.model().queued(ports.typed)?);
            self.full = room == 0;
            if self.full {
                return Ok(());
            }
            let typed = self.backend.read(room);
            if typed.is_empty() {
                return Ok(());
            }
            self.typed_bytes += typed.len() as u64;
            for byte in typed {
                endpoint.model().send(ports.typed, self.now, &[byte.into()])?;
            }
        }
    }
}

impl DeviceSide for ConsolePort {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let byte = StreamShape { side: &["data"], ..StreamShape::default() };
        let ports = Ports {
            printed: endpoint.add_stream(&format!("{}_tx", self.device), Direction::Output, byte)?,
            typed: endpoint.add_stream(&format!("{}_rx", self.device), Direction::Input, byte)?,
            size: match self.default_size {
                Some(_) => {
                    Some((endpoint.model().input_level("console_cols")?, endpoint.model().input_level("console_rows")?))
                }
                None => None,
            },
        };
        endpoint.model().set_low_water(ports.typed, TYPED_BYTES / 2)?;
        (self.ports, self.held) = (Some(ports), false);
        Ok(())
    }

    fn packet(&mut self, packet: DevicePacket, _endpoint: &mut Endpoint) -> Result<(), ModelError> {
        // that of no words says that there is room for more typed bytes
        if let ([byte], Some(_)) = (&packet.words[..], self.ports.filter(|ports| ports.printed == packet.stream)) {
            self.printed_bytes += 1;
            self.waiting.push_back(*byte as u8);
        }
        Ok(())
    }

    fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = super::connected(self.ports)?;
        self.now = endpoint.cycle();
        self.print(ports, endpoint)?;
        self.read(ports, endpoint)?;
        let size = self.terminal_size();
        if self.size != size {
            self.size = size;
            if let (Some(size), Some((cols, rows))) = (size, ports.size) {
                endpoint.model().set(cols, size.cols.into());
                endpoint.model().set(rows, size.rows.into());
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<u64> {
        let retry = (!self.waiting.is_empty()).then_some(RETRY);
        let next = retry.into_iter().chain(self.backend.look_every()).min()?;
        Some(self.now + (next.as_nanos() * u128::from(self.clock_hz)).div_ceil(1_000_000_000) as u64)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.backend.as_fd().filter(|_| !self.full)
    }

    fn latency(&self) -> u64 {
        LOOKAHEAD
    }

    fn control(&mut self, command: &Command, _endpoint: &mut Endpoint) -> Result<(), Refusal> {
        let Command::Size { cols, rows } = *command else { return Err(Refusal::OtherDevice) };
        if self.default_size.is_none() {
            return Err(Refusal::OtherDevice);
        }
        if let Some(TerminalSize { cols, rows }) = self.backend.size() {
            let own = format!("the terminal has a size of its own, {cols} columns and {rows} rows: change that");
            return Err(Refusal::Because(own));
        }
        if cols == 0 || rows == 0 {
            return Err(Refusal::Because("a terminal has at least one column and one row".into()));
        }
        // It is shown by the next poll, which follows.
        self.default_size = Some(TerminalSize { cols, rows });
        Ok(())
    }

    fn state(&self) -> Map<String, Value> {
        let Some(TerminalSize { cols, rows }) = self.terminal_size() else { return Map::new() };
        [("cols".to_string(), json!(cols)), ("rows".to_string(), json!(rows))].into_iter().collect()
    }

    fn statistics(&self) -> Map<String, Value> {
        let console = json!({
            "printed_bytes": self.printed_bytes,
            "typed_bytes": self.typed_bytes,
            "lost_bytes": self.backend.lost(),
        });
        [("console".to_string(), console)].into_iter().collect()
    }
}
