//! Bytes both ways through a console, each of which comes once and in order.
use super::guard::Guard;
use super::{Change, Settled, Traffic, PATIENCE};
use crate::backend::console::{TerminalSize, Typist};
use crate::backend::ConsolePort;
use crate::host::console::{Console, Options};
use crate::host::pci::Bus;
use crate::host::virtio_pci::VirtioPci;
use crate::host::Platform;
use crate::machine::{MachineError, SLOT};
use crate::scenario::ScenarioError;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use virtio_hdl_rtl::virtio::layout::{FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC};

/// Chains for bytes that come in.
const PROVIDED: usize = 16;
/// Alignment of memory that the driver takes for chains.
const CHAIN_ALIGN: u64 = 64;
/// Bytes of the longest chain.
const LONGEST: u32 = 800;
/// Chains to print outstanding.
const PRINTING: usize = 12;
/// Bytes that are typed and have not arrived, at most.
const UNREAD: usize = 1500;
/// Cycles between two looks at what has been printed.
const LOOK: u64 = 2_000;
/// Cycles in which what the endpoint holds is printed: 16 bytes.
const REST: u64 = 200;

/// The driver of the console, and who sits at it.
pub(super) struct ConsoleTraffic {
    console: Option<Console>,
    typist: Typist,
    rng: ChaCha8Rng,
    seed: u64,
    cols: u16,
    /// Bytes given to the device that have not been printed.
    printing: VecDeque<u8>,
    /// Not all of them need be printed: a reset or a failed read came between.
    some_are_lost: bool,
    /// Bytes typed that have not arrived.
    typing: VecDeque<u8>,
    faults: bool,
    ended: u64,
    given_up: u64,
}

impl ConsoleTraffic {
    /// With this one at the other end.
    pub fn new(typist: Typist, seed: u64) -> Self {
        ConsoleTraffic {
            console: None,
            typist,
            rng: ChaCha8Rng::seed_from_u64(seed),
            seed,
            cols: 80,
            printing: VecDeque::new(),
            some_are_lost: false,
            typing: VecDeque::new(),
            faults: false,
            ended: 0,
            given_up: 0,
        }
    }

    fn differ(&self, what: String) -> ScenarioError {
        ScenarioError::Difference { seed: self.seed, request: self.ended, what }
    }

    /// Chains to type into. The device may write all memory that the driver takes for them.
    fn provide(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        let Some(console) = &mut self.console else { return Ok(()) };
        while console.receive_buffers() < PROVIDED && console.has_room(4).0 {
            let bytes = self.rng.random_range(1..=LONGEST);
            let cut: Vec<u32> = (0..self.rng.random_range(0..3)).map(|_| self.rng.random_range(1..=bytes)).collect();
            let shape = super::shape(console.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, &mut self.rng);
            guard.allow_what_is_taken(Some(CHAIN_ALIGN));
            let provided = console.provide(guard, bytes, &cut, shape);
            guard.allow_what_is_taken(None);
            provided?;
        }
        console.kick(guard)?;
        Ok(())
    }

    fn print(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        let Some(console) = &mut self.console else { return Ok(()) };
        for _ in 0..self.rng.random_range(1..=6) {
            if console.transmitting() >= PRINTING || !console.has_room(6).1 {
                break;
            }
            let most = if self.rng.random_bool(0.5) { 40 } else { LONGEST };
            let bytes = self.rng.random_range(1..=most);
            let mut text = vec![0; bytes as usize];
            self.rng.fill_bytes(&mut text);
            let cut: Vec<u32> = (0..self.rng.random_range(0..4)).map(|_| self.rng.random_range(1..=bytes)).collect();
            let shape = super::shape(console.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, &mut self.rng);
            console.print(guard, &text, &cut, shape)?;
            self.printing.extend(text);
        }
        console.kick(guard)?;
        Ok(())
    }

    fn type_in(&mut self) {
        for _ in 0..self.rng.random_range(0..4) {
            let most = if self.rng.random_bool(0.5) { 1 } else { 400 };
            let mut text = vec![0; self.rng.random_range(1..=most)];
            if self.typing.len() + text.len() > UNREAD {
                break;
            }
            self.rng.fill_bytes(&mut text);
            self.typist.type_in(&text);
            self.typing.extend(text);
        }
    }

    /// What has been printed is what was given, in its order; where some are lost, a part of it.
    fn look(&mut self) -> Result<(), ScenarioError> {
        for byte in self.typist.printed() {
            loop {
                match self.printing.pop_front() {
                    Some(expected) if expected == byte => break,
                    Some(_) if self.some_are_lost => self.given_up += 1,
                    _ => return Err(self.differ("a byte is printed that was not given so".into())),
                }
            }
            self.ended += 1;
        }
        Ok(())
    }

