//! DMA_MAP and DMA_UNMAP: which regions there may be.
use crate::fake::*;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use vfio_user_server::Errno;

const PAGE: u64 = 4096;

impl Setup {
    fn map(&mut self, address: u64, size: u64) -> Result<Vec<u8>, Errno> {
        self.client.ask(DMA_MAP, &dma_map(READ_WRITE, 0, address, size))
    }

    /// Returns the bytes that were mapped.
    fn unmap(&mut self, address: u64, size: u64) -> Result<u64, Errno> {
        self.client.ask(DMA_UNMAP, &dma_unmap(0, address, size)).map(|reply| {
            assert_eq!(reply[..16], dma_unmap(0, address, size)[..16]);
            u64::from_ne_bytes(reply[16..].try_into().unwrap())
        })
    }
}

#[test]
fn regions_are_mapped_and_unmapped_again_and_again() {
    let mut setup = Setup::new();
    for _ in 0..10 {
        assert_eq!(setup.map(0, 0xa0000), Ok(vec![]));
        assert_eq!(setup.map(0x10_0000, PAGE), Ok(vec![]));
        assert_eq!(setup.unmap(0, 0xa0000), Ok(0xa0000));
        assert_eq!(setup.unmap(0x10_0000, PAGE), Ok(PAGE));
        assert_eq!(setup.unmap(0, u64::MAX), Ok(0));
    }
}

/// A refused DMA_MAP ends QEMU.
#[test]
fn where_regions_overlap_the_newest_counts() {
    for (first, pages) in [(3, 2), (4, 3), (4, 4), (4, 5), (5, 1), (5, 3), (7, 1), (7, 9), (0, 5), (0, 100)] {
        let mut setup = Setup::new();
        let (old, new) = (memfd(4 * PAGE), memfd(100 * PAGE));
        old.write_all_at(&[0x11; 4 * PAGE as usize], 0).unwrap();
        new.write_all_at(&[0x22; 100 * PAGE as usize], 0).unwrap();
        // The last page of the file tells which part of it is behind a cut.
        old.write_all_at(&[0x33], 4 * PAGE - 1).unwrap();
        let mut map = |file: &std::fs::File, page: u64, pages: u64, value: u8| {
            let body = dma_map(READ_WRITE, 0, page * PAGE, pages * PAGE);
            assert_eq!(setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]), Ok(vec![]));
            setup.order(move |client| client.dma_read(0, page * PAGE, 1));
            let (id, _) = setup.client.expect_dma(DMA_READ, page * PAGE, 1);
            setup.client.reply_read(id, page * PAGE, &[value]);
            assert_eq!(setup.event(), Event::Read(0, Ok(vec![value])));
        };
        map(&old, 4, 4, 0x11);
        map(&new, first, pages, 0x22);
        for page in 4..8 {
            let last = (page + 1) * PAGE - 1;
            let expected = match (first..first + pages).contains(&page) {
                true => 0x22,
                false if page == 7 => 0x33,
                false => 0x11,
            };
            setup.order(move |client| client.dma_read(1, last, 1));
            assert_eq!(setup.event(), Event::Read(1, Ok(vec![expected])), "page {page}, {pages} from {first} on");
        }
        let (from, to) = (first.min(4), (first + pages).max(8));
        assert_eq!(setup.unmap(from * PAGE, (to - from) * PAGE), Ok((to - from) * PAGE));
    }
}

