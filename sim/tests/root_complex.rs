//! The root complex seen from both ends of the link: what the device reads and writes, what the host asks.
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use virtio_hdl::link::tlp::{Message, ASSERT_INTA, DEASSERT_INTA};
use virtio_hdl::link::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const DEVICE: FunctionId = FunctionId::new(1, 0, 0);
const HIGH: u64 = 1 << 32;
const LOW_BYTES: u64 = 1 << 20;

fn root(config: LinkConfig) -> RootComplex {
    let regions = [(GuestAddress(0), LOW_BYTES as usize), (GuestAddress(HIGH), 1 << 20)];
    RootComplex::new(config, GuestMemoryMmap::from_ranges(&regions).unwrap()).unwrap()
}

fn request(tag: u8, address: u64, bytes: u64) -> MemoryRequest {
    let (enables, length) = ByteEnables::of(address, bytes);
    MemoryRequest { requester: DEVICE, tag, address: address & !3, length, enables }
}

fn read(tag: u8, address: u64, bytes: u64) -> Vec<u32> {
    Tlp::from(Kind::MemoryRead { request: request(tag, address, bytes), locked: false }).encode()
}

fn write(address: u64, data: &[u8]) -> Vec<u32> {
    let request = request(0, address, data.len() as u64);
    let offset = (address % 4) as usize;
    let mut bytes = vec![0xcc; 4 * usize::from(request.length)];
    bytes[offset..offset + data.len()].copy_from_slice(data);
    let payload = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    Tlp::from(Kind::MemoryWrite { request, payload }).encode()
}

fn message(code: u8) -> Vec<u32> {
    let message = Message { requester: DEVICE, tag: 0, routing: Routing::Local, code, fields: [0; 2], payload: vec![] };
    Tlp::from(Kind::Message(message)).encode()
}

/// Runs until nothing is left and returns what goes to the device, with the cycle.
fn drain(root: &mut RootComplex) -> Vec<(u64, Tlp)> {
    while let Some(next) = root.next_event() {
        root.advance(next);
    }
    let packets = std::iter::from_fn(|| root.next_to_device());
    packets.map(|packet| (packet.not_before, Tlp::decode(&packet.dwords).unwrap())).collect()
}

fn completion(tlp: &Tlp) -> &Completion {
    match &tlp.kind {
        Kind::Completion(completion) => completion,
        other => panic!("a completion was expected, not {other:?}"),
    }
}

/// Puts the completions of a read together as a device does, checking the rules on the way.
fn assemble(packets: &[(u64, Tlp)], tag: u8, address: u64, bytes: u64, config: &LinkConfig) -> Vec<u8> {
    let mut data = Vec::new();
    for (_, tlp) in packets {
        let part = completion(tlp);
        if part.tag != tag {
            continue;
        }
        assert_eq!(part.status, CompletionStatus::Successful);
        assert_eq!(part.requester, DEVICE);
        // Behind the last byte there may be no address.
        let from = address.wrapping_add(data.len() as u64);
        assert_eq!(u64::from(part.lower_address), from & 0x7f);
        let left = bytes - data.len() as u64;
        assert_eq!(u64::from(part.byte_count), left);
        assert!(4 * part.payload.len() <= usize::from(config.max_payload));
        let offset = (from % 4) as usize;
        let payload: Vec<u8> = part.payload.iter().flat_map(|word| word.to_le_bytes()).collect();
        let count = (payload.len() - offset).min(left as usize);
        data.extend_from_slice(&payload[offset..offset + count]);
        if (data.len() as u64) < bytes {
            let end = address + data.len() as u64;
            assert_eq!(end % u64::from(config.read_completion_boundary), 0, "cut at {end:#x}");
        }
    }
    assert_eq!(data.len() as u64, bytes);
    data
}

fn pattern(address: u64, bytes: u64) -> Vec<u8> {
    (address..address + bytes).map(|a| (a ^ a >> 8).wrapping_mul(37) as u8).collect()
}

fn cuts() -> impl Strategy<Value = CompletionCut> {
    prop_oneof![Just(CompletionCut::Boundary), Just(CompletionCut::MaxPayload), Just(CompletionCut::Random)]
}

