//! Pages into a balloon and out of it, against a model of the memory: only what the driver names is given back.
use super::guard::Guard;
use super::{Change, Settled, Traffic, PATIENCE};
use crate::backend::{BalloonHandle, BalloonPort};
use crate::host::balloon::{Balloon, BalloonQueue, Options};
use crate::host::pci::Bus;
use crate::host::virtio_pci::VirtioPci;
use crate::host::Platform;
use crate::machine::{Machine, SLOT};
use crate::scenario::pages::{fill, holds};
use crate::scenario::ScenarioError;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use virtio_hdl_rtl::virtio::layout::balloon::{FEATURE_MUST_TELL_HOST, FEATURE_STATS_VQ, PAGE_BYTES};
use virtio_hdl_rtl::virtio::layout::{FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC};

/// Pages of the guest's that go in and out.
const PAGES: usize = 300;
/// Of a chain, at most.
const LONGEST: usize = 120;
/// Buffers of a chain, at most.
const BUFFERS: usize = 5;
/// Chains outstanding of each queue of pages.
const CHAINS: usize = 6;
/// The answer to a chain comes so many cycles later, at most.
const MOST_DELAY: u64 = 3_000;
/// Cycles between two looks at what has been told.
const LOOK: u64 = 2_000;
/// Cycles in which a hand at the balloon has looked at what the driver says is in it.
const ACTUAL: u64 = 3_000;
/// Cycles in which the endpoint has ended the chain that was at hand when it was reset: it offers a page more, and the end.
const REST: u64 = 200;

/// A page of the guest's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The guest's, with this number in each of its words.
    Free(u32),
    /// In a chain to inflate, with this number as long as it has not been given out.
    Leaving(u32),
    /// In the balloon.
    Balloon,
    /// In a chain to deflate.
    Coming,
}

/// The driver of the balloon, and what it knows of its pages.
pub(super) struct BalloonTraffic {
    balloon: Option<Balloon>,
    handle: BalloonHandle,
    rng: ChaCha8Rng,
    seed: u64,
    places: BTreeMap<u32, Place>,
    /// The pages of chains that the device has, by the chain's number, to inflate and to deflate.
    chains: [HashMap<u16, Vec<u32>>; 2],
    /// Those of them that it has not given out, in their order.
    expected: [VecDeque<u32>; 2],
    /// Those that it has.
    given: HashSet<u32>,
    /// What the guest says of its memory in the chain that the device has, and how often it had said something before.
    told: Option<(BTreeMap<u16, u64>, u64)>,
    /// A read may have failed since the last reset: not all that is in a chain need be given out.
    faults: bool,
    ended: u64,
    given_up: u64,
}

impl BalloonTraffic {
    /// With this hand at the balloon. The pages are nothing that the device may read.
    pub fn new(machine: &mut Machine, handle: BalloonHandle, seed: u64) -> Result<Self, ScenarioError> {
        let mut traffic = BalloonTraffic {
            balloon: None,
            handle,
            rng: ChaCha8Rng::seed_from_u64(seed),
            seed,
            places: BTreeMap::new(),
            chains: Default::default(),
            expected: Default::default(),
            given: HashSet::new(),
            told: None,
            faults: false,
            ended: 0,
            given_up: 0,
        };
        traffic.handle.take_pages();
        for _ in 0..PAGES {
            let address = machine.allocate(PAGE_BYTES, PAGE_BYTES).ok_or(ScenarioError::Memory(PAGE_BYTES))?;
            traffic.take((address / PAGE_BYTES) as u32, machine)?;
        }
        Ok(traffic)
    }

    fn differ(&self, what: String) -> ScenarioError {
        ScenarioError::Difference { seed: self.seed, request: self.ended, what }
    }

    /// The guest uses a page.
    fn take(&mut self, page: u32, platform: &mut dyn Platform) -> Result<(), ScenarioError> {
        let number = self.rng.random::<u32>() | 1;
        fill(platform, page, number)?;
        self.places.insert(page, Place::Free(number));
        Ok(())
    }

    /// Each page holds what it held when it was the guest's last, or zeros once it has been given back.
    fn check_memory(&self, platform: &mut dyn Platform) -> Result<(), ScenarioError> {
        for (page, place) in &self.places {
            let number = match *place {
                Place::Free(number) => number,
                Place::Leaving(number) if !self.given.contains(page) => number,
                // where a read has failed it may never have been given out
                Place::Balloon | Place::Coming if self.faults => continue,
                Place::Leaving(_) | Place::Balloon | Place::Coming => 0,
            };
            if !holds(platform, *page, number)? {
                return Err(self.differ(format!("page {page:#x}, {place:?}, does not hold {number:#x}")));
            }
        }
        let state = self.handle.state();
        match (state.outside, state.kept) {
            (0, 0) => Ok(()),
            (outside, kept) => Err(self.differ(format!("{outside} bytes are no memory, {kept} are not given back"))),
        }
    }

