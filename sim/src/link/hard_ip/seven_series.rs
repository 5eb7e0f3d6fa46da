//! TLPs on the two streams of the 7-series block (PG054): header double words as numbers with Fmt in bits 31:29,
//! payload double words with memory byte 0 in bits 31:24. At 128 bits a packet may begin in the upper half of the beat
//! in whose lower half the one before ends.
use super::beat::{field, gather, Beat};
use super::rule::{expect, Rule};

/// Bits of `m_axis_rx_tuser`.
pub const RECEIVE_USER_BITS: usize = 22;
/// Bits of `s_axis_tx_tuser`.
pub const TRANSMIT_USER_BITS: usize = 4;

/// `m_axis_rx_tuser`: the packet is poisoned.
const ERROR_FORWARD: u32 = 1;
/// Lowest bit of the BARs that were hit, 8 bits.
const BAR_HIT: u32 = 2;
/// Lowest bit of `rx_is_sof`: byte lane where a packet begins, and above it whether one does.
const START: u32 = 10;
/// Lowest bit of `rx_is_eof`: byte lane of a packet's last byte, and above it whether one ends.
const END: u32 = 17;
/// In both: there is one.
const VALID: u32 = 4;

/// Double words of a packet's header, and whether the packet is poisoned.
fn header(first: u32) -> (usize, bool) {
    (if first >> 29 & 1 == 0 { 3 } else { 4 }, first >> 14 & 1 == 1)
}

/// Turns payload double words round.
fn swap(packet: &[u32]) -> Vec<u32> {
    let header = packet.first().map_or(0, |first| header(*first).0);
    let turn = |(index, word): (usize, &u32)| if index < header { *word } else { word.swap_bytes() };
    packet.iter().enumerate().map(turn).collect()
}

/// A packet for the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// As [`crate::link::Tlp::encode`] gives it.
    pub dwords: Vec<u32>,
    /// BARs that it hits, bit n for BARn.
    pub bar_hit: u8,
}

/// Beats that may be on the ports from the same cycle on.
pub type Group = (u64, Vec<Beat>);

/// A beat whose upper half waits for the next packet.
#[derive(Clone, Debug)]
struct Half {
    beat: Beat,
    /// The first cycle in which it can be on the ports.
    due: u64,
    /// The last cycle in which it waits.
    until: u64,
}

/// Packs packets into beats of `m_axis_rx`.
#[derive(Clone, Debug)]
pub struct Packer {
    double_words: usize,
    half: Option<Half>,
}

impl Packer {
    /// For a stream of 2 or 4 double words.
    pub fn new(double_words: usize) -> Self {
        Packer { double_words, half: None }
    }

    /// Packs a packet whose first beat comes in cycle `begin` at the earliest. At 128 bits the last beat is kept for
    /// [`flush`](Self::flush) or the next packet when its upper half is free; it waits for up to `patience` cycles.
    /// `noise` gives bits that mean nothing.
    pub fn push(&mut self, begin: u64, packet: &Received, patience: u64, noise: &mut dyn FnMut() -> u32) -> Vec<Group> {
        let words = swap(&packet.dwords);
        let constant = self.constant(packet);
        let mut groups = Vec::new();
        let mut rest = words.as_slice();
        let mut first = true;
        if let Some(half) = self.half.take() {
            let mut beat = half.beat;
            if begin <= half.until + 1 && rest.len() > 2 {
                let (upper, behind) = rest.split_at(2);
                rest = behind;
                first = false;
                beat.data[2..4].copy_from_slice(upper);
                beat.user = beat.user & !(0xff << BAR_HIT) & !(1 << ERROR_FORWARD) | constant | mark(START, 8);
            }
            groups.push((half.due.max(if first { 0 } else { begin }), vec![beat]));
        }
        let mut beats = Vec::new();
        let count = rest.len().div_ceil(self.double_words);
        for (index, chunk) in rest.chunks(self.double_words).enumerate() {
            let last = index + 1 == count;
            let mut beat = Beat { user: constant, ..Beat::default() };
            beat.data[..chunk.len()].copy_from_slice(chunk);
            for lane in &mut beat.data[chunk.len()..self.double_words] {
                *lane = noise();
            }
            if self.double_words == 4 {
                // What these two say at 128 bits is not for use.
                (beat.keep, beat.last) = (0xffff, noise() & 1 == 1);
                if index == 0 && first {
                    beat.user |= mark(START, 0);
                }
                if last {
                    beat.user |= mark(END, 4 * chunk.len() as u32 - 1);
                }
            } else {
                (beat.keep, beat.last) = ((1 << (4 * chunk.len())) - 1, last);
                beat.user |= u128::from(noise()) << START & 0x3f_fc00;
            }
            if last && self.double_words == 4 && chunk.len() <= 2 {
                let due = begin + index as u64;
                self.half = Some(Half { beat, due, until: due + patience });
            } else {
                beats.push(beat);
            }
        }
        if !beats.is_empty() {
            groups.push((begin, beats));
        }
        groups
    }

    /// The cycle after which the last beat no longer waits for a packet to share it.
    pub fn deadline(&self) -> Option<u64> {
        self.half.as_ref().map(|half| half.until)
    }

    /// The last beat, with nothing in its upper half.
    pub fn flush(&mut self) -> Option<Group> {
        self.half.take().map(|half| (half.due, vec![half.beat]))
    }

    /// What `tuser` says throughout a packet.
    fn constant(&self, packet: &Received) -> u128 {
        let poisoned = packet.dwords.first().is_some_and(|first| header(*first).1);
        u128::from(packet.bar_hit) << BAR_HIT | u128::from(poisoned) << ERROR_FORWARD
    }
}

fn mark(field: u32, lane: u32) -> u128 {
    u128::from(1 << VALID | lane) << field
}

/// The packet in the beats of `s_axis_tx`.
pub fn transmitted(beats: &[Beat], double_words: usize) -> Result<Vec<u32>, Rule> {
    for beat in beats {
        expect("tuser[3], the discard of the packet,", field(beat.user, 3, 1), 0)?;
        expect("tuser[1], the mark of poisoned data,", field(beat.user, 1, 1), 0)?;
        expect("tuser[0], the wish for an ECRC,", field(beat.user, 0, 1), 0)?;
    }
    let words = gather(beats, double_words, 4)?;
    Ok(swap(&words))
}
