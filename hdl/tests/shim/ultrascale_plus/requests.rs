//! `m_axis_cq` and `s_axis_cc`: what the host asks for, and the answers.
use super::both;
use super::world::{beats, field, put, Pace, Shim, World};
use virtio_hdl_rtl::testing::{Port, Rng};
use virtio_hdl_rtl::tlp::types::{Request, RequestKind, TransmitBeat, TransmitKind};

both! {
    every_request_comes_in_and_every_answer_leaves;
    an_error_repeats_the_request;
    nothing_comes_in_before_a_request_is_answered;
    a_reset_forgets_the_request_that_was_coming_in;
}

/// A request as the block gives it.
#[derive(Clone, Debug)]
struct Packet {
    kind: u64,
    descriptor: Vec<u32>,
    enables: u64,
    payload: Vec<u32>,
    discontinue: bool,
}

/// What must come of it.
#[derive(Clone, Debug)]
enum Outcome {
    Request(Box<Request>),
    Message,
    Malformed,
}

impl Packet {
    /// A packet of this type: see "Completer request descriptor formats".
    fn of(kind: u64, rng: &mut Rng) -> Self {
        let mut descriptor: Vec<u32> = (0..4).map(|_| rng.next() as u32).collect();
        let length = match kind {
            0 | 1 | 7 => [1, 1, 2, 3, 1 + rng.below(64), 1024][rng.below(6) as usize],
            _ => 1,
        };
        put(&mut descriptor, 64, 11, length);
        put(&mut descriptor, 75, 4, kind);
        put(&mut descriptor, 112, 3, rng.below(3));
        let carries = matches!(kind, 1 | 3 | 4..=6) || kind >= 12 && rng.chance(1, 2);
        let length = if kind == 1 { rng.below(40).min(length).max(1) } else { length };
        if kind == 1 {
            put(&mut descriptor, 64, 11, length);
        }
        let payload = if carries { (0..length).map(|_| rng.next() as u32).collect() } else { vec![] };
        Packet { kind, descriptor, enables: rng.below(256), payload, discontinue: false }
    }

    fn any(rng: &mut Rng) -> Self {
        let kind = [0, 1, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15][rng.below(13) as usize];
        let mut packet = Self::of(kind, rng);
        packet.discontinue = !packet.payload.is_empty() && rng.chance(1, 8);
        packet
    }

    fn push<S: Shim>(&self, world: &mut World<S>, rng: &mut Rng) {
        let words = [self.descriptor.as_slice(), &self.payload].concat();
        let user = |n: usize, last: bool, noise: u128| {
            let enables = if n == 0 { u128::from(self.enables) } else { noise & 255 };
            let marks = u128::from(n == 0) << 40 | u128::from(last && self.discontinue) << 41;
            (noise & !255 & !(3 << 40)) | enables | marks
        };
        let cut = beats(&words, S::LANES, rng, user);
        world.from[0].beats.extend(cut);
    }

    fn outcome(&self) -> Outcome {
        let at = |low, width| field(&self.descriptor, low, width);
        let kind = match self.kind {
            _ if self.discontinue => return Outcome::Malformed,
            0 => RequestKind::MemoryRead,
            1 => RequestKind::MemoryWrite,
            2 => RequestKind::IoRead,
            3 => RequestKind::IoWrite,
            4..=7 => RequestKind::Unsupported,
            12..=14 => return Outcome::Message,
            _ => return Outcome::Malformed,
        };
        let data = |n: usize| u64::from(self.payload.get(n).copied().unwrap_or(0));
        Outcome::Request(Box::new(Request {
            kind,
            length: at(64, 11).into(),
            first_be: (self.enables & 15).into(),
            last_be: (self.enables >> 4).into(),
            requester_id: at(80, 16).into(),
            tag: at(96, 8).into(),
            attributes: at(124, 2).into(),
            traffic_class: at(121, 3).into(),
            address: (at(0, 64) & !3).into(),
            poisoned: false,
            data: (data(0) | data(1) << 32).into(),
            bar_hit: [1, 2, 0][at(112, 3) as usize].into(),
        }))
    }
}

