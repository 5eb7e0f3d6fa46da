//! `virtio-hdl ctl`, and the socket of the commands that serve
use super::endpoint::Subject;
use super::output::outln;
use super::stop;
use crate::bridge::Identity;
use crate::control::{Client, Command, Control};
use clap::Args;
use serde_json::Value;
use signal_hook::consts::SIGTERM;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;

/// What takes longer has no answer: the endpoint's own waits are shorter.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl serve net --socket /tmp/net.sock --control /tmp/net.ctl\n  \
    virtio-hdl ctl /tmp/net.ctl status\n  \
    virtio-hdl ctl /tmp/net.ctl link down\n  \
    virtio-hdl ctl /tmp/blk.ctl capacity 262144\n  \
    virtio-hdl ctl /tmp/blk.ctl diagnostics --json\n\n\
    The socket takes lines of JSON as well, as {\"command\":\"link\",\"state\":\"down\"}: docs/control.md.")]
pub(super) struct Arguments {
    /// The socket that `serve` or `qemu` was given with --control
    path: PathBuf,
    #[command(subcommand)]
    command: Command,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let answer = Client::connect(&arguments.path, PATIENCE)?.ask(&arguments.command)?;
    match arguments.json {
        true => outln!("{}", serde_json::to_string_pretty(&answer)?),
        false => print(&answer, 0),
    }
    Ok(())
}

/// Prints an answer, whatever is in it, for people.
fn print(answer: &Value, indent: usize) {
    let Value::Object(keys) = answer else { return outln!("{:indent$}{}", "", words(answer)) };
    for (key, value) in keys {
        let key = key.replace('_', " ");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                outln!("{:indent$}{key}:", "");
                print(value, indent + 2);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (number, item) in items.iter().enumerate() {
                    outln!("{:indent$}{key} {number}:", "");
                    print(item, indent + 2);
                }
            }
            value => outln!("{:indent$}{key}: {}", "", words(value)),
        }
    }
}

fn words(value: &Value) -> String {
    match value {
        // An object with something in it is printed line by line.
        Value::Null | Value::Object(_) => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// The socket at this path.
pub(super) fn bind(path: Option<&Path>) -> anyhow::Result<Option<Control>> {
    let bind = |path| Control::bind(path, Box::new(|| stop::request(SIGTERM)));
    Ok(path.map(bind).transpose()?)
}

/// What is on the socket, for those who ask; `name` is what the configuration is called.
pub(super) fn identity(subject: &Subject, name: String) -> Identity {
    match subject {
        Subject::Virtio(config) => of_config(config, name),
        Subject::Own(_) => Identity {
            configuration: name,
            device: "own".into(),
            title: "RTL of your own".into(),
            ..Identity::default()
        },
    }
}

fn of_config(config: &EndpointConfig, name: String) -> Identity {
    Identity {
        configuration: name,
        device: config.device.name.into(),
        title: config.device.title.into(),
        features: config.features.iter().map(|feature| (feature.bit, feature.name)).collect(),
        diagnostics: diagnostics::fields(config.device).collect(),
    }
}