proptest! {
    #[test]
    fn reads_bring_memory_in_legal_completions(
        cut in cuts(), seed in any::<u64>(), rcb in prop_oneof![Just(64_u16), Just(128)],
        mps in prop_oneof![Just(128_u16), Just(256), Just(512)],
        reads in proptest::collection::vec((any::<bool>(), 0..64_u64, 0..4096_u64, 1..=512_u64), 1..32),
    ) {
        let config = LinkConfig {
            completion_cut: cut, read_completion_boundary: rcb, max_payload: mps, seed, ..LinkConfig::default()
        };
        let mut root = root(config.clone());
        let reads: Vec<(u64, u64)> = reads
            .into_iter()
            .map(|(high, page, offset, bytes)| {
                // The span in double words is within the page and within MRRS.
                let bytes = bytes.min(4096 - offset).min(512 - offset % 4);
                (u64::from(high) * HIGH + page * 4096 + offset, bytes)
            })
            .collect();
        for (address, bytes) in &reads {
            root.memory().write_slice(&pattern(*address, *bytes), GuestAddress(*address)).unwrap();
        }
        for (tag, (address, bytes)) in reads.iter().enumerate() {
            root.device_sent(tag as u64, &read(tag as u8, *address, *bytes));
        }
        let packets = drain(&mut root);
        prop_assert!(root.violations().is_empty(), "{:?}", root.violations());
        for (tag, (address, bytes)) in reads.iter().enumerate() {
            let found = assemble(&packets, tag as u8, *address, *bytes, &config);
            prop_assert_eq!(found, pattern(*address, *bytes));
        }
        prop_assert!(root.is_idle());
    }

    #[test]
    fn writes_change_exactly_their_bytes(address in 4096..8192_u64, bytes in 1..=256_u64, high in any::<bool>()) {
        let bytes = bytes.min(8192 - address).min(256 - address % 4);
        let base = u64::from(high) * HIGH;
        let mut root = root(LinkConfig::default());
        root.memory().write_slice(&[0x55; 12288], GuestAddress(base)).unwrap();
        let data = pattern(address, bytes);
        root.device_sent(10, &write(base + address, &data));
        drain(&mut root);
        let mut expected = vec![0x55; 12288];
        expected[address as usize..(address + bytes) as usize].copy_from_slice(&data);
        let mut found = vec![0; 12288];
        root.memory().read_slice(&mut found, GuestAddress(base)).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert!(root.violations().is_empty());
    }
}

#[test]
fn read_latency_is_547_ns_in_the_median_with_a_tail_to_950() {
    let mut root = root(LinkConfig::default());
    let mut latencies = Vec::new();
    for n in 0..2000 {
        let at = n * 1000;
        root.advance(at);
        root.device_sent(at, &read(0, 0x1000, 64));
        let packets = drain(&mut root);
        latencies.push((packets[0].0 - at) * 8);
    }
    latencies.sort_unstable();
    assert!((540..=560).contains(&latencies[1000]), "median {}", latencies[1000]);
    assert!(latencies[0] >= 520, "least {}", latencies[0]);
    assert!(latencies[1900] <= 600, "95 of 100 within {}", latencies[1900]);
    let most = latencies[1999];
    assert!((800..=960).contains(&most), "most {most}");
}

#[test]
fn posted_write_is_in_memory_after_250_ns_and_not_before() {
    let mut root = root(LinkConfig::default());
    root.device_sent(100, &write(0x2000, &[1, 2, 3, 4]));
    let value = |root: &RootComplex| root.memory().read_obj::<u32>(GuestAddress(0x2000)).unwrap();
    root.advance(100 + 31);
    assert_eq!(value(&root), 0);
    root.advance(100 + 32);
    assert_eq!(value(&root), 0x0403_0201);
}

#[test]
fn read_behind_a_write_sees_it_in_every_seed() {
    for seed in 0..200 {
        let mut root = root(LinkConfig { seed, ..LinkConfig::default() });
        root.device_sent(5, &write(0x3000, &[9; 64]));
        root.device_sent(6, &read(1, 0x3000, 64));
        let packets = drain(&mut root);
        assert_eq!(completion(&packets[0].1).payload, [0x0909_0909; 16], "seed {seed}");
    }
}

