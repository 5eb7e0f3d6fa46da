//! The UDP echo server (RFC 862).
use super::{Server, ECHO_PORT};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};

/// Datagrams that may wait, and their bytes.
const DATAGRAMS: usize = 64;
const BYTES: usize = 128 << 10;

/// Sends every datagram back.
pub(super) struct UdpEcho {
    socket: SocketHandle,
}

impl UdpEcho {
    /// With a socket of its own.
    pub fn new(sockets: &mut SocketSet<'static>) -> Self {
        UdpEcho { socket: sockets.add(socket(ECHO_PORT)) }
    }
}

impl Server for UdpEcho {
    fn work(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let socket = sockets.get_mut::<Socket>(self.socket);
        let mut worked = false;
        while socket.can_send() {
            let Ok((data, from)) = socket.recv() else { break };
            let (data, from) = (data.to_vec(), from.endpoint);
            worked = true;
            if let Err(error) = socket.send_slice(&data, from) {
                tracing::debug!(%error, bytes = data.len(), "peer: no UDP echo");
            }
        }
        worked
    }
}

/// A socket bound to a port.
pub(super) fn socket(port: u16) -> Socket<'static> {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; BYTES]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(port).expect("a new socket takes any port but 0");
    socket
}
