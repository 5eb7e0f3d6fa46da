//! `share=off`: a descriptor comes along, and the guest's memory is elsewhere.
use crate::fake::*;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use vfio_user_server::{Discarded, Errno};

const SIZE: u64 = 0x4000;

fn with_file() -> (Setup, File) {
    let mut setup = Setup::new();
    let file = memfd(SIZE);
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, SIZE), &[file.as_fd()]).unwrap();
    (setup, file)
}

impl Setup {
    /// The device reads by message; `memory` is what the client says.
    fn read_by_message(&mut self, address: u64, memory: &[u8]) {
        let bytes = memory.len();
        self.order(move |client| client.dma_read(1, address, bytes));
        let (id, _) = self.client.expect_dma(DMA_READ, address, bytes);
        self.client.reply_read(id, address, memory);
        assert_eq!(self.event(), Event::Read(1, Ok(memory.to_vec())));
    }

    /// The device reads through the mapping.
    fn read_mapped(&mut self, address: u64, bytes: usize) -> Vec<u8> {
        let result = self.look(move |client| {
            client.dma_read(2, address, bytes);
            client.take_read()
        });
        result.expect("not mapped").1.unwrap()
    }
}

#[test]
fn memory_is_shared_when_a_reply_is_what_the_mapping_holds() {
    let (mut setup, file) = with_file();
    file.write_all_at(&[1, 2, 3, 4], 0x100).unwrap();
    // Writes go by message until then.
    setup.order(|client| client.dma_write(0x200, &[7; 4]));
    let (id, _) = setup.client.expect_dma(DMA_WRITE, 0x200, 4);
    setup.client.reply_write(id, 0x200, 4);
    setup.read_by_message(0x100, &[1, 2, 3, 4]);
    file.write_all_at(&[5, 6], 0x102).unwrap();
    assert_eq!(setup.read_mapped(0x101, 3), [2, 5, 6]);
    setup.look(|client| client.dma_write(0x200, &[8; 4]));
    let mut written = [0; 4];
    file.read_exact_at(&mut written, 0x200).unwrap();
    assert_eq!(written, [8; 4]);
}

/// What the guest has no use for takes no memory, and reads as zeros; nothing around it changes.
#[test]
fn shared_memory_is_given_back_to_the_host_and_no_other() {
    let (mut setup, file) = with_file();
    file.write_all_at(&[9; SIZE as usize], 0).unwrap();
    // which nobody has seen to be the guest's
    let discarded = setup.look(|client| client.discard(0x1000, 0x1000));
    assert_eq!(discarded, Discarded { kept: 0x1000, ..Discarded::default() });
    setup.read_by_message(0x100, &[9; 4]);
    let blocks = || file.metadata().unwrap().blocks();
    let before = blocks();
    let discarded = setup.look(|client| client.discard(0x1000, 0x2000));
    assert_eq!(discarded, Discarded { given_back: 0x2000, ..Discarded::default() });
    assert_eq!(before - blocks(), 0x2000 / 512);
    assert_eq!(setup.read_mapped(0xffe, 4), [9, 9, 0, 0]);
    assert_eq!(setup.read_mapped(0x2ffe, 4), [0, 0, 9, 9]);
    // it ends with the mapping, and may lie in several
    let discarded = setup.look(|client| client.discard(SIZE - 0x1000, 0x3000));
    assert_eq!(discarded, Discarded { given_back: 0x1000, outside: 0x2000, ..Discarded::default() });
    let other = memfd(0x2000);
    let read_only = READ_WRITE & 1;
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, SIZE, 0x1000), &[other.as_fd()]).unwrap();
    setup.client.ask_with(DMA_MAP, &dma_map(read_only, 0x1000, SIZE + 0x1000, 0x1000), &[other.as_fd()]).unwrap();
    let discarded = setup.look(|client| client.discard(0x3000, u64::MAX));
    assert_eq!((discarded.given_back, discarded.kept), (0x1000, 0x1000), "{discarded:?}");
    assert_eq!(discarded.outside, u64::MAX - 0x2000, "what may only be read is not the device's");
    assert_eq!(setup.look(|client| client.discard(0, 0)), Discarded::default());
    assert_eq!(file.metadata().unwrap().len(), SIZE);
}

#[test]
fn memory_is_not_shared_when_the_mapping_stays_empty() {
    let (mut setup, file) = with_file();
    setup.read_by_message(0, &[1, 2, 3, 4]);
    // For good, even if the file says the same one day.
    file.write_all_at(&[9; 4], 0).unwrap();
    for _ in 0..3 {
        setup.read_by_message(0, &[9; 4]);
    }
    setup.order(|client| client.dma_write(0, &[5; 4]));
    setup.client.expect_dma(DMA_WRITE, 0, 4);
}

