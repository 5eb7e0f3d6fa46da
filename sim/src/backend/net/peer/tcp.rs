//! Servers on TCP ports, with as many connections as clients open.
use super::Server;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Duration;

/// Bytes that a client may send ahead.
const RECEIVE_BYTES: usize = 256 << 10;
/// Bytes sent ahead: in 1460-byte segments fewer than half the 256 buffers of the driver's receive queue, which so never
/// overflows for one connection.
const SEND_BYTES: usize = 128 << 10;
/// Connections on a port at a time.
const CONNECTIONS: usize = 64;
/// A client that is silent this long is asked whether it is there, and given up when it is not.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);

/// One connection's conversation.
pub(super) trait Talk: Send {
    /// Reads and writes what it can, and says whether it did.
    fn work(&mut self, socket: &mut Socket<'static>) -> bool;
}

/// A port with its connections.
pub(super) struct TcpPort {
    port: u16,
    talk: fn() -> Box<dyn Talk>,
    connections: Vec<(SocketHandle, Box<dyn Talk>)>,
}

impl TcpPort {
    /// `talk` begins a conversation.
    pub fn new(port: u16, talk: fn() -> Box<dyn Talk>) -> Self {
        TcpPort { port, talk, connections: vec![] }
    }

    /// Forgets the connections that are over; when there are too many, also the oldest that only waits for stragglers.
    fn clear(&mut self, sockets: &mut SocketSet<'static>) {
        let mut crowded = self.connections.len() >= CONNECTIONS;
        self.connections.retain(|(handle, _)| {
            let socket = sockets.get::<Socket>(*handle);
            // A client that was given up is not told: nobody would hear it.
            let over = socket.state() == State::Closed;
            let late = crowded && socket.state() == State::TimeWait;
            if over || late {
                crowded = false;
                sockets.remove(*handle);
            }
            !(over || late)
        });
    }

    /// Has one socket wait for the next client.
    fn listen(&mut self, sockets: &mut SocketSet<'static>) {
        let listening = |(handle, _): &(SocketHandle, _)| sockets.get::<Socket>(*handle).state() == State::Listen;
        if self.connections.len() < CONNECTIONS && !self.connections.iter().any(listening) {
            let buffer = |bytes| SocketBuffer::new(vec![0; bytes]);
            let mut socket = Socket::new(buffer(RECEIVE_BYTES), buffer(SEND_BYTES));
            socket.set_nagle_enabled(false);
            socket.set_keep_alive(Some(KEEP_ALIVE));
            socket.set_timeout(Some(TIMEOUT));
            socket.listen(self.port).expect("a new socket listens on any port but 0");
            self.connections.push((sockets.add(socket), (self.talk)()));
        }
    }
}

impl Server for TcpPort {
    fn work(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let mut worked = false;
        for (handle, talk) in &mut self.connections {
            worked |= talk.work(sockets.get_mut(*handle));
        }
        self.clear(sockets);
        self.listen(sockets);
        worked
    }
}

/// The echo server (RFC 862).
pub(super) struct Echo;

impl Talk for Echo {
    fn work(&mut self, socket: &mut Socket<'static>) -> bool {
        let mut worked = false;
        while socket.can_recv() && socket.can_send() {
            let room = socket.send_capacity() - socket.send_queue();
            let data = receive(socket, room);
            send(socket, &data);
            worked = true;
        }
        if socket.state() == State::CloseWait && !socket.can_recv() {
            socket.close();
            worked = true;
        }
        worked
    }
}

/// Takes up to `most` bytes of what has come.
pub(super) fn receive(socket: &mut Socket, most: usize) -> Vec<u8> {
    let taken = socket.recv(|data| {
        let bytes = data.len().min(most);
        (bytes, data[..bytes].to_vec())
    });
    // There is nothing to take before and after the connection.
    taken.unwrap_or_default()
}

/// Sends as much as there is room for, and says how much that is.
pub(super) fn send(socket: &mut Socket, data: &[u8]) -> usize {
    // Nothing is sent after the connection.
    socket.send_slice(data).unwrap_or(0)
}
