//! Memory of a chain: one allocation, cut into buffers.
use super::ring::{Buffer, RingError, Shape, Virtqueue};
use super::virtio_pci::DriverError;
use super::Platform;

/// A chain's memory.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub address: u64,
    pub bytes: u32,
}

impl Chain {
    /// So many bytes. No two chains share a cache line.
    pub fn allocate(platform: &mut dyn Platform, bytes: u32) -> Result<Self, DriverError> {
        let address = platform.allocate(bytes.into(), 64).ok_or(DriverError::NoMemory(bytes.into()))?;
        Ok(Chain { address, bytes })
    }

    /// Offers it to the device in these buffers of it, or gives it back where the ring does not take it; its head.
    pub fn offer(
        self,
        platform: &mut dyn Platform,
        ring: &mut Virtqueue,
        cut: &[u32],
        buffer: fn(u64, u32) -> Buffer,
        shape: Shape,
    ) -> Result<(u16, Self), RingError> {
        let buffers: Vec<_> = self.cut_up(cut).map(|(address, bytes)| buffer(address, bytes)).collect();
        match ring.add(platform, &buffers, shape) {
            Ok(head) => Ok((head, self)),
            Err(error) => {
                self.free(platform);
                Err(error)
            }
        }
    }

    /// Gives it back.
    pub fn free(&self, platform: &mut dyn Platform) {
        platform.free(self.address, self.bytes.into());
    }

    /// Cuts it into buffers, each an address and bytes: as long as `cut` says while there is something left, then the rest.
    pub fn cut_up<'a>(&'a self, cut: &'a [u32]) -> impl Iterator<Item = (u64, u32)> + 'a {
        let mut done = 0;
        let mut lengths = cut.iter();
        std::iter::from_fn(move || {
            let left = self.bytes - done;
            if left == 0 {
                return None;
            }
            let bytes = lengths.next().map_or(left, |length| (*length).clamp(1, left));
            let address = self.address + u64::from(done);
            done += bytes;
            Some((address, bytes))
        })
    }
}