    fn give(&mut self, guard: &mut Guard<'_>, queue: BalloonQueue) -> Result<(), ScenarioError> {
        let Some(balloon) = &mut self.balloon else { return Ok(()) };
        for _ in 0..self.rng.random_range(0..4) {
            if balloon.outstanding(queue) >= CHAINS || !balloon.has_room(queue, BUFFERS) {
                break;
            }
            let suits = |place: &Place| match queue {
                BalloonQueue::Inflate => matches!(place, Place::Free(_)),
                _ => *place == Place::Balloon,
            };
            let mut pages: Vec<u32> =
                self.places.iter().filter(|(_, place)| suits(place)).map(|(page, _)| *page).collect();
            if pages.is_empty() {
                break;
            }
            pages.shuffle(&mut self.rng);
            let most = if self.rng.random_bool(0.5) { 8 } else { LONGEST };
            pages.truncate(self.rng.random_range(1..=most));
            let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
            let cuts = self.rng.random_range(0..BUFFERS);
            let cut: Vec<u32> = (0..cuts).map(|_| self.rng.random_range(1..=bytes.len() as u32)).collect();
            let shape = super::shape(balloon.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, &mut self.rng);
            let number = balloon.give(guard, queue, &bytes, &cut, shape)?;
            for page in &pages {
                self.places.entry(*page).and_modify(|place| {
                    *place = match *place {
                        Place::Free(number) => Place::Leaving(number),
                        _ => Place::Coming,
                    }
                });
            }
            self.expected[queue as usize].extend(&pages);
            self.chains[queue as usize].insert(number, pages);
        }
        Ok(())
    }

    /// Says something of the memory, if the device has nothing that was said.
    fn tell(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        let queue = BalloonQueue::Statistics;
        let Some(balloon) = &mut self.balloon else { return Ok(()) };
        if self.told.is_some() || !balloon.has_room(queue, BUFFERS) {
            return Ok(());
        }
        let entries = self.rng.random_range(1..20);
        let told: Vec<(u16, u64)> = (0..entries).map(|_| (self.rng.random_range(0..30), self.rng.random())).collect();
        let bytes: Vec<u8> =
            told.iter().flat_map(|(tag, value)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()).collect();
        let shape = super::shape(balloon.has_feature(FEATURE_RING_INDIRECT_DESC), 0.3, &mut self.rng);
        balloon.give(guard, queue, &bytes, &[], shape)?;
        self.told = Some((told.into_iter().collect(), self.handle.state().told));
        Ok(())
    }

    /// What has been given out is what was named, in the order of each queue; what was told has arrived, if anything has.
    fn look(&mut self) -> Result<(), ScenarioError> {
        for (page, deflate) in self.handle.take_pages() {
            loop {
                match self.expected[usize::from(deflate)].pop_front() {
                    Some(expected) if expected == page => break,
                    Some(_) if self.faults => self.given_up += 1,
                    other => return Err(self.differ(format!("page {page:#x} is given out in place of {other:x?}"))),
                }
            }
            self.given.insert(page);
            self.ended += 1;
        }
        let state = self.handle.state();
        match &self.told {
            Some((told, before)) if state.told > *before && state.statistics != *told && !self.faults => {
                Err(self.differ("statistics arrive that the guest has not told".into()))
            }
            _ => Ok(()),
        }
    }

    /// A chain has come back: its pages have been given out.
    fn back(&mut self, guard: &mut Guard<'_>, queue: BalloonQueue, number: u16) -> Result<(), ScenarioError> {
        self.look()?;
        if queue == BalloonQueue::Statistics {
            let told = self.told.take().is_some_and(|(_, before)| self.handle.state().told > before);
            return match told || self.faults {
                true => Ok(()),
                false => Err(self.differ("a chain of statistics comes back that have not arrived".into())),
            };
        }
        let Some(pages) = self.chains[queue as usize].remove(&number) else {
            return Err(self.differ(format!("a chain {number} comes back that the device has not got")));
        };
        for page in pages {
            if !self.given.remove(&page) {
                if !self.faults {
                    return Err(self.differ(format!("a chain comes back whose page {page:#x} has not been given out")));
                }
                self.expected[queue as usize].retain(|expected| *expected != page);
            }
            match queue {
                BalloonQueue::Inflate if !self.faults && !holds(guard, page, 0)? => {
                    return Err(self.differ(format!("page {page:#x} is in the balloon, and not given back")));
                }
                BalloonQueue::Inflate => {
                    self.places.insert(page, Place::Balloon);
                }
                _ => self.take(page, guard)?,
            }
        }
        Ok(())
    }

    /// The device has been reset: what it has of before is given out now or never, and all pages are the guest's again.
    fn begin_again(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        guard.run(REST);
        // a chain of statistics is cut short
        self.told = None;
        self.look()?;
        self.check_memory(guard)?;
        self.chains.iter_mut().for_each(HashMap::clear);
        self.given_up += self.expected.iter().map(|pages| pages.len() as u64).sum::<u64>();
        self.expected.iter_mut().for_each(VecDeque::clear);
        self.given.clear();
        let taken: Vec<u32> =
            self.places.iter().filter(|(_, place)| !matches!(place, Place::Free(_))).map(|(page, _)| *page).collect();
        taken.into_iter().try_for_each(|page| self.take(page, guard))?;
        self.faults = false;
        Ok(())
    }

