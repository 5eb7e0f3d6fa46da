//! The receive unpacker.
use crate::packet::{any, beats, completion, dwords, kept, with_payload};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::testing::{Bench, Port, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, ReceivedBeat, Request, RequestKind, TlpBeat};
use virtio_hdl_rtl::tlp::ReceiveUnpack;

/// What must come of a packet.
#[derive(Debug)]
enum Outcome {
    Request(Request),
    Completion(Vec<CompletionBeat>),
    Message,
    /// Nothing but the count.
    Dropped,
    /// A completion of this payload length that was on its way when it proved to be malformed.
    CutCompletion(usize),
}

/// Reads a packet with no regard to how the block does it.
fn interpret(packet: &[TlpBeat]) -> Outcome {
    let first = packet[0].data.to_u128();
    let header: Vec<u32> = (0..4).map(|lane| (first >> (32 * lane)) as u32).collect();
    let fmt = FMT.get(&header);
    let length = length_dwords(LENGTH.get(&header));
    let payload = if has_data(fmt) { length } else { 0 };
    let total = header_dwords(fmt) + payload + TD.get(&header) as usize;
    let framed = dwords(packet).is_some_and(|dwords| dwords.len() == total);
    let kind = TYPE.get(&header);
    let four = fmt & 1 == 1;
    let request = |kind| {
        let whole = dwords(packet).unwrap();
        Outcome::Request(Request { bar_hit: bar_hit(packet), ..request_of(kind, &whole, four) })
    };
    if fmt >= FMT_PREFIX {
        return Outcome::Dropped;
    }
    if kind == TYPE_COMPLETION && !four {
        if !framed {
            return Outcome::CutCompletion(payload);
        }
        return Outcome::Completion(completion_beats(&dwords(packet).unwrap(), payload));
    }
    let memory_ok = enables_allowed(&header, length) && {
        let low = header[header_dwords(fmt) - 1];
        (low as usize >> 2 & 1023) + length <= 1024
    };
    let register_ok = !four && length == 1 && LAST_BE.get(&header) == 0;
    let pick = |read, write| if has_data(fmt) { write } else { read };
    match kind {
        _ if !framed => Outcome::Dropped,
        TYPE_MEMORY if memory_ok => request(pick(RequestKind::MemoryRead, RequestKind::MemoryWrite)),
        TYPE_MEMORY_LOCKED if memory_ok && !has_data(fmt) => request(RequestKind::Unsupported),
        TYPE_IO if register_ok => request(pick(RequestKind::IoRead, RequestKind::IoWrite)),
        TYPE_CONFIG_0 if register_ok => request(pick(RequestKind::ConfigRead, RequestKind::ConfigWrite)),
        TYPE_CONFIG_1 if register_ok => request(RequestKind::Unsupported),
        TYPE_FETCH_ADD | TYPE_SWAP | TYPE_COMPARE_SWAP if has_data(fmt) => request(RequestKind::Unsupported),
        _ if kind & 0x18 == TYPE_MESSAGE && four => Outcome::Message,
        _ => Outcome::Dropped,
    }
}

/// What the link says of the packet's address: anything, as the block does not look at it.
fn bar_hit(packet: &[TlpBeat]) -> Bits<2> {
    packet[0].data.get_bits::<2>(45)
}

/// A packet as it comes from the link.
fn received(packet: &[TlpBeat]) -> impl Iterator<Item = ReceivedBeat> + '_ {
    packet.iter().map(|beat| ReceivedBeat {
        data: beat.data,
        keep: beat.keep,
        last: beat.last,
        bar_hit: bar_hit(packet),
    })
}

/// Byte enable rules of section 2.2.5.
fn enables_allowed(header: &[u32], length: usize) -> bool {
    let (first, last) = (FIRST_BE.get(header), LAST_BE.get(header));
    let low = header[header_dwords(FMT.get(header)) - 1];
    match length {
        1 => last == 0,
        2 if low & 4 == 0 => first != 0 && last != 0,
        _ => [15, 14, 12, 8].contains(&first) && [15, 7, 3, 1].contains(&last),
    }
}

