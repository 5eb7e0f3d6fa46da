//! A queue that is paused at any moment: it goes on where it was when the pause is taken back, behind a reset that keeps its state,
//! and behind its state written into an engine that knows nothing.
use crate::driver::{Descriptor, Driver, Features};
use crate::PLAIN;
use virtio_hdl_rtl::endpoint::state_window::{QUEUE_KICKED, QUEUE_STOPPED};
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::types::Violation;

const SIZE: u16 = 16;
const INDEX: u32 = 0xffff;
const EVENT_IDX: Features = Features { event_idx: true, indirect: true, notify_on_empty: false };
const INDIRECT: Features = Features { event_idx: false, ..EVENT_IDX };

/// How a pause ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The queue goes on at once.
    TakenBack,
    /// It comes to rest, and is reset but for its state.
    Kept,
    /// So, but its state has been overwritten and written back meanwhile.
    Overwritten,
    /// The state is written into an engine that has been reset.
    Elsewhere,
}

const ENDS: [End; 4] = [End::TakenBack, End::Kept, End::Overwritten, End::Elsewhere];

/// Pauses at random moments.
struct Pauses {
    rng: Rng,
    /// That of the pause under way.
    end: Option<End>,
    /// Cycles for which all that was handed on has been used, and for which the queue has asked for nothing and told nothing.
    still: usize,
    silent: usize,
    moves: [usize; 4],
    ended: [usize; 4],
}

impl Pauses {
    fn new(seed: u64) -> Self {
        Self { rng: Rng(seed), end: None, still: 0, silent: 0, moves: [0; 4], ended: [0; 4] }
    }

    fn cycle(&mut self, driver: &mut Driver) {
        driver.cycle();
        let Some(end) = self.end else {
            if self.rng.chance(1, 100) {
                self.end = Some(ENDS[self.rng.below(4) as usize]);
                (self.still, self.silent) = (0, 0);
                driver.bench.uut.control.pause.next = true;
            }
            return;
        };
        self.silent = if driver.moves() == self.moves { self.silent + 1 } else { 0 };
        self.moves = driver.moves();
        self.still = if driver.is_still() { self.still + 1 } else { 0 };
        assert!(self.silent < 1000, "a paused queue does not come to rest");
        if end == End::TakenBack && self.rng.chance(1, 40) {
            driver.bench.uut.control.pause.next = false;
        } else if end != End::TakenBack && self.still == 64 {
            stand_still(driver, end, &mut self.rng);
        } else {
            return;
        }
        self.ended[end as usize] += 1;
        self.end = None;
    }
}

fn rest(driver: &mut Driver, cycles: u64) {
    (0..cycles).for_each(|_| driver.cycle());
}

/// From the end of all movement to the queue's first cycle behind it, as the reset sequencer and the endpoint go about it.
fn stand_still(driver: &mut Driver, end: End, rng: &mut Rng) {
    let (state, before) = (driver.state(), driver.moves());
    assert_eq!(state & INDEX, u32::from(driver.used_count()), "the used index is what the driver sees");
    driver.bench.uut.control.enable.next = false;
    rest(driver, rng.below(20));
    if end == End::Elsewhere {
        let stopped = driver.bench.uut.control.violation.val();
        driver.reset_engine(false);
        assert_eq!((driver.state(), driver.bench.uut.control.violation.val().rule), (0, Violation::Nothing));
        assert!(state & QUEUE_STOPPED != 0 || stopped.rule == Violation::Nothing);
        rest(driver, rng.below(20));
    }
    if end == End::Overwritten {
        let other = rng.next() as u32 & (INDEX | QUEUE_KICKED | QUEUE_STOPPED);
        driver.write_state(other);
        assert_eq!(driver.state(), other);
        rest(driver, rng.below(20));
    }
    if end != End::Kept {
        driver.write_state(state);
        rest(driver, rng.below(20));
    }
    assert_eq!(driver.state(), state);
    driver.reset_engine(true);
    assert_eq!(driver.state(), state, "{end:?}");
    assert_eq!(driver.moves(), before, "{end:?}: reads, writes, chains and interrupts of a queue that stands still");
    driver.bench.uut.control.enable.next = true;
    driver.bench.uut.control.pause.next = false;
    if state & QUEUE_KICKED != 0 {
        driver.kick();
    }
}

/// Nothing is lost, no chain is used twice, no kick and no interrupt goes missing.
fn pauses_under_load(mut driver: Driver, chains: usize) {
    let mut pauses = Pauses::new(driver.bench.rng.next());
    driver.run_random_with(chains, |driver| pauses.cycle(driver));
    assert!(pauses.ended.iter().all(|count| *count >= 4), "pauses that ended as {ENDS:?}: {:?}", pauses.ended);
    assert_eq!(driver.bench.uut.control.violation.val().rule, Violation::Nothing);
    driver.finish();
}

