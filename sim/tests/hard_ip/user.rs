//! The other end of the block's streams, as the product guides describe it: what an endpoint makes of beats, and the
//! beats that it sends.
use virtio_hdl::link::hard_ip::Beat;
use virtio_hdl::link::tlp::*;

fn bits(value: u128, low: u32, count: u32) -> u32 {
    ((value >> low) & ((1 << count) - 1)) as u32
}

fn number(words: &[u32]) -> u128 {
    words.iter().enumerate().fold(0, |value, (index, word)| value | u128::from(*word) << (32 * index))
}

fn attributes(value: u128, low: u32) -> Attributes {
    Attributes {
        no_snoop: bits(value, low, 1) == 1,
        relaxed_ordering: bits(value, low + 1, 1) == 1,
        id_ordering: bits(value, low + 2, 1) == 1,
    }
}

fn attribute_bits(attributes: Attributes) -> u128 {
    u128::from(attributes.no_snoop)
        | u128::from(attributes.relaxed_ordering) << 1
        | u128::from(attributes.id_ordering) << 2
}

/// Full beats, and a last one whose `tkeep` has a bit per double word.
pub fn cut(packet: &[u32], double_words: usize) -> Vec<Beat> {
    let count = packet.len().div_ceil(double_words);
    let beat = |(index, chunk): (usize, &[u32])| {
        let mut beat = Beat { keep: (1 << chunk.len()) - 1, last: index + 1 == count, ..Beat::default() };
        beat.data[..chunk.len()].copy_from_slice(chunk);
        beat
    };
    packet.chunks(double_words).enumerate().map(beat).collect()
}

fn join(beats: &[Beat]) -> Vec<u32> {
    assert!(beats.iter().rev().skip(1).all(|beat| !beat.last) && beats.last().unwrap().last);
    beats.iter().flat_map(|beat| beat.data[..beat.keep.trailing_ones() as usize].to_vec()).collect()
}

/// What a request on CQ says: the packet, the BAR, its aperture, and whether each payload byte is enabled.
pub fn completer_request(beats: &[Beat]) -> (Tlp, u32, u32, Vec<bool>) {
    let packet = join(beats);
    let fields = number(&packet[..4]);
    let payload = packet[4..].to_vec();
    let user = beats[0].user;
    assert_eq!(bits(user, 40, 1), 1, "sop");
    assert!(beats[1..].iter().all(|beat| bits(beat.user, 40, 2) == 0), "sop in the middle, or discontinue");
    let enables = ByteEnables { first: bits(user, 0, 4) as u8, last: bits(user, 4, 4) as u8 };
    let (requester, tag) = (FunctionId(bits(fields, 80, 16) as u16), bits(fields, 96, 8) as u8);
    let (address, length) = (fields as u64, bits(fields, 64, 11) as u16);
    let memory = || MemoryRequest { requester, tag, address, length, enables };
    let io = || IoRequest { requester, tag, address: address as u32, enables: enables.first };
    let kind = match bits(fields, 75, 4) {
        0 => Kind::MemoryRead { request: memory(), locked: false },
        1 => Kind::MemoryWrite { request: memory(), payload: payload.clone() },
        2 => Kind::IoRead(io()),
        3 => Kind::IoWrite(io(), payload[0]),
        7 => Kind::MemoryRead { request: memory(), locked: true },
        other => panic!("request type {other}"),
    };
    let traffic_class = bits(fields, 121, 3) as u8;
    let header = Header { traffic_class, attributes: attributes(fields, 124), ..Header::default() };
    let double_words = beats[0].keep.trailing_ones() as usize;
    let enabled = beats
        .iter()
        .flat_map(|beat| (0..4 * beat.keep.trailing_ones()).map(|byte| bits(beat.user, 8 + byte, 1) == 1))
        .skip(16)
        .collect();
    assert!(double_words >= 4);
    (Tlp { header, kind }, bits(fields, 112, 3), bits(fields, 115, 6), enabled)
}

/// The beats of a completion on CC; `info` follows the descriptor of one with an error.
pub fn completer_completion(tlp: &Tlp, info: &[u32], double_words: usize) -> Vec<Beat> {
    let Kind::Completion(completion) = &tlp.kind else { panic!("a completion is needed") };
    let fields = u128::from(completion.lower_address)
        | u128::from(completion.byte_count) << 16
        | u128::from(completion.locked) << 29
        | (completion.payload.len() as u128) << 32
        | u128::from(completion.status.code()) << 43
        | u128::from(tlp.header.poisoned) << 46
        | u128::from(completion.requester.0) << 48
        | u128::from(completion.tag) << 64
        | u128::from(tlp.header.traffic_class) << 89
        | attribute_bits(tlp.header.attributes) << 92;
    let mut packet: Vec<u32> = (0..3).map(|word| (fields >> (32 * word)) as u32).collect();
    packet.extend(&completion.payload);
    packet.extend(info);
    cut(&packet, double_words)
}

/// The beats of a memory request on RQ.
pub fn requester_request(tlp: &Tlp, number: u8, double_words: usize) -> Vec<Beat> {
    let (request, kind) = match &tlp.kind {
        Kind::MemoryRead { request, .. } => (request, 0),
        Kind::MemoryWrite { request, .. } => (request, 1),
        other => panic!("{other:?}"),
    };
    let fields = u128::from(request.address)
        | u128::from(request.length) << 64
        | kind << 75
        | u128::from(request.tag) << 96
        | u128::from(tlp.header.traffic_class) << 121
        | attribute_bits(tlp.header.attributes) << 124;
    let mut packet: Vec<u32> = (0..4).map(|word| (fields >> (32 * word)) as u32).collect();
    packet.extend(tlp.payload());
    let mut beats = cut(&packet, double_words);
    beats[0].user = u128::from(request.enables.first)
        | u128::from(request.enables.last) << 4
        | u128::from(number & 0xf) << 24
        | u128::from(number >> 4) << 60;
    beats
}

