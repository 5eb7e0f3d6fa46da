//! The splitter with a limit that the host changes at any time.
use virtio_hdl_rtl::dma::splitter::{Chunk, Splitter, Transfer};
use virtio_hdl_rtl::testing::{Bench, Rng};

/// Bytes of a size code of Device Control.
fn maximum(code: u64) -> u64 {
    (128 << code).min(4096)
}

fn random_transfer(rng: &mut Rng) -> Transfer {
    let length = 1 + if rng.chance(1, 3) { rng.below(64) } else { rng.below(4096) };
    let address = match rng.below(3) {
        0 => rng.next() >> 8,
        1 => (rng.below(1 << 20) << 12) + 4096 - rng.below(length),
        _ => rng.below(1 << 32) & !0x1F,
    };
    Transfer {
        address: address.into(),
        length: length.into(),
        ram_address: rng.below(65536).into(),
        client: rng.below(16).into(),
        slot: rng.below(64).into(),
    }
}

/// A transfer under way: what is left of it, and the limits that it may have been cut with.
struct Cut {
    transfer: Transfer,
    gone: u64,
    limits: Vec<u64>,
}

impl Cut {
    fn take(&mut self, chunk: &Chunk) {
        let (address, length) = (chunk.address.to_u64(), chunk.length.to_u64());
        let left = self.transfer.length.to_u64() - self.gone;
        assert_eq!(address, self.transfer.address.to_u64() + self.gone, "each byte once, in order");
        assert!((1..=left).contains(&length), "{length} bytes of {left}");
        assert_eq!(address / 4096, (address + length - 1) / 4096, "a page boundary inside a packet");
        assert_eq!(chunk.ram_address.to_u64(), (self.transfer.ram_address.to_u64() + self.gone) % 65536);
        assert_eq!((chunk.client, chunk.slot), (self.transfer.client, self.transfer.slot));
        assert_eq!((chunk.first, chunk.last), (self.gone == 0, length == left));
        // one limit for the whole of the transfer: it gives exactly this piece
        self.limits.retain(|limit| length == left.min(limit - address % limit));
        assert!(!self.limits.is_empty(), "{length} bytes at {address:#x} are of no limit that held");
        let offset = address % 4;
        let dwords = (offset + length).div_ceil(4);
        let tail = 0xF >> (3 - (offset + length - 1) % 4);
        let head = (0xF << offset) & 0xF;
        assert_eq!(chunk.dwords.to_u64(), dwords);
        assert_eq!(chunk.first_be.to_u64(), if dwords == 1 { head & tail } else { head });
        assert_eq!(chunk.last_be.to_u64(), if dwords == 1 { 0 } else { tail });
        self.gone += length;
    }
}

#[test]
fn splitter_covers_each_transfer_exactly_with_one_limit_when_the_limit_changes_at_any_time() {
    let mut b = Bench::new("dma_splitter_limits", Splitter::default(), |u| &mut u.clock);
    b.cycle(|u, _| u.reset.next = true, |_| {});
    b.uut.reset.next = false;
    let mut code = 0;
    // limits of this cycle and the three before it
    let mut recent = [maximum(code); 4];
    for round in 0..4u64 {
        let (idle, changes) = [(0, 5), (30, 20), (60, 100), (0, 400)][round as usize];
        let mut offered: Option<Transfer> = None;
        let mut cut: Option<Cut> = None;
        let mut ended = 0;
        while ended < 200 {
            if b.rng.below(1000) < changes {
                code = b.rng.below(8);
            }
            recent.rotate_right(1);
            recent[0] = maximum(code);
            if offered.is_none() && b.rng.below(100) >= idle {
                let mut rng = b.rng.clone();
                offered = Some(random_transfer(&mut rng));
                b.rng = rng;
            }
            b.uut.size.next = code.into();
            b.uut.transfer.valid.next = offered.is_some();
            b.uut.transfer.data.next = offered.unwrap_or_default();
            b.uut.chunk.ready.next = b.rng.below(100) >= idle;
            b.low();
            let u = &b.uut;
            if u.chunk.valid.val() && u.chunk.ready.val() {
                let chunk = u.chunk.data.val();
                let under_way = cut.as_mut().expect("a chunk of no transfer");
                under_way.take(&chunk);
                if chunk.last {
                    cut = None;
                    ended += 1;
                }
            }
            if u.transfer.valid.val() && u.transfer.ready.val() {
                assert!(cut.is_none());
                cut = offered.take().map(|transfer| Cut { transfer, gone: 0, limits: recent.to_vec() });
            }
            b.edge();
        }
        // the next round begins empty
        b.uut.transfer.valid.next = false;
        b.uut.chunk.ready.next = true;
        (0..40).for_each(|_| {
            b.low();
            b.edge();
        });
    }
    b.finish();
}