#[test]
fn reads_pass_reads_unless_reordering_is_off() {
    let order = |reorder, seed| -> Vec<u8> {
        let mut root = root(LinkConfig { reorder, seed, ..LinkConfig::default() });
        (0..16).for_each(|tag| root.device_sent(tag.into(), &read(tag, 0x1000, 4)));
        drain(&mut root).iter().map(|(_, tlp)| completion(tlp).tag).collect()
    };
    let sent: Vec<u8> = (0..16).collect();
    assert!((0..20).any(|seed| order(true, seed) != sent));
    assert!((0..20).all(|seed| order(false, seed) == sent));
}

#[test]
fn reads_look_at_memory_at_different_times() {
    // The host writes while reads are being served: a later read can bring the older value.
    let mut passed = false;
    for seed in 0..400 {
        let mut root = root(LinkConfig { seed, ..LinkConfig::default() });
        root.device_sent(10, &read(0, 0x1000, 4));
        root.device_sent(10, &read(1, 0x1000, 4));
        root.advance(10 + 37);
        root.memory().write_obj(1_u32, GuestAddress(0x1000)).unwrap();
        let packets = drain(&mut root);
        let value =
            |tag| packets.iter().find(|(_, tlp)| completion(tlp).tag == tag).map(|p| completion(&p.1).payload[0]);
        passed |= value(0) == Some(1) && value(1) == Some(0);
    }
    assert!(passed);
}

#[test]
fn completion_does_not_pass_a_write_of_the_host() {
    for seed in 0..100 {
        let mut root = root(LinkConfig { seed, ..LinkConfig::default() });
        root.device_sent(0, &read(0, 0x1000, 4));
        root.advance(33);
        // What the host writes to memory before its write to the device is seen by no read that is answered later.
        root.submit(33, HostRequest::MemoryWrite { address: 0x8000_0000, data: vec![1; 4] }).unwrap();
        let packets = drain(&mut root);
        assert_eq!(packets.len(), 2);
        assert!(packets[0].0 <= packets[1].0);
        assert!(matches!(packets[0].1.kind, Kind::MemoryWrite { .. }), "seed {seed}");
    }
}

#[test]
fn link_carries_no_more_than_its_rate() {
    for (speed, clock_hz) in
        [(LinkSpeed::Gen2X4, 125_000_000), (LinkSpeed::Gen3X4, 250_000_000), (LinkSpeed::Gen3X8, 250_000_000)]
    {
        let mut root =
            root(LinkConfig { speed, clock_hz, completion_cut: CompletionCut::Boundary, ..LinkConfig::default() });
        for n in 0..512_u64 {
            root.device_sent(n, &read(n as u8, 512 * n % LOW_BYTES, 512));
        }
        let packets = drain(&mut root);
        assert_eq!(packets.len(), 512 * 8);
        let cycles = (packets.last().unwrap().0 - packets[0].0) as f64;
        let bytes = (packets.len() - 1) as f64 * (64.0 + 12.0 + 8.0);
        let gigabits = bytes * 8.0 * clock_hz as f64 / cycles / 1e9;
        let share = gigabits / speed.gigabits();
        assert!((0.98..1.01).contains(&share), "{speed:?}: {gigabits} Gb/s");
    }
}

#[test]
fn credits_come_back_and_gate_the_reads() {
    let credits = Credits { nonposted_headers: 8, posted_headers: 8, posted_data: 32, ..Credits::default() };
    let mut root = root(LinkConfig { credits, ..LinkConfig::default() });
    assert!(root.nonposted_ready(0, 7));
    for tag in 0..8 {
        root.device_sent(1, &read(tag, 0x1000, 4));
    }
    assert!(!root.nonposted_ready(1, 0));
    assert_eq!(root.transmit_credits(60).nonposted_headers, 0, "not before a round trip");
    assert_eq!(root.transmit_credits(1000).nonposted_headers, 8);
    root.device_sent(1001, &write(0x2000, &[0; 256]));
    root.device_sent(1002, &write(0x2000, &[0; 20]));
    let left = root.transmit_credits(1002);
    assert_eq!((left.posted_headers, left.posted_data), (6, 14));
    assert!(root.violations().is_empty());
    root.device_sent(1003, &write(0x2000, &[0; 256]));
    assert_eq!(root.violations(), [(1003, Violation::Credit)]);
    drain(&mut root);
    let left = root.transmit_credits(2000);
    assert_eq!((left.posted_headers, left.posted_data), (8, 32));
}

