//! A device to test the server with, and a server with it in a thread.
use rustix::fs::OFlags;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
pub use vfio_user_server::testing::*;
use vfio_user_server::{irq, region, Client, ClientStatistics, Device, Errno, Server, ServerOptions, Work};

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
    /// Somebody else wants something, with or without a client.
    Controlled(bool),
    Read(u64, Result<Vec<u8>, Errno>),
}

type Order = Box<dyn FnOnce(&mut Client) + Send>;

/// Registers that keep what is written, and work that a test orders.
pub struct FakeDevice {
    config: Vec<u8>,
    bar0: Vec<u8>,
    events: Sender<Event>,
    orders: Receiver<Order>,
    /// What comes here is seen, and `!` ends the server.
    control: UnixStream,
}

impl FakeDevice {
    pub fn new(control: UnixStream) -> (Self, Receiver<Event>, Sender<Order>) {
        let (events, seen) = channel();
        let (order, orders) = channel();
        (FakeDevice { config: vec![0; CONFIG_BYTES], bar0: vec![0; BAR0_BYTES], events, orders, control }, seen, order)
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

    fn controlled(&self) -> Option<BorrowedFd<'_>> {
        Some(self.control.as_fd())
    }

    fn control(&mut self, client: Option<&mut Client>) -> Work {
        let mut byte = [0];
        // Its other end is there as long as a test looks at it.
        if self.control.read(&mut byte).unwrap() == 0 {
            return Work::Failed;
        }
        self.tell(Event::Controlled(client.is_some()));
        if byte == *b"!" {
            Work::Failed
        } else {
            Work::Busy
        }
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
    pub client: TestClient,
    events: Receiver<Event>,
    orders: Sender<Order>,
    /// Somebody else than the client.
    pub control: UnixStream,
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
        let (control, controlled) = UnixStream::pair().unwrap();
        let (mut device, events, orders) = FakeDevice::new(controlled);
        let stop = Arc::new(new_eventfd());
        let stopped = stop.clone();
        let server = std::thread::spawn(move || server.serve(&mut device, stopped.as_fd()).unwrap());
        Setup { client: TestClient::new(connect()), events, orders, control, stop, server: Some(server) }
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
        self.client = TestClient::new(UnixStream::connect(path).unwrap());
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
