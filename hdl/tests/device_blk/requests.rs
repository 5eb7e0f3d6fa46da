//! Random requests of every kind, random answers of the device side, idle cycles and backpressure.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::device::blk::types::*;
use virtio_hdl_rtl::device::blk::BlkDevice;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::testing::{moved, narrow, wide, Bench, Feed, Rng};
use virtio_hdl_rtl::virtio::layout::blk as layout;
use virtio_hdl_rtl::virtio::types::*;

const CAPACITY: u64 = 1000;
/// Longer than anything takes here.
const ANSWER_CYCLES: u64 = 100_000;

/// A request with all that must come of it.
#[derive(Clone, Debug)]
struct Expected {
    head: u16,
    command: Option<(BlkOperation, u64, u32)>,
    /// Data of a write command.
    write: Vec<u8>,
    /// What the device side answers.
    status: u8,
    read: Vec<u8>,
    /// What goes into the writable buffers: bytes left out, bytes.
    answer: Option<(u32, Vec<u8>)>,
}

struct World {
    chains: Feed<Chain>,
    readable: Feed<ByteBeat>,
    statuses: Feed<BlkStatus>,
    reads: Feed<BlkReadBeat>,
    /// In order: those whose command, write data, answer are still to come.
    commands: VecDeque<Expected>,
    writes: VecDeque<Expected>,
    answers: VecDeque<Expected>,
    write_so_far: Vec<u8>,
    /// Tag of the write whose data come.
    write_tags: VecDeque<u8>,
    next_tag: u8,
    /// The command in progress of an answer, and the bytes so far.
    answer: Option<(Expected, Vec<u8>)>,
    /// Chains whose readable bytes have all come, and those that have been given back.
    read_out: usize,
    given_back: usize,
    ended: usize,
    violations: usize,
}

impl World {
    fn new() -> Self {
        World {
            chains: Feed::new(3),
            readable: Feed::new(3),
            statuses: Feed::new(3),
            reads: Feed::new(3),
            commands: VecDeque::new(),
            writes: VecDeque::new(),
            answers: VecDeque::new(),
            write_so_far: vec![],
            write_tags: VecDeque::new(),
            next_tag: 0,
            answer: None,
            read_out: 0,
            given_back: 0,
            ended: 0,
            violations: 0,
        }
    }

    /// Offers a chain with this readable content.
    fn offer(&mut self, chain: Chain, content: &[u8], failed: bool) {
        self.chains.values.push_back(chain);
        let count = content.len().div_ceil(16).max(1);
        for i in 0..count {
            let chunk = content.get(16 * i..content.len().min(16 * i + 16)).unwrap_or_default();
            self.readable.values.push_back(ByteBeat {
                data: wide(chunk),
                count: (chunk.len() as u64).into(),
                last: i + 1 == count,
                error: failed || (chain.error && i + 1 == count),
            });
        }
    }