/// Data beyond a write's length, and a read's, may be anything.
fn relevant(mut request: Request) -> Request {
    let mask = match (request.kind, request.length.to_u64()) {
        (RequestKind::MemoryWrite | RequestKind::IoWrite, 1) => 0xffff_ffff,
        (RequestKind::MemoryWrite | RequestKind::IoWrite, _) => u64::MAX,
        _ => 0,
    };
    request.data = (request.data.to_u64() & mask).into();
    request
}

/// An answer to a request: a success of up to four double words, or an error.
fn answer(request: &Request, rng: &mut Rng) -> TransmitBeat {
    let error = request.kind == RequestKind::Unsupported || rng.chance(1, 4);
    let length = if error || request.kind == RequestKind::IoWrite { 0 } else { 1 + rng.below(4) };
    TransmitBeat {
        last: true,
        kind: if length > 0 { TransmitKind::CompletionData } else { TransmitKind::Completion },
        length: length.into(),
        tag: request.tag,
        requester_id: request.requester_id,
        status: if error { [1, 4][rng.below(2) as usize] } else { 0 }.into(),
        byte_count: rng.below(4096).into(),
        attributes: request.attributes,
        traffic_class: request.traffic_class,
        ..Port::random(rng)
    }
}

/// "Completer completion descriptor format", what is behind it, and "Completions with error status".
fn wanted(answer: &TransmitBeat, request: &Packet) -> Vec<u32> {
    let error = answer.status.to_u64() != 0;
    let length = if answer.kind == TransmitKind::CompletionData { answer.length.to_u64() } else { 0 };
    let count = answer.byte_count.to_u64();
    let mut words = vec![0; 3];
    put(&mut words, 0, 7, answer.lower_address.to_u64());
    put(&mut words, 16, 13, if count == 0 { 4096 } else { count });
    put(&mut words, 32, 11, length);
    put(&mut words, 43, 3, answer.status.to_u64());
    put(&mut words, 48, 16, answer.requester_id.to_u64());
    put(&mut words, 64, 8, answer.tag.to_u64());
    put(&mut words, 89, 3, answer.traffic_class.to_u64());
    put(&mut words, 92, 2, answer.attributes.to_u64());
    if error {
        words.push(request.enables as u32);
        words.extend(&request.descriptor);
    } else {
        let data = answer.data.to_u128();
        words.extend((0..length).map(|lane| (data >> (32 * lane)) as u32));
    }
    words
}

/// Runs packets through the shim, answers each non-posted one a while after it was taken, and compares all of it.
fn exchange<S: Shim>(world: &mut World<S>, packets: &[Packet], rng: &mut Rng) {
    let mut answers = vec![];
    let mut due: Option<(u64, TransmitBeat)> = None;
    let mut quiet = 0;
    let mut asked = 0;
    let nonposted: Vec<_> = packets.iter().filter(|packet| !matches!(packet.kind, 1 | 12..)).collect();
    let nonposted: Vec<_> = nonposted.into_iter().filter(|packet| !packet.discontinue).collect();
    while quiet < 20 {
        if world.bench.cycles % 50 == 0 {
            world.pace = Pace::any(rng);
        }
        let seen = world.cycle();
        if let Some(request) = world.requests.get(asked) {
            asked += 1;
            if request.kind != RequestKind::MemoryWrite {
                assert!(due.is_none(), "a request came in before the last one was answered");
                due = Some((world.bench.cycles + rng.below(6), answer(request, rng)));
            }
        }
        if let Some((_, answer)) = due.take_if(|(when, _)| *when <= world.bench.cycles) {
            world.transmit.values.push_back(answer);
            answers.push(answer);
        }
        let waits = !world.from[0].beats.is_empty() || due.is_some();
        quiet = if seen.busy || waits { 0 } else { quiet + 1 };
    }
    let outcomes: Vec<_> = packets.iter().map(Packet::outcome).collect();
    let mut requests = world.requests.iter();
    for (n, outcome) in outcomes.iter().enumerate() {
        if let Outcome::Request(want) = outcome {
            let got = requests.next().unwrap_or_else(|| panic!("packet {n}: no request"));
            assert_eq!(relevant(*got), relevant(**want), "packet {n}: {:x?}", packets[n]);
        }
    }
    assert_eq!(requests.next(), None);
    let count = |f: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| f(outcome)).count();
    let (malformed, messages) = (count(|o| matches!(o, Outcome::Malformed)), count(|o| matches!(o, Outcome::Message)));
    assert_eq!((world.malformed, world.messages), (malformed, messages));

    let completed = World::<S>::packets(&world.completed);
    assert_eq!((completed.len(), answers.len()), (nonposted.len(), nonposted.len()));
    for (n, (((got, user), answer), request)) in completed.iter().zip(&answers).zip(&nonposted).enumerate() {
        assert_eq!((got, *user), (&wanted(answer, request), 0), "completion {n}: {answer:x?}");
    }
}

