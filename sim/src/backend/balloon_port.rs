//! The balloon's memory: given back to the host, page by page, and the numbers that the guest tells of its own.
use crate::control::{Command, Refusal, MOST_MEBIBYTES};
use crate::model::{
    DevicePacket, DeviceSide, Direction, Endpoint, HostMemory, InputLevel, Level, ModelError, Stream, StreamShape,
};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use virtio_hdl_rtl::virtio::layout::balloon::{PAGE_BYTES, STATS};

/// The endpoint may run on for so many cycles behind a page that it gave.
const LOOKAHEAD: u64 = 256;
/// Cycles between two looks at what a [`BalloonHandle`] wants.
const LOOK: u64 = 1000;
/// Seconds between two questions for the guest's numbers.
const STATISTICS_EVERY: u64 = 1;
/// Pages of a mebibyte.
const PAGES: u32 = (1 << 20) / PAGE_BYTES as u32;

/// The ports of an endpoint to its balloon.
#[derive(Copy, Clone, Debug)]
struct Ports {
    page: Stream,
    done: Stream,
    stat: Stream,
    stat_request: Stream,
    num_pages: InputLevel,
    actual: Level,
}

/// How the balloon stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalloonState {
    /// Pages that are wanted in the balloon.
    pub target: u32,
    /// Pages that are in it, as the driver says.
    pub actual: u32,
    /// Pages that have gone in.
    pub inflated: u64,
    /// Pages that have come out.
    pub deflated: u64,
    /// Chains of both.
    pub chains: u64,
    /// Bytes that were given back to the host.
    pub given_back: u64,
    /// Bytes that could not be given back, and stay as they are.
    pub kept: u64,
    /// Bytes of pages that are no memory of the guest's.
    pub outside: u64,
    /// What the guest said last of its memory: number by tag.
    pub statistics: BTreeMap<u16, u64>,
    /// How often it has said it.
    pub told: u64,
}

/// What both ends of a [`BalloonHandle`] know.
#[derive(Debug, Default)]
struct Shared {
    state: BalloonState,
    /// Cycles until the end of a chain is answered.
    delay: u64,
    /// Newer numbers are wanted now.
    asks: bool,
    /// Pages as they came, and whether they came out; only for who reads it.
    log: Option<Vec<(u32, bool)>>,
}

/// A balloon behind an endpoint: what goes into it is given back to the host.
pub struct BalloonPort {
    shared: Arc<Mutex<Shared>>,
    clock_hz: u64,
    ports: Option<Ports>,
    /// What the endpoint is shown.
    shown: Option<u32>,
    /// Pages to give back; ends of chains to answer behind them.
    pages: Vec<u32>,
    ends: usize,
    /// Numbers of a chain that has not ended.
    arriving: BTreeMap<u16, u64>,
    /// The driver's chain is at the endpoint: when it is asked for newer numbers.
    ask_at: Option<u64>,
    now: u64,
    watched: bool,
}

/// A hand at a [`BalloonPort`], from the outside.
#[derive(Clone, Debug)]
pub struct BalloonHandle(Arc<Mutex<Shared>>);