    fn random(&mut self, rng: &mut Rng, read_only: bool) {
        let kinds = [layout::TYPE_IN, layout::TYPE_OUT, layout::TYPE_FLUSH, layout::TYPE_GET_ID, 99, 2];
        let meaning = kinds[[0, 0, 0, 1, 1, 1, 2, 3, 4, 5][rng.below(10) as usize]];
        // what old drivers say besides: BARRIER with anything, OUT where it means nothing
        let mut kind = meaning | if rng.chance(1, 4) { layout::TYPE_BARRIER } else { 0 };
        if meaning != layout::TYPE_IN && rng.chance(1, 3) {
            kind |= layout::TYPE_OUT;
        }
        let raw_kind = kind;
        let kind = meaning;
        let sectors = rng.below(4);
        let sector = match rng.below(8) {
            0 => CAPACITY - sectors,
            1 => CAPACITY + 1 - sectors.min(1),
            2 => u64::MAX - rng.below(3),
            _ => rng.below(CAPACITY - 4),
        };
        let ragged = if rng.chance(1, 10) { 1 + rng.below(511) as u32 } else { 0 };
        let bytes = match kind {
            layout::TYPE_GET_ID => [20, 5, 16, 17, 32, 33, 40, 0, 4096, 4097][rng.below(10) as usize],
            _ => sectors as u32 * 512 + ragged,
        };
        let (mut readable, mut writable) = (16, 1);
        if kind == layout::TYPE_OUT {
            readable += bytes;
        } else {
            writable += bytes;
            readable += [0, 0, 0, 7, 40][rng.below(5) as usize];
        }
        if kind == layout::TYPE_OUT {
            writable += rng.below(3) as u32;
        }
        let mut content: Vec<u8> = (0..readable).map(|_| rng.next() as u8).collect();
        content[0..4].copy_from_slice(&raw_kind.to_le_bytes());
        content[8..16].copy_from_slice(&sector.to_le_bytes());
        let (broken, failed) = (rng.chance(1, 20), rng.chance(1, 20));
        let in_range = bytes % 512 == 0 && sector <= CAPACITY && sector + u64::from(bytes / 512) <= CAPACITY;
        let head = rng.below(256) as u16;

        let refused = |status: u8| (None, status);
        let (operation, own) = match kind {
            _ if failed => refused(layout::STATUS_IOERR),
            layout::TYPE_IN | layout::TYPE_OUT if !in_range => refused(layout::STATUS_IOERR),
            layout::TYPE_OUT if read_only => refused(layout::STATUS_IOERR),
            layout::TYPE_IN | layout::TYPE_OUT if bytes == 0 => refused(layout::STATUS_OK),
            layout::TYPE_IN => (Some(BlkOperation::Read), 0),
            layout::TYPE_OUT => (Some(BlkOperation::Write), 0),
            layout::TYPE_FLUSH => (Some(BlkOperation::Flush), 0),
            layout::TYPE_GET_ID if bytes == 0 => refused(layout::STATUS_OK),
            layout::TYPE_GET_ID => (Some(BlkOperation::GetId), 0),
            _ => refused(layout::STATUS_UNSUPP),
        };
        let operation = if broken { None } else { operation };
        let length = match kind {
            layout::TYPE_FLUSH => 0,
            layout::TYPE_GET_ID => bytes.min(layout::ID_BYTES),
            _ => bytes,
        };
        let status = if operation.is_some() { [0, 0, 0, 1][rng.below(4) as usize] } else { own };
        let reads = matches!(operation, Some(BlkOperation::Read | BlkOperation::GetId)) && status == 0;
        let read: Vec<u8> = (0..if reads { length } else { 0 }).map(|_| rng.next() as u8).collect();
        let answer = match broken {
            true => None,
            // behind a name there are zeroes
            false if reads => Some((0, [&read[..], &vec![0; (bytes - length) as usize + 1]].concat())),
            false => Some((writable - 1, vec![status])),
        };
        let expected = Expected {
            head,
            command: operation.map(|operation| (operation, sector, length)),
            write: content[16..].to_vec(),
            status,
            read,
            answer,
        };
        if expected.command.is_some() {
            self.commands.push_back(expected.clone());
            if kind == layout::TYPE_OUT {
                self.writes.push_back(expected.clone());
            }
        }
        self.answers.push_back(expected);
        let chain = Chain {
            head: u64::from(head).into(),
            readable_length: u64::from(readable).into(),
            writable_length: u64::from(writable).into(),
            error: broken,
        };
        self.offer(chain, &content, failed);
    }

    fn cycle(&mut self, bench: &mut Bench<BlkDevice>, patient: u64) {
        let world = std::cell::RefCell::new(self);
        bench.cycle(
            |uut, rng| {
                let mut world = world.borrow_mut();
                world.chains.drive(&mut uut.chain, rng);
                world.readable.drive(&mut uut.readable, rng);
                world.statuses.drive(&mut uut.status, rng);
                world.reads.drive(&mut uut.read, rng);
                uut.command.ready.next = rng.chance(patient, 4);
                uut.write.ready.next = rng.chance(patient, 4);
                uut.scatter.ready.next = rng.chance(patient, 4);
                uut.writable.ready.next = rng.chance(patient, 4);
            },
            |uut| world.borrow_mut().observe(uut),
        );
    }