/// What a completion on RC says.
pub struct RequesterCompletion {
    pub tlp: Tlp,
    pub error: u32,
    pub completed: bool,
    pub address: u32,
    /// Whether each payload byte is valid.
    pub valid: Vec<bool>,
}

pub fn requester_completion(beats: &[Beat]) -> RequesterCompletion {
    let packet = join(beats);
    let fields = number(&packet[..3]);
    let length = bits(fields, 32, 11) as usize;
    assert_eq!(packet.len(), 3 + length);
    assert_eq!(bits(beats[0].user, 32, 1), 1, "start of packet");
    assert!(beats[1..].iter().all(|beat| bits(beat.user, 32, 1) == 0), "start in the middle");
    assert!(beats.iter().all(|beat| bits(beat.user, 42, 1) == 0), "discontinue");
    let address = bits(fields, 0, 12);
    let completion = Completion {
        completer: FunctionId(bits(fields, 72, 16) as u16),
        requester: FunctionId(bits(fields, 48, 16) as u16),
        tag: bits(fields, 64, 8) as u8,
        status: CompletionStatus::from_code(bits(fields, 43, 3) as u8).unwrap(),
        byte_count: bits(fields, 16, 13) as u16,
        lower_address: (address & 0x7f) as u8,
        payload: packet[3..].to_vec(),
        locked: bits(fields, 29, 1) == 1,
    };
    let header = Header {
        traffic_class: bits(fields, 89, 3) as u8,
        attributes: attributes(fields, 92),
        poisoned: bits(fields, 46, 1) == 1,
        digest: None,
    };
    let valid = beats
        .iter()
        .flat_map(|beat| (0..4 * beat.keep.trailing_ones()).map(|byte| bits(beat.user, byte, 1) == 1))
        .skip(12)
        .collect();
    let tlp = Tlp { header, kind: Kind::Completion(completion) };
    RequesterCompletion { tlp, error: bits(fields, 12, 4), completed: bits(fields, 30, 1) == 1, address, valid }
}

/// Payload double words are big-endian on the streams of 7-series.
fn turned(packet: &[u32]) -> Vec<u32> {
    let header = if packet[0] >> 29 & 1 == 1 { 4 } else { 3 };
    packet.iter().enumerate().map(|(at, word)| if at < header { *word } else { u32::from_be(word.to_le()) }).collect()
}

/// The beats of a packet on `s_axis_tx`, with a bit of `tkeep` per byte.
pub fn transmit(packet: &[u32], double_words: usize) -> Vec<Beat> {
    let mut beats = cut(&turned(packet), double_words);
    beats.iter_mut().for_each(|beat| beat.keep = (1 << (4 * beat.keep.trailing_ones())) - 1);
    beats
}

/// A packet on `m_axis_rx`: its double words, `rx_bar_hit` where it begins, and whether it is marked as poisoned.
pub type Received = (Vec<u32>, u32, bool);

/// The packets on `m_axis_rx`; at 128 bits they are found by `rx_is_sof` and `rx_is_eof` alone.
pub fn receive(beats: &[Beat], double_words: usize) -> Vec<Received> {
    let mut packets = Vec::new();
    let mut packet: Option<Received> = None;
    for beat in beats {
        let begin = |lane: usize| (lane, bits(beat.user, 2, 8), bits(beat.user, 1, 1) == 1);
        if double_words == 2 {
            let (_, hit, poisoned) = begin(0);
            let kept = match beat.keep {
                0x0f if beat.last => 1,
                0xff => 2,
                other => panic!("tkeep {other:#x}"),
            };
            let packet = packet.get_or_insert((Vec::new(), hit, poisoned));
            assert_eq!((packet.1, packet.2), (hit, poisoned), "constant over the packet");
            packet.0.extend(&beat.data[..kept]);
        } else {
            let (start, end) = (bits(beat.user, 10, 5), bits(beat.user, 17, 5));
            let end = (end & 0x10 != 0).then_some((end & 0xf) as usize);
            let start = (start & 0x10 != 0).then_some((start & 0xf) as usize);
            assert!(start.is_none_or(|start| start == 0 || start == 8), "sof {start:?}");
            assert!(end.is_none_or(|end| end % 4 == 3), "eof {end:?}");
            if let Some((words, ..)) = &mut packet {
                assert!(start != Some(0), "a packet in a packet");
                let last = if start.is_some() { end.expect("the one before ends first") } else { end.unwrap_or(15) };
                assert!(start.is_none() || last <= 7, "two packets in one lane");
                words.extend(&beat.data[..(last + 1) / 4]);
                if end.is_some() {
                    packets.extend(packet.take());
                }
            } else {
                assert_eq!(start, Some(0), "a packet in the upper half with nothing below");
            }
            if let Some(start) = start {
                let (_, hit, poisoned) = begin(start);
                let ends_here = start == 0 && end.is_some();
                let last = if ends_here { end.unwrap() } else { 15 };
                packet = Some((beat.data[start / 4..(last + 1) / 4].to_vec(), hit, poisoned));
                if ends_here {
                    packets.extend(packet.take());
                }
            }
        }
        if double_words == 2 && beat.last {
            packets.extend(packet.take());
        }
    }
    assert!(packet.is_none(), "a packet without end");
    packets.into_iter().map(|(words, hit, poisoned)| (turned(&words), hit, poisoned)).collect()
}
