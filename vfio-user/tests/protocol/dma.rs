//! DMA by message and through mappings, and the order of both with interrupts.
use crate::fake::*;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use vfio_user_server::{irq, region, Errno, ServerOptions};

/// Where memory is mapped, and where nothing is.
const MAPPED: u64 = 0x10_0000;
const UNMAPPED: u64 = 0x2000_0000;
const MSI: u64 = 0xfee0_0000;
const MAPPED_BYTES: u64 = 0x2_0000;

/// A server with memory that it knows to be shared, filled with 0x55, and an eventfd for each interrupt vector.
fn with_memory() -> (Setup, File, OwnedFd) {
    let mut setup = Setup::new();
    let file = memfd(MAPPED_BYTES);
    file.write_all_at(&[0x55; MAPPED_BYTES as usize], 0).unwrap();
    let body = dma_map(READ_WRITE, 0, MAPPED, MAPPED_BYTES);
    setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]).unwrap();
    setup.order(|client| client.dma_read(0, MAPPED, 4));
    let (id, _) = setup.client.expect_dma(DMA_READ, MAPPED, 4);
    setup.client.reply_read(id, MAPPED, &[0x55; 4]);
    assert_eq!(setup.event(), Event::Read(0, Ok(vec![0x55; 4])));
    let eventfd = new_eventfd();
    setup.client.ask_with(SET_IRQS, &set_irqs(4 | 32, irq::MSIX, 0, 1), &[eventfd.as_fd()]).unwrap();
    (setup, file, eventfd)
}

fn content(file: &File, offset: u64) -> u8 {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    byte[0]
}

#[test]
fn mapped_memory_is_read_and_written_at_once() {
    let (mut setup, file, _) = with_memory();
    file.write_all_at(b"guest", 0x1000).unwrap();
    let result = setup.look(|client| {
        client.dma_read(7, MAPPED + 0x1000, 5);
        client.dma_write(MAPPED + MAPPED_BYTES - 3, &[1, 2, 3]);
        (client.take_read(), client.reads_pending(), client.writes_pending())
    });
    assert_eq!(result, (Some((7, Ok(b"guest".to_vec()))), false, false));
    let mut written = [0; 4];
    file.read_exact_at(&mut written, MAPPED_BYTES - 4).unwrap();
    assert_eq!(written, [0x55, 1, 2, 3]);
    let statistics = setup.statistics();
    assert_eq!((statistics.read_mapped_bytes, statistics.written_mapped_bytes), (5, 3));
    assert_eq!((statistics.read_message_bytes, statistics.dma_messages), (4, 1));
}

#[test]
fn accesses_that_leave_a_region_go_by_message() {
    let (mut setup, file, _) = with_memory();
    // The neighbour is mapped too.
    let body = dma_map(READ_WRITE, 0, MAPPED + MAPPED_BYTES, 0x1000);
    setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]).unwrap();
    for (address, bytes) in [(MAPPED - 1, 2), (MAPPED + MAPPED_BYTES - 1, 2), (MAPPED + MAPPED_BYTES + 0xfff, 2)] {
        setup.order(move |client| {
            client.dma_read(1, address, bytes);
            client.dma_write(address, &vec![3; bytes]);
        });
        let (id, _) = setup.client.expect_dma(DMA_READ, address, bytes);
        setup.client.reply_read(id, address, &vec![9; bytes]);
        let (id, data) = setup.client.expect_dma(DMA_WRITE, address, bytes);
        setup.client.reply_write(id, address, bytes);
        assert_eq!(data, vec![3; bytes]);
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![9; bytes])));
    }
    assert_eq!(content(&file, MAPPED_BYTES - 1), 0x55);
}

