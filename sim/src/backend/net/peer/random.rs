//! Bytes that look random and can be made again.
use md5::{Digest, Md5};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;

/// Bytes made at once.
const BLOCK_BYTES: usize = 4096;

/// A stream of bytes, given by its size and a seed, in blocks. None is zero: the `wget --post-file` of busybox sends a
/// file only up to its first zero byte.
#[derive(Clone, Debug)]
pub struct RandomBytes {
    generator: ChaCha8Rng,
    remaining: u64,
}

impl RandomBytes {
    /// `bytes` bytes of the stream with this seed. A shorter stream is the beginning of a longer one.
    pub fn new(bytes: u64, seed: u64) -> Self {
        RandomBytes { generator: ChaCha8Rng::seed_from_u64(seed), remaining: bytes }
    }

    /// The MD5 of all that is left, in hexadecimal digits as `md5sum` prints it.
    pub fn md5(self) -> String {
        let mut sum = Md5::new();
        self.for_each(|block| sum.update(block));
        hexadecimal(sum)
    }
}

impl Iterator for RandomBytes {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.remaining == 0 {
            return None;
        }
        let mut block = vec![0; BLOCK_BYTES];
        self.generator.fill_bytes(&mut block);
        block.iter_mut().for_each(|byte| *byte = (*byte).max(1));
        block.truncate(usize::try_from(self.remaining).unwrap_or(BLOCK_BYTES));
        self.remaining -= block.len() as u64;
        Some(block)
    }
}

/// The digits of a sum.
pub(super) fn hexadecimal(sum: Md5) -> String {
    sum.finalize().iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes everything");
        digits
    })
}
