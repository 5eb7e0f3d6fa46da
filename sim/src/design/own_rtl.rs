//! RTL of the user's own: the TOML file that says which, and how the kit holds it.
use crate::model::{ForeignSources, Interface, Library, ModelError, PortLayout, Progress, TlpPorts};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use virtio_hdl_rtl::config::read_file;

/// RTL that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnRtlError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what is expected: the place, the key, what would be right.
    #[error("{}: {message}", path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// What it names is not among the ports of the top module.
    #[error("{}: {key} = {name:?}: {wrong}; {found}", path.display())]
    Port {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        name: String,
        /// What is wrong with that.
        wrong: String,
        /// What there is.
        found: String,
    },
    /// The model cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rtl: Rtl,
    ports: Ports,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rtl {
    top: String,
    files: Vec<PathBuf>,
    #[serde(default)]
    include: Vec<PathBuf>,
    #[serde(default)]
    defines: BTreeMap<String, Value>,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(default)]
    memory_files: Vec<String>,
    #[serde(default)]
    verilator: Vec<String>,
    #[serde(default = "usual_clock")]
    clock_hz: u64,
}

fn usual_clock() -> u64 {
    125_000_000
}

/// A macro or a parameter: a number, or text that stands there as it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(i64),
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ports {
    clock: String,
    reset: String,
    #[serde(default)]
    reset_active: Level,
    busy: Option<String>,
    receive: Stream,
    transmit: Stream,
    nonposted_ready: Option<String>,
    #[serde(default)]
    constants: BTreeMap<String, u64>,
}

#[derive(Copy, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    High,
    Low,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    data: String,
    keep: Option<String>,
    last: String,
    valid: String,
    ready: String,
}

impl Stream {
    fn ports(self) -> TlpPorts {
        let Stream { data, keep, last, valid, ready } = self;
        TlpPorts { data, keep, last, valid, ready }
    }
}

/// RTL of the user's own: an endpoint whose link carries raw TLPs.
#[derive(Clone, Debug)]
pub struct OwnRtl {
    path: PathBuf,
    sources: ForeignSources,
    clock_hz: u64,
}

