//! The mailbox of a queue between random chains, a memory that others share, and a program that answers when it likes, or wrongly.
use std::collections::VecDeque;
use virtio_hdl_rtl::control::layout::*;
use virtio_hdl_rtl::control::mailbox::Mailbox;
use virtio_hdl_rtl::dma::types::ByteBeat;
use virtio_hdl_rtl::testing::{moved, narrow, wide, Bench, Feed};
use virtio_hdl_rtl::virtio::types::Chain;

/// Bytes of memory, and where the program has its buffers in it.
const MEMORY_BYTES: usize = 1 << 16;
const REQUEST_AT: u32 = 0x1230;
const REPLY_AT: u32 = 0xffe0;
const ROOM: u32 = 64;

/// A chain that is under way.
#[derive(Clone, Debug)]
struct Expected {
    head: u64,
    broken: bool,
    unreadable: bool,
    request: Vec<u8>,
    writable: u32,
}

/// What the program has said to a chain.
struct Answered {
    head: u64,
    bytes: Vec<u8>,
}

/// A read on its way.
struct Read {
    cycles: u64,
    data: u32,
}

struct World {
    bench: Bench<Mailbox>,
    memory: Vec<u8>,
    read: Option<Read>,
    chains: Feed<Chain>,
    beats: Feed<ByteBeat>,
    /// Chains that have been offered; the first is at hand.
    expected: VecDeque<Expected>,
    /// The request that the program works on, and in how many cycles it answers.
    works: Option<(u8, u64)>,
    last_number: Option<u8>,
    /// The request that a reset took from it: it may not know yet, and answer.
    late: Option<u8>,
    /// What has been answered, and has not left completely.
    answered: Option<Answered>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    given_back: usize,
    dropped: usize,
    unreadable: usize,
    cut_requests: usize,
    cut_replies: usize,
    empty_replies: usize,
    wrong_numbers: usize,
    late: usize,
}