#[test]
fn virtqueue_that_is_paused_at_any_moment_goes_on_where_it_was() {
    pauses_under_load(Driver::new("ring_pause", SIZE, INDIRECT), 150);
}

#[test]
fn virtqueue_that_is_paused_at_any_moment_goes_on_where_it_was_with_event_idx() {
    pauses_under_load(Driver::new("ring_pause_event_idx", SIZE, EVENT_IDX), 150);
}

#[test]
fn virtqueue_that_is_paused_at_any_moment_goes_on_where_it_was_without_guesses() {
    pauses_under_load(Driver::without_guesses("ring_pause_no_guess", SIZE, INDIRECT), 150);
}

/// And so where the used index wraps, far away from what a reset makes of it.
#[test]
fn virtqueue_whose_index_wraps_is_paused_and_goes_on_where_it_was() {
    let mut driver = Driver::without_guesses("ring_pause_wrap", SIZE, EVENT_IDX);
    driver.bench.uut.control.enable.next = false;
    driver.begin_at(0xffa0);
    driver.write_state(0xffa0);
    driver.reset_engine(true);
    driver.bench.uut.control.enable.next = true;
    pauses_under_load(driver, 150);
}

/// In each cycle from a kick until the queue sleeps: what it was about to do is done behind the pause. What the driver offers meanwhile
/// it tells as the ring asks it to.
#[test]
fn virtqueue_pause_that_is_taken_back_loses_no_kick_in_any_cycle() {
    for (features, guesses) in [(PLAIN, true), (Features { event_idx: true, ..PLAIN }, false)] {
        let name = format!("ring_pause_back_{}_{guesses}", features.event_idx);
        let mut driver =
            if guesses { Driver::new(&name, SIZE, features) } else { Driver::without_guesses(&name, SIZE, features) };
        driver.dma.latency = 12;
        let mut rng = driver.bench.rng.clone();
        let mut kicks = [0, 0];
        for cycle in 0..170 {
            let used = driver.offered.len() as u16;
            let buffer = |i: u16| [Descriptor::writable(0x40000 + 64 * u64::from(i), 16)];
            driver.offer_chain(cycle % SIZE, &buffer(cycle));
            driver.kick();
            rest(&mut driver, cycle.into());
            driver.bench.uut.control.pause.next = true;
            rest(&mut driver, 1 + rng.below(60));
            // while it is paused, or when it goes on
            let late = rng.chance(1, 2);
            if late {
                driver.bench.uut.control.pause.next = false;
                rest(&mut driver, rng.below(30));
            }
            driver.offer_chain((cycle + 1) % SIZE, &buffer(cycle + 1));
            let wanted = match features.event_idx {
                true => {
                    let event = driver.memory.u16(driver.base + layout::avail_event_offset(SIZE));
                    layout::needs_event(event, used + 2, used + 1)
                }
                false => driver.used_flags() & layout::USED_NO_NOTIFY == 0,
            };
            kicks[usize::from(wanted)] += 1;
            if wanted {
                driver.kick();
            }
            rest(&mut driver, 1 + rng.below(30));
            driver.bench.uut.control.pause.next = false;
            driver.run_until_used(used + 2);
            driver.settle();
        }
        assert!(kicks.iter().all(|count| *count > 10), "chains told without and with a kick: {kicks:?}");
        driver.finish();
    }
}

/// It stays so, and by its state elsewhere as well; of the rule only the endpoint tells that found it broken.
#[test]
fn virtqueue_that_has_stopped_stands_still_and_stays_stopped() {
    for end in [End::Kept, End::Overwritten, End::Elsewhere] {
        let mut driver = Driver::new(&format!("ring_pause_stopped_{end:?}"), 8, PLAIN);
        driver.offer_chain(7, &[Descriptor::readable(0x30000, 16)]);
        driver.offer_head(8);
        driver.kick();
        driver.run_until_used(1);
        driver.run_until_quiet();
        let mut rng = driver.bench.rng.clone();
        driver.bench.uut.control.pause.next = true;
        rest(&mut driver, 100);
        assert!(driver.is_still());
        stand_still(&mut driver, end, &mut rng);
        let report = driver.bench.uut.control.violation.val();
        let wanted = if end == End::Kept { (Violation::HeadRange, 8) } else { (Violation::Before, 0) };
        assert_eq!((report.rule, report.head.to_u64()), wanted);
        assert_eq!(driver.state(), 1 | QUEUE_KICKED | QUEUE_STOPPED);
        let before = driver.moves();
        driver.offer_head(3);
        driver.kick();
        rest(&mut driver, 500);
        assert_eq!((driver.moves(), driver.asleep()), (before, true), "{end:?}: it goes on");
        driver.recovers_by_reset();
        driver.finish();
    }
}