#[test]
fn read_only_memory_is_not_written() {
    let (mut setup, file, _) = with_memory();
    let body = dma_map(READ_ONLY, 0, MAPPED, MAPPED_BYTES);
    setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]).unwrap();
    setup.order(|client| {
        client.dma_read(1, MAPPED, 1);
        client.dma_write(MAPPED, &[1]);
    });
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![0x55])));
    let (id, _) = setup.client.expect_dma(DMA_WRITE, MAPPED, 1);
    setup.client.reply_failure(id, DMA_WRITE, 14);
    assert_eq!(setup.statistics().failed_dma, 1);
    // Nor is memory read that may only be written.
    setup.client.ask_with(DMA_MAP, &dma_map(2, 0, MAPPED, MAPPED_BYTES), &[file.as_fd()]).unwrap();
    setup.order(|client| client.dma_read(2, MAPPED, 1));
    setup.client.expect_dma(DMA_READ, MAPPED, 1);
}

#[test]
fn unmapped_memory_goes_by_message_from_then_on() {
    let (mut setup, file, _) = with_memory();
    setup.client.ask(DMA_UNMAP, &dma_unmap(0, MAPPED, MAPPED_BYTES)).unwrap();
    setup.order(|client| client.dma_write(MAPPED, &[1]));
    setup.client.expect_dma(DMA_WRITE, MAPPED, 1);
    assert_eq!(content(&file, 0), 0x55);
}

#[test]
fn without_mapping_everything_goes_by_message() {
    let mut setup = Setup::with_options(ServerOptions { map: false });
    let file = memfd(MAPPED_BYTES);
    file.write_all_at(&[0x55; 4], 0).unwrap();
    let body = dma_map(READ_WRITE, 0, MAPPED, MAPPED_BYTES);
    setup.client.ask_with(DMA_MAP, &body, &[file.as_fd()]).unwrap();
    for _ in 0..3 {
        setup.order(|client| client.dma_read(1, MAPPED, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, MAPPED, 4);
        setup.client.reply_read(id, MAPPED, &[0x55; 4]);
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![0x55; 4])));
    }
}

#[test]
fn registers_are_answered_while_the_reply_to_a_read_is_awaited() {
    let mut setup = Setup::new();
    setup.order(|client| client.dma_read(1, UNMAPPED, 4));
    let (id, _) = setup.client.expect_dma(DMA_READ, UNMAPPED, 4);
    // QEMU's processor waits for these before DMA is served.
    setup.client.write_region(region::BAR0, 0, &[1, 2]).unwrap();
    assert_eq!(setup.client.read_region(region::BAR0, 0, 2), Ok(vec![1, 2]));
    assert!(setup.look(|client| client.reads_pending()));
    setup.client.reply_read(id, UNMAPPED, &[4; 4]);
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![4; 4])));
    assert!(!setup.look(|client| client.reads_pending()));
}

#[test]
fn large_accesses_are_cut_and_their_parts_come_in_any_order() {
    let mut setup = Setup::new();
    let bytes = (128 << 10) + 5;
    let data: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8).collect();
    let (read, written) = (data.clone(), data.clone());
    setup.order(move |client| {
        client.dma_read(3, UNMAPPED, bytes);
        client.dma_write(UNMAPPED, &written);
    });
    let parts = [(0, 0x1_0000), (0x1_0000, 0x1_0000), (0x2_0000, 5)];
    let reads = parts.map(|(at, bytes)| setup.client.expect_dma(DMA_READ, UNMAPPED + at as u64, bytes).0);
    for (at, bytes) in parts {
        let (id, part) = setup.client.expect_dma(DMA_WRITE, UNMAPPED + at as u64, bytes);
        assert_eq!(part, data[at..at + bytes]);
        setup.client.reply_write(id, UNMAPPED + at as u64, bytes);
    }
    for index in [2, 0, 1] {
        let (at, bytes) = parts[index];
        setup.client.reply_read(reads[index], UNMAPPED + at as u64, &data[at..at + bytes]);
    }
    assert_eq!(setup.event(), Event::Read(3, Ok(read)));
    let statistics = setup.statistics();
    assert_eq!((statistics.read_message_bytes, statistics.written_message_bytes), (bytes as u64, bytes as u64));
    assert_eq!((statistics.dma_messages, statistics.failed_dma), (6, 0));
}