fn request_of(kind: RequestKind, whole: &[u32], four: bool) -> Request {
    let header = 3 + usize::from(four);
    let address = if four { u64::from(whole[2]) << 32 | u64::from(whole[3]) } else { u64::from(whole[2]) };
    let data = |n| {
        let has = has_data(FMT.get(whole)) && n < length_dwords(LENGTH.get(whole));
        if has {
            u64::from(whole[header + n])
        } else {
            0
        }
    };
    Request {
        kind,
        length: (length_dwords(LENGTH.get(whole)) as u64).into(),
        first_be: u64::from(FIRST_BE.get(whole)).into(),
        last_be: u64::from(LAST_BE.get(whole)).into(),
        requester_id: u64::from(REQUESTER_ID.get(whole)).into(),
        tag: u64::from(TAG.get(whole)).into(),
        attributes: u64::from(ATTRIBUTES.get(whole)).into(),
        traffic_class: u64::from(TRAFFIC_CLASS.get(whole)).into(),
        address: (address & !3).into(),
        poisoned: EP.get(whole) == 1,
        data: (data(1) << 32 | data(0)).into(),
        bar_hit: 0.into(),
    }
}

fn completion_beats(whole: &[u32], payload: usize) -> Vec<CompletionBeat> {
    let data = &whole[3..3 + payload];
    let count = payload.div_ceil(4).max(1);
    (0..count)
        .map(|n| CompletionBeat {
            data: data.chunks(4).nth(n).map_or(0, crate::packet::lanes).to_bits(),
            first: n == 0,
            last: n + 1 == count,
            tag: u64::from(COMPLETION_TAG.get(whole)).into(),
            requester_id: u64::from(COMPLETION_REQUESTER_ID.get(whole)).into(),
            status: u64::from(STATUS.get(whole)).into(),
            byte_count: match BYTE_COUNT.get(whole) {
                0 => 4096.into(),
                bytes => u64::from(bytes).into(),
            },
            lower_address: u64::from(LOWER_ADDRESS.get(whole)).into(),
            length: (payload as u64).into(),
            poisoned: EP.get(whole) == 1,
        })
        .collect()
}

/// The double words of a completion beat that belong to the payload; lanes behind it may hold anything.
fn payload_of(beat: &CompletionBeat, index: usize) -> u128 {
    let left = beat.length.to_u64() as usize - (4 * index).min(beat.length.to_u64() as usize);
    match left {
        0 => 0,
        1..=3 => beat.data.to_u128() & ((1 << (32 * left)) - 1),
        _ => beat.data.to_u128(),
    }
}

/// A write's data beyond its length, and a read's, may be anything.
fn relevant(mut request: Request) -> Request {
    let write = matches!(request.kind, RequestKind::MemoryWrite | RequestKind::IoWrite | RequestKind::ConfigWrite);
    request.data = match request.length.to_u64() {
        _ if !write => 0.into(),
        1 => (request.data.to_u64() & 0xffff_ffff).into(),
        _ => request.data,
    };
    request
}

/// Sends packets, collects what comes out.
struct Unpack {
    bench: Bench<ReceiveUnpack>,
    waiting: VecDeque<ReceivedBeat>,
    requests: Vec<Request>,
    completions: Vec<CompletionBeat>,
    malformed: usize,
    messages: usize,
    /// Completions with UR, with CA, poisoned.
    errors: [usize; 3],
    /// Cycles in which the block refused a beat.
    refused: usize,
    /// Chances in 8 of a beat offered, a request taken, a completion taken.
    pace: [u64; 3],
    /// A beat is on offer and stays until it is taken.
    offered: bool,
}

impl Unpack {
    fn new(name: &str) -> Self {
        let mut this = Self {
            bench: Bench::new(name, ReceiveUnpack::default(), |uut| &mut uut.clock),
            waiting: VecDeque::new(),
            requests: vec![],
            completions: vec![],
            malformed: 0,
            messages: 0,
            errors: [0; 3],
            refused: 0,
            pace: [8, 8, 8],
            offered: false,
        };
        this.bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        this
    }

    /// A packet of these double words waits to be sent.
    fn send(&mut self, dwords: &[u32]) {
        self.waiting.extend(received(&beats(dwords)));
    }

    fn cycle(&mut self) {
        let Self { bench, waiting, requests, completions, malformed, messages, errors, refused, pace, offered } = self;
        let mut moved = false;
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                *offered |= !waiting.is_empty() && rng.chance(pace[0], 8);
                uut.rx.valid.next = *offered;
                uut.rx.data.next = waiting.front().copied().unwrap_or_default();
                uut.request.ready.next = rng.chance(pace[1], 8);
                uut.completion.ready.next = rng.chance(pace[2], 8);
            },
            |uut| {
                moved = uut.rx.valid.val() && uut.rx.ready.val();
                *refused += usize::from(uut.rx.valid.val() && !uut.rx.ready.val());
                if uut.request.valid.val() && uut.request.ready.val() {
                    requests.push(uut.request.data.val());
                }
                if uut.completion.valid.val() && uut.completion.ready.val() {
                    completions.push(uut.completion.data.val());
                }
                *malformed += usize::from(uut.malformed.val());
                *messages += usize::from(uut.message.val());
                let pulses = [&uut.received_master_abort, &uut.received_target_abort, &uut.poisoned_completion];
                errors.iter_mut().zip(pulses).for_each(|(count, pulse)| *count += usize::from(pulse.val()));
            },
        );
        if moved {
            waiting.pop_front();
            *offered = false;
        }
    }

    /// Runs until all is through.
    fn drain(&mut self) {
        self.pace = [8, 8, 8];
        while !self.waiting.is_empty() || self.bench.uut.busy.val() {
            self.cycle();
        }
        for _ in 0..3 {
            self.cycle();
        }
    }
}