    fn observe(&mut self, uut: &BlkDevice) {
        self.chains.take(&uut.chain);
        self.read_out += usize::from(self.readable.take(&uut.readable).is_some_and(|beat| beat.last));
        self.statuses.take(&uut.status);
        self.reads.take(&uut.read);
        self.violations += usize::from(uut.violation_valid.val());
        if let Some(command) = moved(&uut.command) {
            let expected = self.commands.pop_front().expect("a command that nobody asked for");
            let seen = (command.operation, command.sector.to_u64(), command.length.to_u64() as u32);
            let (operation, sector, length) = expected.command.unwrap();
            assert_eq!(seen.0, operation);
            assert_eq!(seen.2, length);
            let tag = command.tag.to_u64() as u8;
            assert_eq!(tag, self.next_tag);
            self.next_tag = tag.wrapping_add(1);
            if matches!(operation, BlkOperation::Read | BlkOperation::Write) {
                assert_eq!(seen.1, sector);
            }
            if operation == BlkOperation::Write {
                self.write_tags.push_back(tag);
            } else {
                self.respond(&expected, tag);
            }
        }
        if let Some(beat) = moved(&uut.write) {
            let expected = self.writes.front().expect("write data without a command");
            let count = (expected.write.len() - self.write_so_far.len()).min(16);
            self.write_so_far.extend(narrow(beat.data, count));
            assert_eq!(beat.last, self.write_so_far.len() == expected.write.len());
            if beat.last {
                assert_eq!(self.write_so_far, expected.write);
                assert!(!beat.error);
                let expected = self.writes.pop_front().unwrap();
                let tag = self.write_tags.pop_front().expect("write data before their command");
                self.respond(&expected, tag);
                self.write_so_far.clear();
            }
        }
        if let Some(command) = moved(&uut.scatter) {
            assert!(self.answer.is_none(), "an answer inside another");
            let expected = self.answers.pop_front().expect("an answer without a request");
            self.given_back += 1;
            assert!(self.given_back <= self.read_out, "the chain of {expected:?} is still being read");
            assert_eq!(command.head.to_u64(), u64::from(expected.head));
            match &expected.answer {
                None => {
                    assert!(command.drop);
                    self.ended += 1;
                }
                Some((skip, bytes)) => {
                    assert!(!command.drop);
                    let seen = (command.skip.to_u64(), command.length.to_u64(), command.used_length.to_u64());
                    assert_eq!(seen, (u64::from(*skip), bytes.len() as u64, bytes.len() as u64));
                    self.answer = Some((expected, vec![]));
                }
            }
        }
        if let Some(beat) = moved(&uut.writable) {
            let (expected, bytes) = self.answer.as_mut().expect("bytes without a command");
            bytes.extend(narrow(beat.data, beat.count.to_u64() as usize));
            let (_, wanted) = expected.answer.as_ref().unwrap();
            assert_eq!(beat.last, bytes.len() == wanted.len());
            if beat.last {
                assert_eq!(bytes, wanted);
                self.answer = None;
                self.ended += 1;
            }
        }
    }

    fn respond(&mut self, expected: &Expected, tag: u8) {
        let tag: Bits<8> = u64::from(tag).into();
        self.statuses.values.push_back(BlkStatus { status: u64::from(expected.status).into(), tag });
        let beats = expected.read.len().div_ceil(16);
        let beat = |(n, chunk): (usize, &[u8])| {
            // what is behind the last byte is nothing
            let mut lanes = [0xa5; 16];
            lanes[..chunk.len()].copy_from_slice(chunk);
            BlkReadBeat { data: wide(&lanes), last: n + 1 == beats, tag }
        };
        self.reads.values.extend(expected.read.chunks(16).enumerate().map(beat));
    }
}

