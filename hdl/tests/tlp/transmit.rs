//! The transmit arbiter and the transmit packer.
use crate::packet::{dwords, kept};
use crate::reference::{any_packet_to_send, packet_to_send, wire};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::{Sink, Source};
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{TlpBeat, TransmitBeat, TransmitKind};
use virtio_hdl_rtl::tlp::{TransmitArbiter, TransmitPack};

/// A sender with a choice of pace that keeps to the rules of a stream.
#[derive(Default)]
struct Sender {
    waiting: VecDeque<TransmitBeat>,
    offered: bool,
}

impl Sender {
    fn drive(&mut self, sink: &mut Sink<TransmitBeat>, rng: &mut Rng, pace: u64) {
        self.offered |= !self.waiting.is_empty() && rng.chance(pace, 8);
        sink.valid.next = self.offered;
        sink.data.next = self.waiting.front().copied().unwrap_or_default();
    }
    /// After the block has settled: the beat that moves.
    fn moved(&mut self, sink: &Sink<TransmitBeat>) -> Option<TransmitBeat> {
        if !(sink.valid.val() && sink.ready.val()) {
            return None;
        }
        self.offered = false;
        self.waiting.pop_front()
    }
}

fn taken<T: Synth>(source: &Source<T>) -> Option<T> {
    (source.valid.val() && source.ready.val()).then(|| source.data.val())
}

struct Pack {
    bench: Bench<TransmitPack>,
    sender: Sender,
    sent: Vec<TlpBeat>,
    /// Cycles without a beat on the link although one was wanted.
    bubbles: u64,
}

impl Pack {
    const FUNCTION_ID: u32 = 0x5a28;

    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, TransmitPack::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        Self { bench, sender: Sender::default(), sent: vec![], bubbles: 0 }
    }

    fn cycle(&mut self, offer: u64, take: u64) {
        let Self { bench, sender, sent, bubbles } = self;
        let cell = std::cell::RefCell::new(sender);
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                uut.function_id.next = u64::from(Self::FUNCTION_ID).into();
                uut.tx.ready.next = rng.chance(take, 8);
                cell.borrow_mut().drive(&mut uut.transmit, rng, offer);
            },
            |uut| {
                cell.borrow_mut().moved(&uut.transmit);
                sent.extend(taken(&uut.tx));
                *bubbles += u64::from(uut.tx.ready.val() && !uut.tx.valid.val());
            },
        );
    }

    fn drain(&mut self) {
        while !self.sender.waiting.is_empty() {
            self.cycle(8, 8);
        }
        for _ in 0..4 {
            self.cycle(8, 8);
        }
    }

    /// What was sent, packet by packet.
    fn packets(&self) -> Vec<Vec<u32>> {
        self.sent.split_inclusive(|beat| beat.last).map(|packet| dwords(packet).expect("full beats")).collect()
    }
}

/// All kinds of packets, 3 and 4 DW headers, any length, any gaps and backpressure.
#[test]
fn every_packet_leaves_as_the_specification_draws_it() {
    let mut pack = Pack::new("tlp_transmit_pack");
    let mut rng = Rng(4);
    let mut want = vec![];
    for phase in 0..40 {
        for _ in 0..20 {
            let packet = any_packet_to_send(&mut rng);
            want.push(wire(&packet, Pack::FUNCTION_ID));
            pack.sender.waiting.extend(packet);
        }
        let (offer, take) = [(8, 8), (3, 8), (8, 3), (4, 4)][phase % 4];
        for _ in 0..120 {
            pack.cycle(offer, take);
        }
    }
    pack.drain();
    let got = pack.packets();
    for (n, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "packet {n}: {got:08x?} but want {want:08x?}");
    }
    assert_eq!(got.len(), want.len());
    for size in [3, 4] {
        assert!(want.iter().filter(|dwords| header_dwords(FMT.get(dwords)) == size).count() > 100);
    }
    pack.bench.finish();
}

