//! The receive unpacker.
use crate::packet::{any, beats, completion, with_payload};
use crate::reference::{bar_hit, compare, Counts};
use std::collections::VecDeque;
use virtio_hdl_rtl::testing::{Bench, Port, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, ReceivedBeat, Request, TlpBeat};
use virtio_hdl_rtl::tlp::ReceiveUnpack;

/// A packet as it comes from the link.
fn received(packet: &[TlpBeat]) -> impl Iterator<Item = ReceivedBeat> + '_ {
    packet.iter().map(|beat| ReceivedBeat {
        data: beat.data,
        keep: beat.keep,
        last: beat.last,
        bar_hit: bar_hit(packet),
    })
}

/// Sends packets, collects what comes out.
struct Unpack {
    bench: Bench<ReceiveUnpack>,
    waiting: VecDeque<ReceivedBeat>,
    requests: Vec<Request>,
    completions: Vec<CompletionBeat>,
    malformed: usize,
    messages: usize,
    turn_offs: usize,
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
            turn_offs: 0,
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
        let Self {
            bench,
            waiting,
            requests,
            completions,
            malformed,
            messages,
            turn_offs,
            errors,
            refused,
            pace,
            offered,
        } = self;
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
                *turn_offs += usize::from(uut.turn_off.val());
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

    let Counts { malformed, messages, turn_offs, cut, errors } =
        compare(&packets, &unpack.requests, &unpack.completions);
    assert_eq!((unpack.malformed, unpack.messages, unpack.errors), (malformed, messages, errors));
    assert_eq!(unpack.turn_offs, turn_offs);
    assert!(
        malformed > 100 && messages > 40 && turn_offs > 10 && cut > 20 && unpack.requests.len() > 200,
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
