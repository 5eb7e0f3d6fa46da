//! How a network is named on the command line.
use super::tap::NAME_BYTES;
use super::{Loopback, NetBackend, NetError, Pace, Peer, Replay, Socket, Tap};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What an Ethernet port is to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetSpec {
    /// `peer`: the built-in host.
    Peer,
    /// `loopback`, and `loopback,swap` with exchanged addresses.
    Loopback {
        /// Exchange source and destination address.
        swap: bool,
    },
    /// `unix:LOCAL,REMOTE`: Unix datagrams.
    Unix {
        /// Our socket.
        local: PathBuf,
        /// The other end's.
        remote: PathBuf,
    },
    /// `udp:LOCAL:PORT,REMOTE:PORT`: UDP datagrams.
    Udp {
        /// Our end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// `tap:NAME`: an interface of this machine.
    Tap(String),
    /// `pcap:FILE`, and `pcap:FILE,fast` without the recorded pauses.
    Pcap {
        /// The capture.
        path: PathBuf,
        /// With or without the pauses.
        pace: Pace,
    },
}

/// A network that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetSpecError {
    /// Not one of the kinds.
    #[error(
        "`{0}` is no network; there are peer, loopback[,swap], unix:LOCAL,REMOTE, udp:LOCAL:PORT,REMOTE:PORT, tap:NAME \
         and pcap:FILE[,fast]"
    )]
    Unknown(String),
    /// Not two ends.
    #[error("`{0}` has not two ends; write {1}")]
    Ends(String, &'static str),
    /// A wire back to itself.
    #[error("`{0}` has the same end twice; the second is the other end's")]
    SameEnds(String),
    /// Not an address.
    #[error("`{0}` is not an address with a port; write one such as 127.0.0.1:5000 or [::1]:5000")]
    Address(String),
    /// No port to send to.
    #[error("port 0 of `{0}` cannot be sent to; give the port that the other end has taken")]
    Port(String),
    /// IPv4 to IPv6.
    #[error("`{0}` has one end in IPv4 and one in IPv6; take the same for both")]
    Families(String),
    /// No file.
    #[error("`{0}` names no file; write pcap:FILE or pcap:FILE,fast")]
    NoFile(String),
    /// A name that no interface can have.
    #[error("`{0}` is not the name of an interface: 1 to 15 characters without spaces and slashes")]
    Interface(String),
}

impl NetSpec {
    /// Connects it.
    pub fn open(&self) -> Result<Box<dyn NetBackend>, NetError> {
        Ok(match self {
            NetSpec::Peer => Box::new(Peer::new()),
            NetSpec::Loopback { swap: false } => Box::new(Loopback::new()),
            NetSpec::Loopback { swap: true } => Box::new(Loopback::swapping()),
            NetSpec::Unix { local, remote } => Box::new(Socket::unix(local, remote)?),
            NetSpec::Udp { local, remote } => Box::new(Socket::udp(*local, *remote)?),
            NetSpec::Tap(name) => Box::new(Tap::open(name)?),
            NetSpec::Pcap { path, pace } => Box::new(Replay::open(path, *pace)?),
        })
    }
}

impl FromStr for NetSpec {
    type Err = NetSpecError;

    fn from_str(text: &str) -> Result<Self, NetSpecError> {
        match text.split_once(':').unwrap_or((text, "")) {
            _ if text == "peer" => Ok(NetSpec::Peer),
            _ if text == "loopback" => Ok(NetSpec::Loopback { swap: false }),
            _ if text == "loopback,swap" => Ok(NetSpec::Loopback { swap: true }),
            ("unix", rest) => {
                let (local, remote) = ends(text, rest, "unix:LOCAL,REMOTE")?;
                Ok(NetSpec::Unix { local: local.into(), remote: remote.into() })
            }
            ("udp", rest) => {
                let (local, remote) = ends(text, rest, "udp:LOCAL:PORT,REMOTE:PORT")?;
                let (local, remote) = (address(local)?, address(remote)?);
                match (local, remote) {
                    _ if remote.port() == 0 => Err(NetSpecError::Port(remote.to_string())),
                    _ if local.is_ipv4() != remote.is_ipv4() => Err(NetSpecError::Families(text.into())),
                    _ => Ok(NetSpec::Udp { local, remote }),
                }
            }
            ("tap", name) => match name.len() {
                1..NAME_BYTES if !name.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '\0')) => {
                    Ok(NetSpec::Tap(name.into()))
                }
                _ => Err(NetSpecError::Interface(name.into())),
            },
            ("pcap", rest) => {
                let (path, pace) = match rest.strip_suffix(",fast") {
                    Some(path) => (path, Pace::Fast),
                    None => (rest, Pace::Recorded),
                };
                match path {
                    "" => Err(NetSpecError::NoFile(text.into())),
                    path => Ok(NetSpec::Pcap { path: path.into(), pace }),
                }
            }
            _ => Err(NetSpecError::Unknown(text.into())),
        }
    }
}

/// The two ends of a wire.
fn ends<'a>(text: &str, rest: &'a str, form: &'static str) -> Result<(&'a str, &'a str), NetSpecError> {
    match rest.split_once(',') {
        Some((local, remote)) if local.is_empty() || remote.is_empty() || remote.contains(',') => {
            Err(NetSpecError::Ends(text.into(), form))
        }
        Some((local, remote)) if local == remote => Err(NetSpecError::SameEnds(text.into())),
        Some(ends) => Ok(ends),
        None => Err(NetSpecError::Ends(text.into(), form)),
    }
}

fn address(text: &str) -> Result<SocketAddr, NetSpecError> {
    text.parse().map_err(|_| NetSpecError::Address(text.into()))
}

impl fmt::Display for NetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetSpec::Peer => write!(f, "peer"),
            NetSpec::Loopback { swap: false } => write!(f, "loopback"),
            NetSpec::Loopback { swap: true } => write!(f, "loopback,swap"),
            NetSpec::Unix { local, remote } => write!(f, "unix:{},{}", local.display(), remote.display()),
            NetSpec::Udp { local, remote } => write!(f, "udp:{local},{remote}"),
            NetSpec::Tap(name) => write!(f, "tap:{name}"),
            NetSpec::Pcap { path, pace: Pace::Recorded } => write!(f, "pcap:{}", path.display()),
            NetSpec::Pcap { path, pace: Pace::Fast } => write!(f, "pcap:{},fast", path.display()),
        }
    }
}