/// All types, any gaps and backpressure; a discontinued packet is dropped.
fn every_request_comes_in_and_every_answer_leaves<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_requests");
    let mut rng = Rng(21);
    let packets: Vec<_> = (0..400).map(|_| Packet::any(&mut rng)).collect();
    packets.iter().for_each(|packet| packet.push(&mut world, &mut rng));
    exchange(&mut world, &packets, &mut rng);
    assert!(world.messages > 50 && world.malformed > 30 && world.requests.len() > 150);
    world.bench.finish();
}

/// Behind the descriptor of an error are the byte enables and the descriptor of the request, for the block's error log.
fn an_error_repeats_the_request<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_error");
    let mut rng = Rng(22);
    let packets: Vec<_> = (0..60).map(|_| Packet::of([7, 4][rng.below(2) as usize], &mut rng)).collect();
    packets.iter().for_each(|packet| packet.push(&mut world, &mut rng));
    exchange(&mut world, &packets, &mut rng);
    assert!(World::<S>::packets(&world.completed).iter().all(|(words, _)| words.len() == 8));
    world.bench.finish();
}

/// The descriptor is still needed: the next packet waits on the stream until the completion has left.
fn nothing_comes_in_before_a_request_is_answered<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_one_request");
    let mut rng = Rng(23);
    let packets: Vec<_> = (0..2).map(|_| Packet::of(0, &mut rng)).collect();
    packets.iter().for_each(|packet| packet.push(&mut world, &mut rng));
    world.pace.complete = 0;
    for _ in 0..10 {
        world.cycle();
    }
    assert_eq!((world.requests.len(), world.from[0].beats.len()), (1, 1));
    let reply = answer(&world.requests[0], &mut rng);
    world.transmit.values.push_back(reply);
    for _ in 0..10 {
        assert!(world.cycle().busy);
    }
    assert_eq!((world.requests.len(), world.completed.len()), (1, 0), "the completion has not left");
    world.pace.complete = 8;
    for _ in 0..10 {
        world.cycle();
    }
    assert_eq!(world.requests.len(), 2);
    world.bench.finish();
}

fn a_reset_forgets_the_request_that_was_coming_in<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_request_reset");
    let mut rng = Rng(24);
    for cut in 1..6 {
        let mut long = Packet::of(1, &mut rng);
        long.payload = vec![7; 40];
        long.push(&mut world, &mut rng);
        world.from[0].beats.truncate(cut);
        for _ in 0..10 {
            world.cycle();
        }
        world.from = Default::default();
        world.cycle_with(|inputs| inputs.reset.next = true);
        world.requests.clear();
        let next = Packet::of(1, &mut rng);
        next.push(&mut world, &mut rng);
        world.cycle_with(|inputs| inputs.reset.next = false);
        world.drain();
        let Outcome::Request(want) = next.outcome() else { unreachable!() };
        assert_eq!(world.requests.iter().copied().map(relevant).collect::<Vec<_>>(), [relevant(*want)]);
    }
    world.bench.finish();
}
