//! A device side that answers too short, too long, late, never, out of order, unasked, and takes nothing for a while; resets at any time.
use std::collections::{HashMap, VecDeque};
use virtio_hdl_rtl::device::blk::types::*;
use virtio_hdl_rtl::device::blk::BlkDevice;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, narrow, wide, Bench, Feed, Rng};
use virtio_hdl_rtl::virtio::layout::blk as layout;
use virtio_hdl_rtl::virtio::types::*;

/// When the device side is given up: longer than it takes to say what it still has to say of before a reset.
const ANSWER_CYCLES: u64 = 1000;
/// A request ends within this time in any case: all in front of it, and it, are given up.
const PATIENCE: u64 = 10 * ANSWER_CYCLES;
/// Data of no command.
const POISON: u32 = 0xdead_beef;

/// 16 bytes of the data of a request, none of them zero.
fn payload(id: u32, index: usize) -> [u8; 16] {
    let mut bytes = [0x5a; 16];
    bytes[..4].copy_from_slice(&id.to_le_bytes());
    bytes[4..8].copy_from_slice(&(index as u32 | 0x0101_0100).to_le_bytes());
    bytes.map(|byte| byte.max(1))
}

/// What the device side is like.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Mood {
    /// As it should be.
    Honest,
    /// Takes commands, answers nonsense.
    Hostile,
    /// Takes commands, answers nothing.
    Silent,
    /// Takes nothing.
    Dead,
}

/// A command as the device side knows it.
#[derive(Clone, Debug)]
struct Given {
    id: u32,
    operation: BlkOperation,
    beats: usize,
    /// A beat made up before the command was known came in when it was.
    guessed: bool,
}

/// A request of the driver.
#[derive(Clone, Debug)]
struct Request {
    id: u32,
    kind: u32,
    bytes: u32,
    writable: u32,
    offered: u64,
}

/// A beat of read data still to be made up: what it carries is decided when it is offered.
#[derive(Clone, Debug)]
struct Plan {
    tag: u8,
    index: usize,
    last: bool,
}

struct World {
    chains: Feed<Chain>,
    readable: Feed<ByteBeat>,
    requests: HashMap<u16, Request>,
    next_id: u32,
    // the device side
    mood: Mood,
    given: HashMap<u8, Given>,
    todo: VecDeque<u8>,
    statuses: VecDeque<BlkStatus>,
    reads: VecDeque<Plan>,
    status_offered: bool,
    read_offered: Option<(u8, u32)>,
    writes: VecDeque<u8>,
    write_beats: usize,
    shown_command: Option<BlkCommand>,
    shown_write: Option<BlkWriteBeat>,
    // chains since the last reset whose readable bytes have all come, and those that have been given back
    read_out: usize,
    given_back: usize,
    // the answer that comes in
    answer: Option<(u16, Vec<u8>, ScatterCommand)>,
    ended: HashMap<u32, u8>,
    faults: usize,
    has_said_all: bool,
}

impl World {
    fn new() -> Self {
        World {
            chains: Feed::new(3),
            readable: Feed::new(3),
            requests: HashMap::new(),
            next_id: 1,
            mood: Mood::Honest,
            given: HashMap::new(),
            todo: VecDeque::new(),
            statuses: VecDeque::new(),
            reads: VecDeque::new(),
            status_offered: false,
            read_offered: None,
            writes: VecDeque::new(),
            write_beats: 0,
            shown_command: None,
            shown_write: None,
            read_out: 0,
            given_back: 0,
            answer: None,
            ended: HashMap::new(),
            faults: 0,
            has_said_all: false,
        }
    }

    fn request(&mut self, rng: &mut Rng, cycle: u64) {
        let kinds = [layout::TYPE_IN, layout::TYPE_IN, layout::TYPE_OUT, layout::TYPE_FLUSH, layout::TYPE_GET_ID];
        let kind = kinds[rng.below(5) as usize];
        let bytes = match kind {
            layout::TYPE_FLUSH => 0,
            layout::TYPE_GET_ID => [1, 5, 16, 17, 20, 21, 32, 33, 100][rng.below(9) as usize],
            _ => 512 * (1 + rng.below(2) as u32),
        };
        let id = self.next_id;
        self.next_id += 1;
        let head = id as u16;
        let mut content = vec![0; 16];
        content[..4].copy_from_slice(&kind.to_le_bytes());
        content[8..12].copy_from_slice(&id.to_le_bytes());
        let mut writable = 1;
        match kind {
            layout::TYPE_OUT => (0..bytes as usize / 16).for_each(|index| content.extend(payload(id, index))),
            _ => writable += bytes,
        }
        let chain = Chain {
            head: u64::from(head).into(),
            readable_length: (content.len() as u64).into(),
            writable_length: u64::from(writable).into(),
            error: false,
        };
        self.chains.values.push_back(chain);
        let count = content.len() / 16;
        self.readable.values.extend(content.chunks(16).enumerate().map(|(index, chunk)| ByteBeat {
            data: wide(chunk),
            count: 16.into(),
            last: index + 1 == count,
            error: false,
        }));
        self.requests.insert(head, Request { id, kind, bytes, writable, offered: cycle });
    }