/// SeaBIOS flips the ROM shadow below 1 MiB between ROM and RAM (PAM registers): QEMU takes the regions away and maps them
/// in other pieces, of the same file, also only to be read.
#[test]
fn rom_shadows_are_flipped_while_the_device_works() {
    let mut setup = Setup::new();
    let file = memfd(0x20_0000);
    file.write_all_at(&[0x77; 0x20_0000], 0).unwrap();
    let map = |setup: &mut Setup, flags, address, size| {
        let body = dma_map(flags, address, address, size);
        assert_eq!(setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]), Ok(vec![]));
    };
    map(&mut setup, READ_WRITE, 0x10_0000, 0x10_0000);
    setup.order(|client| client.dma_read(0, 0x10_0000, 4));
    let (id, _) = setup.client.expect_dma(DMA_READ, 0x10_0000, 4);
    setup.client.reply_read(id, 0x10_0000, &[0x77; 4]);
    assert_eq!(setup.event(), Event::Read(0, Ok(vec![0x77; 4])));
    for flip in 0..12 {
        let pieces = match flip % 3 {
            0 => vec![(READ_WRITE, 0, 0xc_0000), (READ_ONLY, 0xc_0000, 0x4_0000)],
            1 => vec![(READ_WRITE, 0, 0xe_0000), (READ_ONLY, 0xe_0000, 0x1_0000), (READ_WRITE, 0xf_0000, 0x1_0000)],
            _ => vec![(READ_WRITE, 0, 0x10_0000)],
        };
        for (flags, address, size) in &pieces {
            map(&mut setup, *flags, *address, *size);
        }
        setup.order(|client| {
            client.dma_read(1, 0xf_fff0, 4);
            client.dma_write(0x1000, &[0x77; 8]);
            client.dma_read(2, 0x1000, 8);
        });
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![0x77; 4])), "flip {flip}");
        assert_eq!(setup.event(), Event::Read(2, Ok(vec![0x77; 8])), "flip {flip}");
        for (_, address, size) in &pieces {
            assert_eq!(setup.unmap(*address, *size), Ok(*size), "flip {flip}");
        }
    }
    assert_eq!(setup.statistics().failed_dma, 0);
}

/// A DIMM that is plugged in while the device works is another file, and goes again.
#[test]
fn memory_comes_and_goes_while_the_device_works() {
    let mut setup = Setup::new();
    let base = memfd(0x10_0000);
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, 0x10_0000), &[base.as_fd()]).unwrap();
    for round in 1..10_u8 {
        let dimm = memfd(16 * PAGE);
        dimm.write_all_at(&[round; 16 * PAGE as usize], 0).unwrap();
        let address = 0x1_0000_0000;
        setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, address, 16 * PAGE), &[dimm.as_fd()]).unwrap();
        setup.order(move |client| client.dma_read(0, address, 2));
        let (id, _) = setup.client.expect_dma(DMA_READ, address, 2);
        setup.client.reply_read(id, address, &[round; 2]);
        assert_eq!(setup.event(), Event::Read(0, Ok(vec![round; 2])));
        setup.order(move |client| client.dma_write(address + PAGE, &[0xff; 3]));
        setup.settle();
        let mut written = [0; 4];
        dimm.read_exact_at(&mut written, PAGE).unwrap();
        assert_eq!(written, [0xff, 0xff, 0xff, round]);
        assert_eq!(setup.unmap(address, 16 * PAGE), Ok(16 * PAGE));
        setup.order(move |client| client.dma_read(1, address, 1));
        let (id, _) = setup.client.expect_dma(DMA_READ, address, 1);
        setup.client.reply_failure(id, DMA_READ, 14);
        assert_eq!(setup.event(), Event::Read(1, Err(Errno::FAULT)));
    }
}

#[test]
fn regions_lie_below_the_end_of_the_address_space() {
    let mut setup = Setup::new();
    for (address, size) in [(0, 0), (PAGE, 0), (u64::MAX, 2), (2, u64::MAX), (PAGE, u64::MAX - PAGE + 2)] {
        assert_eq!(setup.map(address, size), Err(Errno::INVAL), "{size:#x} bytes at {address:#x}");
        assert_eq!(setup.unmap(address, size), Err(Errno::INVAL), "{size:#x} bytes at {address:#x}");
    }
    setup.map(u64::MAX - PAGE + 1, PAGE).unwrap();
    setup.map(0, u64::MAX - PAGE + 1).unwrap();
    assert_eq!(setup.unmap(1, u64::MAX), Err(Errno::INVAL), "half of the first region");
    assert_eq!(setup.unmap(0, u64::MAX), Err(Errno::INVAL), "half of the second");
}

#[test]
fn unmapping_takes_whole_regions() {
    let mut setup = Setup::new();
    [1, 3, 4].into_iter().for_each(|page| drop(setup.map(page * PAGE, PAGE).unwrap()));
    setup.map(6 * PAGE, 2 * PAGE).unwrap();
    for (first, pages) in [(6, 1), (7, 1), (4, 3), (7, 5)] {
        assert_eq!(setup.unmap(first * PAGE, pages * PAGE), Err(Errno::INVAL), "{pages} pages from {first} on");
    }
    assert_eq!(setup.unmap(PAGE + 1, PAGE - 1), Err(Errno::INVAL));
    assert_eq!(setup.unmap(2 * PAGE, PAGE), Ok(0));
    assert_eq!(setup.unmap(0, 5 * PAGE), Ok(3 * PAGE));
    assert_eq!(setup.unmap(0, 5 * PAGE), Ok(0));
    assert_eq!(setup.unmap(6 * PAGE, 2 * PAGE), Ok(2 * PAGE));
}