impl BalloonHandle {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0)
    }

    /// Asks the driver to have so many pages in the balloon.
    pub fn set_target(&self, pages: u32) {
        self.shared().state.target = pages;
    }

    /// How it stands.
    pub fn state(&self) -> BalloonState {
        self.shared().state.clone()
    }

    /// Asks the driver for newer numbers as soon as it can be asked.
    pub fn ask(&self) {
        self.shared().asks = true;
    }

    /// The end of each chain is answered so many cycles later.
    pub fn set_delay(&self, cycles: u64) {
        self.shared().delay = cycles;
    }

    /// The pages since the last call, each with whether it came out of the balloon. The first call begins to keep them.
    pub fn take_pages(&self) -> Vec<(u32, bool)> {
        self.shared().log.replace(vec![]).unwrap_or_default()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BalloonPort {
    /// A balloon that is to have so many pages. The endpoint's clock has `clock_hz`.
    pub fn new(target: u32, clock_hz: u64) -> Self {
        let state = BalloonState { target, ..BalloonState::default() };
        BalloonPort {
            shared: Arc::new(Mutex::new(Shared { state, ..Shared::default() })),
            clock_hz,
            ports: None,
            shown: None,
            pages: vec![],
            ends: 0,
            arriving: BTreeMap::new(),
            ask_at: None,
            now: 0,
            watched: false,
        }
    }

    /// Looks at once at what a hand at it wants, and not when it is time to.
    pub fn look(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        self.poll(endpoint)
    }

    /// So many mebibytes as pages.
    pub fn pages(mebibytes: u32) -> u32 {
        mebibytes.min(MOST_MEBIBYTES) * PAGES
    }

    /// A hand at it. From here on it looks at what that wants while nothing happens.
    pub fn handle(&mut self) -> BalloonHandle {
        self.watched = true;
        BalloonHandle(self.shared.clone())
    }
}

/// The pages as ranges: first page and how many.
fn ranges(mut pages: Vec<u32>) -> Vec<(u64, u64)> {
    pages.sort_unstable();
    pages.dedup();
    let mut ranges: Vec<(u64, u64)> = vec![];
    for page in pages.into_iter().map(u64::from) {
        match ranges.last_mut() {
            Some((first, count)) if *first + *count == page => *count += 1,
            _ => ranges.push((page, 1)),
        }
    }
    ranges
}

fn named(statistics: &BTreeMap<u16, u64>) -> Map<String, Value> {
    let name = |tag: u16| STATS.get(usize::from(tag)).map_or_else(|| format!("tag_{tag}"), |name| name.to_string());
    statistics.iter().map(|(tag, value)| (name(*tag), json!(value))).collect()
}

impl DeviceSide for BalloonPort {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        use Direction::{Input, Output};
        let shape = |side| StreamShape { side, ..StreamShape::default() };
        self.ports = Some(Ports {
            page: endpoint.add_stream("balloon_page", Output, shape(&["data", "deflate", "last"]))?,
            done: endpoint.add_stream("balloon_done", Input, shape(&[]))?,
            stat: endpoint.add_stream("balloon_stat", Output, shape(&["tag", "value", "last"]))?,
            stat_request: endpoint.add_stream("balloon_stat_request", Input, shape(&[]))?,
            num_pages: endpoint.model().input_level("balloon_num_pages")?,
            actual: endpoint.model().level("balloon_actual")?,
        });
        Ok(())
    }

    fn packet(&mut self, packet: DevicePacket, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = super::connected(self.ports)?;
        let mut shared = lock(&self.shared);
        let state = &mut shared.state;
        match packet.words[..] {
            [_, _, 1] if packet.stream == ports.page => {
                state.chains += 1;
                self.ends += 1;
            }
            [page, deflate, _] if packet.stream == ports.page => {
                match deflate {
                    0 => {
                        state.inflated += 1;
                        self.pages.push(page);
                    }
                    _ => state.deflated += 1,
                }
                shared.log.iter_mut().for_each(|log| log.push((page, deflate != 0)));
            }
            [_, _, _, 1] if packet.stream == ports.stat => {
                state.statistics = std::mem::take(&mut self.arriving);
                state.told += 1;
                self.ask_at = Some(endpoint.cycle() + STATISTICS_EVERY * self.clock_hz);
            }
            // a tag that comes twice takes no more room than one
            [tag, low, high, _] if packet.stream == ports.stat => {
                self.arriving.insert(tag as u16, u64::from(low) | u64::from(high) << 32);
            }
            _ => {}
        }
        Ok(())
    }

    fn give_back(&mut self, memory: &mut dyn HostMemory, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = super::connected(self.ports)?;
        let mut shared = lock(&self.shared);
        for (first, count) in ranges(std::mem::take(&mut self.pages)) {
            let discarded = memory.discard(first * PAGE_BYTES, count * PAGE_BYTES);
            shared.state.given_back += discarded.given_back;
            shared.state.kept += discarded.kept;
            shared.state.outside += discarded.outside;
        }
        let at = endpoint.cycle() + shared.delay;
        for _ in 0..std::mem::take(&mut self.ends) {
            endpoint.model().send(ports.done, at, &[])?;
        }
        Ok(())
    }

    fn poll(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = super::connected(self.ports)?;
        self.now = endpoint.cycle();
        let mut shared = lock(&self.shared);
        shared.state.actual = endpoint.model().get(ports.actual) as u32;
        if self.shown != Some(shared.state.target) {
            self.shown = Some(shared.state.target);
            endpoint.model().set(ports.num_pages, shared.state.target.into());
        }
        if self.ask_at.is_some_and(|at| at <= self.now || shared.asks) {
            (self.ask_at, shared.asks) = (None, false);
            endpoint.model().send(ports.stat_request, self.now, &[])?;
        }
        Ok(())
    }

    fn deadline(&self) -> Option<u64> {
        let look = self.watched.then_some(self.now + LOOK);
        self.ask_at.into_iter().chain(look).min()
    }

    fn latency(&self) -> u64 {
        LOOKAHEAD
    }

    fn control(&mut self, command: &Command, _endpoint: &mut Endpoint) -> Result<(), Refusal> {
        let Command::Balloon { mebibytes } = *command else { return Err(Refusal::OtherDevice) };
        if mebibytes > MOST_MEBIBYTES {
            return Err(Refusal::Because(format!("a balloon has at most {MOST_MEBIBYTES} MiB")));
        }
        // It is shown by the next poll, which follows.
        lock(&self.shared).state.target = Self::pages(mebibytes);
        Ok(())
    }

    fn state(&self) -> Map<String, Value> {
        let shared = lock(&self.shared);
        let BalloonState { target, actual, ref statistics, .. } = shared.state;
        let mut state = Map::new();
        state.insert("target_pages".into(), json!(target));
        state.insert("actual_pages".into(), json!(actual));
        state.insert("memory".into(), Value::Object(named(statistics)));
        state
    }

    fn forget(&mut self) {
        self.pages.clear();
        self.ends = 0;
        self.arriving.clear();
        self.ask_at = None;
        lock(&self.shared).state.statistics.clear();
    }

    fn statistics(&self) -> Map<String, Value> {
        let state = &lock(&self.shared).state;
        let balloon = json!({
            "target_pages": state.target,
            "actual_pages": state.actual,
            "inflated_pages": state.inflated,
            "deflated_pages": state.deflated,
            "chains": state.chains,
            "given_back_bytes": state.given_back,
            "kept_bytes": state.kept,
            "outside_bytes": state.outside,
            "memory": named(&state.statistics),
        });
        [("balloon".to_string(), balloon)].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_beside_each_other_are_one_range() {
        assert_eq!(ranges(vec![7, 3, 5, 4, 4, u32::MAX]), [(3, 3), (7, 1), (u32::MAX.into(), 1)]);
        assert_eq!(ranges(vec![]), []);
    }

    #[test]
    fn a_mebibyte_is_256_pages_and_all_that_may_be_asked_fits() {
        assert_eq!(BalloonPort::pages(1), 256);
        assert_eq!(u64::from(BalloonPort::pages(u32::MAX)), u64::from(MOST_MEBIBYTES) << 8);
    }
}
