//! Frames both ways, each of which can be recognised: it begins with its number, from which the rest follows.
use super::guard::Guard;
use super::{Change, Settled, Traffic, PATIENCE};
use crate::backend::NetPort;
use crate::host::net::{Net, Options, Outgoing};
use crate::host::pci::Bus;
use crate::host::virtio_pci::VirtioPci;
use crate::host::Platform;
use crate::machine::SLOT;
use crate::scenario::wire::FarEnd;
use crate::scenario::ScenarioError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::time::Duration;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::virtio::layout::net::{FEATURE_MRG_RXBUF, FRAME_BYTES_MAX, FRAME_BYTES_MIN};
use virtio_hdl_rtl::virtio::layout::{FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC};

/// Bytes of frames on their way to the driver: what the endpoint's store holds, so that none is dropped.
const ON_THE_WAY: usize = 5 << 10;
/// Shortest chain to receive into, where frames may take several.
const SHORTEST_CHAIN: u32 = 256;
/// Chains to receive into.
const PROVIDED: usize = 48;
/// Frames to send outstanding at most.
const SENDING: usize = 32;
/// The shortest time between two looks at the wire, cycles.
const LOOK: u64 = 20_000;
/// Alignment of chains' memory, which the driver's chains have and nothing else.
const CHAIN_ALIGN: u64 = 64;

/// Frames of one direction that have not arrived.
#[derive(Default)]
struct Direction {
    next: u64,
    /// In their order, and whether they must arrive.
    coming: VecDeque<(u64, bool)>,
    arrived: u64,
    given_up: u64,
}

impl Direction {
    /// The number of the next frame, which must arrive or may.
    fn number(&mut self, must: bool) -> u64 {
        self.next += 1;
        self.coming.push_back((self.next, must));
        self.next
    }

    /// Nothing must arrive any more.
    fn give_up(&mut self) {
        for (_, must) in &mut self.coming {
            self.given_up += u64::from(*must);
            *must = false;
        }
    }

    fn must_arrive(&self) -> usize {
        self.coming.iter().filter(|(_, must)| *must).count()
    }

    /// Frame `number` has arrived: later than all before it, none of which was left out.
    fn arrive(&mut self, number: u64) -> Result<(), String> {
        loop {
            match self.coming.pop_front() {
                Some((expected, _)) if expected == number => {
                    self.arrived += 1;
                    return Ok(());
                }
                Some((_, false)) => {}
                Some((expected, true)) => return Err(format!("frame {number} arrived where {expected} was due")),
                None => return Err(format!("frame {number} arrived, which was not on its way")),
            }
        }
    }
}

/// The driver of the port and the far end of its wire.
pub(super) struct PortTraffic {
    net: Option<Net>,
    wire: FarEnd,
    clock_hz: u64,
    mac: [u8; 6],
    seed: u64,
    link_down: bool,
    /// The device has sent a frame since the driver was bound: until then it may still forget what comes in, as the reset
    /// before waits for answers to its reads.
    ready: bool,
    out: Direction,
    incoming: Direction,
    faults: bool,
}

/// The frame of this number.
fn frame(seed: u64, number: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ number << 1);
    let most = if rng.random_bool(0.5) { 128 } else { FRAME_BYTES_MAX };
    let mut frame = vec![0; rng.random_range(FRAME_BYTES_MIN..=most) as usize];
    rng.fill(&mut frame[..]);
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}

impl PortTraffic {
    /// Frames from and to this wire.
    pub fn new(wire: FarEnd, config: &EndpointConfig, seed: u64) -> Self {
        PortTraffic {
            net: None,
            wire,
            clock_hz: config.link.clock_hz,
            mac: config.net_options().mac,
            seed,
            link_down: false,
            ready: false,
            out: Direction::default(),
            // numbers that no frame that is sent has
            incoming: Direction { next: 1 << 32, ..Direction::default() },
            faults: false,
        }
    }

    fn differ(&self, what: String) -> ScenarioError {
        ScenarioError::Difference { seed: self.seed, request: self.out.arrived + self.incoming.arrived, what }
    }

    /// Chains to receive into. The device may write all memory that the driver takes for them.
    fn provide(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let Some(net) = &mut self.net else { return Ok(()) };
        while net.receive_buffers() < PROVIDED && net.has_room(4).0 {
            let all = net.header_bytes() + FRAME_BYTES_MAX;
            let bytes = match net.has_feature(FEATURE_MRG_RXBUF) {
                true => rng.random_range(SHORTEST_CHAIN..=all),
                false => all + rng.random_range(0..64),
            };
            let cut: Vec<u32> = (0..rng.random_range(0..3)).map(|_| rng.random_range(1..=bytes)).collect();
            let shape = super::shape(net.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, rng);
            guard.allow_what_is_taken(Some(CHAIN_ALIGN));
            let provided = net.provide(guard, bytes, &cut, shape);
            guard.allow_what_is_taken(None);
            provided?;
        }
        Ok(())
    }

    fn send(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let Some(net) = &mut self.net else { return Ok(()) };
        for _ in 0..rng.random_range(1..=8) {
            if net.transmitting() >= SENDING || !net.has_room(6).1 {
                break;
            }
            let frame = frame(self.seed, self.out.number(!self.faults));
            let cut = (0..rng.random_range(0..4)).map(|_| rng.random_range(1..=frame.len() as u32)).collect();
            let shape = super::shape(net.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, rng);
            net.send(guard, &Outgoing { frame, checksum: None, cut, shape })?;
        }
        Ok(())
    }