#[test]
fn same_seed_same_run_and_another_seed_another() {
    let run = |seed| {
        let errors = ErrorRates { unsupported: 0.1, aborted: 0.1, poisoned: 0.1, lost: 0.1 };
        let completion_cut = CompletionCut::Random;
        let mut root = root(LinkConfig { seed, errors, completion_cut, ..LinkConfig::default() });
        for n in 0..100_u64 {
            root.device_sent(3 * n, &read(n as u8, 0x1000 + 512 * n, 512));
        }
        drain(&mut root)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn ordered_fault_strikes_once_and_only_its_addresses() {
    for fault in [Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost, Fault::Late(10_000)] {
        let mut root = root(LinkConfig::default());
        root.inject(0x5000..0x5010, fault);
        root.device_sent(0, &read(0, 0x4000, 64));
        root.device_sent(0, &read(1, 0x5008, 64));
        root.device_sent(0, &read(2, 0x5008, 64));
        let packets = drain(&mut root);
        assert_eq!(root.pending_faults(), 0);
        assert_eq!(root.statistics().faults, 1);
        let find = |tag| packets.iter().find(|(_, tlp)| completion(tlp).tag == tag);
        for tag in [0, 2] {
            let (_, tlp) = find(tag).unwrap();
            assert_eq!((completion(tlp).status, tlp.header.poisoned), (CompletionStatus::Successful, false));
        }
        let struck = find(1);
        let status = struck.map(|(_, tlp)| completion(tlp).status);
        match fault {
            Fault::Unsupported => assert_eq!(status, Some(CompletionStatus::UnsupportedRequest)),
            Fault::Aborted => assert_eq!(status, Some(CompletionStatus::CompleterAbort)),
            Fault::Poisoned => assert!(struck.unwrap().1.header.poisoned),
            Fault::Lost => assert!(struck.is_none()),
            Fault::Late(_) => assert!(struck.unwrap().0 > 1250),
        }
    }
}

#[test]
fn faults_by_chance_come_at_their_rates() {
    let errors = ErrorRates { unsupported: 0.1, aborted: 0.05, poisoned: 0.2, lost: 0.15 };
    let mut root = root(LinkConfig { errors, ..LinkConfig::default() });
    let (mut unsupported, mut aborted, mut poisoned, mut lost) = (0, 0, 0, 0);
    for n in 0..2000 {
        root.device_sent(n * 200, &read(0, 0x1000, 16));
        match drain(&mut root).first() {
            None => lost += 1,
            Some((_, tlp)) if tlp.header.poisoned => poisoned += 1,
            Some((_, tlp)) => match completion(tlp).status {
                CompletionStatus::UnsupportedRequest => unsupported += 1,
                CompletionStatus::CompleterAbort => aborted += 1,
                _ => {}
            },
        }
    }
    assert!((150..250).contains(&unsupported), "{unsupported}");
    assert!((60..140).contains(&aborted), "{aborted}");
    assert!((330..470).contains(&poisoned), "{poisoned}");
    assert!((240..360).contains(&lost), "{lost}");
}

#[test]
fn accesses_outside_memory_are_unsupported_or_dropped() {
    let mut root = root(LinkConfig::default());
    root.device_sent(0, &read(0, LOW_BYTES, 4));
    root.device_sent(0, &read(1, LOW_BYTES - 4, 4));
    root.device_sent(0, &write(LOW_BYTES, &[1; 4]));
    let packets = drain(&mut root);
    let status = |tag| packets.iter().find(|p| completion(&p.1).tag == tag).map(|p| completion(&p.1).status);
    assert_eq!(status(0), Some(CompletionStatus::UnsupportedRequest));
    assert_eq!(status(1), Some(CompletionStatus::Successful));
    let statistics = root.statistics();
    assert_eq!((statistics.outside_reads, statistics.dropped_writes), (1, 1));
}

/// What an RTL sends may lie anywhere, the last bytes of the address space included.
#[test]
fn accesses_that_end_at_the_last_address_are_carried_out_or_refused() {
    for cut in [CompletionCut::Boundary, CompletionCut::MaxPayload, CompletionCut::Random] {
        let mut root = root(LinkConfig { completion_cut: cut, ..LinkConfig::default() });
        root.inject(0..u64::MAX, Fault::Aborted);
        for (tag, bytes) in [1, 2, 4, 5, 64, 512].into_iter().enumerate() {
            let last = u64::MAX - (bytes - 1);
            root.device_sent(0, &read(tag as u8, last, bytes));
            root.device_sent(0, &write(last, &vec![1; bytes.min(256) as usize]));
        }
        let packets = drain(&mut root);
        let unsupported = |packet: &(u64, Tlp)| completion(&packet.1).status == CompletionStatus::UnsupportedRequest;
        assert_eq!((packets.len(), packets.iter().all(unsupported)), (6, true));
        assert_eq!(root.statistics().outside_reads, 6);
        assert!(root.violations().is_empty(), "{:?}", root.violations());
    }
}

proptest! {
    /// The bridge's answers: whole, cut at multiples of the payload, wherever the read lies.
    #[test]
    fn answers_are_whole_up_to_the_last_address(
        place in prop_oneof![Just(u64::MAX), Just(4096_u64), any::<u64>()], bytes in 1..=4096_u64,
        max_payload in prop_oneof![Just(128_u16), Just(256)],
    ) {
        // The span ends at `place` and is within its page.
        let bytes = bytes.min(place % 4096 + 1);
        let address = place - (bytes - 1);
        let data: Vec<u8> = (0..bytes).map(|index| (index * 7) as u8).collect();
        let config = LinkConfig { max_payload, ..LinkConfig::default() };
        let answer = answer(Header::default(), &request(3, address, bytes), RootComplex::ID, Some(&data), max_payload);
        let packets: Vec<_> = answer.into_iter().map(|tlp| (0, tlp)).collect();
        prop_assert!(packets.iter().all(|(_, tlp)| tlp.check().is_ok()));
        prop_assert!(assemble(&packets, 3, address, bytes, &config) == data);
    }
}

proptest! {
    /// Double words that look like packets, with addresses, lengths and byte enables of every kind: nothing panics.
    #[test]
    fn whatever_the_device_sends_is_served_or_recorded(
        packets in proptest::collection::vec(
            (any::<u8>(), any::<u32>(), any::<u32>(), prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
             prop_oneof![Just(0xffff_fffc), Just(0xffff_f000), any::<u32>()], 0..8_usize),
            1..40,
        ),
        cut in cuts(), seed in any::<u64>(),
    ) {
        let mut root = root(LinkConfig { completion_cut: cut, seed, ..LinkConfig::default() });
        root.inject(0..u64::MAX, Fault::Late(u64::MAX));
        for (at, (kind, first, second, third, fourth, payload)) in packets.into_iter().enumerate() {
            // The length field says what follows in most of them.
            let first = u32::from(kind) << 24 | first & 0x00ff_f000 & !(1 << 15) | payload as u32;
            let mut dwords = vec![first, second, third, fourth];
            dwords.resize(3 + usize::from(kind >> 5 & 1) + if kind >> 6 & 1 == 1 { payload } else { 0 }, 0);
            root.device_sent(at as u64, &dwords);
            root.send(at as u64, dwords);
        }
        for _ in 0..1000 {
            let Some(next) = root.next_event() else { break };
            root.advance(next);
        }
    }
}

#[test]
fn a_device_that_breaks_a_rule_for_ever_fills_no_memory() {
    let mut root = root(LinkConfig::default());
    for at in 0..5000 {
        root.device_sent(at, &[0xffff_ffff]);
    }
    assert_eq!((root.violations().len(), root.statistics().violations), (1000, 5000));
}

#[test]
fn every_access_is_shown_to_the_watcher() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let mut root = root(LinkConfig::default());
    root.watch(move |access| {
        log.lock().unwrap().push(match *access {
            DeviceAccess::Read { address, bytes, .. } => ('r', address, bytes, vec![]),
            DeviceAccess::Write { address, data, .. } => ('w', address, data.len() as u64, data.to_vec()),
        });
    });
    root.device_sent(0, &write(0x1001, &[7, 8]));
    root.device_sent(1, &write(0xfee0_0000, &[1; 4]));
    root.device_sent(100, &read(0, 0x2002, 5));
    drain(&mut root);
    assert_eq!(*seen.lock().unwrap(), [('w', 0x1001, 2, vec![7, 8]), ('r', 0x2002, 5, vec![])]);
}

#[test]
fn interrupts_come_behind_the_writes_before_them() {
    let mut root = root(LinkConfig::default());
    root.device_sent(0, &write(0x1000, &[0xaa; 256]));
    root.device_sent(1, &write(0xfee0_1000, &[0x31, 0, 0, 0]));
    root.device_sent(2, &message(ASSERT_INTA));
    root.device_sent(3, &message(DEASSERT_INTA));
    assert!(root.advance(1000), "an interrupt is for the host to see");
    let at = root.now();
    assert!(at < 1000);
    assert_eq!(root.take_interrupt(), Some(Interrupt::Message { at, address: 0xfee0_1000, data: 0x31 }));
    assert_eq!(root.memory().read_obj::<u8>(GuestAddress(0x10ff)).unwrap(), 0xaa);
    assert!(root.advance(1000));
    assert!(root.intx());
    assert!(matches!(root.take_interrupt(), Some(Interrupt::Line { asserted: true, .. })));
    assert!(root.advance(1000));
    assert!(!root.intx());
    assert!(!root.advance(1000));
    assert_eq!(root.now(), 1000);
}

/// Answers the request of the host that is on its way as the device would.
fn complete(root: &mut RootComplex, at: u64, status: CompletionStatus, data: Option<u32>) {
    let packet = root.next_to_device().unwrap();
    let (requester, tag) = ((packet.dwords[1] >> 16) as u16, (packet.dwords[1] >> 8) as u8);
    let completion = Completion {
        completer: DEVICE,
        requester: FunctionId(requester),
        tag,
        status,
        byte_count: 4,
        lower_address: 0,
        payload: data.into_iter().collect(),
        locked: false,
    };
    root.device_sent(at, &Tlp::from(Kind::Completion(completion)).encode());
}

#[test]
fn host_reads_and_writes_get_their_completions() {
    let mut root = root(LinkConfig::default());
    let id = root.submit(0, HostRequest::ConfigRead { target: DEVICE, offset: 2, bytes: 2 }).unwrap();
    complete(&mut root, 40, CompletionStatus::Successful, Some(0x1001_1af4));
    assert!(root.advance(1000));
    let done = root.completed(id).unwrap();
    assert_eq!((done.at, done.status, done.data), (72, Some(CompletionStatus::Successful), vec![0x01, 0x10]));
    assert_eq!(root.completed(id), None);

    let id = root.submit(100, HostRequest::IoWrite { port: 0xc012, data: vec![1] }).unwrap();
    complete(&mut root, 140, CompletionStatus::Successful, None);
    assert!(root.advance(1000));
    assert!(root.completed(id).unwrap().data.is_empty());

    let id = root.submit(200, HostRequest::IoRead { port: 0xd000, bytes: 4 }).unwrap();
    complete(&mut root, 240, CompletionStatus::UnsupportedRequest, None);
    assert!(root.advance(1000));
    assert_eq!(root.completed(id).unwrap().status, Some(CompletionStatus::UnsupportedRequest));
    assert!(root.is_idle());
    assert!(root.violations().is_empty());
}

#[test]
fn host_gives_up_on_a_device_that_does_not_answer() {
    let mut root = root(LinkConfig::default());
    let id = root.submit(0, HostRequest::IoRead { port: 0xd000, bytes: 1 }).unwrap();
    assert!(root.advance(1_000_000));
    assert_eq!(root.now(), 6250);
    assert_eq!(root.completed(id).unwrap().status, None);
    complete(&mut root, 7000, CompletionStatus::Successful, Some(1));
    root.advance(8000);
    assert!(matches!(root.violations(), [(_, Violation::UnexpectedCompletion { .. })]));
}

#[test]
fn requests_that_no_packet_can_carry_are_refused() {
    let mut root = root(LinkConfig::default());
    let range = |result| matches!(result, Err(HostRequestError::Range { .. }));
    assert!(range(root.submit(0, HostRequest::IoRead { port: 0xc003, bytes: 2 })));
    assert!(range(root.submit(0, HostRequest::MemoryRead { address: 0xffe, bytes: 4 })));
    assert!(range(root.submit(0, HostRequest::MemoryWrite { address: 0, data: vec![] })));
    let large = root.submit(0, HostRequest::MemoryWrite { address: 0, data: vec![0; 257] });
    assert!(matches!(large, Err(HostRequestError::Payload { bytes: 257, max_payload: 256 })));
}

#[test]
fn nothing_arrives_sooner_than_the_least_latency() {
    for seed in 0..50 {
        let mut root = root(LinkConfig { seed, ..LinkConfig::default() });
        let least = root.min_latency_cycles();
        assert_eq!(least, 31);
        root.advance(1000);
        root.device_sent(1000 + least, &read(0, 0x1000, 4));
        root.submit(1000, HostRequest::MemoryWrite { address: 0x8000_0000, data: vec![1; 4] }).unwrap();
        assert!(drain(&mut root).iter().all(|(at, _)| *at >= 1000 + least));
    }
}

#[test]
fn broken_rules_are_recorded() {
    let mut root = root(LinkConfig { max_read_request: 256, max_payload: 128, ..LinkConfig::default() });
    root.device_sent(0, &[0x0000_0001, 0x0100_00ff, 0x1000]);
    root.device_sent(1, &read(0, 0x1000, 260));
    root.device_sent(2, &write(0x1000, &[0; 132]));
    root.device_sent(3, &read(0, 0x1000, 4));
    root.device_sent(
        4,
        &Tlp::from(Kind::IoRead(IoRequest { requester: DEVICE, tag: 0, address: 0, enables: 1 })).encode(),
    );
    drain(&mut root);
    let found: Vec<_> =
        root.violations().iter().map(|(at, violation)| (*at, std::mem::discriminant(violation))).collect();
    let expected = [
        (0, Violation::Malformed(TlpError::ByteCount(0))),
        (1, Violation::ReadRequest(260)),
        (2, Violation::Payload(132)),
        (3, Violation::TagInUse(0)),
        (
            4,
            Violation::Unexpected(Box::new(
                Kind::ConfigRead(ConfigRequest {
                    requester: DEVICE,
                    tag: 0,
                    target: DEVICE,
                    register: 0,
                    enables: 1,
                    forwarded: false,
                })
                .into(),
            )),
        ),
    ];
    assert_eq!(found, expected.map(|(at, violation)| (at, std::mem::discriminant(&violation))));
}

#[test]
fn impossible_links_are_refused() {
    let memory = || GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
    let refused = |config: LinkConfig| RootComplex::new(config, memory()).err().map(|error| error.to_string());
    let message = refused(LinkConfig { max_payload: 200, ..LinkConfig::default() }).unwrap();
    assert_eq!(message, "max_payload is 200: a power of two from 128 to 4096 is allowed");
    assert!(refused(LinkConfig { clock_hz: 0, ..LinkConfig::default() }).is_some());
    assert!(refused(LinkConfig { one_way_ns: 8, ..LinkConfig::default() }).is_some());
    assert!(refused(LinkConfig { errors: ErrorRates { lost: 1.5, ..ErrorRates::default() }, ..LinkConfig::default() })
        .is_some());
    assert!(refused(LinkConfig {
        credits: Credits { posted_data: 16, ..Credits::default() },
        ..LinkConfig::default()
    })
    .is_some());
    assert!(refused(LinkConfig::default()).is_none());
}