/// Malformed packets are counted and dropped, messages dropped, all others come out whole and in order, with
/// any gaps and any backpressure.
#[test]
fn every_packet_comes_out_as_what_it_is() {
    let mut unpack = Unpack::new("tlp_receive_unpack");
    let mut rng = Rng(0x7a57e);
    let mut packets = vec![];
    for phase in 0..60 {
        for _ in 0..20 {
            let packet = any(&mut rng);
            unpack.waiting.extend(received(&packet));
            packets.push(packet);
        }
        unpack.pace = [[8, 8, 8], [3, 8, 8], [8, 2, 8], [8, 8, 2], [5, 5, 5], [8, 1, 1]][phase % 6];
        for _ in 0..120 {
            unpack.cycle();
        }
    }
    unpack.drain();

    let (mut requests, mut completions) = (unpack.requests.iter(), unpack.completions.iter());
    let (mut malformed, mut messages, mut cut) = (0, 0, 0);
    let mut errors = [0; 3];
    for (n, packet) in packets.iter().enumerate() {
        let outcome = interpret(packet);
        if matches!(outcome, Outcome::Completion(_) | Outcome::CutCompletion(_)) {
            let header = packet[0].data.to_u128();
            let header: Vec<u32> = (0..3).map(|lane| (header >> (32 * lane)) as u32).collect();
            errors[0] += usize::from(STATUS.get(&header) == STATUS_UNSUPPORTED_REQUEST);
            errors[1] += usize::from(STATUS.get(&header) == STATUS_COMPLETER_ABORT);
            errors[2] += usize::from(EP.get(&header) == 1);
        }
        match outcome {
            Outcome::Request(want) => {
                let got = requests.next().unwrap_or_else(|| panic!("packet {n}: no request, want {want:x?}"));
                assert_eq!(relevant(*got), relevant(want), "packet {n}");
            }
            Outcome::Completion(want) => {
                for (index, want) in want.into_iter().enumerate() {
                    let got = *completions.next().unwrap_or_else(|| panic!("packet {n}: no beat {index}"));
                    assert_eq!(payload_of(&got, index), payload_of(&want, index), "packet {n} beat {index}");
                    assert_eq!(CompletionBeat { data: want.data, ..got }, want, "packet {n} beat {index}");
                }
            }
            Outcome::Message => messages += 1,
            Outcome::Dropped => malformed += 1,
            Outcome::CutCompletion(payload) => {
                malformed += 1;
                cut += 1;
                let mut index = 0;
                loop {
                    let got = completions.next().unwrap_or_else(|| panic!("packet {n}: cut completion does not end"));
                    assert_eq!(got.first, index == 0, "packet {n}");
                    index += 1;
                    assert!(4 * index < payload.max(1) + 4, "packet {n}: more beats than the header says");
                    if got.last {
                        // an error, unless all the payload was there and only the digest behind it was wrong
                        let whole = packet.iter().map(|beat| kept(beat).map_or(0, |x| x.len())).sum::<usize>();
                        assert!(got.poisoned || whole >= 3 + payload, "packet {n}: {packet:x?}");
                        break;
                    }
                }
            }
        }
    }
    assert_eq!((requests.next(), completions.next()), (None, None));
    assert_eq!((unpack.malformed, unpack.messages, unpack.errors), (malformed, messages, errors));
    assert!(
        malformed > 100 && messages > 40 && cut > 20 && unpack.requests.len() > 200,
        "{malformed} {messages} {cut}"
    );
    unpack.bench.finish();
}