    /// One thing that the device side does of its own accord.
    fn act(&mut self, rng: &mut Rng) {
        let anything = rng.below(256) as u8;
        let near = self.todo.front().map_or(anything, |tag| tag.wrapping_add(rng.below(7) as u8).wrapping_sub(3));
        match self.mood {
            Mood::Silent | Mood::Dead => {}
            Mood::Hostile if rng.chance(1, 3) => match rng.below(4) {
                0 => self.status(near, rng.below(3) as u8),
                1 => self.status(anything, rng.below(256) as u8),
                2 => self.reads.push_back(Plan { tag: near, index: rng.below(3) as usize, last: false }),
                _ => self.reads.push_back(Plan { tag: anything, index: 0, last: true }),
            },
            _ => {
                let Some(tag) = self.todo.pop_front() else { return };
                let given = self.given[&tag].clone();
                let (mut status, mut beats) = (0, given.beats);
                let mut last_at = beats.checked_sub(1);
                let mut answers = true;
                if self.mood == Mood::Hostile {
                    match rng.below(10) {
                        0 => status = 1 + rng.below(255) as u8,
                        1 => answers = false,
                        2 => beats = rng.below(beats as u64 + 1) as usize,
                        3 => {
                            beats = rng.below(beats as u64 + 1) as usize;
                            last_at = beats.checked_sub(1);
                        }
                        4 => beats += 1 + rng.below(40) as usize,
                        5 => {
                            beats += 1 + rng.below(40) as usize;
                            last_at = Some(beats - 1);
                        }
                        6 => last_at = None,
                        7 => last_at = Some(rng.below(40) as usize),
                        _ => {}
                    }
                }
                if answers {
                    self.status(tag, status);
                }
                if status == 0 || self.mood == Mood::Hostile {
                    let plans = (0..beats).map(|index| Plan { tag, index, last: Some(index) == last_at });
                    self.reads.extend(plans);
                }
            }
        }
    }

    fn status(&mut self, tag: u8, status: u8) {
        self.statuses.push_back(BlkStatus { status: u64::from(status).into(), tag: u64::from(tag).into() });
    }

    fn drive(&mut self, uut: &mut BlkDevice, rng: &mut Rng) {
        self.chains.drive(&mut uut.chain, rng);
        self.readable.drive(&mut uut.readable, rng);
        if rng.chance(1, 3) {
            self.act(rng);
        }
        let awake = self.mood != Mood::Dead;
        uut.command.ready.next = awake && rng.chance(3, 4);
        uut.write.ready.next = awake && rng.chance(3, 4);
        uut.scatter.ready.next = rng.chance(3, 4);
        uut.writable.ready.next = rng.chance(3, 4);
        self.status_offered |= !self.statuses.is_empty() && rng.chance(3, 4);
        uut.status.valid.next = self.status_offered;
        if self.status_offered {
            uut.status.data.next = self.statuses[0];
        }
        if self.read_offered.is_none() && !self.reads.is_empty() && rng.chance(3, 4) {
            let Plan { tag, index, last } = self.reads[0].clone();
            let id = self.given.get(&tag).map_or(POISON, |given| given.id);
            self.read_offered = Some((tag, id));
            let data = wide(&payload(id, index));
            uut.read.data.next = BlkReadBeat { data, last, tag: u64::from(tag).into() };
        }
        uut.read.valid.next = self.read_offered.is_some();
    }