    /// Frames for the driver on the wire.
    fn put(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) {
        if self.link_down {
            return;
        }
        // Those that need not arrive came while the device was reset, and have left its store.
        let waiting = self.incoming.coming.iter().filter(|(_, must)| *must);
        let mut on_the_way: usize = waiting.map(|(number, _)| frame(self.seed, *number).len()).sum();
        let now = Duration::from_nanos((u128::from(guard.now()) * 1_000_000_000 / u128::from(self.clock_hz)) as u64);
        for _ in 0..rng.random_range(1..=6) {
            if on_the_way > ON_THE_WAY - FRAME_BYTES_MAX as usize {
                break;
            }
            let frame = frame(self.seed, self.incoming.number(self.ready));
            on_the_way += frame.len();
            self.wire.put(now, frame);
        }
    }

    fn arrived(seed: u64, direction: &mut Direction, found: &[u8]) -> Result<(), String> {
        let number = found.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if found != frame(seed, number) {
            return Err(format!("a frame of {} bytes arrived that is none of those sent", found.len()));
        }
        direction.arrive(number)
    }

    fn look_at_wire(&mut self) -> Result<(), ScenarioError> {
        while let Some(found) = self.wire.take() {
            Self::arrived(self.seed, &mut self.out, &found).map_err(|what| self.differ(format!("sent: {what}")))?;
            self.ready = true;
        }
        Ok(())
    }

    fn give_up(&mut self) {
        self.out.give_up();
        self.incoming.give_up();
        self.faults = false;
    }
}

impl Traffic for PortTraffic {
    fn probe(&mut self, guard: &mut Guard<'_>, bus: &mut Bus, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let mut options = Options { scatter: rng.random_bool(0.5).then(|| rng.random()), ..Options::default() };
        super::vary(
            &mut options.policies,
            &mut options.features,
            &[FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, FEATURE_MRG_RXBUF],
            rng,
        );
        self.net = Some(Net::probe(guard, bus, SLOT, &options)?);
        self.ready = false;
        Ok(())
    }

    fn transport(&self) -> Option<&VirtioPci> {
        self.net.as_ref().map(Net::transport)
    }

    fn submit(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        self.provide(guard, rng)?;
        self.send(guard, rng)?;
        if let Some(net) = &mut self.net {
            net.kick(guard)?;
        }
        self.put(guard, rng);
        Ok(())
    }

    fn collect(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        let Some(net) = &mut self.net else { return Ok(()) };
        while let Some(incoming) = net.poll(guard)? {
            Self::arrived(self.seed, &mut self.incoming, &incoming.frame).map_err(|what| {
                ScenarioError::Difference {
                    seed: self.seed,
                    request: self.incoming.arrived,
                    what: format!("received: {what}"),
                }
            })?;
        }
        self.look_at_wire()
    }

    fn interrupt(&mut self, guard: &mut Guard<'_>, deadline: u64) -> Result<bool, ScenarioError> {
        let Some(net) = &self.net else { return Ok(false) };
        super::interrupt(guard, deadline, |guard, interrupt| net.interrupt(guard, interrupt))
    }

    fn settle(&mut self, guard: &mut Guard<'_>) -> Result<Settled, ScenarioError> {
        let deadline = guard.now() + PATIENCE;
        loop {
            self.collect(guard)?;
            let Some(net) = &self.net else { return Ok(Settled::Done) };
            let (out, coming) = (self.out.must_arrive(), self.incoming.must_arrive());
            let sending = net.transmitting();
            if out == 0 && coming == 0 && sending == 0 {
                return Ok(Settled::Done);
            }
            let look = deadline.min(guard.now() + LOOK);
            if self.interrupt(guard, look)? {
                continue;
            }
            let Some(net) = &self.net else { return Ok(Settled::Done) };
            let (receive, transmit) = net.queues();
            let used = [receive, transmit].map(|queue| queue.has_used(guard.memory()).unwrap_or(false));
            // a queue that a failed read has stopped raises no more interrupts
            if (used[0] || used[1]) && !self.faults {
                return Err(self.differ("an interrupt that is due does not come".into()));
            }
            if guard.now() >= deadline {
                return Ok(Settled::Stalled(format!(
                    "{out} frames do not leave, {sending} are not used, {coming} do not arrive"
                )));
            }
        }
    }

    fn remove(&mut self, guard: &mut Guard<'_>, bus: &mut Bus) -> Result<(), ScenarioError> {
        if let Some(net) = self.net.take() {
            net.remove(guard, bus)?;
        }
        self.give_up();
        self.look_at_wire()
    }

    fn forget(&mut self, _guard: &mut Guard<'_>) {
        self.net = None;
        self.give_up();
    }

    fn next_change(&mut self) -> Change {
        self.link_down = !self.link_down;
        let (wire, mac, up) = (self.wire.clone(), self.mac, !self.link_down);
        Box::new(move |machine| {
            wire.set_link(up);
            // at once, not when the next frame comes
            if let Some((port, endpoint)) = machine.side_and_endpoint::<NetPort>() {
                port.ports()?.show(endpoint, mac, up);
            }
            Ok(())
        })
    }

    fn expect_faults(&mut self) {
        self.faults = true;
        // a frame whose data could not be read does not leave
        self.out.give_up();
    }

    fn ended(&self) -> (u64, u64) {
        (self.out.arrived + self.incoming.arrived, self.out.given_up + self.incoming.given_up)
    }
}
