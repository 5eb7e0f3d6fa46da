//! Requests of the endpoint to the host (RQ) and their completions (RC) on UltraScale+ (PG213), Dword-aligned.
use super::beat::{field, gather, Beat};
use super::completer::{attribute_bits, attributes, descriptor};
use super::reads::Outcome;
use super::rule::{expect, Rule};
use crate::link::tlp::*;

/// Bits of `s_axis_rq_tuser`.
pub const REQUEST_USER_BITS: usize = 62;
/// Bits of `m_axis_rc_tuser`.
pub const COMPLETION_USER_BITS: usize = 75;
/// Double words of a request's descriptor.
pub const REQUEST_DESCRIPTOR: usize = 4;
/// Tags with 5 bits, which the user of the block chooses.
pub const TAGS: u16 = 32;

/// The request in the beats of `s_axis_rq`, in the name of `requester`, and its sequence number.
pub fn request(beats: &[Beat], double_words: usize, requester: FunctionId) -> Result<(Tlp, u8), Rule> {
    let packet = gather(beats, double_words, 1)?;
    let fields = descriptor(&packet, REQUEST_DESCRIPTOR)?;
    let payload = &packet[REQUEST_DESCRIPTOR..];
    let at = |low, bits| field(fields, low, bits);
    let user = beats.first().map_or(0, |beat| beat.user);
    for beat in beats {
        expect("tuser[11], discontinue,", field(beat.user, 11, 1), 0)?;
    }
    expect("tuser[10:8], the address offset,", field(user, 8, 3), 0)?;
    expect("tuser[23:12], the processing hint,", field(user, 12, 12), 0)?;
    expect("the address type", at(0, 2), 0)?;
    expect("the mark of poisoned data", at(79, 1), 0)?;
    expect("the requester's function", at(80, 8), 0)?;
    expect("the requester's bus", at(88, 8), 0)?;
    expect("the completer ID", at(104, 16), 0)?;
    expect("requester ID enable", at(120, 1), 0)?;
    expect("force ECRC", at(127, 1), 0)?;
    let length = at(64, 11) as u16;
    let request = MemoryRequest {
        requester,
        tag: at(96, 8) as u8,
        address: fields as u64 & !3,
        length,
        enables: ByteEnables { first: field(user, 0, 4) as u8, last: field(user, 4, 4) as u8 },
    };
    let (kind, expected) = match at(75, 4) {
        0b0000 if u16::from(request.tag) >= TAGS => return Err(Rule::Tag { tag: request.tag, limit: TAGS }),
        0b0000 => (Kind::MemoryRead { request, locked: false }, 0),
        0b0001 => (Kind::MemoryWrite { request, payload: payload.to_vec() }, usize::from(length)),
        other => return Err(Rule::RequestType(other)),
    };
    if payload.len() != expected {
        return Err(Rule::Length { expected: REQUEST_DESCRIPTOR + expected, found: packet.len() });
    }
    let header =
        Header { traffic_class: at(121, 3) as u8, attributes: attributes(at(124, 3)), poisoned: false, digest: None };
    let tlp = Tlp { header, kind };
    tlp.check()?;
    Ok((tlp, (field(user, 24, 4) | field(user, 60, 2) << 4) as u8))
}

/// The beats of `m_axis_rc` for a completion. `noise` gives bits that mean nothing.
pub fn completion(
    header: &Header,
    completion: &Completion,
    outcome: &Outcome,
    double_words: usize,
    noise: &mut dyn FnMut() -> u32,
) -> Vec<Beat> {
    let length = completion.payload.len();
    let fields = u128::from(outcome.address & 0xfff)
        | u128::from(outcome.error) << 12
        | u128::from(completion.byte_count) << 16
        | u128::from(completion.locked) << 29
        | u128::from(outcome.completed) << 30
        | (length as u128) << 32
        | u128::from(completion.status.code()) << 43
        | u128::from(header.poisoned) << 46
        | u128::from(completion.requester.0) << 48
        | u128::from(completion.tag) << 64
        | u128::from(completion.completer.0) << 72
        | u128::from(header.traffic_class) << 89
        | u128::from(attribute_bits(header.attributes)) << 92;
    let packet: Vec<u32> =
        (0..3).map(|word| (fields >> (32 * word)) as u32).chain(completion.payload.iter().copied()).collect();
    let valid_from = 12 + usize::from(completion.lower_address % 4);
    let valid = valid_from..(valid_from + usize::from(completion.byte_count)).min(4 * packet.len());
    let mut beats = Beat::cut(&packet, double_words, noise);
    for (index, beat) in beats.iter_mut().enumerate() {
        let mut enabled = 0_u32;
        for byte in (0..beat.kept_bytes()).filter(|byte| valid.contains(&(4 * double_words * index + byte))) {
            enabled |= 1 << byte;
        }
        // Without straddling only the first start of a packet is told; the parity is not generated.
        beat.user = u128::from(enabled)
            | u128::from(index == 0) << 32
            | u128::from(noise() & 0x1ff) << 33
            | u128::from(noise()) << 43;
    }
    beats
}
