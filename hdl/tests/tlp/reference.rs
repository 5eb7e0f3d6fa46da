//! What must come of packets, received or to be sent, with no regard to how the blocks do it.
use crate::packet::{dwords, kept};
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::{Port, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, Request, RequestKind, TlpBeat, TransmitBeat, TransmitKind};

/// What must come of a packet.
#[derive(Debug)]
pub enum Outcome {
    Request(Request),
    Completion(Vec<CompletionBeat>),
    Message,
    /// Nothing but the count.
    Dropped,
    /// A completion of this payload length that was on its way when it proved to be malformed.
    CutCompletion(usize),
}

/// Reads a packet with no regard to how the block does it.
pub fn interpret(packet: &[TlpBeat]) -> Outcome {
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
pub fn bar_hit(packet: &[TlpBeat]) -> Bits<2> {
    packet[0].data.get_bits::<2>(45)
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

/// What the packets of a test came to.
#[derive(Debug, Default)]
pub struct Counts {
    pub malformed: usize,
    pub messages: usize,
    /// Those that are PME_Turn_Off.
    pub turn_offs: usize,
    /// Malformed packets that were on their way as completions.
    pub cut: usize,
    /// Completions with UR, with CA, poisoned.
    pub errors: [usize; 3],
}

/// Compares all that came out with the packets that went in.
pub fn compare(packets: &[Vec<TlpBeat>], requests: &[Request], completions: &[CompletionBeat]) -> Counts {
    let (mut requests, mut completions) = (requests.iter(), completions.iter());
    let mut counts = Counts::default();
    for (n, packet) in packets.iter().enumerate() {
        let outcome = interpret(packet);
        if matches!(outcome, Outcome::Completion(_) | Outcome::CutCompletion(_)) {
            let header = packet[0].data.to_u128();
            let header: Vec<u32> = (0..3).map(|lane| (header >> (32 * lane)) as u32).collect();
            counts.errors[0] += usize::from(STATUS.get(&header) == STATUS_UNSUPPORTED_REQUEST);
            counts.errors[1] += usize::from(STATUS.get(&header) == STATUS_COMPLETER_ABORT);
            counts.errors[2] += usize::from(EP.get(&header) == 1);
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
            Outcome::Message => {
                counts.messages += 1;
                let code = MESSAGE_CODE.get(&[0, (packet[0].data.to_u128() >> 32) as u32]);
                counts.turn_offs += usize::from(code == MESSAGE_PME_TURN_OFF);
            }
            Outcome::Dropped => counts.malformed += 1,
            Outcome::CutCompletion(payload) => {
                counts.malformed += 1;
                counts.cut += 1;
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
    counts
}

/// A packet to send, as the senders make it: header fields the same in all beats, anything in unused lanes.
pub fn packet_to_send(kind: TransmitKind, length: usize, rng: &mut Rng) -> Vec<TransmitBeat> {
    let mut beat = TransmitBeat { kind, length: (length as u64).into(), ..Port::random(rng) };
    if rng.chance(1, 2) {
        beat.address = (beat.address.to_u64() & 0xffff_ffff).into();
    }
    beat.above_4g = beat.address.to_u64() >> 32 != 0;
    let count = match kind {
        TransmitKind::MemoryWrite | TransmitKind::CompletionData => length.div_ceil(4),
        _ => 1,
    };
    (0..count).map(|n| TransmitBeat { data: Port::random(rng), last: n + 1 == count, ..beat }).collect()
}

pub fn any_packet_to_send(rng: &mut Rng) -> Vec<TransmitBeat> {
    let longest = [2, 64, 9, 9][rng.below(4) as usize];
    let length = 1 + rng.below(longest) as usize;
    match rng.below(6) {
        0 => packet_to_send(TransmitKind::MemoryRead, length, rng),
        1 => packet_to_send(TransmitKind::Message, 0, rng),
        2 => packet_to_send(TransmitKind::Completion, 0, rng),
        3 => packet_to_send(TransmitKind::CompletionData, 1 + length % 4, rng),
        _ => packet_to_send(TransmitKind::MemoryWrite, length, rng),
    }
}

/// The double words of a packet.
pub fn wire(packet: &[TransmitBeat], function_id: u32) -> Vec<u32> {
    let beat = &packet[0];
    let address = beat.address.to_u64();
    let length = beat.length.to_u64() as usize;
    let memory = matches!(beat.kind, TransmitKind::MemoryRead | TransmitKind::MemoryWrite);
    let has_data = matches!(beat.kind, TransmitKind::MemoryWrite | TransmitKind::CompletionData);
    let four = beat.kind == TransmitKind::Message || (memory && address >> 32 != 0);
    let mut header = vec![0u32; if four { 4 } else { 3 }];
    FMT.set(&mut header, u32::from(four) | u32::from(has_data) << 1);
    REQUESTER_ID.set(&mut header, function_id);
    if memory {
        TYPE.set(&mut header, TYPE_MEMORY);
        LENGTH.set(&mut header, length as u32);
        TAG.set(&mut header, beat.tag.to_u64() as u32);
        FIRST_BE.set(&mut header, beat.first_be.to_u64() as u32);
        LAST_BE.set(&mut header, beat.last_be.to_u64() as u32);
        *header.last_mut().unwrap() = address as u32 & !3;
        if four {
            header[2] = (address >> 32) as u32;
        }
    } else if beat.kind == TransmitKind::Message {
        // codes 0x20 to 0x2f are INTx, 0x30 to 0x3f errors; of the others PME_TO_Ack is the only one that is sent
        let route = match beat.message_code.to_u64() >> 4 & 3 {
            2 => ROUTE_LOCAL,
            3 => ROUTE_ROOT_COMPLEX,
            _ => ROUTE_GATHERED,
        };
        TYPE.set(&mut header, TYPE_MESSAGE | route);
        TAG.set(&mut header, beat.tag.to_u64() as u32);
        MESSAGE_CODE.set(&mut header, beat.message_code.to_u64() as u32);
    } else {
        TYPE.set(&mut header, TYPE_COMPLETION);
        if has_data {
            LENGTH.set(&mut header, length as u32);
        }
        TRAFFIC_CLASS.set(&mut header, beat.traffic_class.to_u64() as u32);
        ATTRIBUTES.set(&mut header, beat.attributes.to_u64() as u32);
        STATUS.set(&mut header, beat.status.to_u64() as u32);
        BYTE_COUNT.set(&mut header, beat.byte_count.to_u64() as u32);
        COMPLETION_REQUESTER_ID.set(&mut header, beat.requester_id.to_u64() as u32);
        COMPLETION_TAG.set(&mut header, beat.tag.to_u64() as u32);
        LOWER_ADDRESS.set(&mut header, beat.lower_address.to_u64() as u32);
    }
    if has_data {
        let payload = packet.iter().flat_map(|beat| {
            let data = beat.data.to_u128();
            (0..4).map(move |lane| (data >> (32 * lane)) as u32)
        });
        header.extend(payload.take(length));
    }
    header
}
