//! Guest memory for rings and buffers.
use std::collections::BTreeMap;
use std::ops::Range;

/// First-fit allocator over ranges of guest addresses.
#[derive(Clone, Debug)]
pub struct Allocator {
    /// Free ranges, start to end; never adjacent.
    free: BTreeMap<u64, u64>,
    used: u64,
}

impl Allocator {
    /// An allocator that hands out these ranges, which must not overlap.
    pub fn new(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut allocator = Allocator { free: BTreeMap::new(), used: 0 };
        for range in ranges {
            allocator.insert(range.start, range.end);
        }
        allocator
    }

    /// Bytes handed out.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// `bytes` bytes from a multiple of `align`, a power of two.
    pub fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let bytes = bytes.max(1);
        let (start, end, address) = self.free.iter().find_map(|(start, end)| {
            let address = start.checked_next_multiple_of(align)?;
            (address.checked_add(bytes)? <= *end).then_some((*start, *end, address))
        })?;
        self.free.remove(&start);
        if start < address {
            self.free.insert(start, address);
        }
        if address + bytes < end {
            self.free.insert(address + bytes, end);
        }
        self.used += bytes;
        Some(address)
    }

    /// Gives back what `allocate` gave for as many bytes.
    pub fn free(&mut self, address: u64, bytes: u64) {
        let bytes = bytes.max(1);
        self.used -= bytes;
        self.insert(address, address + bytes);
    }

    fn insert(&mut self, mut start: u64, mut end: u64) {
        if let Some((&before, &before_end)) = self.free.range(..=start).next_back() {
            debug_assert!(before_end <= start, "{start:#x} was given back twice");
            if before_end == start {
                start = before;
            }
        }
        if let Some(behind_end) = self.free.remove(&end) {
            end = behind_end;
        }
        if start < end {
            self.free.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_whole_again() {
        let mut allocator = Allocator::new(std::iter::once(0x1000..0x9000));
        let pieces: Vec<(u64, u64)> = [(16, 16), (4096, 4096), (1, 1), (8192, 4096)]
            .map(|(n, align)| (allocator.allocate(n, align).unwrap(), n))
            .into();
        for (n, (a, bytes)) in pieces.iter().enumerate() {
            assert!(pieces[n + 1..].iter().all(|(b, other)| a + bytes <= *b || b + other <= *a));
        }
        assert_eq!(pieces[1].0 % 4096, 0);
        assert_eq!(allocator.allocate(0x8000, 1), None);
        for (address, bytes) in pieces {
            allocator.free(address, bytes);
        }
        assert_eq!(allocator.used(), 0);
        assert_eq!(allocator.allocate(0x8000, 4096), Some(0x1000));
    }
}