#[test]
fn the_clients_own_limit_counts() {
    let mut setup = Setup::silent(ServerOptions::default());
    let json = r#"{"capabilities":{"max_data_xfer_size":1000}}"#;
    setup.client.ask(VERSION, &version(0, 0, json)).unwrap();
    setup.order(|client| client.dma_read(1, UNMAPPED, 1001));
    setup.client.expect_dma(DMA_READ, UNMAPPED, 1000);
    setup.client.expect_dma(DMA_READ, UNMAPPED + 1000, 1);
}

#[test]
fn no_more_than_64_messages_are_out() {
    let mut setup = Setup::new();
    setup.order(|client| {
        (0..60).for_each(|token| client.dma_read(token, UNMAPPED + token, 1));
        client.dma_write(UNMAPPED, &[1; 6 << 16]);
    });
    let mut ids: Vec<_> = (0..60).map(|token| setup.client.expect_dma(DMA_READ, UNMAPPED + token, 1).0).collect();
    for part in 0..4 {
        ids.push(setup.client.expect_dma(DMA_WRITE, UNMAPPED + (part << 16), 1 << 16).0);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 64);
    setup.settle();
    // Each reply makes room for one more.
    for part in 4..6 {
        setup.client.reply_failure(ids[part as usize], DMA_READ, 14);
        setup.client.expect_dma(DMA_WRITE, UNMAPPED + (part << 16), 1 << 16);
        setup.settle();
    }
}

#[test]
fn failed_reads_and_writes_are_told_and_counted() {
    let mut setup = Setup::new();
    for (error, expected) in
        [(14, Errno::FAULT), (19, Errno::NODEV), (0, Errno::IO), (4096, Errno::IO), (u32::MAX, Errno::IO)]
    {
        setup.order(|client| {
            client.dma_read(1, UNMAPPED, 1 << 17);
            client.dma_write(UNMAPPED, &[1]);
        });
        let (first, _) = setup.client.expect_dma(DMA_READ, UNMAPPED, 1 << 16);
        let (second, _) = setup.client.expect_dma(DMA_READ, UNMAPPED + (1 << 16), 1 << 16);
        let (write, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
        setup.client.reply_failure(second, DMA_READ, error);
        assert_eq!(setup.event(), Event::Read(1, Err(expected)));
        // The part that comes late helps nobody.
        setup.client.reply_read(first, UNMAPPED, &[1; 1 << 16]);
        setup.client.reply_failure(write, DMA_WRITE, error);
        setup.expect_no_event();
        assert!(!setup.look(|client| client.writes_pending()));
    }
    assert_eq!(setup.statistics().failed_dma, 10);
}

#[test]
fn replies_that_do_not_fit_fail_the_read() {
    let mut setup = Setup::new();
    let whole = [dma_access(UNMAPPED, 4), vec![1; 4]].concat();
    let other_count = [dma_access(UNMAPPED, 5), vec![1; 4]].concat();
    for (command, body) in [
        (DMA_READ, vec![]),
        (DMA_READ, whole[..15].to_vec()),
        (DMA_READ, whole[..19].to_vec()),
        (DMA_READ, [&whole[..], &[1]].concat()),
        (DMA_READ, other_count),
        (DMA_WRITE, whole.clone()),
        (RESET, whole),
    ] {
        setup.order(|client| client.dma_read(1, UNMAPPED, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, UNMAPPED, 4);
        setup.client.send_raw(&message(id, command, REPLY, 0, &body), &[]).unwrap();
        let Event::Read(1, Err(_)) = setup.event() else { panic!("the read has not failed") };
    }
}

#[test]
fn replies_that_nobody_waits_for_are_ignored() {
    let mut setup = Setup::new();
    setup.order(|client| client.dma_read(1, UNMAPPED, 4));
    let (id, _) = setup.client.expect_dma(DMA_READ, UNMAPPED, 4);
    setup.client.reply_read(id.wrapping_add(1), UNMAPPED, &[9; 4]);
    setup.client.reply_read(id, UNMAPPED, &[1; 4]);
    setup.client.reply_read(id, UNMAPPED, &[2; 4]);
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![1; 4])));
    setup.expect_no_event();
}

