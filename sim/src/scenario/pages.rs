//! Random pages into a balloon and out of it, against a model of the memory: what is in the balloon has been given back when its chain
//! comes back, and what has come out is never taken again.
use super::ScenarioError;
use crate::backend::BalloonHandle;
use crate::host::balloon::{Balloon, BalloonQueue};
use crate::host::ring::Shape;
use crate::host::Platform;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use virtio_hdl_rtl::virtio::layout::balloon::{FEATURE_STATS_VQ, FRAME_BYTES, PAGE_BYTES, STAT_BYTES};
use virtio_hdl_rtl::virtio::layout::FEATURE_RING_INDIRECT_DESC;
use vm_memory::{Bytes, GuestAddress};

/// Cycles after which a chain has been lost: the slowest answer, many times.
const PATIENCE: u64 = 20_000_000;
/// Pages of the guest's that go in and out.
const MOST_PAGES: usize = 400;
/// Of a chain, at most: Linux has chains of 256.
const MOST_IN_CHAIN: usize = 300;
/// The answer to a chain comes so many cycles later, at most.
const MOST_DELAY: u64 = 3000;
/// A page that no guest has.
const NOWHERE: u32 = 0xfff0_0000;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Pages, in and out.
    pub pages: u64,
    /// Most chains outstanding of each queue.
    pub depth: usize,
    /// Chooses everything random.
    pub seed: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Pages that went in, those that are none of the guest's among them.
    pub inflated: u64,
    /// Pages that came out.
    pub deflated: u64,
    /// Chains of both.
    pub chains: u64,
    /// Pages that are none of the guest's.
    pub nowhere: u64,
    /// Changes of what is wanted.
    pub targets: u64,
    /// Sets of statistics that arrived.
    pub statistics: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Cycles.
    pub cycles: u64,
}

/// A page of the guest's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The guest's, with this number in each of its words.
    Free(u32),
    /// In a chain.
    Moving,
    /// In the balloon.
    Balloon,
}

/// Pages of a chain, in its order.
struct Moving {
    pages: Vec<u32>,
}

struct Run<'a> {
    platform: &'a mut dyn Platform,
    balloon: &'a mut Balloon,
    handle: &'a BalloonHandle,
    options: &'a Options,
    rng: ChaCha8Rng,
    report: Report,
    places: HashMap<u32, Place>,
    /// By the chain's number, of both queues.
    chains: [HashMap<u16, Moving>; 2],
    /// Pages that the device has not given out, of both queues.
    expected: [VecDeque<u32>; 2],
    submitted: u64,
    /// What the guest said last of its memory.
    told: Option<BTreeMap<u16, u64>>,
}

/// Moves `options.pages` pages. Between them the device wants other numbers of pages, and newer statistics.
pub fn run(
    platform: &mut dyn Platform,
    balloon: &mut Balloon,
    handle: &BalloonHandle,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let start = platform.now();
    let interrupts = balloon.interrupts().0;
    handle.take_pages();
    let mut run = Run {
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        platform,
        balloon,
        handle,
        options,
        report: Report::default(),
        places: HashMap::new(),
        chains: Default::default(),
        expected: Default::default(),
        submitted: 0,
        told: None,
    };
    run.allocate()?;
    let mut moved = start;
    while run.report.inflated + run.report.deflated < options.pages {
        let before = run.report.inflated + run.report.deflated;
        handle.set_delay(if run.rng.random_bool(0.5) { 0 } else { run.rng.random_range(0..MOST_DELAY) });
        run.give(BalloonQueue::Inflate)?;
        run.give(BalloonQueue::Deflate)?;
        run.tell()?;
        run.target()?;
        run.balloon.kick(run.platform)?;
        let deadline = run.platform.now() + 20_000;
        if let Some(back) = run.balloon.wait(run.platform, deadline)? {
            run.back(back)?;
        }
        let now = run.report.inflated + run.report.deflated;
        if now != before {
            moved = run.platform.now();
            progress(now);
        } else if run.platform.now() - moved > PATIENCE {
            let waiting = run.chains.each_ref().map(HashMap::len);
            return Err(run.difference(format!("{waiting:?} chains to inflate and to deflate do not come back")));
        }
    }
    run.check_all()?;
    let mut report = run.report;
    report.interrupts = balloon.interrupts().0 - interrupts;
    report.cycles = platform.now() - start;
    Ok(report)
}

