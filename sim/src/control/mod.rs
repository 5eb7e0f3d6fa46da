//! Commands to an endpoint that runs, and the Unix socket that they come by: one line of JSON each, and one line each back.
//!
//! ```text
//!  Client: {"command":"link","state":"down"}  -->  Control, in the loop of the bridge  -->  bridge, device side
//!          {"ok":{"link":"down","mac":...}}   <--
//!          {"error":"..."}
//! ```
//! Nobody waits for a client: what has come as a whole line is carried out, one command at a time, and what the socket does not
//! take of an answer waits with its client.
mod client;
mod connection;
mod server;

pub use client::{Client, ClientError};
pub use server::{Control, ControlError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// Most bytes of a request, its newline among them.
pub const MOST_REQUEST: usize = 8 << 10;

/// Most memory that a balloon can be asked to have: what its 32 bits of pages of 4 KiB hold.
pub const MOST_MEBIBYTES: u32 = (1 << 24) - 1;

/// What an endpoint that runs can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Subcommand))]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// What the endpoint is, what the guest's driver has set, and what the device side shows
    Status,
    /// Pull the plug of the network port, or put it in: the driver sees the link go (net)
    Link {
        /// Which
        #[cfg_attr(feature = "cli", arg(value_enum))]
        state: Plug,
    },
    /// Show the driver a disk of another size; an image that is too short grows, a longer one keeps what is behind its end (blk)
    Capacity {
        /// Of 512 bytes
        sectors: u64,
    },
    /// Let the disk refuse writes, or take them again (blk)
    ReadOnly {
        /// Which
        #[cfg_attr(feature = "cli", arg(value_enum))]
        state: Switch,
    },
    /// Show the driver a terminal of another size (console)
    Size {
        /// Columns
        #[cfg_attr(feature = "cli", arg(value_parser = clap::value_parser!(u16).range(1..)))]
        cols: u16,
        /// Rows
        #[cfg_attr(feature = "cli", arg(value_parser = clap::value_parser!(u16).range(1..)))]
        rows: u16,
    },
    /// Ask the guest's driver to have so much memory in the balloon; the guest runs on what is left (balloon)
    Balloon {
        /// Of 2^20 bytes
        #[cfg_attr(feature = "cli", arg(value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_MEBIBYTES))))]
        mebibytes: u32,
    },
    /// What happened at the endpoint and the bridge so far, as `serve` tells at its end
    Statistics,
    /// The endpoint's own counters, as they stand in BAR1, and the rule that a driver broke last
    Diagnostics,
    /// Let the endpoint stand still under its guest: nothing new begins, what has begun ends, and no packet leaves it; the guest waits
    Freeze,
    /// Let it go on
    Thaw,
    /// Write its state to a file
    Save {
        /// Which; it is replaced
        path: PathBuf,
    },
    /// Reset it, and let it have the state that was saved of it, under a guest that has done nothing since
    Restore {
        /// Which file
        path: PathBuf,
    },
    /// Put another endpoint in its place under the running guest, which notices nothing: of another width, from a changed source
    Reload {
        /// TOML file or name of an example
        configuration: String,
        /// Set a key of the configuration, as link.speed="gen3 x4"; may be repeated
        #[cfg_attr(feature = "cli", arg(long = "set", value_name = "KEY=VALUE"))]
        #[serde(default)]
        set: Vec<String>,
    },
    /// End as with SIGTERM: the disk flushed, the sockets removed
    Quit,
}

/// A plug.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Plug {
    /// It is in
    Up,
    /// It is pulled
    Down,
}

/// A switch.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is so
    On,
    /// It is not
    Off,
}

impl Command {
    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Link { .. } => "link",
            Command::Capacity { .. } => "capacity",
            Command::ReadOnly { .. } => "read-only",
            Command::Size { .. } => "size",
            Command::Balloon { .. } => "balloon",
            Command::Statistics => "statistics",
            Command::Diagnostics => "diagnostics",
            Command::Freeze => "freeze",
            Command::Thaw => "thaw",
            Command::Save { .. } => "save",
            Command::Restore { .. } => "restore",
            Command::Reload { .. } => "reload",
            Command::Quit => "quit",
        }
    }

    /// The device whose side carries it out; none for what every endpoint does.
    pub fn device(&self) -> Option<&'static str> {
        match self {
            Command::Link { .. } => Some("net"),
            Command::Capacity { .. } | Command::ReadOnly { .. } => Some("blk"),
            Command::Size { .. } => Some("console"),
            Command::Balloon { .. } => Some("balloon"),
            Command::Status
            | Command::Statistics
            | Command::Diagnostics
            | Command::Freeze
            | Command::Thaw
            | Command::Save { .. }
            | Command::Restore { .. }
            | Command::Reload { .. }
            | Command::Quit => None,
        }
    }
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It is done; what there is to tell.
    Ok(Value),
    /// It is not, and why.
    Error(String),
}

/// Why a device side does not carry out a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is one for another device.
    #[error("it is a command for another device")]
    OtherDevice,
    /// It cannot, in its own words.
    #[error("{0}")]
    Because(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_of_json() {
        for (command, text) in [
            (Command::Status, r#"{"command":"status"}"#),
            (Command::Link { state: Plug::Down }, r#"{"command":"link","state":"down"}"#),
            (Command::Capacity { sectors: 64 }, r#"{"command":"capacity","sectors":64}"#),
            (Command::Size { cols: 132, rows: 50 }, r#"{"command":"size","cols":132,"rows":50}"#),
            (Command::Balloon { mebibytes: 64 }, r#"{"command":"balloon","mebibytes":64}"#),
            (Command::ReadOnly { state: Switch::On }, r#"{"command":"read-only","state":"on"}"#),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
            assert!(text.contains(&format!("\"{}\"", command.name())), "{text}");
        }
        for wrong in [
            r#"{"command":"capacity","sectors":-1}"#,
            r#"{"command":"capacity","sectors":1,"more":2}"#,
            r#"{"command":"link"}"#,
            r#"{"command":"dance"}"#,
            "{}",
            "7",
        ] {
            assert!(serde_json::from_str::<Command>(wrong).is_err(), "{wrong}");
        }
    }
}
