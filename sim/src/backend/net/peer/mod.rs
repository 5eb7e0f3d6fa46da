//! A small host on the wire, so that a guest has somebody to talk to without any right on this machine: `smoltcp` with a
//! few servers.
//!
//! | protocol | what it does |
//! |---|---|
//! | ARP, ICMP echo | answers for 10.0.2.2 |
//! | DHCP | hands out 10.0.2.15 and up |
//! | UDP 7 | sends every datagram back |
//! | TCP 7 | sends everything back |
//! | HTTP | `GET /random/SIZE/SEED`: bytes that anybody can make again; `GET /md5/SIZE/SEED`: their MD5; `POST /sink`: the MD5 of what came |
//!
//! Time is that of the simulation, and nothing is left to chance: the same frames at the same times get the same answers.
mod dhcp;
mod http;
mod random;
mod tcp;
mod udp;
mod wire;

pub use random::RandomBytes;

use super::NetBackend;
use dhcp::DhcpServer;
use http::Http;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tcp::{Echo, TcpPort};
use udp::UdpEcho;
use wire::Wire;

/// The host's address in the network.
pub const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
/// Bits of the network's part of an address.
pub const PREFIX_BITS: u8 = 24;
/// The host's Ethernet address.
pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);
/// Port of the TCP and UDP echo servers.
pub const ECHO_PORT: u16 = 7;
/// Port of the HTTP server.
pub const HTTP_PORT: u16 = 80;

/// When to look again after the stack has said "now" and then did nothing.
const RETRY: Duration = Duration::from_millis(1);

/// The host.
pub struct Peer {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    servers: [Box<dyn Server>; 4],
    now: Duration,
    wake: Option<Duration>,
}

/// What the host does on its sockets.
trait Server: Send {
    /// Does what there is to do, and says whether there was something.
    fn work(&mut self, sockets: &mut SocketSet<'static>) -> bool;
}

impl Default for Peer {
    fn default() -> Self {
        Peer::new()
    }
}

impl Peer {
    /// A host that knows nobody yet.
    pub fn new() -> Self {
        let mut wire = Wire::default();
        // The seed is that of its sequence numbers.
        let mut interface = Interface::new(Config::new(MAC.into()), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let own = IpCidr::new(ADDRESS.into(), PREFIX_BITS);
            addresses.push(own).expect("smoltcp has room for one address at least");
        });
        let mut sockets = SocketSet::new(vec![]);
        let servers: [Box<dyn Server>; 4] = [
            Box::new(DhcpServer::new(&mut sockets)),
            Box::new(UdpEcho::new(&mut sockets)),
            Box::new(TcpPort::new(ECHO_PORT, || Box::new(Echo))),
            Box::new(TcpPort::new(HTTP_PORT, || Box::new(Http::default()))),
        ];
        let mut peer = Peer { wire, interface, sockets, servers, now: Duration::ZERO, wake: None };
        peer.poll(Duration::ZERO);
        peer
    }

    /// Does everything that can be done now.
    fn poll(&mut self, now: Duration) {
        self.now = now;
        let instant = Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        loop {
            let polled = self.interface.poll(instant, &mut self.wire, &mut self.sockets);
            let mut worked = false;
            for server in &mut self.servers {
                worked |= server.work(&mut self.sockets);
            }
            if polled == PollResult::None && !worked {
                break;
            }
        }
        let wake = self.interface.poll_at(instant, &self.sockets);
        let wake = wake.map(|wake| Duration::from_micros(wake.total_micros().try_into().unwrap_or(0)));
        self.wake = wake.map(|wake| if wake > now { wake } else { now + RETRY });
    }
}

impl NetBackend for Peer {
    fn transmit(&mut self, now: Duration, frame: &[u8]) {
        self.wire.inbound.push_back(frame.to_vec());
        self.poll(now);
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.wire.outbound.is_empty() {
            self.poll(now);
        }
        self.now = now;
        self.wire.outbound.pop_front()
    }

    fn deadline(&self) -> Option<Duration> {
        match self.wire.outbound.is_empty() {
            true => self.wake,
            false => Some(self.now),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
