//! A client and a device to test the server with. The messages are put together by hand: the server's own code for that
//! is under test.
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use virtio_hdl::vfio_user::{irq, region, Client, ClientStatistics, Device, Errno, Server, ServerOptions, Work};

pub const VERSION: u16 = 1;
pub const DMA_MAP: u16 = 2;
pub const DMA_UNMAP: u16 = 3;
pub const GET_INFO: u16 = 4;
pub const GET_REGION_INFO: u16 = 5;
pub const GET_IRQ_INFO: u16 = 7;
pub const SET_IRQS: u16 = 8;
pub const REGION_READ: u16 = 9;
pub const REGION_WRITE: u16 = 10;
pub const DMA_READ: u16 = 11;
pub const DMA_WRITE: u16 = 12;
pub const RESET: u16 = 13;

/// Flags of a header.
pub const REPLY: u32 = 1;
pub const NO_REPLY: u32 = 0x10;
pub const FAILED: u32 = 0x20;

/// Nothing takes as long as this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the fake device's regions.
pub const CONFIG_BYTES: usize = 256;
pub const BAR0_BYTES: usize = 64;
/// What the fake device puts into a register that refuses to be read or written.
pub const BROKEN_REGISTER: u64 = 0x3c;
/// Vectors of its MSI-X.
pub const VECTORS: u32 = 3;

/// What the device saw.
#[derive(Debug, PartialEq)]
pub enum Event {
    Attached,
    Detached(ClientStatistics),
    Reset,
    Unmasked,
    Read(u64, Result<Vec<u8>, Errno>),
}

type Order = Box<dyn FnOnce(&mut Client) + Send>;

/// Registers that keep what is written, and work that a test orders.
pub struct FakeDevice {
    config: Vec<u8>,
    bar0: Vec<u8>,
    events: Sender<Event>,
    orders: Receiver<Order>,
}

impl FakeDevice {
    pub fn new() -> (Self, Receiver<Event>, Sender<Order>) {
        let (events, seen) = channel();
        let (order, orders) = channel();
        (FakeDevice { config: vec![0; CONFIG_BYTES], bar0: vec![0; BAR0_BYTES], events, orders }, seen, order)
    }

    fn bytes(&mut self, region: u32, offset: u64, count: usize) -> Result<&mut [u8], Errno> {
        let registers = match region {
            region::BAR0 if offset == BROKEN_REGISTER => return Err(Errno::IO),
            region::BAR0 => &mut self.bar0,
            region::CONFIG => &mut self.config,
            _ => panic!("an access to region {region}, which is not there"),
        };
        assert_ne!(count, 0);
        Ok(&mut registers[offset as usize..][..count])
    }

    fn tell(&self, event: Event) {
        // A test that is over does not listen.
        let _ = self.events.send(event);
    }
}

impl Device for FakeDevice {
    fn region_bytes(&self, region: u32) -> u64 {
        match region {
            region::BAR0 => BAR0_BYTES as u64,
            region::CONFIG => CONFIG_BYTES as u64,
            _ => 0,
        }
    }

    fn irq_vectors(&self, index: u32) -> u32 {
        match index {
            irq::INTX | irq::ERR | irq::REQ => 1,
            irq::MSIX => VECTORS,
            _ => 0,
        }
    }

    fn region_read(&mut self, _: &mut Client, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        data.copy_from_slice(self.bytes(region, offset, data.len())?);
        Ok(())
    }

    fn region_write(&mut self, _: &mut Client, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.bytes(region, offset, data.len())?.copy_from_slice(data);
        Ok(())
    }

    fn reset(&mut self, _: &mut Client) {
        self.tell(Event::Reset);
    }

    fn intx_unmasked(&mut self, _: &mut Client) {
        self.tell(Event::Unmasked);
    }

    fn attached(&mut self, _: &mut Client) {
        self.tell(Event::Attached);
    }

    fn detached(&mut self, statistics: ClientStatistics) {
        self.tell(Event::Detached(statistics));
    }

    fn work(&mut self, client: &mut Client) -> Work {
        let order = self.orders.try_recv();
        let busy = order.is_ok();
        if let Ok(order) = order {
            order(client);
        }
        while let Some((token, result)) = client.take_read() {
            self.tell(Event::Read(token, result));
        }
        if busy {
            Work::Busy
        } else {
            Work::Idle
        }
    }
}

/// A message as the client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    pub id: u16,
    pub command: u16,
    pub flags: u32,
    pub error: u32,
    pub body: Vec<u8>,
}

/// The client's end of the socket.
pub struct FakeClient {
    pub stream: UnixStream,
    next_id: u16,
}

