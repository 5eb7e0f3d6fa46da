//! Requests of the host to the endpoint (CQ) and its completions (CC) on UltraScale+ (PG213), Dword-aligned.
use super::beat::{field, gather, Beat};
use super::rule::{expect, Rule};
use crate::link::tlp::*;

/// Bits of `m_axis_cq_tuser`.
pub const REQUEST_USER_BITS: usize = 88;
/// Bits of `s_axis_cc_tuser`.
pub const COMPLETION_USER_BITS: usize = 33;
/// Double words of a request's descriptor.
pub const REQUEST_DESCRIPTOR: usize = 4;
/// Double words of a completion's descriptor.
pub const COMPLETION_DESCRIPTOR: usize = 3;

/// A request as it goes to the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub requester: FunctionId,
    /// Goes back in the completion.
    pub tag: u8,
    /// Descriptor.
    pub descriptor: [u32; REQUEST_DESCRIPTOR],
    /// Of the first and last double word.
    pub enables: ByteEnables,
    /// Payload.
    pub payload: Vec<u32>,
    /// Somebody waits for the completion.
    pub nonposted: bool,
}

impl Request {
    /// A memory or I/O request that hits a BAR: its number, and the number of address bits within it.
    pub fn new(tlp: &Tlp, bar: u8, aperture: u8) -> Option<Self> {
        let io = |io: &IoRequest| {
            (io.requester, io.tag, u64::from(io.address), 1, ByteEnables { first: io.enables, last: 0 })
        };
        let memory = |m: &MemoryRequest| (m.requester, m.tag, m.address, m.length, m.enables);
        let (kind, nonposted, (requester, tag, address, length, enables)) = match &tlp.kind {
            Kind::MemoryRead { request, locked: false } => (0b0000, true, memory(request)),
            Kind::MemoryWrite { request, .. } => (0b0001, false, memory(request)),
            Kind::IoRead(request) => (0b0010, true, io(request)),
            Kind::IoWrite(request, _) => (0b0011, true, io(request)),
            Kind::MemoryRead { request, locked: true } => (0b0111, true, memory(request)),
            _ => return None,
        };
        let descriptor = u128::from(address)
            | u128::from(length) << 64
            | kind << 75
            | u128::from(requester.0) << 80
            | u128::from(tag) << 96
            | u128::from(bar) << 112
            | u128::from(aperture) << 115
            | u128::from(tlp.header.traffic_class) << 121
            | u128::from(attribute_bits(tlp.header.attributes)) << 124;
        let payload = tlp.payload().to_vec();
        let descriptor = std::array::from_fn(|word| (descriptor >> (32 * word)) as u32);
        Some(Request { requester, tag, descriptor, enables, payload, nonposted })
    }

    /// The beats of `m_axis_cq`. `noise` gives bits that mean nothing.
    pub fn beats(&self, double_words: usize, noise: &mut dyn FnMut() -> u32) -> Vec<Beat> {
        let length = self.payload.len() as u16;
        let packet: Vec<u32> = self.descriptor.iter().chain(&self.payload).copied().collect();
        let mut beats = Beat::cut(&packet, double_words, noise);
        for (index, beat) in beats.iter_mut().enumerate() {
            let mut enabled = 0_u32;
            for byte in 0..beat.kept_bytes() {
                let offset = (4 * double_words * index + byte).checked_sub(4 * REQUEST_DESCRIPTOR);
                if offset.is_some_and(|offset| self.enables.enabled(offset, length)) {
                    enabled |= 1 << byte;
                }
            }
            // The byte enables of the request count in its first beat; the parity is not generated.
            let enables =
                if index == 0 { u32::from(self.enables.last << 4 | self.enables.first) } else { noise() & 0xff };
            beat.user = u128::from(enables)
                | u128::from(enabled) << 8
                | u128::from(index == 0) << 40
                | u128::from(noise()) << 53;
        }
        beats
    }

    /// The double words that follow the descriptor of a completion with an error.
    fn error_info(&self) -> Vec<u32> {
        let mut info = vec![u32::from(self.enables.last << 4 | self.enables.first)];
        info.extend(self.descriptor);
        info
    }
}

/// No snoop, relaxed ordering, ID-based ordering, from the lowest bit on.
pub(super) fn attribute_bits(attributes: Attributes) -> u8 {
    u8::from(attributes.no_snoop) | u8::from(attributes.relaxed_ordering) << 1 | u8::from(attributes.id_ordering) << 2
}

/// The reverse.
pub(super) fn attributes(bits: u32) -> Attributes {
    Attributes { no_snoop: bits & 1 != 0, relaxed_ordering: bits & 2 != 0, id_ordering: bits & 4 != 0 }
}

/// The first `count` double words of a packet as one number.
pub(super) fn descriptor(packet: &[u32], count: usize) -> Result<u128, Rule> {
    match packet.get(..count) {
        Some(words) => Ok(words.iter().rev().fold(0, |value, word| value << 32 | u128::from(*word))),
        None => Err(Rule::Short { least: count, found: packet.len() }),
    }
}

/// The completion in the beats of `s_axis_cc`, in the name of `completer`. `waiting` knows who waits.
pub fn completion<'a>(
    beats: &[Beat],
    double_words: usize,
    completer: FunctionId,
    waiting: impl Fn(FunctionId, u8) -> Option<&'a Request>,
) -> Result<Tlp, Rule> {
    for beat in beats {
        expect("tuser[0], discontinue,", field(beat.user, 0, 1), 0)?;
    }
    let packet = gather(beats, double_words, 1)?;
    let fields = descriptor(&packet, COMPLETION_DESCRIPTOR)?;
    let behind = &packet[COMPLETION_DESCRIPTOR..];
    let at = |low, bits| field(fields, low, bits);
    for (low, bits) in [(7, 1), (10, 6), (30, 2), (47, 1)] {
        expect("a reserved field of the descriptor", at(low, bits), 0)?;
    }
    expect("the address type", at(8, 2), 0)?;
    expect("force ECRC", at(95, 1), 0)?;
    expect("completer ID enable", at(88, 1), 0)?;
    let status = at(43, 3) as u8;
    let status = CompletionStatus::from_code(status).ok_or(TlpError::Status(status))?;
    let (requester, tag) = (FunctionId(at(48, 16) as u16), at(64, 8) as u8);
    let request = waiting(requester, tag).ok_or(Rule::NobodyWaits { requester, tag })?;
    let count = at(32, 11) as usize;
    let payload = if status == CompletionStatus::Successful {
        if behind.len() != count {
            let expected = COMPLETION_DESCRIPTOR + count;
            return Err(Rule::Length { expected, found: packet.len() });
        }
        behind.to_vec()
    } else {
        expect("the Dword count of an error completion", count as u32, 0)?;
        let expected = request.error_info();
        // Bits of the first word that copy hints which no request of ours has are zero.
        if behind != expected {
            return Err(Rule::ErrorInfo { found: behind.to_vec(), expected });
        }
        Vec::new()
    };
    let header = Header {
        traffic_class: at(89, 3) as u8,
        attributes: attributes(at(92, 3)),
        poisoned: at(46, 1) == 1,
        digest: None,
    };
    let completion = Completion {
        completer,
        requester,
        tag,
        status,
        byte_count: at(16, 13) as u16,
        lower_address: at(0, 7) as u8,
        payload,
        locked: at(29, 1) == 1,
    };
    let tlp = Tlp { header, kind: Kind::Completion(completion) };
    tlp.check()?;
    Ok(tlp)
}
