//! `virtio-hdl ctl`, and the socket of the commands that serve
use super::endpoint::Subject;
use super::output::outln;
use super::progress::shown;
use super::settings::Settings;
use super::stop;
use crate::bridge::{Find, Identity, Replacement};
use crate::control::{Client, Command, Control};
use crate::design;
use anyhow::{anyhow, bail, Context as _};
use clap::Args;
use serde_json::{json, Value};
use signal_hook::consts::SIGTERM;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;

/// What takes longer has no answer: the endpoint's own waits are shorter.
const PATIENCE: Duration = Duration::from_secs(10);
/// An endpoint that does not stand still by then does not at all: longer than a disk may take for a request.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How often it is looked at until then.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl serve net --socket /tmp/net.sock --control /tmp/net.ctl\n  \
    virtio-hdl ctl /tmp/net.ctl status\n  \
    virtio-hdl ctl /tmp/net.ctl link down\n  \
    virtio-hdl ctl /tmp/blk.ctl capacity 262144\n  \
    virtio-hdl ctl /tmp/blk.ctl diagnostics --json\n  \
    virtio-hdl ctl /tmp/blk.ctl save blk.state\n  \
    virtio-hdl ctl /tmp/blk.ctl reload new.toml --set read_tags=16\n\n\
    save, restore and reload let the endpoint stand still while they are at work; freeze and thaw do so for longer.\n\
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
    let mut client = Client::connect(&arguments.path, PATIENCE)?;
    let answer = match here(&arguments.command)? {
        Command::Freeze => stand_still(&mut client).map(|_| json!({ "still": true }))?,
        command @ (Command::Save { .. } | Command::Restore { .. }) => still(&mut client, &command)?,
        Command::Reload { configuration, set } => {
            // What takes long is done before the guest has to wait.
            replacement(&configuration, &set)?;
            still(&mut client, &Command::Reload { configuration, set })?
        }
        command => client.ask(&command)?,
    };
    match arguments.json {
        true => outln!("{}", serde_json::to_string_pretty(&answer)?),
        false => print(&answer, 0),
    }
    Ok(())
}

/// The command with its paths as whoever is in another folder must write them.
fn here(command: &Command) -> anyhow::Result<Command> {
    let absolute = |path: &Path| std::path::absolute(path).with_context(|| format!("{}", path.display()));
    Ok(match command {
        Command::Save { path } => Command::Save { path: absolute(path)? },
        Command::Restore { path } => Command::Restore { path: absolute(path)? },
        Command::Reload { configuration, set } if Path::new(configuration).is_file() => {
            let path = absolute(Path::new(configuration))?.into_os_string().into_string();
            let configuration =
                path.map_err(|path| anyhow!("{}: its name is not UTF-8", Path::new(&path).display()))?;
            Command::Reload { configuration, set: set.clone() }
        }
        command => command.clone(),
    })
}

/// Lets the endpoint stand still; whether it has gone on until now.
fn stand_still(client: &mut Client) -> anyhow::Result<bool> {
    let begin = Instant::now();
    let mut begun = false;
    loop {
        let answer = client.ask(&Command::Freeze)?;
        begun |= answer["begun"] == true;
        if answer["still"] == true {
            return Ok(begun);
        }
        if begin.elapsed() > STANDSTILL {
            client.ask(&Command::Thaw)?;
            bail!(
                "the endpoint does not come to a stand: it waits for its device side or the guest's memory; it goes on"
            );
        }
        std::thread::sleep(LOOK);
    }
}

/// Gives a command that needs an endpoint that stands still, and lets it go on if it did before.
fn still(client: &mut Client, command: &Command) -> anyhow::Result<Value> {
    let moved = stand_still(client)?;
    let answer = client.ask(command);
    if moved {
        client.ask(&Command::Thaw)?;
    }
    Ok(answer?)
}

/// What an endpoint is exchanged for.
fn replacement(configuration: &str, set: &[String]) -> anyhow::Result<Replacement> {
    let settings = Settings { set: set.iter().map(|text| text.parse()).collect::<Result<_, _>>()? };
    let config = settings.load(configuration)?;
    let library = shown(|progress| design::library_telling(&config, progress))?;
    Ok(Replacement { library, identity: of_config(&config, settings.name(configuration)) })
}

/// Where a bridge finds what it is told to exchange its endpoint for.
pub(super) fn find() -> Find {
    Box::new(|configuration, set| replacement(configuration, set).map_err(|error| format!("{error:#}")))
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
