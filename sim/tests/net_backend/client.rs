//! A second TCP/IP stack, the backend under test, and a wire between them that may lose and delay frames.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{dhcpv4, tcp, AnySocket};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
use std::collections::VecDeque;
use std::time::Duration;
use virtio_hdl::backend::net::{peer, NetBackend};

pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
/// Time between two looks at the wire while there is something on it.
const TICK: Duration = Duration::from_micros(10);
/// Nothing in these tests takes longer.
const LIMIT: Duration = Duration::from_secs(600);

/// What happens to frames on their way, in tenths of a percent.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub lost: u32,
    pub late: u32,
}

#[derive(Default)]
struct Stack {
    inbound: VecDeque<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

/// One direction of the wire.
struct Lane {
    random: ChaCha8Rng,
    weather: Weather,
    held: VecDeque<Vec<u8>>,
}

pub struct Client<B> {
    pub backend: B,
    pub sockets: SocketSet<'static>,
    pub interface: Interface,
    pub now: Duration,
    /// Frames that have come from the backend.
    pub received: usize,
    stack: Stack,
    lanes: [Lane; 2],
    port: u16,
}

impl<B: NetBackend> Client<B> {
    /// A stack without an address.
    pub fn bare(backend: B) -> Self {
        let mut stack = Stack::default();
        let interface = Interface::new(Config::new(MAC.into()), &mut stack, Instant::ZERO);
        let lane =
            |seed| Lane { random: ChaCha8Rng::seed_from_u64(seed), weather: Weather::default(), held: VecDeque::new() };
        Client {
            backend,
            sockets: SocketSet::new(vec![]),
            interface,
            now: Duration::ZERO,
            received: 0,
            stack,
            lanes: [lane(1), lane(2)],
            port: 49_152,
        }
    }

    /// A stack with a fixed address.
    pub fn new(backend: B) -> Self {
        let mut client = Client::bare(backend);
        client.interface.update_ip_addrs(|own| own.push(IpCidr::new(ADDRESS.into(), 24)).unwrap());
        client
    }

    pub fn with_weather(mut self, weather: Weather) -> Self {
        self.lanes.iter_mut().for_each(|lane| lane.weather = weather);
        self
    }

    pub fn add<T: AnySocket<'static>>(&mut self, socket: T) -> SocketHandle {
        self.sockets.add(socket)
    }

    pub fn socket<T: AnySocket<'static>>(&mut self, handle: SocketHandle) -> &mut T {
        self.sockets.get_mut(handle)
    }

    /// A TCP connection that is being made.
    pub fn connect(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 256 << 10]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        self.port += 1;
        socket.connect(self.interface.context(), (peer::ADDRESS, port), self.port).unwrap();
        self.add(socket)
    }

    /// Asks the DHCP server until there is an address.
    pub fn dhcp(&mut self) -> dhcpv4::Config<'static> {
        let handle = self.add(dhcpv4::Socket::new());
        self.run("DHCP", |client| match client.socket::<dhcpv4::Socket>(handle).poll() {
            Some(dhcpv4::Event::Configured(found)) => {
                let packet = None;
                Some(dhcpv4::Config { packet, server: found.server, ..found })
            }
            _ => None,
        })
    }

    /// Runs both ends until there is a result.
    pub fn run<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            let moved = self.step();
            if let Some(result) = done(self) {
                return result;
            }
            self.now = match moved {
                true => self.now + TICK,
                false => self.next().unwrap_or_else(|| panic!("{what}: both ends wait for ever at {:?}", self.now)),
            };
            assert!(self.now < LIMIT, "{what}: does not come to an end");
        }
    }

    /// Runs both ends for a while.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let moved = self.step();
            let next = if moved { self.now + TICK } else { self.next().unwrap_or(end) };
            self.now = next.min(end);
        }
    }

    fn instant(&self) -> Instant {
        Instant::from_micros(self.now.as_micros() as i64)
    }

    /// Carries frames both ways once, and says whether there were any.
    fn step(&mut self) -> bool {
        let instant = self.instant();
        self.interface.poll(instant, &mut self.stack, &mut self.sockets);
        let [out, back] = &mut self.lanes;
        let mut sent = vec![];
        while let Some(frame) = self.stack.outbound.pop_front() {
            sent.extend(out.carry(Some(frame)));
        }
        if sent.is_empty() {
            sent.extend(out.carry(None));
        }
        sent.iter().for_each(|frame| self.backend.transmit(self.now, frame));
        let mut came = vec![];
        while let Some(frame) = self.backend.receive(self.now) {
            self.received += 1;
            came.extend(back.carry(Some(frame)));
        }
        if came.is_empty() {
            came.extend(back.carry(None));
        }
        let moved = !sent.is_empty() || !came.is_empty();
        self.stack.inbound.extend(came);
        self.interface.poll(instant, &mut self.stack, &mut self.sockets);
        moved || !self.stack.outbound.is_empty()
    }

    /// When one of both ends has something to do next.
    fn next(&mut self) -> Option<Duration> {
        let instant = self.instant();
        let own = self.interface.poll_at(instant, &self.sockets);
        let own = own.map(|own| Duration::from_micros(own.total_micros() as u64));
        let next = own.into_iter().chain(self.backend.deadline()).min()?;
        Some(next.max(self.now + TICK))
    }
}

impl Lane {
    /// What arrives when this frame, or nothing, is put on the wire.
    fn carry(&mut self, frame: Option<Vec<u8>>) -> Vec<Vec<u8>> {
        let Some(frame) = frame else { return self.held.drain(..).collect() };
        match self.random.random_range(0..1000) {
            chance if chance < self.weather.lost => vec![],
            chance if chance < self.weather.lost + self.weather.late => {
                self.held.push_back(frame);
                vec![]
            }
            // A late frame is three frames late.
            _ if self.held.len() > 2 => [vec![frame], self.held.drain(..).collect()].concat(),
            _ => vec![frame],
        }
    }
}

struct Arrived(Vec<u8>);
struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Stack {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Room<'_>)> {
        let frame = self.inbound.pop_front()?;
        Some((Arrived(frame), Room(&mut self.outbound)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.outbound))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, fill: F) -> R {
        let mut frame = vec![0; bytes];
        let result = fill(&mut frame);
        self.0.push_back(frame);
        result
    }
}
