//! DMA_MAP and DMA_UNMAP: which regions there may be.
use crate::fake::*;
use std::os::fd::AsFd;
use virtio_hdl::vfio_user::Errno;

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

#[test]
fn regions_do_not_overlap_unless_they_are_the_same() {
    let mut setup = Setup::new();
    setup.map(4 * PAGE, 4 * PAGE).unwrap();
    for (first, pages) in [(3, 2), (4, 3), (4, 5), (5, 1), (5, 3), (7, 1), (7, 9), (0, 5), (0, 100)] {
        assert_eq!(setup.map(first * PAGE, pages * PAGE), Err(Errno::EXIST), "{pages} pages from {first} on");
    }
    setup.map(4 * PAGE, 4 * PAGE).unwrap();
    setup.map(0, 4 * PAGE).unwrap();
    setup.map(8 * PAGE, PAGE).unwrap();
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
