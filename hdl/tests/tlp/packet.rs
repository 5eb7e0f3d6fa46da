//! Packets as double words, and how they lie on the 128-bit stream.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::TlpBeat;

/// Four double words as one number, the first in the low bits.
pub fn lanes(dwords: &[u32]) -> u128 {
    dwords.iter().enumerate().map(|(lane, &dword)| u128::from(dword) << (32 * lane)).sum()
}

/// A packet cut into beats.
pub fn beats(dwords: &[u32]) -> Vec<TlpBeat> {
    let count = dwords.len().div_ceil(4);
    let beat = |(n, part): (usize, &[u32])| TlpBeat {
        data: lanes(part).to_bits(),
        keep: ((1u64 << part.len()) - 1).into(),
        last: n + 1 == count,
    };
    dwords.chunks(4).enumerate().map(beat).collect()
}

/// The double words of a beat that count; `None` where `keep` has gaps.
pub fn kept(beat: &TlpBeat) -> Option<Vec<u32>> {
    let count = match beat.keep.to_u64() {
        1 => 1,
        3 => 2,
        7 => 3,
        15 => 4,
        _ => return None,
    };
    let data = beat.data.to_u128();
    Some((0..count).map(|lane| (data >> (32 * lane)) as u32).collect())
}

/// A whole packet's double words; `None` where a beat has gaps or one before the last is not full.
pub fn dwords(beats: &[TlpBeat]) -> Option<Vec<u32>> {
    let parts: Vec<_> = beats.iter().map(kept).collect::<Option<_>>()?;
    let full = parts.iter().rev().skip(1).all(|part| part.len() == 4);
    full.then(|| parts.concat())
}

/// Payload and digest of the right length behind a header.
pub fn with_payload(mut header: Vec<u32>, rng: &mut Rng) -> Vec<u32> {
    let fmt = FMT.get(&header);
    let payload = if has_data(fmt) { length_dwords(LENGTH.get(&header)) } else { 0 };
    let digest = TD.get(&header) as usize;
    header.extend((0..payload + digest).map(|_| rng.next() as u32));
    header
}

/// A completion with `length` double words of data, or none.
pub fn completion(length: usize, rng: &mut Rng) -> Vec<u32> {
    let mut header = vec![0, rng.next() as u32, rng.next() as u32];
    FMT.set(&mut header, if length > 0 { FMT_3DW_DATA } else { FMT_3DW });
    TYPE.set(&mut header, TYPE_COMPLETION);
    LENGTH.set(&mut header, length as u32);
    with_payload(header, rng)
}

/// A header of a request that keeps the rules, but for some that cross a 4 KiB boundary by one double word.
pub fn request(rng: &mut Rng) -> Vec<u32> {
    let four = rng.chance(1, 2);
    let write = rng.chance(1, 2);
    let (kind, four, write) = match rng.below(12) {
        0 => (TYPE_IO, false, write),
        1 => (TYPE_CONFIG_0, false, write),
        2 => (TYPE_CONFIG_1, false, write),
        3 => (TYPE_MEMORY_LOCKED, four, false),
        4 => ([TYPE_FETCH_ADD, TYPE_SWAP, TYPE_COMPARE_SWAP][rng.below(3) as usize], four, true),
        _ => (TYPE_MEMORY, four, write),
    };
    let mut header: Vec<u32> = (0..3 + u32::from(four)).map(|_| rng.next() as u32).collect();
    header[0] &= 0x0070_7000;
    if rng.chance(1, 4) {
        // close to the end of a page
        *header.last_mut().unwrap() |= 0xf90;
    }
    FMT.set(&mut header, u32::from(four) | u32::from(write) << 1);
    TYPE.set(&mut header, kind);
    let length = if matches!(kind, TYPE_MEMORY | TYPE_MEMORY_LOCKED) {
        // no crossing of 4 KiB, but now and then one double word beyond
        let left = 1024 - (header.last().unwrap() >> 2 & 1023);
        let most = if rng.chance(1, 4) && left < 30 { left + 1 } else { left };
        [1, 1, 2, 3, 1 + rng.below(64) as u32, 1024][rng.below(6) as usize].min(most)
    } else {
        1
    };
    LENGTH.set(&mut header, length);
    if length == 1 {
        LAST_BE.set(&mut header, 0);
    } else {
        FIRST_BE.set(&mut header, [15, 14, 12, 8][rng.below(4) as usize]);
        LAST_BE.set(&mut header, [15, 7, 3, 1][rng.below(4) as usize]);
    }
    header
}

/// Any packet, most of them right.
pub fn any(rng: &mut Rng) -> Vec<TlpBeat> {
    let mut packet = match rng.below(10) {
        0..=3 => request(rng),
        4..=7 => {
            let length = [0, 1, 2, 3, 4, 5, 8, 16, rng.below(70)][rng.below(9) as usize];
            completion(length as usize, rng)[..3].to_vec()
        }
        8 => {
            let mut header: Vec<u32> = (0..4).map(|_| rng.next() as u32 & 0x00ff_ffff).collect();
            FMT.set(&mut header, [FMT_4DW, FMT_4DW_DATA][rng.below(2) as usize]);
            TYPE.set(&mut header, TYPE_MESSAGE | rng.below(8) as u32);
            LENGTH.set(&mut header, 1 + rng.below(20) as u32);
            if rng.chance(1, 2) {
                MESSAGE_CODE.set(&mut header, MESSAGE_PME_TURN_OFF);
            }
            header
        }
        _ => {
            // any Fmt and Type at all, in a packet that need not fit
            let mut header: Vec<u32> = (0..3 + rng.below(2)).map(|_| rng.next() as u32).collect();
            LENGTH.set(&mut header, 1 + rng.below(8) as u32);
            header
        }
    };
    TD.set(&mut packet, u32::from(rng.chance(1, 6)));
    EP.set(&mut packet, u32::from(rng.chance(1, 8)));
    if rng.chance(1, 8) {
        // break a rule of the header
        let field = [FMT, TYPE, LENGTH, FIRST_BE, LAST_BE, TD][rng.below(6) as usize];
        field.set(&mut packet, rng.next() as u32);
        if field == LENGTH {
            LENGTH.set(&mut packet, rng.below(12) as u32);
        }
    }
    if FMT.get(&packet) & 1 == 1 && packet.len() == 3 {
        packet.push(rng.next() as u32);
    }
    let mut beats = beats(&with_payload(packet, rng));
    if rng.chance(1, 8) {
        break_frame(&mut beats, rng);
    }
    beats
}

/// Makes the packet longer, shorter, or with gaps.
fn break_frame(beats: &mut Vec<TlpBeat>, rng: &mut Rng) {
    let at = rng.below(beats.len() as u64) as usize;
    match rng.below(4) {
        0 => {
            beats.truncate(at + 1);
            beats[at].last = true;
        }
        1 => {
            let extra = TlpBeat { data: u128::from(rng.next()).to_bits(), keep: 15.into(), last: false };
            beats.insert(at, extra);
        }
        2 => beats[at].keep = rng.below(16).into(),
        _ => beats.last_mut().unwrap().keep = [1, 3, 7, 15][rng.below(4) as usize].into(),
    }
}
