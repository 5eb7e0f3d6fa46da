//! The state of an endpoint that stands still: read and written by its state window, kept in a file, and moved to another endpoint
//! that goes on in its place.
//!
//! ```text
//! freeze: nothing new begins, what has begun ends, no TLP leaves       save: State::read -> file
//! thaw:   the queues look at their rings as if they had been kicked    restore: file -> State::write
//! ```
mod file;
mod registers;
mod still;
mod swap;

pub use file::FileError;
pub use still::{freeze, look, thaw, Stillness, MOST_CYCLES};
pub use swap::{restore, swap};

use crate::model::ModelError;
use serde::{Deserialize, Serialize};

/// All that a driver has set or can see of an endpoint, and where its queues are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Virtio device id.
    pub device: u16,
    /// {bus, device, function}, as the last config write had it.
    pub function: u16,
    /// The double words of config space, without the diagnostics.
    pub config: Vec<u32>,
    /// HOST_FEATURES: what is offered.
    pub offered: u32,
    /// GUEST_FEATURES.
    pub features: u32,
    /// The features in force, which stay while DRIVER_OK is set.
    pub accepted: u32,
    /// STATUS.
    pub status: u8,
    /// ISR.
    pub isr: u8,
    /// QUEUE_SEL.
    pub select: u16,
    /// Vector of config changes, 0xffff for none.
    pub config_vector: u16,
    /// The device's configuration, as the driver reads it.
    pub device_config: Vec<u32>,
    /// The driver has written some of it.
    pub config_written: bool,
    /// A change of it has not been told yet.
    pub change_waits: bool,
    /// The queues wait for DRIVER_OK, since bus mastering was taken away.
    pub halted: bool,
    /// Of each queue.
    pub queues: Vec<QueueState>,
    /// MSI-X table: address, upper address, data, control of each vector.
    pub vectors: Vec<[u32; 4]>,
    /// Pending bits.
    pub pending: u64,
}

/// Where a queue is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueState {
    /// Entries.
    pub size: u16,
    /// Page frame of its ring, 0 while it is not set up.
    pub page_frame: u32,
    /// MSI-X vector, 0xffff for none.
    pub vector: u16,
    /// Used index, which is that of the next chain as well.
    pub index: u16,
    /// The driver has kicked it.
    pub kicked: bool,
    /// It has stopped: its driver broke a rule.
    pub stopped: bool,
}

/// Why a state cannot be had, or not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The model cannot go on.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Another version of the window.
    #[error("the endpoint's state window is {0:#010x}, and not of a version that is known here")]
    OtherWindow(u32),
    /// It goes on.
    #[error("the endpoint does not stand still: freeze it first")]
    Moves,
    /// It does not come to a stand.
    #[error(
        "the endpoint does not come to a stand within {0} cycles: it waits for its device side or for memory, or it sleeps with an \
         interrupt to send; it goes on"
    )]
    NeverStill(u64),
    /// The state is that of an endpoint of another kind.
    #[error(
        "the state has {what} {state}, the endpoint {endpoint}: it fits an endpoint like the one that it comes from"
    )]
    OtherKind {
        /// What differs.
        what: &'static str,
        /// In the state.
        state: String,
        /// At the endpoint.
        endpoint: String,
    },
    /// Something has not become what it was to be.
    #[error("the endpoint does not take the state over: {0}")]
    Differs(String),
    /// A trace is written of ports that the new endpoint does not have.
    #[error("the new endpoint has other ports than those that are recorded: not with --vcd")]
    Recorded,
}

impl State {
    /// What of it a driver would find changed in another one, if anything. What is told by the device side is not compared: features
    /// offered, and the device's configuration.
    pub fn difference(&self, other: &State) -> Option<String> {
        let words = |state: &State| -> Vec<(String, u64)> {
            let mut words = vec![("device".into(), state.device.into()), ("function".into(), state.function.into())];
            words.extend(numbered("config space at 4 * ", state.config.iter().copied()));
            words.extend([
                ("GUEST_FEATURES".to_string(), state.features.into()),
                ("the features in force".into(), state.accepted.into()),
                ("STATUS".into(), state.status.into()),
                ("ISR".into(), state.isr.into()),
                ("QUEUE_SEL".into(), state.select.into()),
                ("the config vector".into(), state.config_vector.into()),
                ("the queues' halt".into(), state.halted.into()),
            ]);
            for (number, queue) in state.queues.iter().enumerate() {
                let QueueState { size, page_frame, vector, index, kicked, stopped } = *queue;
                let fields: [(&str, u64); 6] = [
                    ("size", size.into()),
                    ("page frame", page_frame.into()),
                    ("vector", vector.into()),
                    ("index", index.into()),
                    ("kick", kicked.into()),
                    ("stop", stopped.into()),
                ];
                words.extend(fields.map(|(name, value)| (format!("queue {number}: {name}"), value)));
            }
            words.extend(numbered("vector table, word ", state.vectors.iter().flatten().copied()));
            words.push(("the pending bits".into(), state.pending));
            words
        };
        let (ours, others) = (words(self), words(other));
        if ours.len() != others.len() {
            return Some("it has other queues, vectors or config space".into());
        }
        let changed = ours.into_iter().zip(others).find(|(ours, others)| ours != others);
        changed.map(|((name, value), (_, other))| format!("{name} is {other:#x}, and was {value:#x}"))
    }
}

fn numbered(name: &str, words: impl Iterator<Item = u32>) -> Vec<(String, u64)> {
    words.enumerate().map(|(number, word)| (format!("{name}{number}"), word.into())).collect()
}