fn bench(name: &str) -> Bench<BlkDevice> {
    let mut bench = Bench::new(name, BlkDevice::new(ANSWER_CYCLES), |uut| &mut uut.clock);
    bench.uut.capacity.next = CAPACITY.into();
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    bench
}

#[test]
fn blk_answers_every_request_as_the_specification_says() {
    for (read_only, patient) in [(false, 4), (false, 2), (true, 3)] {
        let mut bench = bench(&format!("blk_{read_only}_{patient}"));
        bench.uut.read_only.next = read_only;
        let mut world = World::new();
        let mut rng = Rng(0xb1c + patient);
        let requests = 150;
        (0..requests).for_each(|_| world.random(&mut rng, read_only));
        for _ in 0..400_000 {
            if world.ended == requests {
                break;
            }
            world.cycle(&mut bench, patient);
        }
        assert_eq!(world.ended, requests);
        world.cycle(&mut bench, patient);
        assert!(bench.uut.idle.val());
        bench.finish();
    }
}

#[test]
fn blk_chain_too_short_is_a_violation_and_stops_all_that_follows() {
    let mut bench = bench("blk_short");
    let mut world = World::new();
    let chain = |readable: u64, writable: u64| Chain {
        head: 7.into(),
        readable_length: readable.into(),
        writable_length: writable.into(),
        error: false,
    };
    world.offer(chain(15, 1), &[0; 15], false);
    world.offer(chain(16, 513), &[0; 16], false);
    let drop = Expected { head: 7, command: None, write: vec![], status: 0, read: vec![], answer: None };
    world.answers.extend([drop.clone(), drop]);
    for _ in 0..200 {
        world.cycle(&mut bench, 4);
    }
    assert_eq!(world.violations, 1);
    assert_eq!(world.ended, 2, "both are dropped");
    bench.finish();
}

/// A write whose data stop coming is cut off by a reset, which waits for nobody.
#[test]
fn blk_reset_ends_write_data_and_needs_nothing_of_the_device_side() {
    let mut bench = bench("blk_stop");
    let mut world = World::new();
    let mut header = vec![0u8; 16];
    header[0] = layout::TYPE_OUT as u8;
    let chain = Chain { head: 1.into(), readable_length: (16 + 1024).into(), writable_length: 1.into(), error: false };
    world.chains.values.push_back(chain);
    for i in 0..20 {
        let data = if i == 0 { wide(&header) } else { wide(&[i; 16]) };
        world.readable.values.push_back(ByteBeat { data, count: 16.into(), last: false, error: false });
    }
    let (mut last, mut commands) = (None, 0);
    for cycle in 0..400 {
        bench.uut.stop.next = (150..200).contains(&cycle);
        bench.uut.clear.next = cycle == 199;
        let (chains, readable) = (&mut world.chains, &mut world.readable);
        let feeds = std::cell::RefCell::new((chains, readable));
        bench.cycle(
            |uut, rng| {
                let mut feeds = feeds.borrow_mut();
                feeds.0.drive(&mut uut.chain, rng);
                feeds.1.drive(&mut uut.readable, rng);
                uut.command.ready.next = true;
                uut.write.ready.next = !(150..=300).contains(&cycle);
            },
            |uut| {
                let mut feeds = feeds.borrow_mut();
                feeds.0.take(&uut.chain);
                feeds.1.take(&uut.readable);
                commands += usize::from(moved(&uut.command).is_some());
                if let Some(beat) = moved(&uut.write) {
                    last = Some((beat.last, beat.error));
                }
                assert!(!uut.scatter.valid.val(), "an answer");
                assert!(cycle < 150 || uut.idle.val(), "the reset waits for the device side");
            },
        );
    }
    assert_eq!((commands, last), (1, Some((true, true))));
    bench.finish();
}