impl FakeClient {
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // Far from the server's ids, so that they cannot be mistaken.
        FakeClient { stream, next_id: 0x4000 }
    }

    /// Sends bytes with descriptors.
    pub fn send_raw(&self, bytes: &[u8], descriptors: &[BorrowedFd]) -> rustix::io::Result<()> {
        let mut left = bytes;
        let mut descriptors = descriptors;
        while !left.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
            }
            let sent = rustix::net::sendmsg(&self.stream, &[IoSlice::new(left)], &mut control, SendFlags::NOSIGNAL)?;
            left = &left[sent..];
            descriptors = &[];
        }
        Ok(())
    }

    /// Sends a message and does not wait for the answer. Returns its id.
    pub fn send(&mut self, command: u16, flags: u32, body: &[u8], descriptors: &[BorrowedFd]) -> u16 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_raw(&message(id, command, flags, 0, body), descriptors).unwrap();
        id
    }

    /// The next message of the server; `None` when it has closed the connection.
    pub fn receive(&mut self) -> Option<Arrived> {
        let header = self.receive_bytes(16)?;
        let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_ne_bytes(header[at..at + 2].try_into().unwrap());
        let body = self.receive_bytes(word(4) as usize - 16)?;
        Some(Arrived { id: half(0), command: half(2), flags: word(8), error: word(12), body })
    }

    fn receive_bytes(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut data = vec![0; bytes];
        let mut arrived = 0;
        while arrived < bytes {
            match rustix::net::recv(&self.stream, &mut data[arrived..], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return None,
                Ok((count, _)) => arrived += count,
                Err(error) => panic!("the server does not answer: {error}"),
            }
        }
        Some(data)
    }

    /// Sends a command with descriptors; the answer is its reply's body, or the error number.
    pub fn ask_with(&mut self, command: u16, body: &[u8], descriptors: &[BorrowedFd]) -> Result<Vec<u8>, Errno> {
        let id = self.send(command, 0, body, descriptors);
        self.answer(id, command)
    }

    pub fn ask(&mut self, command: u16, body: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask_with(command, body, &[])
    }

    /// The reply to a command, which must be the next message.
    pub fn answer(&mut self, id: u16, command: u16) -> Result<Vec<u8>, Errno> {
        let reply = self.receive().expect("the server has closed the connection");
        assert_eq!((reply.id, reply.command), (id, command), "{reply:?}");
        match reply.flags {
            REPLY => Ok(reply.body),
            flags => {
                assert_eq!((flags, reply.body), (REPLY | FAILED, vec![]));
                Err(Errno::from_raw_os_error(reply.error as i32))
            }
        }
    }

    /// VERSION as QEMU sends it.
    pub fn agree(&mut self) {
        let capabilities =
            r#"{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"pgsizes":4096,"max_dma_maps":65535}}"#;
        self.ask(VERSION, &version(0, 0, capabilities)).unwrap();
    }

    pub fn read_region(&mut self, region: u32, offset: u64, count: u32) -> Result<Vec<u8>, Errno> {
        let access = access(offset, region, count);
        self.ask(REGION_READ, &access).map(|reply| {
            assert_eq!(reply[..16], access);
            reply[16..].to_vec()
        })
    }

    pub fn write_region(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask(REGION_WRITE, &[access(offset, region, data.len() as u32), data.to_vec()].concat())
    }

    /// The next message must be this DMA command. Returns its id and data.
    pub fn expect_dma(&mut self, command: u16, address: u64, bytes: usize) -> (u16, Vec<u8>) {
        let asked = self.receive().expect("the server has closed the connection");
        assert_eq!((asked.command, asked.flags, asked.error), (command, 0, 0), "{asked:?}");
        assert_eq!(asked.body[..16], dma_access(address, bytes as u64), "{:x?}", &asked.body[..16]);
        (asked.id, asked.body[16..].to_vec())
    }

    pub fn reply_read(&self, id: u16, address: u64, data: &[u8]) {
        let body = [dma_access(address, data.len() as u64), data.to_vec()].concat();
        self.send_raw(&message(id, DMA_READ, REPLY, 0, &body), &[]).unwrap();
    }

    pub fn reply_write(&self, id: u16, address: u64, bytes: usize) {
        self.send_raw(&message(id, DMA_WRITE, REPLY, 0, &dma_access(address, bytes as u64)), &[]).unwrap();
    }

    pub fn reply_failure(&self, id: u16, command: u16, error: u32) {
        self.send_raw(&message(id, command, REPLY | FAILED, error, &[]), &[]).unwrap();
    }
}

/// A message.
pub fn message(id: u16, command: u16, flags: u32, error: u32, body: &[u8]) -> Vec<u8> {
    let mut message = [id.to_ne_bytes(), command.to_ne_bytes()].concat();
    message.extend([16 + body.len() as u32, flags, error].map(u32::to_ne_bytes).concat());
    message.extend(body);
    message
}

/// Words in a row.
pub fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.map(u32::to_ne_bytes).concat()
}

pub fn version(major: u16, minor: u16, json: &str) -> Vec<u8> {
    [&major.to_ne_bytes()[..], &minor.to_ne_bytes(), json.as_bytes(), b"\0"].concat()
}

pub fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
    [offset.to_ne_bytes().to_vec(), words([region, count])].concat()
}

pub fn dma_access(address: u64, bytes: u64) -> Vec<u8> {
    [address, bytes].map(u64::to_ne_bytes).concat()
}