/// A read of large blocks: full completions back to back, nothing else in the way.
#[test]
fn completions_of_256_bytes_flow_at_one_beat_per_cycle() {
    let mut unpack = Unpack::new("tlp_receive_unpack_rate");
    let mut rng = Rng(1);
    for _ in 0..50 {
        unpack.send(&completion(64, &mut rng));
    }
    let start = unpack.bench.cycles;
    while !unpack.waiting.is_empty() {
        unpack.cycle();
    }
    // 17 beats in for 16 beats out: the header takes the place of three quarters of a beat
    assert_eq!((unpack.bench.cycles - start, unpack.refused), (50 * 17, 0));
    unpack.drain();
    assert_eq!(unpack.completions.len(), 50 * 16);
    unpack.bench.finish();
}

/// 64-byte and one double word completions have no bubbles either.
#[test]
fn small_completions_take_no_more_cycles_than_beats() {
    let mut unpack = Unpack::new("tlp_receive_unpack_small");
    let mut rng = Rng(2);
    for n in 0..200 {
        unpack.send(&completion([16, 1, 0, 5][n % 4], &mut rng));
    }
    let (start, count) = (unpack.bench.cycles, unpack.waiting.len() as u64);
    while !unpack.waiting.is_empty() {
        unpack.cycle();
    }
    assert_eq!((unpack.bench.cycles - start, unpack.refused), (count, 0));
    unpack.drain();
    assert_eq!(unpack.completions.len(), 50 * (4 + 1 + 1 + 2));
    unpack.bench.finish();
}

/// The register file is busy: eight requests wait, completions pass.
#[test]
fn completions_pass_while_eight_requests_wait() {
    let mut unpack = Unpack::new("tlp_receive_unpack_waiting");
    let mut rng = Rng(3);
    for tag in 0..8 {
        let mut header = vec![0, 0x0100_000f, 0xfee0_0000];
        FMT.set(&mut header, FMT_3DW_DATA);
        LENGTH.set(&mut header, 1);
        TAG.set(&mut header, tag);
        unpack.send(&with_payload(header, &mut rng));
    }
    unpack.send(&completion(64, &mut rng));
    unpack.pace = [8, 0, 8];
    for _ in 0..60 {
        unpack.cycle();
    }
    assert_eq!((unpack.requests.len(), unpack.completions.len()), (0, 16));
    unpack.drain();
    let tags: Vec<_> = unpack.requests.iter().map(|request| request.tag.to_u64()).collect();
    assert_eq!(tags, (0..8).collect::<Vec<_>>());
    unpack.bench.finish();
}

/// Beats that are no packets at all do not hang the block, and the next packet comes out whole.
#[test]
fn garbage_never_hangs_the_receiver() {
    let mut unpack = Unpack::new("tlp_receive_unpack_garbage");
    let mut rng = Rng(13);
    for _ in 0..30 {
        for _ in 0..rng.below(40) {
            let mut beat = ReceivedBeat { last: rng.chance(1, 4), ..Port::random(&mut rng) };
            if rng.chance(1, 2) {
                // headers and fields that mean something are rare among random bits
                beat.data = any(&mut rng)[0].data;
            }
            unpack.waiting.push_back(beat);
        }
        unpack.waiting.push_back(ReceivedBeat { last: true, ..Port::random(&mut rng) });
        for _ in 0..60 {
            unpack.pace = [8, 4, 4];
            unpack.cycle();
        }
        unpack.drain();
        unpack.completions.clear();
        unpack.send(&completion(9, &mut rng));
        unpack.drain();
        let lengths: Vec<_> = unpack.completions.iter().map(|beat| (beat.length.to_u64(), beat.last)).collect();
        assert_eq!(lengths, [(9, false), (9, false), (9, true)]);
    }
    assert!(unpack.malformed > 50);
    unpack.bench.finish();
}

/// A reset in the middle of a packet leaves nothing of it behind.
#[test]
fn a_reset_forgets_the_packet_that_was_coming_in() {
    let mut unpack = Unpack::new("tlp_receive_unpack_reset");
    let mut rng = Rng(14);
    for cut in 1..8 {
        unpack.pace = [8, 0, 0];
        unpack.waiting.extend(received(&beats(&completion(30, &mut rng))).take(cut));
        for _ in 0..10 {
            unpack.cycle();
        }
        unpack.waiting.clear();
        unpack.offered = false;
        unpack.bench.cycle(
            |uut, _| {
                uut.reset.next = true;
                uut.rx.valid.next = false;
            },
            |_| (),
        );
        unpack.send(&completion(5, &mut rng));
        unpack.drain();
        let got: Vec<_> = unpack.completions.drain(..).map(|beat| (beat.first, beat.last, beat.poisoned)).collect();
        assert_eq!(got.len(), 2, "cut after {cut} beats");
        assert_eq!((got[0].0, got[1].1), (true, true));
    }
    assert_eq!(unpack.malformed, 0);
    unpack.bench.finish();
}