    fn observe(&mut self, uut: &BlkDevice, stopping: bool, cycle: u64) {
        self.chains.take(&uut.chain);
        self.read_out += usize::from(self.readable.take(&uut.readable).is_some_and(|beat| beat.last));
        self.faults += usize::from(uut.fault.val());
        self.observe_commands(uut);
        if self.status_offered && uut.status.ready.val() {
            self.statuses.pop_front();
            self.status_offered = false;
        }
        if let Some((tag, id)) = self.read_offered.filter(|_| uut.read.ready.val()) {
            if let Some(given) = self.given.get_mut(&tag).filter(|given| given.id != id) {
                given.guessed = true;
            }
            self.reads.pop_front();
            self.read_offered = None;
        }
        if stopping {
            assert!(!uut.scatter.valid.val() && !uut.writable.valid.val(), "something goes out in a reset");
            assert!(uut.idle.val(), "the reset waits");
        }
        if let Some(command) = moved(&uut.scatter) {
            assert!(self.answer.is_none(), "an answer inside another");
            self.given_back += 1;
            assert!(self.given_back <= self.read_out, "the chain of head {:?} is still being read", command.head);
            self.answer = Some((command.head.to_u64() as u16, vec![], command));
        }
        if let Some(beat) = moved(&uut.writable) {
            let (_, bytes, _) = self.answer.as_mut().expect("bytes without a command");
            bytes.extend(narrow(beat.data, beat.count.to_u64() as usize));
            if beat.last {
                let (head, bytes, command) = self.answer.take().unwrap();
                self.check(head, &bytes, command);
            }
        }
        for request in self.requests.values() {
            assert!(cycle - request.offered < PATIENCE, "{request:?} has no end in {cycle}");
        }
    }

    /// Commands and write data: what is offered stays, and each write has its own data.
    fn observe_commands(&mut self, uut: &BlkDevice) {
        let command = uut.command.valid.val().then(|| uut.command.data.val());
        assert!(self.shown_command.is_none() || self.shown_command == command, "an offered command changes");
        if let Some(command) = command.filter(|_| self.shown_command.is_none()) {
            let beats = match command.operation {
                BlkOperation::Read | BlkOperation::GetId => (command.length.to_u64() as usize).div_ceil(16),
                _ => 0,
            };
            let id = command.sector.to_u64() as u32;
            let given = Given { id, operation: command.operation, beats, guessed: false };
            self.given.insert(command.tag.to_u64() as u8, given);
        }
        self.shown_command = command.filter(|_| !uut.command.ready.val());
        if let Some(command) = moved(&uut.command) {
            let tag = command.tag.to_u64() as u8;
            match command.operation {
                BlkOperation::Write => self.writes.push_back(tag),
                _ => self.todo.push_back(tag),
            }
        }
        let write = uut.write.valid.val().then(|| uut.write.data.val());
        assert!(self.shown_write.is_none() || self.shown_write == write, "offered write data change");
        self.shown_write = write.filter(|_| !uut.write.ready.val());
        if let Some(beat) = moved(&uut.write) {
            let tag = *self.writes.front().expect("data without a command");
            let id = self.given[&tag].id;
            assert_eq!(self.given[&tag].operation, BlkOperation::Write);
            if !beat.error {
                assert_eq!(narrow(beat.data, 16), payload(id, self.write_beats), "data of another write");
            }
            self.write_beats += 1;
            if beat.last {
                assert!(beat.error || self.write_beats % 32 == 0, "{} beats", self.write_beats);
                self.write_beats = 0;
                self.writes.pop_front();
                self.todo.push_back(tag);
            }
        }
    }

    fn check(&mut self, head: u16, bytes: &[u8], command: ScatterCommand) {
        let request = self.requests.remove(&head).unwrap_or_else(|| panic!("a second end of {head}"));
        let guessed = self.given.values().any(|given| given.id == request.id && given.guessed);
        let (status, data) = bytes.split_last().unwrap();
        assert!([layout::STATUS_OK, layout::STATUS_IOERR, layout::STATUS_UNSUPP].contains(status));
        let seen = (command.skip.to_u64() as u32, command.length.to_u64() as u32, bytes.len() as u32);
        if seen.0 != 0 || request.writable == 1 {
            assert_eq!(seen, (request.writable - 1, 1, 1), "{request:?}");
        } else {
            assert_eq!(seen, (0, request.writable, request.writable), "{request:?}");
        }
        let reads = matches!(request.kind, layout::TYPE_IN | layout::TYPE_GET_ID);
        assert!(*status != 0 || !reads || data.len() == request.bytes as usize, "{request:?} without its data");
        let own = match request.kind {
            layout::TYPE_GET_ID => request.bytes.min(20) as usize,
            _ => request.bytes as usize,
        };
        for (place, byte) in data.iter().enumerate() {
            let wanted = if place < own { payload(request.id, place / 16)[place % 16] } else { 0 };
            // where it failed there may be a part of the data, or some of them twice, and zeroes
            let made_up =
                *status != 0 && (*byte == 0 || (place % 16 == 4) || *byte == payload(request.id, 0)[place % 16]);
            assert!(made_up || *byte == wanted || guessed, "byte {place} of {request:?}, which ends with {status}");
        }
        self.ended.insert(request.id, *status);
    }