/// Cycles that a number of packets need, all wanted at once: first beat to last, and the bubbles in between.
fn rate(name: &str, kind: TransmitKind, address: u64, length: usize, count: usize) -> (usize, u64) {
    let mut pack = Pack::new(name);
    let mut rng = Rng(5);
    for _ in 0..count {
        let packet = packet_to_send(kind, length, &mut rng);
        pack.sender.waiting.extend(packet.into_iter().map(|beat| TransmitBeat {
            address: address.into(),
            above_4g: address >> 32 != 0,
            ..beat
        }));
    }
    while pack.sent.is_empty() {
        pack.cycle(8, 8);
    }
    pack.bubbles = 0;
    while pack.sent.iter().filter(|beat| beat.last).count() < count {
        pack.cycle(8, 8);
    }
    let beats = pack.sent.len();
    assert!(pack.sent.iter().all(|beat| kept(beat).is_some()));
    let bubbles = pack.bubbles;
    pack.bench.finish();
    (beats, bubbles)
}

#[test]
fn writes_of_256_bytes_leave_in_17_beats_without_bubbles() {
    let kind = TransmitKind::MemoryWrite;
    assert_eq!(rate("tlp_transmit_pack_rate4", kind, 0x1_0000_0000, 64, 30), (30 * 17, 0));
    assert_eq!(rate("tlp_transmit_pack_rate3", kind, 0x8000_0000, 64, 30), (30 * 17, 0));
}

#[test]
fn reads_and_short_packets_leave_one_per_cycle() {
    assert_eq!(rate("tlp_transmit_pack_reads", TransmitKind::MemoryRead, 0x1_0000_0000, 128, 30), (30, 0));
    assert_eq!(rate("tlp_transmit_pack_words", TransmitKind::MemoryWrite, 0x8000_0000, 1, 30), (30, 0));
    assert_eq!(rate("tlp_transmit_pack_pairs", TransmitKind::CompletionData, 0, 2, 30), (60, 0));
}

/// Completion, posted, interrupt, non-posted: the order of the arbiter's sinks.
const SENDERS: usize = 4;

struct Arbiter {
    bench: Bench<TransmitArbiter>,
    senders: [Sender; SENDERS],
    /// Who sent which beat, in the order the arbiter took them.
    order: Vec<(usize, TransmitBeat)>,
    sent: Vec<TransmitBeat>,
    in_packet: bool,
    bus_master: bool,
    nonposted_allowed: bool,
    bubbles: usize,
}

impl Arbiter {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, TransmitArbiter::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| ());
        Self {
            bench,
            senders: Default::default(),
            order: vec![],
            sent: vec![],
            in_packet: false,
            bus_master: true,
            nonposted_allowed: true,
            bubbles: 0,
        }
    }

    fn cycle(&mut self, offer: u64, take: u64) {
        let Self { bench, senders, order, sent, in_packet, bus_master, nonposted_allowed, bubbles } = self;
        let cell = std::cell::RefCell::new(senders);
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                uut.bus_master.next = *bus_master;
                uut.nonposted_allowed.next = *nonposted_allowed;
                uut.transmit.ready.next = rng.chance(take, 8);
                let mut senders = cell.borrow_mut();
                senders[0].drive(&mut uut.completion, rng, offer);
                senders[1].drive(&mut uut.posted, rng, offer);
                senders[2].drive(&mut uut.interrupt, rng, offer);
                senders[3].drive(&mut uut.nonposted, rng, offer);
            },
            |uut| {
                let mut senders = cell.borrow_mut();
                let moved = [
                    senders[0].moved(&uut.completion),
                    senders[1].moved(&uut.posted),
                    senders[2].moved(&uut.interrupt),
                    senders[3].moved(&uut.nonposted),
                ];
                assert!(moved.iter().flatten().count() <= 1, "two senders at once");
                if let Some((who, Some(beat))) = moved.into_iter().enumerate().find(|(_, beat)| beat.is_some()) {
                    if *in_packet {
                        assert_eq!(order.last().unwrap().0, who, "another sender inside a packet");
                    } else {
                        let memory = who == 1 || who == 3 || (who == 2 && beat.kind == TransmitKind::MemoryWrite);
                        assert!(*bus_master || !memory, "sender {who} began without bus master");
                        assert!(*nonposted_allowed || who != 3, "read began without credit");
                    }
                    *in_packet = !beat.last;
                    order.push((who, beat));
                }
                *bubbles += usize::from(uut.transmit.ready.val() && !uut.transmit.valid.val());
                sent.extend(taken(&uut.transmit));
            },
        );
    }

    fn offer(&mut self, who: usize, rng: &mut Rng) {
        let packet = match who {
            0 => packet_to_send(TransmitKind::CompletionData, 1, rng),
            1 => packet_to_send(TransmitKind::MemoryWrite, 1 + rng.below(20) as usize, rng),
            2 if rng.chance(1, 2) => packet_to_send(TransmitKind::Message, 0, rng),
            2 => packet_to_send(TransmitKind::MemoryWrite, 1, rng),
            _ => packet_to_send(TransmitKind::MemoryRead, 128, rng),
        };
        self.senders[who].waiting.extend(packet);
    }
}