/// Writes a number into each word of a page.
pub(super) fn fill(platform: &mut dyn Platform, page: u32, number: u32) -> Result<(), ScenarioError> {
    let content: Vec<u8> = number.to_le_bytes().repeat(PAGE_BYTES as usize / 4);
    platform.memory().write_slice(&content, GuestAddress(u64::from(page) * PAGE_BYTES))?;
    Ok(())
}

/// Whether each word of a page is this one.
pub(super) fn holds(platform: &mut dyn Platform, page: u32, number: u32) -> Result<bool, ScenarioError> {
    let mut content = vec![0; PAGE_BYTES as usize];
    platform.memory().read_slice(&mut content, GuestAddress(u64::from(page) * PAGE_BYTES))?;
    Ok(content.chunks(4).all(|word| *word == number.to_le_bytes()))
}

impl Run<'_> {
    fn difference(&self, what: String) -> ScenarioError {
        let request = self.report.inflated + self.report.deflated;
        ScenarioError::Difference { seed: self.options.seed, request, what }
    }

    fn allocate(&mut self) -> Result<(), ScenarioError> {
        for _ in 0..MOST_PAGES {
            let address = self.platform.allocate(PAGE_BYTES, PAGE_BYTES).ok_or(ScenarioError::Memory(PAGE_BYTES))?;
            let page = (address / PAGE_BYTES) as u32;
            self.take(page)?;
        }
        Ok(())
    }

    /// The guest uses a page.
    fn take(&mut self, page: u32) -> Result<(), ScenarioError> {
        let number = self.rng.next_u32() | 1;
        fill(self.platform, page, number)?;
        self.places.insert(page, Place::Free(number));
        Ok(())
    }

    fn shape(&mut self) -> Shape {
        match self.balloon.has_feature(FEATURE_RING_INDIRECT_DESC) && self.rng.random_bool(0.3) {
            true => Shape::Indirect,
            false => Shape::Direct,
        }
    }

    /// Most buffers of a chain.
    fn most_buffers(&self, queue: BalloonQueue) -> usize {
        self.balloon.queue_size(queue).min(8)
    }

    /// The lengths of a chain's buffers: pages may lie in two.
    fn cut(&mut self, queue: BalloonQueue, bytes: usize) -> Vec<u32> {
        (0..self.rng.random_range(0..self.most_buffers(queue)))
            .map(|_| self.rng.random_range(1..=bytes as u32))
            .collect()
    }

    fn give(&mut self, queue: BalloonQueue) -> Result<(), ScenarioError> {
        let is_wanted = |place: &Place| match queue {
            BalloonQueue::Inflate => matches!(place, Place::Free(_)),
            _ => *place == Place::Balloon,
        };
        while self.balloon.outstanding(queue) < self.options.depth
            && self.balloon.has_room(queue, self.most_buffers(queue))
        {
            let mut pages: Vec<u32> =
                self.places.iter().filter(|(_, place)| is_wanted(place)).map(|(page, _)| *page).collect();
            if pages.is_empty() || self.rng.random_bool(0.3) {
                return Ok(());
            }
            pages.sort_unstable();
            // in a row, as it happens, or from anywhere
            if self.rng.random_bool(0.7) {
                pages.shuffle(&mut self.rng);
            }
            let most = if self.rng.random_bool(0.5) { 8 } else { MOST_IN_CHAIN };
            pages.truncate(self.rng.random_range(1..=most));
            self.places.extend(pages.iter().map(|page| (*page, Place::Moving)));
            if queue == BalloonQueue::Inflate && self.rng.random_bool(0.1) {
                pages.push(NOWHERE + self.rng.random_range(0..1 << 16));
                self.report.nowhere += 1;
            }
            let mut bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
            let odd = self.rng.random_range(0..2 * FRAME_BYTES).min(FRAME_BYTES - 1);
            bytes.extend(vec![0xee; odd as usize]);
            let (cut, shape) = (self.cut(queue, bytes.len()), self.shape());
            let number = self.balloon.give(self.platform, queue, &bytes, &cut, shape)?;
            self.expected[queue as usize].extend(&pages);
            self.submitted += pages.len() as u64;
            self.chains[queue as usize].insert(number, Moving { pages });
        }
        Ok(())
    }

    /// A chain has come back: its pages have been given out, and those that went in are gone.
    fn back(&mut self, (queue, number): (BalloonQueue, u16)) -> Result<(), ScenarioError> {
        self.look()?;
        if queue == BalloonQueue::Statistics {
            self.told = None;
            return Ok(());
        }
        let Some(moving) = self.chains[queue as usize].remove(&number) else {
            return Err(self.difference(format!("a chain {number} comes back that the device has not got")));
        };
        self.report.chains += 1;
        if moving.pages.iter().any(|page| self.expected[queue as usize].contains(page) && *page < NOWHERE) {
            return Err(self.difference("a chain comes back whose pages have not been given out".into()));
        }
        for page in moving.pages {
            if page >= NOWHERE {
                self.report.inflated += 1;
                continue;
            }
            match queue {
                BalloonQueue::Inflate => {
                    if !holds(self.platform, page, 0)? {
                        return Err(self.difference(format!("page {page:#x} is in the balloon, and not given back")));
                    }
                    self.places.insert(page, Place::Balloon);
                    self.report.inflated += 1;
                }
                _ => {
                    self.take(page)?;
                    self.report.deflated += 1;
                }
            }
        }
        Ok(())
    }

    /// What the device has given out is what it was given, in the order of each queue.
    fn look(&mut self) -> Result<(), ScenarioError> {
        for (page, deflate) in self.handle.take_pages() {
            let expected = self.expected[usize::from(deflate)].pop_front();
            if expected != Some(page) {
                return Err(self.difference(format!("page {page:#x} is given out in place of {expected:x?}")));
            }
        }
        Ok(())
    }

    /// No page of the guest's has been taken from it.
    fn check_all(&mut self) -> Result<(), ScenarioError> {
        for (page, place) in &self.places {
            if let Place::Free(number) = place {
                if !holds(self.platform, *page, *number)? {
                    return Err(self.difference(format!("page {page:#x} was taken from the guest")));
                }
            }
        }
        Ok(())
    }

    /// Says something of the memory, or looks whether what was said has arrived, and asks for more.
    fn tell(&mut self) -> Result<(), ScenarioError> {
        let queue = BalloonQueue::Statistics;
        if !self.balloon.has_feature(FEATURE_STATS_VQ) {
            return Ok(());
        }
        if self.told.is_none() && self.balloon.has_room(queue, self.most_buffers(queue)) {
            let entries = self.rng.random_range(1..20);
            let told: Vec<(u16, u64)> =
                (0..entries).map(|_| (self.rng.random_range(0..30), self.rng.random())).collect();
            let mut bytes: Vec<u8> =
                told.iter().flat_map(|(tag, value)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()).collect();
            bytes.extend(vec![0xee; self.rng.random_range(0..STAT_BYTES) as usize]);
            let (cut, shape) = (self.cut(queue, bytes.len()), self.shape());
            self.balloon.give(self.platform, queue, &bytes, &cut, shape)?;
            self.told = Some(told.into_iter().collect());
            return Ok(());
        }
        let state = self.handle.state();
        if state.told > self.report.statistics && self.rng.random_bool(0.3) {
            if Some(&state.statistics) != self.told.as_ref() {
                return Err(self.difference("statistics arrive that the guest has not told".into()));
            }
            self.report.statistics = state.told;
            self.handle.ask();
        }
        Ok(())
    }

    fn target(&mut self) -> Result<(), ScenarioError> {
        if !self.rng.random_bool(0.1) {
            return Ok(());
        }
        let (before, wanted) = (self.balloon.num_pages(self.platform), self.rng.random());
        self.handle.set_target(wanted);
        let changes = self.balloon.interrupts().1;
        let deadline = self.platform.now() + PATIENCE;
        while self.balloon.num_pages(self.platform) != wanted
            || before != wanted && self.balloon.interrupts().1 == changes
        {
            if let Some(back) = self.balloon.wait(self.platform, deadline)? {
                self.back(back)?;
            }
            if self.platform.now() >= deadline {
                return Err(self.difference(format!("the driver does not hear that {wanted} pages are wanted")));
            }
        }
        let actual = self.rng.random();
        self.balloon.set_actual(self.platform, actual);
        // longer than a hand at the balloon looks away
        self.platform.run(3000);
        if self.handle.state().actual != actual {
            return Err(self.difference(format!("the device does not see that {actual} pages are in the balloon")));
        }
        self.report.targets += 1;
        Ok(())
    }
}