    fn clear(&mut self) {
        self.chains = Feed::new(3);
        self.readable = Feed::new(3);
        self.requests.clear();
        (self.read_out, self.given_back) = (0, 0);
        self.answer = None;
    }
}

fn run(seed: u64, moods: &[Mood], cycles: u64) -> World {
    let name = format!("blk_hostile_{seed}");
    let mut bench = Bench::new(&name, BlkDevice::new(ANSWER_CYCLES), |uut| &mut uut.clock);
    bench.uut.capacity.next = (1u64 << 40).into();
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let mut world = World::new();
    let mut rng = Rng(seed);
    let (mut mood_ends, mut stop_ends, mut reset_at) = (0, 0, 500);
    let honest_at = cycles - 2 * PATIENCE;
    let mut last_id = 0;
    for cycle in 0..cycles {
        if cycle == honest_at {
            // a reset, and from now on it is as it should be, but for what it still has to say
            world.mood = Mood::Honest;
            reset_at = cycle;
            last_id = world.next_id;
        } else if cycle >= mood_ends && cycle < honest_at {
            world.mood = moods[rng.below(moods.len() as u64) as usize];
            mood_ends = cycle + 100 + rng.below(3 * ANSWER_CYCLES);
        }
        if cycle == reset_at {
            stop_ends = cycle + 1 + rng.below(30);
            let again = cycle + 100 + rng.below(4000);
            reset_at = if again < honest_at { again } else { honest_at };
        }
        let stopping = cycle <= stop_ends && stop_ends > 0 && cycle >= 500;
        let clearing = stopping && cycle == stop_ends;
        if cycle == stop_ends + 1 {
            world.clear();
        }
        let silent = cycle >= honest_at && !world.has_said_all;
        let may_ask = !stopping && !silent && cycle + PATIENCE < cycles && (cycle > stop_ends + 4 || cycle < 500);
        if may_ask && world.requests.len() < 16 && rng.chance(1, 20) {
            world.request(&mut rng, cycle);
        }
        let said =
            world.reads.is_empty() && world.statuses.is_empty() && world.todo.is_empty() && world.writes.is_empty();
        world.has_said_all |= cycle > honest_at + 10 && said;
        bench.uut.stop.next = stopping;
        bench.uut.clear.next = clearing;
        let cell = std::cell::RefCell::new(&mut world);
        bench.cycle(
            |uut, _| cell.borrow_mut().drive(uut, &mut rng),
            |uut| cell.borrow_mut().observe(uut, stopping, cycle),
        );
    }
    assert!(world.requests.is_empty(), "{:?}", world.requests);
    let after: Vec<u8> = (last_id..world.next_id).filter_map(|id| world.ended.get(&id).copied()).collect();
    assert!(after.len() > 50 && after.iter().all(|status| *status == 0), "after the last reset: {after:?}");
    bench.finish();
    world
}

/// No wrong data in any chain, each ends once and in time, what is offered stays, a reset waits for nobody, and after it nothing old
/// is taken for new.
#[test]
fn blk_hostile_device_side_harms_nothing() {
    use Mood::*;
    let (mut good, mut bad, mut faults) = (0, 0, 0);
    for (seed, moods) in
        [&[Hostile][..], &[Honest, Hostile], &[Honest, Silent], &[Honest, Dead], &[Hostile, Silent, Dead]]
            .iter()
            .enumerate()
    {
        let world = run(0xbad + seed as u64, moods, 60_000);
        good += world.ended.values().filter(|status| **status == 0).count();
        bad += world.ended.values().filter(|status| **status != 0).count();
        faults += world.faults;
    }
    assert!(good > 500 && bad > 300 && faults > 300, "{good} requests ended well, {bad} badly, {faults} faults");
}

/// A device side as it should be, and resets: no fault is seen, and all that is not forgotten ends well.
#[test]
fn blk_resets_leave_an_honest_device_side_in_step() {
    let world = run(1, &[Mood::Honest], 30_000);
    let bad: Vec<_> = world.ended.iter().filter(|(_, status)| **status != 0).collect();
    assert!(world.ended.len() > 300 && bad.is_empty(), "{} ended, {bad:?}", world.ended.len());
    assert_eq!(world.faults, 0);
}