    fn arrived(&mut self, typed: &[u8]) -> Result<(), ScenarioError> {
        let expected: Vec<u8> = self.typing.drain(..typed.len().min(self.typing.len())).collect();
        self.ended += typed.len() as u64;
        match expected == typed {
            true => Ok(()),
            false => Err(self.differ(format!("{} bytes arrive that were not typed so", typed.len()))),
        }
    }

    /// The device has been reset: what it has of before is printed now or never, and what it has taken is lost.
    fn begin_again(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        self.some_are_lost = true;
        self.typist.allow(None);
        guard.run(REST);
        let mut untaken = self.typist.untaken();
        if let Some((port, endpoint)) = guard.machine().side_and_endpoint::<ConsolePort>() {
            // what waited at the other end
            port.look(endpoint).map_err(MachineError::from)?;
            untaken = self.typist.untaken() + port.untaken(endpoint).map_err(MachineError::from)?;
        }
        self.look()?;
        self.given_up += self.printing.len() as u64;
        self.printing.clear();
        self.some_are_lost = false;
        let Some(lost) = self.typing.len().checked_sub(untaken) else {
            return Err(self.differ("bytes wait that were not typed".into()));
        };
        self.typing.drain(..lost);
        self.given_up += lost as u64;
        Ok(())
    }
}

impl Traffic for ConsoleTraffic {
    fn probe(&mut self, guard: &mut Guard<'_>, bus: &mut Bus, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let mut options = Options { scatter: rng.random_bool(0.5).then(|| rng.random()), ..Options::default() };
        super::vary(
            &mut options.policies,
            &mut options.features,
            &[FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC],
            rng,
        );
        self.console = Some(Console::probe(guard, bus, SLOT, &options)?);
        self.begin_again(guard)
    }

    fn transport(&self) -> Option<&VirtioPci> {
        self.console.as_ref().map(Console::transport)
    }

    fn submit(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        // the other end takes all, little or nothing for a while
        self.typist.allow(rng.random_bool(0.3).then(|| rng.random_range(0..500)));
        self.provide(guard)?;
        self.print(guard)?;
        self.type_in();
        Ok(())
    }

    fn collect(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        while let Some(console) = &mut self.console {
            let Some(typed) = console.poll(guard)? else { break };
            self.arrived(&typed)?;
        }
        self.look()
    }

    fn interrupt(&mut self, guard: &mut Guard<'_>, deadline: u64) -> Result<bool, ScenarioError> {
        let Some(console) = &self.console else { return Ok(false) };
        super::interrupt(guard, deadline, |guard, interrupt| console.interrupt(guard, interrupt))
    }

    fn settle(&mut self, guard: &mut Guard<'_>) -> Result<Settled, ScenarioError> {
        let deadline = guard.now() + PATIENCE;
        self.typist.allow(None);
        loop {
            self.collect(guard)?;
            self.provide(guard)?;
            let Some(console) = &self.console else { return Ok(Settled::Done) };
            let (printing, chains, typing) = (self.printing.len(), console.transmitting(), self.typing.len());
            if (printing == 0 || self.some_are_lost) && chains == 0 && typing == 0 {
                return Ok(Settled::Done);
            }
            let look = deadline.min(guard.now() + LOOK);
            if self.interrupt(guard, look)? {
                continue;
            }
            let Some(console) = &self.console else { return Ok(Settled::Done) };
            let (receive, transmit) = console.queues();
            let used = [receive, transmit].map(|queue| queue.has_used(guard.memory()).unwrap_or(false));
            // a queue that a failed read has stopped raises no more interrupts
            if (used[0] || used[1]) && !self.faults {
                return Err(self.differ("an interrupt that is due does not come".into()));
            }
            if guard.now() >= deadline {
                return Ok(Settled::Stalled(format!(
                    "{printing} bytes are not printed, {chains} chains are not used, {typing} bytes do not arrive"
                )));
            }
        }
    }

    fn remove(&mut self, guard: &mut Guard<'_>, bus: &mut Bus) -> Result<(), ScenarioError> {
        if let Some(console) = self.console.take() {
            console.remove(guard, bus)?;
        }
        self.faults = false;
        self.some_are_lost = true;
        Ok(())
    }

    fn forget(&mut self, _guard: &mut Guard<'_>) {
        self.console = None;
        self.faults = false;
        self.some_are_lost = true;
    }

    fn next_change(&mut self) -> Change {
        self.cols = self.cols % 500 + 1;
        let (typist, size) = (self.typist.clone(), TerminalSize { cols: self.cols, rows: 25 });
        Box::new(move |machine| {
            typist.resize(size);
            // at once, not at the next look
            if let Some((port, endpoint)) = machine.side_and_endpoint::<ConsolePort>() {
                port.look(endpoint)?;
            }
            Ok(())
        })
    }

    fn expect_faults(&mut self) {
        self.faults = true;
        // what could not be read is not printed
        self.some_are_lost = true;
    }

    fn ended(&self) -> (u64, u64) {
        (self.ended, self.given_up)
    }
}
