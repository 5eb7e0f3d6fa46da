//! What can go wrong when a port is connected.
use pcap_file::{DataLink, PcapError};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A port that cannot be connected.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No descriptor for a plug.
    #[error("cannot make the plug of the wire: {0}")]
    Plug(rustix::io::Errno),
    /// A capture that cannot be read at all.
    #[error("cannot open the capture {}: {error}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A capture that is neither pcap nor pcapng, or is damaged.
    #[error("the capture {} cannot be read past its first {frames} frames: {error}{}; it must be pcap or pcapng", path.display(), cause(error))]
    Format {
        /// The file.
        path: PathBuf,
        /// Frames before the damage.
        frames: usize,
        /// What is wrong.
        error: PcapError,
    },
    /// A capture of something else.
    #[error("the capture {} is of {link:?}, not of Ethernet", path.display())]
    NotEthernet {
        /// The file.
        path: PathBuf,
        /// What it is of.
        link: DataLink,
    },
    /// A recording that cannot be written.
    #[error("cannot record to {}: {error}{}", path.display(), cause(error))]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        error: PcapError,
    },
    /// Somebody else has the socket.
    #[error("the socket {} is in use by another process; stop it, or take another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is where the socket should be.
    #[error("{} is there already and is not a socket; remove it, or take another path", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// Any other reason why there is no Unix socket.
    #[error("cannot make the socket {}: {error}", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No UDP socket.
    #[error("cannot take {local} as the UDP address{}: {error}", udp_hint(error))]
    Udp {
        /// Our end.
        local: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// No way to the other end.
    #[error("cannot send from {local} to {remote}: {error}")]
    Route {
        /// Our end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// No TAP interface.
    #[error("cannot attach to the TAP interface {name}: {error}{}", tap_hint(name, error))]
    Tap {
        /// The interface.
        name: String,
        /// Why.
        error: io::Error,
    },
}

/// What pcap-file keeps to itself.
fn cause(error: &PcapError) -> String {
    std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"))
}

fn udp_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ", which another process has",
        io::ErrorKind::AddrNotAvailable => ", which is not an address of this machine",
        _ => "",
    }
}

fn tap_hint(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "; have it made for you once with `sudo ip tuntap add dev {name} mode tap user $USER && sudo ip link set \
             {name} up`"
        ),
        io::ErrorKind::NotFound => "; /dev/net/tun is not there: `sudo modprobe tun`".into(),
        io::ErrorKind::ResourceBusy => "; another process has it".into(),
        io::ErrorKind::InvalidInput => "; there is an interface of that name that is not a TAP interface".into(),
        _ => String::new(),
    }
}
