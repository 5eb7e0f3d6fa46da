//! A DHCP server (RFC 2131): the client of a MAC address always gets the same address.
use super::udp::socket;
use super::{Server, ADDRESS, PREFIX_BITS};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::Socket;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Address, Ipv4Cidr};

/// Ports of server and client.
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Smallest BOOTP message, which older clients insist on (RFC 951).
const MESSAGE_BYTES_MIN: usize = 300;
/// Last byte of the first and the last address.
const FIRST: u8 = 15;
const LAST: u8 = 254;
/// A day, in seconds.
const LEASE_SECONDS: u32 = 86_400;

/// Hands out addresses.
pub(super) struct DhcpServer {
    socket: SocketHandle,
    /// Who has the addresses from the first one on.
    leases: Vec<EthernetAddress>,
}

impl DhcpServer {
    /// With a socket of its own.
    pub fn new(sockets: &mut SocketSet<'static>) -> Self {
        DhcpServer { socket: sockets.add(socket(SERVER_PORT)), leases: vec![] }
    }

    /// The address of a client, a new one if need be and if there is one left.
    fn lease(&mut self, client: EthernetAddress) -> Option<Ipv4Address> {
        let place = self.leases.iter().position(|lease| *lease == client).unwrap_or(self.leases.len());
        let last = FIRST.checked_add(u8::try_from(place).ok()?).filter(|last| *last <= LAST)?;
        if place == self.leases.len() {
            self.leases.push(client);
        }
        let [a, b, c, _] = ADDRESS.octets();
        Some(Ipv4Address::new(a, b, c, last))
    }

    /// The answer to a message, and where it goes.
    fn answer(&mut self, message: &[u8]) -> Option<(Ipv4Address, Vec<u8>)> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        // The client has taken the offer of another server.
        if request.server_identifier.is_some_and(|server| server != ADDRESS) {
            return None;
        }
        if !matches!(request.message_type, DhcpMessageType::Discover | DhcpMessageType::Request) {
            return None;
        }
        let client = request.client_hardware_address;
        let lease = self.lease(client)?;
        let wanted = request.requested_ip.unwrap_or(request.client_ip);
        let answer = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if wanted == lease => DhcpMessageType::Ack,
            _ => DhcpMessageType::Nak,
        };
        tracing::debug!(%client, %lease, request = ?request.message_type, ?answer, "peer: DHCP");
        let granted = answer != DhcpMessageType::Nak;
        let reply = DhcpRepr {
            message_type: answer,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: client,
            client_ip: if granted { request.client_ip } else { Ipv4Address::UNSPECIFIED },
            your_ip: if granted { lease } else { Ipv4Address::UNSPECIFIED },
            server_ip: Ipv4Address::UNSPECIFIED,
            router: granted.then_some(ADDRESS),
            subnet_mask: granted.then_some(Ipv4Cidr::new(ADDRESS, PREFIX_BITS).netmask()),
            relay_agent_ip: Ipv4Address::UNSPECIFIED,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(ADDRESS),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: granted.then_some(LEASE_SECONDS),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; reply.buffer_len().max(MESSAGE_BYTES_MIN)];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).ok()?;
        // A client that renews has its address and can be asked for its MAC address; the others cannot yet.
        let renews = granted && !request.client_ip.is_unspecified() && request.client_ip == lease;
        Some((if renews { lease } else { Ipv4Address::BROADCAST }, bytes))
    }
}

impl Server for DhcpServer {
    fn work(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let socket = sockets.get_mut::<Socket>(self.socket);
        let mut worked = false;
        while socket.can_send() {
            let Ok((message, _)) = socket.recv() else { break };
            worked = true;
            if let Some((to, answer)) = self.answer(message) {
                if let Err(error) = socket.send_slice(&answer, (to, CLIENT_PORT)) {
                    tracing::debug!(%error, %to, "peer: no DHCP answer");
                }
            }
        }
        worked
    }
}
