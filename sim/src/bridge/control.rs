//! What somebody besides the guest asks of the bridge, by its control socket.
use super::{Bridge, BridgeError};
use crate::control::{Answer, Command, Control, Refusal};
use crate::link::{HostRequest, SLOT};
use serde::Serialize;
use serde_json::{json, Map, Value};
use vfio_user_server::{region, Client, Device as _, Work};
use virtio_hdl_rtl::endpoint::diagnostics::violation_in_words;
use virtio_hdl_rtl::pcie::registers::{BAR1_BYTES, DIAGNOSTICS_OFFSET};
use virtio_hdl_rtl::virtio::layout::{
    GUEST_FEATURES, STATUS, STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_DRIVER_OK, STATUS_FAILED,
};

/// Bits of STATUS, as the specification names them.
const STATUS_BITS: [(u8, &str); 4] = [
    (STATUS_ACKNOWLEDGE, "ACKNOWLEDGE"),
    (STATUS_DRIVER, "DRIVER"),
    (STATUS_DRIVER_OK, "DRIVER_OK"),
    (STATUS_FAILED, "FAILED"),
];

/// What an endpoint is, as whoever started it knows: its RTL does not say.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The configuration, by name.
    pub configuration: String,
    /// Name of the device type.
    pub device: String,
    /// In a sentence: `a disk`.
    pub title: String,
    /// The features that it offers, by their bits.
    pub features: Vec<(u32, &'static str)>,
    /// The double words of its diagnostics, the violation first.
    pub diagnostics: Vec<&'static str>,
}

/// The answer to [`Command::Status`].
#[derive(Serialize)]
struct Status<'a> {
    configuration: &'a str,
    device: &'a str,
    /// One has attached.
    guest: bool,
    /// It stands still: see `freeze`.
    still: bool,
    /// What it has set in the registers; nothing where it cannot be asked.
    driver: Option<Driver>,
    /// What the device side shows.
    side: Map<String, Value>,
    /// The queue that has stopped, and why.
    violation: Option<String>,
}

/// What the driver has set.
#[derive(Serialize)]
struct Driver {
    status: u8,
    status_bits: Vec<&'static str>,
    features: u32,
    feature_names: Vec<&'static str>,
}

/// The answer to [`Command::Diagnostics`].
#[derive(Serialize)]
struct Diagnostics<'a> {
    /// Of the first queue that has stopped since the reset.
    violation: Option<String>,
    /// The one that was told last, resets or not.
    last_violation: Option<&'a str>,
    counters: Map<String, Value>,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Told to who asks.
    Refused(String),
    /// The bridge cannot go on.
    Bridge(BridgeError),
}

impl<E: Into<BridgeError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Bridge(error.into())
    }
}

pub(super) fn refused<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(why.into()))
}

impl Bridge {
    /// From here on commands come by this socket.
    pub fn controlled_by(&mut self, control: Control, identity: Identity) {
        (self.control, self.identity) = (Some(control), identity);
    }

    /// Serves the socket.
    pub(super) fn serve_control(&mut self, mut client: Option<&mut Client>) -> Work {
        let Some(mut control) = self.control.take() else { return Work::Idle };
        let mut work = Work::Idle;
        control.serve(|command| {
            tracing::debug!(?command, "by the control socket");
            match self.carry_out(command, client.as_deref_mut()) {
                Ok(value) => Answer::Ok(value),
                Err(Failure::Refused(why)) => Answer::Error(why),
                Err(Failure::Bridge(error)) => {
                    let told = format!("the endpoint has stopped: {error}");
                    if self.checked::<()>(Err(error)).is_err() {
                        work = Work::Failed;
                    }
                    Answer::Error(told)
                }
            }
        });
        self.control = Some(control);
        work
    }