impl OwnRtl {
    /// Whether this file describes RTL, rather than configuring an endpoint: it has the table `rtl`.
    pub fn is_described_by(path: &Path) -> bool {
        let table = read_file(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
        table.is_some_and(|table| table.contains_key("rtl"))
    }

    /// Reads a description. Paths in it begin at its folder.
    pub fn load(path: &Path) -> Result<Self, OwnRtlError> {
        let text = read_file(path).map_err(|error| OwnRtlError::File { path: path.into(), error })?;
        let wrong = |message: String| OwnRtlError::Document { path: path.into(), message };
        let Document { rtl, ports } = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if rtl.files.is_empty() {
            return Err(wrong("rtl.files is empty: name the Verilog files of the endpoint".into()));
        }
        if rtl.clock_hz == 0 {
            return Err(wrong("rtl.clock-hz is 0: give the frequency of the endpoint's clock in Hz".into()));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let place = |paths: Vec<PathBuf>| paths.iter().map(|path| folder.join(path)).collect();
        let pairs = |map: BTreeMap<String, Value>| map.into_iter().map(|(name, value)| (name, value.text())).collect();
        let sources = ForeignSources {
            top: rtl.top,
            files: place(rtl.files),
            include: place(rtl.include),
            defines: pairs(rtl.defines),
            parameters: pairs(rtl.parameters),
            memory_files: rtl.memory_files.into_iter().map(|name| (name.clone(), folder.join(name))).collect(),
            options: rtl.verilator,
            interface: Interface {
                clock: ports.clock,
                reset: ports.reset,
                reset_low: ports.reset_active == Level::Low,
                busy: ports.busy,
                receive: ports.receive.ports(),
                transmit: ports.transmit.ports(),
                nonposted_ready: ports.nonposted_ready,
                constants: ports.constants.into_iter().collect(),
            },
        };
        Ok(OwnRtl { path: path.into(), sources, clock_hz: rtl.clock_hz })
    }

    /// Frequency of the endpoint's clock.
    pub fn clock_hz(&self) -> u64 {
        self.clock_hz
    }

    /// Builds the model, or finds it in the cache, and compares its ports with what the description names.
    pub fn library(&self, progress: Progress) -> Result<Library, OwnRtlError> {
        let library = self.sources.build(progress)?;
        self.check(&library.ports()?)?;
        Ok(library)
    }

    fn check(&self, ports: &[PortLayout]) -> Result<(), OwnRtlError> {
        let check = Check { path: &self.path, top: &self.sources.top, ports };
        let interface = &self.sources.interface;
        let one = |width| if width == 1 { Ok(()) } else { Err("one bit is needed") };
        check.port("ports.clock", &interface.clock, true, one)?;
        check.port("ports.reset", &interface.reset, true, one)?;
        if let Some(name) = &interface.busy {
            check.port("ports.busy", name, false, one)?;
        }
        if let Some(name) = &interface.nonposted_ready {
            check.port("ports.nonposted-ready", name, true, one)?;
        }
        for (name, _) in &interface.constants {
            let narrow = |width| if width <= 64 { Ok(()) } else { Err("at most 64 bits can be set") };
            check.port(&format!("ports.constants.{name}"), name, true, narrow)?;
        }
        for (table, input, stream) in [("receive", true, &interface.receive), ("transmit", false, &interface.transmit)]
        {
            let key = |port: &str| format!("ports.{table}.{port}");
            check.port(&key("valid"), &stream.valid, input, one)?;
            check.port(&key("ready"), &stream.ready, !input, one)?;
            check.port(&key("last"), &stream.last, input, one)?;
            let whole = |width| match width % 32 == 0 && width <= 2048 {
                true => Ok(()),
                false => Err("32 bits or a multiple of them are needed, 2048 at most"),
            };
            let data = check.port(&key("data"), &stream.data, input, whole)?;
            match &stream.keep {
                Some(name) => {
                    let fits = |width| match width <= 32 && (width == data / 32 || width == data / 8) {
                        true => Ok(()),
                        false => Err("a bit per double word or per byte of the data is needed, 32 at most"),
                    };
                    check.port(&key("keep"), name, input, fits)?;
                }
                None if data > 32 => {
                    check.port(&key("data"), &stream.data, input, |_| {
                        Err("more than 32 bits need a keep, which says how many of them count: give the key keep beside it")
                    })?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// The ports that there are.
struct Check<'a> {
    path: &'a Path,
    top: &'a str,
    ports: &'a [PortLayout],
}

impl Check<'_> {
    /// Whether the port that a key names is there and goes the right way; its width, of which `fits` says what is wrong.
    fn port(
        &self,
        key: &str,
        name: &str,
        input: bool,
        fits: impl Fn(usize) -> Result<(), &'static str>,
    ) -> Result<usize, OwnRtlError> {
        let way = |input| if input { "input" } else { "output" };
        let wrong = match self.ports.iter().find(|port| port.name == name) {
            None => format!("the module {} has no such port", self.top),
            Some(port) if port.input != input => {
                format!("that port of {} is an {}, an {} is needed", self.top, way(port.input), way(input))
            }
            Some(port) => match fits(port.width) {
                Ok(()) => return Ok(port.width),
                Err(needed) => format!("that port of {} has {} bits; {needed}", self.top, port.width),
            },
        };
        let list: Vec<_> = self
            .ports
            .iter()
            .filter(|port| port.input == input)
            .map(|port| match port.width {
                1 => port.name.clone(),
                width => format!("{}[{}:0]", port.name, width - 1),
            })
            .collect();
        let found = match list.is_empty() {
            true => format!("it has no {}s at all", way(input)),
            false => format!("its {}s are {}", way(input), list.join(", ")),
        };
        Err(OwnRtlError::Port { path: self.path.into(), key: key.into(), name: name.into(), wrong, found })
    }
}
