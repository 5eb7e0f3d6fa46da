//! A beat of one of the block's AXI4-Streams.

/// Double words of the widest stream.
pub const MOST_DOUBLE_WORDS: usize = 8;

/// What is on a stream's ports while `tvalid` is high.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// `tdata`: as many double words as the stream is wide, the lowest lane first.
    pub data: [u32; MOST_DOUBLE_WORDS],
    /// `tkeep`: a bit per double word (UltraScale+) or per byte (7-series).
    pub keep: u32,
    /// `tlast`.
    pub last: bool,
    /// `tuser`, at most 88 bits.
    pub user: u128,
}

impl Beat {
    /// A packet in beats of so many double words, with a bit of `keep` for each, and `user` still to come. `noise` gives what is on
    /// the lanes behind its end.
    pub fn cut(packet: &[u32], double_words: usize, noise: &mut dyn FnMut() -> u32) -> Vec<Self> {
        let count = packet.len().div_ceil(double_words);
        let beat = |(index, chunk): (usize, &[u32])| {
            let mut beat = Beat { keep: (1 << chunk.len()) - 1, last: index + 1 == count, ..Beat::default() };
            for (lane, data) in beat.data[..double_words].iter_mut().enumerate() {
                *data = chunk.get(lane).copied().unwrap_or_else(&mut *noise);
            }
            beat
        };
        packet.chunks(double_words).enumerate().map(beat).collect()
    }

    /// Bytes of the packet in it, where `keep` has a bit per double word.
    pub fn kept_bytes(&self) -> usize {
        4 * self.keep.count_ones() as usize
    }
}

/// How a beat lies in 32-bit words, port behind port: data, keep, last, user.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BeatLayout {
    /// Double words of `tdata`.
    pub double_words: usize,
    /// Bits of `tuser`.
    pub user_bits: usize,
}

impl BeatLayout {
    /// Words of a beat.
    pub fn words(&self) -> usize {
        self.double_words + 2 + self.user_bits.div_ceil(32)
    }

    /// Appends a beat.
    pub fn write(&self, beat: &Beat, words: &mut Vec<u32>) {
        words.extend_from_slice(&beat.data[..self.double_words]);
        words.extend([beat.keep, beat.last.into()]);
        words.extend((0..self.user_bits.div_ceil(32)).map(|word| (beat.user >> (32 * word)) as u32));
    }

    /// The beats in these words.
    pub fn read(&self, words: &[u32]) -> Vec<Beat> {
        words.chunks_exact(self.words()).map(|words| self.read_one(words)).collect()
    }

    fn read_one(&self, words: &[u32]) -> Beat {
        let (data, rest) = words.split_at(self.double_words);
        let mut beat = Beat { keep: rest[0], last: rest[1] != 0, ..Beat::default() };
        beat.data[..data.len()].copy_from_slice(data);
        beat.user = rest[2..].iter().rev().fold(0, |user, word| user << 32 | u128::from(*word));
        beat
    }
}

/// Bits `low..low + bits` of a descriptor or of `tuser`.
pub(super) fn field(value: u128, low: u32, bits: u32) -> u32 {
    (value >> low) as u32 & (u64::MAX >> (64 - bits)) as u32
}

/// The double words of a packet whose beats are full up to the last one, which begins at the lowest lane. `lane_bits`:
/// bits of `tkeep` per double word.
pub(super) fn gather(beats: &[Beat], double_words: usize, lane_bits: u32) -> Result<Vec<u32>, super::Rule> {
    let lanes = |count: usize| ((1_u64 << (count as u32 * lane_bits)) - 1) as u32;
    let mut packet = Vec::new();
    for (index, beat) in beats.iter().enumerate() {
        let last = index + 1 == beats.len();
        let least = if last { 1 } else { double_words };
        let kept = (least..=double_words).find(|count| beat.keep == lanes(*count));
        let kept = kept.ok_or(super::Rule::Keep { beat: index, keep: beat.keep, last })?;
        packet.extend_from_slice(&beat.data[..kept]);
    }
    Ok(packet)
}