#[test]
fn zeros_prove_nothing() {
    let (mut setup, file) = with_file();
    for _ in 0..5 {
        setup.read_by_message(0, &[0; 8]);
    }
    file.write_all_at(&[1], 0x10).unwrap();
    setup.read_by_message(0x10, &[1]);
    assert_eq!(setup.read_mapped(0x10, 1), [1]);
}

#[test]
fn a_guest_that_writes_meanwhile_is_no_contradiction() {
    // What the mapping holds before or after the reply will do.
    for (before, reply, after) in [([1; 4], [1; 4], [2; 4]), ([1; 4], [2; 4], [2; 4]), ([0; 4], [2; 4], [2; 4])] {
        let (mut setup, file) = with_file();
        file.write_all_at(&before, 0).unwrap();
        setup.order(|client| client.dma_read(1, 0, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, 0, 4);
        file.write_all_at(&after, 0).unwrap();
        setup.client.reply_read(id, 0, &reply);
        assert_eq!(setup.event(), Event::Read(1, Ok(reply.to_vec())));
        assert_eq!(setup.read_mapped(0, 4), after);
    }
}

#[test]
fn three_contradictions_are_too_many() {
    for contradictions in [2, 3] {
        let (mut setup, file) = with_file();
        file.write_all_at(&[1; 4], 0).unwrap();
        for _ in 0..contradictions {
            setup.read_by_message(0, &[2; 4]);
        }
        setup.read_by_message(0, &[1; 4]);
        match contradictions {
            2 => assert_eq!(setup.read_mapped(0, 4), [1; 4]),
            _ => setup.read_by_message(0, &[1; 4]),
        }
    }
}

#[test]
fn all_mappings_of_a_file_share_the_verdict() {
    let (mut setup, file) = with_file();
    file.write_all_at(&[1; 4], 0).unwrap();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0x10_0000, SIZE), &[file.as_fd()]).unwrap();
    setup.read_by_message(0, &[1; 4]);
    assert_eq!(setup.read_mapped(0x10_0000, 4), [1; 4]);
    // As firmware does: unmap, map again.
    setup.client.ask(DMA_UNMAP, &dma_unmap(0, 0, SIZE)).unwrap();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, SIZE), &[file.as_fd()]).unwrap();
    assert_eq!(setup.read_mapped(0, 4), [1; 4]);
    // Another file starts from the beginning, and so does one that was gone altogether.
    let other = memfd(SIZE);
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0x20_0000, SIZE), &[other.as_fd()]).unwrap();
    setup.read_by_message(0x20_0000, &[3; 4]);
    assert_eq!(setup.read_mapped(0, 4), [1; 4]);
    setup.client.ask(DMA_UNMAP, &dma_unmap(2, 0, 0)).unwrap();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, SIZE), &[file.as_fd()]).unwrap();
    setup.read_by_message(0, &[1; 4]);
}

#[test]
fn memory_that_is_unmapped_or_replaced_while_a_read_is_out_is_not_judged() {
    let (mut setup, file) = with_file();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0x10_0000, SIZE), &[file.as_fd()]).unwrap();
    for replace in [false, true] {
        setup.order(|client| client.dma_read(1, 0, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, 0, 4);
        setup.client.ask(DMA_UNMAP, &dma_unmap(0, 0, SIZE)).unwrap();
        let other = memfd(SIZE);
        other.write_all_at(&[1; 4], 0).unwrap();
        if replace {
            setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, SIZE), &[other.as_fd()]).unwrap();
        }
        setup.client.reply_read(id, 0, &[1; 4]);
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![1; 4])));
        if !replace {
            setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, SIZE), &[file.as_fd()]).unwrap();
        }
    }
    // Neither file has been found to be anything.
    file.write_all_at(&[2; 4], 0).unwrap();
    for (address, content) in [(0, [1; 4]), (0x10_0000, [2; 4])] {
        setup.read_by_message(address, &content);
        assert_eq!(setup.read_mapped(address, 4), content);
    }
}

#[test]
fn a_read_that_fails_proves_nothing() {
    let (mut setup, file) = with_file();
    file.write_all_at(&[1; 4], 0).unwrap();
    for _ in 0..4 {
        setup.order(|client| client.dma_read(1, 0, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, 0, 4);
        setup.client.reply_failure(id, DMA_READ, 19);
        assert_eq!(setup.event(), Event::Read(1, Err(Errno::NODEV)));
    }
    setup.read_by_message(0, &[1; 4]);
    assert_eq!(setup.read_mapped(0, 4), [1; 4]);
}