impl World {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, Mailbox::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World {
            bench,
            memory: vec![0; MEMORY_BYTES],
            read: None,
            chains: Feed::new(3),
            beats: Feed::new(3),
            expected: VecDeque::new(),
            works: None,
            last_number: None,
            late: None,
            answered: None,
            counts: Counts::default(),
        }
    }

    fn offer(&mut self) {
        let rng = &mut self.bench.rng;
        let length = match rng.below(4) {
            0 => 0,
            1 => 16 * rng.below(6) as usize,
            _ => rng.below(100) as usize,
        };
        let request: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
        let writable = if rng.chance(1, 8) { u32::MAX - rng.below(9) as u32 } else { rng.below(90) as u32 };
        let (head, broken) = (rng.below(1 << 16), rng.chance(1, 10));
        // from one beat on all say so
        let beats = length.div_ceil(16).max(1);
        let fails = if rng.chance(1, 8) { rng.below(beats as u64) as usize } else { beats };
        for beat in 0..beats {
            let bytes = &request[16 * beat..length.min(16 * beat + 16)];
            let last = beat + 1 == beats;
            let error = beat >= fails || broken && last;
            self.beats.values.push_back(ByteBeat {
                data: wide(bytes),
                count: (bytes.len() as u64).into(),
                last,
                error,
            });
        }
        self.chains.values.push_back(Chain {
            head: head.into(),
            readable_length: (length as u64).into(),
            writable_length: u64::from(writable).into(),
            error: broken,
        });
        self.expected.push_back(Expected { head, broken, unreadable: fails < beats, request, writable });
    }

    /// The program writes a register in this cycle.
    fn write(&mut self, offset: u32, data: u32) {
        let uut = &mut self.bench.uut;
        uut.write.next = true;
        uut.offset.next = u64::from(offset).into();
        uut.write_data.next = u64::from(data).into();
    }

    /// What the program does in this cycle: looks for a request, works, answers, sometimes to another one.
    fn program(&mut self) {
        self.bench.uut.write.next = false;
        self.bench.uut.offset.next = u64::from(
            [MAILBOX_STATE, READABLE, WRITABLE, REQUEST, REQUEST_ROOM, REPLY][self.bench.rng.below(6) as usize],
        )
        .into();
        if let (None, Some(number)) = (&self.answered, self.late) {
            if self.bench.rng.chance(1, 10) {
                self.late = None;
                self.counts.late += 1;
                return self.write(ANSWER, u32::from(number) << ANSWER_NUMBER_SHIFT | 16);
            }
        }
        let Some((number, left)) = self.works else { return };
        if self.bench.rng.chance(1, 20) {
            self.counts.wrong_numbers += 1;
            let wrong = u32::from(number.wrapping_add(1 + self.bench.rng.below(255) as u8));
            return self.write(ANSWER, wrong << ANSWER_NUMBER_SHIFT | 5);
        }
        if left > 0 {
            self.works = Some((number, left - 1));
            return;
        }
        // nobody else has the chain any more
        let chain = self.expected[0].clone();
        let rng = &mut self.bench.rng;
        let bytes = if rng.chance(1, 6) { 0 } else { rng.below(120) as usize };
        let reply: Vec<u8> = (0..bytes).map(|_| rng.below(256) as u8).collect();
        for (at, byte) in reply.iter().enumerate() {
            self.memory[(REPLY_AT as usize + at) % MEMORY_BYTES] = *byte;
        }
        let kept = bytes.min(chain.writable as usize);
        self.counts.cut_replies += usize::from(kept < bytes);
        self.counts.empty_replies += usize::from(kept == 0);
        self.answered = Some(Answered { head: chain.head, bytes: reply[..kept].to_vec() });
        self.works = None;
        self.write(ANSWER, u32::from(number) << ANSWER_NUMBER_SHIFT | bytes as u32);
    }

    /// The registers that the program reads are those of the request in memory.
    fn look(&mut self) {
        let uut = &self.bench.uut;
        let value = uut.read_data.val().to_u64() as u32;
        let offset = uut.offset.val().to_u64() as u32;
        match offset {
            REQUEST => assert_eq!(value, REQUEST_AT),
            REQUEST_ROOM => assert_eq!(value, ROOM),
            REPLY => assert_eq!(value, REPLY_AT),
            MAILBOX_STATE => assert_eq!(value & FULL != 0, uut.full.val(), "{value:#x}"),
            _ => {}
        }
        if !uut.full.val() || self.answered.is_some() {
            return;
        }
        let chain = &self.expected[0];
        assert!(!chain.broken, "a chain that breaks a rule reaches the program");
        match offset {
            READABLE => assert_eq!(value, chain.request.len() as u32),
            WRITABLE => assert_eq!(value, chain.writable),
            MAILBOX_STATE if self.works.is_none() => {
                assert_eq!(value & UNREADABLE != 0, chain.unreadable);
                let number = (value >> NUMBER_SHIFT) as u8;
                assert_ne!(Some(number), self.last_number, "two requests of the same number");
                self.last_number = Some(number);
                let kept = chain.request.len().min(ROOM as usize);
                if !chain.unreadable {
                    assert_eq!(self.memory[REQUEST_AT as usize..][..kept], chain.request[..kept]);
                }
                self.counts.cut_requests += usize::from(kept < chain.request.len());
                self.counts.unreadable += usize::from(chain.unreadable);
                self.works = Some((number, self.bench.rng.below(30)));
            }
            _ => {}
        }
    }

    /// The memory, before the clock edge.
    fn access(&mut self) {
        let uut = &self.bench.uut;
        self.read = match self.read.take() {
            _ if uut.memory.done.val() => None,
            Some(read) => Some(Read { cycles: read.cycles - 1, ..read }),
            None => None,
        };
        if !uut.memory.valid.val() || !uut.memory.grant.val() {
            return;
        }
        let at = 4 * uut.memory.word.val().to_u64() as usize;
        let word = &mut self.memory[at..at + 4];
        if uut.memory.write.val() {
            let inside = (REQUEST_AT as usize..(REQUEST_AT + ROOM) as usize).contains(&at);
            assert!(inside, "a write of {at:#x}, outside of the program's buffer");
            word.copy_from_slice(&(uut.memory.write_data.val().to_u64() as u32).to_le_bytes());
        } else {
            let data = u32::from_le_bytes(word.try_into().unwrap());
            self.read = Some(Read { cycles: self.bench.rng.below(3), data });
        }
    }

    fn cycle(&mut self, stop: bool, clear: bool) {
        self.program();
        let bench = &mut self.bench;
        bench.uut.stop.next = stop;
        bench.uut.clear.next = clear;
        bench.uut.give_up.next = bench.rng.chance(1, 4);
        self.chains.drive(&mut bench.uut.chain, &mut bench.rng);
        self.beats.drive(&mut bench.uut.readable, &mut bench.rng);
        bench.uut.command.ready.next = bench.rng.chance(2, 3);
        bench.uut.writable.ready.next = bench.rng.chance(2, 3);
        bench.uut.memory.grant.next = bench.rng.chance(1, 2);
        bench.uut.memory.done.next = self.read.as_ref().is_some_and(|read| read.cycles == 0);
        bench.uut.memory.read_data.next = self.read.as_ref().map_or(0, |read| read.data.into()).into();
        bench.low();
        if stop {
            let quiet = !bench.uut.command.valid.val() && !bench.uut.writable.valid.val();
            assert!(quiet && bench.uut.idle.val(), "something goes out to the rings during a drain");
        }
        if bench.uut.full.val() && !stop {
            assert_eq!(bench.uut.idle.val(), bench.uut.give_up.val(), "a request is waited for as long as it is to be");
        } else if self.answered.is_some() && !stop {
            assert!(!bench.uut.idle.val(), "idle with a reply on its way");
        }
        self.chains.take(&bench.uut.chain);
        self.beats.take(&bench.uut.readable);
        if let Some(command) = moved(&bench.uut.command) {
            let chain = self.expected.pop_front().expect("a chain that there is");
            assert_eq!((command.head.to_u64(), command.drop), (chain.head, chain.broken));
            assert_eq!((command.skip.to_u64(), command.more), (0, false));
            if chain.broken {
                self.counts.dropped += 1;
            } else {
                let answered = self.answered.as_ref().expect("a chain is given back that nobody has answered");
                let bytes = answered.bytes.len() as u64;
                assert_eq!((command.length.to_u64(), command.used_length.to_u64()), (bytes, bytes));
                assert_eq!(answered.head, chain.head);
                if bytes == 0 {
                    self.answered = None;
                }
                self.counts.given_back += 1;
            }
        }
        if let Some(beat) = moved(&bench.uut.writable) {
            let answered = self.answered.as_mut().expect("bytes of an answer");
            let count = answered.bytes.len().min(16);
            assert_eq!((beat.count.to_u64(), beat.error), (count as u64, false));
            assert_eq!(narrow(beat.data, count), answered.bytes[..count]);
            answered.bytes.drain(..count);
            assert_eq!(beat.last, answered.bytes.is_empty());
            if beat.last {
                self.answered = None;
            }
        }
        self.look();
        self.access();
        self.bench.edge();
        if clear {
            // the queue forgets, too; the program does not know it
            (self.chains, self.beats) = (Feed::new(3), Feed::new(3));
            self.expected.clear();
            self.late = self.works.map(|(number, _)| number);
            (self.answered, self.works) = (None, None);
        }
    }

    fn set_up(&mut self) {
        for (register, value) in [(REQUEST, REQUEST_AT), (REPLY, REPLY_AT), (REQUEST_ROOM, ROOM)] {
            self.bench.cycle(|_, _| {}, |uut| assert!(!uut.chain.ready.val(), "a chain is taken before there is room"));
            self.write(register, value);
            self.bench.low();
            self.bench.edge();
        }
        self.bench.uut.write.next = false;
    }
}