/// Nothing is lost, packets stay in one piece, memory requests begin only as bus master, reads only with credit.
#[test]
fn senders_take_turns_packet_by_packet() {
    let mut arbiter = Arbiter::new("tlp_transmit_arbiter");
    let mut rng = Rng(6);
    for phase in 0..60 {
        for _ in 0..8 {
            arbiter.offer(rng.below(SENDERS as u64) as usize, &mut rng);
        }
        let (offer, take) = [(8, 8), (3, 8), (8, 3)][phase % 3];
        for _ in 0..60 {
            if rng.chance(1, 10) {
                arbiter.bus_master = rng.chance(1, 2);
                arbiter.nonposted_allowed = rng.chance(1, 2);
            }
            arbiter.cycle(offer, take);
        }
    }
    (arbiter.bus_master, arbiter.nonposted_allowed) = (true, true);
    while arbiter.senders.iter().any(|sender| !sender.waiting.is_empty()) {
        arbiter.cycle(8, 8);
    }
    for _ in 0..4 {
        arbiter.cycle(8, 8);
    }
    let order: Vec<_> = arbiter.order.iter().map(|(_, beat)| *beat).collect();
    assert_eq!(order, arbiter.sent, "leaves in the order in which it was taken");
    for who in 0..SENDERS {
        assert!(arbiter.order.iter().filter(|(sender, _)| *sender == who).count() > 50);
    }
    arbiter.bench.finish();
}

/// With all four wanting to send all the time each has every fourth packet, and no cycle is lost.
#[test]
fn no_sender_waits_longer_than_one_round() {
    let mut arbiter = Arbiter::new("tlp_transmit_arbiter_turns");
    let mut rng = Rng(7);
    for _ in 0..40 {
        (0..SENDERS).for_each(|who| arbiter.offer(who, &mut rng));
    }
    arbiter.cycle(8, 8);
    arbiter.cycle(8, 8);
    arbiter.bubbles = 0;
    while arbiter.senders.iter().all(|sender| !sender.waiting.is_empty()) {
        arbiter.cycle(8, 8);
    }
    let turns: Vec<_> = arbiter.order.iter().filter(|(_, beat)| beat.last).map(|(who, _)| *who).collect();
    assert!(turns.windows(SENDERS).all(|round| (0..SENDERS).all(|who| round.contains(&who))), "{turns:?}");
    assert_eq!(arbiter.bubbles, 0);
    arbiter.bench.finish();
}

/// Without bus master INTx messages and completions still leave.
#[test]
fn messages_and_completions_leave_without_bus_master() {
    let mut arbiter = Arbiter::new("tlp_transmit_arbiter_no_master");
    let mut rng = Rng(8);
    arbiter.bus_master = false;
    arbiter.senders[2].waiting.extend(packet_to_send(TransmitKind::Message, 0, &mut rng));
    arbiter.offer(0, &mut rng);
    arbiter.offer(1, &mut rng);
    arbiter.offer(3, &mut rng);
    for _ in 0..10 {
        arbiter.cycle(8, 8);
    }
    let mut who: Vec<_> = arbiter.order.iter().map(|(who, _)| *who).collect();
    who.sort();
    assert_eq!(who, [0, 2]);
    arbiter.bench.finish();
}
