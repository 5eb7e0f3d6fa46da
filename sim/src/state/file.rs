//! A state in a file: one JSON object, with a version and a checksum.
use super::State;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the form.
const VERSION: u32 = 1;

/// Why a file is not taken for a state.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not one.
    #[error("it is no saved state: {0}")]
    NoState(serde_json::Error),
    /// Of another version.
    #[error("it is a saved state of version {0}, and this program knows version {VERSION}")]
    OtherVersion(u32),
    /// Changed since it was written.
    #[error("it is damaged: its checksum is {found}, and should be {wanted}")]
    Damaged {
        /// Of what is there.
        found: String,
        /// What is written in it.
        wanted: String,
    },
}

/// The outer form, which later versions keep.
#[derive(Serialize, Deserialize)]
struct Envelope<S> {
    virtio_hdl_state: u32,
    /// SHA-256 of the state, printed without spaces.
    checksum: String,
    state: S,
}

fn checksum(state: &serde_json::Value) -> String {
    Sha256::digest(state.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl State {
    /// As it is written to a file.
    pub fn to_text(&self) -> String {
        let state = serde_json::json!(self);
        let envelope = Envelope { virtio_hdl_state: VERSION, checksum: checksum(&state), state };
        serde_json::json!(envelope).to_string() + "\n"
    }

    /// What has been written to a file.
    pub fn from_text(text: &str) -> Result<Self, FileError> {
        let envelope: Envelope<serde_json::Value> = serde_json::from_str(text).map_err(FileError::NoState)?;
        if envelope.virtio_hdl_state != VERSION {
            return Err(FileError::OtherVersion(envelope.virtio_hdl_state));
        }
        let found = checksum(&envelope.state);
        if found != envelope.checksum {
            return Err(FileError::Damaged { found, wanted: envelope.checksum });
        }
        serde_json::from_value(envelope.state).map_err(FileError::NoState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::QueueState;

    fn state() -> State {
        let queue = QueueState { size: 256, page_frame: 7, vector: 1, index: 65535, kicked: true, stopped: false };
        State {
            device: 2,
            function: 0x100,
            config: vec![0x1001_1af4; 40],
            offered: 1 << 29,
            features: 0,
            accepted: 0,
            status: 7,
            isr: 1,
            select: 0,
            config_vector: 0xffff,
            device_config: vec![0; 10],
            config_written: false,
            change_waits: false,
            halted: false,
            queues: vec![queue],
            vectors: vec![[1, 2, 3, 0]],
            pending: 1,
        }
    }

    #[test]
    fn a_saved_state_is_read_as_it_was_and_a_damaged_one_is_refused() {
        let text = state().to_text();
        assert_eq!(State::from_text(&text).unwrap(), state());
        for (from, to, why) in [
            ("\"status\":7", "\"status\":5", "damaged"),
            ("\"virtio_hdl_state\":1", "\"virtio_hdl_state\":2", "version 2"),
            ("\"virtio_hdl_state\":1", "\"other\":1", "no saved state"),
        ] {
            assert!(text.contains(from), "{text}");
            let told = State::from_text(&text.replace(from, to)).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
        for end in 0..text.trim_end().len() {
            assert!(State::from_text(&text[..end]).is_err(), "cut at {end}");
        }
        assert!(State::from_text("").is_err());
    }

    #[test]
    fn a_difference_has_a_name() {
        let other = State { isr: 0, ..state() };
        assert_eq!(state().difference(&other).as_deref(), Some("ISR is 0x0, and was 0x1"));
        assert_eq!(state().difference(&state()), None);
    }
}
