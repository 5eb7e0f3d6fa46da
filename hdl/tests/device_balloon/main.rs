//! The balloon's blocks alone: random chains, idle cycles, backpressure, late answers and resets, in rust-hdl's evaluator and in Verilator.
mod pages;
mod statistics;

use virtio_hdl_rtl::dma::types::ByteBeat;
use virtio_hdl_rtl::testing::{wide, Rng};

/// A chain of random bytes, as the gatherer has it.
struct Text {
    bytes: Vec<u8>,
    beats: Vec<ByteBeat>,
    /// Of these the device gets to know: the rest could not be read.
    readable: usize,
    broken: bool,
    fails: bool,
}

impl Text {
    fn random(rng: &mut Rng, most: u64) -> Self {
        let length = [0, 1, 2, 3, 4, 16, 17, 32, rng.below(most), rng.below(most)][rng.below(10) as usize] as usize;
        let bytes: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
        let count = length.div_ceil(16).max(1);
        let broken = rng.chance(1, 10);
        // from this beat on nothing could be read
        let failed = (rng.chance(1, 8) && length > 0 && !broken).then(|| rng.below(count as u64) as usize);
        let beats = (0..count).map(|beat| {
            let part = &bytes[(16 * beat).min(length)..(16 * beat + 16).min(length)];
            let last = beat + 1 == count;
            let error = broken && last || failed.is_some_and(|failed| beat >= failed);
            ByteBeat { data: wide(part), count: (part.len() as u64).into(), last, error }
        });
        let beats = beats.collect();
        let readable = failed.map_or(length, |failed| (16 * failed).min(length));
        Text { bytes, beats, readable, broken, fails: failed.is_some() }
    }

    /// What is given out of it: whole items of so many bytes.
    fn items(&self, bytes: usize) -> Vec<u128> {
        let item = |bytes: &[u8]| bytes.iter().rev().fold(0, |item, byte| item << 8 | u128::from(*byte));
        match self.broken {
            true => vec![],
            false => self.bytes[..self.readable].chunks_exact(bytes).map(item).collect(),
        }
    }

    /// Whether there is something behind the last of them, in a chain that could be read.
    fn is_odd(&self, bytes: usize) -> bool {
        !self.broken && !self.fails && self.bytes.len() % bytes != 0
    }
}