    /// All has come back: the memory is as it should be, and either side knows the number of the other.
    fn check_rest(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        self.check_memory(guard)?;
        let Some(balloon) = &self.balloon else { return Ok(()) };
        let (wanted, found) = (self.handle.state().target, balloon.num_pages(guard));
        if wanted != found {
            return Err(self.differ(format!("the driver sees that {found} pages are wanted, and not {wanted}")));
        }
        let actual = self.rng.random();
        balloon.set_actual(guard, actual);
        guard.run(ACTUAL);
        match self.handle.state().actual {
            found if found == actual => Ok(()),
            found => Err(self.differ(format!("the device sees {found} pages in the balloon, and not {actual}"))),
        }
    }
}

impl Traffic for BalloonTraffic {
    fn probe(&mut self, guard: &mut Guard<'_>, bus: &mut Bus, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        let mut options = Options { scatter: rng.random_bool(0.5).then(|| rng.random()), ..Options::default() };
        super::vary(
            &mut options.policies,
            &mut options.features,
            &[FEATURE_RING_EVENT_IDX, FEATURE_RING_INDIRECT_DESC, FEATURE_STATS_VQ, FEATURE_MUST_TELL_HOST],
            rng,
        );
        self.balloon = Some(Balloon::probe(guard, bus, SLOT, &options)?);
        self.begin_again(guard)
    }

    fn transport(&self) -> Option<&VirtioPci> {
        self.balloon.as_ref().map(Balloon::transport)
    }

    fn submit(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError> {
        self.handle.set_delay(if rng.random_bool(0.5) { 0 } else { rng.random_range(0..MOST_DELAY) });
        self.give(guard, BalloonQueue::Inflate)?;
        self.give(guard, BalloonQueue::Deflate)?;
        self.tell(guard)?;
        if rng.random_bool(0.3) {
            self.handle.ask();
        }
        match &mut self.balloon {
            Some(balloon) => Ok(balloon.kick(guard)?),
            None => Ok(()),
        }
    }

    fn collect(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError> {
        while let Some(balloon) = &mut self.balloon {
            let Some((queue, number)) = balloon.poll(guard)? else { break };
            self.back(guard, queue, number)?;
        }
        self.look()
    }

    fn interrupt(&mut self, guard: &mut Guard<'_>, deadline: u64) -> Result<bool, ScenarioError> {
        let Some(balloon) = &self.balloon else { return Ok(false) };
        super::interrupt(guard, deadline, |guard, interrupt| balloon.interrupt(guard, interrupt))
    }

    fn settle(&mut self, guard: &mut Guard<'_>) -> Result<Settled, ScenarioError> {
        let deadline = guard.now() + PATIENCE;
        loop {
            self.collect(guard)?;
            let Some(balloon) = &self.balloon else { return Ok(Settled::Done) };
            let chains = BalloonQueue::ALL.map(|queue| balloon.outstanding(queue));
            if chains == [0; 3] {
                self.check_rest(guard)?;
                return Ok(Settled::Done);
            }
            self.handle.ask();
            let look = deadline.min(guard.now() + LOOK);
            if self.interrupt(guard, look)? {
                continue;
            }
            let Some(balloon) = &self.balloon else { return Ok(Settled::Done) };
            let used = balloon.queues().iter().any(|queue| queue.has_used(guard.memory()).unwrap_or(false));
            // a queue that a failed read has stopped raises no more interrupts; one that has just been served raises it yet
            let later = guard.now() + LOOK;
            if used && !self.faults && !self.interrupt(guard, later)? {
                return Err(self.differ("an interrupt that is due does not come".into()));
            }
            if guard.now() >= deadline {
                let [inflate, deflate, statistics] = chains;
                return Ok(Settled::Stalled(format!(
                    "chains do not come back: {inflate} to inflate, {deflate} to deflate, {statistics} of statistics"
                )));
            }
        }
    }

    fn remove(&mut self, guard: &mut Guard<'_>, bus: &mut Bus) -> Result<(), ScenarioError> {
        if let Some(balloon) = self.balloon.take() {
            balloon.remove(guard, bus)?;
        }
        Ok(())
    }

    fn forget(&mut self, _guard: &mut Guard<'_>) {
        self.balloon = None;
    }

    fn next_change(&mut self) -> Change {
        let (handle, wanted) = (self.handle.clone(), self.rng.random());
        Box::new(move |machine| {
            handle.set_target(wanted);
            // at once, not at the next look
            if let Some((port, endpoint)) = machine.side_and_endpoint::<BalloonPort>() {
                port.look(endpoint)?;
            }
            Ok(())
        })
    }

    fn expect_faults(&mut self) {
        self.faults = true;
    }

    fn ended(&self) -> (u64, u64) {
        (self.ended, self.given_up)
    }
}