#[test]
fn accesses_beyond_the_last_address_fail() {
    let mut setup = Setup::new();
    setup.order(|client| {
        client.dma_read(1, u64::MAX, 2);
        client.dma_read(2, UNMAPPED, 0);
        client.dma_write(u64::MAX - 1, &[0; 3]);
        client.dma_write(UNMAPPED, &[]);
        client.dma_read(3, u64::MAX - 1, 2);
    });
    assert_eq!(setup.event(), Event::Read(1, Err(Errno::FAULT)));
    assert_eq!(setup.event(), Event::Read(2, Ok(vec![])));
    setup.client.expect_dma(DMA_READ, u64::MAX - 1, 2);
    assert_eq!(setup.statistics().failed_dma, 2);
}

#[test]
fn forgotten_reads_never_come() {
    let mut setup = Setup::new();
    // The third is not sent as a whole: 64 messages are out.
    setup.order(|client| {
        client.dma_read(1, UNMAPPED, 8);
        client.dma_read(2, UNMAPPED, 62 << 16);
        client.dma_read(3, UNMAPPED, 9 << 16);
        client.dma_write(UNMAPPED, &[5; 3]);
        client.dma_read(4, UNMAPPED, 1);
    });
    let ids: Vec<_> = (0..64).map(|_| setup.client.receive().unwrap().id).collect();
    assert_eq!(
        setup.look(|client| {
            client.forget_reads();
            (client.reads_pending(), client.writes_pending())
        }),
        (false, true)
    );
    setup.client.reply_read(ids[0], UNMAPPED, &[1; 8]);
    // The write behind them is still done, all of it.
    let (id, data) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 3);
    assert_eq!(data, [5; 3]);
    setup.client.reply_write(id, UNMAPPED, 3);
    setup.expect_no_event();
    setup.order(|client| client.dma_read(5, UNMAPPED, 1));
    let (id, _) = setup.client.expect_dma(DMA_READ, UNMAPPED, 1);
    setup.client.reply_read(id, UNMAPPED, &[6]);
    assert_eq!(setup.event(), Event::Read(5, Ok(vec![6])));
}

#[test]
fn mapped_accesses_wait_for_earlier_message_writes() {
    let (mut setup, file, _) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1]);
        client.dma_write(MAPPED, &[2]);
        client.dma_read(1, MAPPED, 1);
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
    setup.expect_no_event();
    assert_eq!(content(&file, 0), 0x55);
    assert!(setup.look(|client| client.writes_pending()));
    setup.client.reply_write(id, UNMAPPED, 1);
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![2])));
    assert_eq!(content(&file, 0), 2);
    assert!(!setup.look(|client| client.writes_pending()));
}

#[test]
fn a_failed_write_holds_nothing_up_either() {
    let (mut setup, file, _) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1]);
        client.dma_write(MAPPED, &[2]);
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
    setup.client.reply_failure(id, DMA_WRITE, 14);
    setup.settle();
    assert_eq!(content(&file, 0), 2);
}

#[test]
fn eventfds_wait_for_earlier_message_writes() {
    let (mut setup, _, eventfd) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1; 1 << 17]);
        client.interrupt(irq::MSIX, 0);
    });
    let (first, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1 << 16);
    let (second, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED + (1 << 16), 1 << 16);
    setup.settle();
    assert_eq!(count(&eventfd), 0);
    setup.client.reply_write(second, UNMAPPED + (1 << 16), 1 << 16);
    setup.settle();
    assert_eq!(count(&eventfd), 0);
    setup.client.reply_write(first, UNMAPPED, 1 << 16);
    setup.settle();
    assert_eq!(count(&eventfd), 1);
}