    fn carry_out(&mut self, command: &Command, client: Option<&mut Client>) -> Result<Value, Failure> {
        match command {
            Command::Status => {
                let guest = client.is_some();
                // One that stands still does not answer.
                let client = client.filter(|_| !self.stands_still());
                let driver = client.map(|client| self.driver(client)).transpose()?.flatten();
                Ok(json!(self.status(guest, driver)))
            }
            Command::Statistics => {
                let mut report = self.report();
                report.clients.extend(client.map(|client| client.statistics().clone()));
                Ok(json!(report))
            }
            Command::Diagnostics => self.diagnostics(client),
            Command::Freeze => self.freeze(client),
            Command::Thaw => self.thaw(),
            Command::Save { path } => self.save(path),
            Command::Restore { path } => self.restore(path),
            Command::Reload { configuration, set } => self.reload(configuration, set),
            Command::Link { .. }
            | Command::Capacity { .. }
            | Command::ReadOnly { .. }
            | Command::Size { .. }
            | Command::Balloon { .. } => match self.engine.control(command) {
                Ok(()) => Ok(Value::Object(self.engine.side_state())),
                Err(Refusal::OtherDevice) => {
                    let Identity { title, configuration, .. } = &self.identity;
                    let (name, device) = (command.name(), command.device().unwrap_or("another device"));
                    refused(format!(
                            "{name} belongs to {device}, and this endpoint is {title} ({configuration}): give it to the control \
                             socket of an endpoint of {device}"
                        ))
                }
                Err(Refusal::Because(why)) => refused(why),
            },
            // The socket sees to it when this has been told.
            Command::Quit => Ok(json!({})),
        }
    }

    fn status(&self, guest: bool, driver: Option<Driver>) -> Status<'_> {
        Status {
            configuration: &self.identity.configuration,
            device: &self.identity.device,
            guest,
            still: self.stands_still(),
            driver,
            side: self.engine.side_state(),
            violation: violation_in_words(self.engine.queue_violation()),
        }
    }

    /// What the registers say; nothing while they have no address, or do not answer.
    fn driver(&mut self, client: &mut Client) -> Result<Option<Driver>, BridgeError> {
        if !self.engine.has_queues() {
            return Ok(None);
        }
        let status = self.ask(client, region::BAR0, u64::from(STATUS), 1)?;
        let features = self.ask(client, region::BAR0, u64::from(GUEST_FEATURES), 4)?;
        let (Some(status), Some(features)) = (status, features) else { return Ok(None) };
        let status = status as u8;
        let status_bits = STATUS_BITS.iter().filter(|(bit, _)| status & bit != 0).map(|(_, name)| *name).collect();
        let accepted = self.identity.features.iter().filter(|(bit, _)| features >> bit & 1 == 1);
        Ok(Some(Driver { status, status_bits, features, feature_names: accepted.map(|(_, name)| *name).collect() }))
    }

    fn diagnostics(&mut self, client: Option<&mut Client>) -> Result<Value, Failure> {
        if !self.engine.has_queues() {
            return refused(format!(
                "this endpoint is {}; diagnostics belongs to those that are generated",
                self.identity.title
            ));
        }
        if self.stands_still() {
            return refused("the endpoint stands still, and does not answer: `thaw` it first");
        }
        let Some(client) = client else {
            return refused("no guest is there: the endpoint is as after its reset, and has counted nothing");
        };
        let mut counters = Map::new();
        for (index, name) in (0_u16..).zip(self.identity.diagnostics.clone()).skip(1) {
            let value = match self.function.diagnostics {
                Some(first) => {
                    let request = HostRequest::ConfigRead { target: SLOT, offset: first + 4 * index, bytes: 4 };
                    self.engine.request(client, request)?.map(little_endian)
                }
                None if self.region_bytes(region::BAR1) >= u64::from(BAR1_BYTES) => {
                    self.ask(client, region::BAR1, u64::from(DIAGNOSTICS_OFFSET) + 4 * u64::from(index), 4)?
                }
                None => {
                    return refused("this endpoint has no vectors, and so no BAR1 with diagnostics; `status` tells of a queue that stopped");
                }
            };
            let Some(value) = value else {
                return refused("the endpoint does not answer: has the guest placed BAR1, and is the function awake?");
            };
            counters.insert(name.into(), value.into());
        }
        let violation = violation_in_words(self.engine.queue_violation());
        Ok(json!(Diagnostics { violation, last_violation: self.engine.last_violation(), counters }))
    }

    /// Reads a register.
    fn ask(&mut self, client: &mut Client, bar: u32, offset: u64, bytes: usize) -> Result<Option<u32>, BridgeError> {
        let Some(request) = self.read_request(client, bar, offset, bytes)? else { return Ok(None) };
        Ok(self.engine.request(client, request)?.map(little_endian))
    }
}

fn little_endian(bytes: Vec<u8>) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
