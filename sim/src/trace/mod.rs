//! What went on, written down: a VCD of the ports with decoded TLPs, and a log of TLPs in text. Off, it costs nothing:
//! the model is not sampled, and no packet is looked at.
use crate::model::{Endpoint, PortLayout, Transmitted};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

mod heading;
mod ports;
mod vcd;

pub use heading::Heading;
use ports::PortMap;
use vcd::VcdFile;

/// Cycles before a trigger that the VCD shows.
const BEFORE_TRIGGER: u64 = 64;
/// Cycles from a trigger on that the VCD shows, where no end was given.
const FROM_TRIGGER: u64 = 4096;

/// What starts a triggered VCD.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Trigger {
    /// The driver notifies a queue.
    Notify,
    /// The device interrupts.
    Interrupt,
    /// A completion with an error status, in either direction.
    Error,
}

/// What is written down.
#[derive(Clone, Debug, Default)]
pub struct TraceOptions {
    /// The VCD's file.
    pub vcd: Option<PathBuf>,
    /// First cycle of the VCD.
    pub from: Option<u64>,
    /// First cycle behind the VCD; with a trigger: how many cycles from it on.
    pub to: Option<u64>,
    /// The VCD begins a little before the first event of this kind (at `from` or later).
    pub trigger: Option<Trigger>,
    /// The TLP log's file.
    pub tlp_log: Option<PathBuf>,
}

enum Window {
    /// Writes what is sampled.
    Open,
    /// Keeps the last samples until the trigger.
    Armed(Trigger, VecDeque<(u64, Vec<u8>)>),
}

struct Vcd {
    file: VcdFile,
    window: Window,
    from: u64,
    to: Option<u64>,
}

/// The traces of one machine. One that cannot be written any further ends with a warning, and what is traced goes on; the
/// error comes at the end.
pub struct Trace {
    vcd: Option<Vcd>,
    log: Option<BufWriter<File>>,
    sampling: Option<Range<u64>>,
    options: TraceOptions,
    failure: Option<io::Error>,
}

/// An error that says which file.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn create(path: &PathBuf) -> io::Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new).map_err(|error| named(path, &error))
}

impl Trace {
    /// Opens the files; `None` where nothing is to be written.
    pub fn new(options: &TraceOptions, ports: &[PortLayout], clock_hz: u64) -> io::Result<Option<Self>> {
        let log = options.tlp_log.as_ref().map(create).transpose()?;
        let from = options.from.unwrap_or(0);
        let vcd = match &options.vcd {
            None => None,
            Some(path) => Some(Vcd {
                file: VcdFile::new(create(path)?, PortMap::new(ports), clock_hz, from == 0)
                    .map_err(|error| named(path, &error))?,
                window: match options.trigger {
                    Some(trigger) => Window::Armed(trigger, VecDeque::new()),
                    None => Window::Open,
                },
                from,
                to: options.to,
            }),
        };
        if vcd.is_none() && log.is_none() {
            return Ok(None);
        }
        let sampling = vcd.as_ref().map(|vcd| match vcd.window {
            Window::Open => from..vcd.to.unwrap_or(u64::MAX),
            Window::Armed(..) => from.saturating_sub(BEFORE_TRIGGER)..u64::MAX,
        });
        Ok(Some(Trace { vcd, log, sampling, options: options.clone(), failure: None }))
    }

    /// A packet is on its way to the endpoint, whose first beat comes in cycle `at` at the earliest.
    pub fn to_device(&mut self, at: u64, dwords: &[u32], endpoint: &mut Endpoint) {
        self.packet(at, "to device", dwords, endpoint);
    }

    /// The endpoint sent a packet.
    pub fn to_host(&mut self, packet: &Transmitted, endpoint: &mut Endpoint) {
        self.packet(packet.first_cycle, "to host", &packet.dwords, endpoint);
    }

    fn packet(&mut self, at: u64, way: &str, dwords: &[u32], endpoint: &mut Endpoint) {
        let heading = Heading::of(dwords);
        if let Some(log) = &mut self.log {
            let written = writeln!(log, "{at:>10}  {way:<9}  {heading}{}", heading::payload(&heading, dwords));
            self.check_log(written);
        }
        if let Some(vcd) = self.vcd.as_mut().filter(|vcd| vcd.triggered(at, &heading)) {
            let written = vcd.fire(at, endpoint);
            self.check_vcd(written);
        }
    }

    /// Writes what was sampled.
    pub fn samples(&mut self, endpoint: &mut Endpoint) {
        if let Some(range) = self.sampling.take() {
            endpoint.sample(range.start, range.end);
        }
        let Some(vcd) = &mut self.vcd else { return };
        let mut result = Ok(());
        endpoint.drain_samples(|cycle, values| match &mut vcd.window {
            _ if result.is_err() => {}
            Window::Open => result = vcd.file.sample(cycle, values),
            Window::Armed(_, kept) => {
                while kept.front().is_some_and(|(old, _)| old + 4 * BEFORE_TRIGGER < cycle) {
                    if let Some((old, values)) = kept.pop_front() {
                        vcd.file.pass(old, &values);
                    }
                }
                kept.push_back((cycle, values.to_vec()));
            }
        });
        if result.is_err() {
            // Nothing is sampled any more.
            endpoint.sample(0, 0);
        }
        self.check_vcd(result);
    }

    /// Writes everything out. An error is the first that there has been.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            let written = log.flush();
            self.check_log(written);
        }
        if let Some(vcd) = &mut self.vcd {
            let written = vcd.file.flush();
            self.check_vcd(written);
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn check_log(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.log = None;
            self.failed(self.options.tlp_log.clone(), &error);
        }
    }

    fn check_vcd(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.vcd = None;
            self.failed(self.options.vcd.clone(), &error);
        }
    }

    fn failed(&mut self, path: Option<PathBuf>, error: &io::Error) {
        let error = named(&path.unwrap_or_default(), error);
        tracing::warn!(%error, "a trace ends here, all else goes on");
        self.failure.get_or_insert(error);
    }
}

impl Vcd {
    fn triggered(&self, at: u64, heading: &Heading) -> bool {
        match &self.window {
            Window::Armed(trigger, _) if at >= self.from => match trigger {
                Trigger::Notify => heading.is_notify(),
                Trigger::Interrupt => heading.is_interrupt(),
                Trigger::Error => heading.is_error(),
            },
            _ => false,
        }
    }

    /// Opens the window around cycle `at`.
    fn fire(&mut self, at: u64, endpoint: &mut Endpoint) -> io::Result<()> {
        let start = at.saturating_sub(BEFORE_TRIGGER);
        let end = at.saturating_add(self.to.unwrap_or(FROM_TRIGGER));
        endpoint.sample(start, end);
        if let Window::Armed(_, kept) = std::mem::replace(&mut self.window, Window::Open) {
            for (cycle, values) in kept {
                match (start..end).contains(&cycle) {
                    true => self.file.sample(cycle, &values)?,
                    false => self.file.pass(cycle, &values),
                }
            }
        }
        Ok(())
    }
}