#[test]
fn writes_to_the_msi_window_hold_nothing_up() {
    let (mut setup, file, eventfd) = with_memory();
    setup.order(|client| {
        client.dma_write(MSI, &[0x41, 0, 0, 0]);
        client.dma_write(MSI + 0xf_fffc, &[0x42, 0, 0, 0]);
        client.dma_write(MAPPED, &[2]);
        client.interrupt(irq::MSIX, 0);
    });
    setup.client.expect_dma(DMA_WRITE, MSI, 4);
    setup.client.expect_dma(DMA_WRITE, MSI + 0xf_fffc, 4);
    setup.settle();
    assert_eq!((content(&file, 0), count(&eventfd)), (2, 1));
    // Just beside the window is memory like any other.
    setup.order(|client| {
        client.dma_write(MSI + 0xf_fffd, &[0; 4]);
        client.dma_write(MAPPED, &[3]);
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, MSI + 0xf_fffd, 4);
    setup.settle();
    assert_eq!(content(&file, 0), 2);
    setup.client.reply_write(id, MSI + 0xf_fffd, 4);
    setup.settle();
    assert_eq!(content(&file, 0), 3);
}

/// A machine that is no PC may have memory there.
#[test]
fn writes_to_memory_in_the_msi_window_hold_up() {
    let (mut setup, file, eventfd) = with_memory();
    setup.client.ask(DMA_MAP, &dma_map(READ_WRITE, 0, MSI, MAPPED_BYTES)).unwrap();
    setup.order(|client| {
        client.dma_write(MSI, &[0x41, 0, 0, 0]);
        client.dma_write(MAPPED, &[2]);
        client.interrupt(irq::MSIX, 0);
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, MSI, 4);
    setup.settle();
    assert_eq!((content(&file, 0), count(&eventfd)), (0x55, 0));
    setup.client.reply_write(id, MSI, 4);
    setup.settle();
    assert_eq!((content(&file, 0), count(&eventfd)), (2, 1));
}

#[test]
fn messages_do_not_overtake_what_waits() {
    let (mut setup, file, _) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1]);
        client.dma_write(MAPPED, &[2]);
        client.dma_write(MSI, &[0x41, 0, 0, 0]);
        client.dma_read(1, UNMAPPED, 1);
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
    setup.settle();
    setup.client.reply_write(id, UNMAPPED, 1);
    setup.client.expect_dma(DMA_WRITE, MSI, 4);
    assert_eq!(content(&file, 0), 2);
    setup.client.expect_dma(DMA_READ, UNMAPPED, 1);
}

#[test]
fn mapped_writes_are_done_before_the_interrupt_message_behind_them() {
    let (mut setup, file, _) = with_memory();
    setup.order(|client| {
        client.dma_read(1, UNMAPPED, 1);
        client.dma_write(MAPPED, &[2]);
        client.dma_write(MSI, &[0x41, 0, 0, 0]);
    });
    // A read that is out holds nothing up.
    setup.client.expect_dma(DMA_READ, UNMAPPED, 1);
    setup.client.expect_dma(DMA_WRITE, MSI, 4);
    assert_eq!(content(&file, 0), 2);
}

#[test]
fn writes_that_wait_are_pushed_before_an_answer() {
    let (mut setup, file, eventfd) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1]);
        client.dma_write(MAPPED, &[2]);
        client.interrupt(irq::MSIX, 0);
        client.dma_read(1, MAPPED, 1);
        client.dma_write(UNMAPPED + 1, &[3]);
        client.push_writes();
    });
    let mut ids = vec![];
    for (address, value) in [(UNMAPPED, 1), (MAPPED, 2), (UNMAPPED + 1, 3)] {
        let (id, data) = setup.client.expect_dma(DMA_WRITE, address, 1);
        assert_eq!(data, [value]);
        ids.push((id, address));
    }
    setup.expect_no_event();
    assert_eq!((content(&file, 0), count(&eventfd)), (0x55, 0));
    for (id, address) in ids {
        setup.client.reply_write(id, address, 1);
    }
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![0x55])));
    assert_eq!(count(&eventfd), 1);
}

#[test]
fn a_large_write_that_has_begun_is_pushed_to_its_end() {
    let mut setup = Setup::new();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[7; 70 << 16]);
        client.push_writes();
    });
    for part in 0..70 {
        setup.client.expect_dma(DMA_WRITE, UNMAPPED + (part << 16), 1 << 16);
    }
    setup.settle();
    assert!(setup.look(|client| client.is_full()));
}