pub fn set_irqs(flags: u32, index: u32, start: u32, count: u32) -> Vec<u8> {
    words([20, flags, index, start, count])
}

/// DMA_MAP's permissions.
pub const READ_WRITE: u32 = 3;
pub const READ_ONLY: u32 = 1;

pub fn dma_map(flags: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
    [words([32, flags]), [offset, address, size].map(u64::to_ne_bytes).concat()].concat()
}

pub fn dma_unmap(flags: u32, address: u64, size: u64) -> Vec<u8> {
    [words([24, flags]), [address, size].map(u64::to_ne_bytes).concat()].concat()
}

/// Memory as a descriptor.
pub fn memfd(bytes: u64) -> File {
    let file = File::from(rustix::fs::memfd_create("vfio-user-test", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

pub fn new_eventfd() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

/// How often an eventfd was signalled since the last look.
pub fn count(eventfd: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(eventfd, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(error) => {
            assert_eq!(error, Errno::AGAIN);
            0
        }
    }
}

/// A descriptor whose closing can be seen: the writing end of a pipe, and its reading end.
pub fn witness() -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).unwrap();
    (write, read)
}

/// Whether all copies of a witness are closed.
pub fn is_closed(read: &OwnedFd) -> bool {
    match rustix::io::read(read, &mut [0; 64][..]) {
        Ok(0) => true,
        Ok(_) => is_closed(read),
        Err(error) => {
            assert_eq!(error, Errno::AGAIN);
            false
        }
    }
}

/// A server in a thread of its own, and its client.
pub struct Setup {
    pub client: FakeClient,
    events: Receiver<Event>,
    orders: Sender<Order>,
    stop: Arc<OwnedFd>,
    server: Option<JoinHandle<()>>,
}

impl Setup {
    /// Connected, and nothing said.
    pub fn silent(options: ServerOptions) -> Self {
        let (stream, other) = UnixStream::pair().unwrap();
        let server = Server::connected(other, options);
        Setup::with(server, || stream)
    }

    /// `connect` gives the client's end once the server is there.
    pub fn with(mut server: Server, connect: impl FnOnce() -> UnixStream) -> Self {
        let (mut device, events, orders) = FakeDevice::new();
        let stop = Arc::new(new_eventfd());
        let stopped = stop.clone();
        let server = std::thread::spawn(move || server.serve(&mut device, stopped.as_fd()).unwrap());
        Setup { client: FakeClient::new(connect()), events, orders, stop, server: Some(server) }
    }

    /// VERSION is agreed on.
    pub fn new() -> Self {
        Setup::with_options(ServerOptions::default())
    }

    pub fn with_options(options: ServerOptions) -> Self {
        let mut setup = Setup::silent(options);
        setup.client.agree();
        assert_eq!(setup.event(), Event::Attached);
        setup
    }

    /// The client goes and another one comes.
    pub fn reconnect(&mut self, path: &Path) {
        let (nobody, _) = UnixStream::pair().unwrap();
        drop(std::mem::replace(&mut self.client.stream, nobody));
        self.client = FakeClient::new(UnixStream::connect(path).unwrap());
    }

    /// What the device has seen so far does not matter.
    pub fn forget_events(&self) {
        self.events.try_iter().for_each(drop);
    }

    /// The next thing that the device sees.
    pub fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("the device sees nothing")
    }

    /// All that was sent has been handled, and the device has worked.
    pub fn settle(&mut self) {
        // The first answer goes out before the device works, the second after it.
        for _ in 0..2 {
            self.client.read_region(region::CONFIG, 0, 4).unwrap();
        }
    }

    /// The device has seen nothing since.
    pub fn expect_no_event(&mut self) {
        self.settle();
        assert_eq!(self.events.try_iter().next(), None);
    }

    /// The device does something.
    pub fn order(&mut self, order: impl FnOnce(&mut Client) + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
        // Posted: the device works behind every message.
        self.client.send(REGION_WRITE, NO_REPLY, &[access(0, region::CONFIG, 1), vec![0]].concat(), &[]);
    }

    /// Asks the device's view of its client.
    pub fn look<T: Send + 'static>(&mut self, look: impl FnOnce(&mut Client) -> T + Send + 'static) -> T {
        let (answer, answered) = channel();
        self.order(move |client| answer.send(look(client)).unwrap());
        answered.recv_timeout(PATIENCE).expect("the device does not work")
    }

    pub fn statistics(&mut self) -> ClientStatistics {
        self.look(|client| client.statistics().clone())
    }

    /// The server must have closed the connection. Returns what the device is told.
    pub fn expect_gone(&mut self) -> ClientStatistics {
        assert_eq!(self.client.receive(), None, "the connection goes on");
        match self.event() {
            Event::Detached(statistics) => statistics,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        rustix::io::write(&*self.stop, &1u64.to_ne_bytes()).unwrap();
        if let Some(server) = self.server.take() {
            let ended = server.join();
            if !std::thread::panicking() {
                ended.expect("the server has panicked");
            }
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.stop();
    }
}