#[test]
fn mailbox_puts_every_request_into_memory_and_gives_every_reply_back() {
    let mut world = World::new("control_mailbox");
    world.set_up();
    for _ in 0..40_000 {
        if world.expected.len() < 2 && world.bench.rng.chance(1, 8) {
            world.offer();
        }
        world.cycle(false, false);
    }
    while !world.expected.is_empty() || world.answered.is_some() {
        world.cycle(false, false);
        assert!(world.bench.cycles < 45_000, "chains are not given back");
    }
    world.cycle(false, false);
    assert!(world.bench.uut.idle.val());
    let counts = &world.counts;
    let enough = counts.given_back > 300
        && [counts.dropped, counts.unreadable, counts.cut_requests, counts.cut_replies].iter().all(|count| *count > 20)
        && counts.empty_replies > 20
        && counts.wrong_numbers > 100;
    assert!(enough, "{counts:?}");
    world.bench.finish();
}

#[test]
fn mailbox_forgets_its_chain_in_a_reset_at_any_time_and_late_answers_go_nowhere() {
    let mut world = World::new("control_mailbox_reset");
    world.set_up();
    for _ in 0..400 {
        for _ in 0..20 + world.bench.rng.below(100) {
            if world.expected.len() < 2 && world.bench.rng.chance(1, 8) {
                world.offer();
            }
            world.cycle(false, false);
        }
        let drain = 1 + world.bench.rng.below(10);
        (0..drain).for_each(|_| world.cycle(true, false));
        world.cycle(true, true);
    }
    assert!(world.counts.given_back > 100 && world.counts.late > 50, "{:?}", world.counts);
    world.bench.finish();
}