#[test]
fn forgotten_writes_and_interrupts_never_come() {
    let (mut setup, file, eventfd) = with_memory();
    setup.order(|client| {
        client.dma_write(UNMAPPED, &[1]);
        client.dma_write(MAPPED, &[2]);
        client.interrupt(irq::MSIX, 0);
        client.dma_read(1, MAPPED, 1);
        client.forget_writes();
    });
    let (id, _) = setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
    setup.client.reply_write(id, UNMAPPED, 1);
    assert_eq!(setup.event(), Event::Read(1, Ok(vec![0x55])));
    setup.settle();
    assert_eq!((content(&file, 0), count(&eventfd)), (0x55, 0));
}

#[test]
fn writes_fill_the_queue_until_they_are_acknowledged() {
    let mut setup = Setup::new();
    let full = |setup: &mut Setup| setup.look(|client| client.is_full());
    setup.order(|client| (0..63).for_each(|at| client.dma_write(UNMAPPED + at, &[1])));
    let ids: Vec<_> = (0..63).map(|at| setup.client.expect_dma(DMA_WRITE, UNMAPPED + at, 1).0).collect();
    assert!(!full(&mut setup));
    setup.order(|client| client.dma_write(UNMAPPED, &[1]));
    setup.client.expect_dma(DMA_WRITE, UNMAPPED, 1);
    assert!(full(&mut setup));
    setup.client.reply_write(ids[5], UNMAPPED + 5, 1);
    assert!(!full(&mut setup));
}

#[test]
fn a_client_that_acknowledges_nothing_is_given_up() {
    for push in [false, true] {
        let mut setup = Setup::new();
        setup.order(move |client| {
            (0..5000).for_each(|at| client.dma_write(UNMAPPED + at, &[1]));
            if push {
                client.push_writes();
            }
        });
        while setup.client.receive().is_some() {}
        let Event::Detached(statistics) = setup.event() else { panic!("it goes on") };
        assert!(statistics.dma_messages <= 4096, "{statistics:?}");
    }
}

/// A process that touches what lies behind the end of a file has SIGBUS.
#[test]
fn memory_whose_file_was_cut_fails_the_read_and_ends_the_client_at_a_write() {
    let (mut setup, file, _) = with_memory();
    file.set_len(0x1000).unwrap();
    setup.order(|client| {
        client.dma_read(1, MAPPED + 0x1000, 4);
        client.dma_read(2, MAPPED + 0xffe, 4);
        client.dma_read(3, MAPPED + 0xffc, 4);
    });
    assert_eq!(setup.event(), Event::Read(1, Err(Errno::FAULT)));
    assert_eq!(setup.event(), Event::Read(2, Err(Errno::FAULT)));
    assert_eq!(setup.event(), Event::Read(3, Ok(vec![0x55; 4])));
    setup.order(|client| client.dma_write(MAPPED + 0x1000, &[1]));
    let statistics = setup.expect_gone();
    assert_eq!(statistics.failed_dma, 3);
}

/// Huge pages that nobody has set aside can be mapped, and not be touched.
#[test]
fn memory_for_which_there_are_no_pages_is_not_touched() {
    use rustix::fs::{memfd_create, MemfdFlags};
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let free = meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Free:")).map(str::trim);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    let (Some("0"), Ok(file)) = (free, memfd_create("vfio-user-huge", flags)) else {
        eprintln!("not tried: there are huge pages, or the kernel knows none");
        return;
    };
    let file = File::from(file);
    file.set_len(2 << 20).unwrap();
    let mut setup = Setup::new();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, MAPPED, 2 << 20), &[file.as_fd()]).unwrap();
    for _ in 0..4 {
        setup.order(|client| client.dma_read(1, MAPPED, 4));
        let (id, _) = setup.client.expect_dma(DMA_READ, MAPPED, 4);
        setup.client.reply_read(id, MAPPED, &[9; 4]);
        assert_eq!(setup.event(), Event::Read(1, Ok(vec![9; 4])));
    }
}