#[test]
fn everything_is_unmapped_at_once() {
    let mut setup = Setup::new();
    [1, 3, 4].into_iter().for_each(|page| drop(setup.map(page * PAGE, PAGE).unwrap()));
    setup.client.ask(DMA_UNMAP, &dma_unmap(2, 0, 0)).unwrap();
    assert_eq!(setup.unmap(0, 100 * PAGE), Ok(0));
    for flags in [1, 3, 4, u32::MAX] {
        assert_eq!(setup.client.ask(DMA_UNMAP, &dma_unmap(flags, 0, 0)), Err(Errno::NOTSUP));
    }
}

#[test]
fn bodies_must_be_whole() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(DMA_MAP, &dma_map(3, 0, 0, PAGE)[..31]), Err(Errno::INVAL));
    assert_eq!(setup.client.ask(DMA_UNMAP, &dma_unmap(0, 0, PAGE)[..23]), Err(Errno::INVAL));
    for argsz in [0, 23, 31] {
        let with_argsz = |body: Vec<u8>| [words([argsz]), body[4..].to_vec()].concat();
        assert_eq!(setup.client.ask(DMA_MAP, &with_argsz(dma_map(3, 0, 0, PAGE))), Err(Errno::INVAL));
    }
    assert_eq!(setup.unmap(0, PAGE), Ok(0));
}

#[test]
fn unknown_flags_are_no_reason_to_refuse() {
    let mut setup = Setup::new();
    for (page, flags) in [0, 1, 2, 4, 0xff, u32::MAX].into_iter().enumerate() {
        setup.client.ask(DMA_MAP, &dma_map(flags, 0, page as u64 * PAGE, PAGE)).unwrap();
    }
}

#[test]
fn files_must_be_as_large_as_the_region() {
    let mut setup = Setup::new();
    let file = memfd(2 * PAGE);
    for (offset, size) in [(0, 3 * PAGE), (PAGE, 2 * PAGE), (2 * PAGE, PAGE), (u64::MAX - PAGE + 1, PAGE), (0, 1 << 40)]
    {
        let body = dma_map(READ_WRITE, offset, 0, size);
        assert_eq!(
            setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]),
            Err(Errno::INVAL),
            "{size:#x} at {offset:#x}"
        );
    }
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, PAGE, 0, PAGE), &[file.as_fd()]).unwrap();
    assert_eq!(setup.unmap(0, PAGE), Ok(PAGE));
}

#[test]
fn one_region_has_one_descriptor() {
    let mut setup = Setup::new();
    let file = memfd(PAGE);
    let (witness, end) = witness();
    let body = dma_map(READ_WRITE, 0, 0, PAGE);
    assert_eq!(setup.client.ask_with(DMA_MAP, &body, &[file.as_fd(), witness.as_fd()]), Err(Errno::INVAL));
    drop(witness);
    setup.settle();
    assert!(is_closed(&end));
}

#[test]
fn what_cannot_be_mapped_goes_by_message() {
    let mut setup = Setup::new();
    let (pipe, end) = witness();
    let read_only = std::fs::File::open("/proc/self/exe").unwrap();
    let folder = std::fs::File::open("/").unwrap();
    let unaligned = memfd(2 * PAGE);
    for (offset, descriptor) in [(0, pipe.as_fd()), (0, read_only.as_fd()), (0, folder.as_fd()), (5, unaligned.as_fd())]
    {
        setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, offset, 0, PAGE), &[descriptor]).unwrap();
        setup.order(|client| client.dma_read(1, 0, 8));
        let (id, _) = setup.client.expect_dma(DMA_READ, 0, 8);
        setup.client.reply_read(id, 0, &[7; 8]);
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![7; 8])));
    }
    drop(pipe);
    assert!(is_closed(&end));
}

#[test]
fn many_descriptors_are_not_kept_open() {
    let mut setup = Setup::new();
    let file = memfd(PAGE);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for page in 0..400 {
        setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, page * PAGE, PAGE), &[file.as_fd()]).unwrap();
    }
    // Other tests run at the same time and open some themselves.
    assert!(open() < before + 350, "{} descriptors more", open() - before);
}
